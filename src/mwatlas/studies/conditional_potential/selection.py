"""Which stars are observed: those brighter than a limit, behind their distance and dust.

Absolute magnitudes are normal, so the share S of stars observed at a place is a normal
distribution function (Kalda & Green 2026, equation 10).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr

from mwatlas.config.conditional_mock import Magnitudes
from mwatlas.sky.visibility import distance_modulus
from mwatlas.studies.conditional_potential.extinction import Extinction

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Selection:
    """Share of the stars that is observed at each place.

    Parameters
    ----------
    magnitudes
        Absolute magnitudes and limit.
    extinction
        What dims the stars beside their distance.
    """

    magnitudes: Magnitudes
    extinction: Extinction

    def dimming(self, position_kpc: Floats) -> Floats:
        """Apparent less absolute magnitude; minus infinity at the observer.

        Parameters
        ----------
        position_kpc
            Places relative to the observer; shape (N, 3).

        Returns
        -------
        float64, shape (N,)

        Raises
        ------
        InputError
            If a place is not finite or beyond the grid of extinctions; all methods do so.
        """
        with np.errstate(divide="ignore"):
            modulus = distance_modulus(np.linalg.norm(position_kpc, axis=1))
        return modulus + self.extinction.at(position_kpc)

    def probability(self, position_kpc: Floats) -> Floats:
        """Share S of stars that is observed; arguments as for :meth:`dimming`."""
        return ndtr(self._margin(position_kpc))

    def log_probability(self, position_kpc: Floats) -> Floats:
        """Ln S, without underflow where hardly a star is seen; as for :meth:`dimming`."""
        return log_ndtr(self._margin(position_kpc))

    def _margin(self, position_kpc: Floats) -> Floats:
        """Standard deviations by which the mean star is brighter than the limit."""
        law = self.magnitudes
        return (law.limit - law.mean - self.dimming(position_kpc)) / law.sigma
