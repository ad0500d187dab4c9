//! Rows that are none of a table's own, on their way back: kept in temporary tables beside the copy, given to the SELECTs
//! that a person states, and carried from there into the source's tables.
//!
//! Owns the statements. Which rows are kept, and whether what came of them is right, is decided elsewhere.

use super::derive;
use super::refused;
use super::restore::{Bound, Writer, objection, owned};
use super::stage::Hash;
use crate::error::{Error, Kind, Result};
use crate::model::cell::Owned;
use crate::model::name::quoted;
use crate::model::source::Table;
use rusqlite::{Connection, params_from_iter};

/// What is said of a way back that changed nothing.
const AS_IT_WAS: &str = "nothing was restored; the source and earlier files are as they were";

/// The column by which a kept row is found again.
const HASH: &str = "lite2pg hash";

/// The connection of a copy that is written to, for what is beside its tables.
pub struct Beside<'a> {
    conn: &'a Connection,
}

/// Rows of the source's table that a SELECT made others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    /// Rows of which columns were written.
    pub updated: u64,
    /// New ones.
    pub inserted: u64,
    /// Those that it gives no more.
    pub deleted: u64,
}

/// A SELECT over tables of which only the columns are known.
#[must_use]
pub fn over_nothing(tables: &[&Table], sql: &str) -> String {
    let nothing = |table: &Table| format!("SELECT {}", vec!["NULL"; table.columns.len()].join(", "));
    let columns = |table: &Table| table.columns.iter().map(|c| quoted(&c.name)).collect::<Vec<_>>();
    with(tables.iter().map(|table| (table.name.as_str(), columns(table), nothing(table))), sql)
}

// The SELECT in which these names stand for these rows, whatever else bears them.
fn with<'t>(tables: impl Iterator<Item = (&'t str, Vec<String>, String)>, sql: &str) -> String {
    let defined: Vec<String> = tables
        .map(|(name, columns, select)| format!("{}({}) AS ({select})", quoted(name), columns.join(", ")))
        .collect();
    if defined.is_empty() {
        return sql.to_owned();
    }
    format!("WITH {} SELECT * FROM ({sql}\n)", defined.join(", "))
}

impl Writer {
    /// What is beside the tables of the copy.
    #[must_use]
    pub fn beside(&self) -> Beside<'_> {
        Beside { conn: self.connection() }
    }
}

impl Beside<'_> {
    /// A place for rows of these columns.
    pub fn place(&self, name: &str, columns: &[String]) -> Result<()> {
        let list: Vec<String> = columns.iter().map(|c| quoted(c)).chain([quoted(HASH)]).collect();
        let (table, index) = (quoted(name), quoted(&format!("{name} by hash")));
        self.run(&format!("CREATE TEMP TABLE {table} ({})", list.join(", ")))?;
        self.run(&format!("CREATE INDEX temp.{index} ON {table} ({})", quoted(HASH))).map(drop)
    }

    /// Keeps a row there.
    pub fn put(&self, name: &str, cells: &[Owned], hash: &Hash) -> Result<()> {
        let marks = vec!["?"; cells.len() + 1].join(", ");
        let hash = Owned::Blob(hash.to_vec());
        let sql = format!("INSERT INTO temp.{} VALUES ({marks})", quoted(name));
        let put = |conn: &Connection| {
            conn.prepare_cached(&sql)?.execute(params_from_iter(cells.iter().chain([&hash]).map(Bound)))
        };
        put(self.conn).map(drop).map_err(|e| failed(e, "a row cannot be kept beside the copy"))
    }

    /// Keeps the row of this hash of another place there too; false where that has none.
    pub fn put_alike(&self, from: &str, to: &str, hash: &Hash) -> Result<bool> {
        let (from, to, column) = (quoted(from), quoted(to), quoted(HASH));
        let sql = format!("INSERT INTO temp.{to} SELECT * FROM temp.{from} WHERE {column} = ? LIMIT 1");
        let put = |conn: &Connection| conn.prepare_cached(&sql)?.execute([&hash[..]]);
        put(self.conn).map(|rows| rows > 0).map_err(|e| failed(e, "a row cannot be kept beside the copy"))
    }

    /// Hands out these columns of the rows of a table that is made of others; `all` takes those too that its shape sets
    /// aside.
    pub fn each(
        &self,
        table: &Table,
        columns: &[usize],
        all: bool,
        row: &mut dyn FnMut(&[Owned]) -> Result<()>,
    ) -> Result<()> {
        let broken = || Error::new(Kind::Bug, format!("`{}` is made by no query", table.name)).state(AS_IT_WAS);
        let select = table.derived.as_ref().ok_or_else(broken)?;
        let list: Vec<String> = columns.iter().map(|&i| format!("s.{}", quoted(&table.columns[i].name))).collect();
        let marks = table.marks.iter().enumerate().filter(|(_, mark)| mark.rejects && !all);
        let marks: Vec<String> =
            marks.map(|(n, _)| format!(" AND coalesce(s.{}, 0) = 0", quoted(&derive::mark(n)))).collect();
        let sql = format!("SELECT {} FROM ({select}\n) AS s WHERE 1{}", list.join(", "), marks.concat());
        let wrong = |e| failed(e, format!("the rows of `{}` cannot be read", table.name));
        let mut statement = self.conn.prepare(&sql).map_err(wrong)?;
        let mut rows = statement.query([]).map_err(wrong)?;
        let mut cells = Vec::new();
        while let Some(found) = rows.next().map_err(wrong)? {
            cells.clear();
            for i in 0..columns.len() {
                cells.push(owned(found.get_ref(i).map_err(wrong)?));
            }
            row(&cells)?;
        }
        Ok(())
    }

    /// Works a SELECT out, into a place of that name; its tables' names stand for the rows of places. Gives its columns.
    pub fn work_out(&self, into: &str, tables: &[(&str, &[String], String)], sql: &str) -> Result<Vec<String>> {
        let of = |(name, columns, place): &(&str, &[String], String)| {
            let columns: Vec<String> = columns.iter().map(|c| quoted(c)).collect();
            let select = format!("SELECT {} FROM temp.{}", columns.join(", "), quoted(place));
            (name.to_string(), columns, select)
        };
        let tables: Vec<(String, Vec<String>, String)> = tables.iter().map(of).collect();
        let tables = tables.iter().map(|(name, columns, select)| (name.as_str(), columns.clone(), select.clone()));
        let text = with(tables, sql);
        let work = || -> rusqlite::Result<Vec<String>> {
            let statement = self.conn.prepare(&text)?;
            if !statement.readonly() {
                return Err(rusqlite::Error::InvalidQuery);
            }
            let columns: Vec<String> = statement.column_names().map(str::to_owned).collect();
            drop(statement);
            let list: Vec<String> = columns.iter().map(|c| quoted(c)).collect();
            let into = quoted(into);
            self.conn.execute_batch(&format!("CREATE TEMP TABLE {into} ({})", list.join(", ")))?;
            self.conn.execute(&format!("INSERT INTO temp.{into} SELECT * FROM ({text}\n)"), [])?;
            Ok(columns)
        };
        work().map_err(|e| {
            Error::new(Kind::Blocked, "an `inverse` of the pipeline cannot be worked out").state(AS_IT_WAS).cause(e)
        })
    }

    /// Carries what a SELECT gives by now, `is`, into a table, where that is another than it was. Rows come and go only in
    /// a table that has no rows of its own on the target. What SQLite has against it is given in words.
    pub fn carry(
        &self,
        (was, is): (&str, &str),
        table: &Table,
        columns: &[String],
        comes_and_goes: bool,
    ) -> Result<std::result::Result<Carried, String>> {
        let both = Both::of(table, (was, is), columns);
        for place in [was, is] {
            let (index, place) = (quoted(&format!("{place} by key")), quoted(place));
            self.run(&format!("CREATE INDEX temp.{index} ON {place} ({})", both.key.join(", ")))?;
        }
        if self.has(&both.twice())? {
            return Ok(Err(format!("its `inverse` gives two rows of one key of `{}`", table.name)));
        }
        if !comes_and_goes && self.has(&both.lone())? {
            return Ok(Err(format!("its `inverse` gives rows that `{}` does not have", table.name)));
        }
        let mut carried = Carried::default();
        let statements = [
            (comes_and_goes.then(|| both.gone()), &mut carried.deleted),
            ((!both.others.is_empty()).then(|| both.changed()), &mut carried.updated),
            (comes_and_goes.then(|| both.new_ones()), &mut carried.inserted),
        ];
        for (sql, count) in statements {
            let Some(sql) = sql else { continue };
            match self.conn.execute(&sql, []) {
                Ok(rows) => *count = rows as u64,
                Err(e) => {
                    let Some(objection) = objection(&e) else {
                        return Err(failed(e, format!("`{}` cannot be written", table.name)));
                    };
                    return Ok(Err(format!("SQLite refuses what its `inverse` gives: {}", objection.words)));
                }
            }
        }
        Ok(Ok(carried))
    }

    /// Begins what may be undone.
    pub fn mark(&self) -> Result<()> {
        self.run("SAVEPOINT \"lite2pg inverse\"").map(drop)
    }

    /// Keeps what was done since [`Beside::mark`], or undoes it.
    pub fn settle(&self, keep: bool) -> Result<()> {
        if !keep {
            self.run("ROLLBACK TO \"lite2pg inverse\"")?;
        }
        self.run("RELEASE \"lite2pg inverse\"").map(drop)
    }

    fn run(&self, sql: &str) -> Result<usize> {
        self.conn.execute(sql, []).map_err(|e| failed(e, "nothing can be kept beside the copy"))
    }

    fn has(&self, sql: &str) -> Result<bool> {
        let exists = format!("SELECT EXISTS ({sql})");
        self.conn
            .query_row(&exists, [], |row| row.get(0))
            .map_err(|e| failed(e, "what an `inverse` gives cannot be looked at"))
    }
}

// What a SELECT gave and what it gives by now, beside the table that it is of. All names are quoted.
struct Both {
    table: String,
    was: String,
    is: String,
    key: Vec<String>,
    others: Vec<String>,
}

impl Both {
    fn of(table: &Table, (was, is): (&str, &str), columns: &[String]) -> Self {
        let is_key =
            |c: &&String| table.key_columns().iter().any(|&i| table.columns[i].name.eq_ignore_ascii_case(c.as_str()));
        let (key, others): (Vec<&String>, Vec<&String>) = columns.iter().partition(is_key);
        let all = |names: Vec<&String>| names.into_iter().map(|c| quoted(c)).collect();
        Self { table: quoted(&table.name), was: quoted(was), is: quoted(is), key: all(key), others: all(others) }
    }

    fn same(&self, a: &str, b: &str) -> String {
        self.key.iter().map(|k| format!("{a}.{k} IS {b}.{k}")).collect::<Vec<_>>().join(" AND ")
    }

    // Keys that it gives more than once.
    fn twice(&self) -> String {
        format!("SELECT 1 FROM temp.{} GROUP BY {} HAVING count(*) > 1", self.is, self.key.join(", "))
    }

    // Rows that the table does not have.
    fn lone(&self) -> String {
        let Self { table, is, .. } = self;
        let here = self.same("t", "i");
        format!("SELECT 1 FROM temp.{is} AS i WHERE NOT EXISTS (SELECT 1 FROM main.{table} AS t WHERE {here})")
    }

    fn gone(&self) -> String {
        let Self { table, was, is, .. } = self;
        let here = self.same("t", "i");
        format!(
            "DELETE FROM main.{table} AS t WHERE EXISTS (SELECT 1 FROM temp.{was} AS i WHERE {here}) \
             AND NOT EXISTS (SELECT 1 FROM temp.{is} AS i WHERE {here})"
        )
    }

    // What it gave before as well, to the class of the value, is not written.
    fn changed(&self) -> String {
        let Self { table, was, is, .. } = self;
        let new = |(n, c): (usize, &String)| {
            format!(
                "i.{c} AS \"new {n}\", coalesce(w.\"there\" AND w.{c} IS i.{c} AND typeof(w.{c}) = typeof(i.{c}), 0) \
                 AS \"same {n}\""
            )
        };
        let set = |(n, c): (usize, &String)| format!("{c} = iif(d.\"same {n}\", t.{c}, d.\"new {n}\")");
        let new: Vec<String> = self.others.iter().enumerate().map(new).collect();
        let set: Vec<String> = self.others.iter().enumerate().map(set).collect();
        let all: Vec<String> = (0..self.others.len()).map(|n| format!("d.\"same {n}\"")).collect();
        let keys: Vec<String> = self.key.iter().map(|k| format!("i.{k} AS {k}")).collect();
        format!(
            "UPDATE OR ABORT main.{table} AS t SET {} FROM (SELECT {}, {} FROM temp.{is} AS i LEFT JOIN \
             (SELECT *, 1 AS \"there\" FROM temp.{was}) AS w ON {}) AS d WHERE {} AND NOT ({})",
            set.join(", "),
            keys.join(", "),
            new.join(", "),
            self.same("w", "i"),
            self.same("t", "d"),
            all.join(" AND ")
        )
    }

    fn new_ones(&self) -> String {
        let Self { table, is, .. } = self;
        let list: Vec<String> = self.key.iter().chain(&self.others).cloned().collect();
        let from: Vec<String> = list.iter().map(|c| format!("i.{c}")).collect();
        format!(
            "INSERT OR ABORT INTO main.{table} ({}) SELECT {} FROM temp.{is} AS i \
             WHERE NOT EXISTS (SELECT 1 FROM main.{table} AS t WHERE {})",
            list.join(", "),
            from.join(", "),
            self.same("t", "i")
        )
    }
}

fn failed(cause: rusqlite::Error, what: impl Into<String>) -> Error {
    let what = what.into();
    refused(cause, what).or_state(AS_IT_WAS)
}
