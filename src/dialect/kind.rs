//! The kinds that translated expressions are of.

use crate::model::pg_type::PgType;

/// What an expression gives in PostgreSQL. Coarser than a type: an integer of any width is one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `boolean`
    Bool,
    /// `smallint`, `integer`, `bigint`
    Integer,
    /// `real`, `double precision`
    Float,
    /// `numeric`
    Numeric,
    /// `text`, or a string literal whose type PostgreSQL finds by itself
    Text,
    /// `bytea`
    Bytes,
    /// `uuid`
    Uuid,
    /// `json`, `jsonb`
    Json,
    /// `date`
    Date,
    /// `time`
    Time,
    /// `timestamp`
    Timestamp,
    /// `timestamptz`
    TimestampTz,
    /// `NULL` without a type
    Null,
}

impl Kind {
    /// The kind of a type's values.
    #[must_use]
    pub const fn of(pg_type: &PgType) -> Self {
        match pg_type {
            PgType::Bool => Self::Bool,
            PgType::Int2 | PgType::Int4 | PgType::Int8 => Self::Integer,
            PgType::Float4 | PgType::Float8 => Self::Float,
            PgType::Numeric(_) => Self::Numeric,
            PgType::Text | PgType::Varchar(_) | PgType::Char(_) | PgType::TextLike(_) => Self::Text,
            // SQLite has no arrays and none of the types that PostgreSQL casts: no expression means one.
            PgType::Bytea | PgType::Array(_) | PgType::Cast(_) => Self::Bytes,
            PgType::Uuid => Self::Uuid,
            PgType::Json | PgType::Jsonb => Self::Json,
            PgType::Date => Self::Date,
            PgType::Time => Self::Time,
            PgType::Timestamp => Self::Timestamp,
            PgType::TimestampTz => Self::TimestampTz,
        }
    }

    /// Whether arithmetic takes it.
    #[must_use]
    pub const fn is_number(self) -> bool {
        matches!(self, Self::Integer | Self::Float | Self::Numeric)
    }

    /// Whether it is a date, a time or a moment.
    #[must_use]
    pub const fn is_temporal(self) -> bool {
        matches!(self, Self::Date | Self::Time | Self::Timestamp | Self::TimestampTz)
    }

    /// The word for messages.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Integer => "integer",
            Self::Float => "floating point",
            Self::Numeric => "numeric",
            Self::Text => "text",
            Self::Bytes => "bytea",
            Self::Uuid => "uuid",
            Self::Json => "JSON",
            Self::Date => "date",
            Self::Time => "time",
            Self::Timestamp => "timestamp",
            Self::TimestampTz => "timestamptz",
            Self::Null => "NULL",
        }
    }
}
