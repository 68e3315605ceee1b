//! The messages of every floor, generated from `proto/` by `build.rs`.

/// Raft messages and records; see `proto/eraftpb.proto`.
pub mod eraftpb {
    include!(concat!(env!("OUT_DIR"), "/eraftpb.rs"));
}

/// Stores, regions and peers; see `proto/metapb.proto`.
pub mod metapb {
    include!(concat!(env!("OUT_DIR"), "/metapb.rs"));
}

/// Why a request was refused; see `proto/errorpb.proto`.
pub mod errorpb {
    include!(concat!(env!("OUT_DIR"), "/errorpb.rs"));
}

/// What a store persists for each peer; see `proto/raft_serverpb.proto`.
pub mod raft_serverpb {
    include!(concat!(env!("OUT_DIR"), "/raft_serverpb.rs"));
}

/// Commands and their answers; see `proto/raft_cmdpb.proto`.
pub mod raft_cmdpb {
    include!(concat!(env!("OUT_DIR"), "/raft_cmdpb.rs"));
}
