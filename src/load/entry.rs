//! How rows come into a table: straight by COPY, or through a stage where the server must look at each of them first.

use super::Conflict;
use crate::error::Result;
use crate::model::name::qualified;
use crate::model::plan::TablePlan;
use crate::postgres::ddl::{self, Meeting};
use crate::postgres::{CopyIn, Transaction, cast};

/// The way into one table.
#[derive(Debug)]
pub struct Entry {
    /// The COPY that takes the rows.
    copy: String,
    /// The statements that make the stage and that move its rows on; none where rows go straight to the table.
    stage: Option<(String, String)>,
    /// The zone in which PostgreSQL reads what it casts.
    zone: Option<String>,
    /// No row stays behind because of another one.
    takes_all: bool,
}

impl Entry {
    /// The way into this table. A stage is needed where rows that are there decide, and where PostgreSQL casts values from
    /// text. `freeze` needs the table to be new in the same transaction.
    #[must_use]
    pub fn of(schema: &str, table: &TablePlan, conflict: Conflict, freeze: bool) -> Self {
        let meeting = match conflict {
            Conflict::Fail if table.has_casts() => Meeting::Refused,
            Conflict::Skip if table.existing => Meeting::Kept,
            Conflict::Update if table.existing => Meeting::Replaced,
            _ => {
                let relation = qualified(schema, &table.target);
                return Self { copy: ddl::copy_in(&relation, table, freeze), stage: None, zone: None, takes_all: true };
            }
        };
        let stage = (ddl::create_stage(schema, table), ddl::insert_from_stage(schema, table, meeting));
        Self {
            copy: ddl::copy_in(ddl::STAGE, table, false),
            stage: Some(stage),
            zone: table.loaded().find_map(|c| c.cast_zone()).map(str::to_owned),
            takes_all: meeting == Meeting::Refused,
        }
    }

    /// Makes the stage, once a transaction.
    pub fn prepare(&self, tx: &Transaction<'_>) -> Result<()> {
        self.stage.as_ref().map_or(Ok(()), |(create, _)| tx.batch(create))
    }

    /// Begins the COPY of rows.
    pub fn copy<'t>(&self, tx: &'t Transaction<'_>) -> Result<CopyIn<'t>> {
        tx.copy_in(&self.copy)
    }

    /// Moves what was copied into the table, and empties the stage for more.
    pub fn arrive(&self, tx: &Transaction<'_>) -> Result<()> {
        let Some((_, insert)) = &self.stage else { return Ok(()) };
        self.insert(tx, insert)?;
        tx.batch(&ddl::empty_stage())
    }

    /// The last of [`Entry::arrive`]: the stage goes with the transaction. Gives the number of rows that the table took,
    /// where each of those that were copied (`rows`) should be in it.
    pub fn arrive_last(&self, tx: &Transaction<'_>, rows: u64) -> Result<u64> {
        let Some((_, insert)) = &self.stage else { return Ok(rows) };
        let taken = self.insert(tx, insert)?;
        Ok(if self.takes_all { taken } else { rows })
    }

    fn insert(&self, tx: &Transaction<'_>, insert: &str) -> Result<u64> {
        let Some(zone) = &self.zone else { return tx.execute(insert, &[]) };
        cast::read_in(tx, zone)?;
        let taken = tx.execute(insert, &[])?;
        cast::read_in(tx, cast::HOME)?;
        Ok(taken)
    }

    /// Takes the stage away, where the transaction goes on to other tables.
    pub fn leave(&self, tx: &Transaction<'_>) -> Result<()> {
        self.stage.as_ref().map_or(Ok(()), |_| tx.batch(&ddl::drop_stage()))
    }
}
