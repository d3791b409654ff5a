"""Exports without Downpipe: SQLAlchemy and PyMySQL, Python's csv, and boto3 for S3.

article.py WAY HOST:PORT USER DATABASE SQL TARGET, where WAY is `naive` (all rows, then all of the file, in memory) or
`streamed` (a server-side cursor), and TARGET a file or s3://BUCKET/KEY.
"""

import csv
import io
import sys

import boto3
import sqlalchemy

# The number of rows that are converted at once, when streaming.
CHUNK = 1000


def lines(result):
    """Yields the result as CSV, some rows at a time."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(result.keys())
    for rows in result.partitions(CHUNK):
        writer.writerows(rows)
        yield text.getvalue().encode()
        text.seek(0)
        text.truncate()
    yield text.getvalue().encode()


class Stream(io.RawIOBase):
    """Presents chunks of bytes as a file, which boto3 can upload."""

    def __init__(self, chunks):
        self.chunks = chunks
        self.rest = b""

    def readable(self):
        return True

    def readinto(self, buffer):
        while not self.rest:
            chunk = next(self.chunks, None)
            if chunk is None:
                return 0
            self.rest = chunk
        count = min(len(buffer), len(self.rest))
        buffer[:count], self.rest = self.rest[:count], self.rest[count:]
        return count


def place(target):
    bucket, key = target.removeprefix("s3://").split("/", 1)
    return boto3.client("s3"), bucket, key


def streamed(connection, sql, target):
    result = connection.execution_options(stream_results=True).exec_driver_sql(sql)
    if target.startswith("s3://"):
        s3, bucket, key = place(target)
        s3.upload_fileobj(io.BufferedReader(Stream(lines(result)), 1024 * 1024), bucket, key)
    else:
        with open(target, "wb") as file:
            file.writelines(lines(result))


def naive(connection, sql, target):
    result = connection.exec_driver_sql(sql)
    rows = result.fetchall()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(result.keys())
    writer.writerows(rows)
    if target.startswith("s3://"):
        s3, bucket, key = place(target)
        s3.put_object(Bucket=bucket, Key=key, Body=text.getvalue().encode())
    else:
        with open(target, "w", encoding="utf-8", newline="") as file:
            file.write(text.getvalue())


def main(way, address, user, database, sql, target):
    engine = sqlalchemy.create_engine(f"mysql+pymysql://{user}@{address}/{database}?charset=utf8mb4")
    with engine.connect() as connection:
        {"naive": naive, "streamed": streamed}[way](connection, sql, target)


main(*sys.argv[1:])
