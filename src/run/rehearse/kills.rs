//! The program killed at its durable steps: as a process of its own, which stops at each of them and asks whether to go
//! on, and is killed instead.
//!
//! A process that nobody answers any more ends by itself, so that none outlives the rehearsal.

use super::cannot_read;
use super::hook::last_lines;
use super::steps::{Drill, Told, forget, run_of, unequal};
use crate::error::{Error, Kind, Result};
use crate::model::bounds::{
    REHEARSAL_KILL_BYTES_MAX, REHEARSAL_KILL_ROWS, REHEARSAL_KILLS_MAX, REHEARSAL_KILLS_QUICK, REHEARSAL_STEP_PATIENCE,
};
use crate::model::figures::plural;
use crate::model::rehearsal::{Act, Part};
use crate::model::reshape::Reshape;
use crate::postgres::{control, drill, fence};
use crate::run::{Opened, Options, open, proof::go_on};
use crate::sqlite::alike;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What a process of its own is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Job {
    /// Which of the program's verbs.
    pub verb: Verb,
    /// The SQLite file.
    pub source: PathBuf,
    /// The schema.
    pub schema: String,
    /// The target, as it can be typed, where it is not the one that this process was given.
    pub target: Option<String>,
    /// A folder for files that list rows.
    pub folder: PathBuf,
    /// Whether it stops at each step and asks.
    pub asks: bool,
}

/// The verbs that are killed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verb {
    /// A migration.
    There,
    /// A way back.
    Back {
        /// Into this file.
        to: PathBuf,
    },
}

/// How often a process that says nothing is looked after.
const POLL: Duration = Duration::from_millis(100);

/// How a process ended.
enum Ended {
    /// Killed at this step.
    Killed(String),
    /// By itself, with its exit code, the number of steps that it stopped at, and what it said last.
    ByItself { code: Option<i32>, steps: usize, said: Vec<String> },
}

// A file of which the program is killed, small enough to be moved again and again.
struct Small {
    path: PathBuf,
    part: Option<Part>,
}

impl Drill<'_> {
    /// The steps that kill, with what lies between them.
    pub(super) fn killed(&mut self, is_ready: bool) -> Result<()> {
        let mut small = None;
        let there = self.step(Act::KilledThere, is_ready, |drill, told| {
            let made = drill.small()?;
            told.part = made.part;
            drill.killed_there(&made, told)?;
            small = Some(made);
            Ok(())
        })?;
        let ready = there && small.is_some();
        let Some(small) = small.filter(|_| ready) else {
            for act in [Act::BackRewritten, Act::KilledBack] {
                self.step(act, false, |_, _| Ok(()))?;
            }
            return Ok(());
        };
        let rewritten = self.step(Act::BackRewritten, true, |drill, told| {
            told.part = small.part;
            drill.rewritten(&small, told)
        })?;
        self.step(Act::KilledBack, rewritten, |drill, told| {
            told.part = small.part;
            drill.killed_back(&small, told)
        })?;
        Ok(())
    }

    fn small(&self) -> Result<Small> {
        let plain = Options {
            source: self.base.to_owned(),
            jobs: 1,
            reshape: Reshape::default(),
            ..self.options.migration.clone()
        };
        let opened = open(&plain)?;
        let path = self.place.path().join("small.db");
        if opened.catalog.bytes <= REHEARSAL_KILL_BYTES_MAX {
            opened.readers[0].copy_to(&path)?;
            return Ok(Small { path, part: None });
        }
        opened.readers[0].excerpt(&opened.readers[0].catalog()?, &path, REHEARSAL_KILL_ROWS)?;
        let count = |opened: &Opened| -> Result<u64> {
            opened.catalog.tables.iter().map(|table| opened.readers[0].count(table)).sum()
        };
        let taken = open(&Options { source: path.clone(), ..plain })?;
        let part = Part { rows: count(&taken)?, of: count(&opened)? };
        Ok(Small { path, part: Some(part) })
    }

    fn job(&self, small: &Small, verb: Verb) -> Job {
        let ground = &self.grounds.kills;
        Job {
            verb,
            source: small.path.clone(),
            schema: ground.schema.clone(),
            target: self.options.embedded.then(|| ground.target.redacted()),
            folder: self.place.path().to_owned(),
            asks: true,
        }
    }

    fn killed_there(&self, small: &Small, told: &mut Told) -> Result<()> {
        let ground = &self.grounds.kills;
        let job = self.job(small, Verb::There);
        ground.renew(self.admin)?;
        let steps = self.whole(&job)?;
        let expected = self.hashes(ground, true)?;
        let mut killed = Killed::default();
        for step in self.chosen(steps) {
            // SQL of the pipeline's own may have made what is not known here.
            if self.options.migration.scripts == crate::run::Scripts::default() {
                ground.empty(self.admin)?;
            } else {
                ground.renew(self.admin)?;
            }
            killed.add(self.run(&job, Some(step))?);
            self.unwatched(&job)?;
            let wrong = unequal(&expected, &self.hashes(ground, true)?);
            let runs = control::runs(&ground.pool()?.session()?, &ground.schema)?;
            if !wrong.is_empty() || runs != 1 {
                let mut why = vec![format!("after a kill at step {step} of {steps} ({})", killed.last())];
                why.extend(wrong);
                if runs != 1 {
                    why.push(format!("{runs} runs are written down, and there should be one"));
                }
                told.wrong.extend(why);
                break;
            }
        }
        killed.tell(steps, told);
        Ok(())
    }

    fn rewritten(&self, small: &Small, told: &mut Told) -> Result<()> {
        let ground = &self.grounds.kills;
        let pool = ground.pool()?;
        let plan = run_of(&pool, ground)?.plan;
        let session = pool.session()?;
        let mut rows = 0;
        for table in &plan.tables {
            rows += drill::rewrite(&session, &ground.schema, table)?;
        }
        told.tell(format!("written anew: {}", plural(rows, "row")));
        let (to, _) = self.back(&small.path, ground, "rewritten.db", told)?;
        self.must_be_the_same(&to, &small.path, told)?;
        forget(&to);
        Ok(())
    }

    fn killed_back(&self, small: &Small, told: &mut Told) -> Result<()> {
        let ground = &self.grounds.kills;
        let mut quiet = Told::default();
        let (expected, mirror, done, _) = self.written(&small.path, ground, "expected.db", &mut quiet)?;
        forget(&mirror);
        told.wrong.extend(quiet.wrong);
        told.tell(format!("{} to bring back", plural(done.writes.all(), "write")));
        let content = |path: &Path| crate::files::content(path).map_err(|e| cannot_read(path, e));
        let (source, earlier) = (content(&small.path)?, "an earlier file");
        let folder = self.place.path().join("killed");
        crate::files::own_folder(&folder).map_err(|e| cannot_read(&folder, e))?;
        let to = folder.join("restored.db");
        let put = || std::fs::write(&to, earlier).map_err(|e| cannot_read(&to, e));
        let job = self.job(small, Verb::Back { to: to.clone() });
        put()?;
        let steps = self.whole(&job)?;
        let mut killed = Killed::default();
        for step in self.chosen(steps) {
            put()?;
            killed.add(self.run(&job, Some(step))?);
            let mut wrong = Vec::new();
            let is_earlier = std::fs::read(&to).is_ok_and(|bytes| bytes == earlier.as_bytes());
            if !is_earlier && !self.is_same(&to, &expected)? {
                wrong.push("the earlier file is neither as it was nor the restored one");
            }
            self.unwatched(&job)?;
            if content(&small.path)? != source {
                wrong.push("the source is not what it was");
            }
            if !self.is_same(&to, &expected)? {
                wrong.push("the file is not the one that comes back without a kill");
            }
            if !fence::look(&ground.pool()?.session()?, &ground.schema)?.is_empty() {
                wrong.push("a fence is still up");
            }
            let left = std::fs::read_dir(&folder).map_err(|e| cannot_read(&folder, e))?.count();
            if left != 1 {
                wrong.push("something is left beside the file");
            }
            if !wrong.is_empty() {
                told.wrong.push(format!("after a kill at step {step} of {steps} ({})", killed.last()));
                told.wrong.extend(wrong.into_iter().map(str::to_owned));
                break;
            }
        }
        killed.tell(steps, told);
        forget(&expected);
        Ok(())
    }

    fn is_same(&self, one: &Path, other: &Path) -> Result<bool> {
        let mut is_same = true;
        alike::compare(one, other, &self.look(), &mut |_| {
            is_same = false;
            Ok(())
        })?;
        crate::sqlite::release(one);
        Ok(is_same)
    }

    // Every step, or as many as are gone through, spread evenly.
    fn chosen(&self, steps: usize) -> Vec<usize> {
        let most = if self.options.quick { REHEARSAL_KILLS_QUICK } else { REHEARSAL_KILLS_MAX };
        let chosen: BTreeSet<usize> = match steps {
            0 => BTreeSet::new(),
            steps if steps <= most => (1..=steps).collect(),
            steps => (0..most).map(|i| 1 + i * (steps - 1) / (most - 1)).collect(),
        };
        chosen.into_iter().collect()
    }

    // Runs it to its end, through all steps; how many there are.
    fn whole(&self, job: &Job) -> Result<usize> {
        match self.run(job, None)? {
            Ended::ByItself { code: Some(0), steps, .. } => Ok(steps),
            ended => Err(ended.error()),
        }
    }

    fn unwatched(&self, job: &Job) -> Result<()> {
        match self.run(&Job { asks: false, ..job.clone() }, None)? {
            Ended::ByItself { code: Some(0), .. } => Ok(()),
            ended => Err(ended.error().context("the same command did not end as if nothing had happened")),
        }
    }

    fn run(&self, job: &Job, kill_at: Option<usize>) -> Result<Ended> {
        let mut command = (self.options.child)(job);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command
            .spawn()
            .map_err(|e| Error::new(Kind::Failed, "the program cannot be started as a process of its own").cause(e))?;
        Process::new(child).through(kill_at, self.stop)
    }
}

/// What was killed so far.
#[derive(Default)]
struct Killed {
    kills: usize,
    ended: usize,
    at: BTreeSet<String>,
    last: String,
}

impl Killed {
    fn add(&mut self, ended: Ended) {
        match ended {
            Ended::Killed(step) => {
                self.kills += 1;
                let kind = step.split_once(' ').map_or(step.as_str(), |(_, what)| what);
                self.at.insert(kind.to_owned());
                self.last = step;
            }
            // Lanes share the work differently each time, and a run may take a step less.
            Ended::ByItself { .. } => self.ended += 1,
        }
    }

    fn last(&self) -> &str {
        &self.last
    }

    fn tell(&self, steps: usize, told: &mut Told) {
        let Self { kills, ended, at, .. } = self;
        told.tell(format!(
            "killed {kills} times, before and after {} of {} steps",
            kills.div_ceil(2),
            steps.div_ceil(2)
        ));
        if *ended > 0 {
            told.tell(format!("{ended} times it had ended before that step came"));
        }
        told.tell(format!("kinds of steps: {}", at.iter().cloned().collect::<Vec<_>>().join(", ")));
        if *kills == 0 && steps > 0 {
            told.wrong.push("nothing was killed".to_owned());
        }
    }
}

impl Ended {
    fn error(self) -> Error {
        match self {
            Self::Killed(step) => Error::new(Kind::Bug, format!("killed at `{step}`, and nobody wanted that")),
            Self::ByItself { code, said, .. } => {
                let code = code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
                let error = Error::new(Kind::Failed, format!("a process of its own ended with {code}"));
                said.into_iter().fold(error, Error::fact)
            }
        }
    }
}

// A process at work; killed when nobody waits for it any more.
struct Process {
    child: Child,
    lines: Receiver<String>,
    said: Option<JoinHandle<Vec<String>>>,
}

impl Process {
    fn new(mut child: Child) -> Self {
        let (send, lines) = channel();
        let (out, err) = (child.stdout.take(), child.stderr.take());
        std::thread::spawn(move || {
            let lines = out.map(BufReader::new).into_iter().flat_map(BufRead::lines);
            lines.map_while(std::io::Result::ok).try_for_each(|line| send.send(line)).ok();
        });
        Self { child, lines, said: err.map(last_lines) }
    }

    // Lets it go on at each step but the one at which it is killed.
    fn through(mut self, kill_at: Option<usize>, stop: &AtomicBool) -> Result<Ended> {
        let mut steps = 0;
        let mut last = Instant::now();
        loop {
            match self.lines.recv_timeout(POLL) {
                Ok(line) => {
                    steps += 1;
                    last = Instant::now();
                    if kill_at == Some(steps) {
                        self.end();
                        return Ok(Ended::Killed(line));
                    }
                    // One that died meanwhile takes no answer, and is found below.
                    if let Some(stdin) = &mut self.child.stdin {
                        stdin.write_all(b"\n").and_then(|()| stdin.flush()).ok();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    go_on(stop)?;
                    if last.elapsed() > REHEARSAL_STEP_PATIENCE {
                        return Err(Error::new(Kind::Failed, "a process of its own took no step any more"));
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let failed = |e| Error::new(Kind::Failed, "a process of its own cannot be waited for").cause(e);
        let status = self.child.wait().map_err(failed)?;
        let said = self.said.take().map(|said| said.join().unwrap_or_default()).unwrap_or_default();
        Ok(Ended::ByItself { code: status.code(), steps, said })
    }

    // kill -9
    fn end(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}
