"""Predicting line-of-sight velocities, out of fold for stars that have one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mwatlas.errors import InputError
from mwatlas.learning.model_file import load_model, predict
from mwatlas.predictive import MIXTURE_COLUMNS, Predictive
from mwatlas.progress import Progress
from mwatlas.studies.line_of_sight.features import COLUMNS, astrometry
from mwatlas.tables.parquet import cell_writer, number_of_rows, read_cells
from mwatlas.tables.schemas import LINE_OF_SIGHT_PREDICTIONS
from mwatlas.tables.table import Columns, TableSchema


def predictions_schema(components: int) -> TableSchema:
    """Table of predictions; a single normal is told by its mean and standard deviation."""
    if components == 1:
        return LINE_OF_SIGHT_PREDICTIONS.without(MIXTURE_COLUMNS)
    table = LINE_OF_SIGHT_PREDICTIONS
    for name in MIXTURE_COLUMNS:
        table = table.with_length(name, components)
    return table


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
            ``vlos_pred``, ``sigma_los`` and ``vlos_network_spread`` in km/s: mean and standard
            deviation of the density, and scatter of the means among the networks. If it has
            more than one component also :data:`~mwatlas.predictive.MIXTURE_COLUMNS`, shape
            (N, K) each, from which :func:`~mwatlas.predictive.predictive_of` makes it again.
        """
        columns = astrometry(data)
        outputs = [predict(model, columns) for model in self._models]
        means = np.stack([density.mean() for density in outputs])
        which = np.where(fold >= 0, fold, self._otherwise)
        density = _choose(outputs, which)
        predicted = {
            "vlos_pred": density.mean(),
            "sigma_los": density.std(),
            "vlos_network_spread": means.std(axis=0),
        }
        if self.components > 1:
            parts = (density.weights, density.means, density.sigmas)
            predicted.update(zip(MIXTURE_COLUMNS, parts, strict=True))
        return {name: values.astype(np.float32) for name, values in predicted.items()}

    @property
    def components(self) -> int:
        """Number of components of the densities."""
        return int(self._models[0].outputs[0].shape[1])


def _choose(outputs: Sequence[Predictive], which: NDArray[np.int64]) -> Predictive:
    """Density of each star from the network of number ``which``."""
    stars = np.arange(which.size)
    fields = zip(*((d.weights, d.means, d.sigmas) for d in outputs), strict=True)
    return Predictive(*(np.stack(field)[which, stars] for field in fields))


def predict_stars(
    model: str | Path,
    l: ArrayLike,  # noqa: E741 - Gaia's name
    b: ArrayLike,
    pmra: ArrayLike,
    pmdec: ArrayLike,
    parallax: ArrayLike,
) -> Predictive:
    """Predict the density of the line-of-sight velocity of any stars with one trained network.

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
    Predictive
        In km/s, for N stars.

    Raises
    ------
    InputError
        If the columns are of different lengths or hold values that are not finite, or
        parallaxes the network cannot use.
    """
    columns = dict(zip(COLUMNS, (l, b, pmra, pmdec, parallax), strict=True))
    data = {name: np.atleast_1d(np.asarray(v, dtype=float)) for name, v in columns.items()}
    sizes = {name: v.shape for name, v in data.items()}
    if len(set(sizes.values())) > 1 or any(v.ndim > 1 for v in data.values()):
        raise InputError(
            "the columns do not describe the same stars",
            item=", ".join(sizes).replace("parallax_corr", "parallax"),
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
    if (np.abs(data["b"]) > 90).any():
        raise InputError(
            "a latitude is none",
            item="b",
            found=f"{data['b'][np.abs(data['b']) > 90][0]:g} degrees",
            expected="-90 to 90 degrees",
            remedy="pass Galactic coordinates in degrees, l before b",
        )
    density = predict(load_model(Path(model)), astrometry(data))
    lost = ~np.isfinite(density.means).all(axis=1)
    if lost.any():
        raise InputError(
            "this network predicts velocities only from positive parallaxes",
            item="parallax",
            found=f"{int(lost.sum())} stars without a prediction, the smallest parallax is "
            f"{data['parallax_corr'].min():g} mas",
            expected="parallaxes above zero",
            remedy="leave those stars out, or use a network on the paper's inputs",
        )
    return density


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
        cell_writer(output, predictions_schema(predictor.components), healpix_order) as writer,
        progress.task("predicting", number_of_rows(sample), "stars") as advance,
    ):
        for cell, data in read_cells(sample, ["source_id", "fold", *COLUMNS]):
            predicted = predictor(data, data["fold"].astype(np.int64))
            writer.write(cell, {"source_id": data["source_id"], **predicted})
            advance(len(data["source_id"]))
