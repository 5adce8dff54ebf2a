"""Checks of what Beam itself would take without a word: names of runners, and of options of pipelines."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

from asyncexec.config.fields import nearest
from asyncexec.errors import OptionError

IN_PROCESS_RUNNER = "FnApiRunner"

# Runners of this machine: they cannot be stopped, and run elements one after another. Beam's "DirectRunner" tries each
# pipeline on a runner in Go first, which it may have to download, and which leaves folders and open ports behind; what
# it falls back to does all that is needed here.
_DIRECT: Mapping[str, str] = {
    "directrunner": IN_PROCESS_RUNNER,
    "switchingdirectrunner": IN_PROCESS_RUNNER,
    "fnapirunner": IN_PROCESS_RUNNER,
    "bundlebaseddirectrunner": "BundleBasedDirectRunner",
}
_ELSEWHERE = (
    "DaskRunner",
    "DataflowRunner",
    "FlinkRunner",
    "InteractiveRunner",
    "KafkaStreamsRunner",
    "PortableRunner",
    "PrismRunner",
    "RayRunner",
    "RenderRunner",
    "SparkRunner",
)
_NAMES = (
    "DirectRunner",
    "SwitchingDirectRunner",
    "FnApiRunner",
    "BundleBasedDirectRunner",
    *_ELSEWHERE,
)
# Runners whose options are all known to Beam in Python; others may have further ones, in a service of their own.
_COMPLETE = ("dataflowrunner",)
_NEAR, _VERY_NEAR = 0.6, 0.85


def direct_runner(runner: str) -> str | None:
    """Return the runner to use for one of this machine, as Beam names it; None for any other.

    >>> from asyncexec.backends.beam.checks import direct_runner
    >>> direct_runner("DirectRunner"), direct_runner("FlinkRunner")
    ('FnApiRunner', None)
    """
    return _DIRECT.get(_full(runner))


def check_runner(runner: str) -> None:
    """Raise unless Beam has a runner of that name; a dotted path is not looked for.

    Raises
    ------
    OptionError
        With the names that are nearest.
    """
    if "." in runner or _full(runner) in {name.lower() for name in _NAMES}:
        return
    names = {*_NAMES, *_names_of_beam()}
    if _full(runner) in {name.lower() for name in names}:
        return
    near = nearest(runner, names)
    meant = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(sorted(names))}"
    raise OptionError(
        f"executor 'beam': Beam has no runner {runner!r}: {meant} One of your own is named by its module, too "
        f"('package.module.Runner')"
    )


def check_pipeline_options(runner: str, given: Mapping[str, Any]) -> None:
    """Raise if Beam would ignore one of these options, which it does where it does not know the name.

    Runners with a service of their own (Flink, Spark) take options that Beam in Python does not know: there, only a
    name that is nearly a known one is refused.

    Raises
    ------
    OptionError
        With the name that is nearest.
    """
    known = _known_options()
    strict = direct_runner(runner) is not None or _full(runner) in _COMPLETE
    for name in given:
        if name in known:
            continue
        near = get_close_matches(name, known, n=1, cutoff=_NEAR if strict else _VERY_NEAR)
        if near:
            raise OptionError(
                f"executor 'beam': options: Beam has no option {name!r}, and would run without it: did you mean "
                f"{near[0]!r}?"
            )
        if strict:
            raise OptionError(
                f"executor 'beam': options: Beam has no option {name!r} for {runner!r}, and would run without it. "
                f"Options of your own are a subclass of PipelineOptions, which must be imported before"
            )


def _full(runner: str) -> str:
    """Return a name of a runner as Beam compares it: in lower case, and ``direct`` for ``directrunner``."""
    name = runner.lower()
    return name if name.endswith("runner") else f"{name}runner"


def _names_of_beam() -> list[str]:
    try:
        options = import_module("apache_beam.options.pipeline_options").StandardOptions
    except ImportError:
        return []
    return [path.rpartition(".")[2] for path in options.ALL_KNOWN_RUNNERS]


def _known_options() -> set[str]:
    """Return the names of all options that Beam and its extensions know, as a dictionary of them has them."""
    options = import_module("apache_beam.options.pipeline_options").PipelineOptions
    known: set[str] = set()

    def collect(parser: argparse.ArgumentParser) -> None:
        for action in parser._actions:  # noqa: SLF001 - there is no public list
            known.add(action.dest)
            known.update(text.lstrip("-") for text in action.option_strings)

    # Without flags: this program's own are none of Beam's.
    options([]).get_all_options(add_extra_args_fn=collect)
    return known
