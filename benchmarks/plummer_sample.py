"""Phase-space samples of a Plummer sphere with their true ln f and scores."""

import math

import numpy as np
import torch

from mwatlas.potential.plummer import Plummer

RADIUS = 8.0
SPHERE = Plummer()
# Of the mass, within the radius to which samples are drawn: ln f is normalised there.
SHARE = (1 + RADIUS**-2) ** -1.5


def draw(rows: int, seed: int) -> np.ndarray:
    """Positions and velocities in units of the sphere; shape (rows, 6)."""
    rng = np.random.default_rng(seed)
    position = SPHERE.draw_positions(rows, rng, RADIUS)
    return np.concatenate([position, SPHERE.draw_velocities(position, rng)], axis=1)


def shell(rows: int, seed: int) -> np.ndarray:
    """Samples with 0.2 < r < 4, where scores are neither zero nor of very few stars."""
    points = draw(2 * rows, seed)
    radius = np.linalg.norm(points[:, :3], axis=1)
    return points[(radius > 0.2) & (radius < 4.0)][:rows]


def log_f(points: np.ndarray) -> np.ndarray:
    """True ln f within the radius; shape (rows,)."""
    return _log_f(torch.as_tensor(points)).numpy()


def score(points: np.ndarray) -> np.ndarray:
    """True derivatives of ln f; shape (rows, 6)."""
    place = torch.as_tensor(points).requires_grad_()
    return torch.autograd.grad(_log_f(place).sum(), place)[0].numpy()


def deficit(log_prob: np.ndarray, points: np.ndarray) -> tuple[float, float]:
    """Mean of ln f_true - ln f_model in nats, and its standard error."""
    lost = log_f(points) - log_prob
    return float(lost.mean()), float(lost.std() / math.sqrt(lost.size))


def _log_f(points: torch.Tensor) -> torch.Tensor:
    x, v = points[:, :3], points[:, 3:]
    return SPHERE.log_density(x) + SPHERE.log_velocity_density(x, v) - math.log(SHARE)
