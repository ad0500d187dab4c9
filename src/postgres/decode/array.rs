//! Arrays of one dimension, as the server sends them (`array_send` in `arrayfuncs.c`).

use super::malformed;
use crate::error::Result;

/// Hands each element to `element`, NULL as `None`. False for an array of more dimensions, of which none is handed out.
pub fn elements(field: &[u8], mut element: impl FnMut(Option<&[u8]>) -> Result<()>) -> Result<bool> {
    let mut rest = field;
    let word = |rest: &mut &[u8]| -> Result<i32> {
        let (head, tail) = rest.split_first_chunk::<4>().ok_or_else(|| malformed("an array", field))?;
        *rest = tail;
        Ok(i32::from_be_bytes(*head))
    };
    let dimensions = word(&mut rest)?;
    let (_flag, _type) = (word(&mut rest)?, word(&mut rest)?);
    if dimensions > 1 {
        return Ok(false);
    }
    if dimensions == 0 {
        return Ok(true);
    }
    let (count, _first) = (word(&mut rest)?, word(&mut rest)?);
    for _ in 0..count {
        let Ok(length) = usize::try_from(word(&mut rest)?) else {
            element(None)?;
            continue;
        };
        let (head, tail) = rest.split_at_checked(length).ok_or_else(|| malformed("an element of an array", field))?;
        rest = tail;
        element(Some(head))?;
    }
    Ok(true)
}
