"""Flows on a Plummer sphere in phase space: flow matching, FFJORD and a spline flow, in one run.

    python benchmarks/flows.py [--seconds S] [--paper-seconds S] [--trace NAME] [--tests N]

Every flow learns the same 2^17 samples in one thread. First all train for the same CPU time; then
FFJORD at the size of Kalda & Green (2025) trains for its own budget, and flow matching at the size
of Kalda & Green (2026) for 4, 8, 16, ... seconds until it is as good. Each has batches that suit it
in short trainings, smaller than the papers' 8,192 rows: a step of FFJORD costs as much as its rows,
one of flow matching hardly less with fewer. FFJORD's divergence is by default that of Hutchinson,
cheaper than the paper's exact one. Printed: the mean of ln f_true - ln f_model over held-out
samples with its standard error, samples per second of training, scores per second by the plain
route, and their median error. What a compiler does once is not counted. The spline flow (NSF) needs
the package zuko.
"""

import argparse
import importlib.util
import logging
import time
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import plummer_sample as sphere
import torch

from mwatlas.flows.annealing import Annealing
from mwatlas.flows.data import Standard
from mwatlas.flows.matching import MatchingSettings
from mwatlas.flows.matching_flow import MatchingFlow
from mwatlas.flows.ode import Solver
from mwatlas.flows.scores import relative_difference
from mwatlas.flows.vector_field import FieldSettings
from mwatlas.progress import Progress

PROGRESS = Progress("benchmark", logging.getLogger("mwatlas"))
ROWS = 1 << 17
SCORES = 512
# Steps in time resolve frequencies up to their number.
SMALL_FIELD = FieldSettings(width=192, depth=2, time_features=16, highest_frequency=8.0)
PAPER_FIELD = FieldSettings(width=256, depth=6, time_features=32, highest_frequency=8.0)


class Learned(Protocol):
    """What is measured."""

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """Ln p (N,) of points (N, 6)."""
        ...

    def score(self, x: np.ndarray) -> tuple[np.ndarray, None]:
        """Scores (N, 6) of points."""
        ...


@dataclass
class Run:
    """A flow after a training of so many rows in so many CPU seconds."""

    flow: Learned
    rows: int
    seconds: float

    def line(self, name: str, tests: np.ndarray, shell: np.ndarray) -> str:
        """One line of the table."""
        lost, error = sphere.deficit(self.flow.log_prob(tests), tests)
        self.flow.score(shell[:SCORES])
        start = time.process_time()
        scores = self.flow.score(shell[:SCORES])[0]
        speed = len(scores) / (time.process_time() - start)
        wrong = relative_difference(scores, sphere.score(shell[:SCORES]))[0]
        return (
            f"{name:28} {self.seconds:7.0f} {self.rows / self.seconds:10,.0f} "
            f"{lost:8.4f} +- {error:.4f} {speed:9,.0f} {wrong:8.3f}"
        )


def matching(data: np.ndarray, field: FieldSettings, seconds: float, rate: float = 2e-3) -> Run:
    """Flow matching for about that much time; the rate is annealed over it."""

    def fit(rows: int, epochs: int) -> Run:
        training = Annealing(epochs, 2048, learning_rate=rate, optimizer="muon")
        flow = MatchingFlow(6, settings=MatchingSettings(field, training), solver=Solver(steps=8))
        start = time.process_time()
        flow.fit(data[:rows], progress=PROGRESS)
        return Run(flow, rows * epochs, time.process_time() - start)

    fit(4096, 1)
    speed = 16384 / fit(16384, 1).seconds
    # Less than an epoch is one epoch over fewer samples.
    return fit(min(ROWS, int(seconds * speed)), max(1, round(seconds * speed / ROWS)))


class Ffjord:
    """A chain in training, in the units of the data."""

    def __init__(self, data: np.ndarray, paper: bool, trace: str, batch: int) -> None:
        from mwatlas.flows import ffjord_settings as settings
        from mwatlas.flows.ffjord_chain import Chain
        from mwatlas.flows.ffjord_training import Rows, Trainer

        shape = settings.ChainSettings() if paper else settings.ChainSettings(1, 3, 64)
        training = settings.FfjordTraining(1, batch, patience_steps=256, trace=trace)
        chosen = settings.FfjordSettings(training, shape)
        self._standard = Standard.of(data, np.ones(len(data)), "data")
        self._chain = Chain(6, 0, shape, chosen.solver)
        self._trainer, self._steps = Trainer(self._chain, chosen, 0), 0
        z = self._standard.apply(data).astype(np.float32)
        self._rows = Rows(z, np.empty((len(z), 0), np.float32), np.ones(len(z), np.float32))
        self._rng, self._batch = np.random.default_rng(0), batch
        self.seconds, self.rows = 0.0, 0

    def train(self, seconds: float) -> Run:
        """Train until so many seconds have passed in all; the first step compiles."""
        share = len(self._rows) // 4
        while self.seconds < seconds:
            # Held-out rows come first, as the trainer's own validation does.
            held_out = self._rng.integers(0, share, self._batch // 4)
            part = self._rng.integers(share, len(self._rows), self._batch)
            start = time.process_time()
            self._trainer.step(self._steps, self._rows.at(part), self._rows.at(held_out))
            if self._steps:
                self.seconds += time.process_time() - start
                self.rows += self._batch
            self._steps += 1
        return Run(self, self.rows, self.seconds)

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """Ln p of points."""
        return self._call("log_density", x).astype(float) - np.log(self._standard.std).sum()

    def score(self, x: np.ndarray) -> tuple[np.ndarray, None]:
        """Scores of points."""
        return self._call("score", x)[0] / self._standard.std, None

    def _call(self, what: str, x: np.ndarray) -> np.ndarray:
        from mwatlas.flows.ffjord_chain import compiled

        z = self._standard.apply(x).astype(np.float32)
        none = np.empty((len(x), 0), np.float32)
        result = compiled(self._chain, what)(self._trainer.weights, z, none)
        return [part.numpy() for part in result] if what == "score" else result.numpy()


class Spline:
    """A neural spline flow of zuko with the settings of its documentation."""

    def __init__(self, data: np.ndarray) -> None:
        import zuko

        torch.manual_seed(0)
        self._flow = zuko.flows.NSF(features=6, transforms=3, hidden_features=(64, 64))
        self._standard = Standard.of(data, np.ones(len(data)), "data")
        self._z = torch.as_tensor(self._standard.apply(data), dtype=torch.float32)

    def train(self, seconds: float, batch: int = 2048) -> Run:
        """Train for so many seconds by Adam, the rate annealed over them."""
        optimizer = torch.optim.Adam(self._flow.parameters(), lr=1e-3)
        rng, rows, start = torch.Generator().manual_seed(0), 0, time.process_time()
        while (spent := time.process_time() - start) < seconds:
            optimizer.param_groups[0]["lr"] = 0.5e-3 * (1 + np.cos(np.pi * spent / seconds))
            part = torch.randint(len(self._z), (batch,), generator=rng)
            optimizer.zero_grad()
            (-self._flow().log_prob(self._z[part]).mean()).backward()
            optimizer.step()
            rows += batch
        return Run(self, rows, spent)

    def log_prob(self, x: np.ndarray) -> np.ndarray:
        """Ln p of points."""
        with torch.no_grad():
            value = self._flow().log_prob(self._put(x)).double().numpy()
        return value - np.log(self._standard.std).sum()

    def score(self, x: np.ndarray) -> tuple[np.ndarray, None]:
        """Scores of points."""
        z = self._put(x).requires_grad_()
        slope = torch.autograd.grad(self._flow().log_prob(z).sum(), z)[0]
        return slope.double().numpy() / self._standard.std, None

    def _put(self, x: np.ndarray) -> torch.Tensor:
        return torch.as_tensor(self._standard.apply(x), dtype=torch.float32)


def paper_sizes(options: argparse.Namespace, data: np.ndarray, tests: np.ndarray) -> None:
    """Time to equal held-out likelihood at the sizes of the papers."""
    ffjord = Ffjord(data, paper=True, trace=options.trace, batch=options.paper_batch)
    marks, budget = [], min(60.0, options.paper_seconds)
    while True:
        run = ffjord.train(budget)
        lost, error = sphere.deficit(ffjord.log_prob(tests), tests)
        print(
            f"FFJORD 3 x 12 x 192, {options.trace} trace: {run.seconds:6.0f} s, "
            f"{run.rows / run.seconds:6,.0f} samples/s, {lost:.4f} +- {error:.4f} nats",
            flush=True,
        )
        marks.append((run.seconds, lost))
        if budget >= options.paper_seconds:
            break
        budget = min(2 * budget, options.paper_seconds)
    reached, best = [], min(lost for _, lost in marks)
    for budget in (2.0**k for k in range(2, 11)):
        run = matching(data, PAPER_FIELD, budget, rate=4e-3)
        lost, error = sphere.deficit(run.flow.log_prob(tests), tests)
        print(
            f"flow matching 6 x 2 x 256: {run.seconds:6.2f} s, {run.rows / run.seconds:6,.0f} "
            f"samples/s, {lost:.4f} +- {error:.4f} nats",
            flush=True,
        )
        reached.append((run.seconds, lost))
        if lost <= best:
            break
    for seconds, lost in marks:
        sooner = next((f"{seconds / s:.0f} times sooner" for s, x in reached if x <= lost), "never")
        print(f"flow matching as good as FFJORD after {seconds:.0f} s: {sooner}")


def main(options: argparse.Namespace) -> None:
    """Train, measure and print."""
    torch.set_num_threads(1)
    data = sphere.draw(ROWS, 1)
    tests, shell = sphere.draw(options.tests, 2), sphere.shell(2048, 3)
    if options.seconds:
        heads = ("CPU s", "rows/s", "ln f deficit, nats", "scores/s", "error")
        print(f"{'':28} {heads[0]:>7} {heads[1]:>10} {heads[2]:>18} {heads[3]:>9} {heads[4]:>8}")
        run = matching(data, SMALL_FIELD, options.seconds)
        print(run.line("flow matching, 2 x 2 x 192", tests, shell), flush=True)
        for trace in ("hutchinson", "exact"):
            run = Ffjord(data, paper=False, trace=trace, batch=1024).train(options.seconds)
            print(run.line(f"FFJORD, 3 x 64, {trace}", tests, shell), flush=True)
        if importlib.util.find_spec("zuko"):
            run = Spline(data).train(options.seconds)
            print(run.line("NSF (zuko)", tests, shell), flush=True)
    if options.paper_seconds:
        paper_sizes(options, data, tests[: options.paper_tests])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=180.0, help="0 leaves this part out")
    parser.add_argument("--paper-seconds", type=float, default=600.0, help="0 leaves it out")
    parser.add_argument("--paper-batch", type=int, default=256)
    parser.add_argument("--paper-tests", type=int, default=1024)
    parser.add_argument("--trace", choices=("exact", "hutchinson"), default="hutchinson")
    parser.add_argument("--tests", type=int, default=4096)
    main(parser.parse_args())
