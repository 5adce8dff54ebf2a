"""The manual's page about runs has every option that a run takes, and says which of them an engine takes."""

import inspect
import re

import asyncexec as ax
from asyncexec.engine.run_options import ENGINE_OPTIONS, RunOptions, SharedOptions
from tests.docs.pages import REPOSITORY

ROW = re.compile(r"^\| (`[^|]+) \|", re.MULTILINE)
PAGE = (REPOSITORY / "docs" / "reference" / "runs.md").read_text()
OPTIONS = dict(re.findall(r"`(\w+)`(\*?)", " ".join(ROW.findall(PAGE.partition("## Options")[2]))))


def test_the_page_has_every_option():
    assert set(OPTIONS) == set(RunOptions.__annotations__)


def test_the_options_of_an_engine_are_marked():
    own = set(inspect.signature(ax.Engine).parameters) - {"shared"}
    taken = {
        name
        for name in RunOptions.__annotations__
        if name in {*own, *SharedOptions.__annotations__}
    }
    assert {name for name, mark in OPTIONS.items() if mark} == taken


def test_the_options_that_belong_to_the_engine_alone_are_those_that_a_run_lacks():
    own = set(inspect.signature(ax.Engine).parameters) - {"shared"}
    assert own - set(RunOptions.__annotations__) == ENGINE_OPTIONS
