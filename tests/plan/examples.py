"""Plans to describe and draw."""

from asyncexec.plan import ChunkedOutput, Plan, Read, Stage
from asyncexec.plan.axes import one_block, same_blocks, windowed
from asyncexec.plan.memory import Memory
from asyncexec.plan.relations import All, Blockwise, block_reduce, broadcast, identity, window

ROWS = (240, 1, 1)
MEMORY = Memory(projected_bytes=1_200_000_000, allowed_bytes=2_000_000_000)


def kernel(index, *inputs):
    return inputs


def writes(name, shape, block):
    return (
        ChunkedOutput(location=f"run:{name}", shape=shape, block=block, unit=block, dtype="f4"),
    )


def warming() -> Plan:
    """Anomaly against a mean, and its trend: branches, a shared input, chunks and values."""

    def stage(name, **more):
        return Stage(name=name, kernel=kernel, memory=MEMORY, **more)

    maps_to_series = window(
        [
            windowed(in_extent=240, in_chunk=1, out_extent=240, out_chunk=240),
            windowed(in_extent=37, in_chunk=37, out_extent=37, out_chunk=10),
            windowed(in_extent=49, in_chunk=49, out_extent=49, out_chunk=10),
        ]
    )
    drop_first = Blockwise(
        (1, 4, 5), (4, 5), (None, 0, 1), (one_block(0, 1), same_blocks(4, 4), same_blocks(5, 5))
    )
    return Plan(
        [
            stage(
                "load",
                shape=ROWS,
                operation="from_zarr",
                outputs=writes("load", (240, 37, 49), (1, 37, 49)),
            ),
            stage(
                "baseline",
                shape=(1, 1, 1),
                operation="mean",
                inputs=(Read("load", block_reduce(ROWS, {0: 240})),),
                outputs=writes("baseline", (1, 37, 49), (1, 37, 49)),
            ),
            stage(
                "anomaly",
                shape=ROWS,
                operation="subtract",
                inputs=(
                    Read("load", identity(ROWS)),
                    Read("baseline", broadcast((1, 1, 1), ROWS)),
                ),
                outputs=writes("anomaly", (240, 37, 49), (1, 37, 49)),
            ),
            stage(
                "rechunk",
                shape=(1, 4, 5),
                operation="rechunk",
                inputs=(Read("anomaly", maps_to_series),),
                outputs=writes("rechunk", (240, 37, 49), (240, 10, 10)),
            ),
            stage(
                "trend",
                shape=(4, 5),
                operation="least squares",
                inputs=(Read("rechunk", drop_first),),
                outputs=writes("trend", (37, 49), (10, 10)),
            ),
            stage(
                "mean warming",
                shape=(),
                operation="mean",
                inputs=(Read("anomaly", All(ROWS, ()), many=True),),
            ),
        ],
        "warming",
    )


def wide(count: int = 100) -> Plan:
    """Many stages, each of which reads up to three of those before."""
    stages = []
    for i in range(count):
        below = {i * 7 % max(i, 1), i // 2, max(i - 3, 0)} - {i}
        stages.append(
            Stage(
                name=f"stage-{i:03}",
                kernel=kernel,
                shape=(10,),
                inputs=tuple(Read(f"stage-{j:03}", identity((10,))) for j in sorted(below)),
            )
        )
    return Plan(stages, "wide")
