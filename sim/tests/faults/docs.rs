//! What the documentation shows can be typed as it stands.

use raft_sim::Command;

#[test]
fn every_command_in_the_documentation_is_one() {
    let page = include_str!("../../../docs/faults.md");
    let mut shown = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        if line.starts_with("```") {
            inside = line == "```json";
        } else if inside {
            let command: Command = serde_json::from_str(line).expect(line);
            assert_eq!(command.validate(5), Ok(()), "{line}");
            let again = serde_json::to_string(&command).unwrap();
            assert_eq!(serde_json::from_str::<Command>(&again).unwrap(), command);
            shown.push(std::mem::discriminant(&command));
        }
    }
    shown.dedup();
    assert!(shown.len() >= 17, "all of them: {}", shown.len());
}
