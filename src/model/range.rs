//! Ranges of keys: the unit of work, of a transaction, and of a checkpoint.

use serde::{Deserialize, Serialize};

/// The integer keys from `lo` to `hi`, both included; `None` is open. Open ends also take keys that are
/// no integers: SQLite sorts NULL before and text and blobs after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Range {
    /// Smallest key.
    pub lo: Option<i64>,
    /// Largest key.
    pub hi: Option<i64>,
}

impl Range {
    /// All keys.
    pub const ALL: Self = Self { lo: None, hi: None };

    /// Whether these ranges hold every key exactly once.
    #[must_use]
    pub fn tile_all(ranges: &[Self]) -> bool {
        let mut ends: Vec<(i128, i128)> = ranges.iter().map(|r| r.wide()).collect();
        ends.sort_unstable();
        let all = Self::ALL.wide();
        ends.first().is_some_and(|(lo, _)| *lo == all.0)
            && ends.last().is_some_and(|(_, hi)| *hi == all.1)
            && ends.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0)
    }

    /// The keys that both hold; `None` without any.
    #[must_use]
    pub fn and(self, other: Self) -> Option<Self> {
        let ((a, b), (c, d)) = (self.wide(), other.wide());
        Self::narrow(a.max(c), b.min(d))
    }

    /// What of `self` is left when every range of `done` is taken away, in key order.
    #[must_use]
    pub fn minus(self, done: &[Self]) -> Vec<Self> {
        let mut done: Vec<(i128, i128)> = done.iter().map(|r| r.wide()).collect();
        done.sort_unstable();
        let (mut next, end) = self.wide();
        let mut left = Vec::new();
        for (lo, hi) in done {
            left.extend(Self::narrow(next, (lo - 1).min(end)));
            next = next.max(hi + 1);
            if next > end {
                return left;
            }
        }
        left.extend(Self::narrow(next, end));
        left
    }

    /// Cuts `self` where equal parts of the keys between `min` and `max` meet, into at most `parts` ranges;
    /// together they are `self`.
    #[must_use]
    pub fn split(self, min: i64, max: i64, parts: u32) -> Vec<Self> {
        let (min, max) = (self.lo.unwrap_or(min).max(min), self.hi.unwrap_or(max).min(max));
        let width = i128::from(max) - i128::from(min) + 1;
        let parts = i128::from(parts.max(1)).min(width.max(1));
        if parts <= 1 || max < min {
            return vec![self];
        }
        let cut = |i: i128| i128::from(min) + width * i / parts;
        (0..parts)
            .filter_map(|i| {
                let (lo, hi) = self.wide();
                Self::narrow(if i == 0 { lo } else { cut(i) }, if i == parts - 1 { hi } else { cut(i + 1) - 1 })
            })
            .collect()
    }

    // Open ends lie one beyond i64, so that the arithmetic needs no cases.
    fn wide(self) -> (i128, i128) {
        (self.lo.map_or(i128::from(i64::MIN) - 1, i128::from), self.hi.map_or(i128::from(i64::MAX) + 1, i128::from))
    }

    // None where no integer key lies between the two.
    fn narrow(lo: i128, hi: i128) -> Option<Self> {
        let empty = lo > hi || hi < i128::from(i64::MIN) || lo > i128::from(i64::MAX);
        (!empty).then(|| Self { lo: i64::try_from(lo).ok(), hi: i64::try_from(hi).ok() })
    }
}

#[cfg(test)]
mod tests {
    use super::Range;

    const fn r(lo: Option<i64>, hi: Option<i64>) -> Range {
        Range { lo, hi }
    }

    #[test]
    fn what_is_left_of_a_range_is_everything_that_was_not_done() {
        assert_eq!(Range::ALL.minus(&[]), [Range::ALL]);
        assert_eq!(Range::ALL.minus(&[Range::ALL]), []);
        assert_eq!(
            Range::ALL.minus(&[r(Some(10), Some(19)), r(None, Some(4))]),
            [r(Some(5), Some(9)), r(Some(20), None)]
        );
        assert_eq!(Range::ALL.minus(&[r(Some(i64::MIN), Some(i64::MAX))]), []);
        assert_eq!(r(Some(1), Some(5)).minus(&[r(Some(3), Some(9))]), [r(Some(1), Some(2))]);
    }

    #[test]
    fn ranges_tile_all_keys_only_without_gap_and_overlap() {
        assert!(Range::tile_all(&[Range::ALL]));
        assert!(Range::tile_all(&[r(Some(5), None), r(None, Some(4))]));
        for torn in [vec![], vec![r(None, Some(4))], vec![r(None, Some(4)), r(Some(6), None)]] {
            assert!(!Range::tile_all(&torn), "{torn:?}");
        }
        assert!(!Range::tile_all(&[r(None, Some(5)), r(Some(5), None)]));
        assert!(!Range::tile_all(&[Range::ALL, Range::ALL]));
    }

    #[test]
    fn what_two_ranges_share_is_in_both() {
        assert_eq!(Range::ALL.and(r(Some(1), None)), Some(r(Some(1), None)));
        assert_eq!(r(None, Some(5)).and(r(Some(3), Some(9))), Some(r(Some(3), Some(5))));
        assert_eq!(r(None, Some(5)).and(r(Some(6), None)), None);
    }

    #[test]
    fn a_split_range_covers_the_same_keys_without_overlap() {
        let parts = Range::ALL.split(1, 100, 3);
        assert_eq!(parts, [r(None, Some(33)), r(Some(34), Some(66)), r(Some(67), None)]);
        // The keys that are known may reach beyond the range that is cut.
        assert_eq!(r(Some(1), Some(10)).split(1, 1000, 2), [r(Some(1), Some(5)), r(Some(6), Some(10))]);
        let extremes = Range::ALL.split(i64::MIN, i64::MAX, 4);
        assert_eq!(extremes.len(), 4);
        assert!(Range::ALL.minus(&extremes).is_empty());
        assert_eq!(Range::ALL.split(7, 7, 9), [Range::ALL]);
        assert_eq!(Range::ALL.split(5, 3, 9), [Range::ALL]);
    }
}
