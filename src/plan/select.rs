//! Which tables a run is about: `--include` and `--exclude`.

use crate::error::{Error, Kind, Result};
use crate::model::name::nearest;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use std::collections::HashSet;

/// Globs over table names. Without any, every table is chosen.
#[derive(Debug, Clone)]
pub struct Selection {
    include: Option<GlobSet>,
    exclude: GlobSet,
    /// Both lists as they were written, behind the words that name them.
    written: [(&'static str, Vec<String>); 2],
}

impl Selection {
    /// Compiles the globs; case is ignored, as SQLite does for names.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self> {
        let written = [("--include", include.to_vec()), ("--exclude", exclude.to_vec())];
        let include = if include.is_empty() { None } else { Some(compile(include)?) };
        Ok(Self { include, exclude: compile(exclude)?, written })
    }

    /// Whether the table is chosen.
    #[must_use]
    pub fn takes(&self, table: &str) -> bool {
        self.include.as_ref().is_none_or(|set| set.is_match(table)) && !self.exclude.is_match(table)
    }

    /// What to tell of globs that match none of these names: a slip of the pen leaves a table behind, or takes one along.
    #[must_use]
    pub fn idle(&self, names: &[&str]) -> Vec<String> {
        let sets = [self.include.as_ref(), Some(&self.exclude)];
        let mut told = Vec::new();
        for ((option, globs), set) in self.written.iter().zip(sets) {
            let met: HashSet<usize> =
                names.iter().flat_map(|name| set.map(|s| s.matches(name)).unwrap_or_default()).collect();
            for (_, glob) in globs.iter().enumerate().filter(|(i, _)| !met.contains(i)) {
                let near = nearest(glob, names.iter().copied());
                let meant = near.map(|name| format!(": did you mean `{name}`?")).unwrap_or_default();
                told.push(format!("`{option} {glob}` matches no table{meant}"));
            }
        }
        told
    }
}

fn compile(globs: &[String]) -> Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        let one = GlobBuilder::new(glob).case_insensitive(true).build().map_err(|e| {
            Error::new(Kind::Usage, format!("`{glob}` is no glob"))
                .cause(e)
                .hint("`*` stands for any text, `?` for one character, `[ab]` for one of them")
        })?;
        set.add(one);
    }
    set.build().map_err(|e| Error::new(Kind::Usage, "the globs are too large together").cause(e))
}

#[cfg(test)]
mod tests {
    use super::Selection;

    #[test]
    fn exclude_wins_over_include_and_case_is_ignored() {
        let selection = Selection::new(&["order*".into(), "Users".into()], &["*_log".into()]).unwrap();
        assert!(selection.takes("Orders") && selection.takes("users"));
        assert!(!selection.takes("order_log") && !selection.takes("items"));
        assert!(Selection::new(&[], &[]).unwrap().takes("anything"));
        assert!(Selection::new(&["a[".into()], &[]).is_err());
    }

    #[test]
    fn globs_that_match_nothing_are_told_with_the_nearest_name() {
        let names = ["sessions", "users", "docs_fts"];
        let idle = |include: &[&str], exclude: &[&str]| {
            let owned = |globs: &[&str]| globs.iter().map(|g| (*g).to_owned()).collect::<Vec<_>>();
            Selection::new(&owned(include), &owned(exclude)).unwrap().idle(&names)
        };
        assert_eq!(idle(&["user*", "SESSIONS"], &["*_fts"]), [""; 0]);
        let told =
            ["`--include zzz` matches no table", "`--exclude sesions` matches no table: did you mean `sessions`?"];
        assert_eq!(idle(&["zzz", "users"], &["users", "sesions"]), told);
    }
}
