"""Configuration resources: data for the tasks of the workflows that a selector names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from asyncexec.workflow.files.resource import Problems, Resource

SELECTORS = ("name", "annotation")


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigResource:
    """Data that tasks find in ``get_run_context().config``, if it is meant for their workflow.

    Attributes
    ----------
    name : str
    kind : str or None
        The kind of resource that it is meant for; None for any.
    by : {"name", "annotation"}
        What is compared with ``value``.
    value : str or mapping of str to str, optional
        A name, or annotations that a workflow has all of. None for every workflow.
    data : mapping of str to object
    """

    name: str
    kind: str | None = None
    by: str = "name"
    value: str | Mapping[str, str] | None = None
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def of(cls, resource: Resource) -> Self:
        """Return the configuration that a resource is.

        Raises
        ------
        WorkflowFileError
            With all problems of its spec.
        """
        problems = Problems(resource.file)
        spec = problems.names(
            ("spec",), resource.spec, ("selector", "data"), "the spec of a config"
        )
        path = ("spec", "selector")
        selector = problems.names(path, spec.get("selector"), ("kind", "type", "value"), "selector")
        by = selector.get("type") or "name"
        value = selector.get("value")
        if by not in SELECTORS:
            problems.add((*path, "type"), f"selector.type is name or annotation, not {by!r}")
        elif selector and by == "name" and not isinstance(value, str):
            problems.add((*path, "value"), "selector.value is the name of a workflow")
        elif selector and by == "annotation" and not isinstance(value, Mapping):
            problems.add((*path, "value"), "selector.value maps annotations to their values")
        data = problems.of_type(("spec", "data"), spec.get("data"), dict, {}, "spec.data")
        problems.raise_any()
        return cls(name=resource.name, kind=selector.get("kind"), by=by, value=value, data=data)

    def is_for(self, workflow: str, annotations: Mapping[str, str]) -> bool:
        """Return whether it is meant for the workflow of this name and annotations."""
        if self.kind not in (None, "workflow"):
            return False
        if isinstance(self.value, Mapping):
            return {str(k): str(v) for k, v in self.value.items()}.items() <= annotations.items()
        return self.value in (None, workflow)


def merged(
    configs: Iterable[ConfigResource], workflow: str, annotations: Mapping[str, str]
) -> dict[str, Any]:
    """Return the data for a workflow: what is selected by name first, then by annotation; later keys replace others."""
    chosen = [config for config in configs if config.is_for(workflow, annotations)]
    chosen.sort(key=lambda config: config.by == "annotation")
    return {key: value for config in chosen for key, value in config.data.items()}
