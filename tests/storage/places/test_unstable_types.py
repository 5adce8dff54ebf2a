"""Zarr's warnings of element types that are not in its specification yet."""

import sys
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest
from zarr.errors import UnstableSpecificationWarning

from asyncexec.storage import planned_array
from asyncexec.storage.places.array_documents import array_documents
from asyncexec.storage.places.unstable_types import unstable_types_allowed


def test_none_of_many_threads_that_make_arrays_of_text_is_warned(tmp_path):
    ref = planned_array(tmp_path / "x.zarr", shape=(4,), dtype="S6", chunks=(2,))
    before, filters = sys.getswitchinterval(), list(warnings.filters)
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(array_documents, [ref] * 80))
    finally:
        sys.setswitchinterval(before)
    assert all(each == made[0] for each in made)
    assert warnings.filters == filters


def test_they_are_silenced_there_alone():
    with unstable_types_allowed():
        warnings.warn("of text", UnstableSpecificationWarning, stacklevel=1)
    with pytest.warns(UnstableSpecificationWarning):
        warnings.warn("of text", UnstableSpecificationWarning, stacklevel=1)
