//! The ring of peers, their links, and the messages between them.

use yew::prelude::*;

use super::flight::{flight, loss};
use super::geometry::{SIZE, place};
use super::peer::peer;
use crate::view::{Link, Shared, StageView};

#[derive(Properties, PartialEq)]
pub(super) struct StageProps {
    pub(super) view: Shared<StageView>,
    pub(super) selected: Option<u64>,
    pub(super) on_select: Callback<u64>,
}

/// The stage.
#[component]
pub(super) fn Stage(props: &StageProps) -> Html {
    let StageProps { view, selected, on_select } = props;
    let count = view.peers.len();
    let peers = view
        .peers
        .iter()
        .map(|view| peer(view, count, *selected == Some(view.id), on_select.clone()));
    html! {
        <svg
            class="stage"
            viewBox={format!("0 0 {} {}", SIZE.0, SIZE.1)}
            role="group"
            aria-label="Stage: the peers and the messages between them"
        >
            <defs>
                <pattern
                    id="hatch" width="7" height="7" patternUnits="userSpaceOnUse"
                    patternTransform="rotate(45)"
                >
                    <rect class="hatch-ground" width="7" height="7" />
                    <rect class="hatch-line" width="2.5" height="7" />
                </pattern>
            </defs>
            <g aria-hidden="true">{ for view.links.iter().map(|link_view| link(*link_view, count)) }</g>
            <g>{ for peers }</g>
            <g aria-hidden="true">{ for view.flights.iter().map(|view| flight(view, count)) }</g>
            <g aria-hidden="true">{ for view.losses.iter().map(|view| loss(view, count)) }</g>
        </svg>
    }
}

/// A line, broken in the middle if nothing gets through.
fn link(link: Link, count: usize) -> Html {
    let (a, b) = (place(link.a, count), place(link.b, count));
    let part = |from: f64, to: f64| {
        let at = |share: f64| (a.x + (b.x - a.x) * share, a.y + (b.y - a.y) * share);
        let ((x1, y1), (x2, y2)) = (at(from), at(to));
        format!("M{x1:.1} {y1:.1} L{x2:.1} {y2:.1}")
    };
    if link.cut {
        html! { <path class="link cut" d={format!("{} {}", part(0.0, 0.42), part(0.58, 1.0))} /> }
    } else {
        html! { <path class="link" d={part(0.0, 1.0)} /> }
    }
}
