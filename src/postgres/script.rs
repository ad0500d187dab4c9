//! SQL that a person wrote for the target's own schema, run inside a transaction of ours.

use super::is_answer;
use super::session::Transaction;
use crate::error::{Error, Result};
use crate::model::name::{literal, quoted};

/// Runs the statements in order; names without a schema are made in `schema`.
///
/// They are run from within one statement of ours: a COMMIT among them would end our transaction, and is refused there
/// (<https://www.postgresql.org/docs/current/plpgsql-statements.html#PLPGSQL-STATEMENTS-EXECUTING-DYN>).
pub fn run(tx: &Transaction<'_>, schema: &str, name: &str, sql: &str) -> Result<()> {
    let sql: String = sql.lines().filter(|line| !is_for_psql(line)).flat_map(|line| [line, "\n"]).collect();
    // A tag that the text does not hold, short of breaking BLAKE3.
    let tag = format!("$lite2pg_{}$", &blake3::hash(sql.as_bytes()).to_hex()[..16]);
    tx.batch(&format!("SET LOCAL search_path TO {}, public", quoted(schema)))?;
    let ran = tx.batch(&format!("DO {tag} BEGIN EXECUTE {}; END {tag}", literal(&sql)));
    ran.map_err(|e| if is_answer(&e) { refused(e, name) } else { e })?;
    // The text may have set it for the session: dumps do.
    tx.batch("RESET search_path")
}

// Dumps begin and end with these since 2025; they mean something to psql only.
fn is_for_psql(line: &str) -> bool {
    line.starts_with("\\restrict ") || line.starts_with("\\unrestrict ")
}

fn refused(error: Error, name: &str) -> Error {
    let code = error.sqlstate().unwrap_or_default().to_owned();
    let error = error.context(format!("the server refuses the DDL of `{name}`")).state("nothing was written");
    match code.as_str() {
        // Tables, types and other objects, schemas.
        "42P07" | "42710" | "42P06" | "42723" => error.hint(
            "it is there already: leave `ddl` out to load into what is there, or drop it; `--restart` drops what an \
             earlier run of lite2pg made",
        ),
        "0A000" => error.hint("take BEGIN, COMMIT and ROLLBACK out: the whole file is one transaction"),
        _ => error,
    }
}
