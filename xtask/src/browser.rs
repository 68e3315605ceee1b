//! The browser that the tests run in, and its driver.

use std::env;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, anyhow};

use crate::packages::Package;
use crate::project::Project;
use crate::rust;
use crate::sh;
use crate::tools;

const BROWSER: Package = Package {
    name: "Chromium with chromedriver",
    debian: &["chromium", "chromium-driver"],
    lines: &[
        // Where there is snap, it is Ubuntu, and the packages have other names.
        ("snap", "sudo apt-get install -y chromium-browser chromium-chromedriver"),
        ("apt-get", "sudo apt-get install -y chromium chromium-driver"),
        ("dnf", "sudo dnf install -y chromium chromedriver"),
        ("pacman", "sudo pacman -S chromium"),
        ("brew", "brew install --cask google-chrome chromedriver"),
        ("winget", "winget install Google.Chrome Chromium.ChromeDriver"),
    ],
};

const BROWSERS: [&str; 4] =
    ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const MAC_CHROME: &str = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome";

/// Chromium (or Chrome) and the program that remote-controls it.
#[derive(Debug)]
pub(crate) struct Browser {
    /// The browser itself, for the end-to-end tests.
    pub(crate) chromium: PathBuf,
    /// chromedriver, for the tests that are compiled to wasm.
    pub(crate) driver: PathBuf,
}

/// Finds both, installing them first where that is possible.
///
/// # Errors
/// One is missing and cannot be installed here; the message holds the line to type.
pub(crate) fn ensure() -> Result<Browser> {
    BROWSER.ensure(find).map_err(|error| anyhow!("{error:#} (or leave it out: --no-browser)"))
}

/// Lets the tests that cargo compiles to wasm run in Chromium.
///
/// # Errors
/// What is missing cannot be installed.
pub(crate) fn drive(project: &Project, cargo: &mut Command) -> Result<()> {
    let browser = ensure()?;
    rust::ensure_target(project, rust::WASM)?;
    let runner_dir = tools::wasm_bindgen(project)?.ensure(project)?;
    let runner = sh::executable(&runner_dir, "wasm-bindgen-test-runner");
    let capabilities = project.root.join("tests").join("browser").join("webdriver.json");
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER", runner);
    cargo.env("CHROMEDRIVER", browser.driver);
    cargo.env("WASM_BINDGEN_TEST_WEBDRIVER_JSON", capabilities);
    // Seconds; the default of 20 is short for a busy machine with two cores.
    cargo.env("WASM_BINDGEN_TEST_TIMEOUT", "300");
    Ok(())
}

fn find() -> Option<Browser> {
    Some(Browser { chromium: chromium()?, driver: driver()? })
}

/// `CHROMIUM`, else the first one on `PATH`.
fn chromium() -> Option<PathBuf> {
    let installed = || {
        let mac = Some(PathBuf::from(MAC_CHROME)).filter(|path| path.is_file());
        BROWSERS.iter().find_map(|name| sh::which(name)).or(mac)
    };
    named_by("CHROMIUM").or_else(installed)
}

/// `CHROMEDRIVER`, else the one on `PATH`, else the one in the folder `CHROMEWEBDRIVER` names, as
/// it does on GitHub's machines.
fn driver() -> Option<PathBuf> {
    let in_folder = || {
        let dir = PathBuf::from(env::var_os("CHROMEWEBDRIVER")?);
        Some(sh::executable(&dir, "chromedriver")).filter(|path| path.is_file())
    };
    named_by("CHROMEDRIVER").or_else(|| sh::which("chromedriver")).or_else(in_folder)
}

fn named_by(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
}
