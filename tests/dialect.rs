//! SQLite's SQL in PostgreSQL's words: what it becomes, what is refused and why, and a walk over real files.

use lite2pg::dialect::scope::{Column, Relation, Scope};
use lite2pg::dialect::view::{self, ViewSource};
use lite2pg::dialect::{Want, collation, default, expression, index, table};
use lite2pg::model::conversion::{Conversion, EpochUnit, MomentForm, Naive};
use lite2pg::model::pg_type::PgType;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};

fn scope() -> Scope {
    let column =
        |name: &str, pg_type, declared: &str| Column::new(name, name.to_lowercase(), pg_type).declared(declared);
    Scope::table(Relation::new(
        "Thing",
        "public",
        "thing",
        vec![
            column("Id", PgType::Int8, "INTEGER").not_null(true),
            column("Qty", PgType::Int4, "INT"),
            column("Price", PgType::Numeric(Some((10, 2))), "DECIMAL(10,2)"),
            column("Exact", PgType::Numeric(None), "NUMERIC"),
            column("Ratio", PgType::Float8, "REAL"),
            column("Loose", PgType::Float8, "NUMERIC"),
            column("Active", PgType::Bool, "BOOLEAN"),
            column("Word", PgType::Bool, "TEXT"),
            column("Name", PgType::Text, "TEXT"),
            column("Tag", PgType::Text, "TEXT").collation(Some("NOCASE".to_owned())),
            column("Own", PgType::Text, "TEXT").collation(Some("unicase".to_owned())),
            column("Mixed", PgType::Text, "").uniform(false),
            column("Padded", PgType::Char(4), "CHAR(4)"),
            column("Status", PgType::TextLike("\"status\"".to_owned()), "TEXT"),
            column("Data", PgType::Bytea, "BLOB"),
            column("Uid", PgType::Uuid, "TEXT"),
            column("Doc", PgType::Jsonb, "JSON"),
            column("Day", PgType::Date, "DATE"),
            column("At", PgType::TimestampTz, "DATETIME"),
            column("Until", PgType::TimestampTz, "DATETIME"),
            column("Strange", PgType::Text, "STRING"),
        ],
    ))
}

#[track_caller]
fn check(source: &str, want: &Want, expected: &str) {
    match expression(source, &scope(), want) {
        Ok(translated) => assert_eq!(translated.sql, expected, "{source}"),
        Err(refusal) => panic!("{source}: refused: {refusal}"),
    }
}

#[track_caller]
fn refused(source: &str, want: &Want, reason: &str) {
    match expression(source, &scope(), want) {
        Ok(translated) => panic!("{source}: became {}", translated.sql),
        Err(refusal) => assert!(refusal.reason.contains(reason), "{source}: {refusal}"),
    }
}

#[test]
fn conditions_read_as_a_person_would_write_them() {
    for (source, expected) in [
        ("qty >= 0", r#""qty" >= 0"#),
        ("length(name) > 0", r#"length("name") > 0"#),
        ("\"QTY\" == 1 AND [name] != ''", r#""qty" = 1 AND "name" <> ''"#),
        ("active IN (0, 1)", r#""active" IN (false, true)"#),
        ("active", r#""active""#),
        ("active = 0 OR qty", r#""active" = false OR "qty" <> 0"#),
        ("name IN ('a', \"b\")", r#""name" IN ('a', 'b')"#),
        ("tag = 'Ab'", r#"lower("tag" COLLATE "C") = 'ab'"#),
        ("name LIKE 'A%'", r#"lower("name" COLLATE "C") LIKE 'a%'"#),
        ("name LIKE '%@%'", r#""name" LIKE '%@%'"#),
        ("name GLOB '[0-9]*'", r#""name" COLLATE "C" ~ '^[0-9].*$'"#),
        ("name < 'm'", r#""name" COLLATE "C" < 'm'"#),
        ("typeof(qty) = 'integer'", r#""qty" IS NOT NULL"#),
        ("typeof(qty) IN ('integer', 'null')", "true"),
        ("qty / price IS NULL OR qty / qty > 1 OR 1", ""),
        ("qty % 2 = 0", r#""qty"::bigint % 2 = 0"#),
        ("qty IS NOT 5", r#""qty" IS DISTINCT FROM 5"#),
        ("(qty IS NULL) + (price IS NULL) = 1", r#"("qty" IS NULL)::int::bigint + ("price" IS NULL)::int = 1"#),
        ("json_valid(doc)", r#"CASE WHEN "doc" IS NOT NULL THEN true END"#),
        ("doc ->> '$.type' = 'user'", r#""doc" ->> 'type' = 'user'"#),
        ("price >= 0.10", r#""price" >= 0.1"#),
        ("status = 'open'", r#""status"::text = 'open'"#),
        ("mixed = 'none'", r#""mixed" = 'none'"#),
        ("day >= '2020-01-01'", r#""day" >= '2020-01-01'"#),
        ("rowid > 0", ""),
    ] {
        if !expected.is_empty() {
            check(source, &Want::Boolean, expected);
        }
    }
}

#[test]
fn what_would_mean_something_else_is_refused_with_its_reason() {
    for (source, reason) in [
        ("name REGEXP '^a'", "REGEXP"),
        ("name > 5.5", "number with text"),
        ("qty = 'many'", "with the string 'many'"),
        ("at > '2020-01-01'", "by their spelling"),
        ("at < until", "by their spelling"),
        ("at > CURRENT_TIMESTAMP", "current time"),
        ("at > datetime('now')", "not the same at every time"),
        ("own = 'a'", "`unicase`"),
        ("own < name", "`unicase`"),
        ("mixed = '5'", "held numbers"),
        ("mixed < 'a'", "held numbers"),
        ("word = 1", "held words"),
        ("padded = 'a'", "padded"),
        ("qty + name > 1", "computes with text"),
        ("name", "text as a condition"),
        ("exact * 2 > 1", "computes with numeric"),
        ("loose / 2 > 1", "divide as such"),
        ("id = ratio", "2^53"),
        ("round(ratio) = 1", "round()"),
        ("round(price, 1) = 1", "round()"),
        ("qty << qty > 1", "shifts"),
        ("random() > 1", "random() with 0"),
        ("(SELECT 1)", "subquery"),
        ("qty IN (SELECT 1)", "subquery"),
        ("EXISTS (SELECT 1)", "subquery"),
        ("count(*) > 1", "aggregate"),
        ("max(qty) > 1", "over several rows"),
        ("unknown_function(qty)", "unknown_function"),
        ("nowhere = 1", "no column `nowhere`"),
        ("other.qty = 1", "no column `other.qty`"),
        ("(qty, id) = (1, 2)", "row values"),
        ("qty = ?", "parameter"),
        ("CAST(name AS INTEGER) > 1", "CAST of text"),
        ("name GLOB tag", "no string"),
        ("name GLOB '[a'", "not closed"),
        ("json_extract(doc, '$.n') = 5", "JSON as text"),
        ("json_extract(doc, '$.n') = '5'", "JSON as text"),
        ("json_extract(doc, '$.n') = 'true'", "JSON as text"),
        ("doc = '{}'", "compares JSON"),
        ("uid = '018f'", "uuid"),
        ("strange < '5'", "numeric affinity"),
        ("substr(name, 0, 2) = ''", "substr()"),
        ("CASE WHEN qty THEN 1 ELSE 'a' END = 1", "in one case"),
        ("qty; DROP TABLE x", "not"),
        ("1) FROM x; --", "more than one"),
        ("qty >", "not understood"),
        ("", "not understood"),
    ] {
        refused(source, &Want::Boolean, reason);
    }
    refused(&format!("{}1{}", "(".repeat(5000), ")".repeat(5000)), &Want::Boolean, "");
    refused(&"abs(".repeat(200), &Want::Boolean, "not understood");
    let deep = format!("{}qty{}", "abs(".repeat(200), ")".repeat(200));
    refused(&deep, &Want::Any, "nested too deeply");
    let long = vec!["qty = 1"; 900].join(" OR ");
    assert_eq!(table::parse(&format!("CREATE TABLE t (qty INT, CHECK ({long}))")).unwrap().checks[0].expression, long);
    assert!(expression(&long, &scope(), &Want::Boolean).is_ok());
}

#[test]
fn a_generated_column_gets_a_value_of_its_own_type() {
    check("qty * 2", &Want::Value(PgType::Int8), r#""qty"::bigint * 2"#);
    check("qty > 1", &Want::Value(PgType::Int8), r#"("qty" > 1)::int"#);
    check("qty > 1", &Want::Value(PgType::Bool), r#""qty" > 1"#);
    check("name || '-' || id", &Want::Value(PgType::Text), r#"("name" || '-') || "id"::text"#);
    check("id", &Want::Value(PgType::Text), r#""id"::text"#);
    refused("ratio * 2", &Want::Value(PgType::Numeric(None)), "floating point");
    refused("name", &Want::Value(PgType::Int8), "gives text");
    refused("mixed", &Want::Value(PgType::Text), "held numbers");
    check("lower(name)", &Want::Any, r#"lower("name" COLLATE "C")"#);
    let json = expression("json_extract(doc, '$.a.b[0]')", &scope(), &Want::Any).unwrap();
    assert_eq!(json.sql, r#""doc" -> 'a' -> 'b' ->> 0"#);
    assert!(!json.exact, "5 and '5' are one text: no UNIQUE index");
}

#[track_caller]
fn check_default(source: &str, pg_type: &PgType, expected: Option<&str>) {
    match default::translate(source, pg_type, None) {
        Ok(sql) => assert_eq!(sql.as_deref(), expected, "{source} on {pg_type}"),
        Err(refusal) => panic!("{source} on {pg_type}: refused: {refusal}"),
    }
}

#[test]
fn a_default_means_what_its_column_makes_of_it() {
    use PgType::{Bool, Bytea, Date, Float8, Int2, Int8, Jsonb, Numeric, Text, Timestamp, TimestampTz, Uuid, Varchar};
    for (source, pg_type, expected) in [
        ("0", Bool, Some("false")),
        ("'t'", Bool, Some("true")),
        ("\"true\"", Bool, Some("true")),
        ("false", Bool, Some("false")),
        ("TRUE", Int8, Some("1")),
        ("NULL", Int8, None),
        ("'null'", Int8, None),
        ("'null'", Text, Some("'null'")),
        ("''", Text, Some("''")),
        ("\"\"", Text, Some("''")),
        ("foo", Text, Some("'foo'")),
        ("(5)", Int8, Some("5")),
        ("-1", Int8, Some("-1")),
        ("+1", Int8, Some("1")),
        ("0x10", Int8, Some("16")),
        ("'7'", Int8, Some("7")),
        ("0.0", Int8, Some("0")),
        ("0", Text, Some("'0'")),
        ("1.5", Float8, Some("1.5")),
        ("1.50", Numeric(Some((4, 2))), Some("1.5")),
        ("x'00'", Bytea, Some(r"E'\\x00'::bytea")),
        ("'[]'", Jsonb, Some("'[]'::jsonb")),
        ("'CURRENT_TIMESTAMP'", Text, Some("'CURRENT_TIMESTAMP'")),
        ("CURRENT_TIMESTAMP", TimestampTz, Some("CURRENT_TIMESTAMP")),
        ("current_timestamp", Timestamp, Some("(now() AT TIME ZONE 'UTC')")),
        ("datetime('now')", TimestampTz, Some("CURRENT_TIMESTAMP")),
        ("(datetime(\"now\"))", TimestampTz, Some("CURRENT_TIMESTAMP")),
        ("CURRENT_DATE", Date, Some("((now() AT TIME ZONE 'UTC')::date)")),
        ("date('now')", Text, Some("(to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD'))")),
        ("(strftime('%s','now'))", Int8, Some("floor(extract(epoch FROM now()))::bigint")),
        ("(cast(strftime('%s', 'now') as int))", Int8, Some("floor(extract(epoch FROM now()))::bigint")),
        ("(1000 + 1)", Int8, Some("(1000::bigint + 1)")),
        ("(lower(hex(randomblob(16))))", Uuid, Some("gen_random_uuid()")),
        (UUID4, Text, Some("(gen_random_uuid()::text)")),
        ("'2020-01-01'", TimestampTz, Some("'2020-01-01+00'")),
        ("'2020-01-01T00:00:00Z'", TimestampTz, Some("'2020-01-01T00:00:00Z'")),
        ("'abc' -- the usual", Text, Some("'abc'")),
    ] {
        check_default(source, &pg_type, expected);
    }
    for (source, pg_type) in [
        ("''", Int8),
        ("''", Uuid),
        ("''", TimestampTz),
        ("''", Jsonb),
        ("''", Bool),
        ("2", Bool),
        ("'many'", Int8),
        ("99999", Int2),
        ("1.5", Int8),
        ("1.555", Numeric(Some((4, 2)))),
        ("123.0", Numeric(Some((4, 2)))),
        ("'abc'", Varchar(2)),
        ("0", TimestampTz),
        ("'CURRENT_TIMESTAMP'", TimestampTz),
        ("'0000-00-00'", Date),
        ("'0000-00-00 00:00:00'", Timestamp),
        ("CURRENT_TIMESTAMP", Date),
        ("CURRENT_TIMESTAMP", Int8),
        ("datetime('now', 'localtime')", TimestampTz),
        ("(random())", Int8),
        ("(lower(hex(randomblob(16))))", Text),
        ("'{'", Jsonb),
        ("(SELECT 1; DROP TABLE x)", Int8),
        ("", Text),
    ] {
        let translated = default::translate(source, &pg_type, None);
        assert!(translated.is_err(), "{source} on {pg_type}: {translated:?}");
    }
}

const UUID4: &str = "(lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) \
    || '-' || substr('89ab', abs(random()) % 4 + 1, 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))))";

#[test]
fn a_default_of_a_converted_column_follows_its_conversion() {
    let moment = |form, naive| Conversion::Moment { form, naive, target_has_zone: true, spelled: None, digits: 6 };
    let epoch = moment(MomentForm::Epoch(EpochUnit::Millis), Naive::Utc);
    let of = |source: &str, c: &Conversion| default::translate(source, &PgType::TimestampTz, Some(c));
    assert_eq!(of("0", &epoch).unwrap().unwrap(), "'1970-01-01T00:00:00Z'");
    assert_eq!(of("(strftime('%s','now') * 1000)", &epoch).unwrap().unwrap(), "CURRENT_TIMESTAMP");
    assert!(of("(strftime('%s','now'))", &epoch).is_err(), "seconds where the column counts milliseconds");
    assert!(of("CURRENT_TIMESTAMP", &epoch).is_err(), "a text where the column counts");
    let zoned = moment(MomentForm::Text { dates: true }, Naive::Zone("Europe/Vienna".to_owned()));
    let sql = of("'2020-01-01 10:00:00'", &zoned).unwrap().unwrap();
    assert_eq!(sql, "('2020-01-01 10:00:00'::timestamp AT TIME ZONE 'Europe/Vienna')");
    assert!(of("'2020-01-01 10:00:00'", &moment(MomentForm::Text { dates: true }, Naive::Refuse)).is_err());
}

#[test]
fn a_create_table_gives_the_facts_that_no_pragma_tells() {
    let sql = r#"CREATE TABLE "Order Item" (
        id INTEGER CONSTRAINT pk PRIMARY KEY ON CONFLICT REPLACE AUTOINCREMENT,
        [order] INT NOT NULL ON CONFLICT IGNORE REFERENCES orders DEFERRABLE INITIALLY DEFERRED,
        `name` VARCHAR(10) COLLATE NOCASE CONSTRAINT named CHECK (length(name) > 1) UNIQUE,
        total REAL GENERATED ALWAYS AS (price * qty) STORED, -- a comment, with (parentheses
        price REAL CHECK(price>=0), qty INT DEFAULT (1+1),
        CONSTRAINT fk FOREIGN KEY (price, "qty") REFERENCES "p""q" (a, b) ON DELETE CASCADE NOT DEFERRABLE,
        UNIQUE (id, name COLLATE BINARY) ON CONFLICT ROLLBACK, CHECK (qty > 0 OR 'it''s' <> "x"))"#;
    let facts = table::parse(sql).unwrap();
    let names: Vec<_> = facts.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["id", "order", "name", "total", "price", "qty"]);
    assert!(facts.autoincrement);
    let key = facts.primary_key.as_ref().unwrap();
    assert_eq!((key.name.as_deref(), key.conflict), (Some("pk"), Some(table::Conflict::Replace)));
    assert_eq!(facts.column("ORDER").unwrap().not_null_conflict, Some(table::Conflict::Ignore));
    assert_eq!(facts.column("name").unwrap().collation.as_deref(), Some("NOCASE"));
    assert_eq!(facts.column("total").unwrap().generated.as_deref(), Some("price * qty"));
    let checks: Vec<_> =
        facts.checks.iter().map(|c| (c.name.as_deref(), c.column.as_deref(), c.expression.as_str())).collect();
    assert_eq!(
        checks,
        [
            (Some("named"), Some("name"), "length(name) > 1"),
            (None, Some("price"), "price >= 0"),
            (None, None, "qty > 0 OR 'it''s' <> \"x\""),
        ]
    );
    assert_eq!(facts.uniques[1].columns, ["id", "name"]);
    assert_eq!(facts.uniques[1].conflict, Some(table::Conflict::Rollback));
    let [deferred, composite] = facts.foreign_keys.as_slice() else { panic!("two keys") };
    assert!(deferred.deferrable && deferred.initially_deferred && deferred.parent_columns.is_empty());
    assert_eq!((composite.name.as_deref(), composite.parent.as_str()), (Some("fk"), "p\"q"));
    assert!(!composite.deferrable && composite.columns == ["price", "qty"] && composite.parent_columns == ["a", "b"]);
    for bad in [
        "",
        "SELECT 1",
        "CREATE TABLE",
        "CREATE TABLE t AS SELECT 1",
        "CREATE TABLE t(a); DROP TABLE t",
        "CREATE TABLE t('a",
    ] {
        assert!(table::parse(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_create_index_gives_its_terms() {
    let facts = index::parse(
        "CREATE UNIQUE INDEX i ON t (a, lower(b) COLLATE NOCASE DESC, \"c\" COLLATE RTRIM, 'd', x -> '$.y') WHERE a IS NOT NULL",
    )
    .unwrap();
    assert!(facts.unique);
    let terms: Vec<_> = facts
        .terms
        .iter()
        .map(|t| (t.expression.as_str(), t.column.as_deref(), t.collation.as_deref(), t.descending))
        .collect();
    assert_eq!(
        terms,
        [
            ("a", Some("a"), None, false),
            ("lower(b)", None, Some("NOCASE"), true),
            ("\"c\"", Some("c"), Some("RTRIM"), false),
            ("'d'", Some("d"), None, false),
            ("x -> '$.y'", None, None, false),
        ]
    );
    assert_eq!(facts.where_clause.as_deref(), Some("a IS NOT NULL"));
    assert_eq!(collation::key("\"a\"", "nocase").unwrap(), "lower(\"a\" COLLATE \"C\")");
    assert!(collation::key("\"a\"", "unicase").is_err());
}

#[test]
fn a_view_is_refused_where_it_would_show_something_else() {
    for (select, reason) in [
        ("SELECT * FROM missing", "not in the target"),
        ("SELECT strftime('%Y', at) FROM thing", "something else than 'now'"),
        ("SELECT DISTINCT tag FROM thing", "DISTINCT under collation"),
        ("SELECT tag, count(*) FROM thing GROUP BY tag", "GROUP BY under collation"),
        ("SELECT id FROM thing a JOIN thing b ON a.id = b.id", "more than one table"),
        ("SELECT value FROM json_each('[1]')", "table function"),
        ("SELECT round(ratio, 2) FROM thing", "round()"),
        ("SELECT name || ratio FROM thing", "floating point as text"),
        ("SELECT id FROM other.thing", "another database"),
        ("SELECT id FROM thing LIMIT (SELECT 1)", "LIMIT"),
        ("SELECT random() FROM thing", "random()"),
    ] {
        match view::translate(&format!("CREATE VIEW v AS {select}"), &scope()) {
            Ok(view) => panic!("{select}: became {}", view.select_sql),
            Err(refusal) => assert!(refusal.reason.contains(reason), "{select}: {refusal}"),
        }
    }
}

#[test]
fn a_view_names_its_columns_and_what_it_reads() {
    let view = |source: &str, select: &str| ViewSource {
        source: source.to_owned(),
        schema: "s".to_owned(),
        target: source.to_lowercase(),
        create_sql: format!("CREATE VIEW {source} AS {select}"),
    };
    let views = [
        view("Second", "SELECT Id, \"Qty\" * 2 FROM First"),
        view("First", "SELECT * FROM thing WHERE active"),
        view("Third", "SELECT * FROM Nowhere"),
    ];
    let done = view::translate_all(&views, &scope());
    assert_eq!(done.iter().map(|(i, _)| *i).collect::<Vec<_>>(), [1, 0, 2]);
    let second = done[1].1.as_ref().unwrap();
    assert_eq!(second.depends_on, ["First"]);
    assert_eq!(
        second.select_sql,
        r#"SELECT "First"."Id" AS "Id", "First"."Qty"::bigint * 2 AS """Qty"" * 2" FROM "s"."first" AS "First""#
    );
    assert!(done[2].1.is_err());
}

/// Every database file below the folder of real files.
fn corpus() -> Vec<PathBuf> {
    fn walk(dir: &Path, files: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { walk(&path, files) } else { files.push(path) }
        }
    }
    let mut files = Vec::new();
    match std::env::var_os("LITE2PG_CORPUS") {
        Some(dir) => walk(Path::new(&dir), &mut files),
        None => println!("skipped: LITE2PG_CORPUS names no folder of databases"),
    }
    files.sort();
    files
}

#[derive(Default)]
struct Tally {
    done: usize,
    refused: Vec<String>,
}

impl Tally {
    fn add<T, E: std::fmt::Display>(&mut self, what: &str, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(value) => {
                self.done += 1;
                Some(value)
            }
            Err(error) => {
                self.refused.push(format!("{what}: {error}"));
                None
            }
        }
    }

    fn print(&self, name: &str) {
        println!("{name}: {} translated, {} refused", self.done, self.refused.len());
        self.refused.iter().for_each(|r| println!("    {}", r.replace('\n', " ")));
    }
}

fn relation(db: &Connection, name: &str) -> rusqlite::Result<(Relation, Vec<(PgType, String)>)> {
    let mut defaults = Vec::new();
    let mut statement = db.prepare("SELECT name, type, dflt_value FROM pragma_table_xinfo(?1) WHERE hidden <> 1")?;
    let mut rows = statement.query([name])?;
    let mut columns = Vec::new();
    while let Some(row) = rows.next()? {
        let (column, declared, default): (String, String, Option<String>) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let upper = declared.to_uppercase();
        let pg_type = if upper.contains("BOOL") {
            PgType::Bool
        } else if upper.contains("DATETIME") || upper.contains("TIMESTAMP") {
            PgType::TimestampTz
        } else {
            match lite2pg::dialect::Affinity::of(&declared) {
                lite2pg::dialect::Affinity::Integer => PgType::Int8,
                lite2pg::dialect::Affinity::Text => PgType::Text,
                lite2pg::dialect::Affinity::Real => PgType::Float8,
                lite2pg::dialect::Affinity::Numeric => PgType::Numeric(None),
                lite2pg::dialect::Affinity::Blob => PgType::Bytea,
            }
        };
        defaults.extend(default.map(|d| (pg_type.clone(), d)));
        columns.push(Column::new(&column, &column, pg_type).declared(&declared));
    }
    Ok((Relation::new(name, "public", name, columns), defaults))
}

#[test]
fn real_schemas_are_read_without_a_panic() {
    let mut tallies: [(&str, Tally); 8] =
        ["tables", "checks", "generated", "defaults", "indexes", "index terms", "partial", "views"]
            .map(|n| (n, Tally::default()));
    for file in corpus() {
        // Immutable: reading a file in WAL mode would leave a -shm and a -wal beside it.
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
        let uri = format!("file:{}?immutable=1", file.display());
        let Ok(db) = Connection::open_with_flags(&uri, flags) else { continue };
        if let Err(error) = walk_schema(&db, &mut tallies) {
            println!("{}: {error}", file.display());
        }
    }
    for (name, tally) in &tallies {
        tally.print(name);
    }
    assert!(tallies[0].1.refused.is_empty() && tallies[4].1.refused.is_empty(), "every table and index is read");
}

fn walk_schema(db: &Connection, tallies: &mut [(&str, Tally); 8]) -> rusqlite::Result<()> {
    let mut statement = db.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL")?;
    let objects: Vec<(String, String, String, String)> = statement
        .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut scope = Scope::default();
    let mut views = Vec::new();
    for (kind, name, _, sql) in &objects {
        match kind.as_str() {
            "table" if !sql.to_uppercase().starts_with("CREATE VIRTUAL") => {
                let Ok((relation, defaults)) = relation(db, name) else { continue };
                let own = Scope::table(relation.clone());
                scope.relations.push(relation);
                for (pg_type, default) in defaults {
                    tallies[3]
                        .1
                        .add(&format!("{name} {pg_type} {default}"), default::translate(&default, &pg_type, None));
                }
                let Some(facts) = tallies[0].1.add(name, table::parse(sql)) else { continue };
                for check in facts.checks {
                    let text = &check.expression;
                    tallies[1].1.add(&format!("{name} {text}"), expression(text, &own, &Want::Boolean));
                }
                for text in facts.columns.into_iter().filter_map(|c| c.generated) {
                    tallies[2].1.add(&format!("{name} {text}"), expression(&text, &own, &Want::Any));
                }
            }
            "view" => views.push(ViewSource {
                source: name.clone(),
                schema: "public".to_owned(),
                target: name.clone(),
                create_sql: sql.clone(),
            }),
            _ => {}
        }
    }
    for (_, name, table, sql) in objects.iter().filter(|o| o.0 == "index") {
        let Some(facts) = tallies[4].1.add(name, index::parse(sql)) else { continue };
        let Some(own) = scope.relation(table).cloned().map(Scope::table) else { continue };
        for term in facts.terms {
            tallies[5].1.add(&format!("{name} {}", term.expression), expression(&term.expression, &own, &Want::Any));
        }
        if let Some(text) = facts.where_clause {
            tallies[6].1.add(&format!("{name} {text}"), expression(&text, &own, &Want::Boolean));
        }
    }
    for (i, view) in view::translate_all(&views, &scope) {
        if let Some(view) = tallies[7].1.add(&views[i].source, view) {
            // A view of a broken database may not be readable in SQLite either.
            let quoted = lite2pg::model::name::quoted(&views[i].source);
            let Ok(statement) = db.prepare(&format!("SELECT * FROM {quoted}")) else { continue };
            let names: Vec<&str> = view.columns.iter().map(|c| c.source.as_str()).collect();
            assert_eq!(names, statement.column_names().collect::<Vec<_>>(), "{}", views[i].create_sql);
        }
    }
    Ok(())
}
