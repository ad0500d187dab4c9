//! What does one cell cost under each rule?

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lite2pg::model::cell::Cell;
use lite2pg::model::conversion::{Conversion, EpochUnit, MomentForm, Naive, UuidSpelling};
use lite2pg::transform::Compiled;
use std::hint::black_box;

/// Cells of one measurement: the branch predictor is not to learn them by heart.
const CELLS: u64 = 1024;

/// A name, a rule, and the cell of each number.
type Case = (&'static str, Conversion, Box<dyn Fn(u64) -> Held>);

/// A cell that owns its bytes.
enum Held {
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

impl Held {
    fn cell(&self) -> Cell<'_> {
        match self {
            Self::Integer(n) => Cell::Integer(*n),
            Self::Real(x) => Cell::Real(*x),
            Self::Text(text) => Cell::Text(text.as_bytes()),
            Self::Blob(bytes) => Cell::Blob(bytes),
        }
    }
}

// Any number that looks like none: SplitMix64.
fn mixed(n: u64) -> u64 {
    let z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn time(n: u64) -> String {
    let m = mixed(n);
    let (day, hour, minute, second) = (m % 28 + 1, m / 31 % 24, m / 750 % 60, m / 45_000 % 60);
    format!("2024-03-{day:02}T{hour:02}:{minute:02}:{second:02}.{:06}Z", m % 1_000_000)
}

fn uuid(n: u64) -> String {
    let (high, low) = (mixed(n), mixed(!n));
    let hex = format!("{high:016x}{low:016x}");
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

fn json(n: u64) -> String {
    let m = mixed(n);
    format!(
        r#"{{"kind":"notify","priority":{},"ratio":0.{},"retry":true,"parent":null,"labels":["größer","village"],"args":{{"path":"/data/{m:x}","limit":{},"dry_run":false}},"source":"{:x}"}}"#,
        m % 9,
        m % 999_983,
        m % 65_536,
        !m,
    )
}

fn measure(c: &mut Criterion) {
    let moment = |form| Conversion::Moment { form, naive: Naive::Utc, target_has_zone: true, spelled: None, digits: 6 };
    let plain = Conversion::Text { numbers: false, chars_max: None };
    let words = |n: u64| "a line of words, äöü, ".repeat(n as usize % 8 + 5);
    let cases: Vec<Case> = vec![
        ("bool", Conversion::Bool, Box::new(|n| Held::Integer((mixed(n) % 2) as i64))),
        ("int8", Conversion::Int { bytes: 8 }, Box::new(|n| Held::Integer(mixed(n) as i64))),
        ("float8", Conversion::Float8, Box::new(|n| Held::Real(mixed(n) as f64 / 1e9))),
        (
            "numeric of reals",
            Conversion::Numeric { limit: None, text: false },
            Box::new(|n| Held::Real((mixed(n) % 1_000_000) as f64 / 100.0)),
        ),
        (
            "numeric of text",
            Conversion::Numeric { limit: Some((12, 2)), text: true },
            Box::new(|n| Held::Text(format!("{}.{:02}", mixed(n) % 1_000_000, n % 100))),
        ),
        ("text, 200 bytes", plain, Box::new(move |n| Held::Text(words(n)))),
        ("bytea, 1 KB", Conversion::Bytea { all_classes: false }, Box::new(|n| Held::Blob(vec![n as u8; 1024]))),
        ("uuid", Conversion::Uuid(UuidSpelling::Hyphens), Box::new(|n| Held::Text(uuid(n)))),
        ("jsonb, 200 bytes", Conversion::Jsonb { scalars: false }, Box::new(|n| Held::Text(json(n)))),
        ("json, 200 bytes", Conversion::Json, Box::new(|n| Held::Text(json(n)))),
        ("date", Conversion::Date, Box::new(|n| Held::Text(time(n)[..10].to_owned()))),
        ("time", Conversion::Time, Box::new(|n| Held::Text(time(n)[11..19].to_owned()))),
        ("moment of text", moment(MomentForm::Text { dates: false }), Box::new(|n| Held::Text(time(n)))),
        (
            "moment of seconds",
            moment(MomentForm::Epoch(EpochUnit::Seconds)),
            Box::new(|n| Held::Integer((mixed(n) % 2_000_000_000) as i64)),
        ),
    ];
    let mut group = c.benchmark_group("encode");
    group.throughput(Throughput::Elements(CELLS));
    for (name, conversion, make) in cases {
        let mut rule = Compiled::new(&conversion).expect("a sound rule");
        let cells: Vec<Held> = (0..CELLS).map(make).collect();
        let mut out = Vec::new();
        group.bench_function(name, |b| {
            b.iter(|| {
                out.clear();
                for cell in &cells {
                    rule.write(black_box(cell.cell()), &mut out).expect("a cell that the rule takes");
                }
                black_box(out.len())
            });
        });
    }
}

criterion_group!(benches, measure);
criterion_main!(benches);
