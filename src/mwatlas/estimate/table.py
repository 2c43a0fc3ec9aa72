"""The estimate: a row for each rule, totals, and what they rest on."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Row:
    """What the jobs of one rule will take, those of the study or those of its variants."""

    rule: str
    variants: bool
    jobs: int
    works_on: str
    cpu_hours: float
    wall_hours: float
    memory_gb: float
    memory_scaled: bool
    written_gb: float

    def joined(self, other: Row) -> Row:
        """Both together, one after the other."""
        return replace(
            self,
            jobs=self.jobs + other.jobs,
            cpu_hours=self.cpu_hours + other.cpu_hours,
            wall_hours=self.wall_hours + other.wall_hours,
            memory_gb=max(self.memory_gb, other.memory_gb),
            memory_scaled=self.memory_scaled and other.memory_scaled,
            written_gb=self.written_gb + other.written_gb,
        )


@dataclass(frozen=True)
class Estimate:
    """What a run will take: its rules, and what that rests on."""

    release: str
    cores: int
    rows: list[Row]
    assumptions: list[str]

    def totals(self) -> dict[str, dict[str, float]]:
        """Sums over the rules, of the study alone and with its variants; the largest memory."""
        choices = {"study alone": [row for row in self.rows if not row.variants]}
        choices["with variants"] = self.rows
        return {
            name: {
                "jobs": sum(row.jobs for row in rows),
                "cpu_hours": math.fsum(row.cpu_hours for row in rows),
                "wall_hours": math.fsum(row.wall_hours for row in rows),
                "memory_gb": max(row.memory_gb for row in rows),
                "written_gb": math.fsum(row.written_gb for row in rows),
            }
            for name, rows in choices.items()
        }

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {**asdict(self), "totals": self.totals()}

    def text(self) -> str:
        """Table of rules, totals and assumptions."""
        form = "{:<36}{:>6}  {:<38}{:>9}{:>9}{:>9}{:>10}"
        form_total = "{cpu_hours:9.2f}{wall_hours:9.2f}{memory_gb:9.2f}{written_gb:10.2f}"
        head = ("rule", "jobs", "each works on", "CPU h", "wall h", "peak GB", "GB written")
        lines = [f"{self.release}, {self.cores} cores", "", form.format(*head)]
        lines += [
            form.format(
                row.rule + (", variants" if row.variants else ""),
                row.jobs,
                row.works_on,
                f"{row.cpu_hours:.2f}",
                f"{row.wall_hours:.2f}",
                ("" if row.memory_scaled else "> ") + f"{row.memory_gb:.2f}",
                f"{row.written_gb:.2f}",
            )
            for row in self.rows
        ]
        for name, total in self.totals().items():
            lines.append(f"{name:<36}{total['jobs']:>6}{'':40}" + form_total.format(**total))
        return "\n".join([*lines, "", "Assumed:", *(f"- {line}" for line in self.assumptions)])
