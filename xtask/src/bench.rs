//! `cargo xtask bench`: the core next to raft-rs, or as wasm next to itself.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::node;
use crate::packages::Package;
use crate::project::Project;
use crate::rust;
use crate::sh;
use crate::world;

/// raft-rs builds its messages with it, if they are prost's.
const PROTOC: Package = Package {
    name: "protoc",
    debian: &["protobuf-compiler"],
    lines: &[
        ("apt-get", "sudo apt-get install -y protobuf-compiler"),
        ("dnf", "sudo dnf install -y protobuf-compiler"),
        ("pacman", "sudo pacman -S protobuf"),
        ("brew", "brew install protobuf"),
        ("winget", "winget install Google.Protobuf"),
    ],
};

/// Runs the benchmark with these options. A bare `--wasm` builds what it measures; `--prost` gives
/// raft-rs the codec that the core has; `--world` measures the simulator instead.
///
/// # Errors
/// What is missing cannot be installed, or the benchmark fails.
pub(crate) fn bench(project: &Project, args: &[String]) -> Result<()> {
    let mut args = args.to_vec();
    if let Some(position) = args.iter().position(|arg| arg == "--world") {
        args.remove(position);
        return world::bench(project, &args);
    }
    let mut features = &["--features", "protobuf-codec"];
    if let Some(position) = args.iter().position(|arg| arg == "--prost") {
        args.remove(position);
        PROTOC.ensure(|| sh::which("protoc"))?;
        features = &["--features", "prost-codec"];
    }
    let wasm = args.iter().position(|arg| arg == "--wasm");
    if let Some(position) = wasm {
        node::ensure()?;
        let pump = build_pump(project)?;
        args.insert(position + 1, pump.display().to_string());
    }
    let run = |program: &str| {
        let mut cargo = project.cargo();
        cargo.args(["run", "--release", "--quiet", "-p", "raft-bench", "--no-default-features"]);
        sh::run(cargo.args(features).args(["--bin", program, "--"]).args(&args))
    };
    run("raft-bench")?;
    let all = wasm.is_none() && !args.iter().any(|arg| arg == "--help" || arg == "-h");
    if all { run("counts") } else { Ok(()) }
}

/// The pump of the benchmark as wasm: the core and as little else as possible.
fn build_pump(project: &Project) -> Result<PathBuf> {
    rust::ensure_target(project, rust::WASM)?;
    let mut cargo = project.cargo();
    cargo.args(["build", "--release", "--target", rust::WASM, "-p", "raft-bench"]);
    sh::run(cargo.args(["--bin", "pump"]))?;
    Ok(project.target_dir().join(rust::WASM).join("release").join("pump.wasm"))
}

/// The core compiled to wasm must need nothing from outside: no clock, no randomness, no I/O.
///
/// # Errors
/// It imports something, or cannot be built.
pub(crate) fn check_imports(project: &Project) -> Result<()> {
    let file = build_pump(project)?;
    let wasm = fs::read(&file).with_context(|| format!("{} cannot be read", file.display()))?;
    let imports = imports(&wasm).with_context(|| format!("{} is no wasm", file.display()))?;
    if imports > 0 {
        bail!("the core as wasm imports {imports} things; it must not import any");
    }
    Ok(())
}

/// How many things a wasm module imports; none if it is no module.
fn imports(wasm: &[u8]) -> Option<u32> {
    const IMPORT_SECTION: u8 = 2;
    let mut rest = wasm.strip_prefix(b"\0asm\x01\0\0\0")?;
    while let Some((&id, after_id)) = rest.split_first() {
        let (size, body) = number(after_id)?;
        let (section, next) = body.split_at_checked(usize::try_from(size).ok()?)?;
        if id == IMPORT_SECTION {
            return Some(number(section)?.0);
        }
        rest = next;
    }
    Some(0)
}

/// An unsigned number in LEB128, and what follows it.
fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let mut value = 0u32;
    for (position, &byte) in bytes.iter().enumerate().take(5) {
        value |= u32::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Some((value, bytes.get(position + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn module(sections: &[&[u8]]) -> Vec<u8> {
        [b"\0asm\x01\0\0\0".as_slice()].iter().chain(sections).flat_map(|s| s.to_vec()).collect()
    }

    #[test]
    fn imports_are_counted() {
        assert_eq!(imports(&module(&[])), Some(0));
        // A type section of one byte, then two imports.
        let two = [2, 15, 2, 1, b'a', 1, b'b', 0, 0, 1, b'a', 1, b'c', 0, 0, 0, 0];
        assert_eq!(imports(&module(&[&[1, 1, 0], &two])), Some(2));
        assert_eq!(imports(&module(&[&[1, 1, 0], &[3, 1, 0]])), Some(0));
    }

    #[test]
    fn what_is_no_module_is_told_apart() {
        assert_eq!(imports(b"<html>"), None);
        assert_eq!(imports(&module(&[&[1, 200, 1, 0]])), None);
        assert_eq!(imports(&module(&[&[1, 0x80]])), None);
    }
}
