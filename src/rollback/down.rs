//! A field of the target as a cell of SQLite: candidates in the column's own style, of which the first that the
//! verifier reads as the same value is taken.
//!
//! That is the law of this module: what is written back, converted forth again, gives the same target value. A value
//! of which no candidate keeps the law cannot go back.

use super::carry::Carried;
use super::clock::{Local, Shape, day};
use super::habit::{Habit, counterpart};
use super::list;
use super::number;
use crate::error::Result;
use crate::model::affinity::Affinity;
use crate::model::cell::{Cell, Class, Owned};
use crate::model::conversion::{Conversion, MomentForm, Naive, UuidSpelling};
use crate::model::pg_type::PgType;
use crate::model::plan::{ColumnPlan, TablePlan};
use crate::model::policy::Policy;
use crate::model::restored::Reason;
use crate::model::source::Table;
use crate::postgres::decode::{self, Numeric};
use crate::verify::expect::Expectation;
use crate::verify::form::Form;
use crate::verify::found::Finder;
use jiff::tz::TimeZone;

/// Finds the id that became this uuid in a map, where the map has one.
pub type Ids<'a> = dyn Fn(&str, [u8; 16]) -> Result<Option<String>> + 'a;

/// The way back of one table's cells.
pub struct Down<'a> {
    ids: &'a Ids<'a>,
    columns: Vec<Column>,
    expectation: Expectation,
    /// The same without policies: what is written keeps the rule, and needs nothing in its place.
    law: Expectation,
    finder: Finder,
    wanted: Form,
    tried: Form,
}

struct Column {
    conversion: Conversion,
    padded: bool,
    affinity: Affinity,
    local: Local,
    habit: Habit,
}

impl<'a> Down<'a> {
    /// The way back of the compared columns, in their order; `habits` are theirs.
    pub fn new(plan: &TablePlan, table: &Table, habits: &[Habit], ids: &'a Ids<'a>) -> Result<Self> {
        let columns = plan.compared().zip(habits).map(|(column, habit)| Column {
            padded: matches!(column.pg_type, PgType::Char(_)),
            affinity: affinity(table, &column.declared),
            local: local(&column.conversion),
            conversion: column.conversion.clone(),
            habit: habit.clone(),
        });
        let strict: Vec<ColumnPlan> =
            plan.compared().map(|c| ColumnPlan { on_error: Policy::Fail, ..c.clone() }).collect();
        Ok(Self {
            ids,
            columns: columns.collect(),
            expectation: Expectation::new(plan.compared())?,
            law: Expectation::new(strict.iter())?,
            finder: Finder::new(plan.compared()),
            wanted: Form::default(),
            tried: Form::default(),
        })
    }

    /// The cell for a field of this column, as the table's shape gives it and as SQLite's table holds it. `own` is the
    /// cell that it replaces, in the same two forms, whose style is kept where it can be.
    pub fn cell(
        &mut self,
        column: usize,
        field: Option<&[u8]>,
        own: Option<(&Owned, &Owned)>,
        carried: &Carried,
    ) -> Result<Result<(Owned, Owned), Reason>> {
        let Some(bytes) = field else {
            return Ok(if carried.has_default { Err(Reason::NoNull) } else { Ok((Owned::Null, Owned::Null)) });
        };
        self.wanted.clear();
        self.finder.field(column, field, &mut self.wanted)?;
        for (from, to) in &carried.map {
            if means(&mut self.law, &mut self.tried, column, to.cell(), &self.wanted) {
                let number = own.filter(|(_, raw)| matches!(raw, Owned::Integer(_))).and_then(|_| from.parse().ok());
                let raw = number.map_or_else(|| Owned::Text(from.clone().into_bytes()), Owned::Integer);
                return Ok(Ok((to.clone(), raw)));
            }
        }
        for candidate in self.columns[column].candidates(bytes, own.map(|(own, _)| own), self.ids)? {
            // What the map would make something else of is no way to say it.
            let is_mapped = carried.map.iter().any(|(from, _)| is_text(&candidate, from));
            if !is_mapped
                && !carried.only_named
                && means(&mut self.law, &mut self.tried, column, candidate.cell(), &self.wanted)
            {
                return Ok(Ok((candidate.clone(), candidate)));
            }
        }
        Ok(Err(self.columns[column].reason(bytes)?))
    }

    /// Whether a cell, as the table's shape gives it, stands for this field by the column's rule, without anything in its
    /// place.
    pub fn says(&mut self, column: usize, cell: &Owned, field: Option<&[u8]>) -> Result<bool> {
        self.wanted.clear();
        self.finder.field(column, field, &mut self.wanted)?;
        Ok(means(&mut self.law, &mut self.tried, column, cell.cell(), &self.wanted))
    }

    /// The form of what SQLite's cells ask for.
    pub fn source_form(&mut self, cells: &[Owned], form: &mut Form) {
        form.clear();
        for (i, cell) in cells.iter().enumerate() {
            self.expectation.cell(i, cell.cell(), form);
        }
    }

    /// The form of what the target's fields hold.
    pub fn target_form(&mut self, fields: &[Option<&[u8]>], form: &mut Form) -> Result<()> {
        form.clear();
        for (i, field) in fields.iter().enumerate() {
            self.finder.field(i, *field, form)?;
        }
        Ok(())
    }
}

// Whether SQLite's text of a cell is this one.
fn is_text(cell: &Owned, text: &str) -> bool {
    match cell {
        Owned::Text(bytes) | Owned::Blob(bytes) => bytes == text.as_bytes(),
        Owned::Integer(n) => n.to_string() == text,
        Owned::Real(_) | Owned::Null => false,
    }
}

fn means(law: &mut Expectation, tried: &mut Form, column: usize, cell: Cell<'_>, wanted: &Form) -> bool {
    tried.clear();
    law.cell(column, cell, tried);
    tried.bytes() == wanted.bytes()
}

/// The affinity of a column of this table.
#[must_use]
pub fn affinity(table: &Table, declared: &str) -> Affinity {
    if table.strict { Affinity::of_strict(declared) } else { Affinity::of(declared) }
}

// A zone that this machine does not know is an error of the expectation already.
fn local(conversion: &Conversion) -> Local {
    match conversion {
        Conversion::Moment { target_has_zone: true, naive: Naive::Refuse, .. } => Local::Never,
        Conversion::Moment { target_has_zone: true, naive: Naive::Zone(name), .. } => {
            TimeZone::get(name).map_or(Local::Never, Local::Of)
        }
        _ => Local::Utc,
    }
}

impl Column {
    fn candidates(&self, field: &[u8], own: Option<&Owned>, ids: &Ids<'_>) -> Result<Vec<Owned>> {
        let own = own.filter(|cell| !matches!(cell, Owned::Null));
        let class = own.map(|cell| cell.cell().class()).or_else(|| self.habit.class());
        let text = |text: String| Owned::Text(text.into_bytes());
        Ok(match &self.conversion {
            Conversion::Bool => self.boolean(decode::bool(field)?, own, class),
            Conversion::Int { .. } => vec![Owned::Integer(decode::int(field)?)],
            Conversion::Whole { .. } => whole(decode::int(field)?, own, class),
            Conversion::Float8 | Conversion::Float4 => number::double(decode::float(field)?, class),
            Conversion::Numeric { .. } => {
                let mut room = Vec::new();
                match Numeric::read(field, &mut room)? {
                    Numeric::Finite(value) => number::decimal(value, decode::scale(field), class, self.affinity),
                    Numeric::NaN | Numeric::Infinite { .. } => Vec::new(),
                }
            }
            Conversion::Text { .. } => self.text(field, class),
            Conversion::Bytea { .. } => bytes(field, class),
            Conversion::Uuid(UuidSpelling::Any) => {
                let spelling = own.and_then(spelling_of).unwrap_or(UuidSpelling::Hyphens);
                vec![text(uuid(decode::fixed(field)?, spelling))]
            }
            Conversion::Uuid(spelling) => vec![text(uuid(decode::fixed(field)?, *spelling))],
            Conversion::Array { element, split } => {
                list::texts(field, *element, split.as_deref(), own)?.into_iter().map(text).collect()
            }
            // A text cannot be told from its uuid, but the map has it; an id that was born there is a uuid.
            Conversion::Id { map, .. } => {
                let new = decode::fixed(field)?;
                let mut all: Vec<Owned> = Vec::new();
                if let Some(old) = ids(map, new)? {
                    all.extend(numbers(old.as_bytes(), class));
                    all.push(text(old));
                }
                all.push(text(uuid(new, UuidSpelling::Hyphens)));
                all
            }
            Conversion::Jsonb { .. } => vec![Owned::Text(decode::jsonb(field)?.to_vec())],
            Conversion::Json | Conversion::Label { .. } | Conversion::Cast { .. } => vec![Owned::Text(field.to_vec())],
            Conversion::Date => {
                let days = i32::from_be_bytes(decode::fixed(field)?);
                day(i64::from(days)).map(text).into_iter().collect()
            }
            Conversion::Time => {
                let micros = i64::from_be_bytes(decode::fixed(field)?);
                let shapes = self.shapes(own, Shape::of_time).into_iter().chain([Shape::TIME]);
                shapes.filter_map(|shape| shape.time(micros).map(text)).collect()
            }
            Conversion::Moment { form, spelled, .. } => {
                let micros = i64::from_be_bytes(decode::fixed(field)?);
                match form {
                    _ if matches!(micros, i64::MIN | i64::MAX) => Vec::new(),
                    MomentForm::Epoch(unit) => number::epoch(micros, *unit, class),
                    MomentForm::JulianDay => number::julian(micros, class),
                    MomentForm::Text { .. } => self.moment(micros, spelled.as_deref(), own),
                }
            }
        })
    }

    fn moment(&self, micros: i64, spelled: Option<&str>, own: Option<&Owned>) -> Vec<Owned> {
        let spelled = spelled.and_then(|s| Shape::of_moment(s.as_bytes()));
        let mut shapes: Vec<Shape> = spelled.into_iter().collect();
        shapes.extend(self.shapes(own, Shape::of_moment));
        // Where a clock shows the moment twice, only one that names its zone can say which.
        let more: Vec<Shape> = shapes.iter().flat_map(|s| [s.with_time(), s.with_time().in_utc()]).collect();
        shapes.extend(more);
        shapes.extend([Shape::SQLITE, Shape::RFC]);
        let said = shapes.into_iter().filter_map(|shape| shape.moment(micros, &self.local));
        said.map(|text| Owned::Text(text.into_bytes())).collect()
    }

    fn boolean(&self, truth: bool, own: Option<&Owned>, class: Option<Class>) -> Vec<Owned> {
        let number = Owned::Integer(i64::from(truth));
        if class != Some(Class::Text) {
            return vec![number];
        }
        let own = match own {
            Some(Owned::Text(word)) => counterpart(word, truth),
            _ => None,
        };
        own.into_iter().chain(self.habit.word(truth)).map(Owned::Text).chain([number]).collect()
    }

    // A number where the others are numbers and its text is the very one that the number has.
    fn text(&self, field: &[u8], class: Option<Class>) -> Vec<Owned> {
        let text = if self.padded { field.trim_ascii_end() } else { field };
        let mut all = numbers(field, class);
        all.push(Owned::Text(text.to_vec()));
        // Blanks at the end that are none of the padding.
        all.push(Owned::Text(field.to_vec()));
        all
    }

    // The shape of the cell that is replaced, then the usual ones.
    fn shapes(&self, own: Option<&Owned>, read: fn(&[u8]) -> Option<Shape>) -> Vec<Shape> {
        let own = match own {
            Some(Owned::Text(text)) => read(text),
            _ => None,
        };
        own.into_iter().chain(self.habit.shapes()).collect()
    }

    fn reason(&self, field: &[u8]) -> Result<Reason> {
        Ok(match &self.conversion {
            Conversion::Date => match i32::from_be_bytes(decode::fixed(field)?) {
                i32::MIN | i32::MAX => Reason::InfiniteTime,
                _ => Reason::BeyondCalendar,
            },
            Conversion::Time => Reason::BeyondCalendar,
            Conversion::Moment { form, spelled, .. } => match i64::from_be_bytes(decode::fixed(field)?) {
                i64::MIN | i64::MAX => Reason::InfiniteTime,
                // The years 1 to 9999.
                micros if !(-63_082_281_600_000_000..252_455_616_000_000_000).contains(&micros) => {
                    Reason::BeyondCalendar
                }
                _ if matches!(form, MomentForm::Text { .. }) && spelled.is_some() => Reason::NoSpelling,
                _ if matches!(form, MomentForm::Text { .. }) => Reason::NoCell,
                _ => Reason::Inexact,
            },
            Conversion::Float8 | Conversion::Float4 if decode::float(field)?.is_nan() => Reason::NotANumber,
            Conversion::Numeric { .. } => match Numeric::read(field, &mut Vec::new())? {
                Numeric::NaN => Reason::NotANumber,
                _ => Reason::Inexact,
            },
            Conversion::Float8 | Conversion::Float4 | Conversion::Int { .. } | Conversion::Whole { .. } => {
                Reason::Inexact
            }
            _ => Reason::NoCell,
        })
    }
}

// A whole number in the class of the others.
fn whole(n: i64, own: Option<&Owned>, class: Option<Class>) -> Vec<Owned> {
    // A text that is no number broke the rule: it says nothing of how numbers are written.
    let is_number = |text: &Vec<u8>| text.trim_ascii().iter().any(u8::is_ascii_digit);
    let class = class.filter(|_| !matches!(own, Some(Owned::Text(text)) if !is_number(text)));
    let preferred = match class {
        Some(Class::Text) => Some(Owned::Text(n.to_string().into_bytes())),
        Some(Class::Real) => Some(Owned::Real(n as f64)),
        _ => None,
    };
    preferred.into_iter().chain([Owned::Integer(n)]).collect()
}

fn bytes(field: &[u8], class: Option<Class>) -> Vec<Owned> {
    let mut all = numbers(field, class);
    let (text, blob) = (Owned::Text(field.to_vec()), Owned::Blob(field.to_vec()));
    all.extend(if class == Some(Class::Text) { [text, blob] } else { [blob, text] });
    all
}

fn numbers(field: &[u8], class: Option<Class>) -> Vec<Owned> {
    let text = std::str::from_utf8(field).unwrap_or_default();
    match class {
        Some(Class::Integer) => text.parse().ok().map(Owned::Integer).into_iter().collect(),
        // What Rust calls infinity has many spellings; the law takes the one.
        Some(Class::Real) => text.parse().ok().filter(|x: &f64| !x.is_nan()).map(Owned::Real).into_iter().collect(),
        _ => Vec::new(),
    }
}

// How a uuid is spelled in a column that holds several spellings.
fn spelling_of(cell: &Owned) -> Option<UuidSpelling> {
    let Owned::Text(text) = cell else { return None };
    let is_upper = text.iter().any(u8::is_ascii_uppercase);
    Some(match (text.len(), is_upper) {
        (36, false) => UuidSpelling::Hyphens,
        (36, true) => UuidSpelling::HyphensUpper,
        (32, false) => UuidSpelling::Hex,
        (32, true) => UuidSpelling::HexUpper,
        (38, false) => UuidSpelling::Braces,
        (38, true) => UuidSpelling::BracesUpper,
        _ => return None,
    })
}

fn uuid(bytes: [u8; 16], spelling: UuidSpelling) -> String {
    let id = uuid::Uuid::from_bytes(bytes);
    match spelling {
        UuidSpelling::Hyphens | UuidSpelling::Any => id.hyphenated().to_string(),
        UuidSpelling::HyphensUpper => id.hyphenated().to_string().to_uppercase(),
        UuidSpelling::Hex => id.simple().to_string(),
        UuidSpelling::HexUpper => id.simple().to_string().to_uppercase(),
        UuidSpelling::Braces => id.braced().to_string(),
        UuidSpelling::BracesUpper => id.braced().to_string().to_uppercase(),
    }
}
