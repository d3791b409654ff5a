"""Reads CSV, JSON lines or Parquet with DuckDB, and reports the types that it found."""

import argparse

import duckdb

import canonical

parser = argparse.ArgumentParser()
parser.add_argument("file")
parser.add_argument("--format", choices=["csv", "json", "parquet"], required=True)
parser.add_argument("--delimiter", default=",")
parser.add_argument("--null", default="", help="the unquoted text for NULL in CSV")
args = parser.parse_args()

# DuckDB's default limits for a line and an object are 2 and 16 MiB.
LARGEST = 1 << 30

# DuckDB would download extensions that are not built in.
connection = duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False})
connection.sql("SET TimeZone = 'UTC'")
if args.format == "csv":
    relation = connection.sql(
        "SELECT * FROM read_csv($file, all_varchar = true, header = true, delim = $delimiter, quote = '\"',"
        " escape = '\"', nullstr = $null, allow_quoted_nulls = false, max_line_size = $largest, parallel = false)",
        params={"file": args.file, "delimiter": args.delimiter, "null": args.null, "largest": LARGEST},
    )
elif args.format == "json":
    # All rows decide on the types, not only the first ones.
    relation = connection.sql(
        "SELECT * FROM read_json($file, format = 'newline_delimited', sample_size = -1,"
        " maximum_object_size = $largest)",
        params={"file": args.file, "largest": LARGEST},
    )
else:
    relation = connection.sql("SELECT * FROM read_parquet($file)", params={"file": args.file})


types = [str(kind) for kind in relation.types]
shows = [canonical.narrow if kind == "FLOAT" else canonical.text for kind in types]
rows = [[show(value) for show, value in zip(shows, row)] for row in relation.fetchall()]
canonical.show(relation.columns, rows, types=types)
