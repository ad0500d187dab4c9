//! SQL that a person wrote for the target, run inside a transaction of ours.

use super::is_answer;
use super::session::Transaction;
use crate::error::{Error, Kind, Result};
use crate::model::name::{literal, quoted};

/// Runs the statements in order; names without a schema are made in `schema`.
pub fn run(tx: &Transaction<'_>, schema: &str, name: &str, sql: &str) -> Result<()> {
    let sql: String = sql.lines().filter(|line| !is_for_psql(line)).flat_map(|line| [line, "\n"]).collect();
    tx.batch(&format!("SET LOCAL search_path TO {}, public", quoted(schema)))?;
    let what = format!("the server refuses the DDL of `{name}`");
    let told = |e: Error| told(e.context(what).state("nothing was written"), "the whole file");
    execute(tx, &sql, told)?;
    // The text may have set it for the session: dumps do.
    tx.batch("RESET search_path")
}

/// Runs a script of a pipeline, the `n`-th of its phase.
pub fn run_phase(tx: &Transaction<'_>, (phase, n): (&str, usize), sql: &str) -> Result<()> {
    let what = format!("the server refuses script {n} of `{phase}`");
    execute(tx, sql, |e| told(e.context(what), "the scripts of a phase"))
}

// From within one statement of ours: a COMMIT among them would end our transaction, and is refused there
// (<https://www.postgresql.org/docs/current/plpgsql-statements.html#PLPGSQL-STATEMENTS-EXECUTING-DYN>).
fn execute(tx: &Transaction<'_>, sql: &str, told: impl FnOnce(Error) -> Error) -> Result<()> {
    // A tag that the text does not hold, short of breaking BLAKE3.
    let tag = format!("$lite2pg_{}$", &blake3::hash(sql.as_bytes()).to_hex()[..16]);
    let ran = tx.batch(&format!("DO {tag} BEGIN EXECUTE {}; END {tag}", literal(sql)));
    ran.map_err(|e| if is_answer(&e) { told(e) } else { e })
}

/// Refuses a script with a statement that no transaction of ours can have in it, before anything is done: the server
/// would only say so once it comes to it, which for a script of `after` is when all rows are there.
pub fn check((phase, n): (&str, usize), sql: &str) -> Result<()> {
    let Some(found) = statements(sql).into_iter().find_map(|words| outside(&words)) else { return Ok(()) };
    let error = Error::new(Kind::Usage, format!("script {n} of `{phase}` has {found} in it"))
        .fact("the scripts of a phase are one transaction with what lite2pg writes down of the run")
        .state("nothing was written");
    Err(error.hint(way_out(found)))
}

fn way_out(statement: &str) -> String {
    match statement {
        "COMMIT" | "ROLLBACK" | "BEGIN" | "SAVEPOINT" | "PREPARE TRANSACTION" => {
            "take it out: what fails leaves nothing of its phase, and needs no transaction of its own".to_owned()
        }
        "CREATE INDEX CONCURRENTLY" => {
            "leave CONCURRENTLY out: nobody uses the tables yet; or run it by hand once the run is over".to_owned()
        }
        _ => "run it by hand, before the run or once it is over".to_owned(),
    }
}

// The statement's name, where it cannot be part of a transaction of ours (notes on "transaction block" in the manual's pages).
fn outside(words: &[String]) -> Option<&'static str> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let is_concurrent = words.iter().take(6).any(|w| *w == "CONCURRENTLY");
    Some(match words.as_slice() {
        ["COMMIT" | "END", ..] => "COMMIT",
        ["ROLLBACK" | "ABORT", ..] => "ROLLBACK",
        ["BEGIN", ..] | ["START", "TRANSACTION", ..] => "BEGIN",
        ["SAVEPOINT" | "RELEASE", ..] => "SAVEPOINT",
        ["PREPARE", "TRANSACTION", ..] => "PREPARE TRANSACTION",
        ["VACUUM", ..] => "VACUUM",
        ["CREATE", "INDEX", ..] | ["CREATE", "UNIQUE", "INDEX", ..] if is_concurrent => "CREATE INDEX CONCURRENTLY",
        ["DROP", "INDEX", ..] if is_concurrent => "DROP INDEX CONCURRENTLY",
        ["REINDEX", ..] if is_concurrent => "REINDEX CONCURRENTLY",
        ["CREATE" | "DROP", "DATABASE", ..] => "CREATE DATABASE",
        ["CREATE" | "DROP", "TABLESPACE", ..] => "CREATE TABLESPACE",
        ["ALTER", "SYSTEM", ..] => "ALTER SYSTEM",
        _ => return None,
    })
}

// The first words of each statement in upper case, without what stands in quotes and comments. Words suffice: whatever
// this takes apart wrongly, the server still judges.
fn statements(sql: &str) -> Vec<Vec<String>> {
    const WORDS_MAX: usize = 16;
    let (mut all, mut words, mut last, mut is_atomic) = (Vec::new(), Vec::<String>::new(), String::new(), false);
    let mut rest = sql;
    while let Some(c) = rest.chars().next() {
        let length = token(rest, c);
        let (text, after) = rest.split_at(length);
        rest = after;
        if c == ';' {
            // The body of a function in SQL's own form is statements up to its END.
            if is_atomic {
                words.truncate(1);
            } else {
                all.push(std::mem::take(&mut words));
            }
            last.clear();
        } else if c.is_ascii_alphabetic() {
            let word = text.to_ascii_uppercase();
            is_atomic |= word == "ATOMIC" && last == "BEGIN";
            is_atomic &= !(word == "END" && last.is_empty());
            if words.len() < WORDS_MAX {
                words.push(word.clone());
            }
            last = word;
        }
    }
    all.push(words);
    all
}

// How long the token is that begins with `c`: one character, unless it is a word, or something that is passed over whole.
fn token(rest: &str, c: char) -> usize {
    let up_to = |end: &str, from: usize| rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len());
    match c {
        _ if c.is_alphabetic() || c == '_' => {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
            // E'it\'s'
            if rest[..end].eq_ignore_ascii_case("e") && rest[end..].starts_with('\'') {
                return end + super::ddl::token_length(&rest[end..], true);
            }
            end
        }
        '\'' | '"' => super::ddl::token_length(rest, false),
        '-' if rest.starts_with("--") => up_to("\n", 2),
        '/' if rest.starts_with("/*") => {
            let (mut depth, mut at) = (1, 2);
            while depth > 0 && at < rest.len() {
                let opens = rest[at..].find("/*").map_or(rest.len(), |i| at + i);
                let closes = rest[at..].find("*/").map_or(rest.len(), |i| at + i);
                depth = if opens < closes { depth + 1 } else { depth - 1 };
                at = (opens.min(closes) + 2).min(rest.len());
            }
            at
        }
        '$' => {
            let end = rest[1..].find(|c: char| !(c.is_alphanumeric() || c == '_')).map_or(rest.len(), |i| i + 1);
            if rest[end..].starts_with('$') { up_to(&rest[..=end], end + 1) } else { 1 }
        }
        c => c.len_utf8(),
    }
}

// Dumps begin and end with these since 2025; they mean something to psql only.
fn is_for_psql(line: &str) -> bool {
    line.starts_with("\\restrict ") || line.starts_with("\\unrestrict ")
}

fn told(error: Error, whole: &str) -> Error {
    let code = error.sqlstate().unwrap_or_default().to_owned();
    match code.as_str() {
        // Tables, types and other objects, schemas.
        "42P07" | "42710" | "42P06" | "42723" if whole == "the whole file" => error.hint(
            "it is there already: leave `ddl` out to load into what is there, or drop it; `--restart` drops what an \
             earlier run of lite2pg made",
        ),
        "0A000" => error.hint(format!(
            "take BEGIN, COMMIT and ROLLBACK out: {whole} is one transaction; and CREATE TABLE … AS stands for SELECT … INTO"
        )),
        "2D000" => error.hint(format!("{whole} is one transaction: no block and no procedure in it can end that")),
        "25001" => error.hint("it cannot be part of a transaction: run it by hand, before the run or once it is over"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_that_ends_or_leaves_a_transaction_is_found_and_only_that() {
        for (sql, want) in [
            ("CREATE TABLE a (); commit; DROP TABLE a", Some("COMMIT")),
            ("-- COMMIT;\n/* /* ; */ ROLLBACK; */ SELECT 1;\n  Start  Transaction", Some("BEGIN")),
            ("SELECT ';COMMIT;', \";ROLLBACK;\", E'\\';BEGIN;', $$;END;$$, $a$;$$;VACUUM;$a$", None),
            ("DO $$ BEGIN UPDATE t SET a = 1; END $$; SELECT 1", None),
            ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 2; END; VACUUM t", Some("VACUUM")),
            (
                "CREATE FUNCTION f(a int, b int, c int, d int, e int, f int, g int) RETURNS int LANGUAGE sql IMMUTABLE \
                 BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 1",
                None,
            ),
            ("CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END; SELECT 1", None),
            ("CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)", Some("CREATE INDEX CONCURRENTLY")),
            ("CREATE INDEX i ON t (concurrently_made)", None),
            ("SELECT begin, \"end\" FROM t; COMMENT ON TABLE t IS 'x'", None),
            ("PREPARE p AS SELECT 1; SAVEPOINT s", Some("SAVEPOINT")),
            ("/* no end", None),
            ("'no end", None),
            ("$x$ no end", None),
            ("é;ABORT", Some("ROLLBACK")),
            ("", None),
        ] {
            assert_eq!(statements(sql).iter().find_map(|words| outside(words)), want, "{sql}");
        }
    }
}
