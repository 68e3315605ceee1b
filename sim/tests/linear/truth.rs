//! The verdict is the truth.

use raft_sim::linear::{History, Verdict, check, replay};

use crate::brute;
use crate::random::{Mix, Source};

/// Checks, and tries the witness.
fn verdict(history: &History) -> bool {
    match check(history) {
        Verdict::Linearizable { witness } => {
            assert_eq!(replay(history, &witness), Ok(()), "{witness:?} for{}", told(history));
            true
        }
        Verdict::NotLinearizable(_) => false,
        Verdict::Undecided => panic!("undecided:{}", told(history)),
    }
}

/// One operation a line.
fn told(history: &History) -> String {
    history.operations().iter().map(|operation| format!("\n{operation}")).collect()
}

#[test]
fn small() {
    let mut seen = [0, 0];
    for seed in 0..20_000 {
        let mut source = Source::new(seed, Mix::small(3 + (seed % 5) as usize));
        let mut history = source.legal();
        if seed % 3 > 0 {
            history = source.damaged(&history);
        } else {
            assert!(verdict(&history), "{seed}{}", told(&history));
        }
        let truth = brute::is_linearizable(&history);
        seen[usize::from(truth)] += 1;
        assert_eq!(verdict(&history), truth, "{seed}{}", told(&history));
    }
    println!("{seen:?}");
}

#[test]
fn legal_histories_of_every_mix_are_accepted() {
    for seed in 0..3_000 {
        let mut source = Source::new(seed, Mix::any(seed));
        let history = source.legal();
        match raft_sim::linear::check_within(&history, 3_000_000) {
            Verdict::Linearizable { witness } => {
                assert_eq!(replay(&history, &witness), Ok(()), "{seed} {:?}", Mix::any(seed));
            }
            Verdict::NotLinearizable(why) => println!("WRONG {seed} {:?} {why}", Mix::any(seed)),
            Verdict::Undecided => println!("{seed} undecided {:?}", Mix::any(seed)),
        }
    }
}
