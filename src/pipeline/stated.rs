//! What a pipeline says of the types that columns arrive in: enums, ids of maps, arrays, and everything else by its name.

use super::check::Checker;
use super::file::{Column, Constant};
use super::mistakes::{Mistake, Step};
use crate::model::bounds::PG_NAME_BYTES_MAX;
use crate::model::name::nearest;
use crate::model::pg_type::{Element, PgType};
use crate::model::policy::Reading;
use indexmap::IndexMap;
use uuid::Uuid;

impl Checker<'_> {
    pub(super) fn enums(&mut self, enums: &IndexMap<String, Vec<String>>) {
        for (name, labels) in enums {
            let way = [Step::Key("enum"), Step::Name(name)];
            if PgType::parse(name).is_some() {
                self.mistake(&way, format!("`{name}` is a type of PostgreSQL's own"));
            } else if name.is_empty() || name.len() > PG_NAME_BYTES_MAX || name.contains('\0') {
                self.mistake(&way, format!("an enum's name has 1 to {PG_NAME_BYTES_MAX} bytes"));
            }
            if labels.is_empty() {
                self.mistake(&way, format!("the enum `{name}` has no value"));
            }
            for (n, label) in labels.iter().enumerate() {
                let way = [way[0], Step::Key(name), Step::Index(n)];
                if labels[..n].contains(label) {
                    self.mistake(&way, format!("the enum `{name}` has the value `{label}` twice"));
                }
                // https://www.postgresql.org/docs/current/datatype-enum.html: a label is as long as a name may be.
                if label.len() > PG_NAME_BYTES_MAX || label.contains('\0') {
                    self.mistake(&way, format!("a value of an enum has at most {PG_NAME_BYTES_MAX} bytes"));
                }
            }
            self.found.rules.enums.push((name.clone(), labels.clone()));
        }
    }

    /// The type of a column, and what its cells are read as.
    pub(super) fn types(&mut self, way: &[Step<'_>; 4], name: &str, column: &Column) {
        let key = |name: &'static str| [way[0], way[1], way[2], way[3], Step::Key(name)];
        let stated = column.pg_type.as_deref().map(|text| self.stated(&key("type"), text));
        if let Some(Some(pg_type)) = &stated {
            self.found.rules.types.push((name.to_owned(), pg_type.clone()));
            if let PgType::TextLike(stated) = pg_type {
                self.values(way, stated, column);
            }
        }
        let is_id = self.id(way, name, stated.as_ref(), column);
        let Some(by) = &column.split else { return };
        let element = match stated {
            None => {
                self.found.rules.types.push((name.to_owned(), PgType::Array(Element::Text)));
                Some(Some(Element::Text))
            }
            Some(Some(PgType::Array(element))) => Some(Some(element)),
            Some(Some(PgType::Cast(cast))) if cast.habit.is_array() => Some(None),
            Some(_) => None,
        };
        match element {
            Some(element) if !by.is_empty() && !is_id => {
                self.found.rules.readings.push((name.to_owned(), Reading::Split { element, by: by.clone() }));
            }
            Some(_) => self.mistake(&key("split"), "what stands between values is some text, and they are no ids"),
            None => self.mistake(&key("type"), "what is split is an array, as `text[]`"),
        }
    }

    fn stated(&mut self, way: &[Step<'_>], text: &str) -> Option<PgType> {
        let enums = &self.found.rules.enums;
        if enums.iter().any(|(name, _)| name == text) {
            return Some(PgType::TextLike(text.to_owned()));
        }
        let found = PgType::parse(text);
        if found.is_none() {
            let near = nearest(text, enums.iter().map(|(name, _)| name.as_str())).map(str::to_owned);
            let mistake = Mistake::of(
                self.root,
                way,
                format!("`{text}` is no type that lite2pg makes, and no `enum` of this file"),
            );
            self.mistakes.add(match near {
                Some(near) => mistake.help(format!("did you mean `{near}`?")),
                None => mistake,
            });
        }
        found
    }

    // What the file itself puts into a column of an enum is one of its values.
    fn values(&mut self, way: &[Step<'_>; 4], name: &str, column: &Column) {
        let labels = self.found.rules.enums.iter().find(|(known, _)| known == name).map(|(_, labels)| labels.clone());
        let labels = labels.unwrap_or_default();
        let mut given: Vec<(Vec<Step<'_>>, &Constant)> = Vec::new();
        let at = |step| vec![way[0], way[1], way[2], way[3], Step::Key(step)];
        given.extend(column.value.as_ref().map(|value| (at("value"), value)));
        given.extend(column.default.as_ref().map(|value| (at("default"), value)));
        for (old, value) in &column.map {
            let mut way = at("map");
            way.push(Step::Key(old));
            given.push((way, value));
        }
        for (way, value) in given {
            let text = match value {
                Constant::Text(text) if labels.contains(text) => continue,
                Constant::Text(text) => text.clone(),
                Constant::Bool(_) | Constant::Integer(_) | Constant::Real(_) => String::new(),
            };
            let mistake = Mistake::of(self.root, &way, format!("this is no value of the enum `{name}`"));
            let near = nearest(&text, labels.iter().map(String::as_str)).map(str::to_owned);
            self.mistakes.add(match near {
                Some(near) => mistake.help(format!("did you mean `{near}`?")),
                None => mistake.help(format!("its values are {}", labels.join(", "))),
            });
        }
    }

    // The map that a column's ids belong to: all that a map has are of one version.
    fn id(&mut self, way: &[Step<'_>; 4], name: &str, stated: Option<&Option<PgType>>, column: &Column) -> bool {
        let key = |name: &'static str| [way[0], way[1], way[2], way[3], Step::Key(name)];
        let versions = [("v4", &column.v4), ("v5", &column.v5), ("v7", &column.v7)];
        let asked: Vec<(&'static str, &String)> =
            versions.into_iter().filter_map(|(version, map)| Some((version, map.as_ref()?))).collect();
        let [(version, map)] = asked[..] else {
            if !asked.is_empty() {
                self.mistake(&way[..], "an id is made by one of `v4`, `v5` and `v7`");
            }
            return false;
        };
        let other = *self.maps.entry(map.clone()).or_insert(version);
        if other != version {
            let message = format!("the ids of the map `{map}` are made by `{other}` elsewhere in this file");
            self.mistake(&key(version), message);
        }
        match stated {
            None => self.found.rules.types.push((name.to_owned(), PgType::Uuid)),
            Some(Some(PgType::Uuid)) => {}
            Some(_) => self.mistake(&key("type"), "an id of a map is a `uuid`"),
        }
        let map = map.clone();
        let reading = match version {
            "v5" => Reading::Id { namespace: Uuid::new_v5(&self.namespace, map.as_bytes()), map },
            version => Reading::Drawn { map, timed: version == "v7" },
        };
        self.found.rules.readings.push((name.to_owned(), reading));
        true
    }
}
