//! Ids that were no uuids, kept in the target: which text became which uuid.
//!
//! The load makes them by itself, cell by cell. Their map is written once the rows are there: from the source, and a map in one
//! transaction, so that it is there or not. Where an id may be met again, those met lately are passed over here, and the
//! server, which has a disk for it, takes out what is left: nothing is held here but them.

use super::rows::Planned;
use super::{Context, Opened};
use crate::error::Result;
use crate::load::interrupted;
use crate::model::affinity::Affinity;
use crate::model::bounds::IDS_MET_LATELY;
use crate::model::cell::Cell;
use crate::model::conversion::{Conversion, Fit, Rewrite};
use crate::model::event::{Event, Phase};
use crate::model::reshape::{Orphans, Reshape, Stray};
use crate::model::source::{Index, RowKey, Table};
use crate::postgres::{control, ids};
use crate::sqlite::Reader;
use crate::transform::Compiled;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Instant;

// Bytes of a field before its payload.
const LENGTH_BYTES: usize = 4;

// A map's rule, and the columns whose ids were made by it.
struct Map<'a> {
    rule: &'a Conversion,
    columns: Vec<(&'a Table, usize)>,
}

impl Map<'_> {
    // Leaves out columns that hold no id but those of another column of the map: orphans of theirs do not arrive. To read them
    // would be to look for the parent of every row once more.
    fn without_echoes(&mut self, reshape: &Reshape, reader: &Reader) {
        let lead: Vec<(String, String)> =
            self.columns.iter().map(|(table, at)| (table.name.clone(), table.columns[*at].name.clone())).collect();
        let is_lead = |orphans: &Orphans| {
            lead.iter().any(|(table, column)| *table == orphans.parent && *column == orphans.column)
                && reshape.table(&orphans.parent).is_none_or(|shape| shape.is_own(&orphans.column))
                // Another collation takes texts for the same that are two ids.
                && reader.is_binary(&orphans.parent, &orphans.column)
        };
        self.columns.retain(|(table, at)| {
            let shape = reshape.table(&table.name).and_then(|shape| {
                shape.columns.iter().find(|shape| shape.name.eq_ignore_ascii_case(&table.columns[*at].name))
            });
            let orphans = shape.filter(|shape| shape.is_own()).and_then(|shape| shape.orphans.as_ref());
            orphans.is_none_or(|orphans| orphans.policy == Stray::Keep || !is_lead(orphans))
        });
    }
}

// Whether no id is met twice: there is one column, and its table's own key sees to it. A query's key is what a person says,
// and in a column without an affinity 7 and '7' are two values and one id.
fn is_once(columns: &[(&Table, usize)]) -> bool {
    let [(table, at)] = columns else { return false };
    if !matches!(Affinity::of(&table.columns[*at].declared), Affinity::Text | Affinity::Integer) {
        return false;
    }
    let is_own = table.without_rowid || matches!(table.row_key, RowKey::Rowid { .. });
    let by_index = |index: &Index| {
        index.unique && !index.partial && matches!(&index.columns[..], [only] if only.column == Some(*at))
    };
    is_own && (table.primary_key == [*at] || table.indexes.iter().any(by_index))
}

// New ids that were met lately, each in the one place that it can have.
struct Lately(Vec<[u8; 16]>);

impl Default for Lately {
    fn default() -> Self {
        Self(vec![[0; 16]; IDS_MET_LATELY])
    }
}

impl Lately {
    // Whether the id was met, as far as this is remembered. Ids are as good as random in their last bytes.
    fn meets(&mut self, id: [u8; 16]) -> bool {
        let at = u32::from_be_bytes(*id.last_chunk().expect("a uuid has sixteen bytes"));
        let place = &mut self.0[at as usize % IDS_MET_LATELY];
        std::mem::replace(place, id) == id
    }
}

/// Writes down every map of which an id was made, and is not written yet.
pub fn write_down(context: &Context<'_>, opened: &Opened, planned: &Planned) -> Result<()> {
    let mut maps: BTreeMap<&str, Map<'_>> = BTreeMap::new();
    let ledger = control::ledger(context.control, context.run)?;
    let set_aside = control::rejects(context.control, context.run)?;
    for (table, source) in planned.plan.tables.iter().zip(&planned.draft.catalog().tables) {
        for column in &table.columns {
            let Conversion::Id { map, .. } = &column.conversion else { continue };
            let was_made = ledger.iter().any(|line| {
                line.table == table.target && line.column == column.target && line.rule == Rewrite::IdMapped.phrase()
            });
            // Rows that were set aside may come in later.
            if !was_made && !set_aside.contains_key(&table.target) {
                continue;
            }
            let at = source.column_index(&column.source).expect("the plan's columns are the catalog's");
            let of_map = maps.entry(map).or_insert(Map { rule: &column.conversion, columns: Vec::new() });
            of_map.columns.push((source, at));
        }
    }
    let reader = &opened.readers[0];
    for map in maps.values_mut() {
        map.without_echoes(&context.options.reshape, reader);
    }
    let mut session = context.session()?;
    for (map, Map { rule, columns }) in maps {
        let started = Instant::now();
        let tx = session.transaction()?;
        if ids::is_written(&tx, context.run, map)? {
            continue;
        }
        let mut lately = if is_once(&columns) { None } else { Some(Lately::default()) };
        let (mut rule, mut field) = (Compiled::new(rule)?, Vec::new());
        let mut writer = ids::Writer::new(&tx, context.run, map)?;
        for (table, column) in columns {
            reader.ids(table, column, |id| {
                field.clear();
                let Ok(Fit::Rewritten(_)) = rule.write(id, &mut field) else { return Ok(()) };
                let new = field[LENGTH_BYTES..].try_into().expect("a uuid has sixteen bytes");
                if lately.as_mut().is_some_and(|lately| lately.meets(new)) {
                    return Ok(());
                }
                if context.stop.load(Ordering::Relaxed) {
                    return Err(interrupted());
                }
                match id {
                    Cell::Text(old) => writer.add(old, new),
                    Cell::Integer(old) => writer.add(old.to_string().as_bytes(), new),
                    _ => Ok(()),
                }
            })?;
        }
        writer.finish()?;
        if lately.is_some() {
            ids::once_each(&tx, context.run, map)?;
        }
        tx.commit()?;
        let ms = super::clock::millis(started);
        context.observer.event(&Event::Step { phase: Phase::Copy, object: format!("id map {map}"), ms });
    }
    Ok(())
}
