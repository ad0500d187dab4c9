//! The rules of the house that no compiler knows, and what to do instead of breaking one.
//!
//! Reads the sources as tokens: words in comments and strings do not count, nor does the way that a line is
//! broken. It knows no types and expands no macros; a rule that needs either does not belong here.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

// ---------------------------------------------------------------------------------------------------------
// The house
// ---------------------------------------------------------------------------------------------------------

/// The modules of the crate and the floor that each stands on. A module sees the floors below its own.
const FLOORS: &[(&str, u8)] = &[
    ("durable", 0),
    ("error", 0),
    ("files", 0),
    ("model", 0),
    ("sqlite", 1),
    ("postgres", 1),
    ("dialect", 1),
    ("profile", 2),
    ("pipeline", 1),
    ("plan", 2),
    ("transform", 2),
    ("load", 2),
    ("verify", 2),
    ("rollback", 2),
    ("run", 3),
    ("report", 4),
    ("cli", 4),
];

/// Looks to the side that are right: who, at whom, why.
const SIDEWAYS: &[(&str, &str, &str)] = &[
    ("model", "error", "a value that cannot be made answers with the crate's error"),
    ("load", "transform", "the innermost loop writes a cell by its column's rule"),
    ("load", "verify", "each row is hashed for the verifier in the pass that loads it; nothing looks back"),
    ("rollback", "verify", "which rows differ, and whether a written cell means the same, is the verifier's to say"),
    ("profile", "transform", "a profile must judge a cell exactly as the load will"),
    ("cli", "report", "a verb prints by handing what happened to the report"),
];

/// Libraries that one folder owns, so that the rest of the crate does not depend on them.
const OWNERS: &[(&str, &str)] = &[
    ("rusqlite", "sqlite"),
    ("libsqlite3_sys", "sqlite"),
    ("tokio_postgres", "postgres"),
    ("tokio_postgres_rustls", "postgres"),
    ("deadpool", "postgres"),
    ("deadpool_postgres", "postgres"),
    ("sqlite3_parser", "dialect"),
];

/// Who must not name whom: the load and its verification are two opinions.
const APART: &[(&str, &[&str])] = &[
    ("verify", &["transform"]),
    ("verify", &["postgres", "encode"]),
    ("verify", &["load"]),
    ("transform", &["verify"]),
    ("rollback", &["transform"]),
];

/// The places that talk to a person.
const MAY_PRINT: &[&str] = &["report", "cli", "main"];

/// Names that say nothing about what is inside.
const NAMELESS: &[&str] = &["utils", "util", "common", "helpers", "helper", "types", "misc"];

#[test]
fn libraries_stay_with_the_module_that_owns_them() {
    teach(
        "each database library is named in one folder only",
        "ask that folder for what you need: add a function there that speaks in `model`'s values, and call it",
        src().iter().flat_map(foreign_libraries),
    );
}

#[test]
fn modules_look_down() {
    let roots = root_names();
    teach(
        "a module uses floors below its own, never above, never beside (FLOORS in tests/tidy.rs)",
        "put the value that both need into `model`, or let `run` carry it from one stage to the other; \
         a look to the side that is right goes into SIDEWAYS with its reason, and into ARCHITECTURE.md",
        src().iter().flat_map(|file| looks_up_or_sideways(file, &roots)),
    );
}

#[test]
fn the_second_opinion_is_a_second_one() {
    teach(
        "src/verify names nothing that loads (APART in tests/tidy.rs), and src/transform does not name verify",
        "write it again from the documentation, with another library where there is one: verification that shares \
         code with the load shares its mistakes; a plain value that both need goes into `model`",
        src().iter().flat_map(shared_opinions),
    );
}

#[test]
fn only_report_and_cli_print() {
    teach(
        "nothing outside src/report, src/cli and src/main.rs prints",
        "return a value or send a `model::event`, and let `report` find the words",
        src().iter().flat_map(prints),
    );
}

#[test]
fn modules_have_names_that_say_something() {
    teach(
        "no module is called utils, common, helpers, types or misc",
        "name it after the one noun or conversation that it holds; what serves one caller stands below that caller",
        src().iter().flat_map(nameless_modules),
    );
}

#[test]
fn nothing_is_left_for_later() {
    teach(
        "no note for later, no unimplemented!, no todo!, no ignored test",
        "finish it, take it out, or write a test that asserts what happens today and says why that is wrong",
        all_rust().iter().flat_map(left_for_later),
    );
}

#[test]
fn silenced_lints_say_why() {
    teach(
        "an `allow` or `expect` attribute carries `reason = \"…\"`",
        "say in a sentence why the lint is wrong here, or do what it asks",
        all_rust().iter().flat_map(silent_allows),
    );
}

#[test]
fn every_file_starts_with_its_head() {
    teach(
        "a source file starts with `//!`: what it owns, what it does not know",
        "write the sentence before the code; if it needs an \"and\", it is two files",
        all_rust().iter().flat_map(headless),
    );
}

#[test]
fn nothing_ignored_is_tracked() {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--ignored", "--exclude-standard", "-z"])
        .current_dir(root())
        .output();
    let Some(output) = output.ok().filter(|output| output.status.success()) else {
        eprintln!("skipped: this is no git checkout");
        return;
    };
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    teach(
        "a file that .gitignore names is not in git",
        "git rm --cached it; a fixture that is a database is SQL text in fixtures/ instead",
        names.split('\0').filter(|name| !name.is_empty()).map(|name| Finding::new(Path::new(name), 1, "is tracked")),
    );
}

#[test]
fn the_list_of_faults_names_tests_that_exist_and_all_of_the_suite() {
    teach(
        "each row of docs/faults.md names the tests that show it, as `file::test`, and each test of tests/faults/ is in a row",
        "write the row with its test: what is promised and not tried is a wish",
        faults_and_their_tests(),
    );
}

// ---------------------------------------------------------------------------------------------------------
// The rules
// ---------------------------------------------------------------------------------------------------------

fn foreign_libraries(file: &Source) -> Vec<Finding> {
    let owner = |word: &str| OWNERS.iter().find(|(library, _)| *library == word).map(|(_, owner)| *owner);
    let mut found = Vec::new();
    for token in &file.tokens {
        if let Some(owner) = owner(&token.text).filter(|owner| file.module() != *owner) {
            found.push(file.finding(token.line, &format!("names `{}`, which belongs to src/{owner}/", token.text)));
        }
    }
    found
}

fn looks_up_or_sideways(file: &Source, roots: &BTreeMap<String, String>) -> Vec<Finding> {
    let from = file.module();
    if from == "lib" || from == "main" {
        return Vec::new(); // The roof: it sees everything.
    }
    let Some(floor) = floor(from) else {
        return vec![file.finding(1, &format!("`{from}` has no floor: give it one in FLOORS and in ARCHITECTURE.md"))];
    };
    let mut found = Vec::new();
    for (line, to) in uses(file, roots) {
        if to == from || SIDEWAYS.iter().any(|(a, b, _)| *a == from && *b == to) {
            continue;
        }
        match self::floor(&to) {
            Some(below) if below < floor => {}
            Some(beside) if beside == floor => {
                found.push(
                    file.finding(line, &format!("looks sideways: `{from}` and `{to}` are both on floor {floor}")),
                );
            }
            Some(above) => {
                found.push(
                    file.finding(line, &format!("looks up: `{from}` (floor {floor}) uses `{to}` (floor {above})")),
                );
            }
            None => found.push(file.finding(line, &format!("uses `{to}`, which has no floor"))),
        }
    }
    found
}

fn shared_opinions(file: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for path in file.paths() {
        let words: Vec<&str> = path.iter().map(|token| token.text.as_str()).collect();
        if !matches!(words[0], "crate" | "lite2pg" | "super") {
            continue; // A method or a variable of that name.
        }
        let apart = APART.iter().filter(|(who, _)| *who == file.module());
        let named = apart.filter(|(_, other)| words.windows(other.len()).any(|part| part == *other));
        found.extend(named.map(|(_, other)| file.finding(path[0].line, &format!("names `{}`", other.join("::")))));
    }
    found
}

fn prints(file: &Source) -> Vec<Finding> {
    const MACROS: [&str; 5] = ["println", "eprintln", "print", "eprint", "dbg"];
    if MAY_PRINT.contains(&file.module()) {
        return Vec::new();
    }
    file.pairs()
        .filter(|(word, next)| MACROS.contains(&word.text.as_str()) && next.text == "!")
        .map(|(word, _)| file.finding(word.line, &format!("calls {}!", word.text)))
        .collect()
}

fn nameless_modules(file: &Source) -> Vec<Finding> {
    let named = file.pairs().filter(|(word, name)| word.text == "mod" && NAMELESS.contains(&name.text.as_str()));
    named.map(|(_, name)| file.finding(name.line, &format!("has a module called `{}`", name.text))).collect()
}

fn left_for_later(file: &Source) -> Vec<Finding> {
    // Written in two parts, so that this file does not find itself.
    const NOTES: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("X", "XX")];
    let mut found = Vec::new();
    for (n, line) in file.text.lines().enumerate() {
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        if let Some(note) = words.find(|word| NOTES.contains(word)) {
            found.push(file.finding(n + 1, &format!("has a note for later, {note}")));
        }
    }
    for (word, next) in file.pairs() {
        if (word.text == "unimplemented" || word.text == "todo") && next.text == "!" {
            found.push(file.finding(word.line, &format!("calls {}!", word.text)));
        }
        if word.text == "[" && next.text == "ignore" {
            found.push(file.finding(word.line, "ignores a test"));
        }
    }
    found
}

fn silent_allows(file: &Source) -> Vec<Finding> {
    let mut found = Vec::new();
    for attribute in file.attributes() {
        let silences =
            attribute.windows(2).find(|t| (t[0].text == "allow" || t[0].text == "expect") && t[1].text == "(");
        if let Some(silences) = silences.filter(|_| !attribute.iter().any(|token| token.text == "reason")) {
            found.push(file.finding(silences[0].line, &format!("has `{}(…)` without a reason", silences[0].text)));
        }
    }
    found
}

fn headless(file: &Source) -> Vec<Finding> {
    let head = file.text.lines().next().unwrap_or_default();
    match head.strip_prefix("//!").map(str::trim) {
        None => vec![file.finding(1, "does not start with `//!`")],
        Some(words) if words.split(' ').count() < 3 || words.contains("(module head)") || words.contains("(stub)") => {
            vec![file.finding(1, &format!("starts with `{head}`, which says nothing"))]
        }
        Some(_) => Vec::new(),
    }
}

fn faults_and_their_tests() -> Vec<Finding> {
    let path = Path::new("docs/faults.md");
    let text = std::fs::read_to_string(root().join(path)).expect("docs/faults.md is UTF-8 text");
    let tests: BTreeMap<String, (PathBuf, usize)> = rust_under("tests")
        .iter()
        .flat_map(|file| {
            let stem = file.path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default().to_owned();
            let named = |(line, name): (usize, String)| (format!("{stem}::{name}"), (file.path.clone(), line));
            file.tests().into_iter().map(named).collect::<Vec<_>>()
        })
        .collect();
    let (mut found, mut listed) = (Vec::new(), Vec::new());
    for (n, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with('|')) {
        // The last but one of six columns; tables of another width are no lists of faults.
        let columns: Vec<&str> = line.trim_matches('|').split('|').collect();
        let [.., shown_by, _] = columns.as_slice() else { continue };
        if columns.len() != 6 || shown_by.trim() == "shown by" || shown_by.starts_with("---") {
            continue;
        }
        let names: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        if names.is_empty() {
            found.push(Finding::new(path, n + 1, "names no test"));
        }
        for name in names.iter().filter(|name| !tests.contains_key(**name)) {
            found.push(Finding::new(path, n + 1, &format!("names `{name}`, which is no test")));
        }
        listed.extend(names.into_iter().map(str::to_owned));
    }
    if listed.is_empty() {
        found.push(Finding::new(path, 1, "has no table of faults"));
    }
    for (name, (file, line)) in tests {
        if file.starts_with("tests/faults") && !listed.contains(&name) {
            found.push(Finding::new(&file, line, &format!("`{name}` is not in docs/faults.md")));
        }
    }
    found
}

fn floor(module: &str) -> Option<u8> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// The top modules that a file names by `crate::`, `lite2pg::` or a `super::` that reaches the root, with lines.
/// What lib.rs re-exports counts as the module that it comes from.
fn uses(file: &Source, roots: &BTreeMap<String, String>) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for path in file.paths() {
        let (line, rest) = match path[0].text.as_str() {
            "crate" | "lite2pg" => (path[0].line, &path[1..]),
            "super" => {
                let ups = path.iter().take_while(|token| token.text == "super").count();
                if ups < file.depth_at(path[0]) {
                    continue;
                }
                (path[0].line, &path[ups..])
            }
            _ => continue,
        };
        if let Some(first) = rest.first() {
            found.push((line, roots.get(&first.text).unwrap_or(&first.text).clone()));
        }
    }
    found
}

/// Names at the crate's root and the modules that they come from, by the `pub use` lines of lib.rs.
fn root_names() -> BTreeMap<String, String> {
    let lib = Source::read(&root(), Path::new("src/lib.rs"));
    let reexports = lib.paths().into_iter().filter(|path| path.len() > 1 && floor(&path[0].text).is_some());
    reexports.map(|path| (path[path.len() - 1].text.clone(), path[0].text.clone())).collect()
}

// ---------------------------------------------------------------------------------------------------------
// Findings
// ---------------------------------------------------------------------------------------------------------

struct Finding {
    path: PathBuf,
    line: usize,
    what: String,
}

impl Finding {
    fn new(path: &Path, line: usize, what: &str) -> Self {
        Self { path: path.to_owned(), line, what: what.to_owned() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{} {}", self.path.display(), self.line, self.what)
    }
}

/// Fails with the rule, all the places at once, and what to do instead.
fn teach(rule: &str, instead: &str, findings: impl IntoIterator<Item = Finding>) {
    let places: Vec<String> = findings.into_iter().map(|finding| format!("  {finding}\n")).collect();
    assert!(places.is_empty(), "\nrule: {rule}\n\n{}\ninstead: {instead}\n", places.concat());
}

// ---------------------------------------------------------------------------------------------------------
// Sources
// ---------------------------------------------------------------------------------------------------------

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn src() -> Vec<Source> {
    rust_under("src")
}

fn all_rust() -> Vec<Source> {
    ["src", "tests", "benches", "examples", "fixtures"].into_iter().flat_map(rust_under).collect()
}

fn rust_under(folder: &str) -> Vec<Source> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        // benches/ and the like need not exist.
        let Ok(entries) = std::fs::read_dir(root().join(&folder)) else { continue };
        for entry in entries {
            let name = entry.expect("a folder of the checkout can be listed").file_name();
            let path = folder.join(name);
            if root().join(&path).is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(Source::read(&root(), &path));
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

struct Token {
    text: String,
    line: usize,
    /// How many `mod name { … }` of this file are around it.
    inline_depth: usize,
}

/// One file: its path from the top of the checkout, its text, and its tokens without comments and strings.
struct Source {
    path: PathBuf,
    text: String,
    tokens: Vec<Token>,
}

impl Source {
    fn read(root: &Path, path: &Path) -> Self {
        let text = std::fs::read_to_string(root.join(path)).expect("a source file is UTF-8 text");
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Self {
        let mut tokens = tokens(text);
        mark_inline_modules(&mut tokens);
        Self { path: path.to_owned(), text: text.to_owned(), tokens }
    }

    fn finding(&self, line: usize, what: &str) -> Finding {
        Finding::new(&self.path, line, what)
    }

    /// The functions that are tests, with their lines.
    fn tests(&self) -> Vec<(usize, String)> {
        let is = |at: usize, word: &str| self.tokens.get(at).is_some_and(|token| token.text == word);
        let marked =
            (0..self.tokens.len()).filter(|at| is(*at, "test") && is(at.wrapping_sub(1), "[") && is(at + 1, "]"));
        let function = |at: usize| self.tokens[at..].windows(2).find(|pair| pair[0].text == "fn").map(|pair| &pair[1]);
        marked.filter_map(function).map(|name| (name.line, name.text.clone())).collect()
    }

    /// The path below src/ without its extension: `["load", "lane"]`; a mod.rs is its folder.
    fn module_path(&self) -> Vec<&str> {
        let stem = self.path.with_extension("");
        let parts: Vec<&str> = self.path.iter().filter_map(|part| part.to_str()).collect();
        let is_folder = stem.ends_with("mod");
        let mut parts: Vec<&str> = parts.into_iter().skip(1).map(|part| part.trim_end_matches(".rs")).collect();
        if is_folder {
            parts.pop();
        }
        parts
    }

    /// The top module that the file belongs to; `lib` and `main` for the two roots.
    fn module(&self) -> &str {
        self.module_path().first().copied().unwrap_or_default()
    }

    /// How many times `super` leads from a token to the crate's root.
    fn depth_at(&self, token: &Token) -> usize {
        self.module_path().len() + token.inline_depth
    }

    fn pairs(&self) -> impl Iterator<Item = (&Token, &Token)> {
        self.tokens.iter().zip(self.tokens.iter().skip(1))
    }

    /// The tokens inside each `#[…]` and `#![…]`.
    fn attributes(&self) -> Vec<&[Token]> {
        let mut found = Vec::new();
        for start in 0..self.tokens.len() {
            let rest = &self.tokens[start..];
            let open = match rest {
                [hash, open, ..] if hash.text == "#" && open.text == "[" => 1,
                [hash, bang, open, ..] if hash.text == "#" && bang.text == "!" && open.text == "[" => 2,
                _ => continue,
            };
            let mut depth = 0_usize;
            let end = rest[open..].iter().position(|token| {
                match token.text.as_str() {
                    "[" => depth += 1,
                    "]" => depth -= 1,
                    _ => {}
                }
                depth == 0
            });
            found.push(&rest[open..open + end.unwrap_or(rest.len() - open)]);
        }
        found
    }

    /// Every path, `a::b::c`; a tree, `a::{b, c::d}`, gives one path for each of its leaves.
    fn paths(&self) -> Vec<Vec<&Token>> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            if is_word(&self.tokens[at].text) {
                at = self.path_from(at, &[], &mut found);
            } else {
                at += 1;
            }
        }
        found
    }

    /// Reads one path that starts at a word, and returns the position after it.
    fn path_from<'a>(&'a self, start: usize, prefix: &[&'a Token], found: &mut Vec<Vec<&'a Token>>) -> usize {
        let text = |at: usize| self.tokens.get(at).map_or("", |token| token.text.as_str());
        let mut path = prefix.to_vec();
        let mut at = start;
        loop {
            path.push(&self.tokens[at]);
            if text(at + 1) != "::" {
                found.push(path);
                return at + 1;
            }
            at += 2;
            if text(at) == "{" {
                at += 1;
                while at < self.tokens.len() && text(at) != "}" {
                    at = if is_word(text(at)) { self.path_from(at, &path, found) } else { at + 1 };
                }
                return at + 1;
            }
            if !is_word(text(at)) {
                found.push(path); // A glob, or generics: `Vec::<u8>`.
                return at;
            }
        }
    }
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn mark_inline_modules(tokens: &mut [Token]) {
    let mut braces = 0_usize;
    let mut modules: Vec<usize> = Vec::new();
    for at in 0..tokens.len() {
        tokens[at].inline_depth = modules.len();
        match tokens[at].text.as_str() {
            "{" => {
                braces += 1;
                if at >= 2 && tokens[at - 2].text == "mod" && is_word(&tokens[at - 1].text) {
                    modules.push(braces);
                }
            }
            "}" => {
                if modules.last() == Some(&braces) {
                    modules.pop();
                }
                braces = braces.saturating_sub(1);
            }
            _ => {}
        }
    }
}

/// Words, `::`, and single characters. Comments vanish, a string or a character literal becomes `""`.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |n: usize| chars.get(n).copied().unwrap_or('\0');
    let (mut tokens, mut line, mut n) = (Vec::new(), 1, 0);
    while n < chars.len() {
        let start = n;
        let token = match chars[n] {
            c if c.is_whitespace() => {
                n += 1;
                None
            }
            '/' if at(n + 1) == '/' => {
                while n < chars.len() && chars[n] != '\n' {
                    n += 1;
                }
                None
            }
            '/' if at(n + 1) == '*' => {
                n = after_block_comment(&chars, n);
                None
            }
            '"' => {
                n = after_string(&chars, n);
                Some("\"\"".to_owned())
            }
            // A character literal closes within a few characters, a lifetime never does.
            '\'' if at(n + 1) == '\\' || at(n + 2) == '\'' => {
                n += if at(n + 1) == '\\' { 3 } else { 2 };
                while n < chars.len() && chars[n] != '\'' {
                    n += 1;
                }
                n += 1;
                Some("\"\"".to_owned())
            }
            c if c.is_alphanumeric() || c == '_' => {
                while at(n).is_alphanumeric() || at(n) == '_' {
                    n += 1;
                }
                let word: String = chars[start..n].iter().collect();
                match after_raw_string(&chars, n).filter(|_| ["r", "br", "cr"].contains(&word.as_str())) {
                    Some(end) => {
                        n = end;
                        Some("\"\"".to_owned())
                    }
                    // The b of a byte string or byte: the literal follows as a token of its own.
                    None if (word == "b" || word == "c") && ['"', '\''].contains(&at(n)) => None,
                    None => Some(word),
                }
            }
            ':' if at(n + 1) == ':' => {
                n += 2;
                Some("::".to_owned())
            }
            c => {
                n += 1;
                Some(c.to_string())
            }
        };
        if let Some(text) = token {
            tokens.push(Token { text, line, inline_depth: 0 });
        }
        line += chars[start..n.min(chars.len())].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

fn after_block_comment(chars: &[char], start: usize) -> usize {
    let (mut depth, mut n) = (0_usize, start);
    while n < chars.len() {
        match (chars[n], chars.get(n + 1)) {
            ('/', Some('*')) => (depth, n) = (depth + 1, n + 2),
            ('*', Some('/')) => (depth, n) = (depth - 1, n + 2),
            _ => n += 1,
        }
        if depth == 0 {
            break;
        }
    }
    n
}

fn after_string(chars: &[char], start: usize) -> usize {
    let mut n = start + 1;
    while n < chars.len() && chars[n] != '"' {
        n += if chars[n] == '\\' { 2 } else { 1 };
    }
    n + 1
}

/// The end of the raw string whose hashes start at `start`; `None` where there is none.
fn after_raw_string(chars: &[char], start: usize) -> Option<usize> {
    let hashes = chars[start.min(chars.len())..].iter().take_while(|c| **c == '#').count();
    if chars.get(start + hashes) != Some(&'"') {
        return None;
    }
    let mut n = start + hashes + 1;
    while n < chars.len() {
        let closes = chars[n] == '"' && chars[n + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
        n += 1;
        if closes {
            return Some(n + hashes);
        }
    }
    Some(n)
}

// ---------------------------------------------------------------------------------------------------------
// The rules find what they are for
// ---------------------------------------------------------------------------------------------------------

/// Runs a rule over a made-up file and compares what it says, one finding a line.
fn check(rule: impl Fn(&Source) -> Vec<Finding>, path: &str, text: &str, expect: &str) {
    let findings = rule(&Source::parse(Path::new(path), text));
    let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(said.join("\n"), expect, "in {path}:\n{text}");
}

#[test]
fn a_foreign_library_is_found_and_a_word_in_a_comment_is_not() {
    let text = "use rusqlite::Connection;\n// rusqlite\nlet s = \"rusqlite\";\nlet r = r#\"a \" rusqlite\"#;\n";
    check(
        foreign_libraries,
        "src/load/mod.rs",
        text,
        "src/load/mod.rs:1 names `rusqlite`, which belongs to src/sqlite/",
    );
    check(foreign_libraries, "src/sqlite/open.rs", text, "");
    check(
        foreign_libraries,
        "src/run/mod.rs",
        "/* a /* nested */ b */\nfn f(c: &'a tokio_postgres::Client, x: char) { x == '\"' }\n",
        "src/run/mod.rs:2 names `tokio_postgres`, which belongs to src/postgres/",
    );
}

#[test]
fn looks_up_and_sideways_are_found_in_every_spelling() {
    let roots = BTreeMap::from([("Error".to_owned(), "error".to_owned()), ("migrate".to_owned(), "run".to_owned())]);
    let rule = |file: &Source| looks_up_or_sideways(file, &roots);
    let up = "looks up: `load` (floor 2) uses `run` (floor 3)";
    let side = "looks sideways: `load` and `plan` are both on floor 2";

    check(rule, "src/load/mod.rs", "use crate::{Error, model::cell::Cell, postgres::{copy, quote}};\n", "");
    check(rule, "src/load/mod.rs", "use crate::run;\n", &format!("src/load/mod.rs:1 {up}"));
    check(
        rule,
        "src/load/mod.rs",
        "use crate::{\n model,\n plan::{self, x},\n};\n",
        &format!("src/load/mod.rs:1 {side}\nsrc/load/mod.rs:1 {side}"),
    );
    check(
        rule,
        "src/load/lane.rs",
        "\nfn f() { crate::run::go(); crate::load::x(); }\n",
        &format!("src/load/lane.rs:2 {up}"),
    );
    check(rule, "src/load/lane.rs", "use crate::migrate;\n", &format!("src/load/lane.rs:1 {up}"));
    check(rule, "src/load/lane.rs", "use super::super::run;\nuse super::range;\n", &format!("src/load/lane.rs:1 {up}"));
    check(
        rule,
        "src/load/lane.rs",
        "mod tests { use super::super::super::run; use super::super::x; }\n",
        &format!("src/load/lane.rs:1 {up}"),
    );
    check(
        rule,
        "src/load/mod.rs",
        "use super::run;\nmod tests { use super::*; }\n",
        &format!("src/load/mod.rs:1 {up}"),
    );
    check(rule, "src/cli/migrate.rs", "use lite2pg::run;\nuse crate::report;\n", "");
    check(rule, "src/model/cell.rs", "pub(crate) fn f() {}\nuse crate::Error;\n", "");
    check(
        rule,
        "src/new/mod.rs",
        "",
        "src/new/mod.rs:1 `new` has no floor: give it one in FLOORS and in ARCHITECTURE.md",
    );
}

#[test]
fn a_shared_opinion_is_found_in_every_spelling() {
    for (path, text, what) in [
        ("src/verify/expect/text.rs", "use crate::transform::text;\n", "transform"),
        ("src/verify/expect/text.rs", "fn f() { super::super::super::transform::g() }\n", "transform"),
        ("src/verify/found.rs", "use crate::postgres::{copy, encode};\n", "postgres::encode"),
        ("src/verify/mod.rs", "use crate::load;\n", "load"),
        ("src/transform/text.rs", "use crate::verify::form::Form;\n", "verify"),
    ] {
        check(shared_opinions, path, text, &format!("{path}:1 names `{what}`"));
    }
    check(shared_opinions, "src/verify/mod.rs", "//! transform\nfn f() { load(hex::encode(x)) }\n", "");
    check(shared_opinions, "src/load/lane.rs", "use crate::transform::Compiled;\n", "");
}

#[test]
fn prints_names_and_leftovers_are_found() {
    check(
        prints,
        "src/load/mod.rs",
        "fn f() {\n dbg!(1);\n write!(f, \"println!\");\n}",
        "src/load/mod.rs:2 calls dbg!",
    );
    check(prints, "src/report/text.rs", "fn f() { println!(); }", "");
    check(nameless_modules, "src/lib.rs", "mod model;\npub mod utils;", "src/lib.rs:2 has a module called `utils`");
    let text = format!("// {}: later\nfn f() {{ todo!() }}\n#[test]\n#[ignore]\nfn g() {{}}\n", concat!("TO", "DO"));
    let said = format!(
        "src/a.rs:1 has a note for later, {}\nsrc/a.rs:2 calls todo!\nsrc/a.rs:4 ignores a test",
        concat!("TO", "DO")
    );
    check(left_for_later, "src/a.rs", &text, &said);
}

#[test]
fn silent_allows_and_empty_heads_are_found() {
    check(silent_allows, "src/a.rs", "#[allow(dead_code)]\nfn f() {}", "src/a.rs:1 has `allow(…)` without a reason");
    check(silent_allows, "src/a.rs", "#![expect(x, reason = \"y\")]\nfn f() { o.expect(\"z\"); }", "");
    check(
        silent_allows,
        "src/a.rs",
        "#[cfg_attr(test, allow(x))]\nstruct S;",
        "src/a.rs:1 has `allow(…)` without a reason",
    );
    check(headless, "src/a.rs", "fn f() {}\n", "src/a.rs:1 does not start with `//!`");
    check(
        headless,
        "src/a.rs",
        "//! (module head)\n",
        "src/a.rs:1 starts with `//! (module head)`, which says nothing",
    );
    check(headless, "src/a.rs", "//!\n", "src/a.rs:1 starts with `//!`, which says nothing");
    check(headless, "src/a.rs", "//! Owns the open file.\n", "");
}
