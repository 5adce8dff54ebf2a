"""A workflow read from a file."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pkgutil import iter_modules
from typing import Any, Never

from asyncexec.config.dotted import DottedPath, import_target
from asyncexec.config.fields import nearest
from asyncexec.config.yaml_file import KeyPath
from asyncexec.errors import AsyncexecError
from asyncexec.workflow.files.configs import ConfigResource, merged
from asyncexec.workflow.files.definition import StageDefinition, stages_of
from asyncexec.workflow.files.options import check_stage_options
from asyncexec.workflow.files.positional import wire_by_position
from asyncexec.workflow.files.resource import Problems, Resource, read_resource
from asyncexec.workflow.stage_spec import StageSpec
from asyncexec.workflow.wiring import WiredStage
from asyncexec.workflow.workflow import Workflow, WorkflowCall

logger = logging.getLogger("asyncexec")

type ImportTarget = Callable[[str], Callable[..., Any]]
"""Returns the function at a path; raises ImportError or AttributeError where there is none."""


class FileWorkflow(Workflow):
    """A workflow that a file defines; made by :func:`load_workflow`.

    Attributes
    ----------
    annotations : mapping of str to str
    configs : tuple of ConfigResource
        Those that are given to it; of these, tasks find the data of the ones that are meant for it.
    definition : mapping
        The file's content.
    """

    def __init__(
        self,
        resource: Resource,
        stages: Sequence[WiredStage],
        configs: Iterable[ConfigResource] = (),
    ) -> None:
        self.name = resource.name
        self._complete(stages, description=resource.annotations.get("description", ""))
        self.annotations = resource.annotations
        self.definition: Mapping[str, Any] = resource.file.value
        self.configs = tuple(configs)

    def __call__(self, /, *unnamed: Never, **inputs: Any) -> WorkflowCall:
        """Return the workflow with its inputs, for :meth:`asyncexec.Engine.execute`.

        Tasks find ``definition`` (the file's content), the data of its configs and all inputs in their context. Inputs
        that no stage takes are logged, and may be there for that alone.

        Raises
        ------
        WorkflowInputError
            If an input is missing, or is given without its name.
        """
        self._refuse_unnamed(unnamed)
        taken = {name: v for name, v in inputs.items() if self.takes_rest or name in self.inputs}
        for name in inputs.keys() - taken.keys():
            near = nearest(name, self.inputs)
            logger.warning(
                "workflow %r: no stage takes the input %r%s; tasks find it in get_run_context().input",
                self.name,
                name,
                f" (did you mean {near[0]!r}?)" if near else "",
            )
        config = merged(self.configs, self.name, self.annotations)
        call = super().__call__(**taken).with_context(config=config, definition=self.definition)
        return call.with_context(input=inputs) if len(taken) < len(inputs) else call


def load_workflow(
    path: str | os.PathLike[str],
    *,
    configs: Iterable[ConfigResource] = (),
    allow_targets: Sequence[str] = ("*",),
    find_target: ImportTarget = import_target,
    variables: Mapping[str, str] | None = None,
) -> FileWorkflow:
    """Return the workflow that a YAML or JSON file defines; this imports the modules of its targets.

    Parameters
    ----------
    path : path
    configs : iterable of ConfigResource
        Data for tasks, for the workflows that they select.
    allow_targets : sequence of str
        The paths that may be imported, as patterns (``"mypackage.*"``): importing runs a module's code. By default all.
    find_target : callable
        Returns the function at a path.
    variables : mapping of str to str, optional
        Values of ``$NAME`` in the file; by default the environment.

    Raises
    ------
    OptionError
        If the file cannot be read, or is no YAML.
    WorkflowFileError
        If it is no workflow, with all problems and the line of each.
    """
    resource = read_resource(path, variables=variables)
    return workflow_of(
        resource, configs=configs, allow_targets=allow_targets, find_target=find_target
    )


def workflow_of(
    resource: Resource,
    *,
    configs: Iterable[ConfigResource] = (),
    allow_targets: Sequence[str] = ("*",),
    find_target: ImportTarget = import_target,
) -> FileWorkflow:
    """Return the workflow that a resource defines; as :func:`load_workflow`."""
    problems = Problems(resource.file)
    if resource.kind != "workflow":
        problems.add(("kind",), f"this is a {resource.kind}, not a workflow")
    problems.raise_any()
    definitions = stages_of(resource, problems)
    # What stands in the file first: importing takes long, and runs code.
    problems.raise_any()
    reader = _Reader(resource.name, problems, allow_targets, find_target)
    stages = [stage for one in definitions if (stage := reader.stage(one)) is not None]
    problems.raise_any()
    return FileWorkflow(resource, stages, configs)


class _Reader:
    """Imports the functions of stages, and wires them."""

    def __init__(
        self,
        workflow: str,
        problems: Problems,
        allow_targets: Sequence[str],
        find_target: ImportTarget,
    ) -> None:
        self._workflow = workflow
        self._problems = problems
        self._allow_targets = allow_targets
        self._find_target = find_target

    def stage(self, definition: StageDefinition) -> WiredStage | None:
        """Return a stage with its function and sources; None where there is a problem, which is recorded."""
        path = ("spec", "stages", definition.number)
        function = self._function(definition)
        if function is None or not self._options_fit(definition, function):
            return None
        try:
            spec = StageSpec.of(
                function,
                name=definition.name,
                description=definition.description or None,
                **definition.options,
            )
        except AsyncexecError as error:
            self._problems.add(path, str(error))
            return None
        return wire_by_position(definition, spec, lambda said: self._problems.add(path, said))

    def _options_fit(self, definition: StageDefinition, function: Callable[..., Any]) -> bool:
        """Return whether each option can be what it is; what is wrong is recorded with its line."""
        fit = True
        for key, each in _one_by_one(definition.options):
            try:
                check_stage_options(self._workflow, function, definition.name, each)
            except AsyncexecError as error:
                fit = False
                stage = f"stage {definition.name!r}"
                said = str(error) if stage in str(error) else f"{stage}: {error}"
                self._problems.add(self._place(definition, key), said)
        return fit

    def _place(self, definition: StageDefinition, key: KeyPath) -> KeyPath:
        """Return the path of an option, which stands in the stage or below its ``options``."""
        stage = ("spec", "stages", definition.number)
        below = (*stage, "options", *key)
        return below if below in self._problems.file.lines else (*stage, *key)

    def _function(self, definition: StageDefinition) -> Callable[..., Any] | None:
        path = ("spec", "stages", definition.number, "target")
        target = definition.target
        dotted = target.replace(":", ".")
        if not any(fnmatchcase(dotted, pattern) for pattern in self._allow_targets):
            self._problems.add(
                path,
                f"stage {definition.name!r}: importing {target} is not allowed; allowed are "
                f"{', '.join(self._allow_targets) or 'none'}",
            )
            return None
        try:
            return self._find_target(target)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a user's module raises
            said = f"{type(error).__name__}: {error}"
            self._problems.add(
                path,
                f"stage {definition.name!r}: {target} cannot be imported: {said}{_hint(target, error)}",
            )
            return None


def _one_by_one(options: Mapping[str, Any]) -> Iterator[tuple[KeyPath, dict[str, Any]]]:
    """Yield the key of each option, and of each resource, with the option alone."""
    for name, value in options.items():
        if name == "resources" and isinstance(value, Mapping):
            for resource, amount in value.items():
                yield (name, resource), {name: {resource: amount}}
        else:
            yield (name,), {name: value}


def _hint(target: str, error: BaseException) -> str:
    """Return the name that is nearest to a target which is not there: of a module, or of what is in one."""
    dotted = DottedPath.of(target)
    if dotted is None:
        return ""
    module = sys.modules.get(dotted.module)
    if isinstance(error, ModuleNotFoundError) and dotted.lacks(error):
        *package, wrong = str(error.name).split(".")
        inside = sys.modules.get(".".join(package))
        if hasattr(inside, wrong):
            rest = dotted.module.removeprefix(f"{error.name}").lstrip(".")
            within = ".".join(filter(None, (wrong, rest, dotted.name)))
            return f"; {wrong!r} is in the module {'.'.join(package)!r}: write {'.'.join(package)}:{within}"
        names = [found.name for found in iter_modules(inside and getattr(inside, "__path__", ()))]
    elif isinstance(error, AttributeError) and module is not None:
        package, wrong = [], dotted.name
        names = [name for name in vars(module) if not name.startswith("_")]
    else:
        return ""
    near = [name for name in nearest(wrong, names) if name != wrong]
    return f"; did you mean {'.'.join([*package, near[0]])!r}?" if near else ""
