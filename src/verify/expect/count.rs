//! Moments given as a number: epochs in four units, and julian days. All arithmetic is of integers, without rounding but
//! the one to the microsecond.

use super::calendar;
use crate::model::cell::Cell;
use crate::model::conversion::EpochUnit;

/// Microseconds from 1970-01-01 00:00 to 2000-01-01 00:00.
const UNIX: i128 = 946_684_800 * 1_000_000;

/// Microseconds from noon of 24 November 4714 BC to 2000-01-01 00:00, which is julian day 2451544.5.
const JULIAN: i128 = 4_903_089 * DAY / 2;
const DAY: i128 = 86_400 * 1_000_000;

/// Microseconds since 2000-01-01 of a number counted from 1970.
#[inline]
pub(super) fn epoch(cell: Cell<'_>, unit: EpochUnit) -> Option<i64> {
    let ratio = match unit {
        EpochUnit::Seconds => Ratio { micros: 1_000_000, units: 1 },
        EpochUnit::Millis => Ratio { micros: 1_000, units: 1 },
        EpochUnit::Micros => Ratio { micros: 1, units: 1 },
        EpochUnit::Nanos => Ratio { micros: 1, units: 1_000 },
    };
    since_2000(ratio.micros_of(cell)?, UNIX)
}

/// Microseconds since 2000-01-01 of a julian day.
#[inline]
pub(super) fn julian(cell: Cell<'_>) -> Option<i64> {
    // SQLite itself counts julian days in milliseconds (lang_datefunc.html, "Internally, …"), of which a double holds
    // each: the one that reads back is what was meant, and what SQLite shows. A finer day is the microsecond it is.
    let in_millis = Ratio { micros: DAY / 1_000, units: 1 }.micros_of(cell).map(|millis| millis * 1_000);
    since_2000(in_millis.or_else(|| Ratio { micros: DAY, units: 1 }.micros_of(cell))?, JULIAN)
}

fn since_2000(micros: i128, origin: i128) -> Option<i64> {
    let micros = i64::try_from(micros - origin).ok()?;
    calendar::holds(micros).then_some(micros)
}

/// So many microseconds are so many units.
#[derive(Clone, Copy)]
struct Ratio {
    micros: i128,
    units: i128,
}

impl Ratio {
    /// The whole microseconds that the number stands for.
    fn micros_of(self, cell: Cell<'_>) -> Option<i128> {
        match cell {
            Cell::Integer(n) => {
                let micros = i128::from(n) * self.micros;
                (micros % self.units == 0).then(|| micros / self.units)
            }
            Cell::Real(x) => self.micros_of_real(x),
            _ => None,
        }
    }

    /// The microsecond that is nearest to the double, if the double is the one that is nearest to this microsecond.
    fn micros_of_real(self, x: f64) -> Option<i128> {
        let (mantissa, exponent) = parts(x)?;
        // The way back from zero is 0.0.
        if x.to_bits() == (-0.0_f64).to_bits() {
            return None;
        }
        // x = mantissa · 2^exponent; in microseconds it is top / bottom, and one step of the double is step / bottom.
        let (up, down) = (exponent.max(0), (-exponent).max(0));
        // Beyond these, x is further than year 9999 or closer to zero than any microsecond.
        if up > 16 || down > 100 {
            return (x == 0.0).then_some(0);
        }
        let top = (mantissa << up) * self.micros;
        let bottom = self.units << down;
        let step = self.micros << up;
        let nearest = rounded(top, bottom);
        // What is lost must be less than half a step; below a power of two the steps are half as wide.
        let lost = nearest * bottom - top;
        let is_power = mantissa.unsigned_abs() == 1 << 52;
        let room = if is_power && (lost < 0) == (top > 0) { step / 2 } else { step };
        let way_back = 2 * lost.abs() < room || (2 * lost.abs() == room && mantissa % 2 == 0);
        way_back.then_some(nearest)
    }
}

/// A finite double as an integer and a power of two.
fn parts(x: f64) -> Option<(i128, i32)> {
    if !x.is_finite() {
        return None;
    }
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32;
    let fraction = i128::from(bits & ((1 << 52) - 1));
    let mantissa = if exponent == 0 { fraction } else { fraction | 1 << 52 };
    let sign = if x < 0.0 { -1 } else { 1 };
    Some((sign * mantissa, exponent.max(1) - 1075))
}

/// The integer nearest to `top / bottom`, halves away from zero.
fn rounded(top: i128, bottom: i128) -> i128 {
    let size = (2 * top.abs() + bottom) / (2 * bottom);
    size * top.signum()
}
