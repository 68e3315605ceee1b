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
            shown.push(name(&command));
        }
    }
    shown.sort_unstable();
    shown.dedup();
    assert_eq!(shown, ALL);
}

/// Every kind of command, sorted.
const ALL: &[&str] = &[
    "campaign",
    "clients",
    "clock",
    "crash",
    "crash_at",
    "disk",
    "flight",
    "heal",
    "heal_all",
    "link",
    "only_links",
    "partition",
    "pause",
    "request",
    "restart",
    "resume",
    "set_loss",
];

/// The compiler asks for each new kind here.
fn name(command: &Command) -> &'static str {
    match command {
        Command::Campaign { .. } => "campaign",
        Command::Clients { .. } => "clients",
        Command::Clock { .. } => "clock",
        Command::Crash { .. } => "crash",
        Command::CrashAt { .. } => "crash_at",
        Command::Disk { .. } => "disk",
        Command::Flight { .. } => "flight",
        Command::Heal => "heal",
        Command::HealAll => "heal_all",
        Command::Link { .. } => "link",
        Command::OnlyLinks { .. } => "only_links",
        Command::Partition { .. } => "partition",
        Command::Pause { .. } => "pause",
        Command::Request { .. } => "request",
        Command::Restart { .. } => "restart",
        Command::Resume { .. } => "resume",
        Command::SetLoss { .. } => "set_loss",
    }
}
