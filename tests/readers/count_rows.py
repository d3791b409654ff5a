"""Counts the rows of a CSV file with common calls."""

import argparse
import csv
import json

import pandas
import pyarrow.csv

parser = argparse.ArgumentParser()
parser.add_argument("file")
parser.add_argument("--delimiter", default=",")
parser.add_argument("--encoding", default="utf-8")
args = parser.parse_args()

with open(args.file, encoding=args.encoding, newline="") as file:
    rows = len(list(csv.DictReader(file, delimiter=args.delimiter)))
frame = pandas.read_csv(args.file, sep=args.delimiter, encoding=args.encoding)
table = pyarrow.csv.read_csv(
    args.file,
    read_options=pyarrow.csv.ReadOptions(encoding=args.encoding),
    parse_options=pyarrow.csv.ParseOptions(delimiter=args.delimiter),
)
print(json.dumps({"pandas": len(frame), "pyarrow": table.num_rows, "dict_reader": rows}))
