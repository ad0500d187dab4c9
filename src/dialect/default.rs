//! DEFAULT texts in PostgreSQL's dialect.

use super::Untranslatable;
use crate::model::pg_type::PgType;

/// Translates a DEFAULT.
pub fn translate(sql_text: &str, pg_type: &PgType) -> Result<Option<String>, Untranslatable> {
    let _ = (sql_text, pg_type);
    Err(Untranslatable::new("not yet"))
}
