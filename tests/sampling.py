"""Samples of parameters: those that show enough run by default, and all of them with the slow tests."""

from collections.abc import Iterable
from typing import Any

import pytest


def sampled(values: Iterable[Any], *quick: Any) -> list[Any]:
    """All ``values`` of a parameter, of which only ``quick`` are not marked slow."""
    values = list(values)
    assert quick
    assert all(each in values for each in quick), "a sample of what there is"
    return [
        each if each in quick else pytest.param(each, marks=pytest.mark.slow) for each in values
    ]
