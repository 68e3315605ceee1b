//! How fast the busy run goes with every checker on, natively or in a browser. Not a test of speed,
//! which no shared machine can promise: a measurement to look at. `cargo xtask bench --world` makes
//! it in both places and compares.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may panic")]
#![allow(clippy::cast_precision_loss, reason = "to look at")]

use raft_sim::trial::{Load, busy};

#[cfg(target_arch = "wasm32")]
wasm_bindgen_test::wasm_bindgen_test_configure!(run_in_browser);

/// That of the page.
#[cfg(target_arch = "wasm32")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

/// Seeds of a measurement, unless `RAFT_BUSY_SEEDS` says otherwise where this is compiled: a browser
/// has no environment.
const SEEDS: &str = match option_env!("RAFT_BUSY_SEEDS") {
    Some(seeds) => seeds,
    None => "20",
};

/// Milliseconds since some moment.
#[cfg(target_arch = "wasm32")]
fn now_ms() -> f64 {
    js_sys::Date::now()
}

/// Milliseconds since some moment.
#[cfg(not(target_arch = "wasm32"))]
fn now_ms() -> f64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap().as_secs_f64() * 1e3
}

#[cfg(target_arch = "wasm32")]
fn say(line: &str) {
    wasm_bindgen_test::console_log!("{line}");
}

#[cfg(not(target_arch = "wasm32"))]
fn say(line: &str) {
    println!("{line}");
}

/// A line of JSON with the same names as `raft-sim bench --json`.
#[cfg_attr(not(target_arch = "wasm32"), test)]
#[cfg_attr(target_arch = "wasm32", wasm_bindgen_test::wasm_bindgen_test)]
#[ignore = "a measurement"]
fn how_fast_the_busy_run_goes() {
    let (trial, mut load) = (busy(), Load::default());
    let start = now_ms();
    for seed in 0..SEEDS.parse().unwrap() {
        load.add(trial.run(seed).unwrap());
    }
    let wall_s = (now_ms() - start) / 1e3;
    assert!(load.batch.failures.is_empty(), "{:?}", load.batch.failures);
    let figures = serde_json::json!({
        "virtual_seconds_per_second": load.loaded_us as f64 / 1e6 / wall_s,
        "events_per_second": load.batch.events as f64 / wall_s,
        "seeds": load.batch.seeds,
        "wall_seconds": wall_s,
        "digest": format!("{:016x}", load.digest),
    });
    say(&figures.to_string());
}
