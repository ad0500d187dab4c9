//! Labels of an enum: text that is one of a list.

use crate::model::cell::Cell;
use crate::model::conversion::{Fit, Misfit};
use crate::postgres::encode;

#[inline]
pub(super) fn write(cell: Cell<'_>, labels: &[String], out: &mut Vec<u8>) -> Result<Fit, Misfit> {
    let Cell::Text(text) = cell else { return Err(Misfit::Class) };
    // Enums have a handful of labels: a hash would cost more than it saves.
    if !labels.iter().any(|label| label.as_bytes() == text) {
        return Err(Misfit::NotLabel);
    }
    encode::text(text, out);
    Ok(Fit::Exact)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::conversion::Conversion::Label;
    use crate::transform::tests::check;

    #[test]
    fn only_the_labels_are_taken_letter_for_letter() {
        let rule = Label { labels: vec!["open".to_owned(), "it's done".to_owned()] };
        check(&rule, Cell::Text(b"open"), Ok((Fit::Exact, b"open")));
        check(&rule, Cell::Text(b"it's done"), Ok((Fit::Exact, b"it's done")));
        for text in ["Open", "open ", "", "o"] {
            check(&rule, Cell::Text(text.as_bytes()), Err(Misfit::NotLabel));
        }
        check(&rule, Cell::Blob(b"open"), Err(Misfit::Class));
        check(&rule, Cell::Integer(1), Err(Misfit::Class));
    }
}
