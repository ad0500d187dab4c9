//! `kill -9` of the program: before and after each step that lasts, and at random moments.

use super::stage::{SMALL, Stage, is_long, killed_when_reached};
use crate::support::program::{Running, ended, program, value};
use crate::support::proxy::{Act, From, Proxy};

use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where a program is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// The server was not asked yet.
    Before,
    /// The server has done it, and the program does not know.
    After,
}

/// More steps than any run has.
const MANY: u64 = 1000;

/// A kind of run whose steps are gone through.
struct Scenario {
    sql: String,
    /// Arguments of the run.
    more: &'static [&'static str],
    /// Where the tables are.
    schema: &'static str,
    /// As another role than the superuser.
    as_owner: bool,
    /// Into tables that a run before made, and after these statements.
    into: Option<&'static str>,
}

impl Scenario {
    fn stage(&self) -> Stage {
        let mut stage = Stage::of(&self.sql).with(self.more);
        if self.as_owner {
            let (dbname, role) = (stage.target.dbname().to_owned(), format!("owner_of_{}", stage.target.dbname()));
            let grant = format!("CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {dbname} TO {role}");
            stage.seen.batch(&grant).unwrap();
            stage.user = Some(role);
        }
        self.set(&mut stage);
        stage
    }

    /// A target as it is before the run.
    fn set(&self, stage: &mut Stage) {
        stage.renew();
        if let Some(prepared) = self.into {
            let schema = ["--schema", self.schema, "--schema-only"].map(str::to_owned).to_vec();
            let more = std::mem::replace(&mut stage.more, schema);
            stage.run().exits(0);
            stage.more = more;
            stage.seen.batch(prepared).unwrap();
        }
    }
}

/// Kills at durable steps in turn until there is none of that number, and goes on by the same command. The first of
/// `steps` is the least that a run must have, the last the most that are gone through.
#[track_caller]
fn kill_at_each_step(scenario: &Scenario, steps: RangeInclusive<u64>, moment_of: impl Fn(u64) -> Moment) {
    let mut stage = scenario.stage();
    stage.run().exits(0);
    let (expected, runs, lists) = (stage.state(scenario.schema), stage.runs(), stage.lists());
    if !scenario.more.iter().any(|m| ["--no-verify", "--on-error"].contains(m)) {
        stage.has_as_many_rows(scenario.schema);
    }
    // A run that ended is not gone on with where the same command is to do something once more.
    let again = scenario.more.iter().any(|m| ["--truncate", "--on-conflict"].contains(m));
    for step in 1..=*steps.end() {
        scenario.set(&mut stage);
        let moment = moment_of(step);
        let proxy = stage.proxy(move |m| match moment {
            Moment::Before if m.asks_for(step) => Act::Hold,
            Moment::After if m.confirms(step) => Act::Hold,
            _ => Act::Pass,
        });
        let running = Running::start(&mut stage.command(&stage.through(&proxy)));
        if let Some(ran) = killed_when_reached(running, &proxy) {
            ran.exits(0);
            assert!(steps.contains(&step), "only {} steps were met", step - 1);
            println!("killed at {} steps", step - 1);
            return;
        }
        drop(proxy);
        let ran = stage.run();
        assert_eq!(ran.code, 0, "{moment:?} step {step}: {}", ran.stderr);
        let is_verified = ran.stdout.contains("verified: every cell") || scenario.more.contains(&"--no-verify");
        assert!(is_verified, "{moment:?} step {step}: {}", ran.stdout);
        assert_eq!(stage.state(scenario.schema), expected, "{moment:?} step {step}");
        assert_eq!(stage.lists(), lists, "{moment:?} step {step}");
        assert!(again || stage.runs() == runs, "{moment:?} step {step}: a run of its own was begun");
    }
}

/// Every second step before the server does it, the others after. In long runs, all steps both ways.
#[track_caller]
fn kill_at_each_step_in_turn(scenario: &Scenario, steps: RangeInclusive<u64>) {
    kill_at_each_step(scenario, steps.clone(), |step| if step % 2 == 0 { Moment::Before } else { Moment::After });
    if is_long() {
        kill_at_each_step(scenario, steps, |step| if step % 2 == 0 { Moment::After } else { Moment::Before });
    }
}

fn small() -> Scenario {
    Scenario { sql: SMALL.to_owned(), more: &["--jobs", "2"], schema: "public", as_owner: false, into: None }
}

/// Two tables whose foreign keys point at each other: a role that may not switch them off sets them aside.
fn cycle() -> Scenario {
    let sql = "
        CREATE TABLE a (id INTEGER PRIMARY KEY, b INTEGER REFERENCES b);
        CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER REFERENCES a);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100) INSERT INTO a SELECT i, 101 - i FROM n;
        INSERT INTO b SELECT id, b FROM a;";
    Scenario {
        sql: sql.to_owned(),
        more: &["--schema", "app", "--jobs", "2", "--data-only"],
        schema: "app",
        as_owner: true,
        into: Some(""),
    }
}

/// A table whose first plan its rows disprove between two places that the profile reads, and tables that stay as they are.
fn disproved() -> Scenario {
    let sql = "
        CREATE TABLE kept (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO kept VALUES (1, 'a'), (2, 'b');
        CREATE TABLE odd (id INTEGER PRIMARY KEY, v TEXT);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 70000)
            INSERT INTO odd SELECT i, CASE WHEN i = 35900 THEN 'no date' ELSE '2024-01-01' END FROM n;
        CREATE INDEX odd_v ON odd (v);";
    Scenario { sql: sql.to_owned(), more: &["--jobs", "2"], schema: "public", as_owner: false, into: None }
}

#[test]
fn killed_before_each_durable_step_the_same_command_ends_as_if_it_had_not_been() {
    kill_at_each_step(&small(), 15..=MANY, |_| Moment::Before);
}

#[test]
fn killed_after_each_durable_step_the_same_command_ends_as_if_it_had_not_been() {
    kill_at_each_step(&small(), 15..=MANY, |_| Moment::After);
}

#[test]
fn killed_at_each_step_while_foreign_keys_are_aside_the_same_command_puts_them_back() {
    kill_at_each_step_in_turn(&cycle(), 10..=MANY);
}

#[test]
fn killed_at_each_step_into_tables_that_held_rows_the_same_command_empties_them_once_or_merges_into_them() {
    let theirs = "INSERT INTO owner VALUES (1, 'theirs'), (5, 'five')";
    let into = |more| Scenario { more, into: Some(theirs), ..small() };
    kill_at_each_step_in_turn(&into(&["--data-only", "--truncate"]), 5..=MANY);
    // Merged rows cannot be compared with the source's.
    kill_at_each_step_in_turn(&into(&["--data-only", "--on-conflict", "update", "--no-verify"]), 5..=MANY);
    if is_long() {
        kill_at_each_step_in_turn(&into(&["--data-only", "--on-conflict", "skip", "--no-verify"]), 5..=MANY);
    }
}

#[test]
fn killed_at_each_step_around_a_plan_that_its_rows_disprove_the_same_command_ends_with_the_wider_one() {
    disproved().stage().run().exits(0).says(&["`odd` is loaded again"]);
    // The wider plan is the fourth step; from the seventh on it is like any other run.
    kill_at_each_step_in_turn(&disproved(), 7..=if is_long() { MANY } else { 8 });
}

#[test]
fn killed_at_each_step_with_rows_to_set_aside_the_same_command_sets_each_aside_once_and_lists_it() {
    let scenario = Scenario {
        more: &["--jobs", "2", "--data-only", "--on-error", "reject", "--allow-rejects", "100"],
        into: Some(
            "DROP VIEW of_one; ALTER TABLE item ADD CONSTRAINT few CHECK (id % 50 <> 0), ALTER t TYPE varchar(14)",
        ),
        ..small()
    };
    let stage = scenario.stage();
    stage.run().exits(0);
    // The tenth of the fifties, and the text that is too long and holds a NUL.
    let (name, list) = stage.lists().remove(0);
    assert_eq!((name.as_str(), list.lines().count()), ("item.csv", 12), "{list}");
    assert_eq!(value(&stage.seen, "SELECT count(*) FROM item"), "490");
    kill_at_each_step_in_turn(&scenario, 5..=MANY);
}

/// Numbers that look random and are the same for the same seed (splitmix64).
pub struct Chance(pub u64);

impl Chance {
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end.max(1)
    }
}

/// The seed that was asked for, or a new one.
pub fn seed() -> u64 {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.as_nanos() as u64);
    std::env::var("LITE2PG_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(now)
}

/// Holds what comes at the moment of this number. Rows that are read back come one a message, with nothing to lose
/// among them: they are no moments.
pub fn counting(stage: &Stage, number: u64) -> (Proxy, Arc<AtomicU64>) {
    let moments = Arc::new(AtomicU64::new(0));
    let counted = moments.clone();
    let proxy = stage.proxy(move |m| {
        let is_row = m.from == From::Server && m.kind == b'd';
        if !is_row && counted.fetch_add(1, Ordering::SeqCst) == number { Act::Hold } else { Act::Pass }
    });
    (proxy, moments)
}

#[test]
fn killed_at_each_step_of_a_repair_the_same_command_puts_right_what_is_wrong() {
    let stage = Stage::of(SMALL);
    stage.run().exits(0);
    let expected = stage.state("public");
    let damage = "UPDATE item SET t = 'wrong' WHERE id BETWEEN 5 AND 9; DELETE FROM item WHERE id = 100;
                  INSERT INTO owner VALUES (99, 'new'); UPDATE item SET id = 1000 WHERE id = 200;";
    let command = |target: &str| {
        let mut command = program();
        command.arg("verify").arg(&stage.path).arg(target).arg("--repair").current_dir(stage.path.parent().unwrap());
        command
    };
    for step in 1..=MANY {
        for moment in [Moment::Before, Moment::After] {
            stage.seen.batch(damage).unwrap();
            let damaged = stage.state("public");
            let proxy = stage.proxy(move |m| match moment {
                Moment::Before if m.asks_for(step) => Act::Hold,
                Moment::After if m.confirms(step) => Act::Hold,
                _ => Act::Pass,
            });
            let running = Running::start(&mut command(&stage.through(&proxy)));
            if let Some(ran) = killed_when_reached(running, &proxy) {
                ran.exits(0);
                assert!(step > 1, "a repair has a step");
                println!("killed at {} steps", step - 1);
                return;
            }
            drop(proxy);
            let now = stage.state("public");
            assert!(now == damaged || now == expected, "{moment:?} step {step}: half a repair");
            ended(command(&stage.direct()).output().unwrap()).exits(0);
            assert_eq!(stage.state("public"), expected, "{moment:?} step {step}");
        }
    }
}

#[test]
fn killed_at_random_moments_the_same_command_ends_as_if_it_had_not_been() {
    let seed = seed();
    println!("LITE2PG_SEED={seed}");
    let mut chance = Chance(seed);
    let rows = if is_long() { 450_000 } else { 20_000 };
    let sql = format!(
        "{SMALL} CREATE TABLE wide (id INTEGER PRIMARY KEY, t TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
             INSERT INTO wide SELECT i, i || hex(zeroblob(60)) FROM n;
         CREATE INDEX wide_t ON wide (t);"
    );
    let scenario = Scenario { sql, more: &["--jobs", "2"], schema: "public", as_owner: false, into: None };
    let mut stage = scenario.stage();
    let (proxy, moments) = counting(&stage, u64::MAX);
    ended(stage.command(&stage.through(&proxy)).output().unwrap()).exits(0);
    let (expected, moments) = (stage.state("public"), moments.load(Ordering::SeqCst));
    let mut told = String::new();
    for _ in 0..if is_long() { 200 } else { 20 } {
        // Killed, and the one that goes on killed too, now and then.
        scenario.set(&mut stage);
        let mut killed = 0;
        while killed == 0 || chance.below(3) == 0 {
            let number = chance.below(moments);
            let _ = write!(told, " {number}");
            let (proxy, _) = counting(&stage, number);
            let running = Running::start(&mut stage.command(&stage.through(&proxy)));
            // One that goes on says less, and may be over before.
            if let Some(ran) = killed_when_reached(running, &proxy) {
                ran.exits(0);
            }
            killed += 1;
        }
        let ran = stage.run();
        assert_eq!(ran.code, 0, "LITE2PG_SEED={seed}, killed at{told} of {moments}: {}", ran.stderr);
        assert_eq!(stage.state("public"), expected, "LITE2PG_SEED={seed}, killed at{told} of {moments}");
        stage.has_every_row_once("public", "wide", &["t"]);
        stage.has_every_row_once("public", "owner", &["name"]);
        told.push(';');
    }
    println!("{moments} moments; killed at{told}");
}
