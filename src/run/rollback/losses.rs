//! What only the source has of what PostgreSQL holds: asked for by dry runs and rehearsals, since it takes one more
//! reading of both sides.

use super::super::Opened;
use super::super::proof::go_on;
use super::ground::Ground;
use super::{Both, Way};
use crate::error::Result;
use crate::model::loss::{Form, Loss};
use crate::model::source::{Catalog, Table};
use crate::postgres::read::Moment;
use crate::rollback::alone;
use crate::rollback::differ::Subject;
use crate::sqlite::stage::Stage;

impl Way<'_> {
    /// The forms of cells and rows that a way back keeps because the source is there, table by table.
    pub(super) fn losses(
        &self,
        moment: &Moment,
        opened: &Opened,
        base: &Catalog,
        ground: &Ground,
    ) -> Result<Vec<Loss>> {
        let look = || go_on(self.stop);
        let (plan, reader) = (&ground.plan, &opened.readers[0]);
        let sides = Both { shaped: &opened.catalog, base, reshape: self.reshape };
        let stage = Stage::create(&self.workshop.losses())?;
        let mut session = self.pool.lone_session()?;
        let mut all = Vec::new();
        let goes_back = |table: &&Table| {
            let number = plan.tables.iter().position(|t| t.source == table.name);
            number.filter(|t| !ground.one_way.contains_key(&plan.tables[*t].target))
        };
        for table in &base.tables {
            let Some(t) = goes_back(&table) else {
                let rows = reader.count(table)?;
                all.extend((rows > 0).then(|| Loss::new(&table.name, None, Form::Table, rows)));
                continue;
            };
            let planned = &plan.tables[t];
            let shape = self.reshape.table(&planned.source);
            let subject = Subject::to_read(planned, sides.tables(planned), shape, self.rejected.get(&planned.target))?;
            let mut tx = moment.begin(&mut session)?;
            all.extend(alone::losses(&subject, reader, (&mut tx, &plan.schema), (&stage, t), &look)?);
        }
        Ok(all)
    }
}
