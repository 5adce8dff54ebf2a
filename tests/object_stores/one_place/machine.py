"""One place, to which things happen in any order, beside a model of what must be there."""

import numpy as np
import zarr
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from asyncexec.errors import AsyncexecError, StorageError
from asyncexec.storage import clean
from tests.object_stores.one_place.runs import (
    CHUNKS,
    DATA,
    LAST,
    SHAPE,
    Adds,
    Fails,
    read,
    run,
    storing,
)
from tests.object_stores.one_place.worlds import NAME

AMOUNTS = st.sampled_from([1.0, 2.0, 3.0])
STOPS = st.integers(1, 3)
ENCODINGS = st.sampled_from(
    [
        {},
        {"chunks": (2, 2), "shards": (4, 6)},
        {"chunks": (8, 6), "chunk_key_encoding": {"name": "default", "separator": "."}},
        {"zarr_format": 2, "chunk_key_encoding": {"name": "v2", "separator": "/"}},
        {"zarr_format": 2},
        {"compressors": None, "dtype": "f4"},
    ]
)
BESIDE = ("y.zarr-notes", "y.zarr.old/c/0/0", "y.zarr2/zarr.json", "y")


class OnePlace(RuleBasedStateMachine):
    """The model: the array that stands at the place, whose it is, and what others have put there."""

    make_world = None
    moved = Bundle("moved")

    def __init__(self):
        super().__init__()
        self.world = self.make_world()
        self.array = None
        """The elements, or None where there is no array."""
        self.unfinished = False
        self.resumable = None
        """The amount of the run that has stopped or ended there with ``resume``."""
        self.touched = False
        """Whether others have written into what can be resumed."""
        self.others = {}
        self.arrays = {}
        """Arrays that were moved away, by their names."""
        self.number = 0

    def teardown(self):
        self.world.end()

    @initialize()
    def begin(self):
        self.world.create("x.zarr", data=DATA, chunks=CHUNKS)
        for name in BESIDE:
            self.put(name)
        self.others |= self.world.contents()

    def put(self, name):
        data = f"of others: {name}".encode()
        self.world.put(name, data)
        self.others[name] = data

    @property
    def tells(self):
        """Whether a run knows what others write into the array; on a disk, none that goes on does."""
        return not self.unfinished or self.world.tells_whose_chunks_are

    @property
    def free(self):
        return self.array is None and not self.inside

    @property
    def inside(self):
        """The objects of others inside of the place."""
        return [name for name in self.others if name.startswith(f"{NAME}/")]

    def complete(self, array, resumable=None):
        self.array, self.unfinished, self.resumable = array, False, resumable
        self.touched = False

    def gone(self):
        self.array, self.unfinished, self.resumable = None, False, None

    # What runs do.

    @rule(amount=AMOUNTS)
    def write(self, amount):
        came = run(storing(self.world, Adds(amount)))
        if self.array is not None:
            assert isinstance(came, StorageError), came
        elif came is None:
            self.complete(DATA + amount)
        else:
            # Where things of others are, it may be refused.
            assert isinstance(came, StorageError), came
            assert self.inside, came

    @rule(amount=AMOUNTS)
    def overwrite(self, amount):
        came = run(storing(self.world, Adds(amount), overwrite=True))
        if came is None:
            self.complete(DATA + amount)
        else:
            assert isinstance(came, StorageError), came
            assert self.inside, came

    @rule(amount=AMOUNTS, overwrite=st.booleans(), block=st.sampled_from([0.0, LAST]))
    def fail(self, amount, overwrite, block):
        came = run(storing(self.world, Fails(amount, block), overwrite=overwrite))
        assert isinstance(came, AsyncexecError), came

    @rule(amount=AMOUNTS, overwrite=st.booleans(), after=STOPS)
    def cancel(self, amount, overwrite, after):
        came = run(storing(self.world, Adds(amount), overwrite=overwrite), stop_after=after)
        if came is None:
            self.complete(DATA + amount)
        elif came != "stopped":
            assert isinstance(came, StorageError), came
            assert self.array is not None or self.inside, came

    @precondition(lambda self: self.array is None)
    @rule(amount=AMOUNTS, after=STOPS)
    def cancel_while_others_put_something_inside(self, amount, after):
        name = f"{NAME}/{self.fresh('visitor')}"
        run(storing(self.world, Adds(amount)), stop_after=after, visit=lambda: self.put(name))

    @rule(amount=AMOUNTS, after=STOPS)
    def stop(self, amount, after):
        """A run with ``resume`` is cancelled: as if it were killed, what it has stored stays."""
        came = run(storing(self.world, Adds(amount)), resume=True, stop_after=after)
        self.resumed(amount, came)

    @rule(amount=AMOUNTS)
    def resume(self, amount):
        self.resumed(amount, run(storing(self.world, Adds(amount)), resume=True))

    def resumed(self, amount, came):
        mine = self.array is None or self.resumable in (amount, "moved")
        if came is None:
            assert mine
            self.complete(self.made(amount), resumable=amount)
        elif came == "stopped":
            assert mine
            if self.array is None:
                self.touched = False
            if not isinstance(read(self.world), AsyncexecError):
                # It was cancelled when everything was done.
                self.complete(self.made(amount), resumable=amount)
            elif self.array is None or self.unfinished:
                self.array, self.unfinished, self.resumable = DATA + amount, True, amount
        else:
            assert isinstance(came, StorageError), came
            assert not mine or self.inside or self.touched or self.resumable == "moved", came

    def made(self, amount):
        """Return what a run that has gone on has made."""
        if not self.touched or self.world.tells_whose_chunks_are:
            return DATA + amount
        # What others wrote is taken for done, and nothing else.
        found = zarr.open_array(self.world.store(), mode="r")[...]
        np.testing.assert_array_equal(found[2:, 2:], DATA[2:, 2:] + amount)
        return found

    @precondition(lambda self: self.array is not None)
    @rule(number=st.integers(0, 3))
    def overwrite_itself(self, number):
        """A plan that reads what it replaces is refused, however the place is spelt."""
        spellings = self.world.spellings()
        place = spellings[number % len(spellings)]
        try:
            came = run(
                storing(
                    self.world, Adds(1.0), overwrite=True, place=place, source=self.world.place()
                )
            )
        except AsyncexecError as error:
            came = error
        assert isinstance(came, AsyncexecError), came

    # What others do.

    @rule(encoding=ENCODINGS, number=st.integers(1, 9))
    def replace(self, encoding, number):
        """Others make another array there, with zarr-python."""
        more = {"chunks": CHUNKS, "dtype": "f8"} | encoding
        dtype = more.pop("dtype")
        data = (DATA * number).astype(dtype)
        self.world.remove(NAME)
        for name in self.inside:
            del self.others[name]
        self.world.create(data=data, **more)
        self.complete(data)

    @precondition(lambda self: self.array is not None and self.tells)
    @rule(number=st.integers(100, 109))
    def write_into(self, number):
        zarr.open_array(self.world.store(), mode="r+")[:2, :2] = number
        self.array = self.array.copy()
        self.array[:2, :2] = number
        self.touched = True

    @precondition(lambda self: self.array is not None)
    @rule(folder=st.sampled_from(["", "c/", "c/0/", "notes/"]))
    def put_inside(self, folder):
        self.put(f"{NAME}/{folder}{self.fresh('note')}")

    @precondition(lambda self: self.array is not None and not self.unfinished)
    @rule(target=moved)
    def move_away(self):
        name = self.fresh("moved")
        self.world.rename(NAME, name)
        for inside in self.inside:
            self.others[name + inside.removeprefix(NAME)] = self.others.pop(inside)
        self.arrays[name] = self.array
        self.gone()
        return name

    @rule(name=moved)
    def move_back(self, name):
        if name not in self.arrays or not self.free:
            return
        self.world.rename(name, NAME)
        for inside in [n for n in self.others if n.startswith(f"{name}/")]:
            self.others[NAME + inside.removeprefix(name)] = self.others.pop(inside)
        # Whether it is still known as what a run with `resume` has made, the model does not say.
        self.complete(self.arrays.pop(name), resumable="moved")

    @rule()
    def clean(self):
        clean(self.world.work_dir, older_than=0, remove=True)

    def fresh(self, name):
        self.number += 1
        return f"{name}-{self.number}"

    # What must hold.

    @invariant()
    def others_are_as_they_were(self):
        now = self.world.contents()
        assert {name: now.get(name) for name in self.others} == self.others

    @invariant()
    def readers_find_what_must_be_there(self):
        if self.array is None:
            inside = [n for n in self.world.contents() if n.startswith(f"{NAME}/")]
            assert sorted(inside) == sorted(self.inside)
        elif self.unfinished:
            assert isinstance(read(self.world), AsyncexecError)
        else:
            found = zarr.open_array(self.world.store(), mode="r")[...]
            np.testing.assert_array_equal(found, self.array)
            ours = read(self.world)
            assert not isinstance(ours, AsyncexecError), ours
            np.testing.assert_array_equal(ours, self.array)
        for name, array in self.arrays.items():
            np.testing.assert_array_equal(
                zarr.open_array(self.world.store(name), mode="r")[...], array
            )

    @invariant()
    def nothing_is_left(self):
        allowed = ("x.zarr", NAME, *self.arrays)
        for name in self.world.contents():
            assert name in self.others or name.startswith(tuple(f"{a}/" for a in allowed)), name
        if not self.unfinished:
            left = [n for n in self.world.contents() if ".asyncexec" in n or ".new-" in n]
            assert left == []


assert DATA.shape == SHAPE
