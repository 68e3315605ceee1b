//! One machine's disk: what is durable, what is written but not synced, and what is wrong with it.
//!
//! Both batches of a write are one atomic unit. A write is synced before anybody is told of it,
//! unless the peer does not mind to lose it ([`Work::must_sync`](raft_kv::Work)) and
//! [`Settings::write_back_us`](crate::Settings::write_back_us) lets such writes wait: then the next
//! sync takes them along, and a crash may lose any suffix of them.
//!
//! Each record has a checksum, taken when it was written. All records that nobody damaged equal
//! theirs, so only those of damaged records are kept; a peer that starts compares them, and stops at
//! the first that differs. It never serves what it read there. A write has a checksum as well: one of
//! which only a part is there is noticed in the same way.

use bytes::Bytes;
use raft_kv::{Batches, Engines, Key, MemEngine, WriteBatch, keys};

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
    key: Key,
    written: Bytes,
    checksum: u64,
    returned: Bytes,
}

/// A write of which only some records are there.
#[derive(Clone, Debug)]
struct Torn {
    there: usize,
    of: usize,
    /// What takes them back.
    undo: Batches,
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
    /// The next write will be torn.
    tears: bool,
    torn: Option<Torn>,
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
        } else if self.tears {
            Err("its disk lost power in the middle of a write")
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

    /// Whether the next write is torn.
    pub(crate) fn tears(&self) -> bool {
        self.tears
    }

    /// The power goes in the middle of this write. Returns what of it is there: of its records the
    /// first half, or the `last`.
    pub(crate) fn tear(&mut self, batches: &Batches, last: bool) -> Batches {
        (self.tears, self.flush_planned) = (false, false);
        let raft = batches.raft.iter().map(|record| (Side::Raft, record));
        let kv = batches.kv.iter().map(|record| (Side::Kv, record));
        let records: Vec<_> = raft.chain(kv).collect();
        let of = records.len();
        let mut half = Batches::default();
        for (side, (key, value)) in
            records.into_iter().skip(if last { of - of / 2 } else { 0 }).take(of / 2)
        {
            let batch = side.of_batches(&mut half);
            match value {
                Some(value) => batch.put(key.clone(), value.clone()),
                None => batch.delete(key.clone()),
            }
        }
        let before = self.durable.clone();
        self.write(&half);
        let undo = difference(&self.durable, &before);
        // Of a write of one record there is all or nothing.
        self.torn = (of > 1).then_some(Torn { there: of / 2, of, undo });
        half
    }

    /// Makes one write durable.
    pub(crate) fn write(&mut self, batches: &Batches) {
        self.durable.write(batches);
        if self.torn.is_some() {
            // Who goes on after it has not noticed.
            self.torn = None;
        }
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
            DiskFault::Tear => self.tears = true,
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
        self.torn = None;
        self.set_back = true;
    }

    pub(crate) fn image(&self) -> Option<&Engines> {
        self.image.as_ref()
    }

    /// The disk works, its damaged records are restored from a good copy, and a torn write is taken
    /// back.
    fn mend(&mut self) {
        (self.sync, self.full) = (None, false);
        (self.fails_write, self.fails_sync, self.tears) = (false, false, false);
        if let Some(Torn { undo, .. }) = self.torn.take() {
            self.write(&undo);
        }
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

    /// Compares the last write and every record with its checksum.
    ///
    /// # Errors
    /// The first that differs, in words.
    pub(crate) fn verify(&self) -> Result<(), String> {
        if let Some(Torn { there, of, .. }) = &self.torn {
            return Err(format!(
                "the last write on its disk is torn: {there} of {of} records are there, and its \
                 checksum is that of all"
            ));
        }
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

    fn of_batches(self, batches: &mut Batches) -> &mut WriteBatch {
        match self {
            Self::Raft => &mut batches.raft,
            Self::Kv => &mut batches.kv,
        }
    }

    fn put(self, key: Key, value: Bytes) -> Batches {
        let mut batches = Batches::default();
        self.of_batches(&mut batches).put(key, value);
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
    fn of_a_torn_write_half_is_there_until_it_is_taken_back() {
        let mut disk = Disk::default();
        disk.write(&write("a", "old"));
        disk.set(DiskFault::Tear);
        assert!(disk.accept().is_err() && disk.tears());
        let mut both = write("a", "new");
        both.kv.put(keys::data("default", b"b"), Bytes::from_static(b"new"));
        disk.tear(&both, false);
        let has = |disk: &Disk| ["a", "b"].map(|key| value(disk, key));
        assert_eq!(has(&disk), [Some(Bytes::from_static(b"new")), None]);
        assert!(disk.verify().unwrap_err().contains("1 of 2 records"));
        disk.set(DiskFault::Mend);
        assert_eq!((disk.verify(), disk.accept()), (Ok(()), Ok(())));
        assert_eq!(has(&disk), [Some(Bytes::from_static(b"old")), None]);
        disk.tear(&both, true);
        let new = Bytes::from_static(b"new");
        assert_eq!(has(&disk), [Some(Bytes::from_static(b"old")), Some(new)]);
        disk.set(DiskFault::Mend);
        disk.tear(&write("a", "new"), true);
        assert_eq!((disk.verify(), has(&disk)[0].clone()), (Ok(()), Some("old".into())));
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
