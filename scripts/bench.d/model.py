"""What lite2pg makes of a source, written down so that PostgreSQL alone can make it again, and others be compared.

Everything is read from a database that lite2pg has migrated into. Nothing here knows the source's tables.
"""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from measure import Failure

MODEL_DATABASE = "bench_model"

TABLES = """
    SELECT c.oid::regclass, c.relname, pg_relation_size(c.oid) / current_setting('block_size')::int
    FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' ORDER BY 3 DESC, 2"""

COLUMNS = """
    SELECT lower(c.relname), lower(a.attname), format_type(a.atttypid, a.atttypmod), a.attnotnull, c.oid::regclass,
           quote_ident(a.attname)
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY c.relname, a.attnum"""

# A key is the same under any name: what it stands on counts.
KEYS = """
    SELECT contype, lower(c.relname), lower(regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', ''))
    FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
    WHERE c.relnamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'f', 'c')"""

INDEXES = """
    SELECT lower(c.relname), lower(regexp_replace(pg_get_indexdef(i.indexrelid), '^.*? USING ', ''))
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
    WHERE c.relnamespace = 'public'::regnamespace
      AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u'))"""

# A key's index comes first as an index: builds on one table then run side by side, and making it a key is quick.
BUILDS = """
    SELECT pg_get_indexdef(i.indexrelid) || ';' || CASE WHEN k.oid IS NULL THEN '' ELSE
        format(' ALTER TABLE %s ADD CONSTRAINT %I %s USING INDEX %I;', c.oid::regclass, k.conname,
               CASE k.contype WHEN 'p' THEN 'PRIMARY KEY' ELSE 'UNIQUE' END, k.conname) END
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
    LEFT JOIN pg_constraint k ON k.conindid = i.indexrelid AND k.contype IN ('p', 'u')
    WHERE c.relnamespace = 'public'::regnamespace ORDER BY pg_relation_size(i.indexrelid) DESC"""

FOREIGN_KEYS = """
    SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s NOT VALID;', conrelid::regclass, conname,
                  regexp_replace(pg_get_constraintdef(oid), ' NOT VALID$', '')),
           format('ALTER TABLE %s VALIDATE CONSTRAINT %I;', conrelid::regclass, conname)
    FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace"""

# pg_dump empties the search path, so every name has to say its schema: regclass does, asked in such a session.
NO_PATH = "SET search_path = '';"


@dataclass
class Model:
    """The floor's work, and what a result is compared with."""

    tables_sql: Path
    copies: list  # (table, file), the largest first
    builds: list
    foreign_keys: list  # (add, validate)
    analyzes: list
    inventory: "Inventory"


@dataclass
class Inventory:
    """What stands in a database: names and types in lower case."""

    types: dict  # (table, column) → type
    not_null: set
    keys: dict  # contype → set of (table, definition)
    indexes: set
    sql_names: dict = field(repr=False)  # (table, column) → (table in SQL, column in SQL)


def read(server, database, directory):
    """Reads the model and renders its rows as binary COPY files, each large table in two."""
    ask = lambda sql: server.ask(database, NO_PATH + sql)
    tables_sql = directory / "tables.sql"
    command = [server.program("pg_dump"), "--section=pre-data", "--table=public.*", "--no-owner", "--no-privileges"]
    with open(tables_sql, "w") as out:
        done = subprocess.run([*command, "-d", server.dsn(database)], stdout=out, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Failure(done.stderr.strip())
    copies, analyzes = [], []
    for table, _, pages in ask(TABLES):
        middle = int(pages) // 2
        halves = [f"ctid < '({middle},0)'", f"ctid >= '({middle},0)'"] if middle else ["true"]
        for n, half in enumerate(halves):
            file = directory / f"{len(analyzes)}-{n}.copy"
            query = f"SELECT * FROM ONLY {table} WHERE {half}"
            server.ask(database, rf"\copy ({query}) TO '{file}' (FORMAT binary)")
            copies.append((table, file))
        analyzes.append(f"ANALYZE {table};")
    copies.sort(key=lambda copy: -copy[1].stat().st_size)
    builds = [sql for (sql,) in ask(BUILDS)]
    keys = [(add, validate) for add, validate in ask(FOREIGN_KEYS)]
    return Model(tables_sql, copies, builds, keys, analyzes, inventory(server, database))


def inventory(server, database):
    types, not_null, names = {}, set(), {}
    for table, column, kind, required, sql_table, sql_column in server.ask(database, NO_PATH + COLUMNS):
        types[table, column], names[table, column] = kind, (sql_table, sql_column)
        if required == "t":
            not_null.add((table, column))
    keys = {kind: set() for kind in "pufc"}
    for kind, table, definition in server.ask(database, KEYS):
        keys[kind].add((table, definition))
    indexes = {tuple(row) for row in server.ask(database, INDEXES)}
    return Inventory(types, not_null, keys, indexes, names)


def row_counts(server, database):
    """Rows of every table, by its name in lower case."""
    tables = server.ask(database, NO_PATH + TABLES)
    return {name.lower(): int(server.ask(database, f"SELECT count(*) FROM {table}")[0][0]) for table, name, _ in tables}


def values(server, database, found, types):
    """A figure for each column's values, the same for the same values in any order. Columns of another type are asked
    for as the type that the model has; where that fails, there is no figure."""
    figures = {}
    for column, kind in types.items():
        if column not in found.sql_names:
            continue
        table, name = found.sql_names[column]
        # Not every pair of types has a cast of its own (bigint to boolean has none); text leads everywhere.
        value = name if found.types[column] == kind else f"{name}::text::{kind}"
        hashed = f"hashtextextended(({value})::text, 0)"
        try:
            figures[column] = server.ask(database, f"SELECT count({name}), sum({hashed}::numeric) FROM {table}")[0]
        except Failure:
            figures[column] = None
    return figures


def missing(model, found):
    """What a result lacks of what the model has, as words."""
    words = []
    other = [c for c, kind in model.types.items() if found.types.get(c) != kind]
    if other:
        words.append(f"{len(other)} of {len(model.types)} column types differ ({_examples(other, model, found)})")
    names = {"p": "primary keys", "u": "unique constraints", "f": "foreign keys", "c": "checks"}
    for kind, name in names.items():
        if gone := model.keys[kind] - found.keys[kind]:
            words.append(f"{len(gone)} of {len(model.keys[kind])} {name} missing")
    if gone := model.indexes - found.indexes:
        words.append(f"{len(gone)} of {len(model.indexes)} indexes missing")
    if gone := model.not_null - found.not_null:
        words.append(f"{len(gone)} of {len(model.not_null)} NOT NULL missing")
    return words


def _examples(columns, model, found):
    """`uuid → text`, each pair of types once."""
    pairs = dict.fromkeys((model.types[c], found.types.get(c, "nothing")) for c in columns)
    return ", ".join(f"{wanted} → {got}" for wanted, got in pairs)
