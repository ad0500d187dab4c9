//! The result of a bench: a table and advice for people, JSON and CSV for programs.

use super::checks;
use super::layout::{escaped, wrapped};
use crate::model::bench::{BenchReport, Measured, Whole};
use crate::model::figures::{bytes, count, duration, per_second, plural};
use comfy_table::{CellAlignment, Table, presets};
use std::fmt::Write as _;

/// The report as text: the table, what was loaded, what to do, what to expect.
#[must_use]
pub fn text(report: &BenchReport) -> String {
    let mut out = format!("{}\n\n", table(report).trim_fmt());
    for (lead, words, indent) in [
        ("sample       ", sample(report), 13),
        ("recommended  ", recommended(report), 13),
        ("predicted    ", predicted(report), 13),
        ("downtime     ", downtime(report), 13),
    ] {
        let _ = writeln!(out, "{}", wrapped(lead, &words, indent));
    }
    if let Some(whole) = &report.whole {
        let _ = writeln!(out, "{}", wrapped("measured     ", &measured(whole), 13));
        if !whole.queries.is_empty() {
            let mut races = String::from("\n");
            checks::races("query", &whole.queries, &mut races);
            out.push_str(races.trim_end());
            out.push('\n');
        }
    }
    out
}

/// The report as one JSON object.
#[must_use]
pub fn json(report: &BenchReport) -> String {
    let mut value = serde_json::to_value(report).expect("a report has string keys only");
    value["prediction"]["whole_ms"] = report.prediction.whole_ms().into();
    escaped(&serde_json::to_string_pretty(&value).expect("a value can be written"))
}

/// The measurements as CSV, a line a combination; times in microseconds.
#[must_use]
pub fn csv(report: &BenchReport) -> String {
    let mut out = String::from("strategy,lanes,batch_bytes,rows,bytes,rounds,median_us,min_us,max_us,ratio\n");
    for result in &report.results {
        let (setting, sample) = (result.setting, report.sample);
        let min = result.rounds_us.iter().min().copied().unwrap_or(0);
        let max = result.rounds_us.iter().max().copied().unwrap_or(0);
        let _ = writeln!(
            out,
            "{},{},{},{},{},{},{},{min},{max},{:.3}",
            setting.strategy.words(),
            setting.lanes,
            setting.batch_bytes,
            sample.rows,
            sample.bytes,
            result.rounds_us.len(),
            result.median_us,
            result.ratio,
        );
    }
    out
}

/// A combination in words, for the table and the plot: strategy, lanes, batch.
#[must_use]
pub fn cells(result: &Measured) -> [String; 3] {
    let setting = result.setting;
    let batch = format!("{} KiB", setting.batch_bytes / 1024);
    [setting.strategy.words().to_owned(), setting.lanes.to_string(), batch]
}

fn table(report: &BenchReport) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(["strategy", "lanes", "batch", "median", "rows/s", "per second", "ratio"]);
    for result in &report.results {
        let ms = result.median_us.div_ceil(1000);
        let [strategy, lanes, batch] = cells(result);
        table.add_row([
            strategy,
            lanes,
            batch,
            seconds(result.median_us),
            count(per_second(report.sample.rows, ms)),
            bytes(per_second(report.sample.bytes, ms)),
            format!("{:.2}", result.ratio),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// `0.31s`: two digits, because a sample is loaded in parts of a second.
#[must_use]
pub fn seconds(us: u64) -> String {
    format!("{:.2}s", us as f64 / 1e6)
}

fn sample(report: &BenchReport) -> String {
    let (sample, rounds) = (&report.sample, report.results.first().map_or(0, |r| r.rounds_us.len()));
    let of = if sample.whole { String::new() } else { format!(" of {}", count(sample.rows_total)) };
    let rows = if sample.rows == 1 && sample.whole { "row" } else { "rows" };
    let where_from = if sample.whole { "" } else { ", spread over each table (`--full` loads all)" };
    let server = if report.embedded { ", a throw-away server that syncs to disk" } else { "" };
    format!(
        "{}{of} {rows}, {}, {}{where_from}; {} each on PostgreSQL {}{server}; rows counted after every load, contents \
         compared by hash in the first round",
        count(sample.rows),
        bytes(sample.bytes),
        plural(sample.tables, "table"),
        plural(rounds as u64, "round"),
        report.server.split(' ').next().unwrap_or_default(),
    )
}

fn recommended(report: &BenchReport) -> String {
    let advice = report.advice;
    let fastest = report.results.iter().min_by_key(|r| r.median_us);
    let also = match fastest {
        Some(r) if r.setting.strategy != advice.strategy => {
            format!("; {} was faster here, which `migrate` does not do", r.setting.strategy.words())
        }
        _ => String::new(),
    };
    format!(
        "--jobs {}: the fewest lanes within 5 % of the fastest binary COPY, which `migrate` always uses, in batches of \
         256 KiB{also}",
        advice.lanes
    )
}

fn predicted(report: &BenchReport) -> String {
    let p = report.prediction;
    let parts = [
        ("prepare", p.prepare_ms),
        ("copy", p.copy_ms),
        ("index", p.index_ms),
        ("constrain", p.constrain_ms),
        ("analyze", p.analyze_ms),
    ];
    let parts: Vec<String> = parts.iter().map(|(word, ms)| format!("{word} {}", duration(*ms))).collect();
    format!("{} for {} rows: {}", duration(p.whole_ms()), count(report.sample.rows_total), parts.join(" · "))
}

fn measured(whole: &Whole) -> String {
    let how = match (whole.pipeline, whole.queries.is_empty()) {
        (false, _) => "migrated as recommended, not compared, for the queries",
        (true, true) => "by the whole pipeline, not compared. The figures above are of the source's tables as they are",
        (true, false) => {
            "by the whole pipeline, not compared, with the queries below. The figures above are of the source's tables \
             as they are"
        }
    };
    let aside = if whole.rejected == 0 { String::new() } else { format!(", {} set aside", count(whole.rejected)) };
    format!("{} for {}{aside}: {how}", duration(whole.ms), plural(whole.rows, "row"))
}

fn downtime(report: &BenchReport) -> String {
    let by_pipeline = report.whole.as_ref().filter(|whole| whole.pipeline).map(|whole| whole.ms);
    let whole = duration(by_pipeline.unwrap_or_else(|| report.prediction.whole_ms()));
    format!(
        "{whole}: the application must not write to the source from the beginning to the end. A cache that is too \
         small for the whole, or a busy server, is not in this figure: plan for twice as much"
    )
}
