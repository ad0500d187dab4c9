//! The page: the verdict first, then what the run was, then its tables, then everything else.
//!
//! It holds no script, and says so to the browser: whatever stood in a name would not run.

use super::charts;
use super::data::{Report, TableReport, Tone};
use super::markup::{Unit, code, figure, sentence, table, text};
use crate::model::check::{Answer, Race, Said};
use crate::model::event::BackedUp;
use crate::model::plan::{Level, Remark};
use serde_json::Value;
use std::fmt::Write as _;

const STYLE: &str = include_str!("page.css");

/// The whole page.
pub fn page(report: &Report) -> String {
    let mut out = String::from("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    // Nothing is loaded and nothing runs, even if an escape were forgotten.
    out.push_str(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<meta name=\"referrer\" content=\"no-referrer\">\n",
    );
    let name = report.source.path.rsplit('/').next().unwrap_or_default();
    let _ = write!(
        out,
        "<title>{}: {}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n",
        text(name),
        report.verdict.word
    );
    head(report, name, &mut out);
    let races: Vec<Answer> = report.parity.iter().map(as_answer).collect();
    let sections: [(&str, &str, String); 12] = [
        ("timeline", "Timeline", timeline(report)),
        ("tables", "Tables", tables(report)),
        ("differences", "Differences", differences(report)),
        ("rejects", "Rows set aside", rejects(report)),
        ("checks", "Checks", questions("/checks", &report.checks)),
        ("parity", "The same questions, timed", questions("/parity", &races)),
        ("backups", "Backups", backups(report)),
        ("ledger", "Rewritten on the way", ledger(report)),
        ("remarks", "Warnings and notes", remarks(report)),
        ("types", "Types, and why", types(report)),
        ("indexes", "Keys, indexes and constraints", indexes(report)),
        ("run", "The run", run(report)),
    ];
    out.push_str("<nav>");
    for (id, title, _) in sections.iter().filter(|(.., body)| !body.is_empty()) {
        let _ = write!(out, "<a href=\"#{id}\">{title}</a> ");
    }
    out.push_str("</nav>\n");
    for (id, title, body) in sections.iter().filter(|(.., body)| !body.is_empty()) {
        let _ = write!(out, "<section id=\"{id}\">\n<h2>{title}</h2>\n{body}</section>\n");
    }
    out.push_str("</body>\n</html>\n");
    out
}

fn head(report: &Report, name: &str, out: &mut String) {
    let (tone, mark) = match report.verdict.tone {
        Tone::Good => ("good", "✓"),
        Tone::Careful => ("careful", "!"),
        Tone::Bad => ("bad", "✗"),
    };
    let _ = write!(
        out,
        "<h1>{} → {}</h1>\n<p class=\"soft\">{} · lite2pg {}{}</p>\n",
        text(name),
        text(&report.target.url),
        text(&report.started_at),
        report.lite2pg,
        match (report.finished_before, report.resumed) {
            (true, _) => " · this run had finished before; nothing was copied again",
            (_, true) => " · an earlier start was gone on with",
            _ => "",
        }
    );
    let _ = write!(
        out,
        "<div class=\"verdict {tone}\"><strong>{mark} {}</strong>\n<p>{}</p></div>\n",
        text(report.verdict.word),
        sentence(&report.verdict.sentence)
    );
    let totals = &report.totals;
    out.push_str("<dl class=\"figures\">");
    let mut box_of = |title: &str, at: &str, unit, value| {
        let _ = write!(out, "<div><dt>{title}</dt><dd>{}</dd></div>", figure(at, unit, value));
    };
    box_of("rows", "/totals/rows", Unit::Count, totals.rows);
    box_of("cells", "/totals/bytes", Unit::Bytes, totals.bytes);
    box_of("tables", "/totals/tables", Unit::Count, totals.tables);
    box_of("whole run", "/ms", Unit::Millis, report.ms);
    if totals.rows_per_second > 0 {
        box_of("rows a second", "/totals/rows_per_second", Unit::Count, totals.rows_per_second);
        box_of("copied at", "/totals/bytes_per_second", Unit::BytesPerSecond, totals.bytes_per_second);
    }
    box_of("rewritten cells", "/totals/rewritten_cells", Unit::Count, totals.rewritten_cells);
    box_of("rows set aside", "/totals/rejected_rows", Unit::Count, totals.rejected_rows);
    box_of("warnings", "/totals/warnings", Unit::Count, totals.warnings);
    if let Some(peak) = report.peak_memory_bytes {
        box_of("peak memory", "/peak_memory_bytes", Unit::Bytes, peak);
    }
    out.push_str("</dl>\n");
}

fn timeline(report: &Report) -> String {
    let rows: Vec<Vec<String>> = report
        .phases
        .iter()
        .enumerate()
        .map(|(i, span)| {
            vec![
                text(span.phase.word()),
                figure(&format!("/phases/{i}/start_ms"), Unit::Millis, span.start_ms),
                figure(&format!("/phases/{i}/ms"), Unit::Millis, span.ms),
                charts::span(span.start_ms, span.ms, report.ms, "bar"),
            ]
        })
        .collect();
    table(&["phase", "#began after", "#took", "of the whole run"], &rows)
}

fn tables(report: &Report) -> String {
    let most = report.tables.iter().map(|t| t.bytes).max().unwrap_or(0);
    let rows: Vec<Vec<String>> = report
        .tables
        .iter()
        .enumerate()
        .map(|(i, t)| {
            let at = |name: &str| format!("/tables/{i}/{name}");
            let name = if t.source == t.target {
                code(&t.target)
            } else {
                format!("{}<br><span class=\"soft\">from {}</span>", code(&t.target), code(&t.source))
            };
            vec![
                name,
                figure(&at("rows"), Unit::Count, t.rows),
                figure(&at("bytes"), Unit::Bytes, t.bytes),
                charts::span(0, t.bytes, most, "bar"),
                figure(&at("copy_ms"), Unit::Millis, t.copy_ms),
                figure(&at("rows_per_second"), Unit::Count, t.rows_per_second),
                figure(&at("bytes_per_second"), Unit::BytesPerSecond, t.bytes_per_second),
                figure(&at("index_ms"), Unit::Millis, t.index_ms),
                text(t.verdict.as_deref().unwrap_or("not compared")),
            ]
        })
        .collect();
    let heads = ["table", "#rows", "#cells", "share", "#copy", "#rows/s", "#bytes/s", "#indexes", "~comparison"];
    let note = "<p class=\"soft\">Copy and index times are those of all connections, added up; rates are those of one connection.</p>\n";
    if rows.is_empty() { String::new() } else { table(&heads, &rows) + note }
}

// What differs in each table: numbers by kind and column, and the file with every cell. The values are there, not here.
fn differences(report: &Report) -> String {
    let Some(found) = &report.verification else { return String::new() };
    let mut out = String::new();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    for (i, t) in list(&found["tables"]).iter().enumerate() {
        let word = t["outcome"].as_str().unwrap_or_default();
        let unverified = list(&t["unverified"]);
        if word == "equal" && unverified.is_empty() {
            continue;
        }
        let name = t["table"].as_str().unwrap_or_default();
        let _ = writeln!(out, "<h3>{}: {}</h3>", code(name), text(word));
        if word == "different" {
            let row = ["source_rows", "target_rows", "missing", "extra", "changed"].map(|kind| {
                figure(&format!("/verification/tables/{i}/{kind}"), Unit::Count, t[kind].as_u64().unwrap_or(0))
            });
            out.push_str(&table(
                &["#rows in the source", "#on the target", "#missing", "#extra", "#changed"],
                &[row.to_vec()],
            ));
            let columns: Vec<Vec<String>> = list(&t["columns"])
                .iter()
                .enumerate()
                .map(|(c, pair)| {
                    let at = format!("/verification/tables/{i}/columns/{c}/1");
                    vec![
                        code(pair[0].as_str().unwrap_or_default()),
                        figure(&at, Unit::Count, pair[1].as_u64().unwrap_or(0)),
                    ]
                })
                .collect();
            if !columns.is_empty() {
                out.push_str(&table(&["column", "#changed cells"], &columns));
            }
            for line in list(&t["disputed"]) {
                let _ = writeln!(out, "<p>{}</p>", text(line.as_str().unwrap_or_default()));
            }
            if let Some(file) = t["file"].as_str() {
                let _ = writeln!(out, "<p>{} lists each cell, with its values.</p>", code(file));
            }
        }
        if let Some(why) = t["why"].as_str() {
            let _ = writeln!(out, "<p>{}</p>", text(why));
        }
        for column in unverified {
            let _ = writeln!(out, "<p>not compared: {}</p>", text(column.as_str().unwrap_or_default()));
        }
    }
    for line in list(&found["sequences"]) {
        let _ = writeln!(out, "<p>{}</p>", text(line.as_str().unwrap_or_default()));
    }
    out
}

fn rejects(report: &Report) -> String {
    let mut out = String::new();
    for (i, t) in report.rejects.iter().enumerate() {
        let rows = figure(&format!("/rejects/{i}/rows"), Unit::Count, t.rows);
        let noun = if t.rows == 1 { "row" } else { "rows" };
        let _ = writeln!(
            out,
            "<h3>{}: {rows} {noun}</h3>\n<p>{} lists them, with their values.</p>",
            code(&t.table),
            code(&t.file)
        );
        let reasons: Vec<Vec<String>> = t
            .reasons
            .iter()
            .enumerate()
            .map(|(r, reason)| {
                vec![
                    reason.column.as_deref().map_or_else(String::new, code),
                    text(&reason.reason),
                    text(reason.sqlstate.as_deref().unwrap_or_default()),
                    figure(&format!("/rejects/{i}/reasons/{r}/rows"), Unit::Count, reason.rows),
                    text(&keys(&reason.keys)),
                ]
            })
            .collect();
        out.push_str(&filled(&["column", "~reason", "code", "#rows", "such as key"], reasons));
    }
    out
}

// A table without the columns in which no row says anything.
fn filled(heads: &[&str], rows: Vec<Vec<String>>) -> String {
    let says: Vec<bool> = (0..heads.len()).map(|i| rows.iter().any(|row| !row[i].is_empty())).collect();
    let heads: Vec<&str> = heads.iter().zip(&says).filter(|(_, says)| **says).map(|(head, _)| *head).collect();
    let kept = |row: Vec<String>| row.into_iter().zip(&says).filter(|(_, says)| **says).map(|(cell, _)| cell).collect();
    table(&heads, &rows.into_iter().map(kept).collect::<Vec<_>>())
}

fn keys(keys: &[i64]) -> String {
    keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Questions to both sides with their times as bars: `at` is where the JSON has them.
fn questions(at: &str, answers: &[Answer]) -> String {
    let us = |said: &Option<Said>| said.as_ref().map_or(0, |said| said.us);
    let any_wrong = answers.iter().any(|a| !a.right || a.is_shown);
    let longest = answers.iter().flat_map(|a| [us(&a.source), us(&a.target)]).max().unwrap_or(0);
    let time =
        |said: &Option<Said>| said.as_ref().map_or_else(String::new, |s| format!("{:.1} ms", s.us as f64 / 1000.0));
    let rows: Vec<Vec<String>> = answers
        .iter()
        .map(|answer| {
            let mut row = vec![
                text(&answer.name),
                if answer.right { "✓ ok".to_owned() } else { "<strong class=\"bad\">✗ wrong</strong>".to_owned() },
                text(&time(&answer.source)),
                text(&time(&answer.target)),
                charts::pair(us(&answer.source), us(&answer.target), longest),
            ];
            if any_wrong {
                row.push(said(answer));
            }
            row
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let key = "<p class=\"soft\"><span class=\"key\"></span> SQLite <span class=\"key b\"></span> PostgreSQL</p>\n";
    let heads = ["~question", "answer", "#SQLite", "#PostgreSQL", "times", "~what was said"];
    format!("<div data-from=\"{at}\">{}{key}</div>\n", table(&heads[..5 + usize::from(any_wrong)], &rows))
}

// A race as a question whose answer is the other side's.
fn as_answer(race: &Race) -> Answer {
    Answer {
        name: format!("{} (median of {})", race.name, race.times),
        right: race.same,
        source: Some(race.source.clone()),
        target: Some(race.target.clone()),
        expect: None,
        is_shown: false,
    }
}

fn backups(report: &Report) -> String {
    let row = |b: &BackedUp| vec![text(b.side), code(&b.file), code(&b.blake3)];
    let rows: Vec<Vec<String>> = report.backups.iter().map(row).collect();
    if rows.is_empty() { String::new() } else { table(&["of", "~file", "BLAKE3"], &rows) }
}

// What a wrong answer was, or one that a person wants to see.
fn said(answer: &Answer) -> String {
    if answer.right && !answer.is_shown {
        return String::new();
    }
    let mut out = String::new();
    for (side, said) in [("SQLite", &answer.source), ("PostgreSQL", &answer.target)] {
        if let Some(said) = said {
            let _ = write!(out, "{side}: <code>{}</code><br>", text(&said.text));
        }
    }
    if let Some(expect) = &answer.expect {
        let _ = write!(out, "expected: {}", code(expect));
    }
    out
}

fn ledger(report: &Report) -> String {
    let rows: Vec<Vec<String>> = report
        .ledger
        .iter()
        .enumerate()
        .map(|(i, line)| {
            vec![
                code(&format!("{}.{}", line.table, line.column)),
                text(&line.rule),
                figure(&format!("/ledger/{i}/cells"), Unit::Count, line.cells),
                text(&keys(&line.keys)),
            ]
        })
        .collect();
    let note = "<p class=\"soft\">The same value in another spelling, unless it says lost.</p>\n";
    if rows.is_empty() {
        String::new()
    } else {
        note.to_owned() + &filled(&["column", "~rule", "#cells", "such as key"], rows)
    }
}

fn remarks(report: &Report) -> String {
    let mut out = String::new();
    for Remark { level, object, text: words, sql } in &report.remarks {
        let level = if *level == Level::Warning { "<strong>warning</strong>" } else { "note" };
        let _ = writeln!(out, "<p>{level} {}: {}</p>", code(object), text(words));
        if let Some(sql) = sql {
            let _ = writeln!(out, "<pre>{}</pre>", text(sql));
        }
    }
    out
}

fn types(report: &Report) -> String {
    let mut out = String::new();
    for t in &report.tables {
        let rows: Vec<Vec<String>> = t
            .columns
            .iter()
            .map(|c| {
                let not_null = if c.not_null { " not null" } else { "" };
                vec![
                    code(&c.target),
                    if c.declared.is_empty() {
                        "<span class=\"soft\">none</span>".to_owned()
                    } else {
                        code(&c.declared)
                    },
                    code(&format!("{}{not_null}", c.pg_type)),
                    format!("<span class=\"soft\">{}</span>", text(&c.why)),
                ]
            })
            .collect();
        let _ = writeln!(out, "<h3>{}</h3>", code(&t.target));
        out.push_str(&table(&["column", "declared in SQLite", "type", "~why: what the rows hold"], &rows));
    }
    out
}

fn indexes(report: &Report) -> String {
    let of = |t: &TableReport| {
        let key = t.primary_key.iter().map(|key| format!("primary key ({})", key.join(", ")));
        let indexes = t.indexes.iter().map(|i| {
            let unique = if i.unique { "unique " } else { "" };
            let condition = i.condition.as_ref().map_or_else(String::new, |c| format!(" where {c}"));
            format!("{unique}index {} ({}){condition}", i.name, i.terms)
        });
        let checks = t.checks.iter().map(|c| format!("check ({c})"));
        let keys = t.foreign_keys.iter().map(|k| format!("foreign key {k}"));
        key.chain(indexes).chain(checks).chain(keys).collect::<Vec<_>>()
    };
    let rows: Vec<Vec<String>> = report
        .tables
        .iter()
        .flat_map(|t| of(t).into_iter().map(|definition| vec![code(&t.target), code(&definition)]))
        .chain(report.views.iter().map(|view| vec![code(view), "view".to_owned()]))
        .collect();
    let note = "<p class=\"soft\">As planned; what the server refused is among the warnings.</p>\n";
    if rows.is_empty() { String::new() } else { note.to_owned() + &table(&["table", "~definition"], &rows) }
}

fn run(report: &Report) -> String {
    let mut rows: Vec<Vec<String>> = [
        ("source", report.source.path.as_str()),
        ("fingerprint of the source", &report.source.fingerprint),
        ("held still by", &report.source.snapshot),
        ("target", &report.target.url),
        ("PostgreSQL", &report.target.server),
        ("lite2pg", report.lite2pg),
        ("run", report.run.as_deref().unwrap_or_default()),
        ("began", &report.started_at),
    ]
    .into_iter()
    .map(|(name, value)| vec![text(name), code(value)])
    .collect();
    let setting = |(name, value): (&String, &Value)| vec![text(name), code(value.as_str().unwrap_or_default())];
    rows.extend(report.settings.iter().map(setting));
    table(&["what", "~value"], &rows)
}
