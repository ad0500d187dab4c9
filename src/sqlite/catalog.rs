//! The catalog: what SQLite says of its tables, asked by PRAGMA; nothing here is parsed that SQLite parses.
//!
//! What cannot be understood becomes a remark: a view, a missing module or a broken entry stops no row.

use super::refused;
use super::snapshot::Reader;
use super::words::words;
use crate::error::Result;
use crate::model::affinity::Affinity;
use crate::model::name::quoted;
use crate::model::source::{
    Catalog, Column, ForeignKey, Generated, Index, IndexColumn, IndexOrigin, Object, RowKey, Table, VirtualTable,
};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row, ToSql};
use std::collections::{HashMap, HashSet};

impl Reader {
    /// Reads the catalog of the snapshot's moment.
    pub fn catalog(&self) -> Result<Catalog> {
        let catalog = Asker(&self.conn).catalog();
        let mut catalog = catalog.map_err(|e| refused(e, "cannot read the schema"))?;
        if let Some(remark) = &self.remark {
            catalog.remarks.insert(0, remark.clone());
        }
        Ok(catalog)
    }
}

// A row of `sqlite_schema`.
struct Entry {
    kind: String,
    name: String,
    table: String,
    sql: String,
}

// A row of `PRAGMA table_list`.
struct Listed {
    kind: String,
    without_rowid: bool,
    strict: bool,
}

struct Asker<'a>(&'a Connection);

impl Asker<'_> {
    fn catalog(&self) -> rusqlite::Result<Catalog> {
        let page_size: u32 = self.one("SELECT page_size FROM pragma_page_size")?;
        let pages: i64 = self.one("SELECT page_count FROM pragma_page_count")?;
        let mut catalog = Catalog {
            encoding: self.one("SELECT encoding FROM pragma_encoding")?,
            page_size,
            bytes: pages as u64 * u64::from(page_size),
            ..Catalog::default()
        };
        let entries =
            self.rows("SELECT type, name, tbl_name, sql FROM main.sqlite_schema ORDER BY rowid", &[], |row| {
                Ok(Entry { kind: text(row, 0)?, name: text(row, 1)?, table: text(row, 2)?, sql: text(row, 3)? })
            })?;
        let listed = self.listed()?;
        catalog.virtual_tables = self.virtual_tables(&entries, &listed, &mut catalog.remarks)?;
        let shadows: HashSet<String> = catalog.virtual_tables.iter().flat_map(|v| v.shadows.iter().cloned()).collect();
        let index_sql: HashMap<&str, &str> =
            entries.iter().filter(|e| e.kind == "index").map(|e| (e.name.as_str(), e.sql.as_str())).collect();
        for entry in &entries {
            match entry.kind.as_str() {
                "table" if is_internal(&entry.name) || is_virtual(&entry.sql) || shadows.contains(&entry.name) => {}
                "table" => match listed.get(&entry.name) {
                    // SQLite itself knows a shadow whose virtual table is gone.
                    Some(l) if l.kind == "shadow" => {
                        catalog.remarks.push(format!("table `{}` belongs to a virtual table: left out", entry.name));
                    }
                    Some(l) => {
                        let table = self.table(entry, l, &index_sql, &mut catalog.remarks)?;
                        catalog.tables.push(table);
                    }
                    // SQLite does not understand its CREATE statement.
                    None => catalog.unreadable.push(entry.name.clone()),
                },
                "view" => {
                    if let Err(e) = self.0.prepare(&format!("SELECT * FROM main.{} LIMIT 0", quoted(&entry.name))) {
                        catalog.remarks.push(format!("view `{}` does not run: {e}", entry.name));
                    }
                    catalog.views.push(entry.object());
                }
                "trigger" => catalog.triggers.push(entry.object()),
                _ => {}
            }
        }
        Ok(catalog)
    }

    fn listed(&self) -> rusqlite::Result<HashMap<String, Listed>> {
        let sql = "SELECT name, type, wr, strict FROM pragma_table_list WHERE schema = 'main'";
        let rows = self.rows(sql, &[], |row| {
            Ok((text(row, 0)?, Listed { kind: text(row, 1)?, without_rowid: row.get(2)?, strict: row.get(3)? }))
        })?;
        Ok(rows.into_iter().collect())
    }

    fn virtual_tables(
        &self,
        entries: &[Entry],
        listed: &HashMap<String, Listed>,
        remarks: &mut Vec<String>,
    ) -> rusqlite::Result<Vec<VirtualTable>> {
        let known: Vec<String> = self.rows("SELECT lower(name) FROM pragma_module_list", &[], |row| text(row, 0))?;
        let mut found: Vec<VirtualTable> = entries
            .iter()
            .filter(|e| e.kind == "table" && is_virtual(&e.sql))
            .map(|e| {
                let module = module(&e.sql);
                VirtualTable {
                    name: e.name.clone(),
                    module_known: known.contains(&module),
                    module,
                    sql: e.sql.clone(),
                    shadows: Vec::new(),
                }
            })
            .collect();
        for table in found.iter().filter(|t| !t.module_known) {
            remarks
                .push(format!("virtual table `{}` needs the module `{}`, which is not here", table.name, table.module));
        }
        for entry in entries.iter().filter(|e| e.kind == "table" && !is_virtual(&e.sql)) {
            let marked = listed.get(&entry.name).is_some_and(|l| l.kind == "shadow");
            // The longest name first: `notes_fts_config` belongs to `notes_fts` before it belongs to `notes`.
            let owner = found
                .iter_mut()
                .filter(|v| suffix(&entry.name, &v.name).is_some_and(|s| marked || is_shadow(&v.module, s)))
                .max_by_key(|v| v.name.len());
            if let Some(owner) = owner {
                owner.shadows.push(entry.name.clone());
            }
        }
        Ok(found)
    }

    fn table(
        &self,
        entry: &Entry,
        listed: &Listed,
        index_sql: &HashMap<&str, &str>,
        remarks: &mut Vec<String>,
    ) -> rusqlite::Result<Table> {
        let name = &entry.name;
        let (mut columns, primary_key) = self.columns(name)?;
        let mut indexes = self.indexes(name, index_sql)?;
        let row_key = row_key(&columns, &primary_key, &indexes, listed);
        if let RowKey::Rowid { column: Some(rowid), .. } = row_key {
            // An index on the INTEGER PRIMARY KEY lists the rowid, which has a name here.
            for part in indexes.iter_mut().flat_map(|i| &mut i.columns).filter(|c| c.column.is_none() && !c.expression)
            {
                part.column = Some(rowid);
            }
        }
        for column in columns.iter_mut().filter(|c| c.generated.is_some()) {
            let sql = format!("SELECT s.{} FROM main.{} AS s", quoted(&column.name), quoted(name));
            if let Err(e) = self.0.prepare(&sql) {
                remarks
                    .push(format!("generated column `{name}.{}` cannot be computed and stays NULL: {e}", column.name));
                column.broken = true;
            }
        }
        Ok(Table {
            sequence: self.sequence(name, remarks)?,
            foreign_keys: self.foreign_keys(name, &columns)?,
            name: name.clone(),
            sql: entry.sql.clone(),
            columns,
            primary_key,
            row_key,
            without_rowid: listed.without_rowid,
            strict: listed.strict,
            indexes,
            derived: None,
            marks: Vec::new(),
            to: None,
        })
    }

    // The columns, and the positions of those in the primary key, in its order.
    fn columns(&self, table: &str) -> rusqlite::Result<(Vec<Column>, Vec<usize>)> {
        let sql =
            "SELECT name, type, \"notnull\", dflt_value, hidden, pk FROM pragma_table_xinfo(?1, 'main') ORDER BY cid";
        let rows = self.rows(sql, &[&table], |row| {
            let column = Column {
                name: text(row, 0)?,
                declared: text(row, 1)?,
                not_null: row.get(2)?,
                default: if row.get_ref(3)? == ValueRef::Null { None } else { Some(text(row, 3)?) },
                generated: match row.get(4)? {
                    2 => Some(Generated::Virtual),
                    3 => Some(Generated::Stored),
                    _ => None,
                },
                broken: false,
                to: None,
            };
            Ok((column, row.get::<_, u32>(5)?))
        })?;
        let mut key: Vec<(u32, usize)> =
            rows.iter().enumerate().filter(|(_, (_, pk))| *pk > 0).map(|(i, (_, pk))| (*pk, i)).collect();
        key.sort_unstable();
        Ok((rows.into_iter().map(|(column, _)| column).collect(), key.into_iter().map(|(_, i)| i).collect()))
    }

    fn indexes(&self, table: &str, index_sql: &HashMap<&str, &str>) -> rusqlite::Result<Vec<Index>> {
        // SQLite lists the newest first.
        let sql = "SELECT name, \"unique\", origin, partial FROM pragma_index_list(?1, 'main') ORDER BY seq DESC";
        let mut indexes = self.rows(sql, &[&table], |row| {
            let name = text(row, 0)?;
            Ok(Index {
                sql: index_sql.get(name.as_str()).filter(|sql| !sql.is_empty()).map(|sql| (*sql).to_owned()),
                name,
                unique: row.get(1)?,
                origin: match text(row, 2)?.as_str() {
                    "pk" => IndexOrigin::PrimaryKey,
                    "u" => IndexOrigin::Unique,
                    _ => IndexOrigin::Create,
                },
                partial: row.get(3)?,
                columns: Vec::new(),
            })
        })?;
        let sql = "SELECT cid, \"desc\", coll FROM pragma_index_xinfo(?1, 'main') WHERE \"key\" ORDER BY seqno";
        for index in &mut indexes {
            index.columns = self.rows(sql, &[&index.name], |row| {
                let cid: i64 = row.get(0)?;
                Ok(IndexColumn {
                    column: usize::try_from(cid).ok(),
                    // -1 is the rowid, -2 an expression.
                    expression: cid == -2,
                    descending: row.get(1)?,
                    collation: text(row, 2)?,
                })
            })?;
        }
        Ok(indexes)
    }

    fn foreign_keys(&self, table: &str, columns: &[Column]) -> rusqlite::Result<Vec<ForeignKey>> {
        let sql = "SELECT id, \"table\", \"from\", \"to\", on_update, on_delete \
                   FROM pragma_foreign_key_list(?1, 'main') ORDER BY id, seq";
        let parts = self.rows(sql, &[&table], |row| {
            let key = ForeignKey {
                columns: Vec::new(),
                parent: text(row, 1)?,
                parent_columns: Vec::new(),
                on_update: text(row, 4)?,
                on_delete: text(row, 5)?,
            };
            Ok((row.get::<_, i64>(0)?, key, text(row, 2)?, text(row, 3)?))
        })?;
        let mut keys: Vec<(i64, ForeignKey)> = Vec::new();
        for (id, key, from, to) in parts {
            if keys.last().is_none_or(|(last, _)| *last != id) {
                keys.push((id, key));
            }
            let (_, key) = keys.last_mut().expect("a key was pushed just now if there was none");
            key.columns.extend(columns.iter().position(|c| c.name.eq_ignore_ascii_case(&from)));
            // NULL, here empty, where the clause leaves the columns to the parent's primary key.
            key.parent_columns.extend(Some(to).filter(|to| !to.is_empty()));
        }
        Ok(keys.into_iter().map(|(_, key)| key).collect())
    }

    fn sequence(&self, table: &str, remarks: &mut Vec<String>) -> rusqlite::Result<Option<i64>> {
        let kept: bool = self.one("SELECT count(*) FROM main.sqlite_schema WHERE name = 'sqlite_sequence'")?;
        if !kept {
            return Ok(None);
        }
        // The application may write this table, and so twice or anything.
        let sql = "SELECT max(seq) FILTER (WHERE typeof(seq) = 'integer'), count(*) FILTER (WHERE typeof(seq) <> 'integer') \
                   FROM main.sqlite_sequence WHERE name = ?1";
        let (seq, odd): (Option<i64>, i64) = self.0.query_row(sql, [table], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if odd > 0 {
            remarks.push(format!("`sqlite_sequence` holds something else than an integer for table `{table}`"));
        }
        Ok(seq)
    }

    fn one<T: rusqlite::types::FromSql>(&self, sql: &str) -> rusqlite::Result<T> {
        self.0.query_row(sql, [], |row| row.get(0))
    }

    fn rows<T>(
        &self,
        sql: &str,
        params: &[&dyn ToSql],
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        self.0.prepare_cached(sql)?.query_map(params, read)?.collect()
    }
}

impl Entry {
    fn object(&self) -> Object {
        Object { name: self.name.clone(), table: self.table.clone(), sql: self.sql.clone() }
    }
}

// NULL is empty. SQLite does not check that names are UTF-8; such a table fails when it is read.
fn text(row: &Row<'_>, i: usize) -> rusqlite::Result<String> {
    Ok(match row.get_ref(i)? {
        ValueRef::Text(bytes) | ValueRef::Blob(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    })
}

fn is_internal(table: &str) -> bool {
    table.get(..7).is_some_and(|start| start.eq_ignore_ascii_case("sqlite_"))
}

fn is_virtual(sql: &str) -> bool {
    let words = words(sql);
    matches!(words.as_slice(), [create, kind, ..] if create.is("CREATE") && kind.is("VIRTUAL"))
}

// The word after USING, lowercase.
fn module(sql: &str) -> String {
    let words = words(sql);
    let using = words.iter().position(|w| w.is("USING"));
    using.and_then(|i| words.get(i + 1)).map(|w| w.text.to_lowercase()).unwrap_or_default()
}

// `table` without the virtual table's name and the underscore after it.
fn suffix<'a>(table: &'a str, owner: &str) -> Option<&'a str> {
    let (start, rest) = table.split_at_checked(owner.len())?;
    rest.strip_prefix('_').filter(|_| start.eq_ignore_ascii_case(owner))
}

// What the known modules call the tables that hold their content. SQLite tells for modules that it has; this
// is for those that it has not.
fn is_shadow(module: &str, suffix: &str) -> bool {
    let suffix = suffix.to_ascii_lowercase();
    let family: &[&str] = match module {
        "fts1" => &["content", "term"],
        "fts2" => &["content", "segments", "segdir"],
        "fts3" | "fts4" => &["content", "segments", "segdir", "docsize", "stat"],
        "fts5" => &["data", "idx", "content", "docsize", "config"],
        "rtree" | "rtree_i32" | "geopoly" => &["node", "parent", "rowid"],
        "spellfix1" => &["vocab"],
        "vss0" => &["index", "data"],
        "vec0" => &["chunks", "rowids", "info", "auxiliary", "vector_chunks", "metadatachunks", "metadatatext"],
        _ => &[],
    };
    // sqlite-vec numbers some of its tables by two digits.
    family.contains(&suffix.trim_end_matches(|c: char| module == "vec0" && c.is_ascii_digit()))
}

// How SQLite itself decides that a column is the rowid: then, and only then, a rowid table's PRIMARY KEY needs
// no index (<https://sqlite.org/lang_createtable.html#rowid>, with its exception `INTEGER PRIMARY KEY DESC`).
fn row_key(columns: &[Column], primary_key: &[usize], indexes: &[Index], listed: &Listed) -> RowKey {
    if listed.without_rowid {
        let affinity = |i: usize| {
            let declared = &columns[i].declared;
            if listed.strict { Affinity::of_strict(declared) } else { Affinity::of(declared) }
        };
        return RowKey::PrimaryKey {
            split: primary_key.first().copied().filter(|&i| affinity(i) == Affinity::Integer),
        };
    }
    let own_index = indexes.iter().any(|i| i.origin == IndexOrigin::PrimaryKey);
    let column = match primary_key {
        [only] if !own_index => Some(*only),
        _ => None,
    };
    let free = |name: &&str| !columns.iter().any(|c| c.name.eq_ignore_ascii_case(name));
    match (["rowid", "_rowid_", "oid"].iter().find(|n| free(n)), column) {
        (Some(name), column) => RowKey::Rowid { name: (*name).to_owned(), column },
        (None, Some(i)) => RowKey::Rowid { name: columns[i].name.clone(), column },
        (None, None) => RowKey::None,
    }
}
