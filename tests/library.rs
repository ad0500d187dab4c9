//! The library's face: what a program calls does what the command line does, and says as clearly what came of it.

#[path = "../examples/library.rs"]
#[allow(dead_code, reason = "its `main` is run by people")]
mod example;
mod support;

use lite2pg::run::{Scope, assumed};
use lite2pg::{Ending, Kind, Options, Pipeline, RollbackOptions};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use support::program::{migrate, url};
use support::{database, told};
use tempfile::TempDir;

const SHOP: &str = "
CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, seen DATETIME);
INSERT INTO users VALUES (1, ' Ann ', '2026-01-02 03:04:05'), (2, 'Ben', NULL);
CREATE TABLE orders (id INTEGER PRIMARY KEY, user INTEGER REFERENCES users(id), amount DECIMAL(8,2));
INSERT INTO orders VALUES (1, 1, 12.5), (2, 2, 7), (3, 2, 0.25);
";

/// A folder with `shop.db`, and `shop.toml` of that text.
fn shop(pipeline: &str) -> (TempDir, PathBuf, PathBuf) {
    let folder = TempDir::new().expect("a temporary folder");
    let (db, toml) = (folder.path().join("shop.db"), folder.path().join("shop.toml"));
    Connection::open(&db).expect("a database").execute_batch(SHOP).expect("its rows");
    std::fs::write(&toml, pipeline).expect("a pipeline file");
    (folder, db, toml)
}

fn refused<T: std::fmt::Debug>(result: lite2pg::Result<T>, kind: Kind, says: &str) {
    let error = result.expect_err("this must be refused");
    assert_eq!(error.kind(), kind, "{error:?}");
    assert!(told(&error).contains(says), "{}", told(&error));
}

const TRIMMED: &str = r#"
source = "shop.db"
[[table]]
from = "users"
to = "people"
columns.name = { sql = "trim(name)", inverse = "' ' || name || ' '" }
"#;

#[test]
fn a_pipeline_is_loaded_migrated_verified_and_rolled_back_by_calls_as_by_the_command_line() {
    let (folder, _db, toml) = shop(TRIMMED);
    let target = database();
    let pipeline = Pipeline::load(&toml).expect("a pipeline");

    let dry = pipeline.plan(Some(&target)).expect("a plan");
    assert!(dry.script.contains("\"people\""), "{}", dry.script);
    let summary = pipeline.migrate(&target).expect("a migration");
    assert!(summary.is_verified() && !summary.finished_before);
    let session = support::session(&target);
    let name: String = session.query_one("SELECT name FROM people WHERE id = 1", &[]).expect("a row").get(0);
    assert_eq!(name, "Ann");
    assert!(pipeline.verify(&target).expect("a comparison").is_proof());

    // The command line finds its own run: the same options, to the last of them.
    let file = toml.display().to_string();
    let again = migrate(["-p", file.as_str(), "--target", url(&target).as_str()]).exits(0);
    assert!(again.stdout.contains("verified"), "{}", again.stdout);
    assert!(pipeline.migrate(&target).expect("once more").finished_before);

    session.batch("UPDATE orders SET amount = 13 WHERE id = 1").expect("a write");
    let restored = folder.path().join("restored.db");
    let back = pipeline.rollback(&target, &restored).expect("a way back");
    assert_eq!(back.ending, Ending::Published);
    let restored = Connection::open(restored).expect("a database");
    let ask = |sql: &str| restored.query_row(sql, [], |row| row.get::<_, String>(0)).expect("one row");
    assert_eq!(ask("SELECT CAST(amount AS TEXT) FROM orders WHERE id = 1"), "13");
    assert_eq!(ask("SELECT name FROM users WHERE id = 1"), " Ann ", "the source's own spelling, for nobody changed it");
}

#[test]
fn what_a_program_states_counts_more_than_the_file_and_the_rest_is_the_file_s() {
    let (folder, db, toml) = shop(
        "schema = \"shop\"\nidentifiers = \"snake\"\nassume_tz = \"Europe/Berlin\"\njobs = 3\ndata_only = true\n\
         exclude = [\"orders\"]\nrejects = { dir = \"aside\", max = 7, allow = 2 }\n\
         settings = { connections = 4, lock_timeout = 9 }\n",
    );
    let pipeline = Pipeline::load(&toml).expect("a pipeline");
    let of_file = Options::new(&db).shaped(&pipeline).expect("options");
    assert_eq!((of_file.schema.as_str(), of_file.scope), ("shop", Scope::DataOnly));
    assert_eq!(of_file.types.assume_tz, assumed("Europe/Berlin").expect("a zone"));
    assert_eq!(of_file.jobs, 2, "of four connections, one holds the lock and one asks");
    assert_eq!(of_file.rejects.folder, folder.path().join("aside"), "paths are beside the file");
    assert_eq!((of_file.rejects.most, of_file.rejects.allowed), (7, 2));
    assert_eq!(of_file.settings.lock_timeout, Some(std::time::Duration::from_secs(9)));

    let stated = Options {
        schema: "mine".to_owned(),
        scope: Scope::SchemaOnly,
        exclude: vec!["u*".to_owned()],
        jobs: 1,
        ..Options::new(&db)
    };
    let mine = stated.shaped(&pipeline).expect("options");
    assert_eq!((mine.schema.as_str(), mine.scope, mine.jobs), ("mine", Scope::SchemaOnly, 1));
    assert_eq!(mine.exclude, ["u*", "orders"], "globs add up");
    let back = RollbackOptions::of(&pipeline, &db, folder.path().join("back.db")).expect("options of a way back");
    assert_eq!((back.schema.as_str(), back.jobs), ("shop", 2));
}

#[test]
fn options_that_no_run_can_have_are_errors_and_no_panics() {
    let (_folder, db, toml) = shop("source = \"shop.db\"\njobs = 0\n");
    for jobs in [0, 65, usize::MAX] {
        refused(Options { jobs, ..Options::new(&db) }.plan(None), Kind::Usage, "is outside 1 to 64");
    }
    let none = Options { schema: String::new(), ..Options::new(&db) };
    refused(none.plan(None), Kind::Usage, "the schema has no name");
    refused(Options::new(db.with_file_name("no.db")).migrate(&database()), Kind::Source, "no.db");
    refused(Pipeline::load(&toml).expect("its grammar is right").options(), Kind::Usage, "shop.toml:2");
    std::fs::write(&toml, "source = \"shop.db\"\nschema = \"lite2pg\"\n").expect("a pipeline file");
    refused(Pipeline::load(&toml).expect("its grammar is right").options(), Kind::Usage, "keeps its own records");
    refused(Pipeline::load("no/such.toml"), Kind::Usage, "no/such.toml");
    for (text, says) in [("", "names no source"), ("target = \"embedded\"", "names no server"), ("", "names no server")]
    {
        std::fs::write(&toml, text).expect("a pipeline file");
        let pipeline = Pipeline::load(&toml).expect("an empty file asks for nothing");
        match says {
            "names no source" => refused(pipeline.options(), Kind::Usage, says),
            _ => refused(pipeline.target(), Kind::Usage, says),
        }
    }
    std::fs::write(&toml, "target = \"postgres://u@h/d\"\nsettings = { connect_timeout = 3 }\n")
        .expect("a pipeline file");
    assert_eq!(Pipeline::load(&toml).and_then(|p| p.target()).expect("a target").dbname(), "d");
}

#[test]
fn a_run_that_came_to_its_end_is_verified_only_if_all_of_it_is() {
    let (_folder, db, toml) =
        shop("[[check]]\nname = \"users\"\ntarget = \"SELECT count(*) FROM users\"\nexpect = \"3\"\n");
    let target = database();
    let options = Options::new(&db);
    assert!(options.migrate(&target).expect("a migration").is_verified());
    assert!(!Options { verify: false, ..options.clone() }.migrate(&target).expect("a count").is_verified());
    let checked = options.clone().shaped(&Pipeline::load(&toml).expect("a pipeline")).expect("options");
    let summary = checked.migrate(&target).expect("the same run, and a question");
    assert!(!summary.checks[0].right && !summary.is_verified(), "two users are not three");
    support::session(&target).batch("UPDATE users SET name = 'Anne' WHERE id = 1").expect("a write");
    let found = options.verify(&target).expect("a comparison");
    assert!(found.is_different() && !found.is_proof());
    assert!(!options.migrate(&target).expect("a second look").is_verified());
}

#[test]
fn the_example_moves_a_file_and_a_pipeline_and_stops_when_it_is_told_to() {
    let (_folder, db, toml) = shop(TRIMMED);
    let target = database();
    let stop = AtomicBool::new(true);
    refused(example::moved(&db, &target, &stop), Kind::Interrupted, "");
    let go = AtomicBool::new(false);
    assert!(example::moved(&db, &target, &go).expect("a migration").is_verified());
    assert!(example::moved(&toml, &database(), &go).expect("a migration").is_verified());
    refused(example::moved(Path::new("no.db"), &target, &go), Kind::Source, "no.db");
}
