//! Which framework made a database: known by the table in which it keeps what it has already done.

use crate::model::inspection::Framework;
use crate::model::profile::TableProfile;
use crate::model::source::{Catalog, Table};

/// A bookkeeping table: its name, columns that it must have, whose it is, and what creates the schema on PostgreSQL.
type Known = (&'static str, &'static [&'static str], &'static str, Option<&'static str>);

// Several share a name and are told apart by their columns; the first that fits counts.
const KNOWN: &[Known] = &[
    ("django_migrations", &["app", "name", "applied"], "Django", Some("python manage.py migrate")),
    ("ar_internal_metadata", &["key", "value"], "Rails", Some("rails db:schema:load")),
    ("_prisma_migrations", &["migration_name"], "Prisma", Some("prisma migrate deploy")),
    ("alembic_version", &["version_num"], "Alembic", Some("alembic upgrade head")),
    ("knex_migrations", &["name", "batch"], "Knex", Some("knex migrate:latest")),
    ("migrations", &["migration", "batch"], "Laravel", Some("php artisan migrate")),
    ("migrations", &["timestamp", "name"], "TypeORM", Some("typeorm migration:run")),
    ("typeorm_metadata", &["type", "name"], "TypeORM", Some("typeorm migration:run")),
    ("__diesel_schema_migrations", &["version", "run_on"], "diesel", Some("diesel migration run")),
    ("_sqlx_migrations", &["version", "checksum"], "sqlx", Some("sqlx migrate run")),
    ("seaql_migrations", &["version", "applied_at"], "SeaORM", Some("sea-orm-cli migrate up")),
    ("refinery_schema_history", &["version", "checksum"], "refinery", Some("refinery migrate")),
    ("goose_db_version", &["version_id", "is_applied"], "goose", Some("goose up")),
    ("gorp_migrations", &["id", "applied_at"], "sql-migrate", Some("sql-migrate up")),
    ("schema_migrations", &["version", "dirty"], "golang-migrate", Some("migrate up")),
    ("schema_migrations", &["version", "inserted_at"], "Ecto", Some("mix ecto.migrate")),
    ("schema_migrations", &["version"], "Rails or dbmate", None),
    ("atlas_schema_revisions", &["version"], "Atlas", Some("atlas migrate apply")),
    ("flyway_schema_history", &["installed_rank"], "Flyway", Some("flyway migrate")),
    ("DATABASECHANGELOG", &["ID", "MD5SUM"], "Liquibase", Some("liquibase update")),
    ("__EFMigrationsHistory", &["MigrationId"], "Entity Framework Core", Some("dotnet ef database update")),
    ("VersionInfo", &["Version", "AppliedOn"], "FluentMigrator", None),
    ("SequelizeMeta", &["name"], "Sequelize", Some("sequelize-cli db:migrate")),
    ("__drizzle_migrations", &["hash", "created_at"], "Drizzle", Some("drizzle-kit migrate")),
    ("mikro_orm_migrations", &["name", "executed_at"], "MikroORM", Some("mikro-orm migration:up")),
    ("kysely_migration", &["name", "timestamp"], "Kysely", None),
    ("doctrine_migration_versions", &["version"], "Doctrine", Some("doctrine-migrations migrate")),
    ("phinxlog", &["version", "migration_name"], "Phinx", Some("phinx migrate")),
    ("_yoyo_migration", &["migration_id"], "yoyo", Some("yoyo apply")),
    ("aerich", &["version", "app"], "Aerich", Some("aerich upgrade")),
    ("migratehistory", &["name", "migrated_at"], "peewee-migrate", None),
    ("migration_log", &["migration_id", "success"], "Grafana", None),
    ("schema_changes", &["schema_version", "changed"], "Home Assistant", None),
    ("room_master_table", &["identity_hash"], "Android Room", None),
    ("Z_METADATA", &["Z_VERSION", "Z_UUID"], "Core Data", None),
    ("grdb_migrations", &["identifier"], "GRDB", None),
];

/// The frameworks whose tables are there, in the catalog's order, each once.
pub fn of(catalog: &Catalog, profiles: &[TableProfile]) -> Vec<Framework> {
    let mut found: Vec<Framework> = Vec::new();
    for (table, profile) in catalog.tables.iter().zip(profiles) {
        let Some((_, _, name, command)) = KNOWN.iter().find(|known| fits(table, known)) else { continue };
        // Both of Rails' tables, or of TypeORM's, are one framework; the one that counts migrations says more.
        let general = |f: &Framework| f.name == *name || (f.name == "Rails" && *name == "Rails or dbmate");
        if let Some(known) = found.iter_mut().find(|f| general(f)) {
            if profile.rows > known.entries {
                (known.table, known.entries) = (table.name.clone(), profile.rows);
            }
            continue;
        }
        let framework = Framework { name, table: table.name.clone(), entries: profile.rows, creates_schema: *command };
        let unsure = found.iter_mut().find(|f| f.name == "Rails or dbmate" && *name == "Rails");
        if let Some(known) = unsure {
            (known.name, known.creates_schema) = (name, *command);
            continue;
        }
        found.push(framework);
    }
    found
}

fn fits(table: &Table, (name, columns, ..): &Known) -> bool {
    table.name.eq_ignore_ascii_case(name) && columns.iter().all(|c| table.column_index(c).is_some())
}
