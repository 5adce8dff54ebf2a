"""Reads from instructions, once, all that a code object does and takes from outside itself.

The instructions are gone through in their order with a small model of the stack, which knows the names, constants,
attributes, calls and imports that one expression puts there (:mod:`asyncexec.plan.fingerprint.terms`). An instruction
that the model does not know takes everything from the stack: what was there counts as used, as a whole.
"""

from __future__ import annotations

import dis
import functools
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

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

_CACHED = 4096
"""The number of code objects in the cache: disassembling one costs more than running most of them."""
_FLAGS = 0x3FF
"""The flags of code that change what it does: kinds of arguments and of functions, not ``__future__`` imports."""
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]{2,}")
_EXPANDED = re.compile(r"\$\{?(\w+)")

# How many values an instruction takes from the stack and puts there; "n" is its argument.
_EFFECTS: Mapping[str, tuple[str, str]] = {
    **dict.fromkeys(
        ("NOP", "RESUME", "CACHE", "EXTENDED_ARG", "PRECALL", "MAKE_CELL", "COPY_FREE_VARS"),
        ("0", "0"),
    ),
    **dict.fromkeys(("PUSH_NULL", "NOT_TAKEN", "TO_BOOL", "SETUP_ANNOTATIONS"), ("0", "0")),
    **dict.fromkeys(
        ("RETURN_GENERATOR", "LOAD_CLOSURE", "LOAD_BUILD_CLASS", "LOAD_LOCALS", "FOR_ITER"),
        ("0", "1"),
    ),
    **dict.fromkeys(("GET_ITER", "GET_AITER", "GET_AWAITABLE", "CALL_INTRINSIC_1"), ("1", "1")),
    **dict.fromkeys(("UNARY_NOT", "UNARY_NEGATIVE", "UNARY_INVERT", "YIELD_VALUE"), ("1", "1")),
    **dict.fromkeys(("FORMAT_SIMPLE", "CONVERT_VALUE", "GET_YIELD_FROM_ITER"), ("1", "1")),
    **dict.fromkeys(("BINARY_OP", "COMPARE_OP", "IS_OP", "FORMAT_WITH_SPEC"), ("2", "1")),
    **dict.fromkeys(("BINARY_SLICE", "LOAD_SUPER_ATTR"), ("3", "1")),
    **dict.fromkeys(
        ("POP_JUMP_IF_FALSE", "POP_JUMP_IF_TRUE", "POP_JUMP_IF_NONE", "POP_JUMP_IF_NOT_NONE"),
        ("1", "0"),
    ),
    **dict.fromkeys(("LIST_APPEND", "LIST_EXTEND", "SET_ADD", "SET_UPDATE"), ("1", "0")),
    **dict.fromkeys(("DICT_UPDATE", "DICT_MERGE", "IMPORT_STAR"), ("1", "0")),
    **dict.fromkeys(("MAP_ADD", "STORE_ATTR"), ("2", "0")),
    "STORE_SLICE": ("4", "0"),
    **dict.fromkeys(("BUILD_TUPLE", "BUILD_LIST", "BUILD_SET", "BUILD_STRING"), ("n", "1")),
    "BUILD_SLICE": ("n", "1"),
    "BUILD_MAP": ("2n", "1"),
    "BUILD_CONST_KEY_MAP": ("n+1", "1"),
    "UNPACK_SEQUENCE": ("1", "n"),
    "BEFORE_WITH": ("1", "2"),
    "GET_LEN": ("0", "1"),
}
_LOADS: Mapping[str, str] = {
    "LOAD_GLOBAL": "global",
    "LOAD_NAME": "global",
    "LOAD_DEREF": "local",
    "LOAD_CLASSDEREF": "local",
    "LOAD_FROM_DICT_OR_DEREF": "local",
    "LOAD_FROM_DICT_OR_GLOBALS": "global",
    "LOAD_FAST": "local",
    "LOAD_FAST_CHECK": "local",
    "LOAD_FAST_AND_CLEAR": "local",
    "LOAD_FAST_BORROW": "local",
    "LOAD_FAST_LOAD_FAST": "local",
    "LOAD_FAST_BORROW_LOAD_FAST_BORROW": "local",
}
_STORES = frozenset({"STORE_FAST", "STORE_DEREF", "STORE_NAME", "STORE_FAST_STORE_FAST"})
_CONSTANTS = frozenset({"LOAD_CONST", "LOAD_SMALL_INT", "LOAD_CONST_IMMORTAL"})
_OF_ITSELF = frozenset(
    {"__doc__", "__firstlineno__", "__static_attributes__", "__module__", "__qualname__"}
)
"""Names that the body of a class gives to facts of the class itself."""
_UNSAID = frozenset({"__doc__", "__firstlineno__", "__static_attributes__"})


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeReading:
    """All that the instructions of one code object say.

    Attributes
    ----------
    parts : tuple
        All that makes it do what it does: instructions, the constants they load, arguments. Neither file names, lines,
        docstrings nor what the interpreter notes in it while it runs.
    used : tuple of Term
        The outermost expressions that are taken from outside, in the order of their use.
    bound : mapping of str to Term
        The local names that always stand for one such expression (``import math as m``, ``g = helpers.g``).
    imported : mapping of str to Term
        The global names that it imports itself (``global json; import json``).
    inner : tuple of types.CodeType
        The code of functions and classes made within.
    words : frozenset of str
        The names and constants in it that are words.
    """

    parts: tuple[Any, ...]
    used: tuple[Term, ...]
    bound: Mapping[str, Term]
    imported: Mapping[str, Term]
    inner: tuple[types.CodeType, ...]
    words: frozenset[str]


@functools.lru_cache(_CACHED)
def read_code(code: types.CodeType) -> CodeReading:
    """Return what ``code`` does and takes from outside."""
    instructions = list(dis.get_instructions(code))
    stack = _Stack(code)
    for instruction in instructions:
        stack.do(instruction)
    stack.take_all()
    bound = stack.bound()
    said, constants = _said(instructions)
    arguments = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount)
    named = code.co_varnames[: _count_of_arguments(code)]
    parts = (
        said,
        code.co_exceptiontable,
        constants,
        (*arguments, code.co_flags & _FLAGS),
        (named, code.co_freevars, code.co_cellvars),
    )
    return CodeReading(
        parts=parts,
        used=tuple(stack.used),
        bound=bound,
        imported=stack.imported,
        inner=tuple(c for c in code.co_consts if isinstance(c, types.CodeType)),
        words=frozenset(code.co_names).union(_words(code.co_consts)),
    )


def names_a_variable(word: str) -> bool:
    """Return whether ``word`` is written as names of environment variables are."""
    return _VARIABLE.fullmatch(word) is not None


def variables_in(text: str) -> list[str]:
    """Return the names in a text of what a shell would put in their place, as in ``"$HOME/${NAME}"``."""
    return _EXPANDED.findall(text) if "$" in text else []


def _count_of_arguments(code: types.CodeType) -> int:
    starred = bool(code.co_flags & 4) + bool(code.co_flags & 8)
    return code.co_argcount + code.co_kwonlyargcount + starred


def _words(constants: tuple[Any, ...]) -> Iterator[str]:
    for constant in constants:
        if isinstance(constant, str):
            yield constant
            yield from variables_in(constant)
        elif isinstance(constant, bytes):
            yield constant.decode("latin-1")
        elif isinstance(constant, tuple | frozenset):
            yield from _words(tuple(constant))


def _said(instructions: list[dis.Instruction]) -> tuple[str, list[Any]]:
    """Return the instructions as text, and the constants they load, in the order of use."""
    said: list[str] = []
    constants: list[Any] = []
    for instruction in instructions:
        if instruction.opcode in dis.hasconst:
            said.append(instruction.opname)
            constants.append(instruction.argval)
        elif instruction.opname == "STORE_NAME" and instruction.argval in _UNSAID:
            if said and said[-1] == "LOAD_CONST":
                said.pop()
                constants.pop()
        elif instruction.opname not in {"CACHE", "EXTENDED_ARG"}:
            argument = instruction.argrepr or instruction.arg
            said.append(f"{instruction.opname} {'' if argument is None else argument}")
    return "\n".join(said), constants


class _Stack:
    """The stack as far as it is known: terms of what comes from outside, None for anything else."""

    def __init__(self, code: types.CodeType) -> None:
        self.used: dict[Term, None] = {}
        self.imported: dict[str, Term] = {}
        self._loaded: set[str] = {*code.co_cellvars}
        self._stack: list[Term | None] = []
        self._keywords: tuple[str, ...] = ()
        self._stored: dict[str, list[Term | None]] = {
            name: [None] for name in code.co_varnames[: _count_of_arguments(code)]
        }

    def do(self, instruction: dis.Instruction) -> None:
        """Follow one instruction."""
        name = instruction.opname
        special = getattr(self, f"_{name.lower()}", None)
        if special is not None:
            special(instruction)
        elif name in _LOADS:
            self._load(_LOADS[name], instruction.argval)
        elif name in _STORES:
            for each in _each(instruction.argval):
                self._store(each)
        elif name in _CONSTANTS:
            self._stack.append(_constant(instruction.argval))
        elif name in _EFFECTS:
            takes, puts = _EFFECTS[name]
            number = instruction.arg or 0
            self._take(_amount(takes, number))
            self._stack.extend([None] * _amount(puts, number))
        else:
            self.take_all()

    def take_all(self) -> None:
        """Count all that is on the stack as used."""
        self._take(len(self._stack))

    def bound(self) -> dict[str, Term]:
        """Return the names that stand for one term, and count as used what other names may stand for."""
        bound: dict[str, Term] = {}
        for name, terms in self._stored.items():
            match terms:
                case [term] if self._stands_for(name, term):
                    bound[name] = cast("Term", term)
                case _:
                    self._use(terms)
        return bound

    def _stands_for(self, name: str, term: Term | None) -> bool:
        return name in self._loaded and term is not None and not isinstance(term, Literal)

    def _use(self, terms: list[Term | None]) -> None:
        self.used.update(
            (term, None) for term in terms if term is not None and not isinstance(term, Literal)
        )

    def _pop(self) -> Term | None:
        return self._stack.pop() if self._stack else None

    def _pops(self, count: int) -> list[Term | None]:
        return [self._pop() for _ in range(count)][::-1]

    def _take(self, count: int) -> None:
        self._use(self._pops(count))

    def _load(self, kind: str, names: Any) -> None:
        for name in map(str, _each(names)):
            self._loaded.add(name)
            self._stack.append(Name(kind, name))

    def _store(self, name: str) -> None:
        term = self._pop()
        if name not in _OF_ITSELF:
            self._stored.setdefault(name, []).append(term)

    def _store_global(self, instruction: dis.Instruction) -> None:
        term = self._pop()
        self._use([term])
        if isinstance(term, Import | ImportedName):
            self.imported[str(instruction.argval)] = term

    def _store_fast_load_fast(self, instruction: dis.Instruction) -> None:
        stored, loaded = instruction.argval
        self._store(stored)
        self._load("local", loaded)

    def _load_attr(self, instruction: dis.Instruction) -> None:
        base = self._pop()
        known = base is not None and not isinstance(base, Literal)
        self._stack.append(Attribute(base, str(instruction.argval)) if known else None)

    _load_method = _load_attr

    def _import_name(self, instruction: dis.Instruction) -> None:
        level, names = self._pops(2)
        self._stack.append(Import(str(instruction.argval), _value(level) or 0, bool(_value(names))))

    def _import_from(self, instruction: dis.Instruction) -> None:
        base = self._stack[-1] if self._stack else None
        self._stack.append(base and ImportedName(base, str(instruction.argval)))

    def _pop_top(self, _: dis.Instruction) -> None:
        term = self._pop()
        if not isinstance(term, Import | ImportedName):  # What `from` leaves after its names.
            self._use([term])

    def _swap(self, instruction: dis.Instruction) -> None:
        depth = instruction.arg or 0
        if depth > len(self._stack):
            self.take_all()
        else:
            stack = self._stack
            stack[-1], stack[-depth] = stack[-depth], stack[-1]

    def _copy(self, instruction: dis.Instruction) -> None:
        depth = instruction.arg or 0
        self._stack.append(self._stack[-depth] if depth <= len(self._stack) else None)

    def _binary_subscr(self, _: dis.Instruction) -> None:
        base, key = self._pops(2)
        if base is None or isinstance(base, Literal):
            self._use([key])
            self._stack.append(None)
        else:
            self._stack.append(Item(base, key))

    def _store_subscr(self, _: dis.Instruction) -> None:
        base, key = self._pops(2)
        self._take(1)
        self._use([Item(base, key) if base is not None else key])

    def _delete_subscr(self, _: dis.Instruction) -> None:
        base, key = self._pops(2)
        self._use([Item(base, key) if base is not None else key])

    def _binary_op(self, instruction: dis.Instruction) -> None:
        if instruction.argrepr == "[]":
            self._binary_subscr(instruction)
        else:
            self._take(2)
            self._stack.append(None)

    def _contains_op(self, _: dis.Instruction) -> None:
        key, base = self._pops(2)
        if base is None or isinstance(base, Literal):
            self._use([key])
        else:
            self._use([Contains(base, key)])
        self._stack.append(None)

    def _format_value(self, instruction: dis.Instruction) -> None:
        self._take(2 if (instruction.arg or 0) & 4 else 1)
        self._stack.append(None)

    def _make_function(self, instruction: dis.Instruction) -> None:
        self._take(1 + (instruction.arg or 0).bit_count())
        self._stack.append(None)

    def _kw_names(self, instruction: dis.Instruction) -> None:
        self._keywords = tuple(instruction.argval)

    def _call(self, instruction: dis.Instruction) -> None:
        given = self._pops(instruction.arg or 0)
        function = self._pop()
        names, self._keywords = self._keywords, ()
        first = len(given) - len(names)
        if function is None or isinstance(function, Literal):
            self._use(given)
            self._stack.append(None)
            return
        keywords = tuple(zip(names, given[first:], strict=True)) if first >= 0 else ()
        self._stack.append(Call(function, tuple(given[: max(first, 0)]), keywords))

    def _call_kw(self, instruction: dis.Instruction) -> None:
        self._keywords = tuple(_value(self._pop()) or ())
        self._call(instruction)


def _amount(written: str, number: int) -> int:
    match written:
        case "n":
            return number
        case "2n":
            return 2 * number
        case "n+1":
            return number + 1
        case _:
            return int(written)


def _each(names: Any) -> tuple[str, ...]:
    return names if isinstance(names, tuple) else (names,)


def _constant(value: Any) -> Literal | None:
    plain = isinstance(value, str | bytes | int | tuple | None)
    return Literal(value) if plain else None


def _value(term: Term | None) -> Any:
    return term.value if isinstance(term, Literal) else None
