"""The settings of a configuration one by one: each with the value that counts, masked where secret, and its origin."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from asyncexec.backends.option_fields import options_of
from asyncexec.backends.registry import load
from asyncexec.backends.targets import ChosenExecutor
from asyncexec.config.problems import EXECUTOR, is_secret, shown_value
from asyncexec.config.settings import ExecutorSettings
from asyncexec.engine.configured import chosen_executor
from asyncexec.errors import ConfigurationError
from asyncexec.masking import MASK

if TYPE_CHECKING:
    from asyncexec.config.configuration import Configuration
    from asyncexec.config.yaml_file import KeyPath

DEFAULT = "default"
_SECRET_NAME = re.compile(r"password|passphrase|secret|token|credential|(^|_)key$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveSetting:
    """A setting as it counts.

    Attributes
    ----------
    path : tuple of str
        The keys that lead to it.
    value : object
        As it may be shown.
    origin : str
        ``"default"``, ``file:line``, a variable, or an option of the command line.
    """

    path: KeyPath
    value: Any
    origin: str


def effective_settings(configuration: Configuration) -> Iterator[EffectiveSetting]:
    """Yield every setting, in the order of the schema; those of the executor with its own defaults."""
    yield from _of_section(configuration, configuration.settings, ())


def _of_section(
    configuration: Configuration, section: BaseModel, path: KeyPath
) -> Iterator[EffectiveSetting]:
    for name in type(section).model_fields:
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from _of_section(configuration, value, (*path, name))
        else:
            yield from _of_value(configuration, value, (*path, name))
    if isinstance(section, ExecutorSettings):
        yield from _of_executor(configuration, section.options)


def _of_executor(
    configuration: Configuration, given: Mapping[str, Any]
) -> Iterator[EffectiveSetting]:
    """Yield the options that are given, and those of the executor that are not."""
    try:
        chosen = chosen_executor(configuration)
    except ConfigurationError:  # Its defaults are not known.
        chosen = ChosenExecutor(executor=object, name="", options={})
    constructor = load(chosen.executor) if isinstance(chosen.executor, str) else chosen.executor
    declared: Any = options_of(constructor)
    known = () if declared is None else fields(declared)
    secret = {each.name for each in known if not each.repr}
    for name, value in given.items():
        yield from _of_value(configuration, value, (*EXECUTOR, name), secret=name in secret)
    for each in known:
        if each.name in chosen.options and each.name not in given:
            value = MASK if each.name in secret else chosen.options[each.name]
            yield EffectiveSetting(
                path=(*EXECUTOR, each.name), value=value, origin="from other keys"
            )
        elif each.name not in given:
            default = None if each.default is MISSING else each.default
            yield EffectiveSetting(path=(*EXECUTOR, each.name), value=default, origin=DEFAULT)


def _of_value(
    configuration: Configuration, value: Any, path: KeyPath, *, secret: bool = False
) -> Iterator[EffectiveSetting]:
    """Yield a value, or each of those that a mapping holds."""
    hidden = secret or is_secret(path) or _SECRET_NAME.search(str(path[-1])) is not None
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _of_value(configuration, inner, (*path, name), secret=hidden)
        return
    shown = MASK if hidden and value not in ({}, None) else shown_value(path, value)
    origin = configuration.origin(*path) if configuration.is_given(*path) else DEFAULT
    yield EffectiveSetting(path=path, value=shown, origin=origin)
