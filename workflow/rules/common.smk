# Helper functions and settings; no rules.
import json
import sys
import time
from hashlib import blake2b
from pathlib import Path

from snakemake.exceptions import WorkflowError

ROOT = Path(str(workflow.current_basedir)).parent.parent
# The code of this checkout runs, here and (below) in the jobs, whatever is installed.
sys.path.insert(0, str(ROOT / "src"))

from mwatlas.archive.request import table_requests
from mwatlas.codehash import code_version
from mwatlas.config import STUDIES, load_published, load_settings, read_yaml
from mwatlas.config.conditional_comparison import Comparison
from mwatlas.config.line_of_sight import TRAINING
from mwatlas.config.nearby import Nearby
from mwatlas.config.registry import load_registry
from mwatlas.config.search import SEARCHED, Search, check_ranges, section_of
from mwatlas.errors import MwatlasError
from mwatlas.preflight import (
    check_devices,
    check_run,
    check_writable,
    expose_package,
    id_files,
    source_files,
    survey_files,
)
from mwatlas.run_code import check_settings, code_of_run
from mwatlas.slurm_logs import unsaid_failures
from mwatlas.slurm_queue import check_queue
from mwatlas.studies.conditional_potential.names import FLOWS, METHODS, positions_of
from mwatlas.studies.line_of_sight.folds import training_subsets, validation_subset
from mwatlas.studies.line_of_sight.names import SAMPLES
from mwatlas.tables.sky_surveys import SURVEYS

expose_package(ROOT / "src")


def load():
    """Settings and what they rest on; nothing starts if one of them is wrong."""
    try:
        settings = load_settings(config, ROOT)
        check_run(settings)
        registry = load_registry(ROOT)
        requests = table_requests(settings, registry, ROOT)
        papers = {name: load_published(name, ROOT) for name in STUDIES}
        captions = read_yaml(ROOT / "workflow" / "report" / "captions.yaml")
    except MwatlasError as error:
        raise WorkflowError(str(error)) from None
    return settings, papers, captions, requests


SETTINGS, PAPERS, CAPTIONS, REQUESTS = load()
# Only the cross-match depends on the surveys, which it gets apart, and nothing on the sizes expected.
ADAPTER = SETTINGS.adapter.model_dump(
    mode="json",
    exclude={"surveys": True, "inputs": True, "expected": True, "source": {"fetch"}},
)
MATCHED_SURVEYS = SETTINGS.adapter.used_surveys()
# What is made of the sky does not depend on what it is called.
SKY_ADAPTER = {
    **ADAPTER,
    "title": "",
    "description": "",
    "study_overrides": {},
    "sample_of": [],
}
# Jobs get one variant's settings and need not know the others.
STUDY_SETTINGS = {
    "line_of_sight": SETTINGS.line_of_sight.variant("").model_dump(mode="json")
}
ALONE = ("variants", "compare")
IS_SKY = SETTINGS.adapter.source.kind == "sky"
PARTS = [f"{i:04d}" for i in range(SETTINGS.adapter.partitions)]
FIGURES = {
    "line_of_sight": [f"fig{n:02d}" for n in range(1, 14 if IS_SKY else 13)],
    "sky": [f"fig{n:02d}" for n in range(1, 8)],
    "conditional_potential": [f"fig{n:02d}" for n in range(1, 9)],
}
TABLES = {
    "line_of_sight": ["tab01", "tab02", "tab03"],
    "conditional_potential": ["tab01", "tab02", "tab03", "tab04"],
}
SKY_SURVEYS = list(SURVEYS)
CATALOGUES = [*SAMPLES, "gse_candidates"]
HAS_LINE_OF_SIGHT = "line_of_sight" in SETTINGS.studies
# The embedded sky, where a study of this run rests on it; the conditional-potential study has a
# mock of its own.
HAS_SKY = IS_SKY and HAS_LINE_OF_SIGHT
# What the report shows: the studies of this run, and what they rest on.
SHOWN = [*SETTINGS.studies, *(["sky"] if HAS_SKY else [])]
# Folders of the line-of-sight study and of the variants that are compared with it, and the
# variant's name; the study itself has none.
RUNS = {
    "line_of_sight": "",
    **{
        f"line_of_sight/variants/{name}": name
        for name in SETTINGS.line_of_sight.compare
    },
}

# The same of the conditional-potential study, whose mock has partitions of its own.
CASES = {
    "conditional_potential": "",
    **{
        f"conditional_potential/variants/{name}": name
        for name in SETTINGS.conditional_potential.compare
    },
}
DUST_FREE = "conditional_potential/variants/dust_free"
if DUST_FREE not in CASES:
    FIGURES["conditional_potential"].remove("fig06")
    TABLES["conditional_potential"].remove("tab03")
if not set(CASES) - {"conditional_potential", DUST_FREE}:
    FIGURES["conditional_potential"].remove("fig08")
    TABLES["conditional_potential"].remove("tab04")
# Those with tables of their networks, 2 and 3.
TABULATED_CASES = [
    case for case in ("conditional_potential", DUST_FREE) if case in CASES
]
MOCK_PARTS = [f"{i:04d}" for i in range(SETTINGS.conditional_potential.partitions)]
# Any variant's files can be asked for, compared or not.
CASE_FOLDERS = [
    "conditional_potential",
    *(
        f"conditional_potential/variants/{name}"
        for name in SETTINGS.conditional_potential.variants
    ),
]

# A first look at real stars, where a release asks for it.
NEARBY = SETTINGS.conditional_potential.nearby.model_dump(mode="json")
HAS_NEARBY = "conditional_potential" in SETTINGS.studies and NEARBY["run"]
if HAS_NEARBY:
    FIGURES["conditional_potential"].append("nearby")


def check_start():
    """Stop a run that cannot write, lacks its GPU, or would meet an earlier one's jobs on a cluster."""
    try:
        check_writable(Path("results"))
        check_devices(SETTINGS, not workflow.non_local_exec)
        if workflow.non_local_exec:
            check_queue(Path.cwd())
    except MwatlasError as error:
        raise WorkflowError(str(error)) from None


def spare_the_head():
    """Take off Snakemake's limit of 100 jobs started a second, unless the user has set another.

    To look again after a second, each pass of the scheduler starts a thread that makes another
    pass: while jobs wait, N that ended leave N threads and N passes a second (it is in snakemake
    9.27, job_scheduler.py; compare its issue 2967).
    """
    limiter = workflow.scheduler.job_rate_limiter
    if limiter and (limiter.max_jobs, limiter.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None


def accounting():
    """Where the time and memory of the run went, as text; also written to its folder."""
    from mwatlas.estimate.accounting import write_accounting

    try:
        text = write_accounting(SETTINGS, Path(f"results/{SETTINGS.release}"))
    # Whatever is wrong with it, the run is what it is.
    except Exception as error:
        return f"\nNo account of time and memory: {error}"
    return f"\nWhere time and memory went:\n{text}"


STARTED = time.time()


def unsaid():
    """What only SLURM's logs say of this run's failures."""
    text = unsaid_failures(Path(".snakemake/slurm_logs"), STARTED)
    return f"\nJobs that failed before their log was open:\n{text}" if text else ""


# Hash of the code behind each rule; a changed one reruns it. Jobs have that of the run's start.
CODES = code_of_run(
    ROOT,
    starts=workflow.is_main_process,
    figures=[(study, figure) for study in FIGURES for figure in FIGURES[study]],
)


def digest(path):
    """Hash of a file that a rule depends on beside its inputs and code."""
    return blake2b(path.read_bytes(), digest_size=12).hexdigest()


def settings_text():
    """All that jobs read beside code and data: settings, published numbers, captions, queries."""
    read = [
        ROOT / "config" / "registry.yaml",
        *(ROOT / "workflow" / "queries").glob("*.adql"),
        *(ROOT / "src" / "mwatlas").rglob("*.csv"),
        *(ROOT / "src" / "mwatlas").rglob("*.j2"),
    ]
    parts = [
        SETTINGS.model_dump(mode="json"),
        {name: paper.model_dump(mode="json") for name, paper in PAPERS.items()},
        CAPTIONS,
        {str(path.relative_to(ROOT)): digest(path) for path in read},
    ]
    return json.dumps(parts, sort_keys=True)


def keep_settings():
    """A job of a run whose settings were edited since refuses."""
    try:
        check_settings(settings_text(), ROOT, starts=workflow.is_main_process)
    except MwatlasError as error:
        raise WorkflowError(str(error)) from None


def code(rule):
    """Hash of the code behind a rule."""
    return CODES[rule]


def subset_of(study, *sections):
    """The sections of a study's settings that a rule uses; others do not rerun it."""
    return {name: STUDY_SETTINGS[study][name] for name in (*sections, *ALONE)}


keep_settings()


def memory(base_mb, per_input_mb=0):
    """Resource function: MB of a job, more for larger inputs and after each failure.

    per_input_mb is the MB held for each MB of input files, where a job holds a part of them that
    grows with them.
    """

    def mem_mb(wildcards, input, attempt):
        return round(attempt * (base_mb + per_input_mb * input.size_mb))

    return mem_mb


def minutes(base):
    """Resource function: longest time of a job, longer after each failure."""
    return lambda wildcards, attempt: attempt * base


def published(study):
    """Published numbers of a study."""
    return PAPERS[study].model_dump(mode="json")


def caption_of(study, item):
    """Caption of a figure or table."""
    return CAPTIONS[study][item].strip()


def figure_caption(wildcards):
    """Caption of the figure a job draws."""
    return caption_of(wildcards.study.partition("/")[0], wildcards.figure)


def figure_code(wildcards):
    """Hash of the code that draws one figure."""
    return code_version(
        "draw_figure",
        ROOT,
        figures=[(wildcards.study.partition("/")[0], wildcards.figure)],
    )


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


def variant_of_run(wildcards):
    """Variant a folder belongs to; empty for the study itself."""
    _, _, variant = wildcards.run.partition("/variants/")
    return variant


def settings_of_run(wildcards):
    """Settings of the study in a folder."""
    return SETTINGS.line_of_sight.variant(variant_of_run(wildcards))


def subset_of_run(*sections):
    """The sections of the settings that a rule uses, of the study or of a variant."""
    return lambda wildcards: settings_of_run(wildcards).model_dump(
        mode="json", include={*sections, *ALONE}
    )


def predictor_of(run):
    """Folder of the run whose networks serve this one: the study's, if trained the same way."""
    variant = run.partition("/variants/")[2]
    return run if SETTINGS.line_of_sight.predictor(variant) else "line_of_sight"


# Any variant's files can be asked for, compared or not.
VARIANT_FOLDERS = [
    f"line_of_sight/variants/{name}" for name in SETTINGS.line_of_sight.variants
]
# Runs whose predictions are their own.
PREDICTORS = {run: name for run, name in RUNS.items() if predictor_of(run) == run}


def models_of_run(wildcards):
    """Networks of all rounds that predict for a run."""
    run = predictor_of(wildcards.run)
    return rounds(f"<results>/models/{run}/round{{round}}.keras")


def predictions_of_run(wildcards):
    """Predictions of one partition that a run rests on."""
    run = predictor_of(wildcards.run)
    return f"<results>/{run}/predictions/part-{wildcards.part}.parquet"


def all_predictions_of_run(wildcards):
    """Predictions of all partitions that a run rests on."""
    run = predictor_of(wildcards.run)
    return parts(f"<results>/{run}/predictions/part-{{part}}.parquet")


def training_folds(wildcards):
    """Input function: the subsets that train in a round."""
    settings = settings_of_run(wildcards).cross_validation
    return collect(
        "<results>/line_of_sight/folds/fold{number}.parquet",
        number=training_subsets(int(wildcards.round), settings),
    )


def validation_fold(wildcards):
    """Input function: the subset that validates in a round."""
    settings = settings_of_run(wildcards).cross_validation
    number = validation_subset(int(wildcards.round), settings)
    return f"<results>/line_of_sight/folds/fold{number}.parquet"


def case_settings(case):
    """Settings of the study in a folder; real stars and searches do not change its runs."""
    settings = SETTINGS.conditional_potential.variant(case.partition("/variants/")[2])
    return settings.model_copy(update={"nearby": Nearby(), "search": Search()})


def settings_of_case(wildcards):
    """The same, as a parameter."""
    return case_settings(wildcards.case).model_dump(mode="json")


def settings_to_evaluate(wildcards):
    """The same, of the comparison only the least S where fields without a scale are given one."""
    settings = case_settings(wildcards.case)
    scaled = Comparison(least_selection=settings.comparison.least_selection)
    return settings.model_copy(update={"comparison": scaled}).model_dump(mode="json")


def section_of_case(section):
    """A section of those settings."""
    return lambda wildcards: settings_of_case(wildcards)[section]


def plan_to_keep(wildcards):
    """Plan of the study itself, for a variant whose mock has the same density."""
    keeps = case_settings(wildcards.case).mock.keep_density
    return (
        "<results>/conditional_potential/mock/plan.json"
        if keeps and wildcards.case != "conditional_potential"
        else []
    )


def flows_section(wildcards):
    """Settings of a case's flows, and of what stands in for them."""
    return settings_of_case(wildcards)["flows"]


def settings_of_flow(wildcards):
    """The part that one member of one flow is trained by; the rest does not train it anew."""
    other = "positions" if wildcards.flow == "velocities" else "velocities"
    weights = [] if wildcards.flow == "weighted" else ["largest_weight"]
    return flows_without(
        wildcards, other, "members", "distillation", "always_observed", *weights
    )


def settings_of_quick(wildcards):
    """The part that the network with a flow's scores is trained by: flow or stars teach it."""
    used = ["distillation", "device"]
    section = flows_section(wildcards)
    if wildcards.flow == "velocities":
        used += ["bootstrap", "validation_share", "repeats"]
    else:
        learning = {**section["distillation"], "from_stars": None}
        section = {**section, "distillation": learning}
    return {name: section[name] for name in used}


def flows_without(wildcards, *left_out):
    """Settings of the flows of a case without some of them."""
    section = flows_section(wildcards)
    return {name: section[name] for name in section if name not in left_out}


def device_of_case(wildcards):
    """Where the networks of a case are trained and evaluated."""
    return flows_section(wildcards)["device"]


def radius_of_case(wildcards):
    """Radius of the volume of a case's mock."""
    return case_settings(wildcards.case).mock.tracer.radius_kpc


def mock_parts(table, suffix="parquet"):
    """Every partition of a table of a case's mock."""
    return collect(
        f"<results>/{{{{case}}}}/mock/{table}/part-{{part}}.{suffix}", part=MOCK_PARTS
    )


def learned_in_case(wildcards):
    """Flows of a case: those its methods need, and of observed positions if it always has it."""
    settings = case_settings(wildcards.case)
    needed = {"velocities", *(positions_of(m) for m in settings.methods)}
    if settings.flows.always_observed:
        needed.add("observed")
    return [n for n in FLOWS if n in needed]


def learned_by(method):
    """Flows that a method needs."""
    return [n for n in ("velocities", positions_of(method)) if n is not None]


def members_of_case(wildcards):
    """Numbers of the members of a case's ensemble."""
    return range(case_settings(wildcards.case).flows.members)


def flows_of_method(suffix):
    """Input function: one member's files of the flows of a method."""
    return lambda wildcards: collect(
        f"<results>/models/{wildcards.case}/{{flow}}-{wildcards.member}{suffix}",
        flow=learned_by(wildcards.method),
    )


def flows_of_case(suffix, kinds):
    """Input function: files of the flows of a case that a function names, member by member."""
    return lambda wildcards: collect(
        f"<results>/models/{wildcards.case}/{{flow}}-{{member}}{suffix}",
        flow=kinds(wildcards),
        member=members_of_case(wildcards),
    )


def positions_in_case(wildcards):
    """Flows of positions of a case."""
    return [n for n in learned_in_case(wildcards) if n != "velocities"]


def velocities_in_case(wildcards):
    """The flow that all methods share."""
    return ["velocities"]


def potentials_of_case(suffix):
    """Input function: files of all potentials of a case, member by member."""
    return lambda wildcards: collect(
        f"<results>/models/{wildcards.case}/{{method}}-{{member}}{suffix}",
        method=case_settings(wildcards.case).methods,
        member=members_of_case(wildcards),
    )


def solver_of_method(wildcards):
    """Settings of the solver of a method."""
    return settings_of_case(wildcards)["solvers"][wildcards.method]


def networks_searched():
    """What hyper-parameters are searched for: both flows, and solvers that have two networks."""
    methods = SETTINGS.conditional_potential.methods
    return [n for n in SEARCHED if section_of(n)[0] == "flows" or n in methods]


def flows_searched_with(suffix):
    """Input function: first member's files of the flows that a search needs, if any."""
    return lambda wildcards: collect(
        f"<results>/models/conditional_potential/{{flow}}-0{suffix}",
        flow=learned_for_search(wildcards),
    )


def learned_for_search(wildcards):
    """Flows that a search needs: those of the solver's method."""
    if section_of(wildcards.network)[0] == "flows":
        return []
    return learned_by(wildcards.network)


def settings_of_search(wildcards):
    """The sections of the study that a search uses; nothing starts if a range is not possible."""
    study, network = SETTINGS.conditional_potential.variant(""), wildcards.network
    try:
        check_ranges(network, study.search.ranges(network), study.searched(network))
    except MwatlasError as error:
        raise WorkflowError(str(error)) from None
    sections = {"search", "flows", "sampling", "solvers"}
    return study.model_dump(
        mode="json", include={name: True for name in sections} | {"mock": {"tracer"}}
    )


def evaluated_of(case):
    """Evaluated tables of a case."""
    return [
        f"<results>/{case}/evaluated/{name}.parquet"
        for name in ("points", "profile", "plane", "sky", "phase", "networks")
    ]


def nearby_members(name):
    """Files of all members of the first look at real stars."""
    return collect(
        f"<results>/models/conditional_potential/nearby/{name}",
        member=range(NEARBY["members"]),
    )


def nearby_numbers():
    """Numbers of the first look at real stars, if there is one."""
    numbers = "<results>/conditional_potential/nearby/numbers.json"
    return [numbers] if HAS_NEARBY else []


def figure_title(wildcards):
    """Name of the sample of a figure."""
    own = wildcards.study == "conditional_potential" and wildcards.figure != "nearby"
    return "Mock of Kalda & Green (2026)" if own else SETTINGS.adapter.title


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
    tabulated = HAS_SKY and ADAPTER["source"]["components"] is not None
    return ["<results>/sky/tables/tab01.csv"] if tabulated else []


def sky_part(*sections):
    """Some sections of the embedded sky's settings."""
    return {name: ADAPTER["source"][name] for name in sections}


def sky_tables():
    """Tables of the embedded sky that no study of this run asks for yet."""
    if not HAS_SKY:
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


def catalogues():
    """Published catalogues of the line-of-sight study: the paper's, and those of densities."""
    if not HAS_LINE_OF_SIGHT:
        return []
    densities = [
        run
        for run, name in PREDICTORS.items()
        if SETTINGS.line_of_sight.variant(name).network.kind == "mixture"
    ]
    return collect(
        "<results>/{run}/catalogs/{name}",
        run=["line_of_sight", *densities],
        name=CATALOGUES,
    )


def truths():
    """What the truth says of each run, which only the embedded sky knows."""
    return collect("<results>/{run}/data/recovered.json", run=RUNS if HAS_SKY else [])


def parts_of_stars(pattern):
    """Every partition of what the report counts, if a study of the release's stars runs."""
    return parts(pattern) if HAS_LINE_OF_SIGHT else []
