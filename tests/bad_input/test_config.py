"""Wrong settings: the message names file, key, what was found and what to do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mwatlas.config import load_published, load_settings
from mwatlas.errors import ConfigError, InputError, MwatlasError
from mwatlas.preflight import check_devices, check_run
from tests.workflow.conftest import Workflow

STUDY = "line_of_sight"

# user settings, and what the message must contain
CASES = {
    "misspelt key of a study": (
        {STUDY: {"training": {"batchsize": 10}}},
        ["line_of_sight.training.batchsize", "batchsize: 10", "did you mean 'batch_size'?"],
    ),
    "misspelt section": (
        {STUDY: {"traning": {}}},
        ["line_of_sight.traning", "did you mean 'training'?"],
    ),
    "misspelt key at the top": ({"sed": 1}, ["key:        sed", "did you mean 'seed'?"]),
    "unknown key without a neighbour": (
        {STUDY: {"orbits": {"qqq": 1}}},
        ["line_of_sight.orbits.qqq", "duration_gyr", "what to do"],
    ),
    "text for a number": (
        {STUDY: {"orbits": {"step_myr": "fast"}}},
        ["line_of_sight.orbits.step_myr", "'fast'", "valid number"],
    ),
    "number for a list": (
        {STUDY: {"training": {"stages": 3}}},
        ["line_of_sight.training.stages", "valid list"],
    ),
    "value out of range": (
        {STUDY: {"cuts": {"high_eccentricity": 1.8}}},
        ["line_of_sight.cuts.high_eccentricity", "1.8", "less than 1"],
    ),
    "not a number": (
        {STUDY: {"training": {"learning_rate": float("nan")}}},
        ["line_of_sight.training.learning_rate", "nan", "finite"],
    ),
    "unknown choice": (
        {STUDY: {"network": {"sigma_activation": "softplus2"}}},
        ["line_of_sight.network.sigma_activation", "softplus2", "did you mean 'softplus'?"],
    ),
    "variant with other subsets": (
        {STUDY: {"variants": {"more": {"cross_validation": {"folds": 10}}}}},
        ["'more' cannot change cross_validation.folds"],
    ),
    "cut with its limits reversed": (
        {STUDY: {"cuts": {"complete": {"min": 17, "max": 12}}}},
        ["line_of_sight.cuts.complete", "lower limit (17.0) must be below the upper limit (12.0)"],
    ),
    "cut without a limit": (
        {STUDY: {"cuts": {"complete": {"min": None, "max": None}}}},
        ["line_of_sight.cuts.complete", "at least one of above, below, min, max"],
    ),
    "axis with its edges reversed": (
        {STUDY: {"binning": {"pull": {"low": 5, "high": -5}}}},
        ["line_of_sight.binning.pull", "low (5.0) must be below high (-5.0)"],
    ),
    "validation subset that does not exist": (
        {STUDY: {"cross_validation": {"folds": 3, "validation_offset": 4}}},
        ["line_of_sight.cross_validation", "below folds (3)"],
    ),
    "no subset left to validate": (
        {STUDY: {"cross_validation": {"training_subsets": 4}}},
        ["line_of_sight.cross_validation", "at most 3 of 5 folds"],
    ),
    "a network without components": (
        {STUDY: {"network": {"kind": "mixture", "components": 0}}},
        ["line_of_sight.network.components", "greater than or equal to 1"],
    ),
    "misspelt key inside a variant": (
        {STUDY: {"variants": {"log2d": {"training": {"batchsize": 3}}}}},
        ["line_of_sight.variants.log2d.training.batchsize", "did you mean 'batch_size'?"],
    ),
    "misspelt section of a variant": (
        {STUDY: {"variants": {"mine": {"traning": {}}}}},
        ["line_of_sight.variants.mine.traning", "did you mean 'training'?"],
    ),
    "a value a variant cannot have": (
        {STUDY: {"variants": {"mine": {"network": {"components": 0}}}}},
        ["line_of_sight.variants.mine.network.components", "greater than or equal to 1"],
    ),
    "an unknown choice in a variant": (
        {STUDY: {"variants": {"mine": {"network": {"activation": "tahn"}}}}},
        ["line_of_sight.variants.mine.network.activation", "'tahn'", "did you mean 'tanh'?"],
    ),
    "settings of a variant that do not fit each other": (
        {STUDY: {"variants": {"mine": {"cross_validation": {"folds": 3, "training_subsets": 2}}}}},
        ["line_of_sight.variants.mine.cross_validation", "at most 1 of 3 folds"],
    ),
    "a variant that is no mapping": (
        {STUDY: {"variants": {"mine": 3}}},
        ["line_of_sight.variants.mine", "valid dictionary"],
    ),
    "a variant with other cuts": (
        {STUDY: {"variants": {"mine": {"cuts": {"high_eccentricity": 0.7}}}}},
        ["key:        line_of_sight", "variant 'mine' cannot change ['cuts']"],
    ),
    "a variant of variants": (
        {STUDY: {"variants": {"mine": {"variants": {}, "compare": []}}}},
        ["key:        line_of_sight", "variant 'mine' cannot change ['compare', 'variants']"],
    ),
    "a variant whose name is no folder": (
        {STUDY: {"variants": {"My run": {"frame": "gravity2022"}}}},
        ["key:        line_of_sight", "variant 'My run'", "lower-case letters, digits and _"],
    ),
    "comparing an unknown variant": (
        {STUDY: {"compare": ["mixtur"]}},
        ["key:        line_of_sight", "compare names ['mixtur']", "mixture, log2d"],
    ),
    "comparing a variant twice": (
        {STUDY: {"compare": ["log2d", "mixture", "log2d"]}},
        ["key:        line_of_sight", "compare names a variant twice: log2d, mixture, log2d"],
    ),
    "fractions that do not add up": (
        {"adapter": {"source": {"components": {"gse": {"local_fraction": 0.3}}}}},
        ["adapter.source.components", "adds up to 1.2988, not to 1"],
    ),
    "a size for a sky, which has one": (
        {"adapter": {"expected": {"rows": 5, "source": "me"}}},
        ["key:        adapter", "source.n_stars is the size of a sky"],
    ),
    "more stars with a velocity than there are": (
        {"adapter": {"expected": {"rows": 9, "with_radial_velocity": 10, "source": "me"}}},
        ["adapter.expected", "with_radial_velocity is part of sample", "found 10, 9"],
    ),
    "a negative fraction": (
        {"adapter": {"source": {"components": {"gse": {"local_fraction": -0.1}}}}},
        ["adapter.source.components.gse.local_fraction", "greater than or equal to 0"],
    ),
    "two models of the Galaxy": (
        {
            "adapter": {
                "source": {
                    "barred": {
                        "bar": {
                            "strength": 0.01,
                            "pattern_speed_kms_kpc": 30,
                            "angle_deg": 27,
                            "length_kpc": 5,
                        },
                        "stars": {
                            "kind": "jacobi",
                            "form": "exponential",
                            "dispersion_kms": 30,
                            "radius_kpc": 1,
                            "age_range_gyr": [1, 10],
                            "chemistry": {
                                "fe_h": 0,
                                "scatter": 0.2,
                                "alpha_m": 0,
                                "alpha_slope": 0,
                                "alpha_scatter": 0.1,
                            },
                        },
                    }
                }
            }
        },
        ["adapter.source", "give either components or barred, found both"],
    ),
    "no model of the Galaxy": (
        {"adapter": {"source": {"components": None}}},
        ["adapter.source", "give either components or barred, found neither"],
    ),
    "dust that ends before the stars": (
        {"adapter": {"source": {"dust": {"max_distance_kpc": 10}}}},
        ["dust.max_distance_kpc (10.0) must reach survey.max_distance_kpc (30.0)"],
    ),
    "a rate above one": (
        {"adapter": {"source": {"infrared": {"tmass": {"mismatch_rate": 1.2}}}}},
        ["adapter.source.infrared.tmass.mismatch_rate", "less than or equal to 1"],
    ),
    "an unknown release of Gaia's columns": (
        {"adapter": {"source": {"gaia": {"columns": "gaiadr2"}}}},
        ["adapter.source.gaia.columns", "gaiadr2", "gaiaedr3"],
    ),
    "an unknown component": (
        {"adapter": {"source": {"components": {"gsee": {}}}}},
        ["adapter.source.components.gsee", "did you mean 'gse'?"],
    ),
    "no stars": (
        {"adapter": {"source": {"n_stars": 0}}},
        ["adapter.source.n_stars", "greater than or equal to 1"],
    ),
    "a halo without equilibrium": (
        {"adapter": {"source": {"components": {"gse": {"density_slope": 1.0}}}}},
        ["adapter.source.components.gse", "radial dispersion diverges"],
    ),
    "more partitions than cells": (
        {"adapter": {"partitions": 100}},
        ["adapter", "healpix_order 1 has only 48 cells"],
    ),
    "a zero point of no column": (
        {"release": "gaiadr3", "adapter": {"parallax_zero_point": "column"}},
        ["parallax_zero_point is column", "source.columns.parallax_zero_point"],
    ),
    "a column of a zero point that is not used": (
        {
            "release": "gaiadr3",
            "adapter": {"source": {"columns": {"parallax_zero_point": "bias"}}},
        },
        ["parallax_zero_point is lindegren2021", "set it to column"],
    ),
    "a release that does not exist": (
        {"release": "gaiadr33"},
        ["config/releases/", "'gaiadr33'", "did you mean 'gaiadr3'?", "brightsky"],
    ),
    "a raw column that does not exist": (
        {"release": "gaiadr3", "adapter": {"source": {"columns": {"paralax": "plx"}}}},
        ["adapter.source", "columns names ['paralax']", "table gaia_source"],
    ),
    "an essential column declared absent": (
        {"release": "gaiadr3", "adapter": {"source": {"absent": {"parallax": "lost"}}}},
        ["adapter.source", "['parallax'] cannot be absent"],
    ),
    "a column mapped and absent at once": (
        {"release": "gaiadr3", "adapter": {"source": {"columns": {"dr2_radial_velocity": "rv"}}}},
        ["adapter.source", "dr2_radial_velocity", "in two of columns, derive and absent"],
    ),
    "an unknown study": ({"studies": ["line_of_site"]}, ["studies", "line_of_sight"]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_message_names_key_value_and_remedy(root: Path, case: str) -> None:
    user, parts = CASES[case]
    with pytest.raises(ConfigError) as caught:
        load_settings(user, root)
    text = str(caught.value)
    for part in [*parts, "what to do"]:
        assert part in text, text
    if "release" not in user or user["release"] in text:
        assert "file:" in text


def test_all_problems_are_listed_at_once(root: Path) -> None:
    user = {"sed": 1, STUDY: {"training": {"batchsize": 1, "max_epochs": "many"}}}
    with pytest.raises(ConfigError) as caught:
        load_settings(user, root)
    text = str(caught.value)
    assert "3 problems" in text
    assert all(key in text for key in ("sed", "batchsize", "max_epochs"))


def test_problems_of_a_variant_are_all_listed(root: Path) -> None:
    changes = {"orbits": {"step_myr": -1}, "training": {"batchsize": 3}}
    with pytest.raises(ConfigError) as caught:
        load_settings({STUDY: {"variants": {"mine": changes}}}, root)
    text = str(caught.value)
    assert "2 problems" in text
    assert "variants.mine.orbits.step_myr" in text
    assert "variants.mine.training.batchsize" in text


@pytest.fixture
def config(tmp_path: Path, root: Path) -> Path:
    """A copy of the configuration that may be spoilt."""
    shutil.copytree(root / "config", tmp_path / "config")
    return tmp_path


def _spoil(config: Path, file: str, old: str, new: str) -> str:
    path = config / "config" / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(MwatlasError) as caught:
        load_settings({}, config)
    return str(caught.value)


@pytest.mark.parametrize(
    ("file", "old", "new", "parts"),
    [
        (
            "studies/line_of_sight.yaml",
            "  units: 30",
            "  unit: 30",
            ["config/studies/line_of_sight.yaml", "network.unit", "did you mean 'units'?"],
        ),
        (
            "studies/line_of_sight.yaml",
            "min: 6.0, max: 17.0",
            "min: 18.0, max: 17.0",
            ["config/studies/line_of_sight.yaml", "cuts.base.magnitude", "18.0", "17.0"],
        ),
        (
            "releases/sky.yaml",
            "healpix_order: 1",
            "healpix_order: 1.5",
            ["config/releases/sky.yaml", "healpix_order", "1.5", "integer"],
        ),
        (
            "releases/sky.yaml",
            "healpix_order: 1\n",
            "",
            ["config/releases/sky.yaml", "healpix_order", "missing"],
        ),
        (
            "releases/sky.yaml",
            "healpix_order: 1\n",
            "healpix_order: 6\n",
            ["config/releases/sky.yaml", "at most 5", "found 6"],
        ),
        (
            "studies/line_of_sight.yaml",
            "column: ruwe",
            "column: ruwee",
            ["config/studies/line_of_sight.yaml", "'ruwee'", "did you mean 'ruwe'?"],
        ),
        ("releases/sky.yaml", "kind: sky", "kind: skye", ["config/releases/sky.yaml", "source"]),
        (
            "studies/line_of_sight.yaml",
            "sample_weights: log2d",
            "sample_weight: log2d",
            [
                "config/studies/line_of_sight.yaml",
                "key:        variants.log2d.training.sample_weight",
                "did you mean 'sample_weights'?",
            ],
        ),
        ("config.yaml", "seed: 20221", "seed: -1", ["config/config.yaml", "seed", "-1"]),
        (
            "config.yaml",
            "seed: 20221",
            "seed: 1\nseed: 2",
            ["config/config.yaml", "'seed' is given twice"],
        ),
        (
            "config.yaml",
            "seed: 20221",
            "seed: [1",
            ["config/config.yaml", "not valid YAML", "line"],
        ),
        ("config.yaml", "release: sky", "- release", ["config/config.yaml"]),
    ],
)
def test_the_message_names_the_file(
    config: Path, file: str, old: str, new: str, parts: list[str]
) -> None:
    text = _spoil(config, file, old, new)
    for part in [*parts, "what to do"]:
        assert part in text, text


def test_a_missing_file_of_the_configuration(config: Path) -> None:
    (config / "config/studies/line_of_sight.yaml").unlink()
    with pytest.raises(ConfigError, match="restore it from the repository"):
        load_settings({}, config)


def test_a_published_number_without_its_place(config: Path) -> None:
    path = config / "config/published/line_of_sight.yaml"
    path.write_text(path.read_text().replace("    where: Table 1\n", "", 1))
    with pytest.raises(ConfigError) as caught:
        load_published(STUDY, config)
    assert "config/published/line_of_sight.yaml" in str(caught.value)
    assert "where" in str(caught.value)


def test_data_that_are_not_there(root: Path, tmp_path: Path) -> None:
    settings = load_settings({"release": "brightsky", "data_dir": str(tmp_path)}, root)
    with pytest.raises(InputError) as caught:
        check_run(settings)
    text = str(caught.value)
    assert str(tmp_path / "gaia_dr3_bright.parquet") in text
    assert "data_dir=/path/to/folder" in text


def test_a_gpu_that_is_not_there(root: Path) -> None:
    changes = {"flows": {"device": "cuda:99"}}
    study = {"studies": ["conditional_potential"]}
    missing = load_settings({**study, "conditional_potential": changes}, root)
    with pytest.raises(ConfigError) as caught:
        check_devices(missing, local=True)
    assert "conditional_potential.flows.device" in str(caught.value)
    variant = {"variants": {"dust_free": changes}}
    of_variant = load_settings({**study, "conditional_potential": variant}, root)
    with pytest.raises(ConfigError) as caught:
        check_devices(of_variant, local=True)
    assert "conditional_potential.variants.dust_free.flows.device" in str(caught.value)
    # A cluster's machines may have it, if they are asked.
    with pytest.raises(ConfigError, match="gpus: 0"):
        check_devices(missing, local=False)
    check_devices(missing.model_copy(update={"gpus": 1}), local=False)
    other = {"studies": ["line_of_sight"], "conditional_potential": changes}
    check_devices(load_settings(other, root), local=True)


def test_a_release_without_what_a_study_needs(root: Path, tmp_path: Path) -> None:
    (tmp_path / "gaiadr3").mkdir()
    absent = {"radial_velocity": "photometric survey"}
    settings = load_settings(
        {
            "release": "gaiadr3",
            "data_dir": str(tmp_path),
            "adapter": {"source": {"absent": absent}},
        },
        root,
    )
    with pytest.raises(ConfigError) as caught:
        check_run(settings)
    text = str(caught.value)
    assert "config/releases/gaiadr3.yaml" in text
    assert "source.absent.radial_velocity" in text
    assert "photometric survey" in text


def test_the_workflow_stops_before_anything_starts(fresh: Workflow) -> None:
    result = fresh("--config", "line_of_sight={training: {batchsize: 3}}")
    assert result.status != 0
    assert "did you mean 'batch_size'?" in result.text
    assert "Traceback" not in result.text
    assert not (fresh.folder / "results").exists()
