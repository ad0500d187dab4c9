//! Moments: what a text or a number says about the time line, and how a number is found again.

use super::time::{DAYS_TO_2000, Date, MICROS_PER_DAY, MICROS_PER_SECOND, Written, parse_moment};
use crate::error::{Error, Kind, Result};
use crate::model::cell::Cell;
use crate::model::conversion::{EpochUnit, Fit, Misfit, MomentForm, Naive, Rewrite};
use crate::postgres::encode;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

const MICROS_TO_2000: i64 = DAYS_TO_2000 as i64 * MICROS_PER_DAY;
// 0001-01-01T00:00 and 9999-12-31T23:59:59.999999, in microseconds since 1970. Numbers beyond are more likely in
// another unit than dates, and text has no spelling for them.
const MICROS_MIN: i64 = -719_162 * MICROS_PER_DAY;
const MICROS_MAX: i64 = 2_932_897 * MICROS_PER_DAY - 1;
// Julian days begin at noon: 1970 begins 2 440 587.5 days later.
const JULIAN_DAY_1970: f64 = 2_440_587.5;
const JULIAN_MILLIS_1970: i64 = 210_866_760_000_000;
const MILLIS_PER_DAY: f64 = 86_400_000.0;
// Up to here a double holds every integer.
const EXACT_INTEGERS: i64 = 1 << 53;

/// A column's rule for moments, its zone looked up.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    form: MomentForm,
    clock: Clock,
    // Empty where any spelling will do.
    spelled: Box<[u8]>,
    // Microseconds that a moment is a whole number of.
    grain: i64,
}

/// The spelling of a moment's text, for keys: each digit as `0`, everything else as it is. None where the text is
/// no moment, so that nothing else of a cell ever gets into a plan.
#[must_use]
pub fn spelling(text: &[u8]) -> Option<String> {
    parse_moment(text).ok()?;
    Some(text.iter().map(|b| if b.is_ascii_digit() { '0' } else { char::from(*b) }).collect())
}

// What a text without a zone means, and whether one with a zone is taken at all.
#[derive(Debug, Clone)]
enum Clock {
    // The target has no zone: the wall clock is kept as written, and a text with an offset does not fit.
    AsWritten,
    // The same, and a text with an offset becomes the wall clock of UTC.
    AsWrittenOrUtc,
    Utc,
    Zone(TimeZone),
    Refuse,
}

impl Rule {
    pub(super) fn new(
        form: MomentForm,
        naive: &Naive,
        target_has_zone: bool,
        spelled: Option<&str>,
        digits: u8,
    ) -> Result<Self> {
        let clock = match naive {
            Naive::Utc if !target_has_zone => Clock::AsWrittenOrUtc,
            _ if !target_has_zone => Clock::AsWritten,
            Naive::Utc => Clock::Utc,
            Naive::Zone(name) => Clock::Zone(zone(name)?),
            Naive::Refuse => Clock::Refuse,
        };
        let grain = 10_i64.pow(6 - u32::from(digits.min(6)));
        Ok(Self { form, clock, spelled: spelled.unwrap_or_default().as_bytes().into(), grain })
    }

    #[inline]
    pub(super) fn write(&self, cell: Cell<'_>, out: &mut Vec<u8>) -> Result<Fit, Misfit> {
        let (micros, fit) = match (self.form, cell) {
            (MomentForm::Text { dates }, Cell::Text(text)) => {
                if !self.spelled.is_empty() && !is_spelled(text, &self.spelled) {
                    return Err(Misfit::OtherSpelling);
                }
                self.read(text, dates)?
            }
            (MomentForm::Epoch(unit), Cell::Integer(value)) => (from_epoch(value, unit)?, NUMBER),
            (MomentForm::Epoch(unit), Cell::Real(value)) => (from_epoch_real(value, unit)?, NUMBER),
            (MomentForm::JulianDay, Cell::Integer(value)) => (from_julian_day(value)?, NUMBER),
            (MomentForm::JulianDay, Cell::Real(value)) => (from_julian_day_real(value)?, NUMBER),
            _ => return Err(Misfit::Class),
        };
        if micros % self.grain != 0 {
            return Err(Misfit::TooFine);
        }
        encode::timestamp(micros - MICROS_TO_2000, out);
        Ok(fit)
    }

    #[inline]
    fn read(&self, text: &[u8], dates: bool) -> Result<(i64, Fit), Misfit> {
        let written = parse_moment(text)?;
        if written.time.is_none() && !dates {
            return Err(Misfit::NotTime);
        }
        let (offset, fit) = match (&self.clock, written.offset) {
            (Clock::AsWritten, Some(_)) => return Err(Misfit::NotTime),
            // A wall clock does not say that it is UTC's, where an instant needs no offset of zero.
            (Clock::AsWrittenOrUtc, Some(0)) => (0, Fit::Rewritten(Rewrite::OffsetDropped)),
            (Clock::AsWritten | Clock::AsWrittenOrUtc, None) | (_, Some(0)) => (0, Fit::Exact),
            (_, Some(offset)) => (offset, Fit::Rewritten(Rewrite::OffsetDropped)),
            (Clock::Utc, None) => (0, Fit::Rewritten(Rewrite::ZoneAssumed)),
            (Clock::Zone(zone), None) => (offset_in(zone, written)?, Fit::Rewritten(Rewrite::ZoneAssumed)),
            (Clock::Refuse, None) => return Err(Misfit::NoZone),
        };
        let fit = if written.time.is_none() { Fit::Rewritten(Rewrite::DateAsMidnight) } else { fit };
        let days = i64::from(written.date.days() + DAYS_TO_2000);
        let wall_clock = days * MICROS_PER_DAY + written.time.unwrap_or(0);
        let micros = wall_clock - i64::from(offset) * MICROS_PER_SECOND;
        // An offset may lead out of the years that text can spell, where SQLite's own functions give up too.
        if (MICROS_MIN..=MICROS_MAX).contains(&micros) { Ok((micros, fit)) } else { Err(Misfit::OutOfRange) }
    }
}

fn is_spelled(text: &[u8], spelling: &[u8]) -> bool {
    let fits = |(byte, pattern): (&u8, &u8)| if byte.is_ascii_digit() { *pattern == b'0' } else { byte == pattern };
    text.len() == spelling.len() && text.iter().zip(spelling).all(fits)
}

const NUMBER: Fit = Fit::Rewritten(Rewrite::NumberAsTime);

fn zone(name: &str) -> Result<TimeZone> {
    TimeZone::get(name).map_err(|cause| {
        Error::new(Kind::Usage, format!("this machine knows no time zone `{name}`"))
            .hint("use an IANA name such as `Europe/Berlin`; the package `tzdata` holds them")
            .cause(cause)
    })
}

// The zone's offset is asked for, not the instant: jiff's own instants end before 9999-12-31 does.
fn offset_in(zone: &TimeZone, written: Written) -> Result<i32, Misfit> {
    let Date { year, month, day } = written.date;
    let seconds = (written.time.unwrap_or(0) / MICROS_PER_SECOND) as i32;
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let clock = DateTime::new(year as i16, month as i8, day as i8, hour as i8, minute as i8, second as i8, 0)
        .map_err(|_| Misfit::NotTime)?;
    match zone.to_ambiguous_timestamp(clock).offset() {
        AmbiguousOffset::Unambiguous { offset } => Ok(offset.seconds()),
        AmbiguousOffset::Gap { .. } | AmbiguousOffset::Fold { .. } => Err(Misfit::NoZone),
    }
}

fn in_range(micros: i64) -> Result<i64, Misfit> {
    if (MICROS_MIN..=MICROS_MAX).contains(&micros) { Ok(micros) } else { Err(Misfit::OutOfRange) }
}

// Microseconds in a unit that is not finer than one.
const fn micros_per(unit: EpochUnit) -> i64 {
    match unit {
        EpochUnit::Seconds => MICROS_PER_SECOND,
        EpochUnit::Millis => 1000,
        EpochUnit::Micros | EpochUnit::Nanos => 1,
    }
}

#[inline]
fn from_epoch(value: i64, unit: EpochUnit) -> Result<i64, Misfit> {
    if unit == EpochUnit::Nanos {
        return if value % 1000 == 0 { in_range(value / 1000) } else { Err(Misfit::TooFine) };
    }
    in_range(value.checked_mul(micros_per(unit)).ok_or(Misfit::OutOfRange)?)
}

fn from_epoch_real(value: f64, unit: EpochUnit) -> Result<i64, Misfit> {
    let per_unit = micros_per(unit) as f64;
    let rough = if unit == EpochUnit::Nanos { value / 1000.0 } else { value * per_unit };
    check_rough(value, rough)?;
    let micros = if unit == EpochUnit::Nanos {
        // In integers: a quotient of doubles may round to a neighbour, and beyond June 2255 to one far off.
        let nanos = value.abs() as i128;
        let micros = nanos / 1000 + i128::from(nanos % 1000 >= 500);
        if value < 0.0 { -micros as i64 } else { micros as i64 }
    } else {
        // Whole units apart from the fraction: their product alone may need more bits than a double has.
        value.trunc() as i64 * micros_per(unit) + (value.fract() * per_unit).round() as i64
    };
    let micros = in_range(micros)?;
    if epoch_real(micros, unit).to_bits() == value.to_bits() { Ok(micros) } else { Err(Misfit::Inexact) }
}

fn from_julian_day(days: i64) -> Result<i64, Misfit> {
    let micros = days.checked_mul(MICROS_PER_DAY).and_then(|m| m.checked_sub(JULIAN_MILLIS_1970 * 1000));
    in_range(micros.ok_or(Misfit::OutOfRange)?)
}

fn from_julian_day_real(value: f64) -> Result<i64, Misfit> {
    let days = value - JULIAN_DAY_1970;
    check_rough(value, days * MICROS_PER_DAY as f64)?;
    // A double holds a julian day of our time to 40 microseconds, and SQLite's own are whole milliseconds: the
    // millisecond comes first, so that `julianday('… 12:00:00.123')` does not arrive as .123004.
    let (whole, part) = (days.trunc() as i64 * MICROS_PER_DAY, days.fract());
    let millis = whole + (part * MILLIS_PER_DAY).round() as i64 * 1000;
    let micros = whole + (part * MICROS_PER_DAY as f64).round() as i64;
    for candidate in [millis, micros] {
        if julian_day_real(candidate).to_bits() == value.to_bits() {
            return in_range(candidate);
        }
    }
    in_range(micros)?;
    Err(Misfit::Inexact)
}

// Keeps the microseconds in i64's reach before they are converted.
fn check_rough(value: f64, micros: f64) -> Result<(), Misfit> {
    if !value.is_finite() {
        return Err(Misfit::Infinite);
    }
    if micros.abs() > 2.0 * MICROS_MAX as f64 { Err(Misfit::OutOfRange) } else { Ok(()) }
}

/// The REAL that stands for a moment, given in microseconds since 1970-01-01T00:00Z, in this unit.
///
/// The way back of [`MomentForm::Epoch`]: a REAL was taken only if this returns the very same double.
#[must_use]
pub fn epoch_real(micros: i64, unit: EpochUnit) -> f64 {
    let per_unit = micros_per(unit);
    if unit == EpochUnit::Nanos {
        return (i128::from(micros) * 1000) as f64;
    }
    if micros.abs() <= EXACT_INTEGERS {
        // One rounding: the same double that the decimal number is read as.
        return micros as f64 / per_unit as f64;
    }
    (micros / per_unit) as f64 + (micros % per_unit) as f64 / per_unit as f64
}

/// The REAL julian day that stands for a moment, given in microseconds since 1970-01-01T00:00Z.
///
/// The way back of [`MomentForm::JulianDay`], and for whole milliseconds what SQLite's `julianday()` computes
/// (`iJD/86400000.0` in its `date.c`).
#[must_use]
pub fn julian_day_real(micros: i64) -> f64 {
    if micros % 1000 == 0 {
        return (micros / 1000).saturating_add(JULIAN_MILLIS_1970) as f64 / MILLIS_PER_DAY;
    }
    micros as f64 / MICROS_PER_DAY as f64 + JULIAN_DAY_1970
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::conversion::Conversion;
    use crate::transform::tests::check;

    const MIDNIGHT_2024: i64 = 757_382_400_000_000;

    fn text(naive: Naive, target_has_zone: bool) -> Conversion {
        Conversion::Moment { form: MomentForm::Text { dates: true }, naive, target_has_zone, spelled: None, digits: 6 }
    }

    #[track_caller]
    fn takes(conversion: &Conversion, cell: Cell<'_>, fit: Fit, micros: i64) {
        check(conversion, cell, Ok((fit, &micros.to_be_bytes())));
    }

    #[test]
    fn texts_with_a_zone_are_instants() {
        let rule = text(Naive::Refuse, true);
        let hour = 3600 * MICROS_PER_SECOND;
        takes(&rule, Cell::Text(b"2024-01-01T00:00:00Z"), Fit::Exact, MIDNIGHT_2024);
        takes(&rule, Cell::Text(b"2024-01-01 00:00+00:00"), Fit::Exact, MIDNIGHT_2024);
        let dropped = Fit::Rewritten(Rewrite::OffsetDropped);
        takes(&rule, Cell::Text(b"2024-01-01T00:00:00.5+02"), dropped, MIDNIGHT_2024 - 2 * hour + 500_000);
        takes(&rule, Cell::Text(b"2024-01-01T00:00:00-0100"), dropped, MIDNIGHT_2024 + hour);
        check(&rule, Cell::Text(b"2024-01-01T00:00:00"), Err(Misfit::NoZone));
        check(&rule, Cell::Text(b"2024-01-01"), Err(Misfit::NoZone));
        check(&rule, Cell::Text(b"2024-01-01T00:00:00.1234567Z"), Err(Misfit::TooFine));
        for bad in ["2024-01-01T", "2024-01-01t00:00", "2024-01-01T00:00 Z", "2024-02-30T00:00Z", "2024-01-01Z", "now"]
        {
            check(&rule, Cell::Text(bad.as_bytes()), Err(Misfit::NotTime));
        }
        check(&rule, Cell::Integer(0), Err(Misfit::Class));
    }

    #[test]
    fn a_text_without_a_zone_means_what_the_plan_says() {
        let assumed = Fit::Rewritten(Rewrite::ZoneAssumed);
        takes(&text(Naive::Utc, true), Cell::Text(b"2024-01-01 00:00:00"), assumed, MIDNIGHT_2024);
        let midnight = Fit::Rewritten(Rewrite::DateAsMidnight);
        takes(&text(Naive::Utc, true), Cell::Text(b"2024-01-01"), midnight, MIDNIGHT_2024);
        takes(&text(Naive::Refuse, false), Cell::Text(b"2024-01-01 00:00"), Fit::Exact, MIDNIGHT_2024);
        check(&text(Naive::Refuse, false), Cell::Text(b"2024-01-01 00:00Z"), Err(Misfit::NotTime));
        let dropped = Fit::Rewritten(Rewrite::OffsetDropped);
        takes(&text(Naive::Utc, false), Cell::Text(b"2024-01-01 00:00Z"), dropped, MIDNIGHT_2024);
        takes(&text(Naive::Utc, false), Cell::Text(b"2024-01-01T02:00+02:00"), dropped, MIDNIGHT_2024);
        let berlin = text(Naive::Zone("Europe/Berlin".to_owned()), true);
        takes(&berlin, Cell::Text(b"2024-01-01 01:00:00"), assumed, MIDNIGHT_2024);
        check(&berlin, Cell::Text(b"2024-03-31 02:30:00"), Err(Misfit::NoZone));
        check(&berlin, Cell::Text(b"2024-10-27 02:30:00"), Err(Misfit::NoZone));
        takes(&berlin, Cell::Text(b"9999-12-31 23:59:59"), assumed, 252_455_612_399 * MICROS_PER_SECOND);
        let no_dates = Conversion::Moment {
            form: MomentForm::Text { dates: false },
            naive: Naive::Utc,
            target_has_zone: true,
            spelled: None,
            digits: 6,
        };
        check(&no_dates, Cell::Text(b"2024-01-01"), Err(Misfit::NotTime));
    }

    #[test]
    fn epochs_are_taken_where_the_way_back_is_exact() {
        let epoch = |unit| Conversion::Moment {
            form: MomentForm::Epoch(unit),
            naive: Naive::Refuse,
            target_has_zone: true,
            spelled: None,
            digits: 6,
        };
        let seconds = MIDNIGHT_2024 / MICROS_PER_SECOND + 946_684_800;
        for (unit, factor) in [
            (EpochUnit::Seconds, 1),
            (EpochUnit::Millis, 1000),
            (EpochUnit::Micros, 1_000_000),
            (EpochUnit::Nanos, 1_000_000_000),
        ] {
            takes(&epoch(unit), Cell::Integer(seconds * factor), NUMBER, MIDNIGHT_2024);
            takes(&epoch(unit), Cell::Real((seconds * factor) as f64), NUMBER, MIDNIGHT_2024);
        }
        takes(&epoch(EpochUnit::Seconds), Cell::Real(1_704_067_200.123_456), NUMBER, MIDNIGHT_2024 + 123_456);
        takes(&epoch(EpochUnit::Millis), Cell::Real(1_704_067_200_123.456), NUMBER, MIDNIGHT_2024 + 123_456);
        check(&epoch(EpochUnit::Seconds), Cell::Real(1_704_067_200.123_456_2), Err(Misfit::Inexact));
        check(&epoch(EpochUnit::Seconds), Cell::Real(-0.0), Err(Misfit::Inexact));
        check(&epoch(EpochUnit::Seconds), Cell::Real(f64::INFINITY), Err(Misfit::Infinite));
        check(&epoch(EpochUnit::Nanos), Cell::Integer(1), Err(Misfit::TooFine));
        takes(&epoch(EpochUnit::Seconds), Cell::Integer(253_402_300_799), NUMBER, 252_455_615_999 * MICROS_PER_SECOND);
        for beyond in [253_402_300_800, -62_135_596_801, i64::MAX, i64::MIN] {
            check(&epoch(EpochUnit::Seconds), Cell::Integer(beyond), Err(Misfit::OutOfRange));
            check(&epoch(EpochUnit::Seconds), Cell::Real(beyond as f64), Err(Misfit::OutOfRange));
        }
        check(&epoch(EpochUnit::Seconds), Cell::Text(b"0"), Err(Misfit::Class));
    }

    #[test]
    fn julian_days_arrive_at_the_millisecond_that_sqlite_meant() {
        let rule = Conversion::Moment {
            form: MomentForm::JulianDay,
            naive: Naive::Utc,
            target_has_zone: true,
            spelled: None,
            digits: 6,
        };
        takes(&rule, Cell::Real(2_460_310.5), NUMBER, MIDNIGHT_2024);
        takes(&rule, Cell::Integer(2_460_311), NUMBER, MIDNIGHT_2024 + MICROS_PER_DAY / 2);
        for millis in [0, 1, 123, 86_399_999] {
            let micros = MIDNIGHT_2024 + MICROS_TO_2000 + millis * 1000;
            let written = julian_day_real(micros);
            takes(&rule, Cell::Real(written), NUMBER, micros - MICROS_TO_2000);
        }
        // Finer than SQLite's own: the microsecond that the double comes back from.
        takes(&rule, Cell::Real(2_460_310.500_000_001), NUMBER, MIDNIGHT_2024 + 80);
        check(&rule, Cell::Real(1e300), Err(Misfit::OutOfRange));
        check(&rule, Cell::Integer(i64::MIN), Err(Misfit::OutOfRange));
        check(&rule, Cell::Real(0.0), Err(Misfit::OutOfRange));
    }
}
