"""Reads CSV with Python's own module. Every value is text."""

import argparse
import csv
import sys

import canonical

parser = argparse.ArgumentParser()
parser.add_argument("file")
parser.add_argument("--delimiter", default=",")
parser.add_argument("--encoding", default="utf-8")
args = parser.parse_args()

# The default limit of a field is 131,072 characters.
csv.field_size_limit(sys.maxsize)
with open(args.file, encoding=args.encoding, errors="strict", newline="") as file:
    # Without `strict` a stray quote silently changes the value.
    rows = list(csv.reader(file, delimiter=args.delimiter, strict=True))
if not rows:
    raise ValueError("there is no header")
for number, row in enumerate(rows[1:], start=1):
    if len(row) != len(rows[0]):
        raise ValueError(f"row {number} has {len(row)} fields, the header {len(rows[0])}")
canonical.show(rows[0], rows[1:])
