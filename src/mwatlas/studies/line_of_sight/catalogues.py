"""The catalogues the study publishes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.progress import Progress
from mwatlas.studies.line_of_sight.accumulate import gather
from mwatlas.studies.line_of_sight.sampling import ASTROMETRY
from mwatlas.tables.hats import write_hats
from mwatlas.tables.parquet import number_of_rows, read_cells
from mwatlas.tables.schemas import GSE_CANDIDATES, LINE_OF_SIGHT_CATALOGUE
from mwatlas.tables.table import Columns

Catalogue = Literal["test_set", "ml_rv", "gse_candidates"]

_COLUMNS = ("source_id", "fold", "phot_g_mean_mag", "radial_velocity", *ASTROMETRY)


def write_catalogue(
    catalogue: Catalogue,
    samples: Sequence[Path],
    predictions: Sequence[Path],
    orbits: Sequence[Path],
    study: LineOfSight,
    seed: int,
    healpix_order: int,
    output: Path,
    progress: Progress,
) -> None:
    """Write one catalogue in HATS layout.

    ``test_set`` has the stars with a measured velocity, predicted out of fold; ``ml_rv`` those
    without. Both hold row [0] of Table 1; its row [1] is a cut on ``phot_g_mean_mag``.
    ``gse_candidates`` has the error draws of both whose eccentricity passes the limit.

    Parameters
    ----------
    catalogue
        Which one.
    samples, predictions, orbits
        All partitions, in order.
    study, seed
        Settings and seed of the run.
    healpix_order
        Order of the cells.
    output
        Folder to write.
    progress
        Where to report.
    """
    total = sum(number_of_rows(path) for path in samples)
    with progress.task(f"writing {catalogue}", total, "stars") as advance:

        def cells() -> Iterator[tuple[int, Columns]]:
            for sample, predicted, orbit in zip(samples, predictions, orbits, strict=True):
                for (cell, data), (_, prediction), (_, eccentricity) in zip(
                    read_cells(sample, _COLUMNS),
                    read_cells(predicted),
                    read_cells(orbit),
                    strict=True,
                ):
                    if catalogue == "gse_candidates":
                        yield cell, _candidates(data, prediction, eccentricity, study, seed)
                    else:
                        mine = (data["fold"] >= 0) == (catalogue == "test_set")
                        yield cell, _rows(data, prediction, eccentricity, study, mine)
                    advance(len(data["source_id"]))

        table = GSE_CANDIDATES if catalogue == "gse_candidates" else LINE_OF_SIGHT_CATALOGUE
        write_hats(output, table, cells(), healpix_order)


def _rows(
    data: Columns,
    prediction: Columns,
    orbits: Columns,
    study: LineOfSight,
    mine: np.ndarray,
) -> Columns:
    high = orbits["eccentricity_draws"] > study.cuts.high_eccentricity
    everything = {**data, **prediction, **orbits, "p_high_eccentricity": high.mean(axis=1)}
    return {name: everything[name][mine] for name in LINE_OF_SIGHT_CATALOGUE.names}


def _candidates(
    data: Columns, prediction: Columns, orbits: Columns, study: LineOfSight, seed: int
) -> Columns:
    stars = gather(0, data, prediction, orbits, study, seed)
    row, draw = np.nonzero(stars.eccentricity_draws > study.cuts.high_eccentricity)
    velocity = stars.spherical_draws[row, draw]
    return {
        "source_id": data["source_id"][row],
        "draw": draw,
        "ra": data["ra"][row],
        "dec": data["dec"][row],
        "vlos_draw": stars.draws[row, draw],
        "eccentricity": stars.eccentricity_draws[row, draw],
        "orbit_flag": orbits["orbit_flag"][row],
        "v_r": velocity[:, 0],
        "v_theta": velocity[:, 1],
        "v_phi": velocity[:, 2],
    }
