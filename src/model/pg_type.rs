//! The PostgreSQL types that a column can arrive in.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A target type. `Display` is the SQL spelling.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PgType {
    /// `boolean`
    Bool,
    /// `smallint`; only in existing tables.
    Int2,
    /// `integer`; only on request or in existing tables.
    Int4,
    /// `bigint`
    Int8,
    /// `real`; only in existing tables, and only for values it holds exactly.
    Float4,
    /// `double precision`
    Float8,
    /// `numeric`, or `numeric(precision, scale)`.
    Numeric(Option<(u16, u16)>),
    /// `text`
    Text,
    /// `character varying(n)`, n in characters; only in existing tables.
    Varchar(u32),
    /// `character(n)`, n in characters; only in existing tables.
    Char(u32),
    /// `bytea`
    Bytea,
    /// `uuid`
    Uuid,
    /// `json`; only in existing tables.
    Json,
    /// `jsonb`
    Jsonb,
    /// `date`
    Date,
    /// `time without time zone`
    Time,
    /// `timestamp without time zone`
    Timestamp,
    /// `timestamp with time zone`
    TimestampTz,
    /// A type of an existing table that takes its labels or text as text in binary COPY too:
    /// enums and `citext`. The string is its SQL spelling, quoted where needed.
    TextLike(String),
}

impl fmt::Display for PgType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self {
            Self::Bool => "boolean",
            Self::Int2 => "smallint",
            Self::Int4 => "integer",
            Self::Int8 => "bigint",
            Self::Float4 => "real",
            Self::Float8 => "double precision",
            Self::Numeric(None) => "numeric",
            Self::Numeric(Some((p, s))) => return write!(f, "numeric({p},{s})"),
            Self::Text => "text",
            Self::Varchar(n) => return write!(f, "varchar({n})"),
            Self::Char(n) => return write!(f, "char({n})"),
            Self::Bytea => "bytea",
            Self::Uuid => "uuid",
            Self::Json => "json",
            Self::Jsonb => "jsonb",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::TimestampTz => "timestamptz",
            Self::TextLike(name) => name,
        };
        f.write_str(word)
    }
}

impl PgType {
    /// Whether values of this type are numbers to PostgreSQL's operators.
    #[must_use]
    pub const fn is_number(&self) -> bool {
        matches!(self, Self::Int2 | Self::Int4 | Self::Int8 | Self::Float4 | Self::Float8 | Self::Numeric(_))
    }

    /// Whether values of this type are strings to PostgreSQL's operators.
    #[must_use]
    pub const fn is_text(&self) -> bool {
        matches!(self, Self::Text | Self::Varchar(_) | Self::Char(_) | Self::TextLike(_))
    }
}
