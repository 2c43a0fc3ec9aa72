"""Weights of a PyTorch module as NumPy arrays, as files and checkpoints have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


class WeightsModule(torch.nn.Module):
    """A module whose weights can be taken out and put back."""

    def get_arrays(self) -> list[NDArray[np.generic]]:
        """All weights in the module's order and precision, members along the first axis."""
        return [p.detach().cpu().numpy().copy() for p in self.parameters()]

    def set_arrays(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Restore :meth:`get_arrays`.

        Raises
        ------
        ValueError
            If there are more or fewer arrays than weights, or one has another shape.
        """
        parameters = list(self.parameters())
        check_shapes(arrays, [tuple(p.shape) for p in parameters])
        with torch.no_grad():
            for parameter, array in zip(parameters, arrays, strict=True):
                parameter.copy_(torch.as_tensor(array))


def check_shapes(arrays: Sequence[NDArray[Any]], expected: Sequence[tuple[int, ...]]) -> None:
    """Raise a ValueError unless there are as many arrays as shapes, and each has its shape.

    Copying alone would stretch one number over a whole matrix.
    """
    if len(arrays) != len(expected):
        raise ValueError(f"{len(arrays)} arrays of weights instead of {len(expected)}")
    for number, (array, shape) in enumerate(zip(arrays, expected, strict=True)):
        if np.shape(array) != shape:
            raise ValueError(f"weights {number} of shape {np.shape(array)} instead of {shape}")
