//! One machine's disk: what is durable, what is written but not synced, and what is wrong with it.
//!
//! Both batches of a write are one atomic unit. A write is synced before anybody is told of it,
//! unless the peer does not mind to lose it ([`Work::must_sync`](raft_kv::Work)) and
//! [`Settings::write_back_us`](crate::Settings::write_back_us) lets such writes wait: then the next
//! sync takes them along, and a crash may lose any suffix of them.
//!
//! Each record has a checksum, taken when it was written. All records that nobody damaged equal
//! theirs, so only those of damaged records are kept; a peer that starts compares them, and stops at
//! the first that differs. It never serves what it read there.

use bytes::Bytes;
use raft_kv::{Batches, Engines, MemEngine, WriteBatch, keys};

use crate::digest::fingerprint;
use crate::faults::DiskFault;
use crate::rng::WorldRng;
use crate::scenario::Span;

/// Which of the two engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Raft,
    Kv,
}

/// A record that the disk returns otherwise than it was written.
#[derive(Clone, Debug)]
struct Damage {
    side: Side,
    key: Bytes,
    written: Bytes,
    checksum: u64,
    returned: Bytes,
}

/// One machine's disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    durable: Engines,
    /// Written and not synced, oldest first.
    unsynced: Vec<Batches>,
    /// Whether the unsynced writes will be synced without being asked for.
    pub(crate) flush_planned: bool,
    /// How long a sync takes, if this disk differs from the others.
    pub(crate) sync: Option<Span>,
    full: bool,
    fails_write: bool,
    fails_sync: bool,
    damages: Vec<Damage>,
    image: Option<Engines>,
    /// It was set back to an earlier state: outside Raft's model.
    pub(crate) set_back: bool,
}

/// What became of the unsynced writes when the power went.
#[derive(Debug, Default)]
pub(crate) struct Survivors {
    /// What is durable all the same, oldest first.
    pub(crate) kept: Vec<Batches>,
    /// How many are lost.
    pub(crate) lost: usize,
}

impl Disk {
    pub(crate) fn new(durable: Engines) -> Self {
        Self { durable, ..Self::default() }
    }

    /// What a crash now would leave at the least.
    pub(crate) fn durable(&self) -> &Engines {
        &self.durable
    }

    /// The peer wants to write.
    ///
    /// # Errors
    /// Why nothing can be written.
    pub(crate) fn accept(&mut self) -> Result<(), &'static str> {
        if self.full {
            Err("its disk is full")
        } else if std::mem::take(&mut self.fails_write) {
            Err("its disk failed to write")
        } else {
            Ok(())
        }
    }

    /// Writes without a sync.
    pub(crate) fn buffer(&mut self, batches: Batches) {
        self.unsynced.push(batches);
    }

    /// Makes durable what waits for a sync, and hands it to whoever copies it.
    pub(crate) fn flush(&mut self) -> Vec<Batches> {
        let unsynced = std::mem::take(&mut self.unsynced);
        unsynced.iter().for_each(|batches| self.write(batches));
        unsynced
    }

    /// Whether the sync that ends now fails. If so, what it was to make durable still is not.
    ///
    /// # Errors
    /// The failure in words.
    pub(crate) fn sync(&mut self) -> Result<(), &'static str> {
        if std::mem::take(&mut self.fails_sync) {
            return Err("its disk failed to sync, and nobody knows what of it is durable");
        }
        Ok(())
    }

    /// Makes one write durable.
    pub(crate) fn write(&mut self, batches: &Batches) {
        self.durable.write(batches);
        if !self.damages.is_empty() {
            self.forget_overwritten();
        }
    }

    /// A record that was written anew is whole again.
    fn forget_overwritten(&mut self) {
        let durable = &self.durable;
        self.damages.retain(|d| d.side.of(durable).get(&d.key) == Some(&d.returned));
    }

    /// The power goes. Of what is not synced, the disk keeps as many writes as chance wants, but
    /// never one without all before it.
    pub(crate) fn power_off(
        &mut self,
        in_progress: Option<Batches>,
        rng: &mut WorldRng,
    ) -> Survivors {
        self.flush_planned = false;
        let mut unsynced = std::mem::take(&mut self.unsynced);
        unsynced.extend(in_progress);
        if unsynced.is_empty() {
            return Survivors::default();
        }
        let all = unsynced.len();
        let kept = usize::try_from(rng.below(all as u64 + 1)).unwrap_or(all);
        unsynced.truncate(kept);
        unsynced.iter().for_each(|batches| self.write(batches));
        Survivors { lost: all - kept, kept: unsynced }
    }

    /// Sets a fault that is about the disk's behaviour.
    pub(crate) fn set(&mut self, fault: DiskFault) {
        match fault {
            DiskFault::Slow { sync } => self.sync = Some(sync),
            DiskFault::Full => self.full = true,
            DiskFault::FailWrite => self.fails_write = true,
            DiskFault::FailSync => self.fails_sync = true,
            DiskFault::Corrupt { record } => self.damage(record),
            DiskFault::KeepImage => self.image = Some(self.durable.clone()),
            DiskFault::Mend => self.mend(),
            DiskFault::Wipe | DiskFault::RollBack => {}
        }
    }

    /// The state before, replaced by another one.
    pub(crate) fn replace(&mut self, durable: Engines) {
        self.durable = durable;
        self.damages.clear();
        self.set_back = true;
    }

    pub(crate) fn image(&self) -> Option<&Engines> {
        self.image.as_ref()
    }

    /// The disk works, and its damaged records are restored from a good copy.
    fn mend(&mut self) {
        (self.sync, self.full) = (None, false);
        (self.fails_write, self.fails_sync) = (false, false);
        for Damage { side, key, written, .. } in std::mem::take(&mut self.damages) {
            self.durable.write(&side.put(key, written));
        }
    }

    /// Flips a bit of the record at this position, counted over both engines and round again. One
    /// that is damaged already stays as it is.
    fn damage(&mut self, record: u64) {
        let records = || {
            let raft = self.durable.raft.iter().map(|(key, value)| (Side::Raft, key, value));
            raft.chain(self.durable.kv.iter().map(|(key, value)| (Side::Kv, key, value)))
        };
        let count = records().count() as u64;
        let position = record.checked_rem(count).and_then(|at| usize::try_from(at).ok());
        let Some((side, key, value)) = position.and_then(|at| records().nth(at)) else { return };
        if self.damages.iter().any(|damage| (damage.side, &damage.key) == (side, key)) {
            return;
        }
        let (key, value) = (key.clone(), value.clone());
        let mut bytes = value.to_vec();
        let middle = bytes.len() / 2;
        match bytes.get_mut(middle) {
            Some(byte) => *byte ^= 0x10,
            None => bytes.push(0x10),
        }
        let returned = Bytes::from(bytes);
        self.durable.write(&side.put(key.clone(), returned.clone()));
        let checksum = fingerprint(&value);
        self.damages.push(Damage { side, key, written: value, checksum, returned });
    }

    /// Whether something written waits for a sync.
    pub(crate) fn is_behind(&self) -> bool {
        !self.unsynced.is_empty()
    }

    /// Compares every record with its checksum.
    ///
    /// # Errors
    /// The first record that differs, in words.
    pub(crate) fn verify(&self) -> Result<(), String> {
        for damage in &self.damages {
            let found = damage.side.of(&self.durable).get(&damage.key);
            let found = found.map(|value| fingerprint(value)).unwrap_or_default();
            if found != damage.checksum {
                let (name, written) = (damage.side.name(&damage.key), damage.checksum);
                return Err(format!(
                    "{name} on its disk is damaged: its checksum is {found:016x}, and was \
                     {written:016x} when it was written"
                ));
            }
        }
        Ok(())
    }
}

impl Side {
    fn of(self, engines: &Engines) -> &MemEngine {
        match self {
            Self::Raft => &engines.raft,
            Self::Kv => &engines.kv,
        }
    }

    fn put(self, key: Bytes, value: Bytes) -> Batches {
        let mut batches = Batches::default();
        match self {
            Self::Raft => batches.raft.put(key, value),
            Self::Kv => batches.kv.put(key, value),
        }
        batches
    }

    fn name(self, key: &[u8]) -> String {
        match (self, keys::raft_log_index(key), keys::user_key(key)) {
            (Self::Raft, Some(index), _) => format!("log entry {index}"),
            (Self::Raft, None, _) => "the state of the log".into(),
            (Self::Kv, _, Some((_, key))) => format!("key {}", String::from_utf8_lossy(key)),
            (Self::Kv, ..) => "the state of the region".into(),
        }
    }
}

/// What has to be written to make `new` of `old`.
pub(crate) fn difference(old: &Engines, new: &Engines) -> Batches {
    let of = |old: &MemEngine, new: &MemEngine| {
        let mut batch = WriteBatch::default();
        let gone = old.iter().filter(|(key, _)| new.get(key).is_none());
        gone.for_each(|(key, _)| batch.delete(key.clone()));
        let other = new.iter().filter(|(key, value)| old.get(key) != Some(value));
        other.for_each(|(key, value)| batch.put(key.clone(), value.clone()));
        batch
    };
    Batches { raft: of(&old.raft, &new.raft), kv: of(&old.kv, &new.kv) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(key: &'static str, value: &'static str) -> Batches {
        let key = keys::data("default", key.as_bytes());
        Side::Kv.put(key, Bytes::from_static(value.as_bytes()))
    }

    fn value(disk: &Disk, key: &str) -> Option<Bytes> {
        disk.durable().kv.get(&keys::data("default", key.as_bytes())).cloned()
    }

    #[test]
    fn the_power_takes_a_suffix_of_what_is_not_synced_and_nothing_else() {
        let mut seen = std::collections::BTreeSet::new();
        for seed in 0..100 {
            let mut disk = Disk::default();
            disk.write(&write("synced", "1"));
            disk.buffer(write("first", "1"));
            disk.buffer(write("second", "1"));
            let survivors = disk.power_off(Some(write("third", "1")), &mut WorldRng::new(seed));
            assert_eq!(survivors.kept.len() + survivors.lost, 3);
            let has = ["synced", "first", "second", "third"].map(|key| value(&disk, key).is_some());
            assert!(has.is_sorted_by(|a, b| a >= b), "{has:?}");
            assert_eq!(has.iter().filter(|has| **has).count(), 1 + survivors.kept.len());
            seen.insert(survivors.lost);
        }
        assert_eq!(seen.len(), 4, "each cut is possible");
    }

    #[test]
    fn a_damaged_record_is_named_until_it_is_overwritten_or_mended() {
        let mut disk = Disk::default();
        disk.write(&write("a", "one"));
        disk.write(&write("b", ""));
        assert_eq!(disk.verify(), Ok(()));
        disk.set(DiskFault::Corrupt { record: 2 });
        assert!(disk.verify().unwrap_err().starts_with("key a on its disk is damaged"));
        disk.write(&write("a", "two"));
        assert_eq!(disk.verify(), Ok(()), "written anew");
        disk.set(DiskFault::Corrupt { record: 1 });
        assert!(disk.verify().unwrap_err().starts_with("key b"), "an empty value, too");
        disk.set(DiskFault::Mend);
        assert_eq!((disk.verify(), value(&disk, "b")), (Ok(()), Some(Bytes::new())));
        assert_eq!(value(&disk, "a").as_deref(), Some(&b"two"[..]));
    }

    #[test]
    fn a_difference_makes_one_of_the_other() {
        let engines = |keys: &[&'static str], value| {
            let mut engines = Engines::default();
            keys.iter().for_each(|key| engines.write(&write(key, value)));
            engines
        };
        let (mut old, new) = (engines(&["a", "b"], "1"), engines(&["b", "c"], "2"));
        old.write(&difference(&old, &new));
        assert_eq!(old, new);
    }
}
