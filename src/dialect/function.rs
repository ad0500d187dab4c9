//! SQLite's built-in functions, each with its PostgreSQL counterpart or the reason why there is none.

use super::Untranslatable;
use super::aggregate;
use super::expression::{Translator, merged, refuse};
use super::kind::Kind;
use super::term::{Level, Term};
use crate::model::pg_type::PgType;
use sqlite3_parser::ast::{Expr, FunctionCallOrder, FunctionTail, Operator};

/// A function call as the parser has it, its name in lower case.
pub(super) struct Call<'a, 'b> {
    pub name: String,
    pub distinct: bool,
    pub args: &'a [Expr<'b>],
    pub order_by: Option<&'a FunctionCallOrder<'b>>,
    pub tail: Option<&'a FunctionTail<'b>>,
}

impl Translator<'_> {
    pub fn call(&mut self, call: &Call<'_, '_>) -> Result<Term, Untranslatable> {
        let plain = call.tail.is_none() && call.order_by.is_none() && !call.distinct;
        let one_argument = matches!(call.name.as_str(), "min" | "max") && call.args.len() == 1;
        if !plain || one_argument || aggregate::is_one(&call.name) {
            return aggregate::call(self, call);
        }
        let args = call.args.iter().map(|a| self.expr(a)).collect::<Result<Vec<_>, _>>()?;
        let args: Vec<&Term> = args.iter().collect();
        if let Some(term) = self.scalar(&call.name, &args)? {
            return Ok(term);
        }
        if let Some(term) = super::datetime::call(self, &call.name, &args)? {
            return Ok(term);
        }
        refuse(&format!("{}() with {} arguments", call.name, args.len()))
    }

    pub fn call_star(&mut self, name: &str, tail: Option<&FunctionTail<'_>>) -> Result<Term, Untranslatable> {
        if name != "count" {
            return refuse(&format!("{name}(*)"));
        }
        aggregate::count_star(self, tail)
    }

    fn scalar(&self, name: &str, args: &[&Term]) -> Result<Option<Term>, Untranslatable> {
        Ok(Some(match (name, args) {
            ("abs", [x]) => {
                let x = self.number(x)?;
                Term { literal: None, affinity: None, ..wrap("abs", &x.sql, x.kind, &x) }
            }
            ("coalesce" | "ifnull", [_, _, ..]) => {
                let results = self.unify(&args.iter().map(|a| (*a).clone()).collect::<Vec<_>>())?;
                let never_null = results.iter().any(|t| t.never_null);
                let list: Vec<_> = results.iter().map(|t| t.sql.as_str()).collect();
                merged(format!("COALESCE({})", list.join(", ")), &results).never_null(never_null)
            }
            ("nullif", [a, b]) => {
                let equal = self.operate(Operator::Equals, a, b)?;
                self.choose(&equal, &Term::null(), a)?
            }
            ("iif" | "if", [condition, then]) => self.choose(&self.condition(condition)?, then, &Term::null())?,
            ("iif" | "if", [condition, then, otherwise]) => {
                self.choose(&self.condition(condition)?, then, otherwise)?
            }
            ("likely" | "unlikely", [x]) => (*x).clone(),
            ("typeof", [x]) => {
                let class = self.class_word(x)?;
                self.choose(&Self::null_test(x, false), &text_literal("null"), &text_literal(class))?
            }
            ("min" | "max", [_, _, ..]) => self.extreme(name, args)?,
            ("json_valid", [doc]) if doc.kind == Kind::Json => {
                let valid = self.choose(&Self::null_test(doc, true), &super::operator::truth(true), &Term::null())?;
                valid.never_null(doc.never_null)
            }
            ("json_valid", [doc]) if doc.kind == Kind::Text && doc.doubt.is_none() => {
                Term::comparison(format!("{} IS JSON", doc.operand())).never_null(doc.never_null)
            }
            ("json_extract", [doc, path]) => Self::json_extract(doc, path)?,
            ("like", [pattern, text]) => self.like_terms(text, false, pattern, None)?,
            ("glob", [pattern, text]) => self.glob_terms(text, false, pattern)?,
            ("round", [x]) => self.round(x)?,
            ("round", _) => return refuse("round() to digits, which rounds doubles otherwise than PostgreSQL"),
            _ => return self.text_function(name, args),
        }))
    }

    fn text_function(&self, name: &str, args: &[&Term]) -> Result<Option<Term>, Untranslatable> {
        Ok(Some(match (name, args) {
            ("length", [x]) if x.kind == Kind::Bytes && x.doubt.is_none() => {
                wrap("octet_length", &x.sql, Kind::Integer, x)
            }
            ("length", [x]) => wrap("length", &self.text(x)?.sql, Kind::Integer, x).narrow(),
            ("octet_length", [x]) if x.kind == Kind::Text => {
                wrap("octet_length", &self.text(x)?.sql, Kind::Integer, x).narrow()
            }
            ("lower" | "upper", [x]) => {
                let text = self.text(x)?;
                wrap(name, &format!("{} COLLATE \"C\"", text.operand()), Kind::Text, x)
            }
            ("trim", [x]) => wrap("btrim", &self.text(x)?.sql, Kind::Text, x),
            ("ltrim" | "rtrim", [x]) => wrap(name, &self.text(x)?.sql, Kind::Text, x),
            ("trim" | "ltrim" | "rtrim", [x, set]) => {
                let function = if name == "trim" { "btrim" } else { name };
                self.text_call(function, &[x, set])?
            }
            ("replace", [_, _, _]) => self.text_call("replace", args)?,
            ("instr", [x, y]) if x.kind == Kind::Text && y.kind == Kind::Text => {
                Term { kind: Kind::Integer, ..self.text_call("strpos", args)? }.narrow()
            }
            ("substr" | "substring", [x, from]) => self.substr(x, from, None)?,
            ("substr" | "substring", [x, from, count]) => self.substr(x, from, Some(count))?,
            ("hex", [x]) if x.kind == Kind::Bytes || x.kind == Kind::Text => {
                let bytes = self.cast_to(x, super::Affinity::Blob)?;
                let hex = format!("upper(encode({}, 'hex'))", bytes.sql);
                let sql = if x.never_null { hex } else { format!("COALESCE({hex}, '')") };
                Term::atom(sql, Kind::Text).never_null(true)
            }
            _ => return Ok(None),
        }))
    }

    /// `function(a, b, …)` of texts, NULL if any is.
    fn text_call(&self, function: &str, args: &[&Term]) -> Result<Term, Untranslatable> {
        let texts = args.iter().map(|a| self.text(a)).collect::<Result<Vec<_>, _>>()?;
        let list: Vec<_> = texts.iter().map(|t| t.sql.as_str()).collect();
        let sql = format!("{function}({})", list.join(", "));
        Ok(Term::atom(sql, Kind::Text).never_null(args.iter().all(|a| a.never_null)))
    }

    // A start below 1 and a negative length count otherwise in SQLite.
    fn substr(&self, x: &Term, from: &Term, count: Option<&Term>) -> Result<Term, Untranslatable> {
        // Of an empty blob SQLite gives NULL, of an empty text an empty text.
        let subject = self.text(x)?;
        let sql = match (from.integer(), count.map(Term::integer)) {
            (Some(from @ 1..=2_147_483_647), None) => format!("substr({}, {from})", subject.sql),
            (Some(from @ 1..=2_147_483_647), Some(Some(count @ 0..=1_073_741_823))) => {
                format!("substr({}, {from}, {count})", subject.sql)
            }
            (Some(from @ -2_147_483_647..=-1), None) => {
                format!("right({}, {})", subject.sql, -from)
            }
            _ => return refuse("substr() from or of something else than a plain number"),
        };
        Ok(Term::atom(sql, Kind::Text).never_null(x.never_null))
    }

    // round() of a numeric without digits is safe: a half is a half in both. Doubles round halves to even in
    // PostgreSQL and away from zero in SQLite.
    fn round(&self, x: &Term) -> Result<Term, Untranslatable> {
        let x = self.number(x)?;
        match x.kind {
            Kind::Integer => Ok(Term { real: true, affinity: None, literal: None, ..x.cast("float8", Kind::Float) }),
            Kind::Numeric if x.fits_float => {
                let rounded = Term::atom(format!("round({})", x.sql), Kind::Numeric).never_null(x.never_null);
                Ok(Term { real: true, ..rounded.cast("float8", Kind::Float) })
            }
            _ => refuse("round() of floating point, which rounds halves otherwise than PostgreSQL"),
        }
    }

    // SQLite's min() and max() are NULL if any argument is; LEAST and GREATEST leave NULLs out.
    fn extreme(&self, name: &str, args: &[&Term]) -> Result<Term, Untranslatable> {
        let function = if name == "min" { "LEAST" } else { "GREATEST" };
        if args.iter().any(|a| a.kind == Kind::Null) {
            return Ok(Term::null());
        }
        for pair in args.windows(2) {
            self.sides(true, pair[0], pair[1])?;
        }
        let terms = self.unify(&args.iter().map(|a| (*a).clone()).collect::<Vec<_>>())?;
        let collated =
            terms.iter().any(|t| t.collation.as_ref().is_some_and(|c| !c.name.eq_ignore_ascii_case("BINARY")));
        if collated {
            return refuse(&format!("{name}() under a collation"));
        }
        let list: Vec<_> = terms
            .iter()
            .map(|t| if t.kind == Kind::Text { format!("{} COLLATE \"C\"", t.operand()) } else { t.sql.clone() })
            .collect();
        let best = merged(format!("{function}({})", list.join(", ")), &terms);
        let nullable: Vec<_> = terms.iter().filter(|t| !t.never_null).map(|t| Self::null_test(t, false).sql).collect();
        if nullable.is_empty() {
            return Ok(best);
        }
        let any_null = Term::new(nullable.join(" OR "), Kind::Bool, Level::Logic);
        self.choose(&any_null, &Term::null(), &best)
    }
}

impl Term {
    /// PostgreSQL gives a 32-bit integer here.
    fn narrow(self) -> Self {
        Self { wide: false, ..self }
    }
}

/// `function(sql)`, NULL where `of` is.
fn wrap(function: &str, sql: &str, kind: Kind, of: &Term) -> Term {
    Term { wide: of.wide, real: of.real, fits_float: of.fits_float, ..Term::atom(format!("{function}({sql})"), kind) }
        .never_null(of.never_null)
}

fn text_literal(text: &str) -> Term {
    Term::atom(crate::model::name::literal(text), Kind::Text).never_null(true)
}

/// The type that a kind's values have where a view's column needs one.
pub(super) const fn pg_type(kind: Kind) -> PgType {
    match kind {
        Kind::Bool => PgType::Bool,
        Kind::Integer => PgType::Int8,
        Kind::Float => PgType::Float8,
        Kind::Numeric => PgType::Numeric(None),
        Kind::Text | Kind::Null => PgType::Text,
        Kind::Bytes => PgType::Bytea,
        Kind::Uuid => PgType::Uuid,
        Kind::Json => PgType::Jsonb,
        Kind::Date => PgType::Date,
        Kind::Time => PgType::Time,
        Kind::Timestamp => PgType::Timestamp,
        Kind::TimestampTz => PgType::TimestampTz,
    }
}
