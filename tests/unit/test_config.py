"""Configuration: layers, documents that derive from it, what is chosen."""

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest
import yaml

from mwatlas.config import Settings, chosen_settings, load_settings
from mwatlas.config.fields import changed_settings
from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.config.settings import STUDIES
from mwatlas.documents import documents
from mwatlas.errors import ConfigError

RELEASES = sorted(
    path.stem for path in (Path(__file__).resolve().parents[2] / "config/releases").glob("*.yaml")
)


def test_derived_files_have_not_drifted(root: Path) -> None:
    for path, text in documents(root).items():
        assert path.read_text(encoding="utf-8") == text, f"{path}: run `make documents`"


@pytest.mark.parametrize("release", RELEASES)
def test_every_release_loads_and_satisfies_the_schema(root: Path, release: str) -> None:
    settings = load_settings({"release": release}, root)
    assert settings.release == release
    schema = json.loads((root / "workflow/schemas/config.schema.json").read_text())
    jsonschema.validate(settings.model_dump(mode="json"), schema)


@pytest.mark.parametrize("study", STUDIES)
def test_the_files_hold_the_models_defaults(root: Path, study: str) -> None:
    written = yaml.safe_load((root / f"config/studies/{study}.yaml").read_text())
    default = Settings.model_fields[study].get_default(call_default_factory=True)
    # An option that is unset by default in a small model is easily lost.
    assert type(default).model_validate(written) == default


def test_later_layers_win(root: Path) -> None:
    paper = LineOfSight().training.batch_size
    assert load_settings({"release": "gaiadr3"}, root).line_of_sight.training.batch_size == paper
    sky = load_settings({}, root).line_of_sight.training
    assert sky.batch_size != paper
    assert sky.max_epochs == LineOfSight().training.max_epochs
    user = {"line_of_sight": {"training": {"batch_size": 7}}, "seed": 5}
    mine = load_settings(user, root)
    assert (mine.line_of_sight.training.batch_size, mine.seed) == (7, 5)


def test_numbers_from_the_command_line_may_be_text(root: Path) -> None:
    settings = load_settings({"adapter": {"source": {"n_stars": "20000"}}}, root)
    assert settings.adapter.source.n_stars == 20_000


def test_null_from_the_command_line_is_text(root: Path) -> None:
    """As Snakemake reads it; an option is unset by it."""
    user = {"conditional_potential": {"flows": {"distillation": {"from_stars": "null"}}}}
    mine = load_settings(user, root).conditional_potential
    assert mine.flows.distillation.from_stars is None
    with pytest.raises(ConfigError, match=r"nearby[.]members"):
        load_settings({"conditional_potential": {"nearby": {"members": "null"}}}, root)


def test_another_kind_of_source_replaces_the_old_one(root: Path) -> None:
    source = {"kind": "files", "paths": ["x.parquet"]}
    # The sky's surveys are of no use to it, and have to be left out by name.
    surveys = {name: {"left_out": "of the sky"} for name in ("apogee", "galah")}
    settings = load_settings({"adapter": {"source": source, "surveys": surveys}}, root)
    assert settings.adapter.source.kind == "files"
    assert settings.adapter.used_surveys() == {}


def test_chosen_numbers_are_listed(settings: Settings) -> None:
    chosen = dict(chosen_settings(settings.line_of_sight))
    assert chosen["orbits.duration_gyr"] == 2.0
    assert chosen["training.sample_weights"] == "unit"
    assert "error_sampling.draws" not in chosen


def test_variants_change_only_what_they_name() -> None:
    study = LineOfSight()
    own = study.variant("")
    assert own == study.model_copy(update={"variants": {}, "compare": []})
    for name, changes in study.variants.items():
        changed = {key for key, _, _ in changed_settings(study.variant(name), default=own)}
        assert changed
        assert changed <= set(_keys(changes))


def _keys(changes: dict, prefix: str = "") -> Iterator[str]:
    for key, value in changes.items():
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def test_a_variant_follows_what_the_run_changes(root: Path) -> None:
    user = {"line_of_sight": {"orbits": {"duration_gyr": 1.5}}}
    study = load_settings(user, root).line_of_sight
    assert {study.variant(name).orbits.duration_gyr for name in ("", "log2d", "mixture")} == {1.5}
    assert study.variant("gravity2022").solar_frame == study.frames.gravity2022
    assert study.variant("").solar_frame == study.frames.astropy_v4


def test_every_key_of_the_reference_page_is_explained(root: Path) -> None:
    rows = [
        line
        for line in (root / "config/README.md").read_text().splitlines()
        if line.startswith("| `")
    ]
    assert len(rows) > 80
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert cells[1 if len(cells) == 2 else 2], f"no meaning: {row}"
