"""Abundances and vertex deviation of the bulge."""

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from mwatlas.config.sky_bulge import BulgeMetallicity, VertexDeviation
from mwatlas.sky.bulge import (
    bulge_share_below,
    bulge_shift,
    draw_bulge_fe_h,
    shear,
    tilt_velocities,
)
from mwatlas.sky.galaxy import Galaxy

LAW = BulgeMetallicity(
    rich_fe_h=0.3,
    rich_scatter=0.2,
    poor_fe_h=-0.4,
    poor_scatter=0.3,
    rich_share=0.55,
    vertical_gradient=-0.53,
    flat_height_kpc=0.5,
    alpha_m=0.02,
    alpha_slope=-0.25,
    alpha_scatter=0.04,
)
TILT = VertexDeviation(min_fe_h=-0.4, angle_deg=-21.0, axis_ratio=0.75, strength=1.0)
STARS = 2000


def _angle(covariance: np.ndarray) -> float:
    """Angle of the major axis in degrees (Fallows & Sanders 2022)."""
    difference = covariance[0, 0] - covariance[1, 1]
    return float(np.degrees(0.5 * np.arctan2(2 * covariance[0, 1], difference)))


def _angle_error(covariance: np.ndarray, number: int) -> float:
    """Standard error of the angle of a sample's major axis in degrees (Anderson 1963)."""
    minor, major = np.linalg.eigvalsh(covariance[:2, :2])
    return float(np.degrees(np.sqrt(minor * major / number) / (major - minor)))


def _bulge(galaxy: Galaxy, number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bulge stars at |l| < 5 and |b| < 10 deg, 6 to 10 kpc away, and their mean velocities."""
    rng = np.random.default_rng(1)
    member = len(galaxy.populations) - 1
    size = 100 * number
    longitude, latitude = np.radians(rng.uniform([[-5], [-10]], [[5], [10]], (2, size)))
    distance = np.cbrt(rng.uniform(6.0**3, 10.0**3, size))
    across = distance * np.cos(latitude)
    place = np.stack(
        [
            across * np.cos(longitude) - 8.122,
            across * np.sin(longitude),
            distance * np.sin(latitude),
        ],
        axis=1,
    )
    weight = galaxy.density(member, place) * np.cos(latitude)
    place = place[rng.choice(size, number, p=weight / weight.sum())]
    velocity = galaxy.draw_velocities(member, place, rng)
    return place, velocity, galaxy.moments(member, place)[0]


def _heights(height: np.ndarray) -> np.ndarray:
    return np.stack([0 * height, 0 * height, height], axis=1)


@pytest.mark.parametrize("quantity", [np.mean, np.median])
def test_the_gradient_is_that_of_the_settings(quantity: Any) -> None:
    rng = np.random.default_rng(2)
    height = np.array([0.7, 1.6])
    number = 100_000
    values = [
        draw_bulge_fe_h(LAW, _heights(np.full(number, h) * rng.choice([-1, 1], number)), rng)
        for h in height
    ]
    slope = (quantity(values[1]) - quantity(values[0])) / 0.9
    # Error of a mean; that of the median, 1 / (2 p sqrt(n)) with density p there, is 1.25 of it.
    error = 1.25 * np.std(values[0]) * np.sqrt(2 / number) / 0.9
    assert slope == pytest.approx(LAW.vertical_gradient, abs=3 * error)


def test_metallicities_are_the_mixture() -> None:
    rng = np.random.default_rng(3)
    for height in (0.0, -0.4, 1.2):
        fe_h = draw_bulge_fe_h(LAW, _heights(np.full(20_000, height)), rng)
        shift = bulge_shift(LAW, np.array(height))
        law = stats.kstest(fe_h, lambda x, z=shift: bulge_share_below(LAW, x - z))
        assert law.pvalue > 1e-3
    # Half of a star's own kind lies below its mean.
    alone = LAW.model_copy(update={"rich_share": 1.0})
    assert bulge_share_below(alone, np.array(0.3)) == pytest.approx(0.5)
    assert bulge_shift(LAW, np.array(-1.5)) == pytest.approx(-0.53)


def test_the_map_preserves_volume_and_is_undone(galaxy: Galaxy) -> None:
    assert np.linalg.det(shear(TILT)) == pytest.approx(1, abs=1e-14)
    place, velocity, mean = _bulge(galaxy, STARS)
    fe_h = draw_bulge_fe_h(LAW, place, np.random.default_rng(4))
    tilted = tilt_velocities(TILT, fe_h, velocity, mean)
    assert np.abs(tilted - velocity).max() > 10
    np.testing.assert_array_equal(tilted[:, 2], velocity[:, 2])
    back = tilt_velocities(TILT, fe_h, tilted, mean, undo=True)
    np.testing.assert_allclose(back, velocity, atol=1e-10)


def test_an_isotropic_population_gets_the_angle_and_axis_ratio() -> None:
    for strength in (1.0, 0.5):
        settings = TILT.model_copy(update={"strength": strength})
        covariance = shear(settings) @ shear(settings).T
        assert _angle(covariance) == pytest.approx(TILT.angle_deg)
        minor, major = np.linalg.eigvalsh(covariance)
        assert np.sqrt(minor / major) == pytest.approx(TILT.axis_ratio**strength)
    settings = TILT.model_copy(update={"strength": 0.0})
    np.testing.assert_allclose(shear(settings), np.eye(2), atol=1e-15)


def test_metal_rich_stars_have_the_vertex_deviation(galaxy: Galaxy) -> None:
    """Relative to the mean, and in the sample, where streaming turns it by a known angle."""
    _, velocity, mean = _bulge(galaxy, STARS)
    tilted = tilt_velocities(TILT, np.full(STARS, 0.1), velocity, mean)
    covariance = np.cov((tilted - mean).T)
    error = _angle_error(covariance, STARS)
    assert _angle(covariance) == pytest.approx(TILT.angle_deg, abs=2 * error)
    sample = np.cov(tilted.T)
    streaming = np.cov(mean.T)[:2, :2]
    own = shear(TILT) @ np.cov((velocity - mean).T)[:2, :2] @ shear(TILT).T
    expected = _angle(own + streaming)
    assert _angle(sample) == pytest.approx(expected, abs=2 * error)
    # Streaming across the line of sight turns the ellipsoid of a sample with an extent.
    assert expected == pytest.approx(TILT.angle_deg, abs=10)


def test_metal_poor_stars_have_none(galaxy: Galaxy) -> None:
    _, velocity, mean = _bulge(galaxy, STARS)
    poor = np.full(STARS, TILT.min_fe_h - 0.01)
    tilted = tilt_velocities(TILT, poor, velocity, mean)
    np.testing.assert_array_equal(tilted, velocity)
    # Their ellipsoid is round, so it is the correlation that vanishes, not the angle.
    correlation = np.corrcoef(tilted[:, 0], tilted[:, 1])[0, 1]
    assert abs(correlation) < 2.5 / np.sqrt(STARS)


@pytest.mark.parametrize(
    ("model", "changes", "message"),
    [
        (LAW, {"poor_fe_h": 0.5}, "below rich_fe_h"),
        (LAW, {"rich_share": 1.2}, "rich_share"),
        (TILT, {"axis_ratio": 0.0}, "axis_ratio"),
        (TILT, {"angle_deg": -90.0}, "angle_deg"),
        (TILT, {"strength": 1.5}, "strength"),
    ],
)
def test_impossible_settings_are_refused(
    model: Any, changes: dict[str, float], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        type(model)(**{**model.model_dump(), **changes})
