//! The browser's frames: one reused callback behind `requestAnimationFrame`.

use std::cell::RefCell;
use std::rc::Rc;

use wasm_bindgen::prelude::*;

/// Frames that are remembered.
const REMEMBERED: usize = 600;

/// What the browser calls before a repaint, with the frame's time in milliseconds.
type FrameCallback = Closure<dyn FnMut(f64)>;

/// Milliseconds on the browser's monotonic clock.
pub(crate) fn now_ms() -> f64 {
    performance().map_or(0.0, |performance| performance.now())
}

fn performance() -> Option<web_sys::Performance> {
    web_sys::window()?.performance()
}

/// Calls `on_frame` before every repaint, for as long as the page lives. The browser calls no
/// frames while the page is hidden; `on_hidden` is called when that begins.
pub(crate) fn start(on_frame: impl FnMut(f64) + 'static, on_hidden: impl Fn() + 'static) {
    let callback: Rc<RefCell<Option<FrameCallback>>> = Rc::default();
    let again = Rc::clone(&callback);
    let mut on_frame = on_frame;
    *callback.borrow_mut() = Some(Closure::new(move |frame_ms| {
        request(again.borrow().as_ref());
        on_frame(frame_ms);
    }));
    request(callback.borrow().as_ref());
    watch_visibility(on_hidden);
}

fn request(callback: Option<&FrameCallback>) {
    if let (Some(window), Some(callback)) = (web_sys::window(), callback) {
        // It fails only when the page is being torn down: then there are no frames to miss.
        let _ = window.request_animation_frame(callback.as_ref().unchecked_ref());
    }
}

fn watch_visibility(on_hidden: impl Fn() + 'static) {
    let Some(document) = web_sys::window().and_then(|window| window.document()) else { return };
    let target = document.clone();
    let listener = Closure::<dyn Fn()>::new(move || {
        if document.hidden() {
            on_hidden();
        }
    });
    let function = listener.as_ref().unchecked_ref();
    let _ = target.add_event_listener_with_callback("visibilitychange", function);
    // It lives as long as the page.
    listener.forget();
}

/// Script time of the last frames.
#[derive(Clone, Debug, Default)]
pub(crate) struct FrameTimes {
    times_ms: Vec<f64>,
    next: usize,
}

impl FrameTimes {
    /// A frame took this long.
    pub(crate) fn add(&mut self, time_ms: f64) {
        if self.times_ms.len() < REMEMBERED {
            self.times_ms.push(time_ms);
        } else {
            self.times_ms[self.next] = time_ms;
        }
        self.next = (self.next + 1) % REMEMBERED;
    }

    /// Number of frames that are remembered.
    pub(crate) fn count(&self) -> usize {
        self.times_ms.len()
    }

    /// The time that `share` of the frames, of 1, did not exceed; 0 without frames.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let mut sorted = self.times_ms.clone();
        sorted.sort_by(f64::total_cmp);
        #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
        let position = (sorted.len() as f64 * share).ceil() - 1.0;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let position = position.max(0.0) as usize;
        sorted.get(position).copied().unwrap_or(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_last_frames() {
        let mut times = FrameTimes::default();
        assert!(times.percentile(0.5).abs() < f64::EPSILON);
        for time in 1..=1_200 {
            times.add(f64::from(time));
        }
        assert_eq!(times.count(), REMEMBERED);
        assert!((times.percentile(0.5) - 900.0).abs() < f64::EPSILON);
        assert!((times.percentile(0.95) - 1_170.0).abs() < f64::EPSILON);
    }
}
