//! How fast it is. Prints, asserts nothing about time.

use std::time::Instant;

use raft_sim::linear::{Verdict, check, replay};

use crate::random::{Mix, Source};

fn measure(name: &str, mix: Mix, seed: u64) {
    let mut source = Source::new(seed, mix);
    let history = source.legal();
    let start = Instant::now();
    let verdict = check(&history);
    let took = start.elapsed();
    match verdict {
        Verdict::Linearizable { witness } => assert_eq!(replay(&history, &witness), Ok(())),
        Verdict::NotLinearizable(why) => panic!("{name}, seed {seed}: {why}"),
        Verdict::Undecided => println!("UNDECIDED:"),
    }
    let damaged = source.damaged(&history);
    let start = Instant::now();
    let verdict = check(&damaged);
    let refuted = start.elapsed();
    let word = match &verdict {
        Verdict::Linearizable { .. } => "still linearizable".into(),
        Verdict::NotLinearizable(why) => format!("refuted, {} answers: {why}", why.core.len()),
        Verdict::Undecided => "UNDECIDED".into(),
    };
    println!(
        "{name}, seed {seed}: {} operations {took:?}; damaged {refuted:?}, {word}",
        mix.operations
    );
}

#[test]
#[ignore = "prints figures; run it in release"]
fn speed() {
    for values in [0, 5] {
        for operations in [10_000, 100_000] {
            for seed in 0..if operations == 10_000 { 10 } else { 3 } {
                let mix = Mix { values, ..Mix::contended(operations) };
                measure(&format!("contended, {values} values"), mix, seed);
            }
        }
    }
}
