//! What has to be done after the rows is done once for each table, whichever session finds the time for it.

mod support;

use lite2pg::run::Options;
use support::scenario::{Source, migrate_with};

const APP: &str = "
    CREATE TABLE agents (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, code TEXT UNIQUE);
    CREATE TABLE tasks (id TEXT PRIMARY KEY NOT NULL, agent INTEGER NOT NULL REFERENCES agents (id), note TEXT);
    CREATE TABLE alone (x INTEGER);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
        INSERT INTO agents SELECT i, 'agent ' || i, i % 1000 FROM n WHERE i <= 1000;
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
        INSERT INTO tasks SELECT printf('%08x', i * 2654435761 % 4294967296), 1 + i % 1000, 'note ' || i FROM n;
    INSERT INTO alone VALUES (1), (2), (2);
    CREATE INDEX tasks_by_agent ON tasks (agent);
    CREATE INDEX tasks_by_end ON tasks (lower(note));";

#[test]
fn every_table_is_counted_has_statistics_and_all_of_its_keys_whoever_had_the_time() {
    let source = Source::sql(APP);
    for (jobs, verify) in [(1, false), (2, false), (4, false), (4, true)] {
        let mut options = Options::new(&source.path);
        (options.jobs, options.verify) = (jobs, verify);
        options.wish.folder = source.path.with_file_name("differences");
        let moved = migrate_with(&options);
        let rows: Vec<(&str, u64)> = moved.summary.tables.iter().map(|t| (t.table.as_str(), t.rows)).collect();
        assert_eq!(rows, [("agents", 1000), ("tasks", 20_000), ("alone", 3)]);
        let number = |sql: &str| moved.session.query_one(sql, &[]).unwrap().get::<_, i64>(0);
        // Seven columns, and the expression of an index, whose statistics are gathered only after it is built.
        let statistics = "SELECT count(DISTINCT (tablename, attname)) FROM pg_stats WHERE schemaname = 'public'";
        assert_eq!(number(statistics), 8, "{jobs} lanes");
        let analyzed = "SELECT count(*) FROM pg_class WHERE oid IN ('agents'::regclass, 'tasks'::regclass, \
                        'alone'::regclass) AND reltuples IN (1000, 20000, 3)";
        assert_eq!(number(analyzed), 3, "{jobs} lanes");
        let keys = "SELECT count(*) FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND convalidated \
                    AND contype IN ('p', 'u', 'f')";
        assert_eq!(number(keys), 5, "{jobs} lanes");
    }
}
