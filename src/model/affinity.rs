//! Column affinity: what SQLite makes of a declared type (<https://sqlite.org/datatype3.html>, section 3.1).

use serde::{Deserialize, Serialize};

/// The storage class that a column leans to. A leaning, not a rule: any row may hold any class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Affinity {
    /// Whole numbers.
    Integer,
    /// Text.
    Text,
    /// None: values stay as they were given.
    Blob,
    /// Doubles.
    Real,
    /// Numbers where the text is one, else text.
    Numeric,
}

impl Affinity {
    /// The affinity of a declared type in an ordinary table. The five rules apply in this order, so that
    /// `FLOATING POINT` is INTEGER (it holds `INT`) and `STRING` is NUMERIC.
    #[must_use]
    pub fn of(declared: &str) -> Self {
        let word = declared.to_ascii_uppercase();
        let holds = |parts: &[&str]| parts.iter().any(|part| word.contains(part));
        if holds(&["INT"]) {
            Self::Integer
        } else if holds(&["CHAR", "CLOB", "TEXT"]) {
            Self::Text
        } else if word.is_empty() || holds(&["BLOB"]) {
            Self::Blob
        } else if holds(&["REAL", "FLOA", "DOUB"]) {
            Self::Real
        } else {
            Self::Numeric
        }
    }

    /// Whether the other side of a comparison is taken as a number where it looks like one (section 4.2).
    #[must_use]
    pub const fn is_number(self) -> bool {
        matches!(self, Self::Numeric | Self::Integer | Self::Real)
    }

    /// The affinity of a declared type in a STRICT table, where `ANY` converts nothing
    /// (<https://sqlite.org/stricttables.html>). In an ordinary table the same word is NUMERIC.
    #[must_use]
    pub fn of_strict(declared: &str) -> Self {
        if declared.eq_ignore_ascii_case("ANY") { Self::Blob } else { Self::of(declared) }
    }
}

#[cfg(test)]
mod tests {
    use super::Affinity::{self, Blob, Integer, Numeric, Real, Text};

    #[test]
    fn the_five_rules_apply_in_their_order() {
        for (declared, want) in [
            ("INTEGER", Integer),
            ("bigint unsigned", Integer),
            ("CHARINT", Integer),
            ("FLOATING POINT", Integer),
            ("VARCHAR(255)", Text),
            ("NATIVE CHARACTER(70)", Text),
            ("clob", Text),
            ("", Blob),
            ("Blob", Blob),
            ("DOUBLE PRECISION", Real),
            ("float", Real),
            ("DECIMAL(10,5)", Numeric),
            ("BOOLEAN", Numeric),
            ("DATETIME", Numeric),
            ("STRING", Numeric),
            ("ANY", Numeric),
        ] {
            assert_eq!(Affinity::of(declared), want, "{declared}");
        }
    }

    #[test]
    fn any_converts_nothing_in_a_strict_table() {
        assert_eq!(Affinity::of_strict("any"), Blob);
        assert_eq!(Affinity::of_strict("INT"), Integer);
    }
}
