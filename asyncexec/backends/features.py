"""What each executor can do and takes, from its class: for tables, before anything is made or installed."""

from __future__ import annotations

import importlib.metadata
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from asyncexec.backends.contract import Capabilities
from asyncexec.backends.extras import extra_of, install_command
from asyncexec.backends.option_fields import Option, declared_options
from asyncexec.backends.registry import known_executors, load
from asyncexec.errors import AsyncexecError

_REQUIREMENT = re.compile(r"^([A-Za-z0-9._-]+).*;.*\bextra == ['\"]([A-Za-z0-9._-]+)['\"]")
_HEADING = re.compile(r"^(\w+)\n-+$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorFeatures:
    """An executor that can be chosen by name.

    Attributes
    ----------
    name : str
    summary : str
        One sentence.
    features : Capabilities or None
        What it can do with default options; None where its class does not say.
    chooses : bool
        Whether it can choose among its workers, and leave slow ones idle.
    options : tuple of Option
    missing : tuple of str
        Packages that it needs and that are not installed.
    install : str
        The command that installs them; empty where nothing is missing.
    """

    name: str
    summary: str
    features: Capabilities | None
    chooses: bool
    options: tuple[Option, ...]
    missing: tuple[str, ...]
    install: str


def executor_features() -> tuple[ExecutorFeatures, ...]:
    """Return every executor that installed packages bring: those of asyncexec in the order of its manual, then others.

    Their classes are imported, and none of the systems behind them.
    """
    found = [_features(known.name, known.distribution) for known in known_executors()]
    return tuple(sorted(found, key=lambda f: (_place(f.name), f.name)))


_ORDER = ("serial", "threads", "processes", "futures", "dask", "ray", "spark", "beam", "slurm")


def _place(name: str) -> int:
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


def _features(name: str, distribution: str) -> ExecutorFeatures:
    try:
        constructor = load(name)
    except AsyncexecError as error:
        # Somebody's broken package is no reason to tell nothing of the others.
        return ExecutorFeatures(
            name=name,
            summary=str(error),
            features=None,
            chooses=False,
            options=(),
            missing=(),
            install="",
        )
    missing = _missing(distribution, extra_of(name))
    features = getattr(constructor, "features", None)
    return ExecutorFeatures(
        name=name,
        summary=(inspect.getdoc(constructor) or "").partition("\n")[0],
        features=features if isinstance(features, Capabilities) else None,
        chooses=hasattr(constructor, "avoid"),
        options=_options(constructor),
        missing=missing,
        install=install_command(name, distribution) if missing else "",
    )


def _missing(distribution: str, extra: str) -> tuple[str, ...]:
    """Return the packages of an extra that are not there."""
    try:
        requirements = importlib.metadata.requires(distribution) or []
    except importlib.metadata.PackageNotFoundError:
        return ()
    matches = [m for line in requirements if (m := _REQUIREMENT.match(line)) is not None]
    return tuple(m[1] for m in matches if m[2] == extra and not _installed(m[1]))


def _installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _options(constructor: Any) -> tuple[Option, ...]:
    declared = declared_options(constructor)
    if declared is not None:
        return declared
    meanings = dict(_documented(inspect.getdoc(constructor) or ""))
    kinds = {inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    parameters = inspect.signature(constructor).parameters.values()
    return tuple(
        Option(
            name=p.name,
            default=None if p.default is p.empty else repr(p.default),
            meaning=meanings.get(p.name, ""),
        )
        for p in parameters
        if p.kind in kinds
    )


def _documented(docstring: str) -> Iterator[tuple[str, str]]:
    """Iterate over parameters and what is said of them, from a docstring as NumPy writes them."""
    sections = _HEADING.split(docstring)
    text = dict(zip(sections[1::2], sections[2::2], strict=True)).get("Parameters", "")
    for entry in re.split(r"\n(?=\S)", text.strip()):
        head, _, body = entry.partition("\n")
        paragraph = body.strip().partition("\n\n")[0]
        meaning = " ".join(paragraph.split())
        for name in head.partition(" : ")[0].split(", "):
            yield name.strip().lstrip("*"), meaning
