"""Reads JSON lines with Python's own module: a value is [type, text], and a number keeps its digits."""

import argparse
import json

import canonical
from canonical import Number


def members(pairs):
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise ValueError(f"a name stands twice in one object: {names}")
    return dict(pairs)


def constant(name):
    raise ValueError(f"{name} is not JSON")


def cell(value):
    if value is None:
        return ["null", ""]
    if isinstance(value, Number):
        return ["number", str(value)]
    if isinstance(value, str):
        return ["text", value]
    if isinstance(value, bool):
        return ["bool", canonical.text(value)]
    return ["json", canonical.nested(value)]


parser = argparse.ArgumentParser()
parser.add_argument("file")
args = parser.parse_args()

with open(args.file, "rb") as file:
    content = file.read()
if content and not content.endswith(b"\n"):
    raise ValueError("the last line has no end")
columns, rows = [], []
# Only LF ends a line. Python's splitlines() would also cut at U+2028.
for number, line in enumerate(content.split(b"\n")[:-1], start=1):
    row = json.loads(
        line.decode("utf-8"), parse_int=Number, parse_float=Number, parse_constant=constant, object_pairs_hook=members
    )
    if number == 1:
        columns = list(row)
    if list(row) != columns:
        raise ValueError(f"line {number} has {list(row)}, the first has {columns}")
    rows.append([cell(value) for value in row.values()])
canonical.show(columns, rows)
