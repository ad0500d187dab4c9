//! dump
mod support;
use support::oracle;
use support::scenario::{Source, migrate};
#[test]
fn dump() {
    for f in ["schema.sql", "names.sql"] {
    let source = Source::fixture(f);
    let moved = migrate(&source);
    let db = source.open();
    for t in oracle::ordinary_tables(&db) {
        println!("## {t}: {}", moved.types(&t));
        let r = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| oracle::compare(&db, &moved, &t)));
        if r.is_err() { println!("DIFFERS"); }
    }
    for r in &moved.summary.remarks { println!("{:?} [{}] {} -- {:?}", r.level, r.object, r.text, r.sql); }
    for r in moved.query("select conrelid::regclass::text, contype, convalidated, conname, pg_get_constraintdef(oid) from pg_constraint where connamespace='public'::regnamespace order by 1,2,4") {
        println!("{}", r.iter().map(|c| c.clone().unwrap_or("NULL".into())).collect::<Vec<_>>().join(" | "));
    }
    for r in moved.query("select indexdef from pg_indexes where schemaname='public' order by 1") { println!("{:?}", r); }
    for r in moved.query("select table_name, column_name, column_default, is_nullable, is_identity, generation_expression from information_schema.columns where table_schema='public' and (column_default is not null or generation_expression is not null) order by 1") { println!("{:?}", r); }
    for r in moved.query("select viewname, definition from pg_views where schemaname='public'") { println!("{:?}", r); }
    }
}
