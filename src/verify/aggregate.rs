//! Which figures are asked of a column: those that plain SQL states exactly on both sides for what its rule takes.
//!
//! Knows neither database's SQL, and no code that reads cells: the databases' own functions do.

use crate::model::aggregate::{End, Measure};
use crate::model::conversion::{Conversion, MomentForm, Naive, UuidSpelling};
use crate::model::pg_type::PgType;
use crate::model::plan::ColumnPlan;

/// The measures of a column. A source in UTF-16 counts other bytes than the target does.
#[must_use]
pub fn measures(column: &ColumnPlan, is_utf16: bool) -> Vec<Measure> {
    let mut all = vec![Measure::Values];
    let ends = |of: fn(End) -> Measure| End::BOTH.map(of);
    match &column.conversion {
        Conversion::Bool => all.push(Measure::True),
        Conversion::Int { .. } => {
            all.push(Measure::Sum);
            all.extend(ends(Measure::Integer));
        }
        Conversion::Float8 | Conversion::Float4 | Conversion::Numeric { .. } => all.extend(ends(Measure::Number)),
        Conversion::Text { .. } | Conversion::Label { .. } | Conversion::Json => all.push(match column.pg_type {
            PgType::Char(_) => Measure::CharsTrimmed,
            _ if is_utf16 => Measure::Chars,
            _ => Measure::Bytes,
        }),
        Conversion::Bytea { all_classes } if !(is_utf16 && *all_classes) => all.push(Measure::Bytes),
        // Only within one spelling is the order of texts that of uuids.
        Conversion::Uuid(spelling) if *spelling != UuidSpelling::Any => all.extend(ends(Measure::Uuid)),
        Conversion::Jsonb { .. } => all.push(Measure::Objects),
        Conversion::Date => all.extend(ends(Measure::Date)),
        Conversion::Time => all.extend(ends(Measure::Time)),
        Conversion::Moment { form, naive, target_has_zone, .. } => all.extend(moments(*form, naive, *target_has_zone)),
        // Of numbers in several classes SQLite makes no sum that is exact.
        Conversion::Bytea { .. }
        | Conversion::Uuid(_)
        | Conversion::Id { .. }
        | Conversion::Cast { .. }
        | Conversion::Array { .. }
        | Conversion::Whole { .. } => {}
    }
    all
}

fn moments(form: MomentForm, naive: &Naive, target_has_zone: bool) -> Vec<Measure> {
    match form {
        // SQLite knows no zones by name.
        MomentForm::Text { .. } if target_has_zone && matches!(naive, Naive::Zone(_)) => Vec::new(),
        MomentForm::Text { .. } => {
            End::BOTH.map(|end| Measure::Second { end, is_instant: target_has_zone || *naive == Naive::Utc }).to_vec()
        }
        MomentForm::Epoch(unit) => End::BOTH.map(|end| Measure::Micro(end, unit)).to_vec(),
        // A double's fraction of a day is no whole number of microseconds, and SQL does not say which one is nearest.
        MomentForm::JulianDay => Vec::new(),
    }
}
