//! Which rules are tried on a column, best first. The declared type orders them; the rows choose.

use crate::model::affinity::Affinity;
use crate::model::conversion::{Conversion, EpochUnit, MomentForm, Naive, UuidSpelling};
use crate::model::pg_type::{CastHabit, CastType, PgType};
use crate::model::profile::Trial;

/// What a run says about types beyond what the rows say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeOptions {
    /// What a time without a zone means; `None` keeps it a `timestamp` without a zone.
    pub assume_tz: Option<Naive>,
    /// Integers become `integer` where every value fits, instead of `bigint`.
    pub narrow_integers: bool,
}

impl Default for TypeOptions {
    fn default() -> Self {
        Self { assume_tz: Some(Naive::Utc), narrow_integers: false }
    }
}

/// What the words of a declared type hint at. SQLite itself only derives an affinity from them
/// (<https://sqlite.org/datatype3.html#determination_of_column_affinity>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hint {
    affinity: Affinity,
    word: Word,
    limit: Option<(u16, u16)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    Bool,
    Uuid,
    Json,
    Decimal,
    Moment,
    Date,
    Time,
    Text,
    None,
}

impl Hint {
    /// Reads a declared type.
    #[must_use]
    pub fn of(declared: &str) -> Self {
        let upper = declared.to_ascii_uppercase();
        let has = |words: &[&str]| words.iter().any(|w| upper.contains(w));
        let word = if has(&["BOOL"]) {
            Word::Bool
        } else if has(&["UUID", "GUID", "UNIQUEIDENTIFIER"]) {
            Word::Uuid
        } else if has(&["JSON"]) {
            Word::Json
        } else if has(&["DECIMAL", "NUMERIC", "MONEY"]) {
            Word::Decimal
        } else if has(&["DATETIME", "TIMESTAMP"]) {
            Word::Moment
        } else if has(&["DATE"]) {
            Word::Date
        } else if has(&["TIME"]) {
            Word::Time
        } else if has(&["STRING"]) || declared.trim().is_empty() {
            // STRING has NUMERIC affinity and no type at all has BLOB affinity; nobody means either.
            Word::Text
        } else {
            Word::None
        };
        Self { affinity: Affinity::of(declared), word, limit: limit_of(&upper) }
    }

    /// The rule for a column in which no value was seen.
    #[must_use]
    pub fn without_values(self, options: &TypeOptions) -> Conversion {
        match self.word {
            Word::Bool => Conversion::Bool,
            Word::Uuid => Conversion::Uuid(UuidSpelling::Hyphens),
            Word::Json => Conversion::Jsonb { scalars: true },
            Word::Decimal => Conversion::Numeric { limit: self.limit, text: false },
            Word::Moment => moment_text(options, true),
            Word::Date => Conversion::Date,
            Word::Time => Conversion::Time,
            Word::Text => TEXT,
            Word::None => match self.affinity {
                Affinity::Integer => Conversion::Int { bytes: if options.narrow_integers { 4 } else { 8 } },
                Affinity::Real => Conversion::Float8,
                Affinity::Numeric => Conversion::Numeric { limit: None, text: false },
                Affinity::Text => TEXT,
                Affinity::Blob => BYTES,
            },
        }
    }

    /// Whether the type is called one of times.
    #[must_use]
    pub fn says_time(self) -> bool {
        matches!(self.word, Word::Moment | Word::Date | Word::Time)
    }

    /// Whether the type is called one of texts, or not at all, whatever its affinity.
    #[must_use]
    pub fn says_text(self) -> bool {
        matches!(self.word, Word::Text | Word::Uuid | Word::Json)
    }

    /// Whether 32 hex digits may be taken as a uuid without looking at their version bits.
    #[must_use]
    pub fn says_uuid(self) -> bool {
        self.word == Word::Uuid
    }
}

const TEXT: Conversion = Conversion::Text { numbers: false, chars_max: None };
const ANY_TEXT: Conversion = Conversion::Text { numbers: true, chars_max: None };
const BYTES: Conversion = Conversion::Bytea { all_classes: false };
const ANY_BYTES: Conversion = Conversion::Bytea { all_classes: true };
const INT8: Conversion = Conversion::Int { bytes: 8 };
const NUMERIC: Conversion = Conversion::Numeric { limit: None, text: false };

const UUIDS: [UuidSpelling; 6] = [
    UuidSpelling::Hyphens,
    UuidSpelling::HyphensUpper,
    UuidSpelling::Hex,
    UuidSpelling::HexUpper,
    UuidSpelling::Braces,
    UuidSpelling::BracesUpper,
];
const EPOCHS: [EpochUnit; 4] = [EpochUnit::Seconds, EpochUnit::Millis, EpochUnit::Micros, EpochUnit::Nanos];

fn moment_text(options: &TypeOptions, dates: bool) -> Conversion {
    Conversion::Moment {
        form: MomentForm::Text { dates },
        naive: options.assume_tz.clone().unwrap_or(Naive::Refuse),
        target_has_zone: options.assume_tz.is_some(),
        spelled: None,
        digits: 6,
    }
}

fn moment(form: MomentForm) -> Conversion {
    Conversion::Moment { form, naive: Naive::Refuse, target_has_zone: true, spelled: None, digits: 6 }
}

/// The rules for a column of a table that lite2pg creates. The last one takes every cell.
///
/// `in_key` is true where two rows must not become equal on the way: rules that normalise are left out.
#[must_use]
pub fn for_new_column(declared: &str, in_key: bool, options: &TypeOptions) -> Vec<Trial> {
    let hint = Hint::of(declared);
    let mut list: Vec<Conversion> = Vec::with_capacity(24);
    match hint.word {
        Word::Bool => list.push(Conversion::Bool),
        Word::Decimal => {
            list.extend(hint.limit.map(|limit| Conversion::Numeric { limit: Some(limit), text: false }));
            list.push(NUMERIC);
        }
        Word::Date => list.push(Conversion::Date),
        Word::Time => list.push(Conversion::Time),
        Word::Json if !in_key => list.push(Conversion::Jsonb { scalars: true }),
        _ => {}
    }
    if matches!(hint.word, Word::Moment | Word::Date) {
        list.push(moment(MomentForm::Text { dates: false }));
        list.push(moment_text(options, true));
        list.extend(EPOCHS.map(|unit| moment(MomentForm::Epoch(unit))));
        list.push(moment(MomentForm::JulianDay));
    }
    if options.narrow_integers {
        list.push(Conversion::Int { bytes: 4 });
    }
    list.extend([INT8, Conversion::Float8, NUMERIC]);
    list.extend(UUIDS.map(Conversion::Uuid));
    if !in_key {
        list.push(Conversion::Jsonb { scalars: false });
    }
    list.extend([moment(MomentForm::Text { dates: false }), moment_text(options, false), Conversion::Date]);
    if hint.word == Word::Decimal && !in_key {
        list.extend(hint.limit.map(|limit| Conversion::Numeric { limit: Some(limit), text: true }));
        list.push(Conversion::Numeric { limit: None, text: true });
    }
    list.extend([TEXT, BYTES, ANY_TEXT, ANY_BYTES]);
    if in_key {
        list.retain(|c| *c != Conversion::Time);
        for conversion in &mut list {
            if let Conversion::Moment { form: MomentForm::Text { .. }, spelled, .. } = conversion {
                *spelled = Some(String::new());
            }
        }
    }
    // A column declared BLOB, or not at all, holds bytes: text that is no clean text stays bytes there.
    // In any other column such text gets its stand-in and the original is kept; not in a key, where two texts
    // may have the same stand-in.
    let stand_ins = hint.affinity != Affinity::Blob && !in_key;
    trials(list, stand_ins)
}

/// The rules for a column whose type is a rule: stated, or that of a table that was there before. `labels` are those
/// of an enum.
#[must_use]
pub fn for_stated_type(pg_type: &PgType, labels: Option<&[String]>, options: &TypeOptions) -> Vec<Trial> {
    if let Some(labels) = labels {
        return trials(vec![Conversion::Label { labels: labels.to_vec() }], false);
    }
    let list = match pg_type {
        PgType::Bool => vec![Conversion::Bool],
        PgType::Int2 => vec![Conversion::Int { bytes: 2 }, Conversion::Whole { bytes: 2 }],
        PgType::Int4 => vec![Conversion::Int { bytes: 4 }, Conversion::Whole { bytes: 4 }],
        PgType::Int8 => vec![INT8, Conversion::Whole { bytes: 8 }],
        PgType::Float4 => vec![Conversion::Float4],
        PgType::Float8 => vec![Conversion::Float8],
        PgType::Numeric(limit) => {
            vec![Conversion::Numeric { limit: *limit, text: false }, Conversion::Numeric { limit: *limit, text: true }]
        }
        PgType::Text | PgType::TextLike(_) => vec![TEXT, ANY_TEXT],
        PgType::Varchar(n) | PgType::Char(n) => {
            [false, true].map(|numbers| Conversion::Text { numbers, chars_max: Some(*n) }).into()
        }
        PgType::Bytea => vec![BYTES, ANY_BYTES],
        PgType::Uuid => UUIDS.into_iter().chain([UuidSpelling::Any]).map(Conversion::Uuid).collect(),
        PgType::Array(element) => vec![Conversion::Array { element: *element, split: None }],
        PgType::Cast(CastType { habit: CastHabit::Interval, .. }) => {
            vec![Conversion::Cast { numbers: false, split: None, zone: None }]
        }
        PgType::Cast(_) => {
            let zone = cast_zone(options);
            [false, true].map(|numbers| Conversion::Cast { numbers, split: None, zone: zone.clone() }).into()
        }
        PgType::Json => vec![Conversion::Json],
        PgType::Jsonb => vec![Conversion::Jsonb { scalars: true }],
        PgType::Date => vec![Conversion::Date],
        PgType::Time => vec![Conversion::Time],
        PgType::Timestamp | PgType::TimestampTz => existing_moments(*pg_type == PgType::TimestampTz, options),
    };
    trials(list, matches!(pg_type, PgType::Text))
}

/// The zone in which PostgreSQL reads texts that it casts, where that is not UTC.
#[must_use]
pub fn cast_zone(options: &TypeOptions) -> Option<String> {
    match &options.assume_tz {
        Some(Naive::Zone(name)) => Some(name.clone()),
        _ => None,
    }
}

fn existing_moments(target_has_zone: bool, options: &TypeOptions) -> Vec<Conversion> {
    let assumed = options.assume_tz.clone().unwrap_or(Naive::Utc);
    let mut list: Vec<Conversion> = [Naive::Refuse, assumed]
        .map(|naive| Conversion::Moment {
            form: MomentForm::Text { dates: true },
            naive,
            target_has_zone,
            spelled: None,
            digits: 6,
        })
        .into();
    let numbers = EPOCHS.map(MomentForm::Epoch).into_iter().chain([MomentForm::JulianDay]);
    list.extend(numbers.map(|form| Conversion::Moment {
        form,
        naive: Naive::Refuse,
        target_has_zone,
        spelled: None,
        digits: 6,
    }));
    list
}

fn trials(list: Vec<Conversion>, stand_ins: bool) -> Vec<Trial> {
    let mut trials: Vec<Trial> = Vec::with_capacity(list.len());
    for conversion in list {
        if trials.iter().all(|t| t.conversion != conversion) {
            trials.push(Trial::new(conversion, stand_ins));
        }
    }
    trials
}

/// `(p,s)` or `(p)` of a declared type, where PostgreSQL 12 and newer takes it too.
fn limit_of(declared: &str) -> Option<(u16, u16)> {
    let inside = declared.split_once('(')?.1.split_once(')')?.0;
    let mut numbers = inside.split(',').map(|n| n.trim().parse::<u16>());
    let precision = numbers.next()?.ok()?;
    let scale = numbers.next().unwrap_or(Ok(0)).ok()?;
    (numbers.next().is_none() && (1..=1000).contains(&precision) && scale <= precision).then_some((precision, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declared_limit_is_read_only_where_postgres_takes_it() {
        assert_eq!(limit_of("DECIMAL(10,2)"), Some((10, 2)));
        assert_eq!(limit_of("NUMERIC( 8 )"), Some((8, 0)));
        for odd in ["DECIMAL", "DECIMAL()", "DECIMAL(2,5)", "DECIMAL(9999)", "DECIMAL(1,2,3)", "DECIMAL(x)"] {
            assert_eq!(limit_of(odd), None, "{odd}");
        }
    }

    #[test]
    fn an_empty_column_takes_its_declared_type() {
        let of = |declared| Hint::of(declared).without_values(&TypeOptions::default()).pg_type().to_string();
        for (declared, want) in [
            ("INTEGER", "bigint"),
            ("int unsigned", "bigint"),
            ("REAL", "double precision"),
            ("VARCHAR(20)", "text"),
            ("DECIMAL(10,2)", "numeric(10,2)"),
            ("DATETIME", "timestamptz"),
            ("date", "date"),
            ("TIME", "time"),
            ("BOOLEAN", "boolean"),
            ("uuid", "uuid"),
            ("JSON", "jsonb"),
            ("BLOB", "bytea"),
            ("STRING", "text"),
        ] {
            assert_eq!(of(declared), want, "{declared}");
        }
    }

    #[test]
    fn the_last_rule_takes_everything_and_keys_are_never_normalised() {
        for declared in ["", "INTEGER", "JSON", "DATETIME"] {
            let list = for_new_column(declared, true, &TypeOptions::default());
            assert_eq!(list.last().map(|t| t.conversion.clone()), Some(ANY_BYTES));
            assert!(!list.iter().any(|t| matches!(t.conversion, Conversion::Jsonb { .. })), "{declared}");
        }
    }
}
