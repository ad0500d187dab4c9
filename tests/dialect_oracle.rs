//! The two databases as oracle: every translated expression must give in PostgreSQL, for every row, what the
//! original gives in SQLite.
#![allow(clippy::unwrap_used, reason = "a test that unwraps fails with the place")]

mod support;

use lite2pg::dialect::scope::{Column, Relation, Scope};
use lite2pg::dialect::view::{self, ViewSource};
use lite2pg::dialect::{Kind, Translated, Want, default, expression, index, table};
use lite2pg::model::name::literal;
use lite2pg::model::pg_type::PgType;
use lite2pg::postgres::Session;
use rusqlite::Connection;
use rusqlite::types::Value;

const SQLITE_TABLE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, i INTEGER, j INTEGER NOT NULL, r REAL, \
    n NUMERIC(10,2), b BOOLEAN, s TEXT, c TEXT COLLATE NOCASE, p TEXT COLLATE RTRIM, x BLOB, d DATE, js TEXT, u TEXT)";
const PG_TABLE: &str = "CREATE TABLE t (id bigint PRIMARY KEY, i bigint, j integer NOT NULL, r float8, \
    n numeric(10,2), b boolean, s text, c text, p text, x bytea, d date, js jsonb, u uuid)";

/// Rows as SQLite literals; `b` and the literals of `x`, `js` and `u` are rewritten for PostgreSQL.
#[rustfmt::skip]
const ROWS: [[&str; 12]; 14] = [
    ["0", "0", "0.0", "0", "0", "''", "''", "''", "x''", "'2020-01-01'", "'{}'", "NULL"],
    ["1", "1", "1.5", "1.25", "1", "'abc'", "'ABC'", "'abc  '", "x'00ff'", "'1999-12-31'", "'{\"a\":\"x\",\"n\":5}'", "NULL"],
    ["-7", "2", "-2.5", "-0.01", "NULL", "'ABC'", "'abc'", "'abc'", "x'616263'", "NULL", "'{\"a\":{\"b\":[\"y\",\"z\"]}}'", "'018f0000-0000-7000-8000-000000000001'"],
    ["7", "3", "0.1", "99999999.99", "1", "'Ärger ß'", "'ÄRGER'", "' x'", "NULL", "'2020-02-29'", "'[\"a\",\"b\"]'", "'018f0000-0000-7000-8000-0000000000ff'"],
    ["NULL", "-4", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL", "NULL"],
    ["9223372036854775807", "2147483647", "1e300", "10", "0", "'5'", "'5'", "'5'", "x'7f'", "'0001-01-01'", "'{\"a\":true}'", "NULL"],
    ["-9223372036854775808", "-2147483648", "-1e300", "-10", "1", "'05'", "'a%b'", "'a_b'", "x'80'", "'9999-12-31'", "'{\"a\":null}'", "NULL"],
    ["63", "6", "-0.0", "2.5", "0", "'a\\b'", "'A\\B'", "'a%'", "x'0102'", "'2020-01-02'", "'{\"a\":[1]}'", "NULL"],
    ["-1", "8", "3.7", "3.5", "1", "'a%c'", "'x_y'", "'z'", "x'ff'", "'2020-01-03'", "'{\"a\":\"\"}'", "NULL"],
    ["2", "10", "-3.7", "0.1", "0", "' padded '", "' Padded '", "' padded '", "x'20'", "'2020-01-04'", "'{\"a\":\"5\"}'", "NULL"],
    ["100", "5", "2.0", "0.2", "1", "'😀x'", "'é'", "'É'", "x'f09f9880'", "'2021-01-01'", "'{\"a\":1.5}'", "NULL"],
    ["3", "7", "1e-7", "0.3", "0", "'line\nbreak'", "'LINE'", "'\t'", "x'0a'", "'2021-06-01'", "'{\"a b\":\"sp\"}'", "NULL"],
    ["10", "-3", "9007199254740993.0", "7", "1", "'[x]*?'", "'it''s'", "'\"'", "x'27'", "'2022-01-01'", "'{\"0\":\"k\"}'", "NULL"],
    ["12345", "4", "0.30000000000000004", "0.3", "0", "'_%'", "'true'", "'null'", "x'2525'", "'2023-01-01'", "'{\"a\":\"true\"}'", "NULL"],
];

fn columns() -> Vec<Column> {
    let column = |name: &str, pg_type, declared: &str| Column::new(name, name, pg_type).declared(declared);
    vec![
        column("id", PgType::Int8, "INTEGER").not_null(true),
        column("i", PgType::Int8, "INTEGER"),
        column("j", PgType::Int4, "INTEGER").not_null(true),
        column("r", PgType::Float8, "REAL"),
        column("n", PgType::Numeric(Some((10, 2))), "NUMERIC(10,2)"),
        column("b", PgType::Bool, "BOOLEAN"),
        column("s", PgType::Text, "TEXT"),
        column("c", PgType::Text, "TEXT").collation(Some("NOCASE".to_owned())),
        column("p", PgType::Text, "TEXT").collation(Some("RTRIM".to_owned())),
        column("x", PgType::Bytea, "BLOB"),
        column("d", PgType::Date, "DATE"),
        column("js", PgType::Jsonb, "TEXT"),
        column("u", PgType::Uuid, "TEXT"),
    ]
}

fn scope() -> Scope {
    Scope::table(Relation::new("t", "public", "t", columns()).rowid(Some(0)))
}

struct Pair {
    sqlite: Connection,
    pg: Session,
}

fn pair() -> Pair {
    let pair = Pair { sqlite: Connection::open_in_memory().unwrap(), pg: support::session(&support::database()) };
    pair.sqlite.execute_batch(SQLITE_TABLE).unwrap();
    pair.pg.batch(PG_TABLE).unwrap();
    for (i, row) in ROWS.iter().enumerate() {
        pair.sqlite.execute_batch(&format!("INSERT INTO t VALUES ({}, {})", i + 1, row.join(", "))).unwrap();
        let pg: Vec<String> = row.iter().enumerate().map(|(c, v)| for_pg(c, v)).collect();
        pair.pg.batch(&format!("INSERT INTO t VALUES ({}, {})", i + 1, pg.join(", "))).unwrap();
    }
    pair
}

fn for_pg(column: usize, value: &str) -> String {
    match (column, value) {
        (_, "NULL") => "NULL".to_owned(),
        (4, v) => format!("{}", v == "1"),
        (8, v) => format!("decode('{}', 'hex')", v.trim_start_matches('x').trim_matches('\'')),
        (2, v) => format!("'{v}'"),
        (_, v) => match v.strip_prefix('\'') {
            Some(text) => literal(&text[..text.len() - 1].replace("''", "'")),
            None => v.to_owned(),
        },
    }
}

/// What SQLite gives, as text with its class; integers and whole reals stay apart.
fn in_sqlite(pair: &Pair, sql: &str) -> Option<String> {
    let value: Value = pair.sqlite.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|e| panic!("{sql}: {e}"));
    shown(value)
}

fn shown(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::Integer(i) => Some(i.to_string()),
        Value::Real(r) => Some(format!("{:?}", r + 0.0)),
        Value::Text(t) => Some(t),
        Value::Blob(b) => Some(b.iter().fold(String::new(), |hex, b| hex + &format!("{b:02x}"))),
    }
}

/// The same of PostgreSQL; an overflow, which SQLite answers with a double, is no answer.
fn in_pg(pair: &Pair, translated: &Translated, id: usize) -> Result<Option<String>, String> {
    let sql = &translated.sql;
    let shown = match translated.kind {
        Kind::Bool => format!("({sql})::int::text"),
        Kind::Bytes => format!("encode({sql}, 'hex')"),
        _ => format!("({sql})::text"),
    };
    match pair.pg.query(&format!("SELECT {shown} FROM t WHERE id = {id}"), &[]) {
        Ok(rows) => Ok(rows[0].get(0)),
        Err(e) if e.sqlstate() == Some("22003") => Err(String::new()),
        Err(e) => Err(support::told(&e)),
    }
}

fn same(kind: Kind, sqlite: Option<&str>, pg: Option<&str>) -> bool {
    match (sqlite, pg) {
        (Some(a), Some(b)) if matches!(kind, Kind::Float | Kind::Numeric) => a
            .parse::<f64>()
            .ok()
            .is_some_and(|a| b.parse::<f64>().is_ok_and(|b| a.total_cmp(&b).is_eq() || a.abs() + b.abs() <= 0.0)),
        (a, b) => a == b,
    }
}

/// How the two answers differ, for the first row where they do.
fn difference(pair: &Pair, source: &str, condition: bool) -> Option<String> {
    let want = if condition { Want::Boolean } else { Want::Any };
    let translated = match expression(source, &scope(), &want) {
        Ok(translated) => translated,
        Err(refusal) => return Some(format!("{source}: refused: {refusal}")),
    };
    for id in 1..=ROWS.len() {
        let asked = if condition {
            format!("SELECT CASE WHEN {source} THEN 1 WHEN NOT ({source}) THEN 0 END FROM t WHERE id = {id}")
        } else {
            format!("SELECT {source} FROM t WHERE id = {id}")
        };
        let sqlite = in_sqlite(pair, &asked);
        let pg = match in_pg(pair, &translated, id) {
            Ok(pg) => pg,
            Err(overflow) if overflow.is_empty() => continue,
            Err(refusal) => return Some(format!("{source}\n  -> {}\n  row {id}: {refusal}", translated.sql)),
        };
        if !same(translated.kind, sqlite.as_deref(), pg.as_deref()) {
            let (sql, row) = (translated.sql, ROWS[id - 1]);
            return Some(format!("{source}\n  -> {sql}\n  row {id} {row:?}\n  sqlite {sqlite:?}\n  postgres {pg:?}"));
        }
    }
    None
}

fn assert_none_differs(sources: &[&str], condition: bool) {
    let pair = pair();
    let differences: Vec<String> = sources.iter().filter_map(|s| difference(&pair, s, condition)).collect();
    assert!(differences.is_empty(), "{} of {} differ:\n{}", differences.len(), sources.len(), differences.join("\n"));
}

#[rustfmt::skip]
const VALUES: &[&str] = &[
    "i", "J", "\"S\"", "[n]", "`r`", "t.i", "rowid", "1", "-1", "0x10", "0xffffffffffffffff", "-9223372036854775808", "1e3",
    "1_000", "'it''s'", "\"no such column\"", "x'00ff'", "NULL", "TRUE", "i + 1", "j + j", "j * 2", "2147483647 + 1", "i - j",
    "-i", "-j", "- -j", "+i", "-(i - j)", "i - (j - 1)", "i - -1", "i / 2", "i / j", "i / 0", "i % 3", "i % j", "-7 / 2", "-7 % 2", "j / (j - 1)",
    "r + 1", "r * 2", "r / 2", "r / 0", "r / j", "r - r", "i * 0.1", "n + 0.1", "n * 3", "n * r", "n + j", "1.0 / 3", "0.1 + 0.2",
    "i & 7", "i | 8", "~i", "~j", "i << 3", "i >> 1", "j << 40", "1 << 62", "1 + 2 * 3 - 4", "(1 + 2) * 3", "i & 7 + 1", "2 * (i | 1)",
    "s || 'x'", "s || i", "i || ''", "b || s", "'a' || 1 || 'b'", "s || c || p", "1 || 2",
    "abs(j)", "abs(r)", "abs(n)", "coalesce(i, j)", "coalesce(i, 0)", "ifnull(s, 'none')", "coalesce(s, c, '')", "coalesce(i, r)",
    "nullif(i, 0)", "nullif(s, '')", "nullif(c, 'abc')", "iif(i > 0, 'pos', 'neg')", "iif(i, 1, 0)", "length(s)", "length(x)", "length(i)",
    "length(b)", "lower(s)", "upper(s)", "lower(i)", "trim(s)", "ltrim(s)", "rtrim(s)", "trim(s, 'ab')", "substr(s, 2)", "substr(s, 2, 2)",
    "substr(s, 1, 0)", "substr(s, -2)", "substr(i, 1, 2)", "replace(s, 'a', 'b')", "replace(s, '', 'b')", "instr(s, 'b')", "instr(s, '')",
    "hex(x)", "hex(s)", "typeof(i)", "typeof(s)", "typeof(x)", "typeof(r)", "round(n)", "round(i)", "min(i, j)", "max(i, j, 3)", "max(s, 'b')", "min(r, 1.5)",
    "CASE WHEN i > 0 THEN 'a' WHEN i < 0 THEN 'b' END", "CASE i WHEN 0 THEN 'zero' WHEN 1 THEN 'one' ELSE s END", "CASE b WHEN 1 THEN 2 ELSE 3 END",
    "CASE WHEN i THEN r ELSE 0 END", "CASE c WHEN 'abc' THEN 1 ELSE 0 END", "CAST(i AS TEXT)", "CAST(j AS REAL)", "CAST(n AS INTEGER)", "CAST(b AS INTEGER)", "CAST(b AS TEXT)",
    "CAST(s AS BLOB)", "CAST(s AS TEXT)", "CAST(3.9 AS INTEGER)", "CAST(-3.9 AS INTEGER)", "(i IS NULL) + (s IS NULL)", "(i > 0) * 5", "NOT i", "i = 1", "b = 1", "likely(i)",
    "octet_length(s)", "substring(s, 2, 1)", "max(i, NULL)", "i COLLATE NOCASE", "u", "d",
];

#[rustfmt::skip]
const CONDITIONS: &[&str] = &[
    "i", "NOT i", "b", "NOT b", "r", "n", "1", "0", "NULL", "0.0", "i > 0", "i >= 0 AND j < 5", "i > 0 OR s = 'abc'", "NOT (i > 0 AND j > 0)",
    "i = 1", "i == 1", "i <> 1", "i != 1", "i = '1'", "i = '1.5'", "i < '5'", "i = 0.5", "i > 0.5", "i = 1.0", "r = 0.1", "r = 0", "r < 0", "r = 1e300", "n = 0.1", "n = 0.30", "n > 2.5",
    "n = i", "i = j", "r = j", "n = r", "i IS NULL", "i IS NOT NULL", "i ISNULL", "i NOTNULL", "i IS 1", "i IS NOT 1", "i IS j", "s IS 'abc'", "s IS NOT NULL", "i IS NOT DISTINCT FROM 1",
    "b = 1", "b = 0", "b <> 1", "b = 2", "b > 0", "b IN (0, 1)", "b IN (0, 1, 2)", "b IS 1", "b = TRUE", "b IS TRUE", "b IS NOT TRUE", "b IS FALSE", "i IS TRUE", "i IS NOT FALSE", "b = '1'", "b = i", "b = b", "1 = b",
    "s = 'abc'", "s = 'ABC'", "s <> ''", "s < 'b'", "s > 'B'", "s >= 'a' AND s < 'b'", "s BETWEEN 'A' AND 'a'", "s NOT BETWEEN 'A' AND 'a'", "s = 5", "s < 5", "s > c", "s = c", "c = s", "c = 'aBc'", "c < 'b'", "c > 'ABC'",
    "c BETWEEN 'ab' AND 'AD'", "c IN ('ABC', 'X_Y')", "s COLLATE NOCASE = 'abc'", "s = 'ABC' COLLATE NOCASE", "c = 'abc' COLLATE BINARY", "c COLLATE BINARY = 'abc'", "p = 'abc'", "p = 'abc   '", "p < 'abd'", "s COLLATE RTRIM = ' padded'", "'abc' = s", "'abc' < s",
    "+c = 'abc'", "s IN ('abc', '5')", "s NOT IN ('abc', NULL)", "i IN (1, 2, NULL)", "i IN ()", "i NOT IN ()", "i IN (1, '7')", "i BETWEEN 0 AND 7", "i NOT BETWEEN 0 AND 7", "n BETWEEN 0 AND 1", "i BETWEEN '0' AND '7'", "b BETWEEN 0 AND 1",
    "s LIKE 'a%'", "s LIKE 'A_C'", "s NOT LIKE '%b%'", "s LIKE 'Ä%'", "s LIKE 'ä%'", "s LIKE 'a\\b'", "s LIKE 'a!%c' ESCAPE '!'", "s LIKE '%\\%%' ESCAPE '\\'", "c LIKE '%!_%' ESCAPE '!'", "s LIKE c", "i LIKE '7'", "s LIKE '%'", "s LIKE ''", "s LIKE 'line%'", "like('a%', s)",
    "s GLOB 'a*'", "s GLOB '[a-z]*'", "s GLOB '*[^0-9]*'", "s NOT GLOB '*[^0-9]*'", "s GLOB '?b?'", "s GLOB 'A*'", "s GLOB '*[*]*'", "s GLOB '[[]x]*'", "s GLOB '*.*'", "s GLOB 'line?break'", "glob('a*', s)", "c GLOB 'a*'",
    "length(s) > 2", "length(s) = 3", "length(trim(s)) > 0", "lower(s) = 'abc'", "upper(c) = c", "typeof(i) = 'integer'", "typeof(i) <> 'integer'", "typeof(i) = 'null'", "typeof(i) = 'text'", "typeof(i) IN ('integer', 'null')", "typeof(s) = 'text' OR s IS NULL", "'blob' = typeof(x)", "typeof(r) = 'real'", "typeof(j) = 'integer'",
    "x = x'00ff'", "x < x'80'", "x IS NOT NULL", "length(x) <= 2", "d = '2020-01-01'", "d >= '2020-01-01' AND d < '2021-01-01'", "d BETWEEN '2020-01-01' AND '2020-12-31'", "d IS NULL", "d = d", "d IN ('2020-01-01', '2020-02-29')", "u = u", "u IS NOT NULL",
    "json_valid(js)", "json_extract(js, '$.a') = 'x'", "json_extract(js, '$.a') <> 'x'", "js ->> '$.a' = 'x'", "js ->> 'a' = 'x'", "json_extract(js, '$.a.b[1]') = 'z'", "json_extract(js, '$[0]') = 'a'", "js ->> 0 = 'a'", "json_extract(js, '$.\"a b\"') = 'sp'", "json_extract(js, '$.a') IS NULL", "json_extract(js, '$.a') IN ('x', 'y')", "js ->> '0' = 'k'", "js -> 'a' IS NOT NULL",
    "(i IS NULL) + (s IS NULL) = 1", "(i IS NULL) = (s IS NULL)", "i > 0 = b", "CASE WHEN i > 0 THEN s ELSE c END = 'abc'", "coalesce(i, 0) >= 0", "coalesce(b, 0) = 0", "i % 2 = 0", "i / 2 > 1", "i + j > 0", "i & 1", "n * 2 > 1", "r * 2 > 1", "abs(r) < 3", "max(i, j) > 3", "nullif(s, '') IS NOT NULL", "s || '' = 'abc'", "i AND s = 'abc' OR NOT b",
    "NOT i = 1", "NOT i IS NULL", "NOT NOT i", "i = 1 IS NULL", "i < j < 1", "1 < i AND i < 100 AND j BETWEEN 1 AND 5 AND s IS NOT NULL",
];

#[test]
fn translated_values_are_those_of_sqlite() {
    assert_none_differs(VALUES, false);
}

#[test]
fn translated_conditions_are_those_of_sqlite() {
    assert_none_differs(CONDITIONS, true);
}

#[rustfmt::skip]
const VIEWS: &[(&str, &str)] = &[
    ("plain", "SELECT id, s FROM t"),
    ("star", "SELECT * FROM t"),
    ("names", "SELECT ID, t.s AS Name, j/2, j - (1)  , max(i, 1)/* c */, (j) FROM t"),
    ("doubles", "SELECT a.id, b.id, a.id FROM t a JOIN t b ON a.id = b.id"),
    ("listed(a, b)", "SELECT id, s FROM t"),
    ("aliases", "SELECT i AS k, count(*) AS cnt FROM t GROUP BY k HAVING cnt > 0"),
    ("sums", "SELECT count(*), count(i), sum(j), total(j), avg(j), min(s), max(c COLLATE BINARY), sum(n), group_concat(b) IS NULL FROM t"),
    ("empty", "SELECT sum(i), total(i), count(i), avg(r), min(s) FROM t WHERE 0"),
    ("booleans", "SELECT b, i > 0 AS positive, b = 1, NOT b, max(b), sum(b) FROM t GROUP BY id"),
    ("left_join", "SELECT a.id, b.id AS other FROM t a LEFT JOIN t b ON a.i = b.j"),
    ("comma", "SELECT a.id FROM t a, t b JOIN t c ON a.id = c.id AND b.id = c.id"),
    ("using_", "SELECT * FROM t JOIN (SELECT id, s AS other FROM t) USING (id)"),
    ("natural_", "SELECT * FROM (SELECT id, s FROM t) NATURAL JOIN (SELECT id, j FROM t)"),
    ("nocase_join", "SELECT a.id, b.id AS b FROM t a JOIN t b ON a.c = b.s"),
    ("cte", "WITH big AS (SELECT * FROM t WHERE i > 5), named(x, y) AS (SELECT id, s FROM big) SELECT y, x FROM named"),
    ("counting", "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 10) SELECT n FROM c"),
    ("union_", "SELECT i FROM t UNION SELECT j FROM t"),
    ("union_all", "SELECT s FROM t UNION ALL SELECT 'x' ORDER BY 1 LIMIT 3"),
    ("left_to_right", "SELECT j FROM t UNION SELECT 3 INTERSECT SELECT 3"),
    ("except_", "SELECT j FROM t EXCEPT SELECT i FROM t"),
    ("distinct_", "SELECT DISTINCT b FROM t ORDER BY b"),
    ("first_rows", "SELECT id, s FROM t ORDER BY s LIMIT 4"),
    ("last_rows", "SELECT id, i FROM t ORDER BY i DESC LIMIT 3"),
    ("nulls", "SELECT id, i FROM t ORDER BY i LIMIT 2 OFFSET 1"),
    ("nocase_rows", "SELECT id, c FROM t ORDER BY c, id LIMIT 5"),
    ("mysql_limit", "SELECT id FROM t ORDER BY id LIMIT 2, 3"),
    ("no_limit", "SELECT id FROM t LIMIT -1"),
    ("scalar", "SELECT id, (SELECT max(j) FROM t b WHERE b.id < t.id) AS before FROM t"),
    ("exists_", "SELECT id FROM t WHERE EXISTS (SELECT 1 FROM t b WHERE b.i = t.j)"),
    ("in_query", "SELECT id FROM t WHERE i IN (SELECT j FROM t) AND j NOT IN (SELECT id FROM t WHERE id > 5)"),
    ("window_", "SELECT id, row_number() OVER (ORDER BY i, id) AS n, sum(j) OVER (PARTITION BY b ORDER BY id) AS running, lag(s) OVER (ORDER BY id) AS before FROM t"),
    ("window_frame", "SELECT id, sum(j) OVER w AS s FROM t WINDOW w AS (ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)"),
    ("filter_", "SELECT count(*) FILTER (WHERE i > 0) AS pos, count(DISTINCT j) AS js FROM t"),
    ("concat_", "SELECT group_concat(j, '-') AS js FROM (SELECT j FROM t WHERE id = 1)"),
    ("values_", "VALUES (1, 'a'), (2, 'b')"),
    ("from_view", "SELECT id FROM plain WHERE s = 'abc'"),
    ("ordinals", "SELECT b, count(*) FROM t GROUP BY 1 ORDER BY 2 DESC, 1"),
    ("case_view", "SELECT CASE WHEN i > 0 THEN 'p' ELSE 'n' END AS sign, count(*) AS n FROM t GROUP BY sign"),
    ("quoted \"name\"", "SELECT \"id\", \"s\" AS \"S \"\"x\"\"\" FROM \"t\""),
    ("floats", "SELECT id, r / 3 AS third, n * 0.1 AS tenth, 1.5 AS k, avg(j) OVER () AS a FROM t"),
    ("nested_join", "SELECT a.id FROM t a JOIN (t b JOIN t c ON b.id = c.id) ON a.id = b.id"),
    ("deep_join", "SELECT b.id, c.id, c.j, a.* FROM t a JOIN (t b JOIN t c ON b.id = c.id) ON a.id = b.id"),
    ("deep_star", "SELECT * FROM (SELECT id FROM t) a JOIN ((SELECT id, j FROM t) b JOIN (SELECT id, i FROM t) c ON b.id = c.id) ON a.id = b.id"),
    ("inner_limit", "SELECT max(id) FROM (SELECT id FROM t ORDER BY id LIMIT 3, 2)"),
    ("rows_of_value", "SELECT * FROM (SELECT 1 AS a, 'x' AS b, NULL AS c)"),
];

#[test]
fn translated_views_have_the_columns_and_the_rows_of_sqlite() {
    let pair = pair();
    let views: Vec<ViewSource> = VIEWS
        .iter()
        .rev()
        .map(|(name, select)| {
            let source = name.split('(').next().unwrap().to_owned();
            let shown = if name.contains('"') { lite2pg::model::name::quoted(name) } else { (*name).to_owned() };
            let create_sql = format!("CREATE VIEW {shown} AS {select}");
            ViewSource { target: source.clone(), source, schema: "public".to_owned(), create_sql }
        })
        .collect();
    for view in views.iter().rev() {
        pair.sqlite.execute_batch(&view.create_sql).unwrap_or_else(|e| panic!("{}: {e}", view.create_sql));
    }
    for (i, translated) in view::translate_all(&views, &scope()) {
        let source = &views[i];
        let view = translated.unwrap_or_else(|e| panic!("{}: refused: {e}", source.create_sql));
        let name = lite2pg::model::name::quoted(&source.target);
        let create = format!("CREATE VIEW {name} AS {}", view.select_sql);
        pair.pg.batch(&create).unwrap_or_else(|e| panic!("{}\n{create}: {}", source.create_sql, support::told(&e)));
        let names: Vec<&str> = view.columns.iter().map(|c| c.source.as_str()).collect();
        let mut statement = pair.sqlite.prepare(&format!("SELECT * FROM {name}")).unwrap();
        let sqlite_names: Vec<&str> = statement.column_names().collect();
        assert_eq!(names, sqlite_names, "{}\n{create}", source.create_sql);
        let width = names.len();
        let mut sqlite: Vec<Vec<Option<String>>> = Vec::new();
        let mut rows = statement.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            sqlite.push((0..width).map(|c| shown(row.get(c).unwrap())).collect());
        }
        let list: Vec<String> = view.columns.iter().map(pg_shown).collect();
        let rows = pair.pg.query(&format!("SELECT {} FROM {name}", list.join(", ")), &[]).unwrap();
        let mut pg: Vec<Vec<Option<String>>> =
            rows.iter().map(|r| (0..width).map(|c| r.get::<_, Option<String>>(c)).collect()).collect();
        for (c, column) in view.columns.iter().enumerate() {
            if matches!(column.pg_type, PgType::Float8 | PgType::Numeric(_)) {
                for row in sqlite.iter_mut().chain(&mut pg) {
                    row[c] = row[c].as_ref().map(|v| format!("{:.12e}", v.parse::<f64>().unwrap() + 0.0));
                }
            }
            if column.pg_type == PgType::Jsonb {
                sqlite.iter_mut().chain(&mut pg).for_each(|row| row[c] = None);
            }
        }
        sqlite.sort();
        pg.sort();
        assert_eq!(sqlite, pg, "{}\n{create}", source.create_sql);
    }
}

fn pg_shown(column: &Column) -> String {
    let name = lite2pg::model::name::quoted(&column.target);
    match column.pg_type {
        PgType::Bool => format!("{name}::int::text"),
        PgType::Bytea => format!("encode({name}, 'hex')"),
        _ => format!("{name}::text"),
    }
}

#[test]
fn checks_defaults_generated_columns_and_indexes_are_accepted_by_the_server() {
    let pair = pair();
    for condition in CONDITIONS {
        let translated = expression(condition, &scope(), &Want::Boolean).unwrap();
        let sql = &translated.sql;
        let refused = |e: lite2pg::Error| panic!("{condition}\n{sql}: {}", support::told(&e));
        pair.pg.batch(&format!("ALTER TABLE t ADD CHECK ({sql}) NOT VALID")).unwrap_or_else(refused);
        pair.pg.batch(&format!("CREATE INDEX ON t (id) WHERE {sql}")).unwrap_or_else(|e| {
            // An overflow of a row here is an answer that SQLite gives as a double.
            assert!(e.sqlstate() == Some("22003"), "{condition}\n{sql}: {}", support::told(&e));
        });
    }
    let defaults = [
        ("0", PgType::Bool),
        ("'t'", PgType::Bool),
        ("CURRENT_TIMESTAMP", PgType::TimestampTz),
        ("CURRENT_TIMESTAMP", PgType::Timestamp),
        ("CURRENT_TIMESTAMP", PgType::Text),
        ("CURRENT_DATE", PgType::Date),
        ("CURRENT_DATE", PgType::TimestampTz),
        ("CURRENT_TIME", PgType::Time),
        ("strftime('%s','now')", PgType::Int8),
        ("(strftime('%s','now') * 1000)", PgType::Int8),
        ("(CAST((julianday('now') - 2440587.5)*86400000 AS INTEGER))", PgType::Int8),
        ("(unixepoch())", PgType::Int4),
        ("(julianday('now'))", PgType::Float8),
        ("(strftime('%Y-%m-%dT%H:%M:%fZ','now'))", PgType::Text),
        ("(strftime('%Y-%m-%dT%H:%M:%fZ','now'))", PgType::TimestampTz),
        ("'[]'", PgType::Jsonb),
        ("x'00ff'", PgType::Bytea),
        ("-1.5", PgType::Numeric(Some((4, 2)))),
        ("(lower(hex(randomblob(16))))", PgType::Uuid),
        ("'2020-01-01 10:00:00'", PgType::TimestampTz),
        ("'a\\b'", PgType::Text),
        ("(1 + 2)", PgType::Int8),
        ("('a' || 'b')", PgType::Text),
    ];
    for (i, (source, pg_type)) in defaults.iter().enumerate() {
        let sql = default::translate(source, pg_type, None).unwrap_or_else(|e| panic!("{source}: {e}")).unwrap();
        let create = format!("CREATE TABLE d{i} (a int, v {pg_type} DEFAULT {sql}); INSERT INTO d{i} VALUES (1)");
        pair.pg.batch(&create).unwrap_or_else(|e| panic!("{create}: {}", support::told(&e)));
        if *pg_type == PgType::Text {
            let shape = |s: String| s.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect::<String>();
            let pg: String = pair.pg.query_one(&format!("SELECT v FROM d{i}"), &[]).unwrap().get(0);
            let sqlite = in_sqlite(&pair, &format!("SELECT {source}")).unwrap();
            assert_eq!(shape(pg), shape(sqlite), "{source}");
        }
    }
}

#[test]
fn what_the_translation_takes_apart_is_what_sqlite_made_of_it() {
    let sql = "CREATE TABLE k (a INTEGER PRIMARY KEY AUTOINCREMENT, b TEXT COLLATE NOCASE CHECK (length(b) > 0), \
        g INT GENERATED ALWAYS AS (a * 2) STORED, UNIQUE (b, g))";
    let sqlite = Connection::open_in_memory().unwrap();
    sqlite.execute_batch(sql).unwrap();
    sqlite.execute_batch("CREATE UNIQUE INDEX x ON k (lower(b) DESC, g) WHERE a > 1").unwrap();
    let table = table::parse(sql).unwrap();
    assert!(table.autoincrement && table.columns.len() == 3 && table.uniques[0].columns == ["b", "g"]);
    let stored: String =
        sqlite.query_row("SELECT sql FROM sqlite_schema WHERE name = 'x'", [], |row| row.get(0)).unwrap();
    let index = index::parse(&stored).unwrap();
    assert!(index.unique && index.terms[0].descending && index.terms[0].column.is_none());
}
