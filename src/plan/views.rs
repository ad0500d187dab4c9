//! Views: translated where they mean the same, reported where not; never a reason to stop the rows.

use super::names::Names;
use crate::dialect::{Relation, Scope, view};
use crate::model::plan::{Remark, ViewPlan};
use crate::model::source::Catalog;

/// Plans the views in an order in which each finds those it reads. `relations` are the tables.
pub fn plan(
    catalog: &Catalog,
    names: &Names,
    schema: &str,
    relations: Vec<Relation>,
    remarks: &mut Vec<Remark>,
) -> Vec<ViewPlan> {
    let mut scope = Scope { relations };
    let mut waiting: Vec<usize> = (0..catalog.views.len()).collect();
    let mut plans = Vec::new();
    loop {
        let before = waiting.len();
        // A view may read views that were created after it, so those that fail are tried again after others.
        waiting.retain(|&v| {
            let source = &catalog.views[v];
            let Ok(done) = view::translate(&source.sql, &scope) else { return true };
            scope.relations.push(done.relation(&source.name, schema, &names.views[v]));
            plans.push(ViewPlan {
                source: source.name.clone(),
                target: names.views[v].clone(),
                columns: done.columns.iter().map(|c| c.target.clone()).collect(),
                select: done.select_sql,
                source_sql: source.sql.clone(),
            });
            false
        });
        if waiting.len() == before {
            break;
        }
    }
    for v in waiting {
        let source = &catalog.views[v];
        let reason = view::translate(&source.sql, &scope).err().map_or_else(String::new, |e| e.reason);
        remarks.push(
            Remark::warning(&source.name, format!("view not translated: {reason}")).with_sql(source.sql.clone()),
        );
    }
    plans
}
