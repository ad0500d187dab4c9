//! What does the digest of a row cost, by kind of row and on each side?
//!
//! `source` is what the load's pass pays on top of loading: the second reading of each cell, the form, the hash.
//! `target` is what the comparison pays for a row that the server sent: its fields, the form, the hash. The rows are
//! those of the bench source, held in memory, so that neither SQLite nor a network is in it; a column alone is a row
//! of one cell.

#[path = "../fixtures/generate.rs"]
mod generate;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lite2pg::load::writer::{RowWriter, Written};
use lite2pg::model::cell::Cell;
use lite2pg::model::event::Silent;
use lite2pg::model::plan::TablePlan;
use lite2pg::model::range::Range;
use lite2pg::model::source::Table;
use lite2pg::postgres::decode::Rows;
use lite2pg::run::{Options, dry_run};
use lite2pg::sqlite::{Flow, Reader, RowRef, SnapshotChoice, Source, TableScan};
use lite2pg::verify::adder::Adder;
use lite2pg::verify::expect::Expectation;
use lite2pg::verify::form::Form;
use lite2pg::verify::found::Finder;
use std::sync::atomic::AtomicBool;

/// 1000 tasks, 2000 metrics, 50 blobs: few enough for the caches, as rows are that were just read.
const SCALE: f64 = 0.0005;

/// Tables, each whole and then by columns.
const KINDS: [(&str, &[&str]); 3] = [
    ("tasks", &["id", "attempts", "payload", "body", "created_at"]),
    ("metrics", &["value", "at"]),
    ("blobs", &["data"]),
];

/// A cell that owns its bytes.
enum Held {
    Null,
    Integer(i64),
    Real(f64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl Held {
    fn of(cell: Cell<'_>) -> Self {
        match cell {
            Cell::Null => Self::Null,
            Cell::Integer(n) => Self::Integer(n),
            Cell::Real(x) => Self::Real(x),
            Cell::Text(text) => Self::Text(text.to_vec()),
            Cell::Blob(bytes) => Self::Blob(bytes.to_vec()),
        }
    }

    fn cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Integer(n) => Cell::Integer(*n),
            Self::Real(x) => Cell::Real(*x),
            Self::Text(text) => Cell::Text(text),
            Self::Blob(bytes) => Cell::Blob(bytes),
        }
    }
}

fn measure(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("digest.db");
    generate::Source::Bench.write(&path, SCALE).expect("a source");
    let plan = dry_run(&Options::new(&path), None, &Silent, &AtomicBool::new(false)).expect("a plan").plan;
    let source = Source::open(&path, SnapshotChoice::Auto).expect("the source opens");
    let snapshot = source.snapshot(1).expect("a snapshot");
    let reader = &snapshot.readers[0];
    let catalog = reader.catalog().expect("a catalog");
    for (name, columns) in KINDS {
        let whole = plan.tables.iter().find(|t| t.source == name).expect("a table of the bench source");
        let table = catalog.table(name).expect("a table of the bench source");
        kind(c, name, whole, reader, table);
        for column in columns {
            let mut alone = whole.clone();
            alone.columns.retain(|c| c.source == *column);
            kind(c, &format!("{name}.{column}"), &alone, reader, table);
        }
    }
}

fn kind(c: &mut Criterion, name: &str, plan: &TablePlan, reader: &Reader, table: &Table) {
    let positions: Vec<usize> = plan.compared().filter_map(|c| table.column_index(&c.source)).collect();
    let scan = TableScan::new(table, &positions);
    let rows = cells(reader, &scan);
    let pieces = pieces(reader, &scan, plan);
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(rows.len() as u64)).sample_size(30);
    group.bench_function("source", |b| {
        let mut expectation = Expectation::new(plan.compared()).expect("sound rules");
        let (mut form, mut sum) = (Form::default(), Adder::default());
        b.iter(|| {
            for row in &rows {
                form.clear();
                for (i, held) in row.iter().enumerate() {
                    expectation.cell(i, held.cell(), &mut form);
                }
                sum.add(&mut form);
            }
            sum.set()
        });
    });
    group.bench_function("target", |b| {
        let mut finder = Finder::new(plan.compared());
        let (mut form, mut sum) = (Form::default(), Adder::default());
        b.iter(|| {
            let mut stream = Rows::default();
            for piece in &pieces {
                let fed = stream.feed(piece, |fields| {
                    form.clear();
                    finder.row(fields, &mut form)?;
                    sum.add(&mut form);
                    Ok(())
                });
                fed.expect("a sound stream");
            }
            sum.set()
        });
    });
}

fn cells(reader: &Reader, scan: &TableScan) -> Vec<Vec<Held>> {
    let mut rows = Vec::new();
    each(reader, scan, |_, row| rows.push((0..row.len()).map(|i| Held::of(row.cell(i))).collect()));
    rows
}

/// The stream of a COPY, cut as the server cuts it: a piece a row.
fn pieces(reader: &Reader, scan: &TableScan, plan: &TablePlan) -> Vec<Vec<u8>> {
    let mut writer = RowWriter::new(plan).expect("sound rules");
    writer.begin();
    let mut pieces = Vec::new();
    each(reader, scan, |key, row| {
        let written = writer.row(key, row, |_| Ok(())).expect("nothing is sent");
        assert_eq!(written, Written::Whole, "the plan takes its rows");
        pieces.push(writer.take_batch().as_slice().to_vec());
    });
    writer.end();
    pieces.push(writer.take_batch());
    pieces
}

fn each(reader: &Reader, scan: &TableScan, mut row: impl FnMut(i64, &RowRef<'_>)) {
    let end = reader.scan(scan, Range::ALL, None, |key, cells| {
        row(key, cells);
        Ok(Flow::Continue)
    });
    assert!(end.is_ok_and(|end| end.finished));
}

criterion_group!(benches, measure);
criterion_main!(benches);
