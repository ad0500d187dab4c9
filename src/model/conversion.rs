//! What becomes of a column's cells: the rule that `transform` carries out, printable and storable.

use super::pg_type::{Element, PgType};
use serde::{Deserialize, Serialize};
use std::fmt;
use uuid::Uuid;

/// The rule by which a column's cells become fields of a binary COPY. Chosen once per column.
///
/// Every rule takes NULL as NULL. Any other cell that the rule does not name is a [`Misfit`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Conversion {
    /// INTEGER 0 and 1, and the words `t f true false y n yes no on off 0 1` in any case.
    Bool,
    /// INTEGER within the width (2, 4 or 8 bytes). A REAL is a misfit, even a whole one.
    Int {
        /// Width of the target in bytes: 2, 4 or 8.
        bytes: u8,
    },
    /// INTEGER, a whole REAL, and TEXT of digits: `[+-]ddd`, all within the width. Only where the type is a rule.
    Whole {
        /// Width of the target in bytes: 2, 4 or 8.
        bytes: u8,
    },
    /// REAL as it is; INTEGER when a double holds it exactly.
    Float8,
    /// REAL or INTEGER when a single-precision float holds it exactly.
    Float4,
    /// INTEGER exactly; REAL by its shortest decimal that reads back as the same double; TEXT when it is
    /// a plain decimal: `[+-]ddd` or `[+-]ddd.ddd`. ±Infinity is a misfit.
    Numeric {
        /// Largest number of digits in all and after the point; a value with more is a misfit, never rounded.
        /// Zeros that a TEXT ends with after the point count: they would not all be kept.
        limit: Option<(u16, u16)>,
        /// Whether TEXT decimals are taken.
        text: bool,
    },
    /// TEXT as it is. NUL and invalid UTF-8 get U+FFFD and [`Fit::StandIn`].
    Text {
        /// Whether INTEGER and REAL are written out: decimal, and the shortest form that reads back the same, never
        /// without a point or an exponent: `100.0`, `0.00001`, `1e-6`, `1e+16`, `-0.0`, `Infinity`.
        numbers: bool,
        /// Largest length in characters, for `varchar(n)` and `char(n)`.
        chars_max: Option<u32>,
    },
    /// BLOB as it is.
    Bytea {
        /// Whether TEXT is taken as its bytes, and numbers as the bytes of their text.
        all_classes: bool,
    },
    /// TEXT in exactly this spelling.
    Uuid(UuidSpelling),
    /// TEXT that is a uuid as PostgreSQL prints it; any other clean TEXT, and INTEGER as its decimal, as a uuid that is made of
    /// it within a namespace. So two texts are never one id, and one text is the same id in every column of the map.
    Id {
        /// The map that keeps which text became which uuid.
        map: String,
        /// The map's namespace: the pipeline's for version 5, one that the run drew for the others.
        namespace: Uuid,
        /// The version.
        #[serde(default)]
        version: IdVersion,
    },
    /// TEXT that is one of an enum's labels, letter for letter.
    Label {
        /// The labels.
        labels: Vec<String>,
    },
    /// TEXT holding a JSON list of such values and nulls, or the array as PostgreSQL spells it, `{a,b}`; or, where a separator
    /// is stated, values between separators: an empty TEXT has none.
    Array {
        /// What the values are.
        element: Element,
        /// The separator.
        split: Option<String>,
    },
    /// TEXT holding JSON that `jsonb` can hold.
    Jsonb {
        /// Whether a top-level scalar is taken; otherwise only objects and arrays.
        scalars: bool,
    },
    /// TEXT holding JSON, kept to the byte.
    Json,
    /// TEXT as it is, which PostgreSQL itself casts to the column's type; what it does not cast whole is a misfit.
    Cast {
        /// Whether INTEGER and REAL are written out, as by [`Conversion::Text`].
        numbers: bool,
        /// What stands between values, where the type is an array and the text its values alone: an empty TEXT has none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        split: Option<String>,
        /// The zone that times in it are of which name none: UTC, unless stated.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        zone: Option<String>,
    },
    /// ISO 8601 `YYYY-MM-DD`, years 0001–9999.
    Date,
    /// `HH:MM`, `HH:MM:SS` or `HH:MM:SS.ffffff`, below 24:00.
    Time,
    /// A moment; written to `timestamptz`, or to `timestamp` when the plan says so.
    Moment {
        /// How the cell states the moment.
        form: MomentForm,
        /// What a text without a zone means.
        naive: Naive,
        /// Whether the target is `timestamptz` (the instant) or `timestamp`: the wall clock as written, and that of UTC
        /// for a number. A text with an offset is taken as UTC's wall clock where `naive` is [`Naive::Utc`], and is a
        /// misfit otherwise.
        target_has_zone: bool,
        /// In a key, the one spelling that all texts share, each digit as `0`: two spellings of one moment are two
        /// keys in SQLite and would be one here. Empty until a profile has seen the first text.
        spelled: Option<String>,
        /// Decimals of a second that the target keeps, for `timestamp(p)` of tables that are there: a finer moment is a
        /// misfit, never rounded.
        #[serde(default = "microseconds")]
        digits: u8,
    },
}

/// Decimals of a second in PostgreSQL's times, where their type states no other number.
#[must_use]
pub const fn microseconds() -> u8 {
    6
}

/// How an id that is no uuid becomes one (RFC 9562).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IdVersion {
    /// SHA-1 of the namespace's bytes and the id's: the same in every run.
    #[default]
    V5,
    /// The first 122 bits of HMAC-SHA-256 of the id's bytes, under the bytes of the namespace as its key. To whoever does not
    /// know that, they are random; to the run that drew it, one id is one uuid, whatever happens in between.
    V4,
    /// A time, and 74 bits of the same.
    V7 {
        /// The time, in milliseconds since 1970.
        millis: u64,
    },
}

impl IdVersion {
    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::V4 => 4,
            Self::V5 => 5,
            Self::V7 { .. } => 7,
        }
    }
}

/// The one spelling that all uuids of a column share, so that the way back is exact; or, under a stated type, any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UuidSpelling {
    /// `018f…-….` in lower case: what PostgreSQL prints.
    Hyphens,
    /// The same in upper case.
    HyphensUpper,
    /// 32 hex digits, lower case.
    Hex,
    /// 32 hex digits, upper case.
    HexUpper,
    /// `{…}` around lower case with hyphens.
    Braces,
    /// `{…}` around upper case with hyphens.
    BracesUpper,
    /// Each of these, and any mixture of cases: where the type is a rule, a uuid is one however it is spelled.
    Any,
}

/// How a cell states a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MomentForm {
    /// ISO 8601 text: date, `T` or a space, `HH:MM[:SS[.f{1,6}]]`, optionally `Z`, `±HH`, `±HHMM` or `±HH:MM` up to
    /// 15:59. Further decimals must be zeros. The instant lies in the years 0001–9999 of UTC.
    Text {
        /// Whether a bare `YYYY-MM-DD` is taken as its midnight.
        dates: bool,
    },
    /// A number counted from 1970-01-01T00:00Z in this unit. INTEGER; REAL too where the way back from the nearest
    /// microsecond is exact.
    Epoch(EpochUnit),
    /// REAL or INTEGER days since noon, 24 November 4714 BC, where the way back is exact: from the nearest
    /// millisecond, in which SQLite counts them, or else from the nearest microsecond.
    JulianDay,
}

/// The unit of an epoch number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EpochUnit {
    /// seconds
    Seconds,
    /// milliseconds
    Millis,
    /// microseconds
    Micros,
    /// nanoseconds; only whole microseconds fit
    Nanos,
}

/// What a time without a zone means.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Naive {
    /// It is UTC.
    Utc,
    /// It is the wall clock of this IANA zone. A time in a gap or a fold is a misfit.
    Zone(String),
    /// A misfit: every value must carry its zone.
    Refuse,
}

/// How well a cell went in. Everything but `Exact` is counted by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fit {
    /// The target holds the same value, and its text form is the source's.
    Exact,
    /// The same value in another spelling, by a rule that the ledger names.
    Rewritten(Rewrite),
    /// The target holds a stand-in; the caller must keep the original cell.
    StandIn,
}

/// A rule that changes a value's spelling, or drops what the target type has no room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rewrite {
    /// JSON text into jsonb: white space and key order are not kept.
    JsonNormalised,
    /// JSON with a key twice in one object: jsonb keeps the last.
    JsonDuplicateKeys,
    /// A uuid in another spelling than PostgreSQL's own.
    UuidSpelling,
    /// A boolean written as a word.
    BooleanWord,
    /// A moment whose zone offset is not kept, only the instant.
    OffsetDropped,
    /// A moment without a zone, taken as the plan's zone.
    ZoneAssumed,
    /// A date taken as its midnight.
    DateAsMidnight,
    /// An epoch number or julian day written as a time.
    NumberAsTime,
    /// A REAL written as the shortest decimal that reads back the same.
    RealAsDecimal,
    /// A decimal text with a plus, leading zeros or other decimals than numeric prints.
    DecimalSpelling,
    /// A number written as text.
    NumberAsText,
    /// A text or number kept as bytes.
    TextAsBytes,
    /// −0.0 where the target knows no negative zero.
    NegativeZero,
    /// An id that was no uuid.
    IdMapped,
    /// A list in text, written as an array.
    ListAsArray,
}

/// Every rule, in the order of [`Rewrite`]'s declaration.
pub const REWRITES: [Rewrite; 15] = [
    Rewrite::JsonNormalised,
    Rewrite::JsonDuplicateKeys,
    Rewrite::UuidSpelling,
    Rewrite::BooleanWord,
    Rewrite::OffsetDropped,
    Rewrite::ZoneAssumed,
    Rewrite::DateAsMidnight,
    Rewrite::NumberAsTime,
    Rewrite::RealAsDecimal,
    Rewrite::DecimalSpelling,
    Rewrite::NumberAsText,
    Rewrite::TextAsBytes,
    Rewrite::NegativeZero,
    Rewrite::IdMapped,
    Rewrite::ListAsArray,
];

/// Why a cell does not fit its column's rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misfit {
    /// The storage class is not one that the rule takes.
    Class,
    /// An integer outside the target's width.
    OutOfRange,
    /// A number that the target cannot hold exactly.
    Inexact,
    /// Infinity where the target has none.
    Infinite,
    /// More digits than numeric(p,s) has room for.
    TooManyDigits,
    /// Neither true nor false.
    NotBoolean,
    /// Not a decimal number.
    NotNumber,
    /// Not a uuid in the column's spelling.
    NotUuid,
    /// Not JSON.
    NotJson,
    /// JSON, but neither object nor array.
    JsonScalar,
    /// JSON that jsonb refuses: `\u0000`, lone surrogates, numbers or nesting beyond its limits.
    JsonNotJsonb,
    /// Not a date, time or moment in a form the rule takes, or no day of the calendar.
    NotTime,
    /// A time of a key that is spelled otherwise than the rest.
    OtherSpelling,
    /// Finer than a microsecond, or than the decimals that the type keeps.
    TooFine,
    /// A moment without a zone where none may be assumed, or one in a gap or fold of its zone.
    NoZone,
    /// Longer than varchar(n).
    TooLong,
    /// Not one of the enum's labels.
    NotLabel,
    /// Not a list of the array's values.
    NotList,
    /// An id that is text with NUL or invalid UTF-8.
    NotId,
    /// PostgreSQL does not cast it to the column's type, or would lose a part of it.
    NotCast,
    /// NULL in a column that the target declares NOT NULL.
    NullInNotNull,
}

impl Misfit {
    /// A phrase for messages: "3 rows hold …".
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::Class => "another storage class",
            Self::OutOfRange => "an integer beyond the width",
            Self::Inexact => "a number that the type cannot hold exactly",
            Self::Infinite => "an infinite number",
            Self::TooManyDigits => "more digits than the type has room for",
            Self::NotBoolean => "a value that is neither true nor false",
            Self::NotNumber => "text that is no number",
            Self::NotUuid => "text that is no uuid in the column's spelling",
            Self::NotJson => "text that is no JSON",
            Self::JsonScalar => "JSON that is neither object nor array",
            Self::JsonNotJsonb => "JSON that jsonb refuses",
            Self::NotTime => "text that is no such time",
            Self::OtherSpelling => "a time spelled otherwise than the key's others",
            Self::TooFine => "a time finer than the type keeps",
            Self::NoZone => "a time without a zone, or one that its zone skips or repeats",
            Self::TooLong => "text that is too long",
            Self::NotLabel => "text that is no label of the enum",
            Self::NotList => "text that is no list of such values",
            Self::NotCast => "a value that PostgreSQL does not cast to the type, or not whole",
            Self::NotId => "an id that holds NUL or is no UTF-8",
            Self::NullInNotNull => "NULL in a NOT NULL column",
        }
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.phrase())
    }
}

impl Rewrite {
    /// A phrase for the ledger.
    #[must_use]
    pub const fn phrase(self) -> &'static str {
        match self {
            Self::JsonNormalised => "JSON text normalised by jsonb (white space, key order)",
            Self::JsonDuplicateKeys => "lost: the earlier of two equal keys in a JSON object",
            Self::UuidSpelling => "uuid in another spelling than PostgreSQL's",
            Self::BooleanWord => "boolean written as a word",
            Self::OffsetDropped => "zone offset not kept, only the instant",
            Self::ZoneAssumed => "no zone in the text: the stated one assumed",
            Self::DateAsMidnight => "date taken as its midnight",
            Self::NumberAsTime => "number taken as a time",
            Self::RealAsDecimal => "real written as its shortest exact decimal",
            Self::DecimalSpelling => "decimal text in another spelling than numeric's",
            Self::NumberAsText => "number kept as text",
            Self::TextAsBytes => "text or number kept as bytes",
            Self::NegativeZero => "lost: the sign of a negative zero",
            Self::ListAsArray => "list in text written as an array",
            Self::IdMapped => "id that is no uuid: one made of it, kept in lite2pg.id_map",
        }
    }
}

impl Conversion {
    /// The target type that the rule writes to when the table is created by us.
    #[must_use]
    pub fn pg_type(&self) -> PgType {
        match self {
            Self::Bool => PgType::Bool,
            Self::Int { bytes: 2 } | Self::Whole { bytes: 2 } => PgType::Int2,
            Self::Int { bytes: 4 } | Self::Whole { bytes: 4 } => PgType::Int4,
            Self::Int { .. } | Self::Whole { .. } => PgType::Int8,
            Self::Float8 => PgType::Float8,
            Self::Float4 => PgType::Float4,
            Self::Numeric { limit, .. } => PgType::Numeric(*limit),
            Self::Text { .. } | Self::Label { .. } | Self::Cast { .. } => PgType::Text,
            Self::Bytea { .. } => PgType::Bytea,
            Self::Uuid(_) | Self::Id { .. } => PgType::Uuid,
            Self::Array { element, .. } => PgType::Array(*element),
            Self::Jsonb { .. } => PgType::Jsonb,
            Self::Json => PgType::Json,
            Self::Date => PgType::Date,
            Self::Time => PgType::Time,
            Self::Moment { target_has_zone: true, .. } => PgType::TimestampTz,
            Self::Moment { target_has_zone: false, .. } => PgType::Timestamp,
        }
    }
}
