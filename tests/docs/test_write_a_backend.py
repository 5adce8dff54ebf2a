"""Does what the page tells its reader to do: writes the files, installs the name, and uses it.

`make test-backends` runs the suite on it as well.
"""

import pytest

from tests.docs.written_backend import FILE, PAGE, run, write


@pytest.fixture
def site(tmp_path):
    return write(tmp_path)


def test_the_backend_of_the_page_is_used_by_its_name(site):
    run(site, "use_it.py")


def test_an_option_that_the_backend_of_the_page_does_not_have_is_told_with_those_it_has(site):
    script = (
        "import asyncexec as ax\n"
        "try:\n    ax.Engine(executor='tinypool', executor_options={'max_worker': 2})\n"
        "except ax.errors.OptionError as error:\n    print(error)\n"
    )
    told = run(site, "-c", script)
    assert "did you mean 'max_workers'" in told


def test_the_backend_of_the_page_is_short():
    files = dict(FILE.findall(PAGE.read_text()))
    lines = [line for line in files["tinypool.py"].splitlines() if line.strip()]
    assert len(lines) <= 70


def test_the_options_that_the_page_declares_are_checked_listed_and_used(site):
    script = (
        "import os, asyncexec as ax\n"
        "from asyncexec.backends.option_fields import declared_options\n"
        "from tinypool_options import DeclaredPool\n"
        "print([(o.name, o.default, o.meaning[:8]) for o in declared_options(DeclaredPool)][0])\n"
        "try:\n    DeclaredPool(max_workers=0)\n"
        "except ax.errors.OptionError as error:\n    print(error)\n"
        "print(DeclaredPool(max_workers=3, env_vars={'A': '1'}).slots)\n"
    )
    told = run(site, "-c", script)
    assert "('max_workers', '2', 'How many')" in told
    assert "executor 'tinypool': max_workers must be a whole number of at least 1, not 0" in told
    assert told.endswith("3\n")
