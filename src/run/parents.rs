//! The values that rows refer to, held for the readers that read the rows.

use super::Opened;
use crate::error::Result;
use crate::model::plan::Plan;
use crate::model::reshape::{ColumnShape, Reshape};
use std::sync::Arc;

/// Gathers them once for all readers, where more rows refer to a table than it has: else each reader looks there for itself.
pub fn hold(opened: &Opened, reshape: &Reshape, plan: &Plan) -> Result<()> {
    let rows = |name: &str| plan.tables.iter().find(|t| t.source.eq_ignore_ascii_case(name)).map(|t| t.rows);
    let refer = |parent: &str| -> u64 {
        let refers =
            |c: &ColumnShape| c.orphans.as_ref().is_some_and(|orphans| orphans.parent.eq_ignore_ascii_case(parent));
        let children = reshape.tables.iter().filter(|shape| shape.columns.iter().any(refers));
        children.filter_map(|shape| rows(&shape.name)).sum()
    };
    let is_worth = |parent: &str| rows(parent).is_some_and(|there| refer(parent) > there);
    let parents = Arc::new(opened.readers[0].parents(reshape, is_worth)?);
    opened.readers.iter().try_for_each(|reader| reader.hold(&parents))
}
