//! Compiles every schema of the project into `raft_core::proto`, without an installed `protoc`.

use std::path::PathBuf;

const SCHEMAS: [&str; 5] = [
    "proto/eraftpb.proto",
    "proto/metapb.proto",
    "proto/errorpb.proto",
    "proto/raft_serverpb.proto",
    "proto/raft_cmdpb.proto",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?);
    let schemas = SCHEMAS.map(|path| root.join(path));
    let descriptors = protox::compile(schemas, [root.join("proto")])?;
    prost_build::Config::new()
        // Payloads are shared, not copied, when one entry goes to four followers.
        .bytes(["."])
        // Few messages carry one, and all are moved about.
        .boxed(".eraftpb.Message.snapshot")
        .boxed(".raft_serverpb.RaftMessage.message")
        .boxed(".raft_serverpb.RaftMessage.snapshot_chunk")
        .boxed(".raft_cmdpb.RaftCmdRequest.admin_request")
        .boxed(".raft_cmdpb.RaftCmdResponse.admin_response")
        .boxed(".raft_cmdpb.RaftResponseHeader.error")
        .boxed(".raft_cmdpb.Request.compare_and_swap")
        .boxed(".raft_cmdpb.Request.delete_range")
        .boxed(".raft_cmdpb.Request.scan")
        .boxed(".raft_cmdpb.Response.compare_and_swap")
        .boxed(".raft_cmdpb.Response.scan")
        .boxed(".raft_cmdpb.Response.snap")
        .compile_fds(descriptors)?;
    Ok(())
}
