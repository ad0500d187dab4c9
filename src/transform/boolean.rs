//! 0, 1 and the words that mean them.

use crate::model::cell::Cell;
use crate::model::conversion::{Fit, Misfit, Rewrite};
use crate::postgres::encode;

#[inline]
pub(super) fn write(cell: Cell<'_>, out: &mut Vec<u8>) -> Result<Fit, Misfit> {
    let (value, fit) = match cell {
        Cell::Integer(0) => (false, Fit::Exact),
        Cell::Integer(1) => (true, Fit::Exact),
        Cell::Text(word) => (parse(word).ok_or(Misfit::NotBoolean)?, Fit::Rewritten(Rewrite::BooleanWord)),
        Cell::Integer(_) => return Err(Misfit::NotBoolean),
        _ => return Err(Misfit::Class),
    };
    encode::boolean(value, out);
    Ok(fit)
}

/// What the word means: the words of PostgreSQL's own input
/// (<https://www.postgresql.org/docs/15/datatype-boolean.html>) without their other prefixes and without blanks.
pub(super) fn parse(word: &[u8]) -> Option<bool> {
    const TRUE: [&[u8]; 6] = [b"t", b"true", b"y", b"yes", b"on", b"1"];
    const FALSE: [&[u8]; 6] = [b"f", b"false", b"n", b"no", b"off", b"0"];
    let is = |words: [&[u8]; 6]| words.iter().any(|w| word.eq_ignore_ascii_case(w));
    if is(TRUE) {
        Some(true)
    } else if is(FALSE) {
        Some(false)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::model::cell::Cell;
    use crate::model::conversion::Conversion::Bool;
    use crate::model::conversion::{Fit, Misfit, Rewrite};
    use crate::transform::tests::check;

    #[test]
    fn numbers_and_words_become_booleans() {
        let word = Fit::Rewritten(Rewrite::BooleanWord);
        check(&Bool, Cell::Integer(0), Ok((Fit::Exact, b"\0")));
        check(&Bool, Cell::Integer(1), Ok((Fit::Exact, b"\x01")));
        for (text, value) in [("t", 1), ("FALSE", 0), ("Yes", 1), ("no", 0), ("ON", 1), ("off", 0), ("1", 1), ("0", 0)]
        {
            check(&Bool, Cell::Text(text.as_bytes()), Ok((word, &[value])));
        }
        for text in ["", "tr", " true", "true ", "2", "ja", "\0"] {
            check(&Bool, Cell::Text(text.as_bytes()), Err(Misfit::NotBoolean));
        }
        check(&Bool, Cell::Integer(2), Err(Misfit::NotBoolean));
        check(&Bool, Cell::Real(1.0), Err(Misfit::Class));
        check(&Bool, Cell::Blob(b"t"), Err(Misfit::Class));
    }
}
