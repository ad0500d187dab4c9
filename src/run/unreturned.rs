//! What a way back will ask about, as far as that is known before the rows are there: tables without one, and what only
//! the target has.

use crate::error::Result;
use crate::model::plan::Plan;
use crate::model::restored::{Extent, Unreturned, WayBack, Why};
use crate::postgres::stranger::{self, Stranger};
use crate::postgres::{Session, catalog};

/// Tables of the schema that the plan does not name, and columns of tables that are there which it does not fill and that
/// fill themselves with more than a constant.
pub fn only_there(session: &Session, plan: &Plan) -> Result<Vec<Stranger>> {
    let is_known = |name: &String| {
        plan.tables.iter().any(|t| t.target == *name)
            || plan.left_alone.iter().any(|alone| alone.eq_ignore_ascii_case(name))
    };
    let tables = stranger::tables(session, &plan.schema)?.into_iter().filter(|name| !is_known(name));
    let mut all: Vec<Stranger> = tables.map(|table| Stranger { table, column: None, was_filled: false }).collect();
    let existing: Vec<String> = plan.tables.iter().filter(|t| t.existing).map(|t| t.target.clone()).collect();
    let there = catalog::columns_of(session, &plan.schema, &existing)?;
    for table in plan.tables.iter().filter(|t| t.existing) {
        let columns = there.get(&table.target).map_or(&[][..], Vec::as_slice);
        let is_filled = |name: &str| table.columns.iter().any(|c| c.target == name);
        let more: Vec<&str> = columns
            .iter()
            .filter(|c| c.has_default && !c.generated && !is_filled(&c.name))
            .map(|c| c.name.as_str())
            .collect();
        let constant =
            if more.is_empty() { Vec::new() } else { stranger::constant(session, &plan.schema, &table.target)? };
        let own = more.into_iter().filter(|name| !constant.iter().any(|c| c == name));
        all.extend(own.map(|name| Stranger {
            table: table.target.clone(),
            column: Some(name.to_owned()),
            was_filled: false,
        }));
    }
    Ok(all)
}

/// What of it nobody has left so far.
#[must_use]
pub fn unreturned(ways: &[WayBack], strangers: &[Stranger], leave: &[String]) -> Vec<Unreturned> {
    let there = strangers.iter().map(|stranger| Unreturned {
        name: stranger.column.as_ref().map_or_else(|| stranger.table.clone(), |c| format!("{}.{c}", stranger.table)),
        why: Why::OnlyThere,
    });
    let one_way = ways.iter().filter(|way| way.extent == Extent::OneWay && !way.is_left);
    let one_way = one_way.map(|way| Unreturned { name: way.table.clone(), why: Why::OneWay });
    there.chain(one_way).filter(|of| !leave.contains(&of.name)).collect()
}
