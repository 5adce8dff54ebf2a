"""The architecture page shows the package as it is."""

import re

from tests.architecture.imports import PACKAGE, REPOSITORY

PAGE = REPOSITORY / "docs" / "explanation" / "architecture.md"
FILE = re.compile(
    r"`((?:array|backends|engine|plan|policies|scheduler|storage|straggler|worker|workflow)/[a-z_/]+)`"
)
ROOM = re.compile(r"^ +(\w+)/ ", re.MULTILINE)


def shown() -> set[str]:
    """The folders that the page's tree has, without those to come."""
    tree = PAGE.read_text().split("asyncexec/\n", 1)[1].split("```", 1)[0]
    return set(ROOM.findall(tree))


def there() -> set[str]:
    """The folders of the package, of `plan` and `storage` inside it, and those of `backends` that are no executors."""
    inside = [PACKAGE, PACKAGE / "plan", PACKAGE / "storage"]
    folders = {p.name for room in inside for p in room.iterdir() if (p / "__init__.py").exists()}
    return folders | {"adapters", "contract"}


def test_every_room_is_shown_and_every_room_shown_is_there():
    assert shown() == there()


def test_every_file_that_the_page_names_with_its_folder_is_there():
    named = set(FILE.findall(PAGE.read_text()))
    missing = {name for name in named if not (PACKAGE / f"{name}.py").exists()}
    assert {name for name in missing if not (PACKAGE / name / "__init__.py").exists()} == set()


def test_every_executor_has_a_folder_of_its_name():
    folders = {p.parent.name for p in (PACKAGE / "backends").glob("*/backend.py")}
    entries = re.findall(
        r'^([\w-]+) = "asyncexec\.backends\.',
        (REPOSITORY / "pyproject.toml").read_text(),
        re.MULTILINE,
    )
    assert {name.replace("-", "_") for name in entries} == folders
