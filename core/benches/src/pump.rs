//! The pump as a program without arguments and output, for wasm: five peers commit
//! [`raft_bench::work::WASM_COMMITS`] commands one at a time and as many in bursts.

fn main() {
    raft_bench::work::wasm_load();
}
