"""Rows of the table of runs as Parquet; each column carries its meaning and its unit.

Needs the package `pyarrow`, which is the optional extra `parquet`.
"""

from collections.abc import Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from evaluator.export.columns import COLUMNS

_TYPES = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def write_rows(rows: Sequence[dict[str, Any]], file: BinaryIO) -> None:
    """Write the rows."""
    fields = [
        pa.field(column.name, _TYPES[column.kind], metadata={"meaning": column.meaning, "unit": column.unit})
        for column in COLUMNS
    ]
    pq.write_table(pa.Table.from_pylist(list(rows), schema=pa.schema(fields)), file)
