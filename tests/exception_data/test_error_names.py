"""Errors are known by one module, whatever file they are in: pickles and records of other versions name it."""

import pickle

import pytest

from asyncexec import errors

ALL = [getattr(errors, name) for name in errors.__all__]


def test_all_errors_are_of_one_module():
    assert {kind.__module__ for kind in ALL} == {"asyncexec.errors"}
    assert all(issubclass(kind, errors.AsyncexecError) for kind in ALL)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_an_error_is_pickled_by_the_name_of_that_module(kind):
    data = pickle.dumps(kind("why"), protocol=2)
    assert b"casyncexec.errors\n" in data
    assert type(pickle.loads(data)) is kind
