"""The sample: base cut, and the cross-validation subset of each star with a velocity."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mwatlas.config.line_of_sight import Cut, Cuts, LineOfSight
from mwatlas.config.predictor import CrossValidation
from mwatlas.config.release import ReleaseAdapter
from mwatlas.cuts import disabled_cuts, passes
from mwatlas.files import write_json
from mwatlas.progress import Progress
from mwatlas.random import keyed_uniform
from mwatlas.tables.parquet import cell_writer, number_of_rows, read_cells
from mwatlas.tables.schemas import LINE_OF_SIGHT_SAMPLE
from mwatlas.tables.table import Columns, TableSchema

log = logging.getLogger("mwatlas")


def sample_schema(adapter: ReleaseAdapter) -> TableSchema:
    """Table of the sample for a release."""
    return LINE_OF_SIGHT_SAMPLE.without(adapter.absent_standard())


def check_release(adapter: ReleaseAdapter, release: str) -> None:
    """Make sure a release can serve this study.

    Raises
    ------
    ConfigError
        If it has no radial velocities or magnitudes.
    """
    adapter.need_standard(
        ("radial_velocity", "phot_g_mean_mag", "l", "b"),
        release,
        "the line-of-sight study cannot run on this release",
        "choose another release",
    )


def not_applied(adapter: ReleaseAdapter, study: LineOfSight) -> dict[str, str]:
    """Parts of the method this release switches off, with the reason."""
    absent = adapter.absent_standard()
    out = disabled_cuts(_base_cuts(study.cuts), absent)
    if adapter.parallax_zero_point == "none":
        out["parallax_zero_point"] = (
            f"parallax zero point not removed: {absent['parallax_zero_point']}"
        )
    if "radial_velocity_error" in absent:
        out["redraw"] = (
            "velocities not redrawn from their errors in training: radial_velocity_error "
            f"{absent['radial_velocity_error']}"
        )
    return out


def _base_cuts(cuts: Cuts) -> dict[str, Cut]:
    return {name: getattr(cuts.base, name) for name in type(cuts.base).model_fields}


def fold_of(source_id: NDArray[np.int64], settings: CrossValidation) -> NDArray[np.int64]:
    """Random subset of each star, a function of its identifier: sizes are equal on average."""
    uniform = keyed_uniform(settings.split_seed, "line_of_sight/fold", source_id)
    return (uniform * settings.folds).astype(np.int64)


def select_sample(
    stars: Path,
    adapter: ReleaseAdapter,
    study: LineOfSight,
    sample: Path,
    counts: Path,
    progress: Progress,
) -> None:
    """Apply the base cut (Table 1, row [0]) to one partition.

    Parameters
    ----------
    stars
        Partition of the clean catalogue.
    adapter, study
        Settings of the release and of the study.
    sample, counts
        Partition to write, and what each cut removed as JSON.
    progress
        Where to report.
    """
    schema = sample_schema(adapter)
    switched_off = not_applied(adapter, study)
    number: dict[str, int] = {"read": 0}
    with (
        cell_writer(sample, schema, adapter.healpix_order) as writer,
        progress.task("selecting", number_of_rows(stars), "stars") as advance,
    ):
        for cell, data in read_cells(stars):
            kept = _select(data, study, switched_off, number)
            writer.write(cell, {name: kept[name] for name in schema.names})
            advance(len(data["source_id"]))
    write_json(counts, number)
    log.info("rows: %s", number)
    for reason in switched_off.values():
        log.info("%s", reason)


def _select(
    data: Columns, study: LineOfSight, switched_off: Mapping[str, str], number: dict[str, int]
) -> Columns:
    number["read"] += len(data["source_id"])
    derived = {
        **data,
        "fractional_parallax_error": data["parallax_error"]
        / np.where(data["parallax_corr"] > 0, data["parallax_corr"], np.nan),
    }
    keep = np.ones(len(data["source_id"]), dtype=bool)
    for name, cut in _base_cuts(study.cuts).items():
        if name in switched_off:
            continue
        passed = passes(cut, derived[cut.column])
        number[f"removed_by_{name}"] = number.get(f"removed_by_{name}", 0) + int(
            (keep & ~passed).sum()
        )
        keep &= passed
    measured = np.isfinite(data["radial_velocity"])
    wild = measured & ~passes(study.cuts.radial_velocity, data["radial_velocity"])
    number["removed_by_radial_velocity"] = number.get("removed_by_radial_velocity", 0) + int(
        (keep & wild).sum()
    )
    keep &= ~wild
    out = {name: values[keep] for name, values in data.items()}
    fold = fold_of(out["source_id"], study.cross_validation)
    out["fold"] = np.where(measured[keep], fold, -1)
    number["with_radial_velocity"] = number.get("with_radial_velocity", 0) + int(
        measured[keep].sum()
    )
    number["without_radial_velocity"] = number.get("without_radial_velocity", 0) + int(
        (~measured[keep]).sum()
    )
    return out
