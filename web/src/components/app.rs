//! The page: it holds what a person has chosen, and the latest view of the cluster.

use std::collections::BTreeSet;
use std::rc::Rc;

use raft_sim::Command;
use wasm_bindgen::JsCast;
use wasm_bindgen::prelude::*;
use web_sys::HtmlElement;
use yew::prelude::*;

use super::bar::Bar;
use super::console::Console;
use super::events::{EventLog, format_ms};
use super::log::Log;
use super::notices::Notices;
use super::peer::sentence;
use super::peers::Peers;
use super::stage::Stage;
use crate::disk::Options;
use crate::frames;
use crate::session::{Action, Notice, Remedy, Session};
use crate::theme::Theme;
use crate::view::{Power, View};

/// The page's only property.
#[derive(Properties)]
pub(crate) struct AppProps {
    /// The cluster.
    pub(crate) session: Rc<Session>,
}

impl PartialEq for AppProps {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.session, &other.session)
    }
}

/// What changes the page.
pub(crate) enum Msg {
    /// A frame begins.
    Frame(f64),
    /// The cluster changed otherwise.
    Changed,
    /// A person does something to the cluster.
    Act(Action),
    /// A person selects a peer, or lets it go.
    Select(Option<u64>),
    /// A person puts a peer on the side to cut off, or takes it from there.
    Side(u64),
    /// A person presses a key.
    Key(KeyboardEvent),
    /// A person chooses a remedy.
    Remedy(Notice),
    /// A person has read a notice.
    Dismiss(Notice),
    /// A person changes the theme.
    Theme,
}

/// The page.
pub(crate) struct App {
    view: View,
    notices: Vec<Notice>,
    selected: Option<u64>,
    side: BTreeSet<u64>,
    problem: Option<String>,
    theme: Theme,
    frame_began_ms: Option<f64>,
    callbacks: Callbacks,
}

/// Made once: a new callback would make every part draw itself again.
struct Callbacks {
    action: Callback<Action>,
    select: Callback<u64>,
    side: Callback<u64>,
    remedy: Callback<Notice>,
    dismiss: Callback<Notice>,
    theme: Callback<()>,
}

impl Component for App {
    type Message = Msg;
    type Properties = AppProps;

    fn create(ctx: &Context<Self>) -> Self {
        let link = ctx.link();
        let session = &ctx.props().session;
        let changed = link.callback(|()| Msg::Changed);
        session.on_change(Rc::new(move || changed.emit(())));
        let frame = link.callback(Msg::Frame);
        let hidden = Rc::clone(session);
        frames::start(move |frame_ms| frame.emit(frame_ms), move || hidden.forget_gap());
        listen_to_keys(link.callback(Msg::Key));
        Self {
            view: session.look(View::new),
            notices: session.notices(),
            selected: None,
            side: BTreeSet::new(),
            problem: None,
            theme: Theme::preferred(),
            frame_began_ms: None,
            callbacks: Callbacks {
                action: link.callback(Msg::Act),
                select: link.callback(|peer| Msg::Select(Some(peer))),
                side: link.callback(Msg::Side),
                remedy: link.callback(Msg::Remedy),
                dismiss: link.callback(Msg::Dismiss),
                theme: link.callback(|()| Msg::Theme),
            },
        }
    }

    fn update(&mut self, ctx: &Context<Self>, msg: Msg) -> bool {
        let session = &ctx.props().session;
        match msg {
            Msg::Frame(frame_ms) => {
                let began_ms = frames::now_ms();
                session.frame(frame_ms);
                let changed = self.refresh(session);
                if changed {
                    // The frame ends when it is drawn.
                    self.frame_began_ms = Some(began_ms);
                } else {
                    session.times().borrow_mut().add(frames::now_ms() - began_ms);
                }
                return changed;
            }
            Msg::Changed => return self.refresh(session),
            Msg::Act(action) => self.act(session, action),
            Msg::Select(peer) => {
                // Selecting what is selected lets it go.
                self.selected = peer.filter(|_| self.selected != peer);
            }
            Msg::Side(peer) => {
                if !self.side.remove(&peer) {
                    self.side.insert(peer);
                }
            }
            Msg::Key(event) => return self.key(ctx, &event),
            Msg::Remedy(notice) => remedy(session, &notice),
            Msg::Dismiss(notice) => session.dismiss(&notice),
            Msg::Theme => self.theme.toggle(),
        }
        true
    }

    fn view(&self, ctx: &Context<Self>) -> Html {
        let view = &self.view;
        let on = &self.callbacks;
        let peers = view.stage.peers.len() as u64;
        html! {
            <>
                <Bar
                    view={view.bar.clone()} dark={self.theme.is_dark()}
                    on_action={on.action.clone()} on_theme={on.theme.clone()}
                />
                <Notices
                    notices={self.notices.clone()}
                    on_remedy={on.remedy.clone()} on_dismiss={on.dismiss.clone()}
                />
                <main>
                    <div class="column stage-column">
                        <Stage
                            view={view.stage.clone()} selected={self.selected}
                            on_select={on.select.clone()}
                        />
                        { self.selection(ctx) }
                        { self.status_line() }
                    </div>
                    <div class="column">
                        <Log
                            view={view.log.clone()} selected={self.selected}
                            on_select={on.select.clone()}
                        />
                        <Peers
                            view={view.stage.clone()} selected={self.selected}
                            side={self.side.clone()} on_select={on.select.clone()}
                            on_side={on.side.clone()} on_action={on.action.clone()}
                        />
                    </div>
                    <div class="column">
                        <Console
                            requests={view.requests.clone()} {peers}
                            on_action={on.action.clone()} problem={self.problem.clone()}
                        />
                        <EventLog view={view.events.clone()} selected={self.selected} />
                    </div>
                </main>
            </>
        }
    }

    fn rendered(&mut self, ctx: &Context<Self>, _first: bool) {
        if let Some(began_ms) = self.frame_began_ms.take() {
            ctx.props().session.times().borrow_mut().add(frames::now_ms() - began_ms);
        }
    }
}

impl App {
    /// Takes over what changed. Returns whether anything did.
    fn refresh(&mut self, session: &Session) -> bool {
        let before = self.view.clone();
        session.look(|playground| self.view.update(playground));
        let notices = session.notices();
        let changed = self.view != before || notices != self.notices;
        self.notices = notices;
        changed
    }

    fn act(&mut self, session: &Session, action: Action) {
        if matches!(action, Action::Command(Command::Partition { .. })) {
            self.side.clear();
        }
        self.problem = session.act(action).err().map(|error| error.to_string());
    }

    /// What can be done to the selected peer, beside the stage. The place is kept when nothing is
    /// selected, so that nothing jumps.
    fn selection(&self, ctx: &Context<Self>) -> Html {
        let peer = self.selected.and_then(|id| self.view.stage.peer(id));
        let Some(peer) = peer else {
            return html! { <p class="selection hint">{ "Select a peer to crash it, or to make it campaign." }</p> };
        };
        let id = peer.id;
        let act = |command: Command| {
            let command = Action::Command(command);
            self.callbacks.action.reform(move |_: MouseEvent| command.clone())
        };
        let close = ctx.link().callback(|_: MouseEvent| Msg::Select(None));
        html! {
            <p class="selection">
                <span>{ sentence(peer) }</span>
                if peer.power == Power::Up {
                    <button onclick={act(Command::Crash { peer: id })}>{ format!("Crash peer {id}") }</button>
                    <button onclick={act(Command::Campaign { peer: id })}>{ "Campaign now" }</button>
                } else {
                    <button onclick={act(Command::Restart { peer: id })}>{ format!("Restart peer {id}") }</button>
                }
                <button class="icon" onclick={close} aria-label="Deselect">{ "×" }</button>
            </p>
        }
    }

    /// The last event worth telling, also for screen readers.
    fn status_line(&self) -> Html {
        let line = self.view.events.headline();
        let text = line.map(|line| format!("{}  {}", format_ms(line.at_us), line.text));
        html! { <p class="status" role="status">{ text.unwrap_or_default() }</p> }
    }

    fn key(&mut self, ctx: &Context<Self>, event: &KeyboardEvent) -> bool {
        if event.ctrl_key() || event.meta_key() || event.alt_key() || event.is_composing() {
            return false;
        }
        let Some(msg) = self.shortcut(&event.key(), event.shift_key(), in_control(event)) else {
            return false;
        };
        event.prevent_default();
        Component::update(self, ctx, msg)
    }

    /// What a key means. In a control the keys that work it keep their meaning.
    fn shortcut(&self, key: &str, shift: bool, in_control: Control) -> Option<Msg> {
        if in_control == Control::Text {
            return None;
        }
        let action = match key {
            " " if in_control == Control::Other => return None,
            " " | "." => Action::SetRunning(!self.view.bar.running),
            "ArrowRight" if shift => Action::StepTick,
            "ArrowRight" => Action::StepEvent,
            "[" => Action::ChangeSpeed { faster: false },
            "]" => Action::ChangeSpeed { faster: true },
            "Escape" => return Some(Msg::Select(None)),
            "x" | "X" => Action::Command(self.power_command()?),
            digit => {
                let peer = digit.parse().ok().filter(|&id| self.view.stage.peer(id).is_some());
                return peer.map(|peer| Msg::Select(Some(peer)));
            }
        };
        Some(Msg::Act(action))
    }

    /// Crash or restart the selected peer.
    fn power_command(&self) -> Option<Command> {
        let peer = self.view.stage.peer(self.selected?)?;
        Some(match peer.power {
            Power::Up => Command::Crash { peer: peer.id },
            Power::Down | Power::Failed(_) => Command::Restart { peer: peer.id },
        })
    }
}

fn remedy(session: &Rc<Session>, notice: &Notice) {
    session.dismiss(notice);
    let options = match notice.remedy {
        Remedy::Dismiss => return,
        Remedy::Reload => {
            if let Some(window) = web_sys::window() {
                let _ = window.location().reload();
            }
            return;
        }
        Remedy::TakeOver => Options { take_over: true, ..Options::default() },
        Remedy::Erase => Options { erase: true, ..Options::default() },
    };
    let session = Rc::clone(session);
    wasm_bindgen_futures::spawn_local(async move { session.open_disk(options).await });
}

/// What has the keyboard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Control {
    /// Nothing that wants keys.
    None,
    /// Something that text is typed into, or that arrows choose from.
    Text,
    /// Something that Space presses.
    Other,
}

fn in_control(event: &KeyboardEvent) -> Control {
    let element = event.target().and_then(|target| target.dyn_into::<HtmlElement>().ok());
    let ticked = element.as_ref().and_then(|element| element.get_attribute("type"));
    if matches!(ticked.as_deref(), Some("checkbox" | "radio")) {
        return Control::Other;
    }
    match element.map(|element| element.tag_name()).as_deref() {
        Some("INPUT" | "TEXTAREA" | "SELECT") => Control::Text,
        Some("BUTTON" | "A") => Control::Other,
        _ => Control::None,
    }
}

fn listen_to_keys(on_key: Callback<KeyboardEvent>) {
    let Some(window) = web_sys::window() else { return };
    let listener = Closure::<dyn Fn(KeyboardEvent)>::new(move |event| on_key.emit(event));
    let function = listener.as_ref().unchecked_ref();
    let _ = window.add_event_listener_with_callback("keydown", function);
    // It lives as long as the page.
    listener.forget();
}
