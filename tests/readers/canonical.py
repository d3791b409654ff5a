"""Prints what a reader has read: one JSON document on standard output.

A value is text, or null for NULL. The forms are exact: a number keeps its digits, a moment has its microseconds, and
bytes are upper-case hexadecimal.
"""

import datetime
import decimal
import json
import sys

import numpy


def text(value):
    """Returns a Python value as text; None stays None."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex().upper()
    if isinstance(value, decimal.Decimal):
        # str() would use an exponent.
        return format(value, "f")
    if isinstance(value, datetime.datetime):
        return moment(value)
    if isinstance(value, datetime.time):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, datetime.timedelta):
        return duration(value)
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, (dict, list, tuple)):
        return nested(value)
    return str(value)


class Number(str):
    """The digits of a number, as they stand in the file."""


def nested(value):
    """Returns an object or a list as JSON without blanks."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{nested(str(name))}:{nested(member)}" for name, member in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(nested, value)) + "]"
    if isinstance(value, Number):
        return str(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(text(value), ensure_ascii=False)


def narrow(value):
    """Returns a 32-bit float with only its own digits, not those of Python's wider float."""
    return None if value is None else repr(float(str(numpy.float32(value))))


def moment(value):
    """Returns `2026-01-31T23:59:59.000001`, with a Z for a moment in UTC."""
    shown = value.replace(tzinfo=None).isoformat(timespec="microseconds")
    if value.tzinfo is None:
        return shown
    if value.utcoffset():
        raise ValueError(f"expected UTC, got {value.isoformat()}")
    return shown + "Z"


def duration(value):
    """Returns `-838:59:59.000000`: hours do not become days."""
    microseconds = value // datetime.timedelta(microseconds=1)
    sign = "-" if microseconds < 0 else ""
    seconds, fraction = divmod(abs(microseconds), 1_000_000)
    hours, rest = divmod(seconds, 3600)
    return f"{sign}{hours:02}:{rest // 60:02}:{rest % 60:02}.{fraction:06}"


def show(columns, rows, **more):
    """Prints the document."""
    json.dump({"columns": list(columns), "rows": list(rows), **more}, sys.stdout)
