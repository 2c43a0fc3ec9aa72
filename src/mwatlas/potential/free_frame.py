"""A rotating frame some of whose parameters are learned together with the potential."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from mwatlas.potential.parameters import require
from mwatlas.potential.rotating_frame import RotatingFrame

_NAMES = tuple(field.name for field in fields(RotatingFrame))


@dataclass(frozen=True)
class FreeFrame:
    """Which parameters of a rotating frame are free (Kalda & Green 2025, section 2).

    Parameters
    ----------
    start
        The values of those that are fixed, and where the free ones begin; numbers, in the units
        of the samples.
    free
        Names of fields of :class:`RotatingFrame`.

    Raises
    ------
    ConfigError
        If a name is none of them.
    """

    start: RotatingFrame
    free: tuple[str, ...] = ("omega_z_km_s_kpc",)

    def __post_init__(self) -> None:
        for name in self.free:
            require(name in _NAMES, "free", name, f"names out of {', '.join(_NAMES)}")


class FrameOfMembers(torch.nn.Module):
    """The frames of M members, free parameters trained in natural units.

    Parameters
    ----------
    frame
        Start, and what is free.
    members
        Number M.
    length, speed
        Natural units, typical of the samples: a step of one in a parameter changes it by a
        typical length, speed, or speed over length.
    """

    def __init__(self, frame: FreeFrame, members: int, length: float, speed: float) -> None:
        super().__init__()
        self._frame = frame
        units = {"x0_kpc": length, "v0_km_s": speed, "omega_z_km_s_kpc": speed / length}
        self._units = {name: units[name] for name in frame.free}
        self.steps = torch.nn.ParameterDict(
            {
                name: torch.zeros(members, torch.as_tensor(getattr(frame.start, name)).numel())
                for name in frame.free
            }
        )

    def values(self) -> dict[str, Tensor]:
        """Free parameters of the members; shapes (M, 3), or (M, 1) for the rotation."""
        return {
            name: self._start(name) + unit * self.steps[name] for name, unit in self._units.items()
        }

    def forward(self) -> RotatingFrame:
        """The frame that broadcasts against points (M, N, 3)."""
        values = self.values()
        vectors: list[Tensor | Sequence[float]] = []
        for name in ("x0_kpc", "v0_km_s"):
            fixed: Tensor | Sequence[float] = getattr(self._frame.start, name)
            vectors.append(values[name][:, None] if name in values else fixed)
        omega = values.get("omega_z_km_s_kpc", self._frame.start.omega_z_km_s_kpc)
        return RotatingFrame(vectors[0], vectors[1], omega)

    def _start(self, name: str) -> Tensor:
        like = self.steps[name]
        return torch.as_tensor(
            getattr(self._frame.start, name), dtype=like.dtype, device=like.device
        )
