//! What happened, latest first.

use yew::prelude::*;

use crate::view::{Events, Shared};

#[derive(Properties, PartialEq)]
pub(super) struct EventsProps {
    pub(super) view: Shared<Events>,
}

/// The event log.
#[component]
pub(super) fn EventLog(props: &EventsProps) -> Html {
    let show_heartbeats = use_state(|| false);
    let toggle = {
        let show_heartbeats = show_heartbeats.clone();
        Callback::from(move |_: Event| show_heartbeats.set(!*show_heartbeats))
    };
    let lines = props.view.lines.iter().filter(|line| *show_heartbeats || !line.heartbeat);
    html! {
        <section class="panel events" aria-labelledby="events-title">
            <div class="panel-head">
                <h2 id="events-title">{ "Events" }</h2>
                <label class="check">
                    <input type="checkbox" checked={*show_heartbeats} onchange={toggle} />
                    { "Heartbeats" }
                </label>
            </div>
            <ol class="event-lines" reversed=true tabindex="0" aria-label="Events, latest first">
                { for lines.map(|line| html! {
                    <li key={line.number} class={line.important.then_some("important")}>
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
