"""Properties of the sky's Galaxy near the Sun beside published ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mwatlas.dynamics.potential import circular_velocity
from mwatlas.files import write_text
from mwatlas.sky.distribution import SOLAR_RADIUS_KPC
from mwatlas.sky.galaxy import SKY_FRAME, Galaxy

Floats = NDArray[np.float64]

THIN, THICK, HALO, GSE = range(4)


@dataclass(frozen=True)
class Property:
    """A number that describes the Galaxy near the Sun.

    Parameters
    ----------
    name, unit
        What it is.
    value
        Of the sky.
    low, high
        Published range.
    source
        Where it is published.
    """

    name: str
    unit: str
    value: float
    low: float
    high: float
    source: str


def _members(galaxy: Galaxy, component: int) -> list[int]:
    return [n for n, p in enumerate(galaxy.populations) if p.component == component]


def _density(galaxy: Galaxy, component: int, place: Floats) -> Floats:
    return np.sum([galaxy.density(n, place) for n in _members(galaxy, component)], axis=0)


def _scale(galaxy: Galaxy, component: int, place: Floats) -> float:
    """Length over which the density falls by e between two places."""
    first, last = _density(galaxy, component, place)
    return float(np.linalg.norm(place[1] - place[0]) / np.log(first / last))


def _dispersions(galaxy: Galaxy, component: int) -> Floats:
    sun = SKY_FRAME.affine()[1][None]
    members = _members(galaxy, component)
    weight = np.array([galaxy.density(n, sun)[0] for n in members])
    variance = [galaxy.moments(n, sun)[2][0] ** 2 for n in members]
    return np.sqrt((weight[:, None] * variance).sum(axis=0) / weight.sum())


def _rotation(galaxy: Galaxy, member: int) -> float:
    sun = SKY_FRAME.affine()[1][None]
    return float(np.linalg.norm(galaxy.moments(member, sun)[0][0]))


def local_properties(galaxy: Galaxy) -> list[Property]:
    """Compute them from the distribution functions."""
    review = "Bland-Hawthorn & Gerhard (2016)"
    sun = SKY_FRAME.affine()[1][None]
    fraction = [_density(galaxy, code, sun)[0] for code in (THIN, THICK, HALO, GSE)]
    total = sum(fraction)

    def above(height: float) -> Floats:
        return np.array(
            [[-SOLAR_RADIUS_KPC, 0, height - 0.2], [-SOLAR_RADIUS_KPC, 0, height + 0.2]]
        )

    plane = np.array([[-7.0, 0, 0.1], [-9.0, 0, 0.1]])
    speed = float(circular_velocity(np.array(SOLAR_RADIUS_KPC)))
    thin, thick, halo, gse = (_dispersions(galaxy, code) for code in (THIN, THICK, HALO, GSE))
    young, old = (_rotation(galaxy, _members(galaxy, THIN)[k]) for k in (0, -1))
    anisotropy = 1 - (gse[1] ** 2 + gse[2] ** 2) / (2 * gse[0] ** 2)
    heights = _scale(galaxy, THIN, above(0.4)), _scale(galaxy, THICK, above(1.5))
    lengths = _scale(galaxy, THIN, plane), _scale(galaxy, THICK, plane)
    lags = "Schoenrich, Binney & Dehnen (2010), figure 1"
    return [
        Property("thick disc, share of local stars", "%", 100 * fraction[1] / total, 4, 12, review),
        Property(
            "halo and GSE, share of local stars",
            "%",
            100 * (fraction[2] + fraction[3]) / total,
            0.1,
            0.6,
            "Juric et al. (2008); Bland-Hawthorn & Gerhard (2016)",
        ),
        Property("scale height, thin disc", "kpc", heights[0], 0.20, 0.40, review),
        Property("scale height, thick disc", "kpc", heights[1], 0.54, 1.26, review),
        Property("scale length, thin disc", "kpc", lengths[0], 1.6, 3.6, review),
        Property("scale length, thick disc", "kpc", lengths[1], 1.6, 2.4, review),
        Property("circular speed", "km/s", speed, 218, 248, review),
        Property("sigma_R, thin disc", "km/s", thin[0], 25, 40, review),
        Property("sigma_phi / sigma_R, thin disc", "", thin[1] / thin[0], 0.6, 0.8, review),
        Property("sigma_z, thin disc", "km/s", thin[2], 14, 25, review),
        Property("sigma_R, thick disc", "km/s", thick[0], 50, 65, review),
        Property("sigma_z, thick disc", "km/s", thick[2], 35, 50, review),
        Property("lag of the youngest thin disc", "km/s", speed - young, 1, 6, lags),
        Property("lag of the oldest thin disc", "km/s", speed - old, 10, 22, lags),
        Property("sigma_r, halo without GSE", "km/s", halo[0], 120, 160, review),
        Property("sigma_r, GSE", "km/s", gse[0], 150, 190, "Belokurov et al. (2018)"),
        Property(
            "anisotropy of GSE",
            "",
            float(anisotropy),
            0.8,
            0.95,
            "Belokurov et al. (2018); Lancaster et al. (2019)",
        ),
    ]


def write_properties(properties: Sequence[Property], csv: Path) -> None:
    """Write them as a table."""
    lines = ["property,unit,this sky,published low,published high,source"]
    lines += [
        f'"{p.name}",{p.unit},{p.value:.3g},{p.low:g},{p.high:g},"{p.source}"' for p in properties
    ]
    write_text(csv, "\n".join(lines) + "\n")
