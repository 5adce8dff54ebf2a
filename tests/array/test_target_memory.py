"""What tasks hold that write shards, filtered chunks and parts of arrays: measured, and no more than projected."""

import pytest
import zarr

import asyncexec as ax
import asyncexec.array as xp
from asyncexec.plan.memory import format_bytes

N = 1600  # 20 MB of float64 a block
CASES = {
    "shards": {"shards": (N, N), "chunks": (N // 8, N // 8)},
    "shards of larger chunks": {"shards": (N, N), "chunks": (N, N)},
    "several compressors": {"compressors": ("zstd", "crc32c")},
    "filters": {"filters": zarr.codecs.TransposeCodec(order=(1, 0))},
    "aligned region": {"region": (slice(0, N), slice(N, 3 * N))},
    "cut region": {"region": (slice(50, N + 50), slice(70, 2 * N + 70)), "align": "read-write"},
    "aligned append": {"append_dim": 1},
    "cut append": {"append_dim": 0, "align": "read-write"},
    "cut region of shards": {
        "region": (slice(50, N + 50), slice(70, 2 * N + 70)),
        "align": "read-write",
        "existing": {"shards": (N, N), "chunks": (N // 4, N // 4)},
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_targets_hold_no_more_than_projected(tmp_path, rng, name):
    spec = ax.Spec(work_dir=tmp_path / "work", allowed_mem="1GB", reserved_mem="100MB")
    data = rng.random((N, 2 * N))
    xp.to_zarr(xp.from_array(data, chunks=N, spec=spec), tmp_path / "a")
    x = xp.from_zarr(tmp_path / "a", spec=spec)
    options = dict(CASES[name])
    layout = options.pop("existing", {"chunks": (N, N)})
    if "region" in options or "append_dim" in options:
        shape = (2 * N, 3 * N) if "region" in options else (N, 2 * N)
        if name == "cut append":
            shape = (N - 90, 2 * N)
        there = zarr.create_array(tmp_path / "b", shape=shape, dtype="f8", **layout)
        there[...] = rng.random(shape)
    target = xp.store([x], [tmp_path / "b"], **options)
    engine = ax.sync.execute(target, executor="processes", executor_options={"max_workers": 1})
    for stage in engine.stages:
        figures = f"{format_bytes(stage.peak_bytes)} of {format_bytes(stage.projected_bytes)}"
        print(f"{name}: {stage.name}: {figures}")
        assert stage.peak_bytes > 10_000_000
        assert stage.peak_bytes <= stage.projected_bytes, figures
