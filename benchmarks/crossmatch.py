"""Cross-matches by position: this package against astropy, in the same run.

    python benchmarks/crossmatch.py [rows]

Prints rows per second of CPU time for the nearest match and for all pairs within one arcsecond
of two lists of that many rows over the whole sky, the ratios, and whether the pairs are the same.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord, match_coordinates_sky, search_around_sky

from mwatlas.crossmatch import match_nearest, match_pairs

RADIUS_ARCSEC = 1.0
SCATTER_ARCSEC = 0.3
REPEATS = 3


def lists(rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Positions in deg, and the same in another order with errors."""
    rng = np.random.default_rng(20221)
    ra, dec = rng.uniform(0, 360, rows), np.degrees(np.arcsin(rng.uniform(-1, 1, rows)))
    order = rng.permutation(rows)
    scatter = rng.normal(0, SCATTER_ARCSEC / 3600, (2, rows))
    other_ra = (ra[order] + scatter[0] / np.cos(np.radians(dec[order]))) % 360
    return ra, dec, other_ra, np.clip(dec[order] + scatter[1], -90, 90)


def best(call: Callable[[], Any]) -> tuple[Any, float]:
    """Result, and the least CPU time of some repeats."""
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        result = call()
        seconds.append(time.process_time() - start)
    return result, min(seconds)


def main(rows: int) -> None:
    """Time both and print the result."""
    positions = lists(rows)
    for match in (match_nearest, match_pairs):  # compile
        match(*(values[:100] for values in positions), RADIUS_ARCSEC)
    (row, _), nearest = best(lambda: match_nearest(*positions, RADIUS_ARCSEC))
    pairs, every = best(lambda: match_pairs(*positions, RADIUS_ARCSEC))

    def coordinates() -> tuple[SkyCoord, SkyCoord]:
        # Made anew each time: astropy keeps the search tree of a SkyCoord.
        ra, dec, other_ra, other_dec = (values * u.deg for values in positions)
        return SkyCoord(ra, dec), SkyCoord(other_ra, other_dec)

    (theirs, angle, _), peer_nearest = best(lambda: match_coordinates_sky(*coordinates()))
    (left, right, _, _), peer_every = best(
        lambda: search_around_sky(*coordinates(), RADIUS_ARCSEC * u.arcsec)
    )
    same_nearest = np.array_equal(row, np.where(angle.arcsec <= RADIUS_ARCSEC, theirs, -1))
    order = np.lexsort((right, left))
    same_pairs = np.array_equal(pairs.left, left[order]) and np.array_equal(
        pairs.right, right[order]
    )
    for name, ours, peer, same in (
        ("nearest", nearest, peer_nearest, same_nearest),
        ("all pairs", every, peer_every, same_pairs),
    ):
        print(
            f"{name:<10} mwatlas {rows / ours:10,.0f} rows/s, astropy {rows / peer:10,.0f} rows/s, "
            f"ratio {peer / ours:5.1f}, same matches: {same}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
