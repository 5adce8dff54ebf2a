"""The features and options of each executor, from its class, before anything is constructed or installed."""

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
    """An executor, as listed for users.

    Attributes
    ----------
    name : str
    summary : str
        The first line of its docstring.
    features : Capabilities or None
        The capabilities with default options; None if the class does not declare them.
    chooses : bool
        True if it can choose among its workers, and leave slow ones idle.
    options : tuple of Option
    missing : tuple of str
        The packages that it needs and that are not installed.
    install : str
        The command that installs them; empty if none is missing.
    """

    name: str
    summary: str
    features: Capabilities | None
    chooses: bool
    options: tuple[Option, ...]
    missing: tuple[str, ...]
    install: str


def executor_features() -> tuple[ExecutorFeatures, ...]:
    """Return every executor of the installed packages: first those of asyncexec, in the order of the manual.

    Their classes are imported, but none of the systems that they use.
    """
    found = [_features(known.name, known.distribution) for known in known_executors()]
    return tuple(sorted(found, key=lambda f: (_manual_order(f.name), f.name)))


_ORDER = (
    "serial",
    "asyncio",
    "threads",
    "processes",
    "futures",
    "dask",
    "ray",
    "spark",
    "beam",
    "slurm",
)


def _manual_order(name: str) -> int:
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


def _features(name: str, distribution: str) -> ExecutorFeatures:
    try:
        constructor = load(name)
    except AsyncexecError as error:
        # A broken package must not hide the other executors.
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
    """Return the packages of an extra that are not installed."""
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
    """Yield the parameters and their descriptions in a docstring of NumPy's style."""
    sections = _HEADING.split(docstring)
    text = dict(zip(sections[1::2], sections[2::2], strict=True)).get("Parameters", "")
    for entry in re.split(r"\n(?=\S)", text.strip()):
        head, _, body = entry.partition("\n")
        paragraph = body.strip().partition("\n\n")[0]
        meaning = " ".join(paragraph.split())
        for name in head.partition(" : ")[0].split(", "):
            yield name.strip().lstrip("*"), meaning
