"""The mock before its stars: dust, extinction, and how many stars are observed."""

from __future__ import annotations

from pathlib import Path

from mwatlas.config.conditional_mock import Mock
from mwatlas.files import read_json, write_json
from mwatlas.progress import Progress
from mwatlas.studies.conditional_potential.dust import DustField
from mwatlas.studies.conditional_potential.expected import expected_share, stars_at_equal_density
from mwatlas.studies.conditional_potential.extinction import Extinction
from mwatlas.studies.conditional_potential.plummer import Plummer
from mwatlas.studies.conditional_potential.selection import Selection


def obscure(
    mock: Mock,
    seed: int,
    *,
    like: Path | None,
    dust_file: Path,
    extinction_file: Path,
    plan_file: Path,
    progress: Progress,
) -> None:
    """Write the dust, the extinction, and the number of stars to observe.

    Parameters
    ----------
    mock
        The mock to make.
    seed
        Seed of the run: a variant has the study's dust but for its strength.
    like
        Plan of the study, whose density the mock of a variant keeps; none to take the number of
        stars as it is.
    dust_file, extinction_file, plan_file
        HDF5, HDF5 and JSON files to write.
    progress
        Where to report.
    """
    radius, grid = mock.tracer.radius_kpc, mock.dust
    dust = DustField.draw(grid, radius, seed)
    extinction = Extinction.integrate(dust.at, radius, grid.steps, grid.nside, progress)
    dust.save(dust_file)
    extinction.save(extinction_file)
    share = expected_share(Plummer.of(mock.tracer), Selection(mock.magnitudes, extinction))
    stars = mock.observed_stars
    if like is not None:
        plan = read_json(like)
        stars = stars_at_equal_density(plan["observed_stars"], plan["expected_share"], share)
    stars = max(round(stars * mock.observed_share), 1)
    write_json(plan_file, {"observed_stars": stars, "expected_share": share})


def selection_of(mock: Mock, extinction_file: Path) -> Selection:
    """Which stars of a mock are observed, with the extinction of its file."""
    return Selection(mock.magnitudes, Extinction.load(extinction_file))
