"""Parquet metadata that lets astropy, TOPCAT and STILTS read units and descriptions.

Two conventions are written: VOParquet 1.0 (IVOA Note, 2025-01-14), a VOTable header without
data, and astropy's ``table_meta_yaml``. Both derive from the column registry.
"""

from __future__ import annotations

from functools import lru_cache
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
from astropy.table import Column as AstropyColumn
from astropy.table import Table
from astropy.table.meta import get_yaml_from_table

from mwatlas.tables.column import Column
from mwatlas.tables.table import TableSchema

_ARROW_TYPES = {
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
}

# VOTable 1.4 has no signed byte; TOPCAT reads the Parquet type and takes the rest from here.
_VOTABLE_TYPES = {
    "int8": "short",
    "int16": "short",
    "int32": "int",
    "int64": "long",
    "float32": "float",
    "float64": "double",
    "bool": "boolean",
    "string": "char",
}


# The same few tables are read and written in thousands of pieces, and metadata of many columns take
# as long as a thousand rows.
@lru_cache(maxsize=128)
def arrow_schema(table: TableSchema) -> pa.Schema:
    """Arrow schema of ``table`` with the metadata of both conventions."""
    fields = [
        pa.field(column.name, _arrow_type(column), nullable=column.nullable)
        for column in table.columns
    ]
    return pa.schema(
        fields,
        metadata={
            "IVOA.VOTable-Parquet.version": "1.0",
            "IVOA.VOTable-Parquet.content": votable_header(table),
            "table_meta_yaml": astropy_header(table),
        },
    )


def _arrow_type(column: Column) -> pa.DataType:
    plain = _ARROW_TYPES[column.dtype]
    return plain if column.length == 1 else pa.list_(plain, column.length)


def votable_header(table: TableSchema) -> str:
    """VOTable document with the fields of ``table`` and no data."""
    ElementTree.register_namespace("", "http://www.ivoa.net/xml/VOTable/v1.3")
    root = ElementTree.Element(
        "VOTABLE", version="1.4", xmlns="http://www.ivoa.net/xml/VOTable/v1.3"
    )
    resource = ElementTree.SubElement(root, "RESOURCE", type="results")
    body = ElementTree.SubElement(resource, "TABLE", name=table.name)
    ElementTree.SubElement(body, "DESCRIPTION").text = table.description
    for column in table.columns:
        attributes = {"name": column.name, "datatype": _VOTABLE_TYPES[column.dtype]}
        if column.dtype == "string":
            attributes["arraysize"] = "*"
        elif column.length != 1:
            attributes["arraysize"] = str(column.length)
        if column.unit:
            attributes["unit"] = column.unit
        attributes["ucd"] = column.ucd
        field = ElementTree.SubElement(body, "FIELD", attributes)
        ElementTree.SubElement(field, "DESCRIPTION").text = column.description
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def astropy_header(table: TableSchema) -> str:
    """Serialised column metadata that :meth:`astropy.table.Table.read` restores."""
    empty = Table()
    for column in table.columns:
        shape = (0,) if column.length == 1 else (0, column.length)
        dtype = np.dtype("U1" if column.dtype == "string" else column.dtype)
        empty[column.name] = AstropyColumn(
            np.zeros(shape, dtype=dtype),
            unit=column.unit or None,
            description=column.description,
            meta={"ucd": column.ucd},
        )
    empty.meta["name"] = table.name
    empty.meta["description"] = table.description
    return "\n".join(get_yaml_from_table(empty))
