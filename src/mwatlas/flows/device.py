"""The device torch computes on, checked before work begins."""

from __future__ import annotations

import torch

from mwatlas.errors import ConfigError


def checked_device(name: str, item: str = "device") -> torch.device:
    """The device of that name: ``cpu``, ``cuda``, ``cuda:1``; ``item`` is the key that has it.

    Raises
    ------
    ConfigError
        If there is no such device on this machine.
    """
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            "the device to compute on is not there",
            item=item,
            found=f"{name!r}: {str(error).splitlines()[0]}",
            expected="cpu, or cuda on a machine with an accelerator and a torch built for it",
            remedy="set the device to cpu, or run where the accelerator is",
        ) from error
    return device
