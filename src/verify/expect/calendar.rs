//! Days of the Gregorian calendar, counted as PostgreSQL counts them: from 2000-01-01.

/// Days from 2000-01-01 to this day of the years 1 to 9999; `None` where the calendar has no such day.
#[inline]
pub(super) fn days(year: u32, month: u32, day: u32) -> Option<i32> {
    // Days before the month in a year that begins in March: leap days come last.
    const BEFORE: [u32; 12] = [306, 337, 0, 31, 61, 92, 122, 153, 184, 214, 245, 275];
    if year == 0 || year > 9999 || !(1..=12).contains(&month) || day == 0 || day > length(year, month) {
        return None;
    }
    let years = if month < 3 { year - 1 } else { year };
    let leap_days = years / 4 - years / 100 + years / 400;
    let days = years * 365 + leap_days + BEFORE[month as usize - 1] + day;
    // 2000-01-01 by the same count.
    Some(days as i32 - 730_426)
}

/// Whether a moment, in microseconds since 2000-01-01, lies in the years 1 to 9999 of UTC.
#[inline]
pub(super) fn holds(micros: i64) -> bool {
    (-63_082_281_600_000_000..252_455_616_000_000_000).contains(&micros)
}

#[inline]
fn length(year: u32, month: u32) -> u32 {
    const LENGTHS: [u32; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    LENGTHS[month as usize - 1] + u32::from(is_leap && month == 2)
}

#[cfg(test)]
mod tests {
    use super::days;
    use jiff::civil::Date;

    #[test]
    fn every_day_of_the_calendar_has_its_number() {
        let mut date = Date::constant(1, 1, 1);
        let mut expect = days(1, 1, 1).expect("the first day");
        while let Ok(next) = date.tomorrow() {
            (date, expect) = (next, expect + 1);
            assert_eq!(days(date.year() as u32, date.month() as u32, date.day() as u32), Some(expect), "{date}");
        }
        assert_eq!(date, Date::MAX);
        assert_eq!(days(2000, 1, 1), Some(0));
    }

    #[test]
    fn a_day_that_is_not_there_has_none() {
        for (year, month, day) in
            [(2023, 2, 29), (1900, 2, 29), (2024, 2, 30), (2024, 13, 1), (2024, 0, 1), (2024, 4, 31), (2024, 1, 0)]
        {
            assert_eq!(days(year, month, day), None, "{year}-{month}-{day}");
        }
        assert_eq!(days(0, 1, 1), None);
        assert_eq!(days(10_000, 1, 1), None);
    }
}
