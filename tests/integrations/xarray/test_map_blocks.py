"""Functions of datasets by parts: right, lazy, called once for each part, and refused where they are impossible."""

import numpy as np
import pytest

xr = pytest.importorskip("xarray")

from asyncexec.errors import OptionError, TaskFailedError
from tests.integrations.xarray.datasets import chunked, counted_runs, in_memory, is_lazy


@pytest.fixture(autouse=True)
def manager():
    with xr.set_options(chunk_manager="asyncexec"):
        yield


def with_several_results(part):
    made = part.assign(m=part.t.mean("x"), k=part.t.astype("f4"))
    return made.assign_coords(q=("x", part.x.values * 2))


KEPT_LENGTHS = {
    "doubled": lambda p: p * 2,
    "several results of several types": with_several_results,
    "an array": lambda p: p.t,
    "a variable without the chunked dimensions": lambda p: p.n,
    "a new dimension": lambda p: p.expand_dims(w=[1, 2]),
    "another length of a whole dimension": lambda p: p.interp(x=[0.5, 1.5]),
    "a dimension gone": lambda p: p.drop_vars("n").mean("x"),
    "all variables as one": lambda p: p.to_array(),
    "variables in another order": lambda p: p[["n", "t"]],
    "a transposed array": lambda p: p.t.transpose("x", "time", "y"),
}


NOT_ALONG_X = {
    "several results of several types",
    "another length of a whole dimension",
    "a dimension gone",
}
CASES = [
    (name, chunks)
    for name in KEPT_LENGTHS
    for chunks in ({"time": 4, "y": 3}, {"time": (5, 3, 4), "y": 2}, {"x": 2})
    if "x" not in chunks or name not in NOT_ALONG_X
]


@pytest.mark.parametrize("name,chunks", CASES)
def test_parts_make_what_the_whole_makes(name, chunks, monkeypatch):
    function = KEPT_LENGTHS[name]
    with counted_runs(monkeypatch) as runs:
        found = chunked(**chunks).asyncexec.map_blocks(function)
    assert not runs
    assert is_lazy(found)
    expected = function(in_memory())
    xr.testing.assert_allclose(found.compute(), expected)
    assert found.attrs == expected.attrs


def test_a_template_says_how_parts_change_their_length():
    ds = chunked()
    template = ds.isel(time=[1, 5, 9]).chunk(time=1)
    found = ds.asyncexec.map_blocks(lambda part: part.isel(time=[1]), template=template)
    assert found.chunksizes == template.chunksizes
    xr.testing.assert_identical(found.compute(), in_memory().isel(time=[1, 5, 9]))


def test_a_template_in_memory_has_the_chunks_of_the_parts():
    found = chunked().t.asyncexec.map_blocks(lambda part: part + 1, template=in_memory().t)
    assert found.chunksizes == chunked().t.chunksizes
    xr.testing.assert_identical(found.compute(), (in_memory().t + 1).assign_attrs(units="K"))


def test_other_arguments_are_parted_too_and_keywords_are_not():
    ds = chunked()

    def weighted(t, n, factor, *, shift):
        return ((t * n).sum("x") * factor + shift).rename("z")

    found = ds.t.asyncexec.map_blocks(weighted, [ds.n, 2], {"shift": 1})
    xr.testing.assert_allclose(found.compute(), weighted(in_memory().t, in_memory().n, 2, shift=1))


def test_variables_in_memory_are_parted():
    ds = chunked().assign(w=("time", np.arange(12.0)), s=("time", list("abcdefghijkl")))
    found = ds.asyncexec.map_blocks(lambda part: part.t * part.w + (part.s > "c"))
    whole = in_memory().assign(w=ds.w.compute(), s=ds.s)
    xr.testing.assert_allclose(found.compute(), whole.t * whole.w + (whole.s > "c"))


def test_lazy_coordinates_stay_coordinates():
    ds = chunked().set_coords("n")
    found = ds.asyncexec.map_blocks(lambda part: part + 1)
    assert set(found.data_vars) == {"t"}
    assert is_lazy(found.n)
    xr.testing.assert_identical(found.compute(), in_memory().set_coords("n") + 1)


def test_a_part_is_computed_by_one_call():
    calls = []

    def counting(part):
        calls.append(part.sizes["time"])
        return part.assign(u=part.t * 2, v=part.t > 0).drop_vars("n")

    found = chunked().asyncexec.map_blocks(counting)
    calls.clear()
    found.compute()
    assert len(calls) == 3 * 2


def test_what_is_not_lazy_is_handed_over_as_it_is():
    found = in_memory().asyncexec.map_blocks(lambda ds: ds * 2)
    assert not is_lazy(found)


def test_the_plan_says_the_functions_name():
    found = chunked().t.asyncexec.map_blocks(with_several_results_of_array)
    assert "with_several_results_of_array" in str(found.asyncexec.plan())


def with_several_results_of_array(part):
    return part.to_dataset(name="one").assign(two=part + 1)


REFUSED_AT_ONCE = {
    "a reduction of a chunked dimension": (
        lambda ds: ds.t.asyncexec.map_blocks(lambda p: p.sum("time")),
        OptionError,
        "without 'time' of each of 3 parts",
    ),
    "a reduction of one variable": (
        lambda ds: ds.asyncexec.map_blocks(lambda p: p.sum("time")),
        OptionError,
        "'t' without 'time'",
    ),
    "what fails without elements": (
        lambda ds: ds.asyncexec.map_blocks(lambda p: p.isel(time=[0])),
        OptionError,
        "say it with template=",
    ),
    "a template with fewer chunks": (
        lambda ds: ds.asyncexec.map_blocks(lambda p: p, template=ds.isel(time=[0])),
        OptionError,
        "give it 3",
    ),
    "a template of something else": (
        lambda ds: ds.asyncexec.map_blocks(lambda p: p, template=3),
        TypeError,
        "is a int",
    ),
    "a result of something else": (
        lambda ds: ds.asyncexec.map_blocks(lambda _: 3),
        TypeError,
        "returned a int",
    ),
    "a lazy keyword": (
        lambda ds: ds.asyncexec.map_blocks(lambda p, z: p * z, kwargs={"z": ds}),
        TypeError,
        "give it in args=",
    ),
    "other chunks": (
        lambda ds: ds.asyncexec.map_blocks(lambda p, q: p, [ds.chunk(time=6)]),
        OptionError,
        "unify_chunks",
    ),
    "a large array to try": (
        lambda ds: ds.isel(x=[0] * 40_000).chunk(time=-1, y=-1).asyncexec.map_blocks(np.sin),
        OptionError,
        "template=",
    ),
}


@pytest.mark.parametrize("name", REFUSED_AT_ONCE)
def test_what_cannot_be_is_refused_at_once(name, monkeypatch):
    make, error, said = REFUSED_AT_ONCE[name]
    with counted_runs(monkeypatch) as runs, pytest.raises(error, match=said):
        make(chunked())
    assert not runs


BROKEN = {
    "another length": (lambda p: p.isel(time=slice(2)), "returned 2 elements along 'time'"),
    "another type": (lambda p: p.to_dataset(name="z"), "returned a Dataset"),
    "no coordinate": (lambda p: p.drop_vars("x"), r"lacks \['x'\]"),
    "other labels": (lambda p: p.assign_coords(x=p.x + 1), "coordinate 'x'"),
    "other dimensions": (
        lambda p: p.rename(y="z", x="y").rename(z="x"),
        "coordinate|lacks|elements",
    ),
    "another kind of element": (lambda p: p * 1j, "complex128"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_part_that_breaks_the_templates_promise_says_how(name):
    function, said = BROKEN[name]
    ds = chunked()
    with pytest.raises(TaskFailedError, match=said):
        ds.t.asyncexec.map_blocks(function, template=ds.t).compute(executor="serial")
