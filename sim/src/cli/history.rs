//! Histories of clients.

use raft_sim::linear::{Explanation, Verdict, check, load_history};
use serde_json::json;

use crate::args::HistoryArgs;
use crate::output::{Colour, Output, counted};
use crate::{BROKEN, CLEAN, TOO_LITTLE, file};

/// Judges a history.
pub(crate) fn judge(args: &HistoryArgs, out: &Output) -> Result<u8, String> {
    let name = file::name(&args.file);
    let lines = file::open(&args.file).map_err(|error| format!("{name}: {error}"))?;
    let history = load_history(lines).map_err(|error| format!("{name}: {error}"))?;
    let operations = history.operations().len();
    Ok(match check(&history) {
        Verdict::Linearizable { witness } => {
            let text = format!("linearizable: {}", counted(operations as u64, "operation"));
            out.say(&out.paint(Colour::Green, &text));
            if args.witness {
                let ids: Vec<_> = witness.iter().map(ToString::to_string).collect();
                out.say(&format!("an order that explains them: {}", ids.join(" ")));
            }
            let witness = args.witness.then_some(witness);
            out.tell(&json!({
                "verdict": "linearizable",
                "operations": operations,
                "witness": witness,
            }));
            CLEAN
        }
        Verdict::NotLinearizable(why) => {
            let Explanation { keys, operation, core, before, now, .. } = *why;
            out.say(&out.paint(Colour::Red, &format!("not linearizable: {before}; {now}")));
            let ids: Vec<_> = core.iter().map(ToString::to_string).collect();
            out.say(&format!("these operations contradict each other: {}", ids.join(" ")));
            out.tell(&json!({
                "verdict": "not_linearizable",
                "operations": operations,
                "keys": keys,
                "operation": operation,
                "core": core,
                "before": before,
                "now": now,
            }));
            BROKEN
        }
        Verdict::Undecided => {
            out.say(&out.paint(Colour::Yellow, "undecided: there are too many orders to try"));
            out.tell(&json!({ "verdict": "undecided", "operations": operations }));
            TOO_LITTLE
        }
    })
}
