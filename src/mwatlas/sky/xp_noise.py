"""Errors, correlations and noise of BP and RP coefficients.

The coefficients are a weighted least-squares fit to the samples of all transits, so their
covariance follows from the noise of a sample: photons, background, and a calibration floor
proportional to the flux (De Angeli et al. 2023, A&A 674, A2: at G < 11 errors
stop falling as the flux grows). The numbers below are fitted to 33 archive spectra, most of G = 6
to 8, one each near 14 and 18: of the errors of the first 20 coefficients two thirds come out within
20 (RP) and 35 (BP) per cent. Proxima, the reddest of them, has 2.5 times the model's errors in BP.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mwatlas.sky.xp_instrument import N_BASES, PSEUDO_WAVELENGTH

Floats = NDArray[np.float64]

SAMPLES_PER_TRANSIT = 60
"""Samples of a transit across the focal plane (Carrasco et al. 2021, A&A 652, A86)."""

# Background and read-out of a sample, electrons per second.
_BACKGROUND = 2.8
# Exposure of one CCD, seconds (Gaia Collaboration, Prusti et al. 2016).
_EXPOSURE_S = 4.42
# Calibration error of a sample relative to its flux, and to the brightest sample of the spectrum.
_FLOOR, _FLOOR_OF_PEAK = 0.010, 0.002
# The archive's errors relative to those of this model, ln, at some coefficients: its bases reach
# beyond the window, and its calibration is no white noise.
_RELATIVE_ERROR = {
    "bp": ([0, 20, 31, 38, 49, 51, 54], [0.0, 0.2, 0.8, 0.6, 0.4, -0.4, -2.1]),
    "rp": ([0, 20, 30, 40, 46, 50, 53, 54], [0.1, 0.1, 0.1, -0.2, -0.6, -1.0, -1.7, -2.3]),
}
# Normalised residuals exceed 1 where the floor matters, from this flux (e-/s) on.
_FLOOR_FLUX = 2e4
_BASE_DEVIATION = 1.03
_EXCESS_DEVIATION = {"bp": 0.10, "rp": 0.45}
_EXCESS_SCATTER = 0.25
_REJECTED_SHARE = 0.008
_SAME, _TRIANGLE = np.triu_indices(N_BASES), np.tril_indices(N_BASES, -1)


class Measurement(NamedTuple):
    """Coefficients of one prism with everything the archive says about their errors.

    Scalars of each star have shape (N,), ``coefficients`` and ``errors`` (N, 55) and
    ``correlations`` (N, 1485): rows of the lower triangle without the diagonal.
    """

    n_measurements: NDArray[np.int64]
    n_rejected: NDArray[np.int64]
    standard_deviation: Floats
    coefficients: Floats
    errors: Floats
    correlations: Floats


def _relative_error(prism: str) -> Floats:
    nodes, values = _RELATIVE_ERROR[prism]
    return np.exp(np.interp(np.arange(N_BASES), nodes, values))


def fisher_matrices(coefficients: Floats, bases: Floats, samples: NDArray[np.int64]) -> Floats:
    """Information on the coefficients in all samples of each star.

    Parameters
    ----------
    coefficients
        Without noise; shape (N, 55).
    bases
        Internal bases on :data:`~mwatlas.sky.xp_instrument.PSEUDO_WAVELENGTH`; (55, pixels).
    samples
        Number of samples, spread evenly over the window; shape (N,).

    Returns
    -------
    float64, shape (N, 55, 55)
        Inverse covariance matrices.
    """
    flux = np.maximum(coefficients @ bases, 0)
    peak = flux.max(axis=1, keepdims=True)
    floor = (_FLOOR * flux) ** 2 + (_FLOOR_OF_PEAK * peak) ** 2
    variance = _BACKGROUND**2 + flux / _EXPOSURE_S + floor
    weight = samples[:, None] / PSEUDO_WAVELENGTH.size / variance
    upper = weight @ (bases[_SAME[0]] * bases[_SAME[1]]).T
    out = np.empty((len(flux), N_BASES, N_BASES))
    out[:, _SAME[0], _SAME[1]] = upper
    out[:, _SAME[1], _SAME[0]] = upper
    return out


def measure(
    coefficients: Floats,
    bases: Floats,
    prism: str,
    transits: NDArray[np.int64],
    rng: np.random.Generator,
) -> Measurement:
    """Draw noise from the full covariance and say what the archive would say about it.

    The covariance of the noise is errors times correlations times errors, with the served
    errors. (GaiaXPy divides the errors by the standard deviation first.)

    Parameters
    ----------
    coefficients
        Without noise; shape (N, 55).
    bases
        Internal bases; shape (55, pixels).
    prism
        ``bp`` or ``rp``.
    transits
        Number of transits; shape (N,).
    rng
        Generator of the draws.

    Returns
    -------
    Measurement
    """
    n_stars = len(coefficients)
    samples = transits * SAMPLES_PER_TRANSIT
    rejected = rng.binomial(samples, _REJECTED_SHARE)
    information = fisher_matrices(coefficients, bases, samples - rejected)
    # With F = L L^T, L^-T z has the covariance F^-1.
    root = np.linalg.inv(np.linalg.cholesky(information))
    sigma = np.sqrt(np.einsum("nki,nki->ni", root, root))
    scaled = root / sigma[:, None, :]
    correlation = scaled.transpose(0, 2, 1) @ scaled
    peak = np.maximum(coefficients @ bases, 0).max(axis=1)
    share = peak / (peak + _FLOOR_FLUX)
    typical = _BASE_DEVIATION + _EXCESS_DEVIATION[prism] * share
    scatter = np.exp(_EXCESS_SCATTER * rng.standard_normal(n_stars))
    deviation = 1 + (typical - 1) * scatter
    # Rounded first, since the served errors are what the noise must agree with.
    errors = sigma * _relative_error(prism) * (deviation / typical)[:, None]
    errors = errors.astype(np.float32).astype(float)
    unit_noise = np.einsum("nki,nk->ni", scaled, rng.standard_normal((n_stars, N_BASES)))
    return Measurement(
        samples - rejected,
        rejected,
        deviation,
        coefficients + errors * unit_noise,
        errors,
        correlation[:, _TRIANGLE[0], _TRIANGLE[1]],
    )


def relevant_bases(coefficients: Floats, errors: Floats) -> NDArray[np.int64]:
    """Number of leading coefficients that are not mere noise.

    The rule of the archive (Gaia DR3 documentation, xp_summary.bp_n_relevant_bases): the last n
    coefficients over their errors are noise while their standard deviation stays within two of
    its standard errors, 1 / sqrt(2 (n - 1)), of 1; n counts from 2. Of 65 spectra of the archive
    it gives 63 their published number.

    Parameters
    ----------
    coefficients, errors
        Shape (N, 55).

    Returns
    -------
    int64, shape (N,)
    """
    last_first = (coefficients / errors)[:, ::-1]
    n = np.arange(1, N_BASES + 1)
    squares = np.cumsum(last_first**2, axis=1) - np.cumsum(last_first, axis=1) ** 2 / n
    freedom = np.maximum(n - 1, 1)
    deviation = np.sqrt(np.maximum(squares, 0) / freedom)
    noisy = deviation <= 1 + 2 / np.sqrt(2 * freedom)
    n_noise = np.where(noisy.all(axis=1), N_BASES - 1, noisy.argmin(axis=1))
    return N_BASES - np.maximum(n_noise, 2)
