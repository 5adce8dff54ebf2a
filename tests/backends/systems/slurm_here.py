"""A SLURM cluster of one node on this machine: munge, the controller and the node's daemon, without systemd.

    with SlurmHere() as slurm:      # SLURM_CONF is set inside
        ...

or, to look around by hand: `python tests/backends/systems/slurm_here.py`, which runs until it is interrupted.
Everything it writes is in one temporary folder. The node claims more processors than the machine has, so that
jobs meet.
"""

import getpass
import os
import platform
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

from asyncexec.testing.patience import scaled

PATIENCE = 60.0
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo")

CONF = """\
ClusterName=here
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
CommunicationParameters=NoAddrCache
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=500
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=2
SlurmdParameters=config_overrides
MaxArraySize=2000
MinJobAge=30
ReturnToService=2
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName=here NodeHostname={host} NodeAddr=127.0.0.1 Port={node_port} CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=short Nodes=here Default=YES MaxTime=60 State=UP
PartitionName=long Nodes=here Default=NO MaxTime=INFINITE State=UP
"""


def lacking() -> str:
    """What is not installed here, or an empty string."""
    return ", ".join(name for name in PROGRAMS if found(name) is None)


def found(program: str) -> str | None:
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


class SlurmHere:
    """The cluster, as a context manager."""

    def __init__(self, *, cpus: int = 8, memory: int = 8_000) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        self.conf = self.folder / "slurm.conf"
        self._cpus, self._memory = cpus, memory
        self._daemons: list[subprocess.Popen[bytes]] = []
        self._conf_before = os.environ.get("SLURM_CONF")

    def __enter__(self) -> Self:
        if missing := lacking():
            raise RuntimeError(f"no {missing} here: apt-get install slurm-wlm munge")
        try:
            self._write()
            self._start()
            self._wait()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _write(self) -> None:
        self.folder.chmod(0o755)
        for name in ("state", "spool"):
            (self.folder / name).mkdir(mode=0o755)
        key = self.folder / "munge.key"
        key.touch(mode=0o600)
        key.write_bytes(os.urandom(128))
        text = CONF.format(
            host=platform.node().partition(".")[0],
            controller_port=free_port(),
            node_port=free_port(),
            user=getpass.getuser(),
            folder=self.folder,
            cpus=self._cpus,
            memory=self._memory,
        )
        self.conf.write_text(text)
        os.environ["SLURM_CONF"] = str(self.conf)

    def _start(self) -> None:
        here = self.folder
        files = {"socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        munge = [f"--{option}={here}/munge.{end}" for option, end in files.items()]
        self._run("munged", "--foreground", "--force", f"--key-file={here}/munge.key", *munge)
        self._until((here / "munge.socket").exists, "munged")
        self._run("slurmctld", "-D", "-c", "-f", str(self.conf))
        self._run("slurmd", "-D", "-N", "here", "-f", str(self.conf))

    def _run(self, program: str, *arguments: str) -> None:
        with (self.folder / f"{program}.out").open("wb") as output:
            command = [found(program) or program, *arguments]
            self._daemons.append(
                subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            )

    def _wait(self) -> None:
        def idle() -> bool:
            told = subprocess.run(
                ["sinfo", "--noheader", "--format=%T"], capture_output=True, text=True, check=False
            )
            return "idle" in told.stdout

        self._until(idle, "an idle node")

    def _until(self, holds, what: str) -> None:
        deadline = time.monotonic() + scaled(PATIENCE)
        while not holds():
            dead = [str(d.args) for d in self._daemons if d.poll() is not None]
            if dead or time.monotonic() > deadline:
                raise RuntimeError(f"SLURM: no {what}; ended: {dead}\n{self.logs()}")
            time.sleep(0.05)

    def logs(self) -> str:
        """The end of what the daemons said."""
        told = [f"== {f.name}\n{f.read_text(errors='replace')[-2_000:]}" for f in self._told()]
        return "\n".join(told)

    def _told(self) -> list[Path]:
        return sorted([*self.folder.glob("*.log"), *self.folder.glob("*.out")])

    def _stop(self) -> None:
        for daemon in reversed(self._daemons):
            if daemon.poll() is None:
                daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(timeout=10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._daemons.clear()
        if self._conf_before is None:
            os.environ.pop("SLURM_CONF", None)
        else:
            os.environ["SLURM_CONF"] = self._conf_before
        shutil.rmtree(self.folder, ignore_errors=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    with SlurmHere() as slurm:
        print(f"export SLURM_CONF={slurm.conf}", flush=True)
        with suppress(KeyboardInterrupt):
            signal.pause()
