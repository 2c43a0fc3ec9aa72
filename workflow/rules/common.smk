# Helper functions and settings; no rules.
import sys
from hashlib import blake2b
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(str(workflow.current_basedir)).parent.parent
# The code of this checkout runs, here and (below) in the jobs, whatever is installed.
sys.path.insert(0, str(ROOT / "src"))

from mwatlas.codehash import code_version
from mwatlas.config import STUDIES, load_published, load_settings, read_yaml
from mwatlas.errors import MwatlasError
from mwatlas.preflight import check_run, expose_package, source_files, survey_files
from mwatlas.tables.sky_surveys import SURVEYS

expose_package(ROOT / "src")


def load():
    """Settings, published numbers and captions; nothing starts if one of them is wrong."""
    try:
        settings = load_settings(config, ROOT)
        check_run(settings)
        papers = {name: load_published(name, ROOT) for name in STUDIES}
        captions = read_yaml(ROOT / "workflow" / "report" / "captions.yaml")
    except MwatlasError as error:
        raise WorkflowError(str(error)) from None
    return settings, papers, captions


SETTINGS, PAPERS, CAPTIONS = load()
# Only the cross-match depends on the surveys, which it gets apart.
ADAPTER = SETTINGS.adapter.model_dump(mode="json", exclude={"surveys"})
MATCHED_SURVEYS = SETTINGS.adapter.used_surveys()
# What is made of the sky does not depend on what it is called.
SKY_ADAPTER = {
    **ADAPTER,
    "title": "",
    "description": "",
    "study_overrides": {},
    "sample_of": [],
}
STUDY_SETTINGS = {
    name: getattr(SETTINGS, name).model_dump(mode="json") for name in STUDIES
}
IS_SKY = SETTINGS.adapter.source.kind == "sky"
PARTS = [f"{i:04d}" for i in range(SETTINGS.adapter.partitions)]
FIGURES = {
    "line_of_sight": ["fig01", "fig02", "fig03"],
    "sky": [f"fig{n:02d}" for n in range(1, 8)],
}
TABLES = {"line_of_sight": ["tab01"]}
# What the report shows: the studies of this run, and what they rest on.
SHOWN = [*SETTINGS.studies, "sky"] if IS_SKY else list(SETTINGS.studies)
SKY_SURVEYS = list(SURVEYS)
CATALOGUES = {"line_of_sight": ["test_set", "ml_rv", "gse_candidates"]}


def code(rule):
    """Hash of the code behind a rule; a changed one reruns it."""
    return code_version(rule, ROOT)


def digest(path):
    """Hash of a file that a rule depends on beside its inputs and code."""
    return blake2b(path.read_bytes(), digest_size=12).hexdigest()


def subset_of(study, *sections):
    """The sections of a study's settings that a rule uses; others do not rerun it."""
    return {name: STUDY_SETTINGS[study][name] for name in sections}


def published(study):
    """Published numbers of a study."""
    return PAPERS[study].model_dump(mode="json")


def caption_of(study, item):
    """Caption of a figure or table."""
    return CAPTIONS[study][item].strip()


def figure_caption(wildcards):
    """Caption of the figure a job draws."""
    return caption_of(wildcards.study, wildcards.figure)


def figure_code(wildcards):
    """Hash of the code that draws one figure."""
    return code_version("draw_figure", ROOT, figure=(wildcards.study, wildcards.figure))


def alternatives(names):
    """Regular expression that matches any of the names."""
    return "|".join(names)


def survey_tables(wildcards):
    """Input function: files of each table of a survey, of the embedded sky or the user's."""
    files = survey_files(SETTINGS)[wildcards.survey]
    for name, table in MATCHED_SURVEYS[wildcards.survey].tables.items():
        if table.sky_table:
            files[name] = parts(
                f"<results>/raw/{table.sky_table}/part-{{part}}.parquet"
            )
    return files


def survey_settings(wildcards):
    """Settings of one survey."""
    return MATCHED_SURVEYS[wildcards.survey].model_dump(mode="json")


def parts(pattern):
    """Every partition of a table."""
    return collect(pattern, part=PARTS)


def rounds(pattern):
    """One file for each round of cross-validation."""
    folds = SETTINGS.line_of_sight.cross_validation.folds
    return collect(pattern, round=range(folds))


def fold(kind):
    """Input function: the subset that trains or validates in a round."""
    settings = SETTINGS.line_of_sight.cross_validation
    offset = {"training": 1, "validation": settings.validation_offset}[kind]

    def subset(wildcards):
        number = (int(wildcards.round) + offset) % settings.folds
        return f"<results>/line_of_sight/folds/fold{number}.parquet"

    return subset


def figures(kind):
    """All figures of the studies of this run, as png, pdf or data."""
    folder = {"png": "figures", "pdf": "figures", "parquet": "data"}[kind]
    return [
        f"<results>/{study}/{folder}/{figure}.{kind}"
        for study in SHOWN
        for figure in FIGURES[study]
    ]


def tables(kind):
    """All tables of the studies of this run."""
    return [
        f"<results>/{study}/tables/{table}.{kind}"
        for study in SETTINGS.studies
        for table in TABLES[study]
    ]


def sky_properties():
    """Table of the embedded Galaxy's properties, where it is tabulated."""
    tabulated = IS_SKY and ADAPTER["source"]["components"] is not None
    return ["<results>/sky/tables/tab01.csv"] if tabulated else []


def sky_part(*sections):
    """Some sections of the embedded sky's settings."""
    return {name: ADAPTER["source"][name] for name in sections}


def sky_tables():
    """Tables of the embedded sky that no study of this run asks for yet."""
    if not IS_SKY:
        return []
    return [
        *(
            f"<results>/raw/{name}/part-{part}.parquet"
            for name in [*SKY_SURVEYS, "xp_continuous_mean_spectrum"]
            for part in PARTS
        ),
        *(
            f"<results>/raw/{name}.parquet"
            for name in (
                "hunt2023_clusters",
                "hunt2023_members",
                "psrcat",
                "pulsar_accelerations",
            )
        ),
    ]


def catalogues(study):
    """Published catalogues of a study."""
    return collect(
        "<results>/{study}/catalogs/{name}", study=study, name=CATALOGUES[study]
    )


def truth_comparisons(wildcards):
    """Comparisons with the truth, which only the embedded sky has."""
    return parts("<results>/line_of_sight/truth/part-{part}.h5") if IS_SKY else []
