//! Dates, times of day and moments as ISO 8601 text, parsed by hand: a fixed grammar, a checked calendar.

use crate::model::cell::Cell;
use crate::model::conversion::{Fit, Misfit};
use crate::postgres::encode;

pub(super) const MICROS_PER_SECOND: i64 = 1_000_000;
pub(super) const MICROS_PER_DAY: i64 = 86_400 * MICROS_PER_SECOND;
/// Days from 1970-01-01 to 2000-01-01, where PostgreSQL counts from.
pub(super) const DAYS_TO_2000: i32 = 10_957;

#[inline]
pub(super) fn write_date(cell: Cell<'_>, out: &mut Vec<u8>) -> Result<Fit, Misfit> {
    let Cell::Text(text) = cell else { return Err(Misfit::Class) };
    encode::date(parse_date(text)?.days(), out);
    Ok(Fit::Exact)
}

#[inline]
pub(super) fn write_time(cell: Cell<'_>, out: &mut Vec<u8>) -> Result<Fit, Misfit> {
    let Cell::Text(text) = cell else { return Err(Misfit::Class) };
    encode::time(parse_time(text)?, out);
    Ok(Fit::Exact)
}

/// A day of the Gregorian calendar, years 1 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Date {
    pub(super) year: u16,
    pub(super) month: u8,
    pub(super) day: u8,
}

/// A moment as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) date: Date,
    /// Microseconds since midnight; `None` for a bare date.
    pub(super) time: Option<i64>,
    /// Seconds east of UTC; `None` for a text without a zone.
    pub(super) offset: Option<i32>,
}

/// `YYYY-MM-DD` and nothing else.
#[inline]
pub(super) fn parse_date(text: &[u8]) -> Result<Date, Misfit> {
    match split_date(text) {
        Some((date, [])) => Ok(date),
        _ => Err(Misfit::NotTime),
    }
}

/// `HH:MM[:SS[.f…]]` below 24:00, in microseconds.
#[inline]
pub(super) fn parse_time(text: &[u8]) -> Result<i64, Misfit> {
    match split_time(text) {
        Some((time, [])) if time.is_too_fine => Err(Misfit::TooFine),
        Some((time, [])) => Ok(time.micros),
        _ => Err(Misfit::NotTime),
    }
}

/// A date, optionally followed by `T` or a space, a time, and optionally `Z`, `±HH`, `±HHMM` or `±HH:MM`.
#[inline]
pub(super) fn parse_moment(text: &[u8]) -> Result<Written, Misfit> {
    let (date, rest) = split_date(text).ok_or(Misfit::NotTime)?;
    let time = match rest {
        [] => return Ok(Written { date, time: None, offset: None }),
        [b'T' | b' ', time @ ..] => time,
        _ => return Err(Misfit::NotTime),
    };
    let (time, zone) = split_time(time).ok_or(Misfit::NotTime)?;
    let offset = if zone.is_empty() { None } else { Some(parse_offset(zone).ok_or(Misfit::NotTime)?) };
    if time.is_too_fine {
        return Err(Misfit::TooFine);
    }
    Ok(Written { date, time: Some(time.micros), offset })
}

impl Date {
    /// Days since 2000-01-01.
    #[inline]
    pub(super) fn days(self) -> i32 {
        // The year begins in March, so that the leap day is its last: Howard Hinnant's `days_from_civil`
        // (<https://howardhinnant.github.io/date_algorithms.html>), here for years that are never negative.
        let (year, month, day) = (i32::from(self.year), i32::from(self.month), i32::from(self.day));
        let year = year - i32::from(month <= 2);
        let (era, of_era) = (year / 400, year % 400);
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468 - DAYS_TO_2000
    }

    fn is_in_calendar(self) -> bool {
        let is_leap = self.year.is_multiple_of(4) && (!self.year.is_multiple_of(100) || self.year.is_multiple_of(400));
        let days = match self.month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 => 28 + u8::from(is_leap),
            _ => return false,
        };
        self.year > 0 && (1..=days).contains(&self.day)
    }
}

#[inline]
fn split_date(text: &[u8]) -> Option<(Date, &[u8])> {
    let ([y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2], rest) = text.split_first_chunk::<10>()? else { return None };
    let (century, of_century) = (two(*y1, *y2)?, two(*y3, *y4)?);
    let year = u16::from(century) * 100 + u16::from(of_century);
    let date = Date { year, month: two(*m1, *m2)?, day: two(*d1, *d2)? };
    date.is_in_calendar().then_some((date, rest))
}

struct Time {
    micros: i64,
    is_too_fine: bool,
}

// No leap second and no 24:00: PostgreSQL takes both, but prints them as another time.
#[inline]
fn split_time(text: &[u8]) -> Option<(Time, &[u8])> {
    let ([h1, h2, b':', m1, m2], rest) = text.split_first_chunk::<5>()? else { return None };
    let (hours, minutes) = (below(two(*h1, *h2)?, 24)?, below(two(*m1, *m2)?, 60)?);
    let minutes = i64::from(hours) * 60 + i64::from(minutes);
    let [b':', rest @ ..] = rest else {
        return Some((Time { micros: minutes * 60 * MICROS_PER_SECOND, is_too_fine: false }, rest));
    };
    let [s1, s2, rest @ ..] = rest else { return None };
    let seconds = minutes * 60 + i64::from(below(two(*s1, *s2)?, 60)?);
    let whole = Time { micros: seconds * MICROS_PER_SECOND, is_too_fine: false };
    let [b'.', fraction @ ..] = rest else { return Some((whole, rest)) };
    let (mut micros, mut digits, mut is_too_fine) = (0, 0, false);
    while let Some(digit) = fraction.get(digits).map(|b| b.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        if digits < 6 {
            micros = micros * 10 + i64::from(digit);
        } else {
            is_too_fine |= digit != 0;
        }
        digits += 1;
    }
    if digits == 0 {
        return None;
    }
    let scale = [1_000_000, 100_000, 10_000, 1_000, 100, 10, 1][digits.min(6)];
    Some((Time { micros: whole.micros + micros * scale, is_too_fine }, &fraction[digits..]))
}

// Seconds east of UTC. PostgreSQL takes less than 16 hours (`MAX_TZDISP_HOUR` in `datetime.h`).
#[inline]
fn parse_offset(zone: &[u8]) -> Option<i32> {
    let (sign, hours, minutes) = match zone {
        b"Z" => return Some(0),
        [sign, h1, h2] => (sign, two(*h1, *h2)?, 0),
        [sign, h1, h2, m1, m2] | [sign, h1, h2, b':', m1, m2] => (sign, two(*h1, *h2)?, two(*m1, *m2)?),
        _ => return None,
    };
    let seconds = i32::from(below(hours, 16)?) * 3600 + i32::from(below(minutes, 60)?) * 60;
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

#[inline]
fn two(tens: u8, ones: u8) -> Option<u8> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| tens * 10 + ones)
}

#[inline]
fn below(value: u8, end: u8) -> Option<u8> {
    (value < end).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::conversion::Conversion;
    use crate::transform::tests::check;

    #[test]
    fn days_are_counted_from_2000() {
        for (text, days) in [
            ("2000-01-01", 0_i32),
            ("1999-12-31", -1),
            ("2000-02-29", 59),
            ("2024-02-29", 8825),
            ("1970-01-01", -10_957),
            ("0001-01-01", -730_119),
            ("9999-12-31", 2_921_939),
        ] {
            check(&Conversion::Date, Cell::Text(text.as_bytes()), Ok((Fit::Exact, &days.to_be_bytes())));
        }
    }

    #[test]
    fn days_that_the_calendar_lacks_are_no_dates() {
        for text in [
            "",
            "2023-02-29",
            "1900-02-29",
            "2024-04-31",
            "2024-13-01",
            "2024-00-01",
            "2024-01-00",
            "0000-01-01",
            "2024-1-01",
            "2024-01-01 ",
            "2024/01/01",
            "24-01-01",
            "-001-01-01",
            "2024-01-01T00:00",
            "2024-01-0:",
            "٢٠٢٤-01",
        ] {
            check(&Conversion::Date, Cell::Text(text.as_bytes()), Err(Misfit::NotTime));
        }
        check(&Conversion::Date, Cell::Integer(20_240_101), Err(Misfit::Class));
    }

    #[test]
    fn times_keep_six_decimals_and_refuse_more() {
        for (text, micros) in [
            ("00:00", 0_i64),
            ("23:59", 86_340_000_000),
            ("23:59:59.999999", 86_399_999_999),
            ("12:34:56.5", 45_296_500_000),
            ("00:00:00.000001000", 1),
        ] {
            check(&Conversion::Time, Cell::Text(text.as_bytes()), Ok((Fit::Exact, &micros.to_be_bytes())));
        }
        check(&Conversion::Time, Cell::Text(b"00:00:00.0000001"), Err(Misfit::TooFine));
        for text in [
            "24:00",
            "24:00:00",
            "23:60",
            "23:59:60",
            "1:00",
            "12:00:0",
            "12:00:00.",
            "12:00.5",
            "12:00Z",
            "12:00:00.0000001x",
        ] {
            check(&Conversion::Time, Cell::Text(text.as_bytes()), Err(Misfit::NotTime));
        }
    }

    #[test]
    fn offsets_have_three_spellings_and_a_bound() {
        for (text, seconds) in
            [("Z", 0), ("+00", 0), ("-00:00", 0), ("+0530", 19_800), ("-15:59", -57_540), ("+15", 54_000)]
        {
            assert_eq!(parse_offset(text.as_bytes()), Some(seconds), "{text}");
        }
        for text in ["z", "+16", "+1", "+00:60", "+0:00", "+00:0", " +00", "UTC", "00:00", "+00:00:00"] {
            assert_eq!(parse_offset(text.as_bytes()), None, "{text}");
        }
    }
}
