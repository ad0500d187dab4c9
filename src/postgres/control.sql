-- What lite2pg keeps in the target about its runs. Every statement can be run again.
-- The schema itself is there: by the program, or by whoever made it for a role that may create none.
CREATE TABLE IF NOT EXISTS lite2pg.run (
    id            uuid PRIMARY KEY,
    format        integer NOT NULL,
    tool_version  text NOT NULL,
    source        text NOT NULL,
    fingerprint   text NOT NULL,
    target_schema text NOT NULL,
    options       text NOT NULL,
    plan          jsonb NOT NULL,
    profiles      jsonb NOT NULL,
    state         text NOT NULL CHECK (state IN ('copying', 'finishing', 'done', 'abandoned')),
    started_at    timestamptz NOT NULL DEFAULT now(),
    ended_at      timestamptz
);

-- One row for each range whose rows are on the target: written in the transaction that wrote them.
CREATE TABLE IF NOT EXISTS lite2pg.range (
    run          uuid NOT NULL REFERENCES lite2pg.run ON DELETE CASCADE,
    table_name   text NOT NULL,
    lo           bigint,
    hi           bigint,
    rows         bigint NOT NULL,
    bytes        bigint NOT NULL,
    ms           bigint NOT NULL,
    -- What the rows must look like on the target: a version byte, their number, four sums. Null where nobody asked.
    digest       bytea,
    ledger       jsonb NOT NULL DEFAULT '[]',
    committed_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS range_run_table_name_idx ON lite2pg.range (run, table_name);

-- The phases that a run has entered, for those who watch it; `end` says how its command ended.
CREATE TABLE IF NOT EXISTS lite2pg.phase (
    run   uuid NOT NULL REFERENCES lite2pg.run ON DELETE CASCADE,
    phase text NOT NULL,
    note  text,
    at    timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX IF NOT EXISTS phase_run_idx ON lite2pg.phase (run);

-- Cells that the target's type cannot hold, as SQLite had them.
CREATE TABLE IF NOT EXISTS lite2pg.original (
    run         uuid NOT NULL REFERENCES lite2pg.run ON DELETE CASCADE,
    table_name  text NOT NULL,
    key         bigint NOT NULL,
    column_name text NOT NULL,
    class       text NOT NULL,
    bytes       bytea NOT NULL
);
CREATE INDEX IF NOT EXISTS original_run_table_name_key_idx ON lite2pg.original (run, table_name, key);

-- Rows that were set aside: which, and why. Their values are in the source, and in the files that list them.
CREATE TABLE IF NOT EXISTS lite2pg.reject (
    run         uuid NOT NULL REFERENCES lite2pg.run ON DELETE CASCADE,
    table_name  text NOT NULL,
    key         bigint NOT NULL,
    -- The row's number among those of its key; 0 wherever the key is a rowid.
    nth         bigint NOT NULL,
    column_name text,
    reason      text NOT NULL,
    sqlstate    text
);
CREATE INDEX IF NOT EXISTS reject_run_table_name_key_idx ON lite2pg.reject (run, table_name, key);

-- Foreign keys of tables that were there, dropped while rows move; a row goes when its key is put back.
CREATE TABLE IF NOT EXISTS lite2pg.foreign_key (
    run        uuid NOT NULL REFERENCES lite2pg.run ON DELETE CASCADE,
    table_name text NOT NULL,
    name       text NOT NULL,
    definition text NOT NULL,
    PRIMARY KEY (run, table_name, name)
);

-- Triggers of tables that were there, switched off while rows move; a row goes when its trigger fires again.
CREATE TABLE IF NOT EXISTS lite2pg.trigger (
    run        uuid NOT NULL REFERENCES lite2pg.run ON DELETE CASCADE,
    table_name text NOT NULL,
    name       text NOT NULL,
    -- pg_trigger.tgenabled as it was: O, A or R.
    enabled    text NOT NULL,
    PRIMARY KEY (run, table_name, name)
);

-- Indexes of tables that were there, dropped while rows move; a row goes when its index is built again.
CREATE TABLE IF NOT EXISTS lite2pg.index (
    run        uuid NOT NULL REFERENCES lite2pg.run ON DELETE CASCADE,
    table_name text NOT NULL,
    name       text NOT NULL,
    definition text NOT NULL,
    PRIMARY KEY (run, table_name, name)
);

-- What became of ids that were no uuids: one row for each old id of a map, all of a map's in one transaction.
CREATE TABLE IF NOT EXISTS lite2pg.id_map (
    run uuid NOT NULL REFERENCES lite2pg.run ON DELETE CASCADE,
    map text NOT NULL,
    old text NOT NULL,
    new uuid NOT NULL
);
-- Old ids may be longer than a btree takes.
CREATE INDEX IF NOT EXISTS id_map_old_idx ON lite2pg.id_map USING hash (old);
CREATE INDEX IF NOT EXISTS id_map_new_idx ON lite2pg.id_map (new);
CREATE INDEX IF NOT EXISTS id_map_run_map_idx ON lite2pg.id_map (run, map);

-- What the run created, so that --restart removes that and nothing else.
CREATE TABLE IF NOT EXISTS lite2pg.object (
    run  uuid NOT NULL REFERENCES lite2pg.run ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('table', 'view', 'materialized view', 'sequence', 'routine', 'type')),
    name text NOT NULL,
    -- Tells our table from one of the same name that somebody made after ours was dropped.
    oid  oid NOT NULL,
    PRIMARY KEY (run, kind, name)
);
