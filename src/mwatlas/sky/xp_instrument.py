"""Gaia's BP and RP as GaiaXPy packages them: from a spectrum to basis coefficients and back.

GaiaXPy ships, for each prism, the "inverse bases": the absolute flux that a unit coefficient
stands for at each wavelength (Montegriffo et al. 2023, A&A 674, A3). Its `calibrate`
is the product of coefficients and these. Here they are inverted: the coefficients whose
calibrated spectrum is the given one. Wavelengths with little light say nothing about some
combinations of coefficients, so the least squares have a prior: the amplitudes fall with the
number of the basis as they do in the archive.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mwatlas.sky.spectra import WAVELENGTH_NM

Floats = NDArray[np.float64]

PRISMS = ("bp", "rp")
N_BASES = 55
PSEUDO_WAVELENGTH: Floats = np.linspace(0, 60, 121)
"""Positions along a spectrum in pixels, where its noise is evaluated."""

_MODELS = {"bp": "bpC03_v375wi", "rp": "rpC03_v142r"}
# Response below which a prism sees nothing.
_DARK = 1e-3
# Weight of the prior, relative to the largest singular value: reproduces archive coefficients
# of G = 7 stars from their own calibrated spectra to about their errors.
_RIDGE = 1e-3
# Root mean square of a coefficient over the norm of all, a exp(-n/8) + b exp(-n/15), in the
# archive's spectra of 30 bright stars.
_AMPLITUDE, _AMPLITUDE_SCALE, _TAIL_SCALE = 0.3, 8.0, 15.0
_TAIL = {"bp": 2e-3, "rp": 1e-3}

_WARP_REFERENCE_NM = 650.0
# The warp takes no leave of the model where no passband holds it.
_WARP_RANGE_NM = (400.0, 950.0)
_WARP_STEPS = 8
# What a spectrum is fitted to: G, the colour BP - RP and the mean of BP and RP, how far (ln flux)
# it may miss each, and the likely size of the warp's tilt and curvature [chosen].
_FITTED = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, -1.0], [0.0, 0.5, 0.5]])
_MISS = np.array([1e-4, 2e-3, 0.02])
_LIKELY_WARP = np.array([np.inf, 3.0, 0.4])


@dataclass(frozen=True)
class Prism:
    """One prism.

    Parameters
    ----------
    to_coefficients
        Shape (bases, wavelengths): its product with a spectrum gives the coefficients.
    internal_bases
        The bases on :data:`PSEUDO_WAVELENGTH`; shape (bases, pixels). Their product with
        coefficients is the internal spectrum in electrons per second and pixel.
    """

    to_coefficients: Floats
    internal_bases: Floats


@dataclass(frozen=True)
class Instrument:
    """Both prisms and Gaia's passbands.

    Parameters
    ----------
    prisms
        By name, ``bp`` and ``rp``.
    passbands
        Shape (3, wavelengths): the product with a spectrum is the flux in G, BP and RP that
        GaiaXPy's `generate` finds from the spectrum's coefficients.
    zero_points
        Of the three, in mag: -2.5 log10(flux) + zero point is the Vega magnitude.
    """

    prisms: dict[str, Prism]
    passbands: Floats
    zero_points: Floats

    def magnitudes(self, flux: Floats) -> Floats:
        """G, BP and RP of spectra; ``flux`` has shape (N, wavelengths), the result (N, 3)."""
        with np.errstate(invalid="ignore", divide="ignore"):
            return -2.5 * np.log10(flux @ self.passbands.T) + self.zero_points


def amplitude_prior(prism: str) -> Floats:
    """Typical size of each coefficient relative to the norm of all; shape (bases,)."""
    n = np.arange(N_BASES)
    return _AMPLITUDE * np.exp(-n / _AMPLITUDE_SCALE) + _TAIL[prism] * np.exp(-n / _TAIL_SCALE)


def _projection(inverse_bases: Floats, response: Floats, prism: str) -> Floats:
    """Operator from flux to coefficients; shape (bases, wavelengths)."""
    lit = response > _DARK
    # In photons, so that noise would be even along the spectrum.
    photons = (response * WAVELENGTH_NM)[lit]
    prior = amplitude_prior(prism)
    design = inverse_bases[lit] * photons[:, None] * prior
    u, s, vt = np.linalg.svd(design, full_matrices=False)
    damped = s / (s**2 + (_RIDGE * s[0]) ** 2)
    out = np.zeros((N_BASES, WAVELENGTH_NM.size))
    out[:, lit] = prior[:, None] * ((vt.T * damped) @ u.T) * photons
    return out


@lru_cache(maxsize=1)
def instrument() -> Instrument:
    """Read the instrument from GaiaXPy's own configuration (version DR3, v375wi and v142r)."""
    import matplotlib

    # Importing GaiaXPy switches matplotlib to LaTeX, and its parsers print.
    with matplotlib.rc_context(), contextlib.redirect_stdout(io.StringIO()):
        from gaiaxpy import PhotometricSystem
        from gaiaxpy.calibrator.external_instrument_model import ExternalInstrumentModel
        from gaiaxpy.config.paths import config_path, hermite_bases_file
        from gaiaxpy.converter.config import parse_config
        from gaiaxpy.converter.converter import get_design_matrices
        from gaiaxpy.spectrum.sampled_basis_functions import SampledBasisFunctions

        system = PhotometricSystem.Gaia_DR3_Vega.value
        photometry = system.load_xpsampling_from_xml()
        internal = get_design_matrices(PSEUDO_WAVELENGTH, parse_config(hermite_bases_file))
        prisms, passbands = {}, np.zeros((3, WAVELENGTH_NM.size))
        for name, model in _MODELS.items():
            files = [f"{config_path}/{model}_{k}.csv" for k in ("dispersion", "response", "bases")]
            external = ExternalInstrumentModel.from_config_csv(*files)
            bases = SampledBasisFunctions.from_external_instrument_model(
                WAVELENGTH_NM, np.ones_like(WAVELENGTH_NM), external
            ).get_design_matrix()
            response = np.asarray(external.get_response(WAVELENGTH_NM))
            prisms[name] = Prism(
                _projection(bases.T, response, name), internal[name].get_design_matrix()
            )
            passbands += photometry[name].T @ prisms[name].to_coefficients
        zero_points = np.asarray(system.get_zero_points(), dtype=float)
    return Instrument(prisms, passbands, zero_points)


def match_photometry(flux: Floats, magnitudes: Floats, gaia: Instrument) -> Floats:
    """Warp spectra smoothly until they have the given magnitudes.

    The factor is exp(a + b x + c x**2) in x = ln(wavelength / 650 nm), with x held beyond 400
    and 950 nm. G is met exactly and BP - RP nearly so. The mean of BP and RP is met as well
    as a moderate curvature allows: the two together see nearly the light that G sees, so
    magnitudes reddened by constant ratios A_G/A_V, A_BP/A_V and A_RP/A_V are those of no
    spectrum once A_V exceeds a magnitude or two.

    Parameters
    ----------
    flux
        Spectra at :data:`~mwatlas.sky.spectra.WAVELENGTH_NM`; shape (N, wavelengths).
    magnitudes
        G, BP and RP (Vega); shape (N, 3).
    gaia
        The passbands.

    Returns
    -------
    float64, shape (N, wavelengths)

    Raises
    ------
    ValueError
        If a magnitude is not finite.
    """
    if not np.isfinite(magnitudes).all():
        raise ValueError("a spectrum needs finite G, BP and RP magnitudes")
    x = np.log(np.clip(WAVELENGTH_NM, *_WARP_RANGE_NM) / _WARP_REFERENCE_NM)
    powers = np.stack([np.ones_like(x), x, x**2])
    moments_of = np.einsum("bw,pw->wbp", gaia.passbands, powers).reshape(x.size, 9)
    wanted = np.log(10) * -0.4 * (magnitudes - gaia.zero_points)
    warp = np.zeros((len(flux), 3))
    warp[:, 0] = wanted[:, 0] - np.log(flux @ gaia.passbands[0])
    fitted = _FITTED / _MISS[:, None]
    # Gauss-Newton for the most likely warp.
    for _ in range(_WARP_STEPS):
        moments = ((flux * np.exp(warp @ powers)) @ moments_of).reshape(-1, 3, 3)
        slope = fitted @ (moments / moments[:, :, :1])
        residual = (wanted - np.log(moments[:, :, 0])) @ fitted.T
        normal = slope.transpose(0, 2, 1) @ slope + np.diag(_LIKELY_WARP**-2)
        right = np.einsum("nbp,nb->np", slope, residual) - warp / _LIKELY_WARP**2
        warp += np.linalg.solve(normal, right[:, :, None])[:, :, 0]
    warped = flux * np.exp(warp @ powers)
    return warped * (np.exp(wanted[:, 0]) / (warped @ gaia.passbands[0]))[:, None]
