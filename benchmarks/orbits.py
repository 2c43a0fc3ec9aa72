"""Orbital eccentricities: this package against gala, in the same run.

    python benchmarks/orbits.py [stars]

Prints stars per second and core for both, their ratio, and the difference in eccentricity. The
stars are 88 per cent thin disc, 11 per cent thick disc and 1 per cent halo, near the Sun.
"""

import sys
import time

import astropy.units as u
import gala.dynamics as gd
import gala.integrate as gi
import gala.potential as gp
import numpy as np

from mwatlas.dynamics.orbits import Integration, eccentricity
from mwatlas.dynamics.potential import mw_potential_2014

SETTINGS = Integration(duration_gyr=2.0, step_myr=1.0)
PEER_STARS = 2000


def stars(number: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions in kpc and velocities in km/s, Galactocentric."""
    rng = np.random.default_rng(20221)
    kind = rng.choice(3, number, p=[0.88, 0.11, 0.01])
    position = rng.normal(size=(number, 3)) * [1.0, 1.0, 0.3] + [-8.1, 0, 0]
    spread = np.array([[35, 25, 18], [60, 45, 40], [150, 90, 90]])[kind]
    velocity = rng.normal(size=(number, 3)) * spread
    velocity[:, 1] += np.array([215, 180, 0])[kind]
    return position, velocity


def gala_eccentricity(position: np.ndarray, velocity: np.ndarray) -> np.ndarray:
    """Eccentricity from the extreme radii of gala's leapfrog with the same step."""
    orbit = gp.Hamiltonian(mw_potential_2014()).integrate_orbit(
        gd.PhaseSpacePosition(position.T * u.kpc, velocity.T * u.km / u.s),
        dt=SETTINGS.step_myr * u.Myr,
        n_steps=round(SETTINGS.duration_gyr * 1000 / SETTINGS.step_myr),
        Integrator=gi.LeapfrogIntegrator,
    )
    radius = np.sqrt((orbit.xyz.to_value(u.kpc) ** 2).sum(axis=0))
    low, high = radius.min(axis=0), radius.max(axis=0)
    return (high - low) / (high + low)


def main(number: int) -> None:
    """Time both and print the result."""
    position, velocity = stars(number)
    eccentricity(position[:64], velocity[:64], SETTINGS)  # compile
    start = time.perf_counter()
    ours = eccentricity(position, velocity, SETTINGS).value
    our_rate = number / (time.perf_counter() - start)
    peer = min(PEER_STARS, number)
    start = time.perf_counter()
    theirs = np.concatenate(
        [
            gala_eccentricity(position[i : i + 500], velocity[i : i + 500])
            for i in range(0, peer, 500)
        ]
    )
    peer_rate = peer / (time.perf_counter() - start)
    difference = np.abs(ours[:peer] - theirs)
    print(f"mwatlas   {our_rate:10,.0f} stars/s")
    print(f"gala      {peer_rate:10,.0f} stars/s")
    print(f"ratio     {our_rate / peer_rate:10.1f}")
    print(f"|delta e| median {np.median(difference):.1e}, 99% {np.percentile(difference, 99):.1e}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
