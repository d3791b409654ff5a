"""Exports with DuckDB and its extension for MySQL: duckdb_csv.py HOST:PORT USER DATABASE TABLE FILE."""

import pathlib
import sys

import duckdb
import duckdb_extension_mysql_scanner

address, user, database, table, file = sys.argv[1:]
host, port = address.rsplit(":", 1)
folder = pathlib.Path(duckdb_extension_mysql_scanner.__file__).parent
[extension] = folder.rglob("*.duckdb_extension")
duckdb.sql(f"LOAD '{extension}'")
duckdb.sql(f"ATTACH 'host={host} port={port} user={user} database={database}' AS shop (TYPE mysql, READ_ONLY)")
duckdb.sql(f"COPY (SELECT * FROM shop.{table}) TO '{file}' (FORMAT csv, HEADER)")
