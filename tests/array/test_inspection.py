"""Inspection, data type functions and DLPack, by the array API standard 2025.12."""

import array_api_strict as strict
import numpy as np
import pytest
import zarr

import asyncexec.array as xp
from tests.array.direct import run

strict.set_array_api_strict_flags(api_version="2025.12")
INFO = xp.__array_namespace_info__()
THEIRS = strict.__array_namespace_info__()


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "bool",
        "signed integer",
        "unsigned integer",
        "integral",
        "real floating",
        "complex floating",
        "numeric",
        ("bool", "real floating"),
    ],
)
def test_the_types_of_a_kind_are_those_of_the_reference(kind):
    found = INFO.dtypes(kind=kind)
    assert set(found) == set(THEIRS.dtypes(kind=kind))
    for name, dtype in found.items():
        assert dtype == np.dtype(name)
        assert xp.empty(1, dtype=dtype).dtype == dtype


def test_devices_and_defaults_are_those_of_arrays():
    assert INFO.default_device() in INFO.devices()
    defaults = INFO.default_dtypes(device="cpu")
    assert set(defaults) == set(THEIRS.default_dtypes())
    assert xp.ones(1).dtype == defaults["real floating"]
    assert xp.asarray(1).dtype == defaults["integral"]
    assert xp.asarray(1j).dtype == defaults["complex floating"]
    assert xp.argmax(xp.ones(1)).dtype == defaults["indexing"]
    assert set(INFO.capabilities()) == set(THEIRS.capabilities())


def test_other_devices_and_kinds_are_refused():
    for call in (
        lambda: INFO.dtypes(device="gpu"),
        lambda: INFO.default_dtypes(device="gpu"),
        lambda: INFO.dtypes(kind="text"),
        lambda: xp.isdtype(xp.int8, "text"),
        lambda: xp.astype(xp.ones(1), xp.int8, device="gpu"),
        lambda: xp.asarray(1, device="gpu"),
        lambda: xp.from_dlpack(np.ones(1), device="gpu"),
    ):
        with pytest.raises(ValueError, match=r"device|kind"):
            call()


@pytest.mark.parametrize("name", ["float16", "float32", "float64", "complex64", "complex128"])
def test_limits_of_floating_types_are_pythons_numbers(name):
    theirs = np.finfo(name)
    for each in (name, xp.empty(1, dtype=name), np.dtype(name)):
        limits = xp.finfo(each)
        for key in ("eps", "max", "min", "smallest_normal"):
            assert type(getattr(limits, key)) is float
            assert getattr(limits, key) == getattr(theirs, key)
        assert limits.bits == theirs.bits
        assert limits.dtype == np.real(np.empty(0, name)).dtype


def test_limits_of_integers_are_pythons_numbers():
    limits = xp.iinfo(xp.ones(1, dtype=xp.uint16))
    assert (limits.bits, limits.min, limits.max, limits.dtype) == (16, 0, 65535, np.uint16)
    with pytest.raises(ValueError, match="Invalid integer data type"):
        xp.iinfo(xp.float64)


def test_types_of_results_are_numpys_also_of_arrays_and_scalars():
    x = xp.ones(2, dtype=xp.float32)
    assert xp.result_type(x, 1.5) == xp.float32
    assert xp.result_type(xp.int8, x) == xp.float32
    assert xp.result_type(xp.int8, 1j) == xp.complex128
    assert xp.can_cast(x, xp.float64)
    assert not xp.can_cast(x, xp.int64)
    assert xp.can_cast(True, xp.bool)
    assert not xp.can_cast(1.0, xp.int8)
    assert not xp.can_cast(-1, xp.uint8)
    assert xp.can_cast(255, xp.uint8)
    assert xp.can_cast(1.5, xp.complex64)


def test_dlpack_computes_and_shares_with_numpy():
    x = xp.arange(6, chunks=4) * 2
    np.testing.assert_array_equal(np.from_dlpack(x), np.arange(6) * 2)
    assert x.__dlpack_device__() == np.ones(1).__dlpack_device__()
    assert x.__dlpack__(max_version=(1, 0), dl_device=(1, 0), copy=False) is not None
    with pytest.raises(BufferError, match="CPU"):
        x.__dlpack__(dl_device=(2, 0))
    with pytest.raises(ValueError, match="stream"):
        x.__dlpack__(stream=1)


def test_arrays_of_dlpack_are_copied_unless_that_is_refused():
    theirs = np.arange(5.0)
    copied, shared = xp.from_dlpack(theirs, chunks=2), xp.from_dlpack(theirs, copy=False)
    theirs[0] = 9
    assert run(copied).tolist() == [0, 1, 2, 3, 4]
    assert run(shared).tolist() == [9, 1, 2, 3, 4]
    lazy = xp.ones(3)
    assert xp.from_dlpack(lazy) is lazy
    assert xp.from_dlpack(lazy, copy=True) is not lazy
    with pytest.raises(TypeError, match="DLPack"):
        xp.from_dlpack([1, 2])


def test_asarray_passes_lazy_arrays_through():
    x = xp.ones((4, 4), chunks=2, dtype=xp.float32)
    assert xp.asarray(x) is x
    assert xp.asarray(x, dtype=xp.float32) is x
    copied = xp.asarray(x, copy=True)
    assert copied is not x
    assert copied.node is x.node
    assert xp.asarray(x, chunks=(4, 1)).chunks == (4, 1)
    np.testing.assert_array_equal(run(xp.asarray([x[0], x[1] * 2])), [[1, 1, 1, 1], [2, 2, 2, 2]])


def test_nested_sequences_of_lazy_arrays_and_numbers_become_one_lazy_array():
    x = xp.asarray(np.arange(4.0), chunks=2)
    nested = xp.asarray([[x[0], 1], (x[3], x[1])])
    np.testing.assert_array_equal(run(nested), [[0, 1], [3, 1]])
    assert nested.dtype == np.float64
    assert xp.asarray([xp.asarray(1, dtype=xp.int8), 1]).dtype == np.int64
    assert xp.asarray([[x, x]], dtype=xp.float32).shape == (1, 2, 4)
    for ragged in ([x[0], [x[1]]], [[x[0]], [x[1], x[2]]], [x[0], []]):
        with pytest.raises(ValueError, match=r"differ|inhomogeneous"):
            xp.asarray(ragged)


def test_asarray_of_zarr_reads_chunks_when_they_are_needed(tmp_path):
    stored = zarr.create_array(tmp_path / "x.zarr", shape=(6, 5), chunks=(2, 5), dtype="i4")
    stored[...] = np.arange(30).reshape(6, 5)
    for lazy in (xp.asarray(stored), xp.from_array(stored)):
        assert lazy.node.operation == "from_zarr"
        assert lazy.chunks == (2, 5)
    copied = xp.asarray(stored, copy=True)
    inside = zarr.open_group(tmp_path / "group.zarr").create_array("a", shape=3, dtype="f4")
    inside[...] = 1.5
    stored[0, 0] = 100
    assert run(lazy)[0, 0] == 100
    assert run(copied)[0, 0] == 0
    assert run(xp.asarray(inside, dtype=xp.float64)).tolist() == [1.5] * 3
    assert xp.asarray(stored, chunks=(3, 3)).chunks == (3, 3)


def test_asarray_of_zarr_in_memory_reads_it():
    stored = zarr.create_array(zarr.storage.MemoryStore(), shape=3, dtype="i8")
    stored[...] = [1, 2, 3]
    assert xp.asarray(stored).compute(executor="threads").tolist() == [1, 2, 3]


def test_integers_beyond_all_types_are_refused():
    for value in (2**64, -(2**63) - 1):
        with pytest.raises(OverflowError, match="64 bits"):
            xp.asarray(value)
    assert run(xp.asarray(2**64 - 1)) == 2**64 - 1


def test_diagonals_beyond_the_matrix_are_nowhere():
    for k in (2**63, -(2**63) - 1, 3, -4):
        assert not run(xp.eye(3, 2, k=k)).any()
