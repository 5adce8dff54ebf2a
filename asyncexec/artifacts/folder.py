"""One folder of a file system, as fsspec opens it: its files by name, written whole, and errors without secrets."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from asyncexec.artifacts.atomic_file import AtomicFile
from asyncexec.errors import (
    ArtifactNotFoundError,
    AsyncexecError,
    MissingExtraError,
    OptionError,
    StorageError,
)
from asyncexec.storage.places.options import StorageOptions, shown

if TYPE_CHECKING:
    from asyncexec.artifacts.settings import ArtifactStorage


class Folder:
    """A folder of a file system; it can be pickled, and opens the file system when it is first used.

    Parameters
    ----------
    storage : ArtifactStorage
    path : str
        Inside ``base_path``.
    """

    def __init__(self, storage: ArtifactStorage, path: str) -> None:
        self.storage = storage
        base = storage.base_path or ""
        self.path = f"{base.rstrip('/')}/{path}" if base else path

    def inside(self, name: str) -> Folder:
        """Return a folder in this one."""
        found = Folder(self.storage, "")
        found.path = f"{self.path}/{name}"
        return found

    @property
    def uri(self) -> str:
        """The place as a URL, without secrets."""
        return shown(f"{self.storage.protocol}://{self.path}")

    @property
    def is_local(self) -> bool:
        """True for a folder of this machine."""
        return self.storage.protocol in {"file", "local"}

    @cached_property
    def system(self) -> Any:
        """The file system."""
        try:
            import fsspec  # noqa: PLC0415 - it may not be installed
        except ImportError as error:
            raise MissingExtraError.of("an artifact", "fsspec", extra="artifacts") from error
        protocol = self.storage.protocol
        options = dict(self.storage.parameters or {})
        if protocol not in fsspec.available_protocols():
            known = ", ".join(sorted(fsspec.available_protocols()))
            raise OptionError(f"there is no file system {protocol!r}: protocol is one of {known}")
        with self._described("cannot be opened"):
            try:
                return fsspec.filesystem(protocol, **options)
            except ImportError as error:
                raise MissingExtraError(
                    f"{self.uri} needs a package that is not installed: {error}"
                ) from error

    def exists(self) -> bool:
        """Return whether the folder is there, or a file in it."""
        with self._described("cannot be read"):
            self.system.invalidate_cache()
            return bool(self.system.exists(self.path))

    def make(self) -> None:
        """Make the folder, where the file system has any; FileExistsError if it is there."""
        with self._described("cannot be made"):
            self.system.makedirs(self.path, exist_ok=False)

    def names(self) -> list[str]:
        """Return the names of what is in it, files and folders, without those of unfinished files."""
        with self._described("cannot be listed"):
            self.system.invalidate_cache()
            try:
                found = self.system.ls(self.path, detail=False)
            except FileNotFoundError:
                return []
        # Object stores list the folder itself where somebody has marked it.
        own = self.path.strip("/")
        paths = [str(path).rstrip("/") for path in found]
        names = {path.rsplit("/", 1)[-1] for path in paths if not path.endswith(own)}
        return sorted(name for name in names if not name.endswith(".partial"))

    def has(self, name: str) -> bool:
        """Return whether there is a file of that name."""
        with self._described("cannot be read"):
            self.system.invalidate_cache()
            return bool(self.system.isfile(f"{self.path}/{name}"))

    @contextmanager
    def reading(self, name: str, mode: str = "rb") -> Generator[IO[Any]]:
        """Open a file to read it."""
        with self._described(f"cannot be read ({name})"):
            try:
                file = self.system.open(f"{self.path}/{name}", mode)
            except FileNotFoundError:
                raise ArtifactNotFoundError(f"there is no file {name!r} in {self.uri}") from None
        with file:
            yield file

    def read(self, name: str) -> bytes:
        """Return the bytes of a file."""
        with self.reading(name) as file:
            data: bytes = file.read()
            return data

    def writing(self, name: str, place: Callable[[str, Path], None] | None = None) -> AtomicFile:
        """Open a file to write it; ``place`` is called instead of putting it where it belongs."""
        directory: str | None = None
        if self.is_local:
            Path(self.path).mkdir(parents=True, exist_ok=True)
            directory = self.path
        return AtomicFile(partial(place or self.put_in_place, name), directory)

    def put_in_place(self, name: str, finished: Path) -> None:
        """Put a finished file of this machine where it belongs, at once."""
        with self._described(f"cannot be written ({name})"):
            if not self.is_local:
                self.system.put_file(str(finished), f"{self.path}/{name}")
            elif finished.parent == Path(self.path):
                finished.replace(f"{self.path}/{name}")
            else:
                shutil.move(finished, f"{self.path}/{name}")

    def remove(self, name: str) -> None:
        """Remove a file; one that is gone already is as good as removed."""
        with self._described(f"cannot be removed ({name})"):
            try:
                self.system.rm(f"{self.path}/{name}", recursive=True)
            except FileNotFoundError:
                return

    def remove_all(self) -> None:
        """Remove the folder, with all that is in it."""
        with self._described("cannot be removed"):
            try:
                self.system.rm(self.path, recursive=True)
            except FileNotFoundError:
                return

    @contextmanager
    def _described(self, what: str) -> Generator[None]:
        """Say of errors of the file system where they arose, and hide its parameters in them."""
        try:
            yield
        except AsyncexecError:
            raise
        except (FileNotFoundError, FileExistsError):
            raise
        except Exception as error:  # noqa: BLE001 - each file system raises errors of its own; all become ours
            options = StorageOptions(self.storage.parameters)
            message = options.hide_in(str(error))
            raised = StorageError(f"{self.uri} {what}: {type(error).__name__}: {message}")
            raised.errno = error.errno if isinstance(error, OSError) else None
            raise raised from None

    def __repr__(self) -> str:
        return f"Folder({self.uri!r})"

    def __reduce__(self) -> tuple[Callable[..., Folder], tuple[ArtifactStorage, str]]:
        return _folder_at, (self.storage, self.path)


def _folder_at(storage: ArtifactStorage, path: str) -> Folder:
    found = Folder(storage, "")
    found.path = path
    return found
