"""The examples of docstrings: where they stand, and how one runs."""

import ast
import asyncio
import doctest
import inspect
import io
import sys
import traceback
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass

import numpy as np

import asyncexec as ax
import asyncexec.array as xp
from tests.architecture.imports import modules, tree_of

FLAGS = doctest.ELLIPSIS
CHECKER = doctest.OutputChecker()

type Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class DocstringExample:
    """A docstring with an example; ``place`` is the dotted name of what it documents."""

    place: str
    text: str
    file: str


def examples() -> Iterator[DocstringExample]:
    """All docstrings of the package that have an example."""
    for module, path in modules().items():
        if ">>> " not in path.read_text(encoding="utf-8"):
            continue  # To parse all of them takes seconds.
        for place, text in _docstrings(tree_of(path), module):
            if ">>> " in text:
                yield DocstringExample(place=place, text=text, file=str(path))


def _docstrings(node: ast.AST, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, Documented.__value__):
        yield place, ast.get_docstring(node) or ""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.excepthandler | ast.match_case):
            name = f"{place}.{child.name}" if isinstance(child, Documented.__value__) else place
            yield from _docstrings(child, name)


def run(example: DocstringExample) -> None:
    """Run each statement, and compare what it prints with what the docstring shows.

    A statement that awaits runs in the example's event loop; one that does not runs outside of it, so that the blocking
    calls work as they do in a script. ``ax``, ``xp`` and ``np`` are imported already.

    Raises
    ------
    AssertionError
        If one prints something else, or fails.
    """
    # As in a script: its functions reach workers by value.
    namespace = {"__name__": "__main__", "ax": ax, "xp": xp, "np": np}
    test = doctest.DocTestParser().get_doctest(example.text, namespace, example.place, None, 0)
    out = io.StringIO()
    with asyncio.Runner() as runner, redirect_stdout(out):
        for statement in test.examples:
            printed = _printed(statement, namespace, out, runner)
            flags = FLAGS | sum(flag for flag, on in statement.options.items() if on)
            if statement.exc_msg is not None:
                fits = CHECKER.check_output(statement.exc_msg, printed, flags)
            else:
                fits = CHECKER.check_output(statement.want, printed, flags)
            assert fits, (
                f"the example of {example.place} ({example.file}) does not hold:\n{statement.source}"
                + CHECKER.output_difference(statement, printed, flags)
            )


def _printed(
    statement: doctest.Example,
    namespace: dict[str, object],
    out: io.StringIO,
    runner: asyncio.Runner,
) -> str:
    # One stream for the whole example, as what is made in one statement may print in another.
    out.seek(0)
    out.truncate()
    shown, sys.displayhook = sys.displayhook, sys.__displayhook__
    try:
        code = compile(
            statement.source, "<example>", "single", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        )
        result = eval(code, namespace)
        if code.co_flags & inspect.CO_COROUTINE:
            runner.run(result)
    except Exception as error:  # noqa: BLE001 - it is compared with what the example shows, or shown
        if statement.exc_msg is None:
            return traceback.format_exc()
        return f"{type(error).__name__}: {error}\n"
    finally:
        sys.displayhook = shown
    return out.getvalue()
