//! Several tables that hold rows of the same kind, as one SELECT.

use crate::model::name::quoted;
use crate::model::reshape::{MergeSource, Orphans};
use crate::model::source::{Column, Table};

/// The column by which a merge says that a row has twins with other values.
pub const TWINS: &str = "lite2pg twins";

/// The rows of several tables as one SELECT: every column of each under its name in the merged table, NULL where a table has
/// none of that name. `tables` are those of the sources, in their order.
#[must_use]
pub fn select(tables: &[&Table], sources: &[MergeSource], key: &[String]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for (table, source) in tables.iter().zip(sources) {
        for name in table.columns.iter().filter_map(|column| source.name_of(&column.name)) {
            if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                names.push(name);
            }
        }
    }
    // The column of a source under a name of the merged table.
    let own = |n: usize, name: &str| {
        let is_it =
            |column: &&Column| sources[n].name_of(&column.name).is_some_and(|own| own.eq_ignore_ascii_case(name));
        tables[n].columns.iter().find(is_it).filter(|column| !column.broken)
    };
    let shown = |n: usize, alias: &str, name: &str| {
        own(n, name).map_or_else(|| "NULL".to_owned(), |column| format!("{alias}.{}", quoted(&column.name)))
    };
    let from = |n: usize, alias: &str| {
        let only = sources[n].only.as_ref().map_or_else(String::new, |only| format!(" WHERE ({only}\n)"));
        format!("(SELECT * FROM main.{}{only}) AS {alias}", quoted(&tables[n].name))
    };
    // Whether another source has a row with the key of this one's.
    let twin = |other: usize, n: usize, more: &str| {
        let same: Vec<String> =
            key.iter().map(|name| format!("{} = {}", shown(other, "t", name), shown(n, "s", name))).collect();
        format!("EXISTS (SELECT 1 FROM {} WHERE {}{more})", from(other, "t"), same.join(" AND "))
    };
    let part = |n: usize| {
        let mut list: Vec<String> =
            names.iter().map(|name| format!("{} AS {}", shown(n, "s", name), quoted(name))).collect();
        let mut twins = vec!["0".to_owned()];
        for other in n + 1..sources.len() {
            let shared = names.iter().filter(|name| own(n, name).is_some() && own(other, name).is_some());
            let differ: Vec<String> =
                shared.map(|name| format!("{} IS NOT {}", shown(other, "t", name), shown(n, "s", name))).collect();
            twins.push(twin(other, n, &format!(" AND ({})", differ.join(" OR "))));
        }
        list.push(format!("({}) AS {}", twins.join(" OR "), quoted(TWINS)));
        let better: Vec<String> = (0..n).map(|other| format!(" AND NOT {}", twin(other, n, ""))).collect();
        format!("SELECT {} FROM {} WHERE 1{}", list.join(", "), from(n, "s"), better.concat())
    };
    (0..sources.len()).map(part).collect::<Vec<_>>().join("\nUNION ALL\n")
}

/// What the ledger says of rows with twins.
#[must_use]
pub fn twins(sources: &[MergeSource]) -> String {
    let names: Vec<String> = sources.iter().map(|source| format!("`{}`", source.table)).collect();
    format!("merge of {}: twins with other values, the first one taken", names.join(", "))
}

/// Whether one of them has a row that a value refers to.
#[must_use]
pub fn exists(sources: &[MergeSource], own: &str, orphans: &Orphans) -> String {
    let named = sources.iter().find(|s| s.table.eq_ignore_ascii_case(&orphans.parent));
    let name = named.and_then(|s| s.name_of(&orphans.column)).unwrap_or(&orphans.column);
    let any = sources.iter().map(|source| {
        let renamed = source.columns.iter().find(|(_, to)| to.eq_ignore_ascii_case(name));
        let (table, column) = (quoted(&source.table), quoted(renamed.map_or(name, |(from, _)| from)));
        let only = source.only.as_ref().map_or_else(String::new, |only| format!(" AND ({only}\n)"));
        format!(
            "EXISTS (SELECT 1 FROM main.{table} AS \"lite2pg parent\" WHERE \"lite2pg parent\".{column} = {own}{only})"
        )
    });
    format!("({})", any.collect::<Vec<_>>().join(" OR "))
}
