"""Prints the manual's page about executors: ``python -m tools.executors_page > docs/reference/executors.md``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from asyncexec.backends.features import ExecutorFeatures, executor_features
from asyncexec.backends.option_fields import described_fields
from asyncexec.cli.feature_descriptions import COLUMNS, describe
from asyncexec.engine.executor_options import EveryExecutorOptions

_INTRODUCTION = """\
# Executors

<!-- Made by `python -m tools.executors_page`; what stands here is said in the code. -->

Where a plan's tasks run, chosen by one word: `Engine(executor="ray")`, or `Spec(executor="ray")` for arrays. Result,
retries, timeouts, backups, events, errors and cancellation are the same on each; what differs is below. `asyncexec
executors` prints it in a terminal, `asyncexec executors NAME` tells more of one.

An executor is one of

- a name: built in, or registered by an installed package;
- a class, or a function that makes a backend; `executor_options` are its keyword arguments;
- a backend that has been made already, which takes no options;
- a dotted path, `"package.module:Class"` or `"package.module.Class"`. Importing it runs its code: Python callers may,
  configuration files and the command line only where that was allowed.

An unknown name, option or value is an error that lists the known ones, before anything runs. So is a plan that needs
more memory or other resources than the workers have. A name whose dependency is missing is answered with the command
that installs it. [How to write one of your own](../how-to/write-a-backend.md).

*Given up* means that the run goes on without the task: its function computes on for a while, and nobody waits for it.
`Result.abandoned` counts such attempts. *By timeout only*: the system does not say that a worker has died; give the
engine a `timeout`.
"""

_RUN_OPTIONS = """\
## Options of every executor

Besides its own options each executor takes these in `executor_options`, by the names that Cubed's executors have. The
engine sees to them; an argument of the engine or of a run goes before them.

| option | |
|---|---|
"""


def page(executors: Sequence[ExecutorFeatures]) -> str:
    """Return the page as Markdown."""
    return "\n".join(_lines([e for e in executors if e.features is not None]))


def _lines(executors: Sequence[ExecutorFeatures]) -> Iterator[str]:
    yield _INTRODUCTION
    yield from _features(executors)
    yield ""
    yield _RUN_OPTIONS + "\n".join(
        f"| `{o.name}` | {_cell(o.meaning)} |" for o in described_fields(EveryExecutorOptions)
    )
    for executor in executors:
        yield from _section(executor)


def _features(executors: Sequence[ExecutorFeatures]) -> Iterator[str]:
    yield "| executor | " + " | ".join(COLUMNS) + " |"
    yield "|---" * (len(COLUMNS) + 1) + "|"
    for executor in executors:
        said = describe(executor)
        link = f"[`{executor.name}`](../how-to/executors/{executor.name}.md)"
        yield f"| {link} | " + " | ".join(_cell(said[c]) for c in COLUMNS) + " |"


def _section(executor: ExecutorFeatures) -> Iterator[str]:
    yield ""
    yield f"## {executor.name}"
    yield ""
    yield f"{executor.summary} [More](../how-to/executors/{executor.name}.md)"
    if not executor.options:
        return
    yield ""
    yield "| option | default | |"
    yield "|---|---|---|"
    for option in executor.options:
        default = "required" if option.default is None else f"`{option.default}`"
        yield f"| `{option.name}` | {default} | {_cell(option.meaning)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("``", "`")


if __name__ == "__main__":
    print(page(executor_features()), end="")
