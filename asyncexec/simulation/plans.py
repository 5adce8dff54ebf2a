"""Plans to simulate: stages by number and relation."""

from __future__ import annotations

from collections.abc import Iterable

from asyncexec.errors import OptionError
from asyncexec.histories.model_stages import model_stage
from asyncexec.plan.axes import windowed
from asyncexec.plan.memory import Memory
from asyncexec.plan.plan import Plan
from asyncexec.plan.relations import All, Relation, block_reduce, identity, window
from asyncexec.plan.stage import Read


def staged(
    stages: int = 1,
    tasks: int = 1000,
    relation: str = "one-to-one",
    *,
    task_bytes: int = 0,
    name: str = "plan",
) -> Plan:
    """Return a plan of ``stages``, each of which reads the one before.

    Parameters
    ----------
    stages : int
    tasks : int
        Of the first stage; later ones have as many, unless the relation makes fewer.
    relation : str
        ``"one-to-one"``: task i reads task i. ``"all"``: each reads all. ``"reduce:4"``: one task for each four.
        ``"window:1"``: task i reads tasks i - 1 to i + 1.
    task_bytes : int
        Projected memory of one task.
    name : str

    Raises
    ------
    OptionError
        If a number is below 1, or there is no such relation.
    """
    if stages < 1 or tasks < 1:
        raise OptionError(
            f"simulation: a plan has at least 1 stage and 1 task, not {stages} and {tasks}"
        )
    memory = Memory(projected_bytes=task_bytes)
    made = [model_stage("stage-1", (tasks,), memory=memory)]
    read = _relation(tasks, relation)  # With one stage, too, a wrong one is an error.
    for number in range(2, stages + 1):
        reads = (Read(made[-1].name, read),)
        made.append(model_stage(f"stage-{number}", read.consumer, reads, memory=memory))
        read = _relation(read.consumer[0], relation)
    return Plan(made, name)


def refuse_other_stages(given: Iterable[str], stages: Iterable[str], what: str) -> None:
    """Raise OptionError for the first name for which ``what`` is given that is none of ``stages``."""
    names = list(stages)
    if others := [name for name in given if name not in names]:
        raise OptionError(f"{what} are given for {others[0]!r}; the stages are {', '.join(names)}")


def _relation(tasks: int, relation: str) -> Relation:
    """Return the relation of the stage after one of ``tasks`` tasks, spelled as for :func:`staged`."""
    kind, colon, text = relation.partition(":")
    number = int(text) if text.isdecimal() else -1
    match kind, bool(colon):
        case "one-to-one", False:
            return identity((tasks,))
        case "all", False:
            return All((tasks,), (tasks,))
        case "reduce", True if number >= 1:
            return block_reduce((tasks,), {0: number})
        case "window", True if number >= 0:
            one = {"in_extent": tasks, "in_chunk": 1, "out_extent": tasks, "out_chunk": 1}
            return window([windowed(**one, before=number, after=number)])
        case _:
            raise OptionError(
                f"there is no relation {relation!r}; choose one of one-to-one, all, reduce:WIDTH, window:REACH"
            )
