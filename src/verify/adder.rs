//! Rows added up to a set's digest, many hashed at once.
//!
//! The rows of a table are short: hashed one by one, BLAKE3 has nothing to do side by side. Here rows of as many
//! blocks wait for each other, and one call of its many-input core hashes them. The result is what
//! [`Form::digest`] gives for each; `benches/README.md` has the figures.

use super::form::{BLOCK_BYTES, Form};
use crate::model::digest::{RowDigest, SetDigest};
use blake3::IncrementCounter;
use blake3::platform::Platform;

/// Rows that are hashed at once: the widest that BLAKE3's code goes.
const ROWS: usize = 16;

/// Blocks of the longest form that is hashed so. A longer one has more than one chunk, and is hashed by itself.
const BLOCKS_MAX: usize = 16;

// The chaining value that a hash without a key begins with, and the domain flags of a chunk's first and last block:
// section 2 of the BLAKE3 specification.
const IV: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
const CHUNK_START: u8 = 1;
const CHUNK_END: u8 = 2;
const ROOT: u8 = 8;

/// Adds rows up.
#[derive(Debug)]
pub struct Adder {
    platform: Platform,
    /// Forms that wait, by their number of blocks less one.
    waiting: [Waiting; BLOCKS_MAX],
    set: SetDigest,
}

/// Forms of one number of blocks, filled up with zeros. Behind them, memory of earlier ones.
#[derive(Debug, Default)]
struct Waiting {
    forms: [Vec<u8>; ROWS],
    rows: usize,
}

impl Default for Adder {
    fn default() -> Self {
        Self { platform: Platform::detect(), waiting: Default::default(), set: SetDigest::default() }
    }
}

impl Adder {
    /// Puts a row in, and leaves the form empty: it is not copied, but given other memory.
    #[inline]
    pub fn add(&mut self, form: &mut Form) {
        let blocks = form.bytes().len().div_ceil(BLOCK_BYTES).max(1);
        if blocks > BLOCKS_MAX {
            self.set.add(&form.digest());
            form.clear();
            return;
        }
        let waiting = &mut self.waiting[blocks - 1];
        form.give_to(&mut waiting.forms[waiting.rows], blocks * BLOCK_BYTES);
        waiting.rows += 1;
        if waiting.rows == ROWS {
            self.hash(blocks);
        }
    }

    /// The rows so far.
    pub fn set(&mut self) -> SetDigest {
        for blocks in 1..=BLOCKS_MAX {
            self.hash(blocks);
        }
        self.set
    }

    fn hash(&mut self, blocks: usize) {
        match blocks {
            1 => self.hash_forms::<64>(),
            2 => self.hash_forms::<128>(),
            3 => self.hash_forms::<192>(),
            4 => self.hash_forms::<256>(),
            5 => self.hash_forms::<320>(),
            6 => self.hash_forms::<384>(),
            7 => self.hash_forms::<448>(),
            8 => self.hash_forms::<512>(),
            9 => self.hash_forms::<576>(),
            10 => self.hash_forms::<640>(),
            11 => self.hash_forms::<704>(),
            12 => self.hash_forms::<768>(),
            13 => self.hash_forms::<832>(),
            14 => self.hash_forms::<896>(),
            15 => self.hash_forms::<960>(),
            _ => self.hash_forms::<1024>(),
        }
    }

    fn hash_forms<const BYTES: usize>(&mut self) {
        let waiting = &mut self.waiting[BYTES / BLOCK_BYTES - 1];
        let rows = std::mem::take(&mut waiting.rows);
        if rows == 0 {
            return;
        }
        let mut inputs = [&[0; BYTES]; ROWS];
        for (input, form) in inputs.iter_mut().zip(&waiting.forms[..rows]) {
            *input = form.first_chunk().expect("forms wait by their length");
        }
        let mut out = [0; ROWS * 32];
        let out = &mut out[..rows * 32];
        let end = CHUNK_END | ROOT;
        self.platform.hash_many(&inputs[..rows], &IV, 0, IncrementCounter::No, 0, CHUNK_START, end, out);
        for digest in out.as_chunks::<32>().0 {
            self.set.add(&RowDigest(*digest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A form of this many bytes.
    fn form(bytes: usize, seed: u64) -> Form {
        let mut form = Form::default();
        form.int(seed as i64);
        while form.bytes().len() + 1034 < bytes {
            form.text(&[b'x'; 1024]);
        }
        while form.bytes().len() < bytes {
            form.null();
        }
        form
    }

    #[test]
    fn many_rows_at_once_have_the_digests_of_each_alone() {
        let mut adder = Adder::default();
        let mut alone = SetDigest::default();
        // Lengths around every number of blocks, each a different number of times.
        for (n, bytes) in (9..2200).chain([64, 64, 128, 1024, 1025]).enumerate() {
            for copy in 0..n % 19 {
                let mut form = form(bytes, copy as u64);
                assert_eq!(form.bytes().len(), bytes);
                alone.add(&form.digest());
                adder.add(&mut form);
                assert!(form.bytes().is_empty());
            }
        }
        assert_eq!(adder.set(), alone);
        assert_eq!(adder.set(), alone, "asking twice adds nothing");
    }

    #[test]
    fn the_digest_of_a_row_is_the_plain_blake3_of_its_padded_form() {
        for bytes in [9, 63, 64, 65, 1024, 1025, 5000] {
            let form = form(bytes, 7);
            let mut padded = form.bytes().to_vec();
            padded.resize(bytes.next_multiple_of(64), 0);
            assert_eq!(form.digest().0, *blake3::hash(&padded).as_bytes());
        }
        let mut adder = Adder::default();
        adder.add(&mut Form::default());
        let mut empty = SetDigest::default();
        empty.add(&Form::default().digest());
        assert_eq!(adder.set(), empty, "a table without columns has rows all the same");
    }
}
