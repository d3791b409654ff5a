"""Exports with pandas into a workbook or Parquet, by the file's name: pandas_file.py HOST:PORT USER DATABASE SQL FILE."""

import sys

import pandas
import sqlalchemy

address, user, database, sql, file = sys.argv[1:]
engine = sqlalchemy.create_engine(f"mysql+pymysql://{user}@{address}/{database}?charset=utf8mb4")
frame = pandas.read_sql(sqlalchemy.text(sql), engine)
if file.endswith(".xlsx"):
    frame.to_excel(file, index=False, engine="xlsxwriter")
else:
    frame.to_parquet(file, index=False, engine="pyarrow")
print(f'{{"rows": {len(frame)}}}')
