//! A person's question to the target, and its answer as CSV.

use super::session::Session;
use crate::error::Result;
use std::time::{Duration, Instant};

/// The rows of a query as CSV without a head, at most `rows_max` of them; the inner error says why there is no answer.
/// It runs in a transaction that may only read; the time is that of the query alone.
pub fn ask(
    session: &mut Session,
    sql: &str,
    rows_max: usize,
) -> Result<(std::result::Result<String, String>, Duration)> {
    let mut tx = session.transaction_as("BEGIN READ ONLY")?;
    let sql = sql.trim().trim_end_matches(';');
    let started = Instant::now();
    let mut copy = tx.copy_out(&format!("COPY (\n{sql}\n) TO STDOUT (FORMAT csv)"))?;
    let mut text = Vec::new();
    let mut rows = 0;
    while let Some(piece) = copy.next()? {
        rows += 1;
        // Read to its end all the same: the connection is wanted again.
        if rows <= rows_max {
            text.extend_from_slice(&piece);
        }
    }
    drop(copy);
    let spent = started.elapsed();
    tx.rollback()?;
    if rows > rows_max {
        return Ok((Err(format!("it has more than {rows_max} rows")), spent));
    }
    Ok((Ok(String::from_utf8_lossy(&text).trim_end_matches('\n').to_owned()), spent))
}
