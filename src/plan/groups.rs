//! Columns that must arrive in one type because foreign keys compare them.

use crate::model::source::Catalog;
use std::collections::HashMap;

/// A column by its table's and its own position in the catalog.
pub type ColumnId = (usize, usize);

/// Columns joined by foreign keys, each group with its members in the catalog's order.
#[derive(Debug, Default)]
pub struct Groups {
    members: Vec<Vec<ColumnId>>,
    of: HashMap<ColumnId, usize>,
}

impl Groups {
    /// Joins every child column with its parent column. Keys that point nowhere join nothing.
    #[must_use]
    pub fn of(catalog: &Catalog) -> Self {
        let mut groups = Self::default();
        for (t, table) in catalog.tables.iter().enumerate() {
            for key in &table.foreign_keys {
                let Some((p, parents)) = parent_columns(catalog, &key.parent, &key.parent_columns) else { continue };
                for (&child, &parent) in key.columns.iter().zip(&parents) {
                    groups.join((t, child), (p, parent));
                }
            }
        }
        groups.members.iter_mut().for_each(|m| m.sort_unstable());
        groups
    }

    /// The members of the column's group, itself included; empty where no foreign key touches it.
    #[must_use]
    pub fn members(&self, column: ColumnId) -> &[ColumnId] {
        self.of.get(&column).map_or(&[], |&g| &self.members[g])
    }

    fn join(&mut self, a: ColumnId, b: ColumnId) {
        let (a, b) = (self.group(a), self.group(b));
        if a != b {
            let moved = std::mem::take(&mut self.members[b]);
            for column in &moved {
                self.of.insert(*column, a);
            }
            self.members[a].extend(moved);
        }
    }

    fn group(&mut self, column: ColumnId) -> usize {
        *self.of.entry(column).or_insert_with(|| {
            self.members.push(vec![column]);
            self.members.len() - 1
        })
    }
}

/// The parent's position and the positions of its key columns; a clause without columns means the
/// parent's primary key. None where the table or a column does not exist, or no key is to be had.
#[must_use]
pub fn parent_columns(catalog: &Catalog, parent: &str, names: &[String]) -> Option<(usize, Vec<usize>)> {
    let p = catalog.tables.iter().position(|t| t.name.eq_ignore_ascii_case(parent))?;
    let table = &catalog.tables[p];
    let columns = if names.is_empty() {
        table.primary_key.clone()
    } else {
        names.iter().map(|n| table.column_index(n)).collect::<Option<_>>()?
    };
    (!columns.is_empty()).then_some((p, columns))
}
