"""Points in phase space and the slopes there of the density that was learned from the stars."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mwatlas.errors import InputError
from mwatlas.flows.storage import opened_model, write_model
from mwatlas.potential.derivatives import scores
from mwatlas.potential.systems import SteadySystem

Floats = NDArray[np.float64]

KIND = "phase samples"


@dataclass(frozen=True)
class PhaseSamples:
    """Positions, velocities, and the gradient of ln of a density there.

    The density is the true f for the vanilla method, the observed f for the method of the
    selection function, and p(v|x) for the conditional one, for which positions may follow any
    distribution.

    Parameters
    ----------
    x, v
        Positions and velocities in any consistent units with G = 1, for instance kpc and
        100 km/s; float64, shape (N, 3).
    score_x, score_v
        Derivatives by position and by velocity, in one over the units of ``x`` and ``v``;
        float64, shape (N, 3).

    Raises
    ------
    InputError
        If there are no rows, a shape is wrong, a number is not finite, or all positions or all
        velocities are the same.
    """

    x: Floats
    v: Floats
    score_x: Floats
    score_v: Floats

    def __post_init__(self) -> None:
        for field in fields(self):
            array = np.asarray(getattr(self, field.name), dtype=np.float64)
            object.__setattr__(self, field.name, array)
            if array.shape != (len(self.x), 3) or not len(array):
                raise _refused(
                    field.name, f"shape {array.shape}", "shape (N, 3), N the same for all"
                )
            bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
            if bad.size:
                found = f"{bad.size} rows that are not finite, the first is {bad[0]}"
                raise _refused(field.name, found, "finite numbers")
        for name in ("x", "v"):
            if not np.ptp(getattr(self, name), axis=0).any():
                raise _refused(name, f"{len(self.x)} equal rows", "rows that differ")
        if not self.score_v.any():
            raise _refused("score_v", "zero in all rows", "a density that depends on velocity")

    def __len__(self) -> int:
        return len(self.x)

    @classmethod
    def of_system(
        cls, system: SteadySystem, x: Floats, v: Floats, conditional: bool
    ) -> PhaseSamples:
        """Exact slopes of a steady system.

        Parameters
        ----------
        system
            The truth.
        x, v
            Where; shape (N, 3). Velocities must be possible there.
        conditional
            Slopes of ln p(v|x) if true, of ln f(x, v) if false.

        Returns
        -------
        PhaseSamples
        """
        density = system.log_velocity_density if conditional else system.log_phase_density
        by_x, by_v = scores(density, torch.from_numpy(x), torch.from_numpy(v))
        return cls(x, v, by_x.numpy(), by_v.numpy())

    def first(self, count: int) -> PhaseSamples:
        """The first samples, at most so many."""
        return PhaseSamples(*(getattr(self, f.name)[:count] for f in fields(self)))

    def tensors(self, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, ...]:
        """Positions, velocities and both slopes as tensors (N, 3)."""
        arrays = (self.x, self.v, self.score_x, self.score_v)
        return tuple(torch.as_tensor(a, dtype=dtype, device=device) for a in arrays)

    def save(self, path: str | Path) -> None:
        """Write to HDF5; the same samples give the same bytes."""
        write_model(path, KIND, {}, {f.name: getattr(self, f.name) for f in fields(self)})

    @classmethod
    def load(cls, path: str | Path) -> PhaseSamples:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputError
            If the file is absent, broken, of another kind, or holds what no samples can be.
        """
        with opened_model(path, KIND) as (_, arrays):
            return cls(**arrays)


def _refused(name: str, found: str, expected: str) -> InputError:
    return InputError(
        "samples in phase space that no potential can be learned from",
        item=name,
        found=found,
        expected=expected,
        remedy="look at how the samples were drawn and their density was differentiated",
    )
