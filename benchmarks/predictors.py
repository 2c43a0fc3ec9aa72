"""Predictors of line-of-sight velocities on real bright stars, each star out of fold.

    python benchmarks/predictors.py DATA MODELS

DATA is the folder of gaia_dr3_bright.parquet, the input of release `brightsky`. The stars are those
of the study: base cut, five subsets, every subset predicted by a network that did not see it.
Networks are trained into the folder MODELS, about a quarter of an hour for the paper's and five
minutes for each mixture on one core; those that are there already are used again.

Prints for each predictor the mean negative log-likelihood with its scatter among subsets, the
coverage of central intervals, the correlation of predicted and measured velocities, and stars
per CPU second in training (each star counted once) and prediction; then the share of stars to
which the mixture gives the larger density.
"""

import json
import logging
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mwatlas.archive.files import import_files
from mwatlas.calibration import calibrated, fit_calibration
from mwatlas.catalogs import clean_stars
from mwatlas.config import Settings, load_settings
from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.learning.model_file import load_model, predict
from mwatlas.predictive import CENTRAL, Predictive, in_interval, normal
from mwatlas.progress import Progress
from mwatlas.studies.line_of_sight.folds import (
    sort_into_folds,
    training_subsets,
    validation_subset,
)
from mwatlas.studies.line_of_sight.selection import select_sample
from mwatlas.studies.line_of_sight.training import Subset, read_subset, train_round

PROGRESS = Progress("predictors", logging.getLogger("mwatlas"))


@dataclass
class Row:
    """What a predictor does: its densities for each subset, and its CPU seconds."""

    name: str
    densities: list[Predictive]
    training_seconds: float = np.nan
    prediction_seconds: float = np.nan


def make_folds(settings: Settings, data: Path, folder: Path) -> list[Path]:
    """Stars of the study with a velocity, one file for each subset."""
    adapter, study = settings.adapter, settings.line_of_sight
    folds = [folder / f"fold{k}.parquet" for k in range(study.cross_validation.folds)]
    if all(path.exists() for path in folds):
        return folds
    raw, stars, sample = (folder / f"{name}.parquet" for name in ("raw", "stars", "sample"))
    files = [data / name for name in adapter.source.paths]
    import_files(files, adapter.source, [raw], adapter.healpix_order, PROGRESS)
    clean_stars(raw, adapter, stars, folder / "clean.json", PROGRESS)
    select_sample(stars, adapter, study, sample, folder / "cuts.json", PROGRESS)
    sort_into_folds([sample], adapter, study.cross_validation, folds)
    return folds


def train(
    study: LineOfSight, seed: int, folds: list[Path], folder: Path
) -> tuple[list[Path], float]:
    """Models of all rounds, and the CPU seconds that their training took."""
    folder.mkdir(exist_ok=True)
    models, seconds = [], 0.0
    for test in range(len(folds)):
        model, took = folder / f"round{test}.keras", folder / f"round{test}.seconds.json"
        models.append(model)
        if not took.exists():
            start = time.process_time()
            train_round(
                test=test,
                training_files=[folds[k] for k in training_subsets(test, study.cross_validation)],
                validation_file=folds[validation_subset(test, study.cross_validation)],
                study=study,
                seed=seed,
                code="benchmark",
                model_file=model,
                history_file=model.with_suffix(".parquet"),
                progress=PROGRESS,
            )
            took.write_text(json.dumps(time.process_time() - start))
        seconds += json.loads(took.read_text())
    return models, seconds


def predicted(name: str, models: list[Path], subsets: list[Subset], training: float) -> Row:
    """Densities of each subset from the model that did not see it."""
    loaded = [load_model(path) for path in models]
    predict(loaded[0], subsets[0].astrometry[:1])  # what is done once
    start = time.process_time()
    densities = [predict(m, s.astrometry) for m, s in zip(loaded, subsets, strict=True)]
    return Row(name, densities, training, time.process_time() - start)


def constant(study: LineOfSight, subsets: list[Subset]) -> Row:
    """Mean and scatter of the training stars for everyone."""
    densities = []
    for test, subset in enumerate(subsets):
        used = training_subsets(test, study.cross_validation)
        velocity = np.concatenate([subsets[k].velocity for k in used])
        same = np.full(subset.velocity.size, velocity.mean())
        densities.append(normal(same, np.full(same.size, velocity.std())))
    return Row("constant", densities)


def with_calibration(
    row: Row, method: str, study: LineOfSight, models: list[Path], subsets: list[Subset]
) -> Row:
    """The same densities, calibrated on the validation subset of each round."""
    densities = []
    for test, density in enumerate(row.densities):
        checked = subsets[validation_subset(test, study.cross_validation)]
        seen = predict(load_model(models[test]), checked.astrometry)
        by = fit_calibration(seen, checked.velocity, method, study.calibration.groups)
        densities.append(calibrated(density, by))
    return Row(f"{row.name}, {method}", densities)


def print_row(row: Row, subsets: list[Subset]) -> np.ndarray:
    """Print one line of the table; return the log-likelihood of each star."""
    pairs = list(zip(row.densities, subsets, strict=True))
    log_prob = [density.log_prob(subset.velocity) for density, subset in pairs]
    losses = np.array([-values.mean() for values in log_prob])
    probability = np.concatenate([density.cdf(subset.velocity) for density, subset in pairs])
    velocity = np.concatenate([subset.velocity for subset in subsets])
    mean = np.concatenate([density.mean() for density in row.densities])
    correlation = np.corrcoef(mean, velocity)[0, 1] if row.name != "constant" else 0.0
    everyone = np.concatenate(log_prob)
    shares = [100 * in_interval(probability, within).mean() for within in CENTRAL.values()]
    rates = [velocity.size / s for s in (row.training_seconds, row.prediction_seconds)]
    print(
        f"{row.name:32} {-everyone.mean():7.4f} +- {losses.std(ddof=1) / np.sqrt(losses.size):.4f}"
        f"  {shares[0]:6.2f}  {shares[1]:6.2f}  {correlation:6.3f}"
        + "".join(f" {rate:10,.0f}" if np.isfinite(rate) else f"{'':11}" for rate in rates),
        flush=True,
    )
    return everyone


def main(data: Path, folder: Path) -> None:
    """Train what is missing, predict, and print the table."""
    folder.mkdir(parents=True, exist_ok=True)
    settings = load_settings({"release": "brightsky", "data_dir": str(data)}, Path.cwd())
    study, mixture = settings.line_of_sight, settings.line_of_sight.variant("mixture")
    folds = make_folds(settings, data, folder)
    subsets = [read_subset([path]) for path in folds]
    network = mixture.network.model_copy(update={"inputs": "paper"})
    print(f"{sum(s.velocity.size for s in subsets):,} stars in {len(subsets)} subsets")
    heads = ("68.27 %", "95.45 %", "corr.", "train/s", "predict/s")
    print(f"{'':32} {'mean NLL, nats':>17} " + "{:>7} {:>7} {:>7} {:>10} {:>10}".format(*heads))
    print_row(constant(study, subsets), subsets)
    models, seconds = train(study, settings.seed, folds, folder / "paper")
    paper = predicted("paper's network", models, subsets, seconds)
    of_paper = print_row(paper, subsets)
    for method in ("conformal", "isotonic"):
        print_row(with_calibration(paper, method, study, models, subsets), subsets)
    on_paper_inputs = mixture.model_copy(update={"network": network})
    for inputs, variant in (("paper", on_paper_inputs), ("physical", mixture)):
        models, seconds = train(variant, settings.seed, folds, folder / f"mixture_{inputs}")
        row = predicted(f"mixture, {inputs} inputs", models, subsets, seconds)
        of_mixture = print_row(row, subsets)
    larger, gain = of_mixture > of_paper, of_mixture - of_paper
    print(f"larger density than the paper's network: {larger.mean():.1%} of the stars", end=", ")
    print(f"{gain.mean():.4f} +- {gain.std() / np.sqrt(gain.size):.4f} nats on average")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
