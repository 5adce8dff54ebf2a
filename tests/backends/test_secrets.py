"""No option of any executor shows the login that is in a URL."""

import traceback

import pytest

import asyncexec as ax
from asyncexec.backends.registry import known_executors, make_backend, option_names
from asyncexec.errors import AsyncexecError

URLS = (
    "tcp://me:sesame@host:1",
    "https://me:sesame@host/run",
    "ftp://:sesame@host",
    "x://a:b/sesame@h",
)
NAMES = sorted(known.name for known in known_executors())
OPTIONS = [(name, option) for name in NAMES for option in sorted(option_names(name))]
ADDRESSES = [
    ("http", "url"),
    ("dask", "cluster_address"),
    ("spark", "master"),
    ("ray", "cluster_address"),
    ("aws-lambda", "endpoint_url"),
]


def test_the_built_in_executors_have_options():
    assert len(OPTIONS) > 100


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize(
    "wrap", [lambda u: u, lambda u: [u], lambda u: {"name": u}, lambda u: {u: u}]
)
def test_no_option_shows_a_login(url, wrap):
    shown = []
    for name, option in OPTIONS:
        try:
            backend = make_backend(name, {option: wrap(url)})
        except AsyncexecError as error:
            shown += [
                (name, option, text) for text in (*traceback.format_exception(error), repr(error))
            ]
        else:
            shown.append((name, option, repr(backend)))
    assert [each for each in shown if "sesame" in each[2]] == []


@pytest.mark.parametrize("name, option", ADDRESSES)
def test_addresses_hold_no_login(name, option):
    others = {"function_name": "f"} if name == "aws-lambda" else {}
    with pytest.raises(AsyncexecError) as raised:
        make_backend(name, {option: URLS[1], **others})
    assert "sesame" not in str(raised.value)


def test_an_unknown_executor_shows_no_login():
    with pytest.raises(AsyncexecError) as raised:
        ax.Engine(URLS[1])
    assert "sesame" not in "".join(traceback.format_exception(raised.value))
