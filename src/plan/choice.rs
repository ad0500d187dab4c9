//! The choice of each column's type from what the rows were seen to hold.

use super::groups::{ColumnId, Groups};
use super::rules;
use crate::error::{Error, Kind, Result};
use crate::model::candidates::{Hint, TypeOptions};
use crate::model::cell::Class;
use crate::model::conversion::{Conversion, Misfit, MomentForm, Naive, UuidSpelling};
use crate::model::name::{exclude, reject};
use crate::model::pg_type::PgType;
use crate::model::policy::Policy;
use crate::model::profile::{ColumnProfile, Failure, TableProfile, Trial};
use crate::model::source::{Catalog, Column};

/// 32 hex digits without a declared uuid must be seen at least this often before their version bits count
/// as evidence: one random digest in eight has them by chance.
const HEX_UUIDS_MIN: u64 = 4;

/// A column's rule and the words that explain it.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The rule.
    pub conversion: Conversion,
    /// Whether stand-ins are allowed.
    pub stand_ins: bool,
    /// Why this type.
    pub evidence: String,
    /// Foreign keys of this column compare it with another type, so they cannot be kept.
    pub breaks_keys: bool,
}

/// Chooses for a column of a table that lite2pg creates.
#[must_use]
pub fn choose(
    catalog: &Catalog,
    profiles: &[TableProfile],
    groups: &Groups,
    at: ColumnId,
    options: &TypeOptions,
) -> Choice {
    let column = &catalog.tables[at.0].columns[at.1];
    let profile = &profiles[at.0].columns[at.1];
    let members = groups.members(at);
    let (trial, breaks_keys) = match choose_for_group(catalog, profiles, members, options) {
        Some(trial) if members.len() > 1 && takes(profile, column, &trial.conversion) => (trial, false),
        _ => (choose_alone(column, profile, options), members.len() > 1),
    };
    let evidence = evidence(column, &profiles[at.0], profile, &trial.conversion);
    Choice { conversion: trial.conversion, stand_ins: trial.stand_ins, evidence, breaks_keys }
}

/// Chooses for a column whose type is a rule: the first of its type's rules that took every cell. Where a policy says
/// what becomes of the others, the one that took most.
pub fn choose_by_rule(
    table: &str,
    column: &Column,
    pg_type: &PgType,
    profile: &ColumnProfile,
    policy: Policy,
) -> Result<Trial> {
    let chosen = if policy == Policy::Fail {
        // A stricter rule that a later row breaks is followed by the next one.
        profile.trials.iter().find(|t| t.failure.is_none())
    } else {
        // Here that row would be set aside, although a neighbour takes it.
        profile.trials.iter().min_by_key(|t| (t.misfits, !takes_more(&t.conversion)))
    };
    if let Some(trial) = chosen {
        return Ok(trial.clone());
    }
    // The rule that went furthest says why; of two, one that is meant for such cells.
    let is_meant = |f: &&Failure| (f.key.unsigned_abs(), f.misfit != Some(Misfit::Class));
    let failure = profile.trials.iter().filter_map(|t| t.failure.as_ref()).max_by_key(is_meant);
    let what = failure.and_then(|f| f.misfit).map_or("a value that it refuses", |m| m.phrase());
    let at = failure.map_or(0, |f| f.key);
    Err(Error::new(Kind::Blocked, format!("`{table}.{}` cannot be loaded into {pg_type}", column.name))
        .fact(format!("the rows hold {what}, at key {at} (value hidden)"))
        .fact(format!("declared with {} in SQLite: a preference, not a rule", shown(&column.declared)))
        .state("nothing was written")
        .hint(way_out(table, &column.name)))
}

/// The same for a column of a table that lite2pg creates, with the words that explain it.
pub fn choose_stated(
    table: &str,
    column: &Column,
    pg_type: &PgType,
    profile: &TableProfile,
    position: usize,
    policy: Policy,
) -> Result<Choice> {
    let trial = choose_by_rule(table, column, pg_type, &profile.columns[position], policy)?;
    let seen = evidence(column, profile, &profile.columns[position], &trial.conversion);
    let misfits = match trial.misfits {
        0 => String::new(),
        misfits => format!("; {misfits} do not fit: {policy}"),
    };
    let evidence = format!("stated; {seen}{misfits}{}", rules::words(&trial.conversion));
    Ok(Choice { conversion: trial.conversion, stand_ins: trial.stand_ins, evidence, breaks_keys: false })
}

/// The refusal of NULLs that the profile saw in a column that takes none.
#[must_use]
pub fn null_refused(table: &str, column: &str, nulls: u64, is_whole: bool) -> Error {
    let scope = if is_whole { "" } else { " of those that were looked at" };
    Error::new(Kind::Blocked, format!("`{table}.{column}` holds NULL, and the target's column is NOT NULL"))
        .fact(format!("{nulls} rows{scope}"))
        .state("nothing was written")
        .hint(way_out(table, column))
}

fn way_out(table: &str, column: &str) -> String {
    let reject = reject(&format!("{table}.{column}"));
    format!("`{reject}` sets such rows aside; `{}` leaves the table out", exclude(table))
}

/// Chooses for a column that is only compared: the rule that took every cell, else the one that went furthest. What
/// it does not take counts as different.
#[must_use]
pub fn choose_to_compare(profile: &ColumnProfile) -> Trial {
    let whole = profile.trials.iter().find(|t| t.failure.is_none());
    let key = |trial: &&Trial| (trial.failure.as_ref().map_or(0, |f| f.key), takes_more(&trial.conversion));
    let longest = || profile.trials.iter().rev().max_by_key(key);
    whole.or_else(longest).cloned().expect("each type has a rule")
}

// A rule that reads all that its stricter neighbour reads, and the same in it: where one cell breaks both, the other
// cells are better read by this one.
fn takes_more(conversion: &Conversion) -> bool {
    match conversion {
        Conversion::Whole { .. } => true,
        Conversion::Numeric { text, .. } => *text,
        Conversion::Text { numbers, .. } | Conversion::Cast { numbers, .. } => *numbers,
        Conversion::Bytea { all_classes } => *all_classes,
        Conversion::Uuid(spelling) => *spelling == UuidSpelling::Any,
        Conversion::Moment { form: MomentForm::Text { .. }, naive, .. } => *naive != Naive::Refuse,
        _ => false,
    }
}

fn choose_alone(column: &Column, profile: &ColumnProfile, options: &TypeOptions) -> Trial {
    let hint = Hint::of(&column.declared);
    if profile.values() == 0 {
        let conversion = hint.without_values(options);
        let stand_ins = profile.trials.first().is_none_or(|t| t.stand_ins);
        return Trial::new(conversion, stand_ins);
    }
    let found = profile.trials.iter().find(|t| t.failure.is_none() && is_evidence(t, profile, hint));
    found.cloned().unwrap_or(Trial::new(Conversion::Bytea { all_classes: true }, false))
}

/// The first rule that every member's rows took. A rowid keeps its number whatever refers to it: members whose
/// rows are no integers do not count then, and lose their keys instead.
fn choose_for_group(
    catalog: &Catalog,
    profiles: &[TableProfile],
    members: &[ColumnId],
    options: &TypeOptions,
) -> Option<Trial> {
    let column = |(t, c): &ColumnId| &catalog.tables[*t].columns[*c];
    let profile = |(t, c): &ColumnId| &profiles[*t].columns[*c];
    let has_values = |m: &&ColumnId| profile(m).values() > 0;
    let rowid = members.iter().find(|(t, c)| catalog.tables[*t].rowid_column() == Some(*c));
    let lead = rowid.or(members.iter().find(has_values)).or(members.first())?;
    if !members.iter().any(|m| has_values(&m)) {
        return Some(choose_alone(column(lead), profile(lead), options));
    }
    let integer = |m: &&ColumnId| rowid.is_none() || takes(profile(m), column(m), &Conversion::Int { bytes: 8 });
    let judges: Vec<&ColumnId> = members.iter().filter(has_values).filter(integer).collect();
    let is_common = |conversion: &Conversion| judges.iter().all(|m| takes(profile(m), column(m), conversion));
    let possible = |t: &&Trial| rowid.is_none() || matches!(t.conversion, Conversion::Int { .. });
    profile(lead).trials.iter().filter(possible).find(|t| is_common(&t.conversion)).cloned()
}

// A column without values takes everything.
fn takes(profile: &ColumnProfile, column: &Column, conversion: &Conversion) -> bool {
    let hint = Hint::of(&column.declared);
    let taken = |t: &Trial| t.conversion == *conversion && t.failure.is_none() && is_evidence(t, profile, hint);
    profile.values() == 0 || profile.trials.iter().any(taken)
}

fn is_evidence(trial: &Trial, profile: &ColumnProfile, hint: Hint) -> bool {
    match trial.conversion {
        Conversion::Uuid(UuidSpelling::Hex | UuidSpelling::HexUpper) => {
            hint.says_uuid() || profile.count(Class::Text) >= HEX_UUIDS_MIN
        }
        _ => true,
    }
}

fn evidence(column: &Column, table: &TableProfile, profile: &ColumnProfile, chosen: &Conversion) -> String {
    let classes = [Class::Integer, Class::Real, Class::Text, Class::Blob, Class::Null];
    let seen: Vec<String> = classes
        .into_iter()
        .filter(|c| profile.count(*c) > 0)
        .map(|c| format!("{} {}", profile.count(c), c.word()))
        .collect();
    let scope = if table.complete { "" } else { " in a spread sample" };
    let mut words = match (seen.is_empty(), profile.values()) {
        (true, _) => format!("{}: no rows", shown(&column.declared)),
        (false, 0) => format!("{}: only NULL{scope}", shown(&column.declared)),
        _ => format!("{}: {}{scope}", shown(&column.declared), seen.join(", ")),
    };
    if profile.only_zero_one && profile.count(Class::Integer) > 0 && matches!(chosen, Conversion::Int { .. }) {
        words.push_str("; only 0 and 1: could be boolean");
    }
    words
}

fn shown(declared: &str) -> &str {
    if declared.is_empty() { "no type" } else { declared }
}
