"""The values that a function takes from outside itself, followed through names, modules, imports and ``getattr``.

What has a constant name is followed precisely: globals, attributes of modules, imports inside the function, local and
captured aliases of modules, ``getattr(module, "name")``, ``globals()["name"]``, ``sys.modules["name"]``,
``importlib.import_module("name")`` and variables of the environment. Where a name is worked out, the whole module
counts.
"""

from __future__ import annotations

import builtins
import os
import sys
import types
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import resolve_name
from typing import Any, cast

from asyncexec.plan.fingerprint.bytecode import CodeReading, read_code
from asyncexec.plan.fingerprint.lookups import (
    FOLLOWED,
    LOOKED_THROUGH,
    REACHING_OUT,
    READING_METHODS,
    RUNNING_TEXT,
    UNFOLLOWED,
    full_name,
    imports_by_name,
    is_environment,
    is_put_among,
    is_setting,
    looks_up,
    reads_environment,
)
from asyncexec.plan.fingerprint.parts import Absent, Package, Variable, Whole
from asyncexec.plan.fingerprint.process_state import is_of_process
from asyncexec.plan.fingerprint.provenance import is_installed, spec_of, would_be_installed
from asyncexec.plan.fingerprint.terms import (
    Attribute,
    Call,
    Contains,
    Import,
    ImportedName,
    Item,
    Literal,
    Name,
    Term,
)


@dataclass(frozen=True, slots=True)
class Known:
    """An expression whose value is known."""

    value: Any


@dataclass(frozen=True, slots=True)
class _Method:
    """A method of the environment, of ``sys.modules`` or of ``globals()``."""

    owner: Any
    name: str


@dataclass(frozen=True, slots=True)
class _Scope:
    code: types.CodeType
    reading: CodeReading
    around: _Scope | None


def references_of(function: types.FunctionType) -> tuple[tuple[Any, ...], frozenset[str]]:
    """Return the parts that ``function`` uses, in the order of their use, and the words in its code."""
    references = _References(function)
    references.go_through(function.__code__, None)
    return tuple(references.parts), frozenset(references.words)


class _References:
    """Evaluates the expressions of one function, and notes the values they end in."""

    def __init__(self, function: types.FunctionType) -> None:
        self.parts: list[Any] = []
        self.words: set[str] = set()
        self._globals = function.__globals__
        self._name = function.__qualname__
        self._cells = dict(
            zip(function.__code__.co_freevars, function.__closure__ or (), strict=False)
        )
        self._noted: set[Any] = set()
        self._results: dict[tuple[int, Term], Any] = {}

    def go_through(self, code: types.CodeType, around: _Scope | None) -> None:
        """Note what ``code`` uses, and the code within it."""
        scope = _Scope(code, read_code(code), around)
        self.words |= scope.reading.words
        for term in scope.reading.used:
            self._use(term, scope)
        for inner in scope.reading.inner:
            self.go_through(inner, scope)

    def _use(self, term: Term | None, scope: _Scope) -> None:
        result = self._value(term, scope)
        if isinstance(result, _Method):
            self._note_value(result.owner)
        elif result is not None:
            self._note_value(result.value)

    def _note(self, part: Any, key: Any = None) -> None:
        key = part if key is None else key
        if key not in self._noted:
            self._noted.add(key)
            self.parts.append(part)

    def _note_value(self, value: Any) -> None:
        if reads_environment(value):
            self._note(Variable(None))
        elif value is self._globals:
            self._note_whole("uses globals() with names that cannot be followed")
        elif value is sys.modules:
            self._note_whole("uses sys.modules with names that cannot be followed", all_around=True)
        elif isinstance(value, list) and is_of_process(value):
            self._note("(of the process)")
        elif isinstance(value, types.ModuleType) and is_installed(value.__name__):
            self._note(Package(value.__name__))
        elif not self._notes_unfollowed(value):
            self._note(value, ("value", id(value)))

    def _notes_unfollowed(self, value: Any) -> bool:
        name = full_name(value)
        if imports_by_name(name):
            self._note_whole(f"imports by a name that cannot be followed ({name})", all_around=True)
        elif name in UNFOLLOWED:
            reason = f"uses {name.removeprefix('builtins.')}() in a way that cannot be followed"
            self._note_whole(reason, all_around=name in RUNNING_TEXT)
        else:
            return False
        return True

    def _note_whole(self, reason: str, *, all_around: bool = False) -> None:
        whole = Whole(self._globals, f"{self._name} {reason}", all_around)
        self._note(whole, ("whole", all_around))

    def _note_variable(self, key: Term | None, scope: _Scope) -> None:
        result = self._value(key, scope)
        name = result.value if isinstance(result, Known) else None
        if isinstance(name, bytes):
            name = os.fsdecode(name)
        self._note(Variable(name if isinstance(name, str) else None))

    def _value(self, term: Term | None, scope: _Scope) -> Known | _Method | None:
        if term is None:
            return None
        key = (id(scope.code), term)
        if key not in self._results:
            self._results[key] = None  # Where it stands for itself.
            self._results[key] = self._evaluated(term, scope)
        result: Known | _Method | None = self._results[key]
        return result

    def _evaluated(self, term: Term, scope: _Scope) -> Known | _Method | None:  # noqa: PLR0911 - a line a kind
        match term:
            case Literal(value):
                return Known(value)
            case Name():
                return self._named(term, scope)
            case Attribute(base, name) | ImportedName(base, name):
                return self._attribute(self._value(base, scope), name)
            case Item(base, key):
                return self._item(base, key, scope)
            case Import(name, level, taken_from):
                return self._import(name, level, leaf=taken_from)
            case Call():
                return self._call(term, scope)
            case Contains(base, key):
                if not self._looks_up(self._value(base, scope), key, scope):
                    self._use(base, scope)
                    self._use(key, scope)
                return None

    def _named(self, term: Name, scope: _Scope) -> Known | _Method | None:
        if term.kind != "global":
            return self._local(term.name, scope)
        if term.name in scope.reading.imported:
            return self._value(scope.reading.imported[term.name], scope)
        return self._global(term.name)

    def _global(self, name: str) -> Known | None:
        if name == "__file__":  # Where the code lies does not count.
            return None
        if name in self._globals:
            return Known(self._globals[name])
        if hasattr(builtins, name):
            self._note((name, "(builtin)"))
            value = getattr(builtins, name)
            return Known(value) if looks_up(full_name(value)) or is_put_among(value) else None
        self._note((name, "(undefined)"))
        return None

    def _local(self, name: str, scope: _Scope) -> Known | _Method | None:
        if name in scope.reading.bound:
            return self._value(scope.reading.bound[name], scope)
        if name not in scope.code.co_freevars:
            return None
        if scope.around is not None:
            return self._local(name, scope.around)
        try:
            value = self._cells[name].cell_contents
        except (KeyError, ValueError):
            return None
        return Known(value)

    def _attribute(self, base: Known | _Method | None, name: str) -> Known | _Method | None:
        if name in REACHING_OUT:
            self._note_whole(f"uses .{name}")
        if not isinstance(base, Known):
            return None
        owner = base.value
        if is_environment(owner) or owner is sys.modules or owner is self._globals:
            return _Method(owner, name)
        if isinstance(owner, types.FunctionType) and name in vars(owner):
            self._note_value(owner)
            return Known(vars(owner)[name])
        if isinstance(owner, types.ModuleType):
            return self._of_module(owner, name)
        self._note_value(owner)
        return None

    def _of_module(self, module: types.ModuleType, name: str) -> Known | None:
        installed = is_installed(module.__name__)
        if installed:
            self._note(Package(module.__name__))
        if name in _OF_THE_FILE:
            self._note_place(module, name, installed=installed)
            return None
        value = _attribute_of(module, name)
        if value is not _MISSING:
            return (
                self._of_library(module, name, value)
                if installed
                else self._of_users(module, name, value)
            )
        inner = f"{module.__name__}.{name}"
        if not installed and spec_of(inner) is not None:
            return self._imported(inner)
        self._note((name, "(undefined)"))
        return None

    def _note_place(self, module: types.ModuleType, name: str, *, installed: bool) -> None:
        if name == "__dict__":
            self._note_value(module)
        elif name == "__path__" and not installed:
            reason = f"is searched by {self._name}, which uses its __path__"
            self._note(Whole(vars(module), reason, all_around=True), ("path", module.__name__))

    def _of_users(self, module: types.ModuleType, name: str, value: Any) -> Known:
        if name not in vars(module) and "__getattr__" in vars(module):
            self._note_value(vars(module)["__getattr__"])
        return Known(value)

    def _of_library(self, module: types.ModuleType, name: str, value: Any) -> Known | None:
        if isinstance(value, types.ModuleType) or callable(value):
            return Known(value)
        if is_environment(value) or value is sys.modules:
            return Known(value)
        if is_setting(module.__name__, value):
            self._note((module.__name__, name, value), ("setting", module.__name__, name))
        return None

    def _item(self, base: Term, key: Term | None, scope: _Scope) -> Known | _Method | None:
        owner = self._value(base, scope)
        if self._looks_up(owner, key, scope):
            return self._looked_up(owner, key, scope)
        self._use(base, scope)
        self._use(key, scope)
        return None

    def _looks_up(self, owner: Any, key: Term | None, scope: _Scope) -> bool:
        """Return whether a key is looked up in the environment, ``sys.modules`` or ``globals()``, and note which."""
        if not isinstance(owner, Known):
            return False
        if is_environment(owner.value):
            self._note_variable(key, scope)
            return True
        known = isinstance(self._value(key, scope), Known)
        return known and (owner.value is sys.modules or owner.value is self._globals)

    def _looked_up(self, owner: Any, key: Term | None, scope: _Scope) -> Known | None:
        found = self._value(key, scope)
        if not isinstance(found, Known) or is_environment(owner.value):
            return None
        if owner.value is self._globals:
            return self._global(str(found.value))
        return self._imported(str(found.value))

    def _call(self, call: Call, scope: _Scope) -> Known | _Method | None:
        function = self._value(call.function, scope)
        first, *others = (*call.arguments, None)
        if isinstance(function, _Method):
            owner = Known(function.owner)
            if function.name in READING_METHODS and self._looks_up(owner, first, scope):
                self._use_all(others, scope)
                return self._looked_up(owner, first, scope)
            self._note_value(function.owner)
        elif isinstance(function, Known):
            name = full_name(function.value)
            if name in FOLLOWED:
                done, result = self._followed(name, call, scope)
                if done:
                    return cast("Known | _Method | None", result)
            self._note_value(function.value)
        self._use_all([*call.arguments, *(term for _, term in call.keywords)], scope)
        return None

    def _use_all(self, terms: Sequence[Term | None], scope: _Scope) -> None:
        for term in terms:
            self._use(term, scope)

    def _followed(self, name: str, call: Call, scope: _Scope) -> tuple[bool, Any]:
        """Return whether a call that looks something up by name can be followed, and to what."""
        given = list(call.arguments) + [term for _, term in call.keywords]
        match name:
            case "builtins.globals":
                return True, Known(self._globals)
            case "os.getenv" | "os.getenvb" if given:
                self._note_variable(given[0], scope)
                self._use_all(given[1:], scope)
                return True, None
            case "builtins.getattr" | "builtins.hasattr" if len(call.arguments) > 1:
                return self._taken_by_name(call, scope)
            case "importlib.import_module" | "builtins.__import__" if given:
                module = self._value(given[0], scope)
                if isinstance(module, Known) and isinstance(module.value, str):
                    level = len(module.value) - len(module.value.lstrip("."))
                    leaf = name == "importlib.import_module"
                    return True, self._import(module.value.lstrip("."), level, leaf=leaf)
            case _:
                pass
        return False, None

    def _taken_by_name(self, call: Call, scope: _Scope) -> tuple[bool, Any]:
        base, name, *default = call.arguments
        owner, taken = self._value(base, scope), self._value(name, scope)
        self._use_all(default, scope)
        if isinstance(taken, Known) and isinstance(taken.value, str):
            self._use(name, scope)
            return True, self._attribute(owner, taken.value)
        if isinstance(owner, Known):  # Then all of it counts, whatever is taken.
            self._note_value(owner.value)
            self._use(name, scope)
            return True, None
        return False, None

    def _import(self, name: str, level: int, *, leaf: bool) -> Known | None:
        module = name
        if level:
            package = str(
                self._globals.get("__package__")
                or str(self._globals.get("__name__", "")).rpartition(".")[0]
            )
            try:
                module = resolve_name("." * level + name, package)
            except ImportError:
                self._note((module, "(undefined)"))
                return None
        found = self._imported(module)
        if leaf or found is None:
            return found
        return Known(sys.modules[module.partition(".")[0]])

    def _imported(self, module: str) -> Known | None:
        top = module.partition(".")[0]
        if top not in LOOKED_THROUGH and module != "__main__" and would_be_installed(module):
            self._note(Package(module))
            return None
        try:
            return Known(import_module(module))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a module of the user's does
            self._note(Absent(module, f"{type(error).__name__}: {error}"), ("absent", module))
            return None


_MISSING = object()
_OF_THE_FILE = frozenset(
    {"__dict__", "__path__", "__file__", "__spec__", "__loader__", "__cached__"}
)
"""Attributes of modules that do not count by their value: where code lies is no part of what it does."""


def _attribute_of(module: types.ModuleType, name: str) -> Any:
    try:
        return getattr(module, name, _MISSING)
    except Exception:  # noqa: BLE001 - whatever a module's __getattr__ does
        return _MISSING
