"""Settings of acquisition: where a table is fetched from, and how archives are asked."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mwatlas.config.fields import Strict, setting

RouteKind = Literal["tap", "bulk", "hats", "file", "record", "datalink"]


class Ids(Strict):
    """Where a list of sources is taken from."""

    table: str = Field(
        description="a table of the release: gaia_source, <survey>.<table>, or one of inputs"
    )
    column: str = Field("source_id", description="its column with Gaia identifiers")


class Fetch(Strict):
    """Where a table comes from if none of its files is there."""

    dataset: str = Field(description="data set in config/registry.yaml, with its routes")
    query: str = Field(
        "", description="file in workflow/queries: the columns and rows that are wanted of it"
    )
    ids: Ids | None = Field(
        None, description="sources whose products are wanted, in place of a query"
    )
    routes: list[RouteKind] = Field(
        default_factory=list,
        description="kinds of routes to try, in this order; empty for all of the registry's, in "
        "its order",
    )

    @model_validator(mode="after")
    def _routes_differ(self) -> Fetch:
        if len(set(self.routes)) < len(self.routes):
            raise ValueError(f"routes names a kind twice: {', '.join(self.routes)}")
        return self

    @model_validator(mode="after")
    def _rows_are_chosen_once(self) -> Fetch:
        if self.query and self.ids:
            raise ValueError("query and ids both say which rows are wanted: keep one of them")
        return self


class InputTable(Strict):
    """A table that studies to come need of a release; `snakemake acquire_inputs` fetches all."""

    table: str = Field(
        "",
        description="our table with the meaning of its columns (docs/data_dictionary.md); empty "
        "for files that are kept as they are",
    )
    fetch: Fetch = Field(description="where it is fetched from; keys below")
    rows: int | None = Field(None, ge=1, description="about how many rows, where that is known")

    @model_validator(mode="after")
    def _a_query_fills_a_table(self) -> InputTable:
        if bool(self.table) != bool(self.fetch.query or self.fetch.ids):
            raise ValueError(
                "table goes together with fetch.query or fetch.ids: files are kept as they are"
            )
        return self


class Archives(Strict):
    """How archives are asked, for all tables."""

    folder: str = setting("archive", "folder for what is fetched; shared by releases and runs")
    contact: str = setting("", "your address, told to the archives' operators; may be empty")
    connect_timeout_s: float = setting(30.0, "longest wait for a connection", gt=0)
    read_timeout_s: float = setting(120.0, "longest wait for the next bytes of an answer", gt=0)
    retries: int = setting(5, "tries of a request after the first", ge=0)
    interval_s: float = setting(
        0.2, "least time between the starts of two requests to a host", ge=0
    )
    connections_per_host: int = setting(4, "most requests to a host at a time", ge=1, le=32)
    rows_per_chunk: int = setting(
        1_000_000, "most rows asked for in one job; a lower limit of the server holds", ge=1
    )
    jobs_at_once: int = setting(2, "jobs on a server at a time", ge=1, le=32)
    poll_s: float = setting(10.0, "pause between looks at the jobs", gt=0)
    longest_wait_s: float = setting(
        7200.0, "time after which a job that does not move is given up", gt=0
    )
    attempts: int = setting(4, "how often a job is tried", ge=1)
    files_at_once: int = setting(2, "files of an archive that are converted at a time", ge=1)
    ids_per_call: int = setting(
        5000,
        "most sources asked for in one call of a datalink service, which has this limit",
        ge=2,
        le=5000,
    )
    datalink_format: Literal["csv", "ecsv", "votable"] = setting(
        "csv", "format in which a datalink service is asked to answer"
    )
    megabit_per_s: float = setting(1000.0, "speed of your line, for estimates", gt=0)
