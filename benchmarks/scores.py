"""Scores of a flow: the quick route against the plain route, in the same run.

    python benchmarks/scores.py [--train SECONDS] [--points N] [--epochs N] [--width N] [--depth N]
        [--scored N] [--peer SECONDS] [--contrast N] [--tests N] [--solved N]

A flow learns a Plummer sphere in phase space by matching. The plain route differentiates through
the steps of Runge-Kutta; the quick route is a scalar network distilled from ln p of the flow, and
from plain scores at some of the points. A network of the same shape that learns from the samples
themselves, by noise contrast, has the same rate and no flow's errors. The peer is denoising score
matching on the same data. All in one thread and CPU time. Prints for each: samples per second,
median difference from the plain route, median error against the analytic score, |s - s'| / |s'|
where 0.2 < r < 4, and by how much that is above the plain route's, with the standard error of that
difference over the points. Then a potential is solved for with each route's scores at the same
samples; printed are median differences of its acceleration from the plain route's and the truth.
"""

import argparse
import logging
import time
from collections.abc import Callable

import numpy as np
import plummer_sample as sphere
import torch

from mwatlas.flows.annealing import Annealing, anneal, epoch_generator
from mwatlas.flows.contrasting import ContrastingSettings
from mwatlas.flows.data import Standard
from mwatlas.flows.distilled import DistilledDensity
from mwatlas.flows.distilling import DistillingSettings
from mwatlas.flows.matching import MatchingSettings
from mwatlas.flows.matching_flow import MatchingFlow
from mwatlas.flows.ode import Solver
from mwatlas.flows.residual import ResidualNetwork
from mwatlas.flows.scores import relative_differences
from mwatlas.flows.vector_field import FieldSettings
from mwatlas.potential.boltzmann_fields import Method
from mwatlas.potential.fields import FieldShape
from mwatlas.potential.least_squares import LeastSquares
from mwatlas.potential.phase_samples import PhaseSamples
from mwatlas.potential.solver import SolverSettings, solve
from mwatlas.progress import Progress

PROGRESS = Progress("benchmark", logging.getLogger("mwatlas"))
FIELD = FieldSettings(width=192, depth=2, time_features=16, highest_frequency=8.0)
NOISE = 0.1
QUICK_ROWS = 1 << 16


def fitted_flow(data: np.ndarray, seconds: float) -> tuple[MatchingFlow, float]:
    """A flow that learned for about that much CPU time, and the time it took."""

    def fit(epochs: int) -> tuple[MatchingFlow, float]:
        training = Annealing(epochs, batch_size=2048, learning_rate=2e-3)
        flow = MatchingFlow(6, settings=MatchingSettings(FIELD, training), solver=Solver(steps=8))
        start = time.process_time()
        flow.fit(data, progress=PROGRESS)
        return flow, time.process_time() - start

    return fit(max(1, round(seconds / fit(1)[1])))


def denoising(data: np.ndarray, seconds: float) -> Callable[[np.ndarray], np.ndarray]:
    """Scores by denoising score matching (Vincent 2011), after so much CPU time."""
    standard = Standard.of(data, np.ones(len(data)), "data")
    rows = torch.as_tensor(standard.apply(data), dtype=torch.float32)

    def train(epochs: int) -> ResidualNetwork:
        training = Annealing(epochs, batch_size=2048, learning_rate=2e-3)
        network = ResidualNetwork([0], 6, 6, FIELD.width, FIELD.depth)

        def batches(epoch: int):
            rng = epoch_generator(0, epoch, rows.device)
            order = torch.randperm(len(rows), generator=rng)
            for part in order.tensor_split(training.steps(len(rows))):
                noise = torch.randn(len(part), 6, generator=rng)
                yield rows[part] + NOISE * noise, noise

        def loss(batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
            # The network gives NOISE times the score: numbers of order one.
            return ((network(batch[0][None])[0] + batch[1]) ** 2).mean()[None]

        anneal(network, len(rows), batches, loss, training, lambda *_: None)
        return network.requires_grad_(False)

    start = time.process_time()
    train(1)
    network = train(max(1, round(seconds / (time.process_time() - start))))

    def score(points: np.ndarray) -> np.ndarray:
        z = torch.as_tensor(standard.apply(points), dtype=torch.float32)
        return network(z[None])[0].double().numpy() / NOISE / standard.std

    return score


def rate(score: Callable[[np.ndarray], object], points: np.ndarray) -> float:
    """Samples per second of CPU time, the best of three."""
    score(points[:16])
    seconds = []
    for _ in range(3):
        start = time.process_time()
        score(points)
        seconds.append(time.process_time() - start)
    return len(points) / min(seconds)


def above(errors: np.ndarray, others: np.ndarray) -> tuple[float, float]:
    """Difference of two medians over the same points, and its standard error by bootstrap."""
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(errors), (500, len(errors)))
    drawn = np.median(errors[rows], axis=1) - np.median(others[rows], axis=1)
    return float(np.median(errors) - np.median(others)), float(drawn.std())


def acceleration(points: np.ndarray, scores: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Acceleration at places (N, 3) of the potential in which f is steady, by its scores."""
    samples = PhaseSamples(points[:, :3], points[:, 3:], scores[:, :3], scores[:, 3:])
    optimiser = LeastSquares(batches=6, steps=10, batch_size=2048, last_batch_size=len(points))
    settings = SolverSettings(FieldShape(12), FieldShape(12), optimiser)
    solved = solve(samples, Method.VANILLA, settings, [0], lambda *_: None)
    return solved.acceleration(places)[0]


def main(options: argparse.Namespace) -> None:
    """Learn, distil, compare and print."""
    torch.set_num_threads(1)
    data, tests = sphere.draw(1 << 17, 1), sphere.shell(options.tests, 2)
    flow, seconds = fitted_flow(data, options.train)
    lost, error = sphere.deficit(flow.log_prob(tests), tests)
    print(f"flow matching, {seconds:.0f} s: {lost:.4f} +- {error:.4f} nats below the true ln f")
    training = Annealing(options.epochs, 1024, options.rate, weight_decay=0.0)
    settings = DistillingSettings(training, options.width, options.depth, options.scored)
    quick = DistilledDensity(6, settings=settings)
    start = time.process_time()
    quick.learn(flow, data[: options.points], progress=PROGRESS)
    print(f"distilling: {time.process_time() - start:.0f} s in all, {settings}")
    contrasting = ContrastingSettings(Annealing(options.contrast, 2048, 2e-3, optimizer="muon"), 4)
    direct = DistilledDensity(6, settings=settings)
    start = time.process_time()
    direct.learn_from_samples(data, settings=contrasting, progress=PROGRESS)
    print(f"noise contrast: {time.process_time() - start:.0f} s in all, {contrasting}")
    peer = denoising(data, options.peer)
    many = np.resize(tests, (QUICK_ROWS, 6))
    truth = sphere.score(tests)
    plain_rate = rate(flow.score, tests[:512])
    print(
        f"{'':10} {'samples/s':>10} {'ratio':>7} {'to plain':>9} {'to truth':>9} "
        f"{'above plain':>18}   (medians)"
    )
    routes = {
        "plain": lambda points: flow.score(points)[0],
        "quick": lambda points: quick.score(points)[0],
        "contrast": lambda points: direct.score(points)[0],
        "denoising": peer,
    }
    scores = {name: route(tests) for name, route in routes.items()}
    for name, values in scores.items():
        speed = plain_rate if name == "plain" else rate(routes[name], many)
        wrong = relative_differences(values, truth)
        more, error = above(wrong, relative_differences(scores["plain"], truth))
        print(
            f"{name:10} {speed:10,.0f} {speed / plain_rate:7.0f} "
            f"{np.median(relative_differences(values, scores['plain'])):9.4f} "
            f"{np.median(wrong):9.4f} "
            f"{more:9.4f} +- {error:.4f}"
        )
    points, places = sphere.draw(options.solved, 3), tests[:, :3]
    exact = sphere.SPHERE.acceleration(torch.as_tensor(places)).numpy()
    solved = {
        name: acceleration(points, route(points), places)
        for name, route in {**routes, "analytic": sphere.score}.items()
    }
    print(f"{'':10} {'to plain':>9} {'to truth':>9}   (acceleration, medians)")
    for name, found in solved.items():
        print(
            f"{name:10} {np.median(relative_differences(found, solved['plain'])):9.4f} "
            f"{np.median(relative_differences(found, exact)):9.4f}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=float, default=150.0)
    parser.add_argument("--peer", type=float, default=60.0)
    parser.add_argument("--points", type=int, default=1 << 15)
    parser.add_argument("--scored", type=int, default=4096)
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--rate", type=float, default=3e-3)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--depth", type=int, default=2)
    parser.add_argument("--contrast", type=int, default=16, help="epochs")
    parser.add_argument("--tests", type=int, default=2048)
    parser.add_argument("--solved", type=int, default=1 << 14)
    main(parser.parse_args())
