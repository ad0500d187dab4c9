//! A verdict hangs on rows alone: no setting of server, database or role, and no locale or collation, changes it.

#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

use lite2pg::model::verdict::{Level, Outcome, Sample, SampleSize, Verification};
use lite2pg::postgres::Target;
use lite2pg::run::{self, Options};
use std::path::Path;
use std::sync::atomic::AtomicBool;
use support::compared::compare_with;
use support::program::{url, value, verify};
use support::scenario::{Listener, Source};
use support::{database, server, session, told};

fn at(path: &Path, target: &Target, level: Level) -> Verification {
    let mut options = Options::new(path);
    options.wish.level = level;
    options.wish.sample = Sample { size: SampleSize::Percent(60.0), seed: 1 };
    options.wish.records_hash = level == Level::Rows;
    // Some of the fixture's tables have no key, and a sample of those says nothing.
    if level == Level::Sample {
        options.include =
            vec!["timestamps".into(), "texts".into(), "real_extremes".into(), "only_blobs_in_text".into()];
    }
    compare_with(&options, target).unwrap_or_else(|e| panic!("{level:?}: {}", told(&e))).verification
}

/// Equal at every level; then not, after a change of each kind of value, with the very cells named.
#[track_caller]
fn verdicts_hold(path: &Path, target: &Target, under: &str) {
    let all = |levels: &[Level]| {
        for level in levels {
            let found = at(path, target, *level);
            assert!(found.agrees(), "{under}, {level:?}: {}", lite2pg::report::verification::text(&found));
        }
    };
    all(&[Level::Counts, Level::Aggregates, Level::Sample, Level::Rows, Level::Hash]);
    let change = "SET default_transaction_read_only = off; BEGIN;
         CREATE TEMP TABLE before_timestamps AS TABLE public.timestamps; CREATE TEMP TABLE before_texts AS TABLE public.texts;
         CREATE TEMP TABLE before_real AS TABLE public.real_extremes;
         UPDATE public.timestamps SET micros = micros + interval '1 microsecond' WHERE id = 2;
         UPDATE public.real_extremes SET r = 0.30000000000000004 WHERE id = 1;
         UPDATE public.texts SET t = t || ' ' WHERE id = 3; COMMIT";
    let admin = session(target);
    admin.batch(change).unwrap_or_else(|e| panic!("{under}: {}", told(&e)));
    let compared = compare_with(&Options::new(path), target).unwrap();
    for (table, column) in [("timestamps", "2 micros"), ("real_extremes", "1 r"), ("texts", "3 t")] {
        compared.finds(table, &[&format!("changed id={column}")]);
    }
    let different = |v: &Verification| v.tables.iter().filter(|t| t.outcome.is_different()).count();
    assert_eq!(different(&compared.verification), 3, "{under}");
    assert_eq!(different(&at(path, target, Level::Hash)), 3, "{under}");
    admin
        .batch(
            "BEGIN; TRUNCATE public.timestamps, public.texts, public.real_extremes;
             INSERT INTO public.timestamps OVERRIDING SYSTEM VALUE TABLE before_timestamps;
             INSERT INTO public.texts OVERRIDING SYSTEM VALUE TABLE before_texts;
             INSERT INTO public.real_extremes OVERRIDING SYSTEM VALUE TABLE before_real; COMMIT;
             DROP TABLE before_timestamps, before_texts, before_real",
        )
        .unwrap_or_else(|e| panic!("{under}: {}", told(&e)));
    all(&[Level::Hash, Level::Rows]);
}

#[track_caller]
fn migrate(path: &Path, target: &Target) {
    let summary = run::migrate(&Options::new(path), target, &Listener::default(), &AtomicBool::new(false));
    let verification = summary.unwrap_or_else(|e| panic!("{}", told(&e))).verification.unwrap();
    assert!(verification.is_equal(), "{}", lite2pg::report::verification::text(&verification));
}

#[test]
fn no_setting_of_a_database_or_role_changes_a_verdict() {
    let source = Source::fixture("types.sql");
    let target = database();
    migrate(&source.path, &target);
    // Once under the server's own settings: its hashes must hold under all others.
    verdicts_hold(&source.path, &target, "no setting");
    let admin = session(&target);
    let name = value(&admin, "quote_ident(current_database())");
    for setting in [
        "TimeZone = 'Asia/Kathmandu'",
        "DateStyle = 'SQL, DMY'",
        "client_encoding = 'LATIN1'",
        "extra_float_digits = -15",
        "lc_time = 'C.UTF-8'",
    ] {
        for scope in [format!("DATABASE {name}"), format!("ROLE CURRENT_USER IN DATABASE {name}")] {
            admin.batch(&format!("ALTER {scope} SET {setting}")).unwrap_or_else(|e| panic!("{}", told(&e)));
        }
        verdicts_hold(&source.path, &target, setting);
        for scope in [format!("DATABASE {name}"), format!("ROLE CURRENT_USER IN DATABASE {name}")] {
            admin.batch(&format!("ALTER {scope} RESET ALL")).unwrap();
        }
    }
}

#[test]
fn no_locale_of_a_database_changes_a_verdict() {
    let source = Source::fixture("types.sql");
    let admin = session(&server::shared().target());
    for (i, locale) in [
        "LC_COLLATE 'C' LC_CTYPE 'C'",
        "LC_COLLATE 'C.UTF-8' LC_CTYPE 'C.UTF-8'",
        // Turkish letters have other cases, Swedish ones another order, and this one takes digits for numbers.
        "LOCALE_PROVIDER icu ICU_LOCALE 'tr-TR' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'",
        "LOCALE_PROVIDER icu ICU_LOCALE 'sv-SE' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'",
        "LOCALE_PROVIDER icu ICU_LOCALE 'en-u-kn-true' LC_COLLATE 'C' LC_CTYPE 'C.UTF-8'",
    ]
    .into_iter()
    .enumerate()
    {
        let name = format!("located_{i}");
        let create = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' {locale}");
        // LOCALE_PROVIDER came with version 15; the others are older.
        admin.batch(&create).unwrap_or_else(|e| panic!("{locale}: {}", told(&e)));
        let target = server::shared().target().with_dbname(name);
        migrate(&source.path, &target);
        verdicts_hold(&source.path, &target, locale);
    }
}

#[test]
fn no_collation_of_a_column_makes_two_texts_one() {
    let source = Source::sql(
        "CREATE TABLE t (id TEXT PRIMARY KEY, word TEXT) WITHOUT ROWID;
         INSERT INTO t WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 300)
            SELECT 'Key ' || i, 'Wörd' || i FROM n",
    );
    for collation in ["und-u-ks-level1", "und-u-ks-level2", "und-u-ka-shifted-ks-level1"] {
        let target = database();
        let admin = session(&target);
        admin
            .batch(&format!(
                "CREATE COLLATION folded (provider = icu, locale = '{collation}', deterministic = false);
                 CREATE TABLE t (id text COLLATE folded PRIMARY KEY, word varchar(20) COLLATE folded)"
            ))
            .unwrap();
        migrate(&source.path, &target);
        let mut options = Options::new(&source.path);
        options.wish.records_hash = true;
        compare_with(&options, &target).unwrap().is_equal();
        for (change, whole, sampled) in [
            ("UPDATE t SET word = 'wörd1' WHERE id = 'Key 1'", "changed", (0, 1)),
            ("UPDATE t SET id = 'key 1' WHERE id = 'Key 1'", "missing", (1, 0)),
        ] {
            admin.batch(change).unwrap();
            let compared = compare_with(&Options::new(&source.path), &target).unwrap();
            let found = compared.found("t");
            assert!(found.keys().any(|word| word.starts_with(whole)), "{collation}, {change}: {found:?}");
            let found = at_all(&source.path, &target, SampleSize::RowsPerTable(299));
            let Outcome::Different(d) = &found.tables[0].outcome else { panic!("{collation}, {change}: {found:?}") };
            assert_eq!((d.missing, d.changed), sampled, "{collation}, {change}");
            let found = at(&source.path, &target, Level::Hash);
            assert!(matches!(found.tables[0].outcome, Outcome::Changed { .. }), "{collation}, {change}");
            admin.batch("UPDATE t SET word = 'Wörd1', id = 'Key 1' WHERE id = 'Key 1'").unwrap();
            assert!(at(&source.path, &target, Level::Hash).agrees(), "{collation}, {change}");
        }
    }
}

fn at_all(path: &Path, target: &Target, size: SampleSize) -> Verification {
    let mut options = Options::new(path);
    options.wish.level = Level::Sample;
    options.wish.sample = Sample { size, seed: 1 };
    compare_with(&options, target).unwrap_or_else(|e| panic!("{}", told(&e))).verification
}

#[test]
fn the_caller_s_own_environment_changes_no_verdict() {
    let source = Source::fixture("types.sql");
    let target = database();
    migrate(&source.path, &target);
    let path = source.path.to_str().unwrap();
    verify([path, &url(&target)]).exits(0);
    for (name, setting) in [
        ("PGOPTIONS", "-c extra_float_digits=-15 -c DateStyle=SQL,DMY -c TimeZone=Asia/Tokyo"),
        ("PGTZ", "Asia/Kathmandu"),
        ("PGDATESTYLE", "SQL, DMY"),
        ("PGCLIENTENCODING", "LATIN1"),
        ("TZ", "Pacific/Apia"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("LANG", "C"),
    ] {
        let mut program = support::program::program();
        program.args(["verify", path, &url(&target)]).env(name, setting);
        support::program::ended(program.output().unwrap()).exits(0);
    }
}
