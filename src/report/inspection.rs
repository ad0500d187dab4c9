//! What an inspection found: for people the tables, then what matters, then the command to go on with; JSON for programs.

use super::layout::{cell, clean, escaped, wrapped};
use super::plan;
use crate::model::cell::Class;
use crate::model::figures::{bytes, count, duration, plural};
use crate::model::inspection::{ByHand, Forecast, Framework, HandKind, Hazard, HazardKind, Inspection};
use crate::model::plan::{ColumnPlan, TablePlan};
use crate::model::profile::TableProfile;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The version of the JSON's shape, documented in docs/inspect.md: it changes where a reader of it would have to.
const FORMAT: u32 = 1;

/// Hazards of one kind that the screen shows; `--json` has all.
const SHOWN_OF_A_KIND: usize = 6;

/// Columns of the screen for the kind of a hazard.
const KIND_COLUMNS: usize = 16;

/// On a machine that is slower or busier than the one where the rates were measured.
const SLOWER: u64 = 3;

/// The whole of it as text. `brief` leaves the tables out.
#[must_use]
pub fn text(found: &Inspection, brief: bool) -> String {
    let mut out = head(found);
    if !brief {
        for table in &found.plan.tables {
            plan::table(table, &mut out);
        }
        for view in &found.plan.views {
            let _ = writeln!(out, "\nview {}", clean(&view.target));
        }
    }
    hazards(found, &mut out);
    by_hand(found, &mut out);
    out.push('\n');
    for (lead, words) in
        [("grade", grade(found)), ("predicted", predicted(&found.forecast, found)), ("disk", disk(&found.forecast))]
    {
        let _ = writeln!(out, "{}", wrapped(&format!("{lead:<11}"), &words, 11));
    }
    // A command is there to be copied, in one line.
    let _ = writeln!(out, "{:<11}{}\n{}", "next", clean(&found.next), wrapped("           ", &found.next_does, 11));
    out
}

fn head(found: &Inspection) -> String {
    let rows: u64 = found.plan.tables.iter().map(|t| t.rows).sum();
    let about = if found.plan.tables.iter().all(|t| t.rows_exact) { "" } else { "about " };
    let size = format!(
        "{}, {} pages of {}, {}: {}, {about}{}",
        bytes(found.bytes),
        count(found.bytes / u64::from(found.page_size.max(1))),
        bytes(u64::from(found.page_size)),
        found.encoding,
        plural(found.plan.tables.len() as u64, "table"),
        plural(rows, "row"),
    );
    let mut out = format!("{}\n", wrapped("", &found.source, 2));
    let mut line = |lead: &str, words: &str| {
        let _ = writeln!(out, "{}", wrapped(&format!("  {lead:<9}"), words, 11));
    };
    line("holds", &size);
    for framework in &found.frameworks {
        line("made by", &made_by(framework));
    }
    line("source", &found.snapshot);
    line("read", &scope(found));
    out
}

fn made_by(framework: &Framework) -> String {
    let known = format!("{} (`{}`, {})", framework.name, framework.table, entries(framework.entries));
    match framework.creates_schema {
        Some(command) => format!(
            "{known}: `{command}` on PostgreSQL creates the schema as the application wants it; then `--data-only \
             --exclude {}` loads the rows into it",
            crate::model::name::for_shell(&crate::model::name::as_glob(&framework.table))
        ),
        None => known,
    }
}

fn entries(n: u64) -> String {
    if n == 1 { "1 entry".to_owned() } else { format!("{} entries", count(n)) }
}

fn scope(found: &Inspection) -> String {
    let sampled: Vec<String> = sampled(found).map(|t| format!("`{}`", t.source)).collect();
    match sampled.as_slice() {
        [] if found.is_full => "every row, and SQLite's own check of the file".to_owned(),
        [] => "every row".to_owned(),
        some => {
            let first = some.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
            let more = if some.len() > 3 { format!(" and {} more", some.len() - 3) } else { String::new() };
            format!("a spread sample of {first}{more}, every row of the others; `--full` reads all")
        }
    }
}

fn sampled(found: &Inspection) -> impl Iterator<Item = &TablePlan> {
    found.plan.tables.iter().zip(&found.profiles).filter(|(_, profile)| !profile.complete).map(|(table, _)| table)
}

fn hazards(found: &Inspection, out: &mut String) {
    if found.hazards.is_empty() {
        return;
    }
    out.push_str("\nhazards\n");
    let mut rest = found.hazards.as_slice();
    while let Some(first) = rest.first() {
        let of_kind = rest.iter().take_while(|h| h.kind == first.kind).count();
        let (these, others) = rest.split_at(of_kind);
        for hazard in these.iter().take(SHOWN_OF_A_KIND) {
            let _ = writeln!(out, "{}", hazard_line(hazard));
        }
        if of_kind > SHOWN_OF_A_KIND {
            let more = format!("and {} more: --json has all", of_kind - SHOWN_OF_A_KIND);
            let _ = writeln!(out, "  {}  {more}", cell("", KIND_COLUMNS));
        }
        rest = others;
    }
}

fn hazard_line(hazard: &Hazard) -> String {
    let rows = hazard.rows.map_or_else(String::new, |n| format!("{}: ", counted(hazard.kind, n)));
    let lead = format!("  {}  ", cell(hazard.kind.words(), KIND_COLUMNS));
    wrapped(&lead, &format!("`{}`: {rows}{}", hazard.object, hazard.text), KIND_COLUMNS + 4)
}

fn counted(kind: HazardKind, n: u64) -> String {
    plural(n, if kind == HazardKind::CaseTwins { "text" } else { "row" })
}

fn by_hand(found: &Inspection, out: &mut String) {
    if found.by_hand.is_empty() {
        return;
    }
    out.push_str("\nby hand\n");
    for ByHand { kind, object, text, .. } in &found.by_hand {
        let lead = format!("  {}  ", cell(kind.words(), KIND_COLUMNS));
        let _ = writeln!(out, "{}", wrapped(&lead, &format!("`{object}`: {text}"), KIND_COLUMNS + 4));
    }
}

fn grade(found: &Inspection) -> String {
    let (grade, looks) = (found.grade, found.hazards.iter().filter(|h| h.kind.minutes() > 0).count());
    let mut parts = Vec::new();
    if looks > 0 {
        parts.push(format!("{} to look at", plural(looks as u64, "hazard")));
    }
    for kind in [HandKind::Table, HandKind::VirtualTable, HandKind::Trigger, HandKind::View, HandKind::Definition] {
        let n = found.by_hand.iter().filter(|b| b.kind == kind).count();
        if n > 0 {
            parts.push(plural(n as u64, kind.words()));
        }
    }
    let of = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
    format!("{grade}: {}, about {}{of}", grade.words(), minutes(grade.minutes))
}

fn minutes(n: u32) -> String {
    if n < 60 { format!("{n} minutes") } else { format!("{}h {:02}m", n / 60, n % 60) }
}

fn predicted(forecast: &Forecast, found: &Inspection) -> String {
    let arguments = crate::model::name::for_shell(&found.source);
    format!(
        "{} to {}, the comparison of both sides included: the first at the rates of benches/RESULTS.md (2 cores, the \
         server on the same machine), the second on one a third as fast; `lite2pg bench {arguments}` measures yours",
        duration(forecast.ms),
        duration(forecast.ms * SLOWER)
    )
}

fn disk(forecast: &Forecast) -> String {
    format!(
        "{} on the target: tables {}, keys and indexes {}, by PostgreSQL's page layout and these types, large values \
         not compressed; about as much again for its WAL meanwhile",
        bytes(forecast.disk_bytes()),
        bytes(forecast.table_bytes),
        bytes(forecast.index_bytes)
    )
}

/// The whole of it as one JSON object.
#[must_use]
pub fn json(found: &Inspection) -> String {
    let minutes: Vec<Value> = found.hazards.iter().map(|h| with_minutes(h, h.kind.minutes())).collect();
    let by_hand: Vec<Value> = found.by_hand.iter().map(|b| with_minutes(b, b.kind.minutes())).collect();
    let tables = found.plan.tables.iter().zip(&found.profiles).map(|(t, p)| table(t, p)).collect::<Vec<_>>();
    let object = json!({
        "format": FORMAT,
        "lite2pg": env!("CARGO_PKG_VERSION"),
        "source": {
            "path": found.source,
            "bytes": found.bytes,
            "page_size": found.page_size,
            "encoding": found.encoding,
            "snapshot": found.snapshot,
        },
        "full": found.is_full,
        "sampled": sampled(found).map(|t| t.source.clone()).collect::<Vec<_>>(),
        "frameworks": found.frameworks,
        "tables": tables,
        "views": found.plan.views.iter().map(|v| v.source.clone()).collect::<Vec<_>>(),
        "hazards": minutes,
        "by_hand": by_hand,
        "grade": {
            "grade": found.grade.to_string(),
            "effort": found.grade.effort,
            "hand": found.grade.hand,
            "minutes": found.grade.minutes,
            "words": found.grade.words(),
        },
        "forecast": {
            "ms": found.forecast.ms,
            "ms_slower_machine": found.forecast.ms * SLOWER,
            "table_bytes": found.forecast.table_bytes,
            "index_bytes": found.forecast.index_bytes,
            "disk_bytes": found.forecast.disk_bytes(),
        },
        "next": found.next,
    });
    escaped(&format!("{object:#}\n"))
}

fn with_minutes(value: &impl serde::Serialize, minutes: u32) -> Value {
    let mut value = serde_json::to_value(value).expect("what was found has string keys only");
    value["minutes"] = minutes.into();
    value
}

fn table(table: &TablePlan, profile: &TableProfile) -> Value {
    json!({
        "name": table.source,
        "target": table.target,
        "rows": table.rows,
        "rows_exact": table.rows_exact,
        "bytes": table.bytes,
        "largest_cell": table.largest_cell,
        "columns": table.columns.iter().zip(&profile.columns).map(|(c, p)| column(c, p)).collect::<Vec<_>>(),
        "primary_key": table.primary_key.as_ref().map(|key| key.columns.clone()),
        "indexes": table.indexes.iter().map(|i| json!({
            "name": i.name, "unique": i.unique, "terms": i.terms, "condition": i.condition,
        })).collect::<Vec<_>>(),
        "checks": table.checks.iter().map(|c| json!({ "name": c.name, "condition": c.condition })).collect::<Vec<_>>(),
        "foreign_keys": table.foreign_keys.iter().map(|k| json!({
            "name": k.name, "columns": k.columns, "parent": k.parent, "parent_columns": k.parent_columns,
        })).collect::<Vec<_>>(),
    })
}

fn column(column: &ColumnPlan, profile: &crate::model::profile::ColumnProfile) -> Value {
    let classes: serde_json::Map<String, Value> = [Class::Null, Class::Integer, Class::Real, Class::Text, Class::Blob]
        .into_iter()
        .map(|class| (class.word().to_owned(), profile.count(class).into()))
        .collect();
    json!({
        "name": column.source,
        "target": column.target,
        "declared": column.declared,
        "classes": classes,
        "bytes": profile.marks.bytes,
        "type": column.pg_type.to_string(),
        "not_null": column.not_null,
        "identity": column.identity.is_some(),
        "generated": column.generated,
        "default": column.default,
        "evidence": column.evidence,
    })
}
