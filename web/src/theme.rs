//! Light and dark.

use web_sys::window;

/// Where the choice is kept.
const KEY: &str = "raft-playground-theme";

/// The theme in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Theme {
    dark: bool,
}

impl Theme {
    /// What the person chose last, else what the system prefers.
    pub(crate) fn preferred() -> Self {
        let theme = Self { dark: chosen().unwrap_or_else(system_is_dark) };
        theme.show();
        theme
    }

    /// Whether it is the dark one.
    pub(crate) fn is_dark(self) -> bool {
        self.dark
    }

    /// The other one, from now on.
    pub(crate) fn toggle(&mut self) {
        self.dark = !self.dark;
        self.show();
        if let Some(storage) = window().and_then(|window| window.local_storage().ok().flatten()) {
            // Where nothing may be kept, the choice lasts as long as the page.
            let _ = storage.set_item(KEY, self.name());
        }
    }

    fn name(self) -> &'static str {
        if self.dark { "dark" } else { "light" }
    }

    fn show(self) {
        let root = window().and_then(|window| window.document()?.document_element());
        if let Some(root) = root {
            let _ = root.set_attribute("data-theme", self.name());
        }
    }
}

fn chosen() -> Option<bool> {
    let storage = window()?.local_storage().ok()??;
    match storage.get_item(KEY).ok()??.as_str() {
        "dark" => Some(true),
        "light" => Some(false),
        _ => None,
    }
}

fn system_is_dark() -> bool {
    let query = window().and_then(|w| w.match_media("(prefers-color-scheme: dark)").ok().flatten());
    query.is_some_and(|query| query.matches())
}
