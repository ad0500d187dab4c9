//! Mistakes in a pipeline file: where they are, what is wrong, what was perhaps meant. All of them are shown at once.

use crate::error::{Error, Kind, Result};
use crate::model::name::nearest;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    span: Range<usize>,
    message: String,
    help: Option<String>,
}

/// A step on the way to a value of a file.
#[derive(Debug, Clone, Copy)]
pub enum Step<'a> {
    /// Into the value of a key.
    Key(&'a str),
    /// Into an element of an array.
    Index(usize),
    /// To the key itself, not its value.
    Name(&'a str),
}

impl Mistake {
    /// A mistake at these bytes.
    pub fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span, message: message.into(), help: None }
    }

    /// A mistake at the value that this way leads to, or as near to it as the file goes.
    pub fn of(root: &DeTable<'_>, way: &[Step<'_>], message: impl Into<String>) -> Self {
        Self::at(place(root, way), message)
    }

    /// Adds what was perhaps meant.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What the deserializer says of a value; an unknown key gets the nearest name of those that there are.
    pub(super) fn of_serde(span: Range<usize>, message: &str) -> Self {
        let mistake = Self::at(span, message.lines().next().unwrap_or_default());
        let Some(rest) = message.strip_prefix("unknown field `") else { return mistake };
        let mut quoted = rest.split('`');
        let unknown = quoted.next().unwrap_or_default().to_owned();
        let known: Vec<String> = quoted.skip(1).step_by(2).map(str::to_owned).collect();
        let mistake = Self { message: format!("unknown key `{unknown}`"), ..mistake };
        match nearest(&unknown, known.iter().map(String::as_str)) {
            Some(near) => mistake.help(format!("did you mean `{near}`?")),
            None => mistake.help(format!("known here: {}", known.join(", "))),
        }
    }
}

/// The mistakes of one file.
pub struct Mistakes<'a> {
    path: &'a Path,
    text: &'a str,
    all: Vec<Mistake>,
}

impl<'a> Mistakes<'a> {
    /// None yet.
    #[must_use]
    pub fn new(path: &'a Path, text: &'a str) -> Self {
        Self { path, text, all: Vec::new() }
    }

    /// Adds one; the same one twice is one.
    pub fn add(&mut self, mistake: Mistake) {
        if !self.all.contains(&mistake) {
            self.all.push(mistake);
        }
    }

    /// An error that shows all of them, where there are any.
    pub fn end(&mut self) -> Result<()> {
        if self.all.is_empty() {
            return Ok(());
        }
        self.all.sort_by_key(|m| m.span.start);
        let number = self.all.len();
        let what = if number == 1 { "a mistake".to_owned() } else { format!("{number} mistakes") };
        let mut error = Error::new(Kind::Usage, format!("{what} in `{}`", self.path.display()));
        for mistake in std::mem::take(&mut self.all) {
            error = error.fact(self.shown(&mistake));
        }
        Err(error.state("nothing was written"))
    }

    fn shown(&self, mistake: &Mistake) -> String {
        let path = self.path.display().to_string();
        let end = self.text.len();
        // An empty place, such as the end of a file, is shown by its last character.
        let is_between = |at: &usize| self.text.is_char_boundary(*at);
        let start = (0..=mistake.span.start.min(end.saturating_sub(1))).rev().find(is_between).unwrap_or(0);
        let least = mistake.span.end.clamp(start, end).max((start + 1).min(end));
        let span = start..(least..=end).find(is_between).unwrap_or(end);
        let snippet = Snippet::source(self.text).path(path.as_str()).annotation(AnnotationKind::Primary.span(span));
        let mut group = Level::ERROR.primary_title(mistake.message.as_str()).element(snippet);
        if let Some(help) = &mistake.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        Renderer::plain().render(&[group])
    }
}

// The bytes of what a way leads to.
fn place(root: &DeTable<'_>, way: &[Step<'_>]) -> Range<usize> {
    enum At<'a, 'i> {
        Table(&'a DeTable<'i>),
        Value(&'a DeValue<'i>),
    }
    let (mut at, mut span) = (At::Table(root), 0..0);
    for step in way {
        let table = match at {
            At::Table(table) | At::Value(DeValue::Table(table)) => Some(table),
            At::Value(_) => None,
        };
        match (step, table, &at) {
            (Step::Key(name), Some(table), _) => {
                let Some(value) = table.get(*name) else { return span };
                span = value.span();
                at = At::Value(value.get_ref());
            }
            (Step::Name(name), Some(table), _) => {
                return table.get_key_value(*name).map_or(span, |(key, _)| key.span());
            }
            (Step::Index(i), _, At::Value(DeValue::Array(array))) => {
                let Some(value) = array.get(*i) else { return span };
                span = value.span();
                at = At::Value(value.get_ref());
            }
            _ => return span,
        }
    }
    span
}

/// Takes out of a table what stands at this place: a key, a value, or the value that holds it. False where nothing does.
pub(super) fn take_out(table: &mut DeTable<'_>, span: &Range<usize>) -> bool {
    let names: Vec<String> = table.keys().map(|k| k.get_ref().to_string()).collect();
    for name in names {
        let Some((key, value)) = table.get_key_value(name.as_str()) else { continue };
        if key.span() == *span || is_at(value, span) {
            table.remove(name.as_str());
            return true;
        }
        if table.get_mut(name.as_str()).is_some_and(|value| take_out_of_value(value.get_mut(), span)) {
            return true;
        }
    }
    false
}

// The span of a table is that of its head, so that what it holds does not lie in it.
fn is_at(value: &Spanned<DeValue<'_>>, span: &Range<usize>) -> bool {
    let around = value.span();
    let is_scalar = !matches!(value.get_ref(), DeValue::Table(_) | DeValue::Array(_));
    around == *span || is_scalar && around.start <= span.start && span.end <= around.end
}

fn take_out_of_value(value: &mut DeValue<'_>, span: &Range<usize>) -> bool {
    let array = match value {
        DeValue::Table(table) => return take_out(table, span),
        DeValue::Array(array) => array,
        _ => return false,
    };
    let Some(at) = array.iter().position(|value| is_at(value, span)) else {
        return array.iter_mut().any(|value| take_out_of_value(value.get_mut(), span));
    };
    let mut rest = DeArray::new();
    array.iter().enumerate().filter(|(i, _)| *i != at).for_each(|(_, value)| rest.push(value.clone()));
    *array = rest;
    true
}
