//! SELECT (stub).
use super::Untranslatable;
use super::expression::{Translator, refuse};
use super::function::Call;
use super::term::Term;
use sqlite3_parser::ast::{Expr, FunctionTail, Select};

pub(super) fn scalar(_t: &mut Translator<'_>, _q: &Select<'_>) -> Result<Term, Untranslatable> {
    refuse("a subquery")
}
pub(super) fn exists(_t: &mut Translator<'_>, _q: &Select<'_>) -> Result<Term, Untranslatable> {
    refuse("a subquery")
}
pub(super) fn in_query(_t: &mut Translator<'_>, _l: &Expr<'_>, _n: bool, _q: &Select<'_>) -> Result<Term, Untranslatable> {
    refuse("a subquery")
}
pub(super) fn aggregate(_t: &mut Translator<'_>, call: &Call<'_, '_>) -> Result<Term, Untranslatable> {
    refuse(&format!("{}() as an aggregate", call.name))
}
pub(super) fn count_star(_t: &mut Translator<'_>, _tail: Option<&FunctionTail<'_>>) -> Result<Term, Untranslatable> {
    refuse("count(*)")
}
pub(super) fn is_aggregate_or_window(_name: &str) -> bool {
    false
}
