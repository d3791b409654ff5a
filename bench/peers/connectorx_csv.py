"""Exports with ConnectorX into Arrow, and with pyarrow into CSV: connectorx_csv.py HOST:PORT USER DATABASE SQL FILE."""

import sys

import connectorx
import pyarrow.csv

address, user, database, sql, file = sys.argv[1:]
table = connectorx.read_sql(f"mysql://{user}@{address}/{database}", sql, return_type="arrow")
pyarrow.csv.write_csv(table, file)
