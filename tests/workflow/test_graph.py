"""The graph: targets, releases, profiles, what reruns, who reads truth."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from .conftest import NO_SURVEYS, Workflow

FIGURE = "results/sky/line_of_sight/figures/fig02.pdf"


def test_a_bare_call_plans_the_whole_workflow(fresh: Workflow) -> None:
    """A root Snakefile that only includes another would plan nothing."""
    jobs = fresh.plan(small=False)
    assert jobs["write_report"] == 1
    # Five rounds and two partitions: the study, and two variants with networks of their own.
    assert jobs["train_line_of_sight"] == 3 * 5
    assert jobs["synthesize_sky"] == 2
    assert jobs["predict_line_of_sight"] == 3 * 2
    # Solar frames need orbits only.
    assert jobs["accumulate_line_of_sight"] == 5 * 2
    assert fresh.plan("-s", "workflow/Snakefile", small=False) == jobs


def test_a_finished_run_has_nothing_to_do(finished: Workflow) -> None:
    assert finished.plan() == {}


def test_one_figure_needs_only_what_is_before_it(fresh: Workflow) -> None:
    jobs = fresh.plan(FIGURE)
    assert jobs["draw_figure"] == 1
    assert not {
        "write_report",
        "write_ledger",
        "publish_line_of_sight",
        "reveal_line_of_sight",
        "compare_line_of_sight",
    } & set(jobs)


def test_a_figure_of_a_variant_is_a_target(fresh: Workflow) -> None:
    """A frame needs new orbits but no networks, and no other variant."""
    figure = "results/sky/line_of_sight/variants/gravity2022/figures/fig07.pdf"
    own = fresh.plan("results/sky/line_of_sight/figures/fig07.pdf")
    assert fresh.plan(figure) == own
    both = fresh.plan(figure, "results/sky/line_of_sight/figures/fig07.pdf")
    more = {rule for rule in both if both[rule] > own[rule]}
    assert more == {"accumulate_line_of_sight", "summarise_line_of_sight", "draw_figure"}
    trained = fresh.plan(figure, "results/sky/line_of_sight/variants/mixture/data/numbers.json")
    assert trained["train_line_of_sight"] == 2 * own["train_line_of_sight"]


def test_one_lost_figure_is_drawn_from_its_data_alone(finished: Workflow) -> None:
    figure = finished.folder / FIGURE
    before = figure.read_bytes()
    figure.unlink()
    result = finished(FIGURE)
    assert result.jobs == {"draw_figure": 1}
    assert figure.read_bytes() == before
    # It has the same bytes as before, so nothing that uses it is made again.
    assert finished.plan() == {}


@pytest.mark.parametrize("partitions", [1, 4])
def test_another_release_is_a_swap_of_the_config(
    fresh: Workflow, gaia_rows: Callable, tmp_path: Path, partitions: int
) -> None:
    from tests.unit.test_archive import write

    data = tmp_path / "data"
    (data / "gaiadr3").mkdir(parents=True)
    for i in range(2):
        write(data / "gaiadr3" / f"{i}.parquet", gaia_rows(50, seed=i))
    release = [
        "--config",
        "release=gaiadr3",
        f"data_dir={data}",
        f"adapter={{partitions: {partitions}, {NO_SURVEYS}}}",
    ]
    jobs = fresh.plan(*release, small=False)
    assert jobs["import_files"] == 1
    assert jobs["clean_stars"] == partitions
    assert jobs["match_surveys"] == partitions
    assert "import_survey" not in jobs
    assert "synthesize_sky" not in jobs
    assert "compare_line_of_sight" not in jobs
    target = "results/gaiadr3/line_of_sight/figures/fig02.pdf"
    assert fresh.plan(target, *release, small=False)["draw_figure"] == 1


@pytest.mark.parametrize("name", ["slurm", "local"])
def test_profiles_resolve_by_name_from_a_clone(fresh: Workflow, name: str) -> None:
    result = fresh("-n", "--profile", name, small=False)
    assert result.status == 0, result.text
    assert f"Using profiles {name}" in result.text or f"Using profile {name}" in result.text


def test_the_default_profile_takes_nothing_from_the_others(root: Path) -> None:
    """Its keys replace those of --profile, so it may not hold any that a site sets."""
    profiles = {
        path.parent.name: yaml.safe_load(path.read_text())
        for path in (root / "profiles").glob("*/profile.yaml")
    }
    default = set(profiles.pop("default"))
    assert not default & {"default-resources", "set-resources", "executor", "jobs", "retries"}
    assert not default & set(profiles["slurm"])


def test_lint_is_clean(root: Path) -> None:
    result = Workflow(root)("--lint", small=False)
    assert result.status == 0, result.text


def test_an_edited_function_reruns_its_stage_and_what_follows(
    finished: Workflow, edited: Callable
) -> None:
    edited(
        "src/mwatlas/dynamics/orbits.py",
        "settings.duration_gyr * 1000",
        "settings.duration_gyr * 1000.0",
    )
    jobs = set(finished.plan())
    assert {"accumulate_line_of_sight", "draw_figure"} <= jobs
    assert not jobs & {
        "synthesize_sky",
        "clean_stars",
        "select_line_of_sight",
        "train_line_of_sight",
        "predict_line_of_sight",
    }


def test_an_edited_network_reruns_training(finished: Workflow, edited: Callable) -> None:
    edited("src/mwatlas/learning/losses.py", "0.5 * residual**2", "residual**2 / 2")
    jobs = set(finished.plan())
    assert "train_line_of_sight" in jobs
    assert not jobs & {"synthesize_sky", "clean_stars", "select_line_of_sight"}


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (
            "src/mwatlas/dynamics/orbits.py",
            "settings.duration_gyr * 1000",
            "settings.duration_gyr * 1000  # remark",
        ),
        ("src/mwatlas/learning/losses.py", '"""Weighted mean', '"""The weighted mean'),
        ("scripts/train_line_of_sight.py", "with job", "# remark\nwith job"),
        ("workflow/rules/line_of_sight.smk", "# Dropulic", "# After Dropulic"),
        ("config/studies/line_of_sight.yaml", "# Draws of", "# The draws of"),
        ("src/mwatlas/config/line_of_sight.py", '"draws per star"', '"draws for each star"'),
        ("src/mwatlas/progress.py", "_LOG_EVERY_SECONDS = 15.0", "_LOG_EVERY_SECONDS = 20.0"),
    ],
)
def test_a_comment_reruns_nothing(
    finished: Workflow, edited: Callable, file: str, old: str, new: str
) -> None:
    edited(file, old, new)
    assert finished.plan() == {}


def test_an_edited_page_is_written_anew(finished: Workflow, edited: Callable) -> None:
    edited("src/mwatlas/report/page.html.j2", "Where the time went", "Where time went")
    assert finished.plan() == {"write_report": 1}


def test_a_style_edit_reruns_that_figure_only(finished: Workflow, edited: Callable) -> None:
    edited("src/mwatlas/figures/line_of_sight.py", "lw=0.8)", "lw=0.9)")
    jobs = finished.plan()
    assert jobs == {"draw_figure": 1, "write_report": 1}
    assert "fig02" in finished("-n", small=True).text


@pytest.mark.parametrize(
    ("setting", "first"),
    [
        ("line_of_sight={binning: {pull: {bins: 50}}}", "accumulate_line_of_sight"),
        ("line_of_sight={error_sampling: {draws: 3}}", "accumulate_line_of_sight"),
        ("line_of_sight={network: {units: 20}}", "train_line_of_sight"),
        ("line_of_sight={cuts: {base: {ruwe: {below: 1.4}}}}", "select_line_of_sight"),
    ],
)
def test_a_setting_reruns_only_what_uses_it(finished: Workflow, setting: str, first: str) -> None:
    order = [
        "synthesize_sky",
        "clean_stars",
        "select_line_of_sight",
        "train_line_of_sight",
        "predict_line_of_sight",
        "accumulate_line_of_sight",
    ]
    jobs = finished.plan("--config", setting)
    assert set(order) & set(jobs) == set(order[order.index(first) :])


def _inputs_and_outputs(finished: Workflow) -> dict[str, tuple[str, str]]:
    """Rule and inputs of each output file, as the workflow knows them."""
    text = finished("--detailed-summary").text
    start = text.index("output_file\t")
    header, *lines = [line.split("\t") for line in text[start:].splitlines() if "\t" in line]
    rule, inputs = header.index("rule"), header.index("input-file(s)")
    return {line[0]: (line[rule], line[inputs]) for line in lines}


# Rules that make the sky: they write truth, and tables as an archive serves them.
SKY_RULES = {
    "tabulate_galaxy",
    "evolve_stars",
    "plan_sky",
    "synthesize_sky",
    "synthesize_surveys",
    "synthesize_spectra",
    "synthesize_clusters",
    "describe_sky",
}


def test_only_the_ledgers_comparison_reads_truth(finished: Workflow) -> None:
    table = _inputs_and_outputs(finished)
    readers = {rule for rule, inputs in table.values() if "results/sky/truth/" in inputs}
    assert readers <= SKY_RULES | {"reveal_line_of_sight"}
    # What makes the sky writes truth and raw tables, and a description of the sky itself.
    for output, (rule, _) in table.items():
        if rule in SKY_RULES:
            assert re.match(r"results/sky/(truth|raw|sky/tables)/", output), output
    users = {rule for rule, inputs in table.values() if "/line_of_sight/truth/" in inputs}
    assert users == {"compare_line_of_sight", "recover_line_of_sight"}
    recovered = {rule for rule, inputs in table.values() if "/recover" in inputs}
    assert recovered == {"contrast_line_of_sight", "write_ledger"}


def test_flows_and_potentials_of_the_mock_know_of_the_truth_only_its_weights(
    finished: Workflow,
) -> None:
    """The vanilla method is given S, which a survey would estimate; the other truth is kept."""
    table = _inputs_and_outputs(finished)
    readers = {rule for rule, inputs in table.values() if "/mock/truth/" in inputs}
    assert readers == {"train_conditional_potential"}
    dust = {rule for rule, inputs in table.values() if "/mock/dust.h5" in inputs}
    assert dust == {"evaluate_conditional_potential"}


def test_a_setting_of_a_solver_trains_no_flow(finished: Workflow) -> None:
    jobs = finished.plan("--config", "conditional_potential={solvers: {conditional: {alpha: 2.0}}}")
    # Of the study and of its variant without dust.
    assert jobs["solve_conditional_potential"] == 2
    assert jobs["evaluate_conditional_potential"] == 2
    assert not {"train_conditional_potential", "distil_conditional_potential"} & set(jobs)
    assert not {rule for rule in jobs if "line_of_sight" in rule}


def test_a_limit_of_the_comparison_evaluates_nothing_anew(finished: Workflow) -> None:
    jobs = finished.plan("--config", "conditional_potential={comparison: {density: 0.2}}")
    assert jobs["measure_conditional_potential"] == 2
    assert "evaluate_conditional_potential" not in jobs
    # It says where the fields are compared.
    jobs = finished.plan("--config", "conditional_potential={comparison: {least_selection: 0.1}}")
    assert jobs["evaluate_conditional_potential"] == 2
    assert "solve_conditional_potential" not in jobs


def test_a_search_is_made_only_if_asked_for(fresh: Workflow) -> None:
    rule = "search_conditional_potential"
    assert rule not in fresh.plan()
    jobs = fresh.plan("search")
    assert jobs[rule] == 4
    # Solvers need the flows of velocities and of observed positions, of one member.
    assert jobs["train_conditional_potential"] == jobs["distil_conditional_potential"] == 2
    assert not {"solve_conditional_potential", "evaluate_conditional_potential"} & set(jobs)
    flow = fresh.plan("results/sky/conditional_potential/search/velocities.csv")
    assert set(flow) == {"obscure_conditional_potential", "draw_conditional_potential", rule}


def test_an_impossible_range_stops_a_search_before_the_work(fresh: Workflow) -> None:
    wrong = "conditional_potential={search: {velocities: {widht: {low: 1, high: 2}}}}"
    result = fresh("-n", "search", "--config", wrong)
    assert result.status != 0
    assert "conditional_potential.search.velocities.widht" in result.text
    # Whoever does not search need not care.
    assert fresh("-n", "--config", wrong).status == 0


def test_a_study_can_be_left_out(fresh: Workflow) -> None:
    alone = {
        study: set(fresh.plan("--config", f"studies=[{study}]"))
        for study in ("line_of_sight", "conditional_potential")
    }
    for study, rules in alone.items():
        others = [name for name in alone if name != study]
        assert any(study in rule for rule in rules)
        assert not [rule for rule in rules if any(name in rule for name in others)]
    # Its mock needs no star of the embedded sky.
    assert not alone["conditional_potential"] & SKY_RULES
    assert alone["line_of_sight"] & SKY_RULES


def test_variants_beyond_the_paper_are_compared_where_a_run_has_them(fresh: Workflow) -> None:
    study = "studies=[conditional_potential]"
    without = fresh.plan("--config", study)
    assert "compare_conditional_potential" not in without
    compare = "conditional_potential={compare: [dust_free, quarter_stars, anisotropic]}"
    jobs = fresh.plan("--config", study, compare)
    assert jobs["compare_conditional_potential"] == 1
    assert jobs["draw_figure"] == without["draw_figure"] + 1
    # Each learns its velocities alone.
    assert jobs["train_conditional_potential"] == without["train_conditional_potential"] + 2
    assert jobs["obscure_conditional_potential"] == without["obscure_conditional_potential"] + 2


def test_a_first_look_at_real_stars_is_for_a_release_that_asks_for_it(
    fresh: Workflow, gaia_rows: Callable, tmp_path: Path
) -> None:
    from tests.unit.test_archive import write

    data = tmp_path / "data"
    data.mkdir()
    write(data / "gaia_dr3_bright.parquet", gaia_rows(50))
    study = ["--config", "studies=[conditional_potential]"]
    bright = ["release=brightsky", f"data_dir={data}", f"adapter={{{NO_SURVEYS}}}"]
    jobs = fresh.plan(*study, *bright, small=False)
    assert (jobs["gather_nearby"], jobs["measure_nearby"]) == (1, 1)
    assert jobs["train_nearby"] == jobs["distil_nearby"] == jobs["solve_nearby"] == 6
    figure = "results/brightsky/conditional_potential/figures/nearby.png"
    alone = fresh.plan(figure, *study, *bright, small=False)
    assert not {rule for rule in alone if "conditional_potential" in rule}
    few = [*bright, "conditional_potential={nearby: {members: 2}}"]
    assert fresh.plan(*study, *few, small=False)["solve_nearby"] == 2
    assert not [rule for rule in fresh.plan(*study, small=False) if "nearby" in rule]
    refused = fresh("-n", *study, "conditional_potential={nearby: {run: true}}", small=False)
    assert refused.status
    assert "needs real stars" in refused.text


def test_results_do_not_need_the_truth(finished: Workflow) -> None:
    """With the truth gone, everything but the comparison is still up to date."""
    target = "results/sky/line_of_sight/data/numbers.json"
    truth, hidden = finished.results / "truth", finished.results / "hidden"
    truth.rename(hidden)
    try:
        planned = finished.plan(target, "--rerun-triggers", "params", "input", "code")
        assert set(planned) <= SKY_RULES
        assert "compare_line_of_sight" not in finished.plan(target)
    finally:
        hidden.rename(truth)


def test_no_study_code_touches_truth(root: Path) -> None:
    """Truth columns are named in the sky, and in the two modules that feed the ledger."""
    allowed = {"truth.py", "comparison.py"}
    # What the mock's stars teach is learned in these; the rest of that study compares.
    learning = {"distilling.py", "sampling.py", "solving.py"}
    for path in [root / "src/mwatlas/sky/portrait.py", root / "scripts/portray_sky.py"]:
        assert "_true" not in path.read_text(), path
    for path in (root / "src/mwatlas/studies").rglob("*.py"):
        mocked = path.parent.name == "conditional_potential"
        if path.name in allowed or (mocked and path.name not in learning):
            continue
        text = path.read_text()
        assert "SKY_TRUTH" not in text, path
        assert not re.search(
            r"\w_true\"\]|component\"\]",
            text.replace("eccentricity_true", "").replace("spherical_true", ""),
        ), path


def test_rules_scripts_logs_and_benchmarks_share_their_name(root: Path) -> None:
    rules = "\n".join(path.read_text() for path in (root / "workflow/rules").glob("*.smk"))
    blocks = re.split(r"^\s*rule ", rules, flags=re.M)[1:]
    names = set()
    for block in blocks:
        name = block.split(":")[0]
        names.add(name)
        assert f'scripts/{name}.py"' in block
        assert f'"<logs>/{name}' in block
        assert f'"<benchmarks>/{name}' in block
        assert f'code("{name}")' in block or "code=figure_code" in block
        for part in ("message:", "threads:", "mem_mb=", "runtime=", "conda:"):
            assert part in block, f"{name} lacks {part}"
    assert names == {path.stem for path in (root / "scripts").glob("*.py")}
    assert not re.search(r"^\s*run:", rules, re.M)


def test_scripts_are_glue(root: Path) -> None:
    for path in (root / "scripts").glob("*.py"):
        assert 15 <= len(path.read_text().splitlines()) <= 45, path
        calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.FunctionDef)]
        assert not calls, path


def test_the_package_does_not_know_snakemake(root: Path) -> None:
    for path in (root / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.split(".")[0] == "snakemake" for name in names), path


def test_snakemakes_own_report_has_captions(finished: Workflow, tmp_path: Path) -> None:
    import zipfile

    archive = tmp_path / "report.zip"
    result = finished("--report", str(archive))
    assert result.status == 0, result.text
    with zipfile.ZipFile(archive) as files:
        names = files.namelist()
        html = files.read("report/report.html").decode()
    # Thirteen and seven figures of the studies, and seven of the sky.
    assert sum(name.endswith(".png") for name in names) == 27
    assert "contaminate the selection" in html
    assert "line_of_sight" in html


def test_a_releases_raw_columns_are_known(root: Path) -> None:
    from mwatlas.config import load_settings

    for release in ("brightsky", "gaiaedr3", "gaiadr3"):
        source = load_settings({"release": release}, root).adapter.source
        assert {"source_id", "parallax"} <= set(source.served_table.names)
