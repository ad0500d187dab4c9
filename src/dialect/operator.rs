//! Operators: comparisons under SQLite's affinity and collation rules, arithmetic, `||`, bits, truth.

use super::Affinity;
use super::collation;
use super::expression::{Mode, Translator, merged, refuse};
use super::kind::Kind;
use super::literal::{Value, as_number, is_word, looks_numeric};
use super::term::{Collated, Level, Term};
use super::{Untranslatable, parse};
use crate::model::name;
use sqlite3_parser::ast::{Expr, Operator};

#[expect(clippy::unused_self, reason = "the rules that need no mode are called like those that do")]
impl Translator<'_> {
    /// Every binary operator but AND, OR and the JSON arrows.
    pub fn operate(&self, op: Operator, l: &Term, r: &Term) -> Result<Term, Untranslatable> {
        match op {
            Operator::Equals => self.compare("=", l, r),
            Operator::NotEquals => self.compare("<>", l, r),
            Operator::Less => self.compare("<", l, r),
            Operator::LessEquals => self.compare("<=", l, r),
            Operator::Greater => self.compare(">", l, r),
            Operator::GreaterEquals => self.compare(">=", l, r),
            Operator::Is => self.identity(l, r, false),
            Operator::IsNot => self.identity(l, r, true),
            Operator::Add => self.arithmetic("+", l, r),
            Operator::Subtract => self.arithmetic("-", l, r),
            Operator::Multiply => self.arithmetic("*", l, r),
            Operator::Divide => self.arithmetic("/", l, r),
            Operator::Modulus => self.arithmetic("%", l, r),
            Operator::Concat => self.concat(l, r),
            Operator::BitwiseAnd => self.bits("&", l, r),
            Operator::BitwiseOr => self.bits("|", l, r),
            Operator::LeftShift => self.shift("<<", l, r),
            Operator::RightShift => self.shift(">>", l, r),
            Operator::And | Operator::Or | Operator::ArrowRight | Operator::ArrowRightShift => {
                refuse("an operator out of place")
            }
        }
    }

    fn compare(&self, op: &str, l: &Term, r: &Term) -> Result<Term, Untranslatable> {
        if l.kind == Kind::Null || r.kind == Kind::Null {
            return Ok(Term::atom("NULL::boolean", Kind::Bool));
        }
        let (left, right) = self.sides(!matches!(op, "=" | "<>"), l, r)?;
        Ok(Term::comparison(format!("{left} {op} {right}")).never_null(l.never_null && r.never_null))
    }

    /// `IS` and `IS NOT`.
    fn identity(&self, l: &Term, r: &Term, not: bool) -> Result<Term, Untranslatable> {
        match (l.kind, r.kind) {
            (_, Kind::Null) => return Ok(Self::null_test(l, not)),
            (Kind::Null, _) => return Ok(Self::null_test(r, not)),
            _ => {}
        }
        let (left, right) = self.sides(false, l, r)?;
        let op = if not { "IS DISTINCT FROM" } else { "IS NOT DISTINCT FROM" };
        Ok(Term::comparison(format!("{left} {op} {right}")).never_null(true))
    }

    /// The two sides of a comparison that gives in PostgreSQL what it gives in SQLite.
    pub fn sides(&self, ordered: bool, l: &Term, r: &Term) -> Result<(String, String), Untranslatable> {
        for (one, other) in [(l, r), (r, l)] {
            if let Some(doubt) = &one.doubt {
                let word = other.string().is_some_and(is_word);
                if ordered || !doubt.soft || !word {
                    return refuse(&doubt.reason);
                }
            }
        }
        match (l.kind, r.kind) {
            (Kind::Text, Kind::Text) => Self::texts(ordered, l, r),
            (Kind::Bool, Kind::Bool) if !ordered || self.mode == Mode::Strict => Ok((l.side(), r.side())),
            (Kind::Bool, k) if k.is_number() => Ok(Self::flag_and_number(l, r)),
            (k, Kind::Bool) if k.is_number() => {
                let (right, left) = Self::flag_and_number(r, l);
                Ok((left, right))
            }
            (a, b) if a.is_number() && b.is_number() => self.numbers(l, r),
            (a, Kind::Text) if a.is_number() || a == Kind::Bool => self.number_and_text(ordered, l, r),
            (Kind::Text, b) if b.is_number() || b == Kind::Bool => {
                let (right, left) = self.number_and_text(ordered, r, l)?;
                Ok((left, right))
            }
            (Kind::Date, Kind::Text) => Ok((l.side(), day(r)?)),
            (Kind::Text, Kind::Date) => Ok((day(l)?, r.side())),
            (Kind::Date, Kind::Date) | (Kind::Bytes, Kind::Bytes) => Ok((l.side(), r.side())),
            (Kind::Uuid, Kind::Uuid) if !ordered || self.mode == Mode::View => Ok((l.side(), r.side())),
            (a, b) if a == b && a.is_temporal() && self.mode == Mode::View => Ok((l.side(), r.side())),
            (a, b) if a.is_temporal() || b.is_temporal() => {
                refuse("compares times, which SQLite compared by their spelling")
            }
            (a, b) => refuse(&format!("compares {} with {}", a.word(), b.word())),
        }
    }

    // SQLite's booleans are the integers 0 and 1.
    fn flag_and_number(flag: &Term, number: &Term) -> (String, String) {
        match number.integer() {
            Some(0) => (flag.side(), "false".to_owned()),
            Some(1) => (flag.side(), "true".to_owned()),
            _ => (flag.cast("int", Kind::Integer).sql, number.side()),
        }
    }

    fn numbers(&self, l: &Term, r: &Term) -> Result<(String, String), Untranslatable> {
        // PostgreSQL compares bigint with double precision as doubles; SQLite compares exactly.
        let rounds = |a: &Term, b: &Term| {
            a.kind == Kind::Integer && a.wide && a.literal.is_none() && b.kind == Kind::Float && b.literal.is_none()
        };
        if self.mode == Mode::Strict && (rounds(l, r) || rounds(r, l)) {
            return refuse("compares bigint with floating point, which PostgreSQL rounds beyond 2^53");
        }
        Ok((l.side(), r.side()))
    }

    fn texts(ordered: bool, l: &Term, r: &Term) -> Result<(String, String), Untranslatable> {
        let numeric = |t: &Term| t.affinity.is_some_and(Affinity::is_number);
        if ordered && (numeric(l) || numeric(r)) {
            // The other side becomes a number where it looks like one, and numbers sort before all text.
            let safe = |t: &Term| numeric(t) || t.string().is_some_and(|s| !looks_numeric(s));
            if !safe(l) || !safe(r) {
                return refuse("orders text under a numeric affinity");
            }
        }
        let collation = effective_collation(l, r);
        let side = |t: &Term| text_key(t, collation);
        let (mut left, right) = (side(l)?, side(r)?);
        // A column may be created with a collation of its own; this comparison has SQLite's.
        let other = |t: &Term| t.collation.as_ref().is_some_and(|c| !c.name.eq_ignore_ascii_case(collation));
        let folded = collation.eq_ignore_ascii_case("NOCASE");
        if !folded && (ordered || other(l) || other(r)) {
            left += " COLLATE \"C\"";
        }
        Ok((left, right))
    }

    fn number_and_text(&self, ordered: bool, n: &Term, t: &Term) -> Result<(String, String), Untranslatable> {
        match (&t.literal, &n.literal) {
            (Some(Value::Text(text)), _) if n.affinity.is_some_and(Affinity::is_number) => {
                let Some(value) = as_number(text) else {
                    return refuse(&format!("compares a number with the string {}", name::literal(text)));
                };
                let value = value.term()?;
                if n.kind == Kind::Bool { Ok(Self::flag_and_number(n, &value)) } else { self.numbers(n, &value) }
            }
            (_, Some(Value::Integer(i))) if t.affinity == Some(Affinity::Text) => {
                let digits = Value::Text(i.to_string()).term()?;
                let (text, digits) = Self::texts(ordered, t, &digits)?;
                Ok((digits, text))
            }
            _ => refuse("compares a number with text"),
        }
    }

    fn arithmetic(&self, op: &str, l: &Term, r: &Term) -> Result<Term, Untranslatable> {
        if l.kind == Kind::Null || r.kind == Kind::Null {
            return Ok(Term::null());
        }
        let (l, r) = (self.number(l)?, self.number(r)?);
        let zero_divides = matches!(op, "/" | "%");
        let never_null = l.never_null && r.never_null && !zero_divides;
        let done = |left: String, right: String, kind| {
            let right = if zero_divides && !is_nonzero(&r) { format!("NULLIF({right}, 0)") } else { right };
            Term::new(format!("{left} {op} {right}"), kind, Level::Operator).never_null(never_null)
        };
        if l.kind == Kind::Integer && r.kind == Kind::Integer {
            let left = if l.wide || r.wide { l.operand() } else { l.cast("bigint", l.kind).sql };
            return Ok(done(left, r.operand(), Kind::Integer));
        }
        let real = l.real || r.real;
        match op {
            "%" => return refuse("% of numbers that are no integers"),
            "/" if !real => return refuse("/ of values that SQLite may hold as integers and divide as such"),
            _ => {}
        }
        let (left, right) = (self.double(&l)?, self.double(&r)?);
        Ok(Term { real, ..done(left, right, Kind::Float) })
    }

    // As an operand that makes PostgreSQL compute in doubles, as SQLite does.
    fn double(&self, term: &Term) -> Result<String, Untranslatable> {
        let exact = term.fits_float || self.mode == Mode::View;
        match term.kind {
            Kind::Numeric if !exact => refuse("computes with numeric, where SQLite computes in doubles"),
            Kind::Float if term.literal.is_none() && term.wide => Ok(term.operand()),
            _ => Ok(term.cast("float8", Kind::Float).sql),
        }
    }

    /// The term as a number: a boolean is 0 or 1.
    pub fn number(&self, term: &Term) -> Result<Term, Untranslatable> {
        if let Some(doubt) = &term.doubt {
            return refuse(&doubt.reason);
        }
        match term.kind {
            Kind::Bool => Ok(Term { wide: false, affinity: None, ..term.cast("int", Kind::Integer) }),
            kind if kind.is_number() || kind == Kind::Null => Ok(term.clone()),
            kind => refuse(&format!("computes with {}", kind.word())),
        }
    }

    /// The term as an integer.
    pub fn integer(&self, term: &Term) -> Result<Term, Untranslatable> {
        let number = self.number(term)?;
        match number.kind {
            Kind::Integer => Ok(number),
            kind => refuse(&format!("takes {} as an integer", kind.word())),
        }
    }

    fn bits(&self, op: &str, l: &Term, r: &Term) -> Result<Term, Untranslatable> {
        let (l, r) = (self.integer(l)?, self.integer(r)?);
        let left = if l.wide || r.wide { l.operand() } else { l.cast("bigint", l.kind).sql };
        let never_null = l.never_null && r.never_null;
        Ok(Term::new(format!("{left} {op} {}", r.operand()), Kind::Integer, Level::Operator).never_null(never_null))
    }

    // PostgreSQL shifts by the amount modulo 64; SQLite shifts everything out, or the other way if negative.
    fn shift(&self, op: &str, l: &Term, r: &Term) -> Result<Term, Untranslatable> {
        let l = self.integer(l)?;
        match r.integer() {
            Some(by @ 0..=63) => {
                let left = if l.wide { l.operand() } else { l.cast("bigint", l.kind).sql };
                let sql = format!("{left} {op} {by}");
                Ok(Term::new(sql, Kind::Integer, Level::Operator).never_null(l.never_null))
            }
            _ => refuse("shifts by something else than 0 to 63"),
        }
    }

    fn concat(&self, l: &Term, r: &Term) -> Result<Term, Untranslatable> {
        if l.kind == Kind::Null || r.kind == Kind::Null {
            return Ok(Term::null());
        }
        let (left, right) = (self.text(l)?, self.text(r)?);
        let sql = format!("{} || {}", left.operand(), right.operand());
        Ok(Term::new(sql, Kind::Text, Level::Operator).never_null(l.never_null && r.never_null))
    }

    /// The term as the text that SQLite makes of it.
    pub fn text(&self, term: &Term) -> Result<Term, Untranslatable> {
        match (&term.doubt, term.kind) {
            (Some(doubt), _) => refuse(&doubt.reason),
            (None, Kind::Text | Kind::Null) => Ok(term.clone()),
            (None, Kind::Integer) => match term.integer() {
                Some(i) => Value::Text(i.to_string()).term(),
                None => Ok(Term { collation: None, ..term.cast("text", Kind::Text) }),
            },
            (None, Kind::Bool) => {
                Ok(Term { collation: None, ..term.cast("int", Kind::Integer).cast("text", Kind::Text) })
            }
            (None, kind) => refuse(&format!("writes {} as text, which the two databases do differently", kind.word())),
        }
    }

    /// The term as a condition, by SQLite's truth: a number is true unless it is zero.
    pub fn condition(&self, term: &Term) -> Result<Term, Untranslatable> {
        if let Some(doubt) = &term.doubt {
            return refuse(&doubt.reason);
        }
        match term.kind {
            Kind::Bool => Ok(term.clone()),
            Kind::Null => Ok(Term::atom("NULL::boolean", Kind::Bool)),
            kind if kind.is_number() => Ok(match &term.literal {
                Some(Value::Integer(i)) => truth(*i != 0),
                Some(Value::Real(r)) => truth(*r != 0.0),
                _ => Term::comparison(format!("{} <> 0", term.side())).never_null(term.never_null),
            }),
            kind => refuse(&format!("takes {} as a condition", kind.word())),
        }
    }

    pub fn between(&mut self, x: &Expr<'_>, not: bool, a: &Expr<'_>, b: &Expr<'_>) -> Result<Term, Untranslatable> {
        let (x, a, b) = (self.expr(x)?, self.expr(a)?, self.expr(b)?);
        let never_null = x.never_null && a.never_null && b.never_null;
        if x.kind == Kind::Null || a.kind == Kind::Null || b.kind == Kind::Null {
            return refuse("BETWEEN with NULL");
        }
        let ((low, from), (high, to)) = (self.sides(true, &x, &a)?, self.sides(true, &x, &b)?);
        let not = if not { "NOT " } else { "" };
        if low == high {
            return Ok(Term::comparison(format!("{low} {not}BETWEEN {from} AND {to}")).never_null(never_null));
        }
        let sql = format!("{not}({low} >= {from} AND {high} <= {to})");
        Ok(Term::new(sql, Kind::Bool, Level::Logic).never_null(never_null))
    }

    pub fn in_list(&mut self, lhs: &Expr<'_>, not: bool, list: &[Expr<'_>]) -> Result<Term, Untranslatable> {
        if list.is_empty() {
            self.expr(lhs)?;
            return Ok(truth(not));
        }
        if let Some(argument) = typeof_call(lhs) {
            return self.typeof_in(argument, not, list);
        }
        let x = self.expr(lhs)?;
        if x.kind == Kind::Null {
            return Ok(Term::atom("NULL::boolean", Kind::Bool));
        }
        let (mut pairs, mut never_null) = (Vec::with_capacity(list.len()), x.never_null);
        for item in list {
            // In a list, only the left side brings its affinity and its collation.
            let item = self.expr(item)?;
            let item = Term { affinity: None, collation: None, ..item };
            never_null &= item.never_null;
            pairs.push(match item.kind {
                Kind::Null => None,
                _ => Some(self.sides(false, &x, &item)?),
            });
        }
        let left = pairs.iter().flatten().next().map_or_else(|| x.side(), |(left, _)| left.clone());
        if pairs.iter().flatten().all(|(l, _)| *l == left) {
            let items: Vec<_> = pairs.into_iter().map(|p| p.map_or_else(|| "NULL".to_owned(), |(_, r)| r)).collect();
            let not = if not { "NOT " } else { "" };
            return Ok(Term::comparison(format!("{left} {not}IN ({})", items.join(", "))).never_null(never_null));
        }
        let equal = |p: Option<(String, String)>| p.map_or_else(|| "NULL".to_owned(), |(l, r)| format!("{l} = {r}"));
        let either = pairs.into_iter().map(equal).collect::<Vec<_>>().join(" OR ");
        let sql = if not { format!("NOT ({either})") } else { either };
        Ok(Term::new(sql, Kind::Bool, Level::Logic).never_null(never_null))
    }

    pub fn cast_to(&self, term: &Term, affinity: Affinity) -> Result<Term, Untranslatable> {
        if term.kind == Kind::Null {
            return Ok(Term::null());
        }
        let whole = |t: &Term| t.cast("bigint", Kind::Integer);
        let result = match (affinity, term.kind) {
            (Affinity::Text, _) => self.text(term)?,
            (Affinity::Blob, Kind::Text) if term.doubt.is_none() => {
                Term::atom(format!("convert_to({}, 'UTF8')", term.sql), Kind::Bytes)
            }
            (Affinity::Blob, Kind::Bytes) if term.doubt.is_none() => term.clone(),
            (Affinity::Integer | Affinity::Numeric, Kind::Integer | Kind::Bool) => self.number(term)?,
            // SQLite cuts towards zero, a cast in PostgreSQL rounds.
            (Affinity::Integer, Kind::Float | Kind::Numeric) => {
                let number = self.number(term)?;
                whole(&Term::atom(format!("trunc({})", number.sql), number.kind))
            }
            (Affinity::Real, kind) if kind.is_number() || kind == Kind::Bool => {
                let number = self.number(term)?;
                Term { real: true, ..number.cast("float8", Kind::Float) }
            }
            (_, kind) => return refuse(&format!("CAST of {} to {affinity:?}", kind.word())),
        };
        let collation = term.collation.clone().filter(|_| affinity == Affinity::Text);
        Ok(Term {
            affinity: Some(affinity),
            collation,
            never_null: term.never_null,
            literal: if term.literal == result.literal { None } else { result.literal.clone() },
            ..result
        })
    }

    /// The terms in one kind, as PostgreSQL wants the results of CASE; NULL fits all.
    pub fn unify(&self, terms: &[Term]) -> Result<Vec<Term>, Untranslatable> {
        let kinds: Vec<Kind> = terms.iter().map(|t| t.kind).filter(|k| *k != Kind::Null).collect();
        let Some(&first) = kinds.first() else { return Ok(terms.to_vec()) };
        if let Some(doubt) = terms.iter().find_map(|t| t.doubt.as_ref().filter(|_| kinds.len() > 1)) {
            return refuse(&doubt.reason);
        }
        if kinds.iter().all(|k| *k == first) {
            return Ok(terms.to_vec());
        }
        if kinds.iter().all(|k| k.is_number() || *k == Kind::Bool) {
            let numbers: Vec<Term> = terms.iter().map(|t| self.number(t)).collect::<Result<_, _>>()?;
            if numbers.iter().all(|t| matches!(t.kind, Kind::Integer | Kind::Null)) {
                return Ok(numbers);
            }
            let double = |t: Term| -> Result<Term, Untranslatable> {
                if t.kind == Kind::Null {
                    return Ok(t);
                }
                let sql = self.double(&t)?;
                Ok(Term { sql, kind: Kind::Float, level: Level::Atom, literal: None, wide: true, ..t })
            };
            return numbers.into_iter().map(double).collect();
        }
        let other = kinds.iter().find(|k| **k != first).unwrap_or(&first);
        refuse(&format!("gives {} in one case and {} in another", first.word(), other.word()))
    }

    /// `CASE WHEN … THEN … END` of terms that are there already.
    pub fn choose(&self, condition: &Term, then: &Term, otherwise: &Term) -> Result<Term, Untranslatable> {
        let results = self.unify(&[then.clone(), otherwise.clone()])?;
        let otherwise = if results[1].kind == Kind::Null { String::new() } else { format!(" ELSE {}", results[1].sql) };
        Ok(merged(format!("CASE WHEN {} THEN {}{otherwise} END", condition.sql, results[0].sql), &results))
    }

    /// The argument of `typeof()`, where one side is that call and the other a string.
    pub fn typeof_argument<'e>(&self, left: &'e Expr<'e>, right: &'e Expr<'e>) -> Option<(&'e Expr<'e>, String)> {
        let string = |e: &Expr<'_>| match e {
            Expr::Literal(literal) => match Value::of(literal) {
                Some(Value::Text(text)) => Some(text),
                _ => None,
            },
            Expr::Id(id) if id.0.starts_with('"') => Some(parse::unquoted(id.0)),
            _ => None,
        };
        typeof_call(left).zip(string(right)).or_else(|| typeof_call(right).zip(string(left)))
    }

    /// `typeof(x) = 'integer'`: where the type already promises the class, only NULL is left to tell apart.
    pub fn compare_typeof(&mut self, l: &Expr<'_>, op: Operator, r: &Expr<'_>) -> Result<Term, Untranslatable> {
        let (argument, word) = self.typeof_argument(l, r).expect("the caller saw the call");
        let not = matches!(op, Operator::NotEquals | Operator::IsNot);
        self.typeof_is(argument, not, &[word])
    }

    fn typeof_in(&mut self, argument: &Expr<'_>, not: bool, list: &[Expr<'_>]) -> Result<Term, Untranslatable> {
        let mut words = Vec::with_capacity(list.len());
        for item in list {
            match self.expr(item)?.string() {
                Some(word) => words.push(word.to_owned()),
                None => return refuse("typeof() in a list of other things than strings"),
            }
        }
        self.typeof_is(argument, not, &words)
    }

    fn typeof_is(&mut self, argument: &Expr<'_>, not: bool, words: &[String]) -> Result<Term, Untranslatable> {
        let term = self.expr(argument)?;
        let class = self.class_word(&term)?;
        let of_value = words.iter().any(|w| w == class) != not;
        let of_null = words.iter().any(|w| w == "null") != not;
        Ok(match (of_value, of_null) {
            (true, false) => Self::null_test(&term, true),
            (false, true) => Self::null_test(&term, false),
            (same, _) => truth(same),
        })
    }

    /// What `typeof()` gives for the term's values that are not NULL.
    pub fn class_word(&self, term: &Term) -> Result<&'static str, Untranslatable> {
        match term.kind {
            _ if term.doubt.is_some() => refuse(&term.doubt.as_ref().expect("just seen").reason),
            Kind::Integer | Kind::Bool => Ok("integer"),
            Kind::Float | Kind::Numeric if term.real => Ok("real"),
            Kind::Text => Ok("text"),
            Kind::Bytes => Ok("blob"),
            Kind::Date | Kind::Uuid if term.affinity == Some(Affinity::Text) => Ok("text"),
            kind => refuse(&format!("typeof() of {}", kind.word())),
        }
    }
}

fn typeof_call<'e>(expr: &'e Expr<'e>) -> Option<&'e Expr<'e>> {
    match expr {
        Expr::FunctionCall { name, args: Some([argument]), filter_over: None, .. }
            if parse::unquoted(name.0).eq_ignore_ascii_case("typeof") =>
        {
            Some(argument)
        }
        Expr::Parenthesized(inner) if inner.len() == 1 => typeof_call(&inner[0]),
        _ => None,
    }
}

pub(super) fn truth(value: bool) -> Term {
    Term::atom(if value { "true" } else { "false" }, Kind::Bool).never_null(true)
}

fn is_nonzero(term: &Term) -> bool {
    match term.literal {
        Some(Value::Integer(i)) => i != 0,
        Some(Value::Real(r)) => r != 0.0,
        _ => false,
    }
}

/// The collation of a comparison: what was said, left first; then what a column has, left first.
pub(super) fn effective_collation<'t>(l: &'t Term, r: &'t Term) -> &'t str {
    let explicit = |t: &'t Term| t.collation.as_ref().filter(|c| c.explicit);
    let any = explicit(l).or_else(|| explicit(r)).or(l.collation.as_ref()).or(r.collation.as_ref());
    any.map_or("BINARY", |c: &Collated| &c.name)
}

/// The text side as a key whose bytes compare as the collation says.
pub(super) fn text_key(term: &Term, name: &str) -> Result<String, Untranslatable> {
    if name.eq_ignore_ascii_case("BINARY") {
        return Ok(term.side());
    }
    match term.string() {
        Some(text) if name.eq_ignore_ascii_case("NOCASE") => Ok(name::literal(&text.to_ascii_lowercase())),
        Some(text) if name.eq_ignore_ascii_case("RTRIM") => Ok(name::literal(text.trim_end_matches(' '))),
        _ => collation::key(&term.operand(), name),
    }
}

// Only a day in full compares with a date as it compares with the date's text.
fn day(term: &Term) -> Result<String, Untranslatable> {
    match term.string() {
        Some(text) if text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok() => Ok(term.sql.clone()),
        _ => refuse("compares a date with something else than a day"),
    }
}
