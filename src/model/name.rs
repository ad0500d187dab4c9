//! Names: quoting, and the ways from a SQLite name to a PostgreSQL one.

use super::bounds::PG_NAME_BYTES_MAX;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// `name` as a quoted SQL identifier, for both databases. The only quoting function for identifiers.
#[must_use]
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// `schema.name`, both quoted.
#[must_use]
pub fn qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quoted(schema), quoted(name))
}

/// `text` as a SQL string literal that PostgreSQL reads the same under any `standard_conforming_strings`.
#[must_use]
pub fn literal(text: &str) -> String {
    let escaped = text.replace('\'', "''");
    if escaped.contains('\\') { format!("E'{}'", escaped.replace('\\', "\\\\")) } else { format!("'{escaped}'") }
}

/// Whether a terminal does something else with the character than to show it: control characters of both sets, line and
/// paragraph separators, marks of direction (<https://www.unicode.org/reports/tr9/>), characters that no eye sees.
#[must_use]
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// `text` as one word of a shell's command line.
#[must_use]
pub fn for_shell(text: &str) -> String {
    let is_plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// A glob that matches this name and no other.
#[must_use]
pub fn as_glob(name: &str) -> String {
    name.chars().map(|c| if "*?[]{}!\\".contains(c) { format!("[{c}]") } else { c.to_string() }).collect()
}

/// The arguments that leave a table out: a name may hold what a shell or a glob would follow.
#[must_use]
pub fn exclude(table: &str) -> String {
    format!("--exclude {}", for_shell(&as_glob(table)))
}

/// The arguments that set rows aside which break a rule of this table, or of this `table.column`.
#[must_use]
pub fn reject(object: &str) -> String {
    format!("--on-error {}", for_shell(&format!("{object}=reject")))
}

/// The known name that is most like a word, where one is like it at all: for "did you mean".
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.map(|name| (strsim::jaro_winkler(&word.to_lowercase(), &name.to_lowercase()), name));
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > 0.8).map(|(_, name)| name)
}

/// How names change on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spelling {
    /// As they are.
    #[default]
    Preserve,
    /// In lower case.
    Lower,
    /// `camelCase`, `PascalCase`, blanks, dots and hyphens become `snake_case`.
    Snake,
}

impl Spelling {
    /// The name in this spelling, not yet cut or made unique.
    #[must_use]
    pub fn apply(self, name: &str) -> String {
        match self {
            Self::Preserve => name.to_owned(),
            Self::Lower => name.to_lowercase(),
            Self::Snake => snake(name),
        }
    }
}

fn snake(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 4);
    for (i, &c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).map(|j| chars[j]);
        let after = chars.get(i + 1);
        // A new word begins at an upper-case letter after a lower-case one (orderId), and at the last
        // capital of a run that a lower-case letter follows (HTTPServer → http_server).
        let begins = c.is_uppercase()
            && before.is_some_and(|b| {
                b.is_lowercase() || b.is_numeric() || (b.is_uppercase() && after.is_some_and(|a| a.is_lowercase()))
            });
        if begins && !out.ends_with('_') {
            out.push('_');
        }
        if c.is_alphanumeric() || c == '_' {
            out.extend(c.to_lowercase());
        } else if !out.ends_with('_') {
            out.push('_');
        }
    }
    let trimmed = out.trim_matches('_');
    if trimmed.is_empty() { name.to_lowercase() } else { trimmed.to_owned() }
}

/// Words that PostgreSQL takes as a name in quotes only: reserved ones, and those that may name functions and types
/// (docs, "SQL Key Words"; all of PostgreSQL 14 to 18). Sorted.
const RESERVED: [&str; 101] = [
    "all",
    "analyse",
    "analyze",
    "and",
    "any",
    "array",
    "as",
    "asc",
    "asymmetric",
    "authorization",
    "binary",
    "both",
    "case",
    "cast",
    "check",
    "collate",
    "collation",
    "column",
    "concurrently",
    "constraint",
    "create",
    "cross",
    "current_catalog",
    "current_date",
    "current_role",
    "current_schema",
    "current_time",
    "current_timestamp",
    "current_user",
    "default",
    "deferrable",
    "desc",
    "distinct",
    "do",
    "else",
    "end",
    "except",
    "false",
    "fetch",
    "for",
    "foreign",
    "freeze",
    "from",
    "full",
    "grant",
    "group",
    "having",
    "ilike",
    "in",
    "initially",
    "inner",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "lateral",
    "leading",
    "left",
    "like",
    "limit",
    "localtime",
    "localtimestamp",
    "natural",
    "not",
    "notnull",
    "null",
    "offset",
    "on",
    "only",
    "or",
    "order",
    "outer",
    "overlaps",
    "placing",
    "primary",
    "references",
    "returning",
    "right",
    "select",
    "session_user",
    "similar",
    "some",
    "symmetric",
    "system_user",
    "table",
    "tablesample",
    "then",
    "to",
    "trailing",
    "true",
    "union",
    "unique",
    "user",
    "using",
    "variadic",
    "verbose",
    "when",
    "where",
    "window",
    "with",
];

/// Whether PostgreSQL takes the word as a name in quotes only.
#[must_use]
pub fn is_reserved(word: &str) -> bool {
    RESERVED.binary_search(&word).is_ok()
}

/// Hands out names that PostgreSQL keeps apart: within 63 bytes, each only once.
#[derive(Debug, Clone, Default)]
pub struct Namespace {
    taken: HashSet<String>,
}

impl Namespace {
    /// A namespace in which `names` are taken already.
    pub fn with<I: IntoIterator<Item = S>, S: Into<String>>(names: I) -> Self {
        Self { taken: names.into_iter().map(Into::into).collect() }
    }

    /// `wanted` where it is free and short enough; else a name close to it that is. The second value is
    /// true when the name had to change. The same calls in the same order give the same names.
    pub fn claim(&mut self, wanted: &str) -> (String, bool) {
        // SQLite takes the empty name, PostgreSQL does not.
        if wanted.is_empty() {
            return (self.claim("unnamed").0, true);
        }
        let cut = cut_to_bytes(wanted, PG_NAME_BYTES_MAX);
        if cut.len() == wanted.len() && self.taken.insert(wanted.to_owned()) {
            return (wanted.to_owned(), false);
        }
        // The hash of the whole name, so that two long names which differ in their tails stay stable
        // whichever comes first.
        let hash = &blake3::hash(wanted.as_bytes()).to_hex()[..6];
        let mut suffix = if cut.len() == wanted.len() { "_2".to_owned() } else { format!("_{hash}") };
        let mut n = 2;
        loop {
            let name = format!("{}{suffix}", cut_to_bytes(wanted, PG_NAME_BYTES_MAX - suffix.len()));
            if self.taken.insert(name.clone()) {
                return (name, true);
            }
            n += 1;
            suffix = if cut.len() == wanted.len() { format!("_{n}") } else { format!("_{hash}_{n}") };
        }
    }
}

fn cut_to_bytes(name: &str, max: usize) -> &str {
    let mut end = name.len().min(max);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

/// Whether PostgreSQL keeps the name for itself in every table
/// (<https://www.postgresql.org/docs/current/ddl-system-columns.html>).
#[must_use]
pub fn is_system_column(name: &str) -> bool {
    ["tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoting_survives_quotes_and_semicolons() {
        assert_eq!(quoted(r#"a"b; drop table x"#), r#""a""b; drop table x""#);
        assert_eq!(literal(r"it's \ here"), r"E'it''s \\ here'");
    }

    #[test]
    fn a_hint_with_a_name_in_it_can_be_pasted_into_a_shell() {
        assert_eq!(exclude("orders"), "--exclude orders");
        assert_eq!(exclude("it's; rm -rf ~"), r"--exclude 'it'\''s; rm -rf ~'");
        assert_eq!(exclude("$(x)*"), "--exclude '$(x)[*]'");
    }

    #[test]
    fn snake_case_splits_at_words_only() {
        for (name, want) in [
            ("orderId", "order_id"),
            ("HTTPServer", "http_server"),
            ("already_snake", "already_snake"),
            ("Order Details", "order_details"),
            ("user2Name", "user2_name"),
            ("Ünï Cøde", "ünï_cøde"),
            ("__", "__"),
            ("AlbumID", "album_id"),
        ] {
            assert_eq!(Spelling::Snake.apply(name), want);
        }
    }

    #[test]
    fn long_and_colliding_names_stay_apart() {
        let mut names = Namespace::default();
        let long_a = format!("{}a", "x".repeat(70));
        let long_b = format!("{}b", "x".repeat(70));
        let (a, changed) = names.claim(&long_a);
        let (b, _) = names.claim(&long_b);
        assert!(changed && a != b && a.len() <= 63 && b.len() <= 63);
        assert_eq!(names.claim("id"), ("id".to_owned(), false));
        assert_eq!(names.claim("id"), ("id_2".to_owned(), true));
        let (umlauts, _) = names.claim(&"ü".repeat(40));
        assert!(umlauts.len() <= 63);
    }
}
