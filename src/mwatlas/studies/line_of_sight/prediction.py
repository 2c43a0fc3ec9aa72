"""Predicting line-of-sight velocities, out of fold for stars that have one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mwatlas.errors import InputError
from mwatlas.learning.twin_perceptron import load_model, predict
from mwatlas.progress import Progress
from mwatlas.studies.line_of_sight.features import COLUMNS, features
from mwatlas.tables.parquet import cell_writer, number_of_rows, read_cells
from mwatlas.tables.schemas import LINE_OF_SIGHT_PREDICTIONS
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]


class Predictor:
    """The trained networks of all rounds.

    Parameters
    ----------
    models
        One ``.keras`` file per round, in order.
    round_without_velocity
        Whose network predicts stars without a velocity; none has seen them.
    """

    def __init__(self, models: Sequence[Path], round_without_velocity: int = 0) -> None:
        self._otherwise = round_without_velocity
        self._models = [load_model(path) for path in models]

    def __call__(self, data: Columns, fold: NDArray[np.int64]) -> Columns:
        """Predict each star with the network that did not see it.

        Parameters
        ----------
        data
            Columns ``l``, ``b``, ``pmra``, ``pmdec``, ``parallax_corr``; shape (N,) each.
        fold
            Subset of each star, -1 for stars no network has seen; shape (N,).

        Returns
        -------
        Columns
            ``vlos_pred``, ``sigma_los``, ``vlos_network_spread`` in km/s.
        """
        inputs = features(data)
        outputs = [predict(model, inputs) for model in self._models]
        velocity = np.stack([v for v, _ in outputs])
        sigma = np.stack([s for _, s in outputs])
        which = np.where(fold >= 0, fold, self._otherwise)
        stars = np.arange(which.size)
        return {
            "vlos_pred": velocity[which, stars],
            "sigma_los": sigma[which, stars],
            "vlos_network_spread": velocity.std(axis=0),
        }


def predict_stars(
    model: str | Path,
    l: ArrayLike,  # noqa: E741 - Gaia's name
    b: ArrayLike,
    pmra: ArrayLike,
    pmdec: ArrayLike,
    parallax: ArrayLike,
) -> tuple[Floats, Floats]:
    """Predict line-of-sight velocities of any stars with one trained network.

    Parameters
    ----------
    model
        A ``.keras`` file of ``results/<release>/models/line_of_sight``.
    l, b
        Galactic coordinates in degrees; shape (N,).
    pmra, pmdec
        Proper motions in mas/yr; shape (N,).
    parallax
        Parallax in mas, zero point removed if it was in training; shape (N,).

    Returns
    -------
    vlos_pred, sigma_los
        In km/s; shape (N,) each.

    Raises
    ------
    InputError
        If the columns are of different lengths or hold values that are not finite.
    """
    columns = dict(zip(COLUMNS, (l, b, pmra, pmdec, parallax), strict=True))
    data = {name: np.atleast_1d(np.asarray(v, dtype=float)) for name, v in columns.items()}
    sizes = {name: v.shape for name, v in data.items()}
    if len(set(sizes.values())) > 1 or any(v.ndim > 1 for v in data.values()):
        raise InputError(
            "the columns do not describe the same stars",
            item=", ".join(sizes),
            found=", ".join(f"{name} {shape}" for name, shape in sizes.items()),
            expected="one value per star in each column",
            remedy="pass five arrays of equal length",
        )
    for name, values in data.items():
        if not np.isfinite(values).all():
            raise InputError(
                "velocities can be predicted only from complete astrometry",
                item="parallax" if name == "parallax_corr" else name,
                found=f"{int((~np.isfinite(values)).sum())} values that are not finite",
                expected="finite numbers",
                remedy="leave those stars out",
            )
    if not data["l"].size:
        return np.empty(0), np.empty(0)
    velocity, sigma = predict(load_model(Path(model)), features(data))
    return velocity.astype(float), sigma.astype(float)


def predict_sample(
    sample: Path,
    models: Sequence[Path],
    round_without_velocity: int,
    healpix_order: int,
    output: Path,
    progress: Progress,
) -> None:
    """Predict one partition of the sample, cell by cell.

    Parameters
    ----------
    sample
        Partition of the sample.
    models
        One trained model per round.
    round_without_velocity
        Whose network predicts stars without a velocity.
    healpix_order
        Order of the cells.
    output
        Partition of predictions to write.
    progress
        Where to report.
    """
    predictor = Predictor(models, round_without_velocity)
    with (
        cell_writer(output, LINE_OF_SIGHT_PREDICTIONS, healpix_order) as writer,
        progress.task("predicting", number_of_rows(sample), "stars") as advance,
    ):
        for cell, data in read_cells(sample, ["source_id", "fold", *COLUMNS]):
            predicted = predictor(data, data["fold"].astype(np.int64))
            writer.write(cell, {"source_id": data["source_id"], **predicted})
            advance(len(data["source_id"]))
