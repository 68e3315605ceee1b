//! One peer on the stage.

use raft_core::{StateRole, describe};
use yew::prelude::*;

use super::geometry::{PEER_RADIUS, dash, place};
use super::term_class;
use crate::view::{Cell, PeerView, Power};

/// Radius of the timer arc.
const TIMER_RADIUS: f64 = PEER_RADIUS + 6.0;
/// Side of a cell in the strip of log entries.
const CELL: f64 = 10.0;

/// The peer in one sentence, for screen readers and tooltips.
pub(super) fn sentence(peer: &PeerView) -> String {
    let id = peer.id;
    match &peer.power {
        Power::Down => format!("Peer {id}, down"),
        Power::Failed(reason) => format!("Peer {id}, stopped: {reason}"),
        Power::Up => {
            let (role, term, last) = (describe::role(peer.role), peer.term, peer.last);
            let committed = peer.committed;
            format!("Peer {id}, {role}, term {term}, log ends at {last}, committed {committed}")
        }
    }
}

/// The peer with its timer, its vote or crown, and the end of its log.
pub(super) fn peer(view: &PeerView, count: usize, selected: bool, select: Callback<u64>) -> Html {
    let at = place(view.id, count);
    let id = view.id;
    let up = view.power == Power::Up;
    let role = if up { describe::role(view.role) } else { "down" };
    let onclick = select.reform(move |_: MouseEvent| id);
    let onkeydown = Callback::from(move |event: KeyboardEvent| {
        if matches!(event.key().as_str(), "Enter" | " ") {
            event.prevent_default();
            event.stop_propagation();
            select.emit(id);
        }
    });
    html! {
        <g
            key={id}
            class={classes!("peer", role, up.then(|| term_class(view.term)), selected.then_some("selected"))}
            transform={format!("translate({:.1} {:.1})", at.x, at.y)}
        >
            // The button's label says it all, and better than the drawing read aloud.
            <g aria-hidden="true">
                <circle class="focus-ring" r={(TIMER_RADIUS + 7.0).to_string()} />
                <circle class="disc" r={PEER_RADIUS.to_string()} />
                if up {
                    { timer(view) }
                    { role_mark(view) }
                    <text class="peer-id" dy="3">{ id }</text>
                    <text class="peer-term" dy="20">{ format!("term {}", view.term) }</text>
                } else {
                    <path class="cross" d="M-22 -22 L22 22 M22 -22 L-22 22" />
                    <text class="peer-id" dy="3">{ id }</text>
                    <text class="peer-term" dy="20">{ "down" }</text>
                }
                { strip(view) }
                if view.writing {
                    <g class="disk" transform="translate(31 -31)">
                        <circle r="8" />
                        <path d="M-4 -1 L0 3 L4 -1 M0 -5 L0 3" />
                    </g>
                }
            </g>
            <circle
                class="hit"
                r={(TIMER_RADIUS + 7.0).to_string()}
                role="button"
                tabindex="0"
                aria-pressed={selected.to_string()}
                aria-label={sentence(view)}
                {onclick}
                {onkeydown}
            />
        </g>
    }
}

/// The arc that empties until the peer campaigns, or a leader beats.
fn timer(view: &PeerView) -> Html {
    html! {
        <>
            <circle class="timer-track" r={TIMER_RADIUS.to_string()} />
            <circle
                class="timer"
                r={TIMER_RADIUS.to_string()}
                transform="rotate(-90)"
                stroke-dasharray={dash(TIMER_RADIUS, view.timer)}
            />
        </>
    }
}

fn role_mark(view: &PeerView) -> Html {
    match view.role {
        StateRole::Leader => html! {
            <>
                <circle class="inner-ring" r={(PEER_RADIUS - 4.0).to_string()} />
                <path class="crown" d="M-11 -13 L-13 -25 L-6 -19 L0 -27 L6 -19 L13 -25 L11 -13 Z" />
            </>
        },
        StateRole::PreCandidate | StateRole::Candidate => vote_dots(view),
        StateRole::Follower if view.vote != 0 => html! {
            <text class="vote" dy="-15">{ format!("vote {}", view.vote) }</text>
        },
        StateRole::Follower => Html::default(),
    }
}

/// One dot a peer: granted is filled, refused is crossed, not answered is hollow. What is still on
/// its way is not known to the candidate and not shown.
fn vote_dots(view: &PeerView) -> Html {
    #[expect(clippy::cast_precision_loss, reason = "at most nine peers")]
    let offset = (view.votes.len() as f64 - 1.0) / 2.0;
    let dots = view.votes.iter().enumerate().map(|(position, (_, answer))| {
        #[expect(clippy::cast_precision_loss, reason = "at most nine peers")]
        let x = (position as f64 - offset) * 9.0;
        let class = match answer {
            Some(true) => "granted",
            Some(false) => "refused",
            None => "open",
        };
        html! {
            <g class={classes!("vote-dot", class)} transform={format!("translate({x:.1} -17)")}>
                <circle r="3.5" />
                if *answer == Some(false) {
                    <path d="M-2.5 -2.5 L2.5 2.5 M2.5 -2.5 L-2.5 2.5" />
                }
            </g>
        }
    });
    html! { <>{ for dots }</> }
}

/// The last log entries, in the colours of their terms.
fn strip(view: &PeerView) -> Html {
    #[expect(clippy::cast_precision_loss, reason = "at most eight cells")]
    let left = -(view.strip.len() as f64) * CELL / 2.0;
    let cells = view.strip.iter().enumerate().map(|(position, cell)| {
        #[expect(clippy::cast_precision_loss, reason = "at most eight cells")]
        let x = left + position as f64 * CELL;
        html! {
            <rect
                class={cell_class(cell)}
                x={format!("{x:.1}")}
                y="47"
                width={(CELL - 1.5).to_string()}
                height={(CELL - 1.5).to_string()}
            />
        }
    });
    html! { <g class="strip">{ for cells }</g> }
}

/// How a log cell is drawn, here and in the log table.
pub(super) fn cell_class(cell: &Cell) -> Classes {
    classes!(
        "cell",
        term_class(cell.term),
        cell.committed.then_some("committed"),
        cell.applied.then_some("applied"),
        (!cell.stable).then_some("unstable"),
    )
}
