//! The bar on top: time, speed, checks, and whether anything is kept.

use web_sys::HtmlSelectElement;
use yew::prelude::*;

use crate::pace::SPEEDS;
use crate::session::Action;
use crate::view::{BarView, Shared};

#[derive(Properties, PartialEq)]
pub(super) struct BarProps {
    pub(super) view: Shared<BarView>,
    pub(super) dark: bool,
    pub(super) on_action: Callback<Action>,
    pub(super) on_theme: Callback<()>,
}

/// The bar.
#[component]
pub(super) fn Bar(props: &BarProps) -> Html {
    let view = &props.view;
    let theme = props.on_theme.reform(|_: MouseEvent| ());
    let theme_label = if props.dark { "Light theme" } else { "Dark theme" };
    html! {
        <header class="bar">
            <h1>{ "Raft playground" }</h1>
            { transport(view, &props.on_action) }
            <output class="clock" aria-label="Virtual time in seconds">
                { format!("{}.{:03} s", view.now_ms / 1_000, view.now_ms % 1_000) }
            </output>
            { checks(view) }
            { keeping(view) }
            <span class="seed" title="Seed of this run">{ format!("seed {}", view.seed) }</span>
            <span class="spring" />
            <ResetButton on_action={props.on_action.clone()} />
            <button class="icon" onclick={theme} aria-label={theme_label} title={theme_label}>
                { if props.dark { "☀" } else { "☾" } }
            </button>
        </header>
    }
}

fn transport(view: &BarView, on_action: &Callback<Action>) -> Html {
    let running = view.running;
    let play = on_action.reform(move |_: MouseEvent| Action::SetRunning(!running));
    let event = on_action.reform(|_: MouseEvent| Action::StepEvent);
    let tick = on_action.reform(|_: MouseEvent| Action::StepTick);
    let speed = on_action.reform(|event: Event| {
        let wanted = event.target_dyn_into::<HtmlSelectElement>().map(|select| select.value());
        Action::SetSpeed(wanted.and_then(|value| value.parse().ok()).unwrap_or(1.0))
    });
    html! {
        <div class="transport" role="group" aria-label="Time">
            <button class="primary play" onclick={play} title="Space">
                { if running { "Pause" } else { "Play" } }
            </button>
            <button onclick={event} title="Handle the next event (→)">{ "Step event" }</button>
            <button onclick={tick} title="Run for one tick (Shift →)">{ "Step tick" }</button>
            <label class="speed">
                <span class="sr-only">{ "Speed" }</span>
                <select onchange={speed} title="Virtual seconds per second ([ and ])">
                    { for SPEEDS.iter().map(|&speed| html! {
                        <option
                            value={speed.to_string()}
                            selected={(speed - view.speed).abs() < f64::EPSILON}
                        >
                            { speed_label(speed) }
                        </option>
                    }) }
                </select>
            </label>
            <span class={classes!("slowed", view.slowed.then_some("on"))} role="status">
                { if view.slowed { "slowed" } else { "" } }
            </span>
        </div>
    }
}

fn speed_label(speed: f64) -> String {
    if speed < 1.0 { format!("1/{}×", 1.0 / speed) } else { format!("{speed}×") }
}

fn checks(view: &BarView) -> Html {
    match &view.violation {
        None => html! {
            <span class="badge ok" title="Election safety, log matching, leader completeness, state machine safety and monotonicity, checked after every event">
                { "✓ rules hold" }
            </span>
        },
        Some(violation) => html! {
            <strong class="badge broken" role="alert">{ format!("✗ {violation}") }</strong>
        },
    }
}

fn keeping(view: &BarView) -> Html {
    if view.saved {
        html! {
            <span class="badge" title="Every peer's disk is kept by this browser. Closing the tab is a power cut">
                { "saved" }
            </span>
        }
    } else {
        html! {
            <span class="badge memory" title="Nothing is kept: closing the tab ends this cluster">
                { "memory only" }
            </span>
        }
    }
}

#[derive(Properties, PartialEq)]
struct ResetProps {
    on_action: Callback<Action>,
}

/// Asks once more before it throws everything away.
#[component]
fn ResetButton(props: &ResetProps) -> Html {
    let asking = use_state(|| false);
    let ask = |ask: bool| {
        let asking = asking.clone();
        Callback::from(move |_: MouseEvent| asking.set(ask))
    };
    if !*asking {
        return html! { <button onclick={ask(true)}>{ "Reset…" }</button> };
    }
    let reset = {
        let (asking, on_action) = (asking.clone(), props.on_action.clone());
        Callback::from(move |_: MouseEvent| {
            asking.set(false);
            on_action.emit(Action::Reset);
        })
    };
    html! {
        <span class="confirm" role="group" aria-label="Throw this cluster away?">
            <button class="danger" onclick={reset}>{ "Throw cluster away" }</button>
            <button onclick={ask(false)}>{ "Keep" }</button>
        </span>
    }
}
