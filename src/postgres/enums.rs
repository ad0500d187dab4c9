//! Enums of the target's schema: made where they are missing, looked at where they are there.

use super::session::{Session, Transaction};
use super::{ddl, is_answer};
use crate::error::{Error, Kind, Result};
use crate::model::name::{literal, qualified};

/// Creates an enum, unless one of its name is there that knows all of its values: that one is used as it is.
pub fn create(tx: &Transaction<'_>, schema: &str, name: &str, wanted: &[String]) -> Result<()> {
    let refused = |what: String| Error::new(Kind::Blocked, what).state("nothing was written");
    let Some(there) = labels(tx, schema, name)? else {
        return tx.batch(&ddl::create_enum(schema, name, wanted)).map_err(|e| {
            let what = format!("the enum `{name}` cannot be created");
            if is_answer(&e) { refused(what).cause(e) } else { e }
        });
    };
    let missing: Vec<&String> = wanted.iter().filter(|label| !there.contains(label)).collect();
    let Some(first) = missing.first() else { return Ok(()) };
    let words: Vec<String> = missing.iter().map(|label| format!("`{label}`")).collect();
    let hint = format!("ALTER TYPE {} ADD VALUE {}", qualified(schema, name), literal(first));
    Err(refused(format!("the target's enum `{name}` has no value {}", words.join(", "))).hint(hint))
}

fn labels(session: &Session, schema: &str, name: &str) -> Result<Option<Vec<String>>> {
    let sql = "SELECT (SELECT array_agg(enumlabel::text ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid) \
               FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace \
               WHERE n.nspname = $1 AND t.typname = $2 AND t.typtype = 'e'";
    Ok(session.query_opt(sql, &[&schema, &name])?.map(|row| row.get::<_, Option<Vec<String>>>(0).unwrap_or_default()))
}
