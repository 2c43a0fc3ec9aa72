"""The integrator of :mod:`mwatlas.dynamics.symplectic` on any device of torch, in float64.

It takes the same steps with all stars side by side: for accelerators, which like a million of
them. Results agree with the compiled kernel to rounding, which chaotic orbits magnify.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mwatlas.dynamics import symplectic
from mwatlas.dynamics.orbits import COMPILED, Kernel
from mwatlas.dynamics.tabulated import (
    FIRST,
    FIRST_BIN,
    FRACTION_BITS,
    INVERSE,
    LAST,
    ONE,
    PARTS,
    REST,
    REST_BITS,
    TabulatedPotential,
)

Floats = NDArray[np.float64]

# The arithmetic of the compiled kernel, before compilation.
_force_parts: Any = symplectic.force_parts.py_func
_change: Any = symplectic.change.py_func
_turning_value: Any = symplectic.turning_value.py_func

# The few orbits that need more steps would leave an accelerator idle; the processor takes them.
_MOST_STEPS = 8192


def kernel_on(device: str, stars_at_once: int = 1 << 20) -> Kernel:
    """Kernel for :func:`mwatlas.dynamics.orbits.integrate_orbits`.

    Parameters
    ----------
    device
        Name of a device of torch with float64: ``cpu``, ``cuda``, ``cuda:1``.
    stars_at_once
        Stars on the device at a time; a million take about 1 GB.
    """

    def integrate(
        position: Floats,
        velocity: Floats,
        steps: NDArray[np.int64],
        duration: float,
        table: TabulatedPotential,
    ) -> Floats:
        short = int(np.searchsorted(steps, _MOST_STEPS, side="right"))
        parts = []
        if short:
            parts.append(
                _integrate(
                    position[:, :short], velocity[:, :short], steps[:short], duration, table, device
                )
            )
        if short < steps.size:
            parts.append(
                COMPILED.integrate(
                    position[:, short:], velocity[:, short:], steps[short:], duration, table
                )
            )
        return np.concatenate(parts, axis=1)

    return Kernel(integrate, stars_at_once)


def _force(x: Any, y: Any, z: Any, table: Any, disc: tuple[float, float, float]) -> Any:
    """As in the compiled kernel; tensors of shape (N,)."""
    import torch

    gm, a, b_square = disc
    planar_square = x * x + y * y
    bits = (planar_square + z * z).view(torch.int64).clamp(FIRST, LAST)
    row = (bits >> REST_BITS) - FIRST_BIN
    t = (((bits & REST) << (FRACTION_BITS - REST_BITS)) | ONE).view(torch.float64) - 1.0
    power = INVERSE - ((bits >> FRACTION_BITS) << FRACTION_BITS)
    c0, c1, c2, c3 = table[row].unbind(dim=1)
    spherical = ((c3 * t + c2) * t + c1) * t + c0
    slope = ((6 * c3 * t + 4 * c2) * t + 2 * c1) * (PARTS * power.view(torch.float64))
    zb = torch.sqrt(z * z + b_square)
    distance = torch.sqrt(planar_square + (a + zb) * (a + zb))
    return _force_parts(spherical, slope, zb, distance, gm, a)


def _turn(value: Any, slope: Any, next_value: Any, next_slope: Any) -> Any:
    import torch

    extreme = _turning_value(value, slope, next_value, next_slope)
    return torch.where(slope * next_slope < 0, extreme, next_value)


def _integrate(
    position: Floats,
    velocity: Floats,
    steps: NDArray[np.int64],
    duration: float,
    table: TabulatedPotential,
    device: str,
) -> Floats:
    """Rows as :func:`mwatlas.dynamics.symplectic.integrate_blocks`; ``steps`` ascend."""
    import torch

    def put(values: Floats) -> Any:
        return torch.as_tensor(np.ascontiguousarray(values), device=device)

    with torch.inference_mode():
        force, disc = put(table.force), table.disc
        step = duration / put(steps.astype(float))
        third = step * step / 12
        start = [*put(position), *put(velocity)]
        x, y, z, vx, vy, vz = start
        square = x * x + y * y + z * z
        slope = 2 * step * (x * vx + y * vy + z * vz)
        zero = torch.zeros_like(square)
        # Rows: smallest, largest, highest, fastest force, fastest star, last.
        low, high, height, rate, speed = square, square, z * z, zero, zero
        was = [square, slope, z, step * vz]
        for _ in range(3):
            f = _force(x, y, z, force, disc)
            g = _change(x, y, z, vx, vy, vz, f)
            x, y, z = (
                p + third * share * q
                for p, share, q in zip(start, (f[0], f[0], f[1]), (x, y, z), strict=False)
            )
            vx, vy, vz = (u - third * w for u, w in zip(start[3:], g, strict=True))
        kick = _kick(x, y, z, step, third, _force(x, y, z, force, disc))
        vx, vy, vz = (v - k for v, k in zip((vx, vy, vz), kick, strict=True))

        # Stars that are done are first; each row is cut where the others begin.
        out = torch.empty((symplectic.ROWS_OUT, steps.size), dtype=torch.float64, device=device)
        first = 0
        for done in range(int(steps[-1]) + 1):
            begin = int(np.searchsorted(steps, done))
            if begin > first:
                rows = (low, high, height, rate, speed, was[0])
                out[:, first:begin] = torch.stack([row[: begin - first] for row in rows])
                cut = begin - first
                x, y, z, vx, vy, vz, step, third = (
                    a[cut:] for a in (x, y, z, vx, vy, vz, step, third)
                )
                low, high, height, rate, speed = (a[cut:] for a in (low, high, height, rate, speed))
                was = [a[cut:] for a in was]
                first = begin
            f = _force(x, y, z, force, disc)
            kick = _kick(x, y, z, step, third, f)
            vx, vy, vz = (v + k for v, k in zip((vx, vy, vz), kick, strict=True))
            g = _change(x, y, z, vx, vy, vz, f)
            px, py, pz = x - third * f[0] * x, y - third * f[0] * y, z - third * f[1] * z
            ux, uy, uz = (v + third * w for v, w in zip((vx, vy, vz), g, strict=True))
            now = [
                px * px + py * py + pz * pz,
                2 * step * (px * ux + py * uy + pz * uz),
                pz,
                step * uz,
            ]
            if done > 0:
                extreme = _turn(was[0], was[1], now[0], now[1]).clamp(min=0)
                low, high = torch.minimum(low, extreme), torch.maximum(high, extreme)
            extreme = _turn(was[2], was[3], now[2], now[3])
            height = torch.maximum(height, extreme * extreme)
            was = now
            crossing = vz * f[3]
            rate = torch.maximum(rate, f[1] + crossing * crossing)
            speed = torch.maximum(speed, vx * vx + vy * vy + vz * vz)
            vx, vy, vz = (v + k for v, k in zip((vx, vy, vz), kick, strict=True))
            x, y, z = x + step * vx, y + step * vy, z + step * vz
        out[:, first:] = torch.stack([low, high, height, rate, speed, was[0]])
        return out.cpu().numpy()


def _kick(x: Any, y: Any, z: Any, step: Any, third: Any, f: Any) -> list[Any]:
    """Half of a step's change of the velocity."""
    force = (-f[0] * x, -f[0] * y, -f[1] * z)
    bend = _change(x, y, z, *force, f)
    return [0.5 * step * (a - third * b) for a, b in zip(force, bend, strict=True)]
