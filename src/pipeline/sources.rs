//! What a pipeline says of several tables of the source at once: merges, and what a column's values refer to.

use super::check::Checker;
use super::file::{Column, Table};
use super::mistakes::{Mistake, Step};
use crate::model::name::nearest;
use crate::model::reshape::{MergeSource, Origin, Orphans, Stray};
use crate::model::source::Table as SourceTable;

impl<'a> Checker<'a> {
    pub(super) fn source(&mut self, way: &[Step<'_>], name: &str) -> Option<&'a SourceTable> {
        let found = self.catalog.table(name);
        if found.is_none() {
            let all = self.catalog.tables.iter().map(|t| t.name.as_str());
            self.unknown(way, name, all, format!("the source has no table `{name}`"));
        }
        found
    }

    fn unknown<'n>(
        &mut self,
        way: &[Step<'_>],
        name: &str,
        all: impl Iterator<Item = &'n str>,
        message: impl Into<String>,
    ) {
        let mistake = Mistake::of(self.root, way, message);
        self.mistakes.add(match nearest(name, all) {
            Some(near) => mistake.help(format!("did you mean `{near}`?")),
            None => mistake,
        });
    }

    // Tables that are merged: every name that is used of them, and the key in each.
    pub(super) fn merge(&mut self, head: &[Step<'_>; 2], table: &Table) -> Option<Origin> {
        let mut sources = Vec::new();
        for (n, given) in table.merge.iter().enumerate() {
            let at = [head[0], head[1], Step::Key("merge"), Step::Index(n)];
            let way = |name| [at[0], at[1], at[2], at[3], name];
            let source = self.source(&way(Step::Key("from")), &given.from)?;
            let all = || source.columns.iter().map(|c| c.name.as_str());
            let mut used = given.columns.keys().map(|name| (name, "columns")).collect::<Vec<_>>();
            used.extend(given.drop.iter().map(|name| (name, "drop")));
            for (name, key) in used.into_iter().filter(|(name, _)| source.column_index(name).is_none()) {
                let message = format!("`{}` has no column `{name}`", source.name);
                self.unknown(&way(Step::Key(key)), name, all(), message);
            }
            let of = MergeSource {
                table: source.name.clone(),
                columns: given.columns.iter().map(|(from, to)| (from.clone(), to.clone())).collect(),
                drop: given.drop.clone(),
                only: given.only.clone(),
            };
            let names: Vec<&str> = all().filter_map(|column| of.name_of(column)).collect();
            if let Some(twice) = names.iter().find(|a| names.iter().filter(|b| b.eq_ignore_ascii_case(a)).count() > 1) {
                self.mistake(&at, format!("two columns of `{}` are called `{twice}`", source.name));
            }
            for key in table.key.iter().filter(|key| !names.iter().any(|name| name.eq_ignore_ascii_case(key))) {
                let message = format!("`{}` has no column `{key}`, which is of the `key`", source.name);
                self.unknown(&at, key, names.iter().copied(), message);
            }
            sources.push(of);
        }
        if table.key.is_empty() {
            self.mistake(head, "a merge needs the columns of its `key`, by which it tells rows apart");
        }
        Some(Origin::Merge { sources, key: table.key.clone() })
    }

    // What a column with a policy for orphans refers to: as is stated, or by its foreign key.
    pub(super) fn orphans(
        &mut self,
        way: &[Step<'_>; 4],
        source: Option<&SourceTable>,
        name: &str,
        column: &Column,
    ) -> Option<Orphans> {
        let key = |name: &'static str| [way[0], way[1], way[2], way[3], Step::Key(name)];
        let policy = match (column.orphans, &column.references) {
            (Some(policy), _) => policy,
            (None, None) => return None,
            (None, Some(_)) => Stray::Keep,
        };
        let Some(stated) = &column.references else {
            let found = source.and_then(|table| self.parent(table, name));
            if found.is_none() {
                let message = format!("no foreign key says what `{name}` refers to: `references = \"table.column\"`");
                self.mistake(&key("orphans"), message);
            }
            return found.map(|(parent, column)| Orphans { policy, parent, column });
        };
        let known = stated.match_indices('.').find_map(|(point, _)| {
            let table = self.catalog.table(&stated[..point])?;
            let column = &table.columns[table.column_index(&stated[point + 1..])?];
            Some(Orphans { policy, parent: table.name.clone(), column: column.name.clone() })
        });
        if known.is_none() {
            let columns = self.catalog.tables.iter().flat_map(|t| t.columns.iter().map(move |c| (t, c)));
            let all: Vec<String> = columns.map(|(t, c)| format!("{}.{}", t.name, c.name)).collect();
            let near = nearest(stated, all.iter().map(String::as_str)).map(str::to_owned);
            let mistake = Mistake::of(self.root, &key("references"), format!("the source has no `{stated}`"));
            self.mistakes.add(match near {
                Some(near) => mistake.help(format!("did you mean `{near}`?")),
                None => mistake,
            });
        }
        known
    }

    fn parent(&self, table: &SourceTable, column: &str) -> Option<(String, String)> {
        let at = table.column_index(column)?;
        let key = table.foreign_keys.iter().find(|key| key.columns == [at])?;
        let parent = self.catalog.table(&key.parent)?;
        let at = match key.parent_columns.first() {
            Some(name) => parent.column_index(name)?,
            None => *parent.primary_key.first()?,
        };
        Some((parent.name.clone(), parent.columns[at].name.clone()))
    }
}
