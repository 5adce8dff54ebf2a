"""The ``target`` of a configuration: a name, a class of asyncexec, one of Flowdapt's, or a path that is allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from fnmatch import fnmatchcase
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from asyncexec.backends.flowdapt_targets import FLOWDAPT_TARGETS, flowdapt_target
from asyncexec.backends.option_fields import options_of
from asyncexec.backends.registry import load, option_names, other_takers
from asyncexec.config.assignments import parse_value
from asyncexec.config.fields import checked_field, checks_of, nearest
from asyncexec.errors import ConfigurationError, OptionError, UnknownExecutorError

BACKEND_MEMBERS = ("capabilities", "slots", "map", "cancel", "__aenter__", "__aexit__")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenExecutor:
    """The executor that a target means, with its options.

    Attributes
    ----------
    executor : str or callable
        For :class:`asyncexec.Engine`.
    name : str
        For messages.
    options : dict
        Of the executor, checked.
    problems : tuple of (str, str)
        The keys that are wrong, each with a sentence; a key is empty where no single one is to blame.
    """

    executor: str | Callable[..., Any]
    name: str
    options: dict[str, Any]
    problems: tuple[tuple[str, str], ...] = ()


def choose_executor(
    target: str,
    options: Mapping[str, Any],
    *,
    allow_targets: Sequence[str] = (),
    run_options: type | None = None,
) -> ChosenExecutor:
    """Return the executor that ``target`` means, and what is wrong with its options.

    Parameters
    ----------
    target : str
    options : mapping of str to object
        The other keys.
    allow_targets : sequence of str
        Patterns of dotted paths that may be imported.
    run_options : type, optional
        The dataclass of options that every executor takes.

    Raises
    ------
    ConfigurationError
        If the target is unknown, not allowed, or no backend.
    """
    theirs = flowdapt_target(target, options)
    if theirs is not None:
        name = theirs.executor
        given, problems = theirs.options(options)
        constructor = load(name)
    else:
        name, given, problems = target, dict(options), []
        constructor = _found(target, allow_targets)
    checked, more = _checked(constructor, given, name, run_options)
    return ChosenExecutor(
        executor=constructor if "." in name or ":" in name else name,
        name=name,
        options=checked,
        problems=(*problems, *more),
    )


def _found(target: str, allow_targets: Sequence[str]) -> Callable[..., Any]:
    if "." not in target and ":" not in target:
        return load(target)
    if target.startswith("flowdapt."):
        paths = [each.path for each in FLOWDAPT_TARGETS]
        near = nearest(target, paths)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UnknownExecutorError(
            f"there is no executor {target!r}: {hint}Of Flowdapt's there are {', '.join(paths)}"
        )
    path = target.replace(":", ".")
    if not path.startswith("asyncexec.") and not any(_allows(each, path) for each in allow_targets):
        raise UnknownExecutorError(
            f"the target {target!r} is a dotted path outside of asyncexec, and importing it has to be allowed first: "
            f"allow_targets: [{path.rpartition('.')[0] or path}]"
        )
    found = load(target, allow_import=True)
    lacks = [member for member in BACKEND_MEMBERS if not hasattr(found, member)]
    if not isinstance(found, type) or lacks:
        raise UnknownExecutorError(
            f"the target {target!r} is no class of a backend"
            + (f": it has no {', '.join(lacks)}" if lacks else "")
            + " (asyncexec.backends.contract.Backend)"
        )
    return found


def _allows(pattern: str, path: str) -> bool:
    return fnmatchcase(path, pattern) or path.startswith(f"{pattern}.")


def _checked(
    constructor: Callable[..., Any], given: Mapping[str, Any], name: str, also: type | None
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return the options as they are kept, and what is wrong with each of them."""
    declared = options_of(constructor)
    homes = {option: kind for kind in (also, declared) if kind for option in checks_of(kind)}
    known = sorted({*option_names(constructor), *homes})
    problems: list[tuple[str, str]] = []
    checked: dict[str, Any] = {}
    for option, value in given.items():
        try:
            checked[option] = _kept(option, value, homes.get(option), name, known)
        except OptionError as error:
            problems.append((option, str(error)))
    if declared is None or problems:
        return checked, problems
    lacking = [
        each.name
        for each in fields(declared)
        if each.default is MISSING and each.default_factory is MISSING and each.name not in checked
    ]
    if lacking:
        return checked, [("", f"executor {name!r} needs the option {lacking[0]!r}")]
    own = {option: value for option, value in checked.items() if option in checks_of(declared)}
    try:
        declared(**own)
    except ConfigurationError as error:
        problems.append((_named(own, str(error)), str(error)))
    return checked, problems


def _kept(option: str, value: Any, home: type | None, name: str, known: Sequence[str]) -> Any:
    """Return the value of an option as it is kept; ``home`` is the dataclass that declares it."""
    if home is not None:
        return checked_field(home, option, _coerced(home, option, value), f"executor {name!r}: ")
    if option in known:
        return value
    near = nearest(option, known)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise OptionError(
        f"executor {name!r} has no option {option!r}{other_takers(option)}: {hint}It takes {', '.join(known)}"
    )


def _named(options: Mapping[str, Any], said: str) -> str:
    """Return the option that a message begins with; an empty text if it begins with none."""
    _, _, rest = said.partition(": ")
    return next((option for option in options if rest.startswith(option)), "")


def _coerced(declared: type, option: str, value: Any) -> Any:
    """Return a number or a truth value for a text that spells one, where the option takes no texts.

    The values of environment variables may be numbers: they are written out.
    """
    kinds = _plain_types(get_type_hints(declared, include_extras=True)[option])
    if isinstance(value, str) and not kinds & {str, None} and kinds & {int, float, bool}:
        parsed = parse_value(value.title() if value.lower() in {"true", "false"} else value)
        return parsed if isinstance(parsed, int | float) else value
    if option == "env_vars" and isinstance(value, Mapping):
        return {
            name: str(each) if type(each) in {int, float} else each for name, each in value.items()
        }
    return value


def _plain_types(hint: Any) -> set[Any]:
    """Return the plain types of a hint; None stands for one that is not plain."""
    if get_origin(hint) is Annotated:
        return _plain_types(get_args(hint)[0])
    if get_origin(hint) in {Union, UnionType}:
        return {kind for member in get_args(hint) for kind in _plain_types(member)}
    if hint is NoneType:
        return set()
    return {hint} if hint in {int, float, bool, str} else {None}
