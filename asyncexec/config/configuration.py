"""Read a configuration: layers in order, checked against the schema, with the origin of every key.

The precedence: defaults, below the file, below the dotenv file, below the environment, below ``-o key=value``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from pydantic import ValidationError

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
from asyncexec.config.problems import EXECUTOR, section_at, sentence_of
from asyncexec.config.settings import Settings
from asyncexec.config.yaml_file import KeyPath, read_yaml
from asyncexec.errors import OptionError, SettingsError

_EXPRESSION = re.compile(r"\$(?:[a-z_]+)?\{")
"""Of the files that Flowdapt reads: ``$ref{…}``, ``${NAME}``."""

type ConfigLike = str | os.PathLike[str] | Mapping[str, Any] | Settings | Configuration


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Settings, and where each of them comes from.

    Attributes
    ----------
    settings : Settings
    notices : tuple of str
        Keys that were accepted and have no effect, each with its reason.
    problems : tuple of str
        Keys that are wrong, each with its place; the settings are those without them.
    """

    settings: Settings
    notices: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
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
    read = examine_configuration(
        source, overrides=overrides, env_file=env_file, environment=environment
    )
    if read.problems:
        raise SettingsError.of(read.problems)
    return read


def examine_configuration(
    source: ConfigLike | None = None,
    *,
    overrides: Iterable[str] = (),
    env_file: str | os.PathLike[str] | None = None,
    environment: Mapping[str, str] | None = None,
) -> Configuration:
    """Return the configuration, with what is wrong in its ``problems``; arguments as of :func:`load_configuration`.

    Raises
    ------
    OptionError
        If a source cannot be read at all.
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
        _leave_out_empty_sections(layer)
        problems += [*_keys_that_are_no_names(layer), *_expressions(layer)]
        _write_out_texts(layer)
    settings, wrong = _validated(layers)
    return Configuration(
        settings=settings,
        notices=tuple(notices),
        problems=(*problems, *wrong),
        _layers=layers,
    )


def _validated(layers: Sequence[Layer]) -> tuple[Settings, list[str]]:
    """Return the settings without keys that are wrong, and a sentence for each of these."""
    problems: list[str] = []
    made: dict[str, Any] = {Settings.LAYERS: layers}
    while True:
        try:
            return Settings(**made), problems
        except ValidationError as error:
            for details in error.errors(include_url=False, include_context=False):
                path = tuple(details["loc"])
                origin = _origin(layers, path) or "the configuration"
                problems.append(f"{origin}: {sentence_of(details, path)}")
            # At the end, as one removal may be part of another.
            removed = [_remove(layers, tuple(each["loc"])) for each in error.errors()]
            if not any(removed):
                raise SettingsError.of(problems) from error


def _remove(layers: Sequence[Layer], path: KeyPath) -> bool:
    """Remove the value at a path, or the nearest around it that some layer has; return whether there was one."""
    while path and not any(path in layer.origins for layer in layers):
        path = path[:-1]
    found = [layer for layer in layers if path in layer.origins]
    for layer in found:
        layer.remove(path)
    return bool(found)


def _leave_out_empty_sections(layer: Layer) -> None:
    """Remove sections that have been left empty, whose keys are comments, say."""
    for path in [path for path in layer.origins if section_at(path) is not None]:
        if path in layer.origins and layer.at(path) is None:
            layer.remove(path)


def _keys_that_are_no_names(layer: Layer) -> Iterator[str]:
    """Remove keys such as 3 or true from sections, and yield a sentence for each."""
    for path, origin in list(layer.origins.items()):
        section = None if isinstance(path[-1], str) else section_at(path[:-1])
        if section is not None and isinstance(layer.at(path[:-1]), dict):
            layer.remove(path)
            within = ".".join(map(str, path[:-1])) or "a configuration"
            yield f"{origin}: there is no key {path[-1]!r} in {within}: keys are names"


def _expressions(layer: Layer) -> Iterator[str]:
    """Yield a sentence for each text that Flowdapt would replace by what it computes of it."""
    for path, text in layer.texts.items():
        found = _EXPRESSION.match(text)
        if path in layer.origins and found is not None:
            yield (
                f"{layer.origins[path]}: {'.'.join(map(str, path))} begins with the expression {found[0]}…, and "
                f"expressions are not computed: write the value, or give it as a variable of the environment"
            )


def _write_out_texts(layer: Layer) -> None:
    """Take texts as they are written where text is wanted: YAML makes other things of ``yes`` and ``007``."""
    for path, text in layer.texts.items():
        if path in layer.origins and _is_text(path):
            write_text(layer.values, path, text)


def _is_text(path: KeyPath) -> bool:
    if path[:-1] == (*EXECUTOR, VERBATIM):
        return True
    section = section_at(path[:-1])
    known = None if section is None else section.model_fields.get(str(path[-1]))
    hint = None if known is None else known.annotation
    return hint is str or str in get_args(hint)


def _origin(layers: Sequence[Layer], path: KeyPath) -> str | None:
    while path:
        for layer in reversed(layers):
            if path in layer.origins:
                return layer.origins[path]
        path = path[:-1]
    return None
