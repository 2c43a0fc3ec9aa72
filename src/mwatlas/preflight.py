"""Checks before anything runs: are the files there, can the studies run on this release."""

from __future__ import annotations

import os
from pathlib import Path

from mwatlas.archive.readers import file_format
from mwatlas.config import Settings
from mwatlas.config.release import FilesSource
from mwatlas.errors import InputError
from mwatlas.studies.line_of_sight.selection import check_release


def expose_package(source: Path) -> None:
    """Let the jobs' own Python processes import the package from ``source``.

    They inherit the environment. So the code that runs is that of this checkout, also where
    another is installed or none is, as in a conda environment.
    """
    others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    paths = [str(source), *(path for path in others if path and path != str(source))]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)


def source_files(settings: Settings) -> list[str]:
    """Files a release reads, in a fixed order.

    Raises
    ------
    InputError
        If a pattern of ``source.paths`` matches no file.
    """
    source = settings.adapter.source
    if not isinstance(source, FilesSource):
        return []
    folder = Path(settings.data_dir)
    files: list[str] = []
    for pattern in source.paths:
        matches = (
            sorted(folder.glob(pattern)) if not Path(pattern).is_absolute() else [Path(pattern)]
        )
        matches = [path for path in matches if path.is_file() and not path.name.startswith(".")]
        if not matches:
            raise InputError(
                "the data of the release are not there",
                file=folder / pattern,
                found="no such file" if folder.is_dir() else f"no folder {folder}",
                expected=f"the files of {settings.adapter.title}; "
                f"config/releases/{settings.release}.yaml says how to get them",
                remedy="put them there, or point to their folder: "
                f"snakemake --config release={settings.release} data_dir=/path/to/folder",
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
    for path in source_files(settings):
        file_format(Path(path))
