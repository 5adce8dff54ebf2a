"""An artifact: a named set of files, with metadata, in a namespace."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from asyncexec.artifacts.atomic_file import AtomicFile, AtomicText
from asyncexec.artifacts.folder import Folder
from asyncexec.errors import ArtifactNotFoundError, OptionError, SerializationError, StorageError

METADATA = ".artifact.json"
ROOT = "artifacts"
_NAME = re.compile(r"[A-Za-z0-9_\-]+")
_NAMESPACE = re.compile(r"[A-Za-z0-9_\-][A-Za-z0-9_\-.]*")
_FILE = re.compile(r"[^/\\\x00-\x1f]+")


def checked_artifact_name(name: str, what: str = "an artifact's name") -> str:
    """Return a name; raises OptionError for one that is no name in every file system."""
    pattern = _NAMESPACE if what == "namespace" else _NAME
    given: object = name
    if not isinstance(given, str) or pattern.fullmatch(given) is None or len(given) > 200:
        raise OptionError(
            f"{what} is made of up to 200 letters, digits, '_' and '-', not {name!r:.80}"
        )
    return name


class Artifact:
    """A named set of files, with metadata: in ``{base_path}/artifacts/{namespace}/{name}/``.

    Files are written whole or not at all, and metadata are JSON. Made by :func:`~asyncexec.artifacts.get_artifact` and
    :func:`~asyncexec.artifacts.new_artifact`.

    >>> from asyncexec.artifacts import new_artifact
    >>> artifact = new_artifact("scores", base_path="runs")
    >>> _ = artifact.new_file("first.txt", "0.93")
    >>> artifact["unit"] = "1"
    >>> [file.name for file in artifact], artifact.get_file("first.txt").read(), artifact["unit"]
    (['first.txt'], b'0.93', '1')
    >>> with artifact.transaction():
    ...     artifact.clear()
    ...     _ = artifact.new_file("second.txt", "0.95")
    >>> "first.txt" in artifact, "second.txt" in artifact
    (False, True)

    Parameters
    ----------
    name, namespace : str
    root : Folder
        The folder of all artifacts.
    """

    def __init__(self, name: str, namespace: str, root: Folder) -> None:
        self._name = checked_artifact_name(name)
        self._namespace = checked_artifact_name(namespace, "namespace")
        self._folder = root.inside(f"{self._namespace}/{self._name}")
        self._open: _Transaction | None = None

    @property
    def name(self) -> str:
        """The name, unique in the namespace."""
        return self._name

    @property
    def namespace(self) -> str:
        """The namespace."""
        return self._namespace

    @property
    def path(self) -> str:
        """The path in the file system."""
        return self._folder.path

    @property
    def uri(self) -> str:
        """The place as a URL, without secrets."""
        return self._folder.uri

    @property
    def exists(self) -> bool:
        """True if the artifact is there."""
        return self._folder.exists()

    @property
    def is_empty(self) -> bool:
        """True if it has no files."""
        return not self.list_files()

    # Metadata.

    @property
    def metadata(self) -> dict[str, Any]:
        """All metadata, as they are stored now."""
        if self._open is not None and self._open.metadata is not None:
            return dict(self._open.metadata)
        if not self._folder.has(METADATA):
            return {}
        try:
            found = json.loads(self._folder.read(METADATA) or b"{}")
        except ValueError as error:
            raise StorageError(
                f"the metadata of artifact {self.uri} are no JSON: {error}"
            ) from None
        if not isinstance(found, dict):
            raise StorageError(f"the metadata of artifact {self.uri} are no mapping")
        return found

    def get_meta(self, key: str, default: Any = None) -> Any:
        """Return metadata by name."""
        return self.metadata.get(key, default)

    def set_meta(self, key: str, value: Any) -> None:
        """Set metadata by name; the value is anything that JSON has."""
        self._store({**self.metadata, key: value})

    def del_meta(self, key: str) -> None:
        """Remove metadata by name; KeyError if there is nothing of that name."""
        metadata = self.metadata
        del metadata[key]
        self._store(metadata)

    def __getitem__(self, key: str) -> Any:
        return self.metadata[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.set_meta(key, value)

    def __delitem__(self, key: str) -> None:
        self.del_meta(key)

    def _store(self, metadata: Mapping[str, Any]) -> None:
        if self._open is not None:
            _as_json(metadata)
            self._open.metadata = dict(metadata)
            return
        self._check_exists()
        with self._folder.writing(METADATA) as file:
            file.write(_as_json(metadata))

    # Files.

    def list_files(self, *, include_meta: bool = False) -> list[ArtifactFile]:
        """Return the files, by name."""
        self._check_exists()
        names = self._folder.names()
        return [ArtifactFile(self, name) for name in names if include_meta or name != METADATA]

    def get_file(self, filename: str, *, create: bool = False) -> ArtifactFile:
        """Return a file, and make an empty one if it is not there and ``create`` is given.

        Raises
        ------
        ArtifactNotFoundError
            If there is none (a ``FileNotFoundError``).
        """
        if self.has_file(filename):
            return ArtifactFile(self, filename)
        if create:
            return self.new_file(filename, b"")
        self._check_exists()
        raise ArtifactNotFoundError(
            f"artifact {self.uri} has no file {filename!r}: it has "
            f"{', '.join(self._folder.names()) or 'none'}"
        )

    def new_file(
        self, filename: str, content: str | bytes | None = None, *, exist_ok: bool = True
    ) -> ArtifactFile:
        """Return a new file, with this content; without any, one that is there stays as it is.

        Raises
        ------
        FileExistsError
            If it is there, and ``exist_ok`` is False.
        """
        there = self.has_file(filename)
        if there and not exist_ok:
            raise FileExistsError(f"artifact {self.uri} has a file {filename!r} already")
        file = ArtifactFile(self, filename)
        if content is not None or not (there or self._open is not None):
            file.write(content or b"")
        return file

    def has_file(self, filename: str) -> bool:
        """Return whether there is a file of that name."""
        return self._folder.has(_checked_file(filename))

    def delete_file(self, filename: str) -> None:
        """Remove a file; one that is gone already is as good as removed."""
        _changeable(_checked_file(filename))
        if self._open is not None:
            self._open.remove(filename)
        else:
            self._folder.remove(filename)

    def clear(self) -> None:
        """Remove all files and metadata; the artifact stays."""
        for file in self.list_files():
            self.delete_file(file.name)
        self._store({})

    def delete(self) -> None:
        """Remove the artifact; one that is gone already is as good as removed."""
        self._folder.remove_all()

    @contextmanager
    def transaction(self) -> Generator[Artifact]:
        """Hold back what is written and removed in the block until its end; leave out all of it after an exception.

        Each file is put in its place at once, new files first and metadata last. Inside the block files are read as
        they were before.
        """
        if self._open is not None:
            raise OptionError(f"a transaction of artifact {self.uri} is open already")
        self._open = transaction = _Transaction()
        try:
            yield self
            self._open = None
            transaction.commit(self._folder)
        finally:
            self._open = None
            transaction.discard()

    def _check_exists(self) -> None:
        if not self.exists:
            raise ArtifactNotFoundError(f"there is no artifact {self.uri}")

    def reading(self, filename: str, mode: str) -> Any:
        """Return a context in which a file is open to be read."""
        return self._folder.reading(_checked_file(filename), mode)

    def writing(self, filename: str) -> AtomicFile:
        """Return a file that is put in its place when it is closed, or at the end of the transaction."""
        _changeable(_checked_file(filename))
        place = None if self._open is None else self._open.hold
        return self._folder.writing(filename, place)

    def __contains__(self, filename: object) -> bool:
        return isinstance(filename, str) and self.has_file(filename)

    def __iter__(self) -> Iterator[ArtifactFile]:
        return iter(self.list_files())

    def __bool__(self) -> bool:
        return self.exists and not self.is_empty

    def __repr__(self) -> str:
        return f"Artifact({self.uri!r})"


class ArtifactFile:
    """A file of an artifact.

    Parameters
    ----------
    artifact : Artifact
    name : str
    """

    def __init__(self, artifact: Artifact, name: str) -> None:
        self.artifact = artifact
        self.name = _checked_file(name)

    @property
    def path(self) -> str:
        """The path in the file system."""
        return f"{self.artifact.path}/{self.name}"

    @contextmanager
    def open(self, mode: str = "r") -> Generator[IO[Any]]:
        """Open the file: ``"r"``, ``"rb"``, ``"w"``, ``"wb"``, ``"a"`` or ``"ab"``.

        What is written is there when the block has ended, and nothing of it after an exception.
        """
        kind = mode.replace("b", "").replace("t", "")
        if kind == "r":
            with self.artifact.reading(self.name, mode) as file:
                yield file
            return
        if kind not in {"w", "a"}:
            raise OptionError(f"a file of an artifact is opened by 'r', 'w' or 'a', not {mode!r}")
        with self.artifact.writing(self.name) as binary:
            if kind == "a":
                with suppress(ArtifactNotFoundError), self.artifact.reading(self.name, "rb") as old:
                    shutil.copyfileobj(old, binary)
            if "b" in mode:
                yield binary
            else:
                with AtomicText(binary) as text:
                    yield text

    def read(self, size: int = -1, mode: str = "rb") -> Any:
        """Return the content, or ``size`` bytes of it (characters, with mode ``"r"``)."""
        with self.open(mode) as file:
            return file.read(size)

    def write(self, data: str | bytes) -> None:
        """Replace the content."""
        with self.open("wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)

    def remove(self) -> None:
        """Remove the file."""
        self.artifact.delete_file(self.name)

    def __repr__(self) -> str:
        return f"ArtifactFile({self.artifact.uri}/{self.name})"


class _Transaction:
    """The changes of an artifact that are held back."""

    def __init__(self) -> None:
        self.metadata: dict[str, Any] | None = None
        self._files: dict[str, Path] = {}
        self._removed: set[str] = set()

    def hold(self, name: str, finished: Path) -> None:
        """Take a finished file."""
        kept = finished.with_suffix(".held.partial")
        finished.replace(kept)
        if (before := self._files.get(name)) is not None:
            before.unlink(missing_ok=True)
        self._files[name] = kept
        self._removed.discard(name)

    def remove(self, name: str) -> None:
        """Note that a file is to be removed."""
        if (held := self._files.pop(name, None)) is not None:
            held.unlink(missing_ok=True)
        self._removed.add(name)

    def commit(self, folder: Folder) -> None:
        """Make the changes."""
        for name, finished in self._files.items():
            folder.put_in_place(name, finished)
        for name in self._removed:
            folder.remove(name)
        if self.metadata is not None:
            with folder.writing(METADATA) as file:
                file.write(_as_json(self.metadata))

    def discard(self) -> None:
        """Remove what is held."""
        for finished in self._files.values():
            with suppress(OSError):
                finished.unlink(missing_ok=True)


def _changeable(name: str) -> str:
    """Return the name of a file that may be written and removed, which the one of the metadata may not."""
    if name == METADATA:
        raise OptionError(
            f"{METADATA} holds the metadata of an artifact: change them by artifact['key'] = value"
        )
    return name


def _checked_file(name: str) -> str:
    given: object = name
    if (
        not isinstance(given, str)
        or _FILE.fullmatch(name) is None
        or name in {".", ".."}
        or name.endswith(".partial")
        or len(name.encode(errors="replace")) > 200
    ):
        raise OptionError(
            f"the name of an artifact's file is text of up to 200 bytes without '/', not {name!r:.80}"
        )
    return name


def _as_json(metadata: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(metadata, indent=1).encode()
    except (TypeError, ValueError) as error:
        raise SerializationError(f"metadata of artifacts are JSON: {error}") from None
