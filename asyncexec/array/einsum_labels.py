"""The subscripts of ``einsum``: which label each axis has, and in which order operands are multiplied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asyncexec.plan.box import Shape

type Labels = tuple[Any, ...]

_DOTS = "..."


@dataclass(frozen=True, slots=True)
class Subscripts:
    """The labels of each operand's axes and of the result's: letters, and numbers for axes of an ellipsis."""

    operands: tuple[Labels, ...]
    result: Labels


def parse_subscripts(subscripts: str, shapes: Sequence[Shape]) -> Subscripts:
    """Return the labels that ``subscripts`` give axes of arrays of ``shapes``.

    Raises
    ------
    ValueError
        If they do not fit the arrays, or are not of the form of ``numpy.einsum``.
    """
    if not isinstance(subscripts, str):
        raise TypeError(f"subscripts of einsum() are text such as 'ij,jk->ik', not {subscripts!r}")
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    if len(terms) != len(shapes):
        raise ValueError(
            f"einsum({subscripts!r}) has subscripts for {len(terms)} arrays, and there are {len(shapes)}"
        )
    operands = tuple(
        _of_operand(term, shape, subscripts) for term, shape in zip(terms, shapes, strict=True)
    )
    counted = Counter(label for labels in operands for label in labels)
    dots = sorted(label for label in counted if isinstance(label, int))
    if arrow:
        result = _expanded(right, dots, subscripts)
    else:
        once = (c for c, count in counted.items() if count == 1 and isinstance(c, str))
        result = (*dots, *sorted(once))
    unknown = [label for label in result if label not in counted]
    if unknown or len(set(result)) != len(result):
        raise ValueError(
            f"einsum({subscripts!r}): each label of the result must be there once, and in an operand's subscripts"
        )
    return Subscripts(operands, result)


def _of_operand(term: str, shape: Shape, subscripts: str) -> Labels:
    named = len(term.replace(_DOTS, "", 1))
    missing = len(shape) - named
    # Axes of an ellipsis go together from the last one on.
    labels = _expanded(term, list(range(-missing, 0)), subscripts)
    if len(labels) != len(shape):
        raise ValueError(
            f"einsum({subscripts!r}): the subscripts {term!r} do not fit an array of shape {shape}"
        )
    return labels


def _expanded(term: str, dots: Sequence[int], subscripts: str) -> Labels:
    """Return the labels of one term, where an ellipsis stands for ``dots``."""
    before, ellipsis, after = term.partition(_DOTS)
    if not all(c.isascii() and c.isalpha() for c in before + after):
        raise ValueError(
            f"einsum({subscripts!r}): subscripts are letters, with '...' once in each term, and not {term!r}"
        )
    return (*before, *(dots if ellipsis else ()), *after)


def lengths_of(subscripts: Subscripts, shapes: Sequence[Shape]) -> dict[Any, int]:
    """Return the length along each label; axes of length 1 are broadcast.

    Raises
    ------
    ValueError
        If two axes with one label have other lengths.
    """
    found: dict[Any, int] = {}
    for labels, shape in zip(subscripts.operands, shapes, strict=True):
        for label, n in zip(labels, shape, strict=True):
            known = found.setdefault(label, n)
            if known == 1:
                found[label] = n
            elif n not in (1, known):
                named = f"label {label!r}" if isinstance(label, str) else "an axis of '...'"
                raise ValueError(
                    f"einsum() of arrays of shapes {', '.join(map(str, shapes))}: {named} has the lengths {known} and "
                    f"{n}"
                )
    return found


def pairs_in_order(
    operands: Sequence[Labels], result: Labels, lengths: dict[Any, int]
) -> list[tuple[int, ...]]:
    """Return the order in which operands are multiplied, as ``numpy.einsum_path`` finds it by the sizes of products.

    Each entry has the numbers of operands that go together; what they make comes last.
    """
    letters: dict[Any, int] = {label: number for number, label in enumerate(lengths)}
    dummies: list[Any] = []
    for labels in operands:
        shape = tuple(lengths[label] for label in labels)
        dummies += [np.broadcast_to(np.float64(0), shape), [letters[label] for label in labels]]
    path, _ = np.einsum_path(*dummies, [letters[label] for label in result], optimize="greedy")
    return [tuple(step) for step in path[1:]]
