//! The logs side by side, as a table.

use yew::prelude::*;

use super::peer::cell_class;
use crate::view::{Lane, LogView, Shared};

#[derive(Properties, PartialEq)]
pub(super) struct LogProps {
    pub(super) view: Shared<LogView>,
    pub(super) selected: Option<u64>,
    pub(super) on_select: Callback<u64>,
}

/// The logs.
#[component]
pub(super) fn Log(props: &LogProps) -> Html {
    let view = &props.view;
    html! {
        <section class="panel log" aria-labelledby="log-title">
            <h2 id="log-title">{ "Log" }</h2>
            <div class="scroll" tabindex="0" role="region" aria-label="Log entries">
                <table class="log-table">
                    <thead>
                        <tr>
                            <th scope="col">{ "Peer" }</th>
                            { for (view.first..=view.last).map(|index| html! {
                                <th scope="col" class="index">{ index }</th>
                            }) }
                        </tr>
                    </thead>
                    <tbody>{ for view.lanes.iter().map(|lane_view| lane(lane_view, view, props)) }</tbody>
                </table>
            </div>
            { legend() }
        </section>
    }
}

fn lane(lane: &Lane, view: &LogView, props: &LogProps) -> Html {
    let peer = lane.peer;
    let onclick = props.on_select.reform(move |_: MouseEvent| peer);
    let columns = (view.first..=view.last).zip(&lane.cells).map(|(index, cell)| {
        let matched = lane.matched == Some(index) && !lane.leader;
        let next = lane.next == Some(index) && !lane.leader;
        html! {
            <td class={classes!(matched.then_some("matched"), next.then_some("next"))}>
                if let Some(cell) = cell {
                    <span class={cell_class(cell)} title={describe(cell)}>{ cell.term }</span>
                } else {
                    <span class="cell empty" />
                }
            </td>
        }
    });
    let class = classes!(
        (!lane.up).then_some("down"),
        (props.selected == Some(peer)).then_some("selected")
    );
    html! {
        <tr key={peer} {class} {onclick}>
            <th scope="row">
                { peer }
                if lane.leader { <span class="tag" title="Leader">{ "♛" }</span> }
                if !lane.up { <span class="tag" title="Down: the lane shows its disk">{ "✕" }</span> }
            </th>
            { for columns }
        </tr>
    }
}

fn describe(cell: &crate::view::Cell) -> String {
    let progress = match (cell.applied, cell.committed) {
        (true, _) => "applied",
        (false, true) => "committed",
        (false, false) => "not committed",
    };
    let disk = if cell.stable { "on disk" } else { "not on disk yet" };
    format!("Entry {} of term {}: {progress}, {disk}", cell.index, cell.term)
}

fn legend() -> Html {
    html! {
        <ul class="legend" aria-label="Legend">
            <li><span class="cell t6 unstable">{ "6" }</span>{ "not on disk" }</li>
            <li><span class="cell t6">{ "6" }</span>{ "not committed" }</li>
            <li><span class="cell t6 committed">{ "6" }</span>{ "committed" }</li>
            <li><span class="cell t6 committed applied">{ "6" }</span>{ "applied" }</li>
            <li><span class="sample matched" />{ "leader knows it matches" }</li>
            <li><span class="sample next" />{ "leader sends next" }</li>
        </ul>
    }
}
