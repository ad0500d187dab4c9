//! What the source's own cells of a column look like, so that new ones look the same.

use super::clock::Shape;
use crate::model::bounds::SPELLINGS_MAX;
use crate::model::cell::{Cell, Class};
use crate::model::conversion::{Conversion, MomentForm};
use crate::model::plan::ColumnPlan;
use std::collections::BTreeMap;

/// The cells of one column, counted.
#[derive(Debug, Clone)]
pub struct Habit {
    spelled: Spelled,
    /// By the order of [`Class`].
    classes: [u64; 5],
    words: BTreeMap<Vec<u8>, u64>,
    shapes: BTreeMap<Shape, u64>,
}

// What of a text is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Spelled {
    Nothing,
    Words,
    Moments,
    Times,
}

const WORDS: [(&str, &str); 6] = [("t", "f"), ("true", "false"), ("y", "n"), ("yes", "no"), ("on", "off"), ("1", "0")];

impl Habit {
    /// A column of which nothing was seen.
    #[must_use]
    pub fn of(column: &ColumnPlan) -> Self {
        let spelled = match &column.conversion {
            Conversion::Bool => Spelled::Words,
            Conversion::Moment { form: MomentForm::Text { .. }, .. } => Spelled::Moments,
            Conversion::Time => Spelled::Times,
            _ => Spelled::Nothing,
        };
        Self { spelled, classes: [0; 5], words: BTreeMap::new(), shapes: BTreeMap::new() }
    }

    /// Counts a cell of the source.
    #[inline]
    pub fn see(&mut self, cell: Cell<'_>) {
        self.classes[cell.class() as usize] += 1;
        if self.spelled != Spelled::Nothing
            && let Cell::Text(text) = cell
        {
            self.spelling(text);
        }
    }

    fn spelling(&mut self, text: &[u8]) {
        let shape = match self.spelled {
            Spelled::Words if self.words.contains_key(text) || self.words.len() < SPELLINGS_MAX => {
                *self.words.entry(text.to_vec()).or_default() += 1;
                return;
            }
            Spelled::Moments => Shape::of_moment(text),
            Spelled::Times => Shape::of_time(text),
            Spelled::Words | Spelled::Nothing => None,
        };
        if let Some(shape) = shape
            && (self.shapes.contains_key(&shape) || self.shapes.len() < SPELLINGS_MAX)
        {
            *self.shapes.entry(shape).or_default() += 1;
        }
    }

    /// The class of most cells, NULL aside; none where there are no others.
    #[must_use]
    pub fn class(&self) -> Option<Class> {
        let all = [Class::Integer, Class::Real, Class::Text, Class::Blob];
        all.into_iter()
            .rev()
            .max_by_key(|class| self.classes[*class as usize])
            .filter(|c| self.classes[*c as usize] > 0)
    }

    /// The shapes of its times, the usual one first.
    #[must_use]
    pub fn shapes(&self) -> Vec<Shape> {
        let mut shapes: Vec<(Shape, u64)> = self.shapes.iter().map(|(s, n)| (*s, *n)).collect();
        shapes.sort_by_key(|(_, cells)| std::cmp::Reverse(*cells));
        shapes.into_iter().map(|(shape, _)| shape).collect()
    }

    /// The usual word for a truth; the counterpart of the other one's where it has none yet.
    #[must_use]
    pub fn word(&self, truth: bool) -> Option<Vec<u8>> {
        let usual = |of: bool| {
            let meant = self.words.iter().filter(|(word, _)| meaning(word) == Some(of));
            meant.max_by_key(|(_, cells)| **cells).map(|(word, _)| word.clone())
        };
        usual(truth).or_else(|| usual(!truth).and_then(|other| counterpart(&other, truth)))
    }
}

fn meaning(word: &[u8]) -> Option<bool> {
    let is = |w: &str| w.as_bytes().eq_ignore_ascii_case(word);
    WORDS.iter().find_map(|(yes, no)| if is(yes) { Some(true) } else { is(no).then_some(false) })
}

/// The word of the same pair and case as this one that has this meaning.
#[must_use]
pub fn counterpart(word: &[u8], truth: bool) -> Option<Vec<u8>> {
    let is = |w: &str| w.as_bytes().eq_ignore_ascii_case(word);
    let (yes, no) = WORDS.iter().find(|(yes, no)| is(yes) || is(no))?;
    let new = if truth { yes } else { no };
    let upper = |b: Option<&u8>| b.is_some_and(u8::is_ascii_uppercase);
    Some(match (upper(word.first()), upper(word.last())) {
        (true, true) => new.to_ascii_uppercase().into_bytes(),
        (true, false) => new[..1].to_ascii_uppercase().into_bytes().into_iter().chain(new.bytes().skip(1)).collect(),
        _ => new.as_bytes().to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_truth_is_said_in_the_words_and_the_case_of_the_others() {
        for (word, truth, expect) in [
            ("True", false, "False"),
            ("true", false, "false"),
            ("YES", false, "NO"),
            ("off", true, "on"),
            ("N", true, "Y"),
            ("0", true, "1"),
            ("false", false, "false"),
        ] {
            assert_eq!(counterpart(word.as_bytes(), truth).as_deref(), Some(expect.as_bytes()), "{word}");
        }
        assert_eq!(counterpart(b"maybe", true), None);
    }

    #[test]
    fn the_usual_word_wins_and_a_missing_one_follows_the_other() {
        let mut habit =
            Habit { spelled: Spelled::Words, classes: [0; 5], words: BTreeMap::new(), shapes: BTreeMap::new() };
        for word in ["yes", "yes", "T", "yes"] {
            habit.see(Cell::Text(word.as_bytes()));
        }
        assert_eq!(habit.word(true).as_deref(), Some(&b"yes"[..]));
        assert_eq!(habit.word(false).as_deref(), Some(&b"no"[..]));
        habit.see(Cell::Text(b"F"));
        assert_eq!(habit.word(false).as_deref(), Some(&b"F"[..]));
        assert_eq!(habit.class(), Some(Class::Text));
    }

    #[test]
    fn the_class_of_most_cells_is_the_columns() {
        let mut habit =
            Habit { spelled: Spelled::Nothing, classes: [0; 5], words: BTreeMap::new(), shapes: BTreeMap::new() };
        assert_eq!(habit.class(), None);
        for cell in [Cell::Null, Cell::Null, Cell::Null, Cell::Real(0.5), Cell::Text(b"x"), Cell::Text(b"y")] {
            habit.see(cell);
        }
        assert_eq!(habit.class(), Some(Class::Text));
    }
}
