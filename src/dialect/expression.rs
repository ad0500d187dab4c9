//! One SQLite expression in PostgreSQL's dialect, with the same value for every row.

use super::kind::Kind;
use super::literal::Value;
use super::parse::{self, unquoted};
use super::scope::{Relation, Scope};
use super::term::{Collated, Level, Term};
use super::{Untranslatable, select};
use crate::model::pg_type::PgType;
use sqlite3_parser::Bump;
use sqlite3_parser::ast::{Expr, Literal, Operator, Type, UnaryOperator};

// Deeper expressions are refused: the translation recurses, and threads have small stacks. Chains of AND
// and OR do not count.
const DEPTH_MAX: usize = 96;

/// A translated expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Translated {
    /// The SQL text. Not in parentheses: an index term or a default needs them around it.
    pub sql: String,
    /// What it gives.
    pub kind: Kind,
    /// False where values that SQLite tells apart become the same text (a number and a string inside JSON):
    /// good for finding rows, not for a UNIQUE index.
    pub exact: bool,
}

/// What the place of an expression takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// A condition: CHECK, WHERE.
    Boolean,
    /// A value of a column of that type: a generated column.
    Value(PgType),
    /// Anything: an index term.
    Any,
}

/// Translates an expression of a table: CHECK, generated column, index term, partial WHERE.
///
/// The result is immutable in PostgreSQL's sense, and its columns are named without their table.
pub fn expression(sql_text: &str, scope: &Scope, want: &Want) -> Result<Translated, Untranslatable> {
    let bump = Bump::new();
    let wrapped = parse::wrapped(sql_text);
    let parsed = parse::expression(&bump, &wrapped)?;
    let mut translator = Translator::new(scope, Mode::Strict);
    translator.frames.push(Frame {
        sources: scope.relations.iter().map(|r| Source::of(r, &r.source, None)).collect(),
        aliases: Vec::new(),
    });
    let term = translator.expr(parsed)?;
    let exact = term.doubt.is_none();
    let term = match want {
        Want::Boolean => translator.condition(&term)?,
        Want::Value(pg_type) => value_for(&term, pg_type)?,
        Want::Any => term,
    };
    Ok(Translated { sql: term.sql, kind: term.kind, exact })
}

/// How far the translation goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Constraints and indexes: immutable, no queries, the same for every value.
    Strict,
    /// Views: queries, aggregates and clocks too; times and uuids compare as such.
    View,
}

/// A table, view, CTE or subquery that names may refer to.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub name: String,
    pub fields: Vec<Field>,
    /// What `rowid` means here.
    pub rowid: Option<usize>,
}

#[derive(Debug, Clone)]
pub(super) struct Field {
    pub name: String,
    /// The name that it gives to a result column: another one where parentheses join tables of like columns.
    pub shown: String,
    pub term: Term,
    /// The right column of a USING pair: `*` and a bare name mean the left one.
    pub merged: bool,
}

impl Source {
    pub fn of(relation: &Relation, name: &str, qualifier: Option<&str>) -> Self {
        let field = |c: &super::scope::Column| Field {
            name: c.source.clone(),
            shown: c.source.clone(),
            term: Term::column(c, qualifier),
            merged: false,
        };
        Self { name: name.to_owned(), fields: relation.columns.iter().map(field).collect(), rowid: relation.rowid }
    }

    fn field(&self, name: &str) -> Option<&Field> {
        let is_rowid = || ["rowid", "_rowid_", "oid"].iter().any(|r| r.eq_ignore_ascii_case(name));
        let named = self.fields.iter().find(|f| f.name.eq_ignore_ascii_case(name));
        named.or_else(|| self.rowid.filter(|_| is_rowid()).and_then(|i| self.fields.get(i)))
    }
}

/// What one SELECT brings into reach.
#[derive(Debug, Clone, Default)]
pub(super) struct Frame {
    pub sources: Vec<Source>,
    /// Result columns by their aliases; SQLite lets WHERE, GROUP BY and HAVING use them.
    pub aliases: Vec<(String, Term)>,
}

pub(super) struct Translator<'s> {
    pub scope: &'s Scope,
    pub mode: Mode,
    /// The innermost SELECT is last.
    pub frames: Vec<Frame>,
    /// Common table expressions in reach, the innermost last.
    pub ctes: Vec<(String, Vec<Field>)>,
    pub depends_on: Vec<String>,
    /// The results of the SELECT that comes next need their full types: both arms of a recursive CTE must agree.
    pub typed_outputs: bool,
    /// `LIMIT offset, count`: the parser does not tell it from `LIMIT count OFFSET offset`.
    pub limit_has_comma: bool,
    depth: usize,
}

impl<'s> Translator<'s> {
    pub fn new(scope: &'s Scope, mode: Mode) -> Self {
        Self {
            scope,
            mode,
            frames: Vec::new(),
            ctes: Vec::new(),
            depends_on: Vec::new(),
            typed_outputs: false,
            limit_has_comma: false,
            depth: 0,
        }
    }

    pub fn expr(&mut self, expr: &Expr<'_>) -> Result<Term, Untranslatable> {
        if self.depth >= DEPTH_MAX {
            return refuse("nested too deeply");
        }
        self.depth += 1;
        let term = self.any(expr);
        self.depth -= 1;
        term
    }

    fn any(&mut self, expr: &Expr<'_>) -> Result<Term, Untranslatable> {
        match expr {
            Expr::Literal(literal) => self.literal(literal),
            Expr::Id(id) => self.name(id.0),
            Expr::Name(name) => self.name(name.0),
            Expr::Qualified(table, name) | Expr::DoublyQualified(_, table, name) => {
                self.column(Some(&unquoted(table.0)), &unquoted(name.0))
            }
            Expr::Parenthesized(inner) if inner.len() == 1 => self.expr(&inner[0]),
            Expr::Parenthesized(_) => refuse("row values"),
            Expr::Unary(op, inner) => self.unary(*op, inner),
            Expr::Binary(left, op, right) => self.binary(left, *op, right),
            Expr::Between { lhs, not, start, end } => self.between(lhs, *not, start, end),
            Expr::InList { lhs, not, rhs } => self.in_list(lhs, *not, rhs.unwrap_or_default()),
            Expr::IsNull(inner) => self.is_null(inner, false),
            Expr::NotNull(inner) => self.is_null(inner, true),
            Expr::Like { lhs, not, op, rhs, escape } => self.like(lhs, *not, *op, rhs, *escape),
            Expr::Case { base, when_then_pairs, else_expr } => self.case(*base, when_then_pairs, *else_expr),
            Expr::Cast { expr, type_name } => self.cast(expr, type_name.as_ref()),
            Expr::Collate(inner, name) => {
                let collation = Some(Collated { name: unquoted(name), explicit: true });
                Ok(Term { collation, ..self.expr(inner)? })
            }
            Expr::FunctionCall { name, distinctness, args, order_by, filter_over } => {
                let call = super::function::Call {
                    name: unquoted(name.0).to_ascii_lowercase(),
                    distinct: matches!(distinctness, Some(sqlite3_parser::ast::Distinctness::Distinct)),
                    args: args.unwrap_or_default(),
                    order_by: order_by.as_ref(),
                    tail: filter_over.as_ref(),
                };
                self.call(&call)
            }
            Expr::FunctionCallStar { name, filter_over } => {
                self.call_star(&unquoted(name.0).to_ascii_lowercase(), filter_over.as_ref())
            }
            Expr::Subquery(query) => select::scalar(self, query),
            Expr::Exists(query) => select::exists(self, query),
            Expr::InSelect { lhs, not, rhs } => select::in_query(self, lhs, *not, rhs),
            Expr::InTable { .. } => refuse("IN with a table"),
            Expr::Raise(..) => refuse("RAISE"),
            Expr::Variable(_) => refuse("a parameter"),
        }
    }

    fn literal(&self, literal: &Literal<'_>) -> Result<Term, Untranslatable> {
        match (Value::of(literal), literal) {
            (Some(value), _) => value.term(),
            (None, Literal::CurrentDate | Literal::CurrentTime | Literal::CurrentTimestamp) => {
                if self.mode == Mode::Strict {
                    return refuse("the current time is not the same for every row");
                }
                let format = match literal {
                    Literal::CurrentDate => "YYYY-MM-DD",
                    Literal::CurrentTime => "HH24:MI:SS",
                    _ => "YYYY-MM-DD HH24:MI:SS",
                };
                let sql = format!("to_char(now() AT TIME ZONE 'UTC', '{format}')");
                Ok(Term::atom(sql, Kind::Text).never_null(true))
            }
            (None, other) => refuse(&format!("the literal `{other:?}`")),
        }
    }

    // A bare name: a column, an alias, TRUE or FALSE; in double quotes a string where it is none of them.
    fn name(&mut self, token: &str) -> Result<Term, Untranslatable> {
        let name = unquoted(token);
        match self.find(None, &name)? {
            Some(term) => Ok(term),
            None if token.starts_with('"') => Value::Text(name).term(),
            None if token.eq_ignore_ascii_case("true") => Value::Integer(1).term(),
            None if token.eq_ignore_ascii_case("false") => Value::Integer(0).term(),
            None => refuse(&format!("no column `{name}`")),
        }
    }

    fn column(&self, table: Option<&str>, name: &str) -> Result<Term, Untranslatable> {
        self.find(table, name)?.ok_or_else(|| {
            let table = table.map(|t| format!("{t}.")).unwrap_or_default();
            Untranslatable::new(format!("no column `{table}{name}`"))
        })
    }

    fn find(&self, table: Option<&str>, name: &str) -> Result<Option<Term>, Untranslatable> {
        for frame in self.frames.iter().rev() {
            let in_reach = frame.sources.iter().filter(|s| table.is_none_or(|t| s.name.eq_ignore_ascii_case(t)));
            let mut found = in_reach.filter_map(|s| s.field(name)).filter(|f| table.is_some() || !f.merged);
            if let Some(field) = found.next() {
                if found.next().is_some() {
                    return refuse(&format!("`{name}` is in more than one table"));
                }
                return Ok(Some(field.term.clone()));
            }
            if let Some((_, term)) = frame.aliases.iter().find(|(a, _)| table.is_none() && a.eq_ignore_ascii_case(name))
            {
                return Ok(Some(term.clone()));
            }
        }
        Ok(None)
    }

    /// The column's own name, where the expression is nothing but a column.
    pub fn field_name(&self, expr: &Expr<'_>) -> Option<String> {
        let (table, name) = match expr {
            Expr::Parenthesized(inner) if inner.len() == 1 => return self.field_name(&inner[0]),
            Expr::Collate(inner, _) => return self.field_name(inner),
            Expr::Id(id) => (None, unquoted(id.0)),
            Expr::Name(name) => (None, unquoted(name.0)),
            Expr::Qualified(table, name) | Expr::DoublyQualified(_, table, name) => {
                (Some(unquoted(table.0)), unquoted(name.0))
            }
            _ => return None,
        };
        let in_reach = |s: &&Source| table.as_ref().is_none_or(|t| s.name.eq_ignore_ascii_case(t));
        let sources = self.frames.iter().rev().flat_map(|f| &f.sources);
        sources.filter(in_reach).find_map(|s| s.field(&name)).map(|f| f.shown.clone())
    }

    fn unary(&mut self, op: UnaryOperator, inner: &Expr<'_>) -> Result<Term, Untranslatable> {
        let term = self.expr(inner)?;
        match op {
            // "+x" has no affinity but keeps its column's collation.
            UnaryOperator::Positive => Ok(Term { affinity: None, ..term }),
            UnaryOperator::Negative => {
                if let Some(value) = term.literal.as_ref().and_then(Value::negated) {
                    return value.term();
                }
                let number = self.number(&term)?;
                let sql = format!("-{}", number.operand());
                Ok(Term { sql, level: Level::Operator, affinity: None, collation: None, literal: None, ..number })
            }
            UnaryOperator::Not => {
                let condition = self.condition(&term)?;
                let sql = format!("NOT {}", condition.up_to_not());
                Ok(Term::new(sql, Kind::Bool, Level::Logic).never_null(condition.never_null))
            }
            UnaryOperator::BitwiseNot => {
                let integer = self.integer(&term)?;
                let sql = format!("~ {}::bigint", integer.operand());
                Ok(Term::new(sql, Kind::Integer, Level::Operator).never_null(integer.never_null))
            }
        }
    }

    fn binary(&mut self, left: &Expr<'_>, op: Operator, right: &Expr<'_>) -> Result<Term, Untranslatable> {
        match op {
            Operator::And | Operator::Or => self.logic(left, op, right),
            Operator::ArrowRight | Operator::ArrowRightShift => self.json_arrow(left, op, right),
            Operator::Is | Operator::IsNot if self.is_truth_word(right) => {
                let condition = self.expr(left).and_then(|t| self.condition(&t))?;
                let not = if op == Operator::IsNot { "NOT " } else { "" };
                let word =
                    if matches!(right, Expr::Id(id) if id.0.eq_ignore_ascii_case("true")) { "TRUE" } else { "FALSE" };
                Ok(Term::comparison(format!("{} IS {not}{word}", condition.up_to_not())).never_null(true))
            }
            Operator::Equals | Operator::NotEquals | Operator::Is | Operator::IsNot
                if self.typeof_argument(left, right).is_some() =>
            {
                self.compare_typeof(left, op, right)
            }
            _ => {
                let (left, right) = (self.expr(left)?, self.expr(right)?);
                self.operate(op, &left, &right)
            }
        }
    }

    fn is_truth_word(&self, expr: &Expr<'_>) -> bool {
        let Expr::Id(id) = expr else { return false };
        let is_word = id.0.eq_ignore_ascii_case("true") || id.0.eq_ignore_ascii_case("false");
        is_word && matches!(self.find(None, id.0), Ok(None))
    }

    // AND and OR chains are long and lean to the left: walked, not recursed into.
    fn logic(&mut self, left: &Expr<'_>, op: Operator, right: &Expr<'_>) -> Result<Term, Untranslatable> {
        let mut parts = vec![right];
        let mut rest = left;
        while let Expr::Binary(l, o, r) = rest {
            if *o != op {
                break;
            }
            parts.push(r);
            rest = l;
        }
        parts.push(rest);
        let mut clauses = Vec::with_capacity(parts.len());
        let mut never_null = true;
        for part in parts.into_iter().rev() {
            let condition = self.expr(part).and_then(|t| self.condition(&t))?;
            never_null &= condition.never_null;
            clauses.push(condition.clause());
        }
        let word = if op == Operator::And { " AND " } else { " OR " };
        Ok(Term::new(clauses.join(word), Kind::Bool, Level::Logic).never_null(never_null))
    }

    fn is_null(&mut self, inner: &Expr<'_>, not: bool) -> Result<Term, Untranslatable> {
        let term = self.expr(inner)?;
        Ok(Self::null_test(&term, not))
    }

    pub fn null_test(term: &Term, not: bool) -> Term {
        let not = if not { "NOT " } else { "" };
        Term::comparison(format!("{} IS {not}NULL", term.operand())).never_null(true)
    }

    fn case(
        &mut self,
        base: Option<&Expr<'_>>,
        pairs: &[(Expr<'_>, Expr<'_>)],
        otherwise: Option<&Expr<'_>>,
    ) -> Result<Term, Untranslatable> {
        let base = base.map(|b| self.expr(b)).transpose()?;
        let (mut conditions, mut results) = (Vec::new(), Vec::new());
        for (when, then) in pairs {
            let when = self.expr(when)?;
            conditions.push(match &base {
                Some(base) => self.operate(Operator::Equals, base, &when)?,
                None => self.condition(&when)?,
            });
            results.push(self.expr(then)?);
        }
        results.push(otherwise.map_or_else(|| Ok(Term::null()), |e| self.expr(e))?);
        let results = self.unify(&results)?;
        let mut sql = String::from("CASE");
        for (when, then) in conditions.iter().zip(&results) {
            push!(sql, " WHEN {} THEN {}", when.sql, then.sql);
        }
        let last = results.last().expect("ELSE was pushed");
        if last.kind != Kind::Null {
            push!(sql, " ELSE {}", last.sql);
        }
        sql += " END";
        Ok(merged(sql, &results))
    }

    fn cast(&mut self, inner: &Expr<'_>, type_name: Option<&Type<'_>>) -> Result<Term, Untranslatable> {
        let term = self.expr(inner)?;
        let declared = type_name.map_or("", |t| t.name);
        self.cast_to(&term, super::Affinity::of(declared))
    }
}

/// The results of CASE or COALESCE as one term: what is true of all of them is true of it.
pub(super) fn merged(sql: String, results: &[Term]) -> Term {
    let typed = || results.iter().filter(|t| t.kind != Kind::Null);
    let kind = typed().next().map_or(Kind::Null, |t| t.kind);
    Term {
        never_null: results.iter().all(|t| t.never_null),
        wide: typed().any(|t| t.wide),
        real: typed().all(|t| t.real),
        fits_float: typed().all(|t| t.fits_float),
        doubt: typed().find_map(|t| t.doubt.clone()),
        ..Term::atom(sql, kind)
    }
}

pub(super) fn refuse<T>(reason: &str) -> Result<T, Untranslatable> {
    Err(Untranslatable::new(reason))
}

// The affinity of a generated column converts its value as well; only conversions that are the same in
// both are done.
pub(super) fn value_for(term: &Term, pg_type: &PgType) -> Result<Term, Untranslatable> {
    if let Some(doubt) = &term.doubt {
        return refuse(&doubt.reason);
    }
    let want = Kind::of(pg_type);
    match (term.kind, want) {
        (Kind::Null, _) | (Kind::Numeric | Kind::Integer, Kind::Numeric) => Ok(term.clone()),
        (Kind::Integer, Kind::Float) if term.affinity.is_none() || term.wide => Ok(term.cast("float8", want)),
        (Kind::Bool, Kind::Integer) => Ok(term.cast("int", want)),
        (Kind::Integer, Kind::Text) => Ok(term.cast("text", want)),
        (Kind::Integer, Kind::Bool) if matches!(term.integer(), Some(0 | 1)) => {
            Ok(Term::atom(if term.integer() == Some(1) { "true" } else { "false" }, want))
        }
        (have, want) if have == want && !matches!(pg_type, PgType::Char(_)) => Ok(term.clone()),
        (have, want) => refuse(&format!("gives {} where the column is {}", have.word(), want.word())),
    }
}

impl Term {
    /// Behind NOT, and before IS TRUE.
    fn up_to_not(&self) -> String {
        if self.level == Level::Atom { self.sql.clone() } else { format!("({})", self.sql) }
    }
}
