//! Uuids, each column in one spelling.

use crate::model::conversion::UuidSpelling;
use uuid::Uuid;

pub(super) fn read(text: &[u8], spelling: UuidSpelling) -> Option<[u8; 16]> {
    let (length, other_case) = match spelling {
        UuidSpelling::Hyphens => (36, b'A'..=b'F'),
        UuidSpelling::HyphensUpper => (36, b'a'..=b'f'),
        UuidSpelling::Hex => (32, b'A'..=b'F'),
        UuidSpelling::HexUpper => (32, b'a'..=b'f'),
        UuidSpelling::Braces => (38, b'A'..=b'F'),
        UuidSpelling::BracesUpper => (38, b'a'..=b'f'),
        // The parser also takes a URN, which PostgreSQL does not.
        UuidSpelling::Any => return Uuid::try_parse_ascii(text).ok().filter(|_| text.len() < 45).map(Uuid::into_bytes),
    };
    // The parser takes every spelling; of those with one length there is one, its case aside. All bytes are looked at
    // without a way out, so that many are at once.
    if text.len() != length || text.iter().fold(false, |odd, b| odd | other_case.contains(b)) {
        return None;
    }
    Uuid::try_parse_ascii(text).ok().map(Uuid::into_bytes)
}
