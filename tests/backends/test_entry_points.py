"""Entry points are read once, and again when something may have been installed or removed."""

import importlib.metadata
import os
import shutil

import pytest

from asyncexec import Engine
from asyncexec.backends import entry_points
from asyncexec.backends.entry_points import BACKENDS, EntryPoints

GROUP = "asyncexec.test.group"


@pytest.fixture
def scans(monkeypatch):
    """One entry for each time that the packages' files are read."""
    made = []

    def scan(**selection):
        made.append(selection)
        return importlib.metadata.entry_points(**selection)

    monkeypatch.setattr(entry_points, "entry_points", scan)
    return made


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def install(site, package, name):
    told = site / f"{package}-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = {package}:Backend\n")


def age(site):
    """Make sure that the next change is seen in the time stamp, however coarse the clock of the disk is."""
    os.utime(site, ns=(0, 0))


def names(points):
    return [point.name for point in points]


def test_engines_with_a_built_in_executor_read_no_entry_points_after_the_first(scans):
    BACKENDS.all()
    scans.clear()
    for executor in ("threads", "serial", "processes", "threads"):
        Engine(executor)
    assert scans == []


def test_a_package_that_is_installed_later_is_found(site, scans):
    points = EntryPoints(GROUP)
    assert points.all() == ()
    age(site)
    points.all()
    install(site, "later", "mine")
    assert names(points.all()) == names(points.named("mine")) == ["mine"]


def test_a_package_that_is_removed_is_gone(site):
    install(site, "leaving", "mine")
    age(site)
    points = EntryPoints(GROUP)
    assert names(points.named("mine")) == ["mine"]
    shutil.rmtree(site / "leaving-1.0.dist-info")
    assert points.named("mine") == ()


def test_a_missing_name_is_looked_for_where_no_time_stamp_has_changed(site, scans):
    points = EntryPoints(GROUP)
    points.all()
    install(site, "unseen", "mine")
    os.utime(site, ns=(0, 0))
    points._read = (entry_points._stamp(), ())
    assert names(points.named("mine")) == ["mine"]


def test_a_missing_name_is_looked_for_once(scans):
    assert EntryPoints(GROUP).named("nothing") == ()
    assert len(scans) == 1
