//! What a report says, for the page and for programs. The shape is documented in docs/report.md and has a version.

use super::html;
use crate::model::check::{Answer, Race};
use crate::model::details::Span;
use crate::model::event::{BackedUp, LedgerLine, Phase, RejectedTable, Summary};
use crate::model::figures::{per_second, plural};
use crate::model::plan::{ColumnPlan, Level, Remark, TablePlan};
use crate::model::verdict::{Level as Depth, Outcome, Verification};
use crate::report::layout::escaped;
use crate::report::verification;
use serde::Serialize;
use serde_json::{Map, Value};

/// The version of the JSON's shape: it changes where a reader of it would have to.
const FORMAT: u32 = 1;

/// A report.
#[derive(Debug, Serialize)]
pub struct Report {
    pub(super) format: u32,
    pub(super) lite2pg: &'static str,
    pub(super) run: Option<String>,
    pub(super) verdict: Verdict,
    pub(super) started_at: String,
    pub(super) ms: u64,
    pub(super) resumed: bool,
    pub(super) finished_before: bool,
    pub(super) peak_memory_bytes: Option<u64>,
    pub(super) source: SourceSide,
    pub(super) target: TargetSide,
    pub(super) totals: Totals,
    pub(super) phases: Vec<Span>,
    pub(super) tables: Vec<TableReport>,
    pub(super) views: Vec<String>,
    pub(super) ledger: Vec<LedgerLine>,
    pub(super) rejects: Vec<RejectedTable>,
    pub(super) verification: Option<Value>,
    pub(super) checks: Vec<Answer>,
    pub(super) parity: Vec<Race>,
    pub(super) backups: Vec<BackedUp>,
    pub(super) remarks: Vec<Remark>,
    pub(super) settings: Map<String, Value>,
}

/// The word on the whole.
#[derive(Debug, Serialize)]
pub struct Verdict {
    pub(super) word: &'static str,
    pub(super) tone: Tone,
    pub(super) sentence: String,
}

/// How the word is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Tone {
    /// Everything that was asked for is so.
    Good,
    /// Something is left to look at.
    Careful,
    /// Something is wrong.
    Bad,
}

#[derive(Debug, Serialize)]
pub(super) struct SourceSide {
    pub path: String,
    pub fingerprint: String,
    pub snapshot: String,
}

#[derive(Debug, Serialize)]
pub(super) struct TargetSide {
    pub url: String,
    pub server: String,
    pub schema: String,
}

#[derive(Debug, Serialize)]
pub(super) struct Totals {
    pub tables: u64,
    pub rows: u64,
    pub bytes: u64,
    pub copy_ms: u64,
    pub rows_per_second: u64,
    pub bytes_per_second: u64,
    pub rewritten_cells: u64,
    pub rejected_rows: u64,
    pub warnings: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct TableReport {
    pub source: String,
    pub target: String,
    pub rows: u64,
    pub bytes: u64,
    /// Time that lanes spent on it, added up.
    pub copy_ms: u64,
    pub rows_per_second: u64,
    pub bytes_per_second: u64,
    pub index_ms: u64,
    pub warnings: u64,
    /// The word of the comparison, where there was one.
    pub verdict: Option<String>,
    pub columns: Vec<ColumnReport>,
    pub primary_key: Option<Vec<String>>,
    pub indexes: Vec<IndexReport>,
    pub checks: Vec<String>,
    pub foreign_keys: Vec<String>,
}

#[derive(Debug, Serialize)]
pub(super) struct ColumnReport {
    pub source: String,
    pub declared: String,
    pub target: String,
    #[serde(rename = "type")]
    pub pg_type: String,
    pub not_null: bool,
    pub why: String,
}

#[derive(Debug, Serialize)]
pub(super) struct IndexReport {
    pub name: String,
    pub unique: bool,
    pub terms: String,
    pub condition: Option<String>,
}

impl Report {
    /// The report of a run.
    #[must_use]
    pub fn of(summary: &Summary) -> Self {
        let details = &summary.details;
        let copy_ms = summary.phases.iter().find(|(phase, _)| *phase == Phase::Copy).map_or(0, |(_, ms)| *ms);
        let rows: u64 = summary.tables.iter().map(|t| t.rows).sum();
        let bytes: u64 = summary.tables.iter().map(|t| t.bytes).sum();
        let rate = |n: u64| if copy_ms == 0 { 0 } else { per_second(n, copy_ms) };
        let settings = details.settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into()));
        Self {
            format: FORMAT,
            lite2pg: env!("CARGO_PKG_VERSION"),
            run: summary.run.clone(),
            verdict: verdict(summary),
            started_at: details.started_at.clone(),
            ms: summary.ms,
            resumed: summary.resumed,
            finished_before: summary.finished_before,
            peak_memory_bytes: summary.peak_memory_bytes,
            source: SourceSide {
                path: details.source.clone(),
                fingerprint: details.fingerprint.clone(),
                snapshot: summary.snapshot.clone(),
            },
            target: TargetSide {
                url: details.target.clone(),
                server: details.server.clone(),
                schema: details.plan.schema.clone(),
            },
            totals: Totals {
                tables: summary.tables.len() as u64,
                rows,
                bytes,
                copy_ms,
                rows_per_second: rate(rows),
                bytes_per_second: rate(bytes),
                rewritten_cells: summary.ledger.iter().map(|l| l.cells).sum(),
                rejected_rows: summary.rejects.iter().map(|r| r.rows).sum(),
                warnings: summary.remarks.iter().filter(|r| r.level == Level::Warning).count() as u64,
            },
            phases: details.timeline.clone(),
            tables: details.plan.tables.iter().enumerate().map(|(t, plan)| table(summary, t, plan)).collect(),
            views: details.plan.views.iter().map(|v| v.target.clone()).collect(),
            ledger: summary.ledger.clone(),
            rejects: summary.rejects.clone(),
            verification: summary.verification.as_ref().map(verification::value),
            checks: summary.checks.clone(),
            parity: summary.parity.clone(),
            backups: summary.backups.clone(),
            remarks: summary.remarks.clone(),
            settings: settings.collect(),
        }
    }

    /// The report as one JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("a report has string keys only");
        escaped(&text) + "\n"
    }

    /// The report as a page that needs nothing but itself.
    #[must_use]
    pub fn html(&self) -> String {
        html::page(self)
    }
}

fn table(summary: &Summary, position: usize, plan: &TablePlan) -> TableReport {
    // One line a table, in the plan's order; a schema without rows has none.
    let told = summary.tables.get(position);
    let of = |figure: fn(&crate::model::event::TableSummary) -> u64| told.map_or(0, figure);
    let (rows, bytes, copy_ms) = (of(|t| t.rows), of(|t| t.bytes), of(|t| t.copy_ms));
    let verdicts = summary.verification.as_ref().map_or(&[][..], |v| v.tables.as_slice());
    let verdict = verdicts.iter().find(|v| v.table == plan.target).map(verification::word);
    TableReport {
        source: plan.source.clone(),
        target: plan.target.clone(),
        rows,
        bytes,
        copy_ms,
        rows_per_second: per_second(rows, copy_ms),
        bytes_per_second: per_second(bytes, copy_ms),
        index_ms: of(|t| t.index_ms),
        warnings: of(|t| t.warnings as u64),
        verdict,
        columns: plan.columns.iter().map(column).collect(),
        primary_key: plan.primary_key.as_ref().map(|key| key.columns.clone()),
        indexes: plan
            .indexes
            .iter()
            .map(|i| IndexReport {
                name: i.name.clone(),
                unique: i.unique,
                terms: i.terms.clone(),
                condition: i.condition.clone(),
            })
            .collect(),
        checks: plan.checks.iter().map(|c| c.condition.clone()).collect(),
        foreign_keys: plan
            .foreign_keys
            .iter()
            .map(|k| format!("({}) references {} ({})", k.columns.join(", "), k.parent, k.parent_columns.join(", ")))
            .collect(),
    }
}

fn column(plan: &ColumnPlan) -> ColumnReport {
    ColumnReport {
        source: plan.source.clone(),
        declared: plan.declared.clone(),
        target: plan.target.clone(),
        pg_type: plan.pg_type.to_string(),
        not_null: plan.not_null,
        why: plan.evidence.clone(),
    }
}

// What is worst comes first: a run that lost rows is not called verified because the others agree.
fn verdict(summary: &Summary) -> Verdict {
    let differing = summary.parity.iter().filter(|race| !race.same).count();
    let wrong = (summary.checks.iter().filter(|c| !c.right).count() + differing) as u64;
    let aside: u64 = summary.rejects.iter().map(|r| r.rows).sum();
    let said = |word, tone, sentence| Verdict { word, tone, sentence };
    if summary.details.settings.iter().any(|(name, value)| *name == "scope" && value == "schema_only") {
        let sentence = "Tables, keys, indexes and views are there; no row was asked for.".to_owned();
        return said("schema only", Tone::Careful, sentence);
    }
    let Some(found) = &summary.verification else {
        let sentence = "Nobody compared the rows: that they were counted says nothing of what is in them.".to_owned();
        return match (wrong, aside) {
            (0, _) => said("not verified", Tone::Careful, sentence),
            (n, _) => said("a check failed", Tone::Bad, format!("{} not the expected answer. {sentence}", answers(n))),
        };
    };
    let sentence = verification::sentence(found);
    if found.is_different() {
        return said("different", Tone::Bad, different(found, &sentence));
    }
    if wrong > 0 {
        return said("a check failed", Tone::Bad, format!("{} not the expected answer; {sentence}", answers(wrong)));
    }
    if !found.agrees() {
        return said("not verified", Tone::Careful, sentence);
    }
    match (found.level, aside) {
        (Depth::Sample | Depth::Hash, _) => said("not verified", Tone::Careful, sentence),
        (_, 0) if found.is_proof() => said("verified", Tone::Good, sentence),
        (_, 0) => said("compared", Tone::Careful, sentence),
        (_, n) => said("rows set aside", Tone::Careful, format!("{} not on the target; {sentence}", were(n))),
    }
}

fn answers(n: u64) -> String {
    if n == 1 { "1 answer is".to_owned() } else { format!("{n} answers are") }
}

fn were(n: u64) -> String {
    format!("{} {}", plural(n, "row"), if n == 1 { "is" } else { "are" })
}

fn different(found: &Verification, sentence: &str) -> String {
    let names: Vec<&str> = found
        .tables
        .iter()
        .filter(|t| matches!(t.outcome, Outcome::Different(_) | Outcome::Absent | Outcome::Changed { .. }))
        .map(|t| t.table.as_str())
        .collect();
    match names.as_slice() {
        [] => format!("Identity columns would give out numbers that are taken; {sentence}"),
        names => format!("The target differs from the source in {}; {sentence}", names.join(", ")),
    }
}
