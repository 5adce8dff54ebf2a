"""Every page does what it shows, in an empty folder; see `tests/docs/pages.py`."""

import ast
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, REPOSITORY, Block, blocks, run_page

EXECUTOR_PAGES = sorted((REPOSITORY / "docs" / "how-to" / "executors").glob("*.md"))
KINDS = {"python", "python no-run", "python file", "yaml file", "sh run"}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder from which modules are imported, as a script there imports them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    if (xarray := sys.modules.get("xarray")) is not None:  # A page sets them for good.
        xarray.set_options(chunk_manager="dask", use_flox=True)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def page_to_run(page):
    on_dask = page.stem == "from-a-function-to-a-resumed-run"
    marks = [pytest.mark.leaks("Dask keeps a thread for large messages")] if on_dask else []
    if page.stem == "web-services":
        marks.append(pytest.mark.skipif(find_spec("fastapi") is None, reason="needs FastAPI"))
    if page.stem == "use-icechunk":
        marks.append(pytest.mark.skipif(find_spec("icechunk") is None, reason="needs Icechunk"))
    if page.stem == "store-in-object-stores":
        modules = ("moto", "flask_cors", "obstore")
        missing = any(find_spec(module) is None for module in modules)
        marks.append(pytest.mark.skipif(missing, reason="needs moto and obstore"))
    if page.stem == "climate-with-xarray":
        missing = any(find_spec(module) is None for module in ("iris_sample_data", "xarray"))
        marks.append(pytest.mark.skipif(missing, reason="needs xarray and iris-sample-data"))
    return pytest.param(page, marks=marks, id=str(page.relative_to(REPOSITORY)))


@pytest.mark.parametrize("page", [page_to_run(page) for page in PAGES])
def test_examples_run(page, folder):
    if not any(block.kind == "python" for block in blocks(page)):
        pytest.skip("no examples to run")
    run_page(page)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(REPOSITORY)))
def test_blocks_are_marked_as_those_who_run_them_expect(page):
    marked = {block.kind for block in blocks(page) if " " in block.kind}
    assert marked <= KINDS


def test_a_page_with_awaits_and_scripts(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "```python\nimport asyncio\nasync def one(): return 1\nx = asyncio.run(one())\n```\n"
        "text\n```python\ny = await one() + x\n```\n```python\nassert y == 2\n1 / 0\n```\n"
    )
    with pytest.raises(ZeroDivisionError) as caught:
        run_page(page)
    assert caught.tb.tb_next.tb_next.tb_lineno == page.read_text().splitlines().index("1 / 0") + 1


def test_a_page_with_files_and_commands(folder):
    page = folder / "page.md"
    page.write_text(
        "```python file\n# answer.py\nraise SystemExit(3)\n```\n"
        "```sh run\npython answer.py  # exit code 3\n\npython answer.py\n```\n"
    )
    with pytest.raises(AssertionError, match=r"^\$ python answer\.py\n"):
        run_page(page)


@pytest.mark.parametrize("page", EXECUTOR_PAGES, ids=lambda p: p.stem)
def test_the_page_of_an_executor_holds_a_script_to_copy(page):
    pythons = [block for block in blocks(page) if block.kind.startswith("python")]
    lasts = [compile_alone(block, page) for block in pythons]
    assert any(last.endswith("asyncio.run(main())") for last in lasts), lasts


def compile_alone(block: Block, page: Path) -> str:
    """The last statement of what compiles as a script, where nothing awaits outside of functions."""
    try:
        compile(block.source, str(page), "exec")
    except SyntaxError:
        return ""
    return ast.unparse(ast.parse(block.source).body[-1])
