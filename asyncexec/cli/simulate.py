"""``asyncexec simulate``: how long and how dear a plan would be, computed by the scheduler that runs plans."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer
from rich.console import Console

from asyncexec.cli.simulating import options as given
from asyncexec.cli.simulating.job import Job
from asyncexec.cli.simulating.report import as_json_text, tell
from asyncexec.cli.simulating.request import (
    cluster_of,
    noise_of,
    plan_of,
    refuse,
    seeds_of,
    variants_of,
)
from asyncexec.simulation.canvas import check_picture
from asyncexec.simulation.noise import QUIET
from asyncexec.simulation.recorded import read_run

if TYPE_CHECKING:
    from asyncexec.cli.session import Session
    from asyncexec.simulation.comparison import Comparison
    from asyncexec.simulation.what_if import WhatIf


def simulate(
    context: typer.Context,
    plan: given.PlanPath = None,
    *,
    allow_import: given.AllowImport = False,
    history: given.History = None,
    stages: given.Stages = None,
    tasks: given.Tasks = None,
    relation: given.RelationText = None,
    task_memory: given.TaskMemory = None,
    durations: given.DurationTexts = None,
    slow_tail: given.Tail = None,
    workers: given.Workers = None,
    speed_sigma: given.SpeedSigma = 0.0,
    cold_start: given.ColdStart = 0.0,
    arrival: given.Arrival = None,
    preemption: given.Preemption = 0.0,
    replace: given.Replaced = True,
    max_starts: given.MaxStarts = None,
    latency: given.Latency = 0.0,
    kill: given.Kills = True,
    memory: given.ClusterMemory = None,
    price: given.Price = 0.0,
    price_per_start: given.StartPrice = 0.0,
    billing: given.BillingOf = given.Billing.ATTEMPTS,
    bill_least: given.BillLeast = 0.0,
    bill_step: given.BillStep = 0.0,
    metered: given.Metered = None,
    slow: given.Slow = 0.0,
    slow_by: given.SlowFactors = "2,10",
    slow_workers: given.SlowWorkers = 0.0,
    slow_workers_by: given.SlowWorkersFactor = 5.0,
    spread: given.Spread = None,
    hangs: given.Hangs = 0.0,
    failures: given.Failures = 0.0,
    storage_tail: given.StorageTail = "0,1",
    rule: given.Rules = None,
    order: given.OrderOf = None,
    timeout: given.Timeout = None,
    retry: given.Attempts = None,
    seeds: given.Seeds = 3,
    seed: given.Seed = 0,
    as_json: given.Json = False,
    picture: given.Picture = None,
    curves: given.CurvesFile = None,
    quiet: given.Quiet = False,
    traceback: given.Traceback = False,
) -> None:
    """How long and how dear a plan would be, on workers you do not have.

    The real scheduler runs the plan on a virtual clock, against modelled workers;
    no task is called. Say what to run (stages by number and relation, a plan of
    yours, or the history of a real run), on which workers, and what goes wrong:
    out come makespan and cost with and without backup tasks, over several seeds.

    Try: [bold]asyncexec simulate --stages 5 --tasks 1000 --workers 1000 --slow 0.02[/bold]
    """
    session: Session = context.obj
    session.traceback = traceback
    for path in (picture, curves):
        if path is not None:
            check_picture(path)
    run = None if history is None else read_run(history)
    order = order or (given.Order.PIPELINED if run is None else given.Order.BOTH)
    job = Job(
        variants=variants_of(rule or (), order),
        seeds=seeds_of(seed, seeds),
        retry=retry,
        timeout=timeout,
        picture=picture,
        curves=curves,
        quiet=quiet,
    )
    cluster = cluster_of(
        workers=workers if workers is not None else 100 if run is None else run.slots,
        speed_sigma=speed_sigma,
        slow_share=slow_workers,
        slow_factor=slow_workers_by,
        cold_start_seconds=cold_start,
        loss_per_hour=preemption,
        replaced=replace,
        latency_seconds=latency,
        kills=kill,
        arrival=arrival,
        max_starts=max_starts,
        memory=memory,
        price=price,
        price_per_start=price_per_start,
        billing=billing,
        billed_least_seconds=bill_least,
        billed_step_seconds=bill_step,
        metered=metered,
    )
    noise = noise_of(
        slow=slow,
        slow_by=slow_by,
        spread=spread,
        hangs=hangs,
        failures=failures,
        storage_tail=storage_tail,
    )
    source: dict[str, object] = {
        "--stages": stages,
        "--tasks": tasks,
        "--relation": relation,
        "--task-memory": task_memory,
    }
    told: Comparison | WhatIf
    if run is None:
        refuse({"--slow-tail": slow_tail}, without="--history")
        found = plan_of(plan, allow_import=allow_import, numbered=source)
        told = job.compare(found, cluster, durations or (), noise)
    else:
        source |= {"PLAN": plan, "--allow-import": allow_import}
        source |= {"noise (--slow, --spread, …)": noise != QUIET}
        refuse(source, beside="--history")
        told = job.what_if(run, cluster, durations or (), (slow_tail or given.SlowTail.AUTO).value)
    if as_json:
        typer.echo(as_json_text(told, job.seeds))
    else:
        tell(Console(highlight=False), told, job.seeds, (picture, curves))
