//! What the page is made of. Each part draws one piece of the [view](crate::view) and compares it
//! by pointer, so that a frame draws only what changed.

mod app;
mod bar;
mod console;
mod events;
mod flight;
mod geometry;
mod log;
mod notices;
mod peer;
mod peers;
mod stage;

pub(crate) use app::App;
pub(crate) use app::AppProps;

/// The class that gives something the colour of its term. The number is always written beside it.
fn term_class(term: u64) -> &'static str {
    const CLASSES: [&str; 8] = ["t0", "t1", "t2", "t3", "t4", "t5", "t6", "t7"];
    let hue = usize::try_from(term % 8).unwrap_or_default();
    CLASSES[hue]
}
