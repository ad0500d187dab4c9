//! What a role needs for each verb, as docs/security.md promises: with these grants it works, and without any one of them
//! the answer is exit code 3, before anything is written, with the grant that helps.

#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

use lite2pg::postgres::{Session, Target};
use std::path::PathBuf;
use support::program::{Ran, ended, listing, program, source, value};
use support::{database, session};
use tempfile::TempDir;

const SOURCE: &str = "
    CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE part (id INTEGER PRIMARY KEY, item INTEGER NOT NULL REFERENCES item, n INTEGER);
    INSERT INTO item VALUES (1, 'one'), (2, 'two');
    INSERT INTO part VALUES (10, 1, 5), (11, 2, 6);";

/// Tables of somebody else's, as an application made them.
const TABLES: &str = "
    CREATE SCHEMA app;
    CREATE TABLE app.item (id bigint PRIMARY KEY, name text NOT NULL);
    CREATE TABLE app.part (id bigint PRIMARY KEY, item bigint NOT NULL REFERENCES app.item, n bigint);";

/// A source, a database, and a role without any right in it but to connect.
struct Case {
    dir: TempDir,
    path: PathBuf,
    target: Target,
    admin: Session,
    role: String,
}

impl Case {
    fn new(tables: &str) -> Self {
        let (dir, path) = source(SOURCE);
        let target = database();
        let admin = session(&target);
        let role = format!("least of {}", target.dbname());
        admin
            .batch(&format!("CREATE ROLE \"{role}\" LOGIN; REVOKE ALL ON SCHEMA public FROM PUBLIC; {tables}"))
            .unwrap();
        Self { dir, path, target, admin, role }
    }

    /// Runs statements in which `WHO` and `DB` stand for the case's own.
    fn admin(&self, sql: &str) {
        let sql = sql.replace("WHO", &format!("\"{}\"", self.role)).replace("DB", self.target.dbname());
        self.admin.batch(&sql).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let target = format!("host={} user='{}' dbname={}", self.target.host(), self.role, self.target.dbname());
        let mut command = program();
        command.arg(arguments[0]).arg(&self.path).arg(target).args(&arguments[1..]);
        if !arguments.contains(&"--schema") {
            command.args(["--schema", "app"]);
        }
        ended(command.current_dir(self.dir.path()).output().unwrap())
    }

    /// Refused for want of a right; the hint is SQL that an administrator runs as it is.
    #[track_caller]
    fn is_refused_and_told_to(&self, arguments: &[&str], grant: &str) {
        let before = listing(&self.admin);
        let ran = self.run(arguments).exits(3).says(&["nothing was"]);
        let hint = ran.stderr.split("hint: ").nth(1).expect("a hint").trim();
        let grant =
            grant.replace("WHO", &format!("\"{}\"", self.role)).replace("DB", &format!("\"{}\"", self.target.dbname()));
        assert!(hint.starts_with(&grant), "`{grant}` is not what the hint says: {hint}");
        assert_eq!(listing(&self.admin), before, "{arguments:?}");
        self.admin.batch(&grant).unwrap();
    }

    #[track_caller]
    fn asks(&self, sql: &str, answer: &str) {
        assert_eq!(value(&self.admin, sql), answer, "{sql}");
    }
}

const COUNTS: &str = "SELECT (SELECT count(*) FROM app.item) || ' ' || (SELECT count(*) FROM app.part)";

#[test]
fn a_role_with_create_on_the_database_makes_everything_itself() {
    let case = Case::new("");
    case.is_refused_and_told_to(&["migrate"], "GRANT CREATE ON DATABASE DB TO WHO");
    case.run(&["migrate"]).exits(0);
    case.asks(COUNTS, "2 2");
    case.run(&["migrate"]).exits(0).says(&[]);
    case.run(&["verify"]).exits(0);
    case.run(&["migrate", "--restart"]).exits(0);
}

#[test]
fn a_role_that_may_create_nothing_in_the_database_works_in_two_schemas_that_were_made_for_it() {
    let case = Case::new("");
    case.admin("CREATE SCHEMA app AUTHORIZATION WHO; CREATE SCHEMA lite2pg");
    case.is_refused_and_told_to(&["migrate"], "GRANT USAGE, CREATE ON SCHEMA lite2pg TO WHO");
    case.run(&["migrate"]).exits(0);
    case.asks(COUNTS, "2 2");
    case.admin("CREATE SCHEMA other");
    case.is_refused_and_told_to(&["migrate", "--schema", "other"], "GRANT CREATE ON SCHEMA \"other\" TO WHO");
}

#[test]
fn data_only_into_tables_of_another_role_needs_to_read_and_to_insert() {
    let case = Case::new(TABLES);
    case.admin("CREATE SCHEMA lite2pg AUTHORIZATION WHO");
    let data_only = ["migrate", "--data-only"];
    case.is_refused_and_told_to(&data_only, "GRANT USAGE ON SCHEMA \"app\" TO WHO; GRANT SELECT, INSERT ON \"app\".\"item\" TO WHO; GRANT SELECT, INSERT ON \"app\".\"part\" TO WHO");
    let ran = case.run(&data_only).exits(0);
    assert!(ran.stdout.contains("verified: every cell"), "{}", ran.stdout);
    case.asks(COUNTS, "2 2");
    case.run(&["verify"]).exits(0);

    let truncate = ["migrate", "--data-only", "--truncate"];
    case.is_refused_and_told_to(
        &truncate,
        "GRANT TRUNCATE ON \"app\".\"item\" TO WHO; GRANT TRUNCATE ON \"app\".\"part\" TO WHO",
    );
    case.run(&truncate).exits(0);
    case.asks(COUNTS, "2 2");
}

#[test]
fn on_conflict_needs_temporary_tables_and_update_to_update() {
    let case = Case::new(TABLES);
    case.admin(
        "CREATE SCHEMA lite2pg AUTHORIZATION WHO; GRANT USAGE ON SCHEMA app TO WHO; REVOKE TEMPORARY ON DATABASE DB FROM PUBLIC; \
         GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA app TO WHO; INSERT INTO app.item VALUES (1, 'old')",
    );
    let skip = ["migrate", "--data-only", "--on-conflict", "skip"];
    case.is_refused_and_told_to(&skip, "GRANT TEMPORARY ON DATABASE DB TO WHO");
    // Exit code 5: rows that were joined to others are not compared.
    case.run(&skip).exits(5);
    case.asks("SELECT name FROM app.item WHERE id = 1", "old");
    let update = ["migrate", "--data-only", "--on-conflict", "update"];
    case.is_refused_and_told_to(
        &update,
        "GRANT UPDATE ON \"app\".\"item\" TO WHO; GRANT UPDATE ON \"app\".\"part\" TO WHO",
    );
    case.run(&update).exits(5);
    case.asks("SELECT name FROM app.item WHERE id = 1", "one");
}

#[test]
fn a_sequence_behind_a_column_has_to_be_set() {
    let case = Case::new("CREATE SCHEMA app; CREATE TABLE app.item (id bigserial PRIMARY KEY, name text NOT NULL)");
    case.admin(
        "CREATE SCHEMA lite2pg AUTHORIZATION WHO; GRANT USAGE ON SCHEMA app TO WHO; \
         GRANT SELECT, INSERT ON app.item TO WHO",
    );
    let arguments = ["migrate", "--data-only", "--include", "item"];
    case.is_refused_and_told_to(&arguments, "GRANT SELECT, UPDATE ON SEQUENCE \"app\".\"item_id_seq\" TO WHO");
    case.run(&arguments).exits(0);
    case.asks("SELECT nextval('app.item_id_seq') > 2", "true");
}

#[test]
fn verify_needs_to_read_and_repair_to_write() {
    let case = Case::new(TABLES);
    case.admin(
        "INSERT INTO app.item VALUES (1, 'one'), (2, 'changed'); INSERT INTO app.part VALUES (10, 1, 5), (11, 2, 6)",
    );
    case.is_refused_and_told_to(&["verify"], "GRANT USAGE ON SCHEMA \"app\" TO WHO; GRANT SELECT ON \"app\".\"item\" TO WHO; GRANT SELECT ON \"app\".\"part\" TO WHO");
    case.run(&["verify"]).exits(5);
    case.is_refused_and_told_to(&["verify", "--repair"], "GRANT INSERT, UPDATE, DELETE ON \"app\".\"item\" TO WHO; GRANT INSERT, UPDATE, DELETE ON \"app\".\"part\" TO WHO");
    case.run(&["verify", "--repair"]).exits(0);
    case.asks("SELECT name FROM app.item WHERE id = 2", "two");
    case.asks("SELECT count(*) FROM pg_namespace WHERE nspname = 'lite2pg'", "0");
}

#[test]
fn verify_does_without_temporary_tables_and_repair_does_not() {
    let case = Case::new(TABLES);
    case.admin(
        "INSERT INTO app.item VALUES (1, 'one'), (2, 'two'); INSERT INTO app.part VALUES (10, 1, 5), (11, 2, 6); \
         GRANT USAGE ON SCHEMA app TO WHO; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA app TO WHO; \
         REVOKE TEMPORARY ON DATABASE DB FROM PUBLIC",
    );
    let ran = case.run(&["verify"]).exits(0);
    assert!(ran.stdout.contains("no sample for PostgreSQL to read itself"), "{}", ran.stdout);
    assert!(ran.stdout.contains("verified: every cell") && ran.stdout.contains("planted"), "{}", ran.stdout);
    case.admin("UPDATE app.item SET name = 'changed' WHERE id = 2");
    case.is_refused_and_told_to(&["verify", "--repair"], "GRANT TEMPORARY ON DATABASE DB TO WHO");
    case.run(&["verify", "--repair"]).exits(0);
}

#[test]
fn verify_of_a_run_of_another_role_needs_to_read_the_control_schema() {
    let case = Case::new("");
    let url = support::program::url(&case.target);
    support::program::migrate([case.path.to_str().unwrap(), &url, "--schema", "app"]).exits(0);
    case.admin("GRANT USAGE ON SCHEMA app TO WHO; GRANT SELECT ON ALL TABLES IN SCHEMA app TO WHO");
    case.is_refused_and_told_to(
        &["verify"],
        "GRANT USAGE ON SCHEMA lite2pg TO WHO; GRANT SELECT ON ALL TABLES IN SCHEMA lite2pg TO WHO",
    );
    let sequences = "GRANT SELECT ON SEQUENCE \"app\".\"item_id_seq\" TO WHO; GRANT SELECT ON SEQUENCE \"app\".\"part_id_seq\" TO WHO";
    case.is_refused_and_told_to(&["verify"], sequences);
    case.run(&["verify"]).exits(0);
}

#[test]
fn rows_that_row_security_hides_are_not_called_equal() {
    let case = Case::new(TABLES);
    case.admin(
        "CREATE SCHEMA lite2pg AUTHORIZATION WHO; GRANT USAGE ON SCHEMA app TO WHO; \
         GRANT ALL ON ALL TABLES IN SCHEMA app TO WHO; INSERT INTO app.item VALUES (1, 'one'), (2, 'two'), (3, 'hidden'); \
         INSERT INTO app.part VALUES (10, 1, 5), (11, 2, 6); \
         ALTER TABLE app.item ENABLE ROW LEVEL SECURITY; CREATE POLICY seen ON app.item USING (id < 3)",
    );
    case.run(&["verify"]).exits(3).says(&["row security hides rows of `item`", "nothing was written", "BYPASSRLS"]);
    case.run(&["migrate", "--data-only", "--truncate"]).exits(3).says(&["row security hides rows of `item`"]);
    case.asks(COUNTS, "3 2");
    case.admin("ALTER ROLE WHO BYPASSRLS");
    case.run(&["verify"]).exits(5).says(&["the target differs"]);
}

#[test]
fn the_bench_needs_its_own_schema_only() {
    let case = Case::new("");
    let bench = |case: &Case| {
        let target = format!("host={} user='{}' dbname={}", case.target.host(), case.role, case.target.dbname());
        ended(program().arg("bench").arg(&case.path).args([&target, "--rounds", "1", "--jobs", "1"]).output().unwrap())
    };
    bench(&case).exits(3).says(&["`lite2pg_bench` cannot be created", "the role needs CREATE on the database"]);
    case.admin("GRANT CREATE ON DATABASE DB TO WHO");
    bench(&case).exits(0);
    case.asks("SELECT count(*) FROM pg_namespace WHERE nspname ~ 'lite2pg'", "0");
}
