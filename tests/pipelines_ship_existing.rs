//! The pipelines that ship and load into what an application made: forth, verified, back, forth again, and how they fail.

#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

#[path = "../fixtures/generate.rs"]
mod generate;
mod support;

use generate::Source;
use lite2pg::postgres::{Session, Target};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::program::{Ran, ended, listing, program, url, value};
use support::{database, session};
use tempfile::TempDir;

fn shipped(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

/// A folder with a pipeline as it ships beside its source, and a target.
struct Ship {
    name: &'static str,
    dir: TempDir,
    source: PathBuf,
    target: Target,
    seen: Session,
}

impl Ship {
    fn new(name: &'static str, source: (Source, &str), scale: f64, there: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let folder = dir.path().join("pipelines");
        std::fs::create_dir(&folder).unwrap();
        for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines")).unwrap() {
            let entry = entry.unwrap();
            if entry.file_name().to_string_lossy().starts_with(name) {
                std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
            }
        }
        let path = folder.join(source.1);
        source.0.write(&path, scale).unwrap();
        let target = database();
        let seen = session(&target);
        seen.batch(there).unwrap_or_else(|e| panic!("{e:?}"));
        Self { name, source: path, dir, target, seen }
    }

    fn run(&self, verb: &[&str], more: &[&str]) -> Ran {
        let mut command: Command = program();
        command.args(verb).arg("-p").arg(format!("pipelines/{}.toml", self.name));
        command.args(["--target", &url(&self.target)]).args(more).current_dir(self.dir.path());
        ended(command.output().unwrap())
    }

    fn asks(&self, sql: &str, answer: &str) {
        assert_eq!(value(&self.seen, sql), answer, "{sql}");
    }

    fn change(&self, sql: &str) {
        Connection::open(&self.source).unwrap().execute_batch(&format!("PRAGMA foreign_keys = OFF; {sql}")).unwrap();
    }

    fn dumps(&self) -> Vec<PathBuf> {
        let found = std::fs::read_dir(self.dir.path().join("backups")).unwrap().map(|e| e.unwrap().path());
        let mut found: Vec<PathBuf> = found.filter(|p| p.extension().is_some_and(|e| e == "dump")).collect();
        found.sort();
        found
    }
}

fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn relationhub(scale: f64) -> Ship {
    let there = shipped("fixtures/postgres/relationhub.sql");
    Ship::new("relationhub-email", (Source::RelationHub, "relationhub.db"), scale, &there)
}

#[test]
fn relationhub_email_goes_forth_is_verified_goes_back_and_forth_again() {
    let ship = relationhub(1.0);
    let ran = ship.run(&["migrate"], &[]).exits(0);
    ran.says(&["`_prisma_migrations`: left alone: what Prisma has migrated", "both sides have come equally far"]);
    let ran = ship.run(&["migrate"], &[]).exits(0);
    let told = words(&ran.stdout);
    for said in [
        "check users and contacts: ok",
        "check e-mails by status: ok",
        "check users without exactly one default template: ok",
        "parity a page of e-mails: same answer",
        "parity one e-mail: same answer",
        "parity the history of a contact: same answer",
        "table, rows, bytes of the table, bytes of its indexes",
        "verified: every cell of 41 rows in 5 tables agrees",
    ] {
        assert!(told.contains(said), "`{said}` is not in\n{}", ran.stdout);
    }
    // The volumes that its developers seed, by what they are.
    ship.asks("SELECT string_agg(status || ' ' || n, ', ' ORDER BY status) FROM (SELECT status, count(*) n FROM emails GROUP BY 1) s", "DRAFT 5, SENT 3, FAILED 2");
    ship.asks("SELECT count(*) || ' ' || count(*) FILTER (WHERE \"isDefault\") FROM email_templates", "5 1");
    ship.asks(
        "SELECT count(*) || ' ' || count(DISTINCT \"contactId\") FROM conversation_history WHERE direction = 'SENT'",
        "10 5",
    );
    ship.asks("SELECT \"createdAt\" FROM users", "2025-09-16 00:00:01.001");
    ship.asks(
        "SELECT metadata->>'subject' || \"timestamp\" FROM conversation_history WHERE id = 'his000001-00'",
        "Subject 02025-09-16 00:00:01.007",
    );
    ship.run(&["verify"], &[]).exits(0);
    // What the application writes meanwhile goes back with the rest.
    ship.seen
        .batch("UPDATE emails SET status = 'SENT', \"sentAt\" = '2025-10-20 10:00:00' WHERE id = 'eml000001-00'")
        .unwrap();
    let restored = ship.dir.path().join("restored.db");
    let mut back = program();
    back.arg("rollback").arg(&ship.source).arg(url(&ship.target)).arg("--to").arg(&restored);
    ended(back.current_dir(ship.dir.path()).output().unwrap()).exits(0);
    let sent: i64 = Connection::open(&restored)
        .unwrap()
        .query_row("SELECT count(*) FROM emails WHERE status = 'SENT'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sent, 4);
    // Another server, and the same again.
    let again = database();
    session(&again).batch(&shipped("fixtures/postgres/relationhub.sql")).unwrap();
    let mut command = program();
    command
        .args(["migrate", "-p", "pipelines/relationhub-email.toml", "--target", &url(&again), "--source"])
        .arg(&restored);
    ended(command.current_dir(ship.dir.path()).output().unwrap()).exits(0);
    assert_eq!(value(&session(&again), "SELECT count(*) FROM emails WHERE status = 'SENT'"), "4");
}

#[test]
fn relationhub_email_is_the_same_at_another_scale_and_for_a_role_that_owns_the_tables_only() {
    let ship = relationhub(200.0);
    let dbname = ship.target.dbname();
    ship.seen
        .batch(&format!(
            "CREATE ROLE hub LOGIN; GRANT CREATE ON DATABASE {dbname} TO hub; GRANT ALL ON SCHEMA public TO hub; \
             DO $$ DECLARE t regclass; BEGIN FOR t IN SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' \
             LOOP EXECUTE format('ALTER TABLE %s OWNER TO hub', t); END LOOP; END $$"
        ))
        .unwrap();
    let role = format!("host={} user=hub dbname={dbname}", ship.target.host());
    let mut command = program();
    command.args(["migrate", "-p", "pipelines/relationhub-email.toml", "--quiet", "--target", &role]);
    ended(command.current_dir(ship.dir.path()).output().unwrap()).exits(0);
    ship.asks("SELECT count(*) FROM conversation_history", "4000");
}

#[test]
fn relationhub_email_fails_with_a_way_out_and_leaves_nothing() {
    // The tables are there, and somebody would make them once more.
    let ship = relationhub(1.0);
    let before = listing(&ship.seen);
    let path = ship.dir.path().join("pipelines/relationhub-email.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(ship.dir.path().join("pipelines/target.sql"), shipped("fixtures/postgres/relationhub.sql")).unwrap();
    std::fs::write(&path, text.replace("data_only = true", "ddl = \"target.sql\"")).unwrap();
    ship.run(&["migrate"], &[]).exits(1).says(&[
        "relation \"_prisma_migrations\" already exists",
        "nothing was written",
        "leave `ddl` out",
    ]);
    assert_eq!(listing(&ship.seen), before);
    // A status that the target's enum does not have.
    let ship = relationhub(1.0);
    let before = listing(&ship.seen);
    ship.change("UPDATE emails SET status = 'ARCHIVED' WHERE id = 'eml000001-09'");
    ship.run(&["migrate"], &[]).exits(3).says(&[
        "`emails.status` cannot be loaded",
        "no label of the enum",
        "nothing was written",
        "--on-error 'emails.status=reject'",
    ]);
    assert_eq!(listing(&ship.seen), before);
    ship.run(&["migrate"], &["--on-error", "emails.status=reject", "--allow-rejects", "1"]).exits(5).says(&["check"]);
    ship.asks("SELECT count(*) FROM emails", "9");
    // An e-mail to a contact that is gone.
    let ship = relationhub(1.0);
    ship.change("UPDATE emails SET contactId = 'gone' WHERE id = 'eml000001-03'");
    let plain = format!(
        "CREATE ROLE mailer LOGIN; GRANT CREATE ON DATABASE {} TO mailer; GRANT ALL ON ALL TABLES IN SCHEMA public TO mailer",
        ship.target.dbname()
    );
    ship.seen.batch(&plain).unwrap();
    let role = format!("host={} user=mailer dbname={}", ship.target.host(), ship.target.dbname());
    let mut command = program();
    command.args(["migrate", "-p", "pipelines/relationhub-email.toml", "--target", &role]).current_dir(ship.dir.path());
    ended(command.output().unwrap()).exits(1).says(&[
        "the server refused rows of `emails`",
        "23503",
        "emails_contactId_fkey",
        "`--on-error 'emails=reject'` sets such rows aside",
    ]);
    ship.asks("SELECT count(*) FROM emails", "0");
    // The application has not been migrated on the target as far.
    let ship = relationhub(1.0);
    ship.seen.batch("DELETE FROM \"_prisma_migrations\" WHERE migration_name LIKE '%history'").unwrap();
    ship.run(&["migrate"], &[]).exits(3).says(&[
        "only the source has done 20251010000002_add_conversation_history",
        "only the target has done 20251010000001_add_email_templates",
        "`--ignore-migrations`",
    ]);
}

#[test]
fn relationhub_email_s_target_goes_back_by_its_script_or_by_the_dump() {
    let ship = relationhub(1.0);
    ship.run(&["migrate"], &["--quiet"]).exits(0);
    ship.seen.batch(&shipped("pipelines/relationhub-email.undo.sql")).unwrap();
    ship.asks("(to_regclass('emails'), to_regtype('\"EmailStatus\"'), to_regclass('users'))", "(,,users)");
    let [dump] = &ship.dumps()[..] else { panic!("one dump: {:?}", ship.dumps()) };
    let bin = std::env::var("PG_BIN").unwrap_or_else(|_| "/usr/lib/postgresql/15/bin".to_owned());
    let restore = Command::new(Path::new(&bin).join("pg_restore"))
        .args([
            "--clean",
            "--if-exists",
            "--no-owner",
            "-h",
            &ship.target.host(),
            "-p",
            &ship.target.port().to_string(),
        ])
        .args(["-U", ship.target.user(), "-d", ship.target.dbname()])
        .arg(dump)
        .output()
        .unwrap();
    assert!(restore.status.success(), "{}", String::from_utf8_lossy(&restore.stderr));
    // As it was before: the application's tables, empty, and forth again.
    ship.asks("SELECT (SELECT count(*) FROM emails) + (SELECT count(*) FROM users)", "0");
    ship.run(&["migrate"], &["--quiet", "--restart"]).exits(0);
    ship.asks("SELECT count(*) FROM emails", "10");
}

fn enhanced(scale: f64) -> Ship {
    Ship::new("enhanced-schema", (Source::Enhanced, "mail.db"), scale, "")
}

#[test]
fn enhanced_schema_moves_what_analyses_said_into_the_e_mails_and_stands_beside_the_old_shape() {
    let ship = enhanced(1.0);
    ship.run(&["migrate"], &[]).exits(0);
    let told = words(&ship.run(&["migrate"], &[]).exits(0).stdout);
    for said in [
        "check e-mails: ok",
        "check analyses: ok",
        "check e-mails with a workflow state: ok",
        "check workflow, priority and state are those of the analyses: ok",
        "check the run is in the audit trail and among the events: ok",
        "check old readers see the old shape: ok",
        "parity urgent e-mails, without a join from now on: same answer",
        "in 21 tables agrees",
    ] {
        assert!(told.contains(said), "`{said}` is not in\n{told}");
    }
    ship.asks("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'", "29");
    // Analysed, analysed without a state, and never analysed.
    ship.asks(
        "SELECT (workflow_state, workflow_type, priority, status) FROM emails WHERE id = 'e0000000'",
        "(in_progress,order,high,yellow)",
    );
    ship.asks(
        "SELECT (workflow_state, workflow_type, priority, status) FROM emails WHERE id = 'e0000002'",
        "(pending,quote,critical,yellow)",
    );
    ship.asks(
        "SELECT (workflow_state, workflow_type, priority, status) FROM emails WHERE id = 'e0000003'",
        "(pending,,medium,yellow)",
    );
    ship.asks("SELECT details->>'rows' FROM audit_logs", "100");
    ship.asks("SELECT happened_at > now() + interval '29 days' FROM events WHERE kind = 'compatibility_ends'", "true");
    ship.asks("SELECT count(*) FROM compat.emails WHERE is_read", "50");
    // New rows follow the new rules.
    ship.seen.batch("INSERT INTO emails (id, message_id, from_address, received_at, is_read, has_attachments) VALUES ('new', 'm', 'f', now(), false, false)").unwrap();
    ship.asks("SELECT workflow_state || priority || status FROM emails WHERE id = 'new'", "pendingmediumyellow");
    assert!(ship.seen.batch("UPDATE emails SET priority = 'whenever' WHERE id = 'new'").is_err());
    ship.seen.batch("DELETE FROM emails WHERE id = 'new'").unwrap();
    ship.run(&["verify"], &["--quiet"]).exits(0);
}

#[test]
fn enhanced_schema_begins_again_and_is_the_same_at_another_scale() {
    let ship = enhanced(30.0);
    ship.run(&["migrate"], &["--quiet"]).exits(0);
    ship.asks("SELECT count(*) FROM emails", "3000");
    // What its own scripts made beyond the schema is theirs to take away.
    ship.run(&["migrate"], &["--quiet", "--restart"]).exits(1).says(&["cannot be dropped", "depend"]);
    ship.seen.batch("DROP SCHEMA compat CASCADE").unwrap();
    ship.run(&["migrate"], &["--quiet", "--restart"]).exits(0);
    ship.asks("SELECT (SELECT count(*) FROM emails) || ' ' || (SELECT count(*) FROM audit_logs)", "3000 1");
}
