"""Places of the demo's input, results and pictures in its work directory."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile

from asyncexec.errors import WorkDirError


@dataclass(frozen=True, slots=True)
class Places:
    """The folders and files of one work directory.

    Attributes
    ----------
    root : Path
    """

    root: Path

    @property
    def input(self) -> Path:
        """The folder of the fields as Zarr arrays."""
        return self.root / "input"

    @property
    def results(self) -> Path:
        """The folder of the Zarr arrays that the plan stores."""
        return self.root / "results"

    @property
    def temporary(self) -> Path:
        """The folder for what lives as long as a run."""
        return self.root / "temporary"

    def field(self, scenario: str) -> Path:
        """Return the path of a scenario's field."""
        return self.input / f"{scenario}.zarr"

    def result(self, name: str) -> Path:
        """Return the path of a result."""
        return self.results / f"{name}.zarr"

    @property
    def warming_picture(self) -> Path:
        """The picture of mean warming over time."""
        return self.root / "warming.png"

    @property
    def trend_picture(self) -> Path:
        """The map of the difference of trends."""
        return self.root / "trend-difference.png"

    def make(self) -> None:
        """Make the folders, and see that they can be written to.

        Raises
        ------
        WorkDirError
            If they cannot.
        """
        try:
            for folder in (self.input, self.results, self.temporary):
                folder.mkdir(parents=True, exist_ok=True)
            with NamedTemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise WorkDirError(
                f"work_dir {str(self.root)!r} cannot be made or written to ({error.strerror}): "
                f"name another place with --work-dir"
            ) from error

    def remove_temporary(self) -> None:
        """Remove what was for the run only."""
        shutil.rmtree(self.temporary, ignore_errors=True)
