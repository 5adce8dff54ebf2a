"""An account of what the fingerprint of a plan takes in, stage by stage."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from asyncexec.plan.fingerprint.digest import Digest
from asyncexec.plan.stage import Stage, Stages


@dataclass(frozen=True, slots=True, kw_only=True)
class StageExplanation:
    """The making of one stage, and all that the fingerprint takes in of its code.

    Attributes
    ----------
    stage : str
        The stage's name.
    functions, classes : tuple of str
        The user's functions and classes whose code and state are followed.
    packages : mapping of str to str
        Installed packages, which count by their versions.
    whole_modules : mapping of str to str
        The user's modules that count as a whole, each with the reason: some code uses them in a way that cannot be
        followed.
    environment : tuple of str
        The variables of the environment that count.
    unseen : tuple of str
        All that the function uses and no fingerprint can see.
    refused : str
        The reason why the stage can be neither resumed nor cached; empty if it can.
    notes : tuple of str
        What was put together in the stage and what was not, and why; of stages of arrays.
    """

    stage: str
    functions: tuple[str, ...]
    classes: tuple[str, ...]
    packages: Mapping[str, str]
    whole_modules: Mapping[str, str]
    environment: tuple[str, ...]
    unseen: tuple[str, ...]
    refused: str = ""
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([f"stage {self.stage!r}", *(f"  {line}" for line in self._lines())])

    def _lines(self) -> Iterator[str]:
        yield from self.notes
        packages = [f"{name} {version}" for name, version in self.packages.items()]
        for title, named in (
            ("functions", self.functions),
            ("classes", self.classes),
            ("packages", packages),
            ("environment", self.environment),
        ):
            if named:
                yield f"{title}: {', '.join(named)}"
        for module, reason in self.whole_modules.items():
            yield f"the whole module {module}, as {reason}"
        for what in self.unseen:
            yield f"not seen: {what}"
        if self.refused:
            yield f"cannot be resumed: {self.refused}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """All that the fingerprint of a plan takes in of its code; as text, a paragraph a stage.

    Attributes
    ----------
    plan, fingerprint : str
        The plan's name and fingerprint.
    stages : tuple of StageExplanation
        In the order of the plan's stages.
    """

    plan: str
    fingerprint: str
    stages: tuple[StageExplanation, ...]

    def __str__(self) -> str:
        head = f"Plan {self.plan!r} has the fingerprint {self.fingerprint}, which takes in, with the content of inputs:"
        return "\n".join([head, *map(str, self.stages)])


def explain(plan: Stages, *, name: str, fingerprint: str) -> Explanation:
    """Return what the fingerprint of ``plan`` takes in."""
    stages = tuple(map(explain_stage, plan.stages))
    return Explanation(plan=name, fingerprint=fingerprint, stages=stages)


def explain_stage(stage: Stage) -> StageExplanation:
    """Return what the fingerprint takes in of the kernel of ``stage``, and of what front ends say of it."""
    digest = Digest()
    digest.of(stage.kernel)
    found = digest.findings
    return StageExplanation(
        stage=stage.name,
        functions=tuple(found.functions),
        classes=tuple(found.classes),
        packages=dict(sorted(found.packages.items())),
        whole_modules=dict(found.whole_modules),
        environment=tuple(sorted(found.variables)),
        unseen=tuple(found.unseen),
        refused=digest.refused,
        notes=stage.notes,
    )
