"""The run's own directory: there while it runs, gone when it ends, refused early where it cannot be."""

import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from asyncexec.errors import WorkDirError
from asyncexec.plan.locality import Locality
from asyncexec.plan.workspace import Opening
from asyncexec.storage.places.locations import locate
from asyncexec.storage.workspace.work_dir import make_work_place

CANARY = "canary-1c44"


def opening(**changes):
    return Opening(
        **({"plan": "p", "fingerprint": "ab" * 32, "execution": "mean of/x #1"} | changes)
    )


def test_is_made_under_work_dir_and_removed(tmp_path):
    place = make_work_place(tmp_path / "new/work", None, opening())
    path = place.location.local_path
    assert path.parent == tmp_path / "new/work"
    assert path.name.startswith("asyncexec-mean-of-x-1-")
    assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert list(path.iterdir()) == []
    (path / "a").mkdir()
    (path / "a/b").write_text("x")
    place.remove()
    assert not path.exists()
    place.remove()


def test_two_runs_of_one_name_have_two_directories(tmp_path):
    assert make_work_place(tmp_path, None, opening()) != make_work_place(tmp_path, None, opening())


def test_is_among_the_temporary_files_by_default(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert make_work_place(None, None, opening()).location.local_path.parent == tmp_path


def test_a_run_that_resumes_finds_the_same_one(tmp_path):
    first = make_work_place(tmp_path, None, opening(resume=True))
    first.release()
    again = make_work_place(tmp_path, None, opening(resume=True, execution="another"))
    again.release()
    assert (first.found, again.found) == (False, True)
    assert first.location == again.location
    other = make_work_place(tmp_path, None, opening(resume=True, fingerprint="cd" * 32))
    other.release()
    assert other.location != first.location


def test_two_runs_that_resume_the_same_plan_keep_out_of_each_others_way(tmp_path):
    place = make_work_place(tmp_path, None, opening(resume=True))
    with pytest.raises(WorkDirError, match="another run of the same plan"):
        make_work_place(tmp_path, None, opening(resume=True))
    place.release()
    make_work_place(tmp_path, None, opening(resume=True)).release()


def test_the_lock_goes_with_the_process(tmp_path):
    script = f"""
import os, signal
from asyncexec.plan.workspace import Opening
from asyncexec.storage.workspace.work_dir import make_work_place
opening = Opening(plan="p", fingerprint={"ab" * 32!r}, execution="e", resume=True)
place = make_work_place({str(tmp_path)!r}, None, opening)
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False)
    place = make_work_place(tmp_path, None, opening(resume=True))
    assert place.found
    place.release()


@pytest.mark.parametrize("resume", [False, True])
def test_a_place_that_cannot_be_written_is_refused(tmp_path, resume):
    (tmp_path / "file").write_text("")
    for work_dir in (tmp_path / "file", tmp_path / "file/below", "/proc/asyncexec"):
        with pytest.raises(
            WorkDirError, match=r"work_dir .* cannot be written: .*Give another work_dir"
        ):
            make_work_place(work_dir, None, opening(resume=resume))


def test_a_disk_that_takes_no_file_is_refused(tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(WorkDirError, match="No space left"):
        make_work_place(tmp_path, None, opening())
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_somebody_else_made_is_refused(tmp_path):
    (tmp_path / f"asyncexec-{'ab' * 16}").symlink_to(tmp_path)
    with pytest.raises(WorkDirError):
        make_work_place(tmp_path, None, opening(resume=True))


def test_a_work_dir_in_memory_serves_only_workers_in_this_process():
    place = make_work_place("memory://work", None, opening(locality=Locality.SAME_PROCESS))
    assert not place.found
    with pytest.raises(WorkDirError, match="in this process's memory"):
        make_work_place("memory://work", None, opening())
    again = make_work_place(
        "memory://work", None, opening(locality=Locality.SAME_PROCESS, resume=True)
    )
    assert not again.found
    assert make_work_place(
        "memory://work", None, opening(locality=Locality.SAME_PROCESS, resume=True)
    ).found
    place.remove()
    again.remove()
    assert not make_work_place(
        "memory://work", None, opening(locality=Locality.SAME_PROCESS, resume=True)
    ).found


def test_run_scoped_places_are_bound_into_it(tmp_path):
    place = make_work_place(tmp_path, None, opening())
    bound = place.bind(locate("run://stage-3"))
    assert bound.local_path == place.location.local_path / "stage-3"
    assert place.bind(locate("/data/x")).url == "/data/x"


def test_an_unreachable_bucket_is_refused_without_telling_secrets():
    options = {
        "endpoint": "http://127.0.0.1:9",
        "access_key_id": CANARY,
        "secret_access_key": CANARY,
        "client_options": {"allow_http": True, "timeout": "1s"},
        "retry_config": {"max_retries": 0},
    }
    with pytest.raises(WorkDirError, match="s3://bucket/work cannot be written") as caught:
        make_work_place("s3://bucket/work", options, opening())
    assert CANARY not in str(caught.value)
