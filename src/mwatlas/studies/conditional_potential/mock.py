"""The mock before its stars: dust, extinction, and how many stars are observed."""

from __future__ import annotations

from pathlib import Path

from mwatlas.config.conditional_potential import Mock
from mwatlas.files import write_json
from mwatlas.progress import Progress
from mwatlas.studies.conditional_potential.dust import DustField
from mwatlas.studies.conditional_potential.expected import expected_share, stars_at_equal_density
from mwatlas.studies.conditional_potential.extinction import Extinction
from mwatlas.studies.conditional_potential.plummer import Plummer
from mwatlas.studies.conditional_potential.selection import Selection


def obscure(
    mock: Mock,
    like: Mock,
    seed: int,
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
    like
        The study's own, whose density a variant may keep.
    seed
        Seed of the run: the same dust for both but for its strength.
    dust_file, extinction_file, plan_file
        HDF5, HDF5 and JSON files to write.
    progress
        Where to report.
    """
    dust, extinction = _dust(mock, seed, progress)
    dust.save(dust_file)
    extinction.save(extinction_file)
    share = _share(mock, extinction)
    stars = mock.observed_stars
    if mock.keep_density and like != mock:
        stars = stars_at_equal_density(
            like.observed_stars, _share(like, _dust(like, seed, progress)[1]), share
        )
    write_json(plan_file, {"observed_stars": stars, "expected_share": share})


def _dust(mock: Mock, seed: int, progress: Progress) -> tuple[DustField, Extinction]:
    radius, grid = mock.tracer.radius_kpc, mock.dust
    dust = DustField.draw(grid, radius, seed)
    return dust, Extinction.integrate(dust.at, radius, grid.steps, grid.nside, progress)


def _share(mock: Mock, extinction: Extinction) -> float:
    return expected_share(Plummer.of(mock.tracer), Selection(mock.magnitudes, extinction))


def selection_of(mock: Mock, extinction_file: Path) -> Selection:
    """Which stars of a mock are observed, with the extinction of its file."""
    return Selection(mock.magnitudes, Extinction.load(extinction_file))
