"""Hashes of Python objects by their content, the same in every process.

Data is hashed by type and content, mappings with their order, sets by their members' hashes in sorted order,
dataclasses by their fields, other objects by class and state as pickle would ask for them, and functions by what their
code does (the module ``code`` next to this one). Nothing depends on addresses, on ``PYTHONHASHSEED``, on file names or
on line numbers.

A cached or compiled function is hashed by its wrapper's type and the function inside.

Objects without ``__reduce_ex__`` are pickled with cloudpickle, whose bytes are as stable as it makes them. Objects that
cannot be pickled at all (a lock, a socket) are hashed by their type alone.
"""

from __future__ import annotations

import functools
import os
import types
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from asyncexec.errors import SerializationError
from asyncexec.plan.fingerprint.bytecode import names_a_variable, read_code, variables_in
from asyncexec.plan.fingerprint.code import (
    parts_of_builtin,
    parts_of_class,
    parts_of_function,
    parts_of_module,
    users,
)
from asyncexec.plan.fingerprint.findings import Findings
from asyncexec.plan.fingerprint.hashing import PLAIN, hash_of, hash_of_plain
from asyncexec.plan.fingerprint.parts import Absent, Package, Used, Variable, Whole
from asyncexec.plan.fingerprint.provenance import is_of_library, version_of
from asyncexec.plan.fingerprint.rules import rule_of
from asyncexec.plan.fingerprint.sources import sources_of_module
from asyncexec.plan.fingerprint.whole_modules import members_of, sources_of_whole

_REMEMBERED = 50_000
"""The number of objects that are gone through once, however often they are met."""
_SETTINGS = 1_000
"""The most plain values together that may be names of settings; more are data."""
_LONG = 8
_ANNOTATED = frozenset(
    {
        "__annotations__",
        "__dataclass_fields__",
        "fields",
        "get_annotations",
        "get_type_hints",
        "getfullargspec",
        "signature",
    }
)
_DOCUMENTED = frozenset({"__doc__", "getdoc"})
_LISTED = frozenset({"vars", "__dict__", "__set_name__", "dir"})


@dataclass(frozen=True, slots=True)
class _Definition:
    """A function, class or module whose parts are still to be hashed."""

    value: Any
    strict: bool
    tolerant: bool


class Digest:
    """Hashes objects; one instance hashes the objects of one plan, which must not change meanwhile.

    Parameters
    ----------
    strict : bool
        Whether what cannot be pickled is a SerializationError, rather than hashed by its type alone.

    Attributes
    ----------
    findings : Findings
        What was taken in so far.
    refused : str
        Why an object has no comparable content, for the first one that counts only by its type; empty if all have.
    """

    def __init__(self, *, strict: bool = False) -> None:
        self.findings = Findings()
        self.refused = ""
        self._raises = strict
        self._strict = True
        self._tolerant = False
        # Functions and classes refer to each other in cycles, and in long chains: where one is met, it is hashed by its
        # number, and what it consists of is hashed when its turn comes.
        self._met: dict[Any, tuple[int, Any]] = {}
        self._to_come: deque[_Definition] = deque()
        self._known: dict[int, tuple[bytes, Any]] = {}
        self._arrays: dict[int, tuple[bytes, Any]] = {}
        self._open: dict[int, int] = {}
        self._circles = 0  # How often a hash depended on what it is part of.
        self._defined: list[types.FunctionType | type] = []
        self._words: list[frozenset[str]] = []
        self._said_of: dict[str, int] = {}
        self._any_variable = False
        self._environment = frozenset(os.environ)

    def of(self, value: Any) -> bytes:
        """Return the hash (16 bytes) of ``value``."""
        if type(value) in PLAIN:
            return hash_of_plain(b"plain", value)
        try:
            parts = self._complete(value)
        except RecursionError as error:
            kind = type(value).__qualname__
            raise SerializationError(f"a {kind} is nested too deeply to be compared") from error
        while late := self._late():
            parts += self._complete(late)
        return parts[0] if len(parts) == 1 else hash_of(b"with", b"".join(parts))

    def part(self, value: Any) -> bytes:
        """Return the hash of ``value``, in which functions and classes stand by their numbers."""
        if type(value) in PLAIN:
            if value in self._environment:
                self._words.append(frozenset((value,)))
            elif type(value) is str and "$" in value:
                self._words.append(frozenset(variables_in(value)))
            return hash_of_plain(b"plain", value)
        key = id(value)
        if key in self._met:
            return self._number(key)
        if key in self._known:
            return self._known[key][0]
        if key in self._open:
            self._circles += 1
            return hash_of(b"circle", str(len(self._open) - self._open[key]).encode())
        self._open[key] = len(self._open)
        before = self._circles
        try:
            hashed = rule_of(type(value))(self, value)
        finally:
            del self._open[key]
        if self._circles == before and len(self._known) < _REMEMBERED and _is_remembered(value):
            self._known[key] = hashed, value
        return hashed

    def _complete(self, value: Any) -> list[bytes]:
        """Return the hash of ``value``, and those of the definitions that it leads to."""
        parts = [self.part(value)]
        while self._to_come:
            definition = self._to_come.popleft()
            before = self._strict, self._tolerant
            self._strict, self._tolerant = definition.strict, definition.tolerant
            try:
                parts.append(hash_of(b"definition", self.part(self._parts_of(definition.value))))
            finally:
                self._strict, self._tolerant = before
        return parts

    def independent(self, value: Any) -> bytes:
        """Return the hash of ``value`` that does not depend on what was visited before: for members without order."""
        if type(value) in PLAIN:
            return self.part(value)
        before = self._met, self._to_come, self._known
        self._met, self._to_come, self._known = dict(self._met), deque(), {}
        try:
            return hash_of(b"independent", b"".join(self._complete(value)))
        finally:
            self._met, self._to_come, self._known = before

    def remembered(self, value: Any, make: Callable[[], bytes]) -> bytes:
        """Return the hash of large data that is made with ``make`` the first time."""
        if id(value) not in self._arrays:
            self._arrays[id(value)] = make(), value
        return self._arrays[id(value)][0]

    def read_over(self, values: Collection[Any]) -> None:
        """Note which of these plain values are names of variables of the environment; of much data, none are."""
        if len(values) > _SETTINGS:
            return
        texts = [value for value in values if type(value) is str and "$" in value]
        expanded = [name for text in texts for name in variables_in(text)]
        if found := self._environment.intersection([*values, *expanded]):
            self._words.append(found)

    def refuse(self, value: Any, error: Exception | str) -> None:
        """Raise SerializationError for an object without comparable content, where that matters."""
        kind = type(value)
        if self._strict:
            refused = f"a {kind.__qualname__} cannot be hashed by its content, as it cannot be pickled: {error}"
            if self._raises:
                raise SerializationError(refused)
            self.refused = self.refused or refused
        self.findings.unseen[f"the content of a {kind.__module__}.{kind.__qualname__}"] = None

    def overlook(self, what: str) -> None:
        """Note what cannot be seen."""
        self.findings.unseen[what] = None

    @property
    def takes_process_state(self) -> bool:
        """True where a lock or an open file is only what code of a module shares, not what it is given."""
        return self._tolerant or not self._strict

    # ------------------------------------------------------------------ definitions

    def definition(self, value: Any) -> bytes:
        """Return the hash of a function, class, builtin or module, or of a part that names one."""
        match value:
            case Used():
                return self._used(value)
            case Package():
                return self._package(value)
            case Variable():
                return self._variable(value)
            case types.ModuleType():
                return self.part(parts_of_module(value))
            case Whole():
                key: Any = (id(value.namespace), value.all_around)
                strict = False
            case _:
                key = id(value)
                # A lock in what a library has made of a function, or of a class, is none of the user's data.
                strict = isinstance(value, types.FunctionType) and users(value)
        if key not in self._met:
            self._met[key] = (len(self._met), value)
            tolerant = self._tolerant or isinstance(value, Whole)
            self._to_come.append(_Definition(value, self._strict and strict, tolerant))
        return self._number(key)

    def code(self, value: types.CodeType) -> bytes:
        """Return the hash of code, whatever was visited before."""
        return _hash_of_code(value)

    def _number(self, key: Any) -> bytes:
        return hash_of(b"met", str(self._met[key][0]).encode())

    def _parts_of(self, value: Any) -> Any:
        match value:
            case types.FunctionType():
                parts, words = parts_of_function(value)
                if users(value):
                    self._note_words(words)
                    module = value.__globals__.get("__name__", "")
                    self._note_definition(value, self.findings.functions, module)
                return parts
            case types.BuiltinFunctionType():
                return parts_of_builtin(value)
            case Absent():
                return self._parts_of_absent(value)
            case Whole():
                return self._parts_of_whole(value)
            case _:
                module = str(value.__module__)
                if not is_of_library(value):
                    self._note_definition(value, self.findings.classes, module)
                return parts_of_class(value)

    def _note_definition(self, value: Any, among: dict[str, None], module: str) -> None:
        self._defined.append(value)
        among[f"{module}.{value.__qualname__}"] = None

    def _parts_of_absent(self, value: Absent) -> Any:
        sources = sources_of_module(value.module)
        for name in sources:
            self.findings.whole_modules[name] = f"it cannot be imported here ({value.error})"
        if not sources:
            self.findings.unseen[f"module {value.module} ({value.error})"] = None
        return "absent", value.module, sorted(sources.items())

    def _parts_of_whole(self, value: Whole) -> Any:
        sources = sources_of_whole(value)
        name = str(value.namespace.get("__name__", ""))
        for module in (name, *sources):
            self.findings.whole_modules.setdefault(module, value.reason)
        return "whole", sorted(sources.items()), members_of(value)

    # ------------------------------------------------------------------ what code uses

    def _used(self, value: Used) -> bytes:
        outer, self._tolerant = self._tolerant, True
        try:
            return hash_of(b"used", self.part(value.parts))
        finally:
            self._tolerant = outer

    def _package(self, value: Package) -> bytes:
        version = version_of(value.module)
        if version:
            self.findings.packages[value.module.partition(".")[0]] = version
        return hash_of(b"package", self.part((value.module, version)))

    def _variable(self, value: Variable) -> bytes:
        if value.name is None:
            self._any_variable = True
            return hash_of(b"variable", b"")
        self.findings.variables[value.name] = None
        return hash_of(b"variable", self.part((value.name, os.environ.get(value.name))))

    # ------------------------------------------------------------------ what counts only where code looks at it

    def _note_words(self, words: frozenset[str]) -> None:
        self._words.append(words)
        for what, read_by in _LOOKED_AT:
            if not read_by.isdisjoint(words):
                self._said_of.setdefault(what, 0)

    def _late(self) -> tuple[Any, ...]:
        """Return what counts as some code looks at it: annotations, docstrings, variables of the environment."""
        late: list[Any] = []
        for what, seen in sorted(self._said_of.items()):
            if seen == len(self._defined):
                continue
            self._said_of[what] = len(self._defined)
            new = self._defined[seen:]
            late.append(sorted(self.independent((v.__qualname__, _said(what, v))) for v in new))
        if self._any_variable and self._words:
            words = frozenset().union(*self._words)
            self._words.clear()
            late.append(self._variables(words))
        return tuple(late)

    def _variables(self, words: frozenset[str]) -> list[str]:
        begins = tuple(word for word in words if word.endswith("_") and names_a_variable(word))
        found = sorted(
            n
            for n in os.environ
            if (n in words and len(n) > 2) or (begins and n.startswith(begins))
        )
        self.findings.variables.update(dict.fromkeys(found))
        self.findings.unseen["variables of the environment whose names are worked out"] = None
        # Not as names again, which would be read over in their turn.
        return [f"{name}={os.environ[name]}" for name in found]


_LOOKED_AT = (("annotations", _ANNOTATED), ("docs", _DOCUMENTED), ("order", _LISTED))


def _said(what: str, value: types.FunctionType | type) -> Any:
    if what == "docs":
        return value.__doc__
    if what == "order":
        return [name for name in vars(value) if not name.startswith("_")]
    return list(getattr(value, "__annotations__", {}).items())


def _is_remembered(value: Any) -> bool:
    """Return whether to remember the hash of ``value``: it may be met again, and is not made for hashing alone."""
    if isinstance(value, tuple):
        return len(value) >= _LONG
    return isinstance(value, list | dict | set | frozenset) or hasattr(value, "__dict__")


@functools.lru_cache(4096)
def _hash_of_code(code: types.CodeType) -> bytes:
    """Return the hash of ``code``, which can be cached: its constants are plain or code, and refer to nothing else."""
    return hash_of(b"code", Digest().of(read_code(code).parts))
