//! Tables in which applications keep what they have migrated: which they are, and how far each side has come.
//!
//! They say something of the database that they stand in, so that the source's rows are of no use beside the target's.

use super::source::Table;

/// A table that belongs to a framework, not to the application's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bookkeeping {
    /// Its name.
    pub table: &'static str,
    /// Whose it is.
    pub owner: &'static str,
    /// What it says of the migrations that were done; none where it says nothing that both sides must share.
    pub heads: Option<Heads>,
}

/// How a table says which migrations were done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// The columns that name a migration.
    pub columns: &'static [&'static str],
    /// A column that is NULL until a migration is done.
    pub done: Option<&'static str>,
    /// A column that is NULL unless a migration was undone.
    pub undone: Option<&'static str>,
    /// What both sides must share.
    pub shared: Shared,
}

/// What of two lists of migrations must be the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shared {
    /// Every one: the framework has one list for all databases.
    All,
    /// The last: each database has a list of its own, written side by side.
    Last,
}

const fn all(columns: &'static [&'static str]) -> Heads {
    Heads { columns, done: None, undone: None, shared: Shared::All }
}

const fn last(columns: &'static [&'static str]) -> Heads {
    Heads { columns, done: None, undone: None, shared: Shared::Last }
}

const PRISMA: Heads = Heads {
    columns: &["migration_name"],
    done: Some("finished_at"),
    undone: Some("rolled_back_at"),
    shared: Shared::Last,
};

const fn of(table: &'static str, owner: &'static str, heads: Option<Heads>) -> Bookkeeping {
    Bookkeeping { table, owner, heads }
}

/// Those that are known. Two frameworks may use one name: the columns tell them apart.
pub const KNOWN: &[Bookkeeping] = &[
    of("django_migrations", "Django", Some(all(&["app", "name"]))),
    of("schema_migrations", "Rails, Ecto, dbmate or golang-migrate", Some(all(&["version"]))),
    of("ar_internal_metadata", "Rails", None),
    of("_prisma_migrations", "Prisma", Some(PRISMA)),
    of("alembic_version", "Alembic", Some(all(&["version_num"]))),
    of("knex_migrations", "Knex", Some(all(&["name"]))),
    of("knex_migrations_lock", "Knex", None),
    of("__diesel_schema_migrations", "diesel", Some(last(&["version"]))),
    of("migrations", "TypeORM", Some(last(&["timestamp", "name"]))),
    of("migrations", "Laravel", Some(all(&["migration"]))),
    of("typeorm_metadata", "TypeORM", None),
    of("_sqlx_migrations", "sqlx", Some(last(&["version"]))),
    of("goose_db_version", "goose", Some(last(&["version_id"]))),
    of("refinery_schema_history", "refinery", Some(last(&["version"]))),
    of("seaql_migrations", "SeaORM", Some(all(&["version"]))),
    of("flyway_schema_history", "Flyway", Some(last(&["version"]))),
    of("databasechangelog", "Liquibase", Some(all(&["id"]))),
    of("databasechangeloglock", "Liquibase", None),
    of("__EFMigrationsHistory", "Entity Framework", Some(last(&["MigrationId"]))),
    of("SequelizeMeta", "Sequelize", Some(all(&["name"]))),
    of("VersionInfo", "FluentMigrator", Some(last(&["Version"]))),
    of("mikro_orm_migrations", "MikroORM", Some(last(&["name"]))),
    of("__drizzle_migrations", "Drizzle", None),
    of("kysely_migration", "Kysely", Some(all(&["name"]))),
    of("kysely_migration_lock", "Kysely", None),
    of("adonis_schema", "AdonisJS", Some(all(&["name"]))),
    of("adonis_schema_versions", "AdonisJS", None),
    of("doctrine_migration_versions", "Doctrine", Some(last(&["version"]))),
    of("phinxlog", "Phinx", Some(all(&["version"]))),
    of("gorp_migrations", "sql-migrate", Some(all(&["id"]))),
    of("migration_log", "Grafana", None),
    of("schema_changes", "Home Assistant", Some(last(&["schema_version"]))),
    of("_litestream_seq", "Litestream", None),
    of("_litestream_lock", "Litestream", None),
];

impl Bookkeeping {
    /// The framework's table that this one is, by its name and its columns.
    #[must_use]
    pub fn of(table: &Table) -> Option<&'static Self> {
        let has = |columns: &[&str]| columns.iter().all(|c| table.column_index(c).is_some());
        let is_it = |known: &&Self| {
            known.table.eq_ignore_ascii_case(&table.name) && known.heads.is_none_or(|heads| has(heads.columns))
        };
        KNOWN.iter().find(is_it)
    }
}

impl Heads {
    /// What only the source has done, and what only the target has, of what both must share.
    #[must_use]
    pub fn differences(self, source: &[String], target: &[String]) -> (Vec<String>, Vec<String>) {
        let shared = |of: &[String]| {
            let mut of = of.to_vec();
            of.sort_by_key(|name| in_order(name));
            of.dedup();
            if self.shared == Shared::Last {
                of = of.pop().into_iter().collect();
            }
            of
        };
        let (source, target) = (shared(source), shared(target));
        let without = |a: &[String], b: &[String]| a.iter().filter(|name| !b.contains(name)).cloned().collect();
        (without(&source, &target), without(&target, &source))
    }
}

// Numbers by their size, 9 before 10; everything else as text.
fn in_order(name: &str) -> (Option<u128>, String) {
    let digits: String = name.chars().take_while(char::is_ascii_digit).collect();
    (digits.parse().ok(), name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_list_must_be_the_same_whole_and_two_lists_must_end_the_same() {
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let (heads, ends) = (all(&["name"]), last(&["name"]));
        let (source, target) = (names(&["b", "a"]), names(&["a", "b"]));
        assert_eq!(heads.differences(&source, &target), (vec![], vec![]));
        assert_eq!(heads.differences(&source, &names(&["a", "c"])), (names(&["b"]), names(&["c"])));
        assert_eq!(ends.differences(&names(&["9", "10"]), &names(&["8", "10"])), (vec![], vec![]));
        assert_eq!(ends.differences(&names(&["9", "10"]), &names(&["9"])), (names(&["10"]), names(&["9"])));
        assert_eq!(ends.differences(&names(&["1_a"]), &[]), (names(&["1_a"]), vec![]));
    }
}
