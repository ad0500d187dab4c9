//! Two readings of one cell: what the load writes and what verification expects were written apart, and must mean the
//! same value for every cell that any rule takes, and none for the others.
//!
//! What `transform` writes is decoded here once more, by PostgreSQL's wire formats; jsonb travels as text, so that its
//! value is left to `expect_oracle.rs`. `LITE2PG_LONG=1` tries fifty times as many; `LITE2PG_SEED` repeats a run.

mod support;

use lite2pg::model::cell::Cell;
use lite2pg::model::conversion::{Conversion, EpochUnit, IdVersion, MomentForm, Naive, UuidSpelling};
use lite2pg::model::pg_type::Element;
use lite2pg::model::plan::ColumnPlan;
use lite2pg::transform::Compiled;
use lite2pg::verify::expect::Expectation;
use lite2pg::verify::form::{Form, Number};
use std::cell::RefCell;
use support::cells::{any_cell, on_many};
use support::oracle::Held;

fn column(conversion: &Conversion) -> ColumnPlan {
    ColumnPlan {
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
    }
}

fn cell(held: &Held) -> Cell<'_> {
    match held {
        Held::Null => Cell::Null,
        Held::Integer(n) => Cell::Integer(*n),
        Held::Real(x) => Cell::Real(*x),
        Held::Text(bytes) => Cell::Text(bytes),
        Held::Blob(bytes) => Cell::Blob(bytes),
    }
}

fn moment(form: MomentForm, naive: Naive, target_has_zone: bool, spelled: Option<&str>) -> Conversion {
    Conversion::Moment { form, naive, target_has_zone, spelled: spelled.map(str::to_owned), digits: 6 }
}

/// Rules of every kind, with each of their options.
fn rules() -> Vec<Conversion> {
    let mut rules = vec![
        Conversion::Bool,
        Conversion::Int { bytes: 2 },
        Conversion::Int { bytes: 4 },
        Conversion::Int { bytes: 8 },
        Conversion::Whole { bytes: 2 },
        Conversion::Whole { bytes: 4 },
        Conversion::Whole { bytes: 8 },
        Conversion::Float8,
        Conversion::Float4,
        Conversion::Bytea { all_classes: false },
        Conversion::Bytea { all_classes: true },
        Conversion::Jsonb { scalars: true },
        Conversion::Jsonb { scalars: false },
        Conversion::Json,
        Conversion::Date,
        Conversion::Time,
    ];
    for limit in [None, Some((5, 2)), Some((3, 0)), Some((2, 5)), Some((1000, 0)), Some((17, 17))] {
        rules.extend([false, true].map(|text| Conversion::Numeric { limit, text }));
    }
    for chars_max in [None, Some(0), Some(3), Some(10)] {
        rules.extend([false, true].map(|numbers| Conversion::Text { numbers, chars_max }));
    }
    for spelling in [UuidSpelling::Hyphens, UuidSpelling::Hex, UuidSpelling::Braces] {
        rules.push(Conversion::Uuid(spelling));
    }
    for spelling in [UuidSpelling::HyphensUpper, UuidSpelling::HexUpper, UuidSpelling::BracesUpper] {
        rules.push(Conversion::Uuid(spelling));
    }
    rules.push(Conversion::Uuid(UuidSpelling::Any));
    for version in [IdVersion::V5, IdVersion::V4, IdVersion::V7 { millis: 1_764_155_000_123 }] {
        rules.push(Conversion::Id { map: "m".to_owned(), namespace: uuid::Uuid::NAMESPACE_OID, version });
    }
    for element in Element::ALL {
        rules.extend([None, Some(",")].map(|by| Conversion::Array { element, split: by.map(str::to_owned) }));
    }
    rules.push(Conversion::Label { labels: ["", "a", "t", "true", "12", "é"].map(str::to_owned).into() });
    for target_has_zone in [true, false] {
        let epochs = [EpochUnit::Seconds, EpochUnit::Millis, EpochUnit::Micros, EpochUnit::Nanos];
        let counted = epochs.map(MomentForm::Epoch).into_iter().chain([MomentForm::JulianDay]);
        rules.extend(counted.map(|form| moment(form, Naive::Refuse, target_has_zone, None)));
        for dates in [true, false] {
            for naive in [Naive::Utc, Naive::Refuse, Naive::Zone("Europe/Berlin".to_owned())] {
                rules.push(moment(MomentForm::Text { dates }, naive, target_has_zone, None));
            }
        }
        for digits in [0, 3] {
            for form in [MomentForm::Text { dates: true }, MomentForm::Epoch(EpochUnit::Millis), MomentForm::JulianDay]
            {
                let naive = Naive::Utc;
                rules.push(Conversion::Moment { form, naive, target_has_zone, spelled: None, digits });
            }
        }
        for spelled in ["", "0000-00-00T00:00:00Z", "0000-00-00 00:00", "0000-00-00"] {
            rules.push(moment(MomentForm::Text { dates: true }, Naive::Utc, target_has_zone, Some(spelled)));
        }
    }
    rules
}

/// Appends what a field of a binary COPY means in the column's type; false for jsonb, which no one can tell here.
fn decode(field: &[u8], rule: &Conversion, form: &mut Form) -> bool {
    let length = i32::from_be_bytes(field[..4].try_into().expect("a length"));
    let bytes = &field[4..];
    if length == -1 {
        assert!(bytes.is_empty());
        form.null();
        return true;
    }
    assert_eq!(bytes.len(), length as usize, "the field's length");
    match rule {
        Conversion::Bool => form.bool(bytes == [1]),
        Conversion::Int { bytes: 2 } | Conversion::Whole { bytes: 2 } => {
            form.int(i16::from_be_bytes(bytes.try_into().expect("two bytes")).into());
        }
        Conversion::Int { bytes: 4 } | Conversion::Whole { bytes: 4 } | Conversion::Date => {
            let n = i32::from_be_bytes(bytes.try_into().expect("four bytes"));
            if *rule == Conversion::Date { form.date(n) } else { form.int(n.into()) }
        }
        Conversion::Float8 => form.float(f64::from_be_bytes(bytes.try_into().expect("eight bytes"))),
        Conversion::Float4 => form.float(f32::from_be_bytes(bytes.try_into().expect("four bytes")).into()),
        Conversion::Numeric { .. } => numeric(bytes, form),
        Conversion::Text { .. } | Conversion::Label { .. } => form.text(bytes),
        Conversion::Bytea { .. } => form.blob(bytes),
        Conversion::Uuid(_) | Conversion::Id { .. } => form.uuid(bytes.try_into().expect("sixteen bytes")),
        Conversion::Json => form.json(bytes),
        Conversion::Array { element, .. } => array(bytes, *element, form),
        Conversion::Jsonb { .. } => return false,
        _ => {
            let n = i64::from_be_bytes(bytes.try_into().expect("eight bytes"));
            match rule {
                Conversion::Int { .. } | Conversion::Whole { .. } => form.int(n),
                Conversion::Time => form.time(n),
                Conversion::Moment { target_has_zone: true, .. } => form.timestamp_tz(n),
                _ => form.timestamp(n),
            }
        }
    }
    true
}

/// `array_recv`.
fn array(bytes: &[u8], element: Element, form: &mut Form) {
    let word = |at: usize| i32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let mut list = Form::default();
    let (mut at, mut nulls) = (20, 0);
    let count = if word(0) == 0 { 0 } else { word(12) };
    for _ in 0..count {
        let length = word(at);
        at += 4;
        if length < 0 {
            nulls += 1;
            list.null();
            continue;
        }
        let field = &bytes[at..at + length as usize];
        at += length as usize;
        match element {
            Element::Bool => list.bool(field == [1]),
            Element::Int4 => list.int(i32::from_be_bytes(field.try_into().expect("four bytes")).into()),
            Element::Int8 => list.int(i64::from_be_bytes(field.try_into().expect("eight bytes"))),
            Element::Text => list.text(field),
            Element::Uuid => list.uuid(field.try_into().expect("sixteen bytes")),
        }
    }
    assert_eq!(word(4), i32::from(nulls > 0), "the flag of NULLs");
    assert!(count == 0 || at == bytes.len(), "nothing behind the elements");
    form.list(&list);
}

/// `numeric_recv`: four headers, then digits of base 10000.
fn numeric(bytes: &[u8], form: &mut Form) {
    let words: Vec<u16> = bytes.chunks(2).map(|b| u16::from_be_bytes([b[0], b[1]])).collect();
    let [count, weight, sign, scale] = words[..4] else { panic!("a header") };
    assert_eq!(words.len() - 4, usize::from(count));
    let digits: String = words[4..].iter().map(|word| format!("{word:04}")).collect::<Vec<_>>().concat();
    let first = digits.len() - digits.trim_start_matches('0').len();
    let digits = digits.trim_matches('0');
    let exponent = if digits.is_empty() { 0 } else { (i32::from(weight as i16) + 1) * 4 - first as i32 };
    assert!(digits.len() as i32 - exponent <= i32::from(scale), "numeric_recv cuts digits beyond the scale");
    assert!(sign == 0 || sign == 0x4000);
    form.numeric(Number::Finite { negative: sign != 0, digits: digits.as_bytes(), exponent });
}

/// Beyond 2^53 microseconds, in the year 2255, a julian day stands for several microseconds that read back as the same
/// double: the rules do not say which of them is meant. The expectation is the nearest, by integers; the load finds one
/// by doubles, or refuses.
fn is_coarse(conversion: &Conversion, held: &Held) -> bool {
    let (Conversion::Moment { form, .. }, Held::Real(x)) = (conversion, held) else { return false };
    *form == MomentForm::JulianDay && ((x - 2_440_587.5) * 86_400e6).abs() > 2_f64.powi(53)
}

/// One rule, read twice.
struct Readings {
    rule: Conversion,
    load: Compiled,
    expectation: Expectation,
}

impl Readings {
    fn of(rule: Conversion) -> Self {
        let load = Compiled::new(&rule).expect("a sound rule");
        let expectation = Expectation::new(std::iter::once(&column(&rule))).expect("a sound rule");
        Self { rule, load, expectation }
    }

    fn agree(&mut self, held: &Held) -> Result<(), String> {
        let (mut field, mut want, mut got) = (Vec::new(), Form::default(), Form::default());
        let fit = self.load.write(cell(held), &mut field);
        self.expectation.cell(0, cell(held), &mut got);
        let mut none = Form::default();
        none.no_value();
        let agrees = match fit {
            Err(_) => got.bytes() == none.bytes(),
            Ok(_) if decode(&field, &self.rule, &mut want) => got.bytes() == want.bytes(),
            Ok(_) => got.bytes() != none.bytes(),
        };
        if agrees || is_coarse(&self.rule, held) {
            return Ok(());
        }
        let (rule, want, got) = (&self.rule, want.bytes(), got.bytes());
        Err(format!("{rule:?} of {held:?}: the load says {fit:?} {want:02x?}, but {got:02x?} is expected"))
    }
}

#[test]
fn the_load_and_the_expectation_mean_the_same_by_every_rule() {
    let readings = RefCell::new(rules().into_iter().map(Readings::of).collect::<Vec<_>>());
    on_many(any_cell(), 200, |cells| {
        let mut readings = readings.borrow_mut();
        cells.iter().try_for_each(|held| readings.iter_mut().try_for_each(|reading| reading.agree(held)))
    });
}
