"""Networks that give the scores: they stand in for the flows, or learn from the stars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mwatlas.config.conditional_potential import Flows
from mwatlas.config.flows import FromStars
from mwatlas.errors import TrainingError
from mwatlas.flows.conditional_normal import NormalSettings
from mwatlas.flows.contrasting import ContrastingSettings
from mwatlas.flows.distilled import DistilledDensity
from mwatlas.flows.distilling import DistillingSettings
from mwatlas.flows.matching_flow import MatchingFlow
from mwatlas.flows.scores import compare_scores
from mwatlas.progress import Progress
from mwatlas.random import block_generator, draw_directions
from mwatlas.studies.conditional_potential.names import FlowKind
from mwatlas.studies.conditional_potential.training import (
    annealing,
    checkpoint_of,
    read_positions,
    training_stars,
)

Floats = NDArray[np.float64]

# Places at which the quick scores are compared with the flow's own.
_COMPARED = 512
# A flow of stars that are all inside has a few per cent outside, at the sharp edge.
_LEAST_INSIDE = 0.5


def distil_flow(
    kind: FlowKind,
    member: int,
    settings: Flows,
    radius_kpc: float,
    seed: int,
    *,
    flow_file: Path,
    stars: Sequence[Path],
    code: str,
    model_file: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Learn ln p as a network with quick scores, of velocities from the stars, else from a flow.

    Parameters
    ----------
    kind, member
        What the flow has learned, and its number in the ensemble.
    settings
        Settings of the study's flows.
    radius_kpc
        Radius of the volume.
    seed
        Seed of the run.
    flow_file
        The trained flow.
    stars
        Observed stars of the mock: half the places of velocities are theirs.
    code
        Hash of the code, part of the checkpoint's fingerprint.
    model_file
        File to write. The checkpoint lies beside it.
    progress
        Where to report epochs.

    Returns
    -------
    dict
        Quantiles 50, 90 and 99 % of the relative difference of scores from the flow's own,
        ``seconds`` of processor time, ``epochs`` of the training that was kept,
        number of ``parameters``.

    Raises
    ------
    ConfigError, InputError, TrainingError
        If the device or the flow's file is not there, or training diverges.
    """
    flow = MatchingFlow.load(flow_file, settings.device)
    chosen = settings.distillation
    rng = block_generator(seed, f"conditional_potential/distil/{kind}", member)
    from_stars = chosen.from_stars if kind == "velocities" else None
    # Those at which both are compared are not learned from.
    number = _COMPARED + (chosen.points if from_stars is None else 0)
    if kind == "velocities":
        given = mixed_places(read_positions(stars), number, 0.5, radius_kpc, rng)
        x = flow.sample(number, rng, given)
    else:
        given, x = None, sample_within(flow, number, radius_kpc, rng)
    density = DistilledDensity(
        3,
        flow.given_dimension,
        settings=DistillingSettings(
            annealing(chosen.training), chosen.width, chosen.depth, chosen.score_points
        ),
        seed=flow.seed,
        device=settings.device,
    )
    trained = np.frombuffer(flow_file.read_bytes(), dtype=np.uint8)
    checkpoint = checkpoint_of(model_file, f"{settings.model_dump_json()} {seed} {code}", trained)
    if from_stars is not None:
        which = kind, member, settings, seed, stars, ()
        history = density.learn_from_samples(
            *training_stars(*which),
            validation=training_stars(*which, validation=True) if settings.repeats > 1 else None,
            settings=contrasting(from_stars, settings.repeats),
            progress=progress,
            checkpoint=checkpoint,
        )
    else:
        points = x[_COMPARED:], None if given is None else given[_COMPARED:]
        history = density.learn(flow, *points, progress=progress, checkpoint=checkpoint)
    seconds = checkpoint.spent_seconds()
    density.save(model_file)
    checkpoint.remove()
    some = x[:_COMPARED], None if given is None else given[:_COMPARED]
    return {
        **asdict(compare_scores(density, flow, *some)),
        "seconds": seconds,
        "epochs": len(history),
        "parameters": density.parameters,
    }


def contrasting(settings: FromStars, longest: int = 1) -> ContrastingSettings:
    """Settings of a training on stars as its engine takes them, with up to so many its epochs."""
    moments = settings.moments
    normal = NormalSettings(annealing(moments), moments.width, moments.depth, moments.cell_rows)
    return ContrastingSettings(annealing(settings), settings.noise, longest, normal)


def mixed_places(
    observed: Floats, number: int, uniform_share: float, radius_kpc: float, rng: np.random.Generator
) -> Floats:
    """Places in random order, some of observed stars and the others uniform in radius.

    Velocities at given places do not depend on how the places are distributed, so the outskirts,
    where hardly a star is seen, can have their part.

    Parameters
    ----------
    observed
        Places of observed stars, shape (N, 3).
    number
        How many places.
    uniform_share
        Share of those uniform in radius.
    radius_kpc
        Radius of the volume.
    rng
        Source of randomness.

    Returns
    -------
    float64, shape (number, 3)
    """
    uniform = round(uniform_share * number)
    radii = radius_kpc * rng.random(uniform)
    places = np.concatenate(
        [
            observed[rng.integers(len(observed), size=number - uniform)],
            radii[:, None] * draw_directions(uniform, rng),
        ]
    )
    return places[rng.permutation(number)]


def sample_within(
    flow: MatchingFlow, number: int, radius_kpc: float, rng: np.random.Generator
) -> Floats:
    """Samples of a flow of positions inside the volume, shape (number, 3).

    Raises
    ------
    TrainingError
        If hardly a sample is inside: the flow has learned something else.
    """
    parts: list[Floats] = []
    missing = number
    while missing > 0:
        drawn = flow.sample(missing + missing // 50 + 16, rng)
        inside = drawn[np.linalg.norm(drawn, axis=1) < radius_kpc][:missing]
        if len(inside) < min(_LEAST_INSIDE * len(drawn), missing):
            raise TrainingError(
                "a flow of positions leaves the volume it was trained in",
                found=f"{len(inside)} of {len(drawn)} samples within {radius_kpc:g} kpc",
                expected=f"at least a share of {_LEAST_INSIDE}",
                remedy="train it longer or with a lower learning_rate (flows.positions.training)",
            )
        parts.append(inside)
        missing -= len(inside)
    return np.concatenate(parts)
