"""Published numbers that the ledger compares with."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from mwatlas.config.fields import Strict


class Paper(Strict):
    """A paper."""

    authors: str
    year: int
    title: str
    arxiv: str
    journal: str


class PublishedClaim(Strict):
    """One number of a paper."""

    item: str = Field(description="figure, table or section, for instance fig02 or tab01.row2")
    quantity: str = Field(description="name under which the study reports its value")
    unit: str = ""
    value: float | None = Field(description="null where no text at hand has the number any more")
    bound: Literal["about", "at most", "at least"] = Field(
        default="about", description="whether the paper gives a value or a limit"
    )
    says: str = Field(default="", description="the paper's own words, where the number is lost")
    error: float | None = None
    where: str = Field(description="where the paper says so")
    tolerance: float | None = Field(
        default=None, description="largest difference that counts as agreement"
    )
    tolerance_reason: str = ""
    needs: Literal["same sample", "real stars", "anything"] = Field(
        description="what a release must be for the comparison to mean something"
    )


class Published(Strict):
    """All numbers of a paper that are compared."""

    paper: Paper
    claims: list[PublishedClaim]
