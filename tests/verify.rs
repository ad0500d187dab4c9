//! Does the comparison find every change, and nothing but changes?
//!
//! `LITE2PG_LONG=1` tries many more; `LITE2PG_SEED` repeats a run.

#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

#[path = "verify/chance.rs"]
mod chance;
#[path = "verify/mutation.rs"]
mod mutation;
#[path = "verify/subject.rs"]
mod subject;
mod support;

use chance::Chance;
use lite2pg::model::verdict::Outcome;
use lite2pg::postgres::{Session, Target};
use lite2pg::run::{self, Options};
use mutation::Patient;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use subject::{APPS_TYPES, SHAPES, Shape};
use support::compared::{by_hand, compare, compare_with};
use support::program::{source, value};
use support::scenario::{Listener, Source};
use support::{database, session, told};

fn is_long() -> bool {
    std::env::var_os("LITE2PG_LONG").is_some()
}

/// Migrates, and both sides must be equal then.
#[track_caller]
fn migrate(path: &Path, target: &Target) {
    let mut options = Options::new(path);
    // Lists belong to nobody here.
    options.wish.folder = path.with_file_name("differences");
    options.wish.show_values = true;
    let stop = AtomicBool::new(false);
    let summary =
        run::migrate(&options, target, &Listener::default(), &stop).unwrap_or_else(|e| panic!("{}", told(&e)));
    let verification = summary.verification.unwrap();
    assert!(verification.is_equal(), "{}", lite2pg::report::verification::text(&verification));
}

// Every change -------------------------------------------------------------------------------------------------------

/// Copies of a table. Each even one gets one change, so that its whole digest hangs on that; each odd one many.
fn copies(shape: &Shape) -> usize {
    match (shape.name, is_long()) {
        ("large", false) => 2,
        (_, false) => 10,
        (_, true) => 60,
    }
}

const CHANGES: usize = 18;

#[test]
fn every_change_is_found_where_it_was_made() {
    let mut chance = Chance::seeded("mutations");
    let source = Source::nothing();
    let db = Connection::open(&source.path).unwrap();
    db.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN").unwrap();
    let all: Vec<(&Shape, usize)> = SHAPES.iter().flat_map(|s| (0..copies(s)).map(move |copy| (s, copy))).collect();
    all.iter().for_each(|(shape, copy)| shape.fill(&db, *copy, &mut chance));
    db.execute_batch("COMMIT").unwrap();
    drop(db);
    let target = database();
    let session = session(&target);
    let types = app_tables(&session, &all);
    migrate(&source.path, &target);

    harmless(&session, &all, types);
    compare(&source.path, &target).is_equal();

    let mut patients = Vec::new();
    for (shape, copy) in &all {
        let mut patient = Patient::new(&session, shape, *copy, &mut chance);
        let wanted = if copy % 2 == 0 { 1 } else { CHANGES };
        for _ in 0..wanted * 40 {
            if patient.made.len() == wanted {
                break;
            }
            patient.change(&mut chance);
        }
        patients.push((shape.table(*copy), patient));
    }
    let compared = compare(&source.path, &target);
    let (mut made, mut found, mut missed) = (BTreeMap::new(), 0, String::new());
    for (table, patient) in &patients {
        patient.made.iter().for_each(|kind| *made.entry(kind.clone()).or_insert(0_usize) += 1);
        let (expected, told) = (patient.expected(), compared.found(table));
        if told == expected {
            found += patient.made.len();
        } else {
            let _ = writeln!(missed, "`{table}`, {:?}\n  made  {expected:?}\n  found {told:?}", patient.made);
        }
    }
    let total: usize = made.values().sum();
    eprintln!("mutations: {total} made, {found} found and located, in {} tables\n{made:#?}", patients.len());
    assert!(missed.is_empty(), "{missed}");
    assert!(total >= 1000 && total == found, "{total} made, {found} found");
}

// The tables that an app made; gives the type that stands for citext.
fn app_tables(session: &Session, all: &[(&Shape, usize)]) -> &'static str {
    let has = value(session, "EXISTS (SELECT FROM pg_available_extensions WHERE name = 'citext')") == "true";
    let citext = if has { "citext" } else { "text" };
    let extension = if has { "CREATE EXTENSION citext;" } else { "" };
    let tables: String = all.iter().filter_map(|(shape, copy)| shape.there(*copy, citext)).collect();
    session.batch(&format!("{extension}{APPS_TYPES}{tables}")).unwrap();
    citext
}

// What changes no value: other bytes, other places, other spellings.
fn harmless(session: &Session, all: &[(&Shape, usize)], citext: &str) {
    for (shape, copy) in all {
        let table = shape.table(*copy);
        let sql = if shape.existing.is_some() {
            format!(
                "ALTER TABLE {table} ALTER num TYPE numeric USING (num::text || CASE WHEN num::text LIKE '%.%' THEN '000' ELSE '.0' END)::numeric, \
                    ALTER lim TYPE numeric(14,5), ALTER i2 TYPE int8, ALTER f4 TYPE float8, ALTER v TYPE text, ALTER ci TYPE text; \
                 ALTER TABLE {table} ALTER i2 TYPE int2, ALTER f4 TYPE float4, ALTER ci TYPE {citext}, ALTER v TYPE varchar(12); \
                 UPDATE {table} SET c = rtrim(c), jb = replace(jb::text, ', ', ',')::jsonb, u = upper(u::text)::uuid"
            )
        } else if shape.columns.len() > 5 {
            format!(
                "UPDATE {table} SET amount = (amount::text || CASE WHEN amount::text LIKE '%.%' THEN '0' ELSE '.00' END)::numeric, \
                    \"at\" = ((\"at\" AT TIME ZONE 'Asia/Tokyo')::text || '+09')::timestamptz, doc = regexp_replace(doc::text, '([,:]) ', '\\1   ', 'g')::jsonb"
            )
        } else {
            format!("UPDATE {table} SET n = n")
        };
        session.batch(&sql).unwrap_or_else(|e| panic!("{sql}\n{}", told(&e)));
    }
    session.batch("VACUUM (FULL)").unwrap();
}
