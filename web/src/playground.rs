//! The world, its pace, and what of it is safe on the browser's disk. Knows nothing of the DOM.

use std::collections::BTreeMap;

use bytes::Bytes;
use raft_kv::{Batches, Engines, MemEngine};
use raft_sim::{Command, Resume, Scenario, ScenarioError, World};
use serde::{Deserialize, Serialize};

use crate::disk::{Batch, Contents, Records, Store};
use crate::pace::Pace;

/// Events between two looks at the clock.
const EVENTS_PER_LOOK: u32 = 32;

/// What the cluster record on disk says. The peers' own records are beside it.
#[derive(Debug, Serialize, Deserialize)]
struct ClusterRecord {
    scenario: Scenario,
    now_us: u64,
    last_request: u64,
}

/// A cluster, how fast it runs, and how far it is saved.
pub struct Playground {
    world: World,
    pace: Pace,
    /// Whether somebody keeps the disks: then nothing counts before it is saved.
    saved: bool,
    /// Number of the last write that the disk took.
    pushed: u64,
    /// Number of the last write that is durable.
    durable: u64,
    /// For each request that has ended: the write that must be durable before it counts.
    ended: BTreeMap<u64, u64>,
    happened: u64,
}

/// Why a saved cluster cannot be opened. It was left as it is.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The cluster record does not decode.
    #[error("the cluster record does not decode: {0}")]
    Record(#[from] serde_json::Error),
    /// The peers cannot start.
    #[error(transparent)]
    Start(#[from] ScenarioError),
}

impl Playground {
    /// A fresh cluster.
    ///
    /// # Errors
    /// A scenario that cannot be run.
    pub fn new(scenario: &Scenario, running: bool) -> Result<Self, ScenarioError> {
        Ok(Self::of(World::new(scenario)?, running))
    }

    /// The cluster that was saved: closing the tab was a power cut. None if nothing was.
    ///
    /// # Errors
    /// A record that cannot be read; nothing is changed.
    pub fn load(contents: &Contents, running: bool) -> Result<Option<Self>, LoadError> {
        let Some(record) = &contents.cluster else { return Ok(None) };
        let record: ClusterRecord = serde_json::from_slice(record)?;
        let resume = Resume {
            now_us: record.now_us,
            epoch: contents.mark.epoch,
            last_request: record.last_request,
            disks: contents.peers.iter().map(|(&id, records)| (id, engines(records))).collect(),
        };
        Ok(Some(Self::of(World::resume(&record.scenario, resume)?, running)))
    }

    fn of(mut world: World, running: bool) -> Self {
        world.listen();
        Self {
            world,
            pace: Pace::new(running),
            saved: false,
            pushed: 0,
            durable: 0,
            ended: BTreeMap::new(),
            happened: 0,
        }
    }

    /// The world, to look at.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// The pace.
    pub fn pace(&self) -> &Pace {
        &self.pace
    }

    /// The pace, to change.
    pub fn pace_mut(&mut self) -> &mut Pace {
        &mut self.pace
    }

    /// Does something to the cluster.
    ///
    /// # Errors
    /// A command that does not fit; nothing is done.
    pub fn apply(&mut self, command: Command) -> Result<(), ScenarioError> {
        self.world.apply(command)
    }

    /// Handles `events` events, whatever the pace. Returns how many there were.
    pub fn step(&mut self, events: u64) -> u64 {
        (0..events).take_while(|_| self.world.step()).count() as u64
    }

    /// Runs for one tick of virtual time.
    pub fn step_tick(&mut self) {
        let tick_us = self.world.scenario().settings.tick_us;
        self.world.run_until(self.world.now_us() + tick_us);
    }

    /// A frame begins: lets virtual time follow, as long as `in_time` says there is time.
    pub fn frame(&mut self, frame_ms: f64, in_time: impl Fn() -> bool) {
        let target_us = self.world.now_us() + self.pace.frame(frame_ms);
        let mut until_look = EVENTS_PER_LOOK;
        while self.world.next_event_us().is_some_and(|next| next <= target_us) {
            if !self.world.step() {
                return;
            }
            until_look -= 1;
            if until_look == 0 {
                until_look = EVENTS_PER_LOOK;
                if !in_time() {
                    self.pace.set_slowed(true);
                    return;
                }
            }
        }
        self.pace.set_slowed(false);
        self.world.run_until(target_us);
    }

    /// From now on somebody keeps the disks, whose last write so far is number `durable`.
    /// Returns everything that is durable in the world, to start from.
    pub fn keep_saved(&mut self, durable: u64) -> Batch {
        self.saved = true;
        (self.pushed, self.durable) = (durable, durable);
        self.world.keep_journal();
        let mut batch = Batch::default();
        for (id, node) in self.world.nodes() {
            for (store, engine) in [(Store::Raft, &node.disk().raft), (Store::Kv, &node.disk().kv)]
            {
                for (key, value) in engine.iter() {
                    batch.put(id, store, key.to_bytes(), value.clone());
                }
            }
        }
        self.add_cluster_record(&mut batch);
        batch
    }

    /// What has become durable in the world since the last call, with the clock: a consistent cut
    /// through the whole cluster. Empty if nothing has.
    pub fn take_writes(&mut self) -> Batch {
        let mut batch = Batch::default();
        let writes = self.world.take_durable();
        if writes.is_empty() {
            return batch;
        }
        for (id, batches) in &writes {
            add_writes(&mut batch, *id, batches);
        }
        self.add_cluster_record(&mut batch);
        batch
    }

    fn add_cluster_record(&self, batch: &mut Batch) {
        let Scenario { version, seed, peers, spares, settings, .. } = *self.world.scenario();
        let record = ClusterRecord {
            // What was done is in the disks already.
            scenario: Scenario { version, seed, peers, spares, settings, commands: Vec::new() },
            now_us: self.world.now_us(),
            last_request: self.world.last_request(),
        };
        // A record of numbers always encodes; were it not so, the clock of the last one stays.
        if let Ok(record) = serde_json::to_vec(&record) {
            batch.set_cluster(Bytes::from(record));
        }
    }

    /// The disk took everything up to write `pushed`: requests that ended count once it is durable.
    pub fn note_pushed(&mut self, pushed: u64) {
        self.pushed = pushed;
        if self.happened == self.world.happened() {
            return;
        }
        self.happened = self.world.happened();
        let oldest = self.world.requests().next().map_or(0, |request| request.id);
        self.ended = self.ended.split_off(&oldest);
        for request in self.world.requests().filter(|request| request.outcome.is_some()) {
            self.ended.entry(request.id).or_insert(pushed);
        }
    }

    /// Write `durable` and all before it are durable.
    pub fn note_durable(&mut self, durable: u64) {
        self.durable = durable;
    }

    /// Nobody keeps the disks any more: the cluster lives in memory only.
    pub fn forget_disk(&mut self) {
        self.saved = false;
    }

    /// Whether somebody keeps the disks.
    pub fn is_saved(&self) -> bool {
        self.saved
    }

    /// Whether request `id` has ended and its end is safe from a power cut.
    pub fn is_settled(&self, id: u64) -> bool {
        let ended = self.world.request(id).is_some_and(|request| request.outcome.is_some());
        ended && (!self.saved || self.ended.get(&id).is_some_and(|&write| write <= self.durable))
    }
}

fn engines(records: &Records) -> Engines {
    let record = |(key, value): &(Bytes, Bytes)| (key.clone().into(), value.clone());
    let engine = |pairs: &[(Bytes, Bytes)]| pairs.iter().map(record).collect::<MemEngine>();
    Engines { raft: engine(&records.raft), kv: engine(&records.kv) }
}

fn add_writes(batch: &mut Batch, peer: u64, batches: &Batches) {
    for (store, writes) in [(Store::Raft, &batches.raft), (Store::Kv, &batches.kv)] {
        for (key, value) in writes.iter() {
            match value {
                Some(value) => batch.put(peer, store, key.to_bytes(), value.clone()),
                None => batch.delete(peer, store, key.to_bytes()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_sim::Op;

    fn playground() -> Playground {
        Playground::new(&Scenario::new(1), true).unwrap()
    }

    fn put() -> Command {
        Command::request(Op::Put { key: "k".into(), value: "v".into() })
    }

    /// Runs until request `id` has ended in the world.
    fn finish(playground: &mut Playground, id: u64) {
        while playground.world().request(id).unwrap().outcome.is_none() {
            assert_eq!(playground.step(1), 1);
        }
    }

    #[test]
    fn frames_advance_virtual_time_at_the_pace() {
        let mut playground = playground();
        for frame in 0..=60 {
            playground.frame(f64::from(frame) * 1_000.0 / 60.0, || true);
        }
        let now_us = playground.world().now_us();
        assert!((249_000..=250_000).contains(&now_us), "{now_us}");
    }

    #[test]
    fn a_frame_that_runs_out_of_time_says_so_and_drops_the_rest() {
        let mut playground = playground();
        playground.pace_mut().set_speed(64.0);
        playground.frame(0.0, || true);
        playground.frame(100.0, || false);
        assert!(playground.pace().is_slowed());
        assert!(playground.world().now_us() < 6_400_000);
    }

    #[test]
    fn in_memory_an_ended_request_counts_at_once() {
        let mut playground = playground();
        playground.apply(put()).unwrap();
        assert!(!playground.is_settled(1));
        finish(&mut playground, 1);
        assert!(playground.is_settled(1));
    }

    #[test]
    fn on_disk_a_request_counts_once_its_write_is_durable() {
        let mut playground = playground();
        let _everything = playground.keep_saved(10);
        playground.apply(put()).unwrap();
        finish(&mut playground, 1);
        assert!(!playground.take_writes().is_empty());
        playground.note_pushed(11);
        assert!(!playground.is_settled(1), "taken by the disk, not durable");
        playground.note_durable(11);
        assert!(playground.is_settled(1));
        playground.forget_disk();
        assert!(playground.is_settled(1));
    }

    #[test]
    fn without_anything_durable_there_is_nothing_to_write() {
        let mut playground = playground();
        let _everything = playground.keep_saved(0);
        assert!(playground.take_writes().is_empty());
    }
}
