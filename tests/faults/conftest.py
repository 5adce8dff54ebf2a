"""Rounds by the dozen: how many, with which seed, and a table of what came of them."""

import os
import random

import pytest

from tests.faults.rounds import KEY, as_property, begin, rounds, seed, table

pytest.register_assert_rewrite("tests.faults.places", "tests.faults.drives")


def pytest_configure(config):
    # Workers of xdist inherit it.
    if not os.environ.get("SEED"):
        os.environ["SEED"] = str(random.SystemRandom().randrange(2**32))


def pytest_generate_tests(metafunc):
    marker = metafunc.definition.get_closest_marker("faults")
    if marker is None or "trial" not in metafunc.fixturenames:
        return
    kind, executors = marker.args
    cases = [
        (kind, executor, number)
        for executor in executors
        for number in range(rounds(marker.kwargs.get("share", 1.0)))
    ]
    ids = [f"{executor}-{number}" for _, executor, number in cases]
    metafunc.parametrize("trial", cases, indirect=True, ids=ids)


@pytest.fixture
def trial(request):
    """A round of a kind of fault on an executor, counted in the table."""
    it = begin(*request.param)
    request.node.user_properties.append(as_property(it))
    print(f"repeat with: make test-faults SEED={seed()} ARGS='-k \"{request.node.name}\"'")
    return it


def pytest_terminal_summary(terminalreporter):
    reports = [
        r for kind in ("passed", "failed", "error") for r in terminalreporter.getreports(kind)
    ]
    found = {}
    for report in reports:
        if one := dict(getattr(report, "user_properties", ())).get(KEY):
            found.setdefault(report.nodeid, one)
            if report.when == "teardown" and report.failed:
                one["counts"]["left"] = one["counts"].get("left", 0) + 1
                found[report.nodeid] = one
    if found:
        terminalreporter.section("faults")
        for line in table(found.values()):
            terminalreporter.write_line(line)
        terminalreporter.write_line(f"repeat with: make test-faults SEED={seed()}")
