//! What a person states of types and policies, matched with the source's tables and columns.

use super::groups::{ColumnId, Groups};
use crate::error::{Error, Kind, Result};
use crate::model::conversion::{Conversion, IdVersion};
use crate::model::name::for_shell;
use crate::model::pg_type::PgType;
use crate::model::plan::Draw;
use crate::model::policy::{Policy, Reading, Rules};
use crate::model::source::Catalog;
use std::collections::{HashMap, HashSet};
use uuid::Uuid;

/// Stated types and policies by position.
#[derive(Debug, Clone, Default)]
pub struct Matched {
    types: HashMap<ColumnId, PgType>,
    readings: HashMap<ColumnId, Reading>,
    nulls: HashSet<ColumnId>,
    enums: Vec<(String, Vec<String>)>,
    columns: HashMap<ColumnId, Policy>,
    tables: HashMap<usize, Policy>,
    run: Option<Policy>,
}

// What a name of the source names.
enum Object {
    Table(usize),
    Column(ColumnId),
}

impl Matched {
    /// Finds what the rules name. A name that the source does not have is a usage error with the nearest one.
    pub fn new(rules: &Rules, catalog: &Catalog) -> Result<Self> {
        let mut matched = Self { enums: rules.enums.clone(), ..Self::default() };
        for (name, pg_type) in &rules.types {
            match find(name, catalog).ok_or_else(|| unknown("--type", name, catalog))? {
                Object::Column(at) => matched.types.insert(at, pg_type.clone()),
                Object::Table(_) => {
                    return Err(Error::new(Kind::Usage, format!("`--type {name}=…` names a table, not a column"))
                        .hint(format!("--type {}", for_shell(&format!("{name}.COLUMN={pg_type}")))));
                }
            };
        }
        for (name, reading) in &rules.readings {
            // A column that its table left out since, or a table that a glob leaves out, is read by nobody.
            if let Some(Object::Column(at)) = find(name, catalog) {
                matched.readings.insert(at, reading.clone());
            }
        }
        for name in &rules.nulls {
            if let Some(Object::Column(at)) = find(name, catalog) {
                matched.nulls.insert(at);
            }
        }
        for (name, policy) in &rules.policies {
            let Some(name) = name else {
                matched.run = Some(*policy);
                continue;
            };
            match find(name, catalog).ok_or_else(|| unknown("--on-error", name, catalog))? {
                Object::Table(table) => matched.tables.insert(table, *policy),
                Object::Column(at) => matched.columns.insert(at, *policy),
            };
        }
        Ok(matched)
    }

    /// The stated type of a column: its own, else that of a column which foreign keys compare it with.
    #[must_use]
    pub fn type_of(&self, at: ColumnId, groups: &Groups) -> Option<&PgType> {
        self.types.get(&at).or_else(|| groups.members(at).iter().find_map(|m| self.types.get(m)))
    }

    /// The values of an enum that was stated as a type.
    #[must_use]
    pub fn labels(&self, pg_type: &PgType) -> Option<&[String]> {
        let PgType::TextLike(stated) = pg_type else { return None };
        self.enums.iter().find(|(name, _)| name == stated).map(|(_, labels)| labels.as_slice())
    }

    /// Whether NULLs of this column take its default.
    #[must_use]
    pub fn null_is_default(&self, at: ColumnId) -> bool {
        self.nulls.contains(&at)
    }

    /// How cells of a column are read: as is stated of it, else of a column which foreign keys compare it with.
    #[must_use]
    pub fn reading_of(&self, at: ColumnId, groups: &Groups) -> Option<&Reading> {
        self.readings.get(&at).or_else(|| groups.members(at).iter().find_map(|m| self.readings.get(m)))
    }

    /// What is stated of cells of this column that break a rule: of the column, else of its table, else of the run.
    #[must_use]
    pub fn policy_of(&self, at: ColumnId) -> Option<Policy> {
        self.columns.get(&at).copied().or_else(|| self.of_table(at.0))
    }

    /// What is stated of rows of this table that the server refuses: nothing can take a row's place, so that they are set
    /// aside or end the run.
    #[must_use]
    pub fn policy_of_rows(&self, table: usize) -> Option<Policy> {
        self.of_table(table).map(|policy| if policy == Policy::Reject { policy } else { Policy::Fail })
    }

    fn of_table(&self, table: usize) -> Option<Policy> {
        self.tables.get(&table).copied().or(self.run)
    }

    /// Columns of which it is stated how their cells are read.
    pub fn read(&self) -> impl Iterator<Item = (ColumnId, &Reading)> {
        self.readings.iter().map(|(at, reading)| (*at, reading))
    }

    /// Columns whose type is stated.
    pub fn typed(&self) -> impl Iterator<Item = ColumnId> {
        self.types.keys().copied()
    }

    /// Columns that a policy names.
    pub fn with_policy(&self) -> impl Iterator<Item = (ColumnId, Policy)> {
        self.columns.iter().map(|(at, policy)| (*at, *policy))
    }
}

/// The rule that a reading is.
#[must_use]
pub fn conversion(reading: &Reading, draw: Draw) -> Conversion {
    match reading {
        Reading::Id { map, namespace } => {
            Conversion::Id { map: map.clone(), namespace: *namespace, version: IdVersion::V5 }
        }
        Reading::Drawn { map, timed } => Conversion::Id {
            map: map.clone(),
            namespace: Uuid::new_v5(&draw.seed, map.as_bytes()),
            version: if *timed { IdVersion::V7 { millis: draw.millis } } else { IdVersion::V4 },
        },
        Reading::Split { element: Some(element), by } => {
            Conversion::Array { element: *element, split: Some(by.clone()) }
        }
        Reading::Split { element: None, by } => {
            Conversion::Cast { numbers: false, split: Some(by.clone()), zone: None }
        }
    }
}

/// Whether a column of this type can be read so.
#[must_use]
pub fn suits(reading: &Conversion, pg_type: &PgType) -> bool {
    match (reading, pg_type) {
        (Conversion::Cast { .. }, PgType::Cast(cast)) => cast.habit.is_array(),
        _ => reading.pg_type() == *pg_type,
    }
}

/// What a reading does, for the plan; nothing where the column has none.
#[must_use]
pub fn words(conversion: &Conversion) -> String {
    match conversion {
        Conversion::Id { map, version, .. } => {
            format!("; what is no uuid becomes one of version {}, map `{map}`", version.number())
        }
        Conversion::Cast { split, zone, .. } => {
            let between = split.as_ref().map_or_else(String::new, |by| format!("; values between `{by}`"));
            let zone = zone.as_ref().map_or_else(String::new, |zone| format!(", in {zone}"));
            format!("{between}; cast by PostgreSQL{zone}")
        }
        Conversion::Array { split: Some(by), .. } => format!("; values between `{by}`"),
        _ => String::new(),
    }
}

// A table of that name first; else the name ends in a column's. Either may hold a point.
fn find(name: &str, catalog: &Catalog) -> Option<Object> {
    let table = |name: &str| catalog.tables.iter().position(|t| t.name.eq_ignore_ascii_case(name));
    if let Some(table) = table(name) {
        return Some(Object::Table(table));
    }
    name.match_indices('.').find_map(|(point, _)| {
        let t = table(&name[..point])?;
        Some(Object::Column((t, catalog.tables[t].column_index(&name[point + 1..])?)))
    })
}

fn unknown(argument: &str, name: &str, catalog: &Catalog) -> Error {
    let columns = catalog.tables.iter().flat_map(|t| t.columns.iter().map(|c| format!("{}.{}", t.name, c.name)));
    let tables = catalog.tables.iter().map(|t| t.name.clone());
    let scored = columns.chain(tables).map(|known| (strsim::jaro_winkler(name, &known), known));
    let nearest = scored.max_by(|a, b| a.0.total_cmp(&b.0)).filter(|(score, _)| *score > 0.7);
    let error =
        Error::new(Kind::Usage, format!("`{argument}` names `{name}`, which is no table or column of the source"))
            .state("nothing was written");
    match nearest {
        Some((_, known)) => error.hint(format!("did you mean `{known}`?")),
        None => error.hint("names are the source's: TABLE.COLUMN"),
    }
}
