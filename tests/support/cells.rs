//! Cells made by chance, most of them nearly what some rule takes: the border is where two readings part.

use super::oracle::Held;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::time::{SystemTime, UNIX_EPOCH};

/// Runs `test` on lists of values, as often as asked. `LITE2PG_LONG=1` runs fifty times as many; `LITE2PG_SEED`
/// repeats a run that failed, which prints it.
pub fn on_many<S>(values: S, lists: u32, test: impl Fn(&[S::Value]) -> Result<(), String>)
where
    S: Strategy<Value: Clone>,
{
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_nanos() as u64;
    let seed = std::env::var("LITE2PG_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(now);
    let times = if std::env::var_os("LITE2PG_LONG").is_some() { 50 } else { 1 };
    let config = Config { cases: lists * times, failure_persistence: None, max_shrink_iters: 400, ..Config::default() };
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let outcome = runner.run(&vec(values, 1..400), |list| test(&list).map_err(TestCaseError::fail));
    outcome.unwrap_or_else(|e| panic!("LITE2PG_SEED={seed}: {e}"));
}

/// A cell of any class.
pub fn any_cell() -> impl Strategy<Value = Held> {
    prop_oneof![
        1 => Just(Held::Null),
        4 => any_integer().prop_map(Held::Integer),
        4 => any_real().prop_map(Held::Real),
        12 => any_text().prop_map(Held::Text),
        1 => vec(any::<u8>(), 0..40).prop_map(Held::Blob),
    ]
}

pub fn any_integer() -> impl Strategy<Value = i64> {
    prop_oneof![
        any::<i64>(),
        any::<i32>().prop_map(i64::from),
        any::<i16>().prop_map(i64::from),
        -3..4_i64,
        // Days, and epochs in their four units.
        1_721_420..5_373_490_i64,
        (-62_135_596_810..253_402_300_810_i64, 0..4_u32).prop_map(|(n, unit)| n.saturating_mul(1_000_i64.pow(unit))),
        (0..64_u32, -2..3_i64).prop_map(|(bit, off)| (1_i64 << bit).wrapping_add(off)),
    ]
}

pub fn any_real() -> impl Strategy<Value = f64> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits).prop_filter("SQLite has no NaN", |x| !x.is_nan()),
        any::<f32>().prop_map(f64::from).prop_filter("SQLite has no NaN", |x| !x.is_nan()),
        (any::<i32>(), 0..12_i32).prop_map(|(digits, scale)| f64::from(digits) / 10_f64.powi(scale)),
        // Times in seconds, milliseconds, microseconds and nanoseconds, and julian days of milliseconds and of none.
        (-62_135_596_800_000_000..253_402_300_800_000_000_i64, 0..4_i32)
            .prop_map(|(micros, unit)| micros as f64 / 1e6 * 1_000_f64.powi(unit)),
        (1_000_000_000_000_000..2_000_000_000_000_000_i64, 0..4_i32)
            .prop_map(|(micros, unit)| micros as f64 / 1e6 * 1_000_f64.powi(unit)),
        (148_731_163_200_000..464_269_060_800_000_i64).prop_map(|millis| millis as f64 / 86_400_000.0),
        1_721_425.0..5_373_485.0_f64,
        any_integer().prop_map(|n| n as f64),
        prop::sample::select(vec![0.0, -0.0, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 5e-324, 0.5, 1e16, 1e-5]),
    ]
}

/// A text that some rule takes, or what is left of one after a byte was changed.
pub fn any_text() -> impl Strategy<Value = Vec<u8>> {
    let right = prop_oneof![
        1 => word(),
        3 => decimal(),
        2 => uuid(),
        2 => date(),
        2 => clock(),
        5 => moment(),
        4 => json(),
        3 => literal(),
        1 => any::<String>(),
        1 => "[a-c \\x00é€😀]{0,6}",
    ];
    let wrong = (right, any::<prop::sample::Index>(), any::<u8>()).prop_map(|(text, at, byte)| {
        let mut bytes = text.into_bytes();
        // One in eight is changed.
        if byte % 8 == 0 && !bytes.is_empty() {
            let at = at.index(bytes.len());
            let others = b"0 -:.+Zz\"\\{}[],\0\xff\xc3eE9\n";
            bytes[at] = others[usize::from(byte / 8) % others.len()];
        }
        bytes
    });
    prop_oneof![30 => wrong, 1 => vec(any::<u8>(), 0..20)]
}

pub fn word() -> impl Strategy<Value = String> {
    "[tTfF]|[tT][rR]ue|FALSE|false|[yY]e?s?|[nN]o?|[oO]n|of{0,2}|[01]"
}

pub fn decimal() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => "[+-]?[0-9]{0,6}(\\.[0-9]{0,6})?",
        2 => "-?(0|00|[1-9])[0-9]{0,30}(\\.[0-9]{1,30})?0{0,3}",
        1 => "[+-]?[0-9]{1,3}(\\.[0-9]{1,3})?[eE][+-]?[0-9]{1,2}",
    ]
}

pub fn uuid() -> impl Strategy<Value = String> {
    (any::<u128>(), 0..7_u8).prop_map(|(n, spelling)| {
        let id = uuid::Uuid::from_u128(n);
        match spelling {
            0 => id.to_string(),
            1 => id.to_string().to_uppercase(),
            2 => id.simple().to_string(),
            3 => id.simple().to_string().to_uppercase(),
            4 => id.braced().to_string(),
            5 => id.braced().to_string().to_uppercase(),
            // Digits alone have no case.
            _ => format!("{:032}", n % 10_u128.pow(32)),
        }
    })
}

pub fn date() -> impl Strategy<Value = String> {
    let year = prop_oneof![4 => 1900..2101_u32, 2 => 0..10_000_u32, 1 => Just(1_u32), 1 => Just(9999)];
    (year, 0..14_u32, 0..33_u32).prop_map(|(year, month, day)| format!("{year:04}-{month:02}-{day:02}"))
}

pub fn clock() -> impl Strategy<Value = String> {
    let fraction = prop_oneof![3 => "(\\.[0-9]{1,6})?", 1 => "\\.[0-9]{0,6}0{0,3}", 1 => "\\.[0-9]{7,9}"];
    (0..25_u32, 0..61_u32, 0..61_u32, any::<bool>(), fraction).prop_map(|(hour, minute, second, short, fraction)| {
        let seconds = if short { String::new() } else { format!(":{second:02}{fraction}") };
        format!("{hour:02}:{minute:02}{seconds}")
    })
}

pub fn moment() -> impl Strategy<Value = String> {
    let offset = prop_oneof![4 => "", 3 => "Z", 3 => "[+-](0[0-9]|1[0-9])(:?[0-6][0-9])?", 1 => "[+-]2[0-9]:?00|z| Z"];
    let joint = prop::sample::select(vec!["T", " ", "T", " ", "t", "  ", ""]);
    prop_oneof![
        8 => (date(), joint, clock(), offset).prop_map(|(date, joint, clock, offset)| date + joint + &clock + &offset),
        1 => date(),
    ]
}

/// An array as PostgreSQL spells it, most of them right.
pub fn literal() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        4 => "[a-c ]{1,3}",
        2 => " ?\"([a-c ,{}]|\\\\[\"\\\\ab])*\" ?",
        2 => "[nN][uU][lL][lL]|\\\\null| ?\\\\ ",
        3 => word(),
        3 => " ?[+-]?[0-9]{1,10} ?",
        2 => uuid(),
        1 => "[{},\"\\\\a \n\x0b]{0,4}",
    ];
    (prop::collection::vec(value, 0..4), " {0,2}")
        .prop_map(|(values, blank)| format!("{blank}{{{}}}{blank}", values.join(",")))
}

/// JSON, most of it right; blanks, escapes, equal keys.
pub fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![4 => number(), 4 => string(), 1 => "true|false|null"];
    let document = leaf.prop_recursive(5, 40, 6, |inner| {
        let member = (blank(), key(), blank(), blank(), inner.clone());
        let member = member.prop_map(|(a, key, b, c, value)| format!("{a}{key}{b}:{c}{value}"));
        prop_oneof![
            2 => vec(member, 0..7).prop_map(|members| format!("{{{}}}", members.join(","))),
            1 => vec((inner, blank()).prop_map(|(value, blank)| value + &blank), 0..6)
                .prop_map(|items| format!("[{}]", items.join(","))),
        ]
    });
    (blank(), document, blank()).prop_map(|(a, document, b)| a + &document + &b)
}

/// Objects with the keys of one of a few, and any values: as the documents of a column are.
pub fn json_alike() -> impl Strategy<Value = String> {
    let known = [
        r#"{"kind":$,"at":$,"args":{"path":$,"limit":$},"labels":$}"#,
        r#"{"kind":$,"at":$,"args":{"path":$,"limit":$}}"#,
        r#"{ "b" : $, "a":$ , "b":$}"#,
        r#"{"a":{"a":{"a":$},"":$},"\u0061":$,"b":{}}"#,
        r#"{"longer than eight":$,"longer than nine.":$,"longer than eigh":$,"x":{"z":$,"é":$,"\n":$}}"#,
        r#" {"0":$,"12":$,"\"7":$,"/":$,"\/":$}"#,
    ];
    let value = prop_oneof![8 => json(), 4 => number(), 4 => string(), 1 => Just("{}".to_owned())];
    (select(known.to_vec()), vec(value, 7)).prop_map(|(known, values)| {
        let mut values = values.iter();
        known
            .chars()
            .map(|c| if c == '$' { values.next().cloned().unwrap_or_default() } else { c.to_string() })
            .collect()
    })
}

fn blank() -> impl Strategy<Value = String> {
    "[ ]?|[ \\t\\n\\r]{0,3}"
}

fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "-?(0|[1-9][0-9]{0,8})(\\.[0-9]{1,6})?",
        2 => "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,6})?[eE][+-]?[0-9]{1,2}",
        1 => "-?0(\\.0{1,3})?([eE][+-]?[0-9]{1,2})?",
        1 => "-?[1-9][0-9]{20,80}(\\.[0-9]{1,50})?",
        1 => "0[0-9]|[0-9]\\.|-|1[eE]",
    ]
}

/// Numbers of JSON on both sides of the limits of `numeric`.
pub fn number_at_the_limits() -> impl Strategy<Value = String> {
    "-?([1-9][eE](13107[0-3]|-1638[2-4])|0\\.0{5}1[eE](13107[5-9]|-1637[7-9])|0[eE](200000|-1638[34]|107374182[24]))"
}

fn string() -> impl Strategy<Value = String> {
    vec(piece(), 0..6).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

/// Keys of which many are equal, or differ in their spelling only.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "\"[a-c]{0,3}\"",
        1 => "\"(a|\\\\u0061|\\\\u00e9|é|\\\\n|\\\\u000[aA]|\\\\\"|\\\\/|/|b){0,2}\"",
        1 => "\"[a-z_]{3,12}\"",
        1 => string(),
    ]
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        60 => "[a-zA-Z0-9 ,:{}\\[\\]'/]{0,12}",
        30 => "[é€😀\\x7f\\u{80}\\u{2028}\\u{fffd}]{1,3}",
        40 => "\\\\[\"\\\\/bfnrt]",
        30 => "\\\\u00[1-9a-fA-F][0-9a-fA-F]|\\\\u[1-9a-c][0-9a-fA-F]{3}",
        20 => "\\\\ud[89aAbB][0-9a-f]{2}\\\\uD[c-fC-F][0-9A-F]{2}",
        10 => any::<char>().prop_filter("raw", |c| !matches!(c, '"' | '\\' | ..' ')).prop_map(String::from),
        // What no string may hold.
        1 => "\\\\u0000|\\\\ud[89a-f][0-9a-f]{2}|\\\\x|\\\\u12|\\x01|\\t",
    ]
}
