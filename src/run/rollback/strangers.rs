//! What only PostgreSQL has: left behind where nothing is lost, put into files where somebody wants that, told otherwise.

use super::Way;
use super::ground::Ground;
use crate::error::Result;
use crate::model::plan::{Plan, Remark, TablePlan};
use crate::postgres::read::Moment;
use crate::postgres::stranger::{Held, Stranger};
use crate::postgres::{Transaction, stranger};
use crate::rollback::export::{Unfits, cannot_write};
use crate::verify::listing::{self, ListFile};
use std::io::Write;
use std::path::PathBuf;

impl Way<'_> {
    // Tables and columns of the target that SQLite never had: what they hold cannot go back, unless it comes back by itself.
    pub(super) fn strangers(
        &self,
        tx: &Transaction<'_>,
        moment: &Moment,
        plan: &Plan,
        ground: &Ground,
        unfits: &mut Unfits,
    ) -> Result<Vec<Remark>> {
        let mut remarks = Vec::new();
        for together in ground.strangers.chunk_by(|a, b| a.table == b.table) {
            let (columns, tables): (Vec<&Stranger>, Vec<&Stranger>) = together.iter().partition(|s| s.column.is_some());
            for stranger in tables {
                let rows = stranger::rows(tx, &plan.schema, &stranger.table)?;
                if rows > 0 {
                    let file = self.exported(moment, plan, (&stranger.table, None), None, unfits)?;
                    unfits.stranger(stranger, rows, file.as_deref());
                }
            }
            if columns.is_empty() {
                continue;
            }
            let table = &columns[0].table;
            for (stranger, held) in columns.iter().zip(stranger::held(tx, &plan.schema, table, &columns)?) {
                let column = stranger.column.as_deref();
                let name = format!("{table}.{}", column.unwrap_or_default());
                match held {
                    Held::Nothing => {}
                    Held::Default => {
                        let text = "SQLite never had it, and every row holds its default: it is left behind";
                        remarks.push(Remark::note(name, text));
                    }
                    Held::Computed => {
                        let text = "SQLite never had it, and PostgreSQL computes it: it is left behind";
                        remarks.push(Remark::note(name, text));
                    }
                    Held::Values { count, but } => {
                        let file = self.exported(moment, plan, (table, column), but.as_deref(), unfits)?;
                        unfits.stranger(stranger, count, file.as_deref());
                    }
                }
            }
        }
        Ok(remarks)
    }

    // A table that differs and has no way back: its rows go to a file, where somebody wants that.
    pub(super) fn one_way(
        &self,
        moment: &Moment,
        plan: &Plan,
        table: &TablePlan,
        why: &str,
        rows: u64,
        unfits: &mut Unfits,
    ) -> Result<()> {
        let file = self.exported(moment, plan, (&table.target, None), None, unfits)?;
        unfits.one_way(&table.target, why, rows, file.as_deref());
        Ok(())
    }

    // Puts what only the target has into a file, where somebody wants that.
    fn exported(
        &self,
        moment: &Moment,
        plan: &Plan,
        (table, column): (&str, Option<&str>),
        but: Option<&str>,
        unfits: &Unfits,
    ) -> Result<Option<PathBuf>> {
        let Some(folder) = unfits.folder() else { return Ok(None) };
        let of = column.map_or_else(|| table.to_owned(), |column| format!("{table}.{column}"));
        let path = ListFile::path(folder, &of);
        let failed = |e| cannot_write(&path, e);
        let mut file = listing::open(&path).map_err(failed)?;
        let key = plan.tables.iter().find(|t| t.target == table);
        let key = key.and_then(|t| t.primary_key.as_ref()).map_or(&[][..], |k| &k.columns);
        let mut session = self.pool.lone_session()?;
        let mut tx = moment.begin(&mut session)?;
        let piece = |bytes: &[u8]| file.write_all(bytes).map_err(failed);
        stranger::export(&mut tx, &plan.schema, (table, column), but, key, piece)?;
        file.sync_all().map_err(failed)?;
        Ok(Some(path))
    }
}
