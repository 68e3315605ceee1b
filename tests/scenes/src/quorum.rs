//! Quorums as mathematics: `committed` and `vote`.
//!
//! ```text
//! committed cfg=(1, 2, 3) cfgj=(3, 4) idx=(9, 8, _, 7)
//! vote cfg=(1, 2, 3) votes=(y, n, _)
//! ```
//!
//! `cfg` is one majority and `cfgj` a second one that must agree; `zero` makes it nobody. `idx` and
//! `votes` say what the voters hold or answer, in the order in which they are first named; `_` is no
//! answer. Where mathematics demands that another computation comes to the same, that is checked,
//! and printed if it does not.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use raft_core::Rules;
use raft_core::quorum::{JointConfig, Majority};
use raft_core::rules::Tally;

use crate::script::Call;
use crate::{Result, nonsense};

/// What voters hold, or what they answer.
type Answers<T> = BTreeMap<u64, T>;

pub(crate) fn run(mut call: Call, input: &[String]) -> Result<String> {
    if !input.is_empty() {
        return nonsense(format!("`{}` takes no input lines", call.name));
    }
    let ids: Vec<u64> = call.list("cfg")?.unwrap_or_default();
    let second: Option<Vec<String>> = call.list("cfgj")?;
    let joint = second.is_some();
    let second = match second.unwrap_or_default().as_slice() {
        [zero] if zero == "zero" => Vec::new(),
        names => names.iter().map(|name| parse(name, "cfgj")).collect::<Result<_>>()?,
    };
    let config = JointConfig {
        incoming: ids.iter().copied().collect(),
        outgoing: second.iter().copied().collect(),
    };
    let mut order = ids;
    order.extend(second);
    let mut named = Vec::new();
    order.retain(|id| {
        !named.contains(id) && {
            named.push(*id);
            true
        }
    });
    let commits = call.name == "committed";
    let key = if commits { "idx" } else { "votes" };
    let answers: Vec<String> = call.list(key)?.unwrap_or_default();
    let answers: Vec<u64> = answers.iter().map(|a| answer(a, commits)).collect::<Result<_>>()?;
    call.finish()?;
    if answers.len() != order.len() {
        return Ok(mismatched(&order, &answers));
    }
    let known = order.into_iter().zip(answers).filter(|(_, answer)| *answer != 0);
    Ok(match (commits, joint) {
        (true, false) => committed(&config.incoming, &known.collect()),
        (true, true) => committed_jointly(&config, &known.collect()),
        (false, _) => vote(&config, &known.map(|(id, vote)| (id, vote == YES)).collect()),
    })
}

/// Votes as numbers, so that `_` is 0 for them as it is for indices.
const YES: u64 = 2;
const NO: u64 = 1;

fn answer(text: &str, commits: bool) -> Result<u64> {
    match (text, commits) {
        ("_", _) => Ok(0),
        ("y", false) => Ok(YES),
        ("n", false) => Ok(NO),
        (_, false) => nonsense(format!("`{text}` is no vote: y, n or _")),
        (_, true) => match parse(text, "idx")? {
            0 => nonsense("index 0 cannot be told from no answer"),
            index => Ok(index),
        },
    }
}

fn parse(text: &str, key: &str) -> Result<u64> {
    match text.parse() {
        Ok(number) => Ok(number),
        Err(_) => nonsense(format!("`{text}` is not a value for {key}")),
    }
}

fn mismatched(order: &[u64], answers: &[u64]) -> String {
    let voters: Vec<_> = order.iter().copied().collect::<Majority>().iter().collect();
    let voters: Vec<_> = voters.iter().map(|id| format!("{id}:{{}}")).collect();
    let answers: Vec<_> = answers.iter().map(|answer| index_text(*answer)).collect();
    let (voters, answers) = (voters.join(" "), answers.join(" "));
    format!("error: mismatched input (explicit or _) for voters map[{voters}]: [{answers}]\n")
}

fn index_text(index: u64) -> String {
    if index == u64::MAX { "∞".to_owned() } else { index.to_string() }
}

fn index_of(config: &JointConfig, held: &Answers<u64>) -> u64 {
    config.committed_index(|id| held.get(&id).copied(), &Rules::default())
}

fn alone(majority: &Majority) -> JointConfig {
    JointConfig { incoming: majority.clone(), outgoing: Majority::new() }
}

fn committed(majority: &Majority, held: &Answers<u64>) -> String {
    let mut text = table(majority, held);
    let index = majority.committed_index(|id| held.get(&id).copied(), &Rules::default());
    let twice = JointConfig { incoming: majority.clone(), outgoing: majority.clone() };
    for (other, way) in [
        (by_counting(majority, held), "via alternative computation"),
        (index_of(&alone(majority), held), "via zero-joint quorum"),
        (index_of(&twice, held), "via self-joint quorum"),
    ] {
        note(&mut text, index, other, way);
    }
    // What lags behind the commit index anyway may as well lag further.
    for (&id, &own) in held.iter().filter(|(_, own)| **own < index) {
        for lower in [own - 1, 0] {
            let mut less = held.clone();
            less.insert(id, lower);
            let way = format!("overlaying {id}->{lower}");
            note(&mut text, index, index_of(&alone(majority), &less), &way);
        }
    }
    text + &index_text(index) + "\n"
}

fn committed_jointly(config: &JointConfig, held: &Answers<u64>) -> String {
    let mut text = table(&config.ids(), held);
    let index = index_of(config, held);
    let swapped =
        JointConfig { incoming: config.outgoing.clone(), outgoing: config.incoming.clone() };
    note(&mut text, index, index_of(&swapped, held), "via symmetry");
    text + &index_text(index) + "\n"
}

fn note(text: &mut String, index: u64, other: u64, way: &str) {
    if other != index {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} <-- {way}", index_text(other));
    }
}

/// The largest index that more than half hold, found by trying them all.
fn by_counting(majority: &Majority, held: &Answers<u64>) -> u64 {
    if majority.is_empty() {
        return u64::MAX;
    }
    let own = |id| held.get(&id).copied().unwrap_or(0);
    let holders = |index| majority.iter().filter(|&id| own(id) >= index).count();
    let candidates = majority.iter().map(own).filter(|&i| 2 * holders(i) > majority.len());
    candidates.max().unwrap_or(0)
}

/// One row a voter with a bar as long as it stands ahead of others.
fn table(majority: &Majority, held: &Answers<u64>) -> String {
    if majority.is_empty() {
        return "<empty majority quorum>".to_owned();
    }
    let width = majority.len();
    let mut text = format!("{:width$}    idx\n", "");
    for id in majority.iter() {
        let own = held.get(&id).copied().unwrap_or(0);
        let behind = majority.iter().filter(|other| held.get(other).copied().unwrap_or(0) < own);
        let bar = match held.get(&id) {
            None => format!("?{:width$}", ""),
            Some(_) => format!("{:width$}", "x".repeat(behind.count()) + ">", width = width + 1),
        };
        let _ = writeln!(text, "{bar} {own:>5}    (id={id:x})");
    }
    text
}

fn vote(config: &JointConfig, votes: &Answers<bool>) -> String {
    let rules = Rules::default();
    let tally = |config: &JointConfig| config.vote_result(|id| votes.get(&id).copied(), &rules);
    let name = |tally| match tally {
        Tally::Won => "VoteWon",
        Tally::Lost => "VoteLost",
        Tally::Pending => "VotePending",
    };
    let swapped =
        JointConfig { incoming: config.outgoing.clone(), outgoing: config.incoming.clone() };
    let (result, other) = (tally(config), tally(&swapped));
    let mut text = String::new();
    if other != result {
        let _ = writeln!(text, "{} <-- via symmetry", name(other));
    }
    text + name(result) + "\n"
}
