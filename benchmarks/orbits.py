"""Orbits and actions: this package against gala and galpy, in the same run.

    python benchmarks/orbits.py [stars]

Speed is stars per second of CPU time on one core, for a mix of 88 per cent thin disc, 11 per cent
thick disc and 1 per cent halo near the Sun. Errors in eccentricity are against gala's DOP853 at a
tolerance of 1e-13, for each class alone. The stars are not those the settings were chosen with.
"""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import astropy.units as u
import gala.dynamics as gd
import gala.integrate as gi
import gala.potential as gp
import numpy as np
from galpy.actionAngle import actionAngleStaeckel
from galpy.potential import MWPotential2014

from mwatlas.config.line_of_sight import Orbits
from mwatlas.dynamics.actions import focal_distance, integrals_of_motion
from mwatlas.dynamics.orbits import RESOLVED, Integration, integrate_orbits
from mwatlas.dynamics.potential import mw_potential_2014

SETTINGS = Integration(**Orbits().model_dump())
CLASSES = ("thin disc", "thick disc", "halo")
SHARES = (0.88, 0.11, 0.01)
SEED = 20221
PEER_STEP_MYR = 1.0
PEER_STARS = 1000
# Of each class; and how often the reference is sampled, in Myr. Its extremes are refined between
# samples, so this only has to resolve pericentres.
REFERENCE_STARS = (400, 300, 300)
REFERENCE_STEP_MYR = (2.0, 1.0, 0.25)
REPEATS = 3

Sample = tuple[np.ndarray, np.ndarray]


def stars(kind: np.ndarray, seed: int) -> Sample:
    """Positions in kpc and velocities in km/s, Galactocentric, of stars of each class."""
    rng = np.random.default_rng(seed)
    position = rng.normal(size=(kind.size, 3)) * [1.0, 1.0, 0.3] + [-8.1, 0, 0]
    spread = np.array([[35, 25, 18], [60, 45, 40], [150, 90, 90]])[kind]
    velocity = rng.normal(size=(kind.size, 3)) * spread
    velocity[:, 1] += np.array([215, 180, 0])[kind]
    return position, velocity


def gala_extremes(
    sample: Sample, integrator: type, step_myr: float, **settings: float
) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest radius of gala's orbits, refined by the cubic of each step."""
    low, high = [], []
    for first in range(0, len(sample[0]), 50):
        position, velocity = (values[first : first + 50].T for values in sample)
        orbit = gp.Hamiltonian(mw_potential_2014()).integrate_orbit(
            gd.PhaseSpacePosition(position * u.kpc, velocity * u.km / u.s),
            dt=step_myr * u.Myr,
            n_steps=round(SETTINGS.duration_gyr * 1000 / step_myr),
            Integrator=integrator,
            Integrator_kwargs=settings,
        )
        x = orbit.xyz.to_value(u.kpc)
        square = (x**2).sum(axis=0)
        slope = 2 * step_myr * (x * orbit.v_xyz.to_value(u.kpc / u.Myr)).sum(axis=0)
        rise, before, after = np.diff(square, axis=0), slope[:-1], slope[1:]
        with np.errstate(all="ignore"):
            t = before / (before - after)
        cubic = before + after - 2 * rise
        turned = square[:-1] + t * (before + t * (rise - before - cubic + t * cubic))
        extreme = np.where(before * after < 0, np.maximum(turned, 0), square[1:])
        every = np.concatenate([square[:1], extreme])
        low.append(np.sqrt(every.min(axis=0)))
        high.append(np.sqrt(every.max(axis=0)))
    return np.concatenate(low), np.concatenate(high)


def cpu_time(work: Callable[[], object], repeats: int = REPEATS) -> float:
    """Smallest CPU time of a few repeats, in seconds."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return min(times)


def run(sample: Sample) -> None:
    """What a worker process does."""
    integrate_orbits(*sample, SETTINGS)


def scaling(sample: Sample) -> float:
    """Speed of two processes over that of one, each with the same number of stars."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(run, [(a[:16], b[:16]) for a, b in [sample] * 4]))  # start and compile

        def wall(copies: int) -> float:
            start = time.perf_counter()
            list(pool.map(run, [sample] * copies))
            return time.perf_counter() - start

        return 2 * min(wall(1) for _ in range(REPEATS)) / min(wall(2) for _ in range(REPEATS))


def galpy_actions(sample: Sample) -> np.ndarray:
    """Radial action by galpy with the same focal distances, in kpc km/s."""
    (x, y, z), (vx, vy, vz) = (values.T for values in sample)
    radius = np.hypot(x, y)
    fudge = actionAngleStaeckel(pot=MWPotential2014, delta=0.45, c=True)
    j_r, _, _ = fudge(
        radius / 8,
        (x * vx + y * vy) / radius / 220,
        (x * vy - y * vx) / radius / 220,
        z / 8,
        vz / 220,
        delta=focal_distance(radius, np.abs(z)) / 8,
    )
    return np.asarray(j_r) * 8 * 220


def errors() -> None:
    """Print errors of each class against the reference."""
    print("error in eccentricity   median     99 %      max   leapfrog 99 %   z_max 99 %  flagged")
    for which, name in enumerate(CLASSES):
        number, step = REFERENCE_STARS[which], REFERENCE_STEP_MYR[which]
        sample = stars(np.full(number, which), SEED + 1 + which)
        low, high = gala_extremes(
            sample, gi.DOPRI853Integrator, step, rtol=1e-13, atol=1e-13, nmax=0
        )
        e = (high - low) / (high + low)
        ours = integrate_orbits(*sample, SETTINGS)
        low, high = gala_extremes(sample, gi.LeapfrogIntegrator, PEER_STEP_MYR)
        good = ours.flag == RESOLVED
        error = np.abs(ours.eccentricity - e)[good]
        peer = np.abs((high - low) / (high + low) - e)[good]
        finer = Integration(SETTINGS.duration_gyr, 1.0, 1e-3, 0.3)
        height = integrate_orbits(*sample, finer).z_max_kpc
        z_error = np.abs(ours.z_max_kpc / height - 1)[good]
        print(
            f"{name:20s} {np.median(error):9.1e} {np.percentile(error, 99):9.1e}"
            f"{error.max():9.1e} {np.percentile(peer, 99):15.1e}"
            f" {np.percentile(z_error, 99):12.1e} {(~good).sum():8d}"
        )


def main(number: int) -> None:
    """Measure and print."""
    kind = np.random.default_rng(SEED).choice(3, number, p=SHARES)
    sample = stars(kind, SEED)
    few = tuple(values[:PEER_STARS] for values in sample)
    integrate_orbits(*few, SETTINGS)  # compile
    integrals_of_motion(*few)

    ours = number / cpu_time(lambda: integrate_orbits(*sample, SETTINGS))
    gala = PEER_STARS / cpu_time(
        lambda: gala_extremes(few, gi.LeapfrogIntegrator, PEER_STEP_MYR), 1
    )
    print(f"orbits, 2 Gyr           {'stars/s':>10s}")
    print(f"mwatlas                 {ours:10,.0f}")
    print(f"gala, leapfrog 1 Myr    {gala:10,.0f}   ratio {ours / gala:.0f}")
    print(f"two processes over one  {scaling(sample):10.2f}")
    errors()

    ours = number / cpu_time(lambda: integrals_of_motion(*sample))
    galpy = PEER_STARS / cpu_time(lambda: galpy_actions(few), 1)
    here, there = integrals_of_motion(*few), galpy_actions(few)
    difference = np.abs(here.j_r / there - 1)[here.flag == RESOLVED]
    print(f"actions                 {'stars/s':>10s}")
    print(f"mwatlas                 {ours:10,.0f}")
    print(f"galpy, Staeckel fudge   {galpy:10,.0f}   ratio {ours / galpy:.0f}")
    print(f"relative difference of J_r: median {np.median(difference):.1e}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
