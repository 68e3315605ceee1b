//! What a user of the store sees: it keeps what was committed, and says what is wrong with a file.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use raft_core::proto::raft_serverpb::StoreIdent;
use raft_kv::{Batches, Engines, bootstrap_store};
use raft_kv_native::{Error, NativeStore, check_ident};
use redb::TableDefinition;
use support::Rng;

/// A directory of its own for each test, gone at its end if it passes.
struct Dir(PathBuf);

impl Dir {
    fn new(name: &str) -> Self {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        drop(fs::remove_dir_all(&dir));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn file(&self) -> PathBuf {
        self.0.join("store.redb")
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            drop(fs::remove_dir_all(&self.0));
        }
    }
}

fn batches(key: &str, value: &str) -> Batches {
    let mut batches = Batches::default();
    batches.raft.put(key.into(), value.to_owned().into());
    batches.kv.put(key.into(), value.to_owned().into());
    batches
}

/// Commits to a store and to the engines that it must hold.
fn commit(store: &mut NativeStore, engines: &mut Engines, batches: &Batches, sync: bool) {
    store.commit(batches, sync).unwrap();
    engines.write(batches);
}

/// A store with some records.
fn filled(path: &Path) -> (NativeStore, Engines) {
    let (mut store, mut engines) = NativeStore::open(path).unwrap();
    for number in 0..200 {
        let batches = batches(&format!("key {number}"), &format!("{number}").repeat(40));
        commit(&mut store, &mut engines, &batches, number % 50 == 49);
    }
    (store, engines)
}

#[test]
fn a_new_store_is_empty_and_keeps_what_is_committed() {
    let dir = Dir::new("keeps");
    let (mut store, mut engines) = NativeStore::open(dir.file()).unwrap();
    assert_eq!(engines, Engines::default());
    commit(&mut store, &mut engines, &batches("a", "1"), true);
    commit(&mut store, &mut engines, &batches("b", ""), false);
    let mut delete = Batches::default();
    delete.raft.delete("a".into());
    delete.kv.put("a".into(), "2".into());
    commit(&mut store, &mut engines, &delete, false);
    drop(store);
    let (_, reopened) = NativeStore::open(dir.file()).unwrap();
    assert_eq!(reopened, engines);
    assert_eq!(reopened.raft.get(b"a"), None);
    assert_eq!(reopened.kv.get(b"b").unwrap(), "", "an empty value is a value");
}

#[test]
fn a_store_that_is_open_cannot_be_opened_again() {
    let dir = Dir::new("in_use");
    let (store, _) = NativeStore::open(dir.file()).unwrap();
    let second = NativeStore::open(dir.file()).map(drop);
    assert!(matches!(second, Err(Error::InUse)), "{second:?}");
    drop(store);
    NativeStore::open(dir.file()).unwrap();
}

#[test]
fn somebody_elses_file_is_refused_and_not_touched() {
    let dir = Dir::new("not_a_store");
    let zeros_and_text = [vec![0; 4096], b"text".to_vec()].concat();
    for content in [&b"hello"[..], b"redbird", b"\0\0x", &[7; 9000], &zeros_and_text] {
        fs::write(dir.file(), content).unwrap();
        let refused = NativeStore::open(dir.file()).map(drop);
        assert!(matches!(refused, Err(Error::NotAStore(_))), "{refused:?}");
        assert_eq!(fs::read(dir.file()).unwrap(), content);
    }
    fs::remove_file(dir.file()).unwrap();
    let refused = NativeStore::open(&dir.0).map(drop);
    assert!(matches!(refused, Err(Error::Io(_))), "a directory: {refused:?}");
    let nowhere = NativeStore::open(dir.0.join("no/such/dir")).map(drop);
    assert!(matches!(nowhere, Err(Error::Io(_))), "{nowhere:?}");
}

#[test]
fn a_database_of_another_make_is_refused() {
    const OTHER: TableDefinition<'_, u64, u64> = TableDefinition::new("other");
    let dir = Dir::new("another_make");
    let database = redb::Database::create(dir.file()).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(OTHER).unwrap().insert(1, 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let refused = NativeStore::open(dir.file()).map(drop);
    assert!(matches!(refused, Err(Error::NotAStore(_))), "{refused:?}");
}

#[test]
fn a_newer_format_is_refused_by_its_number() {
    const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
    let dir = Dir::new("newer");
    drop(filled(&dir.file()));
    let database = redb::Database::create(dir.file()).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(META).unwrap().insert("format", 2).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let refused = NativeStore::open(dir.file()).map(drop);
    assert!(matches!(refused, Err(Error::Version { found: 2, known: 1 })), "{refused:?}");
}

#[test]
fn a_file_whose_creation_was_cut_short_is_a_new_store() {
    let dir = Dir::new("cut_short");
    for start in [&b""[..], b"redb", b"redb\x1a\x0a\xa9\x0d"] {
        let mut content = start.to_vec();
        content.resize(9, 0);
        content.extend([7; 300]);
        content.resize(1 << 20, 0);
        fs::write(dir.file(), content).unwrap();
        assert_eq!(NativeStore::open(dir.file()).unwrap().1, Engines::default());
        fs::remove_file(dir.file()).unwrap();
    }
}

#[test]
fn damage_is_an_error_or_harmless_but_never_other_data() {
    let dir = Dir::new("damage");
    let (store, engines) = filled(&dir.file());
    let crashed = fs::read(dir.file()).unwrap();
    drop(store);
    let closed = fs::read(dir.file()).unwrap();
    let mut rng = Rng::new(1);
    let mut refused = 0;
    for round in 0..300 {
        let mut content = if round % 2 == 0 { crashed.clone() } else { closed.clone() };
        if round % 10 < 2 {
            content.truncate(rng.index(content.len()) + 1);
        } else {
            // Past the byte that no checksum covers.
            let used: Vec<usize> = (10..content.len()).filter(|&at| content[at] != 0).collect();
            content[used[rng.index(used.len())]] ^= 1 << rng.below(8);
        }
        fs::write(dir.file(), content).unwrap();
        match NativeStore::open(dir.file()) {
            Ok((_, opened)) => assert_eq!(opened, engines, "round {round}"),
            Err(Error::Damaged(_) | Error::NotAStore(_) | Error::Io(_)) => refused += 1,
            Err(error) => panic!("round {round}: {error}"),
        }
    }
    assert!((60..300).contains(&refused), "{refused} of 300 refused: the test damages too little");
}

#[test]
fn a_store_starts_only_for_whom_it_belongs_to() {
    let dir = Dir::new("ident");
    let me = StoreIdent { cluster_id: 7, store_id: 1 };
    let (mut store, mut engines) = NativeStore::open(dir.file()).unwrap();
    let fresh = check_ident(&engines, me);
    assert!(matches!(fresh, Err(Error::WrongStore { found: None, .. })), "{fresh:?}");
    let batches = bootstrap_store(&engines, me.cluster_id, me.store_id).unwrap();
    commit(&mut store, &mut engines, &batches, true);
    drop(store);
    let (_, engines) = NativeStore::open(dir.file()).unwrap();
    check_ident(&engines, me).unwrap();
    let other = check_ident(&engines, StoreIdent { cluster_id: 7, store_id: 2 });
    assert!(matches!(other, Err(Error::WrongStore { found: Some(_), .. })), "{other:?}");
}

#[test]
fn compaction_gives_space_back_and_keeps_every_record() {
    let dir = Dir::new("compaction");
    let (mut store, mut engines) = NativeStore::open(dir.file()).unwrap();
    for number in 0..64 {
        let batches = batches(&format!("{number}"), &"x".repeat(60_000));
        commit(&mut store, &mut engines, &batches, true);
    }
    let mut delete = Batches::default();
    for number in 0..60 {
        delete.raft.delete((&format!("{number}")).into());
        delete.kv.delete((&format!("{number}")).into());
    }
    commit(&mut store, &mut engines, &delete, false);
    let (before, len) = (store.size().unwrap(), fs::metadata(dir.file()).unwrap().len());
    assert!(store.compact().unwrap());
    let (after, compacted) = (store.size().unwrap(), fs::metadata(dir.file()).unwrap().len());
    assert_eq!(after.records, before.records);
    assert!(
        after.free < before.free && compacted < len / 2,
        "{before:?} {after:?} {len} {compacted}"
    );
    drop(store);
    assert_eq!(NativeStore::open(dir.file()).unwrap().1, engines);
}
