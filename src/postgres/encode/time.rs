//! Dates and times, counted from 2000-01-01 (`date_recv` in `date.c`, `timestamp_recv` in `timestamp.c`).

use super::copy::fixed;

/// Appends a `date`: days since 2000-01-01.
#[inline]
pub fn date(days: i32, out: &mut Vec<u8>) {
    fixed::<4, 8>(days.to_be_bytes(), out);
}

/// Appends a `time`: microseconds since midnight.
#[inline]
pub fn time(micros: i64, out: &mut Vec<u8>) {
    fixed::<8, 12>(micros.to_be_bytes(), out);
}

/// Appends a `timestamp` (of the wall clock) or a `timestamptz` (of UTC): microseconds since
/// 2000-01-01T00:00. The two have the same form.
#[inline]
pub fn timestamp(micros: i64, out: &mut Vec<u8>) {
    fixed::<8, 12>(micros.to_be_bytes(), out);
}
