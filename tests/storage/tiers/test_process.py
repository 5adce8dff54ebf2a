"""Intermediate chunks in memory: shared, counted, spilled, freed."""

import pickle
import threading

import numpy as np
import pytest
from hypothesis import given, strategies as st

from asyncexec.errors import CorruptArrayError
from asyncexec.storage import planned_array
from asyncexec.storage.tiers.process import MemoryTier, TierArray
from tests.storage.regions import regions, taken


def tiered(place, budget_bytes, shape=(10, 7), block=(4, 3), dtype="f8"):
    tier = MemoryTier(budget_bytes)
    return tier, TierArray(
        tier, planned_array(place, shape=shape, dtype=dtype, chunks=block), block
    )


def fill(array, data):
    for index in np.ndindex(*(-(-n // b) for n, b in zip(data.shape, array.block, strict=True))):
        array.write(region(array, index), data[(*region(array, index), ...)].copy())


def region(array, index):
    return tuple(
        slice(i * b, min((i + 1) * b, n))
        for i, b, n in zip(index, array.block, array.ref.shape, strict=True)
    )


def test_a_block_is_handed_over_without_copying(tmp_path):
    _, array = tiered(tmp_path / "x", 10**6)
    block = np.ones((4, 3))
    array.write(region(array, (0, 0)), block)
    found = array.read((slice(0, 4), slice(0, 3)))
    assert np.shares_memory(found, block)
    assert not found.flags.writeable
    assert np.shares_memory(array.read((slice(1, 2), slice(0, 2))), block)
    assert not (tmp_path / "x").exists()


@given(regions(), st.integers(0, 600))
def test_reading_is_numpys_indexing_however_much_is_spilled(tmp_path_factory, case, budget_bytes):
    shape, block, wanted = case
    tier, array = tiered(tmp_path_factory.mktemp("x") / "x", budget_bytes, shape, block, "i8")
    data = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    fill(array, data)
    assert tier.used_bytes <= budget_bytes
    found = array.read(wanted)
    np.testing.assert_array_equal(found, taken(data, wanted))
    assert not found.flags.writeable
    array.clear()
    assert tier.used_bytes == 0


def test_what_does_not_fit_is_spilled_and_read_back(tmp_path, rng):
    tier, array = tiered(tmp_path / "x", 4 * 3 * 8 * 2)
    data = rng.random((10, 7))
    fill(array, data)
    assert tier.used_bytes == 4 * 3 * 8 * 2
    assert len(list((tmp_path / "x/c").rglob("*/*"))) == 7
    np.testing.assert_array_equal(array.read((slice(0, 10), slice(0, 7))), data)


def test_release_frees_the_budget_and_the_block(tmp_path):
    tier, array = tiered(tmp_path / "x", 10**6)
    fill(array, np.ones((10, 7)))
    assert tier.used_bytes == 560
    array.release([(0, 0), (2, 2)])
    assert tier.used_bytes == 560 - (12 + 2) * 8
    array.release([(0, 0)])
    assert tier.used_bytes == 560 - (12 + 2) * 8
    with pytest.raises(
        CorruptArrayError, match=r"chunk \(0, 0\) of .* before its last reader was complete"
    ):
        array.read((slice(0, 1), slice(0, 1)))


def test_a_block_that_is_not_there_is_an_error(tmp_path):
    _, array = tiered(tmp_path / "x", 0)
    with pytest.raises(CorruptArrayError, match=r"chunk \(1, 0\)"):
        array.read((slice(4, 5), slice(0, 1)))


def test_writing_a_block_again_counts_it_once(tmp_path):
    tier, array = tiered(tmp_path / "x", 10**6)
    for value in (1.0, 2.0):
        array.write(region(array, (0, 0)), np.full((4, 3), value))
    assert tier.used_bytes == 96
    assert (array.read(region(array, (0, 0))) == 2).all()


def test_a_block_spilled_once_and_kept_the_next_time_is_the_newer(tmp_path):
    tier, array = tiered(tmp_path / "x", 96)
    array.write(region(array, (1, 1)), np.full((4, 3), 9.0))
    array.write(region(array, (0, 0)), np.full((4, 3), 1.0))
    array.release([(1, 1)])
    array.write(region(array, (0, 0)), np.full((4, 3), 2.0))
    assert (array.read(region(array, (0, 0))) == 2).all()
    array.release([(0, 0)])
    with pytest.raises(CorruptArrayError):
        array.read(region(array, (0, 0)))
    assert tier.used_bytes == 0


def test_a_view_of_something_larger_does_not_keep_it_alive(tmp_path):
    tier, array = tiered(tmp_path / "x", 10**6)
    large = np.ones((1000, 1000))
    array.write(region(array, (0, 0)), large[:4, :3])
    assert not np.shares_memory(array.read(region(array, (0, 0))), large)
    assert tier.used_bytes == 96


def test_a_block_of_one_repeated_element_takes_no_more_than_that(tmp_path):
    tier, array = tiered(tmp_path / "x", 8)
    array.write(region(array, (0, 0)), np.broadcast_to(np.float64(3), (4, 3)))
    assert tier.used_bytes == 8
    assert (array.read(region(array, (0, 0))) == 3).all()
    array.release([(0, 0)])
    assert tier.used_bytes == 0


def test_many_threads_keep_the_books(tmp_path):
    tier, array = tiered(tmp_path / "x", 50 * 8, (400,), (1,))
    barrier = threading.Barrier(8)
    failures = []

    def work(part):
        try:
            barrier.wait(30)
            for i in range(part, 400, 8):
                array.write((slice(i, i + 1),), np.array([float(i)]))
                assert array.read((slice(i, i + 1),))[0] == i
                assert tier.used_bytes <= tier.budget_bytes
                if i % 3:
                    array.release([(i,)])
        except BaseException as error:  # noqa: BLE001 - shown by the main thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(part,)) for part in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert tier.used_bytes == 8 * len(array._held)
    array.clear()
    assert tier.used_bytes == 0


def test_cannot_be_sent_to_another_process(tmp_path):
    _, array = tiered(tmp_path / "x", 0)
    with pytest.raises(TypeError, match="kept in memory"):
        pickle.dumps(array)
