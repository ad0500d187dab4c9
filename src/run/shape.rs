//! The catalog in the shape that a person states: tables and columns renamed, left out, filtered, computed.

use crate::error::{Error, Kind, Result};
use crate::model::affinity::Affinity;
use crate::model::reshape::{ColumnShape, Inverse, MergeSource, Origin, Reshape, Stray, TableShape, Value};
use crate::model::source::{Catalog, Column, RowKey, Table};
use crate::sqlite::{Reader, derive, inverse, merge};

/// Gives the catalog its shape. What SQLite does not understand is a [`Kind::Usage`] error.
pub fn apply(catalog: &mut Catalog, reshape: &Reshape, reader: &Reader) -> Result<()> {
    let merges = reshape.tables.iter().any(|shape| matches!(shape.origin, Origin::Merge { .. }));
    // As it was, with the tables that globs leave out.
    let all = if merges { reader.catalog()? } else { Catalog::default() };
    for shape in &reshape.tables {
        let table = match &shape.origin {
            Origin::Table(name) => {
                let Some(at) = catalog.tables.iter().position(|t| t.name.eq_ignore_ascii_case(name)) else {
                    // Left out by a glob, or dropped since the run that is compared.
                    continue;
                };
                if shape.skip {
                    catalog.tables.remove(at);
                    catalog.remarks.push(format!("table `{name}` is left out on purpose"));
                    continue;
                }
                let shaped = of_table(&catalog.tables[at], shape, reshape, reader)?;
                catalog.tables[at] = shaped;
                continue;
            }
            Origin::Query { .. } | Origin::Merge { .. } if shape.skip => continue,
            Origin::Query { sql, key } => {
                of_query(shape, (&derive::with_defined(sql, &reshape.define), key), reshape, reader)?
            }
            Origin::Merge { sources, key } => {
                let of = |source: &MergeSource| {
                    all.table(&source.table).ok_or_else(|| {
                        Error::new(Kind::Usage, format!("the source has no table `{}`", source.table))
                            .state("nothing was written")
                    })
                };
                let tables = sources.iter().map(of).collect::<Result<Vec<_>>>()?;
                let table = of_query(shape, (&merge::select(&tables, sources, key), key), reshape, reader)?;
                // They are this one from now on.
                let is_merged = |t: &Table| t.derived.is_none() && sources.iter().any(|s| s.table == t.name);
                catalog.tables.retain(|t| !is_merged(t));
                table
            }
        };
        // A table of the source that is called like it is the one that it takes the place of.
        catalog.tables.retain(|t| t.derived.is_some() || !t.name.eq_ignore_ascii_case(&table.name));
        catalog.tables.push(table);
    }
    let states_inverses = reshape.tables.iter().any(|shape| !shape.skip && !shape.inverse.is_empty());
    if states_inverses { check_inverses(catalog, reshape, reader) } else { Ok(()) }
}

// What a SELECT for the way back gives, before anybody needs it.
fn check_inverses(catalog: &Catalog, reshape: &Reshape, reader: &Reader) -> Result<()> {
    let base = reader.catalog()?;
    for shape in reshape.tables.iter().filter(|shape| !shape.skip) {
        for inverse in &shape.inverse {
            let what = format!("the inverse of `{}` for `{}`", shape.name, inverse.table);
            let usage = |why: String| Error::new(Kind::Usage, format!("{what} {why}")).state("nothing was written");
            let Some(table) = base.table(&inverse.table) else {
                return Err(usage("is for a table that the source does not have".to_owned()));
            };
            let sql = inverse::over_nothing(&made(catalog, reshape, inverse), &inverse.sql);
            let given = reader.columns_of_select(&sql, &what)?;
            for column in &given {
                let own = table.column_index(&column.name).map(|i| &table.columns[i]);
                if own.is_none_or(|own| own.generated.is_some()) {
                    return Err(usage(format!("gives a column `{}` that cannot be written there", column.name)));
                }
            }
            let is_given = |&i: &usize| given.iter().any(|c| c.name.eq_ignore_ascii_case(&table.columns[i].name));
            if let Some(i) = table.key_columns().into_iter().find(|i| !is_given(i)) {
                return Err(usage(format!("gives no `{}`, by which rows are found", table.columns[i].name)));
            }
        }
    }
    Ok(())
}

/// The tables that are made of others and that the SELECT of an inverse names.
pub fn made<'a>(catalog: &'a Catalog, reshape: &Reshape, inverse: &Inverse) -> Vec<&'a Table> {
    let is_made = |t: &&Table| reshape.table(&t.name).is_some_and(TableShape::is_made_of_others);
    catalog.tables.iter().filter(|t| is_made(t) && inverse.uses(&t.name)).collect()
}

fn of_table(table: &Table, shape: &TableShape, reshape: &Reshape, reader: &Reader) -> Result<Table> {
    let mut shaped = table.clone();
    shaped.to.clone_from(&shape.to);
    let derived = shape.is_derived();
    for column in &mut shaped.columns {
        let found = shape.columns.iter().find(|c| c.name.eq_ignore_ascii_case(&column.name));
        column.to = found.and_then(|c| c.to.clone());
        if derived {
            column.generated = None;
        }
    }
    let is_own = |name: &str| shape.columns.iter().all(|c| !c.name.eq_ignore_ascii_case(name) || c.is_own());
    if derived {
        let derive::Shaped { sql, marks } = derive::select(table, shape, reshape);
        let given = reader.columns_of_select(&sql, &format!("table `{}`", shape.name))?;
        // A computed column is one of no declared type, and no key or index of the old one means it.
        let computed: Vec<bool> = shaped.columns.iter().map(|c| !is_own(&c.name)).collect();
        forget(&mut shaped, &computed);
        for (column, computed) in shaped.columns.iter_mut().zip(&computed).filter(|(_, computed)| **computed) {
            let _ = computed;
            column.declared = String::new();
            column.not_null = false;
            column.default = None;
        }
        // CHECKs and expressions speak of the columns as they were.
        shaped.sql = String::new();
        shaped.strict = false;
        if let RowKey::Rowid { name, .. } = &mut shaped.row_key {
            derive::ROWID.clone_into(name);
        }
        for column in &mut shaped.columns {
            let found = shape.columns.iter().find(|c| c.name.eq_ignore_ascii_case(&column.name));
            let orphans = found.and_then(|c| c.orphans.as_ref());
            column.not_null &= orphans.is_none_or(|orphans| orphans.policy != Stray::Null);
        }
        let is_ours = |name: &str| name == derive::ROWID || (0..marks.len()).any(|n| name == derive::mark(n));
        for new in given.iter().filter(|g| !is_ours(&g.name) && table.column_index(&g.name).is_none()) {
            let to = shape.columns.iter().find(|c| c.name == new.name).and_then(|c| c.to.clone());
            shaped.columns.push(Column { to, ..plain(&new.name, &new.declared) });
        }
        (shaped.derived, shaped.marks) = (Some(sql), marks);
    }
    let skipped: Vec<bool> = shaped
        .columns
        .iter()
        .map(|c| shape.columns.iter().any(|s| s.skip && s.name.eq_ignore_ascii_case(&c.name)))
        .collect();
    drop_columns(&mut shaped, &skipped);
    if shaped.columns.is_empty() {
        return Err(Error::new(Kind::Usage, format!("no column is left of `{}`", shape.name))
            .state("nothing was written")
            .hint("`skip = true` leaves the whole table out"));
    }
    Ok(shaped)
}

fn of_query(shape: &TableShape, (query, key): (&str, &[String]), reshape: &Reshape, reader: &Reader) -> Result<Table> {
    let what = format!("table `{}`", shape.name);
    let inner = reader.columns_of_select(query, &what)?;
    let is_there = |name: &str| inner.iter().any(|column| column.name == name);
    let needs_one = |column: &&ColumnShape| !matches!(column.value, Value::Sql(_) | Value::Constant(_));
    if let Some(column) = shape.columns.iter().filter(needs_one).find(|column| !is_there(&column.name)) {
        let gives: Vec<String> = inner.iter().map(|c| format!("`{}`", c.name)).collect();
        return Err(Error::new(Kind::Usage, format!("the query of {what} gives no column `{}`", column.name))
            .fact(format!("it gives {}", gives.join(", ")))
            .state("nothing was written"));
    }
    let derive::Shaped { sql, marks } = derive::select_from_query(query, &inner, shape, reshape);
    let mut given = reader.columns_of_select(&sql, &what)?;
    given.truncate(given.len() - marks.len());
    let mut columns = Vec::with_capacity(given.len());
    for column in &given {
        if columns.iter().any(|c: &Column| c.name.eq_ignore_ascii_case(&column.name)) {
            return Err(Error::new(Kind::Usage, format!("the query of {what} gives two columns `{}`", column.name))
                .state("nothing was written")
                .hint("SELECT … AS … gives one of them another name"));
        }
        let to = shape.columns.iter().find(|c| c.name == column.name).and_then(|c| c.to.clone());
        columns.push(Column { to, ..plain(&column.name, &column.declared) });
    }
    let position = |name: &String| {
        columns.iter().position(|c| c.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
            Error::new(Kind::Usage, format!("the query of {what} has no column `{name}` for its key"))
                .state("nothing was written")
        })
    };
    let primary_key = key.iter().map(position).collect::<Result<Vec<_>>>()?;
    let first = primary_key.first().copied();
    let split = first.filter(|&i| {
        Affinity::of(&columns[i].declared) == Affinity::Integer
            && !columns[i].declared.is_empty()
            && reader.is_split_cheaply(&sql, &columns[i].name)
    });
    Ok(Table {
        name: shape.name.clone(),
        sql: String::new(),
        columns,
        primary_key,
        row_key: RowKey::PrimaryKey { split },
        without_rowid: false,
        strict: false,
        sequence: None,
        indexes: Vec::new(),
        foreign_keys: Vec::new(),
        derived: Some(sql),
        marks,
        to: shape.to.clone(),
    })
}

fn plain(name: &str, declared: &str) -> Column {
    Column {
        name: name.to_owned(),
        declared: declared.to_owned(),
        not_null: false,
        default: None,
        generated: None,
        broken: false,
        to: None,
    }
}

// Keys and indexes that any of these columns is part of mean something else now.
fn forget(table: &mut Table, gone: &[bool]) {
    let is_gone = |i: &usize| gone.get(*i).copied().unwrap_or(false);
    if table.primary_key.iter().any(is_gone) {
        table.primary_key.clear();
        table.sequence = None;
    }
    table
        .indexes
        .retain(|index| index.columns.iter().all(|c| c.column.is_some_and(|i| !is_gone(&i))) && !index.partial);
    table.foreign_keys.retain(|key| !key.columns.iter().any(is_gone));
    match &mut table.row_key {
        RowKey::Rowid { column, .. } if column.is_some_and(|c| is_gone(&c)) => *column = None,
        RowKey::PrimaryKey { split } if split.is_some_and(|c| is_gone(&c)) => *split = None,
        _ => {}
    }
}

// Takes columns out; what is left keeps its order.
fn drop_columns(table: &mut Table, gone: &[bool]) {
    if !gone.contains(&true) {
        return;
    }
    let mut place = 0;
    let moved: Vec<Option<usize>> = gone
        .iter()
        .map(|gone| {
            place += usize::from(!gone);
            (!gone).then(|| place - 1)
        })
        .collect();
    if table.primary_key.iter().any(|&i| gone[i]) {
        table.primary_key.clear();
        table.sequence = None;
    }
    table.primary_key.iter_mut().for_each(|i| *i = moved[*i].unwrap_or(*i));
    table.indexes.retain(|index| index.columns.iter().all(|c| c.column.is_none_or(|i| !gone[i])));
    for column in table.indexes.iter_mut().flat_map(|index| &mut index.columns) {
        column.column = column.column.and_then(|i| moved[i]);
    }
    table.foreign_keys.retain(|key| !key.columns.iter().any(|&i| gone[i]));
    for key in &mut table.foreign_keys {
        key.columns.iter_mut().for_each(|i| *i = moved[*i].unwrap_or(*i));
    }
    match &mut table.row_key {
        RowKey::Rowid { column, .. } => *column = column.and_then(|c| moved[c]),
        RowKey::PrimaryKey { split } => *split = split.and_then(|c| moved[c]),
        RowKey::None => {}
    }
    let mut keep = gone.iter();
    table.columns.retain(|_| !keep.next().copied().unwrap_or(false));
}
