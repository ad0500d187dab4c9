//! Ids of a map: which uuid a cell must have become (RFC 9562, 5.4, 5.5 and 5.7).

use crate::model::cell::Cell;
use crate::model::conversion::IdVersion;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY};
use ring::hmac::{HMAC_SHA256, Key, sign};
use uuid::Uuid;

/// A map's rule, made ready.
#[derive(Debug)]
pub(super) struct Ids {
    namespace: Uuid,
    version: IdVersion,
    key: Key,
}

impl Ids {
    pub(super) fn of(namespace: Uuid, version: IdVersion) -> Self {
        Self { namespace, version, key: Key::new(HMAC_SHA256, namespace.as_bytes()) }
    }

    pub(super) fn read(&self, cell: Cell<'_>) -> Option<[u8; 16]> {
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
        let mut id = [0; 16];
        match self.version {
            IdVersion::V5 => {
                let mut hash = Context::new(&SHA1_FOR_LEGACY_USE_ONLY);
                hash.update(self.namespace.as_bytes());
                hash.update(name.as_bytes());
                id.copy_from_slice(hash.finish().as_ref().get(..16)?);
            }
            IdVersion::V4 => id.copy_from_slice(sign(&self.key, name.as_bytes()).as_ref().get(..16)?),
            IdVersion::V7 { millis } => {
                id[..6].copy_from_slice(millis.to_be_bytes().get(2..)?);
                id[6..].copy_from_slice(sign(&self.key, name.as_bytes()).as_ref().get(..10)?);
            }
        }
        id[6] = id[6] & 0x0f | self.version.number() << 4;
        id[8] = id[8] & 0x3f | 0x80;
        Some(id)
    }
}
