"""Stars that are stationary in the frame of a rotating bar."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import stats

from mwatlas.config.sky_bar import Bar, JacobiComponent
from mwatlas.dynamics.rotating_orbits import integrate
from mwatlas.sky.galaxy import SKY_FRAME
from mwatlas.sky.jacobi import JacobiPopulation

SUN = SKY_FRAME.affine()[1]
V_SUN = np.array(SKY_FRAME.v_sun_kms)
# Orbits through the solar sphere stay clear of this bar's end, where derivatives jump.
BAR = Bar(strength=0.02, pattern_speed_kms_kpc=28.2, angle_deg=27.0, length_kpc=2.5)
CHEMISTRY = {"fe_h": 0.0, "scatter": 0.2, "alpha_m": 0.0, "alpha_slope": 0.0, "alpha_scatter": 0.1}
FORMS = {"exponential": None, "power": 3.5}


def _component(form: str, **changes: object) -> JacobiComponent:
    values = {
        "kind": "jacobi",
        "form": form,
        "dispersion_kms": 30.0,
        "index": FORMS[form],
        "radius_kpc": 1.0,
        "age_range_gyr": (1.0, 10.0),
        "chemistry": CHEMISTRY,
    }
    return JacobiComponent(**{**values, **changes})


def _population(form: str, bar: Bar = BAR, **changes: object) -> JacobiPopulation:
    return JacobiPopulation(_component(form, **changes), bar)


def _places(number: int, radius: float = 0.9, seed: int = 1) -> np.ndarray:
    """Places in a sphere around the Sun."""
    rng = np.random.default_rng(seed)
    direction = rng.standard_normal((number, 3))
    direction /= np.linalg.norm(direction, axis=1)[:, None]
    return SUN + radius * np.cbrt(rng.random(number))[:, None] * direction


@pytest.fixture(params=FORMS)
def form(request: pytest.FixtureRequest) -> str:
    return request.param


def test_the_phase_density_integrates_to_density_and_moments(form: str) -> None:
    """Over spheres about the mean velocity; Gauss-Legendre in the speed is exact to 1e-9."""
    population, place = _population(form), _places(20)
    mean, _, sigma = population.moments(place)
    node, weight = np.polynomial.legendre.leggauss(200)
    for n in range(len(place)):
        # Both forms vanish, to rounding, at this speed or before.
        highest = sigma[n, 0] * (9.0 if form == "exponential" else np.sqrt(2 * 6.0))
        speed = 0.5 * highest * (node + 1)
        velocity = mean[n] + speed[:, None] * np.array([0.6, 0.0, -0.8])
        f = np.exp(population.log_phase_density(np.repeat(place[n : n + 1], 200, 0), velocity))
        shell = 0.5 * highest * weight * 4 * np.pi * speed**2 * f
        density = population.density(place[n : n + 1])[0]
        assert shell.sum() == pytest.approx(density, rel=1e-7)
        assert (shell * speed**2).sum() / density / 3 == pytest.approx(sigma[n, 0] ** 2, rel=1e-7)
    assert population.density(SUN[None])[0] == pytest.approx(1)
    assert population.moments(SUN[None])[2][0] == pytest.approx([30, 30, 30])


def test_the_phase_density_is_a_function_of_the_jacobi_energy(form: str) -> None:
    population, place = _population(form), _places(2000)
    velocity = population.draw_velocities(place, np.random.default_rng(2))
    log_f = population.log_phase_density(place, velocity)
    energy = population.potential.jacobi_energy(place, velocity)
    energy -= population.potential.effective_potential(SUN[None])[0]
    depth = 30.0**2 * 6.0
    expected = -energy / 30.0**2 if form == "exponential" else 3.5 * np.log(1 - energy / depth)
    np.testing.assert_allclose(np.ptp(log_f - expected), 0, atol=1e-6)


def test_velocities_follow_the_phase_density(form: str) -> None:
    population, stars = _population(form), 20_000
    place = np.repeat(_places(1), stars, axis=0)
    velocity = population.draw_velocities(place, np.random.default_rng(3))
    mean, axes, sigma = population.moments(place[:1])
    own = ((velocity - mean) @ axes[0].T) / sigma[0]
    error = 1 / np.sqrt(stars)
    np.testing.assert_allclose(own.mean(axis=0), 0, atol=4 * error)
    np.testing.assert_allclose(np.cov(own.T), np.eye(3), atol=4 * np.sqrt(2) * error)
    square = (own**2).sum(axis=1)
    law = stats.chi2(3) if form == "exponential" else stats.beta(1.5, 4.5, scale=12)
    assert stats.kstest(square, law.cdf).pvalue > 1e-3


def test_the_sphere_ends(form: str) -> None:
    population = _population(form)
    outside = SUN + np.array([[0.0, 1.01, 0.0]])
    assert population.density(outside)[0] == 0
    assert population.log_phase_density(outside, population.moments(outside)[0])[0] == -np.inf


def test_a_gyr_ago_the_phase_density_was_the_same(form: str) -> None:
    """Liouville: the density at a star now is that at its place a Gyr ago, wherever that was.

    Density and all moments after 1 Gyr are integrals of the density carried along the orbits,
    so they are those of the start if the phase density is constant along orbits.
    """
    population = _population(form, radius_kpc=100.0)
    place = _places(1500)
    velocity = population.draw_velocities(place, np.random.default_rng(4))
    past = integrate(population.potential, place, velocity, -1000.0, 0.25)
    change = population.log_phase_density(*past) - population.log_phase_density(place, velocity)
    # The error of E_J over sigma**2, or over (E_0 - E_J) / index, which is small for few stars;
    # fewer still dive to the end of the bar.
    assert np.percentile(np.abs(change), 99) < 1e-6
    assert np.linalg.norm(past[0] - place, axis=1).max() > 5
    # Without the bar it changes.
    wrong = integrate(
        JacobiPopulation(_component(form), BAR.model_copy(update={"strength": 0.0})).potential,
        place,
        velocity,
        -1000.0,
        0.25,
    )
    change = population.log_phase_density(*wrong) - population.log_phase_density(place, velocity)
    assert np.median(np.abs(change)) > 1e-2


def _cells(position: np.ndarray, velocity: np.ndarray, turned: float = 0.0) -> list[np.ndarray]:
    """Velocities along (R, phi, z) of the stars in each cell of the bar's frame."""
    radius, height = np.hypot(position[:, 0], position[:, 1]), np.abs(position[:, 2])
    azimuth = np.arctan2(position[:, 1], position[:, 0])
    cosine, sine = np.cos(azimuth), np.sin(azimuth)
    v_x, v_y, v_z = velocity.T
    own = np.stack([v_x * cosine + v_y * sine, v_y * cosine - v_x * sine, v_z], axis=1)
    # The bar and its frame are symmetric under half a turn.
    sector = np.floor(np.degrees(azimuth + turned) % 180 / 45)
    return [
        own[
            (radius >= low)
            & (radius < low + 2)
            & (sector == part)
            & (height < top)
            & (height >= bottom)
        ]
        for low in (2, 4, 6)
        for part in range(4)
        for bottom, top in ((0, 1), (1, 4))
    ]


def _deviations(before: list[np.ndarray], after: list[np.ndarray]) -> np.ndarray:
    """Changes of numbers, means and variances over their errors; shape (cells, 7)."""
    rows = []
    for first, last in zip(before, after, strict=True):
        n, m = len(first), len(last)
        mean = (last.mean(axis=0) - first.mean(axis=0)) / np.sqrt(
            first.var(axis=0) / n + last.var(axis=0) / m
        )
        noise = [v.var(axis=0) ** 2 * (stats.kurtosis(v) + 2) / len(v) for v in (first, last)]
        spread = (last.var(axis=0) - first.var(axis=0)) / np.sqrt(sum(noise))
        rows.append([(m - n) / np.sqrt(m + n), *mean, *spread])
    return np.array(rows)


def test_bound_stars_keep_their_distribution_for_a_gyr() -> None:
    """A population that cannot leave the region inside corotation, launched as a whole."""
    bar = Bar(strength=0.05, pattern_speed_kms_kpc=15.0, angle_deg=27.0, length_kpc=6.5)
    population = _population("power", bar, index=0.5, dispersion_kms=35.0, radius_kpc=30.0)
    potential, rng = population.potential, np.random.default_rng(5)
    ring = np.linspace(0, 2 * np.pi, 100)
    ridge = 14.5 * np.stack([np.cos(ring), np.sin(ring), 0 * ring], axis=1)
    highest = potential.effective_potential(SUN[None])[0] + 3.0 * 35.0**2
    assert potential.effective_potential(ridge).min() > highest

    size = 900_000
    place = np.stack([*(rng.uniform(-10, 10, (2, size))), rng.uniform(-7, 7, size)], axis=1)
    density = population.density(place)
    assert (density[np.hypot(place[:, 0], place[:, 1]) > 9.9] == 0).all()
    place = place[rng.random(size) * density.max() < density]
    velocity = population.draw_velocities(place, rng)
    # The Jacobi energy is conserved, so part of its range is as stationary as the whole; orbits
    # below are too short for the step. It changes 19 in 20 of these energies by less than 150.
    kept = potential.jacobi_energy(place, velocity) > highest - 40_000.0
    place, velocity = place[kept], velocity[kept]
    after = integrate(potential, place, velocity, 1000.0, 0.25)

    # Both samples share stars, which makes the errors upper limits.
    deviations = _deviations(_cells(place, velocity), _cells(*after))
    assert stats.chi2.sf((deviations**2).sum(), deviations.size) > 1e-3
    assert np.abs(deviations).max() < 4.5
    # The bar shows: an eighth of a turn away the numbers are others.
    turned = _deviations(_cells(place, velocity), _cells(*after, turned=np.pi / 4))
    assert stats.chi2.sf((turned[:, 0] ** 2).sum(), len(turned)) < 1e-6


@pytest.mark.parametrize("speed", [28.2, -20.0])
def test_the_rotating_frame_equation_holds_at_the_true_pattern_speed(
    form: str, speed: float
) -> None:
    """Sun-centred axes and equations of Kalda & Green (2025), with a fourth-order difference."""
    bar = BAR.model_copy(update={"pattern_speed_kms_kpc": speed})
    population = _population(form, bar)
    galactic = _places(300, 0.8)
    relative = 0.6 * np.random.default_rng(6).standard_normal((300, 3)) * 30
    place = galactic - SUN
    velocity = population.potential.rotation(galactic) + relative - V_SUN
    centre, centre_velocity = -SUN, -V_SUN

    def log_f(x: np.ndarray, v: np.ndarray) -> np.ndarray:
        return population.log_phase_density(x - centre, v - centre_velocity)

    def slope(x_step: np.ndarray, v_step: np.ndarray, size: float) -> np.ndarray:
        f = [log_f(place + k * x_step, velocity + k * v_step) for k in (-2, -1, 1, 2)]
        return (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * size)

    zero = np.zeros(3)
    by_place = np.stack([slope(0.002 * e, zero, 0.002) for e in np.eye(3)], axis=1)
    by_velocity = np.stack([slope(zero, 0.2 * e, 0.2) for e in np.eye(3)], axis=1)

    def residual(omega: float, v_0: np.ndarray) -> np.ndarray:
        turn = np.array([0.0, 0.0, omega])
        u = v_0 + np.cross(turn, place - centre)
        w = np.cross(turn, velocity - v_0)
        force = population.potential.acceleration(galactic)
        return -((velocity - u) * by_place).sum(axis=1) + ((w - force) * by_velocity).sum(axis=1)

    # In km/s/kpc; a positive pattern speed is a negative Omega_z.
    true = residual(-speed, centre_velocity)
    assert np.abs(true).max() < 1e-6
    wrong = [residual(-speed * (1 + share), centre_velocity) for share in (0.02, 0.04, -0.02)]
    assert np.median(np.abs(wrong[0])) > 0.05
    np.testing.assert_allclose(wrong[1] - true, 2 * (wrong[0] - true), atol=1e-9)
    np.testing.assert_allclose(wrong[2] - true, -(wrong[0] - true), atol=1e-9)
    assert np.median(np.abs(residual(-speed, -centre_velocity))) > 100


@pytest.mark.parametrize(
    ("form", "changes"),
    [
        ("power", {"index": None}),
        ("power", {"index": -1.0}),
        ("exponential", {"index": 3.5}),
        ("exponential", {"dispersion_kms": 0.0}),
        ("exponential", {"radius_kpc": -1.0}),
    ],
)
def test_impossible_populations_are_refused(form: str, changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(changes))):
        _component(form, **changes)
