//! PostgreSQL is the oracle of what verification expects: the server's own casts of source texts and numbers, against
//! the forms that `verify::expect` reads from the same cells.
//!
//! `LITE2PG_LONG=1` tries fifty times as many; `LITE2PG_SEED` repeats a run that failed.

mod support;

use lite2pg::model::cell::Cell;
use lite2pg::model::conversion::{Conversion, EpochUnit, MomentForm, Naive};
use lite2pg::model::plan::ColumnPlan;
use lite2pg::postgres::Session;
use lite2pg::verify::expect::Expectation;
use lite2pg::verify::form::{Form, Number};
use proptest::prelude::*;
use std::cell::RefCell;
use support::cells::{any_real, clock, date, decimal, json, json_alike, moment, number_at_the_limits, on_many};

/// The server's answers to a list of texts: an SQL expression over `s`, NULL where it refuses.
struct Oracle {
    session: Session,
    sql: String,
}

impl Oracle {
    fn asking(expression: &str, zone: &str) -> Self {
        let session = support::session(&support::database());
        session
            .batch(&format!(
                "SET timezone = '{zone}';
                CREATE FUNCTION pg_temp.answer(s text) RETURNS text LANGUAGE plpgsql AS $$
                BEGIN
                    RETURN ({expression})::text;
                EXCEPTION WHEN others THEN
                    RETURN NULL;
                END $$"
            ))
            .expect("a function of the oracle");
        let sql = "SELECT pg_temp.answer(s) FROM unnest($1::text[]) WITH ORDINALITY AS t (s, n) ORDER BY n".to_owned();
        Self { session, sql }
    }

    fn answers(&self, texts: &[String]) -> Vec<Option<String>> {
        let rows = self.session.query(&self.sql, &[&texts]).expect("answers");
        rows.iter().map(|row| row.get(0)).collect()
    }
}

/// A rule's reading of one cell after another.
struct Reading(RefCell<(Expectation, Form)>);

impl Reading {
    fn of(conversion: &Conversion) -> Self {
        let column = ColumnPlan {
            source: "c".to_owned(),
            declared: String::new(),
            target: "c".to_owned(),
            pg_type: conversion.pg_type(),
            conversion: conversion.clone(),
            stand_ins: true,
            is_rule: false,
            on_error: lite2pg::model::policy::Policy::Fail,
            fallback: None,
            null_is_default: false,
            not_null: false,
            default: None,
            generated: None,
            identity: None,
            evidence: String::new(),
        };
        let expectation = Expectation::new(std::iter::once(&column)).expect("a sound rule");
        Self(RefCell::new((expectation, Form::default())))
    }

    fn form(&self, cell: Cell<'_>) -> Form {
        let (expectation, form) = &mut *self.0.borrow_mut();
        form.clear();
        expectation.cell(0, cell, form);
        form.clone()
    }
}

fn made(write: impl Fn(&mut Form)) -> Form {
    let mut form = Form::default();
    write(&mut form);
    form
}

/// Whether the answer's form is the reading's. `is_strict`: what the rule refuses, the server must refuse too.
fn same(got: &Form, answer: Option<&str>, is_strict: bool, write: impl Fn(&str, &mut Form)) -> bool {
    let is_none = got.bytes() == made(Form::no_value).bytes();
    match answer {
        Some(answer) if is_strict || !is_none => got.bytes() == made(|form| write(answer, form)).bytes(),
        _ => is_none,
    }
}

/// Reads texts by the rule and asks the server what it makes of them; a rule that takes nearly none proves nothing.
fn check(
    rule: &Conversion,
    oracle: &Oracle,
    texts: impl Strategy<Value = String>,
    lists: u32,
    is_strict: bool,
    write: impl Fn(&str, &mut Form),
) {
    let reading = Reading::of(rule);
    let taken = RefCell::new((0, 0));
    let none = made(Form::no_value);
    let texts = texts.prop_filter("no parameter holds a NUL", |text| !text.contains('\0'));
    on_many(texts, lists, |texts| {
        for (text, answer) in texts.iter().zip(oracle.answers(texts)) {
            let got = reading.form(Cell::Text(text.as_bytes()));
            let mut taken = taken.borrow_mut();
            *taken = (taken.0 + u32::from(got.bytes() != none.bytes()), taken.1 + 1);
            if !same(&got, answer.as_deref(), is_strict, &write) {
                let got = got.bytes().escape_ascii();
                return Err(format!("{rule:?} of {text:?}: the server says {answer:?}, expected is {got}"));
            }
        }
        Ok(())
    });
    let (taken, tried) = *taken.borrow();
    assert!(taken * 10 > tried, "{rule:?} took {taken} of {tried}");
}

fn number(printed: &str) -> i64 {
    printed.parse().expect("an integer")
}

#[test]
fn jsonb_is_printed_as_the_server_prints_it() {
    let oracle = Oracle::asking("s::jsonb", "UTC");
    let rule = Conversion::Jsonb { scalars: true };
    check(&rule, &oracle, json(), 60, true, |printed, form| form.jsonb(printed.as_bytes()));
}

#[test]
fn jsonb_with_the_keys_of_documents_before_is_printed_as_the_server_prints_it() {
    let oracle = Oracle::asking("s::jsonb", "UTC");
    let rule = Conversion::Jsonb { scalars: false };
    check(&rule, &oracle, json_alike(), 60, true, |printed, form| form.jsonb(printed.as_bytes()));
}

#[test]
fn json_is_whatever_the_server_takes() {
    let oracle = Oracle::asking("s::json", "UTC");
    check(&Conversion::Json, &oracle, json(), 20, true, |printed, form| form.json(printed.as_bytes()));
}

#[test]
fn numbers_of_jsonb_end_where_numeric_does() {
    let oracle = Oracle::asking("s::jsonb", "UTC");
    let rule = Conversion::Jsonb { scalars: true };
    check(&rule, &oracle, number_at_the_limits(), 1, true, |printed, form| form.jsonb(printed.as_bytes()));
}

#[test]
fn dates_and_times_are_the_server_s() {
    let oracle = Oracle::asking("s::date - date '2000-01-01'", "UTC");
    check(&Conversion::Date, &oracle, date(), 10, false, |days, form| form.date(number(days) as i32));
    let oracle = Oracle::asking("(extract(epoch FROM s::time) * 1000000)::bigint", "UTC");
    check(&Conversion::Time, &oracle, clock(), 10, false, |micros, form| form.time(number(micros)));
}

#[test]
fn moments_are_the_server_s_in_its_zone() {
    let micros = "(extract(epoch FROM s::timestamptz) * 1000000)::bigint - 946684800000000";
    for (zone, naive) in [
        ("UTC", Naive::Utc),
        ("Europe/Berlin", Naive::Zone("Europe/Berlin".to_owned())),
        ("America/New_York", Naive::Zone("America/New_York".to_owned())),
        ("Australia/Lord_Howe", Naive::Zone("Australia/Lord_Howe".to_owned())),
    ] {
        let form = MomentForm::Text { dates: true };
        let rule = Conversion::Moment { form, naive, target_has_zone: true, spelled: None, digits: 6 };
        check(&rule, &Oracle::asking(micros, zone), moment(), 10, false, |n, form| form.timestamp_tz(number(n)));
    }
    let micros = "(extract(epoch FROM s::timestamp) * 1000000)::bigint - 946684800000000";
    let form = MomentForm::Text { dates: true };
    let rule = Conversion::Moment { form, naive: Naive::Refuse, target_has_zone: false, spelled: None, digits: 6 };
    check(&rule, &Oracle::asking(micros, "Asia/Tokyo"), moment(), 10, false, |n, form| form.timestamp(number(n)));
}

/// The form of what the server printed for a numeric.
fn numeric(printed: &str, form: &mut Form) {
    let unsigned = printed.trim_start_matches('-');
    let (before, after) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = format!("{before}{after}");
    let first = digits.len() - digits.trim_start_matches('0').len();
    let significant = digits.trim_matches('0');
    let exponent = if significant.is_empty() { 0 } else { before.len() as i32 - first as i32 };
    let negative = printed.starts_with('-') && !significant.is_empty();
    form.numeric(Number::Finite { negative, digits: significant.as_bytes(), exponent });
}

#[test]
fn decimals_are_the_server_s() {
    let rule = Conversion::Numeric { limit: None, text: true };
    check(&rule, &Oracle::asking("s::numeric", "UTC"), decimal(), 10, false, numeric);
    let rule = Conversion::Numeric { limit: Some((6, 3)), text: true };
    check(&rule, &Oracle::asking("s::numeric(6, 3)", "UTC"), decimal(), 10, false, numeric);
}

#[test]
fn whole_numbers_in_text_are_the_server_s() {
    for (bytes, asked) in [(2, "s::int2"), (4, "s::int4"), (8, "s::int8")] {
        let digits = proptest::strategy::Union::new([
            "[+-]?[0-9]{1,5}",
            "[+-]?0{0,3}[0-9]{1,20}",
            "[+-]? ?[0-9]{0,9}[.e_x]?[0-9]{0,2}",
        ]);
        let rule = Conversion::Whole { bytes };
        check(&rule, &Oracle::asking(asked, "UTC"), digits, 10, false, |n, form| form.int(number(n)));
    }
}

#[test]
fn a_real_s_digits_are_the_server_s() {
    // The server passes over a decimal that lies between two doubles and that ties to even would read back: 2e23 is
    // 1.9999999999999998e+23 to it. The standard library takes it, but ends some ties of digits otherwise.
    let oracle = Oracle::asking("(s::float8)::text::numeric", "UTC");
    let reading = Reading::of(&Conversion::Numeric { limit: None, text: false });
    on_many(any_real(), 20, |values| {
        let texts: Vec<String> = values.iter().map(|x| format!("{x:e}")).collect();
        for (x, answer) in values.iter().zip(oracle.answers(&texts)) {
            let got = reading.form(Cell::Real(*x));
            let answer = answer.filter(|answer| !answer.contains("Infinity"));
            let is_std = x.is_finite() && got.bytes() == made(|form| numeric(&format!("{x}"), form)).bytes();
            if !is_std && !same(&got, answer.as_deref(), true, numeric) {
                return Err(format!("{x:e}: the server says {answer:?}, expected is {:02x?}", got.bytes()));
            }
        }
        Ok(())
    });
}

#[test]
fn counted_moments_are_the_nearest_microsecond() {
    for (form, expression) in [
        (MomentForm::Epoch(EpochUnit::Seconds), "round(s::numeric * 1000000) - 946684800000000"),
        (MomentForm::Epoch(EpochUnit::Millis), "round(s::numeric * 1000) - 946684800000000"),
        (MomentForm::Epoch(EpochUnit::Micros), "round(s::numeric) - 946684800000000"),
        (MomentForm::Epoch(EpochUnit::Nanos), "round(s::numeric / 1000) - 946684800000000"),
    ] {
        let oracle = Oracle::asking(expression, "UTC");
        let rule = Conversion::Moment { form, naive: Naive::Refuse, target_has_zone: true, spelled: None, digits: 6 };
        let reading = Reading::of(&rule);
        on_many(any_real().prop_filter("finite", |x| x.is_finite() && x.abs() < 1e22), 5, |values| {
            // All digits of the double: no rounding but the server's.
            let texts: Vec<String> = values.iter().map(|x| format!("{x:.1080}")).collect();
            for (x, answer) in values.iter().zip(oracle.answers(&texts)) {
                let got = reading.form(Cell::Real(*x));
                if !same(&got, answer.as_deref(), false, |micros, form| form.timestamp_tz(number(micros))) {
                    return Err(format!("{rule:?} of {x:?}: the server says {answer:?}, not {:02x?}", got.bytes()));
                }
            }
            Ok(())
        });
    }
}
