//! A message on its way, drawn by its type: the shape tells it, the colour tells its term.

use yew::prelude::*;

use super::geometry::on_the_way;
use super::term_class;
use crate::view::{FlightView, Loss, Shape};

/// A message on its way.
pub(super) fn flight(view: &FlightView, peers: usize) -> Html {
    let at = on_the_way(view.from, view.to, view.progress, peers);
    let kind = if view.answer.is_some() { "answer" } else { "request" };
    html! {
        <g
            key={view.id}
            class={classes!("flight", kind, term_class(view.term))}
            transform={format!("translate({:.1} {:.1})", at.x, at.y)}
        >
            <title>{ &view.text }</title>
            { shape(view) }
        </g>
    }
}

fn shape(view: &FlightView) -> Html {
    match (view.shape, view.answer) {
        (Shape::Entries | Shape::Probe, None) => html! {
            <>
                <rect x="-11" y="-8" width="22" height="16" rx="4" />
                <text dy="4">{ view.entries }</text>
            </>
        },
        (Shape::Entries | Shape::Probe, Some(accepted)) => html! {
            <>
                <rect x="-9" y="-7" width="18" height="14" rx="4" />
                { sign(accepted) }
            </>
        },
        (Shape::Heartbeat, _) => html! { <circle r="4.5" /> },
        (Shape::Vote, answer) => html! {
            <>
                <path d="M0 -11 L11 8 L-11 8 Z" />
                { answer.map(sign).unwrap_or_default() }
            </>
        },
        (Shape::Snapshot, _) => html! {
            <>
                <rect x="-8" y="-10" width="18" height="14" rx="2" />
                <rect x="-11" y="-6" width="18" height="14" rx="2" />
            </>
        },
        (Shape::TimeoutNow, _) => html! { <path d="M3 -11 L-7 2 L-1 2 L-3 11 L7 -2 L1 -2 Z" /> },
        (Shape::Other, _) => html! { <path d="M0 -8 L8 0 L0 8 L-8 0 Z" /> },
    }
}

fn sign(accepted: bool) -> Html {
    html! { <text dy="4">{ if accepted { "+" } else { "−" } }</text> }
}

/// The cross where a message was lost.
pub(super) fn loss(view: &Loss, peers: usize) -> Html {
    let at = on_the_way(view.from, view.to, view.progress, peers);
    html! {
        <path
            class="loss"
            transform={format!("translate({:.1} {:.1})", at.x, at.y)}
            d="M-6 -6 L6 6 M6 -6 L-6 6"
        />
    }
}
