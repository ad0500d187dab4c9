//! Numbers of JSON, as PostgreSQL's `numeric` prints them: no exponent, every decimal kept.

use super::{Document, Kept, string};
use crate::model::bounds::{NUMERIC_FRACTION_DIGITS_MAX, NUMERIC_INTEGER_DIGITS_MAX};

/// The exponent from which on numeric refuses even a zero (numeric.c: half the largest 32-bit integer).
const EXPONENT_END: i64 = 1_073_741_823;

impl<'a> Document<'a, '_> {
    /// Prints the number that begins here.
    pub(super) fn number(&mut self) -> Option<()> {
        let start = self.at;
        let negative = self.text[self.at] == b'-';
        self.at += usize::from(negative);
        let integer = self.digits()?;
        if integer.len() > 1 && integer[0] == b'0' {
            return None;
        }
        let mut fraction = &b""[..];
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            fraction = self.digits()?;
        }
        let is_plain = !negative && !matches!(self.text.get(self.at), Some(b'e' | b'E'));
        let exponent = self.exponent()?;
        let token = &self.text[start..self.at];
        if self.kept == Kept::Text {
            return Some(());
        }
        let fits = integer.len() <= NUMERIC_INTEGER_DIGITS_MAX && fraction.len() <= NUMERIC_FRACTION_DIGITS_MAX;
        if fits && is_plain {
            string::append(&self.text[start..], token.len(), &mut self.printer.out);
            return Some(());
        }
        Decimal { negative, integer, fraction, exponent }.print(&mut self.printer.out)
    }

    /// One digit or more.
    fn digits(&mut self) -> Option<&'a [u8]> {
        let rest = &self.text[self.at..];
        let count = rest.iter().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
        self.at += count;
        (count > 0).then(|| &rest[..count])
    }

    /// The power of ten, zero where none is written; one beyond all bounds is `EXPONENT_END`.
    fn exponent(&mut self) -> Option<i64> {
        if !matches!(self.text.get(self.at), Some(b'e' | b'E')) {
            return Some(0);
        }
        self.at += 1;
        let sign = self.text.get(self.at).filter(|sign| matches!(sign, b'+' | b'-'));
        self.at += usize::from(sign.is_some());
        let size = self.digits()?.iter().fold(0, |n, d| (n * 10 + i64::from(d - b'0')).min(EXPONENT_END));
        Some(if sign == Some(&b'-') { -size } else { size })
    }
}

/// `±integer.fraction` times ten to the `exponent`.
struct Decimal<'a> {
    negative: bool,
    integer: &'a [u8],
    fraction: &'a [u8],
    exponent: i64,
}

impl Decimal<'_> {
    /// Prints it with the decimals that are written, more by a negative exponent, fewer by a positive one.
    fn print(&self, out: &mut Vec<u8>) -> Option<()> {
        let digits = || self.integer.iter().chain(self.fraction).copied();
        let count = (self.integer.len() + self.fraction.len()) as i64;
        // Where the point stands among the digits, and how many decimals follow it.
        let point = self.integer.len() as i64 + self.exponent;
        let scale = (self.fraction.len() as i64 - self.exponent).max(0);
        let zeros = digits().take_while(|d| *d == b'0').count() as i64;
        let is_zero = zeros == count;
        let is_too_large = !is_zero && point - zeros > NUMERIC_INTEGER_DIGITS_MAX as i64;
        if self.exponent.abs() >= EXPONENT_END || scale > NUMERIC_FRACTION_DIGITS_MAX as i64 || is_too_large {
            return None;
        }
        if self.negative && !is_zero {
            out.push(b'-');
        }
        if is_zero || point <= zeros {
            out.push(b'0');
        } else {
            out.extend(digits().take(point as usize).skip(zeros as usize));
            push_zeros(point - count, out);
        }
        if scale > 0 {
            out.push(b'.');
            push_zeros(-point, out);
            out.extend(digits().skip(point.max(0) as usize));
        }
        Some(())
    }
}

fn push_zeros(count: i64, out: &mut Vec<u8>) {
    out.resize(out.len() + count.max(0) as usize, b'0');
}
