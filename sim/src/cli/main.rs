//! `raft-sim`: runs, sweeps, shrinks and replays scenarios, and hunts the bugs of the zoo.
//!
//! | file | what it does |
//! | --- | --- |
//! | `args.rs` | the command line |
//! | `output.rs` | lines, colours, progress, JSON |
//! | `file.rs` | scenarios from files, and links to the page |
//! | `one.rs` | `run`, `replay`, `shrink`: one scenario |
//! | `sweep.rs` | many seeds |
//! | `zoo.rs` | bugs, and the seeds that catch them |
//! | `bench.rs` | how fast it is |
//! | `history.rs` | histories of clients |
//! | `parallel.rs` | threads, whose number changes no result |

// A browser has no command line.
#[cfg(target_arch = "wasm32")]
fn main() {}

#[cfg(not(target_arch = "wasm32"))]
mod args;
#[cfg(not(target_arch = "wasm32"))]
mod bench;
#[cfg(not(target_arch = "wasm32"))]
mod file;
#[cfg(not(target_arch = "wasm32"))]
mod history;
#[cfg(not(target_arch = "wasm32"))]
mod one;
#[cfg(not(target_arch = "wasm32"))]
mod output;
#[cfg(not(target_arch = "wasm32"))]
mod parallel;
#[cfg(not(target_arch = "wasm32"))]
mod sweep;
#[cfg(not(target_arch = "wasm32"))]
mod zoo;

/// A world allocates a few times an event, from one thread each: this allocator is a good deal faster
/// at that than most systems' own.
#[cfg(not(target_arch = "wasm32"))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Nothing is wrong.
#[cfg(not(target_arch = "wasm32"))]
const CLEAN: u8 = 0;
/// A rule is broken; or, in the zoo, a bug was not caught.
#[cfg(not(target_arch = "wasm32"))]
const BROKEN: u8 = 1;
/// Wrong arguments, or a file that cannot be used.
#[cfg(not(target_arch = "wasm32"))]
const USAGE: u8 = 2;
/// Nothing is broken, and too little was tested to mean anything.
#[cfg(not(target_arch = "wasm32"))]
const TOO_LITTLE: u8 = 3;

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    use args::Action;
    use clap::Parser as _;

    let args = args::Args::parse();
    let out = output::Output::new(&args);
    let code = match args.action {
        Action::Run(args) => one::run(&args, &out),
        Action::Replay(args) => one::replay(&args, &out),
        Action::Shrink(args) => one::shrink(&args, &out),
        Action::Sweep(args) => sweep::sweep(&args, &out),
        Action::Zoo(args) => zoo::zoo(&args, &out),
        Action::Bench(args) => bench::bench(&args, &out),
        Action::CheckHistory(args) => history::judge(&args, &out),
    };
    match code {
        Ok(code) => code.into(),
        Err(reason) => {
            out.error(&reason);
            USAGE.into()
        }
    }
}
