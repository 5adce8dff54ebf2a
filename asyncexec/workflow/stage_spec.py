"""The specification of a stage of a workflow: a function and all options, before it is wired to other stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from inspect import iscoroutinefunction
from types import NoneType
from typing import Any, Self

from asyncexec.errors import OptionError
from asyncexec.plan.stage_options import StageOptions, check_option_names, resources_of

_ATTRIBUTE = "__asyncexec_stage__"


class StageDeclaration(StageOptions, total=False):
    """Options of :func:`asyncexec.workflow.stage`; all may be left out.

    The names of stages below may also be given as the decorated functions themselves.

    Attributes
    ----------
    map_on : str
        The stage or input whose items are mapped over: the function is called once for each, and the stage's value is
        the list of what it returned. Where that stage is mapped itself, each of its tasks is followed by one task of
        this stage, without waiting for the others. The items go to the parameter that ``inputs`` names for it, or
        that has its name, or else to the first one that nothing else is given to.
    inputs : mapping of str to str
        For parameters that are not called like what they take: the stage or input that each takes.
    depends_on : str or sequence of str
        Stages that must be complete before. Those that no parameter takes by name are given, in this order, to
        parameters without a default that nothing else is given to; what is left is waited for only.
    when : callable or str
        A condition, without which the stage is skipped: a plain function whose parameters are wired like those of the
        stage, or the name of a stage or input that is to be true. A stage that reads a skipped one is skipped, too,
        unless it has ``takes_missing=True``. A condition on the item of a mapped stage is for each item.
    description : str
        A text for people; by default the function's docstring.
    """

    map_on: str | Callable[..., Any] | None
    inputs: Mapping[str, str | Callable[..., Any]]
    depends_on: Any
    when: Callable[..., Any] | str | None
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSpec:
    """A stage of a workflow: a function with its options, as :func:`asyncexec.workflow.stage` declares it.

    For functions that one cannot or would not decorate, and for programs that make workflows from something else.

    >>> from asyncexec.workflow import StageSpec, Workflow
    >>> words = StageSpec.of(str.split, name="words", inputs={"self": "text"})
    >>> sizes = StageSpec.of(len, name="sizes", map_on="words")
    >>> ax.sync.execute(Workflow("sizes", [words, sizes])(text="to be or")).value
    [2, 2, 2]

    Attributes
    ----------
    function : callable
        Plain or ``async``; or a :class:`~asyncexec.workflow.Workflow`, which becomes one stage of another.
    name : str
        By default the function's.
    map_on, inputs, depends_on, when, description
        See :class:`~asyncexec.workflow.stage_spec.StageDeclaration`.
    options : mapping of str to object
        The options that a stage of a plan has, too; see :class:`asyncexec.plan.stage_options.StageOptions`.
    """

    function: Callable[..., Any]
    name: str = ""
    map_on: str | None = None
    inputs: Mapping[str, str] = field(default_factory=dict[str, str])
    depends_on: tuple[str, ...] = ()
    when: Callable[..., Any] | str | None = None
    description: str = ""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def of(cls, function: Callable[..., Any], /, **options: Any) -> Self:
        """Return the specification with ``options`` as for :func:`asyncexec.workflow.stage`.

        Raises
        ------
        OptionError
            If an option is unknown, or is not what it must be.
        """
        if not callable(function):
            raise OptionError(f"a stage is made of a function, and {function!r} cannot be called")
        name = options.get("name") or getattr(function, "__name__", "")
        where = f"stage {name!r}: "
        own = {f.name for f in fields(cls)} - {"function", "options"}
        check_option_names(options, own, where=where)
        if not isinstance(name, str) or name in ("", "<lambda>"):
            raise OptionError(f"stage of {function!r}: a function without a name needs name='...'")
        given = {key: value for key, value in options.items() if value is not None}
        map_on = given.get("map_on")
        inputs = _mapping(given.get("inputs", {}), where + "inputs")
        depends_on = given.get("depends_on", ())
        if isinstance(depends_on, str) or callable(depends_on):
            depends_on = (depends_on,)
        return cls(
            function=function,
            name=name,
            map_on=None if map_on is None else _name_in(map_on, where + "map_on"),
            inputs={
                key: _name_in(value, where + f"inputs[{key!r}]") for key, value in inputs.items()
            },
            depends_on=tuple(_name_in(one, where + "depends_on") for one in depends_on),
            when=_condition(given.get("when"), where + "when"),
            description=given.get("description") or _first_line(function),
            options=_options(given, own, where),
        )


def declare(function: Callable[..., Any], spec: StageSpec) -> None:
    """Keep ``spec`` as an attribute of ``function`` (AttributeError where it can have none)."""
    setattr(function, _ATTRIBUTE, _Declared(spec))


def spec_of(stage: Any) -> StageSpec:
    """Return the specification of what stands in a list of stages: one, a decorated function, or a plain one."""
    if isinstance(stage, StageSpec):
        return stage
    declared = _declared(stage)
    # A method, or a function that wraps the decorated one, has its attributes too.
    return StageSpec.of(stage) if declared is None else replace(declared, function=stage)


class _Declared:
    """A specification as an attribute of its function; it stays behind when the function travels by value."""

    __slots__ = ("spec",)

    def __init__(self, spec: StageSpec) -> None:
        self.spec = spec

    def __reduce__(self) -> Any:
        # Workers need the function alone, and not the modules of what it is declared with.
        return NoneType, ()


def _declared(function: Any) -> StageSpec | None:
    found = getattr(function, _ATTRIBUTE, None)
    return found.spec if isinstance(found, _Declared) else None


def _options(given: Mapping[str, Any], own: set[str], where: str) -> dict[str, Any]:
    """Return the options for a stage of a plan, with the memory apart from the resources."""
    options = {key: value for key, value in given.items() if key not in own}
    resources, memory = resources_of(options, where)
    apart = {"resources": resources, "memory": memory}
    return options | {key: value for key, value in apart.items() if key in options or value}


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise OptionError(f"{what} is a mapping of names, not {value!r}")
    return value


def _name_in(value: Any, what: str) -> str:
    """Return the name that ``value`` is, or the name of the stage that a function is declared as."""
    if callable(value):
        declared = _declared(value)
        value = declared.name if declared is not None else getattr(value, "__name__", value)
    if not isinstance(value, str) or not value:
        raise OptionError(f"{what} is the name of a stage or an input, not {value!r}")
    return value


def _condition(value: Any, what: str) -> Callable[..., Any] | str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    if not callable(value) or iscoroutinefunction(value):
        raise OptionError(
            f"{what} is a plain function, or the name of a stage or an input that is to be true, not {value!r}"
        )
    return value if _declared(value) is None else _name_in(value, what)


def _first_line(function: Callable[..., Any]) -> str:
    lines = (getattr(function, "__doc__", None) or "").strip().splitlines()
    return lines[0].strip() if lines else ""
