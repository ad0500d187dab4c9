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
    /// An array of one dimension; only on request or in existing tables.
    Array(Element),
    /// Any other type of an existing table: PostgreSQL itself reads its values from text.
    Cast(CastType),
}

/// A type whose values PostgreSQL casts from text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CastType {
    /// Its SQL spelling with its limits, `bit(3)`, or that of a domain; with its schema where it is not PostgreSQL's own.
    pub name: String,
    /// The same without limits, below any domain: what a text is cast to first, so that nothing is cut or rounded in silence.
    pub bare: String,
    /// What a cast to it may lose without a word.
    pub habit: CastHabit,
    /// Whether the type, or the domain over it, has a limit on length or precision.
    pub is_limited: bool,
}

/// What is special about a cast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CastHabit {
    /// Nothing.
    Plain,
    /// An array: a list in JSON is read too.
    List,
    /// An array of documents: each value of a list in JSON is one.
    Documents,
    /// `interval`: a bare number says no unit.
    Interval,
    /// `name` and `"char"`, which cut longer texts, and `xid`, `xid8` and `cid`, which before PostgreSQL 16 read any text as
    /// the number that it begins with, or 0.
    Cuts,
    /// `money`: further decimals are rounded.
    Rounds,
}

impl CastHabit {
    /// Whether the values are arrays.
    #[must_use]
    pub const fn is_array(self) -> bool {
        matches!(self, Self::List | Self::Documents)
    }
}

/// What an array's elements are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Element {
    /// `boolean`
    Bool,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `text`
    Text,
    /// `uuid`
    Uuid,
}

impl Element {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Bool, Self::Int4, Self::Int8, Self::Text, Self::Uuid];

    /// The SQL spelling.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Bool => "boolean",
            Self::Int4 => "integer",
            Self::Int8 => "bigint",
            Self::Text => "text",
            Self::Uuid => "uuid",
        }
    }
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
            Self::Cast(cast) => &cast.name,
            Self::Array(element) => return write!(f, "{}[]", element.word()),
        };
        f.write_str(word)
    }
}

impl PgType {
    /// Reads the SQL spelling of a type that lite2pg creates; `None` for every other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let lower = text.trim().to_ascii_lowercase();
        if let Some(element) = lower.strip_suffix("[]") {
            return Self::array_of(&Self::parse(element)?);
        }
        let (name, inside) = match lower.split_once('(') {
            Some((name, rest)) => (name.trim(), Some(rest.strip_suffix(')')?)),
            None => (lower.as_str(), None),
        };
        let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
        let numbers = inside.map_or(Some(Vec::new()), |inside| {
            inside.split(',').map(|n| n.trim().parse::<u32>().ok()).collect::<Option<Vec<u32>>>()
        })?;
        // PostgreSQL's own limits on a type's modifiers (docs, "Numeric Types" and "Character Types").
        let length = |n: u32| (1..=10_485_760).contains(&n);
        Some(match (name.as_str(), numbers.as_slice()) {
            ("boolean" | "bool", []) => Self::Bool,
            ("smallint" | "int2", []) => Self::Int2,
            ("integer" | "int" | "int4", []) => Self::Int4,
            ("bigint" | "int8", []) => Self::Int8,
            ("real" | "float4", []) => Self::Float4,
            ("double precision" | "float8" | "float", []) => Self::Float8,
            ("numeric" | "decimal", []) => Self::Numeric(None),
            ("numeric" | "decimal", &[p]) if (1..=1000).contains(&p) => Self::Numeric(Some((p as u16, 0))),
            ("numeric" | "decimal", &[p, s]) if (1..=1000).contains(&p) && s <= p => {
                Self::Numeric(Some((p as u16, s as u16)))
            }
            ("text" | "varchar" | "character varying", []) => Self::Text,
            ("varchar" | "character varying", &[n]) if length(n) => Self::Varchar(n),
            ("char" | "character", []) => Self::Char(1),
            ("char" | "character", &[n]) if length(n) => Self::Char(n),
            ("bytea", []) => Self::Bytea,
            ("uuid", []) => Self::Uuid,
            ("json", []) => Self::Json,
            ("jsonb", []) => Self::Jsonb,
            ("date", []) => Self::Date,
            ("time" | "time without time zone", []) => Self::Time,
            ("timestamp" | "timestamp without time zone", []) => Self::Timestamp,
            ("timestamptz" | "timestamp with time zone", []) => Self::TimestampTz,
            _ => return None,
        })
    }

    // An array of such values; PostgreSQL casts those of which lite2pg writes no binary form.
    fn array_of(element: &Self) -> Option<Self> {
        let word = element.to_string();
        if let Some(known) = Element::ALL.into_iter().find(|known| known.word() == word) {
            return Some(Self::Array(known));
        }
        // As `format_type` of the server spells both, so that a type which is stated and one which is there are the same.
        let (word, bare, is_limited) = match element {
            Self::Numeric(limit) => (word, "numeric".to_owned(), limit.is_some()),
            Self::Varchar(n) => (format!("character varying({n})"), "character varying".to_owned(), true),
            Self::Char(n) => (format!("character({n})"), "bpchar".to_owned(), true),
            Self::Time => ("time without time zone".to_owned(), "time without time zone".to_owned(), false),
            Self::Timestamp => {
                ("timestamp without time zone".to_owned(), "timestamp without time zone".to_owned(), false)
            }
            Self::TimestampTz => ("timestamp with time zone".to_owned(), "timestamp with time zone".to_owned(), false),
            Self::Array(_) | Self::TextLike(_) | Self::Cast(_) => return None,
            _ => (word.clone(), word, false),
        };
        let habit = if matches!(element, Self::Json | Self::Jsonb) { CastHabit::Documents } else { CastHabit::List };
        let (name, bare) = (format!("{word}[]"), format!("{bare}[]"));
        Some(Self::Cast(CastType { name, bare, habit, is_limited }))
    }

    /// Whether values of this type are arrays.
    #[must_use]
    pub const fn is_array(&self) -> bool {
        match self {
            Self::Array(_) => true,
            Self::Cast(cast) => cast.habit.is_array(),
            _ => false,
        }
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_type_prints_is_read_back() {
        let all = [
            PgType::Bool,
            PgType::Int2,
            PgType::Int4,
            PgType::Int8,
            PgType::Float4,
            PgType::Float8,
            PgType::Numeric(None),
            PgType::Numeric(Some((12, 2))),
            PgType::Text,
            PgType::Varchar(40),
            PgType::Char(2),
            PgType::Bytea,
            PgType::Uuid,
            PgType::Json,
            PgType::Jsonb,
            PgType::Date,
            PgType::Time,
            PgType::Timestamp,
            PgType::TimestampTz,
            PgType::Array(Element::Text),
            PgType::Array(Element::Int8),
        ];
        for pg_type in all {
            assert_eq!(PgType::parse(&pg_type.to_string()), Some(pg_type));
        }
        assert_eq!(PgType::parse(" DECIMAL ( 8 ) "), Some(PgType::Numeric(Some((8, 0)))));
        assert_eq!(PgType::parse("Timestamp  With Time Zone"), Some(PgType::TimestampTz));
    }

    #[test]
    fn an_array_that_postgres_casts_is_spelled_as_the_server_spells_it() {
        for (text, name, bare, is_limited) in [
            ("date[]", "date[]", "date[]", false),
            ("Numeric(6,2)[]", "numeric(6,2)[]", "numeric[]", true),
            ("varchar(3)[]", "character varying(3)[]", "character varying[]", true),
            ("char(2)[]", "character(2)[]", "bpchar[]", true),
            ("timestamptz[]", "timestamp with time zone[]", "timestamp with time zone[]", false),
        ] {
            let (name, bare) = (name.to_owned(), bare.to_owned());
            let cast = CastType { name, bare, habit: CastHabit::List, is_limited };
            assert_eq!(PgType::parse(text), Some(PgType::Cast(cast)), "{text}");
        }
        assert!(matches!(PgType::parse("jsonb[]"), Some(PgType::Cast(CastType { habit: CastHabit::Documents, .. }))));
    }

    #[test]
    fn what_is_no_type_of_ours_is_none() {
        for text in [
            "",
            "numeric(2,5)",
            "numeric(0)",
            "varchar(0)",
            "text(5)",
            "timestamptz(3)",
            "money",
            "int)",
            "x(1",
            "money[]",
            "text[][]",
            "date[][]",
            "[]",
        ] {
            assert_eq!(PgType::parse(text), None, "{text}");
        }
    }
}
