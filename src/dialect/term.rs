//! A translated piece of an expression, with what is known of it in both databases.

use super::Affinity;
use super::kind::Kind;
use super::literal::Value;
use super::scope::Column;
use crate::model::name::quoted;
use crate::model::pg_type::PgType;

/// How tightly the outermost operator of a piece binds. PostgreSQL's ladder differs from SQLite's, so that
/// parentheses follow from this and not from the source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Level {
    /// A name, a literal, a call, or in parentheses.
    Atom,
    /// Arithmetic, `||`, bits.
    Operator,
    /// A comparison, LIKE, IN, BETWEEN, IS.
    Comparison,
    /// NOT, AND, OR.
    Logic,
}

/// The collation that a piece brings into a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Collated {
    pub name: String,
    /// Said by COLLATE, not by the column.
    pub explicit: bool,
}

/// Why a piece cannot take part in operations that look at its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Doubt {
    pub reason: String,
    /// Text in PostgreSQL where SQLite may have a number: comparing with a word is still the same.
    pub soft: bool,
}

#[derive(Debug, Clone, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, none a state of another")]
pub(super) struct Term {
    pub sql: String,
    pub kind: Kind,
    pub level: Level,
    /// `None` for everything but columns and casts.
    pub affinity: Option<Affinity>,
    pub collation: Option<Collated>,
    pub literal: Option<Value>,
    pub never_null: bool,
    /// PostgreSQL computes with it in 64 bits.
    pub wide: bool,
    /// For numbers that are no integers: every value is a REAL in SQLite, never an INTEGER.
    pub real: bool,
    /// For numeric: `float8` holds every value.
    pub fits_float: bool,
    pub doubt: Option<Doubt>,
}

impl Term {
    pub fn new(sql: impl Into<String>, kind: Kind, level: Level) -> Self {
        Self {
            sql: sql.into(),
            kind,
            level,
            affinity: None,
            collation: None,
            literal: None,
            never_null: false,
            wide: true,
            real: false,
            fits_float: false,
            doubt: None,
        }
    }

    pub fn atom(sql: impl Into<String>, kind: Kind) -> Self {
        Self::new(sql, kind, Level::Atom)
    }

    pub fn comparison(sql: impl Into<String>) -> Self {
        Self::new(sql, Kind::Bool, Level::Comparison)
    }

    pub fn null() -> Self {
        Self { literal: Some(Value::Null), ..Self::atom("NULL", Kind::Null) }
    }

    pub fn never_null(mut self, never_null: bool) -> Self {
        self.never_null = never_null;
        self
    }

    /// A column, qualified by `qualifier` (quoted already) where there is one.
    pub fn column(column: &Column, qualifier: Option<&str>) -> Self {
        let name = quoted(&column.target);
        let mut sql = qualifier.map_or_else(|| name.clone(), |q| format!("{q}.{name}"));
        if let PgType::TextLike(_) = column.pg_type {
            sql = format!("{sql}::text");
        }
        let collation = column.collation.clone().unwrap_or_else(|| "BINARY".to_owned());
        let wide = !matches!(column.pg_type, PgType::Int2 | PgType::Int4);
        Self {
            affinity: Some(column.affinity),
            collation: Some(Collated { name: collation, explicit: false }),
            never_null: column.not_null,
            wide,
            real: column.affinity == Affinity::Real && column.uniform,
            fits_float: column.affinity == Affinity::Real
                || matches!(column.pg_type, PgType::Numeric(Some((digits, _))) if digits <= 15),
            doubt: doubt(column),
            ..Self::atom(sql, Kind::of(&column.pg_type))
        }
    }

    /// As an operand of an operator or a cast.
    pub fn operand(&self) -> String {
        self.up_to(Level::Atom)
    }

    /// As one side of a comparison.
    pub fn side(&self) -> String {
        self.up_to(Level::Operator)
    }

    /// As a part of AND or OR.
    pub fn clause(&self) -> String {
        self.up_to(Level::Comparison)
    }

    fn up_to(&self, level: Level) -> String {
        if self.level <= level { self.sql.clone() } else { format!("({})", self.sql) }
    }

    /// With a cast behind it; nothing else changes.
    pub fn cast(&self, pg_type: &str, kind: Kind) -> Self {
        let sql = format!("{}::{pg_type}", self.operand());
        Self { sql, kind, level: Level::Atom, literal: None, ..self.clone() }
    }

    /// The integer literal that this is.
    pub fn integer(&self) -> Option<i64> {
        match self.literal {
            Some(Value::Integer(i)) => Some(i),
            _ => None,
        }
    }

    /// The string literal that this is.
    pub fn string(&self) -> Option<&str> {
        match &self.literal {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }
}

fn doubt(column: &Column) -> Option<Doubt> {
    let name = &column.source;
    let hard = |why: &str| Some(Doubt { reason: format!("column `{name}` {why}"), soft: false });
    match &column.pg_type {
        PgType::Bool if column.affinity == Affinity::Text || !column.uniform => {
            hard("held words in SQLite and holds booleans now")
        }
        PgType::Numeric(_) if column.affinity == Affinity::Text || !column.uniform => {
            hard("held decimals as text in SQLite and holds numbers now")
        }
        PgType::Bytea if !column.uniform => hard("held text or numbers in SQLite and holds bytes now"),
        PgType::Char(_) => hard("is padded with spaces in PostgreSQL"),
        kind if kind.is_text() && !column.uniform => Some(Doubt {
            reason: format!("column `{name}` held numbers in SQLite and holds them as text now"),
            soft: true,
        }),
        _ => None,
    }
}
