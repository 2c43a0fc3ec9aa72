"""Settings of the mock sky."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from mwatlas.config import load_settings, read_yaml
from mwatlas.config.conditional_potential import ConditionalPotential
from mwatlas.config.fields import changed_settings, chosen_settings, merged, source_of


def test_every_number_has_its_source() -> None:
    mock = ConditionalPotential().mock
    for section in (mock, mock.tracer, mock.dust, mock.magnitudes):
        for name, value in section:
            if isinstance(value, int | float):
                assert source_of(section, name), f"{type(section).__name__}.{name}"


def test_our_numbers_are_marked() -> None:
    chosen = dict(chosen_settings(ConditionalPotential()))
    assert chosen["mock.magnitudes.limit"] == 18.0
    assert "mock.tracer.scale_kpc" in chosen
    assert "mock.dust.sigma_ln" not in chosen


def test_the_dust_free_variant_changes_dust_and_number_and_what_more_stars_ask_for() -> None:
    study = ConditionalPotential()
    changed = {key for key, _, _ in changed_settings(study.variant("dust_free"))}
    assert changed == {
        "mock.dust.strength",
        "mock.keep_density",
        "methods",
        "flows.velocities.training.epochs",
        "flows.positions.training.epochs",
        "flows.distillation.from_stars.epochs",
        "variants",
        "compare",
    }
    assert study.variant("").mock == study.mock


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mock": {"dust": {"modes": 33}}}, "modes must be even, found 33"),
        ({"mock": {"dust": {"nside": 48}}}, "power of two, found 48"),
        ({"mock": {"dust": {"strength": -1}}}, "greater than or equal to 0"),
        ({"mock": {"tracer": {"scale_kpc": 0}}}, "greater than 0"),
        ({"mock": {"observed_stars": 0}}, "greater than or equal to 1"),
        ({"mock": {"magnitudes": {"limit": float("nan")}}}, "finite"),
        ({"mock": {"dust": {"nsides": 16}}}, "not permitted"),
        ({"evaluation": {"sky_nside": 5}}, "power of two, found 5"),
        ({"evaluation": {"sky_radius_kpc": 9}}, "beyond mock.tracer.radius_kpc, 8"),
        ({"flows": {"validation_share": 0}}, "compared with the truth at stars kept"),
        ({"methods": ["vanilla", "vanilla"]}, "named twice"),
        ({"flows": {"velocities": {"transport": {}}}}, "transport must be null"),
        ({"flows": {"device": "tpu"}}, "pattern"),
        ({"solvers": {"vanilla": {"extra": {}}}}, "extra must be null"),
        ({"solvers": {"conditional": {"extra": None}}}, "extra must be a network"),
        (
            {"solvers": {"conditional": {"potential": {"width": 128}}}},
            "at most 10,000; set kind to gradient",
        ),
        ({"nearby": {"solver": {"extra": None}}}, "extra must be a network"),
        ({"nearby": {"averages": {"steps": 6}}}, "steps must be odd, found 6"),
        ({"nearby": {"averages": {"spheres_kpc": [0.2, 0.2]}}}, "ascending"),
        ({"nearby": {"averages": {"height_kpc": 0.15}}}, "at least midplane_kpc and 0.2"),
        ({"variants": {"No": {}}}, "lower-case letters"),
        ({"variants": {"a": {"variants": {}}}}, "cannot change"),
        ({"variants": {"a": {"partitions": 2}}}, "cannot change"),
        ({"variants": {"a": {"mock": {"dust": {"modes": 5}}}}}, "variant 'a' is not possible"),
    ],
)
def test_impossible_settings_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ConditionalPotential.model_validate(changes)


@pytest.mark.parametrize("name", ["laptop", "full"])
def test_sizes_of_the_study_are_valid_and_have_the_papers_stars(root: Path, name: str) -> None:
    study = load_settings(read_yaml(root / f"config/sizes/{name}.yaml"), root).conditional_potential
    assert study.mock.observed_stars == 2**22
    for method in study.methods:
        solver = getattr(study.variant("dust_free").solvers, method)
        assert (solver.extra is None) == (method == "vanilla")
    # The network for S is ten times as wide and deep together as that for n, or more.
    extra, tracers = study.solvers.selection.extra, study.solvers.conditional.extra
    assert extra.depth * extra.width**2 > 10 * tracers.depth * tracers.width**2


@pytest.mark.parametrize("name", ["laptop", "full", None])
def test_what_is_beyond_the_paper_goes_with_any_size(root: Path, name: str | None) -> None:
    size = read_yaml(root / f"config/sizes/{name}.yaml") if name else {}
    study = load_settings(
        merged(size, read_yaml(root / "config/sizes/beyond.yaml")), root
    ).conditional_potential
    assert set(study.compare) == set(study.variants)
    for variant in (study.variant(name) for name in study.compare if name != "dust_free"):
        # As many steps as the study, of the same network.
        ours, theirs = (each.flows.of(velocities=True) for each in (variant, study))
        epochs = ours.training.epochs * variant.mock.observed_share
        assert epochs == theirs.training.epochs
        assert ours.training.batch_size == theirs.training.batch_size
        assert variant.mock.observed_stars == study.mock.observed_stars
        assert variant.methods == ["conditional"]
