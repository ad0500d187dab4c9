//! `numeric`: digits to the base 10 000, the weight of the first, a sign, and how many decimals are shown
//! (`numeric_recv` in `numeric.c`; the limits stand on
//! <https://www.postgresql.org/docs/15/datatype-numeric.html>).

use super::copy::{begin, end};

const BASE: u64 = 10_000;
const POSITIVE: u16 = 0x0000;
const NEGATIVE: u16 = 0x4000;
const HEADER_BYTES: usize = 8;

/// Appends the number `integer.fraction`, both ASCII digits, either possibly empty. As many decimals are shown
/// as `fraction` has digits. Zero has no sign.
///
/// The integer digits without leading zeros must be at most 131 072, the fraction's at most 16 383.
pub fn numeric(negative: bool, integer: &[u8], fraction: &[u8], out: &mut Vec<u8>) {
    let from = begin(out);
    out.extend_from_slice(&[0; HEADER_BYTES]);
    let mut weight = append_integer(integer, out);
    let mut kept = out.len();
    for group in fraction.chunks(4) {
        let digit = group_value(group) * [0, 1000, 100, 10, 1][group.len()];
        // Leading zero groups are not stored: the weight stands for them.
        if digit == 0 && out.len() == from + HEADER_BYTES {
            weight -= 1;
            continue;
        }
        out.extend_from_slice(&digit.to_be_bytes());
        if digit != 0 {
            kept = out.len();
        }
    }
    while kept > from + HEADER_BYTES && out[kept - 2..kept] == [0, 0] {
        kept -= 2;
    }
    out.truncate(kept);
    finish(from, negative, weight, fraction.len() as u16, out);
}

/// Appends an integer as a `numeric` without decimals.
#[inline]
pub fn numeric_integer(value: i64, out: &mut Vec<u8>) {
    let from = begin(out);
    out.extend_from_slice(&[0; HEADER_BYTES]);
    let (mut groups, mut count) = ([0_u16; 5], 0);
    let mut rest = value.unsigned_abs();
    while rest > 0 {
        groups[count] = (rest % BASE) as u16;
        rest /= BASE;
        count += 1;
    }
    let trailing = groups[..count].iter().take_while(|g| **g == 0).count();
    for group in groups[trailing..count].iter().rev() {
        out.extend_from_slice(&group.to_be_bytes());
    }
    finish(from, value < 0, count as i32 - 1, 0, out);
}

// Writes the integer's groups and returns the weight of the first: −1 where there is none.
fn append_integer(integer: &[u8], out: &mut Vec<u8>) -> i32 {
    let zeros = integer.iter().take_while(|b| **b == b'0').count();
    let integer = &integer[zeros..];
    let (first, rest) = integer.split_at(integer.len() % 4);
    if !first.is_empty() {
        out.extend_from_slice(&group_value(first).to_be_bytes());
    }
    for group in rest.chunks_exact(4) {
        out.extend_from_slice(&group_value(group).to_be_bytes());
    }
    integer.len().div_ceil(4) as i32 - 1
}

#[inline]
fn group_value(digits: &[u8]) -> u16 {
    digits.iter().fold(0, |value, b| value * 10 + u16::from(b.wrapping_sub(b'0') % 10))
}

fn finish(from: usize, negative: bool, weight: i32, shown: u16, out: &mut [u8]) {
    let groups = ((out.len() - from - HEADER_BYTES) / 2) as u16;
    let (weight, sign) = match (groups, negative) {
        (0, _) => (0, POSITIVE),
        (_, false) => (weight as i16, POSITIVE),
        (_, true) => (weight as i16, NEGATIVE),
    };
    out[from..from + 2].copy_from_slice(&groups.to_be_bytes());
    out[from + 2..from + 4].copy_from_slice(&weight.to_be_bytes());
    out[from + 4..from + 6].copy_from_slice(&sign.to_be_bytes());
    out[from + 6..from + 8].copy_from_slice(&shown.to_be_bytes());
    end(from, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(bytes: &[u8]) -> Vec<u16> {
        bytes[4..].chunks_exact(2).map(|b| u16::from_be_bytes([b[0], b[1]])).collect()
    }

    #[track_caller]
    fn check(text: &str, expect: &[u16]) {
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (integer, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let mut out = Vec::new();
        numeric(negative, integer.as_bytes(), fraction.as_bytes(), &mut out);
        assert_eq!(words(&out), expect, "{text}");
    }

    #[test]
    fn decimals_become_groups_of_four_around_the_point() {
        let minus_one = (-1_i16) as u16;
        let minus_two = (-2_i16) as u16;
        check("0", &[0, 0, 0, 0]);
        check("-0.00", &[0, 0, 0, 2]);
        check("1.10", &[2, 0, 0, 2, 1, 1000]);
        check("-12345.678", &[3, 1, 0x4000, 3, 1, 2345, 6780]);
        check("100000000", &[1, 2, 0, 0, 1]);
        check("000100.000", &[1, 0, 0, 3, 100]);
        check("0.0001", &[1, minus_one, 0, 4, 1]);
        check("0.00001000", &[1, minus_two, 0, 8, 1000]);
        check("10000.0001", &[3, 1, 0, 4, 1, 0, 1]);
    }

    #[test]
    fn integers_take_the_short_way_to_the_same_bytes() {
        for value in [0, 1, -1, 9999, 10_000, -100_000_000, 123_456_789, i64::MAX, i64::MIN] {
            let (mut short, mut long) = (Vec::new(), Vec::new());
            numeric_integer(value, &mut short);
            numeric(value < 0, value.unsigned_abs().to_string().as_bytes(), b"", &mut long);
            assert_eq!(short, long, "{value}");
        }
    }
}
