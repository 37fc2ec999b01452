"""A Slurm of one node on this machine, with two fake GPUs and without accounting. Needs root and Debian's packages."""

import os
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

from workflow.conftest import MINI, Checkout

T = TypeVar("T")

ENVIRONMENT = os.environ | {"PATH": os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])}
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")
CONFIG = """
ClusterName=tagseg
SlurmctldHost={host}(127.0.0.1)
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
SlurmctldPort={controller}
SlurmdPort={node}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
TaskProlog={folder}/note.sh
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=1,defer_batch=no
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobCompType=jobcomp/none
MinJobAge=3600
KillWait=10
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 RealMemory=16000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

NOTE = """#!/bin/sh
echo "$SLURM_JOB_ID ${{CUDA_VISIBLE_DEVICES-none}}" >> {folder}/gpus.txt
"""
"""Writes the GPUs that each job sees."""


def missing() -> str | None:
    """Return why Slurm cannot be started here, or None."""
    if os.geteuid():
        return "starting Slurm requires root"
    if not find_spec("snakemake_executor_plugin_slurm"):
        return "not installed: snakemake-executor-plugin-slurm"
    absent = [name for name in PROGRAMS if not shutil.which(name, path=ENVIRONMENT["PATH"])]
    return f"not installed: {', '.join(absent)} (Debian: slurmctld, slurmd, slurm-client, munge)" if absent else None


@contextmanager
def running(folder: Path) -> Iterator[None]:
    """Run the daemons in a folder during a block; `configured` commands find them."""
    for name in ("state", "spool"):
        (folder / name).mkdir()
    folder.chmod(0o755)
    config = CONFIG.format(folder=folder, host=socket.gethostname(), controller=free_port(), node=free_port())
    (folder / "slurm.conf").write_text(config)
    (folder / "note.sh").write_text(NOTE.format(folder=folder))
    (folder / "note.sh").chmod(0o755)
    devices = [make_device(folder / f"gpu{number}") for number in (0, 1)]
    (folder / "gres.conf").write_text("".join(f"Name=gpu File={device}\n" for device in devices))
    (folder / "cgroup.conf").write_text("")
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    files = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munge.pid", "log-file": "munge.log",
             "seed-file": "munge.seed"}  # fmt: skip
    flags = [f"--{name}={folder / file}" for name, file in files.items()]
    with ExitStack() as daemons:
        for command in (["munged", "-F", "-f", *flags], ["slurmctld", "-D", "-i"], ["slurmd", "-D"]):
            daemons.enter_context(daemon(command, folder))
            time.sleep(1)
        wait_for_node(folder)
        yield


def configured(folder: Path, *command: str | Path) -> list[str | Path]:
    """Return a command that sees `folder` as /etc/slurm, where the jobs of Slurm's plugin look for slurm.conf."""
    return ["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/slurm && exec "$@"', folder, *command]


def make_device(path: Path) -> Path:
    os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 3))  # that of /dev/null
    return path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def daemon(command: list[str], folder: Path) -> Iterator[None]:
    with open(folder / f"{command[0]}.out", "w") as log:
        process = subprocess.Popen(configured(folder, *command), env=ENVIRONMENT, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for_node(folder: Path) -> None:
    command = configured(folder, "sinfo", "-h", "-o", "%T")
    for _ in range(60):
        states = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
        if states.stdout.strip() == "idle":
            return
        time.sleep(1)
    raise RuntimeError(f"the node is not idle: {states.stdout}{states.stderr}")


class Cluster:
    """A Slurm of one node, and Snakemake with our profile on it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.environment = folder, ENVIRONMENT | {"OMP_NUM_THREADS": "1"}

    def start(self, checkout: Checkout, output: Path, *arguments: str, config: dict | None = None) -> subprocess.Popen:
        files = [MINI, *([str(checkout._write(config))] if config else [])]
        size = ["--cores", "2", "--resources", "gpu=2", "mem_mb=8000"]
        fast = ["--slurm-init-seconds-before-status-checks", "2", "--latency-wait", "10"]
        profile = ["--workflow-profile", "profiles/slurm", *size, *fast, "--configfile", *files]
        with open(output, "w", encoding="utf-8") as stream:
            return subprocess.Popen(
                configured(self.folder, sys.executable, "-m", "snakemake", *profile, *arguments),
                cwd=checkout.folder, env=self.environment, stdout=stream, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def scontrol(self, *arguments: str) -> str:
        command = configured(self.folder, "scontrol", *arguments)
        return subprocess.run(command, env=self.environment, check=True, capture_output=True, text=True).stdout

    def gpus(self) -> dict[str, str]:
        """Return the GPUs that each job saw in all its steps, by its number: "none", "0", "0,1"."""
        seen: dict[str, set[str]] = {}
        for line in (self.folder / "gpus.txt").read_text().splitlines():
            number, devices = line.split()
            seen.setdefault(number, set()).update(devices.split(","))
        return {number: ",".join(sorted(devices - {"none"})) or "none" for number, devices in seen.items()}


def wait_for(condition: Callable[[], T], run: subprocess.Popen) -> T:
    """Return what a condition returns as soon as it is true. `run` must not end before."""
    while not (found := condition()):
        assert run.poll() is None
        time.sleep(0.1)
    return found
