"""Files of the repository that derive from the code; a test fails when they drift.

``python -m mwatlas documents`` writes them: the default configuration, its JSON schema and
reference page, the data dictionary, the page of inputs, and the conda environment.
"""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from mwatlas.config.archives import Archives, Fetch, InputTable
from mwatlas.config.conditional_potential import ConditionalPotential
from mwatlas.config.fields import CHOSEN, source_of
from mwatlas.config.line_of_sight import LineOfSight
from mwatlas.config.registry import Citation, Dataset, Route, load_registry
from mwatlas.config.release import Expected, FilesSource, ReleaseAdapter
from mwatlas.config.settings import Settings
from mwatlas.config.sky import SkySource
from mwatlas.config.survey import Flag, Survey, SurveyTable
from mwatlas.files import write_text
from mwatlas.inputs import inputs_page
from mwatlas.tables.schemas import TABLES

_GENERATED = "Made by `make documents` from src/mwatlas; a test keeps it so."
_INPUTS_FROM = "Made by `make documents` from config/registry.yaml; a test keeps it so."
_WIDTH = 96
_OWN_FILES = ("adapter", "archives", "line_of_sight", "conditional_potential")
"""Parts of the settings that have files of their own."""
_LINE_OF_SIGHT = (
    "Dropulic, Liu, Ostdiek & Lisanti (2022), arXiv:2205.12278. In brackets: the section",
    "the number stands in; [chosen] marks numbers the paper does not give, which are",
    "ours. D21 is Dropulic et al. (2021), whose network the paper uses.",
)
_CONDITIONAL_POTENTIAL = (
    "Kalda & Green (2026), arXiv:2512.02115. In brackets: the section the number stands in;",
    "[chosen] marks numbers that the paper does not give or whose text is lost, which are ours.",
    "The default is for a first look; config/sizes has what a laptop and a GPU can do.",
)


def documents(root: Path) -> dict[Path, str]:
    """Return the text of every derived file by its path."""
    return {
        root / "config/config.yaml": _config_yaml(),
        root / "config/archives.yaml": _settings_yaml(
            Archives(), "How tables are fetched that are not in data_dir; docs/acquisition.md."
        ),
        root / "config/studies/line_of_sight.yaml": _settings_yaml(LineOfSight(), *_LINE_OF_SIGHT),
        root / "config/studies/conditional_potential.yaml": _settings_yaml(
            ConditionalPotential(), *_CONDITIONAL_POTENTIAL
        ),
        root / "config/README.md": _config_readme(),
        root / "workflow/schemas/config.schema.json": _schema(),
        root / "docs/data_dictionary.md": _data_dictionary(),
        root / "docs/inputs.md": inputs_page(load_registry(root), _INPUTS_FROM),
        root / "envs/main.yaml": _conda(root / "requirements.lock.txt"),
    }


def write_documents(root: Path) -> list[Path]:
    """Write the derived files that differ; return their paths."""
    changed = []
    for path, text in documents(root).items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
            changed.append(path)
    return changed


def _comment(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, _WIDTH, initial_indent=f"{indent}# ", subsequent_indent=f"{indent}# "
    )


def _scalar(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False)
    return text.removesuffix("\n").removesuffix("\n...").strip()


def _plain(value: Any) -> Any:
    """Value as YAML holds it; options of small models that are unset by default are left out."""
    if isinstance(value, BaseModel):
        short = value.model_dump(mode="json", exclude_none=True)
        # Left out, an option that is unset here alone would be read as the model's default.
        kept = type(value).model_validate(short) == value
        return short if kept else value.model_dump(mode="json")
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return list(value) if isinstance(value, tuple) else value


def _is_section(value: Any) -> bool:
    """Models with documented fields are sections; bare ones, such as a cut, are values."""
    return isinstance(value, BaseModel) and any(
        field.description for field in type(value).model_fields.values()
    )


def _yaml_lines(model: BaseModel, indent: str = "") -> list[str]:
    lines: list[str] = []
    for name, field in type(model).model_fields.items():
        value, source = getattr(model, name), source_of(model, name)
        if _is_section(value) and not field.description:
            lines += ["", *_comment((type(value).__doc__ or "").strip().splitlines()[0], indent)]
            lines += [f"{indent}{name}:", *_yaml_lines(value, indent + "  ")]
            continue
        mark = {"": "", CHOSEN: " [chosen]"}.get(source, f" [{source}]")
        lines += _comment(f"{field.description or ''}{mark}".strip(), indent)
        lines.append(f"{indent}{name}: {_scalar(_plain(value))}")
    return lines


def _config_yaml() -> str:
    lines = [
        f"# {_GENERATED}",
        "# Change a setting for a run with --config key=value or "
        "--configfile my.yaml; README.md here explains how.",
        "",
    ]
    for name, field in Settings.model_fields.items():
        if name in _OWN_FILES:
            continue
        lines += _comment(field.description or "", "")
        lines.append(f"{name}: {_scalar(field.default)}")
    return "\n".join(lines) + "\n"


def _settings_yaml(settings: BaseModel, *head: str) -> str:
    comments = [f"# {line}".rstrip() for line in (_GENERATED, "", *head)]
    return "\n".join(comments + _yaml_lines(settings)) + "\n"


def _schema() -> str:
    return json.dumps(Settings.model_json_schema(), indent=1, sort_keys=True) + "\n"


def _rows(model: type[BaseModel], prefix: str = "") -> list[str]:
    rows = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        default = field.default
        if isinstance(kind, type) and issubclass(kind, BaseModel) and not field.description:
            rows += _rows(kind, f"{prefix}{name}.")
            continue
        extra = field.json_schema_extra
        source = str(extra.get("source", "")) if isinstance(extra, dict) else ""
        if field.default_factory is not None:
            default = field.get_default(call_default_factory=True)
        shown = "" if field.is_required() else f"`{_scalar(_plain(default))}`"
        text = (field.description or "").replace("|", "\\|")
        rows.append(f"| `{prefix}{name}` | {shown} | {text} | {source} |")
    return rows


def _config_readme() -> str:
    intro = f"""\
    # Configuration

    <!-- {_GENERATED} -->

    A run is set by one release and one file per study:

    | file | holds |
    |---|---|
    | `config.yaml` | the release, the seed, where the data are |
    | `releases/<name>.yaml` | one adapter per data release: source, columns, what is absent |
    | `surveys/<name>.yaml` | published tables of spectroscopic surveys, for releases to extend |
    | `studies/<name>.yaml` | every number of a paper that is a choice, with its section |
    | `published/<name>.yaml` | the published numbers the ledger compares with |
    | `sizes/<name>.yaml` | the second study with the paper's stars, for a laptop and for a GPU |
    | `searches/` | searches for its hyper-parameters: what was tried and found |
    | `archives.yaml` | how archives are asked: chunks, waits, tries, your address |
    | `registry.yaml` | every input: where it is, checksums, terms, what to cite |

    Later wins: `config.yaml`, release, study, what the release overrides in the study
    (`study_overrides`), and last the command line. On the command line a release is set under
    `adapter`, a study under its name:

    ```
    snakemake --config release=brightsky data_dir=/path/to/data
    snakemake --config 'adapter={{source: {{n_stars: 20000}}}}'
    snakemake --configfile my.yaml
    ```

    Every key is checked before anything runs. `workflow/schemas/config.schema.json` lets an editor
    complete them.

    ## A release of your own

    Copy `releases/gaiadr3.yaml`, point `source.paths` at your files (Parquet, FITS, CSV, ECSV,
    VOTable), map the columns whose names differ, and list under `absent` what you do not have, with
    the reason. What needs an absent column is switched off and reported; nothing passes silently.

    Spectroscopic surveys to match stand under `surveys`. A table of one may start with
    `extends: <file in surveys>`. A survey whose files you do not have is left out with a reason:

    ```
    snakemake --config release=gaiadr3 'adapter={{surveys: {{galah: {{left_out: no files}}}}}}'
    ```
    """
    sections = [
        (
            "config.yaml",
            [r for r in _rows(Settings) if not r.startswith(tuple(f"| `{n}" for n in _OWN_FILES))],
        ),
        ("archives.yaml", _rows(Archives)),
        ("releases/*.yaml", [*_rows(ReleaseAdapter), *_rows(Expected, "expected.")]),
        ("releases/*.yaml, source of kind `files`", _rows(FilesSource, "source.")),
        ("releases/*.yaml, an input of studies to come", _rows(InputTable, "inputs.<name>.")),
        ("releases/*.yaml, where a table is fetched", _rows(Fetch, "source.fetch.")),
        ("releases/*.yaml, source of kind `sky`", _rows(SkySource, "source.")),
        ("releases/*.yaml, a survey", _rows(Survey, "surveys.<name>.")),
        (
            "releases/*.yaml and surveys/*.yaml, a table of a survey",
            [
                *_rows(SurveyTable, "surveys.<name>.tables.<table>."),
                *_rows(Flag, "surveys.<name>.tables.<table>.flags[]."),
            ],
        ),
        ("studies/line_of_sight.yaml", _rows(LineOfSight)),
        (
            "registry.yaml, a data set",
            [
                *_rows(Dataset, "datasets.<name>."),
                *_rows(Route, "datasets.<name>.routes[]."),
                *_rows(Citation, "datasets.<name>.cite[]."),
            ],
        ),
    ]
    text = textwrap.dedent(intro)
    for title, rows in sections:
        text += (
            f"\n## {title}\n\n| key | default | meaning | where in the paper |\n|---|---|---|---|\n"
        )
        text += "\n".join(rows) + "\n"
    return text


def _data_dictionary() -> str:
    text = f"# Data dictionary\n\n<!-- {_GENERATED} -->\n\nEvery Parquet table and column. Files "
    text += "carry this as VOParquet and astropy metadata.\n"
    for table in TABLES.values():
        text += f"\n## {table.name}\n\n{table.description}.\n\n"
        text += "| column | type | unit | UCD | allowed | meaning |\n|---|---|---|---|---|---|\n"
        for column in table.columns:
            low = "" if column.low is None else f"{column.low:g}"
            high = "" if column.high is None else f"{column.high:g}"
            allowed = f"{low} to {high}" if low and high else (f"from {low}" if low else "")
            allowed += (", or missing" if allowed else "or missing") if column.nullable else ""
            kind = column.dtype if column.length == 1 else f"{column.dtype}[]"
            text += (
                f"| `{column.name}` | {kind} | {column.unit} | `{column.ucd}` | {allowed} "
                f"| {column.description} |\n"
            )
    return text


def _conda(lock: Path) -> str:
    pins = [line for line in lock.read_text(encoding="utf-8").splitlines() if "==" in line]
    lines = [
        f"# {_GENERATED}",
        "# The lock as a conda environment; `pixi init --import envs/main.yaml` reads it too.",
        "# After creating it, install the package: pip install --no-deps --editable .",
        "name: mwatlas",
        "channels: [conda-forge, nodefaults]",
        "dependencies:",
        "  - python=3.11",
        "  - pip",
        "  - pip:",
        "      - --extra-index-url https://download.pytorch.org/whl/cpu",
        *(f"      - {pin.strip()}" for pin in pins if not pin.startswith(" ")),
    ]
    return "\n".join(lines) + "\n"
