"""Arrays of the mock on disk: HDF5 with the unit of each beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
from numpy.typing import NDArray

from mwatlas.errors import InputError
from mwatlas.files import atomic_path


def write_arrays(path: str | Path, arrays: Mapping[str, tuple[NDArray[Any], str]]) -> None:
    """Write arrays atomically, with the same bytes for the same content.

    Parameters
    ----------
    path
        HDF5 file to write.
    arrays
        Array and its unit by name.
    """
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        for name, (values, unit) in arrays.items():
            file.create_dataset(name, data=values, track_times=False).attrs["unit"] = unit


def read_arrays(path: str | Path, units: Mapping[str, str]) -> list[NDArray[Any]]:
    """Read arrays that :func:`write_arrays` wrote.

    Parameters
    ----------
    path
        HDF5 file.
    units
        Unit that each array must have, by name.

    Returns
    -------
    list of arrays
        In the order of ``units``.

    Raises
    ------
    InputError
        If the file is absent or no HDF5, or lacks an array in that unit.
    """
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(
            "a file of the mock sky cannot be read",
            file=path,
            found=str(error),
            expected="an HDF5 file of this workflow",
            remedy="delete the file and run again",
        ) from error
    with file:
        found = {name: item.attrs.get("unit") for name, item in file.items()}
        wrong = [name for name, unit in units.items() if found.get(name) != unit]
        if wrong:
            raise InputError(
                "a file of the mock sky lacks an array in its unit",
                file=path,
                item=", ".join(wrong),
                found=", ".join(f"{name} in {unit}" for name, unit in found.items()) or "no arrays",
                expected=", ".join(f"{name} in {unit}" for name, unit in units.items()),
                remedy="the file was made by another version: delete it and run again",
            )
        return [file[name][()] for name in units]
