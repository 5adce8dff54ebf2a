"""Find what a command is to run: a YAML file, or an object in a Python file or module."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import Any

from asyncexec.config.fields import nearest
from asyncexec.errors import AsyncexecError, OptionError, WorkflowInputError
from asyncexec.integrations.flowdapt.import_names import find_target
from asyncexec.plan.plan import Plan, Plannable
from asyncexec.workflow.files import ConfigResource, load_workflow
from asyncexec.workflow.files.resource import read_resource
from asyncexec.workflow.workflow import Workflow

YAML = (".yaml", ".yml", ".json")


def load_plan(
    target: str,
    inputs: Mapping[str, Any],
    *,
    configs: Iterable[Path] = (),
    context: Mapping[str, Any] | None = None,
) -> Plan:
    """Return the plan of what a command is to run; this imports modules, which runs their code.

    Parameters
    ----------
    target : str
        ``flow.yaml``, ``file.py``, ``file.py:object`` or ``package.module:object``. The object is a workflow, a plan,
        an array, or a function that returns one of them; without it, the only workflow or plan in the module.
    inputs : mapping of str to object
        Of the workflow, or of the function.
    configs : iterable of Path
        Files with data for the tasks of a workflow in YAML.
    context : mapping of str to object, optional
        Further entries of the context of the run's tasks.

    Raises
    ------
    OptionError
        If there is nothing to run there, or it takes other inputs.
    PlanError
        If it is no workflow or plan that could run.
    """
    # What users' modules print is no part of what a command prints.
    with redirect_stdout(sys.stderr):
        return _planned(target, inputs, configs, context or {})


def load_object(target: str) -> object:
    """Return the object at ``file.py:object`` or ``package.module:object``; this imports a module, which runs its code.

    Raises
    ------
    OptionError
        If there is none.
    """
    path, _, name = target.partition(":")
    if not name:
        raise OptionError(
            f"{target!r} names no object: write package.module:object or file.py:object"
        )
    with redirect_stdout(sys.stderr):
        return _object(path, name)


def _planned(
    target: str, inputs: Mapping[str, Any], configs: Iterable[Path], context: Mapping[str, Any]
) -> Plan:
    path, _, name = target.partition(":")
    if Path(path).suffix in YAML:
        if name:
            raise OptionError(f"{target}: a YAML file holds one workflow, so no {name!r} is chosen")
        found: object = _file_workflow(Path(path), configs)
    else:
        if tuple(configs):
            raise OptionError(f"--with goes with a workflow in YAML, and {target} is none")
        found = _object(path, name)
    plannable = _with_inputs(found, inputs, target)
    with _of_users(f"{target} cannot be made a plan"):
        plan = plannable.to_plan()
    return plan.with_context(**context)


def _file_workflow(path: Path, configs: Iterable[Path]) -> Workflow:
    _make_importable(path.resolve().parent)
    read = [ConfigResource.of(read_resource(config)) for config in _files(configs)]
    return load_workflow(path, configs=read, find_target=find_target)


def _files(paths: Iterable[Path]) -> Generator[Path]:
    """Yield the files among ``paths``, and the YAML files in folders among them."""
    for path in paths:
        yield from (
            sorted(p for p in path.iterdir() if p.suffix in YAML) if path.is_dir() else [path]
        )


def _object(path: str, name: str) -> object:
    module = _module(path)
    if not name:
        return _only_one(module, path)
    found: object = module
    for part in name.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            near = nearest(part, [n for n in dir(found) if not n.startswith("_")])
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise OptionError(f"{path} has no {name!r}{hint}") from None
    return found


def _module(path: str) -> ModuleType:
    """Import a Python file by the name that workers can import it by, or a module by its dotted name."""
    _make_importable(Path.cwd())
    file = Path(path)
    if file.suffix == ".py":
        if not file.is_file():
            raise OptionError(f"there is no file {path}")
        if "." in file.stem:
            raise OptionError(
                f"{path} cannot be imported, as {file.stem!r} has a dot in it: rename it"
            )
        _make_importable(file.resolve().parent)
        return _module_of(file)
    if file.is_file():
        raise OptionError(
            f"the file {path} is neither Python nor YAML by its name: have it end in .py, .yaml, .yml or .json"
        )
    if not all(part.isidentifier() for part in path.split(".")):
        raise OptionError(
            f"{path!r} is neither a YAML file nor a Python file nor a module: write flow.yaml, flow.py:object or "
            f"package.module:object"
        )
    with _of_users(f"{path} cannot be imported"):
        return importlib.import_module(path)


def _module_of(file: Path) -> ModuleType:
    """Import a file by its name, by which workers import it as well."""
    with _of_users(f"{file} cannot be imported"):
        module = importlib.import_module(file.stem)
    found = getattr(module, "__file__", None)
    if found is None or Path(found).resolve() != file.resolve():
        raise OptionError(
            f"{file} cannot be imported, as there is another module {file.stem!r} already "
            f"({found or 'built into Python'}): rename the file"
        )
    return module


def _only_one(module: ModuleType, path: str) -> object:
    names = [name for name, value in vars(module).items() if _is_work(value, module)]
    if len(names) == 1:
        return getattr(module, names[0])
    if not names:
        raise OptionError(f"{path} has no workflow and no plan: name what to run, {path}:object")
    raise OptionError(
        f"{path} has several things to run: name one of them, {path}:{names[0]} (there are "
        f"{', '.join(names)})"
    )


def _is_work(value: object, module: ModuleType) -> bool:
    if isinstance(value, type | ModuleType) or not isinstance(value, Workflow | Plan | Plannable):
        return False
    return not any(
        isinstance(other, Workflow) and other is not value and _holds(other, value)
        for other in vars(module).values()
    )


def _holds(outer: Workflow, value: object) -> bool:
    """Return whether ``value`` is a workflow that is a stage of another."""
    return isinstance(value, Workflow) and any(
        stage.name.startswith(f"{value.name}/") for stage in outer.stages
    )


def _with_inputs(found: object, inputs: Mapping[str, Any], target: str) -> Plannable:
    if isinstance(found, Workflow):
        return found(**inputs)
    if isinstance(found, Plannable):
        if inputs:
            raise OptionError(
                f"{target} is a plan, which takes no inputs: leave out --input {', '.join(inputs)}"
            )
        return found
    if not callable(found):
        raise OptionError(
            f"{target} is {found!r}, which is no workflow, no plan and no function that returns one"
        )
    _check_arguments(found, inputs, target)
    with _of_users(f"{target} failed"):
        made = found(**inputs)
    if inspect.isawaitable(made):
        raise OptionError(
            f"{target} is a coroutine function: give one that returns its plan at once"
        )
    if not isinstance(made, Plannable):
        raise OptionError(f"{target} returned {made!r}, which is no workflow and no plan")
    return made


def _check_arguments(function: Callable[..., Any], inputs: Mapping[str, Any], target: str) -> None:
    try:
        inspect.signature(function).bind(**inputs)
    except TypeError as error:
        raise WorkflowInputError(
            f"the inputs of {target}, which has the signature {inspect.signature(function)}: {error}"
        ) from None
    except ValueError:  # Its signature is not known.
        return


def _make_importable(folder: Path) -> None:
    """Let this process, and the worker processes that it starts, import from ``folder``."""
    text = str(folder)
    if text not in sys.path:
        sys.path.insert(0, text)
    known = os.environ.get("PYTHONPATH", "")
    if text not in known.split(os.pathsep):
        os.environ["PYTHONPATH"] = os.pathsep.join([text, *([known] if known else [])])


@contextmanager
def _of_users(what: str) -> Generator[None]:
    """Make of an error in a user's module one that says ``what`` it stopped."""
    try:
        yield
    except AsyncexecError:
        raise
    except (Exception, SystemExit) as error:
        raise OptionError(
            f"{what}: {type(error).__name__}: {error} (--traceback shows where it comes from)"
        ) from error
