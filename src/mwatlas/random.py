"""Random numbers keyed by what they belong to, never by a position in a file.

A draw is a pure function of ``(seed, purpose, source_id, draw)``, so a star gets the
same numbers whatever the partitioning, the number of jobs or the order of rows.

The generator is Philox4x64-10 (Salmon et al. 2011, doi:10.1145/2063384.2063405), the
algorithm of :class:`numpy.random.Philox`. NumPy needs one generator object per key;
the kernel below evaluates it for many counters at once. A test holds it to NumPy's bits.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

_MULTIPLIER_0 = np.uint64(0xD2E7470EE14C6C93)
_MULTIPLIER_1 = np.uint64(0xCA5A826395121157)
_WEYL_0 = np.uint64(0x9E3779B97F4A7C15)
_WEYL_1 = np.uint64(0xBB67AE8584CAA73B)
_ROUNDS = 10
_LOW_32 = np.uint64(0xFFFFFFFF)
_BITS_32 = np.uint64(32)


@njit(inline="always")
def _multiply_high(a: np.uint64, b: np.uint64) -> np.uint64:
    """Upper 64 bits of the 128-bit product of ``a`` and ``b``."""
    a_low, a_high = a & _LOW_32, a >> _BITS_32
    b_low, b_high = b & _LOW_32, b >> _BITS_32
    middle = a_high * b_low + ((a_low * b_low) >> _BITS_32)
    carry = a_low * b_high + (middle & _LOW_32)
    return a_high * b_high + (middle >> _BITS_32) + (carry >> _BITS_32)


@njit(cache=True)
def philox_first_word(
    key_0: np.uint64,
    key_1: np.uint64,
    counter_0: NDArray[np.uint64],
    counter_1: NDArray[np.uint64],
) -> NDArray[np.uint64]:
    """First output word of Philox4x64-10 for counters ``(counter_0, counter_1, 0, 0)``.

    Parameters
    ----------
    key_0, key_1
        The 128-bit key.
    counter_0, counter_1
        The lower two counter words; shape (N,) each. The upper two are zero.

    Returns
    -------
    uint64, shape (N,)
    """
    out = np.empty(counter_0.size, dtype=np.uint64)
    for i in range(counter_0.size):
        c0, c1, c2, c3 = counter_0[i], counter_1[i], np.uint64(0), np.uint64(0)
        k0, k1 = key_0, key_1
        for _ in range(_ROUNDS):
            high_0, low_0 = _multiply_high(_MULTIPLIER_0, c0), _MULTIPLIER_0 * c0
            high_1, low_1 = _multiply_high(_MULTIPLIER_1, c2), _MULTIPLIER_1 * c2
            c0, c1, c2, c3 = high_1 ^ c1 ^ k0, low_1, high_0 ^ c3 ^ k1, low_0
            k0, k1 = k0 + _WEYL_0, k1 + _WEYL_1
        out[i] = c0
    return out


def purpose_key(purpose: str) -> int:
    """Map a purpose, for instance ``"line_of_sight/draw"``, to 64 key bits."""
    return int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=8).digest(), "little")


def keyed_uniform(
    seed: int, purpose: str, source_id: ArrayLike, draw: ArrayLike = 0
) -> NDArray[np.float64]:
    """Uniform numbers in the open interval (0, 1), one for each (source_id, draw).

    Parameters
    ----------
    seed
        The run's seed.
    purpose
        What the numbers are for; different purposes give independent numbers.
    source_id
        Integers naming the stars; broadcast against ``draw``.
    draw
        Which of the star's draws; non-negative integers.

    Returns
    -------
    float64, the broadcast shape of ``source_id`` and ``draw``
    """
    stars, draws = np.broadcast_arrays(np.asarray(source_id), np.asarray(draw))
    words = philox_first_word(
        np.uint64(seed),
        np.uint64(purpose_key(purpose)),
        np.ascontiguousarray(stars).astype(np.uint64).ravel(),
        np.ascontiguousarray(draws).astype(np.uint64).ravel(),
    )
    # 53 random bits at the centres of equal cells: never exactly 0 or 1.
    uniform = ((words >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return uniform.reshape(stars.shape)


def keyed_normal(
    seed: int, purpose: str, source_id: ArrayLike, draw: ArrayLike = 0
) -> NDArray[np.float64]:
    """Standard normal numbers by inversion of :func:`keyed_uniform`; same arguments."""
    return ndtri(keyed_uniform(seed, purpose, source_id, draw))


def block_generator(seed: int, purpose: str, block: int, step: int = 0) -> np.random.Generator:
    """A NumPy generator of its own for one block of work, for instance a HEALPix cell.

    Streams of different blocks or steps cannot overlap: they differ in the upper two
    counter words, which Philox reaches only after 2**128 draws.
    """
    return np.random.Generator(
        np.random.Philox(
            key=np.array([seed, purpose_key(purpose)], dtype=np.uint64),
            counter=np.array([0, 0, step, block], dtype=np.uint64),
        )
    )


def draw_directions(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw unit vectors, uniform on the sphere; shape (n, 3)."""
    cosine = rng.uniform(-1, 1, n)
    sine, angle = np.sqrt(1 - cosine**2), rng.uniform(0, 2 * np.pi, n)
    return np.stack([sine * np.cos(angle), sine * np.sin(angle), cosine], axis=1)
