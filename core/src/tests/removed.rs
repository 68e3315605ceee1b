//! Two tests that TinyKV once had and dropped (5e089a2c, until PR #193).
//!
//! They fix how far a heartbeat commits. R21 alone also passes when heartbeats never commit.

use crate::eraftpb::Message;
use crate::tests::harness::*;

/// H1 TestHandleHeartbeat2AA
#[test]
fn h1_heartbeat_raises_the_commit_index_and_never_lowers_it() {
    for (commit, expected) in [(3, 3), (1, 2)] {
        let mut raft = on_storage(1, &[1, 2], terms(&[1, 2, 3]));
        raft.become_follower(2, 2);
        raft.log.commit_to(2);
        raft.handle_heartbeat(&mut Message { term: 2, commit, ..msg(MsgHeartbeat, 2, 1) }).unwrap();
        assert_eq!(raft.log.committed(), expected, "heartbeat says {commit}");
        assert_eq!(kinds(&sent(&mut raft)), [MsgHeartbeatResponse]);
    }
}

/// H2 TestBcastBeat2AB
#[test]
fn h2_heartbeat_commits_no_further_than_the_follower_is_known_to_hold() {
    const OFFSET: u64 = 1000;
    let mut storage = crate::MemStorage::new();
    storage.apply_snapshot(snapshot(1, OFFSET, &[1, 2, 3])).unwrap();
    let mut raft = on_storage(1, &[], storage);
    raft.term = 1;
    lead(&mut raft);
    for _ in 0..10 {
        raft.step(propose(1, "")).unwrap();
    }
    sent(&mut raft);
    let last = raft.log.last_index();
    raft.log.commit_to(last - 1);
    let (slow, fast) = (raft.prs.get_mut(2).unwrap(), 3);
    (slow.matched, slow.next) = (5, 6);
    let fast = raft.prs.get_mut(fast).unwrap();
    (fast.matched, fast.next) = (last, last + 1);

    raft.step(beat(1)).unwrap();
    let heartbeat = |to, commit| Message { term: 2, commit, ..msg(MsgHeartbeat, 1, to) };
    assert_eq!(
        sent(&mut raft),
        [heartbeat(2, 5), heartbeat(3, last - 1)],
        "the least of what the follower holds and what is committed"
    );
}
