"""The ledger: every number beside what the paper says and, on the embedded sky, the truth."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mwatlas.config.published import PublishedClaim
from mwatlas.config.release import ReleaseAdapter
from mwatlas.files import read_json, write_json
from mwatlas.tables.parquet import write_table
from mwatlas.tables.schemas import LEDGER

Verdict = Literal["agrees", "differs", "not comparable", "not recovered"]
VERDICTS: tuple[Verdict, ...] = ("agrees", "differs", "not recovered", "not comparable")


@dataclass(frozen=True)
class Measurement:
    """A number of ours.

    Parameters
    ----------
    item
        Figure, table or section it belongs to.
    quantity, meaning, unit
        What it is: a short name, a sentence, the unit.
    value, error
        NaN where there is nothing to measure; no error where none can be given.
    rows
        Number of stars it rests on.
    """

    item: str
    quantity: str
    meaning: str
    unit: str
    value: float
    error: float | None
    rows: int


@dataclass(frozen=True)
class Truth:
    """What a quantity should be on the embedded sky.

    Parameters
    ----------
    quantity
        Name of the measurement.
    value, error
        The truth, and its own uncertainty where it is an estimate.
    tolerance
        Largest difference that counts as recovered.
    reason
        Why that much.
    enough
        Whether there are stars enough for a comparison that could fail.
    """

    quantity: str
    value: float
    error: float | None
    tolerance: float
    reason: str
    enough: bool = True


@dataclass(frozen=True)
class Row:
    """One claim."""

    study: str
    item: str
    quantity: str
    meaning: str
    unit: str
    value: float
    error: float
    published: float
    published_error: float
    published_where: str
    truth: float
    truth_error: float
    tolerance: float
    verdict: Verdict
    reason: str
    rows: int


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)


def write_measurements(measurements: Iterable[Measurement], path: Path) -> None:
    """Write measurements as JSON; a value that does not exist is null."""
    write_json(path, [plain_numbers(asdict(m)) for m in measurements])


def read_measurements(path: Path) -> list[Measurement]:
    """Read what :func:`write_measurements` wrote."""
    return [measurement_from(row) for row in read_json(path)]


def measurement_from(row: Mapping[str, Any]) -> Measurement:
    """Measurement from what :func:`plain_numbers` made of it."""
    return Measurement(**{**row, "value": _number(row["value"])})


def plain_numbers(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as JSON holds them: plain floats, null for what is not finite."""
    out: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, float):
            value = float(value) if math.isfinite(value) else None
        out[name] = value
    return out


def judge(
    study: str,
    measurements: Iterable[Measurement],
    published: Iterable[PublishedClaim],
    truths: Iterable[Truth],
    adapter: ReleaseAdapter | None,
    changed: Sequence[str] = (),
) -> list[Row]:
    """Compare the measurements of a study with paper and truth.

    Truth decides where it is known, else the paper. A claim that needs another sample than the
    release's is not comparable, and the reason says so.

    Parameters
    ----------
    study
        Its name.
    measurements, published, truths
        What is compared; published claims and truths without a measurement are errors.
    adapter
        The release; none for a study that makes its own stars, whose claims need no sample.
    changed
        Settings that differ from the paper's, as sentences; with any, nothing is compared
        with the paper.

    Raises
    ------
    ValueError
        If a published claim or a truth names a quantity that was not measured.
    """
    measured = {m.quantity: m for m in measurements}
    claims = {claim.quantity: claim for claim in published}
    known = {truth.quantity: truth for truth in truths}
    lost = sorted((set(claims) | set(known)) - set(measured))
    if lost:
        raise ValueError(f"{study}: no measurement of {', '.join(lost)}")
    return [
        _judge_one(study, m, claims.get(name), known.get(name), adapter, changed)
        for name, m in measured.items()
    ]


def _judge_one(
    study: str,
    m: Measurement,
    claim: PublishedClaim | None,
    truth: Truth | None,
    adapter: ReleaseAdapter | None,
    changed: Sequence[str],
) -> Row:
    verdict, reason, tolerance = _verdict(study, m, claim, truth, adapter, changed)
    return Row(
        study=study,
        item=m.item,
        quantity=m.quantity,
        meaning=m.meaning,
        unit=m.unit,
        value=m.value,
        error=_number(m.error),
        published=_number(claim.value if claim else None),
        published_error=_number(claim.error if claim else None),
        published_where=_where(claim) if claim else "",
        truth=_number(truth.value if truth else None),
        truth_error=_number(truth.error if truth else None),
        tolerance=tolerance,
        verdict=verdict,
        reason=reason,
        rows=m.rows,
    )


def _where(claim: PublishedClaim) -> str:
    """Where the paper gives the number, and what kind of number it is."""
    kind = "not recovered" if claim.value is None else claim.bound
    return claim.where if kind == "about" else f"{claim.where} ({kind})"


def _verdict(
    study: str,
    m: Measurement,
    claim: PublishedClaim | None,
    truth: Truth | None,
    adapter: ReleaseAdapter | None,
    changed: Sequence[str],
) -> tuple[Verdict, str, float]:
    if not math.isfinite(m.value):
        return "not comparable", "no star of this release enters the number", math.nan
    if truth is not None:
        difference = m.value - truth.value
        if not truth.enough:
            return (
                "not comparable",
                f"too few stars, or too large an error, for a verdict; {difference:+.3g} from the "
                "truth of the sky",
                math.nan,
            )
        good = abs(difference) <= truth.tolerance
        return (
            "agrees" if good else "not recovered",
            f"{difference:+.3g} from the truth of the sky; {truth.reason}",
            truth.tolerance,
        )
    if claim is None:
        return "not comparable", "the paper gives no such number", math.nan
    if claim.value is None:
        lost = f"published: not recovered; the paper says: {claim.says}"
        return "not comparable", lost, math.nan
    if changed:
        return "not comparable", "; ".join(changed), math.nan
    foreign = adapter is not None and study not in adapter.sample_of
    if adapter is not None and foreign and claim.needs == "same sample":
        return (
            "not comparable",
            f"depends on the sample, and {adapter.title} is not the paper's",
            math.nan,
        )
    if adapter is not None and claim.needs == "real stars" and adapter.source.kind == "sky":
        return "not comparable", "measured on synthetic stars", math.nan
    tolerance, basis = claim.tolerance, claim.tolerance_reason
    if tolerance is None:
        tolerance = 2 * math.hypot(m.error or 0.0, claim.error or 0.0)
        basis = "twice the combined error"
    difference = m.value - claim.value
    excess = {"about": abs(difference), "at most": difference, "at least": -difference}
    good = excess[claim.bound] <= tolerance
    limit = "the paper" if claim.bound == "about" else f"the paper's limit, {claim.bound}"
    reason = f"{difference:+.3g} from {limit}; tolerance {tolerance:.2g}: {basis}"
    if adapter is not None and foreign and not good:
        reason += f". The sample is not the paper's: {adapter.title}"
    return ("agrees" if good else "differs"), reason, tolerance


def beside(row: Row, base: float) -> Row:
    """Row of a variant whose reason also says what the study itself has for the number.

    Parameters
    ----------
    row
        Judged row of the variant.
    base
        The study's own value; NaN if it has none.
    """
    if not (math.isfinite(row.value) and math.isfinite(base)):
        return row
    change = f"{row.value - base:+.3g} from the study itself ({base:.4g})"
    if row.verdict == "not comparable":
        return replace(row, reason=f"a variant; {change}")
    return replace(row, reason=f"{row.reason}; {change}")


def summarise(rows: Sequence[Row] | Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Number of claims by verdict."""
    verdicts = [r.verdict if isinstance(r, Row) else r["verdict"] for r in rows]
    return {verdict: verdicts.count(verdict) for verdict in VERDICTS}


def write_ledger(
    rows: Sequence[Row],
    release: str,
    adapter: ReleaseAdapter,
    switched_off: Mapping[str, Mapping[str, str]],
    json_path: Path,
    parquet_path: Path,
) -> None:
    """Write the ledger as JSON, for people and programs, and as Parquet.

    Parameters
    ----------
    rows
        All claims of all studies.
    release, adapter
        The release.
    switched_off
        For each study, what the release made impossible, and why.
    json_path, parquet_path
        Files to write.
    """
    write_json(
        json_path,
        {
            "release": release,
            "title": adapter.title,
            "description": adapter.description,
            "summary": summarise(rows),
            "switched_off": {study: dict(reasons) for study, reasons in switched_off.items()},
            "rows": [plain_numbers(asdict(row)) for row in rows],
        },
    )
    columns = {name: np.array([getattr(row, name) for row in rows]) for name in LEDGER.names}
    write_table(parquet_path, LEDGER, columns)


def summary_text(results: Path) -> str:
    """What ``make demo`` prints at its end: the verdicts, the failures, and the report's place."""
    ledger = read_json(results / "ledger.json")
    own = [row for row in ledger["rows"] if not row["item"].startswith("variants.")]
    others = len(ledger["rows"]) - len(own)
    lines = [f"{ledger['title']}: {len(own)} numbers" + (f", {others} of variants" * (others > 0))]
    lines += [f"  {count:4d} {verdict}" for verdict, count in summarise(own).items() if count]
    for row in own:
        if row["verdict"] in ("differs", "not recovered"):
            lines.append(
                f"  {row['verdict']}: {row['study']} {row['item']} {row['quantity']} = "
                f"{row['value']:.4g} ({row['reason']})"
            )
    lines.append(f"Report: {(results / 'report' / 'index.html').resolve()}")
    return "\n".join(lines)
