"""Sizes as people write and read them, and what would fit."""

import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from asyncexec.errors import OptionError
from asyncexec.plan.memory import Memory, format_bytes, parse_bytes, rounded_down


@pytest.mark.parametrize(
    "size, expected",
    [
        (0, 0),
        (1_000, 1_000),
        (1.5e9, 1_500_000_000),
        (np.int64(7), 7),
        ("100", 100),
        ("2GB", 2 * 10**9),
        ("2 gb", 2 * 10**9),
        ("512MiB", 512 * 2**20),
        ("0.5 T", 5 * 10**11),
        (" 1kB ", 1_000),
        ("8.3GB", 8_300_000_000),
        ("9007199254740993", 2**53 + 1),
    ],
)
def test_sizes_are_read_exactly(size, expected):
    assert parse_bytes(size) == expected


@pytest.mark.parametrize(
    "size", ["", "GB", "2 XB", "-2GB", "1e9", -1, True, math.nan, math.inf, None, [1], "2GB2"]
)
def test_what_is_no_size_is_refused_by_name(size):
    with pytest.raises(OptionError, match=r"allowed_mem=.* is not a size"):
        parse_bytes(size, what="allowed_mem")


@pytest.mark.parametrize(
    "size, text",
    [
        (0, "0 B"),
        (999, "999 B"),
        (1_000, "1.0 kB"),
        (999_960, "1.0 MB"),
        (1_500_000_000, "1.5 GB"),
        (2 * 10**15, "2000.0 TB"),
    ],
)
def test_sizes_are_written_as_people_read_them(size, text):
    assert format_bytes(size) == text


@given(st.integers(0, 10**16))
def test_what_is_written_can_be_read_to_its_last_digit(size):
    assert math.isclose(parse_bytes(format_bytes(size)), size, rel_tol=0.06)


@given(*[st.integers(1, 10**12)] * 3, st.integers(0, 10**9))
def test_a_chunk_of_the_fitting_size_fits(chunk, factor, allowed, reserved):
    def of(chunk_bytes):
        needs = reserved + factor * chunk_bytes
        return Memory(
            projected_bytes=needs,
            reserved_bytes=reserved,
            allowed_bytes=allowed,
            chunk_bytes=chunk_bytes,
        )

    fitting = of(chunk).fitting_chunk_bytes
    assert of(chunk).fits == (fitting >= chunk)
    if allowed >= reserved:
        assert of(fitting).fits
        assert not of(fitting + 1).fits
    else:
        assert fitting == 0


def test_where_nobody_says_what_is_allowed_everything_fits():
    assert Memory(projected_bytes=10**18, chunk_bytes=5).fits
    assert Memory(projected_bytes=10**18, chunk_bytes=5).fitting_chunk_bytes == 5


@given(st.integers(0, 10**16))
def test_a_size_that_is_rounded_down_is_written_as_no_more_than_it_was(size):
    kept = rounded_down(size)
    assert kept <= size < kept * 1.1 + 100
    assert parse_bytes(format_bytes(kept)) == kept
