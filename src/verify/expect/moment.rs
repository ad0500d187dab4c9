//! Dates, times and moments written as ISO 8601 text, and the choice between them and counted moments.

use super::{calendar, count};
use crate::error::{Error, Kind, Result};
use crate::model::cell::Cell;
use crate::model::conversion::{MomentForm, Naive};
use crate::verify::form::Form;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Microseconds from 1970-01-01 to 2000-01-01.
const UNIX_TO_POSTGRES: i64 = 946_684_800 * SECOND;

/// The rule of a column of moments.
#[derive(Debug)]
pub(super) struct Moments {
    form: MomentForm,
    naive: Assumed,
    target_has_zone: bool,
    /// The shape that all texts of a key share, digits as `0`.
    spelled: Option<Box<[u8]>>,
}

#[derive(Debug)]
enum Assumed {
    Utc,
    Zone(TimeZone),
    Nothing,
}

/// Microseconds since 2000-01-01 00:00, of UTC or of a wall clock.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moment {
    Instant(i64),
    WallClock(i64),
}

impl Moment {
    #[inline]
    pub(super) fn append_to(self, form: &mut Form) {
        match self {
            Self::Instant(micros) => form.timestamp_tz(micros),
            Self::WallClock(micros) => form.timestamp(micros),
        }
    }
}

impl Moments {
    pub(super) fn of(form: MomentForm, naive: &Naive, target_has_zone: bool, spelled: Option<&str>) -> Result<Self> {
        let naive = match naive {
            Naive::Utc => Assumed::Utc,
            Naive::Refuse => Assumed::Nothing,
            Naive::Zone(name) => Assumed::Zone(TimeZone::get(name).map_err(|cause| {
                Error::new(Kind::Usage, format!("`{name}` is no time zone that this machine knows")).cause(cause)
            })?),
        };
        // An empty one says that no text was seen yet: there is nothing to differ from.
        let spelled = spelled.filter(|s| !s.is_empty()).map(|s| s.as_bytes().into());
        Ok(Self { form, naive, target_has_zone, spelled })
    }

    #[inline]
    pub(super) fn read(&self, cell: Cell<'_>) -> Option<Moment> {
        match (self.form, cell) {
            (MomentForm::Text { dates }, Cell::Text(text)) => self.text(text, dates),
            (MomentForm::Epoch(unit), cell) => Some(self.instant(count::epoch(cell, unit)?)),
            (MomentForm::JulianDay, cell) => Some(self.instant(count::julian(cell)?)),
            _ => None,
        }
    }

    /// A counted moment is one of UTC, whose wall clock stands where the target has no zone.
    fn instant(&self, micros: i64) -> Moment {
        if self.target_has_zone { Moment::Instant(micros) } else { Moment::WallClock(micros) }
    }

    #[inline]
    fn text(&self, text: &[u8], dates: bool) -> Option<Moment> {
        if self.spelled.as_ref().is_some_and(|spelled| !is_spelled(text, spelled)) {
            return None;
        }
        let (date, rest) = text.split_at_checked(10)?;
        let midnight = i64::from(self::date(date)?) * DAY;
        let (wall, rest) = match rest {
            [] if dates => (midnight, rest),
            [b'T' | b' ', clock @ ..] => {
                let (time, rest) = time_of_day(clock)?;
                (midnight + time, rest)
            }
            _ => return None,
        };
        let offset = if rest.is_empty() { None } else { Some(offset(rest)?) };
        if !self.target_has_zone {
            return Some(Moment::WallClock(wall));
        }
        let instant = match (offset, &self.naive) {
            (Some(offset), _) => wall - offset,
            (None, Assumed::Utc) => wall,
            (None, Assumed::Zone(zone)) => in_zone(wall, zone)?,
            (None, Assumed::Nothing) => return None,
        };
        Some(Moment::Instant(instant))
    }
}

/// The instant at which clocks of the zone show this; `None` where they never do, or twice.
fn in_zone(wall: i64, zone: &TimeZone) -> Option<i64> {
    let micros = wall + UNIX_TO_POSTGRES;
    // The wall clock as jiff has it: the same microseconds of UTC.
    let clock: DateTime = jiff::Timestamp::from_microsecond(micros).ok()?.to_zoned(TimeZone::UTC).datetime();
    let instant = zone.to_ambiguous_timestamp(clock).unambiguous().ok()?;
    Some(instant.as_microsecond() - UNIX_TO_POSTGRES)
}

fn is_spelled(text: &[u8], spelled: &[u8]) -> bool {
    text.len() == spelled.len()
        && text.iter().zip(spelled).all(|(b, s)| if b.is_ascii_digit() { *s == b'0' } else { b == s })
}

/// `YYYY-MM-DD` as days since 2000-01-01.
#[inline]
pub(super) fn date(text: &[u8]) -> Option<i32> {
    let &[a, b, c, d, b'-', e, f, b'-', g, h] = text else { return None };
    calendar::days(two(a, b)? * 100 + two(c, d)?, two(e, f)?, two(g, h)?)
}

/// `HH:MM[:SS[.f…]]` as microseconds since midnight.
#[inline]
pub(super) fn time(text: &[u8]) -> Option<i64> {
    time_of_day(text).filter(|(_, rest)| rest.is_empty()).map(|(micros, _)| micros)
}

/// The time of day at the front, and what follows it.
#[inline]
fn time_of_day(text: &[u8]) -> Option<(i64, &[u8])> {
    let (&[a, b, b':', c, d], rest) = text.split_first_chunk()? else { return None };
    let (hours, minutes) = (two(a, b)?, two(c, d)?);
    let (seconds, micros, rest) = match rest {
        [b':', e, f, b'.', digits @ ..] => {
            let (micros, rest) = fraction(digits)?;
            (two(*e, *f)?, micros, rest)
        }
        [b':', e, f, rest @ ..] => (two(*e, *f)?, 0, rest),
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
fn offset(text: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match *text {
        [b'Z'] => return Some(0),
        [sign, a, b] => (sign, two(a, b)?, 0),
        [sign, a, b, c, d] | [sign, a, b, b':', c, d] => (sign, two(a, b)?, two(c, d)?),
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

#[inline]
fn two(tens: u8, ones: u8) -> Option<u32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| u32::from(tens) * 10 + u32::from(ones))
}
