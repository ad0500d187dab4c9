//! The user's own rows, loaded again and again: strategies, lanes and batches side by side, and what a whole
//! migration would take.
//!
//! Works in a scratch schema of its own and nowhere else; the control schema is not touched.

mod lane;
mod predict;
mod sample;

use super::clock::Clock;
use super::options::Options;
use super::rows::Planned;
use super::{Context, crew, evidence, plan_rows, probe, rows, start};
use crate::error::{Error, Kind, Result};
use crate::load::interrupted;
use crate::model::bench::{BenchReport, Measured, Prediction, Setting, Strategy, Whole, advice, median};
use crate::model::bounds::{BATCH_BYTES, BENCH_BATCH_BYTES, BENCH_ROUNDS_UNTIL, BENCH_TABLES_MAX, PARITY_TIMES};
use crate::model::check::Parity;
use crate::model::event::{Event, Observer, Phase};
use crate::model::plan::Plan;
use crate::plan::Draft;
use crate::postgres::bench::{self as server, SCRATCH_SCHEMA, Scratch};
use crate::postgres::{Pool, PoolSettings, Session, Target, catalog};
use crate::profile::Depth;
use crate::sqlite::{Reader, TableScan};
use lane::{Spent, Work};
use sample::{Collected, Sample};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;
use uuid::Uuid;

/// Times within this of the best may be noise.
const NOISE: f64 = 0.05;

/// What a person asks of a bench.
#[derive(Debug, Clone)]
pub struct BenchOptions {
    /// The SQLite file, as typed.
    pub source: PathBuf,
    /// Globs of tables to take; empty takes all.
    pub include: Vec<String>,
    /// Globs of tables to leave out.
    pub exclude: Vec<String>,
    /// Lanes at most.
    pub lanes: usize,
    /// Times that each combination is measured.
    pub rounds: usize,
    /// All rows instead of a sample.
    pub full: bool,
    /// lite2pg has started the server for this.
    pub embedded: bool,
    /// Queries that both databases understand. For them all rows are migrated afterwards, into the database itself: for a
    /// server that is thrown away.
    pub queries: Vec<String>,
    /// What a pipeline asks: carried out afterwards like that, with its own queries.
    pub pipeline: Option<Options>,
}

/// Measures, and predicts a migration. `stop` may be set from a signal handler: the bench then ends with
/// [`Kind::Interrupted`]. However it ends, the scratch schema is dropped.
pub fn bench(
    options: &BenchOptions,
    target: &Target,
    observer: &dyn Observer,
    stop: &AtomicBool,
) -> Result<BenchReport> {
    measure(options, target, observer, stop).map_err(|error| {
        if !stop.load(Ordering::Relaxed) {
            return error;
        }
        Error::new(Kind::Interrupted, "the bench was interrupted")
            .state(format!("its schema `{SCRATCH_SCHEMA}` is dropped; nothing else was touched"))
            .hint("the same command begins again")
    })
}

fn measure(options: &BenchOptions, target: &Target, observer: &dyn Observer, stop: &AtomicBool) -> Result<BenchReport> {
    let mut clock = Clock::new(observer);
    options.pipeline.iter().try_for_each(Options::check_tables)?;
    let shape = Options {
        schema: SCRATCH_SCHEMA.to_owned(),
        include: options.include.clone(),
        exclude: options.exclude.clone(),
        jobs: options.lanes,
        verify: false,
        ..Options::new(&options.source)
    };
    let mut opened = clock.phase(Phase::Open, 1, || super::open(&shape))?;
    // One for the control, one to drop the schema with.
    let pool = Pool::connect(target, options.lanes + 2, &PoolSettings::default())?;
    let mut control = pool.session()?;
    start::check_server(&control)?;
    let scratch = Scratch::create(&pool)?;
    let draft = Draft::new(opened.catalog.clone(), shape.plan_options(), &[], &[])?;
    let mut planned = plan_rows(draft, &mut opened, observer, stop, &mut clock)?;
    asked(&mut control, &mut planned)?;
    let prepare_ms = clock.ms();

    let (load, sample) =
        sampled(&shape, options.full, &mut opened.readers, &mut planned, &mut control, observer, stop)?;
    if sample.size.rows == 0 {
        return Err(Error::new(Kind::Usage, "there are no rows to load").state("nothing was measured"));
    }
    let desk = Desk { load: &load, sample: &sample, scratch: &scratch, pool: &pool, stop };
    let settings = settings(options.lanes);
    let timed = rounds(&desk, &settings, options.rounds.max(1), &mut opened.readers, &mut control, observer)?;
    let results = results(&settings, &timed);
    let advice = advice(&results, BATCH_BYTES, NOISE).expect("migrate's own strategy is measured");

    observer.event(&Event::Info { text: "bench: keys, indexes, counts".to_owned() });
    let by = settings.iter().position(|s| *s == advice).expect("the advice is one of the settings");
    let spent = timed.iter().flat_map(|round| round[by].spent.iter().copied());
    let copy_us = predict::copy_us(&load.plan, &sample, results[by].median_us, spent);
    desk.load_once(advice, &mut opened.readers, &mut control)?;
    let context = Context {
        options: &Options { jobs: advice.lanes.max(super::default_jobs()).min(options.lanes), ..shape },
        observer,
        stop,
        pool: &pool,
        control: &control,
        run: Uuid::nil(),
        fingerprint: &opened.fingerprint,
        target: SCRATCH_SCHEMA,
        replica_role: false,
        parents: HashMap::new(),
    };
    let prediction = Prediction {
        prepare_ms,
        copy_ms: copy_us / 1000,
        index_ms: predict::index_ms(&context, &load.plan, &sample)?,
        constrain_ms: predict::constrain_ms(&context, &load.plan, &sample)?,
        analyze_ms: predict::analyze_ms(&context, &load.plan, &sample)?,
    };
    let server = control.server_info()?.version;
    drop(control);
    scratch.close()?;
    let whole = match (&options.pipeline, options.queries.is_empty()) {
        (None, true) => None,
        (Some(_), _) => Some("bench: the whole pipeline"),
        (None, false) => Some("bench: all rows, for the queries"),
    };
    let whole = whole.map(|text| {
        observer.event(&Event::Info { text: text.to_owned() });
        whole_run(options, advice.lanes, target, observer, stop)
    });
    let whole = whole.transpose()?;
    Ok(BenchReport { server, embedded: options.embedded, sample: sample.size, results, advice, prediction, whole })
}

// A migration as recommended, and the application's own queries on both sides of it.
fn whole_run(
    options: &BenchOptions,
    lanes: usize,
    target: &Target,
    observer: &dyn Observer,
    stop: &AtomicBool,
) -> Result<Whole> {
    let parity = |sql: &String| Parity {
        name: sql.split_whitespace().collect::<Vec<_>>().join(" "),
        source: sql.clone(),
        target: sql.clone(),
        times: PARITY_TIMES,
    };
    let all = || Options {
        include: options.include.clone(),
        exclude: options.exclude.clone(),
        ..Options::new(&options.source)
    };
    let mut migration = options.pipeline.clone().unwrap_or_else(all);
    migration.jobs = lanes;
    migration.verify = false;
    migration.parity.extend(options.queries.iter().map(parity));
    // What a real run leaves beside the pipeline is not written by one that is thrown away.
    let folder =
        tempfile::tempdir().map_err(|e| Error::new(Kind::Failed, "no folder can be made to work in").cause(e))?;
    migration.settings.backup = None;
    migration.rejects.folder = folder.path().join("rejects");
    let summary = super::migrate(&migration, target, observer, stop)?;
    let rows = summary.tables.iter().map(|table| table.rows).sum();
    let rejected = summary.rejects.iter().map(|reject| reject.rows).sum();
    Ok(Whole { pipeline: options.pipeline.is_some(), rows, rejected, ms: summary.ms, queries: summary.parity })
}

fn asked(control: &mut Session, planned: &mut Planned) -> Result<()> {
    let tx = control.transaction()?;
    probe::probe(&tx, &mut planned.plan)?;
    tx.rollback()
}

/// The tables of a bench.
struct Loaded {
    plan: Plan,
    scans: Vec<TableScan>,
}

// The sample, after as many looks at the plan as its rows need.
fn sampled(
    options: &Options,
    full: bool,
    readers: &mut Vec<Reader>,
    planned: &mut Planned,
    control: &mut Session,
    observer: &dyn Observer,
    stop: &AtomicBool,
) -> Result<(Loaded, Sample)> {
    let go_on = || if stop.load(Ordering::Relaxed) { Err(interrupted()) } else { Ok(()) };
    loop {
        let (chosen, load) = largest(planned, options);
        let t = match sample::collect(&readers[0], &load.plan.tables, &load.scans, full, &go_on)? {
            Collected::Whole(sample) => return Ok((load, sample)),
            Collected::Misfit(t) => chosen[t],
        };
        if planned.profiles[t].complete {
            let name = &planned.plan.tables[t].source;
            return Err(Error::new(Kind::Bug, format!("`{name}` holds a cell that its rules do not take")));
        }
        // What a migration does too: the table is read whole, and planned again.
        let fresh = evidence::gather(&planned.draft, readers, &[(t, Depth::Whole)], observer, stop)?;
        planned.profiles[t] = fresh.into_iter().next().expect("a profile for the table");
        planned.plan = planned.draft.plan(&planned.profiles)?;
        asked(control, planned)?;
    }
}

// The largest tables that hold rows, and their positions in the whole plan.
fn largest(planned: &Planned, options: &Options) -> (Vec<usize>, Loaded) {
    let tables = &planned.plan.tables;
    let mut chosen: Vec<usize> = (0..tables.len()).filter(|&t| tables[t].rows > 0).collect();
    chosen.sort_by_key(|&t| std::cmp::Reverse(tables[t].bytes));
    chosen.truncate(BENCH_TABLES_MAX);
    chosen.sort_unstable();
    let mut scans: Vec<Option<TableScan>> = rows::scans(planned, false).into_iter().map(Some).collect();
    let plan = Plan {
        left_alone: Vec::new(),
        draw: None,
        enums: Vec::new(),
        schema: options.schema.clone(),
        tables: chosen.iter().map(|&t| tables[t].clone()).collect(),
        views: Vec::new(),
        remarks: Vec::new(),
    };
    let scans = chosen.iter().filter_map(|&t| scans[t].take()).collect();
    (chosen, Loaded { plan, scans })
}

/// The combinations: each strategy at the most lanes, then fewer lanes, then other batches.
fn settings(lanes_max: usize) -> Vec<Setting> {
    let of = |strategy, lanes, batch_bytes| Setting { strategy, lanes, batch_bytes };
    let powers = std::iter::successors(Some(1), |n| Some(n * 2)).take_while(|&n| n < lanes_max);
    let mut all = vec![
        of(Strategy::BinaryCopy, lanes_max, BATCH_BYTES),
        of(Strategy::TextCopy, lanes_max, BATCH_BYTES),
        of(Strategy::Insert, lanes_max, BATCH_BYTES),
    ];
    all.extend(powers.map(|lanes| of(Strategy::BinaryCopy, lanes, BATCH_BYTES)));
    all.extend(BENCH_BATCH_BYTES.map(|batch| of(Strategy::BinaryCopy, lanes_max, batch)));
    all
}

/// One combination in one round.
struct Timed {
    us: u64,
    spent: Vec<Spent>,
}

// Each round begins with another combination, so that none always comes after the same one.
fn rounds(
    desk: &Desk<'_>,
    settings: &[Setting],
    rounds: usize,
    readers: &mut [Reader],
    control: &mut Session,
    observer: &dyn Observer,
) -> Result<Vec<Vec<Timed>>> {
    let started = Instant::now();
    observer.event(&Event::Info { text: format!("bench: {} combinations, warming up", settings.len()) });
    desk.load_once(settings[0], readers, control)?;
    let mut digests = Vec::new();
    let mut all: Vec<Vec<Timed>> = Vec::new();
    for round in 0..rounds {
        if round > 0 && started.elapsed() > BENCH_ROUNDS_UNTIL {
            let text = format!("bench: no more rounds after {} s", started.elapsed().as_secs());
            observer.event(&Event::Info { text });
            break;
        }
        observer.event(&Event::Info { text: format!("bench: round {} of {rounds}", round + 1) });
        let mut timed: Vec<Option<Timed>> = settings.iter().map(|_| None).collect();
        for i in 0..settings.len() {
            let at = (i + round) % settings.len();
            timed[at] = Some(desk.load_once(settings[at], readers, control)?);
            if round == 0 {
                desk.compare(settings[at], &mut digests, control)?;
            }
        }
        all.push(timed.into_iter().flatten().collect());
    }
    Ok(all)
}

fn results(settings: &[Setting], timed: &[Vec<Timed>]) -> Vec<Measured> {
    let mut results: Vec<Measured> = Vec::new();
    for (i, setting) in settings.iter().enumerate() {
        let rounds_us: Vec<u64> = timed.iter().map(|round| round[i].us).collect();
        let median_us = median(&rounds_us).max(1);
        results.push(Measured { setting: *setting, rounds_us, median_us, ratio: 1.0 });
    }
    let best = results.iter().map(|r| r.median_us).min().unwrap_or(1);
    for result in &mut results {
        result.ratio = result.median_us as f64 / best as f64;
    }
    results
}

/// What every load needs.
struct Desk<'a> {
    load: &'a Loaded,
    sample: &'a Sample,
    scratch: &'a Scratch<'a>,
    pool: &'a Pool,
    stop: &'a AtomicBool,
}

impl Desk<'_> {
    /// Makes the tables anew, loads the sample, and counts its rows on the server. Only the loading is timed.
    fn load_once(&self, setting: Setting, readers: &mut [Reader], control: &mut Session) -> Result<Timed> {
        self.scratch.renew(control, &self.load.plan)?;
        let work = Work {
            tables: &self.load.plan.tables,
            scans: &self.load.scans,
            units: &self.sample.units,
            setting,
            next: AtomicUsize::new(0),
            stop: self.stop,
        };
        let mut sessions = (0..setting.lanes).map(|_| self.pool.session()).collect::<Result<Vec<_>>>()?;
        let started = Instant::now();
        let spent = self.lanes(&work, &mut readers[..setting.lanes], &mut sessions)?;
        let us = started.elapsed().as_micros() as u64;
        for (table, &rows) in self.load.plan.tables.iter().zip(&self.sample.rows) {
            let there = catalog::count(control, SCRATCH_SCHEMA, &table.target)?;
            if there != rows {
                let what = format!("{} brought other rows into `{}`", setting.strategy.words(), table.target);
                return Err(Error::new(Kind::Bug, what).fact(format!("{rows} were read, {there} are there")));
            }
        }
        Ok(Timed { us, spent })
    }

    /// Compares what is there with what the first combination brought, by hashes that the server makes.
    fn compare(&self, setting: Setting, first: &mut Vec<String>, control: &Session) -> Result<()> {
        let tables = &self.load.plan.tables;
        let digests = tables.iter().map(|t| server::digest(control, t)).collect::<Result<Vec<_>>>()?;
        if first.is_empty() {
            *first = digests;
            return Ok(());
        }
        match (0..tables.len()).find(|&t| digests[t] != first[t]) {
            None => Ok(()),
            Some(t) => {
                let what = format!("{} brought other values into `{}`", setting.strategy.words(), tables[t].target);
                Err(Error::new(Kind::Bug, what).fact("as many rows, with another hash"))
            }
        }
    }

    fn lanes(&self, work: &Work<'_>, readers: &mut [Reader], sessions: &mut [Session]) -> Result<Vec<Spent>> {
        let running = Mutex::new(sessions.iter().map(Session::cancel_handle).collect());
        let over = AtomicBool::new(false);
        let ended = std::thread::scope(|scope| {
            let watch = scope.spawn(|| crew::cancel_on(self.stop, &over, &running));
            let hands = readers.iter_mut().zip(sessions);
            let lanes: Vec<_> =
                hands.map(|(reader, session)| scope.spawn(move || work.lane(reader, session))).collect();
            let ended: Vec<_> = lanes.into_iter().map(std::thread::ScopedJoinHandle::join).collect();
            over.store(true, Ordering::Relaxed);
            watch.thread().unpark();
            ended
        });
        let mut all = Vec::new();
        for end in ended {
            all.extend(end.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(all)
    }
}
