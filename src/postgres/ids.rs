//! What became of ids that were no uuids: `lite2pg.id_map`.

use super::copy::CopyIn;
use super::encode;
use super::session::{Session, Transaction};
use crate::error::Result;
use crate::model::bounds::BATCH_BYTES;
use uuid::Uuid;

/// Whether the map was written down already, which is done in one transaction.
pub fn is_written(tx: &Transaction<'_>, run: Uuid, map: &str) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT FROM lite2pg.id_map WHERE run = $1::text::uuid AND map = $2)";
    Ok(tx.query_one(sql, &[&run.to_string(), &map])?.get(0))
}

/// Takes out what stands in a map more than once.
pub fn once_each(tx: &Transaction<'_>, run: Uuid, map: &str) -> Result<u64> {
    let sql = "DELETE FROM lite2pg.id_map m USING (SELECT ctid AS at, row_number() OVER (PARTITION BY old COLLATE \"C\") AS n \
               FROM lite2pg.id_map WHERE run = $1::text::uuid AND map = $2) AS met WHERE met.n > 1 AND m.ctid = met.at";
    tx.execute(sql, &[&run.to_string(), &map])
}

/// The id that became this uuid in a map.
pub fn old(session: &Session, run: Uuid, map: &str, new: [u8; 16]) -> Result<Option<String>> {
    let sql = "SELECT old FROM lite2pg.id_map WHERE run = $1::text::uuid AND map = $2 AND new = $3::text::uuid LIMIT 1";
    let new = Uuid::from_bytes(new).to_string();
    Ok(session.query_opt(sql, &[&run.to_string(), &map, &new])?.map(|row| row.get(0)))
}

/// Writes a map down, id after id.
pub struct Writer<'t> {
    copy: CopyIn<'t>,
    run: Uuid,
    map: &'t str,
    batch: Vec<u8>,
}

impl<'t> Writer<'t> {
    /// Begins.
    pub fn new(tx: &'t Transaction<'_>, run: Uuid, map: &'t str) -> Result<Self> {
        let copy = tx.copy_in("COPY lite2pg.id_map (run, map, old, new) FROM STDIN (FORMAT binary)")?;
        let mut batch = Vec::new();
        encode::header(&mut batch);
        Ok(Self { copy, run, map, batch })
    }

    /// One old id and what became of it.
    pub fn add(&mut self, old: &[u8], new: [u8; 16]) -> Result<()> {
        encode::row(4, &mut self.batch);
        encode::uuid(*self.run.as_bytes(), &mut self.batch);
        encode::text(self.map.as_bytes(), &mut self.batch);
        encode::text(old, &mut self.batch);
        encode::uuid(new, &mut self.batch);
        if self.batch.len() >= BATCH_BYTES { self.copy.send(std::mem::take(&mut self.batch).into()) } else { Ok(()) }
    }

    /// Ends, and gives the number of ids.
    pub fn finish(mut self) -> Result<u64> {
        encode::trailer(&mut self.batch);
        self.copy.send(self.batch.into())?;
        self.copy.finish()
    }
}
