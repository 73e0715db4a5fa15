"""Fills the settings dataclasses from files, environment and command line, strictly.

oslo.config ignores unknown names and looks at a value only when somebody reads it.  Here an unknown
option or a bad value refuses to start, and the message names the file, the option and, for a
misspelling, the option that was probably meant.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from oslo_config import cfg

Classes = Mapping[str, type[Any]]
"""Settings class of each group; the group `DEFAULT` is the file's `[DEFAULT]`."""


class ConfigurationError(Exception):
    """The configuration cannot be used; one line of `problems` for each thing to mend."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


def load(
    classes: Classes,
    files: Iterable[Path],
    arguments: Mapping[str, str],
    environment: Mapping[str, str],
    foreign: Collection[str] = (),
) -> dict[str, Any]:
    """Return one settings object per group.

    `files` are read in order, later ones win; files that do not exist are skipped.  The environment
    (`OS_<GROUP>__<OPTION>`) wins over files, `arguments` (`group.option` -> value) over everything.
    Groups in `foreign` are known, but nobody asks for them now: they are not looked at.
    Raise `ConfigurationError` for an unreadable file, an unknown option or a bad value.
    """
    existing = [path for path in files if path.exists()]
    conf = cfg.ConfigOpts()
    for group, settings in classes.items():
        for opt in _options(settings):
            conf.register_opt(opt, group=_group(group))
    origins, problems = _read_names(classes, existing, foreign)
    overrides = _from_environment(classes, environment, problems)
    overrides += [
        _argument(classes, name, value, problems)
        for name, value in arguments.items()
        if name.rpartition(".")[0] not in foreign
    ]
    if problems:
        raise ConfigurationError(problems)
    _parse(conf, existing)
    for group, option, value, origin in overrides:
        _override(conf, (group, option, value, origin), classes[group], problems)
    loaded = {
        group: _build(conf, group, settings, origins, problems)
        for group, settings in classes.items()
    }
    if problems:
        raise ConfigurationError(problems)
    return loaded


Override = tuple[str, str, str, str]
"""Group, option, value as text, where it came from."""
Origins = dict[tuple[str, str], Path]
"""The file that spoke last about (group, option)."""


def _group(name: str) -> str | None:
    return None if name == "DEFAULT" else name


def _options(settings: type[Any]) -> list[cfg.Opt]:
    hints = typing.get_type_hints(settings)
    return [
        _option(field, hints[field.name])
        for field in dataclasses.fields(settings)
        if "help" in field.metadata
    ]


_KINDS = {
    bool: cfg.BoolOpt,
    int: cfg.IntOpt,
    float: cfg.FloatOpt,
    str: cfg.StrOpt,
    Path: cfg.StrOpt,
}


def _option(field: dataclasses.Field[Any], hint: Any) -> cfg.Opt:
    known = field.metadata
    default = field.default
    if isinstance(default, tuple):
        default = list(default)
    elif isinstance(default, Path):
        default = str(default)
    more: dict[str, Any] = {key: known[key] for key in ("min", "max", "choices") if key in known}
    more["secret"] = known.get("secret", False)
    more["mutable"] = known.get("mutable", False)
    return _kind(field.name, _bare(hint))(field.name, default=default, help=known["help"], **more)


def _kind(name: str, hint: Any) -> Any:
    """Return oslo.config's class for a type; raise `TypeError` for one that cannot be."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint in _KINDS:
        return _KINDS[hint]
    if origin is tuple and arguments == (str, ...):
        return cfg.ListOpt
    raise TypeError(f"{name}: a setting cannot have the type {hint}")


def _bare(hint: Any) -> Any:
    """Return the type without `| None`."""
    if typing.get_origin(hint) not in (typing.Union, types.UnionType):
        return hint
    kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)]
    return kinds[0] if len(kinds) == 1 else hint


def _read_names(
    classes: Classes, files: list[Path], foreign: Collection[str]
) -> tuple[Origins, list[str]]:
    """Return who set what, and a problem for each name that no settings class knows."""
    origins: Origins = {}
    problems: list[str] = []
    for path in files:
        sections: dict[str, dict[str, list[str]]] = {}
        try:
            cfg.ConfigParser(str(path), sections).parse()
        except (cfg.ParseError, OSError, UnicodeDecodeError) as error:
            problems.append(f"{path}: cannot be read: {error}")
            continue
        for group, values in sections.items():
            for name in values if group not in foreign else ():
                option = name.replace("-", "_")
                problem = _unknown(classes, group, option)
                if problem:
                    problems.append(f"{path}: {problem}")
                origins[group, option] = path
    return origins, problems


def _names(settings: type[Any]) -> set[str]:
    return {field.name for field in dataclasses.fields(settings) if "help" in field.metadata}


def _unknown(classes: Classes, group: str, option: str) -> str | None:
    """Return what is wrong with a name, or None when it is known."""
    if group not in classes:
        return f"unknown group [{group}]{_hint(group, classes)}"
    if option not in _names(classes[group]):
        return f"unknown option [{group}] {option}{_hint(option, _names(classes[group]))}"
    return None


def _hint(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def _from_environment(
    classes: Classes, environment: Mapping[str, str], problems: list[str]
) -> list[Override]:
    """Return the options that the environment sets; variables of foreign groups are not ours."""
    groups = {group.upper(): group for group in classes}
    overrides: list[Override] = []
    for variable, value in environment.items():
        prefix, separator, name = variable.partition("__")
        group = groups.get(prefix.removeprefix("OS_"))
        if not separator or not prefix.startswith("OS_") or group is None:
            continue
        problem = _unknown(classes, group, name.lower())
        if problem:
            problems.append(f"environment variable {variable}: {problem}")
        overrides.append((group, name.lower(), value, f"environment variable {variable}"))
    return overrides


def _argument(classes: Classes, name: str, value: str, problems: list[str]) -> Override:
    group, _, option = name.rpartition(".")
    group = group or "DEFAULT"
    problem = _unknown(classes, group, option)
    if problem:
        problems.append(f"command line: {problem}")
    return group, option, value, "command line"


def _parse(conf: cfg.ConfigOpts, files: list[Path]) -> None:
    try:
        conf(
            [],
            project="statera",
            default_config_files=[str(path) for path in files],
            default_config_dirs=[],
            use_env=False,
        )
    except (cfg.Error, OSError) as error:
        raise ConfigurationError([str(error)]) from error


def _override(
    conf: cfg.ConfigOpts, override: Override, settings: type[Any], problems: list[str]
) -> None:
    group, option, value, origin = override
    try:
        conf.set_override(option, value, group=_group(group))
    except (ValueError, cfg.Error) as error:
        problems.append(_bad_value(origin, group, option, settings, error))


def _bad_value(origin: str, group: str, option: str, settings: type[Any], error: Exception) -> str:
    """Return the problem of a value that its type refuses; a secret's is not repeated."""
    secret = any(
        field.name == option and field.metadata.get("secret")
        for field in dataclasses.fields(settings)
    )
    # the library's text begins with where the value came from, which we say better
    words = "the value cannot be used" if secret else str(error).rpartition("is not valid: ")[2]
    return f"{origin}: [{group}] {option}: {words}"


def _build(
    conf: cfg.ConfigOpts,
    group: str,
    settings: type[Any],
    origins: Origins,
    problems: list[str],
) -> Any:
    hints = typing.get_type_hints(settings)
    values: dict[str, Any] = {}
    for option in _names(settings):
        try:
            value = conf[option] if group == "DEFAULT" else conf[group][option]
        except (ValueError, cfg.Error) as error:
            origin = str(origins.get((group, option), "configuration"))
            problems.append(_bad_value(origin, group, option, settings, error))
            continue
        values[option] = _convert(_bare(hints[option]), value)
    return None if problems else settings(**values)


def _convert(kind: Any, value: Any) -> Any:
    if value is None:
        return None
    if kind is Path:
        return Path(value)
    return tuple(value) if isinstance(value, list) else value
