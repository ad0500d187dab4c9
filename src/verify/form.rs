//! The canonical form of a row, and its digest: what docs/verify.md specifies, version 1.
//!
//! Owns the bytes that both sides must agree in. Knows neither where a value came from nor how it was decoded:
//! that is done twice, apart, in `expect` for the source and in `found` for the target.

use crate::model::digest::RowDigest;

/// The version of the form. Digests of two versions are never compared.
pub const VERSION: u8 = 1;

/// BLAKE3's block. Forms are filled up to whole ones, so that many can be hashed at once.
pub const BLOCK_BYTES: usize = blake3::BLOCK_LEN;

/// A payload longer than this stands as its length and its own BLAKE3, so that a row's form is short whatever
/// its cells are.
const PAYLOAD_BYTES_MAX: usize = 1024;

// One tag a logical type, so that values of two types never agree. The width of an integer, the limit of a
// numeric and the name of a text type are the target's business, not the value's.
const NULL: u8 = 0;
const BOOL: u8 = 1;
const INT: u8 = 2;
const FLOAT: u8 = 3;
const NUMERIC: u8 = 4;
const TEXT: u8 = 5;
const BYTES: u8 = 6;
const UUID: u8 = 7;
const DATE: u8 = 8;
const TIME: u8 = 9;
const TIMESTAMP: u8 = 10;
const TIMESTAMP_TZ: u8 = 11;
const JSON: u8 = 12;
const JSONB: u8 = 13;
const LIST: u8 = 14;
// Joined to the tag where the payload stands as its hash.
const HASHED: u8 = 0x40;
// A source cell that the target's type has no value for. No target cell has this tag, so that it never agrees.
const NO_VALUE: u8 = 0xff;

/// What a numeric is, once its spelling is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Number<'a> {
    /// `0.` followed by `digits`, times ten to the `exponent`; zero has no digits, exponent 0 and no sign.
    Finite {
        /// Below zero.
        negative: bool,
        /// ASCII digits; the first and the last are not `0`.
        digits: &'a [u8],
        /// The power of ten.
        exponent: i32,
    },
    /// Not a number.
    NaN,
    /// Infinity.
    Infinite {
        /// Below zero.
        negative: bool,
    },
}

/// A row in the making: its cells in the plan's order.
#[derive(Debug, Clone, Default)]
pub struct Form {
    bytes: Vec<u8>,
}

impl Form {
    /// Empties the form for the next row.
    #[inline]
    pub fn clear(&mut self) {
        self.bytes.clear();
    }

    /// The form so far: cell after cell.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives the form, filled up with zeros to this length, in exchange for other memory. Empty afterwards.
    #[inline]
    pub(super) fn give_to(&mut self, other: &mut Vec<u8>, bytes: usize) {
        self.bytes.resize(bytes, 0);
        std::mem::swap(&mut self.bytes, other);
        self.bytes.clear();
    }

    /// Puts cells behind those that are there.
    pub(super) fn append(&mut self, cells: &[u8]) {
        self.bytes.extend_from_slice(cells);
    }

    /// The digest of the row: BLAKE3 of the form, filled up with zeros to whole blocks, at least one. The number of
    /// columns is the table's, so that zeros at the end cannot be taken for NULLs.
    #[must_use]
    pub fn digest(&self) -> RowDigest {
        let padding = self.bytes.len().max(1).next_multiple_of(BLOCK_BYTES) - self.bytes.len();
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.bytes).update(&[0; BLOCK_BYTES][..padding]);
        RowDigest(*hasher.finalize().as_bytes())
    }

    /// No value.
    #[inline]
    pub fn null(&mut self) {
        self.bytes.push(NULL);
    }

    /// The source's cell means nothing in the target's type.
    #[cold]
    pub fn no_value(&mut self) {
        self.bytes.push(NO_VALUE);
    }

    /// True or false.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.bytes.extend_from_slice(&[BOOL, u8::from(value)]);
    }

    /// An integer of any width.
    #[inline]
    pub fn int(&mut self, value: i64) {
        self.fixed(INT, value.to_be_bytes());
    }

    /// A float of any width, by its bits: −0 is not 0. Every NaN is one.
    #[inline]
    pub fn float(&mut self, value: f64) {
        let value = if value.is_nan() { f64::NAN } else { value };
        self.fixed(FLOAT, value.to_bits().to_be_bytes());
    }

    /// A decimal, by its value: 1.10 is 1.1.
    #[inline]
    pub fn numeric(&mut self, value: Number<'_>) {
        let (class, digits, exponent) = match value {
            Number::Finite { negative, digits, exponent } => (u8::from(negative), digits, exponent),
            Number::NaN => (2, &b""[..], 0),
            Number::Infinite { negative } => (3 + u8::from(negative), &b""[..], 0),
        };
        self.bytes.extend_from_slice(&[NUMERIC, class]);
        self.bytes.extend_from_slice(&exponent.to_be_bytes());
        self.sized(0, digits);
    }

    /// Text: UTF-8, neither trimmed nor folded.
    #[inline]
    pub fn text(&mut self, value: &[u8]) {
        self.sized(TEXT, value);
    }

    /// Bytes.
    #[inline]
    pub fn blob(&mut self, value: &[u8]) {
        self.sized(BYTES, value);
    }

    /// A uuid.
    #[inline]
    pub fn uuid(&mut self, value: [u8; 16]) {
        self.fixed(UUID, value);
    }

    /// Days since 2000-01-01; the smallest and the largest number are −infinity and infinity.
    #[inline]
    pub fn date(&mut self, days: i32) {
        self.fixed(DATE, days.to_be_bytes());
    }

    /// Microseconds since midnight.
    #[inline]
    pub fn time(&mut self, micros: i64) {
        self.fixed(TIME, micros.to_be_bytes());
    }

    /// A wall clock: microseconds since 2000-01-01 00:00; the smallest and the largest number are the infinities.
    #[inline]
    pub fn timestamp(&mut self, micros: i64) {
        self.fixed(TIMESTAMP, micros.to_be_bytes());
    }

    /// An instant: microseconds since 2000-01-01 00:00 UTC; the smallest and the largest number are the infinities.
    #[inline]
    pub fn timestamp_tz(&mut self, micros: i64) {
        self.fixed(TIMESTAMP_TZ, micros.to_be_bytes());
    }

    /// `json`: the text to the byte.
    #[inline]
    pub fn json(&mut self, text: &[u8]) {
        self.sized(JSON, text);
    }

    /// `jsonb`: the text that PostgreSQL prints for the value.
    #[inline]
    pub fn jsonb(&mut self, printed: &[u8]) {
        self.sized(JSONB, printed);
    }

    /// An array of one dimension: its elements, each as a cell.
    pub fn list(&mut self, elements: &Self) {
        self.sized(LIST, &elements.bytes);
    }

    #[inline]
    fn fixed<const N: usize>(&mut self, tag: u8, payload: [u8; N]) {
        self.bytes.push(tag);
        self.bytes.extend_from_slice(&payload);
    }

    #[inline]
    fn sized(&mut self, tag: u8, payload: &[u8]) {
        let hashed = payload.len() > PAYLOAD_BYTES_MAX;
        self.bytes.push(if hashed { tag | HASHED } else { tag });
        self.bytes.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        if hashed {
            self.bytes.extend_from_slice(blake3::hash(payload).as_bytes());
        } else {
            self.bytes.extend_from_slice(payload);
        }
    }
}

/// Cuts a form into its cells, each with its tag.
pub fn cells(mut form: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (cell, rest) = form.split_at(cell_length(form)?);
        form = rest;
        Some(cell)
    })
}

// None at the end of the form.
fn cell_length(form: &[u8]) -> Option<usize> {
    let sized = |at: usize, hashed: bool| {
        let length = u64::from_be_bytes(form[at..at + 8].try_into().expect("eight bytes")) as usize;
        at + 8 + if hashed { blake3::OUT_LEN } else { length }
    };
    let tag = *form.first()?;
    Some(match tag & !HASHED {
        _ if tag == NO_VALUE => 1,
        NULL => 1,
        BOOL => 2,
        DATE => 5,
        UUID => 17,
        // A class and an exponent, then the digits with a tag of their own.
        NUMERIC => sized(7, form[6] & HASHED != 0),
        TEXT | BYTES | JSON | JSONB | LIST => sized(1, tag & HASHED != 0),
        _ => 9,
    })
}

/// A cell of a form, read back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// No value.
    Null,
    /// The source's cell means nothing in the target's type.
    NoValue,
    /// True or false.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A decimal.
    Numeric(Number<'a>),
    /// Text, `json` and `jsonb`.
    Text(&'a [u8]),
    /// Bytes.
    Bytes(&'a [u8]),
    /// The cells of an array.
    List(&'a [u8]),
    /// A uuid.
    Uuid([u8; 16]),
    /// Days since 2000-01-01.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 2000-01-01 00:00, of a wall clock or in UTC.
    Timestamp(i64),
    /// A payload that stands as its hash.
    Hashed {
        /// Its length.
        bytes: u64,
        /// Its BLAKE3.
        hash: [u8; 32],
    },
}

/// Reads a cell that [`cells`] cut.
#[must_use]
pub fn value(cell: &[u8]) -> Value<'_> {
    let number = |at: usize| i64::from_be_bytes(cell[at..at + 8].try_into().expect("eight bytes"));
    let hashed = |at: usize| Value::Hashed {
        bytes: number(at) as u64,
        hash: cell[at + 8..].try_into().expect("a hash is 32 bytes"),
    };
    match cell[0] {
        NULL => Value::Null,
        BOOL => Value::Bool(cell[1] != 0),
        INT => Value::Int(number(1)),
        FLOAT => Value::Float(f64::from_bits(number(1) as u64)),
        NUMERIC if cell[6] & HASHED != 0 => hashed(7),
        NUMERIC => Value::Numeric(match cell[1] {
            class @ (0 | 1) => Number::Finite {
                negative: class == 1,
                digits: &cell[15..],
                exponent: i32::from_be_bytes(cell[2..6].try_into().expect("four bytes")),
            },
            2 => Number::NaN,
            class => Number::Infinite { negative: class == 4 },
        }),
        TEXT | JSON | JSONB => Value::Text(&cell[9..]),
        BYTES => Value::Bytes(&cell[9..]),
        LIST => Value::List(&cell[9..]),
        UUID => Value::Uuid(cell[1..].try_into().expect("a uuid is 16 bytes")),
        DATE => Value::Date(i32::from_be_bytes(cell[1..].try_into().expect("four bytes"))),
        TIME => Value::Time(number(1)),
        TIMESTAMP | TIMESTAMP_TZ => Value::Timestamp(number(1)),
        NO_VALUE => Value::NoValue,
        _ => hashed(1),
    }
}
