"""The array jobs compute the same by every contender, and their figures, limit and picture are complete."""

import json
import os

import numpy as np
import pytest
import zarr

from benchmarks import report, runner
from benchmarks.__main__ import chosen
from benchmarks.case import LIMIT, Case, Contender
from benchmarks.cases import ALL, GROUPS
from benchmarks.field_jobs import fields
from benchmarks.field_jobs.fields import TINY, Place, make
from benchmarks.field_jobs.jobs import JOBS
from benchmarks.field_jobs.kernels import KERNELS, Scratch
from benchmarks.field_jobs.limit import limit_of
from benchmarks.field_jobs.measuring import PeakMemory
from benchmarks.field_jobs.summary import summary
from benchmarks.field_jobs.turn import CONTENDERS
from benchmarks.s3_server import server

pytest.importorskip("obstore")

MONTHS = np.arange(TINY.times) % 12

EXPECTED = {
    "field_sum": lambda u: [u.sum()],
    "field_quadratic_means": lambda u, v: [
        (a * b).mean(axis=0) for a, b in ((u, u), (v, v), (u, v))
    ],
    "field_elementwise": lambda u, v: [np.sqrt(u * u + v * v)],
    "field_anomaly": lambda u: [u - u.mean(axis=0)],
    "field_rechunk": lambda u: [u],
    "field_mean_last_axis": lambda u: [u.mean(axis=2)],
    "field_variance": lambda u: [u.var()],
    "field_standardised": lambda u: [(u - u.mean(axis=0)) / u.std(axis=0)],
    "field_climatology": lambda u: [
        np.stack([u[m == MONTHS].mean(axis=0) for m in range(12)], axis=-1)
    ],
    "field_matmul": lambda a, b: [a @ b],
    "field_shards": lambda s: [s + 1],
    "field_bucket": lambda w: [w.mean(axis=0)],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The arrays of a few elements, and a bucket that answers at once."""
    with server() as ran:
        made = Place(folder=tmp_path_factory.mktemp("fields"), size=TINY, endpoint=ran.endpoint)
        make(made)
        yield made


def agree(place, contender, job):
    data = [
        zarr.open_array(place.store(name), mode="r")[...].astype(np.float64) for name in job.reads
    ]
    place.clear()
    with CONTENDERS[contender]() as work:
        values = work(job, place)
    if job.target is not None:
        values = [zarr.open_array(place.target, mode="r")[...]]
    expected = EXPECTED[job.name](*data)
    assert len(values) == len(expected)
    for one, other in zip(values, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("contender", ["by hand, threads", "asyncexec, threads"])
@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_a_job_computes_what_numpy_does(place, contender, job):
    agree(place, contender, job)


@pytest.mark.slow
@pytest.mark.leaks("peers keep threads")
@pytest.mark.filterwarnings("ignore:There is a mismatch between the shard and chunk size")
@pytest.mark.parametrize(
    "contender", sorted(set(CONTENDERS) - {"by hand, threads", "asyncexec, threads"})
)
@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_a_job_computes_the_same_by_peers(place, contender, job):
    pytest.importorskip({"C": "cubed", "D": "distributed", "a": "numpy"}[contender[0]])
    agree(place, contender, job)


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_the_limit_of_a_job_is_no_less_than_any_of_its_parts(place, job):
    agree(place, "by hand, threads", job)
    target = None if job.target is None else zarr.open_array(place.target, mode="r")
    figures = limit_of(job, place, target)
    assert figures["seconds"] >= max(figures["io_s"], figures["cpu_s"] / 2) > 0
    parts = [figures[f"{name}_s"] for name in ("decode", "kernel", "encode", "io_cpu")]
    assert figures["cpu_s"] == pytest.approx(sum(parts))


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_the_kernel_of_a_job_makes_its_memory_once(job):
    shape = (4, 20, 30) if job.name != "field_matmul" else (8, 8)
    data = [np.ones(shape, np.float32) for _ in job.reads]
    scratch = Scratch()
    KERNELS[job.name](scratch, *data)
    before = {name: id(array) for name, array in scratch.arrays.items()}
    KERNELS[job.name](scratch, *data)
    assert {name: id(array) for name, array in scratch.arrays.items()} == before


def test_array_jobs_are_all_of_them_and_run_when_asked_for():
    names = GROUPS["array_jobs"]
    assert set(names) == {job.name for job in JOBS} == set(EXPECTED)
    assert chosen(["array_jobs", "field_sum"]) == list(names)
    assert set(chosen([])) == set(ALL) - set(names)
    for name in names:
        assert [c.name for c in ALL[name].contenders] == [LIMIT, *CONTENDERS]


def test_the_memory_of_a_process_tree_is_sampled():
    with PeakMemory(os.getpid()) as memory:
        held = np.ones(2_000_000)
    assert memory.peak_bytes > held.nbytes


def outcomes():
    def contender(name, seconds):
        def prepare(_):
            raise AssertionError("nothing is run")

        return Contender(name=name, prepare=prepare, reference=name == LIMIT)

    times = {LIMIT: 1.0, "asyncexec, threads": 1.25, "Cubed, threads": 5.0}
    case = Case(
        name="field_sum",
        about="",
        figure="seconds",
        better="",
        contenders=[contender(name, seconds) for name, seconds in times.items()],
    )
    standings = [
        runner.Standing(contender=name, runs=[{"seconds": seconds, "peak_mb": 100.0}])
        for name, seconds in times.items()
    ]
    return [runner.Outcome(case=case, standings=standings, verdicts=[])]


def test_the_share_of_the_limit_is_in_the_json_and_in_the_summary():
    kept = json.loads(report.as_json({}, outcomes()))["cases"]["field_sum"]["contenders"]
    assert kept["asyncexec, threads"]["share_of_limit"] == 0.8
    assert summary(outcomes()) == [
        "asyncexec, threads: T_min/T 0.80 (least 0.80, 1 jobs)",
        "Cubed, threads: T_min/T 0.20 (least 0.20, 1 jobs); asyncexec, threads takes 0.25 times its time",
    ]


def test_a_picture_shows_every_contender(tmp_path):
    pytest.importorskip("matplotlib")
    from benchmarks.field_jobs.picture import draw

    draw(tmp_path / "jobs.svg", outcomes())
    drawn = (tmp_path / "jobs.svg").read_text()
    assert all(text in drawn for text in ("asyncexec, threads", "Cubed, threads", "0.80", "sum"))


def test_shards_and_chunks_of_every_size_cover_their_arrays():
    for size in (fields.FULL, fields.QUICK, TINY):
        for layout in size.layouts.values():
            unit = layout.shards or layout.chunks
            assert all(s % c == 0 for s, c in zip(unit, layout.chunks, strict=True))
            assert layout.count >= 1
