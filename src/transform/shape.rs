//! What a column of texts could become: asked cell by cell while the profile reads, by the parsers of the load.

use super::{boolean, decimal, json, text, time, uuid};
use crate::model::conversion::UuidSpelling;
use std::ops::{BitAnd, BitOr, Sub};

/// A set of conversions that took every text so far. Begin with [`Shapes::ALL`] and hand what is left to
/// [`shapes_of`] with each text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shapes(u32);

impl Shapes {
    /// No conversion.
    pub const NONE: Self = Self(0);
    /// UTF-8 without NUL: `Text` without a stand-in.
    pub const CLEAN: Self = Self(1);
    /// A boolean word.
    pub const BOOLEAN: Self = Self(1 << 1);
    /// A plain decimal that `numeric` has room for.
    pub const DECIMAL: Self = Self(1 << 2);
    /// A decimal that numeric prints as it is written: no plus, no leading zeros, no negative zero. A column of
    /// decimals that is not this holds texts like `007`, which may be codes rather than numbers.
    pub const DECIMAL_CANONICAL: Self = Self(1 << 3);
    /// `Date`.
    pub const DATE: Self = Self(1 << 4);
    /// `Time`.
    pub const TIME: Self = Self(1 << 5);
    /// A date and a time, with or without a zone.
    pub const MOMENT: Self = Self(1 << 6);
    /// A date and a time with a zone.
    pub const MOMENT_ZONED: Self = Self(1 << 7);
    /// A date and a time without a zone.
    pub const MOMENT_NAIVE: Self = Self(1 << 8);
    /// A moment or a bare date: `MomentForm::Text` with `dates`.
    pub const MOMENT_OR_DATE: Self = Self(1 << 9);
    /// JSON that `jsonb` takes, an object or an array.
    pub const JSONB_CONTAINER: Self = Self(1 << 10);
    /// JSON that `jsonb` takes, scalars too.
    pub const JSONB: Self = Self(1 << 11);
    /// JSON of any kind: `Json`. Without [`Shapes::JSONB`], jsonb refuses some of it.
    pub const JSON: Self = Self(1 << 12);
    /// `Uuid` in any of its spellings. Digits alone are lower and upper case at once.
    pub const UUIDS: Self = Self(0b11_1111 << UUID_SHIFT);
    /// Every conversion: what a column without a text could become.
    pub const ALL: Self = Self((1 << (UUID_SHIFT + 6)) - 1);

    const MOMENTS: Self =
        Self(Self::DATE.0 | Self::MOMENT.0 | Self::MOMENT_ZONED.0 | Self::MOMENT_NAIVE.0 | Self::MOMENT_OR_DATE.0);
    const DECIMALS: Self = Self(Self::DECIMAL.0 | Self::DECIMAL_CANONICAL.0);
    const JSONS: Self = Self(Self::JSON.0 | Self::JSONB.0 | Self::JSONB_CONTAINER.0);

    /// `Uuid` in this spelling.
    #[must_use]
    pub const fn uuid(spelling: UuidSpelling) -> Self {
        Self(1 << (UUID_SHIFT + spelling as u32))
    }

    /// The first uuid spelling in the set, in the order of [`UuidSpelling`].
    #[must_use]
    pub fn uuid_spelling(self) -> Option<UuidSpelling> {
        SPELLINGS.into_iter().find(|spelling| self.contains(Self::uuid(*spelling)))
    }

    /// Whether all of `other` is in the set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is in the set.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl BitOr for Shapes {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Shapes {
    type Output = Self;
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Sub for Shapes {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

const UUID_SHIFT: u32 = 13;
const SPELLINGS: [UuidSpelling; 6] = [
    UuidSpelling::Hyphens,
    UuidSpelling::HyphensUpper,
    UuidSpelling::Hex,
    UuidSpelling::HexUpper,
    UuidSpelling::Braces,
    UuidSpelling::BracesUpper,
];

/// What of `still` takes this text too. Looks only for what is in `still`, the first byte first.
#[must_use]
pub fn shapes_of(text: &[u8], still: Shapes) -> Shapes {
    let mut kept = Shapes::NONE;
    if still.contains(Shapes::CLEAN) && text::is_clean(text) {
        kept = kept | Shapes::CLEAN;
    }
    let first = text.first().copied().unwrap_or(b' ');
    if still.contains(Shapes::BOOLEAN) && text.len() <= 5 && boolean::parse(text).is_some() {
        kept = kept | Shapes::BOOLEAN;
    }
    if still.intersects(Shapes::DECIMALS) && matches!(first, b'0'..=b'9' | b'-' | b'+') {
        kept = kept | decimals_of(text);
    }
    if still.intersects(Shapes::MOMENTS) && first.is_ascii_digit() {
        kept = kept | moments_of(text);
    }
    if still.contains(Shapes::TIME) && first.is_ascii_digit() && time::parse_time(text).is_ok() {
        kept = kept | Shapes::TIME;
    }
    if still.intersects(Shapes::UUIDS) && matches!(text.len(), 32 | 36 | 38) {
        kept = kept | uuids_of(text, still);
    }
    if still.intersects(Shapes::JSONS) && may_be_json(first, still) {
        kept = kept | jsons_of(text);
    }
    kept & still
}

fn decimals_of(text: &[u8]) -> Shapes {
    match decimal::Decimal::parse(text) {
        Some(decimal) if !decimal.fits(decimal::Limit::new(None)) => Shapes::NONE,
        Some(decimal) if decimal.is_spelled_like(text) => Shapes::DECIMALS,
        Some(_) => Shapes::DECIMAL,
        None => Shapes::NONE,
    }
}

fn moments_of(text: &[u8]) -> Shapes {
    match time::parse_moment(text) {
        Ok(time::Written { time: None, .. }) => Shapes::DATE | Shapes::MOMENT_OR_DATE,
        Ok(time::Written { offset: None, .. }) => Shapes::MOMENT | Shapes::MOMENT_NAIVE | Shapes::MOMENT_OR_DATE,
        Ok(_) => Shapes::MOMENT | Shapes::MOMENT_ZONED | Shapes::MOMENT_OR_DATE,
        Err(_) => Shapes::NONE,
    }
}

fn uuids_of(text: &[u8], still: Shapes) -> Shapes {
    let takes =
        |spelling: &UuidSpelling| still.contains(Shapes::uuid(*spelling)) && uuid::parse(text, *spelling).is_some();
    SPELLINGS.into_iter().filter(takes).fold(Shapes::NONE, |kept, spelling| kept | Shapes::uuid(spelling))
}

// Once a scalar was seen, containers alone are no longer asked for, and the other way round.
fn may_be_json(first: u8, still: Shapes) -> bool {
    match first {
        b'{' | b'[' | b' ' | b'\t' | b'\n' | b'\r' => true,
        b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => still.intersects(Shapes::JSON | Shapes::JSONB),
        _ => false,
    }
}

fn jsons_of(text: &[u8]) -> Shapes {
    match json::read(text, &mut json::NoKeys) {
        Ok(found) if !found.is_jsonb => Shapes::JSON,
        Ok(found) if found.is_scalar => Shapes::JSON | Shapes::JSONB,
        Ok(_) => Shapes::JSONS,
        Err(_) => Shapes::NONE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::cell::Cell;
    use crate::model::conversion::{Conversion, Fit, MomentForm, Naive};
    use crate::transform::Compiled;

    const TEXTS: [&[u8]; 36] = [
        b"",
        b" ",
        b"t",
        b"yes",
        b"off",
        b"0",
        b"1",
        b"-0",
        b"007",
        b"+5",
        b"1.10",
        b"-12.5",
        b"1e5",
        b"12:30",
        b"23:59:59.999999",
        b"24:00",
        b"2024-02-29",
        b"2023-02-29",
        b"2024-01-01T10:00",
        b"2024-01-01 10:00:00Z",
        b"2024-01-01T10:00:00.1234567Z",
        b"2024-01-01T10:00+02:00",
        b"{}",
        b" [1]",
        b"\"a\"",
        b"null",
        b"[\"\\u0000\"]",
        b"[1",
        b"018f4e2a-9b7c-7def-8123-456789abcdef",
        b"018F4E2A-9B7C-7DEF-8123-456789ABCDEF",
        b"018f4e2a9b7c7def8123456789abcdef",
        b"01234567890123456789012345678901",
        b"{018f4e2a-9b7c-7def-8123-456789abcdef}",
        b"a\0b",
        b"\xff",
        "é".as_bytes(),
    ];

    fn conversions() -> Vec<(Shapes, Conversion)> {
        let moment = |dates, naive, target_has_zone| Conversion::Moment {
            form: MomentForm::Text { dates },
            naive,
            target_has_zone,
        };
        let mut all = vec![
            (Shapes::BOOLEAN, Conversion::Bool),
            (Shapes::DECIMAL, Conversion::Numeric { limit: None, text: true }),
            (Shapes::DATE, Conversion::Date),
            (Shapes::TIME, Conversion::Time),
            (Shapes::MOMENT, moment(false, Naive::Utc, true)),
            (Shapes::MOMENT_ZONED, moment(false, Naive::Refuse, true)),
            (Shapes::MOMENT_NAIVE, moment(false, Naive::Refuse, false)),
            (Shapes::MOMENT_OR_DATE, moment(true, Naive::Utc, true)),
            (Shapes::JSONB_CONTAINER, Conversion::Jsonb { scalars: false }),
            (Shapes::JSONB, Conversion::Jsonb { scalars: true }),
            (Shapes::JSON, Conversion::Json),
        ];
        all.extend(SPELLINGS.map(|spelling| (Shapes::uuid(spelling), Conversion::Uuid(spelling))));
        all
    }

    #[test]
    fn a_shape_promises_exactly_what_its_conversion_takes() {
        for text in TEXTS {
            let shapes = shapes_of(text, Shapes::ALL);
            for (shape, conversion) in conversions() {
                let fit = Compiled::new(&conversion).expect("sound").write(Cell::Text(text), &mut Vec::new());
                assert_eq!(shapes.contains(shape), fit.is_ok(), "{conversion:?} {:?}", text.escape_ascii().to_string());
                assert_eq!(shapes_of(text, shape).is_empty(), fit.is_err());
            }
            let any = Conversion::Text { numbers: false, chars_max: None };
            let fit = Compiled::new(&any).expect("sound").write(Cell::Text(text), &mut Vec::new());
            assert_eq!(shapes.contains(Shapes::CLEAN), fit == Ok(Fit::Exact));
        }
    }

    #[test]
    fn the_set_only_shrinks() {
        for text in TEXTS {
            for still in [Shapes::NONE, Shapes::CLEAN, Shapes::JSONS, Shapes::UUIDS, Shapes::MOMENTS, Shapes::ALL] {
                assert!(still.contains(shapes_of(text, still)));
                assert_eq!(shapes_of(text, still), shapes_of(text, Shapes::ALL) & still);
            }
        }
    }

    #[test]
    fn codes_with_leading_zeros_are_told_from_numbers() {
        assert_eq!(shapes_of(b"007", Shapes::DECIMALS), Shapes::DECIMAL);
        assert_eq!(shapes_of(b"7.0", Shapes::DECIMALS), Shapes::DECIMALS);
        let spelling = shapes_of(b"018F4E2A-9B7C-7DEF-8123-456789ABCDEF", Shapes::ALL).uuid_spelling();
        assert_eq!(spelling, Some(UuidSpelling::HyphensUpper));
    }
}
