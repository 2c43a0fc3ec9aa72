"""Training sets: the stars with a velocity, sorted into cross-validation subsets."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from mwatlas.config.predictor import CrossValidation
from mwatlas.config.release import ReleaseAdapter
from mwatlas.errors import InputError
from mwatlas.files import read_json
from mwatlas.studies.line_of_sight.selection import sample_schema
from mwatlas.tables.parquet import cell_writer, read_cells

log = logging.getLogger("mwatlas")


def training_subsets(test: int, settings: CrossValidation) -> tuple[int, ...]:
    """Subsets that train in the round which tests subset ``test``, counted from the next one."""
    validation = validation_subset(test, settings)
    others = ((test + step) % settings.folds for step in range(1, settings.folds))
    left = tuple(fold for fold in others if fold != validation)
    number = settings.training_subsets
    return left if number == "all" else left[:number]


def validation_subset(test: int, settings: CrossValidation) -> int:
    """Subset that validates in the round which tests subset ``test``."""
    return (test + settings.validation_offset) % settings.folds


def sort_into_folds(
    samples: Sequence[Path],
    adapter: ReleaseAdapter,
    settings: CrossValidation,
    outputs: Sequence[Path],
) -> None:
    """Stream the partitions of the sample into one file per subset.

    Parameters
    ----------
    samples
        Partitions of the sample.
    adapter
        The release.
    settings
        The split.
    outputs
        One file per subset, in order.

    Raises
    ------
    InputError
        If a subset has too few stars to train on.
    """
    schema = sample_schema(adapter)
    with ExitStack() as stack:
        writers = [
            stack.enter_context(cell_writer(path, schema, adapter.healpix_order))
            for path in outputs
        ]
        for sample in samples:
            for cell, data in read_cells(sample):
                for fold, writer in enumerate(writers):
                    mine = np.flatnonzero(data["fold"] == fold)
                    writer.write(cell, {name: data[name][mine] for name in schema.names})
        rows = [writer.rows for writer in writers]
        log.info("stars in each subset: %s", rows)
        if min(rows) < settings.min_stars:
            raise InputError(
                "too few stars with a radial velocity to train on",
                file=", ".join(str(path) for path in samples),
                item="radial_velocity",
                found=f"{min(rows)} stars in the smallest of {len(rows)} subsets; "
                + _story(samples),
                expected=f"at least {settings.min_stars} (cross_validation.min_stars)",
                remedy="use more stars, or repair the column or cut that removed most",
            )


def _story(samples: Sequence[Path]) -> str:
    """What became of the stars, from the counts beside each partition."""
    counts: Counter[str] = Counter()
    for sample in samples:
        beside = sample.with_suffix(".json")
        if beside.exists():
            counts.update(read_json(beside))
    if not counts["read"]:
        return "no star had complete astrometry (parallax, pmra, pmdec and their errors)"
    return ", ".join(f"{number:,} {name.replace('_', ' ')}" for name, number in counts.items())
