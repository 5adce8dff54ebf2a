import math
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import fields
from importlib.metadata import EntryPoint
from itertools import product
from typing import Any, get_type_hints

import pytest

from asyncexec.backends import entry_points, registry
from asyncexec.backends.contract import Backend
from asyncexec.backends.option_fields import options_of
from asyncexec.backends.registry import known_executors, load, make_backend
from asyncexec.backends.serial import SerialBackend
from asyncexec.backends.threads import ThreadsBackend
from asyncexec.config.fields import checks_of
from asyncexec.errors import (
    ConfigurationError,
    MissingExtraError,
    OptionError,
    UnknownExecutorError,
)

HERE = "own_backends"


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    """A module of somebody else's, importable as `own_backends`."""
    (tmp_path / f"{HERE}.py").write_text(
        "from asyncexec.backends.threads import ThreadsBackend\n"
        "class Mine(ThreadsBackend):\n    class Inner(ThreadsBackend):\n        pass\n"
        "class Strict(ThreadsBackend):\n"
        "    def __init__(self, *, size):\n        super().__init__(max_workers=int(size))\n"
        "class Needy:\n    def __init__(self):\n        import no_such_client\n"
        "class Loose(ThreadsBackend):\n    def __init__(self, **kw):\n        super().__init__(**kw)\n"
        "number = 3\n"
    )
    (tmp_path / "needs_client.py").write_text("import no_such_client\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in (HERE, "needs_client"):
        sys.modules.pop(name, None)


@pytest.fixture
def entries(monkeypatch):
    """Entry points in place of the installed ones."""

    def install(**points):
        made = [
            EntryPoint(name, value, entry_points.GROUP)
            for name, values in points.items()
            for value in ([values] if isinstance(values, str) else values)
        ]
        backends = entry_points.EntryPoints(entry_points.GROUP)
        monkeypatch.setattr(registry, "BACKENDS", backends)
        monkeypatch.setattr(entry_points, "entry_points", lambda *, group: made)

    return install


def test_built_in_executors_are_known_by_entry_point():
    known = {k.name: k for k in known_executors()}
    assert {"serial", "threads", "processes", "futures"} <= known.keys()
    assert known["threads"].target == "asyncexec.backends.threads:ThreadsBackend"
    assert known["threads"].distribution == "asyncexec"


def test_an_executor_is_made_by_name_with_options():
    backend = make_backend("threads", {"max_workers": 3})
    assert type(backend) is ThreadsBackend
    assert backend.slots == 3


def test_an_executor_is_made_from_a_class_or_a_function():
    assert make_backend(SerialBackend).capabilities.name == "serial"
    assert make_backend(lambda: ThreadsBackend(max_workers=5)).slots == 5


def test_an_instance_is_taken_as_it_is_and_takes_no_options():
    backend = SerialBackend()
    assert make_backend(backend) is backend
    with pytest.raises(OptionError, match=r"made already.*max_workers"):
        make_backend(backend, {"max_workers": 2})


@pytest.mark.parametrize("path", [f"{HERE}:Mine", f"{HERE}.Mine", f"{HERE}:Mine.Inner"])
def test_a_dotted_path_is_imported(own_module, path):
    assert make_backend(path, {"max_workers": 2}).slots == 2


def test_a_dotted_path_is_not_imported_where_that_is_not_allowed(own_module):
    with pytest.raises(UnknownExecutorError, match="allow_import=True"):
        make_backend(f"{HERE}:Mine", allow_import=False)
    assert HERE not in sys.modules


def test_an_unknown_name_lists_the_known_and_the_near():
    with pytest.raises(UnknownExecutorError) as caught:
        make_backend("thread")
    message = str(caught.value)
    assert "there is no executor 'thread'" in message
    assert "Did you mean 'threads'" in message
    for name in ("futures", "processes", "serial", "threads"):
        assert name in message


@pytest.mark.parametrize("name", ["mpi", "MPI", "mpi4py", "loky", "parsl"])
def test_the_name_of_a_system_of_pools_is_told_to_be_an_option_of_futures(name):
    with pytest.raises(UnknownExecutorError) as caught:
        make_backend(name)
    assert re.search(r"make a [\w.]+Executor, and give executor='futures'", str(caught.value))
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    "path",
    [
        "no_such_package.there:Backend",
        f"{HERE}:Missing",
        f"{HERE}:number",
        f"{HERE}:",
        ":Mine",
        "a b.c",
        ".Mine",
    ],
)
def test_a_path_that_leads_nowhere_is_an_unknown_executor(own_module, path):
    with pytest.raises(UnknownExecutorError):
        make_backend(path)


@pytest.mark.parametrize("thing", [3, None, ["threads"]])
def test_something_else_is_an_unknown_executor(thing):
    with pytest.raises(UnknownExecutorError, match="a name, a dotted path, a class or a backend"):
        make_backend(thing)


def test_what_makes_no_backend_is_an_unknown_executor():
    with pytest.raises(UnknownExecutorError, match="not a backend"):
        make_backend(dict)


def test_a_pool_is_told_to_be_an_option():
    pool = ThreadPoolExecutor(1)
    with pytest.raises(OptionError, match="executor='futures'"):
        make_backend(pool)


def test_an_unknown_option_lists_the_known_with_their_defaults():
    with pytest.raises(OptionError) as caught:
        make_backend("threads", {"max_worker": 2})
    message = str(caught.value)
    assert "executor 'threads' has no option 'max_worker'" in message
    assert "did you mean 'max_workers'" in message
    assert "max_workers=None" in message
    assert "patience=30.0" in message


def test_a_missing_option_is_named():
    with pytest.raises(OptionError, match="executor 'futures' needs the option 'executor'"):
        make_backend("futures")


@pytest.mark.parametrize(
    "name, options",
    [
        ("threads", {"max_workers": 0}),
        ("threads", {"max_workers": "four"}),
        ("threads", {"max_workers": True}),
        ("threads", {"max_workers": 2.0}),
        ("threads", {"max_abandoned": -1}),
        ("threads", {"patience": -1}),
        ("threads", {"patience": float("nan")}),
        ("threads", {"patience": "long"}),
        ("threads", {"patience": 10**400}),
        ("serial", {"max_abandoned": "few"}),
        ("futures", {"executor": 4}),
        ("futures", {"executor": lambda: None, "batch_limit": 0}),
    ],
)
def test_a_wrong_value_names_executor_and_option(name, options):
    with pytest.raises(OptionError, match=f"executor '{name}'.*{list(options)[-1]}"):
        make_backend(name, options)


REQUIRED = {
    "futures": {"executor": ThreadPoolExecutor},
    "http": {"url": "https://example.org"},
    "aws-lambda": {"function_name": "f"},
}
ODD = [object(), -1, "", "text", "A\0B", b"x", [], [1], {1: 2}, math.nan, math.inf, {"a": 1}]
SECRET = ["TOKEN=hush", ["hush"], {"A": 1, "TOKEN": "hush"}, {"TOKEN": b"hush"}, b"hush"]
OWN = [known.name for known in known_executors() if known.distribution == "asyncexec"]


def refusal(make, option, value):
    """What is said of an option that is refused; nothing of one that is taken."""
    try:
        make({option: value})
    except OptionError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", OWN)
def test_every_executor_declares_its_options_with_a_check_of_each(name):
    options = options_of(load(name))
    hints = get_type_hints(options, include_extras=True)
    assert [
        n for n, (check, _) in checks_of(options).items() if not check and hints[n] is not Any
    ] == []


@pytest.mark.parametrize("name", OWN)
def test_an_odd_value_of_any_option_is_taken_or_refused_by_name(name):
    options, required = options_of(load(name)), REQUIRED.get(name, {})
    ways = [lambda given: options(**{**required, **given})]
    with suppress(MissingExtraError):  # What the system says of it, where it is installed.
        make_backend(name, required)
        ways.append(lambda given: make_backend(name, {**required, **given}))
    refusals = {
        (option.name, str(odd)): refusal(make, option.name, odd)
        for make, option, odd in product(ways, fields(options), ODD)
    }
    assert any(refusals.values())
    for (option, _), said in refusals.items():
        assert not said or option in said


@pytest.mark.parametrize("name", OWN)
def test_what_options_are_set_to_is_not_told_where_it_may_be_secret(name):
    options, required = options_of(load(name)), REQUIRED.get(name, {})
    secret = [option.name for option in fields(options) if not option.repr]
    assert not {"env_vars", "headers", "secret", "secrets", "conf", "config"} & {
        option.name for option in fields(options) if option.repr
    }
    for option, value in product(secret, SECRET):
        assert "hush" not in refusal(lambda given: options(**{**required, **given}), option, value)
    if "env_vars" in secret:
        told = options(**required, env_vars={"TOKEN": "hush"})
        assert "hush" not in repr(told)
        assert refusal(lambda given: options(**{**required, **given}), "env_vars", ["hush"])


def test_what_a_constructor_does_not_like_is_a_wrong_option(own_module):
    with pytest.raises(OptionError, match="does not take the options size: "):
        make_backend(f"{HERE}:Strict", {"size": "many"})


def test_a_constructor_that_takes_anything_is_given_it(own_module):
    assert make_backend(f"{HERE}:Loose", {"max_workers": 4}).slots == 4
    with pytest.raises(OptionError, match="colour"):
        make_backend(f"{HERE}:Loose", {"colour": "red"})


def test_a_missing_dependency_is_answered_with_the_install_command(own_module, entries):
    entries(dask="needs_client:Backend", mine=f"{HERE}:Needy")
    for name in ("dask", "mine"):
        with pytest.raises(MissingExtraError) as caught:
            make_backend(name)
        assert "'no_such_client', which is not installed" in str(caught.value)
        assert f'pip install "asyncexec[{name}]"' in str(caught.value)
        assert isinstance(caught.value, ImportError)


def test_a_missing_dependency_behind_a_path_is_not_ours_to_install(own_module):
    with pytest.raises(MissingExtraError, match="no_such_client") as caught:
        make_backend("needs_client:Backend")
    assert "asyncexec[" not in str(caught.value)


def test_an_entry_point_to_nothing_is_an_unknown_executor(own_module, entries):
    entries(gone=f"{HERE}:Gone")
    with pytest.raises(UnknownExecutorError, match=f"should be {HERE}:Gone"):
        make_backend("gone")


def test_one_name_brought_by_two_packages_is_refused(own_module, entries):
    entries(mine=[f"{HERE}:Mine", f"{HERE}:Strict"])
    with pytest.raises(ConfigurationError, match="brought by several packages"):
        make_backend("mine")


def test_a_package_registers_its_executor(own_module, entries):
    entries(mine=f"{HERE}:Mine")
    assert [k.name for k in known_executors()] == ["mine"]
    assert isinstance(make_backend("mine"), Backend)
    assert make_backend("mine", allow_import=False).capabilities.name == "threads"
