"""A workflow as text."""

from __future__ import annotations

from collections.abc import Iterator

from asyncexec.workflow.wiring import Argument, FromStage, Wired


def workflow_text(workflow: Wired) -> str:
    """Return a line for the workflow and its inputs, and one for each stage."""
    return "\n".join([f"Workflow {signature_text(workflow)}", *_lines(workflow)])


def signature_text(workflow: Wired) -> str:
    """Return the name and the inputs of ``workflow``."""
    inputs = (
        name if found.required else f"{name}={found.default!r}"
        for name, found in workflow.inputs.items()
    )
    return f"{workflow.name!r}({', '.join(inputs)})"


def _lines(workflow: Wired) -> Iterator[str]:
    for stage in (stage for stage in workflow.stages if not stage.decides):
        arguments = [_argument_text(a) for a in stage.arguments]
        if stage.takes_rest:
            arguments.append("**inputs")
        parts = [f"  {stage.name}({', '.join(arguments)})"]
        if stage.after:
            parts.append(f"after {', '.join(stage.after)}")
        if (when := stage.spec.when) is not None:
            parts.append(
                f"when={when if isinstance(when, str) else getattr(when, '__name__', when)}"
            )
        parts.extend(f"{name}={value!r}" for name, value in stage.spec.options.items())
        if stage.name in workflow.returns:
            parts.append("-> result")
        yield "  ".join(parts)


def _argument_text(argument: Argument) -> str:
    source = argument.source
    name = source.stage if isinstance(source, FromStage) else source.name
    if argument.mapped:
        return f"each of {name}"
    return name if name == argument.parameter else f"{argument.parameter}={name}"
