"""Potentials in closed form, draws from power laws, and parameters that make no sense."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from galpy.df import isotropicPlummerdf
from galpy.potential import (
    LogarithmicHaloPotential,
    evaluateDensities,
    evaluatePotentials,
    evaluateRforces,
    evaluatezforces,
)
from galpy.potential import MiyamotoNagaiPotential as GalpyDisc
from galpy.potential import PlummerPotential as GalpyPlummer
from scipy import integrate, special

from mwatlas.errors import ConfigError
from mwatlas.potential.analytic import (
    AnalyticPotential,
    LogarithmicPotential,
    MiyamotoNagaiPotential,
    PlummerPotential,
    SumOfPotentials,
)
from mwatlas.potential.derivatives import gradient_and_laplacian
from mwatlas.potential.draws import draw_power_law_radii, power_law_number
from mwatlas.potential.flattened import FlattenedTracers
from mwatlas.potential.isothermal import Isothermal
from mwatlas.potential.plummer import OsipkovMerrittPlummer, Plummer
from tests.unit.steady_systems import MAXWELLIAN, SYSTEMS, points

# Of a statistic of draws whose seed is fixed: passes by chance but once in ten thousand.
CHANCE = 1e-4


@pytest.mark.parametrize(
    ("ours", "reference"),
    [
        (PlummerPotential(1.7, 1.3), GalpyPlummer(amp=1.7, b=1.3)),
        (MiyamotoNagaiPotential(1.5, 0.6, 0.4), GalpyDisc(amp=1.5, a=0.6, b=0.4)),
        (
            LogarithmicPotential(1.2, 0.8, y_ratio=0.9, z_ratio=0.8),
            # Galpy's amplitude is the speed squared.
            LogarithmicHaloPotential(amp=1.44, core=0.8, q=0.8, b=0.9),
        ),
    ],
    ids=["plummer", "disc", "logarithmic"],
)
def test_potentials_against_galpy(ours: AnalyticPotential, reference: object) -> None:
    x = torch.from_numpy(np.random.default_rng(0).normal(0, 2, (20, 3)))
    first, _ = gradient_and_laplacian(ours.potential, x)
    density, potential = ours.mass_density(x), ours.potential(x)
    for k, (px, py, pz) in enumerate(x.tolist()):
        where = {"R": math.hypot(px, py), "z": pz, "phi": math.atan2(py, px)}
        assert float(potential[k]) == pytest.approx(evaluatePotentials(reference, **where))
        assert float(density[k]) == pytest.approx(evaluateDensities(reference, **where), rel=1e-9)
        outward = float(first[k, 0] * px + first[k, 1] * py) / where["R"]
        assert -outward == pytest.approx(evaluateRforces(reference, **where))
        assert -float(first[k, 2]) == pytest.approx(evaluatezforces(reference, **where))


def test_a_turned_bar_is_a_bar_at_turned_points() -> None:
    straight = LogarithmicPotential(1.2, 0.8, y_ratio=0.7, z_ratio=0.8)
    turned = replace(straight, angle_rad=0.5)
    x = torch.from_numpy(np.random.default_rng(0).normal(0, 2, (20, 3)))
    c, s = math.cos(0.5), math.sin(0.5)
    matrix = torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]], dtype=x.dtype)
    torch.testing.assert_close(turned.potential(x @ matrix.T), straight.potential(x))
    torch.testing.assert_close(turned.mass_density(x @ matrix.T), straight.mass_density(x))


def test_potentials_add_up() -> None:
    disc, halo = MiyamotoNagaiPotential(), LogarithmicPotential()
    both = SumOfPotentials((disc, halo))
    x = torch.from_numpy(np.random.default_rng(0).normal(0, 2, (20, 3)))
    torch.testing.assert_close(both.potential(x), disc.potential(x) + halo.potential(x))
    torch.testing.assert_close(both.mass_density(x), disc.mass_density(x) + halo.mass_density(x))


def test_plummer_against_galpy() -> None:
    reference = isotropicPlummerdf(pot=GalpyPlummer(amp=1.7, b=1.3))
    system = SYSTEMS["plummer"]
    x, v = points("plummer", 200)
    energy = 0.5 * (v**2).sum(dim=-1) + system.potential(x)
    ours = torch.exp(system.log_phase_density(x, v)).numpy()
    # Galpy's tracers are as many as the mass that makes the potential.
    np.testing.assert_allclose(1.7 * ours, reference.fE(energy.numpy()), rtol=1e-9)


def test_power_law_radii() -> None:
    core, inner, outer, largest = 0.7, 2.0, 6.5, 3.0

    def shell(r: float) -> float:
        return 4 * math.pi * r ** (2 + inner) * (r * r + core**2) ** (-outer / 2)

    whole = integrate.quad(shell, 0, largest, epsrel=1e-10)[0]
    assert power_law_number(core, inner, outer, largest) == pytest.approx(whole, rel=1e-9)
    everything = integrate.quad(shell, 0, math.inf, epsrel=1e-10)[0]
    assert power_law_number(core, inner, outer, math.inf) == pytest.approx(everything, rel=1e-8)
    drawn = draw_power_law_radii(5000, core, inner, outer, largest, np.random.default_rng(0))
    edges = np.linspace(0, largest, 50)
    shares = [integrate.quad(shell, 0, edge)[0] / whole for edge in edges]
    gap = np.abs(np.searchsorted(np.sort(drawn), edges) / drawn.size - shares).max()
    assert gap < special.kolmogi(CHANCE) / math.sqrt(drawn.size)


def test_parameters_out_of_range() -> None:
    rng = np.random.default_rng(0)
    for item, build in [
        ("gm", lambda: Plummer(gm=-1.0)),
        ("b", lambda: PlummerPotential(b=0.0)),
        ("anisotropy_radius", lambda: OsipkovMerrittPlummer(anisotropy_radius=0.7)),
        ("sigma", lambda: Isothermal(speed=1.0, sigma=0.6)),
        ("y_ratio", lambda: LogarithmicPotential(y_ratio=math.nan)),
        ("a", lambda: MiyamotoNagaiPotential(a=-0.1)),
        ("momentum_scale", lambda: FlattenedTracers(momentum_scale=0.0)),
        ("index", lambda: FlattenedTracers(index=2.5)),
        ("index", lambda: replace(MAXWELLIAN, index=-0.5)),
        ("radius_kpc", lambda: replace(MAXWELLIAN, index=3.5, sigma_km_s=10.0)),
        ("r_max", lambda: MAXWELLIAN.sample(3, rng, 1.1)),
        ("r_max", lambda: Plummer().sample(3, rng, 0.0)),
        ("n", lambda: Plummer().sample(-1, rng)),
    ]:
        with pytest.raises(ConfigError) as caught:
            build()
        assert caught.value.item == item
