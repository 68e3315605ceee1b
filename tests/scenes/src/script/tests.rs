//! The grammar, and texts that break it.

use super::*;

fn steps(text: &str) -> Vec<Step> {
    let parts = Script::parse(text).unwrap().parts;
    let step = |part| match part {
        Part::Step(step) => Some(step),
        Part::Prose(_) => None,
    };
    parts.into_iter().filter_map(step).collect()
}

fn rewritten(text: &str) -> String {
    let parts = Script::parse(text).unwrap().parts;
    let write = |part: &Part| match part {
        Part::Prose(line) => format!("{line}\n"),
        Part::Step(step) => step.with_output(&step.expected),
    };
    parts.iter().map(write).collect()
}

const SCENE: &str = "\
# What it teaches,
# in two lines.

# A step with input.
propose-conf-change 1
v2 v3
----
ok

log-level none \\
  and more
----
----
first

# no comment
----
third
----
----

stabilize
----
> 1 handling Ready
  <empty Ready>
";

#[test]
fn a_scene_is_prose_and_steps_and_is_written_back_as_it_was() {
    let steps = steps(SCENE);
    let commands: Vec<_> = steps.iter().map(|step| step.command.as_str()).collect();
    assert_eq!(commands, ["propose-conf-change 1", "log-level none  and more", "stabilize"]);
    assert_eq!(steps[0].input, ["v2 v3"]);
    assert_eq!(steps[1].expected, ["first", "", "# no comment", "----", "third"]);
    assert_eq!(steps[2].expected, ["> 1 handling Ready", "  <empty Ready>"]);
    let lines: Vec<_> = steps.iter().map(|step| (step.line, step.output_line)).collect();
    assert_eq!(lines, [(5, 8), (10, 14), (22, 24)]);
    assert_eq!(rewritten(SCENE), SCENE);
    let heading = Script::parse(SCENE).unwrap().heading();
    assert_eq!(heading, "What it teaches, in two lines.");
}

#[test]
fn output_with_blank_lines_is_fenced() {
    let step = &steps("dump\n----\nok\n")[0];
    let output = ["a".to_owned(), String::new(), "b".to_owned()];
    let text = step.with_output(&output);
    assert_eq!(text, "dump\n----\n----\na\n\nb\n----\n----\n");
    assert_eq!(steps(&text)[0].expected, output);
}

#[test]
fn a_text_that_is_no_scene_is_refused_with_its_line() {
    for (text, line, reason) in [
        ("# Nothing happens.\n", 1, "it has no step"),
        ("\nstabilize\n", 2, "`stabilize` lacks its `----`"),
        ("stabilize\n\n----\nok\n", 1, "`stabilize` lacks its `----`"),
        ("stabilize\n----\nok\n----\nok\n", 4, "a second `----`"),
        ("stabilize\n----\n\nok\n", 4, "`ok` lacks its `----`"),
        ("stabilize\n----\n----\nok\n", 1, "lacks its closing `----`"),
        ("stabilize \\", 1, "goes on"),
    ] {
        let (found, why) = Script::parse(text).unwrap_err();
        assert!(found == line && why.contains(reason), "{text:?} gave {found}: {why}");
    }
}

#[test]
fn a_command_line_has_words_values_and_lists() {
    let mut call = Call::parse("  go 1  2 flag= key=a list=(x, y z,(1, 2)) none=() ").unwrap();
    assert_eq!(call.name, "go");
    assert_eq!(call.need::<u64>("a peer").unwrap(), 1);
    assert_eq!(call.find::<String>("key").unwrap().as_deref(), Some("a"));
    let list = call.list::<String>("list").unwrap().unwrap();
    assert_eq!(list, ["x", "y z", "(1, 2)"]);
    assert_eq!(call.list::<u64>("none").unwrap(), Some(Vec::new()));
    assert_eq!(call.list::<u64>("flag").unwrap(), Some(Vec::new()));
    assert_eq!(call.list::<u64>("other").unwrap(), None);
    assert_eq!(call.words::<u64>("peers").unwrap(), [2]);
    call.finish().unwrap();
}

#[test]
fn a_command_line_that_makes_no_sense_is_refused() {
    let refusal = |line: &str, read: fn(&mut Call) -> Result<()>| {
        let call = Call::parse(line).map_err(|error| error.to_string());
        let read = |mut call: Call| {
            read(&mut call).and_then(|()| call.finish()).map_err(|error| error.to_string())
        };
        call.and_then(read).unwrap_err()
    };
    for (line, reason) in [
        ("go a=(1", "lacks a closing parenthesis at column 8"),
        ("go =1", "lacks a key at column 4"),
        ("go a=1 a=2", "`a=` is given twice"),
        ("go b=1", "`go` does not understand `b=1`"),
        ("go 7", "`go` does not understand `7`"),
        ("go a=x", "`x` is not a value for a"),
        ("go a=(1,2)", "`a=` takes one value, not 2"),
    ] {
        let found = refusal(line, |call| call.find::<u64>("a").map(drop));
        assert!(found.contains(reason), "{line}: {found}");
    }
    let found = refusal("go", |call| call.need::<u64>("a peer").map(drop));
    assert_eq!(found, "`go` needs a peer");
    let found = refusal("go", |call| call.need_key::<u64>("to").map(drop));
    assert_eq!(found, "`go` needs to=…");
}

use crate::Result;
