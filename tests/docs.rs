//! The sessions in the documents are what the program says: each page is carried out in a folder of its own.
//!
//! `<!-- make shop app.db -->` makes a source of that kind, `<!-- copy pipelines -->` copies a folder of the checkout,
//! `<!-- target FILE.sql -->` runs a file on the target. A page holds its files in blocks named after them
//! (```` ```sql app.db ```` makes a SQLite database of its statements, ```` ```toml shop.toml ```` writes a file) and sessions in
//! ```` ```console ```` blocks: what follows `$ ` is run by a shell with `$DATABASE_URL` naming an empty database, other lines
//! are what it prints, word by word. `…` stands for any words. Times, bytes, rates, uuids, hashes and temporary paths may
//! differ; in ```` ```console rough ```` every number may. `LITE2PG_BLESS=1` writes what the program said into the pages.

#[path = "../fixtures/generate.rs"]
mod generate;
#[path = "../fixtures/page.rs"]
mod page;
mod support;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use support::program::program;

/// Pages that are carried out side by side.
const PAGES_AT_ONCE: usize = 3;

/// The pages that hold sessions.
fn pages() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages: Vec<PathBuf> = ["docs", "docs/pipelines"]
        .iter()
        .filter_map(|folder| std::fs::read_dir(root.join(folder)).ok())
        .flat_map(|entries| entries.map(|e| e.expect("a readable folder").path()))
        .chain([root.join("README.md")])
        .filter(|path| path.extension().is_some_and(|e| e == "md"))
        .filter(|path| std::fs::read_to_string(path).expect("UTF-8").contains("\n```console"))
        .collect();
    pages.sort();
    pages
}

/// The words of a text without what differs from run to run.
fn steady(text: &str) -> Vec<String> {
    const UNITS: [&str; 11] = ["B", "kB", "MB", "GB", "B/s", "kB/s", "MB/s", "GB/s", "rows/s", "ms", "µs"];
    let is_number = |word: &str| {
        word.ends_with(|c: char| c.is_ascii_digit()) && word.chars().all(|c| c.is_ascii_digit() || ".-+".contains(c))
    };
    let is_hex = |word: &str| word.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
    // The day and time, as such or in the name of a file.
    let is_moment = |word: &str| {
        let digits = word.chars().filter(char::is_ascii_digit).count();
        digits >= 14 && word.contains('T') && word.contains('Z')
    };
    let mut words: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let bare = word.trim_end_matches([',', ';', ')', ':']).trim_start_matches('(');
        let seconds = ["ms", "µs", "s", "m", "h"].iter().any(|unit| bare.strip_suffix(unit).is_some_and(is_number));
        let word = if seconds {
            "#"
        } else if UNITS.contains(&bare) {
            // Rates have groups of three digits; the number before bytes is often another column's.
            let mut is_more = true;
            while is_more && words.last().is_some_and(|w| is_number(w.trim_start_matches('('))) {
                words.pop();
                is_more = bare == "rows/s";
            }
            "#"
        } else if matches!(bare, "faster" | "slower") && words.last().is_some_and(|w| w == "times") {
            // Which of two databases is the faster one may change with the machine.
            words.truncate(words.len().saturating_sub(2));
            "#"
        } else if word.contains("/tmp/") {
            "/tmp/…"
        } else if is_hex(bare) && matches!(bare.len(), 36 | 64) {
            "uuid"
        } else if is_moment(word) {
            "moment"
        } else {
            word
        };
        words.push(word.to_owned());
    }
    // A minute is "1m 2s", and a bar is as wide as its terminal.
    words.dedup_by(|a, b| a == "#" && b == "#");
    words
}

/// The words without "copy 0.3s · index 0.1s": phases that took no time are not told.
fn without_phases(words: &[String]) -> Vec<String> {
    const PHASES: [&str; 9] = ["open", "plan", "create", "profile", "copy", "index", "constrain", "analyze", "verify"];
    let mut kept = Vec::new();
    let mut rest = words;
    while let Some(word) = rest.first() {
        let is_phase = PHASES.contains(&word.as_str()) && rest.get(1).is_some_and(|next| next == "#");
        let also = usize::from(is_phase && rest.get(2).is_some_and(|next| next == "·"));
        if !is_phase {
            kept.push(word.clone());
        }
        rest = &rest[1 + usize::from(is_phase) + also..];
    }
    kept
}

/// What a session's lines are compared by: their words, since a figure of another width breaks lines elsewhere.
fn words(lines: &[&str], is_rough: bool) -> Vec<String> {
    // How often progress is told depends on how long it takes.
    let is_progress = |line: &str| line.contains(" of ~");
    let lines: Vec<&str> = lines.iter().filter(|line| !is_progress(line)).copied().collect();
    let mut words = without_phases(&steady(&lines.join("\n")));
    if is_rough {
        let is_figure = |word: &str| word.chars().all(|c| c.is_ascii_digit() || ".,;:()%#".contains(c));
        for word in words.iter_mut().filter(|word| is_figure(word)) {
            "#".clone_into(word);
        }
        words.dedup_by(|a, b| a == "#" && b == "#");
    }
    words
}

/// Whether the words are those expected, where `…` stands for any.
fn alike(expect: &[String], words: &[String]) -> bool {
    let (mut e, mut w) = (0, 0);
    // Where the last `…` stood, and the word that follows what it stands for.
    let mut any: Option<(usize, usize)> = None;
    while w < words.len() {
        if expect.get(e).is_some_and(|expect| expect == "…") {
            any = Some((e, w));
            e += 1;
        } else if expect.get(e) == Some(&words[w]) {
            (e, w) = (e + 1, w + 1);
        } else if let Some((at, until)) = any {
            any = Some((at, until + 1));
            (e, w) = (at + 1, until + 1);
        } else {
            return false;
        }
    }
    expect[e..].iter().all(|expect| expect == "…")
}

/// The first words at which two texts part, for who looks for it.
fn parting(expect: &[String], words: &[String]) -> String {
    let at = expect.iter().zip(words).take_while(|(a, b)| a == b).count();
    let some = |words: &[String]| words.iter().skip(at).take(8).cloned().collect::<Vec<_>>().join(" ");
    format!("the page says `{}`, and the program `{}`", some(expect), some(words))
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
    let on_target = |sql: &str| support::session(&target).batch(sql).map_err(|e| format!("{e:?}").into());
    page::prepare(&text, folder.path(), &on_target).expect("what the page asks for is made");
    for block in &page::blocks(&text) {
        block.write(folder.path()).unwrap_or_else(|error| panic!("{}:{}: {error}", page.display(), block.line));
        if !block.is_session() {
            continue;
        }
        let mut whole = Vec::new();
        let mut same = true;
        for step in block.steps() {
            let output = shell(folder.path(), &support::program::url(&target))
                .arg("-c")
                .arg(format!("{{ {}\n}} 2>&1", step.command))
                .output()
                .expect("a shell");
            let printed = String::from_utf8(output.stdout).expect("UTF-8");
            let lines: Vec<&str> = printed.lines().collect();
            whole.push(format!("$ {}", step.command));
            let (expect, there) = (words(&step.expect, block.is_rough()), words(&lines, block.is_rough()));
            if output.status.success() && alike(&expect, &there) {
                whole.extend(step.expect.iter().map(|line| (*line).to_owned()));
            } else {
                same = false;
                whole.extend(lines.iter().map(|line| (*line).to_owned()));
                let _ = writeln!(
                    told,
                    "{}:{}: `{}` ended with {}; {}:\n{printed}",
                    page.display(),
                    block.line,
                    step.command,
                    output.status,
                    parting(&expect, &there)
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
    let (queue, told) = (Mutex::new(pages.iter()), Mutex::new(String::new()));
    let next = || queue.lock().expect("nobody panics here").next();
    let carry_out_all = || {
        while let Some(page) = next() {
            let (differs, truth) = carry_out(page);
            if !differs.is_empty() && std::env::var_os("LITE2PG_BLESS").is_some() {
                std::fs::write(page, truth).expect("the page can be written");
            }
            told.lock().expect("nobody panics here").push_str(&differs);
        }
    };
    // Pages wait for servers more than they work.
    std::thread::scope(|scope| (0..PAGES_AT_ONCE).for_each(|_| drop(scope.spawn(carry_out_all))));
    let told = told.into_inner().expect("nobody panics here");
    assert!(told.is_empty(), "{told}");
}

#[test]
fn the_list_of_pages_names_every_page_and_whether_a_test_carries_it_out() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = std::fs::read_to_string(root.join("docs/README.md")).expect("a list of the pages");
    let carried_out = pages();
    for entry in std::fs::read_dir(root.join("docs")).expect("the pages") {
        let path = entry.expect("a page").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name in UTF-8").to_owned();
        if name == "README.md" {
            continue;
        }
        let link = if path.is_dir() { format!("]({name}/)") } else { format!("]({name})") };
        let row = list.lines().find(|line| line.starts_with('|') && line.contains(&link));
        let row = row.unwrap_or_else(|| panic!("docs/README.md does not list {name}"));
        let says = row.split('|').nth(2).is_some_and(|cell| cell.trim().starts_with("yes"));
        let is = if path.is_dir() {
            let all = std::fs::read_dir(&path).expect("pages").count();
            carried_out.iter().filter(|page| page.starts_with(&path)).count() == all
        } else {
            carried_out.contains(&path)
        };
        assert_eq!(says, is, "docs/README.md on {name}: has it sessions?");
    }
    for test in list.split('`').filter(|word| word.starts_with("tests/") && !word.ends_with('/')) {
        assert!(root.join(test).is_file(), "docs/README.md names `{test}`, which is not there");
    }
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
    std::fs::write(&page, "```console\n$ seq 9; echo rows 17\n1 2\n…\n5\n…\nrows\n17\n```\n").expect("a page");
    assert_eq!(carry_out(&page).0, "");
    std::fs::write(&page, "```console\n$ seq 9; echo rows 17\n1 2\n…\n5\n…\nrows\n18\n```\n").expect("a page");
    assert!(!carry_out(&page).0.is_empty(), "another number is told");
    std::fs::write(&page, "```console rough\n$ seq 9; echo rows 17\n1\nrows 18\n```\n").expect("a page");
    assert_eq!(carry_out(&page).0, "");
    std::fs::write(&page, "```console rough\n$ echo rows 17\nrow 17\n```\n").expect("a page");
    assert!(!carry_out(&page).0.is_empty(), "another word is told");
    std::fs::write(&page, "```console\n$ echo one; false\none\n```\n").expect("a page");
    assert!(!carry_out(&page).0.is_empty(), "a command that fails is told");
}
