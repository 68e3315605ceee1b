//! The key-value console: a form to ask, and the history of answers.

use raft_sim::{Command, Op};
use web_sys::{HtmlInputElement, HtmlSelectElement};
use yew::prelude::*;

use crate::session::Action;
use crate::view::{RequestLine, RequestState, Shared};

/// The operations by name.
const OPERATIONS: [&str; 4] = ["put", "get", "delete", "scan"];

#[derive(Properties, PartialEq)]
pub(super) struct ConsoleProps {
    pub(super) requests: Shared<Vec<RequestLine>>,
    pub(super) peers: u64,
    pub(super) on_action: Callback<Action>,
    /// Why the last request was not sent.
    pub(super) problem: Option<String>,
}

/// The console.
#[component]
pub(super) fn Console(props: &ConsoleProps) -> Html {
    html! {
        <section class="panel console" aria-labelledby="console-title">
            <h2 id="console-title">{ "Key-value console" }</h2>
            <Form peers={props.peers} on_action={props.on_action.clone()} />
            if let Some(problem) = &props.problem {
                <p class="problem" role="alert">{ problem }</p>
            }
            <History requests={props.requests.clone()} />
        </section>
    }
}

#[derive(Properties, PartialEq)]
struct FormProps {
    peers: u64,
    on_action: Callback<Action>,
}

/// The form. It is not drawn again with each frame, so that typing, and input methods that build a
/// character from several keys, are left in peace.
#[component]
fn Form(props: &FormProps) -> Html {
    let operation = use_state(|| OPERATIONS[0]);
    let (key, value, target) = (use_node_ref(), use_node_ref(), use_node_ref());
    let choose = {
        let operation = operation.clone();
        Callback::from(move |event: Event| {
            let chosen = event.target_dyn_into::<HtmlSelectElement>().map(|s| s.value());
            let known = OPERATIONS.into_iter().find(|name| chosen.as_deref() == Some(name));
            operation.set(known.unwrap_or(OPERATIONS[0]));
        })
    };
    let submit = {
        let (operation, on_action) = (*operation, props.on_action.clone());
        let (key, value, target) = (key.clone(), value.clone(), target.clone());
        Callback::from(move |event: SubmitEvent| {
            event.prevent_default();
            let text = |input: &NodeRef| {
                input.cast::<HtmlInputElement>().map(|input| input.value()).unwrap_or_default()
            };
            let op = op(operation, text(&key), text(&value));
            let to = target.cast::<HtmlSelectElement>().and_then(|s| s.value().parse().ok());
            on_action.emit(Action::Command(Command::Request { client: 0, op, to }));
        })
    };
    let (key_label, value_label) = match *operation {
        "scan" => ("From key", "To key"),
        "put" => ("Key", "Value"),
        _ => ("Key", ""),
    };
    html! {
        <form class="ask" onsubmit={submit}>
            <label>
                <span>{ "Operation" }</span>
                <select onchange={choose}>
                    { for OPERATIONS.iter().map(|name| html! {
                        <option value={*name} selected={*name == *operation}>{ *name }</option>
                    }) }
                </select>
            </label>
            <label>
                <span>{ key_label }</span>
                <input ref={key} maxlength="64" autocomplete="off" spellcheck="false" value="" />
            </label>
            <label class={value_label.is_empty().then_some("gone")}>
                <span>{ value_label }</span>
                <input
                    ref={value} maxlength="1024" autocomplete="off" spellcheck="false" value=""
                    disabled={value_label.is_empty()}
                />
            </label>
            <label>
                <span>{ "Ask" }</span>
                <select ref={target}>
                    <option value="" selected=true>{ "the leader" }</option>
                    { for (1..=props.peers).map(|peer| html! {
                        <option value={peer.to_string()}>{ format!("peer {peer} only") }</option>
                    }) }
                </select>
            </label>
            <button class="primary" type="submit">{ "Send" }</button>
        </form>
    }
}

fn op(operation: &str, key: String, value: String) -> Op {
    match operation {
        "get" => Op::Get { key },
        "delete" => Op::Delete { key },
        "scan" => Op::Scan { start: key, end: value, limit: 0 },
        _ => Op::Put { key, value },
    }
}

#[derive(Properties, PartialEq)]
struct HistoryProps {
    requests: Shared<Vec<RequestLine>>,
}

#[component]
fn History(props: &HistoryProps) -> Html {
    if props.requests.is_empty() {
        return html! {
            <p class="hint">
                { "Put a key, then crash the leader and get it back: any majority has it." }
            </p>
        };
    }
    html! {
        <ol class="history" reversed=true tabindex="0" aria-label="Requests, latest first">
            { for props.requests.iter().map(line) }
        </ol>
    }
}

fn line(request: &RequestLine) -> Html {
    let (mark, class) = match request.state {
        RequestState::Waiting => ("…", "waiting"),
        RequestState::Saving => ("⭳", "saving"),
        RequestState::Done => ("✓", "done"),
        RequestState::Refused => ("✗", "refused"),
        RequestState::Unknown => ("?", "unknown"),
    };
    let attempts = match request.attempts {
        0 | 1 => format!("n{}", request.target),
        attempts => format!("n{}, try {attempts}", request.target),
    };
    let latency = request.latency_ms.map(|ms| format!("{ms} ms")).unwrap_or_default();
    html! {
        <li key={request.id} {class}>
            <span class="mark" aria-hidden="true">{ mark }</span>
            <span class="op">{ &request.text }</span>
            <span class="result">{ &request.result }</span>
            <span class="where">{ attempts }</span>
            <span class="latency">{ latency }</span>
        </li>
    }
}
