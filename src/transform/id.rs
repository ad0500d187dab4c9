//! Ids: canonical uuids stay, whatever else they are becomes a uuid of version 5.

use super::uuid::parse;
use crate::model::cell::Cell;
use crate::model::conversion::{Fit, Misfit, Rewrite, UuidSpelling};
use crate::postgres::encode;
use uuid::Uuid;

/// Room for any 64-bit integer in decimal: nineteen digits and a sign.
const DIGITS: usize = 20;

#[inline]
pub(super) fn write(cell: Cell<'_>, namespace: Uuid, out: &mut Vec<u8>) -> Result<Fit, Misfit> {
    if let Cell::Text(text) = cell
        && let Some(uuid) = parse(text, UuidSpelling::Hyphens)
    {
        encode::uuid(uuid, out);
        return Ok(Fit::Exact);
    }
    encode::uuid(made(cell, namespace)?, out);
    Ok(Fit::Rewritten(Rewrite::IdMapped))
}

fn made(cell: Cell<'_>, namespace: Uuid) -> Result<[u8; 16], Misfit> {
    let mut digits = [0; DIGITS];
    let name = match cell {
        Cell::Text(text) if memchr::memchr(0, text).is_none() && std::str::from_utf8(text).is_ok() => text,
        Cell::Text(_) => return Err(Misfit::NotId),
        Cell::Integer(number) => decimal(number, &mut digits),
        _ => return Err(Misfit::Class),
    };
    Ok(Uuid::new_v5(&namespace, name).into_bytes())
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

    // PostgreSQL's own: SELECT uuid_generate_v5(uuid_ns_dns(), 'www.widgets.com') (uuid-ossp, F.48), also RFC 9562, A.4.
    #[test]
    fn a_text_that_is_no_uuid_is_version_5_of_it_and_a_canonical_one_stays() {
        let rule = Conversion::Id { map: "m".to_owned(), namespace: Uuid::NAMESPACE_DNS };
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
        check(&rule, Cell::Text(b"a\0b"), Err(Misfit::NotId));
        check(&rule, Cell::Text(b"\xff"), Err(Misfit::NotId));
        check(&rule, Cell::Blob(b"a"), Err(Misfit::Class));
        check(&rule, Cell::Real(1.0), Err(Misfit::Class));
    }
}
