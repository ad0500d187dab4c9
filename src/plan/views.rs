//! Views: translated where they mean the same, reported where not; never a reason to stop the rows.

use super::names::Names;
use crate::dialect::view::{ViewSource, translate_all};
use crate::dialect::{Relation, Scope};
use crate::model::plan::{Remark, ViewPlan};
use crate::model::source::Catalog;

/// Plans the views, in an order in which each finds those it reads. `relations` are the tables.
pub fn plan(
    catalog: &Catalog,
    names: &Names,
    schema: &str,
    relations: Vec<Relation>,
    remarks: &mut Vec<Remark>,
) -> Vec<ViewPlan> {
    let sources: Vec<ViewSource> = catalog
        .views
        .iter()
        .zip(&names.views)
        .map(|(view, target)| ViewSource {
            source: view.name.clone(),
            schema: schema.to_owned(),
            target: target.clone(),
            create_sql: view.sql.clone(),
        })
        .collect();
    let mut plans = Vec::with_capacity(sources.len());
    for (i, translated) in translate_all(&sources, &Scope { relations }) {
        let view = &catalog.views[i];
        match translated {
            Ok(done) => plans.push(ViewPlan {
                source: view.name.clone(),
                target: names.views[i].clone(),
                select: done.select_sql,
                source_sql: view.sql.clone(),
            }),
            Err(e) => remarks.push(
                Remark::warning(&view.name, format!("view not translated: {}", e.reason)).with_sql(view.sql.clone()),
            ),
        }
    }
    plans
}
