"""Which edits rerun what, at the level of the hash."""

import ast
import shutil
from pathlib import Path

import pytest

from mwatlas.codehash import CodeBase, _code_base, code_version


@pytest.fixture
def copy(tmp_path: Path, root: Path) -> Path:
    """A copy of package and scripts that may be edited."""
    shutil.copytree(root / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(root / "scripts", tmp_path / "scripts")
    return tmp_path


def _versions(root: Path) -> dict[str, str]:
    _code_base.cache_clear()
    return {path.stem: code_version(path.stem, root) for path in (root / "scripts").glob("*.py")}


def _changed(root: Path, file: str, old: str, new: str) -> set[str]:
    before = _versions(root)
    path = root / file
    text = path.read_text()
    assert text.count(old) >= 1, f"{old!r} is not in {file}"
    path.write_text(text.replace(old, new, 1))
    ast.parse(path.read_text())
    after = _versions(root)
    return {rule for rule in before if before[rule] != after[rule]}


def test_a_function_of_one_stage_changes_that_stage(copy: Path) -> None:
    changed = _changed(
        copy, "src/mwatlas/studies/line_of_sight/weights.py", "_BINS = 50", "_BINS = 51"
    )
    assert changed == {"train_line_of_sight"}


def test_a_function_in_a_shared_module_changes_its_users_alone(copy: Path) -> None:
    changed = _changed(copy, "src/mwatlas/random.py", "step, block]", "block, step]")
    assert "synthesize_sky" in changed
    assert "train_line_of_sight" in changed
    assert "accumulate_line_of_sight" not in changed
    assert "draw_figure" not in changed


def test_comments_docstrings_and_layout_change_nothing(copy: Path) -> None:
    file, old = "src/mwatlas/dynamics/orbits.py", "settings.duration_gyr * 1000"
    assert not _changed(copy, file, old, f"{old}  # a remark")
    assert not _changed(copy, file, '"""Pericentre, ', '"""About pericentre, ')
    assert not _changed(copy, file, old, f"(\n        {old}\n    )")
    script = "scripts/train_line_of_sight.py"
    assert not _changed(copy, script, "with job", "# a remark\nwith job")


def test_a_script_changes_its_rule_alone(copy: Path) -> None:
    assert _changed(copy, "scripts/clean_stars.py", "with job", "x = 1\nwith job") == {
        "clean_stars"
    }


def test_a_method_changes_the_users_of_its_class(copy: Path) -> None:
    changed = _changed(
        copy, "src/mwatlas/sky/galaxy.py", "0.5 * (young + old)", "0.6 * (young + old)"
    )
    assert {"synthesize_sky", "reveal_line_of_sight"} <= changed
    assert not any(
        rule.startswith(("train", "predict", "accumulate", "compare")) for rule in changed
    )


def test_a_figure_changes_only_itself(copy: Path) -> None:
    def versions() -> dict[str, str]:
        _code_base.cache_clear()
        return {
            figure: code_version("draw_figure", copy, figures=[("line_of_sight", figure)])
            for figure in ("fig01", "fig02", "fig03")
        }

    before = versions()
    path = copy / "src/mwatlas/figures/line_of_sight.py"
    path.write_text(path.read_text().replace("lw=0.8)", "lw=0.9)", 1))
    after = versions()
    assert {figure for figure in before if before[figure] != after[figure]} == {"fig02"}
    style = copy / "src/mwatlas/figures/style.py"
    style.write_text(style.read_text().replace('"font.size": 8', '"font.size": 9'))
    assert all(value != after[figure] for figure, value in versions().items())


def test_a_figure_in_a_module_of_its_own_changes_with_it_alone(copy: Path) -> None:
    def versions() -> dict[str, str]:
        _code_base.cache_clear()
        names = [f"fig{number:02d}" for number in range(1, 14)]
        return {f: code_version("draw_figure", copy, figures=[("line_of_sight", f)]) for f in names}

    before = versions()
    folder = copy / "src/mwatlas/figures"
    for file, old, new, expected in (
        ("line_of_sight_integrals.py", "TWO_COLUMNS_IN, 3.3", "TWO_COLUMNS_IN, 3.2", {"fig07"}),
        ("ellipse.py", "2 * n_sigma", "3 * n_sigma", {"fig05", "fig11"}),
        (
            "contours.py",
            "FEWEST = 10",
            "FEWEST = 11",
            {"fig04", "fig06", "fig07", "fig09", "fig10"},
        ),
    ):
        path = folder / file
        path.write_text(path.read_text().replace(old, new, 1))
        after = versions()
        assert {figure for figure in before if before[figure] != after[figure]} == expected
        before = after


def test_imports_inside_functions_count(copy: Path) -> None:
    (copy / "src/mwatlas/extra.py").write_text("def deep():\n    return 1\n")
    path = copy / "src/mwatlas/catalogs.py"
    line = "    schema = stars_schema(adapter)\n"
    inside = f"    from mwatlas.extra import deep\n\n    deep()\n{line}"
    path.write_text(path.read_text().replace(line, inside, 1))
    assert _changed(copy, "src/mwatlas/extra.py", "return 1", "return 2") == {"clean_stars"}


def test_the_closure_of_a_script_is_what_it_imports(root: Path) -> None:
    found = CodeBase(root / "src").definitions(root / "scripts" / "clean_stars.py")
    modules = {module for module, _ in found}
    assert "mwatlas.catalogs" in modules
    assert "mwatlas.astrometry.zero_point" in modules
    assert not any("learning" in module for module in modules)


def test_every_rule_has_its_script(root: Path) -> None:
    assert all(len(version) == 24 for version in _versions(root).values())


def test_the_logic_of_settings_counts_and_their_words_do_not(copy: Path) -> None:
    words = ('"draws per star"', '"draws for each star"')
    assert _changed(copy, "src/mwatlas/config/line_of_sight.py", *words) == set()
    order = ("MAX_SKY_ORDER = 5", "MAX_SKY_ORDER = 4")
    assert "synthesize_sky" in _changed(copy, "src/mwatlas/config/sky.py", *order)
    frame = ("getattr(self.frames, self.frame)", "getattr(self.frames, str(self.frame))")
    changed = _changed(copy, "src/mwatlas/config/line_of_sight.py", *frame)
    assert "accumulate_line_of_sight" in changed
