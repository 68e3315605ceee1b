//! The playground page: five Raft peers in a browser.
//!
//! ```text
//! address ─ launch ─► session ─► playground ─► world (raft-sim)
//!                       │  ▲          │
//!            window.raft ─┘           └─► view ─► components (yew)
//!                       └─► disk (IndexedDB)
//! ```
//!
//! The page draws and asks; it decides nothing about Raft.

mod api;
mod components;
pub mod disk;
mod frames;
pub mod launch;
pub mod pace;
pub mod playground;
mod session;
mod theme;
pub mod view;

use std::rc::Rc;

use components::{App, AppProps};
use launch::Launch;
use session::Session;

/// Starts the page.
pub fn run() {
    wasm_bindgen_futures::spawn_local(async {
        let query = web_sys::window().and_then(|window| window.location().search().ok());
        let launch = Launch::parse(&query.unwrap_or_default());
        match Session::open(&launch).await {
            Ok(session) => show(session),
            // The scenario is the page's own, so this is a fault of the program.
            Err(error) => fail(&error.to_string()),
        }
    });
}

fn show(session: Rc<Session>) {
    let root = web_sys::window().and_then(|window| window.document()?.get_element_by_id("app"));
    let Some(root) = root else { return fail("the page has no place for the app") };
    // The loading message has served.
    root.set_text_content(None);
    api::install(&session);
    yew::Renderer::<App>::with_root_and_props(root, AppProps { session }).render();
}

/// The page's own script shows errors that nobody handles.
fn fail(reason: &str) {
    js_sys::Reflect::get(&js_sys::global(), &"reportError".into())
        .ok()
        .and_then(|report| wasm_bindgen::JsCast::dyn_into::<js_sys::Function>(report).ok())
        .map(|report| report.call1(&js_sys::global(), &js_sys::Error::new(reason).into()));
}
