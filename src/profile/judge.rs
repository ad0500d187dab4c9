//! Tries every rule on every cell that is shown, and remembers the first cell that each did not take.

use crate::error::Result;
use crate::model::affinity::Affinity;
use crate::model::candidates::Hint;
use crate::model::cell::{Cell, Class};
use crate::model::conversion::{Conversion, EpochUnit, Fit, Misfit, MomentForm, UuidSpelling};
use crate::model::profile::{ColumnProfile, Failure, Marks, Trials};
use crate::transform::Compiled;
use crate::transform::moment::spelling;

/// The judge of one column.
pub struct Judge {
    profile: ColumnProfile,
    compiled: Vec<Compiled>,
    /// Positions of the trials that took every cell so far.
    alive: Vec<usize>,
    counts_misfits: bool,
    hint: Hint,
    /// The `n` of a declared `VARCHAR(n)`, in characters.
    chars_max: usize,
    scratch: Vec<u8>,
}

impl Judge {
    /// A judge that tries these rules.
    pub fn new(declared: &str, trials: Trials) -> Result<Self> {
        let Trials { rules, counts_misfits } = trials;
        let compiled = rules.iter().map(|t| Compiled::new(&t.conversion)).collect::<Result<_>>()?;
        let alive = (0..rules.len()).filter(|&i| rules[i].failure.is_none()).collect();
        Ok(Self {
            profile: ColumnProfile {
                classes: [0; 5],
                only_zero_one: true,
                keep_values: false,
                trials: rules,
                marks: Marks::default(),
            },
            compiled,
            alive,
            counts_misfits,
            hint: Hint::of(declared),
            chars_max: chars_max(declared).unwrap_or(usize::MAX),
            scratch: Vec::new(),
        })
    }

    /// Looks at one cell of the row with this key.
    pub fn see(&mut self, key: i64, cell: Cell<'_>) {
        self.profile.classes[cell.class() as usize] += 1;
        if cell == Cell::Null {
            return;
        }
        self.profile.only_zero_one &= matches!(cell, Cell::Integer(0 | 1));
        self.mark(cell);
        let Self { profile, compiled, alive, counts_misfits, hint, scratch, .. } = self;
        let mut cleanness = None;
        alive.retain(|&i| {
            let trial = &mut profile.trials[i];
            learn_spelling(&mut trial.conversion, &mut compiled[i], cell);
            let verdict = if is_plausible(&trial.conversion, cell, *hint) {
                fit(&trial.conversion, &mut compiled[i], cell, scratch, &mut cleanness)
            } else {
                Err(Misfit::NotTime)
            };
            let failure = match verdict {
                Ok(Fit::StandIn) if !trial.stand_ins => Failure { key, misfit: None },
                Ok(fit) => {
                    match fit {
                        Fit::Exact => {}
                        Fit::Rewritten(rule) => trial.rewrites |= 1 << rule as u32,
                        Fit::StandIn => trial.stood_in = true,
                    }
                    return true;
                }
                Err(misfit) => Failure { key, misfit: Some(misfit) },
            };
            trial.misfits += 1;
            trial.failure.get_or_insert(failure);
            *counts_misfits
        });
        if let (Some(false), Cell::Text(text)) = (cleanness, cell) {
            profile.marks.nul += u64::from(memchr::memchr(0, text).is_some());
            profile.marks.bad_utf8 += u64::from(std::str::from_utf8(text).is_err());
        }
    }

    fn mark(&mut self, cell: Cell<'_>) {
        let marks = &mut self.profile.marks;
        marks.bytes += cell.bytes() as u64;
        match cell {
            Cell::Integer(n) => marks.beyond_32_bits += u64::from(i32::try_from(n).is_err()),
            // A character is a byte at least, so that few texts have to be counted out.
            Cell::Text(text) if text.len() > self.chars_max => {
                marks.too_long += u64::from(characters(text) > self.chars_max);
            }
            _ => {}
        }
    }

    /// What was seen.
    #[must_use]
    pub fn finish(self) -> ColumnProfile {
        self.profile
    }
}

// Bytes that begin a character.
fn characters(text: &[u8]) -> usize {
    text.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
}

fn chars_max(declared: &str) -> Option<usize> {
    let inside = declared.split_once('(')?.1.split_once(')')?.0;
    inside.trim().parse().ok().filter(|n| Affinity::of(declared) == Affinity::Text && *n > 0)
}

/// The first text of a key's moments says how all of them must be spelled.
fn learn_spelling(conversion: &mut Conversion, compiled: &mut Compiled, cell: Cell<'_>) {
    let (Conversion::Moment { spelled: Some(spelled), .. }, Cell::Text(text)) = (&mut *conversion, cell) else {
        return;
    };
    if let Some(learned) = spelling(text).filter(|_| spelled.is_empty()) {
        *spelled = learned;
        // The rule was sound before, and any spelling is.
        if let Ok(learned) = Compiled::new(conversion) {
            *compiled = learned;
        }
    }
}

/// As the load would decide, but without writing out what only its class or cleanness decides: a profile
/// of large cells copies none of them.
fn fit(
    conversion: &Conversion,
    compiled: &mut Compiled,
    cell: Cell<'_>,
    scratch: &mut Vec<u8>,
    cleanness: &mut Option<bool>,
) -> Result<Fit, Misfit> {
    match (conversion, cell) {
        (Conversion::Bytea { all_classes }, _) => {
            if *all_classes || cell.class() == Class::Blob {
                Ok(Fit::Exact)
            } else {
                Err(Misfit::Class)
            }
        }
        (Conversion::Text { chars_max: None, .. }, Cell::Text(bytes)) => {
            let clean = *cleanness
                .get_or_insert_with(|| memchr::memchr(0, bytes).is_none() && std::str::from_utf8(bytes).is_ok());
            Ok(if clean { Fit::Exact } else { Fit::StandIn })
        }
        (
            Conversion::Text { .. } | Conversion::Uuid(_) | Conversion::Id { .. } | Conversion::Jsonb { .. },
            Cell::Blob(_),
        ) => Err(Misfit::Class),
        _ => {
            scratch.clear();
            compiled.write(cell, scratch)
        }
    }
}

/// Beyond what a rule accepts, what it may be inferred from: a number counts as a time only within the years
/// 1973 to 2100 of its unit (0 stands for "never" in many apps and is no evidence either way), and 32 hex
/// digits count as a uuid only with the version and variant bits of RFC 9562, unless the type says uuid.
fn is_plausible(conversion: &Conversion, cell: Cell<'_>, hint: Hint) -> bool {
    match (conversion, cell) {
        (Conversion::Moment { form: MomentForm::Epoch(unit), .. }, Cell::Integer(n)) => {
            n == 0 || within(n as f64, *unit)
        }
        (Conversion::Moment { form: MomentForm::Epoch(unit), .. }, Cell::Real(n)) => n == 0.0 || within(n, *unit),
        (Conversion::Moment { form: MomentForm::JulianDay, .. }, Cell::Integer(n)) => in_julian_days(n as f64),
        (Conversion::Moment { form: MomentForm::JulianDay, .. }, Cell::Real(n)) => in_julian_days(n),
        (Conversion::Uuid(UuidSpelling::Hex | UuidSpelling::HexUpper), Cell::Text(text)) => {
            hint.says_uuid() || has_version_bits(text)
        }
        _ => true,
    }
}

fn within(n: f64, unit: EpochUnit) -> bool {
    let scale = match unit {
        EpochUnit::Seconds => 1.0,
        EpochUnit::Millis => 1e3,
        EpochUnit::Micros => 1e6,
        EpochUnit::Nanos => 1e9,
    };
    (1.0e8 * scale..4.2e9 * scale).contains(&n)
}

fn in_julian_days(n: f64) -> bool {
    // 1900-01-01 to 2200-01-01.
    (2_415_020.5..2_524_593.5).contains(&n)
}

fn has_version_bits(text: &[u8]) -> bool {
    let (Some(version), Some(variant)) = (text.get(12), text.get(16)) else { return false };
    (b'1'..=b'8').contains(version) && matches!(variant, b'8' | b'9' | b'a' | b'b' | b'A' | b'B')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::candidates::{TypeOptions, for_new_column};
    use crate::model::conversion::Conversion;

    fn first_alive(declared: &str, cells: &[Cell<'_>]) -> String {
        let rules = for_new_column(declared, false, &TypeOptions::default());
        let trials = Trials { rules, counts_misfits: false };
        let mut judge = Judge::new(declared, trials).unwrap();
        for (key, cell) in cells.iter().enumerate() {
            judge.see(key as i64, *cell);
        }
        let profile = judge.finish();
        let trial = profile.trials.iter().find(|t| t.failure.is_none()).expect("the last rule takes all");
        match &trial.conversion {
            Conversion::Moment { form, .. } => format!("{form:?}"),
            other => other.pg_type().to_string(),
        }
    }

    #[test]
    fn what_a_target_may_stumble_over_is_counted() {
        let marks = |declared: &str, cells: &[Cell<'_>]| {
            let rules = for_new_column(declared, false, &TypeOptions::default());
            let mut judge = Judge::new(declared, Trials { rules, counts_misfits: false }).unwrap();
            for cell in cells {
                judge.see(1, *cell);
            }
            judge.finish().marks
        };
        let text = |t: &'static [u8]| Cell::Text(t);
        let found =
            marks("VARCHAR( 3 )", &[text("äöü".as_bytes()), text(b"abcd"), text(b"a\0"), text(b"\xff\0"), Cell::Null]);
        assert_eq!(found, Marks { bytes: 14, nul: 2, bad_utf8: 1, beyond_32_bits: 0, too_long: 1 });
        let wide = [i64::from(i32::MIN), i64::from(i32::MAX) + 1, i64::from(i32::MIN) - 1].map(Cell::Integer);
        assert_eq!(marks("INT(3)", &wide), Marks { bytes: 24, beyond_32_bits: 2, ..Marks::default() });
        assert_eq!(marks("TEXT", &[text(b"any length"), text(b"at all")]).too_long, 0);
    }

    #[test]
    fn the_rows_decide_the_type_and_the_declared_type_is_a_hint() {
        let text = |t: &'static str| Cell::Text(t.as_bytes());
        for (declared, cells, want) in [
            ("INTEGER", vec![Cell::Integer(1), Cell::Integer(i64::MIN)], "bigint"),
            ("INTEGER", vec![Cell::Integer(1), Cell::Real(1.5)], "double precision"),
            ("INTEGER", vec![Cell::Integer((1 << 53) + 1), Cell::Real(1.5)], "numeric"),
            ("INTEGER", vec![Cell::Integer(1), text("toto")], "text"),
            ("TEXT", vec![text("a"), Cell::Blob(b"b")], "bytea"),
            ("TEXT", vec![Cell::Blob(b"b")], "bytea"),
            ("BLOB", vec![text("abc")], "text"),
            ("BLOB", vec![text("a\0c")], "bytea"),
            ("TEXT", vec![text("a\0c")], "text"),
            ("BOOLEAN", vec![Cell::Integer(0), text("true")], "boolean"),
            ("BOOLEAN", vec![Cell::Integer(2)], "bigint"),
            ("DECIMAL(10,2)", vec![Cell::Real(0.99), Cell::Integer(7)], "numeric(10,2)"),
            ("DECIMAL(10,2)", vec![Cell::Real(0.999)], "numeric"),
            ("DECIMAL(10,2)", vec![Cell::Real(f64::INFINITY)], "double precision"),
            ("DATETIME", vec![Cell::Integer(1_600_000_000_000), Cell::Integer(0)], "Epoch(Millis)"),
            ("DATETIME", vec![Cell::Integer(12)], "bigint"),
            ("TEXT", vec![text(r#"{"a":1}"#), text("[]")], "jsonb"),
            ("TEXT", vec![text("12")], "text"),
            ("TEXT", vec![text("2024-01-02")], "date"),
            ("", vec![Cell::Integer(1), text("x"), Cell::Blob(b"")], "bytea"),
        ] {
            assert_eq!(first_alive(declared, &cells), want, "{declared} {cells:?}");
        }
    }
}
