//! Tables that were there before: their foreign keys during the load, and after it.

use super::Context;
use super::options::{Options, Scope};
use super::rows::{self, Planned};
use crate::error::{Error, Kind, Result};
use crate::load::Conflict;
use crate::model::bounds::INDEXES_ASIDE_ROWS;
use crate::model::event::{Event, Observer};
use crate::model::name::quoted;
use crate::model::plan::{Plan, Remark, TablePlan};
use crate::model::policy::Policy;
use crate::postgres::indexes::{self, Index};
use crate::postgres::triggers::{self, Events, Trigger};
use crate::postgres::{Session, Transaction, aside, catalog, ddl};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// The tables that the foreign keys of each table point at; tables without such keys are left out.
pub fn parents(session: &Session, options: &Options, planned: &Planned) -> Result<HashMap<String, Vec<String>>> {
    let names: Vec<String> = planned.plan.tables.iter().filter(|t| t.existing).map(|t| t.target.clone()).collect();
    if names.is_empty() {
        return Ok(HashMap::new());
    }
    let tables = catalog::tables(session, &options.schema, &names)?;
    Ok(tables.into_iter().filter(|t| !t.parents.is_empty()).map(|t| (t.name, t.parents)).collect())
}

/// What became of the keys that no order of loading satisfies: a table's onto itself over several ranges, and those of
/// cycles of tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stuck {
    /// There are none.
    None,
    /// They are dropped until the rows are there.
    Aside,
    /// They stay, and may refuse rows that are right.
    InForce {
        /// Their tables.
        tables: Vec<String>,
        /// Why they were not dropped.
        why: String,
    },
}

/// How foreign keys that are there let rows pass.
pub struct Passage {
    /// Lanes load without triggers and foreign keys being asked.
    pub as_replica: bool,
    /// What became of keys that no order satisfies.
    pub stuck: Stuck,
}

/// Opens the way past foreign keys, by the first of these that serves: lanes that do not ask them, where those that turn
/// out to be broken can be marked so; parents before children; keys of cycles dropped; lanes that do not ask, whatever
/// becomes of the marks; keys in force, in the hope that the rows come in an order that they take.
pub fn open_keys(
    control: &mut Session,
    run: Uuid,
    (options, plan): (&Options, &Plan),
    parents: &HashMap<String, Vec<String>>,
    observer: &dyn Observer,
) -> Result<Passage> {
    // Orphans can be set aside only where the server looks for them.
    let sets_aside = plan.tables.iter().any(|t| parents.contains_key(&t.target) && t.on_refusal != Policy::Fail);
    let may_be_quiet = !parents.is_empty() && !sets_aside && !options.fires_triggers && may_be_replica(control, plan)?;
    let children: Vec<String> = parents.keys().cloned().collect();
    if may_be_quiet && catalog::may_invalidate(control, &plan.schema, &children)? {
        return Ok(Passage { as_replica: true, stuck: Stuck::None });
    }
    let stuck = set_aside(control, run, plan, (parents, options.settings.range_rows), observer)?;
    match &stuck {
        Stuck::InForce { .. } if may_be_quiet => return Ok(Passage { as_replica: true, stuck: Stuck::None }),
        Stuck::InForce { tables, why } => {
            let text = format!("foreign keys stay in force while rows are copied: {why}");
            observer.event(&Event::Remark(Remark::note(tables.join(", "), text)));
        }
        Stuck::None | Stuck::Aside => {}
    }
    Ok(Passage { as_replica: false, stuck })
}

// Drops such keys for the time of the load.
fn set_aside(
    control: &mut Session,
    run: Uuid,
    plan: &Plan,
    (parents, range_rows): (&HashMap<String, Vec<String>>, Option<u64>),
    observer: &dyn Observer,
) -> Result<Stuck> {
    let tables = rows::without_order(plan, parents, range_rows);
    if tables.is_empty() {
        return Ok(Stuck::None);
    }
    let tx = control.transaction()?;
    match aside::set_aside(&tx, run, &plan.schema, &tables) {
        Ok(()) => tx.commit()?,
        // Not the tables' owner, say. The rows may still come in an order that the server takes.
        Err(error) if error.kind() == Kind::Failed => {
            return Ok(Stuck::InForce { why: reason(&error), tables });
        }
        Err(error) => return Err(error),
    }
    let text = format!("foreign keys among {} are set aside until the rows are there", tables.join(", "));
    observer.event(&Event::Info { text });
    Ok(Stuck::Aside)
}

// What the server said, below what we say of it.
fn reason(error: &Error) -> String {
    let mut deepest: &(dyn std::error::Error + 'static) = error;
    while let Some(cause) = deepest.source().filter(|cause| cause.is::<Error>()) {
        deepest = cause;
    }
    deepest.downcast_ref::<Error>().map_or_else(|| error.message().to_owned(), |e| e.message().to_owned())
}

impl Stuck {
    /// Says of a row that a foreign key refused, where the key might be wrong and not the row.
    pub fn explain(&self, error: Error, session: &Session) -> Error {
        const FOREIGN_KEY_VIOLATION: &str = "23503";
        let Self::InForce { tables, why } = self else { return error };
        if error.sqlstate() != Some(FOREIGN_KEY_VIOLATION) {
            return error;
        }
        let Ok(info) = session.server_info() else { return error };
        let user = quoted(&info.user);
        let grant = if info.version_num >= 150_000 {
            format!(", or have a superuser GRANT SET ON PARAMETER session_replication_role TO {user}")
        } else {
            ", or as a superuser".to_owned()
        };
        error
            .fact(format!("{} refer to each other in a circle, so that no order of loading suits", tables.join(", ")))
            .fact(format!("their foreign keys could not be set aside meanwhile: {why}"))
            .hint(format!("load as the role that owns all of these tables{grant}; then run the same command again"))
    }
}

/// Switches off the triggers that would fire for rows that are loaded, until the rows are there; a word on each table of
/// which triggers fire, or do not.
pub fn quiet_triggers(
    control: &mut Session,
    run: Uuid,
    options: &Options,
    plan: &Plan,
    replica_role: bool,
    observer: &dyn Observer,
) -> Result<Vec<Remark>> {
    let tables: Vec<String> = plan.tables.iter().filter(|t| t.existing).map(|t| t.target.clone()).collect();
    if tables.is_empty() || options.scope == Scope::SchemaOnly {
        return Ok(Vec::new());
    }
    let updates = options.conflict == Some(Conflict::Update);
    let events = if updates { Events::INSERT_OR_UPDATE } else { Events::INSERT };
    let mut quiet = if replica_role { triggers::silent(control, (&plan.schema, &tables), events)? } else { Vec::new() };
    let firing = triggers::firing(control, (&plan.schema, &tables), events, replica_role)?;
    let (mut loud, firing): (Vec<_>, Vec<_>) = firing.into_iter().partition(|trigger| trigger.elsewhere.is_some());
    if options.fires_triggers {
        loud.extend(firing);
    } else if !firing.is_empty() {
        let tx = control.transaction()?;
        match triggers::set_aside(&tx, run, &plan.schema, &firing) {
            Ok(()) => tx.commit().map(|()| quiet.extend(firing))?,
            // Not the tables' owner.
            Err(error) if error.kind() == Kind::Failed => loud.extend(firing),
            Err(error) => return Err(error),
        }
    }
    let remarks = told(quiet, loud);
    for remark in &remarks {
        observer.event(&Event::Remark(remark.clone()));
    }
    Ok(remarks)
}

// A word on each table of which triggers fire, or do not.
fn told(quiet: Vec<Trigger>, loud: Vec<Trigger>) -> Vec<Remark> {
    let words = |triggers: Vec<Trigger>, what: &str| {
        let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for trigger in triggers {
            let table = trigger.elsewhere.map_or(trigger.table.clone(), |schema| format!("{schema}.{}", trigger.table));
            names.entry(table).or_default().push(format!("`{}`", trigger.name));
        }
        let word = |n: usize| if n == 1 { "trigger" } else { "triggers" };
        let of = |(table, names): (String, Vec<String>)| {
            (table, format!("{} {}{what}", word(names.len()), names.join(", ")))
        };
        names.into_iter().map(of).collect::<Vec<_>>()
    };
    let quiet = words(quiet, ": not fired for rows that are loaded");
    let loud = words(loud, ": fired for every row that is loaded, and may change what arrives");
    let remarks = quiet.into_iter().map(|(table, text)| Remark::note(table, text));
    remarks.chain(loud.into_iter().map(|(t, text)| Remark::warning(t, text))).collect()
}

/// Triggers that are switched off for the length of a transaction.
#[must_use = "they are switched on again by `end`"]
pub struct Quiet<'a> {
    schema: &'a str,
    off: Vec<Trigger>,
    /// What a person should know of those that fire, and of those that do not.
    pub remarks: Vec<Remark>,
}

impl<'a> Quiet<'a> {
    /// Switches off those of these tables that would fire for these events, unless they are wanted, or the role may not.
    pub fn begin(
        tx: &Transaction<'_>,
        (schema, tables): (&'a str, &[String]),
        events: Events,
        fires: bool,
    ) -> Result<Self> {
        let firing = triggers::firing(tx, (schema, tables), events, false)?;
        let (mut loud, firing): (Vec<_>, Vec<_>) = firing.into_iter().partition(|trigger| trigger.elsewhere.is_some());
        if fires || firing.is_empty() {
            loud.extend(firing);
            return Ok(Self { schema, off: Vec::new(), remarks: told(Vec::new(), loud) });
        }
        let before = tx.savepoint("lite2pg_quiet")?;
        match triggers::hush(tx, schema, &firing) {
            Ok(()) => {
                before.keep()?;
                Ok(Self { schema, off: firing.clone(), remarks: told(firing, loud) })
            }
            // Not the tables' owner.
            Err(error) if error.kind() == Kind::Failed => {
                before.back()?;
                loud.extend(firing);
                Ok(Self { schema, off: Vec::new(), remarks: told(Vec::new(), loud) })
            }
            Err(error) => Err(error),
        }
    }

    /// Switches them on again as they were, before the transaction is committed.
    pub fn end(self, tx: &Transaction<'_>) -> Result<()> {
        triggers::wake(tx, self.schema, &self.off)
    }
}

/// The indexes that the load drops and builds again after it: those of tables that are there, hold no rows, and get many.
/// Where rows that the server refuses are looked for, it must be able to refuse them by all it has.
pub fn indexes_to_drop(tx: &Transaction<'_>, options: &Options, plan: &Plan) -> Result<Vec<Index>> {
    if options.keeps_indexes || options.conflict.is_some() || options.scope == Scope::SchemaOnly {
        return Ok(Vec::new());
    }
    let gets_many = |t: &&TablePlan| t.existing && t.rows >= INDEXES_ASIDE_ROWS && t.on_refusal != Policy::Reject;
    let large: Vec<String> = plan.tables.iter().filter(gets_many).map(|t| t.target.clone()).collect();
    if large.is_empty() {
        return Ok(Vec::new());
    }
    indexes::droppable(tx, &plan.schema, &large)
}

/// Rules on INSERT: those of tables whose rows are copied are not asked, which a person should know; where rows come by
/// INSERT they would be, and what arrives would be theirs to say.
pub fn rules(session: &Session, options: &Options, plan: &Plan) -> Result<Vec<Remark>> {
    let names: Vec<String> = plan.tables.iter().filter(|t| t.existing).map(|t| t.target.clone()).collect();
    if names.is_empty() || options.scope == Scope::SchemaOnly {
        return Ok(Vec::new());
    }
    let mut remarks = Vec::new();
    for (name, rule) in catalog::insert_rules(session, &plan.schema, &names)? {
        let table = plan.tables.iter().find(|t| t.target == name);
        if options.conflict.is_some_and(|c| c != Conflict::Fail) || table.is_some_and(TablePlan::has_casts) {
            let sql = ddl::disable_rule(&plan.schema, &name, &rule);
            return Err(Error::new(Kind::Blocked, format!("`{name}` has a rule on INSERT, `{rule}`"))
                .fact(
                    "its rows come by INSERT: PostgreSQL casts some of their values, or `--on-conflict` looks at them",
                )
                .state("nothing was written")
                .hint(format!("{sql}, and ENABLE RULE afterwards")));
        }
        remarks.push(Remark::warning(name, format!("rule `{rule}`: not asked for rows that are loaded")));
    }
    Ok(remarks)
}

/// What the plan says of them.
pub fn indexes_told(plan: &Plan, dropped: &[Index]) -> Vec<Remark> {
    let mut names: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for index in dropped {
        names.entry(&index.table).or_default().push(format!("`{}`", index.name));
    }
    let told = |(table, names): (&str, Vec<String>)| {
        let rows = plan.tables.iter().find(|t| t.target == table).map_or(0, |t| t.rows);
        let word = if names.len() == 1 { "index" } else { "indexes" };
        let text = format!(
            "{word} {} dropped before the load and built again after it, which is faster for {rows} rows; \
             `--keep-indexes` keeps them",
            names.join(", ")
        );
        Remark::note(table, text)
    };
    names.into_iter().map(told).collect()
}

/// Drops the indexes that a load can do without, after their definitions were written down.
pub fn drop_indexes(control: &mut Session, run: Uuid, options: &Options, plan: &Plan) -> Result<Option<Remark>> {
    let tx = control.transaction()?;
    let dropped = indexes_to_drop(&tx, options, plan)?;
    match indexes::set_aside(&tx, run, &plan.schema, &dropped) {
        Ok(()) => tx.commit().map(|()| None),
        // Not the tables' owner, or somebody else uses them. The load goes on with them.
        Err(error) if error.kind() == Kind::Failed => {
            let text = format!("indexes stay while rows are loaded: {}", error.message());
            Ok(Some(Remark::note(dropped.first().map_or("", |index| &index.table), text)))
        }
        Err(error) => Err(error),
    }
}

/// What a run that ended early has left switched off, in words.
pub fn still_aside(control: &Session, options: &Options) -> Option<String> {
    let keys = aside::kept(control, &options.schema).map_or(0, |keys| keys.len());
    let triggers = triggers::kept(control, &options.schema).map_or(0, |triggers| triggers.len());
    let indexes = indexes::kept(control, &options.schema).map_or(0, |indexes| indexes.len());
    let words = [(keys, "foreign keys"), (triggers, "triggers"), (indexes, "indexes")];
    let words: Vec<String> = words.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}")).collect();
    let text = "stay set aside until the same command has gone on to its end, or begins again with `--restart`";
    (!words.is_empty()).then(|| format!("{} {text}", words.join(" and ")))
}

// Whether the role may load without foreign keys and triggers being asked, and sees afterwards what came past them.
// Superusers may, and since PostgreSQL 15 those it was granted to.
fn may_be_replica(session: &Session, plan: &Plan) -> Result<bool> {
    let names: Vec<String> = plan.tables.iter().filter(|t| t.existing).map(|t| t.target.clone()).collect();
    if !catalog::sees_parents(session, &plan.schema, &names)? {
        return Ok(false);
    }
    let allowed = session.batch("SET session_replication_role = replica").is_ok();
    Ok(allowed && session.batch("RESET session_replication_role").is_ok())
}

/// Rows that were loaded with foreign keys switched off are looked at afterwards. A key that they break holds for new rows
/// only from then on, so that nobody takes it for more.
pub fn unchecked_keys(context: &Context<'_>, plan: &Plan) -> Result<Vec<Remark>> {
    let mut remarks = Vec::new();
    if !context.replica_role {
        return Ok(remarks);
    }
    for table in plan.tables.iter().filter(|t| t.existing) {
        for (key, orphans) in catalog::orphans(context.control, &plan.schema, &table.target)? {
            let rows = if orphans == 1 { "1 row has".to_owned() } else { format!("{orphans} rows have") };
            let mut session = context.session()?;
            let tx = session.transaction()?;
            let holds = match aside::invalidate(&tx, &plan.schema, &table.target, &key) {
                Ok(()) => tx.commit().map(|()| "holds for new rows only")?,
                // Not the table's owner, or a partitioned one.
                Err(error) if error.kind() == Kind::Failed => "is taken for valid by the server, and is not",
                Err(error) => return Err(error),
            };
            let sql = ddl::validate(&plan.schema, &table.target, &key);
            let text = format!("foreign key `{key}` {holds}: {rows} no parent");
            remarks.push(Remark::warning(&table.source, text).with_sql(format!("-- after mending the rows\n{sql};")));
        }
    }
    Ok(remarks)
}
