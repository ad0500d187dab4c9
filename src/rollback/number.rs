//! Numbers of PostgreSQL as SQLite would hold them, best candidate first. Whether one means the same is not decided here.

use crate::model::affinity::Affinity;
use crate::model::cell::{Class, Owned};
use crate::model::conversion::EpochUnit;
use crate::postgres::decode::Decimal;

/// Microseconds from 1970 to 2000.
const TO_2000: i128 = 946_684_800 * 1_000_000;
/// Microseconds from noon of 24 November 4714 BC to 2000-01-01 00:00.
const JULIAN: i128 = 4_903_089 * DAY / 2;
const DAY: i128 = 86_400 * 1_000_000;

/// A decimal written out, with at least this many digits after the point.
#[must_use]
pub fn plain(number: Decimal<'_>, scale: usize) -> String {
    let digits = std::str::from_utf8(number.digits).unwrap_or_default();
    let sign = if number.negative { "-" } else { "" };
    let exponent = i64::from(number.exponent);
    let before = usize::try_from(exponent).unwrap_or(0);
    let (whole, fraction) = if exponent <= 0 {
        ("0".to_owned(), format!("{}{digits}", "0".repeat(usize::try_from(-exponent).unwrap_or(0))))
    } else if before >= digits.len() {
        (format!("{digits}{}", "0".repeat(before - digits.len())), String::new())
    } else {
        (digits[..before].to_owned(), digits[before..].to_owned())
    };
    let fraction = if digits.is_empty() { String::new() } else { fraction };
    match format!("{fraction:0<scale$}") {
        none if none.is_empty() => format!("{sign}{whole}"),
        fraction => format!("{sign}{whole}.{fraction}"),
    }
}

/// What a decimal may be as a cell: in the class that is preferred, then in the column's own.
#[must_use]
pub fn decimal(number: Decimal<'_>, scale: usize, preferred: Option<Class>, affinity: Affinity) -> Vec<Owned> {
    let text = plain(number, scale);
    let integer = || plain(number, 0).parse().ok().map(Owned::Integer);
    let real = || text.parse::<f64>().ok().filter(|x| x.is_finite()).map(Owned::Real);
    let order = match preferred {
        Some(Class::Integer) => [Class::Integer, Class::Real, Class::Text],
        Some(Class::Real) => [Class::Real, Class::Integer, Class::Text],
        Some(Class::Text) => [Class::Text, Class::Integer, Class::Real],
        _ if affinity == Affinity::Text => [Class::Text, Class::Integer, Class::Real],
        _ => [Class::Integer, Class::Real, Class::Text],
    };
    let of = |class: Class| match class {
        Class::Integer => integer(),
        Class::Real => real(),
        _ => Some(Owned::Text(text.clone().into_bytes())),
    };
    order.into_iter().filter_map(of).collect()
}

/// What a double may be as a cell. SQLite has no NaN.
#[must_use]
pub fn double(x: f64, preferred: Option<Class>) -> Vec<Owned> {
    if x.is_nan() {
        return Vec::new();
    }
    let whole = Owned::Integer(x as i64);
    let real = Owned::Real(x);
    if preferred == Some(Class::Integer) { vec![whole, real] } else { vec![real, whole] }
}

/// What an instant may be as a number that is counted from 1970: microseconds since 2000 in this unit.
#[must_use]
pub fn epoch(micros: i64, unit: EpochUnit, preferred: Option<Class>) -> Vec<Owned> {
    let since = i128::from(micros) + TO_2000;
    let (integer, text) = match unit {
        EpochUnit::Seconds => (whole(since, 1_000_000), fixed(since, 6)),
        EpochUnit::Millis => (whole(since, 1_000), fixed(since, 3)),
        EpochUnit::Micros => (i64::try_from(since).ok(), fixed(since, 0)),
        EpochUnit::Nanos => (i64::try_from(since * 1_000).ok(), fixed(since * 1_000, 0)),
    };
    // Parsed, not divided: the nearest double to a decimal, whatever its size.
    candidates(integer, text.parse().ok(), preferred)
}

/// What an instant may be as a julian day.
#[must_use]
pub fn julian(micros: i64, preferred: Option<Class>) -> Vec<Owned> {
    let since = i128::from(micros) + JULIAN;
    let day = (since.div_euclid(DAY)) as f64 + (since.rem_euclid(DAY)) as f64 / DAY as f64;
    // SQLite counts milliseconds, and divides.
    let sqlite = (since % 1000 == 0).then(|| (since / 1000) as f64 / 86_400_000.0);
    let mut all = candidates(whole(since, DAY), sqlite.or(Some(day)), preferred);
    all.extend([day, day.next_up(), day.next_down()].map(Owned::Real));
    all
}

fn candidates(integer: Option<i64>, real: Option<f64>, preferred: Option<Class>) -> Vec<Owned> {
    let (integer, real) = (integer.map(Owned::Integer), real.map(Owned::Real));
    let order = if preferred == Some(Class::Real) { [real, integer] } else { [integer, real] };
    order.into_iter().flatten().collect()
}

fn whole(value: i128, unit: i128) -> Option<i64> {
    if value % unit == 0 { i64::try_from(value / unit).ok() } else { None }
}

// The value with its point moved left.
fn fixed(value: i128, places: usize) -> String {
    let (sign, digits) =
        (if value < 0 { "-" } else { "" }, format!("{:0>width$}", value.unsigned_abs(), width = places + 1));
    let (before, after) = digits.split_at(digits.len() - places);
    format!("{sign}{before}.{after}0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(negative: bool, digits: &str, exponent: i32, scale: usize, expect: &str) {
        assert_eq!(plain(Decimal { negative, digits: digits.as_bytes(), exponent }, scale), expect);
    }

    #[test]
    fn decimals_are_written_out_with_their_zeros() {
        check(false, "", 0, 0, "0");
        check(false, "", 0, 2, "0.00");
        check(true, "125", 1, 2, "-1.25");
        check(true, "125", 1, 4, "-1.2500");
        check(false, "5", -2, 3, "0.005");
        check(false, "12", 4, 0, "1200");
        check(false, "12", 4, 1, "1200.0");
        check(false, "123456", 6, 0, "123456");
    }

    #[test]
    fn numbers_of_days_and_seconds_are_what_sqlite_says() {
        // 2024-01-31 12:34:56.250
        let micros = 760_019_696_250_000;
        assert_eq!(julian(micros, None)[0], Owned::Real(2_460_341.024_262_152_7));
        assert_eq!(epoch(micros, EpochUnit::Seconds, None), [Owned::Real(1_706_704_496.25)]);
        assert_eq!(epoch(micros, EpochUnit::Millis, None)[0], Owned::Integer(1_706_704_496_250));
        assert_eq!(epoch(0, EpochUnit::Seconds, Some(Class::Real))[0], Owned::Real(946_684_800.0));
        assert_eq!(epoch(-1, EpochUnit::Nanos, None)[0], Owned::Integer(946_684_799_999_999_000));
        assert_eq!(julian(-43_200_000_000, None)[0], Owned::Integer(2_451_544));
    }
}
