"""Steady systems: densities, derivatives, and draws that follow them."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats
from torch import Tensor

from mwatlas.potential.derivatives import gradient_and_laplacian, scores
from mwatlas.potential.flattened import FlattenedTracers
from mwatlas.potential.isothermal import Isothermal
from mwatlas.potential.plummer import OsipkovMerrittPlummer
from tests.unit.steady_systems import AT_REST, MAXWELLIAN, ROTATING, SYSTEMS, points, r_max

ALL = list(SYSTEMS)
# Of a statistic of draws whose seed is fixed: passes by chance but once in ten thousand.
CHANCE = 1e-4


@pytest.mark.parametrize("name", ALL)
def test_the_laplacian_is_the_mass_density(name: str) -> None:
    system = SYSTEMS[name]
    x, _ = points(name, 500)
    first, laplacian = gradient_and_laplacian(system.potential, x)
    # Rounding: the Laplacian is a sum of terms up to some 100 times as large.
    torch.testing.assert_close(
        laplacian / (4 * math.pi), system.mass_density(x), rtol=1e-11, atol=0.0
    )
    assert torch.equal(first, -system.acceleration(x))


@pytest.mark.parametrize("name", ALL)
def test_derivatives_against_differences(name: str) -> None:
    system = SYSTEMS[name]
    x, v = points(name, 50)
    step = 1e-4 * x.std(), 1e-4 * v.std()
    by_x, by_v = scores(system.log_phase_density, x, v)
    force = system.acceleration(x)
    for axis in range(3):
        dx, dv = torch.zeros(3, dtype=x.dtype), torch.zeros(3, dtype=x.dtype)
        dx[axis], dv[axis] = step
        found = (
            -(system.potential(x + dx) - system.potential(x - dx)) / (2 * step[0]),
            (system.log_phase_density(x + dx, v) - system.log_phase_density(x - dx, v))
            / (2 * step[0]),
            (system.log_phase_density(x, v + dv) - system.log_phase_density(x, v - dv))
            / (2 * step[1]),
        )
        for differences, exact in zip(found, (force, by_x, by_v), strict=True):
            # Truncation is (1e-4)^2 times the third derivative, which near the edge of the
            # velocities is up to (scale / distance to the edge)^2 ~ 1e3 times the first.
            torch.testing.assert_close(
                differences, exact[:, axis], rtol=1e-4, atol=1e-5 * float(exact.std())
            )


@pytest.mark.parametrize("name", ALL)
def test_p_of_v_is_normalised(name: str) -> None:
    system = SYSTEMS[name]
    x, _ = points(name, 5, seed=3)
    for place in x:
        assert _over_velocities(name, place) == pytest.approx(1.0, abs=1e-8)
    assert system.log_velocity_density(x, 1e4 * torch.ones_like(x)).max() < -1e3


def _over_velocities(name: str, x: Tensor, moment: int | None = None) -> float:
    """Integral of p(v|x), or of p times the square of one component, by a product rule."""
    system = SYSTEMS[name]
    centre = torch.zeros(3, dtype=x.dtype) if system.frame is None else system.frame.u(x)
    cosine, cosine_weight = np.polynomial.legendre.leggauss(64)
    angle = 2 * np.pi * np.arange(64) / 64
    c, phi = (torch.from_numpy(a) for a in np.meshgrid(cosine, angle, indexing="ij"))
    s = torch.sqrt(1 - c**2)
    direction = torch.stack([s * torch.cos(phi), s * torch.sin(phi), c], dim=-1)
    # The edge of p in each direction; with v = edge sin(t) the integrand is smooth to its end.
    if isinstance(system, OsipkovMerrittPlummer):
        across = torch.linalg.cross(x.expand_as(direction), direction).square().sum(dim=-1)
        edge = torch.sqrt(-2 * system.potential(x) / (1 + across / system.anisotropy_radius**2))
    elif name == "jacobi_power":
        edge = torch.sqrt(2 * (6 * 35.0**2 - MAXWELLIAN.effective_potential(x))).expand_as(c)
    elif name in ("isothermal", "jacobi_maxwellian"):
        sigma = system.sigma if isinstance(system, Isothermal) else 35.0
        edge = torch.full_like(c, 9 * sigma)
    else:
        edge = torch.sqrt(-2 * system.potential(x)).expand_as(c)
    node, weight = np.polynomial.legendre.leggauss(64)
    t, t_weight = torch.from_numpy(0.25 * np.pi * (node + 1)), 0.25 * np.pi * weight
    speed = edge[..., None] * torch.sin(t)
    velocity = centre + speed[..., None] * direction[..., None, :]
    value = torch.exp(system.log_velocity_density(x.expand_as(velocity), velocity))
    if moment is not None:
        value = value * velocity[..., moment] ** 2
    by_speed = (value * speed**2 * edge[..., None] * torch.cos(t)) @ torch.from_numpy(t_weight)
    return float(torch.from_numpy(cosine_weight) @ by_speed.sum(dim=1) * 2 * np.pi / 64)


def _within(name: str, radius: float) -> float:
    """Integral of n within a radius, by a product rule in r / (1 + r), cosine and longitude."""
    node, weight = np.polynomial.legendre.leggauss(60)
    top = 1.0 if math.isinf(radius) else radius / (1 + radius)
    share, share_weight = 0.5 * top * (node + 1), 0.5 * top * weight
    cosine, cosine_weight = np.polynomial.legendre.leggauss(80)
    angle = 2 * np.pi * np.arange(32) / 32
    c, phi = np.meshgrid(cosine, angle, indexing="ij")
    s = np.sqrt(1 - c**2)
    direction = np.stack([s * np.cos(phi), s * np.sin(phi), c], axis=-1)
    r = share / (1 - share)
    density = SYSTEMS[name].density(torch.from_numpy(r[:, None, None, None] * direction)).numpy()
    shells = (density.sum(axis=2) * 2 * np.pi / 32) @ cosine_weight
    return float(shells @ (share_weight * r**2 / (1 - share) ** 2))


@pytest.mark.parametrize("name", AT_REST)
def test_the_tracers_are_one(name: str) -> None:
    assert _within(name, math.inf) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("name", ROTATING)
def test_the_tracers_within_the_sphere_are_one(name: str) -> None:
    assert _within(name, 1.0) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_positions_follow_the_density(name: str) -> None:
    x = points(name, 20_000, seed=1)[0].numpy()
    radius, whole = np.linalg.norm(x, axis=1), _within(name, r_max(name))
    assert radius.max() <= r_max(name)
    edges = r_max(name) * np.linspace(0.05, 1, 20)
    shares = [_within(name, edge) / whole for edge in edges]
    # Kolmogorov's statistic at chosen radii is at most that at all.
    gap = np.abs(np.searchsorted(np.sort(radius), edges) / radius.size - shares).max()
    assert gap < special.kolmogi(CHANCE) / math.sqrt(radius.size)
    # Those at rest have as many tracers on either side of each plane through the centre.
    if name in AT_REST:
        for axis in range(3):
            upper = int((x[:, axis] > 0).sum())
            assert stats.binomtest(upper, len(x)).pvalue > CHANCE


@pytest.mark.parametrize("name", ALL)
def test_positions_have_the_flattening_of_the_density(name: str) -> None:
    # For any smooth g, the mean of div(g n) / n is the flow of g n through the surface. With
    # g = (R_max^2 - r^2) a, zero there, the mean of g . grad ln n + div g is zero; the choices
    # of a test each axis alone.
    x = points(name, 20_000, seed=2)[0]
    slope, _ = gradient_and_laplacian(SYSTEMS[name].log_density, x)
    margin = r_max(name) ** 2 - (x**2).sum(dim=-1)
    for axis in range(3):
        along = x[:, axis]
        values = margin * (along * slope[:, axis] + 1) - 2 * along**2
        assert abs(values.mean()) < _highest_mean(values)


@pytest.mark.parametrize("name", ALL)
def test_velocities_follow_their_density(name: str) -> None:
    # As for the positions: the mean of v_i d ln p / dv_j is minus the unit matrix, and that of
    # |v|^2 d ln p / dv_j is minus twice the mean of v_j; p is zero at its edge.
    x, v = points(name, 20_000, seed=4)
    system = SYSTEMS[name]
    slope = scores(system.log_velocity_density, x, v)[1]
    relative = v if system.frame is None else v - system.frame.u(x)
    for i in range(3):
        for j in range(3):
            values = relative[:, i] * slope[:, j] + float(i == j)
            assert abs(values.mean()) < _highest_mean(values)
        values = (relative**2).sum(dim=-1) * slope[:, i] + 2 * relative[:, i]
        assert abs(values.mean()) < _highest_mean(values)


def _highest_mean(values: Tensor) -> float:
    return float(stats.norm.isf(CHANCE / 2) * values.std() / math.sqrt(len(values)))


@pytest.mark.parametrize("name", ALL)
def test_velocities_at_one_place_have_the_moments_of_p(name: str) -> None:
    place = points(name, 1, seed=5)[0]
    drawn = SYSTEMS[name].draw_velocities(
        np.repeat(place.numpy(), 20_000, axis=0), np.random.default_rng(6)
    )
    for axis in range(3):
        squares = torch.from_numpy(drawn[:, axis] ** 2)
        expected = _over_velocities(name, place[0], moment=axis)
        assert abs(float(squares.mean()) - expected) < _highest_mean(squares)


def test_plummer_in_closed_form() -> None:
    # Dispersion v_esc^2 / 12 along each axis, kurtosis 6/7 of the normal one everywhere.
    system = SYSTEMS["plummer"]
    x = torch.tensor([[0.9, -1.2, 2.0]], dtype=torch.float64)
    highest = float(torch.sqrt(-2 * system.potential(x)))

    def moment(power: int) -> float:
        def integrand(t: float) -> float:
            v = torch.tensor([[highest * math.sin(t), 0.0, 0.0]], dtype=torch.float64)
            p = float(torch.exp(system.log_velocity_density(x, v)))
            return 4 * math.pi * p * float(v[0, 0]) ** (power + 2) * highest * math.cos(t)

        return integrate.quad(integrand, 0, math.pi / 2, epsrel=1e-10)[0]

    second, fourth = moment(2), moment(4)
    assert second == pytest.approx(highest**2 / 4, rel=1e-8)
    assert fourth == pytest.approx(3.75 / 42 * highest**4, rel=1e-8)
    # <v^4> = 15 k sigma^4 with sigma^2 = <v^2> / 3.
    assert fourth / (15 * (second / 3) ** 2) == pytest.approx(6 / 7, rel=1e-8)
    # The tracers make the potential.
    torch.testing.assert_close(system.mass_density(x), 1.7 * system.density(x))
    radius_square = float((x**2).sum())
    torch.testing.assert_close(
        system.acceleration(x), -1.7 * x / (radius_square + 1.3**2) ** 1.5, rtol=1e-13, atol=0.0
    )


@pytest.mark.parametrize("name", ROTATING)
def test_the_dispersion_at_the_sun_is_as_asked(name: str) -> None:
    sun = torch.zeros(3, dtype=torch.float64)
    mean = MAXWELLIAN.rotation.u(sun)
    for axis in range(3):
        variance = _over_velocities(name, sun, axis) - float(mean[axis]) ** 2
        # The product rule is good to 1e-8 of the square of the mean, which is 52 sigma^2.
        assert variance == pytest.approx(35.0**2, rel=1e-6)


def test_anisotropy_of_osipkov_and_merritt() -> None:
    system = SYSTEMS["osipkov_merritt"]
    assert isinstance(system, OsipkovMerrittPlummer)
    for radius in (0.3, 1.1, 4.0):
        place = torch.tensor([0.0, 0.0, radius], dtype=torch.float64)
        across, along = (_over_velocities("osipkov_merritt", place, axis) for axis in (0, 2))
        expected = radius**2 / (radius**2 + system.anisotropy_radius**2)
        assert 1 - across / along == pytest.approx(expected, rel=1e-8)


def test_without_anisotropy_it_is_the_isotropic_sphere() -> None:
    x, v = points("plummer", 200)
    wide = OsipkovMerrittPlummer(gm=1.7, b=1.3, anisotropy_radius=1e9)
    torch.testing.assert_close(
        wide.log_phase_density(x, v), SYSTEMS["plummer"].log_phase_density(x, v)
    )


def test_the_isotropic_tracers_of_a_disc_are_those_of_the_energy() -> None:
    # Without L_z, and with a = 0, they are a Plummer sphere.
    system = FlattenedTracers(gm=1.7, a=0.0, b=1.3, momentum_scale=1e9)
    x, v = points("plummer", 200)
    torch.testing.assert_close(
        system.log_phase_density(x, v), SYSTEMS["plummer"].log_phase_density(x, v)
    )


@pytest.mark.parametrize("name", ALL)
def test_single_precision_stays_single(name: str) -> None:
    x, v = points(name, 100)
    system = SYSTEMS[name]
    exact = scores(system.log_phase_density, x, v)
    found = scores(system.log_phase_density, x.float(), v.float())
    for single, double in zip(found, exact, strict=True):
        assert single.dtype == torch.float32
        # The error of the slopes of (1 - v^2/v_esc^2)^p is that of 1 - v^2/v_esc^2, relative.
        median = ((single - double).norm(dim=-1) / double.norm(dim=-1)).median()
        assert median < 1e-5


@pytest.mark.parametrize("name", ALL)
def test_draws_depend_on_the_seed_alone(name: str) -> None:
    first, again = points(name, 40, seed=9), points(name, 40, seed=9)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    empty = points(name, 0)
    assert empty[0].shape == empty[1].shape == (0, 3)
