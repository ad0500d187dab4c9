//! Tables that are there, for roles that are no superusers: foreign keys, triggers, indexes, rights, row security, and what
//! is no table. Whatever the role may not do is told before a row moves, and whatever was set aside is there again.

#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

use lite2pg::postgres::{Session, Target};
use std::path::PathBuf;
use support::program::{Ran, ended, listing, program, source, value};
use support::{database, session};
use tempfile::TempDir;

/// A source, and a target whose tables an administrator made.
struct Case {
    dir: TempDir,
    path: PathBuf,
    target: Target,
    admin: Session,
    role: String,
}

impl Case {
    /// In `there`, `WHO` and `DB` stand for the case's own role and database.
    fn new(here: &str, there: &str) -> Self {
        let (dir, path) = source(here);
        let target = database();
        let admin = session(&target);
        let role = format!("ladder of {}", target.dbname());
        let case = Self { dir, path, target, admin, role };
        case.admin(&format!("CREATE ROLE WHO LOGIN; CREATE SCHEMA lite2pg AUTHORIZATION WHO; {there}"));
        case
    }

    #[track_caller]
    fn admin(&self, sql: &str) {
        let sql = sql.replace("WHO", &format!("\"{}\"", self.role)).replace("DB", self.target.dbname());
        self.admin.batch(&sql).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    }

    /// `session_replication_role` may be granted.
    fn is_of(&self, version: u32) -> bool {
        let sql = format!("SELECT current_setting('server_version_num')::int >= {version}0000");
        value(&self.admin, &sql) == "true"
    }

    fn run(&self, verb: &str, arguments: &[&str]) -> Ran {
        let target = format!("host={} user='{}' dbname={}", self.target.host(), self.role, self.target.dbname());
        let mut command = program();
        command.arg(verb).arg(&self.path).arg(target).args(arguments);
        ended(command.current_dir(self.dir.path()).output().unwrap())
    }

    fn loads(&self, arguments: &[&str]) -> Ran {
        self.run("migrate", &[&["--data-only"][..], arguments].concat())
    }

    /// Refused while nothing has changed; `words` are in what is said.
    #[track_caller]
    fn is_refused(&self, words: &[&str]) -> Ran {
        let before = listing(&self.admin);
        let ran = self.loads(&[]).exits(3).says(words).says(&["nothing was written", "hint:"]);
        assert_eq!(listing(&self.admin), before);
        ran
    }

    /// Does what the hint of a refusal says, which is SQL, and loads.
    #[track_caller]
    fn follows_the_hint(&self, ran: &Ran) {
        let hint = ran.stderr.split("hint: ").nth(1).expect("a hint").trim();
        self.admin.batch(hint).unwrap_or_else(|e| panic!("{hint}: {e:?}"));
        self.is_loaded(&[]);
    }

    #[track_caller]
    fn is_loaded(&self, words: &[&str]) -> Ran {
        let ran = self.loads(&[]).exits(0).says(words);
        assert!(ran.stdout.contains("verified: every cell"), "{}", ran.stdout);
        ran
    }

    #[track_caller]
    fn asks(&self, sql: &str, answer: &str) {
        assert_eq!(value(&self.admin, sql), answer, "{sql}");
    }
}

const ITEMS: &str =
    "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO item VALUES (1, 'a'), (2, 'b');";
const ITEM: &str = "CREATE TABLE item (id int PRIMARY KEY, name text);";

/// Two tables that refer to each other.
const CIRCLE: &str = "CREATE TABLE a (id INTEGER PRIMARY KEY, b INTEGER REFERENCES b);
    CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER REFERENCES a);
    INSERT INTO a VALUES (1, 1), (2, 2); INSERT INTO b VALUES (1, 2), (2, 1);";
const CIRCLE_THERE: &str =
    "CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a);
    ALTER TABLE a ADD CONSTRAINT a_b FOREIGN KEY (b) REFERENCES b;";
const KEYS: &str = "SELECT string_agg(format('%s %s %s', conrelid::regclass, conname, convalidated), ', ' ORDER BY conname, conrelid::regclass::text)
    FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace";

#[test]
fn a_view_or_a_foreign_table_is_named_as_what_it_is() {
    let case = Case::new(
        ITEMS,
        "CREATE TABLE real (id int, name text); CREATE VIEW item AS SELECT * FROM real; GRANT ALL ON item TO WHO",
    );
    case.is_refused(&[
        "`--data-only` needs every table",
        "`item` is a view: nothing is loaded into it",
        "--exclude item",
    ]);
    case.asks("SELECT count(*) FROM real", "0");
    case.admin("DROP VIEW item; CREATE MATERIALIZED VIEW \"Item\" AS SELECT 1 AS id");
    case.is_refused(&["`Item` is a materialized view"]);
    case.admin(
        "DROP MATERIALIZED VIEW \"Item\"; CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;
         CREATE FOREIGN TABLE item (id int, name text) SERVER s; GRANT ALL ON item TO WHO",
    );
    case.is_refused(&["`item` is a foreign table"]);
    case.admin(&format!("DROP FOREIGN TABLE item; {ITEM} ALTER TABLE item OWNER TO WHO"));
    case.is_loaded(&[]);
}

#[test]
fn columns_that_the_role_may_not_fill_or_read_are_told_with_their_grants() {
    let there = format!("{ITEM} GRANT SELECT ON item TO WHO; GRANT INSERT (id) ON item TO WHO");
    let case = Case::new(ITEMS, &there);
    let ran = case.is_refused(&["it may not INSERT `item.name`", "GRANT INSERT (\"name\") ON \"public\".\"item\""]);
    case.follows_the_hint(&ran);
    // A column that the source does not fill needs no right.
    let there = "CREATE TABLE item (id int PRIMARY KEY, name text, secret text DEFAULT 'x');
        GRANT INSERT (id, name) ON item TO WHO; GRANT SELECT (id) ON item TO WHO";
    let case = Case::new(ITEMS, there);
    let ran = case.is_refused(&["it may not SELECT `item.name`"]);
    case.follows_the_hint(&ran);
    case.asks("SELECT string_agg(secret, '') FROM item", "xx");
    case.admin("REVOKE SELECT (name) ON item FROM WHO");
    case.run("verify", &[]).exits(3).says(&["it may not SELECT `item.name`", "GRANT SELECT (\"name\")"]);
    let replaced = ["--on-conflict", "update"];
    case.admin("GRANT SELECT (name), UPDATE (id) ON item TO WHO");
    case.loads(&replaced).exits(3).says(&["it may not UPDATE `item.name`", "GRANT UPDATE (\"name\")"]);
}

#[test]
fn values_that_are_cast_need_temporary_tables_which_is_told_before_a_row_moves() {
    let here = "CREATE TABLE item (id INTEGER PRIMARY KEY, span TEXT); INSERT INTO item VALUES (1, '1 day')";
    let there = "CREATE TABLE item (id int PRIMARY KEY, span interval); ALTER TABLE item OWNER TO WHO; REVOKE TEMPORARY ON DATABASE DB FROM PUBLIC";
    let case = Case::new(here, there);
    let ran = case.is_refused(&["may not create temporary tables", "GRANT TEMPORARY ON DATABASE"]);
    case.follows_the_hint(&ran);
}

#[test]
fn row_security_is_told_to_owners_and_to_others_with_what_helps_each() {
    let there = format!(
        "{ITEM} GRANT SELECT, INSERT ON item TO WHO; ALTER TABLE item ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON item USING (true)"
    );
    let case = Case::new(ITEMS, &there);
    case.is_refused(&["row security hides rows of `item`", "run as the table's owner, or ALTER ROLE"]);
    case.admin("ALTER TABLE item OWNER TO WHO; ALTER TABLE item FORCE ROW LEVEL SECURITY");
    case.is_refused(&["row security hides rows", "ALTER TABLE \"public\".\"item\" NO FORCE ROW LEVEL SECURITY"]);
    case.admin("ALTER TABLE item NO FORCE ROW LEVEL SECURITY");
    case.is_loaded(&[]);
    // What a policy hides is neither compared nor taken for deleted.
    case.admin("ALTER TABLE item FORCE ROW LEVEL SECURITY; DROP POLICY p ON item");
    case.run("verify", &[]).exits(3).says(&["row security hides rows of `item`"]);
    let back = case.dir.path().join("back.db");
    case.run("rollback", &["--to", back.to_str().unwrap()]).exits(3).says(&["row security hides rows of `item`"]);
    assert!(!back.exists());
}

#[test]
fn keys_of_a_circle_are_dropped_only_where_they_can_be_put_back() {
    // The owner of one table alone; the owner of both who may not refer to one of them.
    for rights in [
        "ALTER TABLE a OWNER TO WHO; GRANT SELECT, INSERT ON b TO WHO",
        "ALTER TABLE a OWNER TO WHO; ALTER TABLE b OWNER TO WHO; REVOKE REFERENCES ON a FROM WHO",
        "GRANT SELECT, INSERT ON a, b TO WHO",
    ] {
        let case = Case::new(CIRCLE, &format!("{CIRCLE_THERE} {rights}"));
        let keys = value(&case.admin, KEYS);
        case.loads(&[]).exits(1).says(&[
            "a, b refer to each other in a circle, so that no order of loading suits",
            "their foreign keys could not be set aside meanwhile",
            "hint: load as the role that owns all of these tables",
        ]);
        assert_eq!(value(&case.admin, KEYS), keys);
        case.asks("SELECT count(*) FROM lite2pg.foreign_key", "0");
        if case.is_of(15) {
            // The hint's other way.
            case.admin("GRANT SET ON PARAMETER session_replication_role TO WHO");
            case.is_loaded(&[]);
        } else {
            case.admin("ALTER TABLE a OWNER TO WHO; ALTER TABLE b OWNER TO WHO; GRANT REFERENCES ON a TO WHO");
            case.is_loaded(&[]);
        }
        assert_eq!(value(&case.admin, KEYS), keys);
    }
}

#[test]
fn a_circle_through_a_partitioned_table_is_loaded_and_its_keys_are_back() {
    let there = "CREATE TABLE a (id int PRIMARY KEY, b int) PARTITION BY RANGE (id);
        CREATE TABLE a_low PARTITION OF a FOR VALUES FROM (0) TO (2); CREATE TABLE a_high PARTITION OF a DEFAULT;
        CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a); ALTER TABLE a ADD CONSTRAINT a_b FOREIGN KEY (b) REFERENCES b;
        ALTER TABLE a OWNER TO WHO; ALTER TABLE a_low OWNER TO WHO; ALTER TABLE a_high OWNER TO WHO; ALTER TABLE b OWNER TO WHO";
    let case = Case::new(CIRCLE, there);
    let keys = value(&case.admin, KEYS);
    case.is_loaded(&["foreign keys among a, b are set aside"]);
    assert_eq!(value(&case.admin, KEYS), keys);
    let case = Case::new(&format!("{CIRCLE} INSERT INTO a VALUES (3, 9)"), there);
    if case.is_of(18) {
        case.loads(&[]).exits(0).says(&["foreign key `a_b` holds for new rows only"]);
        assert!(value(&case.admin, KEYS).contains("a a_b f"));
        return;
    }
    // There is no key for new rows only: an orphan ends the run, and the key is put back once it is gone.
    case.loads(&[]).exits(1).says(&["foreign key `a_b` of `a` cannot be put back", "kept in lite2pg.foreign_key"]);
    case.admin("INSERT INTO b VALUES (9)");
    case.loads(&[]).exits(5);
    assert_eq!(value(&case.admin, KEYS), keys);
}

#[test]
fn an_orphan_that_came_past_its_key_leaves_it_for_new_rows_only_and_one_that_cannot_be_marked_is_refused() {
    let here = "CREATE TABLE par (id INTEGER PRIMARY KEY); CREATE TABLE chi (id INTEGER PRIMARY KEY, p INTEGER REFERENCES par);
        INSERT INTO par VALUES (1); INSERT INTO chi VALUES (1, 1), (2, 9)";
    let there = "CREATE TABLE par (id int PRIMARY KEY); CREATE TABLE chi (id int PRIMARY KEY, p int REFERENCES par ON DELETE CASCADE DEFERRABLE);
        ALTER TABLE par OWNER TO WHO; ALTER TABLE chi OWNER TO WHO";
    let case = Case::new(here, there);
    if !case.is_of(15) {
        return;
    }
    case.admin("GRANT SET ON PARAMETER session_replication_role TO WHO");
    case.is_loaded(&[
        "foreign key `chi_p_fkey` holds for new rows only: 1 row has no parent",
        "VALIDATE CONSTRAINT \"chi_p_fkey\"",
    ]);
    case.asks(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = 'chi_p_fkey'",
        "FOREIGN KEY (p) REFERENCES par(id) ON DELETE CASCADE DEFERRABLE NOT VALID",
    );
    let case = Case::new(here, &there.replace("ALTER TABLE chi OWNER TO WHO", "GRANT SELECT, INSERT ON chi TO WHO"));
    case.admin("GRANT SET ON PARAMETER session_replication_role TO WHO");
    case.loads(&[]).exits(1).says(&["chi_p_fkey", "--on-error 'chi=reject'"]);
    case.asks("SELECT convalidated FROM pg_constraint WHERE conname = 'chi_p_fkey'", "true");
    // Parents that a policy hides would all look missing.
    let hidden = "INSERT INTO par VALUES (1), (9); ALTER TABLE par OWNER TO CURRENT_USER; GRANT SELECT, REFERENCES ON par TO WHO; ALTER TABLE par ENABLE ROW LEVEL SECURITY";
    let case = Case::new(here, &format!("{there}; {hidden}"));
    case.admin("GRANT SET ON PARAMETER session_replication_role TO WHO");
    let ran = case.loads(&["--include", "chi"]).exits(0);
    assert!(!ran.stderr.contains("no parent"), "{}", ran.stderr);
}

#[test]
fn triggers_of_partitions_are_silent_and_each_is_as_it_was() {
    let there = "CREATE TABLE item (id int PRIMARY KEY, name text) PARTITION BY RANGE (id);
        CREATE SCHEMA apart; GRANT USAGE ON SCHEMA apart TO WHO;
        CREATE TABLE low PARTITION OF item FOR VALUES FROM (0) TO (2);
        CREATE TABLE high PARTITION OF item FOR VALUES FROM (2) TO (100); CREATE TABLE apart.rest PARTITION OF item DEFAULT;
        CREATE TABLE log (who text); GRANT INSERT ON log TO WHO;
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (TG_NAME); RETURN NEW; END $$;
        CREATE TRIGGER of_all AFTER INSERT ON item FOR EACH ROW EXECUTE FUNCTION note();
        CREATE TRIGGER of_low BEFORE INSERT ON low FOR EACH ROW EXECUTE FUNCTION note();
        CREATE TRIGGER of_rest BEFORE INSERT ON apart.rest FOR EACH ROW EXECUTE FUNCTION note();
        ALTER TABLE high DISABLE TRIGGER of_all;
        ALTER TABLE item OWNER TO WHO; ALTER TABLE low OWNER TO WHO; ALTER TABLE high OWNER TO WHO";
    let enabled = "SELECT string_agg(concat_ws(' ', tgrelid::regclass, tgname, tgenabled), ', ' ORDER BY tgrelid::regclass::text, tgname)
        FROM pg_trigger WHERE tgname LIKE 'of_%'";
    let case = Case::new(ITEMS, there);
    let before = value(&case.admin, enabled);
    case.is_loaded(&[
        "`low`: triggers `of_all`, `of_low`: not fired",
        "`apart.rest`: triggers `of_all`, `of_rest`: fired for every row",
    ]);
    case.asks("SELECT count(*) FROM log", "0");
    assert_eq!(value(&case.admin, enabled), before);
    case.admin("INSERT INTO item VALUES (0, 'x')");
    case.asks("SELECT string_agg(who, ' ' ORDER BY who) FROM log", "of_all of_low");
}

#[test]
fn indexes_that_the_role_could_not_build_again_stay() {
    let here = "CREATE TABLE big (id INTEGER PRIMARY KEY, n INT);
        WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 101000) INSERT INTO big SELECT i, i % 7 FROM c";
    let there =
        "CREATE TABLE big (id int PRIMARY KEY, n int); ALTER TABLE big OWNER TO WHO; CREATE INDEX plain ON big (n);
        REVOKE CREATE ON SCHEMA public FROM PUBLIC;";
    let case = Case::new(here, there);
    let ran = case.is_loaded(&[]);
    assert!(!ran.stderr.contains("dropped before the load"), "{}", ran.stderr);
    case.asks("SELECT count(*) FROM pg_indexes WHERE indexname = 'plain'", "1");
    // A function that the role may not call.
    let there = "CREATE TABLE big (id int PRIMARY KEY, n int); GRANT CREATE ON SCHEMA public TO WHO;
        CREATE FUNCTION plus(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1'; CREATE INDEX plain ON big (plus(n));
        ALTER TABLE big OWNER TO WHO";
    let case = Case::new(here, there);
    case.is_loaded(&["`plain` dropped before the load"]);
    let case = Case::new(here, &format!("{there}; DROP INDEX plain; CREATE SCHEMA hidden; ALTER FUNCTION plus SET SCHEMA hidden;
        GRANT USAGE ON SCHEMA hidden TO WHO; CREATE INDEX plain ON big (hidden.plus(n)); REVOKE USAGE ON SCHEMA hidden FROM WHO"));
    case.loads(&[]).says(&[
        "indexes stay while rows are loaded: the server refused a statement: permission denied for schema hidden",
    ]);
    case.asks("SELECT count(*) FROM pg_indexes WHERE indexname = 'plain'", "1");
}

#[test]
fn a_role_that_is_set_for_the_login_loads_as_that_role_and_owns_nothing_new() {
    let there = format!(
        "{ITEM} CREATE ROLE \"app DB\"; ALTER TABLE item OWNER TO \"app DB\"; GRANT \"app DB\" TO WHO;
        ALTER SCHEMA lite2pg OWNER TO \"app DB\"; ALTER ROLE WHO SET role = 'app DB'"
    );
    let case = Case::new(ITEMS, &there);
    case.is_loaded(&[]);
    case.run("verify", &[]).exits(0);
    case.asks("SELECT relowner::regrole = quote_ident('app ' || current_database())::regrole FROM pg_class WHERE oid = 'item'::regclass", "true");
    case.admin("REASSIGN OWNED BY \"app DB\" TO CURRENT_USER; ALTER ROLE WHO RESET role; DROP OWNED BY \"app DB\"; DROP ROLE \"app DB\"");
}

#[test]
fn unlogged_tables_always_identities_and_generated_columns_take_their_rows() {
    let there = "CREATE UNLOGGED TABLE item (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text,
        loud text GENERATED ALWAYS AS (upper(name)) STORED); ALTER TABLE item OWNER TO WHO";
    let case = Case::new(ITEMS, there);
    case.is_loaded(&[]);
    case.admin("INSERT INTO item (name) VALUES ('c')");
    case.asks("SELECT string_agg(id || loud, ' ' ORDER BY id) FROM item", "1A 2B 3C");
}

#[test]
fn rows_that_came_meanwhile_arrive_by_a_second_pass_that_moves_only_what_changed() {
    let here = "CREATE TABLE par (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE);
        CREATE TABLE chi (id INTEGER PRIMARY KEY, p INTEGER REFERENCES par);
        INSERT INTO par VALUES (1, 'a'), (2, 'b'), (3, 'c'); INSERT INTO chi VALUES (1, 1), (2, 2), (3, 3)";
    let there = "CREATE TABLE par (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE);
        CREATE TABLE chi (id serial PRIMARY KEY, p int REFERENCES par); ALTER TABLE par OWNER TO WHO; ALTER TABLE chi OWNER TO WHO";
    let case = Case::new(here, there);
    case.is_loaded(&[]);
    // Deleted with its parent, whose unique name another row takes; new rows that refer to each other; a changed one.
    let app = rusqlite::Connection::open(&case.path).unwrap();
    app.execute_batch(
        "DELETE FROM chi WHERE id = 3; DELETE FROM par WHERE id = 3; INSERT INTO par (name) VALUES ('c'), ('d');
         UPDATE par SET name = 'z' WHERE id = 1; INSERT INTO chi VALUES (9, 5)",
    )
    .unwrap();
    let untouched = "SELECT xmin::text || ctid::text FROM par WHERE id = 2";
    let before = value(&case.admin, untouched);
    case.loads(&[]).exits(3).says(&[
        "the target holds rows already",
        "an earlier run moved this source there",
        "`lite2pg verify … --repair`",
    ]);
    let ran = case.run("verify", &["--repair"]).exits(0);
    assert!(ran.stdout.contains("repaired: 4 rows taken from the source again, 2 deleted"), "{}", ran.stdout);
    assert!(ran.stdout.contains("verified: every cell of 7 rows"), "{}", ran.stdout);
    assert_eq!(value(&case.admin, untouched), before);
    case.asks("SELECT string_agg(id || name, ' ' ORDER BY id) FROM par", "1z 2b 4c 5d");
    case.admin("INSERT INTO par (name) VALUES ('n'); INSERT INTO chi (p) VALUES (6)");
    case.asks("SELECT max(par.id) || ' ' || max(chi.id) FROM par, chi", "6 10");
}
