"""Writing what other surveys make of the stars of the embedded sky."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from mwatlas.astrometry.frames import galactic_angles
from mwatlas.config.sky import SkySource
from mwatlas.progress import Progress
from mwatlas.random import block_generator
from mwatlas.sky.cluster_census import near_clusters, observe_clusters
from mwatlas.sky.dust import SkyDust
from mwatlas.sky.fidelity import fidelity
from mwatlas.sky.infrared import observe_infrared
from mwatlas.sky.model import acceleration_of, clusters_of
from mwatlas.sky.positions import crowding
from mwatlas.sky.pulsars import derive_accelerations, draw_pulsars, observe_pulsars
from mwatlas.sky.spectroscopy import observe_spectroscopy
from mwatlas.sky.xp import observe_xp
from mwatlas.tables.clusters import CLUSTERS, MEMBERS
from mwatlas.tables.fidelity import FIDELITY
from mwatlas.tables.gaia import GAIA_SOURCE_FULL
from mwatlas.tables.infrared import TMASS_ORIGINAL_VALID
from mwatlas.tables.parquet import (
    CellWriter,
    RowWriter,
    cell_writer,
    number_of_rows,
    read_cells,
    read_rows,
    row_writer,
    write_table,
)
from mwatlas.tables.pulsars import PSRCAT, PULSAR_ACCELERATIONS
from mwatlas.tables.sky_surveys import SURVEY_TRUTH, SURVEYS
from mwatlas.tables.table import Columns
from mwatlas.tables.xp import XP_CONTINUOUS_MEAN_SPECTRUM, XP_TRUTH

# Gaia sources of all magnitudes per square arcminute: at the poles, and how many more towards
# the centre (Gaia Collaboration, Brown et al. 2021, figure 3).
_DENSITY_AT_POLES, _DENSITY_AT_CENTRE = 1.5, 300.0
_OF_GAIA = (
    "source_id",
    "ra",
    "dec",
    "pmra",
    "pmdec",
    "phot_g_mean_mag",
    "phot_bp_mean_mag",
    "phot_rp_mean_mag",
    "parallax",
    "parallax_error",
    "parallax_over_error",
    "ruwe",
)


def write_surveys(
    gaia: Path,
    truth: Path,
    dust: SkyDust,
    source: SkySource,
    seed: int,
    healpix_order: int,
    served: Mapping[str, str | Path],
    known: str | Path,
    progress: Progress,
) -> None:
    """Observe the stars of one partition with 2MASS, unWISE, APOGEE, LAMOST and GALAH.

    Parameters
    ----------
    gaia, truth
        The partition's served and true tables.
    dust
        The map; tables that list extinctions list those of the whole line of sight.
    source, seed
        Settings of the sky, and seed of the run.
    healpix_order
        Order of its cells.
    served
        File to write for each table of :data:`mwatlas.tables.sky_surveys.SURVEYS`.
    known
        File to write for what went wrong.
    progress
        Where to report.
    """
    with ExitStack() as stack:
        writers: dict[str, CellWriter | RowWriter] = {}
        for name, table in SURVEYS.items():
            if table.key == "source_id":
                writers[name] = stack.enter_context(cell_writer(served[name], table, healpix_order))
            else:
                writers[name] = stack.enter_context(row_writer(served[name], table))
        truths = stack.enter_context(cell_writer(known, SURVEY_TRUTH, healpix_order))
        advance = stack.enter_context(progress.task("observing", number_of_rows(gaia), "stars"))
        for (cell, measured), (_, stars) in zip(
            read_cells(gaia, _OF_GAIA), read_cells(truth), strict=True
        ):
            column = dust.a_v(*galactic_angles(stars["ra"], stars["dec"]), dust.distance_kpc[-1])
            stars["a_v_column"] = column
            tables, flaws = observe_infrared(
                stars, measured, source.infrared, seed, cell, healpix_order
            )
            spectra, more = observe_spectroscopy(
                stars,
                measured,
                tables[TMASS_ORIGINAL_VALID.name],
                flaws,
                source.spectroscopy,
                seed,
                cell,
                healpix_order,
            )
            tables |= spectra
            tables[FIDELITY.name] = _fidelity(stars, measured, source, seed)
            for name, rows in tables.items():
                writers[name].write(cell, rows)
            truths.write(cell, {**flaws, **more})
            advance(len(stars["source_id"]))


def _fidelity(stars: Columns, measured: Columns, source: SkySource, seed: int) -> Columns:
    """Fidelities of the sources with a parallax; the table has no others."""
    solved = np.isfinite(measured["parallax"])
    density = _DENSITY_AT_POLES + _DENSITY_AT_CENTRE * crowding(stars)
    return fidelity(
        stars["source_id"][solved],
        stars["spurious_true"][solved],
        measured["ruwe"][solved],
        measured["parallax_over_error"][solved],
        measured["phot_g_mean_mag"][solved],
        density[solved],
        source.fidelity,
        seed,
    )


def write_spectra(
    gaia: Path,
    apogee: Path,
    truth: Path,
    source: SkySource,
    seed: int,
    healpix_order: int,
    served: str | Path,
    known: str | Path,
    progress: Progress,
) -> None:
    """Serve the XP spectra of APOGEE's stars in one partition.

    Parameters
    ----------
    gaia, apogee, truth
        The partition's served Gaia and APOGEE tables, and the true one.
    source, seed
        Settings of the sky, and seed of the run.
    healpix_order
        Order of its cells.
    served, known
        Files to write.
    progress
        Where to report.
    """
    wanted = read_rows([apogee], ["GAIAEDR3_SOURCE_ID"])["GAIAEDR3_SOURCE_ID"]
    with (
        cell_writer(served, XP_CONTINUOUS_MEAN_SPECTRUM, healpix_order) as spectra,
        cell_writer(known, XP_TRUTH, healpix_order) as truths,
        progress.task("spectra", number_of_rows(gaia), "stars") as advance,
    ):
        for (cell, flags), (_, stars) in zip(
            read_cells(gaia, ["source_id", "has_xp_continuous"]), read_cells(truth), strict=True
        ):
            chosen = flags["has_xp_continuous"] & np.isin(flags["source_id"], wanted)
            mine = {name: values[chosen] for name, values in stars.items()}
            rows, flaws = observe_xp(mine, source.xp, block_generator(seed, "sky/xp", cell))
            spectra.write(cell, rows)
            truths.write(cell, flaws)
            advance(len(flags["source_id"]))


def write_clusters(
    gaia: Sequence[Path],
    truth: Sequence[Path],
    source: SkySource,
    seed: int,
    clusters: Path,
    members: Path,
    progress: Progress,
) -> None:
    """List open clusters and their members as the catalogue of Hunt & Reffert (2023) does.

    Parameters
    ----------
    gaia, truth
        All partitions of the served and the true table.
    source, seed
        Settings of the sky, and seed of the run.
    clusters, members
        Files to write.
    progress
        Where to report.
    """
    true = clusters_of(source, seed)
    if true is None:
        write_table(clusters, CLUSTERS, CLUSTERS.empty())
        write_table(members, MEMBERS, MEMBERS.empty())
        return
    pieces: list[Columns] = []
    names = [name for name in GAIA_SOURCE_FULL[source.gaia.columns].names if name != "designation"]
    total = sum(number_of_rows(path) for path in gaia)
    with progress.task("listing members", total, "stars") as advance:
        for served, known in zip(gaia, truth, strict=True):
            for (_, stars), (_, mine) in zip(
                read_cells(served, names),
                read_cells(known, ["cluster_true", "a_v_true"]),
                strict=True,
            ):
                near = (mine["cluster_true"] >= 0) | (near_clusters(true, stars) >= 0)
                chosen = near & np.isfinite(stars["parallax"])
                pieces.append({n: v[chosen] for n, v in {**stars, **mine}.items()})
                advance(len(chosen))
    stars = {name: np.concatenate([piece[name] for piece in pieces]) for name in pieces[0]}
    known_of = {"cluster": stars["cluster_true"], "a_v_true": stars["a_v_true"]}
    listed, rows = observe_clusters(true, known_of, stars, source.cluster_census, seed)
    write_table(clusters, CLUSTERS, listed)
    write_table(members, MEMBERS, rows)


def write_pulsars(source: SkySource, seed: int, timing: Path, accelerations: Path) -> None:
    """Time the binary pulsars of the sky, and derive their accelerations.

    Parameters
    ----------
    source, seed
        Settings of the sky, and seed of the run.
    timing, accelerations
        Files to write.
    """
    pulsars = draw_pulsars(source.pulsars, seed, acceleration_of(source))
    rows = observe_pulsars(pulsars, source.pulsars, seed)
    write_table(timing, PSRCAT, rows)
    write_table(accelerations, PULSAR_ACCELERATIONS, derive_accelerations(rows))
