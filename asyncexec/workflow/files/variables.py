"""Environment variables in the texts of a file: ``$NAME`` and ``${NAME}``; ``$$`` is a dollar sign."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from typing import Any

from asyncexec.config.yaml_file import KeyPath, YamlFile, plain_value

_REFERENCE = re.compile(r"\$(?:(\$)|(ref\{)|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})")

type Complain = Callable[[KeyPath, str], None]


def substituted(file: YamlFile, variables: Mapping[str, str], complain: Complain) -> Any:
    """Return the value of ``file`` with the variables in its texts replaced.

    The file has been parsed before, so that a variable's value adds no keys and no lists. Where a variable stands alone
    and without quotes, a number or a truth value is one; elsewhere its value is a text.

    Parameters
    ----------
    file : YamlFile
    variables : mapping of str to str
    complain : callable
        Takes the path of a text and its problem: a variable that is not set.
    """
    return _substituted(file.value, (), variables, complain, file.quoted)


def _substituted(
    value: Any,
    path: KeyPath,
    variables: Mapping[str, str],
    complain: Complain,
    quoted: Container[KeyPath],
) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _substituted(each, (*path, key), variables, complain, quoted)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [
            _substituted(each, (*path, number), variables, complain, quoted)
            for number, each in enumerate(value)
        ]
    if not isinstance(value, str) or "$" not in value:
        return value

    def replaced(found: re.Match[str]) -> str:
        dollar, expression, bare, braced = found.groups()
        if dollar:
            return "$"
        if expression:
            complain(path, "expressions such as $ref{file|key} are not supported: write the value")
            return ""
        name = bare or braced
        if name not in variables:
            complain(
                path, f"the environment variable {name!r} is not set; $$ stands for a dollar sign"
            )
        return variables.get(name, "")

    made = _REFERENCE.sub(replaced, value)
    alone = _REFERENCE.fullmatch(value) is not None and value != "$$"
    return plain_value(made) if alone and path not in quoted else made
