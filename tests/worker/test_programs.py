"""A worker keeps the programs that it used last."""

import pickle

from asyncexec.worker.programs import ProgramCache, digest


def blob(number):
    return pickle.dumps((abs, None, (number,)))


def test_a_program_is_loaded_once_and_kept_by_its_digest():
    cache = ProgramCache()
    key = digest(blob(1))
    assert cache.load(key, None) is None
    program = cache.load(key, blob(1))
    assert program == (abs, None, (1,))
    assert cache.load(key, None) is program


def test_the_program_that_was_not_used_for_longest_goes_first():
    cache = ProgramCache(limit=2)
    first, second, third = (bytes([n]) for n in range(3))
    cache.load(first, blob(1))
    cache.load(second, blob(2))
    cache.load(first, None)
    cache.load(third, blob(3))
    assert cache.load(second, None) is None
    assert cache.load(first, None) is not None
    assert cache.load(third, None) is not None
