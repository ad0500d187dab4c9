//! The sessions in the documents are what the program says: each page is carried out in a folder of its own.
//!
//! A page holds its files in blocks named after them (```` ```sql app.db ```` makes a SQLite database of its statements, ```` ```toml
//! shop.toml ```` writes a file) and sessions in ```` ```console ```` blocks: what follows `$ ` is run by a shell with `$DATABASE_URL`
//! naming an empty database, other lines are what it prints. A line `…` stands for any lines. Times, bytes, rates and
//! temporary paths may differ. `LITE2PG_BLESS=1` writes what the program said into the pages.

mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::program::program;

/// The pages that hold sessions.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages: Vec<PathBuf> = ["docs", "docs/pipelines"]
        .iter()
        .filter_map(|folder| std::fs::read_dir(root.join(folder)).ok())
        .flat_map(|entries| entries.map(|e| e.expect("a readable folder").path()))
        .chain([root.join("README.md")])
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .filter(|path| std::fs::read_to_string(path).expect("UTF-8").contains("\n```console\n"))
        .collect();
    pages.sort();
    pages
}

/// A fenced block: what its first line says after the fence, and its lines.
struct Block<'a> {
    info: &'a str,
    /// Of the first line inside.
    line: usize,
    lines: Vec<&'a str>,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut found: Vec<Block<'_>> = Vec::new();
    let mut open = false;
    for (number, line) in text.lines().enumerate() {
        match (line.strip_prefix("```"), open) {
            (Some(_), true) => open = false,
            (Some(info), false) => {
                open = true;
                found.push(Block { info, line: number + 2, lines: Vec::new() });
            }
            (None, true) => found.last_mut().expect("it was opened").lines.push(line),
            (None, false) => {}
        }
    }
    found
}

/// One command, and what the page says it prints.
struct Step<'a> {
    command: String,
    expect: Vec<&'a str>,
}

fn steps<'a>(block: &Block<'a>) -> Vec<Step<'a>> {
    let mut steps: Vec<Step<'a>> = Vec::new();
    let mut goes_on = false;
    for line in &block.lines {
        if goes_on {
            let command = &mut steps.last_mut().expect("a command was begun").command;
            command.push('\n');
            command.push_str(line);
        } else if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.to_owned(), expect: Vec::new() });
        } else {
            steps.last_mut().expect("a session begins with a command").expect.push(line);
            continue;
        }
        goes_on = line.ends_with('\\');
    }
    steps
}

/// A line without what differs from run to run.
fn steady(line: &str) -> String {
    const UNITS: [&str; 7] = ["kB", "MB", "GB", "kB/s", "MB/s", "GB/s", "rows/s"];
    let number = |word: &str| {
        word.ends_with(|c: char| c.is_ascii_digit()) && word.chars().all(|c| c.is_ascii_digit() || ".-+".contains(c))
    };
    let mut words: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        let bare = word.trim_end_matches([',', ';', ')', ':']).trim_start_matches('(');
        let seconds = ["ms", "µs", "s", "m", "h"].iter().any(|unit| bare.strip_suffix(unit).is_some_and(number));
        if seconds {
            words.push("#".to_owned());
        } else if UNITS.contains(&bare) {
            while words.last().is_some_and(|w| number(w)) {
                words.pop();
            }
            words.push("#".to_owned());
        } else if word.contains("/tmp/") {
            words.push("/tmp/…".to_owned());
        } else if bare.len() == 36 && bare.chars().all(|c| c == '-' || c.is_ascii_hexdigit()) {
            words.push("uuid".to_owned());
        } else {
            words.push(word.to_owned());
        }
    }
    // A minute is "1m 2s", and a bar is as wide as its terminal.
    words.dedup_by(|a, b| a == "#" && b == "#");
    words.join(" ")
}

/// Whether a line tells how long phases took: those that took no time are not in it.
fn is_phases(line: &str) -> bool {
    let steady = steady(line);
    let words = ["open", "plan", "create", "profile", "copy", "index", "constrain", "analyze", "verify", "·", "#"];
    !steady.is_empty() && steady.split(' ').all(|word| words.contains(&word))
}

/// Whether the lines are those expected, where `…` stands for any.
fn alike(expect: &[String], lines: &[String]) -> bool {
    match expect.split_first() {
        None => lines.is_empty(),
        Some((first, rest)) if first.trim() == "…" => (0..=lines.len()).any(|skip| alike(rest, &lines[skip..])),
        Some((first, rest)) => {
            lines.split_first().is_some_and(|(line, lines)| steady(line) == steady(first) && alike(rest, lines))
        }
    }
}

fn shell(folder: &Path, url: &str) -> Command {
    let bin = Path::new(env!("CARGO_BIN_EXE_lite2pg")).parent().expect("a program lies in a folder").to_owned();
    let postgres = support::server::shared().programs().to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([bin, postgres].into_iter().chain(std::env::split_paths(&path))).expect("a PATH");
    let mut command = Command::new("sh");
    for (name, value) in program().get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.current_dir(folder).env("PATH", path).env("DATABASE_URL", url).env("COLUMNS", "80").env("NO_COLOR", "1");
    command
}

/// Carries a page out; what differs, and the page as it would be true.
fn carry_out(page: &Path) -> (String, String) {
    let text = std::fs::read_to_string(page).expect("a page is UTF-8");
    let mut truth: Vec<String> = text.lines().map(str::to_owned).collect();
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let target = support::database();
    let mut told = String::new();
    for block in &blocks(&text) {
        if let Some((_, file)) = block.info.split_once(' ') {
            let path = folder.path().join(file);
            let content = block.lines.join("\n") + "\n";
            if path.extension().is_some_and(|e| e == "db" || e == "sqlite3") {
                let db = rusqlite::Connection::open(&path).expect("a database for the page");
                db.execute_batch(&content).unwrap_or_else(|error| panic!("{}:{}: {error}", page.display(), block.line));
            } else {
                std::fs::write(path, content).expect("a file for the page");
            }
        }
        if block.info != "console" {
            continue;
        }
        let mut whole = Vec::new();
        let mut same = true;
        for step in steps(block) {
            let output = shell(folder.path(), &support::program::url(&target))
                .arg("-c")
                .arg(format!("{{ {}\n}} 2>&1", step.command))
                .output()
                .expect("a shell");
            let printed = String::from_utf8(output.stdout).expect("UTF-8");
            let lines: Vec<&str> = printed.lines().collect();
            whole.push(format!("$ {}", step.command));
            let told_always = |lines: &[&'_ str]| -> Vec<String> {
                lines.iter().filter(|line| !is_phases(line)).map(|line| (*line).to_owned()).collect()
            };
            let (expect, there) = (told_always(&step.expect), told_always(&lines));
            if output.status.success() && alike(&expect, &there) {
                whole.extend(step.expect.iter().map(|line| (*line).to_owned()));
            } else {
                same = false;
                whole.extend(lines.iter().map(|line| (*line).to_owned()));
                let _ = writeln!(
                    told,
                    "{}:{}: `{}` ended with {} and said:\n{printed}",
                    page.display(),
                    block.line,
                    step.command,
                    output.status
                );
            }
        }
        if !same {
            let from = block.line - 1;
            truth[from] = whole.join("\n");
            for line in &mut truth[from + 1..from + block.lines.len()] {
                "\0".clone_into(line);
            }
        }
    }
    truth.retain(|line| line != "\0");
    (told, truth.join("\n") + "\n")
}

#[test]
fn what_the_documents_show_is_what_the_program_says() {
    let pages = pages();
    assert!(!pages.is_empty(), "no page holds a session");
    let told: String = pages
        .iter()
        .map(|page| {
            let (told, truth) = carry_out(page);
            if !told.is_empty() && std::env::var_os("LITE2PG_BLESS").is_some() {
                std::fs::write(page, truth).expect("the page can be written");
            }
            told
        })
        .collect();
    assert!(told.is_empty(), "{told}");
}

#[test]
fn a_page_that_says_something_else_is_told() {
    let folder = tempfile::TempDir::new().expect("a temporary folder");
    let page = folder.path().join("page.md");
    std::fs::write(
        &page,
        "```text a.txt\nhello\n```\n\n```console\n$ cat a.txt; echo 'took 3.2s'\nhello\ntook 9s\n```\n",
    )
    .expect("a page");
    assert_eq!(carry_out(&page).0, "");
    std::fs::write(&page, "```console\n$ echo one; echo two\none\nthree\n```\n").expect("a page");
    let (told, truth) = carry_out(&page);
    assert!(told.contains("two"), "{told}");
    assert_eq!(truth, "```console\n$ echo one; echo two\none\ntwo\n```\n");
    std::fs::write(&page, "```console\n$ echo one; false\none\n```\n").expect("a page");
    assert!(!carry_out(&page).0.is_empty(), "a command that fails is told");
}
