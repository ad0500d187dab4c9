//! The verb `verify`: both sides read anew and compared, whoever loaded the target.

use super::clock::Clock;
use super::crew::Hands;
use super::options::reshape_of;
use super::proof::{self, Held, Known, Proof, Subject};
use super::{Opened, bookkeeping, evidence, hashed, open, rejects, repair, rights, start};
use crate::error::{Error, Kind, Result};
use crate::model::conversion::Conversion;
use crate::model::event::{Event, Observer, Phase};
use crate::model::name::exclude;
use crate::model::pg_type::PgType;
use crate::model::plan::{ColumnPlan, Plan, Remark, TablePlan};
use crate::model::policy::{Policy, Reading};
use crate::model::range::Range;
use crate::model::source::{Catalog, Table};
use crate::model::verdict::Verification;
use crate::plan::select::Selection;
use crate::plan::{Draft, PlanOptions, Purpose};
use crate::postgres::catalog::ExistingColumn;
use crate::postgres::control::{self, RunRecord, State};
use crate::postgres::{Pool, PoolSettings, Session, Target, catalog};
use crate::profile::Depth;
use crate::sqlite::{Flow, Reader, Source, TableScan};
use std::collections::HashMap;
use std::sync::atomic::AtomicBool;

/// Compares a source with a target, cell by cell. A target that lite2pg loaded is compared by the plan of that run;
/// any other one by the names and types that are there. With `repairs`, rows that differ are taken from the source
/// again, and everything is compared once more.
pub fn verify(
    options: &super::Options,
    target: &Target,
    repairs: bool,
    observer: &dyn Observer,
    stop: &AtomicBool,
) -> Result<Verification> {
    let mut clock = Clock::new(observer);
    // A source that is none is told before anybody is connected to; it is read once its shape is known.
    drop(Source::open(&options.source, options.snapshot)?);
    let pool = Pool::connect(target, 1, &PoolSettings::default())?;
    let mut control = pool.session()?;
    start::check_encoding(&control)?;
    let uses = if repairs { start::Use::Repair } else { start::Use::Compare };
    start::check_reading_rights(&control, options, uses)?;
    if options.wish.records_hash {
        hashed::prepare(&mut control)?;
    }
    let shaped = options_of_run(&control, options)?;
    let options = shaped.as_ref().unwrap_or(options);
    let mut opened = clock.phase(Phase::Open, 1, || open(options))?;
    let fingerprint = opened.fingerprint.clone();
    start::check_table_rights(&control, options, &start::namesakes(&control, options, &opened.catalog, true)?, uses)?;
    let run = run_of(&control, options, &opened)?;
    let id = run.as_ref().map(|run| run.id);
    let (plan, subjects) = match run {
        Some(run) => of_run(run, options, &opened, &control, observer)?,
        None => of_tables(options, &mut opened, &control, observer, stop, &mut clock)?,
    };
    super::parents::hold(&opened, &options.reshape, &plan)?;
    rights::check(&control, options, &plan, uses)?;
    let session = || pool.lone_session();
    let hands = Hands { number: options.jobs, stop, session: &session };
    let rejected = id.map_or_else(|| Ok(HashMap::new()), |id| rejects::places(&control, id))?;
    let wish = &options.wish;
    let proof = Proof { plan: &plan, wish, hands, observer, is_thorough: true, rejected: &rejected };
    let mut source = Held { opened: Some(opened), open: &|| open(options) };
    let tables = plan.tables.len();
    let found = clock.phase(Phase::Verify, tables, || proof::compare(&proof, subjects.clone(), &mut source, None))?;
    let mut found = if repairs && found.is_different() {
        let repaired = clock.phase(Phase::Verify, tables, || {
            repair::repair(&proof, source.get()?, &found, id, options.fires_triggers)
        })?;
        let again = clock.phase(Phase::Verify, tables, || proof::compare(&proof, subjects, &mut source, None))?;
        Verification { repaired: Some(repaired), ..again }
    } else {
        found
    };
    if let Some(at) = &found.compared_at {
        let of = (fingerprint.as_str(), at.as_str());
        found.recorded = Some(hashed::record(&mut control, &options.schema, of, &found.hashes)?);
    }
    Ok(found)
}

/// The options with the shapes that the latest run into the schema gave its tables; none where it gave them none.
pub fn options_of_run(session: &Session, options: &super::Options) -> Result<Option<super::Options>> {
    if !options.reshape.tables.is_empty() || !control::exists(session)? {
        return Ok(None);
    }
    let reshape = control::latest_options(session, &options.schema)?.map(|earlier| reshape_of(&earlier));
    Ok(reshape.filter(|r| !r.tables.is_empty()).map(|reshape| super::Options { reshape, ..options.clone() }))
}

// The latest run into the schema, if it loaded this source.
fn run_of(session: &Session, options: &super::Options, opened: &Opened) -> Result<Option<RunRecord>> {
    if !control::exists(session)? {
        return Ok(None);
    }
    let Some(run) = control::latest(session, &options.schema)? else { return Ok(None) };
    let is_ours = run.plan.tables.iter().any(|t| opened.catalog.table(&t.source).is_some());
    if run.format != control::FORMAT || !is_ours {
        return Ok(None);
    }
    if run.state != State::Done {
        return Err(Error::new(Kind::Blocked, format!("run {} into schema `{}` has not ended", run.id, run.schema))
            .state("nothing was compared")
            .hint("the `lite2pg migrate` that began it goes on with it, and compares at its end"));
    }
    Ok(Some(run))
}

fn of_run(
    run: RunRecord,
    options: &super::Options,
    opened: &Opened,
    session: &Session,
    observer: &dyn Observer,
) -> Result<(Plan, Vec<Subject>)> {
    observer.event(&Event::Info { text: format!("comparing by the plan of run {}", run.id) });
    if run.fingerprint != opened.fingerprint {
        let text = "the source was changed since that run: what was changed counts as different";
        observer.event(&Event::Remark(Remark::warning(&run.source, text)));
    }
    let mut plan = run.plan;
    let selection = Selection::new(&options.include, &options.exclude)?;
    plan.tables.retain(|t| selection.takes(&t.source));
    let relations = catalog::relations(session, &options.schema)?;
    let names: Vec<String> = plan.tables.iter().map(|t| t.target.clone()).collect();
    let existing = catalog::columns_of(session, &options.schema, &names)?;
    let mut subjects: Vec<Subject> = Vec::with_capacity(plan.tables.len());
    for table in &mut plan.tables {
        let Subject { source, mut unverified } = subject(table, &opened.catalog);
        let source = start::or_absent(source, &relations, table);
        let source = match (existing.get(&table.target), source) {
            (Some(there), source) => {
                unverified.extend(without_column(table, there));
                source
            }
            // What a view or a foreign table shows is not what a table holds, and may be of other types.
            (None, Known::Unread) => Known::Out("what the target has of this name is no table any more".to_owned()),
            (None, source) => source,
        };
        subjects.push(Subject { source, unverified });
    }
    for table in &opened.catalog.tables {
        if plan.tables.iter().all(|t| t.source != table.name) && !plan.left_alone.contains(&table.name) {
            plan.tables.push(left_out(table));
            subjects.push(Subject { source: Known::Out("that run left it out".to_owned()), unverified: Vec::new() });
        }
    }
    Ok((plan, subjects))
}

fn subject(table: &TablePlan, catalog: &Catalog) -> Subject {
    let Some(source) = catalog.table(&table.source) else {
        let why = "the source has no such table any more".to_owned();
        return Subject { source: Known::Out(why), unverified: Vec::new() };
    };
    let planned = |name: &str| table.columns.iter().any(|c| c.source.eq_ignore_ascii_case(name));
    let left = source.columns.iter().filter(|c| !planned(&c.name));
    Subject { source: Known::Unread, unverified: left.map(|c| format!("{}: that run left it out", c.name)).collect() }
}

// Takes the columns out of a plan that the target has dropped, renamed or changed since, and names them.
fn without_column(table: &mut TablePlan, there: &[ExistingColumn]) -> Vec<String> {
    let mut gone = Vec::new();
    table.columns.retain_mut(|column| {
        let found = there.iter().find(|c| c.name == column.target);
        let why = match found {
            None => "the target has no such column any more".to_owned(),
            Some(c) if reads_like(&c.pg_type, &column.pg_type) => {
                as_it_is(column, &c.pg_type);
                return true;
            }
            Some(c) => format!("its type on the target is {} now", c.type_text),
        };
        gone.push(format!("{}: {why}", column.source));
        false
    });
    gone
}

/// Takes a column of a plan as its type is now: somebody may have made it wider, and values that the old one did not
/// take may be there. Where a policy put something in the place of such values, the old limits tell which they were.
pub fn as_it_is(column: &mut ColumnPlan, now: &PgType) {
    column.pg_type = now.clone();
    if column.on_error != Policy::Fail {
        return;
    }
    match (&mut column.conversion, now) {
        (Conversion::Int { bytes } | Conversion::Whole { bytes }, PgType::Int2) => *bytes = 2,
        (Conversion::Int { bytes } | Conversion::Whole { bytes }, PgType::Int4) => *bytes = 4,
        (Conversion::Int { bytes } | Conversion::Whole { bytes }, PgType::Int8) => *bytes = 8,
        (Conversion::Float4, PgType::Float8) => column.conversion = Conversion::Float8,
        (Conversion::Float8, PgType::Float4) => column.conversion = Conversion::Float4,
        (Conversion::Numeric { limit, .. }, PgType::Numeric(now)) => *limit = *now,
        (Conversion::Text { chars_max, .. }, PgType::Varchar(n) | PgType::Char(n)) => *chars_max = Some(*n),
        (Conversion::Text { chars_max, .. }, PgType::Text | PgType::TextLike(_)) => *chars_max = None,
        _ => {}
    }
}

/// Whether a value of one type means the same as one of the other: another width or limit does not matter.
pub fn reads_like(now: &PgType, planned: &PgType) -> bool {
    let integers = [PgType::Int2, PgType::Int4, PgType::Int8];
    let floats = [PgType::Float4, PgType::Float8];
    let both = |kinds: &[PgType]| kinds.contains(now) && kinds.contains(planned);
    let padded = matches!(now, PgType::Char(_)) || matches!(planned, PgType::Char(_));
    now == planned
        || both(&integers)
        || both(&floats)
        || (now.is_text() && planned.is_text() && !padded)
        || matches!((now, planned), (PgType::Numeric(_), PgType::Numeric(_)) | (PgType::Cast(_), PgType::Cast(_)))
}

// A table by its name only: nothing of it is read.
fn left_out(table: &Table) -> TablePlan {
    TablePlan {
        source: table.name.clone(),
        target: table.name.clone(),
        row_key: table.row_key.clone(),
        existing: true,
        on_refusal: Policy::Fail,
        marks: Vec::new(),
        columns: Vec::new(),
        primary_key: None,
        indexes: Vec::new(),
        checks: Vec::new(),
        foreign_keys: Vec::new(),
        rows: 0,
        rows_exact: false,
        bytes: 0,
        largest_cell: 0,
        key_bounds: None,
    }
}

fn of_tables(
    options: &super::Options,
    opened: &mut Opened,
    session: &Session,
    observer: &dyn Observer,
    stop: &AtomicBool,
    clock: &mut Clock<'_>,
) -> Result<(Plan, Vec<Subject>)> {
    let is_chosen = |column: &str| opened.catalog.tables.iter().find(|t| column.starts_with(&format!("{}.", t.name)));
    for (column, reading) in &options.rules.readings {
        if let (Reading::Drawn { map, .. }, Some(table)) = (reading, is_chosen(column)) {
            return Err(Error::new(Kind::Blocked, format!("nothing tells what the ids of `{column}` were drawn by"))
                .fact(format!("each run draws the ids of its map `{map}` anew, and keeps by what in `lite2pg.run`"))
                .fact("no finished run of this source into this schema is kept there")
                .state("nothing was compared")
                .hint(format!("`{}` compares the others", exclude(&table.name))));
        }
    }
    bookkeeping::forget(opened, &bookkeeping::of_both(session, options, opened)?);
    let names = start::namesakes(session, options, &opened.catalog, true)?;
    let existing = catalog::tables(session, &options.schema, &names)?;
    let plan_options = PlanOptions { purpose: Purpose::Compare, ..options.plan_options() };
    let draft = Draft::new(opened.catalog.clone(), plan_options, &[], &existing)?;
    let all: Vec<usize> = (0..opened.catalog.tables.len()).collect();
    let sampled: Vec<(usize, Depth)> = all.iter().map(|&t| (t, Depth::Sample)).collect();
    let profiles = clock
        .phase(Phase::Profile, all.len(), || evidence::gather(&draft, &mut opened.readers, &sampled, observer, stop))?;
    let plan = draft.plan(&profiles)?;
    let mut subjects = Vec::with_capacity(all.len());
    for t in all {
        let source = if draft.is_matched(t) {
            Known::Unread
        } else {
            let table = &opened.catalog.tables[t];
            Known::Absent(count(&opened.readers[0], &TableScan::new(table, &[]))?)
        };
        subjects.push(Subject { source, unverified: draft.without_counterpart(t) });
    }
    Ok((plan, subjects))
}

fn count(reader: &Reader, scan: &TableScan) -> Result<u64> {
    Ok(reader.scan(scan, Range::ALL, None, |_, _| Ok(Flow::Continue))?.rows)
}
