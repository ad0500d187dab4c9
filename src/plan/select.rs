//! Which tables a run is about: `--include` and `--exclude`.

use crate::error::{Error, Kind, Result};
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Globs over table names. Without any, every table is chosen.
#[derive(Debug, Clone)]
pub struct Selection {
    include: Option<GlobSet>,
    exclude: GlobSet,
}

impl Selection {
    /// Compiles the globs; case is ignored, as SQLite does for names.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self> {
        let include = if include.is_empty() { None } else { Some(compile(include)?) };
        Ok(Self { include, exclude: compile(exclude)? })
    }

    /// Whether the table is chosen.
    #[must_use]
    pub fn takes(&self, table: &str) -> bool {
        self.include.as_ref().is_none_or(|set| set.is_match(table)) && !self.exclude.is_match(table)
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
}
