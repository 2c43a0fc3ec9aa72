"""Potentials that were solved for, several members side by side."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mwatlas.flows.device import checked_device
from mwatlas.flows.storage import opened_model, weights_by_name, weights_of, write_model
from mwatlas.potential.boltzmann_fields import BoltzmannFields, Method
from mwatlas.potential.degeneracy import Degeneracy
from mwatlas.potential.derivatives import gradient, gradient_and_laplacian
from mwatlas.potential.phase_samples import Floats, PhaseSamples
from mwatlas.potential.recipe import Recipe

KIND = "ensemble of potentials"

# Points at a time, over all members: of a network of 20 layers of 256, derivatives keep 1 GB.
_POINTS = 2**13


@dataclass(frozen=True)
class Ensemble:
    """M solutions of the Boltzmann equation; all in the units of the samples.

    Parameters
    ----------
    fields
        The solutions, in double precision.
    recipe
        How they were made.
    history
        Loss of each member by epoch (AdamW), or misfit by batch (least squares).
    validation_loss
        The loss of the paper on the samples for validation, or on those trained on without any;
        one for each member.
    log_extra_zero
        What is subtracted from the network of ln n or ln S; one for each member.
    degeneracy
        Whether the two fields could be told apart; None for the vanilla method.
    """

    fields: BoltzmannFields
    recipe: Recipe
    history: list[list[float]]
    validation_loss: list[float]
    log_extra_zero: list[float]
    degeneracy: Degeneracy | None

    def potential(self, x: Floats) -> Floats:
        """Potential up to a constant at points (N, 3); shape (M, N)."""
        return self._evaluate(self.fields.potential, x)

    def acceleration(self, x: Floats) -> Floats:
        """Minus the gradient of the potential at points (N, 3); shape (M, N, 3)."""
        return self._evaluate(lambda points: -gradient(self.fields.potential, points), x)

    def mass_density(self, x: Floats) -> Floats:
        """Laplacian of the potential over 4 pi at points (N, 3), G = 1; shape (M, N)."""

        def density(points: Tensor) -> Tensor:
            return gradient_and_laplacian(self.fields.potential, points)[1] / (4 * math.pi)

        return self._evaluate(density, x)

    def log_extra(self, x: Floats) -> Floats:
        """Ln n or ln S at points (N, 3); shape (M, N).

        Only their gradients follow from the equation. By convention the mean of ln n over the
        samples is zero, and so is the largest ln S among them.
        """
        return self._evaluate(self._extra(), x) - np.array(self.log_extra_zero)[:, None]

    def log_extra_gradient(self, x: Floats) -> Floats:
        """Gradient of ln n or of ln S at points (N, 3); shape (M, N, 3)."""
        extra = self._extra()
        return self._evaluate(lambda points: gradient(extra, points), x)

    def residual(self, samples: PhaseSamples) -> Floats:
        """Rate of change of ln f at samples; shape (M, N)."""
        tensors = samples.tensors(torch.float64, self._device)
        parts = zip(*(torch.split(t, self._rows) for t in tensors), strict=True)
        with torch.no_grad():
            return np.concatenate(
                [self.fields(*(t[None] for t in part)).cpu().numpy() for part in parts], axis=1
            )

    def frame_parameters(self) -> dict[str, Floats]:
        """Free parameters of the frame by name; shape (M, 3), or (M, 1) for the rotation."""
        return {k: v.detach().cpu().numpy() for k, v in self.fields.free_frame().items()}

    def parameter_counts(self) -> dict[str, int]:
        """Numbers a member trains: of the potential, of the extra field, of the frame."""
        parts = {"potential": 0, "extra": 0, "frame": 0}
        for name, parameter in self.fields.named_parameters():
            parts[name.split(".")[0].removeprefix("_")] += parameter[0].numel()
        return parts

    def save(self, path: str | Path) -> None:
        """Write to HDF5; the same ensemble gives the same bytes."""
        settings = {
            "recipe": self.recipe.to_json(),
            "members": self.fields.members,
            "history": self.history,
            "validation_loss": self.validation_loss,
            "log_extra_zero": self.log_extra_zero,
            "degeneracy": asdict(self.degeneracy) if self.degeneracy else None,
        }
        write_model(path, KIND, settings, weights_by_name(self.fields.get_arrays()))

    @classmethod
    def load(cls, path: str | Path, device: str = "cpu") -> Ensemble:
        """Read what :meth:`save` wrote.

        Raises
        ------
        InputError
            If the file is absent, broken or of another kind.
        ConfigError
            If the device is not there.
        """
        with opened_model(path, KIND) as (settings, arrays):
            recipe = Recipe.from_json(settings["recipe"])
            # Weights that any seeds would give are replaced.
            fields = recipe.build([0] * settings["members"]).to(
                checked_device(device), torch.float64
            )
            fields.set_arrays(weights_of(arrays))
            verdict = settings["degeneracy"]
            return cls(
                fields,
                recipe,
                settings["history"],
                settings["validation_loss"],
                settings["log_extra_zero"],
                Degeneracy(**verdict) if verdict else None,
            )

    @property
    def _device(self) -> torch.device:
        return next(self.fields.parameters()).device

    @property
    def _rows(self) -> int:
        return max(_POINTS // self.fields.members, 1)

    def _extra(self) -> torch.nn.Module:
        if self.fields.extra is None:
            raise ValueError(f"method '{Method.VANILLA}' solves for no field but the potential")
        return self.fields.extra

    def _evaluate(self, function: Callable[[Tensor], Tensor], x: Floats) -> Floats:
        points = torch.as_tensor(x, dtype=torch.float64, device=self._device)
        with torch.no_grad():
            return np.concatenate(
                [
                    function(self.fields.for_members(part[None])).cpu().numpy()
                    for part in torch.split(points, self._rows)
                ],
                axis=1,
            )
