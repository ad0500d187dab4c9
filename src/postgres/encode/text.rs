//! Fields that are their own bytes: `text`, `bytea`, `json` (`textrecv`, `bytearecv`, `json_recv`), and `jsonb`,
//! whose text stands behind a version byte (`jsonb_recv` in `jsonb.c`).

use super::copy::{begin, end, field};
use memchr::memchr;

/// What stands in the place of a byte that the server refuses: U+FFFD.
const REPLACEMENT: &[u8] = "\u{fffd}".as_bytes();

/// Appends a `text`, `varchar`, `char`, `citext` or enum label. The bytes must be UTF-8 without a NUL.
#[inline]
pub fn text(bytes: &[u8], out: &mut Vec<u8>) {
    field(bytes, out);
}

/// Appends any bytes as a `text`, with U+FFFD for each NUL and for each run of invalid bytes that
/// [`String::from_utf8_lossy`] replaces by one.
pub fn text_lossy(bytes: &[u8], out: &mut Vec<u8>) {
    // A large one must not be copied each time that it outgrows its room; replacements are few.
    out.reserve(bytes.len() + bytes.len() / 64 + 64);
    let from = begin(out);
    for chunk in bytes.utf8_chunks() {
        let mut valid = chunk.valid().as_bytes();
        while let Some(nul) = memchr(0, valid) {
            out.extend_from_slice(&valid[..nul]);
            out.extend_from_slice(REPLACEMENT);
            valid = &valid[nul + 1..];
        }
        out.extend_from_slice(valid);
        if !chunk.invalid().is_empty() {
            out.extend_from_slice(REPLACEMENT);
        }
    }
    end(from, out);
}

/// Appends a `bytea`.
#[inline]
pub fn bytea(bytes: &[u8], out: &mut Vec<u8>) {
    field(bytes, out);
}

/// Appends a `json`: its text.
#[inline]
pub fn json(text: &[u8], out: &mut Vec<u8>) {
    field(text, out);
}

/// Appends a `jsonb`: version 1 of its wire form, which is the JSON text.
#[inline]
pub fn jsonb(text: &[u8], out: &mut Vec<u8>) {
    out.reserve(5 + text.len());
    let from = begin(out);
    out.push(1);
    out.extend_from_slice(text);
    end(from, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_bytes_become_replacement_characters_and_nothing_else_changes() {
        for bytes in
            [&b""[..], b"abc", b"a\0b", b"\0\0", b"a\xffb\xe2\x82", b"\xf0\x9f\x98\x80\0\xc0\xaf", b"\xed\xa0\x80"]
        {
            let mut out = Vec::new();
            text_lossy(bytes, &mut out);
            let want = String::from_utf8_lossy(bytes).replace('\0', "\u{fffd}");
            assert_eq!(&out[4..], want.as_bytes());
            assert_eq!(out[..4], (want.len() as u32).to_be_bytes());
        }
    }

    #[test]
    fn jsonb_has_its_version_in_front() {
        let mut out = Vec::new();
        jsonb(b"{}", &mut out);
        assert_eq!(out, b"\0\0\0\x03\x01{}");
    }
}
