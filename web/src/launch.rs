//! What the address asks for: `?seed=42&paused=1&memory=1&speed=0.5`.

/// How the page was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Launch {
    /// Run a cluster of its own from this seed, in memory: a link never touches what is saved.
    pub seed: Option<u64>,
    /// Keep nothing.
    pub memory: bool,
    /// Begin standing still.
    pub paused: bool,
    /// Virtual seconds per real second.
    pub speed: Option<f64>,
}

impl Launch {
    /// Reads the query part of an address. What is unknown or does not parse is left out; the page
    /// then opens as without it.
    pub fn parse(query: &str) -> Self {
        let mut launch = Self::default();
        for pair in query.trim_start_matches('?').split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, "1"));
            match name {
                "seed" => launch.seed = value.parse().ok(),
                "memory" => launch.memory = value == "1",
                "paused" => launch.paused = value == "1",
                "speed" => {
                    launch.speed = value.parse().ok().filter(|speed: &f64| speed.is_finite());
                }
                _ => {}
            }
        }
        launch
    }

    /// Whether the saved cluster stays untouched.
    pub fn in_memory(&self) -> bool {
        self.memory || self.seed.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_read_and_a_seed_means_memory() {
        let launch = Launch::parse("?seed=42&paused=1&speed=0.5");
        let expected =
            Launch { seed: Some(42), paused: true, speed: Some(0.5), ..Launch::default() };
        assert_eq!(launch, expected);
        assert!(launch.in_memory());
        assert!(Launch::parse("?memory").in_memory());
    }

    #[test]
    fn nonsense_is_as_good_as_nothing() {
        for query in
            ["", "?", "?seed=", "?seed=-1", "?seed=99999999999999999999", "?speed=inf", "&&=="]
        {
            assert_eq!(Launch::parse(query), Launch::default(), "{query}");
        }
    }
}
