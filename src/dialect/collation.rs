//! SQLite's three collations as PostgreSQL keys (<https://sqlite.org/datatype3.html>, section 7).

use super::Untranslatable;

/// An expression whose equality and order in PostgreSQL, under `COLLATE "C"`, are those of `text_sql` under
/// SQLite's collation of that name. `text_sql` is an operand: a quoted name, a call, or in parentheses.
///
/// NOCASE folds ASCII letters only, and so does `lower()` under "C". An application's own collation is refused.
pub fn key(text_sql: &str, collation: &str) -> Result<String, Untranslatable> {
    if collation.eq_ignore_ascii_case("BINARY") {
        Ok(text_sql.to_owned())
    } else if collation.eq_ignore_ascii_case("NOCASE") {
        Ok(format!("lower({text_sql} COLLATE \"C\")"))
    } else if collation.eq_ignore_ascii_case("RTRIM") {
        Ok(format!("rtrim({text_sql}, ' ')"))
    } else {
        Err(Untranslatable::new(format!("collation `{collation}` is the application's own")))
    }
}
