//! A person's question to the source, and its answer as CSV.

use super::snapshot::Reader;
use rusqlite::types::ValueRef;

impl Reader {
    /// The rows of a query as CSV without a head: NULL is empty, text is quoted where it has to be, a BLOB is `\x…`. At
    /// most `rows_max` rows. The inner error is SQLite's refusal, in its words.
    pub fn answer(&self, sql: &str, rows_max: usize) -> std::result::Result<String, String> {
        let mut statement = self.conn.prepare(sql).map_err(|e| match e {
            rusqlite::Error::SqlInputError { msg, .. } => msg,
            e => e.to_string(),
        })?;
        if !statement.readonly() {
            return Err("it would write".to_owned());
        }
        let width = statement.column_count();
        let mut rows = statement.query([]).map_err(|e| e.to_string())?;
        let mut lines = Vec::new();
        while let Some(row) = rows.next().map_err(|e| e.to_string())? {
            if lines.len() == rows_max {
                return Err(format!("it has more than {rows_max} rows"));
            }
            let cells: Vec<String> = (0..width).map(|i| row.get_ref(i).map(cell).unwrap_or_default()).collect();
            lines.push(cells.join(","));
        }
        Ok(lines.join("\n"))
    }
}

pub(super) fn cell(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => String::new(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => quoted(&String::from_utf8_lossy(text)),
        ValueRef::Blob(bytes) => bytes.iter().fold("\\x".to_owned(), |out, byte| out + &format!("{byte:02x}")),
    }
}

// As PostgreSQL's COPY quotes.
fn quoted(text: &str) -> String {
    if text.is_empty() || text.contains([',', '"', '\n', '\r']) || text == "\\." {
        return format!("\"{}\"", text.replace('"', "\"\""));
    }
    text.to_owned()
}
