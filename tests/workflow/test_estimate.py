"""The estimate knows every job of a real run, and what it wrote."""

from __future__ import annotations

from collections import Counter

import pytest

from mwatlas.config import load_settings, read_yaml
from mwatlas.estimate.finished_run import FinishedRun
from mwatlas.estimate.plan import estimate
from tests.conftest import ROOT

from .conftest import SMALL, Workflow

pytestmark = pytest.mark.slow


def test_a_real_run_is_estimated_from_itself(finished: Workflow) -> None:
    settings = load_settings(read_yaml(ROOT / SMALL), ROOT)
    result = estimate(settings, [FinishedRun(finished.results)], cores=2)
    jobs: Counter[str] = Counter()
    for row in result.rows:
        jobs[row.rule] += row.jobs
    assert jobs == finished.plan("--forceall")
    folders = [
        path for path in finished.results.iterdir() if path.name not in ("logs", "benchmarks")
    ]
    written = sum(
        file.stat().st_size
        for folder in folders
        for file in ([folder] if folder.is_file() else folder.rglob("*"))
        if file.is_file()
    )
    # Figures, tables and counts of rows, which are left out, are a few MB.
    assert result.totals()["with variants"]["written_gb"] * 1e9 == pytest.approx(written, abs=1e7)
