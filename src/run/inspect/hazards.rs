//! What may surprise: of each column by its evidence, of names, and what the plan warns of.
//!
//! A hazard says what is there. What a migration does about it stands in the plan.

use crate::dialect;
use crate::model::affinity::Affinity;
use crate::model::candidates::Hint;
use crate::model::cell::Class;
use crate::model::conversion::{Conversion, EpochUnit, MomentForm, Rewrite};
use crate::model::inspection::{ByHand, HandKind, Hazard, HazardKind};
use crate::model::name::{Spelling, is_reserved};
use crate::model::pg_type::PgType;
use crate::model::plan::{ColumnPlan, Level, Plan, Remark};
use crate::model::profile::{ColumnProfile, TableProfile};
use crate::model::source::{Catalog, Table};
use crate::plan::names::Names;

/// Names that are told of as many; `--json` counts them all.
const NAMES_TOLD: usize = 3;

/// What each column's evidence shows.
pub fn of_columns(catalog: &Catalog, plan: &Plan, profiles: &[TableProfile]) -> Vec<Hazard> {
    let mut found = Vec::new();
    for ((table, source), profile) in plan.tables.iter().zip(&catalog.tables).zip(profiles) {
        for column in &table.columns {
            let Some(position) = source.column_index(&column.source) else { continue };
            Seen { table: source, column, profile: &profile.columns[position] }.hazards(&mut found);
        }
    }
    found
}

struct Seen<'a> {
    table: &'a Table,
    column: &'a ColumnPlan,
    profile: &'a ColumnProfile,
}

impl Seen<'_> {
    fn hazards(&self, found: &mut Vec<Hazard>) {
        let marks = self.profile.marks;
        let mut add = |kind, text: String, rows: Option<u64>| found.push(self.hazard(kind, text, rows));
        if let Some((text, rows)) = self.mixed() {
            add(HazardKind::MixedTypes, text, Some(rows));
        } else if let Some(text) = self.otherwise_declared() {
            add(HazardKind::DeclaredType, text, None);
        }
        if marks.nul > 0 {
            add(
                HazardKind::Nul,
                format!("texts hold a NUL, which PostgreSQL's text does not take: {}", self.kept()),
                Some(marks.nul),
            );
        }
        if marks.bad_utf8 > 0 {
            add(HazardKind::BadUtf8, format!("texts are no UTF-8: {}", self.kept()), Some(marks.bad_utf8));
        }
        if marks.too_long > 0 {
            let text =
                format!("texts are longer than {} says: an application that makes it so refuses them", self.declared());
            add(HazardKind::Overflow, text, Some(marks.too_long));
        }
        if marks.beyond_32_bits > 0 && self.column.pg_type == PgType::Int8 && self.says_32_bits() {
            let text = "integers are beyond 32 bits: an application that makes it `integer` refuses them".to_owned();
            add(HazardKind::Overflow, text, Some(marks.beyond_32_bits));
        }
        if let Some(text) = self.too_many_digits() {
            add(HazardKind::Overflow, text, None);
        }
        if let Some(text) = self.times() {
            add(HazardKind::TimeFormats, text, None);
        }
        if self.rewrites(Rewrite::ZoneAssumed) {
            add(HazardKind::TimeZones, "times say no zone, and are taken as `--assume-tz` says".to_owned(), None);
        }
        if self.profile.only_zero_one
            && self.profile.count(Class::Integer) > 0
            && matches!(self.column.pg_type, PgType::Int8 | PgType::Int4)
            && !self.is_in_a_key()
        {
            let name = format!("{}.{}", self.table.name, self.column.source);
            let ask = crate::model::name::for_shell(&format!("{name}=boolean"));
            add(HazardKind::Booleans, format!("holds 0 and 1 only: `--type {ask}` makes it one"), None);
        }
    }

    fn hazard(&self, kind: HazardKind, text: String, rows: Option<u64>) -> Hazard {
        Hazard { kind, object: format!("{}.{}", self.table.name, self.column.source), text, rows }
    }

    fn declared(&self) -> &str {
        if self.column.declared.is_empty() { "no type" } else { &self.column.declared }
    }

    fn kept(&self) -> String {
        if self.column.pg_type.is_text() {
            "U+FFFD takes their place, and the original is kept beside".to_owned()
        } else {
            format!("the column becomes {}", self.column.pg_type)
        }
    }

    // Several storage classes that only a wide type takes, and the rows of the rarer ones. Whole numbers among reals are
    // no surprise: SQLite itself makes integers of them to save room.
    fn mixed(&self) -> Option<(String, u64)> {
        let count = |class| self.profile.count(class);
        let parts = [
            ("numbers", count(Class::Integer) + count(Class::Real)),
            ("texts", count(Class::Text)),
            ("blobs", count(Class::Blob)),
        ];
        let mut there: Vec<(&str, u64)> = parts.into_iter().filter(|(_, n)| *n > 0).collect();
        there.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
        let is_wide = self.column.pg_type.is_text() || self.column.pg_type == PgType::Bytea;
        if there.len() < 2 || !is_wide {
            return None;
        }
        let words: Vec<&str> = there.iter().map(|(word, _)| *word).collect();
        let rare = there.iter().skip(1).map(|(_, n)| n).sum();
        Some((format!("holds {}: becomes {}", words.join(" and "), self.column.pg_type), rare))
    }

    fn otherwise_declared(&self) -> Option<String> {
        let of = |class| self.profile.count(class) == self.profile.values() && self.profile.values() > 0;
        let affinity = Affinity::of(&self.column.declared);
        let text = of(Class::Text)
            && affinity.is_number()
            && self.column.pg_type.is_text()
            && !self.hint().says_time()
            && !self.hint().says_text();
        let blob = of(Class::Blob) && affinity != Affinity::Blob;
        let word = if text { "texts" } else { "blobs" };
        (text || blob)
            .then(|| format!("is declared {} and holds {word} only: becomes {}", self.declared(), self.column.pg_type))
    }

    // A number that something refers to, or by which a row is found, is no truth value.
    fn is_in_a_key(&self) -> bool {
        let Some(position) = self.table.column_index(&self.column.source) else { return false };
        self.table.primary_key.contains(&position)
            || self.table.rowid_column() == Some(position)
            || self.table.foreign_keys.iter().any(|key| key.columns.contains(&position))
    }

    fn hint(&self) -> Hint {
        Hint::of(&self.column.declared)
    }

    // BIGINT and its like say 64 bits, and so does SQLite's own key.
    fn says_32_bits(&self) -> bool {
        let declared = self.column.declared.to_ascii_uppercase();
        Affinity::of(&declared) == Affinity::Integer && !declared.contains("BIG") && !declared.contains("INT8")
    }

    fn too_many_digits(&self) -> Option<String> {
        let broken = self.profile.trials.iter().any(|trial| {
            matches!(trial.conversion, Conversion::Numeric { limit: Some(_), .. }) && trial.failure.is_some()
        });
        let kept = matches!(self.column.pg_type, PgType::Numeric(Some(_)));
        (broken && !kept && self.profile.count(Class::Blob) + self.profile.count(Class::Text) == 0)
            .then(|| format!("numbers have more digits than {} says: becomes {}", self.declared(), self.column.pg_type))
    }

    fn times(&self) -> Option<String> {
        match &self.column.conversion {
            Conversion::Moment { form: MomentForm::Epoch(unit), .. } => {
                let unit = match unit {
                    EpochUnit::Seconds => "seconds",
                    EpochUnit::Millis => "milliseconds",
                    EpochUnit::Micros => "microseconds",
                    EpochUnit::Nanos => "nanoseconds",
                };
                Some(format!("numbers are read as {unit} since 1970"))
            }
            Conversion::Moment { form: MomentForm::JulianDay, .. } => {
                Some("numbers are read as julian days".to_owned())
            }
            Conversion::Moment { .. } | Conversion::Date | Conversion::Time => None,
            _ if self.hint().says_time() && self.profile.values() > 0 => Some(format!(
                "is declared {}, and not every value is such a time: becomes {}",
                self.declared(),
                self.column.pg_type
            )),
            _ => None,
        }
    }

    fn rewrites(&self, rule: Rewrite) -> bool {
        let chosen = self.profile.trials.iter().find(|t| t.conversion == self.column.conversion);
        chosen.is_some_and(|trial| trial.rewrites & (1 << rule as u32) != 0)
    }
}

/// The plan's remarks: what is left to a person, and what may surprise.
pub fn of_plan(catalog: &Catalog, plan: &Plan, profiles: &[TableProfile]) -> (Vec<Hazard>, Vec<ByHand>) {
    let (mut hazards, mut by_hand) = (Vec::new(), Vec::new());
    for remark in &plan.remarks {
        let Remark { level, object, text, sql } = remark;
        if let (Level::Warning, Some(_)) = (level, sql) {
            let kind = hand_kind(catalog, object);
            by_hand.push(ByHand { kind, object: object.clone(), text: text.clone(), sql: sql.clone() });
        } else {
            let kind = match level {
                Level::Note => HazardKind::Names,
                Level::Warning => hazard_kind(catalog, profiles, object),
            };
            hazards.push(Hazard { kind, object: object.clone(), text: text.clone(), rows: None });
        }
    }
    (hazards, by_hand)
}

fn hand_kind(catalog: &Catalog, object: &str) -> HandKind {
    if catalog.virtual_tables.iter().any(|t| t.name == object) {
        HandKind::VirtualTable
    } else if catalog.triggers.iter().any(|t| t.name == object) {
        HandKind::Trigger
    } else if catalog.views.iter().any(|v| v.name == object) {
        HandKind::View
    } else {
        HandKind::Definition
    }
}

fn hazard_kind(catalog: &Catalog, profiles: &[TableProfile], object: &str) -> HazardKind {
    for (table, profile) in catalog.tables.iter().zip(profiles) {
        let holds_null = |c: usize| profile.columns[c].count(Class::Null) > 0;
        if table.name == object && table.primary_key.iter().any(|&c| holds_null(c)) {
            return HazardKind::NullKeys;
        }
        let names = |c: &crate::model::source::Column| object == format!("{}.{}", table.name, c.name);
        if table.columns.iter().position(names).is_some_and(|c| table.columns[c].not_null && holds_null(c)) {
            return HazardKind::Nulls;
        }
        if table.indexes.iter().any(|i| i.name == object && i.columns.iter().any(|c| !is_known(&c.collation))) {
            return HazardKind::Collations;
        }
    }
    HazardKind::Other
}

fn is_known(collation: &str) -> bool {
    ["BINARY", "NOCASE", "RTRIM"].iter().any(|known| collation.eq_ignore_ascii_case(known))
}

/// Columns whose own collation is not BINARY, by table and position.
pub fn collated(catalog: &Catalog) -> Vec<(usize, usize, String)> {
    let mut found = Vec::new();
    for (t, table) in catalog.tables.iter().enumerate() {
        let Ok(sql) = dialect::table::parse(&table.sql) else { continue };
        for (c, column) in table.columns.iter().enumerate() {
            let collation = sql.column(&column.name).and_then(|s| s.collation.clone());
            found.extend(collation.filter(|name| !name.eq_ignore_ascii_case("BINARY")).map(|name| (t, c, name)));
        }
    }
    found
}

/// Columns that only the application knows how to compare.
pub fn of_collations(catalog: &Catalog) -> Vec<Hazard> {
    let unknown = collated(catalog).into_iter().filter(|(.., name)| !is_known(name));
    unknown
        .map(|(t, c, name)| Hazard {
            kind: HazardKind::Collations,
            object: format!("{}.{}", catalog.tables[t].name, catalog.tables[t].columns[c].name),
            text: format!("collation `{name}` is the application's own: sorted and compared by the server's"),
            rows: None,
        })
        .collect()
}

/// Names that PostgreSQL takes in quotes only, and what another spelling would do about them.
pub fn of_names(catalog: &Catalog, plan: &Plan) -> Option<Hazard> {
    let tables = plan.tables.iter().map(|t| t.target.as_str());
    let columns = plan.tables.iter().flat_map(|t| t.columns.iter().map(|c| c.target.as_str()));
    let mut quoted: Vec<&str> =
        tables.chain(columns).chain(plan.views.iter().map(|v| v.target.as_str())).filter(|n| needs_quotes(n)).collect();
    quoted.sort_unstable();
    quoted.dedup();
    let first: Vec<String> = quoted.iter().take(NAMES_TOLD).map(|name| format!("`{name}`")).collect();
    let more = if quoted.len() > NAMES_TOLD { ", …" } else { "" };
    // Reserved words stay what they are in whatever spelling.
    let is_spelled = |name: &&str| !is_reserved(name);
    let collisions = |spelling| {
        let before = Names::new(catalog, Spelling::Preserve, &[], &[]).remarks.len();
        Names::new(catalog, spelling, &[], &[]).remarks.len().saturating_sub(before)
    };
    let way_out = match (quoted.iter().any(is_spelled), collisions(Spelling::Snake)) {
        (false, _) => String::new(),
        (true, 0) => "; `--identifiers snake` spells them otherwise".to_owned(),
        (true, n) => format!("; `--identifiers snake` spells them otherwise, and {n} would meet another name"),
    };
    let text = format!(
        "{} {} in quotes only ({}{more}): SQL without quotes does not find them{way_out}",
        quoted.len(),
        if quoted.len() == 1 { "name is taken" } else { "names are taken" },
        first.join(", ")
    );
    (!quoted.is_empty()).then(|| Hazard {
        kind: HazardKind::QuotedNames,
        object: plan.schema.clone(),
        text,
        rows: None,
    })
}

// PostgreSQL folds what is not quoted to lower case (docs, "Identifiers and Key Words").
fn needs_quotes(name: &str) -> bool {
    let begins = name.chars().next().is_some_and(|c| c == '_' || c.is_ascii_lowercase() || !c.is_ascii());
    let goes_on = |c: char| c == '_' || c == '$' || c.is_ascii_lowercase() || c.is_ascii_digit() || !c.is_ascii();
    !begins || !name.chars().all(goes_on) || is_reserved(name)
}

/// Rows that were seen without a parent, of a sample of so many or of all.
pub fn orphans(table: &str, parent: &str, rows: u64, of_sample: Option<u64>) -> Hazard {
    let scope = of_sample.map_or_else(String::new, |of| format!(" of {of} in a spread sample"));
    let text = format!("without a parent in `{parent}`{scope}: the foreign key holds for new rows only");
    Hazard { kind: HazardKind::Orphans, object: table.to_owned(), text, rows: Some(rows) }
}

/// Texts that NOCASE takes for one.
pub fn case_twins(table: &str, column: &str, twins: u64) -> Hazard {
    let text =
        "compared by NOCASE, and holds texts that differ in case only: PostgreSQL tells them apart (citext does not)";
    Hazard {
        kind: HazardKind::CaseTwins,
        object: format!("{table}.{column}"),
        text: text.to_owned(),
        rows: Some(twins),
    }
}
