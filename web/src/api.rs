//! `window.raft`: the cluster for scripts, consoles and end-to-end tests. See `docs/api.md`.

use std::rc::Rc;

use js_sys::{Object, Promise, Reflect};
use raft_core::{StateRole, describe};
use raft_sim::{Command, Happening, Op, Outcome, Reply, ScenarioError, World};
use serde::Serialize;
use serde_wasm_bindgen::Serializer;
use wasm_bindgen::prelude::*;

use crate::session::{Action, Session};

/// What `raft.state()` returns.
#[derive(Serialize)]
struct State {
    now_us: u64,
    running: bool,
    speed: f64,
    saved: bool,
    seed: String,
    events_handled: u64,
    violation: Option<String>,
    notices: Vec<String>,
    peers: Vec<PeerState>,
}

#[derive(Serialize)]
struct PeerState {
    id: u64,
    up: bool,
    failure: Option<String>,
    role: Option<&'static str>,
    term: u64,
    vote: u64,
    leader: u64,
    committed: u64,
    applied: u64,
    last_index: u64,
    log: Vec<(u64, u64)>,
    keys: Vec<(String, String)>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Answer {
    Ok,
    Value(Option<String>),
    Pairs(Vec<(String, String)>),
    /// The result of an operation that the page does not offer yet, in words.
    Result(String),
    Refused(String),
    Unknown,
}

#[derive(Serialize)]
struct Frames {
    count: usize,
    p50_ms: f64,
    p95_ms: f64,
}

#[derive(Serialize)]
struct Told {
    number: u64,
    at_us: u64,
    peer: Option<u64>,
    text: String,
    /// The same as etcd's log has it.
    etcd: Option<String>,
    detail: bool,
}

/// The last `count` happenings, latest first.
fn told(world: &World, count: usize) -> Vec<Told> {
    let told = |happening: &Happening| Told {
        number: happening.number,
        at_us: happening.at_us,
        peer: happening.what.peer(),
        text: happening.what.to_string(),
        etcd: happening.what.in_etcds_words(),
        detail: happening.what.is_detail(),
    };
    world.happenings().rev().take(count).map(told).collect()
}

/// Puts `raft` on the window.
pub(crate) fn install(session: &Rc<Session>) {
    let api = Object::new();
    install_views(&api, session);
    install_time(&api, session);
    install_faults(&api, session);
    install_requests(&api, session);
    if let Some(window) = web_sys::window() {
        set(&window, "raft", &api);
    }
}

fn install_views(api: &Object, session: &Rc<Session>) {
    let s = Rc::clone(session);
    getter(api, "state", move || to_js(&state(&s)));
    let s = Rc::clone(session);
    getter(api, "digest", move || {
        Ok(format!("{:016x}", s.look(|playground| playground.world().digest())).into())
    });
    let s = Rc::clone(session);
    getter(api, "seed", move || {
        Ok(s.look(|playground| playground.world().scenario().seed.to_string()).into())
    });
    let s = Rc::clone(session);
    getter(api, "scenario", move || {
        to_js(&s.look(|playground| playground.world().scenario().clone()))
    });
    let s = Rc::clone(session);
    method(api, "events", move |count| {
        let count = if count.is_undefined() { 20.0 } else { number(&count, "events(count)")? };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
        let lines = s.look(|playground| told(playground.world(), count as usize));
        to_js(&lines)
    });
    let s = Rc::clone(session);
    getter(api, "frames", move || {
        let times = s.times().borrow();
        let (p50_ms, p95_ms) = (times.percentile(0.5), times.percentile(0.95));
        to_js(&Frames { count: times.count(), p50_ms, p95_ms })
    });
}

fn install_time(api: &Object, session: &Rc<Session>) {
    let s = Rc::clone(session);
    method(api, "step", move |events| {
        let events = if events.is_undefined() { 1.0 } else { number(&events, "step(events)")? };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked")]
        let handled = s.step(events as u64);
        to_js(&handled)
    });
    let s = Rc::clone(session);
    getter(api, "play", move || act(&s, Action::SetRunning(true)));
    let s = Rc::clone(session);
    getter(api, "pause", move || act(&s, Action::SetRunning(false)));
    let s = Rc::clone(session);
    method(api, "speed", move |speed| {
        let speed = number(&speed, "speed(factor)")?;
        act(&s, Action::SetSpeed(speed))
    });
}

fn install_faults(api: &Object, session: &Rc<Session>) {
    let s = Rc::clone(session);
    method(api, "apply", move |command| {
        let command: Command = serde_wasm_bindgen::from_value(command)?;
        act(&s, Action::Command(command))
    });
    let s = Rc::clone(session);
    method(api, "crash", move |peer| {
        let peer = serde_wasm_bindgen::from_value(peer)?;
        act(&s, Action::Command(Command::Crash { peer }))
    });
    let s = Rc::clone(session);
    method(api, "restart", move |peer| {
        let peer = serde_wasm_bindgen::from_value(peer)?;
        act(&s, Action::Command(Command::Restart { peer }))
    });
    let s = Rc::clone(session);
    method(api, "partition", move |groups| {
        let groups = serde_wasm_bindgen::from_value(groups)?;
        act(&s, Action::Command(Command::Partition { groups }))
    });
    let s = Rc::clone(session);
    getter(api, "heal", move || act(&s, Action::Command(Command::Heal)));
    let s = Rc::clone(session);
    getter(api, "reset", move || act(&s, Action::Reset));
}

fn install_requests(api: &Object, session: &Rc<Session>) {
    let s = Rc::clone(session);
    let put = move |key: JsValue, value: JsValue, to: JsValue| {
        let (key, value) = (text(&key, "key")?, text(&value, "value")?);
        ask(&s, &Op::Put { key, value }, to)
    };
    let put = Closure::<dyn Fn(JsValue, JsValue, JsValue) -> Result<JsValue, JsValue>>::new(put);
    set(api, "put", &put.into_js_value());
    let s = Rc::clone(session);
    let get = move |key: JsValue, to| ask(&s, &Op::Get { key: text(&key, "key")? }, to);
    let get = Closure::<dyn Fn(JsValue, JsValue) -> Result<JsValue, JsValue>>::new(get);
    set(api, "get", &get.into_js_value());
    let s = Rc::clone(session);
    let delete = move |key: JsValue, to| ask(&s, &Op::Delete { key: text(&key, "key")? }, to);
    let delete = Closure::<dyn Fn(JsValue, JsValue) -> Result<JsValue, JsValue>>::new(delete);
    set(api, "delete", &delete.into_js_value());
    let s = Rc::clone(session);
    let scan = move |start: JsValue, end: JsValue, to: JsValue| {
        let start = start.as_string().unwrap_or_default();
        let end = end.as_string().unwrap_or_default();
        ask(&s, &Op::Scan { start, end, limit: 0 }, to)
    };
    let scan = Closure::<dyn Fn(JsValue, JsValue, JsValue) -> Result<JsValue, JsValue>>::new(scan);
    set(api, "scan", &scan.into_js_value());
}

/// A method without arguments.
fn getter(api: &Object, name: &str, call: impl Fn() -> Result<JsValue, JsValue> + 'static) {
    let closure = Closure::<dyn Fn() -> Result<JsValue, JsValue>>::new(call);
    set(api, name, &closure.into_js_value());
}

/// A method with one argument.
fn method(api: &Object, name: &str, call: impl Fn(JsValue) -> Result<JsValue, JsValue> + 'static) {
    let closure = Closure::<dyn Fn(JsValue) -> Result<JsValue, JsValue>>::new(call);
    set(api, name, &closure.into_js_value());
}

fn set(target: &JsValue, name: &str, value: &JsValue) {
    // Setting a property of a plain object cannot fail.
    let _ = Reflect::set(target, &name.into(), value);
}

fn to_js(value: &impl Serialize) -> Result<JsValue, JsValue> {
    Ok(value.serialize(&Serializer::json_compatible())?)
}

fn refuse(message: &str) -> JsValue {
    js_sys::Error::new(message).into()
}

fn refused(error: &ScenarioError) -> JsValue {
    refuse(&error.to_string())
}

fn act(session: &Session, action: Action) -> Result<JsValue, JsValue> {
    session.act(action).map_err(|error| refused(&error))?;
    Ok(JsValue::UNDEFINED)
}

fn number(value: &JsValue, usage: &str) -> Result<f64, JsValue> {
    let number = value.as_f64().filter(|number| number.is_finite() && *number >= 0.0);
    number.ok_or_else(|| refuse(&format!("raft.{usage} takes a number that is not negative")))
}

fn text(value: &JsValue, what: &str) -> Result<String, JsValue> {
    value.as_string().ok_or_else(|| refuse(&format!("the {what} must be a string")))
}

/// A promise of the request's outcome: it resolves once the outcome is safe from a power cut.
fn ask(session: &Rc<Session>, op: &Op, to: JsValue) -> Result<JsValue, JsValue> {
    let to: Option<u64> = serde_wasm_bindgen::from_value(to)?;
    let mut error = None;
    let promise = Promise::new(&mut |resolve, _| {
        let (answering, sent) = (Rc::clone(session), Rc::new(std::cell::Cell::new(0)));
        let id = Rc::clone(&sent);
        let done = move || {
            let answer = answering.look(|playground| answer(playground.world(), id.get()));
            let _ = resolve.call1(&JsValue::NULL, &answer.unwrap_or(JsValue::UNDEFINED));
        };
        match session.request(op.clone(), to, done) {
            Ok(id) => sent.set(id),
            Err(refusal) => error = Some(refused(&refusal)),
        }
    });
    error.map_or(Ok(promise.into()), Err)
}

fn answer(world: &World, id: u64) -> Result<JsValue, JsValue> {
    let outcome = world.request(id).and_then(|request| request.outcome.clone());
    to_js(&match outcome {
        Some(Outcome::Done(Reply::Written)) => Answer::Ok,
        Some(Outcome::Done(Reply::Value(value))) => Answer::Value(value),
        Some(Outcome::Done(Reply::Pairs(pairs))) => Answer::Pairs(pairs),
        Some(Outcome::Done(reply)) => Answer::Result(reply.to_string()),
        Some(Outcome::Refused(reason)) => Answer::Refused(reason),
        Some(Outcome::Unknown) | None => Answer::Unknown,
    })
}

fn state(session: &Session) -> State {
    let notices = session.notices().into_iter().map(|notice| notice.text).collect();
    session.look(|playground| {
        let (world, pace) = (playground.world(), playground.pace());
        State {
            now_us: world.now_us(),
            running: pace.is_running(),
            speed: pace.speed(),
            saved: playground.is_saved(),
            seed: world.scenario().seed.to_string(),
            events_handled: world.events_handled(),
            violation: world.violation().map(ToString::to_string),
            notices,
            peers: peers(world),
        }
    })
}

fn peers(world: &World) -> Vec<PeerState> {
    let nodes = world.nodes().map(|(id, node)| {
        let raft = node.peer().map(raft_kv::Peer::raft);
        let role = raft.map_or(StateRole::Follower, raft_core::Raft::role);
        let state = raft.map(raft_core::Raft::hard_state).unwrap_or_default();
        let entries = raft.and_then(|raft| raft.log().all_entries().ok()).unwrap_or_default();
        let engine = node.peer().map_or(&node.disk().kv, raft_kv::Peer::kv);
        let pairs = engine.iter().filter_map(|(key, value)| {
            let (_, key) = raft_kv::keys::user_key(key)?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Some((text(key), text(value)))
        });
        PeerState {
            id,
            up: raft.is_some(),
            failure: node.failure().map(ToOwned::to_owned),
            role: raft.map(|_| describe::role(role)),
            term: state.term,
            vote: state.vote,
            leader: raft.map_or(0, raft_core::Raft::leader),
            committed: state.commit,
            applied: raft.map_or(0, |raft| raft.log().applied()),
            last_index: raft.map_or(0, |raft| raft.log().last_index()),
            log: entries.iter().map(|entry| (entry.index, entry.term)).collect(),
            keys: pairs.collect(),
        }
    });
    nodes.collect()
}
