//! Keys, indexes, checks, foreign keys: what of a table's other definitions arrives, and what is reported.

use super::groups::parent_columns;
use super::names::Names;
use crate::dialect::table::{Conflict, Key, TableSql};
use crate::dialect::{self, Scope, Want, collation};
use crate::model::name::{Namespace, quoted};
use crate::model::plan::{CheckPlan, ColumnPlan, ForeignKeyPlan, IndexPlan, KeyPlan, Remark};
use crate::model::source::{Catalog, Index, IndexOrigin, Table};
use std::collections::HashSet;

/// Everything that the objects of one table are planned from.
pub struct Builder<'a> {
    /// The whole catalog, for parents.
    pub catalog: &'a Catalog,
    /// The table's position in it.
    pub position: usize,
    /// The facts of its CREATE TABLE, where that could be parsed.
    pub sql: Option<&'a TableSql>,
    /// Its columns as names and types in an expression.
    pub scope: &'a Scope,
    /// Its columns on the target.
    pub columns: &'a [ColumnPlan],
    /// Positions of columns that hold NULL.
    pub null_columns: &'a HashSet<usize>,
}

impl Builder<'_> {
    fn table(&self) -> &Table {
        &self.catalog.tables[self.position]
    }

    fn target(&self, column: usize) -> &str {
        &self.columns[column].target
    }

    /// The primary key; none where SQLite let NULL into it, which then is a unique index.
    pub fn primary_key(&self, names: &mut Names, remarks: &mut Vec<Remark>) -> (Option<KeyPlan>, Vec<IndexPlan>) {
        let table = self.table();
        if table.primary_key.is_empty() {
            return (None, Vec::new());
        }
        let target = &names.tables[self.position].clone();
        let columns: Vec<String> = table.primary_key.iter().map(|&c| self.target(c).to_owned()).collect();
        let mut extra = Vec::new();
        let has_null = table.primary_key.iter().any(|c| self.null_columns.contains(c));
        if let Some(index) = table.indexes.iter().find(|i| i.origin == IndexOrigin::PrimaryKey)
            && index.columns.iter().any(|c| !is_binary(&c.collation))
        {
            extra.extend(self.index(index, &format!("{target}_pkey_fold"), names, remarks));
        }
        if has_null {
            remarks.push(Remark::warning(
                &table.name,
                "the primary key holds NULL, which PostgreSQL forbids: it becomes a unique index",
            ));
            let name = names.index(&format!("{target}_key"), remarks);
            let terms = columns.iter().map(|c| quoted(c)).collect::<Vec<_>>().join(", ");
            extra.push(IndexPlan { name, unique: true, constraint: false, terms, condition: None });
            return (None, extra);
        }
        let stated = self.sql.and_then(|s| s.primary_key.as_ref());
        self.conflict_clause(stated, remarks);
        let stated = stated.and_then(|k| k.name.clone());
        let name = names.index(&stated.unwrap_or_else(|| format!("{target}_pkey")), remarks);
        (Some(KeyPlan { name, columns }), extra)
    }

    /// Unique constraints and indexes, in the catalog's order.
    pub fn indexes(&self, names: &mut Names, remarks: &mut Vec<Remark>) -> Vec<IndexPlan> {
        let target = names.tables[self.position].clone();
        let mut plans = Vec::new();
        for index in &self.table().indexes {
            let wanted = match index.origin {
                IndexOrigin::PrimaryKey => continue,
                IndexOrigin::Create => index.name.clone(),
                IndexOrigin::Unique => {
                    self.conflict_clause(self.stated_unique(index), remarks);
                    self.unique_name(&target, index)
                }
            };
            plans.extend(self.index(index, &wanted, names, remarks));
        }
        plans
    }

    // SQLite's constraints can say what a conflict does; PostgreSQL's INSERT says it instead.
    fn conflict_clause(&self, key: Option<&Key>, remarks: &mut Vec<Remark>) {
        let clause = match key.and_then(|k| k.conflict) {
            Some(Conflict::Replace) => "REPLACE",
            Some(Conflict::Ignore) => "IGNORE",
            _ => return,
        };
        let key = key.map_or_else(String::new, |k| k.columns.join(", "));
        let text = format!("ON CONFLICT {clause} of the key ({key}) has no counterpart: a second row is refused");
        let sql =
            format!("INSERT … ON CONFLICT ({key}) DO {}", if clause == "IGNORE" { "NOTHING" } else { "UPDATE SET …" });
        remarks.push(Remark::warning(&self.table().name, text).with_sql(sql));
    }

    fn unique_columns(&self, index: &Index) -> Vec<&str> {
        index.columns.iter().filter_map(|c| c.column).map(|c| self.table().columns[c].name.as_str()).collect()
    }

    fn stated_unique(&self, index: &Index) -> Option<&Key> {
        let columns = self.unique_columns(index);
        let same = |key: &&Key| {
            key.columns.len() == columns.len()
                && key.columns.iter().zip(&columns).all(|(a, b)| a.eq_ignore_ascii_case(b))
        };
        self.sql.and_then(|sql| sql.uniques.iter().find(same))
    }

    fn unique_name(&self, target: &str, index: &Index) -> String {
        let stated = self.stated_unique(index).and_then(|key| key.name.clone());
        stated.unwrap_or_else(|| format!("{target}_{}_key", self.unique_columns(index).join("_")))
    }

    fn index(&self, index: &Index, wanted: &str, names: &mut Names, remarks: &mut Vec<Remark>) -> Option<IndexPlan> {
        match self.terms(index, remarks) {
            Ok((terms, condition, unique)) => {
                let plain = index.columns.iter().all(|c| c.column.is_some() && is_binary(&c.collation));
                let constraint = index.origin == IndexOrigin::Unique && plain && unique;
                let name = names.index(wanted, remarks);
                Some(IndexPlan { name, unique, constraint, terms: terms.join(", "), condition })
            }
            Err(reason) => {
                let sql = index.sql.clone().unwrap_or_else(|| self.table().sql.clone());
                let what = if index.unique { "unique index" } else { "index" };
                remarks.push(
                    Remark::warning(&index.name, format!("{what} on `{}` not translated: {reason}", self.table().name))
                        .with_sql(sql),
                );
                None
            }
        }
    }

    // The terms as SQL, the condition, and whether the index may be unique.
    fn terms(&self, index: &Index, remarks: &mut Vec<Remark>) -> Result<(Vec<String>, Option<String>, bool), String> {
        let sql = index.sql.as_deref().map(dialect::index::parse).transpose().map_err(|e| e.reason)?;
        let mut unique = index.unique;
        let mut terms = Vec::with_capacity(index.columns.len());
        for (i, column) in index.columns.iter().enumerate() {
            let term = match column.column {
                Some(c) => self.column_term(c, &column.collation, index, &mut unique, remarks),
                None if column.expression => {
                    let term = sql.as_ref().and_then(|s| s.terms.get(i)).ok_or("its SQL has fewer terms")?;
                    let done = dialect::expression(&term.expression, self.scope, &Want::Any).map_err(|e| e.reason)?;
                    if index.unique && !done.exact {
                        return Err("its values are not told apart as SQLite does".to_owned());
                    }
                    format!("({})", done.sql)
                }
                None => {
                    let rowid = self.table().rowid_column().ok_or("it holds the rowid, which is no column")?;
                    quoted(self.target(rowid))
                }
            };
            terms.push(if column.descending { format!("{term} DESC") } else { term });
        }
        let condition = match sql.and_then(|s| s.where_clause) {
            Some(text) => Some(dialect::expression(&text, self.scope, &Want::Boolean).map_err(|e| e.reason)?.sql),
            None if index.partial => return Err("its WHERE could not be read".to_owned()),
            None => None,
        };
        Ok((terms, condition, unique))
    }

    fn column_term(
        &self,
        column: usize,
        name: &str,
        index: &Index,
        unique: &mut bool,
        remarks: &mut Vec<Remark>,
    ) -> String {
        let plain = quoted(self.target(column));
        if is_binary(name) || !self.columns[column].pg_type.is_text() {
            return plain;
        }
        match collation::key(&plain, name) {
            // A function call needs no parentheses in an index.
            Ok(folded) => folded,
            Err(e) => {
                let lost = if *unique { "; it is a plain index, not a unique one" } else { "" };
                remarks.push(Remark::warning(&index.name, format!("{}: sorted by the server's own{lost}", e.reason)));
                *unique = false;
                plain
            }
        }
    }

    /// CHECK constraints.
    pub fn checks(&self, constraints: &mut Namespace, remarks: &mut Vec<Remark>) -> Vec<CheckPlan> {
        let table = self.table();
        let mut plans = Vec::new();
        for check in self.sql.map_or(&[][..], |s| &s.checks) {
            match dialect::expression(&check.expression, self.scope, &Want::Boolean) {
                Ok(done) => {
                    let column = check.column.as_ref().map_or_else(String::new, |c| format!("{c}_"));
                    let wanted = check.name.clone().unwrap_or_else(|| format!("{}_{column}check", table.name));
                    let (name, _) = constraints.claim(&wanted);
                    plans.push(CheckPlan { name, condition: done.sql, source: check.expression.clone() });
                }
                Err(e) => remarks.push(
                    Remark::warning(&table.name, format!("check not translated: {}", e.reason))
                        .with_sql(format!("CHECK ({})", check.expression)),
                ),
            }
        }
        plans
    }

    /// Foreign keys. `broken` are columns whose parents arrive in another type.
    pub fn foreign_keys(
        &self,
        names: &Names,
        broken: &HashSet<usize>,
        constraints: &mut Namespace,
        remarks: &mut Vec<Remark>,
    ) -> Vec<ForeignKeyPlan> {
        let table = self.table();
        let mut plans = Vec::new();
        for key in &table.foreign_keys {
            let columns: Vec<String> = key.columns.iter().map(|&c| self.target(c).to_owned()).collect();
            let reason = match parent_columns(self.catalog, &key.parent, &key.parent_columns) {
                None => Some(format!("its parent `{}` is not there, or not part of this run", key.parent)),
                Some((_, p)) if p.len() != key.columns.len() => Some("it has not as many columns as its parent".into()),
                Some(_) if key.columns.iter().any(|c| broken.contains(c)) => {
                    Some("the two sides hold values that no common type takes".to_owned())
                }
                Some(_) => None,
            };
            if let Some(reason) = reason {
                // Without columns, the parent's primary key is meant: on the target too.
                let of_parent = match key.parent_columns.join(", ") {
                    none if none.is_empty() => none,
                    some => format!(" ({some})"),
                };
                let sql = format!("FOREIGN KEY ({}) REFERENCES {}{of_parent}", columns.join(", "), key.parent);
                let remark = Remark::warning(&table.name, format!("foreign key not translated: {reason}"));
                remarks.push(remark.with_sql(sql));
                continue;
            }
            let Some((parent, parents)) = parent_columns(self.catalog, &key.parent, &key.parent_columns) else {
                continue;
            };
            let child: Vec<&str> = key.columns.iter().map(|&c| table.columns[c].name.as_str()).collect();
            let said = self.sql.and_then(|s| {
                s.foreign_keys.iter().find(|k| {
                    k.parent.eq_ignore_ascii_case(&key.parent)
                        && k.columns.len() == child.len()
                        && k.columns.iter().zip(&child).all(|(a, b)| a.eq_ignore_ascii_case(b))
                })
            });
            let wanted = said.and_then(|k| k.name.clone());
            let wanted =
                wanted.unwrap_or_else(|| format!("{}_{}_fkey", names.tables[self.position], columns.join("_")));
            let (name, _) = constraints.claim(&wanted);
            plans.push(ForeignKeyPlan {
                name,
                columns,
                parent: names.tables[parent].clone(),
                parent_columns: parents.iter().map(|&c| names.columns[parent][c].clone()).collect(),
                on_update: key.on_update.clone(),
                on_delete: key.on_delete.clone(),
                deferred: said.is_some_and(|k| k.deferrable && k.initially_deferred),
            });
        }
        plans
    }
}

fn is_binary(collation: &str) -> bool {
    collation.eq_ignore_ascii_case("BINARY")
}
