"""Runs the Python of every page, as a reader would: from top to bottom, in an empty folder.

A block that awaits runs in the page's event loop; one that does not runs outside of it, so that
`asyncio.run` and the blocking calls work as they do in a script. Blocks marked `python no-run` are
only compiled.
"""

import ast
import asyncio
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
EXECUTOR_PAGES = sorted((REPOSITORY / "docs" / "how-to" / "executors").glob("*.md"))
BLOCK = re.compile(r"^```python([^\n]*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """The info string and the source of each block, with the page's own line numbers."""
    text = page.read_text()
    for match in BLOCK.finditer(text):
        line = text.count("\n", 0, match.start(2))
        yield match[1].strip(), "\n" * line + match[2]


def code_of(source: str, page: Path):
    return compile(source, str(page), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def run_page(page: Path) -> None:
    # As in a script: its functions reach workers by value, and `__name__ == "__main__"` holds.
    namespace = {"__name__": "__main__"}
    with asyncio.Runner() as runner:
        for info, source in blocks(page):
            code = code_of(source, page)
            if info == "no-run":
                continue
            result = eval(code, namespace)
            if code.co_flags & inspect.CO_COROUTINE:
                runner.run(result)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_examples_run(page, tmp_path, monkeypatch):
    if not any(info != "no-run" for info, _ in blocks(page)):
        pytest.skip("no examples to run")
    monkeypatch.chdir(tmp_path)
    run_page(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_blocks_are_marked_as_the_reader_of_this_file_expects(page):
    assert {info for info, _ in blocks(page)} <= {"", "no-run"}


def test_a_page_with_awaits_and_scripts(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nimport asyncio\nasync def one(): return 1\nx = asyncio.run(one())\n```\n"
        "text\n```python\ny = await one() + x\n```\n```python\nassert y == 2\n1 / 0\n```\n"
    )
    with pytest.raises(ZeroDivisionError) as caught:
        run_page(page)
    assert caught.tb.tb_next.tb_next.tb_lineno == page.read_text().splitlines().index("1 / 0") + 1


@pytest.mark.parametrize("page", EXECUTOR_PAGES, ids=lambda p: p.stem)
def test_the_page_of_an_executor_holds_a_script_to_copy(page):
    lasts = [compile_alone(source, page) for _, source in blocks(page)]
    assert any(last.endswith("asyncio.run(main())") for last in lasts), lasts


def compile_alone(source: str, page: Path) -> str:
    """The last statement of what compiles as a script, where nothing awaits outside of functions."""
    try:
        compile(source, str(page), "exec")
    except SyntaxError:
        return ""
    return ast.unparse(ast.parse(source).body[-1])
