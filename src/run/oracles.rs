//! What else is asked of both sides besides their digests, so that no single mistake makes a comparison green.

use super::Opened;
use super::proof::{Held, Proof, go_on, lock, scan_of};
use crate::error::{Kind, Result};
use crate::model::aggregate::{Answer, Measure};
use crate::model::bounds::{AGGREGATE_ROWS_MAX, PLANTED_TABLES_MAX, SAMPLE_SPOTS, SAMPLE_SPOTS_FEW, SAMPLE_TABLES_MAX};
use crate::model::digest::SetDigest;
use crate::model::plan::{ColumnPlan, TablePlan};
use crate::model::source::Catalog;
use crate::model::verdict::Level;
use crate::postgres::read::Moment;
use crate::postgres::sample::{Found, Sample};
use crate::postgres::{Session, is_answer, scratch};
use crate::sqlite::Reader;
use crate::verify::aggregate::measures;
use crate::verify::planted::{self, InMemory, OnServer};
use crate::verify::sample::{self, Gathered};
use crate::{postgres, sqlite};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};

/// What the oracles besides the digests say of the tables, by their positions in the plan.
#[derive(Debug, Default)]
pub struct Opinions {
    /// Where they do not agree with the digests.
    pub disputed: HashMap<usize, Vec<String>>,
    /// Figures that agree.
    pub figures: u64,
    /// Cells that PostgreSQL read itself, and that agree.
    pub cast: u64,
    /// What was not asked, and why.
    pub remarks: Vec<String>,
}

impl Opinions {
    /// Asks for them: of all tables in a thorough comparison, else of those where it costs next to nothing.
    pub fn ask(
        &mut self,
        proof: &Proof<'_>,
        moment: &Moment,
        found: &HashMap<usize, SetDigest>,
        source: &mut Held<'_>,
    ) -> Result<()> {
        let mut tables: Vec<usize> = found.keys().copied().collect();
        tables.sort_unstable();
        let small = |t: &usize| proof.is_thorough || found[t].rows <= AGGREGATE_ROWS_MAX;
        let small: Vec<usize> = tables.iter().copied().filter(small).collect();
        let opened = match source.get() {
            // The load has read the source, and its digests stand; only the second reading is not to be had.
            Err(e) if !proof.is_thorough && e.kind() == Kind::Source => {
                self.remarks.push(format!("no second opinion: {}", e.message()));
                return Ok(());
            }
            opened => opened?,
        };
        for (t, figures) in self::figures(proof, moment, &small, opened)? {
            self.figures += figures.agreed;
            self.dispute(t, figures.disputed);
        }
        tables.retain(|t| found[t].rows > 0);
        tables.sort_by_key(|t| std::cmp::Reverse(found[t].rows));
        if !proof.is_thorough {
            tables.truncate(SAMPLE_TABLES_MAX);
        }
        for (t, sampled) in samples(proof, moment, &tables, opened)? {
            self.sampled(t, &proof.plan.tables[t], sampled);
        }
        Ok(())
    }

    fn sampled(&mut self, t: usize, table: &TablePlan, sampled: Sampled) {
        match sampled {
            Sampled::Nothing => {}
            Sampled::Agreed(cells) => self.cast += cells,
            Sampled::Disputed(words) => self.dispute(t, words),
            Sampled::Refused(why) => {
                self.remarks.push(format!("`{}`: no sample for PostgreSQL to read itself: {why}", table.target));
            }
        }
    }

    fn dispute(&mut self, table: usize, disputed: Vec<String>) {
        if !disputed.is_empty() {
            self.disputed.entry(table).or_default().extend(disputed);
        }
    }
}

// What came of a table's sample.
enum Sampled {
    Nothing,
    Agreed(u64),
    Disputed(Vec<String>),
    Refused(String),
}

// Raw cells of the source, read by PostgreSQL itself and compared with what was loaded.
fn samples(proof: &Proof<'_>, moment: &Moment, tables: &[usize], opened: &mut Opened) -> Result<Vec<(usize, Sampled)>> {
    let spots = if proof.is_thorough { SAMPLE_SPOTS } else { SAMPLE_SPOTS_FEW };
    with_readers(proof, tables, opened, |session, reader, catalog, t| {
        let table = &proof.plan.tables[t];
        let scan = scan_of(catalog, table)?;
        let rejected = proof.rejected.get(&table.target);
        let Some(gathered) = sample::gather(reader, &scan, table, spots, rejected)? else {
            return Ok((t, Sampled::Nothing));
        };
        if gathered.rows.is_empty() {
            return Ok((t, Sampled::Nothing));
        }
        let sample = Sample {
            schema: &proof.plan.schema,
            table: &table.target,
            columns: &gathered.columns,
            key: &gathered.key,
            zone: sample::zone(&gathered.columns),
            rows: &gathered.rows,
        };
        let found = postgres::sample::compare(session, moment, &sample)
            .map_err(|e| e.context(format!("a sample of `{}` cannot be compared", table.target)))?;
        Ok((t, judged(&gathered, found)))
    })
}

fn judged(gathered: &Gathered<'_>, found: Found) -> Sampled {
    let (missing, cells) = match found {
        Found::Refused(why) => return Sampled::Refused(why),
        Found::Unreadable(code) => {
            return Sampled::Disputed(vec![format!("a sampled cell, which PostgreSQL refuses to read ({code})")]);
        }
        Found::Cells(missing, cells) => (missing, cells),
    };
    let rows = (missing > 0).then(|| "sampled rows that are not there".to_owned());
    let differing = gathered.columns.iter().zip(cells).filter(|(_, cells)| *cells > 0);
    let words = differing.map(|(c, _)| format!("{}: sampled cells as PostgreSQL reads them", c.target));
    let disputed: Vec<String> = rows.into_iter().chain(words).collect();
    if disputed.is_empty() { Sampled::Agreed(gathered.cells) } else { Sampled::Disputed(disputed) }
}

/// Does something for each table, largest first, with a reader of its own.
pub fn with_readers<R: Send>(
    proof: &Proof<'_>,
    tables: &[usize],
    opened: &mut Opened,
    work: impl Fn(&mut Session, &Reader, &Catalog, usize) -> Result<R> + Sync,
) -> Result<Vec<R>> {
    let mut tables = tables.to_vec();
    tables.sort_by_key(|&t| std::cmp::Reverse(proof.plan.tables[t].bytes));
    let readers = Mutex::new(std::mem::take(&mut opened.readers));
    let catalog = &opened.catalog;
    let found = proof.hands.each(&tables, |session, &t| {
        go_on(proof.hands.stop)?;
        let reader = lock(&readers).pop().expect("a reader for each hand");
        let found = work(session, &reader, catalog, t);
        lock(&readers).push(reader);
        found
    });
    opened.readers = readers.into_inner().unwrap_or_else(PoisonError::into_inner);
    found
}

/// What both databases say of a table in plain SQL.
#[derive(Debug)]
pub struct Figures {
    /// Rows here and there.
    pub rows: (u64, u64),
    /// Figures that agree, the number of rows included.
    pub agreed: u64,
    /// Those that do not, in words.
    pub disputed: Vec<String>,
}

/// Asks both databases for figures of these tables; at level `counts`, for numbers of rows only.
pub fn figures(
    proof: &Proof<'_>,
    moment: &Moment,
    tables: &[usize],
    opened: &mut Opened,
) -> Result<HashMap<usize, Figures>> {
    let is_utf16 = opened.catalog.encoding != "UTF-8";
    let found = with_readers(proof, tables, opened, |session, reader, catalog, t| {
        let table = &proof.plan.tables[t];
        // Sums over rows that were set aside, or values that were replaced, have nothing to agree with.
        let rejected = proof.rejected_of(table);
        let asked: Vec<(&ColumnPlan, Measure)> =
            if matches!(proof.wish.level, Level::Counts | Level::Sample) || rejected > 0 {
                Vec::new()
            } else {
                let is_asked = |c: &&ColumnPlan| !c.replaces();
                table
                    .compared()
                    .filter(is_asked)
                    .flat_map(|c| measures(c, is_utf16).into_iter().map(move |m| (c, m)))
                    .collect()
            };
        let here = of_source(reader, catalog, table, &asked)?;
        of_target(proof, session, moment, (table, &asked), here).map(|figures| (t, figures))
    })?;
    Ok(found.into_iter().collect())
}

fn of_source(
    reader: &Reader,
    catalog: &Catalog,
    table: &TablePlan,
    asked: &[(&ColumnPlan, Measure)],
) -> Result<(u64, Vec<Answer>)> {
    // Says so where the source has changed its shape.
    scan_of(catalog, table)?;
    let source = catalog.table(&table.source).expect("it was just looked for");
    let place = |name: &str| source.column_index(name).expect("it was just looked for");
    let questions: Vec<(usize, Measure)> = asked.iter().map(|(c, m)| (place(&c.source), *m)).collect();
    sqlite::aggregate::ask(reader, source, &questions)
}

// The same of the target, and the two compared.
fn of_target(
    proof: &Proof<'_>,
    session: &mut Session,
    moment: &Moment,
    (table, asked): (&TablePlan, &[(&ColumnPlan, Measure)]),
    (rows, here): (u64, Vec<Answer>),
) -> Result<Figures> {
    let schema = &proof.plan.schema;
    let tx = moment.begin(session)?;
    let questions: Vec<_> = asked.iter().map(|(c, m)| (&*c.target, &c.pg_type, *m)).collect();
    let (rows_there, there) = postgres::aggregate::ask(&tx, schema, &table.target, &questions)
        .map_err(|e| e.context(format!("the server cannot sum up `{}`", table.target)))?;
    let mut figures = Figures { rows: (rows, rows_there), agreed: 0, disputed: Vec::new() };
    if rows == rows_there + proof.rejected_of(table) {
        figures.agreed += 1;
    } else {
        figures.disputed.push("number of rows".to_owned());
    }
    for ((column, measure), (here, there)) in asked.iter().zip(here.iter().zip(&there)) {
        let is_stated = *here != Answer::Unstated && *there != Answer::Unstated;
        if here.agrees(there) {
            figures.agreed += u64::from(is_stated);
        } else if !(measure.sees_stand_ins()
            && postgres::aggregate::has_stand_ins(&tx, schema, &table.target, &column.target)?)
        {
            figures.disputed.push(format!("{}: {}", column.target, measure.phrase()));
        }
    }
    Ok(figures)
}

/// Puts the verifier to the test on copies of rows of these tables, until each type was in one: the number of changes
/// that were planted and found. None without any row.
pub fn planted(proof: &Proof<'_>, moment: &Moment, tables: &[usize]) -> Result<u32> {
    let types = |t: &TablePlan| t.compared().map(|c| c.pg_type.clone()).collect::<HashSet<_>>();
    let mut tables: Vec<&TablePlan> = tables.iter().map(|&t| &proof.plan.tables[t]).collect();
    tables.sort_by_cached_key(|t| std::cmp::Reverse(types(t).len()));
    let mut session = if tables.is_empty() { return Ok(0) } else { (proof.hands.session)()? };
    let (mut seen, mut copies, mut found) = (HashSet::new(), 0, 0);
    for table in tables {
        let types = types(table);
        if copies == PLANTED_TABLES_MAX || types.is_subset(&seen) {
            continue;
        }
        let of_copy = planted::plan(table);
        let columns: Vec<&ColumnPlan> = of_copy.columns.iter().skip(1).collect();
        let wanted = scratch::Wanted {
            schema: &proof.plan.schema,
            table: &table.target,
            number: &of_copy.columns[0].target,
            columns: &columns,
        };
        let planted = match on_server(&mut session, &of_copy, wanted)? {
            Some(planted) => planted,
            None => in_memory(&mut session, moment, &of_copy, wanted)?,
        };
        // None where the rows were deleted meanwhile: the copy is of now, whatever the moment.
        if planted > 0 {
            seen.extend(types);
            copies += 1;
            found += planted;
        }
    }
    Ok(found)
}

// None where the server allows no copy.
fn on_server(session: &mut Session, table: &TablePlan, wanted: scratch::Wanted<'_>) -> Result<Option<u32>> {
    let mut tx = match session.transaction_as(scratch::BEGIN) {
        Err(e) if is_answer(&e) => return Ok(None),
        tx => tx?,
    };
    if !scratch::create(&tx, wanted)? {
        return Ok(None);
    }
    planted::test(&mut OnServer { tx: &mut tx, table }, table).map(Some)
}

fn in_memory(session: &mut Session, moment: &Moment, table: &TablePlan, wanted: scratch::Wanted<'_>) -> Result<u32> {
    let mut tx = moment.begin(session)?;
    let mut copy = InMemory::of(&mut tx, &scratch::copy_out(wanted, false), table)?;
    if copy.is_empty() {
        copy = InMemory::of(&mut tx, &scratch::copy_out(wanted, true), table)?;
    }
    planted::test(&mut copy, table)
}
