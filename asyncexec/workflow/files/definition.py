"""A workflow as a file defines it: its stages, before their functions are imported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError as Circle, TopologicalSorter
from typing import Any

from asyncexec.config.fields import nearest
from asyncexec.plan.stage_options import StageOptions
from asyncexec.workflow.files.resource import Problems, Resource

TYPES = ("simple", "parameterized")
_OPTIONS = tuple(name for name in StageOptions.__annotations__ if name not in ("name", "resources"))
_STAGE = (
    "name",
    "target",
    "type",
    "depends_on",
    "options",
    "resources",
    "priority",
    "description",
    "version",
)
_OF_MAPS = ("map_on", "allow_partial_failure")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageDefinition:
    """A stage of a file.

    Attributes
    ----------
    number : int
        Its position in the list of stages.
    name, target, description, version : str
        ``target`` is the path of its function.
    mapped : bool
        Whether it is ``type: parameterized``: the function is called once for each item.
    map_on : str
        The input of the run that has the items; empty for the result of the first stage it depends on.
    depends_on : tuple of str
        The stages whose results its function gets, in this order, by position.
    options : mapping of str to object
        As for :class:`~asyncexec.workflow.StageSpec`, ``resources`` among them.
    """

    number: int
    name: str
    target: str
    mapped: bool = False
    map_on: str = ""
    depends_on: tuple[str, ...] = ()
    description: str = ""
    version: str = ""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])


def stages_of(resource: Resource, problems: Problems) -> tuple[StageDefinition, ...]:
    """Return the stages that the spec of a workflow defines; what is wrong with them is added to ``problems``."""
    spec = problems.names(("spec",), resource.spec, ("stages",), "the spec of a workflow")
    given = problems.of_type(("spec", "stages"), spec.get("stages"), list, [], "spec.stages")
    if not given:
        problems.add(("spec", "stages"), "a workflow has at least one stage below spec.stages")
    found = tuple(_stage(number, each, problems) for number, each in enumerate(given))
    _check_names(found, problems)
    _check_dependencies(found, problems)
    return found


def _stage(number: int, given: Any, problems: Problems) -> StageDefinition:
    path = ("spec", "stages", number)
    named = given.get("name") if isinstance(given, Mapping) else None
    what = f"stage {named!r}" if named else "a stage"
    stage = problems.names(path, given, dict.fromkeys((*_STAGE, *_OPTIONS)), what)
    target = problems.of_type(
        (*path, "target"), stage.get("target"), str, "", f"the target of {what}"
    )
    if not target:
        problems.add(
            (*path, "target"),
            f"{what} has no target: the path of its function, package.module.function",
        )
    name = problems.of_type((*path, "name"), named, str, "", "the name of a stage")
    kind = "simple" if stage.get("type") in (None, "") else stage["type"]
    if kind not in TYPES:
        near = nearest(str(kind), TYPES)
        hint = f"did you mean {near[0]!r}? " if near else ""
        problems.add(
            (*path, "type"), f"{what} has the type {kind!r}: {hint}It is one of {', '.join(TYPES)}"
        )
    mapped = kind == "parameterized"
    options = problems.names(
        (*path, "options"), stage.get("options"), (*_OF_MAPS, *_OPTIONS), f"options of {what}"
    )
    if not mapped:
        for name_of_map in options.keys() & set(_OF_MAPS):
            problems.add(
                (*path, "options", name_of_map),
                f"{what} has {name_of_map}, and is not of type parameterized",
            )
    return StageDefinition(
        number=number,
        name=name or target.replace(":", ".").rpartition(".")[2],
        target=target,
        mapped=mapped,
        map_on=problems.of_type(
            (*path, "options", "map_on"), options.get("map_on"), str, "", f"map_on of {what}"
        ),
        depends_on=problems.texts(
            (*path, "depends_on"), stage.get("depends_on"), f"depends_on of {what}"
        ),
        description=problems.scalar(
            (*path, "description"), stage.get("description"), f"the description of {what}"
        ),
        version=problems.scalar((*path, "version"), stage.get("version"), f"the version of {what}"),
        options=dict(_options(path, stage, options, what, problems)),
    )


def _options(
    path: tuple[str | int, ...],
    stage: Mapping[str, Any],
    options: Mapping[str, Any],
    what: str,
    problems: Problems,
) -> Iterator[tuple[str, Any]]:
    """Yield the options that a stage of a plan has, whether they are below ``options`` or not."""
    for name in _OPTIONS:
        if stage.get(name) is not None and options.get(name) is not None:
            problems.add((*path, "options", name), f"{what} has {name} twice")
        value = options.get(name) if stage.get(name) is None else stage[name]
        if value is not None:
            yield name, value
    resources = problems.of_type(
        (*path, "resources"), stage.get("resources"), dict, {}, f"resources of {what}"
    )
    if resources:
        yield "resources", resources
    where = (*path, "options", "allow_partial_failure")
    partial = options.get("allow_partial_failure")
    if partial not in (None, True, False):
        problems.add(where, f"allow_partial_failure of {what} is true or false, not {partial!r}")
    if partial is True:
        yield "on_failure", "keep"


def _check_names(stages: tuple[StageDefinition, ...], problems: Problems) -> None:
    first: dict[str, int] = {}
    for stage in stages:
        if stage.name in first:
            before = problems.file.where("spec", "stages", first[stage.name])
            problems.add(
                ("spec", "stages", stage.number, "name"),
                f"a second stage is called {stage.name!r}; the first is at {before}",
            )
        first.setdefault(stage.name, stage.number)


def _check_dependencies(stages: tuple[StageDefinition, ...], problems: Problems) -> None:
    names = [stage.name for stage in stages]
    graph: TopologicalSorter[str] = TopologicalSorter()
    for stage in stages:
        path = ("spec", "stages", stage.number, "depends_on")
        for number, name in enumerate(stage.depends_on):
            if name == stage.name:
                problems.add((*path, number), f"stage {stage.name!r} depends on itself")
            elif name not in names:
                near = nearest(name, names)
                hint = f"did you mean {near[0]!r}? " if near else ""
                problems.add(
                    (*path, number),
                    f"stage {stage.name!r} depends on {name!r}, which is no stage: {hint}"
                    f"the stages are {', '.join(names)}",
                )
            else:
                graph.add(stage.name, name)
    try:
        graph.prepare()
    except Circle as error:
        circle = list(dict.fromkeys(reversed(error.args[1])))
        problems.add(
            ("spec", "stages", names.index(circle[0]), "depends_on"),
            f"stages depend on each other in a circle: {' -> '.join([*circle, circle[0]])}",
        )
