"""Files of trained densities: settings and weights in HDF5, the same bytes for the same model."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from mwatlas.errors import InputError
from mwatlas.files import atomic_path
from mwatlas.flows.data import Standard

Arrays = dict[str, NDArray[Any]]


def write_model(
    path: str | Path, kind: str, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]
) -> None:
    """Write a model.

    Parameters
    ----------
    path
        The ``.h5`` file.
    kind
        What it is, so that no other kind is read from it.
    settings
        Anything JSON can hold.
    arrays
        Weights and scales by name.
    """
    with atomic_path(path) as partial, h5py.File(partial, "w") as file:
        file.attrs["kind"] = kind
        file.attrs["settings"] = json.dumps(settings, sort_keys=True)
        for name in sorted(arrays):
            array = np.asarray(arrays[name])
            # Nothing and single numbers cannot have a checksum.
            checked = array.ndim > 0 and array.size > 0
            file.create_dataset(name, data=array, track_times=False, fletcher32=checked)


@contextmanager
def opened_model(path: str | Path, kind: str) -> Iterator[tuple[dict[str, Any], Arrays]]:
    """Settings and arrays of a file of :func:`write_model`, to build a model of within the block.

    Raises
    ------
    InputError
        If the file is absent, broken or of another kind, holds numbers that are not finite, or
        lacks settings or arrays that the block looks for, or has others than it takes.
    """
    settings, arrays = _read(path, kind)
    try:
        yield settings, arrays
    except (KeyError, TypeError, ValueError) as error:
        found = "another version's settings or weights: " + " ".join(str(error).split())
        raise _unreadable(path, kind, found) from error


def _read(path: str | Path, kind: str) -> tuple[dict[str, Any], Arrays]:
    try:
        with h5py.File(path) as file:
            found = str(file.attrs["kind"])
            settings = json.loads(file.attrs["settings"])
            arrays = {name: item[()] for name, item in file.items()}
    except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        # h5py has another error for each way in which a file can be damaged.
        raise _unreadable(path, kind, str(error).splitlines()[0]) from error
    if found != kind:
        raise _unreadable(path, kind, f"a '{found}'")
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise _unreadable(path, kind, f"numbers in '{name}' that are not finite")
    return settings, arrays


def weights_by_name(weights: Sequence[NDArray[Any]]) -> Arrays:
    """Weights of a network under names that keep their order in a file."""
    return {f"weights_{i:03d}": array for i, array in enumerate(weights)}


def weights_of(arrays: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """Weights that :func:`weights_by_name` named, in order, from all arrays of a file."""
    return [arrays[name] for name in sorted(arrays) if name.startswith("weights_")]


def standards_by_name(x: Standard, given: Standard | None) -> Arrays:
    """Standard units of x and of a condition, if there is one, under names for a file."""
    arrays = {"x_mean": x.mean, "x_std": x.std}
    if given is not None:
        arrays |= {"given_mean": given.mean, "given_std": given.std}
    return arrays


def standards_of(arrays: Mapping[str, NDArray[Any]]) -> tuple[Standard, Standard | None]:
    """Standard units that :func:`standards_by_name` named, from all arrays of a file."""
    x = Standard(arrays["x_mean"], arrays["x_std"])
    if "given_mean" not in arrays:
        return x, None
    return x, Standard(arrays["given_mean"], arrays["given_std"])


def _unreadable(path: str | Path, kind: str, found: str) -> InputError:
    return InputError(
        "a trained density cannot be read",
        file=path,
        found=found,
        expected=f"an HDF5 file with a '{kind}' of this workflow",
        remedy="delete the file and run again to train it anew",
    )
