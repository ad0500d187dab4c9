//! A comparison as a test asks for it, and the lists that it leaves.

use super::scenario::Listener;
use super::{database, session, told};
use lite2pg::model::event::Event;
use lite2pg::model::verdict::{Differences, Outcome, TableVerdict, Verification};
use lite2pg::postgres::Target;
use lite2pg::run::{self, Options};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use tempfile::TempDir;

/// A comparison that came to its end.
pub struct Compared {
    /// What it found.
    pub verification: Verification,
    /// What it told meanwhile.
    pub events: Vec<Event>,
    _folder: TempDir,
}

/// A line of the file that lists what differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
pub struct Line {
    pub difference: String,
    pub key: String,
    pub column: String,
    pub source: String,
    pub target: String,
}

/// Compares a file with a database, as `lite2pg verify` does without options.
#[track_caller]
pub fn compare(source: &Path, target: &Target) -> Compared {
    compare_with(&Options::new(source), target).unwrap_or_else(|e| panic!("{}", told(&e)))
}

/// The same with options.
pub fn compare_with(options: &Options, target: &Target) -> lite2pg::Result<Compared> {
    let folder = TempDir::new().expect("a folder for lists");
    let mut options = options.clone();
    options.wish.folder = folder.path().join("differences");
    let listener = Listener::default();
    let verification = run::verify(&options, target, false, &listener, &AtomicBool::new(false))?;
    Ok(Compared { verification, events: listener.into_events(), _folder: folder })
}

/// Loads by hand what some other tool made of a source: `sqlite` makes the file, `postgres` the tables.
#[track_caller]
pub fn by_hand(sqlite: &str, postgres: &str) -> Compared {
    let (_folder, path) = super::program::source(sqlite);
    let target = database();
    session(&target).batch(postgres).unwrap_or_else(|e| panic!("{postgres}\n{}", told(&e)));
    compare(&path, &target)
}

impl Compared {
    /// The word on a table of the source.
    #[track_caller]
    pub fn table(&self, source: &str) -> &TableVerdict {
        let found = self.verification.tables.iter().find(|t| t.source == source);
        found.unwrap_or_else(|| panic!("no word on `{source}`"))
    }

    /// How a table differs; none where it is equal.
    #[track_caller]
    pub fn differences(&self, source: &str) -> Option<&Differences> {
        match &self.table(source).outcome {
            Outcome::Different(differences) => Some(differences),
            _ => None,
        }
    }

    /// All lines of a table's list.
    #[track_caller]
    pub fn lines(&self, source: &str) -> Vec<Line> {
        let file = self.differences(source).and_then(|d| d.file.as_ref());
        let Some(file) = file else { return Vec::new() };
        let mut reader = csv::Reader::from_path(file).expect("the list that was named");
        reader.deserialize().collect::<Result<_, _>>().expect("lines of a list")
    }

    /// What was found in a table, a word a row or changed cell, each with its number: `changed id=1 t`, `missing id=2`.
    #[track_caller]
    pub fn found(&self, source: &str) -> BTreeMap<String, usize> {
        let mut words: BTreeMap<String, usize> = BTreeMap::new();
        let mut columns: BTreeMap<String, usize> = BTreeMap::new();
        for line in self.lines(source) {
            if line.difference == "changed" {
                *words.entry(format!("changed {} {}", line.key, line.column)).or_default() += 1;
            } else {
                // A row that one side lacks is listed with all its cells.
                let row = format!("{} {}", line.difference, line.key);
                *columns.entry(line.column).or_default() += 1;
                *words.entry(row).or_default() += 1;
            }
        }
        let width = columns.len().max(1);
        for (_, cells) in words.iter_mut().filter(|(word, _)| !word.starts_with("changed")) {
            assert_eq!(*cells % width, 0, "`{source}`: rows are listed whole");
            *cells /= width;
        }
        words
    }

    /// Fails the test unless everything was compared and is equal.
    #[track_caller]
    pub fn is_equal(&self) {
        if self.verification.is_equal() {
            return;
        }
        let tables = self.verification.tables.iter().filter(|t| !matches!(t.outcome, Outcome::Equal));
        let lines: Vec<String> = tables
            .map(|t| format!("{t:?}\n{:#?}", self.lines(&t.source).iter().take(20).collect::<Vec<_>>()))
            .collect();
        panic!("not equal: {:?}\n{}", self.verification.sequences, lines.join("\n"));
    }

    /// Fails the test unless exactly this was found in a table: words as in [`Compared::found`].
    #[track_caller]
    pub fn finds(&self, source: &str, expect: &[&str]) {
        let mut wanted: BTreeMap<String, usize> = BTreeMap::new();
        for word in expect {
            *wanted.entry((*word).to_owned()).or_default() += 1;
        }
        assert_eq!(self.found(source), wanted, "{:#?}", self.lines(source));
        assert!(!self.verification.is_equal() || expect.is_empty());
    }
}
