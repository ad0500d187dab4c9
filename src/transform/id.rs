//! Ids: canonical uuids stay, whatever else they are becomes a uuid that is made of it.

use super::uuid::parse;
use crate::model::cell::Cell;
use crate::model::conversion::{Fit, IdVersion, Misfit, Rewrite, UuidSpelling};
use crate::postgres::encode;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use uuid::{Builder, Uuid};

/// Room for any 64-bit integer in decimal: nineteen digits and a sign.
const DIGITS: usize = 20;

/// What makes the uuids of a map, with its key made ready once.
#[derive(Debug, Clone)]
pub(super) enum Maker {
    Named(Uuid),
    Random(Hmac<Sha256>),
    Timed(u64, Hmac<Sha256>),
}

impl Maker {
    pub(super) fn new(namespace: Uuid, version: IdVersion) -> Self {
        let keyed = || Hmac::new_from_slice(namespace.as_bytes()).expect("HMAC takes keys of any length");
        match version {
            IdVersion::V5 => Self::Named(namespace),
            IdVersion::V4 => Self::Random(keyed()),
            IdVersion::V7 { millis } => Self::Timed(millis, keyed()),
        }
    }

    #[inline]
    pub(super) fn write(&self, cell: Cell<'_>, out: &mut Vec<u8>) -> Result<Fit, Misfit> {
        if let Cell::Text(text) = cell
            && let Some(uuid) = parse(text, UuidSpelling::Hyphens)
        {
            encode::uuid(uuid, out);
            return Ok(Fit::Exact);
        }
        let mut digits = [0; DIGITS];
        let name = match cell {
            Cell::Text(text) if memchr::memchr(0, text).is_none() && std::str::from_utf8(text).is_ok() => text,
            Cell::Text(_) => return Err(Misfit::NotId),
            Cell::Integer(number) => decimal(number, &mut digits),
            _ => return Err(Misfit::Class),
        };
        encode::uuid(self.made(name).into_bytes(), out);
        Ok(Fit::Rewritten(Rewrite::IdMapped))
    }

    fn made(&self, name: &[u8]) -> Uuid {
        match self {
            Self::Named(namespace) => Uuid::new_v5(namespace, name),
            Self::Random(key) => Builder::from_random_bytes(drawn(key, name)).into_uuid(),
            Self::Timed(millis, key) => Builder::from_unix_timestamp_millis(*millis, &drawn(key, name)).into_uuid(),
        }
    }
}

// As many of the first bytes of the name's code as are asked for.
fn drawn<const N: usize>(key: &Hmac<Sha256>, name: &[u8]) -> [u8; N] {
    let code = key.clone().chain_update(name).finalize().into_bytes();
    *code.first_chunk().expect("a uuid has room for half of it")
}

fn decimal(number: i64, digits: &mut [u8; DIGITS]) -> &[u8] {
    let mut at = DIGITS;
    let mut left = number.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + (left % 10) as u8;
        left /= 10;
        if left == 0 {
            break;
        }
    }
    if number < 0 {
        at -= 1;
        digits[at] = b'-';
    }
    &digits[at..]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::conversion::Conversion;
    use crate::transform::tests::check;

    fn rule(namespace: Uuid, version: IdVersion) -> Conversion {
        Conversion::Id { map: "m".to_owned(), namespace, version }
    }

    // PostgreSQL's own: SELECT uuid_generate_v5(uuid_ns_dns(), 'www.widgets.com') (uuid-ossp, F.48), also RFC 9562, A.4.
    #[test]
    fn a_text_that_is_no_uuid_is_version_5_of_it_and_a_canonical_one_stays() {
        let rule = rule(Uuid::NAMESPACE_DNS, IdVersion::V5);
        let known = 0x2ed6_657d_e927_568b_95e1_2665_a8ae_a6a2_u128.to_be_bytes();
        let mapped = Fit::Rewritten(Rewrite::IdMapped);
        check(&rule, Cell::Text(b"www.example.com"), Ok((mapped, &known)));
        let own = "018f4e2a-9b7c-7def-8123-456789abcdef";
        check(&rule, Cell::Text(own.as_bytes()), Ok((Fit::Exact, Uuid::try_parse(own).expect("a uuid").as_bytes())));
        let upper = Uuid::new_v5(&Uuid::NAMESPACE_DNS, own.to_uppercase().as_bytes());
        check(&rule, Cell::Text(own.to_uppercase().as_bytes()), Ok((mapped, upper.as_bytes())));
        for number in [0, 7, -1, i64::MAX, i64::MIN] {
            let want = Uuid::new_v5(&Uuid::NAMESPACE_DNS, number.to_string().as_bytes());
            check(&rule, Cell::Integer(number), Ok((mapped, want.as_bytes())));
        }
    }

    // python3 -c 'import hmac; print(hmac.digest(bytes(range(16)), b"agent-7", "sha256").hex())' gives the code's bits.
    #[test]
    fn drawn_ids_are_the_first_bits_of_a_code_of_the_text_and_a_time() {
        let (key, text) = (Uuid::from_u128(0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f), Cell::Text(b"agent-7"));
        let mapped = Fit::Rewritten(Rewrite::IdMapped);
        let random = 0x26a8_667e_a2a0_4afa_9fee_137f_691b_d160_u128.to_be_bytes();
        check(&rule(key, IdVersion::V4), text, Ok((mapped, &random)));
        let timed = 0x0190_0000_0001_76a8_a67e_a2a0_7afa_dfee_u128.to_be_bytes();
        check(&rule(key, IdVersion::V7 { millis: 0x0190_0000_0001 }), text, Ok((mapped, &timed)));
        let own = "018f4e2a-9b7c-7def-8123-456789abcdef";
        let stays = Uuid::try_parse(own).expect("a uuid");
        for version in [IdVersion::V4, IdVersion::V7 { millis: 5 }] {
            check(&rule(key, version), Cell::Text(own.as_bytes()), Ok((Fit::Exact, stays.as_bytes())));
        }
    }

    #[test]
    fn what_no_id_is_made_of_is_a_misfit_of_every_version() {
        for version in [IdVersion::V4, IdVersion::V5, IdVersion::V7 { millis: 5 }] {
            let rule = rule(Uuid::NAMESPACE_DNS, version);
            check(&rule, Cell::Text(b"a\0b"), Err(Misfit::NotId));
            check(&rule, Cell::Text(b"\xff"), Err(Misfit::NotId));
            check(&rule, Cell::Blob(b"a"), Err(Misfit::Class));
            check(&rule, Cell::Real(1.0), Err(Misfit::Class));
        }
    }
}
