"""Comparisons of arrays whose outcome is known without their elements: both are the same expression of the same.

xarray asks whether lazy coordinates are equal wherever it puts objects together, and datasets that were selected from
one have the same expression for them.
"""

from __future__ import annotations

import numpy as np

from asyncexec.array.array import Array
from asyncexec.array.generators import Full
from asyncexec.array.nodes import Creation, Elementwise, Node, View
from asyncexec.array.optimizer.rewriting import rewrite
from asyncexec.array.optimizer.subexpressions import NAME
from asyncexec.array.reductions import Reduction

_OR, _AND = ("bitwise_or", "logical_or"), ("bitwise_and", "logical_and")
_WITHOUT_NAN = "biu"


def is_known_to_hold(array: Array) -> bool:
    """Return whether all elements are True as ``array`` is written; False where that is unknown.

    >>> from asyncexec.integrations.xarray.known_truths import is_known_to_hold
    >>> x = xp.arange(6, chunks=2)
    >>> is_known_to_hold(xp.all(x[::2] == x[::2])), is_known_to_hold(xp.all(x == x.copy() + 0))
    (True, False)
    """
    (root,) = rewrite([array.own_node], frozenset({NAME}))
    return _holds(root)


def _holds(node: Node) -> bool:
    if isinstance(node, View) or (isinstance(node, Reduction) and node.operation == "all"):
        return _holds(node.inputs[0])
    if isinstance(node, Creation):
        return isinstance(node.make, Full) and bool(np.all(node.make.value))
    terms = _terms(node, _OR)
    if len(terms) > 1 and any(map(_holds, terms)):
        return True
    return any(
        same is not None
        and (same.dtype.kind in _WITHOUT_NAN or any(_is_nan(t, same) for t in terms))
        for same in map(_compared_with_itself, terms)
    )


def _terms(node: Node, operations: tuple[str, ...]) -> list[Node]:
    """Return what such operations connect, one after another."""
    if isinstance(node, Elementwise) and node.operation in operations and len(node.inputs) == 2:
        return [term for each in node.inputs for term in _terms(each, operations)]
    return [node]


def _compared_with_itself(node: Node) -> Node | None:
    if not isinstance(node, Elementwise) or node.operation != "equal" or len(node.inputs) != 2:
        return None
    return node.inputs[0] if node.inputs[0] is node.inputs[1] else None


def _is_nan(node: Node, same: Node) -> bool:
    """Return whether ``node`` is True wherever ``same`` is missing."""
    return all(
        isinstance(term, Elementwise) and term.operation == "isnan" and term.inputs == (same,)
        for term in _terms(node, _AND)
    )
