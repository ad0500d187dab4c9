//! Values that PostgreSQL does not cast to their column's type, known before the load: only the server can tell, and a
//! load that asked it row by row would take a multiple of its time.
//!
//! Owns how they are remembered: by hashes, so that no value is held. Does not know who found them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The hashes of a column's values.
pub type Hashes = HashSet<[u8; 16]>;

/// Such values of all tables.
#[derive(Debug, Clone, Default)]
pub struct Unfit {
    columns: HashMap<(String, String), Arc<Hashes>>,
}

impl Unfit {
    /// Remembers the values of a column by its names on the target.
    pub fn add(&mut self, table: &str, column: &str, values: Hashes) {
        if !values.is_empty() {
            self.columns.insert((table.to_owned(), column.to_owned()), Arc::new(values));
        }
    }

    /// Those of a column; none where all its values fit.
    #[must_use]
    pub fn of(&self, table: &str, column: &str) -> Option<Arc<Hashes>> {
        self.columns.get(&(table.to_owned(), column.to_owned())).cloned()
    }
}

/// What a value is remembered by: the text that the load would send.
#[must_use]
pub fn hash(text: &[u8]) -> [u8; 16] {
    *blake3::hash(text).as_bytes().first_chunk().expect("a hash is 32 bytes")
}
