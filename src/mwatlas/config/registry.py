"""The registry of inputs: what every data set is, where it lies, and how to cite it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from mwatlas.archive.redact import redact
from mwatlas.config.archives import RouteKind
from mwatlas.config.fields import Strict
from mwatlas.config.loading import load_file
from mwatlas.config.survey import Name
from mwatlas.tables.schemas import TABLES

Study = Literal[
    "line_of_sight",
    "photometric_metallicity",
    "xp_autoencoder",
    "deep_potential",
    "conditional_potential",
]
"""The papers, by the name of their study."""

FILE = "config/registry.yaml"


def _address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https", "s3"):
        raise ValueError(f"{value!r} is no address: it starts with https://, http:// or s3://")
    if not parts.netloc or any(character.isspace() for character in value):
        raise ValueError(f"{value!r} is no address: it has no host, or has spaces")
    if redact(value) != value:
        raise ValueError("an address may not hold a user name, a password, a key or a token")
    return value


Address = Annotated[str, AfterValidator(_address)]
"""Where something is fetched from; never with credentials."""


def _place(value: str) -> str:
    return value if is_local(value) else _address(value)


Place = Annotated[str, AfterValidator(_place)]
"""An address, or a folder of this machine."""


def is_local(url: str) -> bool:
    """Whether a route is a folder of this machine: an absolute path or ``file://``."""
    return url.startswith(("/", "file://"))


Doi = Annotated[str, Field(pattern=r"^10\.\d{4,9}/\S+$")]

Checksum = Annotated[
    str, Field(pattern=r"^(md5:[0-9a-f]{32}|sha1:[0-9a-f]{40}|sha256:[0-9a-f]{64})$")
]

Checked = Annotated[str, Field(pattern=r"^(unverified|(fixture|page|code|paper): \S.*)$")]
"""Where facts were checked, by kind, and which where it is not all of them."""


class Citation(Strict):
    """A publication to cite."""

    text: str = Field(min_length=1, description="authors, year, journal")
    bibcode: Annotated[str, Field(pattern=r"^\d{4}\S{14}[A-Z.]$")] | None = Field(
        None, description="of the Astrophysics Data System, 19 characters"
    )
    doi: Doi | None = Field(None, description="digital object identifier")

    @model_validator(mode="after")
    def _can_be_found(self) -> Citation:
        if self.bibcode is None and self.doi is None:
            raise ValueError(f"{self.text!r} needs a bibcode or a doi")
        return self


class Route(Strict):
    """A place a data set can be had from; the first of several is tried first."""

    kind: RouteKind = Field(
        description="tap: a query; bulk: the Gaia tree of files; hats: a HATS catalogue; file: one "
        "or a few files; record: files of a Zenodo record; datalink: products of listed sources"
    )
    host: str = Field(min_length=1, description="who serves it")
    url: Place = Field(
        description="of the service, the folder or the record; of a HATS catalogue also an "
        "absolute path or file://"
    )
    table: str = Field("", description="name of the table or product at a tap or datalink service")
    data_release: str = Field("", description="release, in the words of a datalink service")
    files: list[str] = Field(
        default_factory=list,
        description="names under the address; of a tree or a record also patterns of names. A tree "
        "has its own list, _MD5SUM.txt under the address: the files in it are what is fetched",
    )
    checksums: dict[str, Checksum] = Field(
        default_factory=dict, description="of a file: md5:, sha1: or sha256: and digits"
    )
    bytes: int | None = Field(None, ge=1, description="size of all files; null where not known")
    verified: list[Checked] = Field(
        min_length=1,
        description="where these facts were checked (fixture, page, code, paper); or unverified",
    )

    @model_validator(mode="after")
    def _says_what_to_fetch(self) -> Route:
        if is_local(self.url) and self.kind != "hats":
            raise ValueError(
                f"{self.url!r} is a path, which only a route of kind hats may have: name your own "
                "files under paths of the release"
            )
        if self.kind in ("tap", "datalink") and not self.table:
            raise ValueError(f"a route of kind {self.kind} needs table")
        if self.kind == "datalink" and not self.data_release:
            raise ValueError("a route of kind datalink needs data_release")
        if self.kind in ("bulk", "file", "record") and not self.files:
            raise ValueError(f"a route of kind {self.kind} needs files")
        if self.kind == "file" and any(set("*?[") & set(name) for name in self.files):
            raise ValueError("a route of kind file needs whole names: nothing lists its folder")
        unknown = sorted(set(self.checksums) - set(self.files))
        if unknown:
            raise ValueError(f"checksums are of {unknown}, which is none of files")
        return self

    def address_of(self, name: str) -> str:
        """Address of one of the files; some services take its name at the end of a query."""
        return self.url + name if self.url.endswith(("/", "=")) else f"{self.url}/{name}"


class Dataset(Strict):
    """An input: what it is, who needs it, where it is and how to cite it."""

    title: str = Field(min_length=1, description="what the report calls it")
    version: str = Field(min_length=1, description="release or edition")
    what: str = Field(min_length=1, description="one sentence on what it holds")
    studies: list[Study] = Field(default_factory=list, description="studies that need it")
    releases: list[str] = Field(
        default_factory=list, description="releases it is an input of; files in config/releases"
    )
    unused: str = Field("", description="why no study needs it, where none does")
    tables: list[str] = Field(
        default_factory=list, description="our tables it fills; docs/data_dictionary.md has them"
    )
    queries: list[str] = Field(
        default_factory=list, description="files in workflow/queries that ask for it"
    )
    rows: int | None = Field(None, ge=1, description="rows in all, where that is known")
    doi: Doi | None = Field(None, description="of the data themselves")
    routes: list[Route] = Field(
        default_factory=list, description="places it can be had from, best first"
    )
    licence: str = Field(min_length=1, description="licence or terms")
    cite: list[Citation] = Field(min_length=1, description="publications to cite")
    verified: list[Checked] = Field(
        min_length=1, description="where doi, rows and citations were checked; or unverified"
    )
    by_hand: str = Field(
        "", description="why the program does not fetch it, where studies need it all the same"
    )
    notes: str = Field("", description="what to mind")

    @field_validator("tables")
    @classmethod
    def _are_ours(cls, value: list[str]) -> list[str]:
        unknown = sorted(set(value) - set(TABLES))
        if unknown:
            raise ValueError(f"{unknown} is no table of ours; see docs/data_dictionary.md")
        return value

    @field_validator("releases", "queries")
    @classmethod
    def _are_files(cls, value: list[str], info: ValidationInfo) -> list[str]:
        known: list[str] | None = (info.context or {}).get(info.field_name)
        if known is None:
            return value
        unknown = sorted(set(value) - set(known))
        if unknown:
            raise ValueError(f"{unknown} is none of {', '.join(sorted(known))}")
        return value

    @model_validator(mode="after")
    def _is_used_or_says_why_not(self) -> Dataset:
        if bool(self.studies) == bool(self.unused):
            raise ValueError("a data set names the studies that need it, or says why none does")
        if self.studies and not self.releases:
            raise ValueError("a data set that studies need names the releases it is an input of")
        if not self.routes and not self.notes:
            raise ValueError("a data set without routes says in notes where it is")
        return self


class Registry(Strict):
    """All inputs, by name."""

    datasets: dict[Name, Dataset] = Field(min_length=1, description="data sets by name")

    def used(self, studies: Sequence[str], release: str) -> dict[str, Dataset]:
        """Return the data sets that ``studies`` need in a run on ``release``.

        Parameters
        ----------
        studies
            Names of studies.
        release
            A file in config/releases, without .yaml.

        Returns
        -------
        dict
            By name, in the order of the registry. Empty for an embedded sky.
        """
        return {
            name: dataset
            for name, dataset in self.datasets.items()
            if release in dataset.releases and set(studies) & set(dataset.studies)
        }

    def citations(self, studies: Sequence[str], release: str) -> list[Citation]:
        """Return what a report on ``studies`` with ``release`` cites for its data, each once."""
        used = self.used(studies, release)
        return list({c.text: c for dataset in used.values() for c in dataset.cite}.values())


def load_registry(root: Path) -> Registry:
    """Read and check the registry of inputs.

    Raises
    ------
    ConfigError
        Naming file, key and value of every problem found.
    """
    known = {
        "releases": [path.stem for path in (root / "config/releases").glob("*.yaml")],
        "queries": [path.name for path in (root / "workflow/queries").glob("*.adql")],
    }
    return load_file(root / FILE, FILE, Registry, context=known)
