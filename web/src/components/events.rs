//! What happened, latest first.

use yew::prelude::*;

use crate::view::{EventLine, Events, Shared, Weight};

#[derive(Properties, PartialEq)]
pub(super) struct EventsProps {
    pub(super) view: Shared<Events>,
    /// The selected peer, whose lines are marked.
    pub(super) selected: Option<u64>,
}

/// The event log.
#[component]
pub(super) fn EventLog(props: &EventsProps) -> Html {
    let show_details = use_state(|| false);
    let toggle = {
        let show_details = show_details.clone();
        Callback::from(move |_: Event| show_details.set(!*show_details))
    };
    let shown = |line: &EventLine| *show_details || line.weight > Weight::Detail;
    let lines = props.view.lines.iter().filter(|line| shown(line));
    let class = |line: &EventLine| {
        let important = (line.weight == Weight::Important).then_some("important");
        let of_selected =
            (props.selected.is_some() && line.peer == props.selected).then_some("mine");
        classes!(important, of_selected)
    };
    html! {
        <section class="panel events" aria-labelledby="events-title">
            <div class="panel-head">
                <h2 id="events-title">{ "Events" }</h2>
                <label class="check">
                    <input type="checkbox" checked={*show_details} onchange={toggle} />
                    { "Details" }
                </label>
            </div>
            <ol class="event-lines" reversed=true tabindex="0" aria-label="Events, latest first">
                { for lines.map(|line| html! {
                    <li key={line.number} class={class(line)} title={line.in_etcds_words.clone()}>
                        <time>{ format_ms(line.at_us) }</time>
                        <span>{ &line.text }</span>
                    </li>
                }) }
            </ol>
        </section>
    }
}

/// Virtual time in seconds with milliseconds, which is what heartbeats and elections are made of.
pub(super) fn format_ms(at_us: u64) -> String {
    format!("{}.{:03}", at_us / 1_000_000, at_us / 1_000 % 1_000)
}
