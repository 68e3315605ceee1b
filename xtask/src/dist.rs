//! `cargo xtask dist`: the page as it is published.

use std::path::PathBuf;

use anyhow::Result;

use crate::node;
use crate::project::{Project, shown};
use crate::rust;
use crate::sh;
use crate::tools;

/// Builds the release page into `dist/` and prints the size of every file.
///
/// # Errors
/// A tool is missing and cannot be installed, or the build fails.
pub(crate) fn dist(project: &Project) -> Result<()> {
    let dir = build(project)?;
    // Node's zlib knows gzip and brotli; node is here, since npm has just brought wasm-opt.
    let script = project.root.join("xtask").join("sizes.mjs");
    println!("\n{}", shown(&dir));
    sh::run_quietly(sh::command(node::ensure()?.node, &project.root).arg(script).arg(&dir))
}

/// Builds the release page and returns its folder. The end-to-end tests run against it, so that
/// what is tested is what is published.
///
/// # Errors
/// A tool is missing and cannot be installed, or the build fails.
pub(crate) fn build(project: &Project) -> Result<PathBuf> {
    rust::ensure_target(project, rust::WASM)?;
    let tools = [tools::trunk(), tools::wasm_bindgen(project)?, tools::wasm_opt()];
    let tool_dirs = tools::ensure(project, &tools)?;
    let dir = project.root.join("dist");
    let mut trunk = tools::trunk_command(project, &tool_dirs, "build")?;
    sh::run(trunk.args(["--release", "--locked", "--dist"]).arg(&dir))?;
    Ok(dir)
}
