"""Sums of products by the labels of axes, as ``numpy.einsum`` has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from asyncexec.array import build
from asyncexec.array.array import Array
from asyncexec.array.contraction import pair_product
from asyncexec.array.diagonal_nodes import diagonal_of_axes
from asyncexec.array.dtypes import check_numbers
from asyncexec.array.einsum_labels import (
    Labels,
    Subscripts,
    lengths_of,
    pairs_in_order,
    parse_subscripts,
)
from asyncexec.array.nodes import Node
from asyncexec.array.operands import chunk_limit
from asyncexec.array.reducers import Accumulate
from asyncexec.array.spec import free_bytes_of
from asyncexec.array.wrapping import as_nodes


def einsum(subscripts: str, /, *operands: Array) -> Array:
    """Return the sum of products of arrays, by the labels of their axes, as ``numpy.einsum``.

    >>> x = xp.asarray([[1, 2], [3, 4]])
    >>> xp.einsum("ij,jk->ik", x, x).compute()
    array([[ 7, 10],
           [15, 22]])
    >>> xp.einsum("ii", x).compute()
    array(5)
    >>> xp.einsum("...ij->...ji", xp.ones((5, 2, 3))).shape
    (5, 3, 2)

    Parameters
    ----------
    subscripts : str
        A letter for each axis of each operand, such as ``"ij,jk->ik"``; ``...`` stands for the axes that have none,
        which are broadcast. Letters that the result lacks are summed over; one twice in an operand is its diagonal.
        Without ``->`` the result has the letters that are there once, in alphabetical order.
    *operands : Array
        Two at a time are multiplied, in the order that ``numpy.einsum_path`` finds.

    Returns
    -------
    Array
        Of the common type, in which sums are kept too, as in NumPy.

    Raises
    ------
    ValueError
        If the subscripts do not fit the arrays.
    """
    nodes, spec = as_nodes(operands, "einsum")
    shapes = [node.shape for node in nodes]
    parsed = parse_subscripts(subscripts, shapes)
    lengths = lengths_of(parsed, shapes)
    for node in nodes:
        check_numbers("einsum", node.dtype)
    dtype = np.result_type(*(node.dtype for node in nodes))
    sums = _Sums(lengths, chunk_limit(spec), free_bytes_of(spec))
    terms = [
        sums.distinct(build.cast(node, dtype), labels)
        for node, labels in zip(nodes, parsed.operands, strict=True)
    ]
    return Array(_multiplied(sums, terms, parsed), spec)


@dataclass(frozen=True, slots=True)
class _Term:
    """A node, and a label for each of its axes."""

    node: Node
    labels: Labels


def _multiplied(sums: _Sums, terms: list[_Term], parsed: Subscripts) -> Node:
    if len(terms) > 2:
        path = pairs_in_order([term.labels for term in terms], parsed.result, sums.lengths)
    else:
        path = [tuple(range(len(terms)))]
    for step in path:
        taken = [terms[number] for number in step]
        terms = [term for number, term in enumerate(terms) if number not in step]
        needed = {label for term in terms for label in term.labels} | set(parsed.result)
        found = taken[0]
        for place, other in enumerate(taken[1:], start=2):
            later = {label for term in taken[place:] for label in term.labels}
            found = sums.product(found, other, needed | later)
        terms.append(found)
    (last,) = terms
    return sums.arranged(last, parsed.result)


@dataclass(frozen=True, slots=True)
class _Sums:
    """The steps of a sum of products, given the length along each label and the memory of a task."""

    lengths: dict[Any, int]
    limit: int
    free_bytes: int

    def distinct(self, node: Node, labels: Sequence[Any]) -> _Term:
        """Return an operand without broadcast axes, and with its diagonal where it has a label twice."""
        found, kept = node, list(labels)
        for axis in reversed(range(len(kept))):
            if found.shape[axis] == 1 != self.lengths[kept[axis]]:
                found = build.drop_axes(found, (axis,))
                del kept[axis]
        for label in dict.fromkeys(labels):
            while kept.count(label) > 1:
                first = kept.index(label)
                second = kept.index(label, first + 1)
                found = diagonal_of_axes(found, first, second, limit=self.limit)
                kept = [c for axis, c in enumerate(kept) if axis not in (first, second)]
                kept.append(label)
        return _Term(found, tuple(kept))

    def product(self, left: _Term, right: _Term, needed: set[Any]) -> _Term:
        """Return the product of two terms, summed over all labels that are not ``needed``."""
        one, other = (
            self._summed_alone(left, right, needed),
            self._summed_alone(right, left, needed),
        )
        out = tuple(
            label for label in dict.fromkeys((*one.labels, *other.labels)) if label in needed
        )
        node = pair_product(
            "einsum",
            (one.node, other.node),
            (one.labels, other.labels, out),
            limit=self.limit,
            free_bytes=self.free_bytes,
        )
        return _Term(node, out)

    def arranged(self, term: _Term, result: Labels) -> Node:
        """Return a term with the axes of the result, in its order, and summed over all others."""
        found = self._sum_over(term, [label for label in term.labels if label not in result])
        order = tuple(found.labels.index(label) for label in result)
        in_order = order == tuple(range(len(order)))
        return found.node if in_order else build.permute(found.node, order)

    def _summed_alone(self, term: _Term, other: _Term, needed: set[Any]) -> _Term:
        alone = [c for c in term.labels if c not in needed and c not in other.labels]
        return self._sum_over(term, alone)

    def _sum_over(self, term: _Term, labels: Sequence[Any]) -> _Term:
        if not labels:
            return term
        dtype = term.node.dtype
        axes = [axis for axis, label in enumerate(term.labels) if label in labels]
        adding = np.logical_or if dtype.kind == "b" else np.add
        through = np.dtype(np.float32) if dtype == np.float16 else dtype
        reducer = Accumulate(adding, through, dtype)
        node = build.reduce("einsum", reducer, term.node, axes, keepdims=False)
        return _Term(node, tuple(label for label in term.labels if label not in labels))
