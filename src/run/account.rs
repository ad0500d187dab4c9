//! The account of a run: what was copied against what is there, and the summary that is printed.

use super::clock::Clock;
use super::options::Options;
use super::{Context, finish, memory};
use crate::error::{Error, Kind, Result};
use crate::model::details::Details;
use crate::model::event::{LedgerLine, Summary, TableSummary};
use crate::model::plan::{Level, Plan, Remark};
use crate::model::range::Range;
use crate::postgres::control::DoneRange;
use std::collections::HashMap;

/// Every key was copied exactly once.
pub fn check_ranges(plan: &Plan, done: &HashMap<String, Vec<DoneRange>>) -> Result<()> {
    for table in &plan.tables {
        let ranges = done.get(&table.target).map_or(&[][..], Vec::as_slice);
        if !Range::tile_all(&ranges.iter().map(|d| d.range).collect::<Vec<_>>()) {
            return Err(Error::new(Kind::Bug, format!("the ranges of `{}` do not hold every key once", table.target))
                .state("the run is not marked as done")
                .hint("`--restart` begins again; please report this"));
        }
    }
    Ok(())
}

/// The rows that COPY acknowledged are there.
pub fn check_counts(
    plan: &Plan,
    done: &HashMap<String, Vec<DoneRange>>,
    counts: &[u64],
    options: &Options,
) -> Result<()> {
    for (table, &there) in plan.tables.iter().zip(counts) {
        let ranges = done.get(&table.target).map_or(&[][..], Vec::as_slice);
        let sent: u64 = ranges.iter().map(|d| d.rows).sum();
        // A table that was there may have held rows, and a conflict policy may have left rows out.
        let shared = table.existing && !options.truncate;
        if there == sent || (shared && there > 0) || (shared && sent == 0) {
            continue;
        }
        return Err(Error::new(Kind::Failed, format!("`{}` does not hold the rows that were copied", table.target))
            .fact(format!("{sent} rows were acknowledged, {there} are there"))
            .state("the run is not marked as done")
            .hint("did something else write to the target? `--restart` begins again"));
    }
    Ok(())
}

/// One line a table, in the plan's order.
pub fn table_summaries(
    plan: &Plan,
    done: &HashMap<String, Vec<DoneRange>>,
    counts: &[u64],
    index_ms: &finish::IndexMs,
    remarks: &[Remark],
) -> Vec<TableSummary> {
    let of = |t: usize| {
        let table = &plan.tables[t];
        let ranges = done.get(&table.target).map_or(&[][..], Vec::as_slice);
        let is_about = |r: &&Remark| {
            r.level == Level::Warning
                && (r.object == table.source || r.object.starts_with(&format!("{}.", table.source)))
        };
        TableSummary {
            table: table.target.clone(),
            rows: counts[t],
            bytes: ranges.iter().map(|d| d.bytes).sum(),
            copy_ms: ranges.iter().map(|d| d.ms).sum(),
            index_ms: index_ms.get(&t).copied().unwrap_or(0),
            warnings: remarks.iter().filter(is_about).count(),
        }
    };
    (0..plan.tables.len()).map(of).collect()
}

/// The whole account.
pub fn summary(
    context: &Context<'_>,
    plan: &Plan,
    remarks: Vec<Remark>,
    tables: Vec<TableSummary>,
    ledger: Vec<LedgerLine>,
    snapshot: String,
    clock: Clock<'_>,
) -> Result<Summary> {
    let ms = clock.ms();
    let phases = clock.spent();
    let details = Details {
        source: context.options.source.display().to_string(),
        fingerprint: context.fingerprint.to_owned(),
        target: context.target.to_owned(),
        server: context.control.server_info()?.version,
        started_at: clock.started_at(),
        plan: plan.clone(),
        timeline: clock.into_spans(),
        settings: context.options.told(),
    };
    Ok(Summary {
        run: Some(context.run.to_string()),
        finished_before: false,
        resumed: false,
        tables,
        phases,
        remarks,
        ledger: ledger.into_iter().map(|line| with_real_keys(plan, line)).collect(),
        rejects: Vec::new(),
        checks: Vec::new(),
        parity: Vec::new(),
        backups: Vec::new(),
        ms,
        verification: None,
        peak_memory_bytes: memory::peak_bytes(),
        snapshot,
        details,
    })
}

// Rows of a table that is not read by an integer key are told by their number, which nobody can look up.
fn with_real_keys(plan: &Plan, line: LedgerLine) -> LedgerLine {
    let table = plan.tables.iter().find(|t| t.target == line.table);
    if table.is_some_and(|t| t.row_key.is_integer()) { line } else { LedgerLine { keys: Vec::new(), ..line } }
}
