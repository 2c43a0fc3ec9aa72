"""How the unknowns of the Boltzmann equation are made, kept with their weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch

from mwatlas.potential.analytic import MiyamotoNagaiPotential, NFWPotential
from mwatlas.potential.axisymmetric import AxisymmetricField, AxisymmetricGalaxy
from mwatlas.potential.boltzmann_fields import BoltzmannFields, Method
from mwatlas.potential.fields import FieldShape, ScalarField
from mwatlas.potential.free_frame import FrameOfMembers, FreeFrame
from mwatlas.potential.rotating_frame import RotatingFrame
from mwatlas.random import block_generator


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the unknowns but their weights.

    Parameters
    ----------
    method
        What the slopes of the samples are of.
    potential
        A network, or a galaxy in closed form.
    extra
        The network of ln n or ln S; of no use for the vanilla method.
    length, speed
        Typical of the samples: networks work in these units.
    frame
        Fixed, partly free, or None for one at rest.
    """

    method: Method
    potential: FieldShape | AxisymmetricGalaxy
    extra: FieldShape
    length: float
    speed: float
    frame: RotatingFrame | FreeFrame | None

    def build(self, seeds: Sequence[int]) -> BoltzmannFields:
        """Fields of as many members as there are seeds, before training."""
        potential: torch.nn.Module
        if isinstance(self.potential, FieldShape):
            potential = ScalarField(self.potential, self.length, self.speed**2, seeds)
        else:
            potential = AxisymmetricField(self.potential, len(seeds))
        extra = None
        if self.method is not Method.VANILLA:
            # Both networks of a member must not start with the same weights.
            own = [int(block_generator(s, "potential/extra", 0).integers(2**63)) for s in seeds]
            # ln S is no logarithm of a sigmoid, which saturates and is slow to learn: only its
            # gradient is in the equation, so that S is below 1 for some constant in any case.
            extra = ScalarField(self.extra, self.length, 1.0, own)
        frame: RotatingFrame | FrameOfMembers | None
        if isinstance(self.frame, FreeFrame):
            frame = FrameOfMembers(self.frame, len(seeds), self.length, self.speed)
        else:
            frame = self.frame
        return BoltzmannFields(self.method, potential, extra, frame)

    def to_json(self) -> dict[str, Any]:
        """What :meth:`from_json` understands."""
        return asdict(self)

    @classmethod
    def from_json(cls, text: Mapping[str, Any]) -> Recipe:
        """Undo :meth:`to_json`."""
        potential, frame = text["potential"], text["frame"]
        return cls(
            Method(text["method"]),
            _galaxy(potential) if "discs" in potential else FieldShape(**potential),
            FieldShape(**text["extra"]),
            text["length"],
            text["speed"],
            _frame(frame) if frame else None,
        )


def _galaxy(text: Mapping[str, Any]) -> AxisymmetricGalaxy:
    discs = tuple(MiyamotoNagaiPotential(**disc) for disc in text["discs"])
    halo = NFWPotential(**text["halo"])
    return AxisymmetricGalaxy(discs, halo, tuple(text["centre"]), text["sun_height"])


def _frame(text: Mapping[str, Any]) -> RotatingFrame | FreeFrame:
    if "free" in text:
        return FreeFrame(RotatingFrame(**text["start"]), tuple(text["free"]))
    return RotatingFrame(**text)
