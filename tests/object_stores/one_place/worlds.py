"""Where the one place of the stateful test is (a disk, a store in memory, a bucket), and what others do there."""

import contextlib
import itertools
import pathlib
import shutil
import tempfile

import zarr

from tests.object_stores import servers

NAME = "y.zarr"
_NUMBERS = itertools.count()


class World:
    """A world with a folder for work, which ends with it."""

    tells_whose_chunks_are = True
    """Whether a run that is resumed knows the chunks that others have written since."""

    def __init__(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="one-place-"))
        self.work_dir = str(self.root / "work")
        self.options = {}

    def end(self):
        shutil.rmtree(self.root)

    def create(self, name=NAME, **more):
        """Make an array with zarr-python, as others do."""
        zarr.create_array(self.store(name), **more)

    def left_in_work_dir(self):
        folder = pathlib.Path(self.work_dir)
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


class Disk(World):
    """A folder."""

    tells_whose_chunks_are = False

    def __init__(self):
        super().__init__()
        self.folder = self.root / "data"
        self.folder.mkdir()

    def place(self, name=NAME):
        return str(self.folder / name)

    def spellings(self):
        """Return the place as others would write it."""
        return [
            f"file://{self.folder}/{NAME}",
            f"{self.folder}/./{NAME}/",
            zarr.storage.LocalStore(self.folder / NAME),
        ]

    def store(self, name=NAME):
        return zarr.storage.LocalStore(self.folder / name)

    def put(self, name, data):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def contents(self):
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file()
        }

    def rename(self, old, new):
        (self.folder / old).rename(self.folder / new)

    def remove(self, name):
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self.folder / name)


class Objects(World):
    """Objects of a store of obstore's, by names."""

    def put(self, name, data):
        import obstore

        obstore.put(self.objects, name, data)

    def contents(self):
        import obstore

        names = [meta["path"] for batch in obstore.list(self.objects) for meta in batch]
        return {name: bytes(obstore.get(self.objects, name).bytes()) for name in names}

    def rename(self, old, new):
        import obstore

        for name in self.contents():
            if name.startswith(f"{old}/"):
                obstore.rename(self.objects, name, new + name.removeprefix(old))

    def remove(self, name):
        import obstore

        obstore.delete(self.objects, [n for n in self.contents() if n.startswith(f"{name}/")])


class Memory(Objects):
    """A store of obstore's in this process's memory, handed in as a store of Zarr's."""

    def __init__(self):
        from obstore.store import MemoryStore

        super().__init__()
        self.objects = MemoryStore()
        zarr.create_group(zarr.storage.ObjectStore(self.objects))

    def place(self, name=NAME):
        return zarr.storage.StorePath(zarr.storage.ObjectStore(self.objects), name)

    store = place

    def create(self, name=NAME, **more):
        super().create(name, **more)
        # Zarr makes groups along a path in a store, also of another format than the one that is there.
        for found in {".zgroup", ".zattrs"} & set(self.contents()):
            self.objects.delete(found)

    def spellings(self):
        return [self.place(), zarr.storage.StorePath(self.place().store, NAME)]


class Bucket(Objects):
    """A bucket of a server."""

    def __init__(self, url):
        from obstore.store import from_url

        super().__init__()
        self.name = f"one-place-{next(_NUMBERS)}"
        servers.make_bucket(url, self.name)
        self.options = servers.s3_options(url)
        self.objects = from_url(f"s3://{self.name}", **self.options)

    def place(self, name=NAME):
        return f"s3://{self.name}/{name}"

    def spellings(self):
        return [
            f"s3a://{self.name}/{NAME}",
            f"S3://{self.name}/{NAME}",
            f"s3://{self.name}/./{NAME}/",
            self.store(),
        ]

    def store(self, name=NAME):
        from obstore.store import from_url

        return zarr.storage.ObjectStore(from_url(f"s3://{self.name}/{name}", **self.options))
