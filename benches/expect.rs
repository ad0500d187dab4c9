//! What does the second reading of a row cost? `cargo bench --bench expect` prints nanoseconds a row, by part.
//!
//! The rows are made before the clock runs, 10,000 of them read a hundred times, so that they come from the cache
//! as they do when the load has just read them. The least of five rounds counts: the others were disturbed.

use lite2pg::model::cell::Cell;
use lite2pg::model::conversion::{Conversion, MomentForm, Naive, UuidSpelling};
use lite2pg::model::plan::ColumnPlan;
use lite2pg::verify::expect::Expectation;
use lite2pg::verify::form::Form;
use std::hint::black_box;
use std::time::Instant;

const ROWS: usize = 10_000;
const TIMES: usize = 100;

fn column(conversion: Conversion) -> ColumnPlan {
    ColumnPlan {
        source: "c".to_owned(),
        declared: String::new(),
        target: "c".to_owned(),
        pg_type: conversion.pg_type(),
        conversion,
        stand_ins: true,
        is_rule: false,
        on_error: lite2pg::model::policy::Policy::Fail,
        fallback: None,
        not_null: false,
        default: None,
        generated: None,
        identity: None,
        evidence: String::new(),
    }
}

/// The n-th row: a uuid, two times, 200 bytes of JSON with six keys, 200 bytes of text.
fn row(n: usize) -> [Vec<u8>; 5] {
    let id = uuid::Uuid::from_u128(0x018f_3c5e_7a1b_7c2d_8e3f_a0b1_c2d3_0000 + n as u128 * 0x0001_0000_0001);
    let (hour, minute, second) = (n / 3600 % 24, n / 60 % 60, n % 60);
    let json = format!(
        "{{\"session\":\"s-{n:08}\",\"user\":{{\"id\":{n},\"plan\":\"pro\"}},\"tags\":[\"alpha\",\"beta\",\"gamma\"],\
         \"score\":{}.25,\"active\":true,\"note\":\"{}\"}}",
        n % 1000,
        "a quiet sentence of a user ".repeat(3)
    );
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(5);
    [
        id.to_string().into_bytes(),
        format!("2024-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{:06}Z", n % 12 + 1, n % 28 + 1, n).into_bytes(),
        format!("2024-{:02}-{:02} {hour:02}:{minute:02}:{second:02}", n % 12 + 1, n % 28 + 1).into_bytes(),
        json.into_bytes(),
        text.into_bytes()[..200].to_vec(),
    ]
}

/// The least nanoseconds a row of five rounds.
fn ns_per_row(mut row: impl FnMut(usize)) -> f64 {
    let rounds = (0..5).map(|_| {
        let start = Instant::now();
        for _ in 0..TIMES {
            (0..ROWS).for_each(&mut row);
        }
        start.elapsed().as_nanos() as f64 / (ROWS * TIMES) as f64
    });
    rounds.fold(f64::INFINITY, f64::min)
}

fn main() {
    let moment = |naive| Conversion::Moment {
        form: MomentForm::Text { dates: true },
        naive,
        target_has_zone: true,
        spelled: None,
    };
    let columns = [
        column(Conversion::Uuid(UuidSpelling::Hyphens)),
        column(moment(Naive::Utc)),
        column(moment(Naive::Utc)),
        column(Conversion::Jsonb { scalars: false }),
        column(Conversion::Text { numbers: false, chars_max: None }),
    ];
    let rows: Vec<[Vec<u8>; 5]> = (0..ROWS).map(row).collect();
    let mut expectation = Expectation::new(columns.iter()).expect("sound rules");
    let mut form = Form::default();
    let sizes = rows[0].each_ref().map(Vec::len);
    println!("ns a row, cells of {sizes:?} bytes");
    for (at, name) in ["uuid", "time with fraction and Z", "time", "jsonb", "text"].into_iter().enumerate() {
        let ns = ns_per_row(|n| {
            form.clear();
            expectation.cell(at, Cell::Text(&rows[n][at]), &mut form);
            black_box(form.bytes());
        });
        println!("{ns:8.1}  {name}");
    }
    let whole = |expectation: &mut Expectation, form: &mut Form, n: usize| {
        form.clear();
        for (at, cell) in rows[n].iter().enumerate() {
            expectation.cell(at, Cell::Text(cell), form);
        }
    };
    let formed = ns_per_row(|n| {
        whole(&mut expectation, &mut form, n);
        black_box(form.bytes());
    });
    let digested = ns_per_row(|n| {
        whole(&mut expectation, &mut form, n);
        black_box(form.digest());
    });
    println!("{formed:8.1}  all cells\n{:8.1}  digest of {} bytes", digested - formed, form.bytes().len());
    println!("{digested:8.1}  the row");
}
