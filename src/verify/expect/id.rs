//! Ids of a map: which uuid a cell must have become (RFC 9562, 5.5).

use crate::model::cell::Cell;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use uuid::Uuid;

pub(super) fn read(cell: Cell<'_>, namespace: Uuid) -> Option<[u8; 16]> {
    let written;
    let name = match cell {
        Cell::Text(text) => text,
        Cell::Integer(number) => {
            written = number.to_string();
            written.as_bytes()
        }
        _ => return None,
    };
    let name = std::str::from_utf8(name).ok().filter(|name| !name.contains('\0'))?;
    // What PostgreSQL would print of it is the text itself: then it is a uuid already.
    if let Some(uuid) = Uuid::try_parse(name).ok().filter(|uuid| uuid.hyphenated().to_string() == name) {
        return Some(uuid.into_bytes());
    }
    let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
    hash.update(namespace.as_bytes());
    hash.update(name.as_bytes());
    let mut id: [u8; 16] = hash.finish().as_ref().get(..16)?.try_into().ok()?;
    id[6] = id[6] & 0x0f | 0x50;
    id[8] = id[8] & 0x3f | 0x80;
    Some(id)
}
