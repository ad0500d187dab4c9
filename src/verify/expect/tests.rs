//! A table for each kind of rule: a cell, and the form that it must get.

use super::Expectation;
use crate::model::cell::Cell;
use crate::model::conversion::{Conversion, EpochUnit, MomentForm, Naive, UuidSpelling};
use crate::model::pg_type::PgType;
use crate::model::plan::ColumnPlan;
use crate::verify::form::{Form, Number};

fn column(conversion: Conversion, pg_type: PgType) -> ColumnPlan {
    ColumnPlan {
        source: "c".to_owned(),
        declared: String::new(),
        target: "c".to_owned(),
        pg_type,
        conversion,
        stand_ins: true,
        is_rule: false,
        on_error: crate::model::policy::Policy::Fail,
        fallback: None,
        null_is_default: false,
        not_null: false,
        default: None,
        generated: None,
        identity: None,
        evidence: String::new(),
    }
}

#[track_caller]
fn check_column(column: &ColumnPlan, cell: Cell<'_>, expect: impl Fn(&mut Form)) {
    let mut expectation = Expectation::new(std::iter::once(column)).expect("a sound rule");
    let (mut got, mut want) = (Form::default(), Form::default());
    expectation.cell(0, cell, &mut got);
    expect(&mut want);
    assert_eq!(got.bytes(), want.bytes(), "{:?} of {cell:?}", column.conversion);
    // The next cell finds nothing of this one.
    got.clear();
    expectation.cell(0, cell, &mut got);
    assert_eq!(got.bytes(), want.bytes(), "{:?} of {cell:?}, again", column.conversion);
}

#[track_caller]
fn check(conversion: &Conversion, cell: Cell<'_>, expect: impl Fn(&mut Form)) {
    check_column(&column(conversion.clone(), conversion.pg_type()), cell, expect);
}

#[track_caller]
fn refuses(conversion: &Conversion, cells: &[Cell<'_>]) {
    for cell in cells {
        check(conversion, *cell, Form::no_value);
    }
}

fn text(text: &str) -> Cell<'_> {
    Cell::Text(text.as_bytes())
}

const TEXT: Conversion = Conversion::Text { numbers: false, chars_max: None };
const JSONB: Conversion = Conversion::Jsonb { scalars: true };

fn moment(form: MomentForm, naive: Naive) -> Conversion {
    Conversion::Moment { form, naive, target_has_zone: true, spelled: None, digits: 6 }
}

#[test]
fn null_is_null_by_every_rule() {
    for conversion in [Conversion::Bool, Conversion::Float4, TEXT, JSONB, Conversion::Json, Conversion::Time] {
        check(&conversion, Cell::Null, Form::null);
    }
}

#[test]
fn booleans() {
    let rule = Conversion::Bool;
    for cell in [Cell::Integer(1), text("1"), text("t"), text("TRUE"), text("Yes"), text("oN"), text("y")] {
        check(&rule, cell, |form| form.bool(true));
    }
    for cell in [Cell::Integer(0), text("0"), text("F"), text("false"), text("no"), text("off"), text("N")] {
        check(&rule, cell, |form| form.bool(false));
    }
    refuses(&rule, &[Cell::Integer(2), Cell::Real(1.0), text("of"), text(""), text(" t"), Cell::Blob(b"1")]);
}

#[test]
fn integers() {
    check(&Conversion::Int { bytes: 8 }, Cell::Integer(i64::MIN), |form| form.int(i64::MIN));
    for (bytes, most) in [(2, i64::from(i16::MAX)), (4, i64::from(i32::MAX))] {
        let rule = Conversion::Int { bytes };
        check(&rule, Cell::Integer(most), |form| form.int(most));
        check(&rule, Cell::Integer(-most - 1), |form| form.int(-most - 1));
        refuses(&rule, &[Cell::Integer(most + 1), Cell::Integer(-most - 2), Cell::Real(1.0), text("1")]);
    }
}

#[test]
fn floats() {
    let rule = Conversion::Float8;
    for x in [0.0, -0.0, 0.1, f64::INFINITY, f64::MAX, 5e-324] {
        check(&rule, Cell::Real(x), |form| form.float(x));
    }
    check(&rule, Cell::Integer(1 << 53), |form| form.float(9_007_199_254_740_992.0));
    check(&rule, Cell::Integer(i64::MIN), |form| form.float(-9_223_372_036_854_775_808.0));
    refuses(&rule, &[Cell::Integer((1 << 53) + 1), Cell::Integer(i64::MAX), text("1")]);
    let rule = Conversion::Float4;
    check(&rule, Cell::Real(0.5), |form| form.float(0.5));
    check(&rule, Cell::Real(f64::NEG_INFINITY), |form| form.float(f64::NEG_INFINITY));
    check(&rule, Cell::Integer(1 << 24), |form| form.float(16_777_216.0));
    refuses(&rule, &[Cell::Real(0.1), Cell::Integer((1 << 24) + 1), Cell::Real(1e300)]);
}

#[test]
fn decimals_are_their_value() {
    let rule = Conversion::Numeric { limit: None, text: true };
    let is = |cell, negative, digits: &'static str, exponent| {
        check(&rule, cell, |form| form.numeric(Number::Finite { negative, digits: digits.as_bytes(), exponent }));
    };
    is(Cell::Integer(0), false, "", 0);
    is(Cell::Integer(-1200), true, "12", 4);
    is(Cell::Integer(i64::MIN), true, "9223372036854775808", 19);
    is(Cell::Real(-0.0), false, "", 0);
    is(Cell::Real(0.1), false, "1", 0);
    is(Cell::Real(-123.456), true, "123456", 3);
    // Of two that are as short and as near, the even one.
    is(Cell::Real(144_938_282_404_063.63), false, "14493828240406362", 15);
    is(Cell::Real(1e22), false, "1", 23);
    is(Cell::Real(5e-324), false, "5", -323);
    // The shortest that reads back, not the double's own 9223372036854775808.
    is(Cell::Real(9_223_372_036_854_775_808.0), false, "9223372036854776", 19);
}

#[test]
fn decimal_text_has_one_value_in_many_spellings() {
    let rule = Conversion::Numeric { limit: None, text: true };
    for spelled in ["1.5", "+1.5", "001.50", "1.500"] {
        check(&rule, text(spelled), |form| {
            form.numeric(Number::Finite { negative: false, digits: b"15", exponent: 1 });
        });
    }
    for spelled in ["0", "-0", "0.00", "+0.0"] {
        check(&rule, text(spelled), |form| {
            form.numeric(Number::Finite { negative: false, digits: b"", exponent: 0 });
        });
    }
    check(&rule, text("-0.00120"), |form| {
        form.numeric(Number::Finite { negative: true, digits: b"12", exponent: -2 });
    });
    refuses(
        &rule,
        &["", "-", "+", ".", ".5", "5.", "1e5", " 1", "1 ", "1,5", "0x1", "1.5.", "NaN", "--1", "١"].map(text),
    );
    refuses(&rule, &[Cell::Real(f64::INFINITY), Cell::Blob(b"1")]);
    refuses(&Conversion::Numeric { limit: None, text: false }, &[text("1")]);
}

#[test]
fn a_decimal_with_more_digits_than_the_limit_is_never_rounded() {
    let rule = Conversion::Numeric { limit: Some((4, 2)), text: true };
    for (cell, digits, exponent) in [(text("99.99"), "9999", 2), (text("001.50"), "15", 1), (Cell::Integer(20), "2", 2)]
    {
        check(&rule, cell, |form| {
            form.numeric(Number::Finite { negative: false, digits: digits.as_bytes(), exponent });
        });
    }
    refuses(&rule, &[Cell::Integer(100), Cell::Real(0.125), text("0.001"), text("1.500")]);
}

#[test]
fn text_is_itself_or_has_stand_ins() {
    for clean in ["", "a", "äöü €", " a ", "a\u{fffd}"] {
        check(&TEXT, text(clean), |form| form.text(clean.as_bytes()));
    }
    for (bytes, want) in [
        (&b"a\0b"[..], "a\u{fffd}b"),
        (b"\0\0", "\u{fffd}\u{fffd}"),
        (b"\xff", "\u{fffd}"),
        (b"\xe2\x82", "\u{fffd}"),
        (b"\xe2\x82x\xc3", "\u{fffd}x\u{fffd}"),
        (b"\xed\xa0\x80", "\u{fffd}\u{fffd}\u{fffd}"),
    ] {
        check(&TEXT, Cell::Text(bytes), |form| form.text(want.as_bytes()));
        let mut column = column(TEXT, PgType::Text);
        column.stand_ins = false;
        check_column(&column, Cell::Text(bytes), Form::no_value);
    }
    refuses(&TEXT, &[Cell::Integer(1), Cell::Real(1.0), Cell::Blob(b"a")]);
}

#[test]
fn numbers_are_written_out_where_the_rule_says() {
    let rule = Conversion::Text { numbers: true, chars_max: None };
    for (cell, want) in [
        (Cell::Integer(i64::MIN), "-9223372036854775808"),
        (Cell::Real(1.5), "1.5"),
        (Cell::Real(100.0), "100.0"),
        (Cell::Real(-0.0), "-0.0"),
        (Cell::Real(1e15), "1000000000000000.0"),
        (Cell::Real(1.5e16), "1.5e+16"),
        (Cell::Real(0.000_01), "0.00001"),
        (Cell::Real(0.000_001), "1e-6"),
        (Cell::Real(f64::NEG_INFINITY), "-Infinity"),
        (text("7"), "7"),
    ] {
        check(&rule, cell, |form| form.text(want.as_bytes()));
        check(&Conversion::Bytea { all_classes: true }, cell, |form| form.blob(want.as_bytes()));
    }
}

#[test]
fn a_length_counts_characters_and_blanks_fill_it() {
    let rule = Conversion::Text { numbers: true, chars_max: Some(3) };
    let varchar = column(rule.clone(), PgType::Varchar(3));
    let char = column(rule, PgType::Char(3));
    for (given, padded) in [("äöü", "äöü"), ("a", "a  "), ("", "   "), ("a ", "a  ")] {
        check_column(&varchar, text(given), |form| form.text(given.as_bytes()));
        check_column(&char, text(given), |form| form.text(padded.as_bytes()));
    }
    check_column(&char, Cell::Integer(7), |form| form.text(b"7  "));
    check_column(&char, Cell::Text(b"\xff"), |form| form.text("\u{fffd}  ".as_bytes()));
    for column in [&varchar, &char] {
        check_column(column, text("abcd"), Form::no_value);
        check_column(column, text("abc "), Form::no_value);
    }
}

#[test]
fn bytes() {
    check(&Conversion::Bytea { all_classes: false }, Cell::Blob(b"\0\xff"), |form| form.blob(b"\0\xff"));
    refuses(&Conversion::Bytea { all_classes: false }, &[text("a"), Cell::Integer(1), Cell::Real(1.0)]);
    check(&Conversion::Bytea { all_classes: true }, Cell::Text(b"\0\xff"), |form| form.blob(b"\0\xff"));
}

#[test]
fn uuids_in_their_column_s_spelling() {
    let lower = "018f3c5e-7a1b-7c2d-8e3f-a0b1c2d3e4f5";
    let want = [0x01, 0x8f, 0x3c, 0x5e, 0x7a, 0x1b, 0x7c, 0x2d, 0x8e, 0x3f, 0xa0, 0xb1, 0xc2, 0xd3, 0xe4, 0xf5];
    let spellings = [
        (UuidSpelling::Hyphens, lower.to_owned()),
        (UuidSpelling::HyphensUpper, lower.to_uppercase()),
        (UuidSpelling::Hex, lower.replace('-', "")),
        (UuidSpelling::HexUpper, lower.replace('-', "").to_uppercase()),
        (UuidSpelling::Braces, format!("{{{lower}}}")),
        (UuidSpelling::BracesUpper, format!("{{{}}}", lower.to_uppercase())),
    ];
    for (rule, _) in &spellings {
        for (spelling, spelled) in &spellings {
            if rule == spelling {
                check(&Conversion::Uuid(*rule), text(spelled), |form| form.uuid(want));
            } else {
                refuses(&Conversion::Uuid(*rule), &[text(spelled)]);
            }
        }
        refuses(&Conversion::Uuid(*rule), &["", "018f", &lower.replace('0', "g"), &format!("{lower} ")].map(text));
        refuses(&Conversion::Uuid(*rule), &[Cell::Blob(&want)]);
    }
}

#[test]
fn json_keeps_its_text_and_jsonb_its_value() {
    for (given, printed) in [
        ("{}", "{}"),
        (" [ ] ", "[]"),
        (r#"{"b":1,"a":[1,2,{"x":null}]}"#, r#"{"a": [1, 2, {"x": null}], "b": 1}"#),
        (r#"{"bb":1,"c":2,"aa":3,"":4}"#, r#"{"": 4, "c": 2, "aa": 3, "bb": 1}"#),
        (r#"{"a":1,"b":2,"a":3}"#, r#"{"a": 3, "b": 2}"#),
        (r#"{"a":{"z":1,"y":2},"a":{"z":3,"y":4}}"#, r#"{"a": {"y": 4, "z": 3}}"#),
        (r#"{"\u0061":1,"a":2}"#, r#"{"a": 2}"#),
        (r#"{"\"":1,"a":2,"\n":3,"aa":4}"#, r#"{"\n": 3, "\"": 1, "a": 2, "aa": 4}"#),
        (r#"{"é":1,"aaa":2,"a":3,"zz":4}"#, r#"{"a": 3, "zz": 4, "é": 1, "aaa": 2}"#),
        (r#"{"\n":{"b":1,"a":2},"\t":{"\r":0}}"#, r#"{"\t": {"\r": 0}, "\n": {"a": 2, "b": 1}}"#),
        ("[1e2, 1.50, 1.5e-3, -0, -0.0, 0e5, 0e-5, 1.50e1]", "[100, 1.50, 0.0015, 0, 0.0, 0, 0.00000, 15.0]"),
        ("[12.340e1, -1.50, 10E-1, 123e-5, -0e3, -0e-2, 1E+2]", "[123.40, -1.50, 1.0, 0.00123, 0, 0.00, 100]"),
        (
            r#""\u0001\u001f\u007f\u2028\/\b\f\n\r\t\"\\\ud83d\ude00\u00E9""#,
            "\"\\u0001\\u001f\u{7f}\u{2028}/\\b\\f\\n\\r\\t\\\"\\\\😀é\"",
        ),
        ("\t\r\n true", "true"),
    ] {
        check(&JSONB, text(given), |form| form.jsonb(printed.as_bytes()));
        check(&Conversion::Json, text(given), |form| form.json(given.as_bytes()));
    }
    let wrong = ["", "[1,]", "[,1]", "{\"a\"}", "{a:1}", "{\"a\":1,}", "[1 2]", "1.", ".5", "01", "-", "1e", "nulls"];
    for rule in [JSONB, Conversion::Json] {
        refuses(&rule, &wrong.map(text));
        refuses(&rule, &["\"\\x\"", "\"\\u12\"", "\"a", "\"\t\"", "\u{c}1", "1 x", "[", "{\"a\":", "]"].map(text));
        refuses(&rule, &[Cell::Text(b"\"\xff\""), Cell::Integer(1), Cell::Blob(b"{}")]);
    }
    refuses(&Conversion::Jsonb { scalars: false }, &["1", " \"a\"", "null"].map(text));
}

#[test]
fn what_only_jsonb_cannot_hold() {
    let many = |digit: &str, count| digit.repeat(count);
    for beyond in [
        r#""\u0000""#.to_owned(),
        r#""\ud83d""#.to_owned(),
        r#""\ude00""#.to_owned(),
        r#""\ud83d\ud83d\ude00""#.to_owned(),
        "1e131072".to_owned(),
        many("1", 131_073),
        "0e-16384".to_owned(),
        "1e999999999999999999999".to_owned(),
        format!("0.{}", many("0", 16_384)),
    ] {
        refuses(&JSONB, &[text(&beyond)]);
        check(&Conversion::Json, text(&beyond), |form| form.json(beyond.as_bytes()));
    }
    let longest = many("1", 131_072);
    check(&JSONB, text(&longest), |form| form.jsonb(longest.as_bytes()));
    check(&JSONB, text("0e200000"), |form| form.jsonb(b"0"));
}

#[test]
fn json_nested_too_deeply_is_none() {
    let nested = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    check(&JSONB, text(&nested(512)), |form| form.jsonb(nested(512).as_bytes()));
    refuses(&JSONB, &[text(&nested(513)), text(&"[".repeat(1_000_000)), text(&"{\"a\":".repeat(100_000))]);
}

#[test]
fn dates_and_times_of_day() {
    for (given, days) in [("2000-01-01", 0), ("1999-12-31", -1), ("0001-01-01", -730_119), ("9999-12-31", 2_921_939)] {
        check(&Conversion::Date, text(given), |form| form.date(days));
    }
    refuses(&Conversion::Date, &["0000-01-01", "2023-02-29", "2024-1-01", "20240101", "2024-01-01 "].map(text));
    for (given, micros) in [
        ("00:00", 0),
        ("23:59:59", 86_399_000_000),
        ("23:59:59.999999", 86_399_999_999),
        ("01:02:03.5", 3_723_500_000),
        ("01:02:03.5000000", 3_723_500_000),
    ] {
        check(&Conversion::Time, text(given), |form| form.time(micros));
    }
    let wrong =
        ["24:00", "12:60", "12:00:60", "12:00:00.", "12:00.5", "12", "1:00", "12:00:00.0000001", "12:00Z", "12:00:0"];
    refuses(&Conversion::Time, &wrong.map(text));
}

#[test]
fn moments_as_text() {
    let utc = moment(MomentForm::Text { dates: true }, Naive::Utc);
    for (given, micros) in [
        ("2000-01-01", 0),
        ("2000-01-01T00:00", 0),
        ("2000-01-01 00:00:01", 1_000_000),
        ("2000-01-01T00:00:00.000001Z", 1),
        ("2000-01-01T02:00+02", 0),
        ("2000-01-01T02:30:00+0230", 0),
        ("1999-12-31 21:30:00.25-02:30", 250_000),
        ("2000-01-01T15:59+15:59", 0),
        ("0001-01-01T00:00", -63_082_281_600_000_000),
    ] {
        check(&utc, text(given), |form| form.timestamp_tz(micros));
    }
    let wrong = [
        "2000-01-01T",
        "2000-01-01t00:00",
        "2000-01-01  00:00",
        "2000-01-01T24:00",
        "2000-01-01T00:00z",
        "2000-01-01T00:00:00.0000001",
        "2000-01-01T00:00+2",
        "2000-01-01T00:00 +02",
        "2000-01-01T00:00+16",
        "2000-01-01T00:00+02:60",
        "2000-01-01T00:00+02:0",
        "2000-02-30T00:00",
        "2000-01-01T00:00:60",
        "2000-01-01Z",
        "2000-01-01T00:00:00Z ",
        "2000-01-01T00:00ZZ",
        "0001-01-01T00:00+01",
        "9999-12-31T23:00-01:00",
        "€€€€€€",
    ];
    refuses(&utc, &wrong.map(text));
    refuses(&utc, &[Cell::Integer(0), Cell::Real(0.0)]);
    refuses(&moment(MomentForm::Text { dates: false }, Naive::Utc), &[text("2000-01-01")]);
    refuses(&moment(MomentForm::Text { dates: true }, Naive::Refuse), &["2000-01-01", "2000-01-01T00:00"].map(text));
}

#[test]
fn a_wall_clock_belongs_to_its_zone() {
    let berlin = moment(MomentForm::Text { dates: true }, Naive::Zone("Europe/Berlin".to_owned()));
    for (given, micros) in [
        ("2000-01-01T01:00", 0),
        ("2000-01-01T00:00Z", 0),
        ("2000-07-01T02:00", 182 * 86_400_000_000),
        ("2000-01-02", 82_800_000_000),
        ("9999-12-31 00:46", 252_455_528_760_000_000),
    ] {
        check(&berlin, text(given), |form| form.timestamp_tz(micros));
    }
    // A gap, a fold, and the last hour before and after each.
    refuses(&berlin, &["2024-03-31T02:30", "2024-10-27T02:30"].map(text));
    for given in ["2024-03-31T01:59:59.999999", "2024-03-31T03:00", "2024-10-27T01:59:59", "2024-10-27T03:00"] {
        let mut form = Form::default();
        let column = column(berlin.clone(), PgType::TimestampTz);
        Expectation::new(std::iter::once(&column)).expect("a zone").cell(0, text(given), &mut form);
        assert_eq!(form.bytes().len(), 9, "{given}");
    }
    let wall = Conversion::Moment {
        form: MomentForm::Text { dates: true },
        naive: Naive::Refuse,
        target_has_zone: false,
        spelled: None,
        digits: 6,
    };
    check(&wall, text("2000-01-01T00:00:01"), |form| form.timestamp(1_000_000));
    refuses(&wall, &["2000-01-01T00:00:01Z", "2000-01-01T00:00+02"].map(text));
    let millis = Conversion::Moment {
        form: MomentForm::Text { dates: true },
        naive: Naive::Utc,
        target_has_zone: false,
        spelled: None,
        digits: 3,
    };
    check(&millis, text("2000-01-01T02:00:00.001+02:00"), |form| form.timestamp(1000));
    check(&millis, text("1999-12-31T23:59:59.999000Z"), |form| form.timestamp(-1000));
    refuses(&millis, &["2000-01-01T00:00:00.0001", "1999-12-31T23:59:59.9999Z"].map(text));
    let nowhere = column(moment(MomentForm::JulianDay, Naive::Zone("Mars/Olympus".to_owned())), PgType::TimestampTz);
    assert!(Expectation::new(std::iter::once(&nowhere)).is_err());
}

#[test]
fn a_key_s_times_share_one_spelling() {
    let spelled = |spelled: &str| Conversion::Moment {
        form: MomentForm::Text { dates: true },
        naive: Naive::Utc,
        target_has_zone: true,
        spelled: Some(spelled.to_owned()),
        digits: 6,
    };
    let rule = spelled("0000-00-00T00:00Z");
    check(&rule, text("2000-01-01T00:00Z"), |form| form.timestamp_tz(0));
    refuses(&rule, &["2000-01-01 00:00Z", "2000-01-01T00:00", "2000-01-01T00:00:00Z", "2000-01-01"].map(text));
    check(&spelled(""), text("2000-01-01"), |form| form.timestamp_tz(0));
}

#[test]
fn counted_moments() {
    const UNIX: i64 = -946_684_800_000_000;
    let day = 86_400_000_000;
    let counted = |form, cell, micros| check(&moment(form, Naive::Refuse), cell, |f| f.timestamp_tz(micros));
    for (unit, one_second) in [
        (EpochUnit::Seconds, 1),
        (EpochUnit::Millis, 1_000),
        (EpochUnit::Micros, 1_000_000),
        (EpochUnit::Nanos, 1_000_000_000),
    ] {
        let form = MomentForm::Epoch(unit);
        counted(form, Cell::Integer(0), UNIX);
        counted(form, Cell::Real(0.0), UNIX);
        counted(form, Cell::Integer(-one_second), UNIX - 1_000_000);
        counted(form, Cell::Real(1_700_000_000.0 * one_second as f64), UNIX + 1_700_000_000_000_000);
        refuses(
            &moment(form, Naive::Refuse),
            &[Cell::Real(f64::INFINITY), text("0"), Cell::Real(1e-300), Cell::Real(-0.0)],
        );
    }
    counted(MomentForm::Epoch(EpochUnit::Seconds), Cell::Real(1_700_000_000.123_456), UNIX + 1_700_000_000_123_456);
    counted(MomentForm::Epoch(EpochUnit::Nanos), Cell::Integer(1_000), UNIX + 1);
    refuses(&moment(MomentForm::Epoch(EpochUnit::Nanos), Naive::Utc), &[Cell::Integer(1_001)]);
    refuses(
        &moment(MomentForm::Epoch(EpochUnit::Seconds), Naive::Utc),
        &[Cell::Integer(i64::MAX), Cell::Real(0.123_456_7)],
    );
    counted(MomentForm::JulianDay, Cell::Real(2_451_544.5), 0);
    counted(MomentForm::JulianDay, Cell::Integer(2_451_545), day / 2);
    counted(MomentForm::JulianDay, Cell::Real(2_451_544.25), -day / 4);
    refuses(
        &moment(MomentForm::JulianDay, Naive::Utc),
        &[Cell::Integer(0), Cell::Integer(5_373_485), text("2451544.5")],
    );
}
