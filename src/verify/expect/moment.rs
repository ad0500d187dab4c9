//! Moments: how the cell states one, what it means without a zone, and which of the two types the target has.

use super::{count, iso};
use crate::error::{Error, Kind, Result};
use crate::model::cell::Cell;
use crate::model::conversion::{MomentForm, Naive};
use crate::verify::form::Form;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

const DAY: i64 = 86_400 * 1_000_000;

/// Microseconds from 1970-01-01 to 2000-01-01.
const UNIX_TO_POSTGRES: i64 = 946_684_800 * 1_000_000;

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
        let midnight = i64::from(iso::date(date)?) * DAY;
        let (wall, rest) = match rest {
            [] if dates => (midnight, rest),
            [b'T' | b' ', clock @ ..] => {
                let (time, rest) = iso::time_of_day(clock)?;
                (midnight + time, rest)
            }
            _ => return None,
        };
        let offset = if rest.is_empty() { None } else { Some(iso::offset(rest)?) };
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
