"""Inputs of the network (section 2.1): cos l, sin l, b, proper motions, parallax."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mwatlas.tables.table import Columns

FEATURES = ("cos_l", "sin_l", "b", "pmra", "pmdec", "parallax")
COLUMNS = ("l", "b", "pmra", "pmdec", "parallax_corr")


def features(data: Columns) -> NDArray[np.float64]:
    """Network inputs in the order of :data:`FEATURES`.

    Longitude enters as a point on the circle, which has no jump at l = 0.

    Parameters
    ----------
    data
        Columns ``l``, ``b`` (degrees), ``pmra``, ``pmdec`` (mas/yr), ``parallax_corr`` (mas);
        shape (N,) each.

    Returns
    -------
    float64, shape (N, 6)
    """
    longitude = np.radians(data["l"])
    return np.stack(
        [
            np.cos(longitude),
            np.sin(longitude),
            *(np.asarray(data[name], dtype=float) for name in COLUMNS[1:]),
        ],
        axis=-1,
    )
