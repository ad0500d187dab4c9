//! The envelope of a binary COPY out: header, rows, fields, trailer.

use crate::error::{Error, Kind, Result};

const SIGNATURE: &[u8; 11] = b"PGCOPY\n\xff\r\n\0";

/// Cuts pieces into rows. The server sends a row a piece, but the protocol does not promise it: what is left of a
/// row waits for the next piece.
#[derive(Debug, Default)]
pub struct Rows {
    waiting: Vec<u8>,
    is_begun: bool,
    is_ended: bool,
}

/// The fields of one row, in order.
#[derive(Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
    left: u16,
}

impl Rows {
    /// Hands each whole row of what came so far to `row`.
    pub fn feed(&mut self, piece: &[u8], mut row: impl FnMut(Fields<'_>) -> Result<()>) -> Result<()> {
        if self.waiting.is_empty() {
            let taken = self.take(piece, &mut row)?;
            self.waiting.extend_from_slice(&piece[taken..]);
            return Ok(());
        }
        let mut joined = std::mem::take(&mut self.waiting);
        joined.extend_from_slice(piece);
        let taken = self.take(&joined, &mut row)?;
        joined.drain(..taken);
        self.waiting = joined;
        Ok(())
    }

    /// Fails where the stream broke off before its trailer.
    pub fn finish(&self) -> Result<()> {
        if self.is_ended && self.waiting.is_empty() {
            return Ok(());
        }
        Err(malformed("ends before its trailer"))
    }

    // Returns how many bytes were taken.
    fn take(&mut self, bytes: &[u8], row: &mut impl FnMut(Fields<'_>) -> Result<()>) -> Result<usize> {
        let mut at = 0;
        if !self.is_begun {
            let Some(header) = bytes.get(..19) else { return Ok(0) };
            // Flags: bit 16 would say that OIDs are included, which no supported version does.
            if header[..11] != *SIGNATURE || header[11..19] != [0; 8] {
                return Err(malformed("begins with another header"));
            }
            self.is_begun = true;
            at = 19;
        }
        while !self.is_ended {
            let Some(&[a, b]) = bytes.get(at..at + 2) else { return Ok(at) };
            let count = i16::from_be_bytes([a, b]);
            let Ok(left) = u16::try_from(count) else {
                self.is_ended = true;
                return if count == -1 { Ok(at + 2) } else { Err(malformed("has a row of a negative width")) };
            };
            let Some(length) = row_length(&bytes[at + 2..], left) else { return Ok(at) };
            row(Fields { rest: &bytes[at + 2..at + 2 + length], left })?;
            at += 2 + length;
        }
        if at < bytes.len() { Err(malformed("goes on after its trailer")) } else { Ok(at) }
    }
}

// The bytes of a row's fields; none where they are not all there.
#[inline]
fn row_length(bytes: &[u8], fields: u16) -> Option<usize> {
    let mut at = 0;
    for _ in 0..fields {
        let length = i32::from_be_bytes(bytes.get(at..at + 4)?.try_into().expect("four bytes"));
        at += 4 + usize::try_from(length).unwrap_or(0);
    }
    (at <= bytes.len()).then_some(at)
}

impl<'a> Fields<'a> {
    /// The fields of a row whose bytes were kept; none where they are not as many as that, and whole.
    #[must_use]
    pub fn of(row: &'a [u8], fields: u16) -> Option<Self> {
        (row_length(row, fields)? == row.len()).then_some(Self { rest: row, left: fields })
    }

    /// The bytes of the fields that were not taken yet.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.rest
    }

    /// The next field, where there is one: its bytes, or none for NULL.
    #[inline]
    #[allow(clippy::should_implement_trait, reason = "called in step with the columns, never in a chain")]
    pub fn next(&mut self) -> Option<Option<&'a [u8]>> {
        self.left = self.left.checked_sub(1)?;
        let (length, rest) = self.rest.split_first_chunk::<4>().expect("the row was measured");
        let Ok(length) = usize::try_from(i32::from_be_bytes(*length)) else {
            self.rest = rest;
            return Some(None);
        };
        let (field, rest) = rest.split_at(length);
        self.rest = rest;
        Some(Some(field))
    }
}

#[cold]
fn malformed(what: &str) -> Error {
    Error::new(Kind::Bug, format!("a binary COPY of the server {what}"))
        .hint("a proxy that does not pass COPY on? otherwise this is a fault of lite2pg; please report it")
}

#[cfg(test)]
mod tests {
    use super::*;

    // Two rows (1, NULL) and ('ab') in one stream.
    fn stream() -> Vec<u8> {
        let mut bytes = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0".to_vec();
        bytes.extend_from_slice(b"\0\x02\0\0\0\x011\xff\xff\xff\xff");
        bytes.extend_from_slice(b"\0\x01\0\0\0\x02ab");
        bytes.extend_from_slice(b"\xff\xff");
        bytes
    }

    fn read(pieces: &[&[u8]]) -> Result<Vec<Vec<Option<Vec<u8>>>>> {
        let mut rows = Rows::default();
        let mut found = Vec::new();
        for piece in pieces {
            rows.feed(piece, |mut fields| {
                let mut row = Vec::new();
                while let Some(field) = fields.next() {
                    row.push(field.map(<[u8]>::to_vec));
                }
                found.push(row);
                Ok(())
            })?;
        }
        rows.finish().map(|()| found)
    }

    #[test]
    fn rows_are_the_same_however_the_stream_is_cut() {
        let stream = stream();
        let whole = read(&[&stream]).expect("well-formed");
        assert_eq!(whole, [vec![Some(b"1".to_vec()), None], vec![Some(b"ab".to_vec())]]);
        for cut in 0..stream.len() {
            assert_eq!(read(&[&stream[..cut], &stream[cut..]]).expect("well-formed"), whole, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(read(&bytes).expect("well-formed"), whole);
    }

    #[test]
    fn a_stream_that_breaks_off_is_an_error() {
        let stream = stream();
        for cut in 0..stream.len() {
            assert_eq!(read(&[&stream[..cut]]).expect_err("too short").kind(), Kind::Bug, "cut at {cut}");
        }
        assert!(read(&[&stream, b"more"]).is_err());
        assert!(read(&[b"something else altogether"]).is_err());
    }
}
