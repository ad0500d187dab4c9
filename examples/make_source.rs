//! Writes a source database to play with: `cargo run --release --example make_source -- shop demo.db --scale 1`.
//!
//! A tool for developers, the demo and the benchmarks. What the sources hold stands in `fixtures/generate.rs`.

#[path = "../fixtures/generate.rs"]
mod generate;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use generate::{Result, Source};

/// Write a source database: shop, bench, wide, blobs or that of a pipeline, or the one that a SQL file describes.
#[derive(Parser)]
struct Args {
    /// `shop`, `bench`, `wide`, `blobs`, `agent-platform`, `conversation-state`, `tenant-consolidation`, or the path of a SQL file (fixtures/types.sql)
    source: String,
    /// The file to write; it must not exist yet
    out: PathBuf,
    /// Multiplies the number of rows
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let start = Instant::now();
    match write(&args) {
        Ok(bytes) => {
            let (out, seconds) = (args.out.display(), start.elapsed().as_secs_f64());
            eprintln!("{out}: {} at scale {}, {:.1} MB in {seconds:.1} s", args.source, args.scale, bytes as f64 / 1e6);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns the size of the file.
fn write(args: &Args) -> Result<u64> {
    match Source::ALL.iter().find(|(name, _)| *name == args.source) {
        Some((_, source)) => source.write(&args.out, args.scale)?,
        None if Path::new(&args.source).extension().is_some_and(|ext| ext == "sql") => {
            let sql = std::fs::read_to_string(&args.source).map_err(|e| format!("`{}`: {e}", args.source))?;
            generate::write_sql(&args.out, &sql)?;
        }
        None => {
            let known = Source::ALL.map(|(name, _)| name).join(", ");
            return Err(format!("no source `{}`\n\nhint: {known}, or a path that ends in .sql", args.source).into());
        }
    }
    Ok(std::fs::metadata(&args.out)?.len())
}
