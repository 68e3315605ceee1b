//! Options and output.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use raft_bench::rows::{self, Effort, Row};
use raft_bench::work;

const HELP: &str = "\
Usage: cargo xtask bench [options]

  --json       one JSON object a row
  --quick      a tenth of the work, for a first look
  --prost      raft-rs with the codec prost, as the core has it (through `cargo xtask bench`)
  --wasm FILE  compare the pump as wasm with native code instead (`cargo xtask bench --wasm`
               builds the file)
";

struct Options {
    json: bool,
    quick: bool,
    wasm: Option<PathBuf>,
}

pub(crate) fn run() -> Result<()> {
    let Some(options) = parse(std::env::args().skip(1))? else {
        print!("{HELP}");
        return Ok(());
    };
    if let Some(file) = &options.wasm {
        return tell(&options, &wasm(file)?);
    }
    let effort = if options.quick {
        Effort { rounds: 3, scale: 0.1 }
    } else {
        Effort { rounds: 11, scale: 1.0 }
    };
    let mut result = Ok(());
    rows::measure(effort, |row| {
        if result.is_ok() {
            result = tell(&options, &row);
        }
    });
    result
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Option<Options>> {
    let mut options = Options { json: false, quick: false, wasm: None };
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--json" => options.json = true,
            "--quick" => options.quick = true,
            "--wasm" => options.wasm = Some(args.next().context("--wasm needs a file")?.into()),
            "--help" | "-h" => return Ok(None),
            other => bail!("no option `{other}`\n\n{HELP}"),
        }
    }
    Ok(Some(options))
}

fn tell(options: &Options, row: &Row) -> Result<()> {
    let mut out = std::io::stdout().lock();
    if options.json {
        writeln!(out, "{}", row.json())?;
    } else {
        writeln!(out, "{row}")?;
    }
    Ok(out.flush()?)
}

/// The same load as wasm, in node, and natively.
fn wasm(file: &std::path::Path) -> Result<Row> {
    const SCRIPT: &str = "
        const bytes = require('fs').readFileSync(process.argv[1]);
        const module = new WebAssembly.Module(bytes);
        const times = [];
        for (let round = 0; round < 7; round++) {
            const { exports } = new WebAssembly.Instance(module, {});
            const start = process.hrtime.bigint();
            exports.main(0, 0);
            times.push(Number(process.hrtime.bigint() - start));
        }
        console.log(times.sort((a, b) => a - b)[3]);
    ";
    let mut native = Vec::new();
    for _ in 0..7 {
        let start = Instant::now();
        work::wasm_load();
        native.push(start.elapsed().as_nanos() as f64);
    }
    native.sort_by(f64::total_cmp);
    let output = Command::new("node").args(["-e", SCRIPT]).arg(file).output();
    let output = output.context("node cannot be run")?;
    if !output.status.success() {
        bail!("the pump failed as wasm:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    let wasm: f64 = String::from_utf8(output.stdout)?.trim().parse()?;
    let pieces = 2.0 * work::WASM_COMMITS as f64;
    let name = "commit, 5 nodes, 256 B: wasm against native".into();
    Ok(Row { name, unit: "ns", ours: wasm / pieces, peer: native[3] / pieces })
}
