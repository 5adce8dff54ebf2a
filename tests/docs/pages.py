"""The pages of the manual, and what a reader does with one: write its files, run its Python and its commands.

From top to bottom, in an empty folder. The word after a block's language says what becomes of it:

- ``python``: it runs. A block that awaits runs in the page's event loop; one that does not runs outside of it, so that
  ``asyncio.run`` and the blocking calls work as they do in a script.
- ``python no-run``: it is compiled only.
- ``python file``, ``yaml file``: it is written to the file that its first line names in a comment.
- ``sh run``: each line is a command; ``# exit code 1`` behind it says with which code it ends, if not 0.
"""

import ast
import asyncio
import inspect
import io
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from asyncexec.cli import main
from asyncexec.testing.patience import scaled

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]

_BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FILE_NAME = re.compile(r"# (\S+)\n")
_EXIT_CODE = re.compile(r"\s+# exit code (\d+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block of a page: ``kind`` is its language, with the word that says what becomes of it."""

    kind: str
    source: str
    line: int


def blocks(page: Path) -> Iterator[Block]:
    """All blocks of a page that have a language."""
    text = page.read_text()
    for match in _BLOCK.finditer(text):
        line = text.count("\n", 0, match.start(3))
        yield Block(kind=f"{match[1]} {match[2].strip()}".strip(), source=match[3], line=line)


def code_of(block: Block, page: Path):
    # With the page's own line numbers.
    return compile(
        "\n" * block.line + block.source, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    )


def run_page(page: Path) -> None:
    """Do in the current folder what the page does."""
    # As in a script: its functions reach workers by value, and `__name__ == "__main__"` holds.
    namespace = {"__name__": "__main__"}
    with asyncio.Runner() as runner:
        for block in blocks(page):
            match block.kind.split():
                case ["python"]:
                    code = code_of(block, page)
                    result = eval(code, namespace)
                    if code.co_flags & inspect.CO_COROUTINE:
                        runner.run(result)
                case ["python", "no-run"]:
                    code_of(block, page)
                case [_, "file"]:
                    Path(_FILE_NAME.match(block.source)[1]).write_text(block.source)
                case ["sh", "run"]:
                    for line in filter(None, block.source.splitlines()):
                        _run_command(line)


def _run_command(line: str) -> None:
    command, expected = _EXIT_CODE.sub("", line), _EXIT_CODE.search(line)
    words = shlex.split(command, comments=True)
    code, told = _ours(words[1:]) if words[0] == "asyncexec" else _another(words)
    assert code == int(expected[1] if expected else 0), f"$ {command}\n{told[-8_000:]}"


def _ours(arguments: list[str]) -> tuple[int, str]:
    # In this process, as a start takes longer than most commands.
    told = io.StringIO()
    with redirect_stdout(told), redirect_stderr(told):
        return main(arguments), told.getvalue()


def _another(words: list[str]) -> tuple[int, str]:
    program = sys.executable if words[0] == "python" else words[0]
    done = subprocess.run(
        [program, *words[1:]], capture_output=True, text=True, timeout=scaled(100), check=False
    )
    return done.returncode, done.stdout + done.stderr
