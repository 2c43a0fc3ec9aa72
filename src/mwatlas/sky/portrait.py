"""What the served tables of the embedded sky look like: the data behind its own figures.

Everything here is computed from served tables, as an observer would, never from truth.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import healpy
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from astropy import units as u
from astropy.coordinates import SkyCoord
from numpy.typing import NDArray

from mwatlas.astrometry.frames import phase_space
from mwatlas.progress import Progress
from mwatlas.sky.dust import SkyDust
from mwatlas.sky.galaxy import SKY_FRAME
from mwatlas.sky.xp_instrument import instrument
from mwatlas.tables.parquet import from_arrow, number_of_rows, read_cells, read_rows, write_table
from mwatlas.tables.schemas import FIGURE_SKY_BINS, FIGURE_SKY_CURVES, FIGURE_SKY_MAP
from mwatlas.tables.table import Columns

Floats = NDArray[np.float64]

_MAP_NSIDE = 16
_EXTINCTION_DISTANCE_KPC = 2.0
_PLANE_KPC, _PLANE_BINS = 4.0, 160
_HEIGHT_KPC, _HEIGHT_BINS = 0.6, 120
# Temperatures of the stars whose spectra are shown.
_SHOWN_TEFF = (10000, 7500, 6000, 5200, 4500, 3800)
# Stars with parallaxes better than this are shown by absolute magnitude and velocity.
_PARALLAX_OVER_ERROR = 10.0
_GAIA_COLUMNS = (
    "ra",
    "dec",
    "l",
    "b",
    "phot_g_mean_mag",
    "bp_rp",
    "parallax",
    "parallax_error",
    "pmra",
    "pmra_error",
    "pmdec",
    "radial_velocity",
    "radial_velocity_error",
)


class _Bins:
    """A histogram in two dimensions."""

    def __init__(self, x: Floats, y: Floats) -> None:
        self._x, self._y = x, y
        self._counts = np.zeros((x.size - 1, y.size - 1))

    def add(self, x: Floats, y: Floats) -> None:
        self._counts += np.histogram2d(x, y, (self._x, self._y))[0]

    def rows(self, panel: str) -> dict[str, Any]:
        i, j = np.nonzero(self._counts)
        return {
            "panel": np.full(i.size, panel, dtype=object),
            "x_low": self._x[i],
            "x_high": self._x[i + 1],
            "y_low": self._y[j],
            "y_high": self._y[j + 1],
            "value": self._counts[i, j],
        }


def write_portrait_of_gaia(
    source: Sequence[Path], dust: SkyDust, folder: Path, progress: Progress
) -> None:
    """Write the data of the figures that show the Gaia table and the dust.

    Parameters
    ----------
    source
        Partitions of the served ``gaia_source``.
    dust
        The served dust map.
    folder
        Where the data files of the figures go.
    progress
        Where to report.
    """
    number = np.zeros(healpy.nside2npix(_MAP_NSIDE))
    diagram = _Bins(np.linspace(-0.6, 4.0, 185), np.linspace(-4, 13, 205))
    toomre = _Bins(np.linspace(-300, 450, 151), np.linspace(0, 450, 91))
    rotation = _Bins(np.linspace(3, 13, 101), np.linspace(-200, 400, 121))
    magnitude = np.linspace(3, 21, 145)
    errors = {
        "parallax_error": _Bins(magnitude, np.linspace(-2.2, 0.8, 121)),
        "pmra_error": _Bins(magnitude, np.linspace(-2.2, 0.8, 121)),
        "radial_velocity_error": _Bins(magnitude, np.linspace(-1.2, 1.6, 121)),
    }
    total = sum(number_of_rows(path) for path in source)
    with progress.task("binning", total, "stars") as advance:
        for path in source:
            for _, stars in read_cells(path, _GAIA_COLUMNS):
                pixel = healpy.ang2pix(_MAP_NSIDE, stars["l"], stars["b"], lonlat=True)
                number += np.bincount(pixel, minlength=number.size)
                with np.errstate(invalid="ignore", divide="ignore"):
                    good = stars["parallax"] > _PARALLAX_OVER_ERROR * stars["parallax_error"]
                    m_g = stars["phot_g_mean_mag"] + 5 * np.log10(stars["parallax"]) - 10
                    for name, bins in errors.items():
                        bins.add(stars["phot_g_mean_mag"], np.log10(stars[name]))
                diagram.add(stars["bp_rp"][good], m_g[good])
                _add_velocities(stars, good, toomre, rotation)
                advance(len(pixel))
    pixels = np.arange(number.size)
    longitude, latitude = healpy.pix2ang(_MAP_NSIDE, pixels, lonlat=True)
    places = longitude * u.deg, latitude * u.deg, _EXTINCTION_DISTANCE_KPC * u.kpc
    maps = {"sources": number, "extinction": dust.query(SkyCoord(*places, frame="galactic"))}
    write_table(
        folder / "fig01.parquet",
        FIGURE_SKY_MAP,
        _stacked({"panel": n, "pixel": pixels, "value": v} for n, v in maps.items()),
    )
    _write_bins(folder / "fig02.parquet", {"diagram": diagram})
    _write_bins(folder / "fig03.parquet", {"toomre": toomre, "rotation": rotation})
    _write_bins(folder / "fig05.parquet", errors)
    write_table(folder / "fig07.parquet", FIGURE_SKY_BINS, _stacked(_dust_slices(dust)))


def _add_velocities(stars: Columns, good: NDArray[np.bool_], toomre: _Bins, turn: _Bins) -> None:
    chosen = good & np.isfinite(stars["radial_velocity"])
    mine = {name: values[chosen].astype(float) for name, values in stars.items()}
    space = phase_space(
        SKY_FRAME, mine["ra"], mine["dec"], mine["parallax"], mine["pmra"], mine["pmdec"]
    )
    velocity = space.velocity_kms(mine["radial_velocity"])
    x, y, _ = space.position_kpc.T
    radius = np.hypot(x, y)
    outward = (x * velocity[:, 0] + y * velocity[:, 1]) / radius
    along = (y * velocity[:, 0] - x * velocity[:, 1]) / radius
    toomre.add(along, np.hypot(outward, velocity[:, 2]))
    turn.add(radius, along)


def write_portrait_of_spectra(apogee: Sequence[Path], xp: Sequence[Path], folder: Path) -> None:
    """Write the data of the figures that show spectroscopic labels and XP spectra.

    Parameters
    ----------
    apogee, xp
        Partitions of the served APOGEE and XP tables.
    folder
        Where the data files of the figures go.
    """
    kiel = _Bins(np.linspace(3200, 8000, 161), np.linspace(-0.5, 5.5, 151))
    alpha = _Bins(np.linspace(-2.5, 0.7, 161), np.linspace(-0.2, 0.6, 121))
    labels = read_rows(apogee, ["GAIAEDR3_SOURCE_ID", "TEFF", "LOGG", "FE_H", "MG_FE"])
    with np.errstate(invalid="ignore"):
        kiel.add(labels["TEFF"], labels["LOGG"])
        alpha.add(labels["FE_H"], labels["MG_FE"])
    _write_bins(folder / "fig04.parquet", {"kiel": kiel, "alpha": alpha})
    write_table(folder / "fig06.parquet", FIGURE_SKY_CURVES, _spectra(xp, labels))


def _spectra(xp: Sequence[Path], labels: Columns) -> Columns:
    """Externally calibrated spectra of a few stars from the hottest to the coolest."""
    chosen = _range_of_temperatures(labels)
    parts = []
    for path in xp:
        wanted = pq.read_table(path, filters=[("source_id", "in", chosen)])
        if wanted.num_rows:
            parts.append(_calibrated(from_arrow(wanted)))
    wavelength = parts[0][0]
    flux = {star: spectrum for _, some in parts for star, spectrum in some.items()}
    order = np.argsort(labels["GAIAEDR3_SOURCE_ID"])
    rows = order[np.searchsorted(labels["GAIAEDR3_SOURCE_ID"][order], chosen)]
    at_600 = int(np.argmin(np.abs(wavelength - 600)))
    return _stacked(
        {
            "panel": f"{labels['TEFF'][row]:.0f} K, log g {labels['LOGG'][row]:.1f}, "
            f"[Fe/H] {labels['FE_H'][row]:+.1f}",
            "x": wavelength,
            "y": flux[star] / flux[star][at_600],
        }
        for star, row in zip(chosen, rows, strict=True)
        if star in flux
    )


def _calibrated(rows: Columns) -> tuple[Floats, dict[int, Floats]]:
    """Wavelengths in nm, and flux densities by source, from GaiaXPy."""
    # Reads GaiaXPy without its changes to matplotlib.
    instrument()
    from gaiaxpy import calibrate

    table = pd.DataFrame({name: list(values) for name, values in rows.items()})
    spectra, wavelength = calibrate(table, save_file=False)
    stars = spectra["source_id"].to_numpy()
    return np.asarray(wavelength), dict(zip(stars.tolist(), spectra["flux"], strict=True))


def _range_of_temperatures(labels: Columns) -> list[int]:
    """Identifiers of the stars nearest to the temperatures shown."""
    known = np.isfinite(labels["TEFF"] + labels["LOGG"] + labels["FE_H"])
    known &= labels["GAIAEDR3_SOURCE_ID"] > 0
    miss = np.abs(labels["TEFF"][:, None] - np.array(_SHOWN_TEFF))
    rows = np.argmin(np.where(known[:, None], miss, np.inf), axis=0)
    return [int(star) for star in dict.fromkeys(labels["GAIAEDR3_SOURCE_ID"][rows].tolist())]


def _dust_slices(dust: SkyDust) -> Iterable[dict[str, Any]]:
    """Extinction per kpc in the plane, and through the Sun at right angles to it."""
    edges = np.linspace(-_PLANE_KPC, _PLANE_KPC, _PLANE_BINS + 1)
    heights = np.linspace(-_HEIGHT_KPC, _HEIGHT_KPC, _HEIGHT_BINS + 1)
    for panel, second in (("plane", edges), ("height", heights)):
        x, y = np.meshgrid(edges, second, indexing="ij")
        middle = [0.25 * (a[1:, 1:] + a[:-1, 1:] + a[1:, :-1] + a[:-1, :-1]) for a in (x, y)]
        flat = np.zeros_like(middle[0])
        place = [middle[0], middle[1], flat] if panel == "plane" else [middle[0], flat, middle[1]]
        yield {
            "panel": panel,
            "x_low": x[:-1, :-1].ravel(),
            "x_high": x[1:, 1:].ravel(),
            "y_low": y[:-1, :-1].ravel(),
            "y_high": y[1:, 1:].ravel(),
            "value": _local_extinction(dust, np.stack([p.ravel() for p in place])),
        }


def _local_extinction(dust: SkyDust, place_kpc: Floats) -> Floats:
    """Gradient of the extinction along the line of sight in mag per kpc."""
    step = 0.025
    sight = SkyCoord(*place_kpc * u.kpc, frame="galactic", representation_type="cartesian")
    sight = SkyCoord(sight.spherical, frame="galactic")

    def at(distance: Floats) -> Floats:
        return dust.query(SkyCoord(sight.l, sight.b, distance * u.kpc, frame="galactic"))

    distance = np.maximum(sight.distance.to_value(u.kpc), step)
    return (at(distance + step) - at(distance - step)) / (2 * step)


def _write_bins(path: Path, panels: dict[str, _Bins]) -> None:
    write_table(path, FIGURE_SKY_BINS, _stacked(bins.rows(name) for name, bins in panels.items()))


def _stacked(parts: Iterable[dict[str, Any]]) -> Columns:
    """Concatenate pieces of a table; a single value holds for all rows of its piece."""
    listed = []
    for part in parts:
        length = max(np.size(values) for values in part.values())
        listed.append(
            {
                name: np.full(length, values, dtype=object)
                if isinstance(values, str)
                else np.asarray(values)
                for name, values in part.items()
            }
        )
    return {name: np.concatenate([part[name] for part in listed]) for name in listed[0]}
