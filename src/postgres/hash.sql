-- The server's own hash of each table at the moment at which it was compared row by row and was equal.
CREATE TABLE IF NOT EXISTS lite2pg.baseline (
    target_schema text NOT NULL,
    table_name    text NOT NULL,
    -- What was hashed, as SQL.
    columns       text NOT NULL,
    rows          bigint NOT NULL,
    hash          numeric NOT NULL,
    -- The content of the source that it was compared with.
    fingerprint   text NOT NULL,
    compared_at   timestamptz NOT NULL,
    server_major  integer NOT NULL,
    -- What that server made of a row that is always the same.
    server_probe  text NOT NULL,
    tool_version  text NOT NULL,
    PRIMARY KEY (target_schema, table_name)
);
