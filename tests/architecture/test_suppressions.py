"""A line that a checker is to pass over says why: ``# noqa: RULE - reason``."""

import re
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.imports import REPOSITORY

FOLDERS = ("asyncexec", "benchmarks", "examples", "tests", "tools")
MARK = re.compile(
    r"(ruff: )?noqa\b(:\s*[A-Z]+[0-9]+(,\s*[A-Z]+[0-9]+)*)?|(type|pyright): ignore\b(\[[^\]]*\])?"
)


def sources() -> Iterator[Path]:
    """Every file of Python but this one, also the scripts that have no suffix."""
    for folder in FOLDERS:
        for path in (REPOSITORY / folder).rglob("*"):
            is_script = folder == "tools" and not path.suffix and path.is_file()
            if (path.suffix == ".py" or is_script) and path != Path(__file__):
                yield path


def lacks_a_reason(line: str) -> bool:
    comment = line[found.start() :] if (found := re.search(rf"#\s*({MARK.pattern})", line)) else ""
    return bool(comment) and not re.search(r"\w", MARK.sub("", comment))


def test_what_is_passed_over_has_its_reason_on_the_line():
    assert [
        f"{path.relative_to(REPOSITORY)}:{number}: {line.strip()}"
        for path in sources()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if lacks_a_reason(line)
    ] == []


def test_a_reason_is_words_after_the_rule():
    assert lacks_a_reason("import numpy  # noqa: F401")
    assert lacks_a_reason("x = y  # type: ignore[index] # noqa: S101, E402")
    assert not lacks_a_reason("import numpy  # noqa: F401 - loaded before the fork")
    assert not lacks_a_reason("x = y  # type: ignore[index]  # it is a list")
