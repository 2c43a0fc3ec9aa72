"""The registry of inputs: what it holds, whom it cites, and what it refuses."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from mwatlas.config.registry import FILE, Registry, Study, load_registry
from mwatlas.errors import ConfigError
from mwatlas.inputs import inputs_page

DATASET: dict[str, Any] = {
    "title": "A survey",
    "version": "1",
    "what": "stars",
    "studies": ["line_of_sight"],
    "releases": ["gaiadr3"],
    "routes": [
        {
            "kind": "file",
            "host": "somewhere",
            "url": "https://example.org/data/",
            "files": ["stars.fits"],
            "checksums": {"stars.fits": f"md5:{'0' * 32}"},
            "verified": ["unverified"],
        }
    ],
    "licence": "free",
    "cite": [{"text": "Somebody (2020)", "doi": "10.1234/abc"}],
    "verified": ["unverified"],
}


@pytest.fixture(scope="module")
def registry(root: Path) -> Registry:
    """The registry of the repository."""
    return load_registry(root)


@pytest.fixture
def load(root: Path, tmp_path: Path) -> Callable[[Any], Registry]:
    """Load a registry that holds what is given."""
    shutil.copytree(root / "config/releases", tmp_path / "config/releases")
    shutil.copytree(root / "workflow/queries", tmp_path / "workflow/queries")

    def load(content: Any) -> Registry:
        text = content if isinstance(content, str) else yaml.safe_dump(content)
        (tmp_path / FILE).write_text(text, encoding="utf-8")
        return load_registry(tmp_path)

    return load


def test_every_study_has_inputs(registry: Registry) -> None:
    needed = {study for dataset in registry.datasets.values() for study in dataset.studies}
    assert needed == set(get_args(Study))


def test_every_query_belongs_to_one_data_set(registry: Registry, root: Path) -> None:
    named = [q for dataset in registry.datasets.values() for q in dataset.queries]
    assert sorted(named) == sorted(p.name for p in (root / "workflow/queries").glob("*.adql"))


def test_every_release_of_files_has_a_source_of_stars(registry: Registry, root: Path) -> None:
    named = {release for dataset in registry.datasets.values() for release in dataset.releases}
    assert {"brightsky", "gaiaedr3", "gaiadr3", "gaiadr4"} <= named
    for path in (root / "config/releases").glob("*.yaml"):
        if path.stem.startswith("sky"):
            assert registry.used(list(get_args(Study)), path.stem) == {}
        # A release of a user's own files need not be in the registry.
        elif path.stem in named:
            used = registry.used(["line_of_sight"], path.stem)
            assert any("gaia_source" in dataset.tables for dataset in used.values()), path


def test_every_file_a_release_expects_is_in_the_registry(registry: Registry, root: Path) -> None:
    for release in ("gaiaedr3", "gaiadr3", "gaiadr4"):
        adapter = yaml.safe_load((root / f"config/releases/{release}.yaml").read_text())
        used = registry.used(["line_of_sight"], release).values()
        files = {file for dataset in used for route in dataset.routes for file in route.files}
        for survey in adapter["surveys"].values():
            for table in survey["tables"].values():
                assert set(table["paths"]) <= files


def test_no_two_data_sets_fill_the_same_table_for_a_release(registry: Registry) -> None:
    filled = [
        (release, table)
        for dataset in registry.datasets.values()
        for release in dataset.releases
        for table in dataset.tables
    ]
    assert len(filled) == len(set(filled))


def test_citations_are_those_of_the_studies_and_the_release(registry: Registry) -> None:
    texts = [c.text for c in registry.citations(["line_of_sight"], "gaiadr3")]
    assert len(texts) == len(set(texts))
    assert any("Vallenari" in text for text in texts)
    assert any("Buder" in text for text in texts)
    assert not any("Schlafly" in text for text in texts)
    both = registry.citations(["line_of_sight", "photometric_metallicity"], "gaiaedr3")
    assert any("Schlafly" in c.text for c in both)
    assert registry.citations(["line_of_sight"], "sky") == []


def test_citations_of_the_same_work_are_the_same(registry: Registry) -> None:
    works: dict[str, set[tuple[str | None, str | None]]] = {}
    for dataset in registry.datasets.values():
        for citation in dataset.cite:
            works.setdefault(citation.text, set()).add((citation.bibcode, citation.doi))
    assert {text: len(marks) for text, marks in works.items() if len(marks) > 1} == {}


def test_the_page_shows_every_route_and_citation(registry: Registry) -> None:
    page = inputs_page(registry, "")
    for name, dataset in registry.datasets.items():
        assert f"## {name}\n" in page
        assert all(f"<{route.url}>" in page for route in dataset.routes)
        assert all(citation.text in page for citation in dataset.cite)


def test_a_small_registry_loads(load: Callable[[Any], Registry]) -> None:
    assert list(load({"datasets": {"survey": DATASET}}).datasets) == ["survey"]


ROUTE = DATASET["routes"][0]


@pytest.mark.parametrize("url", ["/data/hats/gaia", "file:///data/hats/gaia"])
def test_a_hats_catalogue_may_be_a_folder(load: Callable[[Any], Registry], url: str) -> None:
    route = {"kind": "hats", "host": "here", "url": url, "verified": ["unverified"]}
    dataset = load({"datasets": {"survey": {**DATASET, "routes": [route]}}}).datasets["survey"]
    assert dataset.routes[0].url == url


BAD = {
    "unknown study": (
        {"studies": ["line_of_sigth"]},
        ["datasets.survey.studies", "did you mean 'line_of_sight'?"],
    ),
    "unknown release": ({"releases": ["gaiadr9"]}, ["datasets.survey.releases", "gaiadr9"]),
    "unknown query": ({"queries": ["none.adql"]}, ["datasets.survey.queries", "none.adql"]),
    "unknown table": ({"tables": ["stones"]}, ["datasets.survey.tables", "stones"]),
    "no citation": ({"cite": []}, ["datasets.survey.cite", "at least 1"]),
    "citation that cannot be found": (
        {"cite": [{"text": "Somebody"}]},
        ["datasets.survey.cite.0", "needs a bibcode or a doi"],
    ),
    "wrong bibcode": (
        {"cite": [{"text": "Somebody", "bibcode": "2020ApJ"}]},
        ["datasets.survey.cite.0.bibcode", "2020ApJ"],
    ),
    "wrong doi": ({"doi": "zenodo.123"}, ["datasets.survey.doi", "zenodo.123"]),
    "address without a scheme": (
        {"routes": [{**ROUTE, "url": "example.org/data"}]},
        ["datasets.survey.routes.0.url", "example.org/data", "https://"],
    ),
    "address with spaces": (
        {"routes": [{**ROUTE, "url": "https://example.org/my data"}]},
        ["datasets.survey.routes.0.url", "spaces"],
    ),
    "a folder for another kind than hats": (
        {"routes": [{**ROUTE, "url": "/data/stars"}]},
        ["datasets.survey.routes.0", "/data/stars", "kind hats"],
    ),
    "short checksum": (
        {"routes": [{**ROUTE, "checksums": {"stars.fits": "md5:123"}}]},
        ["datasets.survey.routes.0.checksums.stars.fits", "md5:123"],
    ),
    "checksum of another file": (
        {"routes": [{**ROUTE, "checksums": {"galaxies.fits": f"md5:{'0' * 32}"}}]},
        ["datasets.survey.routes.0", "galaxies.fits"],
    ),
    "tap without a table": (
        {"routes": [{**ROUTE, "kind": "tap"}]},
        ["datasets.survey.routes.0", "kind tap needs table"],
    ),
    "checked files without names": (
        {"routes": [{**ROUTE, "files": [], "checksums": {}, "verified": ["page: example.org"]}]},
        ["datasets.survey.routes.0", "needs files"],
    ),
    "unknown kind of check": (
        {"verified": ["surely"]},
        ["datasets.survey.verified.0", "surely"],
    ),
    "misspelt key": ({"license": "free"}, ["datasets.survey.license", "did you mean 'licence'?"]),
    "neither used nor excused": (
        {"studies": [], "releases": []},
        ["datasets.survey", "says why none does"],
    ),
    "study without a release": ({"releases": []}, ["datasets.survey", "names the releases"]),
    "neither routes nor notes": ({"routes": []}, ["datasets.survey", "says in notes where"]),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_entries_are_refused(load: Callable[[Any], Registry], case: str) -> None:
    changes, expected = BAD[case]
    with pytest.raises(ConfigError) as caught:
        load({"datasets": {"survey": {**DATASET, **changes}}})
    for part in [FILE, *expected, "what to do"]:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://me:hunter2@example.org/",
        "https://me:slash/hunter2@example.org/",
        "https://example.org/data?token=hunter2",
        "https://example.org/data?a=1&sig=hunter2",
    ],
)
def test_credentials_in_an_address_are_refused_and_not_repeated(
    load: Callable[[Any], Registry], url: str
) -> None:
    route = {**ROUTE, "url": url}
    with pytest.raises(ConfigError) as caught:
        load({"datasets": {"survey": {**DATASET, "routes": [route]}}})
    assert "may not hold a user name, a password, a key or a token" in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_a_name_given_twice_is_refused(load: Callable[[Any], Registry]) -> None:
    entry = yaml.safe_dump({"survey": DATASET})
    text = "datasets:\n" + "".join(f"  {line}\n" for line in (entry + entry).splitlines())
    with pytest.raises(ConfigError, match="'survey' is given twice"):
        load(text)
