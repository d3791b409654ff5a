"""Reads a workbook with openpyxl or pandas: a value is [type, text]."""

import argparse
import datetime
import math
import zipfile
from xml.etree import ElementTree

import openpyxl
import pandas
from openpyxl.styles.numbers import is_datetime

import canonical

MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"

parser = argparse.ArgumentParser()
parser.add_argument("file")
parser.add_argument("--engine", choices=["openpyxl", "pandas"], default="openpyxl")
args = parser.parse_args()


def typed(value):
    if value is None or value is pandas.NaT or (isinstance(value, float) and math.isnan(value)):
        return ["null", ""]
    if isinstance(value, bool):
        return ["bool", canonical.text(value)]
    if isinstance(value, (int, float)):
        return ["number", repr(value)]
    if isinstance(value, datetime.datetime):
        return ["datetime", canonical.text(value)]
    if isinstance(value, datetime.time):
        return ["time", canonical.text(value)]
    if isinstance(value, datetime.timedelta):
        return ["duration", canonical.text(value)]
    return ["text", str(value)]


def cell(cell):
    if cell.data_type == "f":
        return ["formula", str(cell.value)]
    if cell.data_type == "e":
        return ["error", str(cell.value)]
    kind, text = typed(cell.value)
    # openpyxl has no type for a day. The cell's format shows whether the person sees one.
    if kind == "datetime" and is_datetime(cell.number_format) == "date":
        return ["date", text.removesuffix("T00:00:00.000000")]
    return [kind, text]


def layout(part):
    """Reads the layout before a sheet's rows from the file, because openpyxl reads it only with all rows in memory."""
    pane, widths = None, []
    with zipfile.ZipFile(args.file) as workbook, workbook.open(part.lstrip("/")) as sheet:
        for event, element in ElementTree.iterparse(sheet, events=("start", "end")):
            if event == "start" and element.tag == MAIN + "sheetData":
                break
            if event == "end" and element.tag == MAIN + "pane" and element.get("state") == "frozen":
                pane = element.get("topLeftCell")
            if event == "end" and element.tag == MAIN + "col":
                widths.append([int(element.get("min")), int(element.get("max")), float(element.get("width"))])
    return pane, widths


def with_openpyxl():
    workbook = openpyxl.load_workbook(args.file, read_only=True)
    for sheet in workbook.worksheets:
        rows, formats = [], []
        for number, row in enumerate(sheet.iter_rows(), start=1):
            rows.append([cell(found) for found in row])
            if number == 2:
                formats = [found.number_format for found in row]
        pane, widths = layout(sheet._worksheet_path)
        header = [text for _, text in rows[0]] if rows else []
        yield {
            "name": sheet.title,
            "columns": header,
            "rows": rows[1:],
            "frozen": pane,
            "widths": widths,
            "formats": formats,
        }


def with_pandas():
    # `object` keeps the cells' types. Otherwise one empty cell turns integers into floats. Only
    # empty cells count as missing: by default a person named "NA" would also be missing.
    frames = pandas.read_excel(args.file, sheet_name=None, dtype=object, keep_default_na=False, na_values=[""])
    for name, frame in frames.items():
        rows = [[typed(value) for value in row] for row in frame.itertuples(index=False, name=None)]
        yield {"name": name, "columns": [str(column) for column in frame.columns], "rows": rows}


sheets = list(with_openpyxl() if args.engine == "openpyxl" else with_pandas())
canonical.show([], [], sheets=sheets)
