"""Hand-made stars of the line-of-sight study: views of one catalogue, and whole partitions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import healpy
import numpy as np

from mwatlas.astrometry.frames import PhaseSpace
from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.predictive import MIXTURE_COLUMNS
from mwatlas.progress import Progress
from mwatlas.studies.line_of_sight.accumulate import accumulate_partition, solar_axes
from mwatlas.studies.line_of_sight.prediction import predictions_schema
from mwatlas.studies.line_of_sight.views import SURVEYS, Match, View
from mwatlas.tables.parquet import cell_writer
from mwatlas.tables.schemas import LINE_OF_SIGHT_SAMPLE, SURVEY_MATCHES
from mwatlas.tables.table import Columns

ORDER = 1
STUDY = LineOfSight()
# Short orbits: what is tested is not their quality.
SHORT = LineOfSight.model_validate({"orbits": {"duration_gyr": 0.2}})
SEED = 3
_, SUN_KPC = solar_axes(STUDY.solar_frame).affine()


def match(number: int, **columns: Any) -> Match:
    """Matches of some stars; where ``matched`` is not given, of none."""
    values = {
        "matched": np.zeros(number, dtype=bool),
        **{name: np.full(number, np.nan) for name in ("fe_h", "mg_fe", "survey_radial_velocity")},
    }
    return Match(**{**values, **{name: np.asarray(v) for name, v in columns.items()}})


def make_view(
    name: str,
    eccentricity: Any,
    *,
    offset_kpc: Any = None,
    rest_kms: Any = (0.0, 200.0, 0.0),
    sight: Any = (1.0, 0.0, 0.0),
    v_los_kms: Any = 0.0,
    fold: Any = 0,
    complete: Any = True,
    **matches: Match,
) -> View:
    """Stars at some offset from the Sun, with their velocities at rest and along ``sight``.

    Parameters
    ----------
    name
        Of the catalogue.
    eccentricity
        Shape (N, D).
    offset_kpc, rest_kms, sight
        Broadcast to shape (N, 3); 1 kpc towards the anticentre by default.
    v_los_kms
        Broadcast to shape (N, D).
    fold, complete
        Broadcast to shape (N,).
    matches
        By survey.
    """
    e = np.atleast_2d(np.asarray(eccentricity, dtype=float))
    number = len(e)
    offset = (-1.0, 0.0, 0.0) if offset_kpc is None else offset_kpc

    def vectors(values: Any) -> np.ndarray:
        return np.broadcast_to(np.asarray(values, dtype=float), (number, 3)).copy()

    return View(
        name,
        PhaseSpace(SUN_KPC + vectors(offset), vectors(rest_kms), vectors(sight)),
        SUN_KPC,
        np.broadcast_to(fold, number).astype(np.int64),
        np.broadcast_to(np.asarray(v_los_kms, dtype=float), e.shape).copy(),
        e,
        np.broadcast_to(complete, number).astype(bool),
        {survey: matches.get(survey, match(number)) for survey in SURVEYS},
    )


def cell_stars(cell: int, number: int, seed: int = 0, matched: float = 0.3) -> Cell:
    """Stars of a disc and a hot halo in one cell; three in four have a velocity."""
    rng = np.random.default_rng([seed, cell])
    pixel = np.sort(rng.choice(4 ** (12 - ORDER), number, replace=False))
    pixel += cell * 4 ** (12 - ORDER)
    ra, dec = healpy.pix2ang(2**12, pixel, nest=True, lonlat=True)
    measured = rng.random(number) < 0.75
    hot = rng.random(number) < 0.5
    velocity = rng.normal(0, np.where(hot, 150, 40))
    source_id = (pixel << 35) + 128
    fold = rng.integers(0, 5, number)
    sample = {
        "source_id": source_id,
        "ra": ra,
        "dec": dec,
        "l": rng.uniform(0, 360, number),
        "b": rng.uniform(-90, 90, number),
        "parallax_corr": rng.uniform(0.3, 3, number),
        "pmra": rng.normal(0, np.where(hot, 20, 5)),
        "pmdec": rng.normal(0, np.where(hot, 20, 5)),
        "phot_g_mean_mag": rng.uniform(10, 17, number).astype(np.float32),
        "radial_velocity": np.where(measured, np.clip(velocity, -500, 500), np.nan),
        "radial_velocity_error": np.where(measured, 1.0, np.nan),
        "fold": np.where(measured, fold, -1),
    }
    predictions = {
        "source_id": source_id,
        "vlos_pred": (velocity + rng.normal(0, 30, number)).astype(np.float32),
        "sigma_los": rng.uniform(20, 60, number).astype(np.float32),
        "vlos_network_spread": np.ones(number, np.float32),
    }
    rows = []
    for survey in SURVEYS:
        seen = np.flatnonzero(rng.random(number) < matched)
        size = seen.size
        rows.append(
            {
                "source_id": source_id[seen],
                "survey": np.full(size, survey, dtype=object),
                "fe_h": rng.normal(-1, 0.5, size),
                "mg_fe": rng.normal(0.25, 0.1, size),
                "survey_radial_velocity": np.clip(velocity[seen], -500, 500),
                "survey_radial_velocity_error": np.ones(size),
                "separation_arcsec": np.zeros(size),
                "matched_by": np.full(size, "source_id", dtype=object),
            }
        )
    matches = {name: np.concatenate([r[name] for r in rows]) for name in rows[0]}
    return Cell(sample, predictions, matches)


@dataclass(frozen=True)
class Cell:
    """Tables of one cell."""

    sample: Columns
    predictions: Columns
    matches: Columns

    def rows(self, keep: np.ndarray) -> Cell:
        """Some of the stars, or all in another order."""
        return Cell(
            {name: values[keep] for name, values in self.sample.items()},
            {name: values[keep] for name, values in self.predictions.items()},
            self.matches,
        )


def with_mixture(cell: Cell, components: int = 3) -> Cell:
    """The same stars with mixtures as predictions."""
    rng = np.random.default_rng(9)
    number = len(cell.predictions["source_id"])
    weights = rng.dirichlet(np.ones(components), number)
    means = rng.normal(0, 80, (number, components))
    sigmas = rng.uniform(10, 90, (number, components))
    mean = (weights * means).sum(axis=1)
    variance = (weights * (sigmas**2 + (means - mean[:, None]) ** 2)).sum(axis=1)
    parts = dict(zip(MIXTURE_COLUMNS, (weights, means, sigmas), strict=True))
    predictions = {
        **cell.predictions,
        "vlos_pred": mean,
        "sigma_los": np.sqrt(variance),
        **parts,
    }
    return Cell(cell.sample, {n: v.astype(_type(n)) for n, v in predictions.items()}, cell.matches)


def _type(name: str) -> type:
    return np.int64 if name == "source_id" else np.float32


@dataclass(frozen=True)
class Partition:
    """Files of one partition."""

    sample: Path
    predictions: Path
    matches: Path


def write_partition(folder: Path, cells: dict[int, Cell]) -> Partition:
    """Write the tables of some cells, in ascending order."""
    folder.mkdir(parents=True, exist_ok=True)
    files = Partition(*(folder / f"{n}.parquet" for n in ("sample", "predictions", "matches")))
    first = next(iter(cells.values())).predictions
    components = first[MIXTURE_COLUMNS[0]].shape[1] if MIXTURE_COLUMNS[0] in first else 1
    for path, table, name in (
        (files.sample, LINE_OF_SIGHT_SAMPLE, "sample"),
        (files.predictions, predictions_schema(components), "predictions"),
        (files.matches, SURVEY_MATCHES, "matches"),
    ):
        with cell_writer(path, table, ORDER) as writer:
            for cell in sorted(cells):
                writer.write(cell, getattr(cells[cell], name))
    return files


def accumulate_files(
    files: Partition, folder: Path, progress: Progress, study: LineOfSight = SHORT
) -> dict[str, Path]:
    """Accumulate one partition; the files it writes by what they hold."""
    folder.mkdir(parents=True, exist_ok=True)
    out = {"statistics": folder / "s.h5", "orbits": folder / "o.parquet"}
    out["candidates"] = folder / "c.parquet"
    accumulate_partition(
        files.sample,
        files.predictions,
        files.matches,
        study,
        SEED,
        ORDER,
        out["statistics"],
        out["orbits"],
        out["candidates"],
        progress,
    )
    return out
