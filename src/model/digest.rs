//! Digests of rows and of sets of rows: values that add up, in whatever order the rows came.

use serde::{Deserialize, Serialize};

/// The BLAKE3 of a row's canonical form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowDigest(pub [u8; 32]);

/// A multiset of rows: how many, and the sums of their digests taken as four numbers, each modulo 2⁶⁴.
///
/// Sums, not XOR: under XOR a row that is there twice is as good as none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SetDigest {
    /// Rows.
    pub rows: u64,
    /// The sums.
    pub sums: [u64; 4],
}

impl SetDigest {
    /// Puts a row in.
    #[inline]
    pub fn add(&mut self, row: &RowDigest) {
        self.rows += 1;
        for (sum, lane) in self.sums.iter_mut().zip(row.0.chunks_exact(8)) {
            let lane = u64::from_be_bytes(lane.try_into().expect("chunks of eight"));
            *sum = sum.wrapping_add(lane);
        }
    }

    /// Takes a row out that is in.
    pub fn take(&mut self, row: &RowDigest) {
        self.rows = self.rows.wrapping_sub(1);
        for (sum, lane) in self.sums.iter_mut().zip(row.0.chunks_exact(8)) {
            let lane = u64::from_be_bytes(lane.try_into().expect("chunks of eight"));
            *sum = sum.wrapping_sub(lane);
        }
    }

    /// Puts all rows of another set in.
    #[inline]
    pub fn merge(&mut self, other: &Self) {
        self.rows += other.rows;
        for (sum, more) in self.sums.iter_mut().zip(other.sums) {
            *sum = sum.wrapping_add(more);
        }
    }

    /// The forty bytes that are stored: rows and sums, big-endian.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 40] {
        let mut bytes = [0; 40];
        let numbers = [self.rows].into_iter().chain(self.sums);
        for (place, number) in bytes.chunks_exact_mut(8).zip(numbers) {
            place.copy_from_slice(&number.to_be_bytes());
        }
        bytes
    }

    /// Reads what [`SetDigest::to_bytes`] wrote; `None` for another length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 40] = bytes.try_into().ok()?;
        let number = |i: usize| u64::from_be_bytes(bytes[i * 8..][..8].try_into().expect("eight bytes"));
        Some(Self { rows: number(0), sums: [number(1), number(2), number(3), number(4)] })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(n: u8) -> RowDigest {
        RowDigest(*blake3::hash(&[n]).as_bytes())
    }

    fn set(rows: &[u8]) -> SetDigest {
        let mut set = SetDigest::default();
        for &n in rows {
            set.add(&row(n));
        }
        set
    }

    #[test]
    fn order_does_not_matter_and_parts_add_up() {
        let mut parts = set(&[3, 1]);
        parts.merge(&set(&[2]));
        assert_eq!(parts, set(&[1, 2, 3]));
    }

    #[test]
    fn pairs_do_not_cancel_each_other() {
        assert_ne!(set(&[9, 9]), set(&[7, 7]));
        assert_ne!(set(&[9, 9]).sums, set(&[]).sums);
    }

    #[test]
    fn a_row_that_is_taken_out_leaves_no_trace() {
        let mut three = set(&[1, 2, 3]);
        three.take(&row(2));
        assert_eq!(three, set(&[3, 1]));
    }

    #[test]
    fn bytes_come_back_as_they_went() {
        let digest = set(&[1, 2, 3]);
        assert_eq!(SetDigest::from_bytes(&digest.to_bytes()), Some(digest));
        assert_eq!(SetDigest::from_bytes(&[0; 39]), None);
    }
}
