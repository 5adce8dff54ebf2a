"""``asyncexec lambda package``: what is in the archive, and what is said."""

import os
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from asyncexec.backends.aws_lambda.package import contents
from asyncexec.backends.aws_lambda.package.archive import check_size, files_in, write_archive
from asyncexec.backends.aws_lambda.package.build import deployment_commands
from asyncexec.backends.aws_lambda.package.contents import Platform, lay_out, requirements_of
from asyncexec.cli import main
from asyncexec.errors import ConfigurationError
from asyncexec.testing.patience import scaled

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


@pytest.fixture
def folder(tmp_path):
    """What might be laid out."""
    root = tmp_path / "contents"
    for name in ("b/module.py", "a/__init__.py", "a/__pycache__/x.pyc", "bin/tool", "a/lib.so"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (root / "a/lib.so").chmod(0o700)
    return root


@pytest.fixture
def installs(monkeypatch):
    """Nothing is installed; what would be is noted, and answered."""
    commands, answer = [], subprocess.CompletedProcess([], 0, "", "")

    def run(command, **_options):
        commands.append(command)
        return answer

    monkeypatch.setattr(contents.subprocess, "run", run)
    commands.append(answer)
    return commands


def test_the_archive_holds_what_runs_and_can_be_read_by_lambda(folder, tmp_path):
    write_archive(folder, tmp_path / "x.zip")
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        modes = {e.filename: e.external_attr >> 16 for e in archive.infolist()}
        assert archive.read("b/module.py") == b"b/module.py"
    assert modes == {"a/__init__.py": 0o644, "a/lib.so": 0o755, "b/module.py": 0o644}
    assert list(modes) == sorted(modes)


def test_the_same_content_makes_the_same_bytes(folder, tmp_path):
    write_archive(folder, tmp_path / "one.zip")
    for path in files_in(folder):
        os.utime(path, (1e9, 1e9))
    (folder / "b/module.py").chmod(0o600)
    write_archive(folder, tmp_path / "two.zip")
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_an_archive_that_cannot_be_written_leaves_nothing(folder, tmp_path):
    (tmp_path / "taken").mkdir()
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_archive(folder, tmp_path / "taken")
    assert not (tmp_path / "taken.part").exists()
    with pytest.raises(ConfigurationError, match="cannot be written"):
        write_archive(folder, tmp_path / "nowhere" / "x.zip")


def test_what_is_too_large_is_refused_and_says_what_is_large(folder):
    assert check_size(folder, 1000) == sum(p.stat().st_size for p in files_in(folder))
    with pytest.raises(ConfigurationError, match=r"a \(21 B\), b \(11 B\).*container image"):
        check_size(folder, 20)


def test_what_the_package_needs_is_known_and_extras_lead_to_extras():
    core = requirements_of(())
    assert any(text.startswith("numpy") for text in core)
    assert not any("extra" in text for text in core)
    assert any(text.startswith("obstore") for text in requirements_of(["s3"]))
    assert set(requirements_of(["s3"])) < set(requirements_of(["test"]))
    with pytest.raises(ConfigurationError, match="no extra 's4'"):
        requirements_of(["s4"])


def test_packages_come_as_wheels_for_the_target_in_the_versions_installed_here(installs, tmp_path):
    folder = tmp_path / "contents"
    folder.mkdir()
    target = Platform(python="3.12", machine="aarch64")
    lay_out(folder, target, packages=["tool==2"])
    command = installs[1]
    assert "tool==2" in command
    assert "manylinux2014_aarch64" in command
    assert command[command.index("--python-version") + 1] == "3.12"
    assert "--only-binary=:all:" in command
    pins = Path(command[command.index("--constraint") + 1]).read_text().split()
    assert f"numpy=={metadata.version('numpy')}" in pins
    assert not any(pin.startswith("asyncexec==") for pin in pins)
    assert (folder / "asyncexec/backends/aws_lambda/worker_side.py").exists()
    assert not list(folder.rglob("__pycache__"))


def test_packages_that_cannot_be_had_are_said(installs, tmp_path):
    installs[0].returncode, installs[0].stderr = 1, "ERROR: No matching distribution for tool"
    folder = tmp_path / "contents"
    folder.mkdir()
    with pytest.raises(ConfigurationError, match=r"No matching distribution[\s\S]*--latest"):
        lay_out(folder, Platform(python="3.12", machine="x86_64"))


def test_the_command_writes_the_archive_and_says_how_to_deploy_it(installs, tmp_path, capsys):
    path = tmp_path / "an archive.zip"
    assert main(["lambda", "package", "-o", str(path), "-f", "mine", "--memory", "3008"]) == 0
    out = capsys.readouterr().out
    assert zipfile.is_zipfile(path)
    for text in (
        "aws lambda create-function",
        "--function-name mine",
        f"--runtime python{HERE}",
        "--memory-size 3008",
        "--handler asyncexec.backends.aws_lambda.worker_side.handler",
        f"'fileb://{path}'",
        "aws lambda update-function-code",
    ):
        assert text in out


def test_what_is_too_large_to_upload_goes_through_a_bucket(tmp_path):
    told = deployment_commands({"--function-name": "f"}, tmp_path / "x.zip", 60 * 2**20)
    assert "aws s3 cp" in told
    assert "--code S3Bucket=BUCKET,S3Key=x.zip" in told
    assert "--s3-bucket BUCKET --s3-key x.zip" in told


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["--python", "three"], "3.12"),
        (["--arch", "sparc"], "arm64"),
        (["--memory", "1"], "128"),
        (["--extra", "s4"], "no extra 's4'"),
    ],
    ids=" ".join,
)
def test_what_cannot_be_is_refused_in_a_sentence(arguments, told, installs, tmp_path, capsys):
    assert main(["lambda", "package", "-o", str(tmp_path / "x.zip"), *arguments]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert "Traceback" not in said
    assert not (tmp_path / "x.zip").exists()


@pytest.mark.slow
def test_a_real_archive_runs_tasks_and_nothing_else_is_needed(tmp_path):
    path, unpacked = tmp_path / "x.zip", tmp_path / "unpacked"
    assert main(["lambda", "package", "-o", str(path)]) == 0
    with zipfile.ZipFile(path) as archive:
        archive.extractall(unpacked)
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from asyncexec.worker.remote_batch import RemoteBatch
from asyncexec.backends.aws_lambda.worker_side import handler
from asyncexec.backends.contract import Job
from asyncexec.backends.aws_lambda.envelope import Request, encode_request, pack_call
from asyncexec.worker.programs import LoadedProgram
import cloudpickle, json, numpy, zarr
blob = cloudpickle.dumps(LoadedProgram(lambda index: int(numpy.arange(5).sum()), None, (10,)))
event = encode_request(Request(pack_call(RemoteBatch(b"k", blob, [Job(1, 0)])), None))
class Context:
    get_remaining_time_in_millis = staticmethod(lambda: 1000)
assert "outcomes" in handler(json.loads(event), Context())
assert all(m.__file__.startswith(sys.argv[1]) for m in (numpy, zarr, cloudpickle))
"""
    # -S: without this environment's packages.
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", code, str(unpacked)],
        check=True,
        timeout=scaled(120),
        cwd=tmp_path,
    )
