"""Real spherical harmonics in torch, smooth at the origin and at the poles."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def real_harmonics(position: Tensor, degree: int, core: float = 0.0) -> Tensor:
    """Real spherical harmonics of directions, without branches or square roots of x^2 + y^2.

    They are made as solid harmonics, polynomials of x, y and z, of the vector
    x / sqrt(r^2 + core^2): at r >> core the spherical harmonics themselves, at r << core they
    fall like r^l, so that derivatives stay finite where directions lose their meaning. The
    recurrences are those of the associated Legendre functions divided by sin^m(theta), in
    orthonormal form (Holmes & Featherstone 2002, J. Geodesy 76, 279, eq. 11-13).

    Parameters
    ----------
    position
        Vectors from the centre; shape (..., 3).
    degree
        The highest l.
    core
        Radius below which they fade, in the units of ``position``.

    Returns
    -------
    Tensor, shape (..., (degree + 1)**2)
        In the order l = 0, 1, ... and m = -l ... l in each; sines for m < 0, cosines for m > 0,
        without the Condon-Shortley phase. Their mean square over the sphere is 1 each.
    """
    square = (position**2).sum(dim=-1, keepdim=True)
    x, y, z = (position / torch.sqrt(square + core**2)).unbind(dim=-1)
    r2 = x * x + y * y + z * z
    one = torch.ones_like(x)
    # Columns l of one m: the factor that depends on z alone.
    out: dict[tuple[int, int], Tensor] = {}
    cosine, sine, diagonal = one, torch.zeros_like(x), 1.0
    for m in range(degree + 1):
        if m:
            cosine, sine = x * cosine - y * sine, x * sine + y * cosine
            diagonal *= math.sqrt((2 * m + 1) / (2 * m))
        before, legendre = torch.zeros_like(x), diagonal * one
        for el in range(m, degree + 1):
            if el > m:
                a = math.sqrt((4 * el**2 - 1) / (el**2 - m**2))
                b = math.sqrt(((el - 1) ** 2 - m**2) / (4 * (el - 1) ** 2 - 1))
                before, legendre = legendre, a * (z * legendre - b * r2 * before)
            if m == 0:
                out[el, 0] = legendre
            else:
                out[el, m] = math.sqrt(2) * legendre * cosine
                out[el, -m] = math.sqrt(2) * legendre * sine
    names = [(el, m) for el in range(degree + 1) for m in range(-el, el + 1)]
    return torch.stack([out[name] for name in names], dim=-1)
