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
