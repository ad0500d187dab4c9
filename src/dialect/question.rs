//! Questions that both databases understand alike.

use crate::model::name::quoted;

/// How many rows a table has.
#[must_use]
pub fn count(table: &str) -> String {
    format!("SELECT count(*) FROM {}", quoted(table))
}
