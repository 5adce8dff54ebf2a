"""A call that cannot be is refused when it is made: by the standard's type of error, which shows the call."""

import inspect
import warnings

import numpy as np
import pytest
import zarr

import asyncexec.array as xp
from asyncexec.array import Array, Spec
from tests.array.function_examples import EXAMPLES, Operands
from tests.array.standard import (
    COMPUTED_BY_USERS,
    DEPENDS_ON_VALUES,
    TAKES_ANYTHING,
    WRONG_EVERYWHERE,
    WRONG_FOR,
)

STANDARD = (TypeError, ValueError, IndexError)
SIDE = 10


@pytest.fixture(scope="module")
def operands(tmp_path_factory):
    folder = tmp_path_factory.mktemp("operands")
    spec = Spec(work_dir=folder / "work", executor="serial")
    for seed, name in enumerate("ab"):
        shape = (SIDE, 2 * SIDE)
        made = zarr.create_array(folder / name, shape=shape, chunks=(SIDE, SIDE), dtype="float64")
        made[...] = np.random.default_rng(seed).random(shape)
    return Operands(*(xp.from_zarr(folder / name, spec=spec) for name in "ab"))


def called(name, operands, monkeypatch):
    """The function `name`, and the arguments with which its example calls it."""
    home, _, own = name.rpartition(".")
    place = getattr(xp, home) if home else xp
    function, calls = getattr(place, own), []

    def recorded(*args, **keywords):
        calls.append((args, keywords))
        return function(*args, **keywords)

    with monkeypatch.context() as patch:
        patch.setattr(place, own, recorded)
        EXAMPLES[name](operands)
    return function, *calls[-1]


def parameters(function):
    found = inspect.signature(function).parameters.values()
    return [p for p in found if p.kind is not p.VAR_KEYWORD]


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_a_wrong_argument_is_refused_when_the_call_is_made(name, operands, monkeypatch):
    function, args, keywords = called(name, operands, monkeypatch)
    for parameter in parameters(function):
        if parameter.name in TAKES_ANYTHING.get(name, ()):
            continue
        for wrong in (*WRONG_EVERYWHERE, *WRONG_FOR.get(parameter.name, ())):
            bound = inspect.signature(function).bind(*args, **keywords)
            several = parameter.kind is parameter.VAR_POSITIONAL
            bound.arguments[parameter.name] = (wrong,) if several else wrong
            with pytest.raises(STANDARD) as refused:
                function(*bound.args, **bound.kwargs)
            message = str(refused.value)
            assert message.startswith(f"xp.{name}("), message
            assert several or f"{parameter.name}=" in message, message
            assert "shape=(" in message or not any(isinstance(a, Array) for a in bound.args)


SELDOM = [pytest.param(dtype, marks=pytest.mark.slow) for dtype in ("?", "m8[s]", "c16")]


@pytest.mark.parametrize("name", sorted(EXAMPLES.keys() - COMPUTED_BY_USERS))
@pytest.mark.parametrize("dtype", ["<U2", "M8[D]", "i4,f8", *SELDOM])
def test_elements_that_a_function_does_not_take_are_refused_when_the_call_is_made(
    name, dtype, operands, monkeypatch
):
    function, args, keywords = called(name, operands, monkeypatch)
    args = [of_type(a, dtype) for a in args]
    keywords = {k: of_type(v, dtype) for k, v in keywords.items()}
    refused = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            made = function(*args, **keywords)
        except STANDARD as error:
            made, refused = (), str(error)
        # What is taken is computed as well, in the type that was said.
        if name not in DEPENDS_ON_VALUES:
            assert all(each.compute().dtype == each.dtype for each in arrays_of(made))
    assert not refused or refused.startswith(f"xp.{name}(")


def of_type(value, dtype):
    if isinstance(value, list | tuple):
        return type(value)(of_type(each, dtype) for each in value)
    if not isinstance(value, Array):
        return value
    numbers = np.arange(value.size).reshape(value.shape) % 100
    plain = np.dtype(dtype).kind != "V"
    found = numbers.astype(dtype) if plain else np.zeros(value.shape, dtype)
    return xp.asarray(found, chunks=value.node.chunks, spec=value.own_spec)


def arrays_of(made):
    parts = made if isinstance(made, list | tuple) else [made]
    return [each for each in parts if isinstance(each, Array)]
