"""Trained networks as files: five columns of astrometry in, a density in km/s out."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mwatlas.learning.stage import DensityNetwork, make_reproducible

# isort: split
# After the settings of TensorFlow that importing the line above makes.
import keras
import numpy as np
from numpy.typing import NDArray

from mwatlas.calibration import SigmaMap
from mwatlas.errors import InputError
from mwatlas.files import atomic_path
from mwatlas.learning.scaling import Scaling
from mwatlas.predictive import MIXTURE_COLUMNS, Predictive, mixture

_PREDICT_ROWS = 65_536


def export(
    network: DensityNetwork,
    columns: int,
    features: Callable[[Any], Any],
    inputs: Scaling,
    target: Scaling,
    calibration: SigmaMap | None = None,
) -> keras.Model:
    """A self-contained model: plain columns in, mixtures in km/s out.

    It holds nothing but Keras operations, so it can be used without this package.

    Parameters
    ----------
    network
        The trained network.
    columns
        Number of columns it takes.
    features
        Makes the inputs of the network, shape (N, C), from the columns, shape (N, columns),
        with Keras operations.
    inputs, target
        Scalings of the inputs and of the velocity.
    calibration
        What to make of the standard deviation of the density.
    """
    entry = keras.Input((columns,), name="astrometry")
    scaled = keras.layers.Normalization(mean=inputs.mean, variance=inputs.std**2)(features(entry))
    scale, offset = float(target.std[0]), float(target.mean[0])
    weights, means, sigmas = network.density(scaled)
    means, sigmas = means * scale + offset, sigmas * scale
    if calibration is not None:
        means, sigmas = _stretched(weights, means, sigmas, calibration)
    outputs = dict(zip(MIXTURE_COLUMNS, (weights, means, sigmas), strict=True))
    return keras.Model(entry, outputs, name="line_of_sight")


def _stretched(weights: Any, means: Any, sigmas: Any, calibration: SigmaMap) -> tuple[Any, Any]:
    """Means and sigmas as :func:`mwatlas.calibration.calibrated` makes them."""
    mean = keras.ops.sum(weights * means, axis=1, keepdims=True)
    variance = keras.ops.sum(weights * (sigmas**2 + (means - mean) ** 2), axis=1, keepdims=True)
    std = keras.ops.sqrt(variance)
    above = keras.ops.maximum(std - calibration.knots_kms, 0.0)
    wanted = keras.ops.sum(above * calibration.bends, axis=1, keepdims=True)
    return mean + wanted / std * (means - mean), wanted / std * sigmas


def save_model(model: keras.Model, path: Path) -> None:
    """Write a ``.keras`` file whose bytes depend on the model alone.

    Keras puts the date and the memory addresses of shared objects into its files.
    """
    buffer = io.BytesIO()
    with atomic_path(path) as partial:
        model.save(partial)
        with zipfile.ZipFile(partial) as stored, zipfile.ZipFile(buffer, "w") as plain:
            for name in sorted(stored.namelist()):
                content = stored.read(name)
                if name == "metadata.json":
                    kept = {k: v for k, v in json.loads(content).items() if k != "date_saved"}
                    content = json.dumps(kept).encode()
                elif name == "config.json":
                    content = _number_shared_objects(content.decode()).encode()
                plain.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
        partial.write_bytes(buffer.getvalue())


def _number_shared_objects(config: str) -> str:
    """Replace addresses by numbers in the order of their appearance."""
    seen: dict[str, int] = {}
    return re.sub(
        r'("shared_object_id": )(\d+)',
        lambda match: match[1] + str(seen.setdefault(match[2], len(seen))),
        config,
    )


def load_model(path: Path) -> keras.Model:
    """Read a model written by :func:`save_model`.

    Raises
    ------
    InputError
        If the file is absent or broken.
    """
    make_reproducible()
    try:
        return keras.models.load_model(path, compile=False)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise InputError(
            "a trained model cannot be read",
            file=path,
            found=str(error).splitlines()[0],
            expected="a .keras file of this workflow",
            remedy="delete the file and run again to train it anew",
        ) from error


def predict(model: keras.Model, columns: NDArray[np.float64]) -> Predictive:
    """Densities of N stars.

    Parameters
    ----------
    model
        From :func:`export` or :func:`load_model`.
    columns
        What the model takes; shape (N, columns).
    """
    rows = [columns[i : i + _PREDICT_ROWS] for i in range(0, len(columns), _PREDICT_ROWS)]
    pieces = [model(piece.astype(np.float32)) for piece in rows or [columns]]
    return mixture(
        *(np.concatenate([np.asarray(p[name]) for p in pieces]) for name in MIXTURE_COLUMNS)
    )
