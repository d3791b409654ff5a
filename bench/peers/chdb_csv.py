"""Exports with chDB, ClickHouse in a process: chdb_csv.py HOST:PORT USER DATABASE TABLE FILE."""

import sys

import chdb

address, user, database, table, file = sys.argv[1:]
chdb.query(
    f"SELECT * FROM mysql('{address}', '{database}', '{table}', '{user}', '')"
    f" INTO OUTFILE '{file}' TRUNCATE FORMAT CSVWithNames"
)
