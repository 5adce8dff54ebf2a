"""The chunks that a task reads, found by calling its operation's key function.

A key function maps the coordinates of one output block to the chunks it is made of. It is a plain Python function, so
the only way to know it is to call it. Most are *separable*: each axis of what is read depends on one axis of the output
only. Calls along one line per axis are enough for those.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from cubed.primitive.blockwise import ChunkKey, FunctionArgs

if TYPE_CHECKING:
    from asyncexec.plan.box import Index

type Keys = dict[str, set[Index]]
"""Chunk coordinates by the name of the array they are in."""

# Functions of Cubed 0.28 that are separable, by module and qualified name. Others are trusted only after they have been
# called for every block, so a function that Cubed renames loses the shortcut and nothing else.
_SEPARABLE = frozenset(
    {
        (
            "cubed.primitive.blockwise",
            "make_blockwise_back_key_function_flattened.<locals>.blockwise_fn_flattened",
        ),
        ("cubed.core.ops", "partial_reduce.<locals>.back_key_function"),
        ("cubed.core.ops", "_store_array.<locals>.back_key_function"),
        ("cubed.core.indexing", "BlockView.__getitem__.<locals>.back_key_function"),
    }
)
_SELECTION = ("cubed.core.ops", "map_selection.<locals>.back_key_function")
_SEPARABLE_SELECTIONS = frozenset(
    {
        ("cubed.core.ops", "_rechunk.<locals>.selection_function"),
        ("cubed.core.ops", "merge_chunks.<locals>.selection_function"),
        ("cubed.core.indexing", "index.<locals>.selection_function"),
    }
)
_WITH_OFFSET = (
    "cubed.core.ops",
    "general_blockwise.<locals>.back_key_function_with_offset.<locals>.wrap",
)
_FUSED = ("cubed.primitive.blockwise", "make_fused_back_key_function.<locals>.fused_key_func")


class UnreadableKeysError(Exception):
    """A key function returned something else than chunk keys."""


def keys_read(function: Callable[[Any], Any], coordinates: Index) -> Keys:
    """Return the chunks that the task at ``coordinates`` reads.

    Raises
    ------
    UnreadableKeysError
        If the key function returns anything but chunk keys, in lists, tuples and iterators.
    """
    keys: Keys = defaultdict(set)
    # Cubed's key functions ignore the name of the output.
    for key in _flat(function(ChunkKey("out", coordinates))):
        keys[key.name].add(key.coords)
    return keys


def _flat(found: Any) -> Iterator[Any]:
    if isinstance(found, ChunkKey):
        yield found
    elif isinstance(found, FunctionArgs):
        for each in found.args:
            yield from _flat(each)
    elif isinstance(found, list | tuple | Iterator):
        for each in found:
            yield from _flat(each)
    else:
        raise UnreadableKeysError(f"{found!r} is no chunk key")


def is_separable(function: Callable[[Any], Any]) -> bool:
    """Return whether ``function`` is one of Cubed's that are known to be separable, or a fusion of such."""
    name = _name(function)
    if name in _SEPARABLE:
        return True
    if name == _SELECTION:
        return _name(captured(function).get("selection_function")) in _SEPARABLE_SELECTIONS
    if name == _WITH_OFFSET:
        return is_separable(captured(function)["back_key_function"])
    if name == _FUSED:
        inside = captured(function)
        fused = inside["predecessor_back_key_functions_dict"].values()
        return is_separable(inside["back_key_function"]) and all(map(is_separable, fused))
    return False


def captured(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the variables that ``function`` captured from enclosing functions, by name."""
    try:
        return dict(inspect.getclosurevars(function).nonlocals)
    except TypeError:
        return {}


def _name(function: Any) -> tuple[str, str]:
    return getattr(function, "__module__", ""), getattr(function, "__qualname__", "")
