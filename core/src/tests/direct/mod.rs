//! What TinyKV's suites do not notice: rules that can be broken while all of P, R, N and H pass,
//! and promises of this core that have no counterpart there.

mod append;
mod check_quorum;
mod flow;
mod handover;
mod joint;
mod known_failures;
mod learners;
mod lease;
mod membership;
mod outcomes;
mod own_ack;
mod pipelined;
mod prevote;
mod priority;
mod progress;
mod random;
mod reads;
mod ready;
mod request_snapshot;
mod slow_disk;
mod snapshot;
mod step;
mod storage_errors;
mod timers;
mod tracer;
mod transfer;

mod votes;
