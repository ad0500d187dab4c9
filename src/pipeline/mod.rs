//! Pipeline files: what a migration does beyond what it would decide by itself, as a text that can be reviewed.
//!
//! Owns the file's grammar, its messages with file, line and column, and its schema for editors. Knows no database: what
//! the source has is checked in `check` against a catalog, and carried out by the stages that it shapes.

pub mod check;
pub mod file;
pub mod mistakes;
mod sources;
mod stated;

use crate::error::{Error, Kind, Result};
use file::File;
use mistakes::{Mistake, Mistakes, Step};
use std::path::{Component, Path, PathBuf};
use toml::de::DeTable;
use uuid::Uuid;

/// A pipeline file that was read: its text, and what it says. Names are not yet matched with a source.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// Where it was read from.
    pub path: PathBuf,
    /// What it says.
    pub file: File,
    text: String,
}

/// Mistakes that are looked for in one file.
const MISTAKES_MAX: usize = 50;

impl Pipeline {
    /// Reads a file; `${VAR}` in its source and target is taken from the environment. All its mistakes are told at once,
    /// with their lines: [`Kind::Usage`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|e| {
            Error::new(Kind::Usage, format!("the pipeline `{}` cannot be read", path.display()))
                .cause(e)
                .hint("a pipeline is a text in TOML; `lite2pg init app.db -o shop.toml` makes one to begin with")
        })?;
        Self::parse(path, text, &|name| std::env::var(name).ok())
    }

    /// Reads a text as the file of that path; `variable` knows the environment that `${VAR}` asks for.
    pub fn parse(path: &Path, text: String, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        let (table, syntax) = DeTable::parse_recoverable(&text);
        let mut mistakes = Mistakes::new(path, &text);
        for error in &syntax {
            mistakes.add(Mistake::at(error.span().unwrap_or_default(), error.message()));
        }
        mistakes.end()?;
        let (mut file, found) = deserialized(table);
        for mistake in found {
            mistakes.add(mistake);
        }
        let root = DeTable::parse(&text).map(toml::Spanned::into_inner).unwrap_or_default();
        let mut expand = |value: &mut Option<String>, key: &'static str| {
            let Some(text) = value else { return };
            match expanded(text, variable) {
                Ok(text) => *value = Some(text),
                Err(message) => mistakes.add(Mistake::of(&root, &[Step::Key(key)], message)),
            }
        };
        expand(&mut file.source, "source");
        expand(&mut file.target, "target");
        mistakes.end()?;
        Ok(Self { path: path.to_path_buf(), file, text })
    }

    /// A path of the file, which is relative to the file's folder; a URI stays as it is.
    #[must_use]
    pub fn beside(&self, path: &str) -> PathBuf {
        match self.path.parent() {
            Some(folder) if !path.starts_with("file:") && !path.starts_with("sqlite:") => straight(&folder.join(path)),
            _ => PathBuf::from(path),
        }
    }

    /// A name for people: the file's own, else that of the file.
    #[must_use]
    pub fn name(&self) -> String {
        let stem = || self.path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        self.file.name.clone().unwrap_or_else(stem)
    }
}

// The path without its way into a folder and out again: `pipelines/../demo/a.db` reads as `demo/a.db`. A folder that is a
// link, or not there, stays: what lies above it is not what its name says.
fn straight(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        let is_named = matches!(out.components().next_back(), Some(Component::Normal(_)));
        let is_folder = || std::fs::symlink_metadata(&out).is_ok_and(|it| it.is_dir());
        if part == Component::ParentDir && is_named && is_folder() {
            out.pop();
        } else {
            out.push(part);
        }
    }
    out
}

/// The namespace of a pipeline that states none: the uuid of version 5 of `lite2pg:NAME` within RFC 9562's namespace of URLs.
#[must_use]
pub fn namespace(name: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("lite2pg:{name}").as_bytes())
}

// Everything that is wrong with the values: what does not fit is taken out, and the rest is tried again.
fn deserialized(table: toml::Spanned<DeTable<'_>>) -> (File, Vec<Mistake>) {
    use serde::Deserialize as _;
    let mut mistakes = Vec::new();
    let mut table = table;
    loop {
        let error = match File::deserialize(toml::de::Deserializer::from(table.clone())) {
            Ok(file) => return (file, mistakes),
            Err(error) => error,
        };
        let span = error.span().unwrap_or_default();
        mistakes.push(Mistake::of_serde(span.clone(), error.message()));
        if mistakes.len() == MISTAKES_MAX || !mistakes::take_out(table.get_mut(), &span) {
            return (File::default(), mistakes);
        }
    }
}

// `${VAR}` from the environment; `$$` is a dollar.
fn expanded(text: &str, variable: &dyn Fn(&str) -> Option<String>) -> std::result::Result<String, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        if let Some(inside) = after.strip_prefix('{') {
            let end = inside.find('}').ok_or("`${` without its `}`")?;
            let name = &inside[..end];
            out.push_str(&variable(name).ok_or_else(|| format!("the environment has no `{name}`"))?);
            rest = &inside[end + 1..];
        } else {
            out.push('$');
            rest = after.strip_prefix('$').unwrap_or(after);
        }
    }
    out.push_str(rest);
    Ok(out)
}

/// The schema of pipeline files, for editors.
#[must_use]
pub fn schema() -> String {
    let schema = schemars::schema_for!(File);
    serde_json::to_string_pretty(&schema).expect("a schema has string keys only") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_does_not_lead_into_a_folder_and_out_again_unless_that_is_another_way() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        std::fs::create_dir_all(at("pipelines/deep")).unwrap();
        std::os::unix::fs::symlink(at("pipelines/deep"), at("link")).unwrap();
        for (path, straight) in [
            ("pipelines/../demo/a.db", "demo/a.db"),
            ("pipelines/deep/../../a.db", "a.db"),
            ("pipelines/./a.db", "pipelines/a.db"),
            ("link/../a.db", "link/../a.db"),
            ("gone/../a.db", "gone/../a.db"),
        ] {
            assert_eq!(super::straight(&at(path)), at(straight), "{path}");
        }
        for path in ["../a.db", "../../a.db", "/../a.db", "a.db", "./a.db"] {
            assert_eq!(super::straight(Path::new(path)), Path::new(path), "{path}");
        }
        let pipeline = Pipeline::parse(Path::new("x/shop.toml"), String::new(), &|_| None).unwrap();
        assert_eq!(pipeline.beside("file:../a.db?mode=ro"), Path::new("file:../a.db?mode=ro"));
    }
}
