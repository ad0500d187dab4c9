//! What a schema holds that a plan does not name: tables and columns that the application added since.

use super::read::copy_query_out_csv;
use super::session::{Session, Transaction};
use crate::error::Result;
use crate::model::name::{qualified, quoted};

/// A table or a column that a plan does not name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// The table.
    pub table: String,
    /// The column, where the table itself is known.
    pub column: Option<String>,
    /// Whether rows came into it: then its default says nothing of them.
    pub was_filled: bool,
}

/// What a column holds that a plan does not name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// NULL in every row.
    Nothing,
    /// The same constant in every row, which its default gives again.
    Default,
    /// What the server computes of other columns.
    Computed,
    /// Values of its own.
    Values {
        /// How many there are.
        count: u64,
        /// The constant that its default gives, which is none of them.
        but: Option<String>,
    },
}

/// Ordinary and partitioned tables of a schema, without those that belong to an extension.
pub fn tables(session: &Session, schema: &str) -> Result<Vec<String>> {
    let sql = "SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition \
                 AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass \
                                 AND d.objid = c.oid AND d.deptype = 'e') \
               ORDER BY 1";
    Ok(session.query(sql, &[&schema])?.iter().map(|row| row.get(0)).collect())
}

/// How many rows a table holds.
pub fn rows(session: &Session, schema: &str, table: &str) -> Result<u64> {
    let sql = format!("SELECT count(*) FROM {}", qualified(schema, table));
    Ok(session.query_one(&sql, &[])?.get::<_, i64>(0) as u64)
}

/// What these columns of one table hold, in their order; the table is read once.
pub fn held(session: &Session, schema: &str, table: &str, columns: &[&Stranger]) -> Result<Vec<Held>> {
    let given = given(session, schema, table)?;
    let of = |stranger: &&Stranger| {
        let name = stranger.column.as_deref().unwrap_or_default();
        let found = given.iter().find(|given| given.column == name && !stranger.was_filled);
        let (is_computed, but) = found.map_or((false, None), |given| (given.is_computed, given.constant.clone()));
        (quoted(name), is_computed, but)
    };
    let columns: Vec<(String, bool, Option<String>)> = columns.iter().map(of).collect();
    let figures = columns.iter().flat_map(|(name, _, but)| {
        let others = but.as_ref().map_or_else(|| "0::int8".to_owned(), |but| count_if(&is_other(name, but)));
        [format!("count({name})"), others]
    });
    let list = figures.collect::<Vec<_>>().join(", ");
    let row = session.query_one(&format!("SELECT {list} FROM {}", qualified(schema, table)), &[])?;
    let held = |(n, (_, is_computed, but)): (usize, (String, bool, Option<String>))| {
        let (values, others) = (row.get::<_, i64>(2 * n) as u64, row.get::<_, i64>(2 * n + 1) as u64);
        match (values, but) {
            (0, _) => Held::Nothing,
            _ if is_computed => Held::Computed,
            (_, Some(_)) if others == 0 => Held::Default,
            (_, Some(but)) => Held::Values { count: others, but: Some(but) },
            (count, None) => Held::Values { count, but: None },
        }
    };
    Ok(columns.into_iter().enumerate().map(held).collect())
}

/// The columns of a table whose default is a constant.
pub fn constant(session: &Session, schema: &str, table: &str) -> Result<Vec<String>> {
    let given = given(session, schema, table)?.into_iter();
    Ok(given.filter(|given| given.constant.is_some()).map(|given| given.column).collect())
}

// Where a column's values come from that nobody gives.
struct Given {
    column: String,
    is_computed: bool,
    /// The default, in the column's own type, where it is the same at all times.
    constant: Option<String>,
}

// A default is a constant where its expression, as the server keeps it, has no part that is none, and calls immutable
// functions only: the casts around a constant are such calls. Parts that are not known here make it no constant.
fn given(session: &Session, schema: &str, table: &str) -> Result<Vec<Given>> {
    let sql = r"SELECT a.attname::text, a.attgenerated <> '',
                  CASE WHEN a.attgenerated = '' AND NOT EXISTS (
                      SELECT FROM regexp_matches(d.adbin::text, '\{(\S*)', 'g') AS part WHERE part[1] <> ALL (ARRAY[
                        'CONST', 'FUNCEXPR', 'OPEXPR', 'RELABELTYPE', 'ARRAY', 'ARRAYEXPR', 'ARRAYCOERCEEXPR',
                        'CASETESTEXPR', 'COLLATE', 'COLLATEEXPR', 'COERCETODOMAIN'])
                    ) AND NOT EXISTS (
                      SELECT FROM regexp_matches(d.adbin::text, ':(?:op)?funcid (\d+)', 'g') AS call
                      LEFT JOIN pg_proc p ON p.oid = call[1]::oid WHERE p.provolatile IS DISTINCT FROM 'i'
                    ) THEN format('CAST((%s) AS %s)', pg_get_expr(d.adbin, d.adrelid), format_type(a.atttypid, a.atttypmod))
                  END
                FROM pg_attribute a JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
                WHERE a.attrelid = $1::text::regclass AND NOT a.attisdropped";
    let rows = session.query(sql, &[&qualified(schema, table)])?;
    Ok(rows.iter().map(|row| Given { column: row.get(0), is_computed: row.get(1), constant: row.get(2) }).collect())
}

// By their texts, byte by byte: there are types without an equality, and collations that take unlike texts for equal.
fn is_other(column: &str, but: &str) -> String {
    format!("{column}::text COLLATE \"C\" IS DISTINCT FROM {but}::text COLLATE \"C\"")
}

fn count_if(condition: &str) -> String {
    format!("count(*) FILTER (WHERE {condition})")
}

/// Hands out its values as CSV with a line of names: a column with the key of its rows, but for those that hold the
/// constant `but`.
pub fn export(
    tx: &mut Transaction<'_>,
    schema: &str,
    (table, column): (&str, Option<&str>),
    but: Option<&str>,
    key: &[String],
    mut piece: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let from = qualified(schema, table);
    let query = match column {
        None => format!("SELECT * FROM {from}"),
        Some(column) => {
            let list: Vec<String> = key.iter().map(String::as_str).chain([column]).map(quoted).collect();
            let column = quoted(column);
            let condition = but.map_or_else(|| format!("{column} IS NOT NULL"), |but| is_other(&column, but));
            format!("SELECT {} FROM {from} WHERE {condition}", list.join(", "))
        }
    };
    let mut copy = tx.copy_out(&copy_query_out_csv(&query))?;
    while let Some(bytes) = copy.next()? {
        piece(&bytes)?;
    }
    Ok(())
}
