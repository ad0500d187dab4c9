//! Spellings of times: taken from the source's texts, used for new ones.

use jiff::civil::{DateTime, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::fmt::Write as _;

/// Microseconds from 1970 to 2000, which PostgreSQL counts from.
const TO_2000: i64 = 946_684_800 * SECOND;
const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// How a text shows a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shape {
    front: Front,
    seconds: bool,
    decimals: u8,
    zone: Zone,
}

/// What stands in front of the time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Front {
    /// A date, and no time of day.
    DateAlone,
    /// A date and a `T`.
    T,
    /// A date and a blank.
    Blank,
    /// Nothing.
    Nothing,
}

/// How a text says which offset from UTC its clock has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Zone {
    /// Not at all.
    Unsaid,
    /// `Z`
    Z,
    /// So many minutes east.
    Offset { minutes: i16, spelled: Spelled },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Spelled {
    /// `+01`
    Hours,
    /// `+0100`
    Plain,
    /// `+01:00`
    Colon,
}

/// What a clock without an offset shows.
#[derive(Debug, Clone)]
pub enum Local {
    /// UTC, or a wall clock that is of no zone.
    Utc,
    /// The clock of this zone.
    Of(TimeZone),
    /// No moment may be written so.
    Never,
}

impl Shape {
    /// What SQLite's own `datetime()` writes.
    pub const SQLITE: Self = Self { front: Front::Blank, seconds: true, decimals: 0, zone: Zone::Unsaid };

    /// The same with an offset of zero, as RFC 3339 has it.
    pub const RFC: Self = Self { front: Front::T, seconds: true, decimals: 0, zone: Zone::Z };

    /// What SQLite's own `time()` writes.
    pub const TIME: Self = Self { front: Front::Nothing, seconds: true, decimals: 0, zone: Zone::Unsaid };

    /// The shape of a moment's text; none where it has none that is known here.
    #[must_use]
    pub fn of_moment(text: &[u8]) -> Option<Self> {
        let (_, rest) = text.split_at_checked(10)?;
        let front = match rest.first() {
            None => return Some(Self { front: Front::DateAlone, ..Self::SQLITE }),
            Some(b'T') => Front::T,
            Some(b' ') => Front::Blank,
            Some(_) => return None,
        };
        let (seconds, decimals, rest) = clock(&rest[1..])?;
        Some(Self { front, seconds, decimals, zone: zone(rest)? })
    }

    /// The shape of a time of day.
    #[must_use]
    pub fn of_time(text: &[u8]) -> Option<Self> {
        let (seconds, decimals, rest) = clock(text)?;
        rest.is_empty().then_some(Self { front: Front::Nothing, seconds, decimals, zone: Zone::Unsaid })
    }

    /// The same with its time of day, where it had none.
    #[must_use]
    pub fn with_time(self) -> Self {
        if self.front == Front::DateAlone { Self { front: Front::Blank, ..self } } else { self }
    }

    /// The same, saying that it is UTC.
    #[must_use]
    pub fn in_utc(self) -> Self {
        Self { zone: Zone::Z, ..self }
    }

    /// A time of day, in microseconds.
    #[must_use]
    pub fn time(self, micros: i64) -> Option<String> {
        if !(0..DAY).contains(&micros) {
            return None;
        }
        let mut out = String::new();
        self.clock(micros, &mut out);
        Some(out)
    }

    /// A moment: an instant, or a wall clock where `local` is [`Local::Utc`]; in microseconds since 2000. None where
    /// the shape cannot show it.
    #[must_use]
    pub fn moment(self, micros: i64, local: &Local) -> Option<String> {
        let east = match (self.zone, local) {
            (Zone::Z, _) | (Zone::Unsaid, Local::Utc) => 0,
            (Zone::Offset { minutes, .. }, _) => i64::from(minutes) * 60,
            (Zone::Unsaid, Local::Of(zone)) => {
                let instant = Timestamp::from_microsecond(micros.checked_add(TO_2000)?).ok()?;
                i64::from(zone.to_offset(instant).seconds())
            }
            (Zone::Unsaid, Local::Never) => return None,
        };
        let wall = micros.checked_add(east * SECOND)?;
        let mut out = day(wall.div_euclid(DAY))?;
        let of_day = wall.rem_euclid(DAY);
        match self.front {
            Front::DateAlone => return (of_day == 0).then_some(out),
            Front::T => out.push('T'),
            Front::Blank => out.push(' '),
            Front::Nothing => return None,
        }
        self.clock(of_day, &mut out);
        match self.zone {
            Zone::Unsaid => {}
            Zone::Z => out.push('Z'),
            Zone::Offset { minutes, spelled } => {
                let sign = if minutes < 0 { '-' } else { '+' };
                let (hours, minutes) = (minutes.unsigned_abs() / 60, minutes.unsigned_abs() % 60);
                let _ = match spelled {
                    Spelled::Hours => write!(out, "{sign}{hours:02}"),
                    Spelled::Plain => write!(out, "{sign}{hours:02}{minutes:02}"),
                    Spelled::Colon => write!(out, "{sign}{hours:02}:{minutes:02}"),
                };
            }
        }
        Some(out)
    }

    // As many decimals as the shape has, or as the value needs: then three or six.
    fn clock(self, micros: i64, out: &mut String) {
        let (hours, minutes, seconds) = (micros / (3600 * SECOND), micros / (60 * SECOND) % 60, micros / SECOND % 60);
        let fraction = micros % SECOND;
        let _ = write!(out, "{hours:02}:{minutes:02}");
        if !self.seconds && self.decimals == 0 && seconds == 0 && fraction == 0 {
            return;
        }
        let _ = write!(out, ":{seconds:02}");
        let digits = format!("{fraction:06}");
        let needed = digits.trim_end_matches('0').len();
        let decimals = match usize::from(self.decimals) {
            had if had >= needed => had,
            _ if needed <= 3 => 3,
            _ => 6,
        };
        if decimals > 0 {
            let _ = write!(out, ".{}", &format!("{digits:0<decimals$}")[..decimals]);
        }
    }
}

/// The text of a day, counted from 2000-01-01; none outside the years that four digits name.
#[must_use]
pub fn day(days: i64) -> Option<String> {
    let midnight: DateTime = date(2000, 1, 1).at(0, 0, 0, 0);
    let day = midnight.checked_add(SignedDuration::from_hours(days.checked_mul(24)?)).ok()?.date();
    (1..=9999).contains(&day.year()).then(|| day.to_string())
}

// Whether there are seconds, how many decimals they have, and what follows.
fn clock(text: &[u8]) -> Option<(bool, u8, &[u8])> {
    let (front, rest) = text.split_at_checked(5)?;
    if front[2] != b':' {
        return None;
    }
    let Some((b':', _)) = rest.split_first() else { return Some((false, 0, rest)) };
    let rest = rest.get(3..)?;
    let Some((b'.', digits)) = rest.split_first() else { return Some((true, 0, rest)) };
    let count = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    Some((true, u8::try_from(count).ok()?, &digits[count..]))
}

fn zone(text: &[u8]) -> Option<Zone> {
    let (sign, digits) = match text {
        [] => return Some(Zone::Unsaid),
        b"Z" => return Some(Zone::Z),
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let two = |tens: u8, ones: u8| -> Option<i16> {
        (tens.is_ascii_digit() && ones.is_ascii_digit()).then(|| i16::from(tens - b'0') * 10 + i16::from(ones - b'0'))
    };
    let (hours, minutes, spelled) = match digits {
        [a, b] => (two(*a, *b)?, 0, Spelled::Hours),
        [a, b, c, d] => (two(*a, *b)?, two(*c, *d)?, Spelled::Plain),
        [a, b, b':', c, d] => (two(*a, *b)?, two(*c, *d)?, Spelled::Colon),
        _ => return None,
    };
    Some(Zone::Offset { minutes: sign * (hours * 60 + minutes), spelled })
}

#[cfg(test)]
mod tests {
    use super::*;

    // 2024-01-31 12:34:56.25, 2024-01-31 00:00:00 and 2000-01-01 00:00:30, in microseconds since 2000.
    const FINE: i64 = 760_019_696_250_000;
    const MIDNIGHT: i64 = 8796 * DAY;

    #[track_caller]
    fn check(shape: &str, micros: i64, expect: &str) {
        let shape = Shape::of_moment(shape.as_bytes()).expect("a shape");
        assert_eq!(shape.moment(micros, &Local::Utc).as_deref(), Some(expect), "{shape:?}");
    }

    #[test]
    fn a_moment_is_written_as_the_others_are() {
        check("1999-12-31T23:59:59Z", MIDNIGHT, "2024-01-31T00:00:00Z");
        check("1999-12-31T23:59:59.123456Z", MIDNIGHT, "2024-01-31T00:00:00.000000Z");
        check("1999-12-31T23:59:59Z", FINE, "2024-01-31T12:34:56.250Z");
        check("1999-12-31T23:59:59.5", FINE, "2024-01-31T12:34:56.250");
        check("1999-12-31T23:59:59.50", FINE, "2024-01-31T12:34:56.25");
        check("1999-12-31 23:59", MIDNIGHT, "2024-01-31 00:00");
        check("1999-12-31 23:59", FINE, "2024-01-31 12:34:56.250");
        check("1999-12-31 23:59:59+05:30", FINE, "2024-01-31 18:04:56.250+05:30");
        check("1999-12-31 23:59:59-0800", MIDNIGHT, "2024-01-30 16:00:00-0800");
        check("1999-12-31 23:59:59-08", MIDNIGHT, "2024-01-30 16:00:00-08");
        check("1999-12-31", MIDNIGHT, "2024-01-31");
        check("1999-12-31 23:59:59.1234567890", FINE, "2024-01-31 12:34:56.2500000000");
        check("1999-12-31 23:59", -1, "1999-12-31 23:59:59.999999");
    }

    #[test]
    fn a_shape_that_cannot_show_a_moment_says_so() {
        let shape = Shape::of_moment(b"1999-12-31").expect("a shape");
        assert_eq!(shape.moment(FINE, &Local::Utc), None);
        assert_eq!(shape.with_time().moment(FINE, &Local::Utc).as_deref(), Some("2024-01-31 12:34:56.250"));
        assert_eq!(Shape::SQLITE.moment(FINE, &Local::Never), None);
        assert_eq!(Shape::SQLITE.moment(i64::MAX, &Local::Utc), None);
        assert_eq!(Shape::SQLITE.moment(i64::MIN, &Local::Utc), None);
        assert_eq!(Shape::TIME.time(DAY), None);
    }

    #[test]
    fn a_clock_of_a_zone_shows_that_zones_time() {
        let berlin = Local::Of(TimeZone::get("Europe/Berlin").expect("a zone"));
        assert_eq!(Shape::SQLITE.moment(MIDNIGHT, &berlin).as_deref(), Some("2024-01-31 01:00:00"));
        assert_eq!(Shape::SQLITE.in_utc().moment(MIDNIGHT, &berlin).as_deref(), Some("2024-01-31 00:00:00Z"));
    }

    #[test]
    fn what_is_no_time_has_no_shape() {
        for text in ["", "1999", "1999-12-31x23:59", "1999-12-31 23", "1999-12-31 23:59:59+1", "1999-12-31 23:59:59 Z"]
        {
            assert_eq!(Shape::of_moment(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Shape::of_time(b"12:34"), Some(Shape { seconds: false, ..Shape::TIME }));
        assert_eq!(Shape::of_time(b"12:34Z"), None);
    }
}
