//! The parts of ISO 8601: dates, times of day and offsets, in the spellings that the rules name.

use super::calendar;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// `YYYY-MM-DD` as days since 2000-01-01.
#[inline]
pub(super) fn date(text: &[u8]) -> Option<i32> {
    let text: &[u8; 10] = text.try_into().ok()?;
    if text[4] != b'-' || text[7] != b'-' {
        return None;
    }
    calendar::days(two(text, 0)? * 100 + two(text, 2)?, two(text, 5)?, two(text, 8)?)
}

/// `HH:MM[:SS[.f…]]` as microseconds since midnight.
#[inline]
pub(super) fn time(text: &[u8]) -> Option<i64> {
    time_of_day(text).filter(|(_, rest)| rest.is_empty()).map(|(micros, _)| micros)
}

/// The time of day at the front, and what follows it.
#[inline]
pub(super) fn time_of_day(text: &[u8]) -> Option<(i64, &[u8])> {
    let (clock, rest) = text.split_first_chunk::<5>().filter(|(clock, _)| clock[2] == b':')?;
    let (hours, minutes) = (two(clock, 0)?, two(clock, 3)?);
    let (seconds, micros, rest) = match rest.split_first_chunk::<3>() {
        Some((second, rest)) if second[0] == b':' => match rest {
            [b'.', digits @ ..] => {
                let (micros, rest) = fraction(digits)?;
                (two(second, 1)?, micros, rest)
            }
            _ => (two(second, 1)?, 0, rest),
        },
        _ => (0, 0, rest),
    };
    let in_range = hours < 24 && minutes < 60 && seconds < 60;
    let whole = i64::from(hours) * HOUR + i64::from(minutes) * MINUTE + i64::from(seconds) * SECOND;
    in_range.then_some((whole + micros, rest))
}

/// Decimals of a second as microseconds, and what follows them. Those after the sixth must be zeros.
#[inline]
fn fraction(text: &[u8]) -> Option<(i64, &[u8])> {
    let count = text.iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(count);
    let (micros, finer) = digits.split_at(count.min(6));
    if count == 0 || finer.iter().any(|b| *b != b'0') {
        return None;
    }
    let value = micros.iter().fold(0, |value, b| value * 10 + i64::from(b - b'0'));
    Some((value * 10_i64.pow(6 - micros.len() as u32), rest))
}

/// `Z`, `±HH`, `±HHMM` or `±HH:MM`, east of Greenwich positive, in microseconds. As far from it as PostgreSQL takes:
/// less than 16 hours (datetime.h, `MAX_TZDISP_HOUR`).
#[inline]
pub(super) fn offset(text: &[u8]) -> Option<i64> {
    if text == b"Z" {
        return Some(0);
    }
    let (sign, digits) = text.split_first()?;
    let (hours, rest) = digits.split_first_chunk::<2>()?;
    let hours = two(hours, 0)?;
    let minutes = match rest {
        [] => 0,
        [b':', tens, ones] | [tens, ones] => two(&[*tens, *ones], 0)?,
        _ => return None,
    };
    let micros = i64::from(hours) * HOUR + i64::from(minutes) * MINUTE;
    match sign {
        _ if hours > 15 || minutes > 59 => None,
        b'+' => Some(micros),
        b'-' => Some(-micros),
        _ => None,
    }
}

/// The two digits at this place.
#[inline]
fn two<const N: usize>(text: &[u8; N], at: usize) -> Option<u32> {
    let (tens, ones) = (text[at].wrapping_sub(b'0'), text[at + 1].wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| u32::from(tens) * 10 + u32::from(ones))
}
