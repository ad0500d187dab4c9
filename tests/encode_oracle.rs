//! PostgreSQL is the oracle: what `transform` writes is copied into a table, and what the server then prints is
//! compared with what was meant.
//!
//! Numbers, uuids, text and bytes are compared with Rust's own formatting; decimals, JSON and times with the
//! server's own cast of the source text. A column's random cells travel in one COPY: a field that the server
//! refuses fails it. `LITE2PG_LONG=1` tries fifty times as many; `LITE2PG_SEED` repeats a run that failed.

mod support;

use bytes::Bytes;
use lite2pg::model::cell::Cell;
use lite2pg::model::conversion::{Conversion, EpochUnit, Fit, Misfit, MomentForm, Naive, Rewrite, UuidSpelling};
use lite2pg::model::pg_type::Element;
use lite2pg::postgres::{Session, encode};
use lite2pg::transform::Compiled;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use std::cell::{Cell as Counter, RefCell};
use std::fmt::Write as _;
use support::cells::json_alike;

/// A cell that owns its bytes.
#[derive(Clone, PartialEq)]
enum Value {
    Null,
    Integer(i64),
    Real(f64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl Value {
    fn text(text: &str) -> Self {
        Self::Text(text.as_bytes().to_vec())
    }

    fn cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Integer(value) => Cell::Integer(*value),
            Self::Real(value) => Cell::Real(*value),
            Self::Text(bytes) => Cell::Text(bytes),
            Self::Blob(bytes) => Cell::Blob(bytes),
        }
    }

    /// The text, where the server can be shown it.
    fn source(&self) -> Option<&str> {
        let Self::Text(bytes) = self else { return None };
        std::str::from_utf8(bytes).ok().filter(|text| !text.contains('\0'))
    }
}

impl std::fmt::Debug for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(bytes) => write!(f, "Text({:.200})", bytes.escape_ascii().to_string()),
            other => write!(f, "{:?}", other.cell()),
        }
    }
}

/// What became of one cell.
#[derive(Debug)]
struct Arrived {
    fit: Result<Fit, Misfit>,
    /// As the server prints it.
    printed: Option<String>,
    /// The server's own cast of the source text, printed; `None` where it refuses it or was not asked.
    cast: Option<String>,
    /// The server calls the two the same.
    same: bool,
}

/// A column of a table on the server, and the rule that fills it.
struct Column {
    session: RefCell<Session>,
    pg_type: &'static str,
    print: &'static str,
    conversion: Conversion,
    cast: Option<&'static str>,
}

impl Column {
    fn new(pg_type: &'static str, conversion: Conversion) -> Self {
        let session = support::session(&support::database());
        session
            .batch(&format!(
                "SET timezone = 'UTC'; SET client_min_messages = warning;
                CREATE TEMP TABLE arrived (i bigint, v {pg_type});
                CREATE TEMP TABLE source (i bigint, s text);
                CREATE FUNCTION pg_temp.cast_of(s text, t text) RETURNS text LANGUAGE plpgsql AS $$
                DECLARE r text;
                BEGIN
                    EXECUTE format('SELECT ($1::%s)::text', t) INTO r USING s;
                    RETURN r;
                EXCEPTION WHEN others THEN
                    RETURN NULL;
                END $$;
                CREATE FUNCTION pg_temp.repeats(j json) RETURNS boolean LANGUAGE plpgsql AS $$
                BEGIN
                    RETURN CASE json_typeof(j)
                    WHEN 'object' THEN
                        (SELECT count(key) > count(DISTINCT key) OR coalesce(bool_or(pg_temp.repeats(value)), false)
                         FROM json_each(j))
                    WHEN 'array' THEN
                        (SELECT coalesce(bool_or(pg_temp.repeats(value)), false) FROM json_array_elements(j))
                    ELSE false END;
                END $$;"
            ))
            .expect("the tables of the oracle");
        Self { session: RefCell::new(session), pg_type, print: "v::text", conversion, cast: None }
    }

    /// Prints by this expression over `v` instead of `v::text`.
    fn printing(mut self, expression: &'static str) -> Self {
        self.print = expression;
        self
    }

    /// Lets the server cast each source text to this type.
    fn casting(mut self, pg_type: &'static str) -> Self {
        self.cast = Some(pg_type);
        self
    }

    fn with_timezone(self, zone: &str) -> Self {
        self.session.borrow().batch(&format!("SET timezone = '{zone}'")).expect("a zone");
        self
    }

    /// Sends the cells that fit and asks for all of them back.
    fn send(&self, values: &[Value]) -> Result<Vec<Arrived>, TestCaseError> {
        let mut compiled = Compiled::new(&self.conversion).expect("a sound rule");
        let (mut fields, mut sources, mut fits) = (Vec::new(), Vec::new(), Vec::new());
        encode::header(&mut fields);
        encode::header(&mut sources);
        for (i, value) in values.iter().enumerate() {
            let start = fields.len();
            encode::row(2, &mut fields);
            encode::int8(i as i64, &mut fields);
            let before = fields.len();
            let fit = compiled.write(value.cell(), &mut fields);
            if fit.is_err() {
                prop_assert_eq!(fields.len(), before, "a misfit left bytes behind");
                fields.truncate(start);
            }
            fits.push(fit);
            if let Some(text) = value.source().filter(|_| self.cast.is_some()) {
                encode::row(2, &mut sources);
                encode::int8(i as i64, &mut sources);
                encode::text(text.as_bytes(), &mut sources);
            }
        }
        encode::trailer(&mut fields);
        encode::trailer(&mut sources);
        self.exchange(fields, sources, fits)
    }

    fn exchange(
        &self,
        fields: Vec<u8>,
        sources: Vec<u8>,
        fits: Vec<Result<Fit, Misfit>>,
    ) -> Result<Vec<Arrived>, TestCaseError> {
        let mut session = self.session.borrow_mut();
        session.batch("TRUNCATE arrived, source").expect("empty tables");
        let taken = fits.iter().filter(|fit| fit.is_ok()).count() as u64;
        for (table, bytes, rows) in [("arrived", fields, Some(taken)), ("source", sources, None)] {
            let mut copy = session.copy_in(&format!("COPY {table} FROM STDIN (FORMAT binary)")).expect("a COPY");
            copy.send(Bytes::from(bytes)).expect("a connection");
            let copied = copy.finish().map_err(|e| TestCaseError::fail(format!("refused: {e:?}")))?;
            prop_assert!(rows.is_none_or(|rows| rows == copied));
        }
        let (print, target, cast) = (self.print, self.pg_type, self.cast.unwrap_or("text"));
        // json has no equality of its own.
        let compared = if target == "json" { "text" } else { target };
        let sql = format!(
            "SELECT i, CASE WHEN v IS NOT NULL THEN ({print})::text END, c,
                    CASE WHEN v IS NULL THEN false ELSE coalesce(v::{compared} = c::{compared}, false) END
             FROM (SELECT i, v, s, pg_temp.cast_of(s, '{cast}') AS c FROM arrived FULL JOIN source USING (i)) AS joined"
        );
        let rows = session.query(&sql, &[]).map_err(|e| TestCaseError::fail(format!("{e:?}")))?;
        let mut arrived: Vec<Arrived> =
            fits.into_iter().map(|fit| Arrived { fit, printed: None, cast: None, same: false }).collect();
        for row in rows {
            let place = &mut arrived[row.get::<_, i64>(0) as usize];
            (place.printed, place.cast, place.same) = (row.get(1), row.get(2), row.get(3));
        }
        Ok(arrived)
    }

    /// Checks the listed values, then random ones.
    fn check<S>(&self, listed: &[Value], random: S, is_right: impl Fn(&Value, &Arrived) -> bool)
    where
        S: Strategy<Value = Value>,
    {
        let (taken, tried) = (Counter::new(0), Counter::new(0));
        let test = |values: Vec<Value>| {
            for (value, arrived) in values.iter().zip(self.send(&values)?) {
                taken.set(taken.get() + usize::from(arrived.printed.is_some()));
                tried.set(tried.get() + 1);
                prop_assert!(is_right(value, &arrived), "{:?}: {:?} became {:?}", self.conversion, value, arrived);
            }
            Ok(())
        };
        for value in listed {
            test(vec![value.clone(), Value::Null]).unwrap_or_else(|e| panic!("listed: {e}"));
        }
        let seed = std::env::var("LITE2PG_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(random_seed);
        let config = Config {
            cases: if is_long() { 500 } else { 10 },
            failure_persistence: None,
            max_shrink_iters: 200,
            ..Config::default()
        };
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&u64::to_le_bytes(seed));
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
        let nullable = prop_oneof![1 => Just(Value::Null), 30 => random];
        runner.run(&vec(nullable, 1..500), test).unwrap_or_else(|e| panic!("LITE2PG_SEED={seed}: {e}"));
        // A strategy that seldom makes what the rule takes would prove nothing.
        assert!(taken.get() * 20 > tried.get(), "{:?} took {} of {}", self.conversion, taken.get(), tried.get());
    }
}

fn is_long() -> bool {
    std::env::var_os("LITE2PG_LONG").is_some()
}

fn random_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a clock after 1970");
    now.as_nanos() as u64
}

/// The cell must arrive, and be printed like this.
fn prints(arrived: &Arrived, expect: &str) -> bool {
    arrived.fit.is_ok() && arrived.printed.as_deref() == Some(expect)
}

/// What fits is what the server makes of the source text; NULL is NULL.
fn as_cast(value: &Value, arrived: &Arrived) -> bool {
    match value {
        Value::Null => arrived.fit == Ok(Fit::Exact) && arrived.printed.is_none(),
        _ if arrived.fit.is_ok() => arrived.same && arrived.printed.is_some() && arrived.printed == arrived.cast,
        _ => arrived.printed.is_none(),
    }
}

fn any_integer() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), any::<i32>().prop_map(i64::from), any::<i16>().prop_map(i64::from), -10..10_i64]
}

fn any_real() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits).prop_filter("SQLite has no NaN", |value| !value.is_nan()),
        any::<f32>().prop_map(f64::from).prop_filter("SQLite has no NaN", |value| !value.is_nan()),
        (any::<i32>(), 0..12_i32).prop_map(|(digits, scale)| f64::from(digits) / 10_f64.powi(scale)),
    ]
}

const INTEGERS: [i64; 12] =
    [0, 1, -1, i64::MIN, i64::MAX, 32767, -32768, 32768, 1 << 31, -(1 << 31), 1 << 53, (1 << 53) + 1];
const REALS: [f64; 16] = [
    0.0,
    -0.0,
    1.0,
    0.1,
    -1.5,
    1e15,
    1e16,
    1e100,
    1e-7,
    5e-324,
    f64::MIN_POSITIVE,
    f64::MAX,
    f64::MIN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    16_777_217.0,
];

fn numbers() -> Vec<Value> {
    INTEGERS.map(Value::Integer).into_iter().chain(REALS.map(Value::Real)).collect()
}

fn any_number() -> impl Strategy<Value = Value> {
    prop_oneof![any_integer().prop_map(Value::Integer), any_real().prop_map(Value::Real)]
}

fn texts(texts: &[&str]) -> Vec<Value> {
    texts.iter().map(|text| Value::text(text)).collect()
}

#[test]
fn arrays_in_postgres_s_own_spelling_arrive_as_it_reads_them_itself() {
    let listed = [
        "{}",
        " { } ",
        "{a}",
        "{a,b}",
        "{ a , b c }",
        "{\"a b\",\"\"}",
        "{NULL,null,\"NULL\",\\\\null}",
        "{\\\\ }",
        "{a\\\\ , b}",
        "{a,}",
        "{,a}",
        "{a,,b}",
        "{a}b",
        "{a",
        "a}",
        "{\"a\"b}",
        "{a\"b\"}",
        "{\"a\" }",
        "{{a},{b}}",
        "[0:1]={a,b}",
        "{a\\\\",
        "{\"a}",
        "{\\\\}}",
        "{\u{b}a\u{c}}",
        "{\u{a0}a}",
        "{ü🚲,\"ü\\\\🚲\"}",
        "{a{b}",
        "{1,+2, -3 }",
        "{\" 7 \",007}",
        "{t,F,yes,of}",
    ];
    for (element, array) in [
        (Element::Text, "text[]"),
        (Element::Int4, "int4[]"),
        (Element::Int8, "int8[]"),
        (Element::Bool, "bool[]"),
        (Element::Uuid, "uuid[]"),
    ] {
        let rule = Conversion::Array { element, split: None };
        let random = support::cells::literal().prop_map(|text| Value::text(&text));
        Column::new(array, rule).casting(array).check(&texts(&listed), random, |value, arrived| {
            let Some(text) = value.source() else { return arrived.printed.is_none() };
            if arrived.fit.is_ok() {
                return as_cast(value, arrived);
            }
            // Refused are lists of lists and of other bounds, and for uuids more than one spelling that the server reads.
            let is_flat = text.matches('{').count() == 1 && text.trim_start().starts_with('{');
            arrived.cast.is_none() || !is_flat || element == Element::Uuid
        });
    }
}

#[test]
fn integers_arrive_within_their_width() {
    for (bytes, pg_type) in [(2_u8, "smallint"), (4, "integer"), (8, "bigint")] {
        let bits = u32::from(bytes) * 8 - 1;
        Column::new(pg_type, Conversion::Int { bytes }).check(&numbers(), any_number(), |value, arrived| match value {
            Value::Integer(v) if *v >= -(1_i128 << bits) as i64 && i128::from(*v) < 1 << bits => {
                prints(arrived, &v.to_string())
            }
            Value::Integer(_) => arrived.fit == Err(Misfit::OutOfRange),
            Value::Null => arrived.fit.is_ok() && arrived.printed.is_none(),
            _ => arrived.fit == Err(Misfit::Class),
        });
    }
}

#[test]
fn floats_arrive_bit_for_bit() {
    let real = |value: &Value| match value {
        Value::Real(v) => Some(*v),
        // A double prints all its digits when told to print no decimals.
        Value::Integer(v) => Some(*v as f64).filter(|d| format!("{d:.0}") == v.to_string()),
        _ => None,
    };
    Column::new("float8", Conversion::Float8).check(&numbers(), any_number(), |value, arrived| match real(value) {
        Some(v) => arrived.printed.as_ref().is_some_and(|p| p.parse::<f64>().is_ok_and(|p| p.to_bits() == v.to_bits())),
        None => *value == Value::Null || arrived.fit.is_err(),
    });
    Column::new("float4", Conversion::Float4).check(&numbers(), any_number(), |value, arrived| {
        let single = real(value).filter(|v| f64::from(*v as f32).to_bits() == v.to_bits());
        match (single, &arrived.printed) {
            (Some(v), Some(p)) => p.parse::<f32>().is_ok_and(|p| f64::from(p).to_bits() == v.to_bits()),
            (None, None) => *value == Value::Null || arrived.fit.is_err(),
            _ => false,
        }
    });
}

#[test]
fn booleans_are_what_the_server_makes_of_the_words() {
    let words = ["t", "f", "TRUE", "False", "y", "N", "yes", "no", "on", "OFF", "0", "1", "", "tr", " t", "2", "o"];
    let random = prop_oneof![
        proptest::sample::select(words.to_vec()).prop_map(Value::text),
        "[tfyn10 TFonOFesruEl]{0,6}".prop_map(|text| Value::text(&text)),
    ];
    Column::new("boolean", Conversion::Bool).casting("boolean").check(&texts(&words), random, as_cast);
}

#[test]
fn decimals_in_text_keep_every_digit() {
    let long = ["9".repeat(131_072), format!("0.{}1", "0".repeat(16_382)), "9".repeat(131_073)];
    let mut listed = texts(&[
        "0",
        "-0",
        "-0.00",
        "1.10",
        "007",
        "+5",
        "0.0001",
        "0.00010000",
        "10000",
        "100000000.00000001",
        "",
        ".",
        "-",
        "1.",
        ".5",
        "1e5",
        " 1",
        "NaN",
        "1234567890123456789012345678901234567890.1234567890",
        "99999999.9999",
    ]);
    listed.extend(long.iter().map(|text| Value::text(text)));
    let random = || {
        prop_oneof!["[+-]?[0-9]{1,45}(\\.[0-9]{1,25})?", "-?0{0,9}[0-9]{0,5}0{0,9}(\\.0{0,9}[0-9]{0,5}0{0,9})?"]
            .prop_map(|text| Value::text(&text))
    };
    let any = Conversion::Numeric { limit: None, text: true };
    Column::new("numeric", any).casting("numeric").check(&listed, random(), as_cast);
    // Within (12,4) the server rounds what has more decimals, and we refuse it.
    let limited = Conversion::Numeric { limit: Some((12, 4)), text: true };
    Column::new("numeric(12,4)", limited).casting("numeric(12,4)").check(&listed, random(), |value, arrived| {
        let decimals = value.source().and_then(|text| text.split_once('.')).map_or(0, |(_, decimals)| decimals.len());
        let is_right = as_cast(value, arrived);
        match arrived.fit {
            Err(Misfit::TooManyDigits) => is_right && (decimals > 4 || arrived.cast.is_none()),
            Ok(_) => is_right && decimals <= 4,
            Err(_) => is_right,
        }
    });
}

#[test]
fn whole_numbers_in_text_are_what_the_server_makes_of_them() {
    let listed =
        texts(&["0", "-0", "007", "+5", "32767", "32768", "-32768", "-32769", "2147483648", "9223372036854775807"]);
    for (name, bytes) in [("smallint", 2), ("integer", 4), ("bigint", 8)] {
        let random =
            proptest::strategy::Union::new(["[+-]?[0-9]{1,5}", "[+-]?[0-9]{1,20}", "-?[0-9]{0,3}[.e]?[0-9]{1,3}"])
                .prop_map(|text| Value::text(&text));
        Column::new(name, Conversion::Whole { bytes }).casting(name).check(&listed, random, as_cast);
    }
}

#[test]
fn numbers_become_the_decimals_that_read_back() {
    let any = Conversion::Numeric { limit: None, text: false };
    Column::new("numeric", any).check(&numbers(), any_number(), |value, arrived| match value {
        Value::Integer(v) => prints(arrived, &v.to_string()) && arrived.fit == Ok(Fit::Exact),
        Value::Real(v) if v.is_infinite() => arrived.fit == Err(Misfit::Infinite),
        Value::Real(v) if *v == 0.0 => prints(arrived, "0"),
        // As short as the standard library's digits, and the same double. Not always the same digits: of two that
        // are equally near, such as -707.9802856445312 and …313, either is right.
        Value::Real(v) => arrived.printed.as_ref().is_some_and(|p| {
            p.parse::<f64>().is_ok_and(|p| p.to_bits() == v.to_bits()) && p.len() == format!("{v}").len()
        }),
        _ => arrived.printed.is_none(),
    });
}

#[test]
fn text_arrives_with_stand_ins_for_what_the_server_refuses() {
    let mut listed = texts(&["", "a", "\0", "a\0b", "é😀\u{10ffff}", "\u{feff}", "\\N", "\t\r\n", "\u{fffd}", "'\""]);
    listed.extend([b"\xff".to_vec(), b"\xed\xa0\x80".to_vec(), b"a\xf0\x9f\x98".to_vec()].map(Value::Text));
    listed.extend(numbers());
    let random = prop_oneof![
        3 => any::<String>().prop_map(|text| Value::text(&text)),
        1 => vec(any::<u8>(), 0..40).prop_map(Value::Text),
        1 => any_number(),
    ];
    let rule = Conversion::Text { numbers: true, chars_max: None };
    Column::new("text", rule).check(&listed, random, |value, arrived| match value {
        Value::Text(bytes) => {
            let want = String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}");
            let fit = if want.as_bytes() == bytes { Fit::Exact } else { Fit::StandIn };
            prints(arrived, &want) && arrived.fit == Ok(fit)
        }
        Value::Integer(v) => prints(arrived, &v.to_string()),
        Value::Real(v) => arrived
            .printed
            .as_ref()
            .is_some_and(|p| p.parse::<f64>().is_ok_and(|p| p.to_bits() == v.to_bits()) && p.parse::<i64>().is_err()),
        _ => arrived.printed.is_none(),
    });
}

#[test]
fn varchar_takes_what_the_rule_takes() {
    let rule = Conversion::Text { numbers: false, chars_max: Some(5) };
    let random = any::<String>().prop_map(|text| Value::Text(text.chars().take(8).collect::<String>().into_bytes()));
    Column::new("varchar(5)", rule).check(
        &texts(&["", "äöü", "12345", "123456", "1234  "]),
        random,
        |value, arrived| {
            let Value::Text(bytes) = value else { return arrived.printed.is_none() };
            let want = String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}");
            if want.chars().count() > 5 { arrived.fit == Err(Misfit::TooLong) } else { prints(arrived, &want) }
        },
    );
}

#[test]
fn bytes_arrive_as_they_are() {
    let random = prop_oneof![
        vec(any::<u8>(), 0..300).prop_map(Value::Blob),
        vec(any::<u8>(), 0..300).prop_map(Value::Text),
        any_integer().prop_map(Value::Integer),
    ];
    let listed = [Value::Blob(vec![]), Value::Blob(vec![0; 3_000_000]), Value::text("é"), Value::Integer(-5)];
    let column = Column::new("bytea", Conversion::Bytea { all_classes: true }).printing("encode(v, 'hex')");
    column.check(&listed, random, |value, arrived| {
        let digits = match value {
            Value::Blob(bytes) | Value::Text(bytes) => bytes.clone(),
            Value::Integer(v) => v.to_string().into_bytes(),
            _ => return arrived.printed.is_none(),
        };
        prints(arrived, &hex(&digits))
    });
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, b| {
        let _ = write!(text, "{b:02x}");
        text
    })
}

fn spelled(bytes: &[u8; 16], spelling: UuidSpelling) -> String {
    let plain = hex(bytes);
    let hyphens = [&plain[..8], &plain[8..12], &plain[12..16], &plain[16..20], &plain[20..]].join("-");
    match spelling {
        UuidSpelling::Hyphens | UuidSpelling::Any => hyphens,
        UuidSpelling::HyphensUpper => hyphens.to_uppercase(),
        UuidSpelling::Hex => plain,
        UuidSpelling::HexUpper => plain.to_uppercase(),
        UuidSpelling::Braces => format!("{{{hyphens}}}"),
        UuidSpelling::BracesUpper => format!("{{{hyphens}}}").to_uppercase(),
    }
}

#[test]
fn uuids_of_one_spelling_arrive_and_others_do_not() {
    use UuidSpelling::{Braces, BracesUpper, Hex, HexUpper, Hyphens, HyphensUpper};
    for spelling in [Hyphens, HyphensUpper, Hex, HexUpper, Braces, BracesUpper] {
        let exact = any::<[u8; 16]>().prop_map(move |bytes| spelled(&bytes, spelling));
        let broken =
            (exact.clone(), any::<proptest::sample::Index>(), "[0-9a-gA-G{}-]?").prop_map(|(text, at, new)| {
                let at = at.index(text.len());
                format!("{}{new}{}", &text[..at], &text[at + 1..])
            });
        let random = prop_oneof![exact, broken].prop_map(|text| Value::text(&text));
        let column = Column::new("uuid", Conversion::Uuid(spelling)).casting("uuid");
        let listed = [spelled(&[0; 16], spelling), spelled(&[0xff; 16], spelling), String::new()];
        column.check(&listed.map(|text| Value::text(&text)), random, |value, arrived| {
            let back = arrived.cast.as_ref().map(|cast| {
                let digits = u128::from_str_radix(&cast.replace('-', ""), 16).expect("sixteen bytes");
                spelled(&digits.to_be_bytes(), spelling)
            });
            // Taken exactly where the way back is the same text.
            as_cast(value, arrived) && arrived.fit.is_ok() == (value.source() == back.as_deref())
        });
    }
}

#[test]
fn a_stated_uuid_takes_what_postgres_takes_of_the_six_spellings_in_any_case() {
    use UuidSpelling::{Braces, Hex, Hyphens};
    let random = (any::<[u8; 16]>(), proptest::sample::select(vec![Braces, Hex, Hyphens]), any::<u64>()).prop_map(
        |(bytes, spelling, cases)| {
            let turned = |(i, c): (usize, char)| if cases >> (i % 64) & 1 == 1 { c.to_ascii_uppercase() } else { c };
            Value::text(&spelled(&bytes, spelling).chars().enumerate().map(turned).collect::<String>())
        },
    );
    let others = ["agent-7", "", "{018f4e2a-9b7c-7def-8123-456789abcdef", "018f4e2a-9b7c-7def-8123-456789abcdeg"];
    let none = proptest::sample::select(others.to_vec()).prop_map(Value::text);
    let column = Column::new("uuid", Conversion::Uuid(UuidSpelling::Any)).casting("uuid");
    column.check(&[], prop_oneof![20 => random, 1 => none], |value, arrived| {
        let is_other = value.source().is_some_and(|text| others.contains(&text));
        as_cast(value, arrived) && arrived.fit.is_err() == is_other
    });
}

fn json_value() -> impl Strategy<Value = String> {
    let string = prop_oneof![
        "[a-c]{0,2}",
        "[ -!#-\\[\\]-~]{0,20}",
        any::<String>().prop_map(|text| serde_json::to_string(&text).map_or(text, |t| t[1..t.len() - 1].to_owned())),
        "(\\\\[bfnrt\"/]|\\\\\\\\|\\\\u00[46][0-9a-f]|\\\\u[0-9a-fA-F]{4}|\\\\ud83d\\\\ude0[0-9]|é|😀){1,6}",
    ]
    .prop_map(|text| format!("\"{text}\""));
    let number = "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,12})?([eE][+-]?[0-9]{1,3})?";
    // Around the ends of what numeric holds; at …23 versions of the server differ.
    let at_the_ends =
        "-?(0|[1-9]0{0,3}|10)(\\.0{0,4}[0-9]{1,2})?[eE](\\+?1310(6[7-9]|7[0-9])|-163(7[8-9]|8[0-5])|107374182[124])";
    let blank = || proptest::sample::select(vec!["", "", "", " ", "\n", "\t\r"]);
    let scalar = prop_oneof![
        string.clone(),
        number,
        at_the_ends,
        proptest::sample::select(vec!["true", "false", "null", "0", "-0", "1e131071", "1e131072", "1e-16384"])
            .prop_map(str::to_owned),
    ];
    scalar.prop_recursive(6, 48, 5, move |inner| {
        let padded = (blank(), inner, blank()).prop_map(|(a, value, b)| format!("{a}{value}{b}"));
        let pair = (blank(), string.clone(), blank(), padded.clone()).prop_map(|(a, k, b, v)| format!("{a}{k}{b}:{v}"));
        prop_oneof![
            vec(padded, 0..5).prop_map(|values| format!("[{}]", values.join(","))),
            vec(pair, 0..5).prop_map(|pairs| format!("{{{}}}", pairs.join(","))),
        ]
    })
}

fn any_json() -> impl Strategy<Value = Value> {
    const TOKENS: [&str; 24] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"a\"",
        "\"b\"",
        "\"\\u0061\"",
        "\"\\ud83d\"",
        "\"\\ude00\\ude00\"",
        "\"\\ud83d\\ud83d\"",
        "\"\\u0000\"",
        "\"",
        "\\",
        "1",
        "-0",
        "01",
        "1.",
        "1e5",
        "true",
        "null",
        " ",
        "\u{a0}",
    ];
    // Documents with the keys of those before are read by a shorter way.
    let written = || prop_oneof![3 => json_value(), 2 => json_alike()];
    let broken = (written(), any::<proptest::sample::Index>(), proptest::sample::select(TOKENS.to_vec()), 0..2_usize)
        .prop_map(|(text, at, token, removed)| {
            let mut chars: Vec<char> = text.chars().collect();
            let at = at.index(chars.len());
            let new: Vec<char> = token.chars().collect();
            let end = (at + removed).min(chars.len());
            chars.splice(at..end, new);
            chars.into_iter().collect()
        });
    let soup = vec(proptest::sample::select(TOKENS.to_vec()), 0..7).prop_map(|tokens| tokens.concat());
    prop_oneof![4 => written(), 3 => broken, 1 => soup].prop_map(|text| Value::text(&text))
}

fn hostile_json() -> Vec<Value> {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let objects = |depth: usize| "{\"a\":".repeat(depth) + "1" + &"}".repeat(depth);
    let many: Vec<String> = (0..5000).map(|k| format!("\"key {k}\":{k}")).collect();
    let mut listed = texts(&[
        "",
        " ",
        "{}",
        "[]",
        "\u{feff}{}",
        "\"\\ud83d\\ude00\"",
        "\"\\ude00\\ud83d\"",
        "\"\\ude00\\ude00\"",
        "\"\\ud83d\\ud83d\"",
        "\"\\ud83d\"",
        "\"\\u0000\"",
        "{\"a\":1,\"\\u0061\":2}",
        "{\"a\":{\"b\":1},\"c\":{\"b\":1}}",
        "{\"\":1,\"\":2}",
        "[1e131071]",
        "[1e131072]",
        "[1e-16383]",
        "[1e-16384]",
        "[0e999999]",
        "-0",
        "-0.0",
        "1E+2",
        "\"\u{7f}\"",
        "\"\u{1f}\"",
        "nan",
        "[1,]",
        "{\"\u{10ffff}\":\"😀\"}",
        "\"\\/\"",
        "\"\\a\"",
        "[\"\\uD83D\\uDE00\"]",
        "\"\\ud83d\\u0041\"",
        "1 1",
        "true1",
    ]);
    listed.extend([nested(512), nested(513), objects(512), objects(513), nested(512) + "x"].map(|t| Value::text(&t)));
    listed.extend(
        [format!("{{{}}}", many.join(",")), format!("{{{},\"key 7\":0}}", many.join(","))].map(|t| Value::text(&t)),
    );
    listed.push(Value::Text(format!("[{}1]", "1,".repeat(100_000)).into_bytes()));
    listed
}

fn nests_deep(text: &str) -> bool {
    text.matches(['[', '{']).count() > 512
}

#[test]
fn jsonb_takes_what_the_server_takes_and_repeated_keys_are_told() {
    let column = Column::new("jsonb", Conversion::Jsonb { scalars: true }).casting("jsonb");
    column.check(&hostile_json(), any_json(), |value, arrived| {
        let text = value.source().unwrap_or_default();
        as_cast(value, arrived)
            && match arrived.fit {
                Err(Misfit::NotJson) => arrived.cast.is_none(),
                // Narrower than the server on purpose: nesting.
                Err(Misfit::JsonNotJsonb) => arrived.cast.is_none() || nests_deep(text),
                fit => fit.is_ok(),
            }
    });
    let repeats = Column::new("jsonb", Conversion::Jsonb { scalars: true })
        .casting("json")
        .printing("pg_temp.repeats(s::json)::text");
    repeats.check(&hostile_json(), any_json(), |value, arrived| match (value, arrived.fit) {
        (Value::Null, fit) => fit == Ok(Fit::Exact),
        (_, Ok(Fit::Rewritten(Rewrite::JsonDuplicateKeys))) => prints(arrived, "true"),
        (_, Ok(_)) => prints(arrived, "false"),
        (_, Err(_)) => true,
    });
}

#[test]
fn json_is_kept_to_the_byte_and_refused_where_the_server_refuses() {
    let column = Column::new("json", Conversion::Json).casting("json");
    column.check(&hostile_json(), any_json(), |value, arrived| {
        as_cast(value, arrived)
            && match arrived.fit {
                Ok(_) => arrived.printed.as_deref() == value.source(),
                Err(Misfit::NotJson) => arrived.cast.is_none(),
                Err(misfit) => misfit == Misfit::JsonNotJsonb && value.source().is_some_and(nests_deep),
            }
    });
}

fn date_text() -> impl Strategy<Value = String> {
    let usual = (0..=9999_u16, 0..14_u8, 0..33_u8).prop_map(|(y, m, d)| format!("{y:04}-{m:02}-{d:02}"));
    let recent = (1890..2110_u16, 1..=12_u8, 1..=31_u8).prop_map(|(y, m, d)| format!("{y:04}-{m:02}-{d:02}"));
    prop_oneof![usual, recent, "[0-9]{4}-[0-9]{2}-[0-9]{1,3}", "[0-9]{1,5}-[0-9]-[0-9]{2}"]
}

fn time_text() -> impl Strategy<Value = String> {
    let part = |end: u8| (0..end).prop_map(|part| format!("{part:02}"));
    let fraction = prop_oneof![Just(String::new()), "\\.[0-9]{1,6}", "\\.[0-9]{3}0{0,9}", "\\.[0-9]{0,9}"];
    let full = (part(25), part(61), part(61), fraction).prop_map(|(h, m, s, f)| format!("{h}:{m}:{s}{f}"));
    let short = (part(25), part(61)).prop_map(|(h, m)| format!("{h}:{m}"));
    prop_oneof![4 => full, 1 => short, 1 => "[0-9]{1,3}:[0-9]{1,2}(:[0-9]{1,3})?"]
}

fn moment_text() -> impl Strategy<Value = String> {
    let between = proptest::sample::select(vec!["T", " ", "T", " ", "T", " ", "t", "", "  "]);
    let zone = prop_oneof![
        Just(String::new()),
        Just("Z".to_owned()),
        "[+-](0[0-9]|1[0-6])(:?[0-6][0-9])?",
        "( ?[zZ]|[+-][0-9]{1,6}| UTC)",
    ];
    let moment = (date_text(), between, time_text(), zone).prop_map(|(d, b, t, z)| format!("{d}{b}{t}{z}"));
    prop_oneof![9 => moment, 1 => date_text()]
}

const MOMENTS: [&str; 24] = [
    "0001-01-01",
    "9999-12-31",
    "0000-01-01",
    "2024-02-30",
    "2023-02-29",
    "1900-02-29",
    "2000-02-29",
    "0044-03-15 BC",
    "-0044-03-15",
    "infinity",
    "now",
    "2024-06-30T23:59:60Z",
    "2024-01-01T24:00:00",
    "9999-12-31T23:59:59.999999Z",
    "9999-12-31T23:59:59.999999-15:59",
    "0001-01-01T00:00:00+15:59",
    "2024-01-01 00:00:00-00",
    "2024-01-01T00:00+0530",
    "2024-03-31 02:30:00",
    "2024-10-27 02:30:00",
    "1893-04-01 00:00:00",
    "1800-01-01 12:00:00",
    "2038-01-20 00:00:00",
    "2024-01-01T00:00:00.123456000Z",
];

#[test]
fn dates_and_times_are_what_the_server_reads() {
    let text = |text: String| Value::text(&text);
    Column::new("date", Conversion::Date).casting("date").check(&texts(&MOMENTS), date_text().prop_map(text), as_cast);
    let times =
        texts(&["00:00", "23:59:59.999999", "24:00", "12:00:60", "12:34:56.7", "1:00", "00:00:00.0000001", "04:05 PM"]);
    Column::new("time", Conversion::Time).casting("time").check(&times, time_text().prop_map(text), as_cast);
}

fn moment(form: MomentForm, naive: Naive, target_has_zone: bool) -> Conversion {
    Conversion::Moment { form, naive, target_has_zone, spelled: None, digits: 6 }
}

#[test]
fn moments_in_text_are_what_the_server_reads() {
    let random = || moment_text().prop_map(|text| Value::text(&text));
    let form = MomentForm::Text { dates: true };
    let wall_clock = Column::new("timestamp", moment(form, Naive::Refuse, false)).casting("timestamp");
    wall_clock.check(&texts(&MOMENTS), random(), as_cast);
    let utc = Column::new("timestamptz", moment(form, Naive::Utc, true)).casting("timestamptz");
    utc.check(&texts(&MOMENTS), random(), as_cast);
    for zone in ["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"] {
        let rule = moment(form, Naive::Zone(zone.to_owned()), true);
        let column = Column::new("timestamptz", rule).casting("timestamptz").with_timezone(zone);
        column.check(&texts(&MOMENTS), random(), as_cast);
    }
}

#[test]
fn epoch_numbers_are_found_again_by_the_server() {
    let units = [
        (EpochUnit::Seconds, 1, "extract(epoch FROM v)"),
        (EpochUnit::Millis, 1000, "extract(epoch FROM v) * 1000"),
        (EpochUnit::Micros, 1_000_000, "extract(epoch FROM v) * 1000000"),
        (EpochUnit::Nanos, 1_000_000_000, "extract(epoch FROM v) * 1000000000"),
    ];
    for (unit, per_second, print) in units {
        let recent = 4_000_000_000_i64.saturating_mul(per_second);
        let random = prop_oneof![
            (-recent / 2..recent).prop_map(Value::Integer),
            (-recent / 2..recent).prop_map(|v| Value::Integer(v / 1000 * 1000)),
            (-4_000_000_000_000_000..4_000_000_000_000_000_i64)
                .prop_map(move |micros| Value::Real(micros as f64 / (1e6 / per_second as f64))),
            any_number(),
        ];
        let column = Column::new("timestamptz", moment(MomentForm::Epoch(unit), Naive::Refuse, true)).printing(print);
        let mut listed = numbers();
        listed.extend([253_402_300_799, 253_402_300_800, -62_135_596_800, -62_135_596_801].map(Value::Integer));
        column.check(&listed, random, |value, arrived| match (value, &arrived.printed) {
            (Value::Integer(v), Some(p)) => whole(p) == Some(*v),
            (Value::Real(v), Some(p)) => p.parse::<f64>().is_ok_and(|p| close(p, *v)),
            (Value::Null, p) => p.is_none(),
            (_, None) => arrived.fit.is_err(),
            _ => false,
        });
    }
}

/// Reads a decimal without a fraction, zeros aside.
fn whole(printed: &str) -> Option<i64> {
    let (integer, fraction) = printed.split_once('.').unwrap_or((printed, ""));
    fraction.bytes().all(|b| b == b'0').then(|| integer.parse().ok())?
}

/// The same double; beyond 2^53 microseconds the way back rounds twice and may be one step off.
fn close(printed: f64, value: f64) -> bool {
    let steps = (printed.to_bits() as i64).abs_diff(value.to_bits() as i64);
    steps == 0 || steps == 1 && value.abs() > 9e9
}

#[test]
fn julian_days_are_found_again_by_the_server() {
    let rule = moment(MomentForm::JulianDay, Naive::Refuse, true);
    let column = Column::new("timestamptz", rule).printing("extract(epoch FROM v) / 86400 + 2440587.5");
    let random = prop_oneof![
        (1_721_426..5_373_484_i64).prop_map(Value::Integer),
        (148_731_163_200_000..464_269_060_800_000_i64).prop_map(|millis| Value::Real(millis as f64 / 86_400_000.0)),
        (1_700_000.0..5_400_000.0_f64).prop_map(Value::Real),
        any_number(),
    ];
    let listed =
        [Value::Real(2_440_587.5), Value::Real(1_721_425.5), Value::Integer(5_373_484), Value::Integer(5_373_485)];
    column.check(&listed, random, |value, arrived| match (value, &arrived.printed) {
        (Value::Integer(v), Some(p)) => whole(p) == Some(*v),
        (Value::Real(v), Some(p)) => {
            p.parse::<f64>().is_ok_and(|p| (p.to_bits() as i64).abs_diff(v.to_bits() as i64) <= 1)
        }
        (Value::Null, p) => p.is_none(),
        (Value::Real(_), None) => matches!(arrived.fit, Err(Misfit::Inexact | Misfit::OutOfRange | Misfit::Infinite)),
        (Value::Integer(_), None) => arrived.fit == Err(Misfit::OutOfRange),
        _ => false,
    });
}

#[test]
fn the_largest_json_that_is_taken_unlooked_at_has_room_in_jsonb() {
    // Takes the server a gigabyte.
    if !is_long() {
        return;
    }
    let size = 32 << 20;
    let filled = |open: &str, part: &str, close: &str| {
        Value::Text(format!("{open}{}{close}", part.repeat((size - 2 - open.len()) / part.len())).into_bytes())
    };
    let column = Column::new("jsonb", Conversion::Jsonb { scalars: true }).printing("length(v::text) > 2");
    for value in [
        filled("[", "1,", "1]"),
        filled("[", "1e-1,", "1]"),
        filled("[", "[1],", "1]"),
        filled("[", "{},", "1]"),
        filled("{", "\"\":1,", "\"\":1}"),
        filled("{\"\":[", "{\"\":1},", "1]}"),
        filled("\"", "😀", "\""),
    ] {
        let arrived = column.send(&[value]).unwrap_or_else(|e| panic!("{e}"));
        assert!(prints(&arrived[0], "true"), "{arrived:?}");
    }
}

#[test]
fn the_largest_field_that_is_sent_has_room_in_a_row() {
    // Takes both sides several gigabytes.
    if !is_long() {
        return;
    }
    let column = Column::new("bytea", Conversion::Bytea { all_classes: false }).printing("length(v)");
    let largest = Value::Blob(vec![0; encode::FIELD_BYTES_MAX]);
    let arrived = column.send(&[largest]).unwrap_or_else(|e| panic!("{e}"));
    assert!(prints(&arrived[0], &encode::FIELD_BYTES_MAX.to_string()), "{arrived:?}");
    let larger = Value::Blob(vec![0; encode::FIELD_BYTES_MAX + 1]);
    let arrived = column.send(&[larger]).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(arrived[0].fit, Err(Misfit::TooLong));
}
