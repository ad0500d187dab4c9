"""DuckDB's bare copy: attach both databases, CREATE TABLE AS for each table. No keys, no indexes, DuckDB's types.

usage: duckdb_copy.py SOURCE DSN
"""

import sys
from pathlib import Path

import duckdb
import duckdb_extension_postgres_scanner
import duckdb_extension_sqlite_scanner

source, dsn = sys.argv[1:]
db = duckdb.connect()
for package in (duckdb_extension_sqlite_scanner, duckdb_extension_postgres_scanner):
    # The packages bring the file that DuckDB would otherwise fetch from the network.
    (extension,) = Path(package.__file__).parent.glob(f"extensions/v{duckdb.__version__}/*.duckdb_extension")
    db.execute(f"LOAD '{extension}'")
db.execute(f"ATTACH '{source}' AS source (TYPE sqlite, READ_ONLY)")
db.execute(f"ATTACH '{dsn}' AS target (TYPE postgres)")
tables = db.execute("SELECT table_name FROM duckdb_tables() WHERE database_name = 'source' ORDER BY 1").fetchall()
for (table,) in tables:
    if not table.startswith("sqlite_"):
        db.execute(f'CREATE TABLE target.public."{table}" AS SELECT * FROM source."{table}"')
