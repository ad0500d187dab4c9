//! What of a restored file the writes of a rehearsal excuse, and what they do not.

use super::writes::Done;
use crate::sqlite::alike::Unlike;
use std::collections::BTreeMap;

/// What two files are unlike in that should hold the same but for what was written.
#[derive(Debug, Default)]
pub struct Judge {
    /// Cells that were written, and are spelled otherwise than SQLite's own write spelled them.
    pub spelled: u64,
    /// What nobody wrote and is another, in words; the first ones.
    pub wrong: Vec<String>,
    /// How many there are.
    pub wrongs: u64,
    rows: BTreeMap<String, (u64, u64)>,
}

/// Of what is wrong, as much is told.
const TOLD_MAX: usize = 10;

impl Judge {
    /// Looks at one thing that is unlike; the restored file is the first.
    pub fn see(&mut self, done: &Done, unlike: &Unlike) {
        match unlike {
            Unlike::Cell { table, at, column } => {
                let at = (table.clone(), format!("{at:?}"));
                let cell = (at.0.clone(), at.1.clone(), column.clone());
                let sequence = table == "sqlite_sequence";
                if done.whole.contains(&at) || done.cells.contains(&cell) || done.keyless.contains_key(table) {
                    self.spelled += 1;
                } else if !sequence || done.moved.is_empty() {
                    // A row under another key counts as a new one, behind which AUTOINCREMENT goes on.
                    self.wrong(unlike.words());
                }
            }
            Unlike::Row { table, is_first: true, .. } => self.rows.entry(table.clone()).or_default().0 += 1,
            Unlike::Row { table, at, is_first: false } => {
                if done.whole.contains(&(table.clone(), format!("{at:?}"))) || done.keyless.contains_key(table) {
                    self.rows.entry(table.clone()).or_default().1 += 1;
                } else {
                    self.wrong(unlike.words());
                }
            }
            Unlike::File(_) => self.wrong(unlike.words()),
        }
    }

    /// Rows that lie elsewhere must be as many in one file as in the other.
    pub fn end(&mut self, done: &Done) {
        let uneven: Vec<String> = self
            .rows
            .iter()
            .filter(|(_, (restored, mirror))| restored != mirror)
            .map(|(table, (restored, mirror))| {
                format!("`{table}` has {restored} rows of its own in the restored file, and {mirror} in SQLite's copy")
            })
            .collect();
        let many: Vec<String> = self
            .rows
            .iter()
            .filter(|(table, (_, mirror))| done.keyless.get(*table).is_some_and(|written| mirror > written))
            .map(|(table, (_, mirror))| format!("{mirror} rows of `{table}` lie elsewhere: more than were written"))
            .collect();
        for words in many.into_iter().chain(uneven) {
            self.wrong(words);
        }
    }

    fn wrong(&mut self, words: String) {
        self.wrongs += 1;
        if self.wrong.len() < TOLD_MAX {
            self.wrong.push(words);
        }
    }
}
