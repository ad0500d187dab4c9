//! One change at a time, the smallest that a type has: what becomes of a cell or a row, and what must be found then.

use super::chance::Chance;
use super::subject::{Key, Shape};
use super::support::scenario::quoted;
use super::support::told;
use lite2pg::postgres::Session;
use std::collections::BTreeMap;

/// A copy of a table on the target while changes are made to it.
pub struct Patient<'a> {
    session: &'a Session,
    shape: &'a Shape,
    table: String,
    /// Names and types, and whether the server computes them.
    columns: Vec<(String, String, bool)>,
    /// Rows that were not touched yet, by their place and their key.
    rows: Vec<(String, String)>,
    /// What must be found in a table with a key, as `Compared::found` words it, with its number.
    noted: BTreeMap<String, usize>,
    /// All rows before the first change.
    before: Vec<String>,
    /// Changes so far, by their kind.
    pub made: Vec<String>,
}

impl<'a> Patient<'a> {
    pub fn new(session: &'a Session, shape: &'a Shape, copy: usize, chance: &mut Chance) -> Self {
        let table = shape.table(copy);
        let sql = "SELECT attname::text, format_type(atttypid, atttypmod), attgenerated::text <> '' FROM pg_attribute \
                   WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum";
        let columns = session.query(sql, &[&table]).expect("columns");
        let columns = columns.iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect();
        let key = if shape.has_key() { words(shape) } else { "''::text".to_owned() };
        let rows = session.query(&format!("SELECT ctid::text, {key} FROM {table}"), &[]).expect("rows");
        let mut rows: Vec<(String, String)> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
        for i in (1..rows.len()).rev() {
            rows.swap(i, chance.below(i + 1));
        }
        let before = whole(session, &table);
        Self { session, shape, table, columns, rows, noted: BTreeMap::new(), before, made: Vec::new() }
    }

    /// What must be found, as `Compared::found` words it, with its number.
    pub fn expected(&self) -> BTreeMap<String, usize> {
        if self.shape.has_key() {
            return self.noted.clone();
        }
        // Without a key nothing says which row became which: rows are missing and extra, as often as they are.
        let mut balance: BTreeMap<String, i64> = BTreeMap::new();
        for row in &self.before {
            *balance.entry(row.clone()).or_default() += 1;
        }
        for row in whole(self.session, &self.table) {
            *balance.entry(row).or_default() -= 1;
        }
        let sum = |sign: i64| balance.values().map(|n| (n * sign).max(0) as usize).sum::<usize>();
        [("missing ".to_owned(), sum(1)), ("extra ".to_owned(), sum(-1))].into_iter().filter(|(_, n)| *n > 0).collect()
    }

    /// Makes a change of some kind, and notes what must be found. False where no row is left, or the server or the
    /// value knows no such change.
    pub fn change(&mut self, chance: &mut Chance) -> bool {
        match chance.below(20) {
            0 => self.delete(),
            1 => self.double(chance),
            2 => self.swap_cells(chance),
            3 => self.swap_columns(),
            4 => self.rename(),
            _ => self.cell(chance),
        }
    }

    fn note(&mut self, what: &str) {
        *self.noted.entry(what.to_owned()).or_default() += 1;
    }

    fn made(&mut self, kind: impl Into<String>) -> bool {
        self.made.push(kind.into());
        true
    }

    // One row, its cells before and after, as text.
    fn update(&mut self, place: &str, key: &str, set: &str) -> bool {
        let all: Vec<String> = self.columns.iter().map(|(name, _, _)| format!("{}::text", quoted(name))).collect();
        let (table, all) = (&self.table, all.join(", "));
        let before = self.session.query_one(&format!("SELECT {all} FROM {table} WHERE ctid = '{place}'"), &[]);
        let before = before.expect("the row is there");
        // A row that was written again has another place, even with the same cells.
        self.session.batch("BEGIN").expect("a transaction");
        let sql = format!("UPDATE {table} SET {set} WHERE ctid = '{place}' RETURNING {all}");
        let changed: Vec<String> = match &self.session.query(&sql, &[]) {
            Ok(rows) => {
                let differ = |i: &usize| before.get::<_, Option<&str>>(*i) != rows[0].get::<_, Option<&str>>(*i);
                (0..self.columns.len()).filter(differ).map(|i| self.columns[i].0.clone()).collect()
            }
            // A limit, a key, an enum: no such change can be.
            Err(error) if error.sqlstate().is_some() => Vec::new(),
            Err(error) => panic!("{set}\n{}", told(error)),
        };
        self.session.batch(if changed.is_empty() { "ROLLBACK" } else { "COMMIT" }).expect("the end of it");
        if changed.is_empty() {
            return false;
        }
        for column in changed {
            self.note(&format!("changed {key} {column}"));
        }
        true
    }

    fn cell(&mut self, chance: &mut Chance) -> bool {
        let open: Vec<(String, String)> = self
            .columns
            .iter()
            .filter(|(name, _, computed)| !computed && !self.shape.key.iter().any(|(k, _, _)| k == name))
            .map(|(name, kind, _)| (name.clone(), kind.clone()))
            .collect();
        let (column, kind) = chance.pick(&open).clone();
        let Some((place, key)) = self.rows.pop() else { return false };
        let column_sql = quoted(&column);
        let sql = format!("SELECT {column_sql}::text FROM {} WHERE ctid = '{place}'", self.table);
        let old: Option<String> = self.session.query_one(&sql, &[]).expect("the cell").get(0);
        for _ in 0..8 {
            let new = smallest(&kind, old.as_deref(), chance);
            let literal = new.map_or_else(|| "NULL".to_owned(), |new| format!("{}::{kind}", literal(&new)));
            if self.update(&place, &key, &format!("{column_sql} = {literal}")) {
                return self.made(format!("cell {kind}"));
            }
        }
        self.rows.insert(0, (place, key));
        false
    }

    fn delete(&mut self) -> bool {
        let Some((place, key)) = self.rows.pop() else { return false };
        self.session.batch(&format!("DELETE FROM {} WHERE ctid = '{place}'", self.table)).expect("a deletion");
        self.note(&format!("missing {key}"));
        self.made("row deleted")
    }

    // The same row again, under another key where a key forbids the same one.
    fn double(&mut self, chance: &mut Chance) -> bool {
        if self.rows.is_empty() {
            return false;
        }
        let (place, _) = chance.pick(&self.rows).clone();
        let written: Vec<&str> =
            self.columns.iter().filter(|(_, _, computed)| !computed).map(|(n, _, _)| n.as_str()).collect();
        let value = |name: &&str| {
            let is_first = self.shape.key.first().is_some_and(|(key, _, _)| key == name);
            if is_first { another(self.shape.key[0].2, name) } else { quoted(name) }
        };
        let names = written.iter().map(|n| quoted(n)).collect::<Vec<_>>().join(", ");
        let values = written.iter().map(value).collect::<Vec<_>>().join(", ");
        let table = &self.table;
        let key = if self.shape.has_key() { words(self.shape) } else { "''::text".to_owned() };
        let sql = format!(
            "INSERT INTO {table} ({names}) SELECT {values} FROM {table} WHERE ctid = '{place}' RETURNING {key}"
        );
        // The same row may have been doubled before.
        let Ok(rows) = self.session.query(&sql, &[]) else { return false };
        self.note(&format!("extra {}", rows[0].get::<_, String>(0)));
        self.made("row doubled")
    }

    // Two rows change the cells of one column.
    fn swap_cells(&mut self, chance: &mut Chance) -> bool {
        let (Some((place_a, key_a)), Some((place_b, key_b))) = (self.rows.pop(), self.rows.pop()) else { return false };
        let open: Vec<&(String, String, bool)> = self
            .columns
            .iter()
            .filter(|(name, _, computed)| !computed && !self.shape.key.iter().any(|(k, _, _)| k == name))
            .collect();
        let (column, kind, _) = (*chance.pick(&open)).clone();
        let name = quoted(&column);
        let get = |place: &str| -> Option<String> {
            let sql = format!("SELECT {name}::text FROM {} WHERE ctid = '{place}'", self.table);
            self.session.query_one(&sql, &[]).expect("the cell").get(0)
        };
        let (a, b) = (get(&place_a), get(&place_b));
        let cast = |text: &Option<String>| {
            text.as_ref().map_or_else(|| "NULL".to_owned(), |text| format!("{}::{kind}", literal(text)))
        };
        // Numerics of one value may be spelled in two ways.
        if a == b || kind.starts_with("numeric") {
            return false;
        }
        let both = self.update(&place_a, &key_a, &format!("{name} = {}", cast(&b)))
            & self.update(&place_b, &key_b, &format!("{name} = {}", cast(&a)));
        assert!(both, "two different cells were swapped");
        self.made("cells of two rows swapped")
    }

    // Two columns of one row.
    fn swap_columns(&mut self) -> bool {
        let Some((place, key)) = self.rows.pop() else { return false };
        let named = |a: &str, b: &str| [a, b].iter().all(|n| self.columns.iter().any(|(c, _, _)| c == n));
        let (a, b) = if named("t", "t2") { ("t", "t2") } else { ("v", "c") };
        if !named(a, b) || !self.update(&place, &key, &format!("{a} = {b}, {b} = {a}")) {
            return false;
        }
        self.made("columns of a row swapped")
    }

    // A row gets another key.
    fn rename(&mut self) -> bool {
        if !self.shape.has_key() {
            return false;
        }
        let Some((place, key)) = self.rows.pop() else { return false };
        let (name, _, kind) = self.shape.key[0];
        let sql = format!(
            "UPDATE {} SET {} = {} WHERE ctid = '{place}' RETURNING {}",
            self.table,
            quoted(name),
            another(kind, name),
            words(self.shape)
        );
        let Ok(rows) = self.session.query(&sql, &[]) else { return false };
        self.note(&format!("missing {key}"));
        self.note(&format!("extra {}", rows[0].get::<_, String>(0)));
        self.made("key changed")
    }
}

fn whole(session: &Session, table: &str) -> Vec<String> {
    let rows = session.query(&format!("SELECT whole::text FROM {table} AS whole"), &[]).expect("rows");
    rows.iter().map(|row| row.get(0)).collect()
}

// The key of a row as the list words it.
fn words(shape: &Shape) -> String {
    let word = |(name, _, kind): &(&str, &str, Key)| {
        let column = quoted(name);
        match kind {
            Key::Word | Key::Loose => format!("'{name}=' || quote_literal({column}::text)"),
            Key::Number | Key::Uuid => format!("'{name}=' || {column}::text"),
        }
    };
    shape.key.iter().map(word).collect::<Vec<_>>().join(" || ', ' || ")
}

// A key that no row of the source has.
fn another(kind: Key, name: &str) -> String {
    let name = quoted(name);
    match kind {
        Key::Number => format!("-{name} - 100000"),
        Key::Word | Key::Loose => format!("{name} || ' '"),
        Key::Uuid => format!("md5({name}::text)::uuid"),
    }
}

fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// Another value of the type, as near as can be; sometimes none.
fn smallest(kind: &str, old: Option<&str>, chance: &mut Chance) -> Option<String> {
    let Some(old) = old else { return Some(first(kind, chance)) };
    if chance.one_in(10) {
        return None;
    }
    let word = kind.split(['(', ' ']).next().unwrap_or_default();
    Some(match word {
        "boolean" => (if old == "true" { "false" } else { "true" }).to_owned(),
        "smallint" | "integer" | "bigint" => {
            let n: i128 = old.parse().expect("an integer");
            let bit = 1 << chance.below(15);
            chance.pick(&[n + 1, n - 1, -n, n ^ bit, 0]).to_string()
        }
        "double" => {
            let x: f64 = old.parse().expect("a float");
            format!("{:?}", chance.pick(&[x.next_up(), x.next_down(), -x, 0.0, x + 1.0]))
        }
        "real" => {
            let x: f32 = old.parse().expect("a float");
            format!("{:?}", chance.pick(&[x.next_up(), x.next_down(), -x, x + 1.0]))
        }
        "numeric" => numeric(kind, old, chance),
        "bytea" => bytes(old, chance),
        "uuid" => {
            let at = [0, 7, 9, 14, 19, 35][chance.below(6)];
            let digit = if &old[at..=at] == "0" { "1" } else { "0" };
            format!("{}{digit}{}", &old[..at], &old[at + 1..])
        }
        "jsonb" => document(old, chance),
        "json" => match chance.below(3) {
            0 => format!("{old} "),
            1 => format!(" {old}"),
            _ => document(old, chance),
        },
        "date" if chance.one_in(5) => "infinity".to_owned(),
        "date" => shifted(old, kind, &["1 day", "-1 day"], chance),
        "time" => shifted(old, kind, &["00:00:00.000001", "-00:00:00.000001", "1 hour"], chance),
        "timestamp" => shifted(old, kind, &["0.000001 s", "-0.000001 s", "1 hour", "-1 day", "0.001 s"], chance),
        "mood" => (*chance.pick(&["sad", "ok", "happy", "HAPPY"])).to_owned(),
        _ => text(old, chance),
    })
}

// The server adds: the value goes there as an expression.
fn shifted(old: &str, kind: &str, by: &[&str], chance: &mut Chance) -> String {
    let by = chance.pick(by);
    let micros = |text: &str| -> i64 {
        match text {
            "1 day" => 86_400_000_000,
            "-1 day" => -86_400_000_000,
            "1 hour" => 3_600_000_000,
            "00:00:00.000001" | "0.000001 s" => 1,
            "0.001 s" => 1000,
            _ => -1,
        }
    };
    let span = jiff::SignedDuration::from_micros(micros(by));
    let word = kind.split(' ').next().unwrap_or_default();
    match word {
        "date" => old.parse::<jiff::civil::Date>().map_or("2020-02-02".into(), |d| (d + span).to_string()),
        "time" => old.parse::<jiff::civil::Time>().map_or("12:00".into(), |t| t.wrapping_add(span).to_string()),
        _ => {
            let (clock, zone) = old.split_at(old.find('+').unwrap_or(old.len()));
            let moved = clock.parse::<jiff::civil::DateTime>().map(|t| (t + span).to_string());
            moved.map_or("2020-02-02".into(), |t| format!("{}{zone}", t.replace('T', " ")))
        }
    }
}

fn numeric(kind: &str, old: &str, chance: &mut Chance) -> String {
    let limited = kind.contains('(');
    let negated = if old.trim_start_matches(['-', '0', '.']).is_empty() {
        "1".to_owned()
    } else if let Some(rest) = old.strip_prefix('-') {
        rest.to_owned()
    } else {
        format!("-{old}")
    };
    // One more or less in the last place that is written.
    let last = old.len() - 1;
    let digit = old.as_bytes()[last] - b'0';
    let near = format!("{}{}", &old[..last], if digit == 9 { 8 } else { digit + 1 });
    let finer =
        if old.contains('.') { format!("{old}00000000000000000001") } else { format!("{old}.00000000000000000001") };
    if limited {
        chance.pick(&[near, negated]).clone()
    } else {
        chance.pick(&[near, negated, finer, "NaN".into()]).clone()
    }
}

fn bytes(old: &str, chance: &mut Chance) -> String {
    let hex = &old[2..];
    match chance.below(4) {
        0 => format!("{old}00"),
        1 if !hex.is_empty() => old[..old.len() - 2].to_owned(),
        2 => "\\x".to_owned(),
        _ if hex.is_empty() => "\\x00".to_owned(),
        _ => {
            let at = 2 + chance.below(hex.len());
            let digit = u8::from_str_radix(&old[at..=at], 16).expect("a hex digit") ^ (1 << chance.below(4));
            format!("{}{digit:x}{}", &old[..at], &old[at + 1..])
        }
    }
}

fn document(old: &str, chance: &mut Chance) -> String {
    let at = |what: char| old.rfind(what);
    match chance.below(5) {
        0 => format!("[{old}]"),
        1 if old.contains("true") => old.replacen("true", "\"true\"", 1),
        2 if old.contains("null") => old.replacen("null", "0", 1),
        3 if old.starts_with("{\"") => format!("{{\"zz\": null, {}", &old[1..]),
        _ => match at('1').or_else(|| at('5')).or_else(|| at('0')) {
            Some(digit) => format!("{}7{}", &old[..digit], &old[digit + 1..]),
            None => "{\"other\": 1}".to_owned(),
        },
    }
}

fn text(old: &str, chance: &mut Chance) -> String {
    let chars: Vec<char> = old.chars().collect();
    let at = chance.below(chars.len().max(1));
    let replaced = |new: &str| {
        chars.iter().enumerate().map(|(i, c)| if i == at { new.to_owned() } else { c.to_string() }).collect::<String>()
    };
    match chance.below(11) {
        0 => format!("{old} "),
        1 => format!(" {old}"),
        2 => String::new(),
        3 => "NULL".to_owned(),
        4 => "<null>".to_owned(),
        5 if !chars.is_empty() => replaced(""),
        6 if !chars.is_empty() => {
            let c = chars[at];
            replaced(&if c.is_lowercase() { c.to_uppercase().to_string() } else { c.to_lowercase().to_string() })
        }
        7 if old.contains('é') => old.replacen('é', "e\u{301}", 1),
        8 => format!("{old}\u{a0}"),
        9 => format!("{old}\n"),
        _ => replaced("Ã©"),
    }
}

fn first(kind: &str, chance: &mut Chance) -> String {
    let word = kind.split(['(', ' ']).next().unwrap_or_default();
    match word {
        "boolean" => "false",
        "smallint" | "integer" | "bigint" | "numeric" | "real" | "double" => "0",
        "bytea" => "\\x",
        "uuid" => "00000000-0000-0000-0000-000000000000",
        "json" | "jsonb" => "null",
        "date" | "timestamp" => "2000-01-01",
        "time" => "00:00",
        "mood" => "ok",
        _ => chance.pick(&["", "NULL", "<null>", " ", "null"]),
    }
    .to_owned()
}
