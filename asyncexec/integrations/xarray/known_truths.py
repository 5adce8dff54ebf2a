"""Truth values that are known without any element: two expressions are the same, or nothing can be missing.

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


def known_truth(array: Array) -> bool | None:
    """Return the one truth value of ``array``, where that is known as it is written; None where it is to be computed.

    >>> from asyncexec.integrations.xarray.known_truths import known_truth
    >>> x = xp.arange(6, chunks=2)
    >>> known_truth(xp.all(x[::2] == x[::2])), known_truth(xp.all(x == x + 0))
    (True, None)
    >>> known_truth(xp.any(xp.zeros(6, dtype=bool)))
    False
    """
    if array.ndim or array.dtype.kind != "b":
        return None
    (root,) = rewrite([array.own_node], frozenset({NAME}))
    if _holds(root):
        return True
    return False if _fails(root) else None


def _fails(node: Node) -> bool:
    """Return whether all elements are False: integers have no missing values, for example."""
    if isinstance(node, View) or (isinstance(node, Reduction) and node.operation == "any"):
        return _fails(node.inputs[0])
    if isinstance(node, Creation):
        return isinstance(node.make, Full) and not np.any(node.make.value)
    terms = _terms(node, _OR)
    return len(terms) > 1 and all(map(_fails, terms))


def _holds(node: Node) -> bool:
    """Return whether all elements are True."""
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
