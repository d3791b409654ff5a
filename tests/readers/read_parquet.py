"""Reads Parquet with pyarrow or pandas, and reports the layout of the file."""

import argparse

import pandas
import pyarrow
import pyarrow.parquet

import canonical

parser = argparse.ArgumentParser()
parser.add_argument("file")
parser.add_argument("--engine", choices=["pyarrow", "pandas"], default="pyarrow")
args = parser.parse_args()

file = pyarrow.parquet.ParquetFile(args.file)
if args.engine == "pyarrow":
    table = file.read()
    columns = [column.to_pylist() for column in table.columns]
    types = [str(field.type) for field in file.schema_arrow]
else:
    frame = pandas.read_parquet(args.file)
    # pandas has a different missing value for each type, and NaN is one of them.
    columns = [frame[name].astype(object).where(frame[name].notna(), None).tolist() for name in frame.columns]
    types = [str(kind) for kind in frame.dtypes]
shows = [canonical.narrow if pyarrow.types.is_float32(field.type) else canonical.text for field in file.schema_arrow]
shown = [[show(value) for value in column] for show, column in zip(shows, columns)]

metadata = file.metadata
groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
canonical.show(
    file.schema_arrow.names,
    zip(*shown) if shown else [],
    types=types,
    schema=[
        {
            "physical": column.physical_type,
            "logical": str(column.logical_type),
            "optional": column.max_definition_level == 1,
        }
        for column in (file.schema.column(index) for index in range(len(file.schema.names)))
    ],
    groups=[
        {
            "rows": group.num_rows,
            "bytes": group.total_byte_size,
            "compressed": sum(group.column(index).total_compressed_size for index in range(group.num_columns)),
            "codecs": sorted({group.column(index).compression for index in range(group.num_columns)}),
        }
        for group in groups
    ],
    created_by=metadata.created_by,
    metadata={
        key.decode(): value.decode() for key, value in (metadata.metadata or {}).items() if key != b"ARROW:schema"
    },
)
