"""The shape of the package: imports go down only, and files stay small enough to read."""

import ast

import networkx as nx
import pytest

from tests.architecture.imports import (
    PACKAGE,
    REPOSITORY,
    Import,
    all_imports,
    imports_of,
    modules,
    own_imports,
    tree_of,
)

# A unit sees the units on lower floors, and itself. Units of one floor do not see each other.
# The backend contract is a unit of its own: the scheduler speaks it, and the backends implement it.
FLOORS = {
    "asyncexec.errors": 1,
    "asyncexec.exception_data": 0,
    "asyncexec.lazy": 0,
    "asyncexec.masking": 0,
    "asyncexec.request_failures": 0,
    "asyncexec.plan": 2,
    "asyncexec.events": 2,
    "asyncexec.worker": 3,
    "asyncexec.policies": 3,
    "asyncexec.straggler": 3,
    "asyncexec.storage": 3,
    "asyncexec.observers": 3,
    "asyncexec.config": 3,
    "asyncexec.cluster_memory": 4,
    "asyncexec.artifacts": 4,
    "asyncexec.backends.contract": 4,
    "asyncexec.histories": 4,
    "asyncexec.runs": 4,
    "asyncexec.scheduler": 5,
    "asyncexec.backends": 5,
    "asyncexec.array": 5,
    "asyncexec.workflow": 5,
    "asyncexec.object_store": 5,
    "asyncexec.engine": 6,
    "asyncexec.simulation": 6,
    "asyncexec.sync": 7,
    "asyncexec.testing": 7,
    "asyncexec.integrations": 7,
    "asyncexec.examples": 7,
    "asyncexec": 7,
    "asyncexec.cli": 8,
}

# Optional third parties may be imported where they are used: absent, they are an error that names
# the extra; present, nobody pays for them who does not use them.
OPTIONAL = {
    "aiobotocore",
    "apache_beam",
    "botocore",
    "coiled",
    "cubed",
    "dask",
    "distributed",
    "dotenv",
    "flask",
    "fsspec",
    "functions_framework",
    "graphviz",
    "httpx",
    "jax",
    "iris_sample_data",
    "isal",
    "lithops",
    "matplotlib",
    "modal",
    "netCDF4",
    "obstore",
    "pyarrow",
    "pydantic",
    "pydantic_settings",
    "pyspark",
    "ray",
    "rich",
    "sqlalchemy",
    "submitit",
    "yaml",
    "zstandard",
}

# Always installed, and dear: a worker that does not need them must not load them.
DEAR = {"anyio", "asyncio", "numcodecs", "numpy", "threadpoolctl", "zarr"}

# Modules of ours that a function imports when it is called, each with the reason.
ON_USE = {
    (
        "asyncexec.integrations.xarray.registration",
        "asyncexec.integrations.xarray.accessors",
    ): "brings all of the arrays, which workers that unpickle a function of the package need not have",
    (
        "asyncexec.storage.chunks.access",
        "asyncexec.storage.chunks.shard_files",
    ): "most arrays have no shards",
    (
        "asyncexec.storage.chunks.shard_codec",
        "asyncexec.storage.places.array_documents",
    ): "brings Zarr, which workers need of no array that was opened",
    (
        "asyncexec.storage.chunks.shard_objects",
        "asyncexec.storage.chunks.object_requests",
    ): "brings obstore, which is optional",
    (
        "asyncexec.storage.chunks.remote_chunks",
        "asyncexec.storage.chunks.object_units",
    ): "the same",
    (
        "asyncexec.storage.chunks.shard_files",
        "asyncexec.storage.chunks.zarr_chunks",
    ): "the same",
    (
        "asyncexec.worker.attempt",
        "asyncexec.worker.pieces",
    ): "few tasks take their input piece by piece, and workers load what they need",
    (
        "asyncexec.worker.awaited_attempt",
        "asyncexec.worker.awaited_pieces",
    ): "the same",
    (
        "asyncexec.engine.run_steps",
        "asyncexec.storage.places.requests",
    ): "only for a run that fails; most runs make no requests",
    (
        "asyncexec.array.blocking",
        "asyncexec.engine.blocking_calls",
    ): "arrays meet the engine at the plan; only methods that block need a loop and an engine",
    (
        "asyncexec.engine.default_engine",
        "asyncexec.array.storing",
    ): "arrays are dear, and plans of functions need none",
    (
        "asyncexec.engine.intermediates",
        "asyncexec.storage.tiers.chunk_memory",
    ): "brings NumPy, and plans of functions need none",
    (
        "asyncexec.engine.default_engine",
        "asyncexec.array.storing_versions",
    ): "the same",
    ("asyncexec.engine.default_engine", "asyncexec.array.reading"): "the same",
    (
        "asyncexec.array.reading",
        "asyncexec.storage.places.opening",
    ): "Zarr is dear, as everywhere below",
    (
        "asyncexec.array.regions",
        "asyncexec.storage.places.opening",
    ): "the same",
    (
        "asyncexec.array.storing_versions",
        "asyncexec.storage.places.opening",
    ): "the same",
    (
        "asyncexec.storage.places.locations",
        "asyncexec.storage.places.held_stores",
    ): "most places are paths and URLs, and workers load little",
    (
        "asyncexec.storage.places.locations",
        "asyncexec.storage.places.held_names",
    ): "most places are paths and URLs, and workers load little",
    (
        "asyncexec.storage.places.errors",
        "asyncexec.storage.places.request_errors",
    ): "only for requests that fail",
    (
        "asyncexec.storage.chunks.awaited_opening",
        "asyncexec.storage.places.request_budget",
    ): "it needs asyncio, which is dear",
    (
        "asyncexec.storage.chunks.block_io",
        "asyncexec.storage.chunks.request_loop",
    ): "brings asyncio, and most tasks read files",
    (
        "asyncexec.storage.tiers.shared_inputs",
        "asyncexec.storage.chunks.request_loop",
    ): "the same",
    (
        "asyncexec.storage.chunks.access",
        "asyncexec.storage.chunks.array_parts",
    ): "most arrays are written whole",
    (
        "asyncexec.storage.chunks.access",
        "asyncexec.storage.places.suitability",
    ): "tasks write to places that the driver has checked",
    (
        "asyncexec.backends.threads.pool",
        "asyncexec.backends.adapters.loop_batches",
    ): "most functions are plain, and need no event loop",
    (
        "asyncexec.backends.processes.worker_side",
        "asyncexec.backends.processes.concurrent_side",
    ): "the same",
    ("asyncexec.worker.attempt", "asyncexec.worker.event_loop"): "the same",
    (
        "asyncexec.worker.remote_batch",
        "asyncexec.worker.memory",
    ): "only where a batch comes with a limit; there is none on Windows",
    ("asyncexec.worker.runner", "asyncexec.worker.driver_settings"): "in other processes only",
    ("asyncexec.backends.processes.page", "tempfile"): "for pages of systems without memory files",
    (
        "asyncexec.backends.processes.worker_side",
        "asyncexec.backends.processes.family",
    ): "for workers whose tasks have started processes",
    (
        "asyncexec.errors.base",
        "asyncexec.exception_data.pickling",
    ): "for errors that are pickled or copied",
    ("asyncexec.worker.attempt", "asyncexec.exception_data.recording"): "for attempts that fail",
    (
        "asyncexec.worker.concurrent_batch",
        "asyncexec.worker.concurrent_runner",
    ): "it needs asyncio, which is dear",
    (
        "asyncexec.worker.concurrent_batch",
        "asyncexec.worker.lanes",
    ): "the same",
    (
        "asyncexec.engine.nothing_kept",
        "asyncexec.engine.kept_values",
    ): "few runs keep values in places of their own, and the files that do are many",
    (
        "asyncexec.engine.run_memory",
        "asyncexec.engine.memory_hosts",
    ): "it brings a server, and few runs use their cluster memory",
    (
        "asyncexec.plan.plan",
        "asyncexec.plan.render.text",
    ): "few plans are shown",
    (
        "asyncexec.engine.kept_values",
        "asyncexec.plan.fingerprint.plan_fingerprint",
    ): "NumPy is dear, and few plans are resumed or cached",
    (
        "asyncexec.worker.result_cache",
        "asyncexec.plan.fingerprint.digest",
    ): "NumPy is dear, and few stages are cached",
    ("asyncexec.cli", "asyncexec.cli.application"): "the extra `cli` may not be installed",
    (
        "asyncexec.cli.application",
        "asyncexec.examples.climate.command",
    ): "in a checkout the examples lie beside the package",
    (
        "asyncexec.cli.config",
        "asyncexec.engine.effective_settings",
    ): "the extra `config` may not be installed",
    (
        "asyncexec.engine.engine",
        "asyncexec.engine.configured",
    ): "few engines are made of a configuration",
    (
        "asyncexec.engine.configured",
        "asyncexec.config.configuration",
    ): "the extra `config` may not be installed, and few engines are made of a configuration",
    (
        "asyncexec.engine.configured",
        "asyncexec.runs.store",
    ): "the extra `runs` may not be installed",
    (
        "asyncexec.plan.plan",
        "asyncexec.plan.render.drawing",
    ): "networkx is dear, and few plans are drawn",
    (
        "asyncexec.plan.plan",
        "asyncexec.plan.fingerprint.plan_fingerprint",
    ): "NumPy is dear, and few plans are hashed",
    (
        "asyncexec.plan.plan",
        "asyncexec.plan.fingerprint.explanation",
    ): "NumPy is dear, and few plans are explained",
    (
        "asyncexec.worker.runner",
        "asyncexec.worker.forwarding",
    ): "workers in the driver's process pass nothing on",
    (
        "asyncexec.storage.chunks.access",
        "asyncexec.storage.chunks.remote_chunks",
    ): "the chunks of most arrays are files",
    (
        "asyncexec.storage.places.creation",
        "asyncexec.storage.places.array_documents",
    ): "chunks may all stay in memory",
    (
        "asyncexec.storage.places.listing",
        "asyncexec.storage.places.stores",
    ): "most places are on a disk",
    (
        "asyncexec.storage.chunks.still_there",
        "asyncexec.storage.places.unchanged",
    ): "where a chunk is missing or damaged",
    (
        "asyncexec.storage.chunks.remote_chunks",
        "asyncexec.storage.chunks.object_chunks",
    ): "brings obstore, which is optional",
    (
        "asyncexec.storage.chunks.written_by",
        "asyncexec.storage.places.object_client",
    ): "brings obstore, which is optional",
    (
        "asyncexec.storage.chunks.zarr_chunks",
        "asyncexec.storage.chunks.generation_store",
    ): "brings obstore, which is optional",
    (
        "asyncexec.storage.places.objects",
        "asyncexec.storage.places.store_objects",
    ): "most work directories are on a disk",
    (
        "asyncexec.storage.places.objects",
        "asyncexec.storage.places.obstore_objects",
    ): "brings obstore, which is optional",
    (
        "asyncexec.storage.places.objects",
        "asyncexec.storage.places.stores",
    ): "most work directories are on a disk",
}

# Imports that go up, each with the reason.
UPWARDS = {
    ("asyncexec", "asyncexec.sync"): "the root shows what callers without a loop use too",
    (
        "asyncexec.array.blocking",
        "asyncexec.engine.blocking_calls",
    ): "`.compute()` blocks; nothing else may",
}

PREFERRED_LINES, MOST_LINES = 400, 500
# Files past the preferred length, each with the reason it is one file.
LONG_FILES: dict[str, str] = {
    "asyncexec/array/api.py": "one list of every public name of arrays",
}

EMPTY_NAMES = {
    "common",
    "helper",
    "helpers",
    "manager",
    "managers",
    "misc",
    "types",
    "util",
    "utils",
}


def unit_of(module: str) -> str:
    """The longest entry of FLOORS that the module is, or is in."""
    parts = module.split(".")
    prefixes = (".".join(parts[:n]) for n in range(len(parts), 1, -1))
    return next((p for p in prefixes if p in FLOORS), module)


def wrong(found: Import) -> str | None:
    above, below = unit_of(found.importer), unit_of(found.imported)
    if above == below or FLOORS[above] > FLOORS[below]:
        return None
    if (found.importer, found.imported) in UPWARDS:
        return None
    return (
        f"{found.place}: {found.importer} (floor {FLOORS[above]}) "
        f"imports {found.imported} (floor {FLOORS[below]})"
    )


def test_every_module_has_a_floor():
    assert [m for m in modules() if unit_of(m) not in FLOORS] == []


def test_imports_go_down_and_siblings_do_not_see_each_other():
    assert [message for found in own_imports() if (message := wrong(found))] == []


def test_no_import_cycles():
    # Imports for type checkers count too: who names a type of a module knows that module.
    graph = nx.DiGraph([(i.importer, i.imported) for i in own_imports()])
    cycles = [sorted(group) for group in nx.strongly_connected_components(graph) if len(group) > 1]
    assert cycles == []


def test_functions_import_only_what_is_optional_or_dear():
    hidden = [
        i
        for i in all_imports()
        if i.in_function
        and i.imported.split(".")[0] not in OPTIONAL | DEAR
        and (i.importer, i.imported) not in ON_USE
    ]
    assert [f"{i.place}: {i.imported}" for i in hidden] == []


def test_every_exception_is_needed():
    found = {(i.importer, i.imported) for i in all_imports()}
    assert [edge for edge in [*ON_USE, *UPWARDS] if edge not in found] == []


def test_files_stay_readable():
    lines = {
        str(path.relative_to(REPOSITORY)): len(path.read_text().splitlines())
        for path in modules().values()
    }
    assert {f: n for f, n in lines.items() if n > MOST_LINES} == {}
    assert {f: n for f, n in lines.items() if n > PREFERRED_LINES and f not in LONG_FILES} == {}
    assert [f for f in LONG_FILES if lines.get(f, 0) <= PREFERRED_LINES] == []


def test_module_names_say_something():
    # The names below are Flowdapt's, which users' modules import.
    theirs = "asyncexec.integrations.flowdapt."
    found = [m for m in modules() if EMPTY_NAMES & set(m.split(".")) and not m.startswith(theirs)]
    assert found == []


def test_only_the_command_line_prints():
    assert calls_outside({"print"}, allowed={"asyncexec.cli"}) == []


def test_only_the_edges_start_an_event_loop():
    runners = {"asyncio.run", "asyncio.Runner", "anyio.run", "trio.run"}
    edges = {
        "asyncexec.cli",
        "asyncexec.sync",
        "asyncexec.testing.virtual_time",  # Runs tests, each on a loop of its own.
        "asyncexec.worker.attempt",  # A worker has no loop, and runs users' async functions.
    }
    assert calls_outside(runners, allowed=edges) == []


def calls_outside(names: set[str], *, allowed: set[str]) -> list[str]:
    return [
        f"{path.relative_to(REPOSITORY)}:{node.lineno}: {ast.unparse(node.func)}"
        for module, path in modules().items()
        if not {module, unit_of(module)} & allowed
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in names
    ]


@pytest.mark.parametrize(
    "importer, imported, is_wrong",
    [
        ("asyncexec.scheduler.core", "asyncexec.plan.stage", False),
        ("asyncexec.scheduler.core", "asyncexec.backends.contract", False),
        ("asyncexec.scheduler.core", "asyncexec.scheduler.ready", False),
        ("asyncexec", "asyncexec.engine", False),
        ("asyncexec", "asyncexec.sync", False),
        ("asyncexec.scheduler.core", "asyncexec.backends.registry", True),
        ("asyncexec.backends.contract", "asyncexec.backends.registry", True),
        ("asyncexec.plan.stage", "asyncexec.events", True),
        ("asyncexec.array.lowering", "asyncexec.engine", True),
        ("asyncexec.engine", "asyncexec", True),
    ],
)
def test_the_floors_are_what_the_architecture_says(importer, imported, is_wrong):
    found = Import(importer=importer, imported=imported, place="here", in_function=False)
    assert bool(wrong(found)) is is_wrong


def test_the_walk_sees_the_package():
    assert (PACKAGE / "py.typed").exists()
    assert "asyncexec.errors" in modules()


@pytest.mark.parametrize(
    "statement",
    [
        'import_module("asyncexec.engine")',
        'importlib.import_module("asyncexec.engine")',
        'run = lambda: __import__("asyncexec.engine")',
        "import asyncexec.engine",
    ],
)
def test_the_walk_sees_an_import_however_it_is_written(tmp_path, monkeypatch, statement):
    monkeypatch.setattr("tests.architecture.imports.REPOSITORY", tmp_path)
    path = tmp_path / "module.py"
    path.write_text(statement)
    assert [i.imported for i in imports_of("asyncexec.array.module", path)] == ["asyncexec.engine"]
