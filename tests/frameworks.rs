//! Tables as frameworks make them, on both sides: loaded by name by the role that owns them, compared, and in use again.

#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

use lite2pg::postgres::Session;
use std::path::PathBuf;
use support::program::{Ran, migrate, source, value, verify};
use support::{database, session};
use tempfile::TempDir;

/// A framework's database on both sides; the target's belongs to a role that may do nothing else.
struct App {
    _dir: TempDir,
    path: PathBuf,
    target: String,
    seen: Session,
}

/// Everything that a load must leave as it found it: owners, constraints, indexes, triggers, defaults.
const SHAPE: &str = "SELECT string_agg(line, E'\\n' ORDER BY line) FROM (
    SELECT 'owner ' || relname || ' ' || relowner::regrole AS line FROM pg_class c
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S')
    UNION ALL SELECT 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) || convalidated
        FROM pg_constraint WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'trigger ' || pg_get_triggerdef(oid) || tgenabled::text FROM pg_trigger WHERE NOT tgisinternal
    UNION ALL SELECT 'default ' || adrelid::regclass || ' ' || pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid::regclass::text !~ '^lite2pg') s";

impl App {
    fn new(here: &str, there: &str) -> Self {
        let (dir, path) = source(here);
        let target = database();
        let seen = session(&target);
        let (base, role) = (target.dbname().to_owned(), format!("app_{}", target.dbname()));
        seen.batch(&format!(
            "CREATE ROLE {role} LOGIN; GRANT CREATE, TEMPORARY ON DATABASE {base} TO {role}; \
             GRANT ALL ON SCHEMA public TO {role}; SET ROLE {role}; {there}; RESET ROLE"
        ))
        .unwrap_or_else(|e| panic!("{e:?}"));
        Self { _dir: dir, path, target: format!("host={} user={role} dbname={base}", target.host()), seen }
    }

    fn sides(&self) -> [&str; 2] {
        [self.path.to_str().unwrap(), &self.target]
    }

    fn run(&self, more: &[&str]) -> Ran {
        migrate(self.sides().iter().chain(&["--data-only"]).chain(more))
    }

    #[track_caller]
    fn asks(&self, sql: &str, answer: &str) {
        assert_eq!(value(&self.seen, sql), answer, "{sql}");
    }

    /// Loads it, and looks whether everything but the rows is as it was.
    #[track_caller]
    fn loads(&self, more: &[&str]) -> Ran {
        let before = value(&self.seen, SHAPE);
        let ran = self.run(more).exits(0);
        assert!(ran.stdout.contains("verified: every cell"), "{}", ran.stdout);
        assert_eq!(value(&self.seen, SHAPE), before);
        verify(self.sides()).exits(0);
        ran
    }

    /// The application writes a row; its number, or what it is asked to return.
    #[track_caller]
    fn writes(&self, insert: &str, id: &str) {
        let row = self.seen.query_one(insert, &[]).unwrap_or_else(|e| panic!("{insert}: {e:?}"));
        assert_eq!(row.get::<_, String>(0), id, "{insert}");
    }
}

const DJANGO: (&str, &str) = (
    r#"CREATE TABLE "django_migrations" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "app" varchar(255) NOT NULL,
           "name" varchar(255) NOT NULL, "applied" datetime NOT NULL);
       INSERT INTO django_migrations VALUES (1, 'contenttypes', '0001_initial', '2024-01-01 00:00:00'), (2, 'shop', '0001_initial', '2024-01-01 00:00:00');
       CREATE TABLE "django_content_type" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "app_label" varchar(100) NOT NULL, "model" varchar(100) NOT NULL);
       CREATE UNIQUE INDEX "django_content_type_app_label_model_uniq" ON "django_content_type" ("app_label", "model");
       INSERT INTO django_content_type VALUES (1, 'admin', 'logentry'), (7, 'shop', 'order');
       CREATE TABLE "shop_order" ("id" integer NOT NULL PRIMARY KEY AUTOINCREMENT, "placed" datetime NOT NULL, "paid" bool NOT NULL,
           "total" decimal NOT NULL, "code" varchar(12) NOT NULL UNIQUE, "meta" text NOT NULL CHECK ((JSON_VALID("meta") OR "meta" IS NULL)),
           "ref" char(32) NOT NULL, "day" date NULL, "stock" integer unsigned NOT NULL CHECK ("stock" >= 0), "file" BLOB NULL,
           "kind_id" integer NOT NULL REFERENCES "django_content_type" ("id") DEFERRABLE INITIALLY DEFERRED,
           "parent_id" bigint NULL REFERENCES "shop_order" ("id") DEFERRABLE INITIALLY DEFERRED);
       CREATE INDEX "shop_order_parent_id_5c2a" ON "shop_order" ("parent_id");
       INSERT INTO shop_order VALUES
           (3, '2024-02-29 12:00:00.123456', 1, 12.5, 'A-1', '{"a": [1, null]}', '0189d5acac96774bbcceb302099a8057', '2024-02-29', 5, x'00ff', 7, 9),
           (9, '2024-03-01 00:00:00', 0, 1000, 'A-2', '[]', '0189d5acac96774bbcceb302099a8058', NULL, 0, NULL, 7, NULL);
       UPDATE sqlite_sequence SET seq = 40 WHERE name = 'shop_order';"#,
    r#"CREATE TABLE "django_migrations" ("id" bigint NOT NULL PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, "app" varchar(255) NOT NULL,
           "name" varchar(255) NOT NULL, "applied" timestamp with time zone NOT NULL);
       INSERT INTO django_migrations (app, name, applied) VALUES ('shop', '0001_initial', now()), ('contenttypes', '0001_initial', now());
       CREATE TABLE "django_content_type" ("id" integer NOT NULL PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, "app_label" varchar(100) NOT NULL,
           "model" varchar(100) NOT NULL, CONSTRAINT "django_content_type_app_label_model_uniq" UNIQUE ("app_label", "model"));
       INSERT INTO django_content_type (app_label, model) VALUES ('shop', 'order'), ('admin', 'logentry');
       CREATE TABLE "shop_order" ("id" bigint NOT NULL PRIMARY KEY GENERATED BY DEFAULT AS IDENTITY, "placed" timestamp with time zone NOT NULL,
           "paid" boolean NOT NULL, "total" numeric(10, 2) NOT NULL, "code" varchar(12) NOT NULL UNIQUE, "meta" jsonb NOT NULL, "ref" uuid NOT NULL,
           "day" date NULL, "stock" integer NOT NULL CHECK ("stock" >= 0), "file" bytea NULL, "kind_id" integer NOT NULL, "parent_id" bigint NULL);
       ALTER TABLE "shop_order" ADD CONSTRAINT "shop_order_kind_id_fk" FOREIGN KEY ("kind_id") REFERENCES "django_content_type" ("id") DEFERRABLE INITIALLY DEFERRED;
       ALTER TABLE "shop_order" ADD CONSTRAINT "shop_order_parent_id_fk" FOREIGN KEY ("parent_id") REFERENCES "shop_order" ("id") DEFERRABLE INITIALLY DEFERRED;
       CREATE INDEX "shop_order_code_like" ON "shop_order" ("code" varchar_pattern_ops);
       CREATE INDEX "shop_order_parent_id_5c2a" ON "shop_order" ("parent_id")"#,
);

#[test]
fn django_s_tables_are_loaded_and_what_migrate_has_seeded_is_replaced_only_when_told() {
    let app = App::new(DJANGO.0, DJANGO.1);
    app.run(&[]).exits(3).says(&["the target holds rows already", "in `django_content_type`", "`--truncate`"]);
    let ran = app.loads(&["--truncate"]);
    ran.says(&["`django_migrations`: left alone: what Django has migrated", "both sides have come equally far"]);
    app.asks("SELECT string_agg(id || model, ' ' ORDER BY id) FROM django_content_type", "1logentry 7order");
    app.asks("SELECT count(*) FROM django_migrations WHERE applied > now() - interval '1 hour'", "2");
    app.asks(
        "SELECT o FROM shop_order o WHERE id = 3",
        "(3,\"2024-02-29 12:00:00.123456+00\",t,12.50,A-1,\"{\"\"a\"\": [1, null]}\",0189d5ac-ac96-774b-bcce-b302099a8057,2024-02-29,5,\"\\\\x00ff\",7,9)",
    );
    // SQLite had given out 40.
    app.writes(
        "INSERT INTO shop_order (placed, paid, total, code, meta, ref, stock, kind_id) \
         VALUES (now(), true, 1, 'new', '{}', gen_random_uuid(), 0, 1) RETURNING id::text",
        "41",
    );
}

const RAILS: (&str, &str) = (
    r#"CREATE TABLE "schema_migrations" ("version" varchar NOT NULL PRIMARY KEY);
       INSERT INTO schema_migrations VALUES ('20240101000000'), ('20240202000000');
       CREATE TABLE "ar_internal_metadata" ("key" varchar NOT NULL PRIMARY KEY, "value" varchar, "created_at" datetime(6) NOT NULL, "updated_at" datetime(6) NOT NULL);
       INSERT INTO ar_internal_metadata VALUES ('environment', 'development', '2024-01-01 00:00:00', '2024-01-01 00:00:00');
       CREATE TABLE "users" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL, "email" varchar NOT NULL, "admin" boolean DEFAULT 0 NOT NULL,
           "old" boolean, "prefs" json, "balance" decimal(10,2), "manager_id" integer, "created_at" datetime(6) NOT NULL, "updated_at" datetime(6) NOT NULL,
           CONSTRAINT "fk_rails_1" FOREIGN KEY ("manager_id") REFERENCES "users" ("id"));
       CREATE UNIQUE INDEX "index_users_on_email" ON "users" ("email");
       INSERT INTO users VALUES (1, 'a@x.org', 1, 't', '{"k":1}', 10.5, 2, '2024-01-01 10:00:00.000001', '2024-01-02 00:00:00'),
                                (2, 'b@x.org', 0, 'f', NULL, NULL, NULL, '2024-01-01 10:00:00', '2024-01-02 00:00:00');"#,
    r"CREATE TABLE schema_migrations (version character varying NOT NULL PRIMARY KEY);
       INSERT INTO schema_migrations VALUES ('20240202000000'), ('20240101000000');
       CREATE TABLE ar_internal_metadata (key character varying NOT NULL PRIMARY KEY, value character varying,
           created_at timestamp(6) without time zone NOT NULL, updated_at timestamp(6) without time zone NOT NULL);
       INSERT INTO ar_internal_metadata VALUES ('environment', 'production', now(), now());
       CREATE TABLE users (id bigserial NOT NULL PRIMARY KEY, email character varying NOT NULL, admin boolean DEFAULT false NOT NULL, old boolean,
           prefs jsonb, balance numeric(10,2), manager_id bigint, created_at timestamp(6) without time zone NOT NULL, updated_at timestamp(6) without time zone NOT NULL,
           CONSTRAINT fk_rails_1 FOREIGN KEY (manager_id) REFERENCES users(id));
       CREATE UNIQUE INDEX index_users_on_email ON users USING btree (email);
       CREATE TABLE audits (what text);
       CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS
           $$ BEGIN INSERT INTO public.audits VALUES (NEW.email); NEW.updated_at := now(); RETURN NEW; END $$;
       CREATE TRIGGER users_touch BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touched();
       CREATE TRIGGER users_always BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION touched();
       ALTER TABLE users ENABLE ALWAYS TRIGGER users_always",
);

#[test]
fn rails_s_tables_are_loaded_without_their_triggers_which_fire_afterwards_as_before() {
    let app = App::new(RAILS.0, RAILS.1);
    let ran = app.loads(&[]);
    ran.says(&[
        "`users`: triggers `users_always`, `users_touch`: not fired for rows that are loaded",
        "`schema_migrations`: left alone",
        "`ar_internal_metadata`: left alone: what Rails has migrated",
    ]);
    app.asks("SELECT count(*) FROM audits", "0");
    app.asks("SELECT value FROM ar_internal_metadata", "production");
    app.asks(
        "SELECT u FROM users u WHERE id = 1",
        "(1,a@x.org,t,t,\"{\"\"k\"\": 1}\",10.50,2,\"2024-01-01 10:00:00.000001\",\"2024-01-02 00:00:00\")",
    );
    app.asks("SELECT count(*) FROM lite2pg.trigger", "0");
    let insert = "INSERT INTO users (email, created_at, updated_at) VALUES ('c', now(), now()) RETURNING id::text";
    app.writes(insert, "3");
    app.asks("SELECT count(*) FROM audits", "2");
}

#[test]
fn triggers_fire_where_that_is_wanted_and_what_they_change_is_told_as_a_difference() {
    let app = App::new(RAILS.0, RAILS.1);
    let ran = app.run(&["--fire-triggers"]).exits(5);
    ran.says(&["fired for every row that is loaded, and may change what arrives"]);
    app.asks("SELECT count(*) FROM audits", "4");
}

#[test]
fn a_superuser_s_load_is_silent_for_triggers_that_fire_always_too() {
    let app = App::new(RAILS.0, RAILS.1);
    let before = value(&app.seen, SHAPE);
    let target = app.seen.target().redacted();
    migrate([app.path.to_str().unwrap(), &target, "--data-only"]).exits(0);
    assert_eq!(value(&app.seen, SHAPE), before);
    app.asks("SELECT count(*) FROM audits", "0");
}

#[test]
fn triggers_that_a_failed_run_has_switched_off_are_told_and_put_back_by_restart() {
    // The second row's e-mail is there twice for the target alone: only the server can say so.
    let app =
        App::new(&RAILS.0.replace("'b@x.org'", "'A@x.org'"), &RAILS.1.replace("btree (email)", "btree (lower(email))"));
    let before = value(&app.seen, SHAPE);
    app.run(&[]).exits(1).says(&["index_users_on_email", "2 triggers stay set aside until"]);
    app.asks("SELECT string_agg(tgenabled::text, '' ORDER BY tgname) FROM pg_trigger WHERE NOT tgisinternal", "DD");
    app.seen.batch("DROP INDEX index_users_on_email").unwrap();
    app.run(&["--restart"]).exits(0);
    app.seen.batch("CREATE UNIQUE INDEX index_users_on_email ON users USING btree (lower(email), id)").unwrap();
    let after = value(&app.seen, SHAPE);
    let but_index =
        |shape: &str| shape.lines().filter(|l| !l.contains("on_email")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(but_index(&after), but_index(&before));
}

const PRISMA: (&str, &str) = (
    r#"CREATE TABLE "_prisma_migrations" ("id" TEXT PRIMARY KEY NOT NULL, "checksum" TEXT NOT NULL, "finished_at" DATETIME, "migration_name" TEXT NOT NULL,
           "logs" TEXT, "rolled_back_at" DATETIME, "started_at" DATETIME NOT NULL DEFAULT current_timestamp, "applied_steps_count" INTEGER UNSIGNED NOT NULL DEFAULT 0);
       INSERT INTO _prisma_migrations VALUES ('a', 'x', 1704067200000, '20240101000000_init', NULL, NULL, 1704067200000, 1),
           ('b', 'y', NULL, '20240301000000_failed', NULL, 1704067200000, 1704067200000, 0);
       CREATE TABLE "User" ("id" TEXT NOT NULL PRIMARY KEY, "email" TEXT NOT NULL, "role" TEXT NOT NULL DEFAULT 'USER', "isActive" BOOLEAN NOT NULL DEFAULT true,
           "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP, "seenAt" DATETIME, "avatar" BLOB, "settings" JSONB);
       CREATE UNIQUE INDEX "User_email_key" ON "User"("email");
       INSERT INTO User VALUES ('ckx1', 'a@x.org', 'ADMIN', 1, 1704067200123, '2024-01-02T03:04:05.678+00:00', x'0102', '{"theme":"dark"}'),
                               ('ckx2', 'b@x.org', 'USER', 0, 1704067200000, NULL, NULL, NULL);
       CREATE TABLE "Post" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "title" TEXT NOT NULL, "views" BIGINT NOT NULL, "price" DECIMAL NOT NULL, "score" REAL NOT NULL,
           "authorId" TEXT NOT NULL, CONSTRAINT "Post_authorId_fkey" FOREIGN KEY ("authorId") REFERENCES "User" ("id") ON DELETE RESTRICT ON UPDATE CASCADE);
       INSERT INTO Post VALUES (4, 'x', 9007199254740993, 12.34, 0.5, 'ckx2');
       CREATE TABLE "Tag" ("id" INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, "name" TEXT NOT NULL); INSERT INTO Tag VALUES (1, 't');
       CREATE TABLE "_PostToTag" ("A" INTEGER NOT NULL, "B" INTEGER NOT NULL,
           CONSTRAINT "_PostToTag_A_fkey" FOREIGN KEY ("A") REFERENCES "Post" ("id") ON DELETE CASCADE ON UPDATE CASCADE,
           CONSTRAINT "_PostToTag_B_fkey" FOREIGN KEY ("B") REFERENCES "Tag" ("id") ON DELETE CASCADE ON UPDATE CASCADE);
       INSERT INTO _PostToTag VALUES (4, 1);"#,
    r#"CREATE TABLE "_prisma_migrations" ("id" VARCHAR(36) PRIMARY KEY NOT NULL, "checksum" VARCHAR(64) NOT NULL, "finished_at" TIMESTAMPTZ, "migration_name" VARCHAR(255) NOT NULL,
           "logs" TEXT, "rolled_back_at" TIMESTAMPTZ, "started_at" TIMESTAMPTZ NOT NULL DEFAULT now(), "applied_steps_count" INTEGER NOT NULL DEFAULT 0);
       INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name) VALUES ('c', 'z', now(), '20240101000000_init');
       CREATE TYPE "Role" AS ENUM ('USER', 'ADMIN');
       CREATE TABLE "User" ("id" TEXT NOT NULL, "email" TEXT NOT NULL, "role" "Role" NOT NULL DEFAULT 'USER', "isActive" BOOLEAN NOT NULL DEFAULT true,
           "createdAt" TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP, "seenAt" TIMESTAMP(3), "avatar" BYTEA, "settings" JSONB, CONSTRAINT "User_pkey" PRIMARY KEY ("id"));
       CREATE TABLE "Post" ("id" SERIAL NOT NULL, "title" TEXT NOT NULL, "views" BIGINT NOT NULL, "price" DECIMAL(65,30) NOT NULL, "score" DOUBLE PRECISION NOT NULL,
           "authorId" TEXT NOT NULL, CONSTRAINT "Post_pkey" PRIMARY KEY ("id"));
       CREATE TABLE "Tag" ("id" SERIAL NOT NULL, "name" TEXT NOT NULL, CONSTRAINT "Tag_pkey" PRIMARY KEY ("id"));
       CREATE TABLE "_PostToTag" ("A" INTEGER NOT NULL, "B" INTEGER NOT NULL, CONSTRAINT "_PostToTag_AB_pkey" PRIMARY KEY ("A","B"));
       CREATE UNIQUE INDEX "User_email_key" ON "User"("email");
       CREATE INDEX "_PostToTag_B_index" ON "_PostToTag"("B");
       ALTER TABLE "Post" ADD CONSTRAINT "Post_authorId_fkey" FOREIGN KEY ("authorId") REFERENCES "User"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
       ALTER TABLE "_PostToTag" ADD CONSTRAINT "_PostToTag_A_fkey" FOREIGN KEY ("A") REFERENCES "Post"("id") ON DELETE CASCADE ON UPDATE CASCADE;
       ALTER TABLE "_PostToTag" ADD CONSTRAINT "_PostToTag_B_fkey" FOREIGN KEY ("B") REFERENCES "Tag"("id") ON DELETE CASCADE ON UPDATE CASCADE"#,
);

#[test]
fn prisma_s_tables_are_loaded_with_enums_milliseconds_and_joined_names() {
    let app = App::new(PRISMA.0, PRISMA.1);
    app.loads(&[]).says(&["`_prisma_migrations`: left alone"]);
    app.asks(
        "SELECT u FROM \"User\" u WHERE id = 'ckx1'",
        "(ckx1,a@x.org,ADMIN,t,\"2024-01-01 00:00:00.123\",\"2024-01-02 03:04:05.678\",\"\\\\x0102\",\"{\"\"theme\"\": \"\"dark\"\"}\")",
    );
    app.asks("SELECT views || ' ' || price::float8 FROM \"Post\"", "9007199254740993 12.34");
    let insert = "INSERT INTO \"Post\" (title, views, price, score, \"authorId\") VALUES ('n', 1, 1, 1, 'ckx1') RETURNING id::text";
    app.writes(insert, "5");
}

#[test]
fn a_moment_that_milliseconds_do_not_hold_is_refused_before_anything_is_written() {
    for (value, says) in
        [("'2024-01-01T00:00:00.0001+00:00'", "a time finer than the type keeps"), ("'yesterday'", "no such time")]
    {
        let app = App::new(&format!("{} UPDATE User SET seenAt = {value} WHERE id = 'ckx1';", PRISMA.0), PRISMA.1);
        app.run(&[]).exits(3).says(&["`User.seenAt` cannot be loaded into timestamp", says, "nothing was written"]);
    }
}

#[test]
fn an_application_that_has_come_less_far_on_one_side_is_refused_unless_told() {
    let behind = format!(
        "{} INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name) VALUES ('d', 'x', 1, '20240401000000_next');",
        PRISMA.0
    );
    let app = App::new(&behind, PRISMA.1);
    app.run(&[]).exits(3).says(&[
        "the application has done other migrations on the target",
        "`_prisma_migrations` (Prisma): only the source has done 20240401000000_next",
        "only the target has done 20240101000000_init",
        "nothing was written",
        "`--ignore-migrations`",
    ]);
    app.asks("to_regclass('lite2pg.run')", "NULL");
    app.loads(&["--ignore-migrations"]).says(&["they differ on both sides, as was said"]);
    // Where lite2pg creates the tables, the list of migrations is the new home's first one.
    let target = database();
    migrate([app.path.to_str().unwrap(), &target.redacted()]).exits(0);
    assert_eq!(value(&session(&target), "SELECT count(*) FROM _prisma_migrations"), "3");
}

const ALEMBIC: (&str, &str) = (
    r#"CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));
       INSERT INTO alembic_version VALUES ('1975ea83b712');
       CREATE TABLE account (id INTEGER NOT NULL, name VARCHAR(50) NOT NULL, kind VARCHAR(8), created DATETIME, active BOOLEAN, token CHAR(32), extra JSON,
           rate NUMERIC(10, 4), main_entry INTEGER, PRIMARY KEY (id), CONSTRAINT fk_main FOREIGN KEY(main_entry) REFERENCES entry (id));
       CREATE TABLE entry (id INTEGER NOT NULL, account_id INTEGER NOT NULL, body TEXT, PRIMARY KEY (id), FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE);
       INSERT INTO account VALUES (1, 'Ann', 'business', '2024-01-01 10:00:00.000000', 1, '0189d5acac96774bbcceb302099a8057', '{"b": 1, "a": 2}', 1.25, 11);
       INSERT INTO entry VALUES (11, 1, 'hello');"#,
    r"CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num));
       INSERT INTO alembic_version VALUES ('1975ea83b712');
       CREATE TYPE accountkind AS ENUM ('personal', 'business');
       CREATE TABLE account (id SERIAL NOT NULL, name VARCHAR(50) NOT NULL, kind accountkind, created TIMESTAMP WITHOUT TIME ZONE, active BOOLEAN, token UUID, extra JSON,
           rate NUMERIC(10, 4), main_entry INTEGER, PRIMARY KEY (id));
       CREATE TABLE entry (id SERIAL NOT NULL, account_id INTEGER NOT NULL, body TEXT, PRIMARY KEY (id), FOREIGN KEY(account_id) REFERENCES account (id) ON DELETE CASCADE);
       ALTER TABLE account ADD CONSTRAINT fk_main FOREIGN KEY(main_entry) REFERENCES entry (id)",
);

#[test]
fn alembic_s_tables_are_loaded_although_their_foreign_keys_form_a_cycle() {
    let app = App::new(ALEMBIC.0, ALEMBIC.1);
    app.loads(&[]).says(&["foreign keys among account, entry are set aside", "`alembic_version`: left alone"]);
    app.asks(
        "SELECT a FROM account a",
        "(1,Ann,business,\"2024-01-01 10:00:00\",t,0189d5ac-ac96-774b-bcce-b302099a8057,\"{\"\"b\"\": 1, \"\"a\"\": 2}\",1.2500,11)",
    );
    app.writes("INSERT INTO entry (account_id) VALUES (1) RETURNING id::text", "12");
    let app = App::new(&format!("{} UPDATE account SET kind = 'secret';", ALEMBIC.0), ALEMBIC.1);
    app.run(&[]).exits(3).says(&["`account.kind`", "no label of the enum", "nothing was written", "hint:"]);
    let app = App::new(&format!("{} UPDATE alembic_version SET version_num = 'other';", ALEMBIC.0), ALEMBIC.1);
    app.run(&[]).exits(3).says(&["only the source has done other", "only the target has done 1975ea83b712"]);
}

const KNEX: (&str, &str) = (
    "CREATE TABLE `knex_migrations` (`id` integer not null primary key autoincrement, `name` varchar(255), `batch` integer, `migration_time` datetime);
     INSERT INTO knex_migrations VALUES (1, '20240101_init.js', 1, 1704067200000);
     CREATE TABLE `knex_migrations_lock` (`index` integer not null primary key autoincrement, `is_locked` integer); INSERT INTO knex_migrations_lock VALUES (1, 0);
     CREATE TABLE `invoices` (`id` integer not null primary key autoincrement, `customerName` varchar(255) not null, `status` text check (`status` in ('open', 'paid')) default 'open',
         `amount` decimal(8, 2), `lines` json, `paid` boolean default '0', `created_at` datetime not null default CURRENT_TIMESTAMP, `updated_at` datetime);
     INSERT INTO invoices VALUES (1, 'Ann', 'paid', 10.5, '[]', 1, '2024-01-01 10:00:00', 1704067200123), (2, 'Bob', 'open', NULL, NULL, 0, '2024-01-01 11:00:00', NULL);",
    "CREATE TABLE knex_migrations (id serial primary key, name varchar(255), batch integer, migration_time timestamptz);
     INSERT INTO knex_migrations (name, batch) VALUES ('20240101_init.js', 1);
     CREATE TABLE knex_migrations_lock (index serial primary key, is_locked integer); INSERT INTO knex_migrations_lock (is_locked) VALUES (0);
     CREATE TABLE invoices (id serial primary key, customer_name varchar(255) not null, status text check (status in ('open', 'paid')) default 'open', amount decimal(8, 2), lines json,
         paid boolean default '0', created_at timestamptz not null default CURRENT_TIMESTAMP, updated_at timestamptz, search text)",
);

#[test]
fn knex_s_tables_are_loaded_with_columns_in_another_spelling() {
    let app = App::new(KNEX.0, KNEX.1);
    app.loads(&[]).says(&[
        "`invoices`: found in another spelling: customerName → customer_name",
        "`invoices.search`: not in the source: takes its default",
        "`knex_migrations_lock`: left alone",
    ]);
    app.asks(
        "SELECT i FROM invoices i WHERE id = 1",
        "(1,Ann,paid,10.50,[],t,\"2024-01-01 10:00:00+00\",\"2024-01-01 00:00:00.123+00\",)",
    );
    app.writes("INSERT INTO invoices (customer_name) VALUES ('n') RETURNING id::text", "3");
    let long = format!("{} UPDATE invoices SET customerName = printf('%300s', 'x') WHERE id = 2;", KNEX.0);
    App::new(&long, KNEX.1).run(&[]).exits(3).says(&[
        "`invoices.customerName`",
        "varchar(255)",
        "text that is too long",
        "at key 2",
    ]);
}

const TYPEORM: (&str, &str) = (
    r#"CREATE TABLE "migrations" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL, "timestamp" bigint NOT NULL, "name" varchar NOT NULL);
       INSERT INTO migrations VALUES (1, 1588102412422, 'InitialMigration1588102412422'), (2, 1700000000000, 'Common1700000000000');
       CREATE TABLE "typeorm_metadata" ("type" varchar NOT NULL, "database" varchar, "schema" varchar, "table" varchar, "name" varchar, "value" text);
       CREATE TABLE "workflowEntity" ("id" integer PRIMARY KEY AUTOINCREMENT NOT NULL, "name" varchar(128) NOT NULL, "isActive" boolean NOT NULL DEFAULT (0), "nodes" text NOT NULL,
           "kind" varchar CHECK( "kind" IN ('manual','cron') ) NOT NULL DEFAULT ('manual'), "token" varchar NOT NULL, "createdAt" datetime(3) NOT NULL DEFAULT (STRFTIME('%Y-%m-%d %H:%M:%f', 'NOW')));
       INSERT INTO workflowEntity VALUES (2, 'daily', 1, '[{"id":1}]', 'cron', '0189d5ac-ac96-774b-bcce-b302099a8057', '2024-01-01 10:00:00.250');"#,
    r#"CREATE TABLE "migrations" ("id" SERIAL NOT NULL, "timestamp" bigint NOT NULL, "name" character varying NOT NULL, CONSTRAINT "PK_8c82d7f526340ab734260ea46be" PRIMARY KEY ("id"));
       INSERT INTO migrations (timestamp, name) VALUES (1587669153312, 'InitialMigration1587669153312'), (1700000000000, 'Common1700000000000');
       CREATE TYPE "public"."workflow_entity_kind_enum" AS ENUM('manual', 'cron');
       CREATE TABLE "workflow_entity" ("id" SERIAL NOT NULL, "name" character varying(128) NOT NULL, "isActive" boolean NOT NULL DEFAULT false, "nodes" jsonb NOT NULL,
           "kind" "public"."workflow_entity_kind_enum" NOT NULL DEFAULT 'manual', "token" uuid NOT NULL DEFAULT gen_random_uuid(),
           "createdAt" TIMESTAMP(3) WITH TIME ZONE NOT NULL DEFAULT now(), CONSTRAINT "PK_workflow" PRIMARY KEY ("id"))"#,
);

#[test]
fn typeorm_s_tables_are_loaded_although_each_database_has_a_history_of_its_own() {
    let app = App::new(TYPEORM.0, TYPEORM.1);
    app.loads(&[]).says(&["`migrations`: left alone: what TypeORM has migrated", "workflowEntity → workflow_entity"]);
    app.asks(
        "SELECT w FROM workflow_entity w",
        "(2,daily,t,\"[{\"\"id\"\": 1}]\",cron,0189d5ac-ac96-774b-bcce-b302099a8057,\"2024-01-01 10:00:00.25+00\")",
    );
    app.writes("INSERT INTO workflow_entity (name, nodes) VALUES ('n', '[]') RETURNING id::text", "3");
    let ahead =
        format!("{}; INSERT INTO migrations (timestamp, name) VALUES (1800000000000, 'Later1800000000000')", TYPEORM.1);
    App::new(TYPEORM.0, &ahead).run(&[]).exits(3).says(&["only the target has done 1800000000000 Later1800000000000"]);
}

const DIESEL: (&str, &str) = (
    "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);
     INSERT INTO __diesel_schema_migrations (version) VALUES ('20180114171611'), ('20240301000000');
     CREATE TABLE users (uuid TEXT NOT NULL PRIMARY KEY, created_at DATETIME NOT NULL, email TEXT NOT NULL UNIQUE, password_hash BLOB NOT NULL, iterations INTEGER NOT NULL, enabled BOOLEAN NOT NULL DEFAULT 1);
     CREATE TABLE devices (id INTEGER NOT NULL PRIMARY KEY, user_uuid TEXT NOT NULL REFERENCES users (uuid), seen TIMESTAMP);
     INSERT INTO users VALUES ('0189d5ac-ac96-774b-bcce-b302099a8057', '2024-01-01 10:00:00.5', 'a@x.org', x'00ff', 100000, 1);
     INSERT INTO devices VALUES (1, '0189d5ac-ac96-774b-bcce-b302099a8057', NULL);",
    "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP);
     INSERT INTO __diesel_schema_migrations (version) VALUES ('20190912100000'), ('20240301000000');
     CREATE TABLE users (uuid CHAR(36) NOT NULL PRIMARY KEY, created_at TIMESTAMP NOT NULL, email VARCHAR(255) NOT NULL UNIQUE, password_hash BYTEA NOT NULL, iterations INTEGER NOT NULL,
         enabled BOOLEAN NOT NULL DEFAULT true, initials VARCHAR GENERATED ALWAYS AS (left(email, 1)) STORED);
     CREATE SEQUENCE devices_numbers;
     CREATE TABLE devices (id INTEGER NOT NULL DEFAULT nextval('devices_numbers') PRIMARY KEY, user_uuid CHAR(36) NOT NULL REFERENCES users (uuid), seen TIMESTAMP)",
);

#[test]
fn diesel_s_tables_are_loaded_and_a_sequence_that_no_column_owns_goes_on() {
    let app = App::new(DIESEL.0, DIESEL.1);
    app.loads(&[]).says(&["`__diesel_schema_migrations`: left alone: what diesel has migrated"]);
    app.asks(
        "SELECT u FROM users u",
        "(0189d5ac-ac96-774b-bcce-b302099a8057,\"2024-01-01 10:00:00.5\",a@x.org,\"\\\\x00ff\",100000,t,a)",
    );
    app.writes("INSERT INTO devices (user_uuid) SELECT uuid FROM users RETURNING id::text", "2");
    let wide = format!("{} UPDATE users SET iterations = 3000000000;", DIESEL.0);
    App::new(&wide, DIESEL.1)
        .run(&[])
        .exits(3)
        .says(&["`users.iterations` cannot be loaded into integer", "beyond the width"]);
}

#[test]
fn a_value_far_down_a_large_table_is_found_before_anything_is_written() {
    let rows = "WITH RECURSIVE n(i) AS (SELECT 3 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) \
                INSERT INTO invoices (id, customerName, status) SELECT i, 'c', 'open' FROM n; \
                UPDATE invoices SET amount = 1234567.5 WHERE id = 123457;";
    let app = App::new(&format!("{} {rows}", KNEX.0), KNEX.1);
    app.run(&[]).exits(3).says(&["`invoices.amount` cannot be loaded into numeric(8,2)", "at key 123457"]);
    app.asks("to_regclass('lite2pg.run')", "NULL");
}
