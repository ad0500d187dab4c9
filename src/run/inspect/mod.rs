//! The verb `inspect`: what is in a source, what may surprise, what a migration would take. Needs no server.
//!
//! Profile and plan are those of a migration. What is added: hazards that several tables show together, the framework that
//! made the database, a grade and a forecast.

mod forecast;
mod frameworks;
mod hazards;

use super::clock::Clock;
use super::options::Options;
use super::{evidence, shape};
use crate::error::{Error, Kind, Result};
use crate::load::interrupted;
use crate::model::bounds::{INSPECT_DAMAGES_MAX, PG_COLUMNS_MAX, PROFILE_ROWS_MAX, PROFILE_SPOTS};
use crate::model::conversion::Naive;
use crate::model::event::{Event, Observer, Phase};
use crate::model::inspection::{ByHand, Grade, HandKind, Hazard, HazardKind, Inspection};
use crate::model::name::{Spelling, exclude, for_shell};
use crate::model::plan::Plan;
use crate::model::profile::TableProfile;
use crate::model::source::{Catalog, ForeignKey, Table};
use crate::plan::Draft;
use crate::plan::groups::parent_columns;
use crate::plan::select::Selection;
use crate::postgres::Embedded;
use crate::profile::Depth;
use crate::sqlite::{Reader, Source};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Looks at a source as a migration would. With `full`, every row is read, and SQLite checks the file. `can_try` says
/// whether this machine has a server to try the migration on.
pub fn inspect(
    options: &Options,
    full: bool,
    can_try: bool,
    observer: &dyn Observer,
    stop: &AtomicBool,
) -> Result<Inspection> {
    looked_at(options, full, can_try, observer, stop).map_err(|error| {
        if error.kind() != Kind::Interrupted {
            return error;
        }
        Error::new(Kind::Interrupted, "the inspection was interrupted")
            .state("nothing was written")
            .hint("the same command begins again; without `--full` it takes a moment")
    })
}

fn looked_at(
    options: &Options,
    full: bool,
    can_try: bool,
    observer: &dyn Observer,
    stop: &AtomicBool,
) -> Result<Inspection> {
    let mut clock = Clock::new(observer);
    let Opened { mut readers, catalog, mut by_hand, snapshot } = clock.phase(Phase::Open, 1, || open(options))?;
    let (bytes, page_size, encoding) = (catalog.bytes, catalog.page_size, catalog.encoding.clone());
    let draft = Draft::new(catalog, options.plan_options(), &[], &[])?;
    let catalog = draft.catalog();
    let depth = if full { Depth::Whole } else { Depth::Sample };
    let tables: Vec<(usize, Depth)> = (0..catalog.tables.len()).map(|table| (table, depth)).collect();
    let profiles = clock
        .phase(Phase::Profile, tables.len(), || evidence::gather(&draft, &mut readers, &tables, observer, stop))?;
    let plan = clock.phase(Phase::Plan, tables.len(), || draft.plan(&profiles))?;
    let look = Look { catalog, profiles: &profiles, reader: &readers[0], full, observer, stop };
    let steps = catalog.tables.iter().filter(|t| !t.foreign_keys.is_empty()).count();
    let mut found = clock.phase(Phase::Inspect, steps, || look.across())?;
    let (told, left) = hazards::of_plan(catalog, &plan, &profiles);
    by_hand.extend(left);
    by_hand.extend(look.unkeyed());
    found.extend(told);
    found.extend(hazards::of_columns(catalog, &plan, &profiles));
    found.extend(hazards::of_collations(catalog));
    found.extend(hazards::of_names(catalog, &plan));
    found.sort_by(|a, b| (a.kind, &a.object).cmp(&(b.kind, &b.object)));
    by_hand.sort_by(|a, b| (a.kind, &a.object).cmp(&(b.kind, &b.object)));
    let frameworks = frameworks::of(catalog, &profiles);
    let (next, next_does) = next(options, &by_hand, can_try);
    Ok(Inspection {
        source: options.source.display().to_string(),
        bytes,
        page_size,
        encoding,
        snapshot,
        is_full: full,
        frameworks,
        grade: Grade::of(&found, &by_hand),
        forecast: forecast::of(catalog, &plan, &profiles),
        plan: without_remarks(plan),
        profiles,
        hazards: found,
        by_hand,
        next,
        next_does,
    })
}

// They were sorted into hazards and what needs a hand.
fn without_remarks(plan: Plan) -> Plan {
    Plan { remarks: Vec::new(), ..plan }
}

struct Opened {
    readers: Vec<Reader>,
    catalog: Catalog,
    by_hand: Vec<ByHand>,
    snapshot: String,
}

// As for a migration, but what would end one here is a finding.
fn open(options: &Options) -> Result<Opened> {
    options.check()?;
    let source = Source::open(&options.source, options.snapshot)?;
    let snapshot = source.snapshot(options.jobs)?;
    let mut catalog = snapshot.readers[0].catalog()?;
    let selection = Selection::new(&options.include, &options.exclude)?;
    catalog.tables.retain(|t| selection.takes(&t.name));
    catalog.triggers.retain(|t| selection.takes(&t.table));
    shape::apply(&mut catalog, &options.reshape, &snapshot.readers[0])?;
    let unreadable = std::mem::take(&mut catalog.unreadable).into_iter().filter(|name| selection.takes(name));
    let table = |object: String, text: String| ByHand { kind: HandKind::Table, object, text, sql: None };
    let mut by_hand: Vec<ByHand> = unreadable
        .map(|name| {
            let text = "SQLite does not understand its CREATE statement: its rows cannot be read".to_owned();
            table(name, text)
        })
        .collect();
    catalog.tables.retain(|t| {
        let fits = t.columns.len() <= PG_COLUMNS_MAX;
        if !fits {
            let text = format!("{} columns; a PostgreSQL table has room for {PG_COLUMNS_MAX}", t.columns.len());
            by_hand.push(table(t.name.clone(), text));
        }
        fits
    });
    Ok(Opened { readers: snapshot.readers, catalog, by_hand, snapshot: snapshot.kind.to_string() })
}

struct Look<'a> {
    catalog: &'a Catalog,
    profiles: &'a [TableProfile],
    reader: &'a Reader,
    full: bool,
    observer: &'a dyn Observer,
    stop: &'a AtomicBool,
}

impl Look<'_> {
    // What no column shows by itself.
    fn across(&self) -> Result<Vec<Hazard>> {
        let mut found = Vec::new();
        for (table, profile) in
            self.catalog.tables.iter().zip(self.profiles).filter(|(t, _)| !t.foreign_keys.is_empty())
        {
            let started = std::time::Instant::now();
            found.extend(if self.full || profile.complete {
                self.orphans(table)?
            } else {
                self.orphans_in_sample(table)?
            });
            let ms = super::clock::millis(started);
            self.observer.event(&Event::Step { phase: Phase::Inspect, object: table.name.clone(), ms });
        }
        for (t, c, collation) in hazards::collated(self.catalog) {
            self.go_on()?;
            let table = &self.catalog.tables[t];
            let is_unique = table.indexes.iter().any(|i| {
                i.unique
                    && !i.partial
                    && i.columns.len() == 1
                    && i.columns[0].column == Some(c)
                    && i.columns[0].collation.eq_ignore_ascii_case("NOCASE")
            });
            // A large table would have to be sorted.
            if !collation.eq_ignore_ascii_case("NOCASE") || is_unique || !(self.full || self.profiles[t].complete) {
                continue;
            }
            let twins = self.reader.case_twins(table, c)?;
            if twins > 0 {
                found.push(hazards::case_twins(&table.name, &table.columns[c].name, twins));
            }
        }
        if self.full {
            self.go_on()?;
            let lines = self.reader.integrity()?;
            found.extend(lines.into_iter().take(INSPECT_DAMAGES_MAX).map(|text| Hazard {
                kind: HazardKind::Damaged,
                object: "file".to_owned(),
                text,
                rows: None,
            }));
        }
        Ok(found)
    }

    fn go_on(&self) -> Result<()> {
        if self.stop.load(Ordering::Relaxed) { Err(interrupted()) } else { Ok(()) }
    }

    fn orphans(&self, table: &Table) -> Result<Vec<Hazard>> {
        let found = self.reader.orphans([table])?;
        Ok(found.into_iter().map(|((table, parent, _), rows)| hazards::orphans(&table, &parent, rows, None)).collect())
    }

    fn orphans_in_sample(&self, table: &Table) -> Result<Vec<Hazard>> {
        let mut found = Vec::new();
        for key in &table.foreign_keys {
            let Some((parent, parents)) = self.parent(key) else { continue };
            // Such a column reads as NULL, or not at all.
            if parents.iter().any(|&c| parent.columns[c].broken) {
                continue;
            }
            let each = PROFILE_ROWS_MAX / PROFILE_SPOTS;
            let (child, spots) = ((table, key.columns.as_slice()), (PROFILE_SPOTS, each));
            let (rows, of) = self.reader.orphans_in_sample(child, (parent, &parents), spots, &|| self.go_on())?;
            if rows > 0 {
                found.push(hazards::orphans(&table.name, &parent.name, rows, Some(of)));
            }
        }
        Ok(found)
    }

    // Foreign keys that neither database follows: no unique key says which row they mean.
    fn unkeyed(&self) -> Vec<ByHand> {
        let mut found = Vec::new();
        for table in &self.catalog.tables {
            for key in &table.foreign_keys {
                let there = parent_columns(self.catalog, &key.parent, &key.parent_columns);
                if there.is_some_and(|(_, c)| c.len() == key.columns.len()) && self.parent(key).is_none() {
                    let own: Vec<&str> = key.columns.iter().map(|&c| table.columns[c].name.as_str()).collect();
                    let text = format!(
                        "foreign key ({}) refers to columns of `{}` that no unique key holds: SQLite does not follow it, \
                         and PostgreSQL refuses it",
                        own.join(", "),
                        key.parent
                    );
                    found.push(ByHand { kind: HandKind::Definition, object: table.name.clone(), text, sql: None });
                }
            }
        }
        found
    }

    // The parent of a key, where an index finds it; SQLite does not follow other keys either.
    fn parent(&self, key: &ForeignKey) -> Option<(&Table, Vec<usize>)> {
        let (position, columns) = parent_columns(self.catalog, &key.parent, &key.parent_columns)?;
        let table = &self.catalog.tables[position];
        let same = |key: &mut dyn Iterator<Item = usize>| {
            let mut key: Vec<usize> = key.collect();
            let mut wanted = columns.clone();
            key.sort_unstable();
            wanted.sort_unstable();
            key == wanted
        };
        let is_found = same(&mut table.primary_key.iter().copied())
            || table.indexes.iter().any(|i| {
                let all = i.columns.iter().all(|c| c.column.is_some());
                i.unique && !i.partial && all && same(&mut i.columns.iter().filter_map(|c| c.column))
            });
        (is_found && columns.len() == key.columns.len()).then_some((table, columns))
    }
}

// The command to go on with, and what it does.
fn next(options: &Options, by_hand: &[ByHand], can_try: bool) -> (String, String) {
    let mut words = vec!["lite2pg".to_owned()];
    words.push(if can_try { "migrate" } else { "plan" }.to_owned());
    words.push(path_for_shell(&options.source));
    if can_try {
        words.push(Embedded::WORD.to_owned());
    } else {
        words.push("--sql".to_owned());
    }
    if options.schema != "public" {
        words.push(format!("--schema {}", for_shell(&options.schema)));
    }
    match options.spelling {
        Spelling::Preserve => {}
        Spelling::Lower => words.push("--identifiers lower".to_owned()),
        Spelling::Snake => words.push("--identifiers snake".to_owned()),
    }
    match &options.types.assume_tz {
        Some(Naive::Utc) => {}
        Some(Naive::Zone(zone)) => words.push(format!("--assume-tz {}", for_shell(zone))),
        Some(Naive::Refuse) | None => words.push("--assume-tz none".to_owned()),
    }
    if options.types.narrow_integers {
        words.push("--integers fit".to_owned());
    }
    words.extend(options.include.iter().map(|glob| format!("--include {}", for_shell(glob))));
    words.extend(options.exclude.iter().map(|glob| format!("--exclude {}", for_shell(glob))));
    words.extend(by_hand.iter().filter(|b| b.kind == HandKind::Table).map(|b| exclude(&b.object)));
    let does = if can_try {
        "tries all of it on a throw-away server, and changes nothing else"
    } else {
        "shows all that would be created; PostgreSQL's server programs are not on this machine to try it with"
    };
    (words.join(" "), does.to_owned())
}

// A name that begins with a hyphen would be taken for an option.
fn path_for_shell(path: &Path) -> String {
    let text = path.display().to_string();
    for_shell(&if text.starts_with('-') { format!("./{text}") } else { text })
}
