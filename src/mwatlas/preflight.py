"""Checks before anything runs: are the files there, can the studies run on this release."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import NamedTemporaryFile

from mwatlas.archive.readers import file_format
from mwatlas.archive.request import ACQUIRED, TableRequest, acquired_file, matching_files
from mwatlas.config import Settings
from mwatlas.config.archives import Fetch
from mwatlas.config.release import FilesSource
from mwatlas.errors import ConfigError, InputError
from mwatlas.studies.conditional_potential.nearby_stars import check_nearby
from mwatlas.studies.line_of_sight.selection import check_release


def expose_package(source: Path) -> None:
    """Let the jobs' own Python processes import the package from ``source``.

    They inherit the environment. So the code that runs is that of this checkout, also where
    another is installed or none is, as in a conda environment.
    """
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [str(source), *(path for path in others if path and path != str(source))]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)


def check_writable(folder: Path) -> None:
    """Make sure that results can be written.

    Raises
    ------
    InputError
        If a file cannot be made in ``folder``.
    """
    try:
        folder.mkdir(exist_ok=True)
        with NamedTemporaryFile(dir=folder, prefix=".writable"):
            pass
    except OSError as error:
        raise InputError(
            "results cannot be written",
            file=folder,
            found=str(error),
            expected="a folder, or a link to one, in which this user may write",
            remedy="run where results/ can be written, or make it a link to such a folder",
        ) from error


def source_files(settings: Settings) -> list[str]:
    """Files a release reads, in a fixed order; or the list of those that will be fetched.

    Raises
    ------
    InputError
        If a pattern of ``source.paths`` matches no file, and none can be fetched.
    """
    source = settings.adapter.source
    if not isinstance(source, FilesSource):
        return []
    return _matching_files(
        settings,
        "gaia_source",
        source.paths,
        source.fetch,
        "the data of the release are not there",
        f"the files of {settings.adapter.title}; "
        f"config/releases/{settings.release}.yaml says how to get them",
    )


def survey_files(settings: Settings) -> dict[str, dict[str, list[str]]]:
    """Files of each table of each survey that is used, empty for tables of the embedded sky.

    Raises
    ------
    InputError
        If a pattern of ``paths`` matches no file, and none can be fetched.
    """
    return {
        name: {
            key: _matching_files(
                settings,
                f"{name}.{key}",
                table.paths,
                table.fetch,
                "the files of a survey are not there",
                f"the files of {survey.title}",
                f"; or leave the survey out: --config 'adapter={{surveys: {{{name}: "
                "{left_out: no files}}}'",
            )
            for key, table in survey.tables.items()
        }
        for name, survey in settings.adapter.used_surveys().items()
    }


def id_files(settings: Settings, request: TableRequest) -> list[str]:
    """Files of the table that lists a request's sources, or the list of those to be fetched.

    Raises
    ------
    InputError
        If it is a survey's or the release's own, and neither there nor to be fetched.
    """
    if request.ids is None:
        return []
    survey, _, part = request.ids.table.partition(".")
    if part:
        return survey_files(settings)[survey][part]
    if survey == "gaia_source":
        return source_files(settings)
    return [str(acquired_file(settings, survey))]


def _matching_files(
    settings: Settings,
    table: str,
    patterns: list[str],
    fetch: Fetch | None,
    problem: str,
    expected: str,
    otherwise: str = "",
) -> list[str]:
    folder = Path(settings.data_dir)
    files: list[str] = []
    for pattern in patterns:
        matches = matching_files(settings, pattern)
        if not matches and fetch is not None and not files:
            # The user's own files come first; without any the archives are asked.
            return [str(acquired_file(settings, table))]
        if not matches:
            raise InputError(
                problem,
                file=folder / pattern,
                found="no such file" if folder.is_dir() else f"no folder {folder}",
                expected=expected,
                remedy="put them there, or point to their folder: "
                f"snakemake --config release={settings.release} data_dir=/path/to/folder"
                + otherwise,
            )
        files += [str(path) for path in matches]
    return files


def check_run(settings: Settings) -> None:
    """Check what can be checked without reading a row.

    Raises
    ------
    ConfigError, InputError
        If a study cannot run on the release, or a file is absent or of an unknown format.
    """
    if "line_of_sight" in settings.studies:
        check_release(settings.adapter, settings.release)
    if "conditional_potential" in settings.studies and settings.conditional_potential.nearby.run:
        check_nearby(settings.adapter, settings.release)
    files = source_files(settings)
    for tables in survey_files(settings).values():
        files += [path for paths in tables.values() for path in paths]
    for path in files:
        if Path(path).name != ACQUIRED:
            file_format(Path(path))


def check_devices(settings: Settings, local: bool) -> None:
    """Check that networks can train where they are told to, before a job starts.

    Parameters
    ----------
    settings
        Settings of the run.
    local
        Whether jobs run on this machine; a cluster's machines may have what it lacks.

    Raises
    ------
    ConfigError
        If a device is not there, or a cluster is not asked for it.
    """
    if "conditional_potential" not in settings.studies:
        return
    study = settings.conditional_potential
    key = "conditional_potential"
    devices = {f"{key}.flows.device": study.flows.device}
    for name in study.compare:
        devices[f"{key}.variants.{name}.flows.device"] = study.variant(name).flows.device
    if study.nearby.run:
        devices[f"{key}.nearby.device"] = study.nearby.device
    for item, device in devices.items():
        if device == "cpu":
            continue
        if local:
            # Loading torch takes seconds, which only such runs need to spend here.
            from mwatlas.flows.device import checked_device

            checked_device(device, item)
        elif not settings.gpus:
            raise ConfigError(
                "networks are to train on a GPU that no job asks for",
                item=item,
                found=f"{device}, and gpus: 0",
                expected="gpus of at least 1, which the cluster's scheduler is asked for",
                remedy="set gpus: 1, or the device to cpu",
            )
