"""Read a configuration: layers in order, checked against the schema, with the origin of every key.

The precedence: defaults, below the file, below the dotenv file, below the environment, below ``-o key=value``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from asyncexec.config.fields import nearest
from asyncexec.config.foreign_keys import take_foreign_keys
from asyncexec.config.layers import (
    FLOWDAPT_PREFIX,
    PREFIX,
    VERBATIM,
    Layer,
    dotenv_layers,
    environment_layer,
    file_layer,
    mapping_layer,
    override_layer,
    write_text,
)
from asyncexec.config.settings import MASK, Settings, hidden_password
from asyncexec.config.yaml_file import KeyPath, read_yaml
from asyncexec.errors import OptionError, SettingsError

EXECUTOR: KeyPath = ("services", "compute", "executor")
DATABASE_URL: KeyPath = ("database", "url")
SECRET: tuple[KeyPath, ...] = (("storage", "parameters"), (*EXECUTOR, VERBATIM))
"""Values below these keys are never shown."""

type ConfigLike = str | os.PathLike[str] | Mapping[str, Any] | Settings | Configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Settings, and where each of them comes from.

    Attributes
    ----------
    settings : Settings
    notices : tuple of str
        Keys that were accepted and have no effect, each with its reason.
    """

    settings: Settings
    notices: tuple[str, ...] = ()
    _layers: Sequence[Layer] = field(default=(), repr=False)

    def origin(self, *path: str | int) -> str:
        """Return where the setting at ``path`` comes from: ``file:line``, a variable, ``-o key`` or ``"default"``."""
        return _origin(self._layers, path) or "default"

    def is_given(self, *path: str | int) -> bool:
        """Return whether some source says the setting at ``path``."""
        return any(path in layer.origins for layer in self._layers)


def load_configuration(
    source: ConfigLike | None = None,
    *,
    overrides: Iterable[str] = (),
    env_file: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Configuration:
    """Return the configuration that a source, a dotenv file, the environment and overrides make together.

    >>> from asyncexec.config.configuration import load_configuration
    >>> read = load_configuration({"engine": {"memory": "2GB"}}, overrides=["engine.barriers=true"])
    >>> read.settings.engine.memory, read.settings.engine.barriers, read.origin("engine", "barriers")
    (2000000000, True, '-o engine.barriers')

    Parameters
    ----------
    source : path, mapping, Settings or Configuration, optional
        Settings and a configuration are taken as they are: overrides do not go with them.
    overrides : iterable of str
        ``"services.compute.executor.cpus=4"``; values are YAML.
    env_file : path, optional
        A dotenv file.
    environment : mapping of str to str, optional
        By default that of the process.

    Raises
    ------
    SettingsError
        With all problems at once; each says where it is.
    """
    if isinstance(source, Configuration | Settings):
        if env_file is not None or tuple(overrides):
            raise OptionError(
                "settings that have been read already take no overrides and no dotenv file"
            )
        return source if isinstance(source, Configuration) else Configuration(settings=source)
    layers = [_source_layer(source)] if source is not None else []
    prefixes = [FLOWDAPT_PREFIX, PREFIX] if _is_flowdapts(layers) else [PREFIX]
    if env_file is not None:
        layers += dotenv_layers(env_file, *prefixes)
    variables = os.environ if environment is None else environment
    layers += [environment_layer(variables, prefix=prefix) for prefix in prefixes]
    layers.append(override_layer(overrides))
    return _checked(layers)


def shown_value(path: KeyPath, value: Any) -> Any:
    """Return a value as it may be shown: what may be secret is masked."""
    if path == DATABASE_URL and isinstance(value, str):
        return hidden_password(value)
    if any(path[: len(each)] == each for each in SECRET):
        return dict.fromkeys(value, MASK) if isinstance(value, Mapping) else MASK
    return value


def _source_layer(source: str | os.PathLike[str] | Mapping[str, Any]) -> Layer:
    if isinstance(source, Mapping):
        return mapping_layer(source)
    if not isinstance(source, str | os.PathLike):
        raise OptionError(
            f"a configuration is a file, a mapping or settings, not a {type(source).__name__}"
        )
    return file_layer(read_yaml(source))


def _is_flowdapts(layers: Sequence[Layer]) -> bool:
    """Return whether a file sends work to an executor of Flowdapt's, so that its variables count too."""
    inner: Any = layers[0].values if layers else {}
    for key in (*EXECUTOR, "target"):
        inner = inner.get(key) if isinstance(inner, Mapping) else None
    return isinstance(inner, str) and inner.startswith("flowdapt.")


def _checked(layers: Sequence[Layer]) -> Configuration:
    notices: list[str] = []
    problems: list[str] = []
    for layer in layers:
        accepted, refused = take_foreign_keys(layer)
        notices += accepted
        problems += refused
        _write_out_texts(layer)
    made: dict[str, Any] = {Settings.LAYERS: layers}
    try:
        settings = Settings(**made)
    except ValidationError as error:
        problems += _sentences(error, layers)
    else:
        if not problems:
            return Configuration(settings=settings, notices=tuple(notices), _layers=layers)
    raise SettingsError.of(problems)


def _write_out_texts(layer: Layer) -> None:
    """Take texts as they are written where text is wanted: YAML makes other things of ``yes`` and ``007``."""
    for path, text in layer.texts.items():
        if path in layer.origins and _is_text(path):
            write_text(layer.values, path, text)


def _is_text(path: KeyPath) -> bool:
    if path[:-1] == (*EXECUTOR, VERBATIM):
        return True
    section = _section(path[:-1])
    known = None if section is None else section.model_fields.get(str(path[-1]))
    hint = None if known is None else known.annotation
    return hint is str or str in get_args(hint)


def _section(path: KeyPath) -> type[BaseModel] | None:
    """Return the section at a path; None where there is none."""
    section: Any = Settings
    for key in path:
        known = section.model_fields.get(str(key))
        section = None if known is None else known.annotation
        if not (isinstance(section, type) and issubclass(section, BaseModel)):
            return None
    return section  # type: ignore[no-any-return] # checked at each step


def _sentences(error: ValidationError, layers: Sequence[Layer]) -> Iterator[str]:
    for details in error.errors(include_url=False, include_context=False):
        path = tuple(details["loc"])
        origin = _origin(layers, path) or "the configuration"
        yield f"{origin}: {_problem(details, path)}"


def _problem(details: ErrorDetails, path: KeyPath) -> str:
    dotted = ".".join(map(str, path))
    if details["type"] == "extra_forbidden":
        section = _section(path[:-1])
        known = list(section.model_fields) if section else []
        near = nearest(str(path[-1]), known)
        hint = f"did you mean {near[0]!r}? " if near else ""
        within = ".".join(map(str, path[:-1])) or "a configuration"
        return f"there is no key {path[-1]!r} in {within}: {hint}It has {', '.join(known)}"
    said = (
        details["msg"].removeprefix("Value error, ").removeprefix("Input ").removeprefix("String ")
    )
    if details["type"] in {"model_type", "dict_type", "model_attributes_type"}:
        said = "must map names to values"
    if not said.startswith(("must", "should")):
        return f"{dotted}: {said}"
    return f"{dotted} {said}{_unless_secret(path, details['input'])}"


def _unless_secret(path: KeyPath, value: Any) -> str:
    if path == DATABASE_URL or any(path[: len(each)] == each for each in SECRET):
        return ""
    # Something secret may be in it.
    plain = not isinstance(value, Mapping | list)
    return f", not {value!r}" if plain else f", not be a {type(value).__name__}"


def _origin(layers: Sequence[Layer], path: KeyPath) -> str | None:
    while path:
        for layer in reversed(layers):
            if path in layer.origins:
                return layer.origins[path]
        path = path[:-1]
    return None
