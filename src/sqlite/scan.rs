//! Rows in key order: ranges of a table, a spread sample of it, its bounds and its count.
//!
//! Always walks the table's own b-tree: an index may be damaged, or be sorted by a collation that is unknown here.

use super::snapshot::Reader;
use super::{derive, refused};
use crate::error::{Error, Result};
use crate::model::cell::Cell;
use crate::model::name::quoted;
use crate::model::range::Range;
use crate::model::source::{IndexOrigin, RowKey, Table};
use rusqlite::types::ValueRef;
use rusqlite::{Row, ToSql};
use std::collections::VecDeque;

/// What to read of a table: its columns in an order, and the key that ranges go by.
#[derive(Debug, Clone)]
pub struct TableScan {
    table: String,
    // The table with its alias `s`, as FROM wants it.
    from: String,
    // What is selected: the columns, behind the key where it is none of them.
    list: String,
    // The key as SQL, and whether it can hold other things than integers.
    key: Option<(String, Exactness)>,
    // Where the key and the first column stand in the list. A key that is a column too is selected once: SQLite
    // would work it out twice a row.
    key_at: usize,
    first: usize,
    width: usize,
    // From the last row to the first.
    backwards: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exactness {
    // A rowid.
    Integers,
    // A column that only leans to integers.
    Anything,
}

/// What a row's receiver wants next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// The next row.
    Continue,
    /// No row after this one.
    Stop,
    /// The rows that share this row's key, and no other.
    StopAfterKey,
}

/// How a scan ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScanEnd {
    /// Rows handed out.
    pub rows: u64,
    /// The key of the last one; `None` without a row, and in tables without an integer key.
    pub last_key: Option<i64>,
    /// Nothing of the range is left. False after a stop or where the limit was reached, even if nothing is.
    pub finished: bool,
}

/// How a sample ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SampleEnd {
    /// Rows handed out, each once.
    pub rows: u64,
    /// These are all rows of the table.
    pub whole: bool,
}

/// Cells of a row that are taken from SQLite once, whoever looks at them how often. Those behind them are taken each
/// time.
const HELD: usize = 16;

/// One row, lent until the next.
#[derive(Debug)]
pub struct RowRef<'a> {
    row: &'a Row<'a>,
    first: usize,
    width: usize,
    held: [Cell<'a>; HELD],
}

impl<'a> RowRef<'a> {
    // Made where it stays: it is too long to be handed back.
    #[inline]
    fn take(&mut self) {
        for (i, held) in self.held.iter_mut().enumerate().take(self.width) {
            *held = taken(self.row, self.first + i);
        }
    }

    /// The cell of the scan's column `i`. Panics where the scan has no such column.
    #[must_use]
    #[inline]
    pub fn cell(&self, i: usize) -> Cell<'a> {
        assert!(i < self.width, "a column that the scan selects");
        self.held.get(i).copied().unwrap_or_else(|| taken(self.row, self.first + i))
    }

    // Where it is a column too, it was taken with the others.
    #[inline]
    fn key(&self, scan: &TableScan) -> Cell<'a> {
        if scan.first == 0 { self.cell(scan.key_at) } else { taken(self.row, scan.key_at) }
    }

    /// The number of cells.
    #[must_use]
    pub fn len(&self) -> usize {
        self.width
    }

    /// Whether the scan selects no column.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.width == 0
    }

    /// The size of all cells in bytes, as [`Cell::bytes`] counts.
    #[must_use]
    pub fn bytes(&self) -> usize {
        (0..self.width).map(|i| self.cell(i).bytes()).sum()
    }
}

// A call of SQLite each for the class, the value, and its length.
#[inline]
fn taken<'a>(row: &'a Row<'a>, at: usize) -> Cell<'a> {
    match row.get_ref(at).expect("a column that the scan selects") {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(n) => Cell::Integer(n),
        ValueRef::Real(x) => Cell::Real(x),
        ValueRef::Text(bytes) => Cell::Text(bytes),
        ValueRef::Blob(bytes) => Cell::Blob(bytes),
    }
}

impl TableScan {
    /// A scan of `table` that reads `columns` (positions in it, generated ones included) in this order.
    #[must_use]
    pub fn new(table: &Table, columns: &[usize]) -> Self {
        // Qualified by an alias: a bare "name" that is no column could be taken for something else.
        let of_table = |name: &str| format!("s.{}", quoted(name));
        let (key, column) = match &table.row_key {
            RowKey::Rowid { name, column } => (Some((of_table(name), Exactness::Integers)), *column),
            RowKey::PrimaryKey { split: Some(i) } => {
                (Some((of_table(&table.columns[*i].name), Exactness::Anything)), Some(*i))
            }
            RowKey::PrimaryKey { split: None } | RowKey::None => (None, None),
        };
        let is_readable = |i: &usize| !table.columns[*i].broken;
        let among = column.filter(is_readable).and_then(|key| columns.iter().position(|&i| i == key));
        let first = usize::from(key.is_some() && among.is_none());
        let selected: Vec<String> =
            key.iter()
                .take(first)
                .map(|(key, _)| key.clone())
                .chain(columns.iter().map(|&i| {
                    if table.columns[i].broken { "NULL".to_owned() } else { of_table(&table.columns[i].name) }
                }))
                .collect();
        let list = if selected.is_empty() { "NULL".to_owned() } else { selected.join(", ") };
        let (key_at, width) = (among.unwrap_or(0), columns.len());
        Self { table: table.name.clone(), from: from(table), list, key, key_at, first, width, backwards: false }
    }

    /// The same with what a shaped table's SELECT says of its rows, behind the columns.
    #[must_use]
    pub fn with_marks(self, table: &Table) -> Self {
        let marks: Vec<String> = (0..table.marks.len()).map(|n| format!(", s.{}", quoted(&derive::mark(n)))).collect();
        Self { list: format!("{}{}", self.list, marks.concat()), width: self.width + marks.len(), ..self }
    }

    /// A scan of all columns of `table`.
    #[must_use]
    pub fn all(table: &Table) -> Self {
        Self::new(table, &(0..table.columns.len()).collect::<Vec<_>>())
    }

    /// The same rows by another way: from the last to the first, where there is a key to go by. For a second look,
    /// which must not depend on what the first one did.
    #[must_use]
    pub fn backwards(self) -> Self {
        Self { backwards: true, ..self }
    }

    /// Whether ranges can split the table.
    #[must_use]
    pub fn has_key(&self) -> bool {
        self.key.is_some()
    }

    fn sql(&self, range: Range, limit: Option<u64>) -> (String, Vec<i64>) {
        let mut sql = vec![format!("SELECT {} FROM {}", self.list, self.from)];
        let mut bound = Vec::new();
        if let Some((key, exactness)) = &self.key {
            let mut word = "WHERE";
            if let Some(lo) = range.lo {
                sql.push(format!("{word} {key} >= ?"));
                bound.push(lo);
                word = "AND";
            }
            if let Some(hi) = range.hi {
                // A key of 1.5 lies in the range that ends with 1, so that it is in no gap.
                let next = hi.checked_add(1).filter(|_| *exactness == Exactness::Anything);
                let operator = if next.is_some() { "<" } else { "<=" };
                sql.push(format!("{word} {key} {operator} ?"));
                bound.push(next.unwrap_or(hi));
            }
            let order = if self.backwards { " DESC" } else { "" };
            sql.push(format!("ORDER BY {key}{order}"));
        }
        if let Some(limit) = limit {
            sql.push("LIMIT ?".to_owned());
            bound.push(i64::try_from(limit).unwrap_or(i64::MAX));
        }
        (sql.join(" "), bound)
    }
}

// NOT INDEXED still lets the rowid be used (<https://sqlite.org/lang_indexedby.html>), but does nothing for a
// WITHOUT ROWID table: there, the index of the primary key is the table.
pub(super) fn from(table: &Table) -> String {
    if let Some(select) = &table.derived {
        return format!("({select}\n) AS s");
    }
    let own = table.indexes.iter().find(|i| table.without_rowid && i.origin == IndexOrigin::PrimaryKey);
    let by = own.map_or_else(|| "NOT INDEXED".to_owned(), |own| format!("INDEXED BY {}", quoted(&own.name)));
    format!("main.{} AS s {by}", quoted(&table.name))
}

impl Reader {
    /// Hands each row of `range` to `row`, in key order, with its key.
    ///
    /// The key of a table without an integer key is 0. In a WITHOUT ROWID table that is split by a column, several
    /// rows share a key; one that is no integer counts as the next lower one, text and blobs as the largest: a
    /// range that goes on after `last_key` misses and repeats none, unless the scan was cut within a key.
    ///
    /// Fails with what `row` fails with, and where SQLite cannot read on; the error names the table and the last
    /// key that was read.
    pub fn scan(
        &self,
        scan: &TableScan,
        range: Range,
        limit: Option<u64>,
        mut row: impl FnMut(i64, &RowRef<'_>) -> Result<Flow>,
    ) -> Result<ScanEnd> {
        let mut end = ScanEnd::default();
        let (sql, bound) = scan.sql(range, limit);
        let mut statement = self.conn.prepare_cached(&sql).map_err(|e| scan.refused(e, end))?;
        let bound: Vec<&dyn ToSql> = bound.iter().map(|n| n as &dyn ToSql).collect();
        let mut rows = statement.query(bound.as_slice()).map_err(|e| scan.refused(e, end))?;
        let mut closing = false;
        while let Some(found) = rows.next().map_err(|e| scan.refused(e, end))? {
            let held = [Cell::Null; HELD];
            let mut found = RowRef { row: found, first: scan.first, width: scan.width, held };
            found.take();
            let key = scan.key.as_ref().map(|_| place(found.key(scan)));
            if closing && key != end.last_key {
                return Ok(end);
            }
            let flow = row(key.unwrap_or(0), &found)?;
            end.rows += 1;
            end.last_key = key;
            match flow {
                Flow::Continue => {}
                Flow::Stop => return Ok(end),
                Flow::StopAfterKey => closing = true,
            }
        }
        end.finished = limit.is_none_or(|limit| end.rows < limit);
        Ok(end)
    }

    /// Hands out rows from places spread over the table, each row once: all rows where there are at most
    /// `spots` × `rows_per_spot`, else the first, the last, and `spots` places between, also in tables whose keys
    /// are spread unevenly. Without an integer key, only the first rows. [`Flow::Stop`] ends the sample.
    pub fn sample(
        &self,
        scan: &TableScan,
        spots: u64,
        rows_per_spot: u64,
        mut row: impl FnMut(i64, &RowRef<'_>) -> Result<Flow>,
    ) -> Result<SampleEnd> {
        let rows_max = spots.saturating_mul(rows_per_spot);
        if !scan.has_key() || !self.has_more_rows_than(scan, rows_max)? {
            let end = self.scan(scan, Range::ALL, Some(rows_max.saturating_add(1)), &mut row)?;
            return Ok(SampleEnd { rows: end.rows, whole: end.finished });
        }
        let mut sampler = Sampler { reader: self, scan, each: rows_per_spot, rows: 0, stopped: false, row, draw: None };
        sampler.run(spots)?;
        Ok(SampleEnd { rows: sampler.rows, whole: false })
    }

    /// Hands out some `wanted` of the table's `count` rows, each once: the first, the last, and others between that
    /// `seed` draws; all rows where no more are there. Tables with a rowid are read in those places only, others
    /// from end to end. [`Flow::Stop`] ends the sample.
    pub fn draw(
        &self,
        scan: &TableScan,
        (wanted, count): (u64, u64),
        seed: u64,
        mut row: impl FnMut(i64, &RowRef<'_>) -> Result<Flow>,
    ) -> Result<()> {
        let mut draw = Draw(seed);
        if wanted >= count {
            return self.scan(scan, Range::ALL, None, row).map(|_| ());
        }
        if scan.key.as_ref().is_some_and(|(_, exactness)| *exactness == Exactness::Integers) {
            // Few rows a place, and still not a search in the b-tree for each of a million.
            let each = wanted.div_ceil(DRAWN_SPOTS_MAX);
            let mut sampler = Sampler { reader: self, scan, each, rows: 0, stopped: false, row, draw: Some(draw) };
            return sampler.run(wanted.div_ceil(each));
        }
        // One row of each of as many stretches of equal length.
        let end = |stretch: u64| (u128::from(count) * u128::from(stretch) / u128::from(wanted)) as u64;
        let (mut n, mut stretch, mut next) = (0, 0, 0);
        self.scan(scan, Range::ALL, None, |key, cells| {
            let is_drawn = n == next;
            n += 1;
            if !is_drawn {
                return Ok(Flow::Continue);
            }
            stretch += 1;
            next = match stretch {
                last if last + 1 == wanted => count - 1,
                stretch => draw.between(end(stretch), end(stretch + 1)),
            };
            let flow = row(key, cells)?;
            Ok(if stretch == wanted { Flow::Stop } else { flow })
        })?;
        Ok(())
    }

    /// The smallest and the largest integer key; `None` in an empty table and one without an integer key. A fraction
    /// counts as the next lower integer; text, blobs and numbers beyond 64 bits do not count.
    pub fn key_bounds(&self, scan: &TableScan) -> Result<Option<(i64, i64)>> {
        let Some((key, _)) = &scan.key else { return Ok(None) };
        let from = &scan.from;
        let one = |operator: &str, number: i64, order: &str| {
            let sql = format!("SELECT {key} FROM {from} WHERE {key} {operator} ? ORDER BY {key} {order} LIMIT 1");
            let mut statement = self.conn.prepare_cached(&sql)?;
            let mut rows = statement.query([number])?;
            Ok(rows.next()?.and_then(|row| number_place(taken(row, 0))))
        };
        let refused = |e| refused(e, format!("cannot find the bounds of table `{}`", scan.table));
        // Text sorts after every number: a first key that is text says that there is no number.
        let min = one(">=", i64::MIN, "ASC").map_err(refused)?;
        let max = one("<=", i64::MAX, "DESC").map_err(refused)?;
        Ok(min.zip(max))
    }

    /// The number of rows, counted in the table itself.
    pub fn count(&self, table: &Table) -> Result<u64> {
        self.number(&format!("SELECT count(*) FROM {}", from(table)), &table.name)
    }

    // Reads no more rows than that.
    fn has_more_rows_than(&self, scan: &TableScan, rows: u64) -> Result<bool> {
        let limit = rows.saturating_add(1).min(i64::MAX as u64);
        self.number(&format!("SELECT count(*) FROM (SELECT 1 FROM {} LIMIT {limit})", scan.from), &scan.table)
            .map(|found| found > rows)
    }

    fn number(&self, sql: &str, table: &str) -> Result<u64> {
        let count: i64 = self
            .conn
            .query_row(sql, [], |row| row.get(0))
            .map_err(|e| refused(e, format!("cannot count the rows of table `{table}`")))?;
        Ok(count as u64)
    }
}

impl TableScan {
    fn refused(&self, cause: rusqlite::Error, end: ScanEnd) -> Error {
        let table = &self.table;
        let at = match (end.last_key, end.rows) {
            (Some(key), _) => format!(" after key {key}"),
            (None, 0) => String::new(),
            (None, rows) => format!(" after {rows} rows"),
        };
        refused(cause, format!("cannot read table `{table}`{at}"))
    }
}

// A key's place among the integers, in SQLite's order of values.
fn place(key: Cell<'_>) -> i64 {
    number_place(key).unwrap_or(if key == Cell::Null { i64::MIN } else { i64::MAX })
}

fn number_place(key: Cell<'_>) -> Option<i64> {
    match key {
        Cell::Integer(n) => Some(n),
        // The cast saturates at the ends of i64.
        Cell::Real(x) => Some(x.floor() as i64),
        _ => None,
    }
}

/// A row in words, for messages: its rowid or key column with the value of `key`.
#[must_use]
pub fn describe_key(table: &Table, key: i64) -> String {
    match &table.row_key {
        RowKey::Rowid { column: Some(i), .. } | RowKey::PrimaryKey { split: Some(i) } => {
            format!("`{}` {key}", table.columns[*i].name)
        }
        RowKey::Rowid { column: None, .. } => format!("rowid {key}"),
        RowKey::PrimaryKey { split: None } | RowKey::None => "a row without an integer key".to_owned(),
    }
}

/// Places that a drawn sample looks for in the b-tree of a table at most.
const DRAWN_SPOTS_MAX: u64 = 100_000;

// Numbers that look drawn, the same ones for the same seed: SplitMix64 (<https://prng.di.unimi.it/splitmix64.c>).
struct Draw(u64);

impl Draw {
    fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    // From `lo` to before `hi`, and `lo` where that is nothing.
    fn between(&mut self, lo: u64, hi: u64) -> u64 {
        lo + self.number() % hi.saturating_sub(lo).max(1)
    }

    // A key in the middle half, so that gaps become smaller fast.
    fn middle(&mut self, lo: i64, hi: i64) -> i64 {
        let (first, width) = (lo.midpoint(lo.midpoint(hi)), hi.abs_diff(lo) / 2);
        first.saturating_add_unsigned(self.between(0, width)).min(hi)
    }
}

// Reads a table in places: the first rows, the last, then the middle of the largest gaps, or a drawn key of it.
struct Sampler<'a, F> {
    reader: &'a Reader,
    scan: &'a TableScan,
    each: u64,
    rows: u64,
    stopped: bool,
    row: F,
    draw: Option<Draw>,
}

impl<F: FnMut(i64, &RowRef<'_>) -> Result<Flow>> Sampler<'_, F> {
    fn run(&mut self, spots: u64) -> Result<()> {
        let tail = self.tail_key()?;
        let before_tail = tail.checked_sub(1);
        let first = match before_tail {
            Some(hi) => self.read(Range { lo: None, hi: Some(hi) })?,
            None => None,
        };
        if self.stopped {
            return Ok(());
        }
        self.read(Range { lo: Some(tail), hi: None })?;
        // No row before the tail: so many rows share its key that no place lies apart from it.
        let Some(last) = first else { return Ok(()) };
        // Gaps that were not read, halved breadth first. Where the upper half of one holds no row, its lower
        // half is tried: keys may sit in one corner of their span. That costs a search in the b-tree, no rows.
        let mut gaps: VecDeque<(i64, i64)> = gap(last.checked_add(1), before_tail).into_iter().collect();
        let mut left = spots.saturating_sub(2);
        while let Some((lo, hi)) = gaps.pop_front() {
            if left == 0 || self.stopped {
                break;
            }
            let middle = self.draw.as_mut().map_or_else(|| lo.midpoint(hi), |draw| draw.middle(lo, hi));
            match self.read(Range { lo: Some(middle), hi: Some(hi) })? {
                Some(last) => {
                    left -= 1;
                    gaps.extend(gap(Some(lo), middle.checked_sub(1)));
                    gaps.extend(gap(last.checked_add(1), Some(hi)));
                }
                None if middle > lo => gaps.push_front((lo, middle - 1)),
                None => {}
            }
        }
        Ok(())
    }

    // Reads the first rows of `range`; gives the last key, `None` where no row was.
    fn read(&mut self, range: Range) -> Result<Option<i64>> {
        let (stopped, row) = (&mut self.stopped, &mut self.row);
        let end = self.reader.scan(self.scan, range, Some(self.each), |key, cells| {
            let flow = row(key, cells)?;
            *stopped |= flow != Flow::Continue;
            Ok(flow)
        })?;
        self.rows += end.rows;
        Ok(end.last_key.filter(|_| !self.stopped))
    }

    // The key from which on the last rows are read.
    fn tail_key(&self) -> Result<i64> {
        let (key, _) = self.scan.key.as_ref().expect("only tables with a key are sampled in places");
        let from = &self.scan.from;
        let sql = format!("SELECT {key} FROM {from} ORDER BY {key} DESC LIMIT 1 OFFSET ?");
        self.reader
            .conn
            .query_row(&sql, [self.each.saturating_sub(1) as i64], |row| Ok(place(taken(row, 0))))
            .map_err(|e| refused(e, format!("cannot find the last rows of table `{}`", self.scan.table)))
    }
}

// The keys from `lo` to `hi`, where there are any.
fn gap(lo: Option<i64>, hi: Option<i64>) -> Option<(i64, i64)> {
    lo.zip(hi).filter(|(lo, hi)| lo <= hi)
}
