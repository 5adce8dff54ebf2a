"""The world of a cell: a folder or a bucket with an input and things of others, and what must be in it at the end."""

import json
import pathlib

import numpy as np
import zarr

from tests.object_stores import servers
from tests.object_stores.matrix.program import CHUNKS, DATA, EXPECTED, HIT

OTHERS = np.arange(10.0)
NOTES = b"of others"


class Folder:
    """A folder on the disk."""

    def __init__(self, folder: pathlib.Path) -> None:
        self.root = folder / "data"
        self.options = {}
        self.root.mkdir()

    def url(self, name: str) -> str:
        return str(self.root / name)

    def store(self, name: str):
        return zarr.storage.LocalStore(self.root / name)

    def put(self, name: str, data: bytes) -> None:
        (self.root / name).parent.mkdir(parents=True, exist_ok=True)
        (self.root / name).write_bytes(data)

    def contents(self) -> dict[str, bytes]:
        """Return all files; folders without any count by their names."""
        found = {}
        for path in self.root.rglob("*"):
            name = str(path.relative_to(self.root))
            if path.is_file():
                found[name] = path.read_bytes()
            elif not any(path.iterdir()):
                found[f"{name}/"] = b""
        return found


class Bucket:
    """A bucket of a server, reached by a proxy by those who are tested, and directly by those who check."""

    def __init__(self, server: str, proxy: str, name: str, **client) -> None:
        from obstore.store import from_url

        servers.make_bucket(server, name)
        self._name = name
        self._direct = from_url(f"s3://{name}", **servers.s3_options(server))
        self._server = server
        self.options = servers.s3_options(proxy)
        self.options["client_options"] |= client

    def url(self, name: str) -> str:
        return f"s3://{self._name}/{name}"

    def store(self, name: str):
        from obstore.store import from_url

        options = servers.s3_options(self._server)
        return zarr.storage.ObjectStore(from_url(f"s3://{self._name}/{name}", **options))

    def put(self, name: str, data: bytes) -> None:
        import obstore

        obstore.put(self._direct, name, data)

    def contents(self) -> dict[str, bytes]:
        import obstore

        names = [meta["path"] for batch in obstore.list(self._direct) for meta in batch]
        return {name: bytes(obstore.get(self._direct, name).bytes()) for name in names}


def begin(world) -> dict[str, bytes]:
    """Make the input and things of others, and return all that is there."""
    zarr.create_array(world.store("x.zarr"), data=DATA, chunks=CHUNKS)
    zarr.create_array(world.store("others.zarr"), data=OTHERS, chunks=(4,))
    # Names that begin like the target's.
    world.put("y.zarr-notes", NOTES)
    world.put("y.zarr.old/c/0/0", NOTES)
    return world.contents()


def check_right(world, before: dict[str, bytes], reference: dict[str, bytes] | None) -> None:
    """Assert that the target has the bits that it should, and everything else is as it was."""
    found = zarr.open_array(world.store("y.zarr"), mode="r")
    np.testing.assert_array_equal(found[...], EXPECTED)
    assert found.dtype == EXPECTED.dtype
    made = {n: data for n, data in world.contents().items() if n.startswith("y.zarr/")}
    assert without(world.contents(), made) == before
    grid = [f"y.zarr/c/{i}/{j}" for i in range(4) for j in range(4)]
    assert sorted(made) == sorted([*grid, "y.zarr/zarr.json"])
    assert "asyncexec" not in json.loads(made["y.zarr/zarr.json"])["attributes"]
    if reference is not None:
        assert made == reference


def check_nothing_made(world, before: dict[str, bytes]) -> None:
    """Assert that everything is as it was before the run."""
    now = world.contents()
    assert sorted(now) == sorted(before)
    assert now == before


def without(contents: dict[str, bytes], names) -> dict[str, bytes]:
    return {name: data for name, data in contents.items() if name not in names}


def chunk_of(name: str) -> str:
    """Return the key of the chunk that is harmed."""
    return f"{name}/c/{HIT[0]}/{HIT[1]}"
