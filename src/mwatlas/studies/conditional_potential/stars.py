"""Drawing the observed stars of the mock, block by block.

A block is a fixed number of observed stars. It draws stars from a generator of its own until it
has observed them all, so blocks can be made in any order, and the same seed gives the same rows
whatever the partitioning. Given that they are observed, stars are independent; so filling each
block is the same as filling the whole mock.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mwatlas.errors import ConfigError
from mwatlas.files import read_json, write_json
from mwatlas.healpix import balanced_partitions
from mwatlas.progress import Progress
from mwatlas.random import block_generator
from mwatlas.studies.conditional_potential.plummer import Plummer
from mwatlas.studies.conditional_potential.selection import Selection
from mwatlas.studies.conditional_potential.tables import MOCK_STARS, MOCK_TRUTH
from mwatlas.tables.parquet import row_writer
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]

BLOCK = 2**14
"""Observed stars of a block; the last may have fewer."""
# Stars drawn at once; which stars a block has depends on it.
_BATCH = 2**14
LEAST_SHARE = 1e-3
"""A mock that observes a smaller share of its stars than this is refused."""
# Stars drawn before that is judged: a thousand would be observed, give or take 3 per cent.
_JUDGED_AFTER = 2**20


def block_sizes(observed: int) -> NDArray[np.int64]:
    """Number of observed stars in each block of a mock with ``observed`` of them."""
    full, rest = divmod(observed, BLOCK)
    return np.array([BLOCK] * full + [rest] * (rest > 0), dtype=np.int64)


def draw_block(
    block: int, number: int, sphere: Plummer, selection: Selection, seed: int
) -> tuple[Columns, Columns, int]:
    """Draw the first observed stars of a block.

    Parameters
    ----------
    block
        Its index.
    number
        How many stars to observe, at most :data:`BLOCK`. Fewer are the first of more.
    sphere
        Places and velocities of all stars.
    selection
        Magnitudes of the stars, and which are observed.
    seed
        Seed of the run.

    Returns
    -------
    stars, truth
        Columns of :data:`MOCK_STARS` and :data:`MOCK_TRUTH`, ``number`` rows each.
    drawn
        Stars drawn, observed or not, up to and with the last of these.

    Raises
    ------
    ConfigError
        If hardly a star is observed.
    """
    rng = block_generator(seed, "conditional_potential/stars", block)
    law = selection.magnitudes
    taken: list[Floats] = []
    missing, drawn = number, 0
    while missing:
        if drawn >= _JUDGED_AFTER and number - missing < LEAST_SHARE * drawn:
            raise ConfigError(
                "hardly a star of the mock is observed",
                item="mock.magnitudes.limit",
                found=f"{number - missing} of {drawn} stars are brighter than {law.limit} mag",
                expected=f"at least a share of {LEAST_SHARE}",
                remedy="raise the limit, or lower mock.dust.strength or mock.magnitudes.mean",
            )
        position = sphere.draw_positions(_BATCH, rng)
        absolute = law.mean + law.sigma * rng.standard_normal(_BATCH)
        magnitude = absolute + selection.dimming(position)
        kept = np.flatnonzero(magnitude < law.limit)[:missing]
        taken.append(np.column_stack([position[kept], magnitude[kept], absolute[kept]]))
        missing -= kept.size
        drawn += _BATCH if missing else int(kept[-1]) + 1
    rows = np.concatenate(taken)
    position = rows[:, :3]
    # A whole block of a stream of its own: neither the batches nor the number asked for matter.
    moving = block_generator(seed, "conditional_potential/stars", block, step=1)
    velocity = sphere.draw_velocities(position, BLOCK, moving)
    star = np.arange(number, dtype=np.int64) + block * BLOCK
    stars = {
        "star_id": star,
        **{f"{axis}_kpc": position[:, i] for i, axis in enumerate("xyz")},
        **{f"v{axis}_kms": velocity[:, i] for i, axis in enumerate("xyz")},
        "magnitude": rows[:, 3],
    }
    truth = {
        "star_id": star,
        "absolute_magnitude_true": rows[:, 4],
        "extinction_true": selection.extinction.at(position),
        "log_selection_true": selection.log_probability(position),
    }
    return stars, truth, drawn


def write_partition(
    number: int,
    partitions: int,
    observed: int,
    sphere: Plummer,
    selection: Selection,
    seed: int,
    *,
    stars: str | Path,
    truth: str | Path,
    counts: str | Path,
    progress: Progress,
) -> None:
    """Draw the blocks of one partition; memory holds one block at a time.

    Parameters
    ----------
    number, partitions
        Number of the partition, and how many there are; the last are empty if there are fewer
        blocks.
    observed
        Observed stars of the whole mock.
    sphere, selection, seed
        As for :func:`draw_block`.
    stars, truth
        Parquet files to write: the table a method may read, and the one it may not.
    counts
        JSON file to write: stars ``drawn`` and ``observed``. Over all partitions their ratio
        tells the share observed.
    progress
        Where to report.

    Raises
    ------
    ConfigError
        If hardly a star is observed.
    """
    sizes = block_sizes(observed)
    # A variant with few stars has the study's partitions: the last of them are empty.
    filled = balanced_partitions(sizes, min(partitions, sizes.size))
    blocks = filled[number] if number < len(filled) else range(0)
    total = int(sizes[blocks.start : blocks.stop].sum())
    all_drawn = 0
    with (
        row_writer(stars, MOCK_STARS) as star_rows,
        row_writer(truth, MOCK_TRUTH) as truth_rows,
        progress.task("drawing", total, "stars") as advance,
    ):
        for block in blocks:
            size = int(sizes[block])
            seen, known, drawn = draw_block(block, size, sphere, selection, seed)
            star_rows.write(block, seen)
            truth_rows.write(block, known)
            all_drawn += drawn
            advance(size)
    write_json(counts, {"drawn": all_drawn, "observed": total})


def total_counts(paths: Sequence[Path]) -> dict[str, int]:
    """Stars ``drawn`` and ``observed`` of all partitions, from their files of counts."""
    parts = [read_json(path) for path in paths]
    return {name: sum(part[name] for part in parts) for name in ("drawn", "observed")}
