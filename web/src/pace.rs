//! How virtual time follows real time: a fixed-step accumulator behind `requestAnimationFrame`.
//!
//! A frame tells how much real time has passed; the pace says up to which virtual microsecond the
//! world may run. A gap (a hidden tab, a laptop that slept) counts as one short frame: nobody wants
//! to miss an election.

/// The longest gap between two frames that counts, in milliseconds.
const GAP_MAX_MS: f64 = 100.0;
/// Virtual time advances in steps of this many microseconds, whatever the frame rate.
const STEP_US: u64 = 1_000;

/// Virtual seconds per real second, slowest first.
pub const SPEEDS: [f64; 10] = [1.0 / 64.0, 1.0 / 16.0, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 16.0, 64.0];
/// Slow enough to see messages travel, fast enough to see an election within seconds.
const DEFAULT_SPEED: usize = 3;

/// The relation of virtual to real time.
#[derive(Clone, Debug, PartialEq)]
pub struct Pace {
    running: bool,
    speed: usize,
    last_frame_ms: Option<f64>,
    /// Virtual time that is owed but is less than a step.
    owed_us: f64,
    /// The machine did not keep up in the last frame.
    slowed: bool,
}

impl Pace {
    /// Runs, or stands still, at the default speed.
    pub fn new(running: bool) -> Self {
        Self { running, speed: DEFAULT_SPEED, last_frame_ms: None, owed_us: 0.0, slowed: false }
    }

    /// Whether virtual time passes.
    pub fn is_running(&self) -> bool {
        self.running
    }

    /// Starts or stops virtual time.
    pub fn set_running(&mut self, running: bool) {
        self.running = running;
        self.forget_gap();
    }

    /// The time since the last frame must not count: the page was hidden.
    pub fn forget_gap(&mut self) {
        self.last_frame_ms = None;
        self.owed_us = 0.0;
        self.slowed = false;
    }

    /// Virtual seconds per real second.
    pub fn speed(&self) -> f64 {
        SPEEDS[self.speed]
    }

    /// Sets the speed to the nearest one there is.
    pub fn set_speed(&mut self, wanted: f64) {
        let distance = |speed: f64| (speed.ln() - wanted.max(f64::MIN_POSITIVE).ln()).abs();
        let nearest =
            (0..SPEEDS.len()).min_by(|&a, &b| distance(SPEEDS[a]).total_cmp(&distance(SPEEDS[b])));
        self.speed = nearest.unwrap_or(DEFAULT_SPEED);
    }

    /// One speed up or down.
    pub fn change_speed(&mut self, faster: bool) {
        let next = if faster { self.speed + 1 } else { self.speed.saturating_sub(1) };
        self.speed = next.min(SPEEDS.len() - 1);
    }

    /// Whether the machine could not keep up with the speed.
    pub fn is_slowed(&self) -> bool {
        self.slowed
    }

    /// The machine did, or did not, reach the time that the last frame asked for. What was missed
    /// is dropped: to run after it would only make it worse.
    pub fn set_slowed(&mut self, slowed: bool) {
        self.slowed = slowed;
    }

    /// A frame begins at `frame_ms` of the browser's clock. Returns how far the world may go, in
    /// microseconds: a multiple of the fixed step.
    pub fn frame(&mut self, frame_ms: f64) -> u64 {
        let last = self.last_frame_ms.replace(frame_ms);
        if !self.running {
            return 0;
        }
        let Some(last) = last else { return 0 };
        let passed_ms = (frame_ms - last).clamp(0.0, GAP_MAX_MS);
        self.owed_us += passed_ms * 1_000.0 * self.speed();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bounded above"
        )]
        let steps = self.owed_us as u64 / STEP_US;
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
        let used_us = (steps * STEP_US) as f64;
        self.owed_us -= used_us;
        steps * STEP_US
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(pace: &mut Pace, frames_ms: &[f64]) -> u64 {
        frames_ms.iter().map(|&at| pace.frame(at)).sum()
    }

    #[test]
    fn one_real_second_is_a_quarter_virtual_second_at_any_frame_rate() {
        for rate in [30, 60, 144] {
            let mut pace = Pace::new(true);
            let frames: Vec<f64> =
                (0..=rate).map(|n| f64::from(n) * 1_000.0 / f64::from(rate)).collect();
            let us = run(&mut pace, &frames);
            assert!((249_000..=250_000).contains(&us), "{us} at {rate} Hz");
        }
    }

    #[test]
    fn steps_are_whole_and_nothing_is_lost_between_them() {
        let mut pace = Pace::new(true);
        pace.set_speed(1.0 / 64.0);
        let frames: Vec<f64> = (0..=640).map(|n| f64::from(n) * 10.0).collect();
        assert!(frames.iter().all(|&at| pace.frame(at).is_multiple_of(STEP_US)));
        assert_eq!(run(&mut Pace { speed: 0, ..Pace::new(true) }, &frames), 100_000);
    }

    #[test]
    fn a_gap_counts_as_one_short_frame_and_time_never_runs_back() {
        let mut pace = Pace::new(true);
        pace.set_speed(1.0);
        assert_eq!(run(&mut pace, &[0.0, 3_600_000.0]), 100_000);
        assert_eq!(pace.frame(1_000.0), 0);
    }

    #[test]
    fn a_pause_stops_time_and_leaves_no_debt() {
        let mut pace = Pace::new(true);
        pace.set_speed(1.0);
        pace.frame(0.0);
        pace.set_running(false);
        assert_eq!(run(&mut pace, &[10.0, 20.0]), 0);
        pace.set_running(true);
        assert_eq!(run(&mut pace, &[5_000.0, 5_010.0]), 10_000);
    }

    #[test]
    fn speeds_have_ends_and_a_wish_gets_the_nearest() {
        let mut pace = Pace::new(true);
        for _ in 0..20 {
            pace.change_speed(true);
        }
        assert!((pace.speed() - 64.0).abs() < f64::EPSILON);
        for _ in 0..20 {
            pace.change_speed(false);
        }
        assert!((pace.speed() - 1.0 / 64.0).abs() < f64::EPSILON);
        pace.set_speed(3.0);
        assert!((pace.speed() - 4.0).abs() < f64::EPSILON);
        pace.set_speed(-1.0);
        assert!((pace.speed() - 1.0 / 64.0).abs() < f64::EPSILON);
    }
}
