//! Every name on the target, decided before anything is created.

use crate::model::name::{Namespace, Spelling, is_system_column};
use crate::model::plan::Remark;
use crate::model::source::Catalog;

/// The names on the target, by the catalog's positions.
#[derive(Debug, Clone)]
pub struct Names {
    /// A name a table.
    pub tables: Vec<String>,
    /// A name a column, a list a table.
    pub columns: Vec<Vec<String>>,
    /// A name a view.
    pub views: Vec<String>,
    /// For each table the name of its identity's sequence, where PostgreSQL's own choice is not free.
    pub sequences: Vec<Option<String>>,
    /// What was renamed beyond the chosen spelling, and why.
    pub remarks: Vec<Remark>,
    spelling: Spelling,
    relations: Namespace,
}

impl Names {
    /// Decides the names of tables, columns and views. `taken` are relations of the target schema that are
    /// not ours to replace; a table may share its name with one of `existing`, because it is loaded into it.
    #[must_use]
    pub fn new(catalog: &Catalog, spelling: Spelling, taken: &[String], existing: &[String]) -> Self {
        let free = taken.iter().filter(|name| !existing.contains(name)).cloned();
        let mut relations = Namespace::with(free);
        let mut remarks = Vec::new();
        let mut relation = |kind: &str, name: &str, stated: Option<&str>| {
            let wanted = stated.map_or_else(|| spelling.apply(name), str::to_owned);
            let (given, changed) = relations.claim(&wanted);
            if changed {
                remarks.push(renamed(name, kind, &wanted, &given));
            }
            given
        };
        let tables: Vec<String> = catalog.tables.iter().map(|t| relation("table", &t.name, t.to.as_deref())).collect();
        let views = catalog.views.iter().map(|v| relation("view", &v.name, None)).collect();
        let mut columns = Vec::with_capacity(tables.len());
        for table in &catalog.tables {
            let mut inside = Namespace::default();
            let mut names = Vec::with_capacity(table.columns.len());
            for column in &table.columns {
                let wanted = column.to.clone().unwrap_or_else(|| spelling.apply(&column.name));
                let free = if is_system_column(&wanted) { format!("{wanted}_") } else { wanted.clone() };
                let (given, changed) = inside.claim(&free);
                if changed || free != wanted {
                    let object = format!("{}.{}", table.name, column.name);
                    remarks.push(renamed(&object, "column", &wanted, &given));
                }
                names.push(given);
            }
            columns.push(names);
        }
        // Before any index takes a name: PostgreSQL gives `table_column_seq` when it creates the table.
        let sequences = catalog.tables.iter().enumerate().map(|(t, table)| {
            let column = table.rowid_column()?;
            let (given, changed) = relations.claim(&format!("{}_{}_seq", tables[t], columns[t][column]));
            changed.then_some(given)
        });
        Self { sequences: sequences.collect(), tables, columns, views, remarks, spelling, relations }
    }

    /// A free name for an index or a key, in the chosen spelling and close to `wanted`.
    pub fn index(&mut self, wanted: &str, remarks: &mut Vec<Remark>) -> String {
        let spelled = self.spelling.apply(wanted);
        let (given, changed) = self.relations.claim(&spelled);
        if changed {
            remarks.push(renamed(wanted, "index", &spelled, &given));
        }
        given
    }
}

fn renamed(object: &str, kind: &str, wanted: &str, given: &str) -> Remark {
    let why = if wanted.is_empty() {
        "PostgreSQL has no empty name"
    } else if is_system_column(wanted) {
        "PostgreSQL keeps that name for itself"
    } else if wanted.len() > crate::model::bounds::PG_NAME_BYTES_MAX {
        "PostgreSQL's names end at 63 bytes"
    } else {
        "that name is taken"
    };
    Remark::note(object, format!("{kind} becomes `{given}`: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::source::{Column, RowKey, Table};

    fn table(name: &str, columns: &[&str]) -> Table {
        let column = |name: &&str| Column {
            name: (*name).to_owned(),
            declared: String::new(),
            not_null: false,
            default: None,
            generated: None,
            broken: false,
            to: None,
        };
        Table {
            name: name.to_owned(),
            sql: String::new(),
            columns: columns.iter().map(column).collect(),
            primary_key: vec![],
            row_key: RowKey::None,
            without_rowid: false,
            strict: false,
            sequence: None,
            indexes: vec![],
            foreign_keys: vec![],
            derived: None,
            marks: Vec::new(),
            to: None,
        }
    }

    #[test]
    fn names_that_would_meet_on_the_target_stay_apart_and_are_reported() {
        let catalog = Catalog {
            tables: vec![table("userData", &["ctid", "firstName", "first_name"]), table("user_data", &["a"])],
            ..Catalog::default()
        };
        let names = Names::new(&catalog, Spelling::Snake, &[], &[]);
        assert_eq!(names.tables, ["user_data", "user_data_2"]);
        assert_eq!(names.columns[0], ["ctid_", "first_name", "first_name_2"]);
        assert_eq!(names.remarks.len(), 3);
    }

    #[test]
    fn an_index_never_takes_the_name_of_a_relation_that_is_there() {
        let catalog = Catalog { tables: vec![table("a", &[])], ..Catalog::default() };
        let mut names = Names::new(&catalog, Spelling::Preserve, &["a_pkey".into(), "a".into()], &["a".into()]);
        assert_eq!(names.tables, ["a"]);
        let mut remarks = Vec::new();
        assert_eq!(names.index("a_pkey", &mut remarks), "a_pkey_2");
        assert_eq!(remarks.len(), 1);
        assert_eq!((names.index("other", &mut remarks), remarks.len()), ("other".to_owned(), 1));
    }
}
