//! The disk against the IndexedDB, Web Locks and localStorage of a real browser.
//!
//! Each test has a database of its own, named after it.

#![cfg(target_arch = "wasm32")]
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::cell::RefCell;
use std::rc::Rc;

use bytes::Bytes;
use js_sys::{Array, Function, Promise, Uint8Array};
use raft_web::disk::{
    Batch, Contents, Disk, Fault, Loss, Mark, OpenError, Options, Records, Store, Warning, Writer,
};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use wasm_bindgen_test::wasm_bindgen_test;

wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

#[wasm_bindgen(module = "/tests/raw.js")]
extern "C" {
    #[wasm_bindgen(catch)]
    async fn open(name: &str, version: u32) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch)]
    async fn remove(name: &str) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch)]
    async fn put(
        name: &str,
        store: &str,
        key: &JsValue,
        value: &JsValue,
    ) -> Result<JsValue, JsValue>;
    #[wasm_bindgen(catch)]
    async fn get(name: &str, store: &str, key: &JsValue) -> Result<JsValue, JsValue>;

    fn hide_indexed_db(denied: bool) -> Function;
    fn hide_locks() -> Function;
    fn ask_for_version(version: u32) -> Function;
    fn break_put(number: u32, how: &str) -> Function;

    type Spy;
    fn spy() -> Spy;
    #[wasm_bindgen(method, getter)]
    fn seen(this: &Spy) -> Vec<String>;
    #[wasm_bindgen(method)]
    fn restore(this: &Spy);
    fn close_unexpectedly(spy: &Spy);
}

/// The losses that were reported, in order.
type Losses = Rc<RefCell<Vec<Loss>>>;

fn named(name: &str) -> Options {
    Options { name: name.into(), ..Options::default() }
}

async fn try_open(options: &Options) -> Result<(Disk, Contents, Losses), OpenError> {
    let losses = Losses::default();
    let heard = Rc::clone(&losses);
    let (disk, contents) = Disk::open(options, move |loss| heard.borrow_mut().push(loss)).await?;
    Ok((disk, contents, losses))
}

async fn opened(name: &str) -> (Disk, Contents, Losses) {
    try_open(&named(name)).await.expect("the disk opens")
}

async fn refused(options: &Options) -> OpenError {
    try_open(options).await.err().expect("the disk does not open")
}

/// The peers' records as another visit finds them.
async fn reloaded(name: &str) -> Contents {
    opened(name).await.1
}

/// Undoes what one of the hands in `raw.js` has done.
fn undo(back: &Function) {
    back.call0(&JsValue::NULL).expect("nothing throws");
}

async fn sleep(ms: u32) {
    let later = Promise::new(&mut |resolve, _| {
        let window = web_sys::window().expect("a browser");
        let set = js_sys::Reflect::get(&window, &"setTimeout".into()).expect("a timer");
        let set: Function = set.unchecked_into();
        set.call2(&window, &resolve, &ms.into()).expect("a timer");
    });
    JsFuture::from(later).await.expect("time passes");
}

/// Long enough for what is under way to happen.
async fn pause() {
    sleep(20).await;
}

async fn until(what: &str, done: impl Fn() -> bool) {
    for _ in 0..250 {
        if done() {
            return;
        }
        pause().await;
    }
    assert!(done(), "waited in vain: {what}");
}

fn text(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn key(peer: u32, bytes: &[u8]) -> JsValue {
    Array::of2(&peer.into(), &Uint8Array::from(bytes)).into()
}

/// A batch that puts `value` at `key` in peer 1's kv engine.
fn one(key: &'static str, value: &'static str) -> Batch {
    let mut batch = Batch::default();
    batch.put(1, Store::Kv, text(key), text(value));
    batch
}

fn pairs(records: &[(&'static str, &'static str)]) -> Vec<(Bytes, Bytes)> {
    records.iter().map(|(key, value)| (text(key), text(value))).collect()
}

fn kv(contents: &Contents) -> Vec<(Bytes, Bytes)> {
    contents.peers.get(&1).map(|records| records.kv.clone()).unwrap_or_default()
}

#[wasm_bindgen_test]
async fn a_new_disk_is_empty_and_in_its_first_epoch() {
    let (disk, contents, losses) = opened("new").await;
    let mark = Mark { epoch: 1, sequence: 0 };
    assert_eq!(contents, Contents { mark, ..Contents::default() });
    assert_eq!(disk.mark(), mark);
    drop(disk);
    remove("new").await.expect("nobody is in the way");
    assert_eq!(*losses.borrow(), [], "letting go of a disk is no loss");
}

#[wasm_bindgen_test]
async fn what_was_committed_is_loaded_again_byte_for_byte_and_in_order() {
    let all_bytes: Bytes = (0..=255).collect::<Vec<u8>>().into();
    let long: Bytes = (0..300_000_u32).map(|n| n.to_le_bytes()[1]).collect::<Vec<u8>>().into();
    // In key order, which is neither the order of length nor that of text.
    let keys = [&b""[..], b"\0", b"\0\0", b"\x01\xff", b"\x02", b"a", b"a\0", b"b", b"\xff\xff"];
    let values = [text(""), all_bytes.clone(), long, text("naïve ✓")];
    let sorted: Vec<_> =
        keys.iter().map(|key| Bytes::from(*key)).zip(values.iter().cycle().cloned()).collect();

    let mut batch = Batch::default();
    for (key, value) in sorted.iter().rev() {
        // Numbers order by value: 9 before 10.
        for peer in [10, 9, (1 << 53) - 1] {
            batch.put(peer, Store::Raft, key.clone(), value.clone());
        }
    }
    batch.put(9, Store::Kv, all_bytes.clone(), text("only here"));
    batch.set_cluster(all_bytes.clone());
    let (mut disk, ..) = opened("again").await;
    assert_eq!(disk.commit(&batch).await, Ok(1));
    drop(disk);

    let contents = reloaded("again").await;
    let raft_only = Records { raft: sorted.clone(), kv: Vec::new() };
    let both = Records { raft: sorted, kv: vec![(all_bytes.clone(), text("only here"))] };
    let peers = [(9, both), (10, raft_only.clone()), ((1 << 53) - 1, raft_only)];
    assert_eq!(contents.peers, peers.into());
    assert_eq!(contents.cluster, Some(all_bytes));
    assert_eq!(contents.mark, Mark { epoch: 2, sequence: 1 });
    assert_eq!(contents.warnings, []);
}

#[wasm_bindgen_test]
async fn a_deleted_record_is_gone_and_its_neighbours_are_not() {
    let (mut disk, ..) = opened("delete").await;
    let mut batch = one("a", "1");
    batch.put(1, Store::Kv, text("b"), text("2"));
    batch.put(2, Store::Kv, text("a"), text("3"));
    batch.put(1, Store::Raft, text("a"), text("4"));
    disk.commit(&batch).await.expect("a commit");
    let mut batch = Batch::default();
    batch.delete(1, Store::Kv, text("a"));
    batch.delete(1, Store::Kv, text("never there"));
    disk.commit(&batch).await.expect("a commit");
    drop(disk);

    let contents = reloaded("delete").await;
    let first = Records { raft: pairs(&[("a", "4")]), kv: pairs(&[("b", "2")]) };
    let second = Records { raft: Vec::new(), kv: pairs(&[("a", "3")]) };
    assert_eq!(contents.peers, [(1, first), (2, second)].into());
}

#[wasm_bindgen_test]
async fn every_write_is_one_strict_transaction_over_all_stores() {
    let spy = spy();
    let (mut disk, ..) = opened("strict").await;
    let mut batch = one("a", "1");
    batch.put(1, Store::Raft, text("a"), text("1"));
    batch.set_cluster(text("c"));
    disk.commit(&batch).await.expect("a commit");
    disk.reset().await.expect("a reset");
    spy.restore();
    let write = "readwrite strict kv+meta+raft";
    assert_eq!(spy.seen(), [write; 3]);
}

#[wasm_bindgen_test]
async fn a_batch_that_fails_half_way_leaves_nothing_behind() {
    let fault = Fault { name: "AbortError".into(), message: "the transaction was aborted".into() };
    for (how, expected) in [("throw", Loss::Full), ("abort", Loss::Aborted(fault))] {
        let name = format!("half-{how}");
        let (mut disk, _, losses) = opened(&name).await;
        disk.commit(&one("a", "before")).await.expect("a commit");
        let mut batch = one("a", "after");
        batch.put(2, Store::Raft, text("b"), text("after"));
        batch.delete(1, Store::Kv, text("a"));
        batch.put(3, Store::Kv, text("c"), text("after"));
        let back = break_put(2, how);
        let outcome = disk.commit(&batch).await;
        undo(&back);
        assert_eq!(outcome, Err(expected.clone()));
        assert_eq!(losses.take(), vec![expected.clone()]);
        assert_eq!(disk.commit(&one("z", "later")).await, Err(expected), "the end is final");
        drop(disk);
        let contents = reloaded(&name).await;
        assert_eq!((contents.peers.len(), kv(&contents)), (1, pairs(&[("a", "before")])));
        assert_eq!(contents.mark.sequence, 1);
    }
}

#[wasm_bindgen_test]
async fn a_full_disk_still_shows_what_it_holds_and_lets_it_be_erased() {
    let (mut disk, ..) = opened("full").await;
    disk.commit(&one("a", "1")).await.expect("a commit");
    drop(disk);
    let back = break_put(1, "throw");
    let (mut disk, contents, losses) = opened("full").await;
    undo(&back);
    assert_eq!(losses.take(), [Loss::Full]);
    assert_eq!(kv(&contents), pairs(&[("a", "1")]));
    assert_eq!(contents.mark, Mark { epoch: 1, sequence: 1 }, "as it is stored");
    assert_eq!(disk.commit(&one("a", "2")).await, Err(Loss::Full));
    drop(disk);
    assert_eq!(kv(&reloaded("full").await), pairs(&[("a", "1")]));

    let back = break_put(1, "throw");
    let options = Options { erase: true, ..named("full") };
    let (disk, contents, losses) = try_open(&options).await.expect("an empty disk");
    undo(&back);
    assert_eq!((contents.peers.len(), losses.take()), (0, vec![Loss::Full]));
    drop(disk);
    let contents = reloaded("full").await;
    assert_eq!((contents.peers.len(), contents.warnings), (0, vec![]));
}

#[wasm_bindgen_test]
async fn a_peer_id_that_a_number_cannot_hold_is_refused_with_its_batch() {
    let (mut disk, ..) = opened("peer-id").await;
    let mut batch = one("a", "1");
    batch.put(1 << 53, Store::Kv, text("a"), text("1"));
    assert_eq!(disk.commit(&batch).await, Err(Loss::PeerId(1 << 53)));
    drop(disk);
    assert_eq!(reloaded("peer-id").await.peers, [].into());
}

/// Batches that overwrite, delete, clear and depend on each other's order.
fn history() -> Vec<Batch> {
    let names = ["a", "b", "c", "d", "e"];
    let values = ["0", "1", "2", "3", "4", "5", "6"];
    let step = |n: usize| {
        let mut batch = one(names[n % 5], values[n % 7]);
        batch.put(n as u64 % 3, Store::Raft, text(names[n % 4]), text(values[n % 6]));
        batch.delete(1, Store::Kv, text(names[n * 3 % 5]));
        if n.is_multiple_of(2) {
            batch.set_cluster(n.to_string().into());
        }
        if n == 17 {
            batch.clear();
            batch.put(2, Store::Kv, text("after"), text("clear"));
        }
        batch
    };
    (0..40).map(step).collect()
}

#[wasm_bindgen_test]
async fn batches_merged_by_the_writer_leave_what_single_ones_do_in_fewer_transactions() {
    let (mut disk, ..) = opened("single").await;
    for batch in history() {
        disk.commit(&batch).await.expect("a commit");
    }
    drop(disk);

    let (disk, ..) = opened("merged").await;
    let durable = Rc::new(RefCell::new(Vec::new()));
    let heard = Rc::clone(&durable);
    let writer = Writer::new(disk, move |sequence| heard.borrow_mut().push(sequence));
    for (number, batch) in (1..).zip(history()) {
        assert_eq!(writer.push(batch), Some(number));
        if number == 10 || number == 25 {
            pause().await;
        }
    }
    assert_eq!(writer.push(Batch::default()), Some(40), "nothing to write, nothing to number");
    assert!(writer.behind() > 0);
    until("all is durable", || writer.durable() == 40).await;
    assert_eq!(writer.behind(), 0);
    drop(writer);

    let durable = durable.take();
    assert!(durable.is_sorted() && durable.ends_with(&[40]), "{durable:?}");
    assert!((3..20).contains(&durable.len()), "{durable:?}");
    let (single, merged) = (reloaded("single").await, reloaded("merged").await);
    assert_eq!(single.peers[&2].kv, pairs(&[("after", "clear")]));
    assert_eq!(single, merged);
}

#[wasm_bindgen_test]
async fn a_batch_counts_as_durable_only_once_it_is_stored() {
    let (disk, ..) = opened("durable").await;
    let writer = Writer::new(disk, |_| {});
    assert_eq!(writer.push(one("a", "1")), Some(1));
    assert_eq!(writer.durable(), 0);
    until("it is durable", || writer.durable() == 1).await;
    let stored = get("durable", "kv", &key(1, b"a")).await.expect("a record");
    assert_eq!(stored.unchecked_into::<Uint8Array>().to_vec(), b"1");
}

#[wasm_bindgen_test]
async fn the_writer_stops_for_good_at_the_first_loss() {
    let (disk, _, losses) = opened("stop").await;
    let durable = Rc::new(RefCell::new(Vec::new()));
    let heard = Rc::clone(&durable);
    let writer = Writer::new(disk, move |sequence| heard.borrow_mut().push(sequence));
    writer.push(one("a", "1"));
    until("the first is durable", || writer.durable() == 1).await;

    let back = break_put(1, "throw");
    assert_eq!(writer.push(one("b", "2")), Some(2));
    until("the second fails", || writer.loss().is_some()).await;
    undo(&back);
    // The lock is free again, though the writer is still here.
    assert_eq!(kv(&reloaded("stop").await), pairs(&[("a", "1")]));
    assert_eq!(writer.push(one("c", "3")), None, "a later batch would leave a hole");
    pause().await;
    assert_eq!((durable.take(), writer.durable()), (vec![1], 1));
    assert_eq!(*losses.borrow(), [Loss::Full]);
    assert_eq!(kv(&reloaded("stop").await), pairs(&[("a", "1")]));
}

#[wasm_bindgen_test]
async fn a_second_opening_is_refused_while_the_first_lives() {
    let (mut first, _, losses) = opened("held").await;
    assert_eq!(refused(&named("held")).await, OpenError::Held);
    first.commit(&one("a", "1")).await.expect("the first is not disturbed");
    assert_eq!(*losses.borrow(), []);
    drop(first);
    assert_eq!(kv(&reloaded("held").await), pairs(&[("a", "1")]));
}

#[wasm_bindgen_test]
async fn an_opening_waits_for_a_holder_that_is_about_to_leave() {
    let (first, ..) = opened("leaving").await;
    wasm_bindgen_futures::spawn_local(async move {
        pause().await;
        drop(first);
    });
    assert_eq!(reloaded("leaving").await.mark.epoch, 2);
}

#[wasm_bindgen_test]
async fn a_disk_is_taken_over_when_asked_and_its_old_holder_cannot_write() {
    let (mut old, _, losses) = opened("take-over").await;
    old.commit(&one("a", "1")).await.expect("a commit");
    let options = Options { take_over: true, ..named("take-over") };
    let (mut new, contents, _) = try_open(&options).await.expect("taken over");
    assert_eq!(kv(&contents), pairs(&[("a", "1")]), "with all that was acknowledged");
    assert_eq!(*losses.borrow(), [Loss::Fenced]);
    assert_eq!(old.commit(&one("a", "old")).await, Err(Loss::Fenced));
    new.commit(&one("b", "new")).await.expect("the new holder writes");
    drop((old, new));
    assert_eq!(kv(&reloaded("take-over").await), pairs(&[("a", "1"), ("b", "new")]));
}

#[wasm_bindgen_test]
async fn a_writer_whose_epoch_has_passed_writes_nothing() {
    // As if it had been frozen while another one opened the disk, and had heard of nothing.
    let (mut disk, _, losses) = opened("fence").await;
    put("fence", "meta", &"epoch".into(), &2.into()).await.expect("a put");
    assert_eq!(disk.commit(&one("a", "1")).await, Err(Loss::Fenced));
    assert_eq!(*losses.borrow(), [Loss::Fenced]);
    let stored = get("fence", "kv", &key(1, b"a")).await.expect("an answer");
    assert!(stored.is_undefined(), "its puts were undone");
}

#[wasm_bindgen_test]
async fn without_web_locks_the_last_opening_has_the_disk() {
    let back = hide_locks();
    let (mut first, contents, _) = opened("no-locks").await;
    let (mut second, ..) = opened("no-locks").await;
    undo(&back);
    assert_eq!(contents.warnings, [Warning::NoLock]);
    assert_eq!(first.commit(&one("a", "1")).await, Err(Loss::Fenced));
    second.commit(&one("a", "2")).await.expect("a commit");
}

/// Opens a disk without locks while an earlier opening writes as fast as it can. Returns what it
/// finds, and the number of the last write that was acknowledged to the earlier one.
async fn open_amid_writes(options: &Options) -> (Contents, u64) {
    let back = hide_locks();
    let (first, _, losses) = opened(&options.name).await;
    let writer = Writer::new(first, |_| {});
    let busy = writer.clone();
    wasm_bindgen_futures::spawn_local(async move {
        // Faster than the disk: there is always a batch waiting.
        while busy.push(one("a", "1")).is_some() {
            sleep(1).await;
        }
    });
    until("it is writing", || writer.durable() > 3).await;
    let (_second, contents, _) = try_open(options).await.expect("the disk opens");
    until("the first is shut out", || writer.loss().is_some()).await;
    undo(&back);
    assert_eq!(losses.take(), [Loss::Fenced]);
    (contents, writer.durable())
}

#[wasm_bindgen_test]
async fn an_opening_sees_every_write_that_an_earlier_one_got_acknowledged() {
    let (contents, acknowledged) = open_amid_writes(&named("race")).await;
    assert_eq!(contents.mark.sequence, acknowledged);
}

#[wasm_bindgen_test]
async fn what_is_erased_stays_so_though_an_earlier_opening_is_writing() {
    let options = Options { erase: true, ..named("race-erase") };
    let (contents, _) = open_amid_writes(&options).await;
    assert_eq!(contents.peers, [].into());
    assert_eq!(reloaded("race-erase").await.peers, [].into());
}

#[wasm_bindgen_test]
async fn a_browser_without_storage_is_an_answer_not_a_panic() {
    for (denied, name) in [(false, "missing"), (true, "denied")] {
        let back = hide_indexed_db(denied);
        let error = refused(&named(name)).await;
        undo(&back);
        match denied {
            false => assert_eq!(error, OpenError::Missing),
            true => assert!(matches!(error, OpenError::Denied(_)), "{error:?}"),
        }
        assert_eq!(reloaded(name).await.mark.epoch, 1, "the lock was let go");
    }
}

#[wasm_bindgen_test]
async fn a_newer_schema_is_refused_and_left_as_it_is() {
    let (mut disk, ..) = opened("newer").await;
    disk.commit(&one("a", "1")).await.expect("a commit");
    drop(disk);
    let newer = open("newer", 7).await.expect("an upgrade");
    newer.unchecked_into::<web_sys::IdbDatabase>().close();
    assert_eq!(refused(&named("newer")).await, OpenError::Newer);
    let erase = Options { erase: true, ..named("newer") };
    assert_eq!(refused(&erase).await, OpenError::Newer, "even when asked to erase");
    let stored = get("newer", "kv", &key(1, b"a")).await.expect("a record");
    assert_eq!(stored.unchecked_into::<Uint8Array>().to_vec(), b"1");
}

#[wasm_bindgen_test]
async fn an_older_page_in_another_tab_is_reported_and_not_waited_for() {
    let older = open("blocked", 1).await.expect("a database").unchecked_into();
    let back = ask_for_version(2);
    let error = refused(&named("blocked")).await;
    undo(&back);
    assert_eq!(error, OpenError::Blocked);
    web_sys::IdbDatabase::close(&older);
    // Now the late opening succeeds, and must not be in the way of anything.
    remove("blocked").await.expect("nobody is in the way");
}

#[wasm_bindgen_test]
async fn a_record_that_does_not_decode_is_reported_and_kept_until_erased() {
    let bytes = || JsValue::from(Uint8Array::from(&b"x"[..]));
    let fraction = Array::of2(&1.5.into(), &bytes()).into();
    let negative = Array::of2(&(-1).into(), &bytes()).into();
    let triple = Array::of3(&1.into(), &bytes(), &bytes()).into();
    let cases = [
        ("raft", "text".into(), bytes()),
        ("raft", fraction, bytes()),
        ("kv", negative, bytes()),
        ("kv", triple, bytes()),
        ("kv", Array::of2(&1.into(), &"text".into()).into(), bytes()),
        ("raft", key(1, b"a"), "text".into()),
        ("kv", key(1, b"a"), JsValue::NULL),
        ("meta", "cluster".into(), 5.into()),
        ("meta", "epoch".into(), "text".into()),
        ("meta", "epoch".into(), JsValue::from_f64(-1.0)),
        ("meta", "sequence".into(), bytes()),
    ];
    for (number, (store, bad_key, value)) in cases.into_iter().enumerate() {
        let name = format!("unreadable-{number}");
        let (mut disk, ..) = opened(&name).await;
        disk.commit(&one("good", "1")).await.expect("a commit");
        drop(disk);
        put(&name, store, &bad_key, &value).await.expect("a put");

        let error = refused(&named(&name)).await;
        assert!(
            matches!(&error, OpenError::Unreadable { store: at, .. } if *at == store),
            "{number}: {error:?}"
        );
        let good = get(&name, "kv", &key(1, b"good")).await.expect("an answer");
        let bad = get(&name, store, &bad_key).await.expect("an answer");
        assert!(!good.is_undefined() && !bad.is_undefined(), "{number}: nothing is deleted");

        let erase = Options { erase: true, ..named(&name) };
        let (disk, contents, _) = try_open(&erase).await.expect("an empty disk");
        let mark = Mark { epoch: 2, ..contents.mark };
        assert_eq!(contents, Contents { mark, ..Contents::default() }, "{number}");
        drop(disk);
        assert_eq!(reloaded(&name).await.peers, [].into(), "{number}");
    }
}

#[wasm_bindgen_test]
async fn records_without_an_epoch_are_not_ours() {
    drop(opened("no-epoch").await);
    remove("no-epoch").await.expect("deleted");
    let back = break_put(1, "abort");
    refused(&named("no-epoch")).await;
    undo(&back);
    put("no-epoch", "kv", &key(1, b"a"), &Uint8Array::from(&b"x"[..])).await.expect("a put");
    let error = refused(&named("no-epoch")).await;
    assert!(matches!(error, OpenError::Unreadable { store: "meta", .. }), "{error:?}");
}

#[wasm_bindgen_test]
async fn a_reset_empties_the_disk_and_the_epoch_rises() {
    let (mut disk, ..) = opened("reset").await;
    let mut batch = one("a", "1");
    batch.put(2, Store::Raft, text("b"), text("2"));
    batch.set_cluster(text("cluster"));
    disk.commit(&batch).await.expect("a commit");
    assert_eq!(disk.reset().await, Ok(2));
    assert_eq!(disk.mark(), Mark { epoch: 2, sequence: 2 });
    disk.commit(&one("c", "3")).await.expect("the disk is still open");
    drop(disk);

    let contents = reloaded("reset").await;
    assert_eq!(contents.mark, Mark { epoch: 3, sequence: 3 });
    assert_eq!((contents.peers.len(), kv(&contents)), (1, pairs(&[("c", "3")])));
    assert_eq!((contents.cluster, contents.warnings), (None, vec![]));
}

#[wasm_bindgen_test]
async fn a_database_that_was_rolled_back_is_noticed() {
    let (mut disk, ..) = opened("rolled-back").await;
    for value in ["1", "2", "3"] {
        disk.commit(&one("a", value)).await.expect("a commit");
    }
    drop(disk);
    // The last two transactions are lost.
    put("rolled-back", "meta", &"sequence".into(), &1.into()).await.expect("a put");
    let contents = reloaded("rolled-back").await;
    let remembered = Mark { epoch: 1, sequence: 3 };
    let found = Mark { epoch: 1, sequence: 1 };
    assert_eq!(contents.warnings, [Warning::RolledBack { remembered, found }]);
    assert_eq!(reloaded("rolled-back").await.warnings, [], "it is told once");
}

#[wasm_bindgen_test]
async fn a_database_that_was_emptied_is_noticed_and_does_not_count_epochs_again() {
    drop(opened("emptied").await);
    remove("emptied").await.expect("deleted");
    let contents = reloaded("emptied").await;
    let remembered = Mark { epoch: 1, sequence: 0 };
    assert_eq!(contents.warnings, [Warning::Emptied { remembered }]);
    assert_eq!(contents.mark, Mark { epoch: 2, sequence: 0 });
}

#[wasm_bindgen_test]
async fn a_witness_that_makes_no_sense_is_no_witness() {
    let storage = web_sys::window().and_then(|window| window.local_storage().ok()?);
    let storage = storage.expect("localStorage");
    for (number, words) in ["", "7", "a b", "-1 2", "9007199254740991 1"].into_iter().enumerate() {
        let name = format!("nonsense-{number}");
        storage.set_item(&format!("{name}.witness"), words).expect("room");
        let contents = reloaded(&name).await;
        assert_eq!((contents.mark.epoch, contents.warnings), (1, vec![]), "{words}");
    }
}

#[wasm_bindgen_test]
async fn room_is_made_for_an_upgrade_and_for_a_deletion() {
    for (name, expected) in [("upgrade", Loss::Upgraded), ("deletion", Loss::Deleted)] {
        let (mut disk, _, losses) = opened(name).await;
        let outcome = match expected {
            Loss::Upgraded => open(name, 2).await,
            _ => remove(name).await,
        };
        outcome.expect("it was not blocked");
        assert_eq!(losses.take(), vec![expected.clone()]);
        assert_eq!(disk.commit(&one("a", "1")).await, Err(expected));
    }
}

#[wasm_bindgen_test]
async fn a_database_that_the_browser_closes_is_reported() {
    let spy = spy();
    let (disk, _, losses) = opened("closed").await;
    spy.restore();
    let writer = Writer::new(disk, |_| {});
    close_unexpectedly(&spy);
    assert_eq!(*losses.borrow(), [Loss::Closed]);
    assert_eq!(writer.loss(), Some(Loss::Closed));
    assert_eq!(writer.push(one("a", "1")), None);
    assert_eq!(reloaded("closed").await.mark.epoch, 2, "the lock was let go");
}
