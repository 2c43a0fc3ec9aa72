"""How the conditional-potential study is compared with its paper and with its mock's truth."""

from __future__ import annotations

from itertools import pairwise

from pydantic import field_validator

from mwatlas.config.fields import CHOSEN, Strict, setting


class Comparison(Strict):
    """Shells in which errors are given, and how large they may be."""

    density: float = setting(
        0.10, "allowed error of the mass density, as a share", source="section III.2", gt=0
    )
    acceleration: float = setting(
        0.05, "allowed error of the acceleration, as a share", source=CHOSEN, gt=0
    )
    velocity: float = setting(
        0.02, "allowed error of p(v|x), as a share", source="Appendix B", gt=0
    )
    tracers: float = setting(
        0.05, "allowed error of the density of all stars, as a share", source=CHOSEN, gt=0
    )
    selection: float = setting(
        0.10, "allowed error of S where it is learned, as a share", source=CHOSEN, gt=0
    )
    few: float = setting(
        0.05, "what 'a few per cent' are read as", source=f"Appendix D; {CHOSEN}", gt=0
    )
    coverage: float = setting(
        0.1, "allowed error of the share of places within 1 or 2 spreads", source=CHOSEN, gt=0
    )
    least_selection: float = setting(
        0.05,
        "errors of S and n count where at least this share is observed",
        source=CHOSEN,
        gt=0,
        le=1,
    )
    shells: int = setting(8, "shells of equal thickness in radius", source=CHOSEN, ge=1)
    selection_edges: tuple[float, ...] = setting(
        (0.0, 1e-4, 1e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0),
        "edges of shells in S",
        source=CHOSEN,
        min_length=2,
    )
    window: int = setting(401, "places of a running median; odd", source=CHOSEN, ge=3, le=100_001)
    fewest_stars: float = setting(
        1000.0,
        "shells where fewer observed stars are expected are not compared with the truth",
        source=CHOSEN,
        ge=0,
    )

    @field_validator("selection_edges")
    @classmethod
    def _edges_ascend(cls, edges: tuple[float, ...]) -> tuple[float, ...]:
        if any(b <= a for a, b in pairwise(edges)) or edges[0] < 0 or edges[-1] > 1:
            raise ValueError(f"edges must ascend within 0 and 1, found {edges}")
        return edges

    @field_validator("window")
    @classmethod
    def _window_is_odd(cls, window: int) -> int:
        if window % 2 == 0:
            raise ValueError(f"window must be odd, found {window}")
        return window
