//! Moments: how the cell states one, what it means without a zone, and which of the two types the target has.

use super::{calendar, count, iso};
use crate::error::{Error, Kind, Result};
use crate::model::cell::Cell;
use crate::model::conversion::{MomentForm, Naive};
use crate::verify::form::Form;
use jiff::SignedDuration;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};

const DAY: i64 = 86_400 * 1_000_000;

/// What PostgreSQL counts from.
const ORIGIN: DateTime = DateTime::constant(2000, 1, 1, 0, 0, 0, 0);

/// The rule of a column of moments.
#[derive(Debug)]
pub(super) struct Moments {
    form: MomentForm,
    naive: Assumed,
    target_has_zone: bool,
    /// The shape that all texts of a key share, digits as `0`.
    spelled: Option<Box<[u8]>>,
    /// Decimals of a second that the target keeps.
    digits: u32,
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
    /// Whether as many decimals of a second are enough to write it.
    fn has_decimals(self, digits: u32) -> bool {
        let (Self::Instant(micros) | Self::WallClock(micros)) = self;
        micros.rem_euclid(1_000_000).rem_euclid(10_i64.pow(6_u32.saturating_sub(digits))) == 0
    }

    #[inline]
    pub(super) fn append_to(self, form: &mut Form) {
        match self {
            Self::Instant(micros) => form.timestamp_tz(micros),
            Self::WallClock(micros) => form.timestamp(micros),
        }
    }
}

impl Moments {
    pub(super) fn of(
        form: MomentForm,
        naive: &Naive,
        target_has_zone: bool,
        spelled: Option<&str>,
        digits: u8,
    ) -> Result<Self> {
        let naive = match naive {
            Naive::Utc => Assumed::Utc,
            Naive::Refuse => Assumed::Nothing,
            Naive::Zone(name) => Assumed::Zone(TimeZone::get(name).map_err(|cause| {
                Error::new(Kind::Usage, format!("`{name}` is no time zone that this machine knows")).cause(cause)
            })?),
        };
        // An empty one says that no text was seen yet: there is nothing to differ from.
        let spelled = spelled.filter(|s| !s.is_empty()).map(|s| s.as_bytes().into());
        Ok(Self { form, naive, target_has_zone, spelled, digits: digits.into() })
    }

    #[inline]
    pub(super) fn read(&self, cell: Cell<'_>) -> Option<Moment> {
        let moment = match (self.form, cell) {
            (MomentForm::Text { dates }, Cell::Text(text)) => self.text(text, dates)?,
            (MomentForm::Epoch(unit), cell) => self.instant(count::epoch(cell, unit)?),
            (MomentForm::JulianDay, cell) => self.instant(count::julian(cell)?),
            _ => return None,
        };
        moment.has_decimals(self.digits).then_some(moment)
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
        if !self.target_has_zone {
            // A wall clock with an offset is more than a wall clock: it would lose which instant it is, unless all
            // clocks of the column are known to be UTC's.
            let ahead = match (rest, &self.naive) {
                ([], _) => 0,
                (offset, Assumed::Utc) => iso::offset(offset)?,
                _ => return None,
            };
            return calendar::holds(wall - ahead).then_some(Moment::WallClock(wall - ahead));
        }
        let instant = match (rest, &self.naive) {
            ([], Assumed::Utc) => wall,
            ([], Assumed::Zone(zone)) => in_zone(wall, zone)?,
            ([], Assumed::Nothing) => return None,
            (offset, _) => wall - iso::offset(offset)?,
        };
        // An offset may lead out of the calendar.
        calendar::holds(instant).then_some(Moment::Instant(instant))
    }
}

/// The instant at which clocks of the zone show this; `None` where they never do, or twice.
fn in_zone(wall: i64, zone: &TimeZone) -> Option<i64> {
    let clock = ORIGIN.checked_add(SignedDuration::from_micros(wall)).ok()?;
    // The offset, not jiff's instant: on the last day of year 9999 it has none west of Greenwich.
    match zone.to_ambiguous_timestamp(clock).offset() {
        AmbiguousOffset::Unambiguous { offset } => Some(wall - i64::from(offset.seconds()) * 1_000_000),
        AmbiguousOffset::Gap { .. } | AmbiguousOffset::Fold { .. } => None,
    }
}

fn is_spelled(text: &[u8], spelled: &[u8]) -> bool {
    text.len() == spelled.len()
        && text.iter().zip(spelled).all(|(b, s)| if b.is_ascii_digit() { *s == b'0' } else { b == s })
}
