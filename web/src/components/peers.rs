//! The peers as a table, with what can be done to each. The stage's twin in text.

use std::collections::BTreeSet;

use raft_core::describe;
use raft_sim::Command;
use yew::prelude::*;

use super::term_class;
use crate::session::Action;
use crate::view::{PeerView, Power, Shared, StageView};

#[derive(Properties, PartialEq)]
pub(super) struct PeersProps {
    pub(super) view: Shared<StageView>,
    pub(super) selected: Option<u64>,
    /// The peers of one side of the next partition.
    pub(super) side: BTreeSet<u64>,
    pub(super) on_select: Callback<u64>,
    pub(super) on_side: Callback<u64>,
    pub(super) on_action: Callback<Action>,
}

/// The peers and the partition tool.
#[component]
pub(super) fn Peers(props: &PeersProps) -> Html {
    let cut = props.view.links.iter().any(|link| link.cut);
    let can_cut = !props.side.is_empty() && props.side.len() < props.view.peers.len();
    let cut_off = {
        let groups = vec![props.side.iter().copied().collect()];
        props.on_action.reform(move |_: MouseEvent| {
            Action::Command(Command::Partition { groups: groups.clone() })
        })
    };
    let heal = props.on_action.reform(|_: MouseEvent| Action::Command(Command::Heal));
    html! {
        <section class="panel peers" aria-labelledby="peers-title">
            <h2 id="peers-title">{ "Peers" }</h2>
            <div class="scroll" tabindex="0" role="region" aria-label="Table of peers">
                <table>
                    <thead>
                        <tr>
                            <th scope="col">{ "Peer" }</th>
                            <th scope="col">{ "Role" }</th>
                            <th scope="col">{ "Term" }</th>
                            <th scope="col" class="detail">{ "Vote" }</th>
                            <th scope="col" class="detail">{ "Commit" }</th>
                            <th scope="col" class="detail">{ "Applied" }</th>
                            <th scope="col">{ "Last" }</th>
                            <th scope="col">{ "Cut off" }</th>
                            <th scope="col"><span class="sr-only">{ "Actions" }</span></th>
                        </tr>
                    </thead>
                    <tbody>{ for props.view.peers.iter().map(|peer| row(peer, props)) }</tbody>
                </table>
            </div>
            <p class="tools">
                <button onclick={cut_off} disabled={!can_cut}>{ "Cut off the ticked peers" }</button>
                <button onclick={heal} disabled={!cut}>{ "Heal all links" }</button>
            </p>
        </section>
    }
}

fn row(peer: &PeerView, props: &PeersProps) -> Html {
    let id = peer.id;
    let up = peer.power == Power::Up;
    let value = |number: u64| if up { number.to_string() } else { "–".into() };
    let role = match &peer.power {
        Power::Up => describe::role(peer.role),
        Power::Down => "down",
        Power::Failed(_) => "stopped",
    };
    let command = if up { Command::Crash { peer: id } } else { Command::Restart { peer: id } };
    let power = props.on_action.reform(move |event: MouseEvent| {
        event.stop_propagation();
        Action::Command(command.clone())
    });
    let select = props.on_select.reform(move |_: MouseEvent| id);
    let tick = props.on_side.reform(move |_: Event| id);
    let class = (props.selected == Some(id)).then_some("selected");
    html! {
        <tr key={id} {class} onclick={select}>
            <th scope="row">{ id }</th>
            <td class={classes!("role", role)} title={failure(peer)}>{ role }</td>
            <td>
                <span class={classes!("term", up.then(|| term_class(peer.term)))}>
                    { value(peer.term) }
                </span>
            </td>
            <td class="detail">{ if peer.vote == 0 { "–".into() } else { value(peer.vote) } }</td>
            <td class="detail">{ value(peer.committed) }</td>
            <td class="detail">{ value(peer.applied) }</td>
            <td>{ value(peer.last) }</td>
            <td>
                <label class="tick" onclick={|event: MouseEvent| event.stop_propagation()}>
                    <input
                        type="checkbox"
                        aria-label={format!("Put peer {id} on the cut-off side")}
                        checked={props.side.contains(&id)}
                        onchange={tick}
                    />
                </label>
            </td>
            <td>
                <button class="power" onclick={power}>
                    { if up { "Crash" } else { "Restart" } }
                    <span class="sr-only">{ format!(" peer {id}") }</span>
                </button>
            </td>
        </tr>
    }
}

fn failure(peer: &PeerView) -> Option<String> {
    match &peer.power {
        Power::Failed(reason) => Some(reason.clone()),
        Power::Up | Power::Down => None,
    }
}
