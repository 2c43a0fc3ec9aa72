"""Reading the evaluated tables of a run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mwatlas.errors import InputError
from mwatlas.studies.conditional_potential.evaluated_tables import EVALUATED, POINTS, PROFILE
from mwatlas.studies.conditional_potential.names import METHODS
from mwatlas.tables.parquet import from_arrow, open_parquet
from mwatlas.tables.table import Columns, TableSchema


@dataclass(frozen=True)
class Evaluated:
    """The evaluated tables of one run."""

    points: Columns
    profile: Columns
    plane: Columns
    sky: Columns
    phase: Columns
    networks: Columns

    @classmethod
    def read(cls, folder: str | Path) -> Evaluated:
        """Read and check ``<folder>/<table>.parquet`` of all tables of :data:`EVALUATED`.

        Parameters
        ----------
        folder
            Of the run's evaluated tables.

        Raises
        ------
        InputError
            If a table is absent, breaks its contract or is empty, or a field is missing at some
            places of the volume but not at all.
        """
        return cls(
            **{
                name: read_evaluated(Path(folder) / f"{name}.parquet", schema)
                for name, schema in EVALUATED.items()
            }
        )

    @property
    def methods(self) -> tuple[str, ...]:
        """Methods that the run has."""
        return tuple(m for m in METHODS if np.isfinite(self.points[f"density_{m}"]).all())


def read_evaluated(path: Path, schema: TableSchema) -> Columns:
    """Read and check one of the tables of :data:`EVALUATED`; errors as of `Evaluated.read`."""
    data = schema.conform(from_arrow(open_parquet(path).read()), str(path))
    if not data[schema.names[0]].size:
        raise InputError(
            "an evaluated table has no rows",
            file=path,
            expected="at least one",
            remedy="delete it and evaluate the run again",
        )
    if schema in (POINTS, PROFILE):
        _check_complete(data, path)
    return data


def _check_complete(data: Columns, path: Path) -> None:
    """Refuse fields that have no value at some places: medians would hide them."""
    for name, values in data.items():
        missing = int(np.isnan(values).sum())
        if 0 < missing < values.size:
            raise InputError(
                "a learned field has no value at some places",
                file=path,
                item=name,
                found=f"{missing} of {values.size} values missing",
                expected="all, or none for a method that was not run",
                remedy="look into the field's training: it should be finite everywhere",
            )
