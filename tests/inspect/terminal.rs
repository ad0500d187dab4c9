//! The program in a terminal: colours, widths, completions, manual pages, and the errors that people meet beside those of
//! tests/cli.rs.

use super::support::program::{Ran, ended, migrate, program, source, url};
use super::support::{database, session};
use std::process::{Command, Stdio};
use unicode_width::UnicodeWidthStr as _;

const VERBS: [&str; 10] =
    ["inspect", "migrate", "plan", "verify", "status", "rollback", "rejects", "bench", "completions", "man"];

fn run(arguments: &[&str]) -> Ran {
    ended(program().args(arguments).output().unwrap())
}

#[test]
fn errors_that_people_meet_fit_the_screen_and_have_a_way_out() {
    let (dir, path) = source(
        "CREATE TABLE orders (id INTEGER PRIMARY KEY, amount TEXT); INSERT INTO orders VALUES (1, 'x'), (2, '5')",
    );
    let path = path.to_str().unwrap();
    let target = database();
    let (free, missing) = (url(&target), url(&target).replacen(&format!("/{}?", dbname(&target)), "/nowhere?", 1));
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let (report, out) = (file.to_str().unwrap(), dir.path().join("restored.db"));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for (name, code, arguments) in [
        ("no_database", 7, &["migrate", path, &missing][..]),
        ("unknown_option", 2, &["migrate", path, &free, "--trunkate"]),
        ("unknown_verb", 2, &["migrte", path, &free]),
        ("unknown_type", 2, &["migrate", path, &free, "--type", "orders.amount=money"]),
        ("unknown_policy", 2, &["migrate", path, &free, "--on-error", "skip"]),
        ("unknown_column", 2, &["migrate", path, &free, "--type", "orders.amont=numeric"]),
        ("type_refused", 3, &["migrate", path, &free, "--type", "orders.amount=numeric(6,2)"]),
        ("report_is_a_file", 2, &["migrate", path, &free, "--report", report]),
        ("port_is_taken", 2, &["migrate", path, &free, "--metrics-addr", &taken]),
        ("nothing_migrated", 3, &["rollback", path, &free, "--to", out.to_str().unwrap()]),
        ("status_of_nothing", 2, &["status"]),
        ("verify_embedded", 2, &["verify", path, "embedded"]),
        ("unknown_shell", 2, &["completions", "tcsh"]),
        ("no_such_page", 2, &["man", "migrate", "now"]),
    ] {
        let ran = run(arguments);
        // A way out is one line, there to be copied; what the parser says is wrapped by the terminal.
        let is_ours = |line: &&str| !line.starts_with("hint: ") && !ran.stderr.contains("For more information");
        for line in ran.stderr.lines().filter(is_ours) {
            assert!(line.width() <= 80, "{name}: {} columns: {line}", line.width());
        }
        assert_eq!(ran.stdout, "", "{name}");
        let mut settings = insta::Settings::clone_current();
        for (what, with) in [
            (r"/tmp/\.tmp\w+", "[dir]"),
            (r"/tmp/lite2pg-\w+", "[server]"),
            (r"\btest_\d+\b", "[database]"),
            (r"127\.0\.0\.1:\d+", "[address]"),
        ] {
            settings.add_filter(what, with);
        }
        settings.set_omit_expression(true);
        settings
            .bind(|| insta::assert_snapshot!(format!("error_{name}"), format!("exit {}\n{}", ran.code, ran.stderr)));
        ran.exits(code);
    }
}

fn dbname(target: &lite2pg::postgres::Target) -> String {
    super::support::program::value(&session(target), "current_database()")
}

#[test]
fn every_screen_of_help_fits_eighty_columns_and_names_every_verb() {
    let help = ended(program().arg("--help").env("COLUMNS", "80").output().unwrap()).exits(0).stdout;
    for verb in VERBS {
        assert!(help.contains(&format!("\n  {verb} ")), "{verb} is not in\n{help}");
        for arguments in [&[verb, "--help"][..], &[verb, "-h"]] {
            let ran = ended(program().args(arguments).env("COLUMNS", "80").output().unwrap()).exits(0);
            // Examples are there to be copied.
            let (told, _) = ran.stdout.split_once("\nExamples:").unwrap_or((&ran.stdout, ""));
            for line in told.lines() {
                assert!(line.width() <= 80, "{verb}: {} columns: {line}", line.width());
            }
        }
    }
}

#[test]
fn each_shell_gets_a_script_and_bash_completes_with_it() {
    for (shell, word) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef lite2pg"),
        ("fish", "complete -c lite2pg"),
        ("elvish", "edit:"),
        ("powershell", "Register-"),
    ] {
        let script = run(&["completions", shell]).exits(0).stdout;
        assert!(script.contains(word), "{shell}");
        for verb in VERBS {
            assert!(script.contains(verb), "{shell} does not know {verb}");
        }
    }
    let completed = |words: &str, count: usize| {
        let lite2pg = env!("CARGO_BIN_EXE_lite2pg");
        let script = format!(
            "set -eu; source <({lite2pg} completions bash); COMP_WORDS=({words}); COMP_CWORD={count}; COMP_TYPE=9; \
             _lite2pg lite2pg \"${{COMP_WORDS[{count}]}}\" \"${{COMP_WORDS[{}]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            count - 1
        );
        let output = Command::new("bash").args(["--norc", "-c", &script]).output();
        output.ok().map(|output| ended(output).exits(0).stdout)
    };
    let Some(verbs) = completed("lite2pg ins", 1) else {
        eprintln!("skipped: there is no bash here");
        return;
    };
    assert_eq!(verbs, "inspect\n");
    assert!(completed("lite2pg migrate --rep", 2).unwrap().contains("--report"));
    assert_eq!(completed("lite2pg migrate --log-format j", 3).unwrap(), "json\n");
}

#[test]
fn manual_pages_are_written_for_every_verb_and_read_by_groff() {
    let page = run(&["man"]).exits(0).stdout;
    assert!(page.contains(".TH lite2pg 1") && page.contains("inspect"), "{page}");
    let mut pages = vec![page];
    for verb in VERBS {
        let page = run(&["man", verb]).exits(0).stdout;
        assert!(
            page.contains(&format!(".TH lite2pg-{verb} 1")) || page.contains(&format!(".TH \"lite2pg-{verb}\" 1")),
            "{page}"
        );
        pages.push(page);
    }
    pages.push(run(&["man", "rejects", "retry"]).exits(0).stdout);
    // A page is the same for everybody: no password of whoever made it.
    let with = ended(
        program().args(["man", "migrate"]).env("DATABASE_URL", "postgres://x:Hunter2Xyzzy@h/d").output().unwrap(),
    );
    assert!(!with.exits(0).stdout.contains("Hunter2Xyzzy"));
    for page in pages {
        let Ok(mut child) = Command::new("groff")
            .args(["-man", "-Tutf8", "-k", "-P-cbou"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
        else {
            eprintln!("skipped: there is no groff here");
            return;
        };
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), page.as_bytes()).unwrap();
        let ran = ended(child.wait_with_output().unwrap()).exits(0);
        assert!(ran.stdout.contains("SYNOPSIS") && ran.stderr.is_empty(), "{}", ran.stderr);
    }
}

/// What a command writes to a terminal of 80 columns, where this machine can make one.
fn in_a_terminal(command: &str, variables: &[(&str, &str)]) -> Option<String> {
    let mut script = Command::new("script");
    script.args(["-qec", &format!("stty cols 80; {} {command}", env!("CARGO_BIN_EXE_lite2pg")), "/dev/null"]);
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "DATABASE_URL", "COLUMNS"] {
        script.env_remove(name);
    }
    let output =
        script.env("TERM", "xterm-256color").envs(variables.iter().copied()).stdin(Stdio::null()).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether the text changes colour, weight or underline: the end of such a sequence is `m`.
fn is_coloured(text: &str) -> bool {
    text.split("\x1b[")
        .skip(1)
        .any(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').starts_with('m'))
}

#[test]
fn no_color_means_no_color_and_a_dumb_terminal_gets_the_same_facts() {
    let Some(help) = in_a_terminal("--help", &[]) else {
        eprintln!("skipped: there is no `script` here, which makes a terminal");
        return;
    };
    assert!(is_coloured(&help), "the test would not see a colour: {help:?}");
    assert!(!is_coloured(&in_a_terminal("--help", &[("NO_COLOR", "1")]).unwrap()));
    let (_dir, path) = source("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT); INSERT INTO t VALUES (1, 'a')");
    let path = path.to_str().unwrap();
    for (command, expected) in [
        (format!("migrate {path} '{}'", url(&database())), "verified: every cell of 1 row"),
        (format!("inspect {path}"), "A1"),
        (format!("migrate {path} postgres://127.0.0.1:1/x"), "error: "),
        ("migrate --nothing".to_owned(), "error: "),
        (format!("status '{}'", url(&database())), "no run of lite2pg"),
    ] {
        let plain = in_a_terminal(&command, &[("NO_COLOR", "1")]).unwrap();
        assert!(plain.contains(expected) && !is_coloured(&plain), "{command}: {plain:?}");
        let dumb = in_a_terminal(&command, &[("TERM", "dumb")]).unwrap();
        assert!(dumb.contains(expected) && !dumb.contains('\x1b'), "{command}: {dumb:?}");
    }
    // And a pipe gets no sequence whatever the terminal is.
    let ran = migrate([path, &url(&database())]).exits(0);
    assert!(!ran.stdout.contains('\x1b') && !ran.stderr.contains('\x1b'));
}
