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

/// Blocks of one of BLAKE3's chunks.
const CHUNK_BLOCKS: usize = 16;
const CHUNK_BYTES: usize = CHUNK_BLOCKS * BLOCK_BYTES;

/// Blocks of the longest form that is hashed so: two chunks and the node above them. A longer one has more to do side by side
/// by itself.
const BLOCKS_MAX: usize = 2 * CHUNK_BLOCKS;

// The chaining value that a hash without a key begins with, and the domain flags of a chunk's first and last block:
// section 2 of the BLAKE3 specification.
const IV: [u32; 8] =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];
const CHUNK_START: u8 = 1;
const CHUNK_END: u8 = 2;
const PARENT: u8 = 4;
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

    // Hashes the forms of so many blocks that wait.
    fn hash(&mut self, blocks: usize) {
        let waiting = &mut self.waiting[blocks - 1];
        let rows = std::mem::take(&mut waiting.rows);
        if rows == 0 {
            return;
        }
        let forms = &waiting.forms[..rows];
        let side = Side { platform: self.platform, forms };
        let digests = if blocks <= CHUNK_BLOCKS {
            side.chunks(0, 0, blocks, ROOT)
        } else {
            let left = side.chunks(0, 0, CHUNK_BLOCKS, 0);
            let right = side.chunks(CHUNK_BYTES, 1, blocks - CHUNK_BLOCKS, 0);
            side.parents(&left, &right)
        };
        for digest in &digests[..rows] {
            self.set.add(&RowDigest(*digest));
        }
    }
}

/// Forms of one length, for the hashing of the same part of each.
struct Side<'a> {
    platform: Platform,
    forms: &'a [Vec<u8>],
}

impl Side<'_> {
    /// The chaining values of the chunks that begin at a byte, of so many blocks.
    fn chunks(&self, from: usize, counter: u64, blocks: usize, root: u8) -> [[u8; 32]; ROWS] {
        match blocks {
            1 => self.chunks_of::<64>(from, counter, root),
            2 => self.chunks_of::<128>(from, counter, root),
            3 => self.chunks_of::<192>(from, counter, root),
            4 => self.chunks_of::<256>(from, counter, root),
            5 => self.chunks_of::<320>(from, counter, root),
            6 => self.chunks_of::<384>(from, counter, root),
            7 => self.chunks_of::<448>(from, counter, root),
            8 => self.chunks_of::<512>(from, counter, root),
            9 => self.chunks_of::<576>(from, counter, root),
            10 => self.chunks_of::<640>(from, counter, root),
            11 => self.chunks_of::<704>(from, counter, root),
            12 => self.chunks_of::<768>(from, counter, root),
            13 => self.chunks_of::<832>(from, counter, root),
            14 => self.chunks_of::<896>(from, counter, root),
            15 => self.chunks_of::<960>(from, counter, root),
            _ => self.chunks_of::<CHUNK_BYTES>(from, counter, root),
        }
    }

    fn chunks_of<const BYTES: usize>(&self, from: usize, counter: u64, root: u8) -> [[u8; 32]; ROWS] {
        let mut inputs = [&[0; BYTES]; ROWS];
        for (input, form) in inputs.iter_mut().zip(self.forms) {
            *input = form[from..].first_chunk().expect("forms wait by their length");
        }
        self.many(&inputs, counter, (0, CHUNK_START, CHUNK_END | root))
    }

    /// The roots of trees of two chunks each.
    fn parents(&self, left: &[[u8; 32]; ROWS], right: &[[u8; 32]; ROWS]) -> [[u8; 32]; ROWS] {
        let mut nodes = [[0; BLOCK_BYTES]; ROWS];
        for (node, pair) in nodes.iter_mut().zip(left.iter().zip(right)) {
            node[..32].copy_from_slice(pair.0);
            node[32..].copy_from_slice(pair.1);
        }
        self.many(&nodes.each_ref(), 0, (PARENT | ROOT, 0, 0))
    }

    // As many as there are forms; the flags are those of every block, of the first one and of the last one.
    fn many<const BYTES: usize>(
        &self,
        inputs: &[&[u8; BYTES]; ROWS],
        counter: u64,
        (all, first, last): (u8, u8, u8),
    ) -> [[u8; 32]; ROWS] {
        let mut out = [[0; 32]; ROWS];
        let (inputs, values) = (&inputs[..self.forms.len()], out[..self.forms.len()].as_flattened_mut());
        self.platform.hash_many(inputs, &IV, counter, IncrementCounter::No, all, first, last, values);
        out
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
        for (n, bytes) in (9..2200).chain([64, 64, 128, 1024, 1025, 2048, 2049]).enumerate() {
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
        for bytes in [9, 63, 64, 65, 1024, 1025, 2048, 2049, 5000] {
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
