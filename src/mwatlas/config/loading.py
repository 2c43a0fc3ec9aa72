"""Reading the configuration: layers of YAML, one model, errors that name file and key.

Later layers win: ``config/config.yaml``, the survey tables a release extends, the release adapter,
the study files, what the adapter overrides in them, and last what the user gives with
``--configfile``/``--config``.
"""

from __future__ import annotations

import copy
import difflib
import types
import typing
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from mwatlas.config.published import Published
from mwatlas.config.settings import STUDIES, Settings
from mwatlas.errors import ConfigError

USER = "the command line (--config or --configfile)"

KeyPath = tuple[str, ...]
Model = TypeVar("Model", bound=BaseModel)


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML loader that refuses a key given twice, which YAML itself lets pass."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=deep)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping.

    Raises
    ------
    ConfigError
        If the file is absent, is not YAML, repeats a key or holds no mapping.
    """
    try:
        value = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeyLoader)
    except FileNotFoundError as error:
        raise ConfigError(
            "a configuration file is missing", file=path, remedy="restore it from the repository"
        ) from error
    except yaml.YAMLError as error:
        raise ConfigError(
            "a configuration file is not valid YAML",
            file=path,
            found=str(error).replace("\n", " "),
            remedy="mend the line named above",
        ) from error
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigError(
            "a configuration file holds no mapping of keys to values",
            file=path,
            found=type(value).__name__,
            expected="lines of the form `key: value`",
            remedy="see config/README.md",
        )
    return value


class Layers:
    """Merged settings that remember which file each value came from."""

    def __init__(self) -> None:
        self.data: dict[str, Any] = {}
        self._origins: dict[KeyPath, str] = {}
        self._files: list[str] = []

    def add(self, values: Mapping[str, Any], origin: str) -> None:
        """Merge ``values``; mappings merge key by key, everything else is replaced."""
        if origin not in self._files:
            self._files.append(origin)
        self._merge(self.data, values, origin, ())

    def _merge(
        self, target: dict[str, Any], values: Mapping[str, Any], origin: str, at: KeyPath
    ) -> None:
        for key, value in values.items():
            path, old = (*at, str(key)), target.get(key)
            if isinstance(value, Mapping) and isinstance(old, dict) and _same_kind(old, value):
                self._merge(old, value, origin, path)
            else:
                target[key] = copy.deepcopy(value)
                self._origins = {p: o for p, o in self._origins.items() if p[: len(path)] != path}
                self._origins[path] = origin

    def origin(self, path: KeyPath) -> str:
        """File to look into about ``path``: the last that set it or something inside it."""
        inside = [o for p, o in self._origins.items() if p[: len(path)] == path]
        if inside:
            return max(inside, key=self._files.index)
        for length in range(len(path), 0, -1):
            if path[:length] in self._origins:
                return self._origins[path[:length]]
        return self._files[0]


def _same_kind(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Another kind of source has other keys: then nothing of the old one may stay."""
    return "kind" not in new or new["kind"] == old.get("kind")


def _with_nulls(value: Any) -> Any:
    """What the command line gives, where ``null`` is text like all else."""
    if isinstance(value, Mapping):
        return {key: _with_nulls(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_with_nulls(inner) for inner in value]
    return None if value == "null" else value


def load_settings(user: Mapping[str, Any], root: Path) -> Settings:
    """Read and check the configuration of a run.

    Parameters
    ----------
    user
        What the user gave on the command line; empty for the defaults.
    root
        Root of the repository, which holds ``config/``.

    Raises
    ------
    ConfigError
        Naming file, key, value and the nearest valid name, for every problem found.
    """
    config = root / "config"
    layers = Layers()
    layers.add(read_yaml(config / "config.yaml"), "config/config.yaml")
    layers.add({"archives": read_yaml(config / "archives.yaml")}, "config/archives.yaml")
    release = user.get("release", layers.data.get("release"))
    for name, adapter in _release_layers(config, release):
        origin = f"config/releases/{name}.yaml"
        extended = list(_survey_layers(config, adapter, origin))
        # The release comes after what it extends, but the key of a table is its own.
        for file, _, _ in extended:
            layers.add({}, file)
        for file, place, table in extended:
            layers.add(_nested(place, {}), origin)
            layers.add(_nested(place, table), file)
        layers.add({"adapter": adapter}, origin)
    for study in STUDIES:
        layers.add(
            {study: read_yaml(config / "studies" / f"{study}.yaml")}, f"config/studies/{study}.yaml"
        )
    overrides = layers.data["adapter"].get("study_overrides") or {}
    if isinstance(overrides, Mapping):
        layers.add(overrides, f"config/releases/{release}.yaml")
    layers.add(_with_nulls(user), USER)
    try:
        return Settings.model_validate(layers.data)
    except ValidationError as error:
        raise _explain(error, layers) from None


def load_published(study: str, root: Path) -> Published:
    """Read the published numbers of ``study``."""
    file = f"config/published/{study}.yaml"
    return load_file(root / file, file, Published)


def load_file(
    path: Path, origin: str, model: type[Model], *, context: Mapping[str, Any] | None = None
) -> Model:
    """Read and check a file that stands alone.

    Parameters
    ----------
    path, origin
        The file, and what messages call it.
    model
        What it holds.
    context
        What the checks of ``model`` compare with.

    Raises
    ------
    ConfigError
        Naming file, key, value and the nearest valid name, for every problem found.
    """
    layers = Layers()
    layers.add(read_yaml(path), origin)
    try:
        return model.model_validate(layers.data, context=context)
    except ValidationError as error:
        raise _explain(error, layers, model) from None


def _release_file(config: Path, release: object) -> Path:
    known = sorted(path.stem for path in (config / "releases").glob("*.yaml"))
    if release in known:
        return config / "releases" / f"{release}.yaml"
    raise ConfigError(
        "there is no such release",
        file="config/releases/",
        item="release",
        found=repr(release),
        expected=", ".join(known),
        remedy=_nearest(str(release), known)
        or "choose one of these, or write config/releases/<name>.yaml",
    )


def _release_layers(config: Path, release: object) -> list[tuple[str, dict[str, Any]]]:
    """A release adapter after the one it extends, which changes only what differs."""
    adapter = read_yaml(_release_file(config, release))
    base = adapter.pop("extends", None)
    if base is None:
        return [(str(release), adapter)]
    try:
        origin = read_yaml(_release_file(config, base))
    except ConfigError as error:
        raise ConfigError(
            "a release extends one that does not exist",
            file=f"config/releases/{release}.yaml",
            item="extends",
            found=repr(base),
            expected=error.expected,
            remedy=error.remedy,
        ) from None
    if base == release or "extends" in origin:
        raise ConfigError(
            "a release may only extend one that stands alone",
            file=f"config/releases/{release}.yaml",
            item="extends",
            found=f"{base}, which extends {origin.get('extends')}",
            expected="a release without `extends`",
            remedy="extend the release at the start of the chain, and repeat the changes between",
        )
    return [(str(base), origin), (str(release), adapter)]


def _survey_layers(
    config: Path, adapter: dict[str, Any], origin: str
) -> Iterator[tuple[str, KeyPath, dict[str, Any]]]:
    """Yield what survey tables of a release extend: the file, the table's key, the content."""
    known = sorted(path.stem for path in (config / "surveys").glob("*.yaml"))
    for survey, tables in _mappings(adapter.get("surveys")):
        for name, table in _mappings(tables.get("tables")):
            base = table.pop("extends", None)
            if base is None:
                continue
            if base not in known:
                raise ConfigError(
                    "a survey's table extends one that does not exist",
                    file=origin,
                    item=f"surveys.{survey}.tables.{name}.extends",
                    found=repr(base),
                    expected=", ".join(known),
                    remedy=_nearest(str(base), known)
                    or "choose one of these, or describe the columns in the release itself",
                )
            place = ("adapter", "surveys", survey, "tables", name)
            file = f"config/surveys/{base}.yaml"
            yield file, place, read_yaml(config.parent / file)


def _nested(place: KeyPath, value: dict[str, Any]) -> dict[str, Any]:
    for key in reversed(place):
        value = {key: value}
    return value


def _mappings(value: object) -> Iterator[tuple[str, dict[str, Any]]]:
    """Items of a mapping that are mappings themselves; others are for validation to refuse."""
    for key, inner in value.items() if isinstance(value, dict) else ():
        if isinstance(inner, dict):
            yield str(key), inner


def _nearest(name: str, valid: list[str]) -> str:
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    return f"did you mean '{close[0]}'?" if close else ""


def _explain(
    error: ValidationError, layers: Layers, model: type[BaseModel] = Settings
) -> ConfigError:
    problems = [
        _explain_one(inner, layers, model)
        for detail in error.errors()
        for inner in _inside_variants(dict(detail))
    ]
    if len(problems) == 1:
        return problems[0]
    first = problems[0]
    first.args = (
        f"the configuration has {len(problems)} problems\n"
        + "\n".join(str(problem) for problem in problems),
    )
    return first


def _inside_variants(detail: dict[str, Any]) -> list[dict[str, Any]]:
    """Problems in a variant of a study are those of the study, at another place in the files."""
    if detail["type"] != "variant":
        return [detail]
    study, name = tuple(detail["loc"]), detail["ctx"]["name"]
    return [
        {**inner, "loc": study + tuple(inner["loc"]), "place": (*study, "variants", name)}
        for inner in detail["ctx"]["errors"]
    ]


def _explain_one(detail: dict[str, Any], layers: Layers, model: type[BaseModel]) -> ConfigError:
    path, holder = _locate(tuple(detail["loc"]), model)
    if "place" in detail:
        path = detail["place"] + path[len(detail["place"]) - 2 :]
    origin = layers.origin(path)
    key = ".".join(path)
    if origin.startswith("config/releases/"):
        key = key.removeprefix("adapter.")
    elif origin.startswith("config/surveys/"):
        key = ".".join(path[5:])  # adapter.surveys.<survey>.tables.<table>.
    elif origin == "config/archives.yaml" or origin.startswith("config/studies/"):
        key = key.split(".", 1)[-1]
    valid = sorted(holder.model_fields) if holder is not None else []
    if detail["type"] == "extra_forbidden":
        return ConfigError(
            "unknown configuration key",
            file=origin,
            item=key,
            found=f"{path[-1]}: {detail['input']!r}",
            expected="one of " + ", ".join(valid),
            remedy=_nearest(path[-1], valid) or "remove it, or see config/README.md",
        )
    if detail["type"] == "missing":
        return ConfigError(
            "a configuration key is missing",
            file=origin,
            item=key,
            expected=f"a value for '{path[-1]}'",
            remedy="add it; config/README.md explains every key",
        )
    remedy = "correct it; config/README.md explains every key"
    if detail["type"] == "value_error":
        why = detail["msg"].removeprefix("Value error, ")
        return ConfigError(
            f"a setting is not possible: {why}", file=origin, item=key, remedy=remedy
        )
    if detail["type"] == "literal_error":
        choices = [
            choice.strip("' ")
            for choice in detail["ctx"]["expected"].replace(" or ", ",").split(",")
        ]
        remedy = _nearest(str(detail["input"]), choices) or remedy
    return ConfigError(
        "a setting is not possible",
        file=origin,
        item=key,
        found=repr(detail["input"]) if not isinstance(detail["input"], (dict, BaseModel)) else None,
        expected=detail["msg"],
        remedy=remedy,
    )


def _locate(
    loc: tuple[int | str, ...], model: type[BaseModel]
) -> tuple[KeyPath, type[BaseModel] | None]:
    """Turn pydantic's location into a key path, and find the model that owns its last key."""
    path: list[str] = []
    holder: type[BaseModel] | None = None
    options: list[type[BaseModel]] = [model]
    keyed = False
    for step in loc:
        tagged = [option for option in options if _tag(option) == step]
        if tagged and not any(step in option.model_fields for option in options):
            options = tagged
            continue
        path.append(str(step))
        if keyed:
            # A name the user chose, in a mapping of names to models.
            keyed = False
            continue
        holder = options[0] if options else None
        field = holder.model_fields.get(str(step)) if holder is not None else None
        keyed = field is not None and get_origin(field.annotation) is dict
        options = (
            _models_in(field.annotation)
            if field is not None
            else (options if isinstance(step, int) else [])
        )
    return tuple(path), holder


def _tag(model: type[BaseModel]) -> str | None:
    kind = model.model_fields.get("kind")
    if kind is None or get_origin(kind.annotation) is not Literal:
        return None
    return str(get_args(kind.annotation)[0])


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in (Annotated, Union, types.UnionType, list, dict, typing.Annotated):
        return [model for part in get_args(annotation) for model in _models_in(part)]
    return []
