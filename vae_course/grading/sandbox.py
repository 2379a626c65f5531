"""The sandbox for students' code, and the workers in it, from the outside.

bubblewrap (`bwrap`) gives a worker its own file system (read-only, without the course, the submissions and the
results), its own process namespace, no network, and only harmless system calls. If it does not work, nothing is run
unless the instructor asks for it. Then only limits on time, memory and files apply, and students' code can do anything
that the instructor can.
"""

import contextlib
import errno
import json
import os
import pickle
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path

import psutil

import vae_course
import vae_lessons
from vae_course.grading.system_calls import FilterError, system_call_filter
from vae_course.visible.outcomes import Failure, Kind
from vae_course.visible.protocol import (
    LENGTHS,
    STOP,
    ChildEnded,
    Finished,
    Message,
    ProtocolError,
    Ready,
    Request,
    decode,
)

__all__ = ["Limits", "NoSandbox", "Outcome", "Sandbox", "Worker", "WorkerError"]

PACKAGES = tuple(Path(package.__file__).parent for package in (vae_lessons, vae_course))
VISIBLE = "visible"  # the folder of `vae_course` that students' code may see
FIRST_UID = 61000
SYSTEM = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/alternatives",
    "/etc/localtime",
)
NEEDED_BY_ROOT = ("CAP_SETUID", "CAP_SETGID", "CAP_KILL", "CAP_DAC_OVERRIDE")
SHARED_MEMORY = "/dev/shm"  # files that processes share, as those of multiprocessing do
# the first to be ended if the whole machine runs out of memory; children cannot change that, as /proc is read-only
EXPENDABLE = """import os, sys
try:
    open("/proc/self/oom_score_adj", "w").write("1000")
except OSError:
    pass
os.execv(sys.argv[1], sys.argv[1:])"""
START_SECONDS = 120.0
GRACE = 5.0  # seconds until a worker that does not answer is killed
TIMEOUT = Failure(Kind.TIMEOUT, "It took longer than one task may take.")
TIME_USED_UP = Failure(Kind.TIMEOUT, "The time for the whole submission was used up before or during this task.")
OUT_OF_MEMORY = Failure(Kind.MEMORY, "It took more memory than a submission may take.")


class WorkerError(Exception):
    """No worker could be started. The message says why."""


class NoSandbox(Exception):
    """This machine has no sandbox, and the run was not allowed without one. The message says what to do."""


@dataclass(frozen=True)
class Limits:
    """Limits for one submission.

    Args:
        seconds: time for one cell or one task.
        total_seconds: time for all of them together.
        bytes: memory.
        processes: processes and threads at once.
        file_bytes: size of one file and, under bubblewrap, of all files together.
        answer_bytes: size of the results of one task.
    """

    seconds: float = 10.0
    total_seconds: float = 120.0  # enough for every task of an exercise to time out
    bytes: int = 1 << 30
    processes: int = 64
    file_bytes: int = 32 << 20
    answer_bytes: int = 8 << 20


@dataclass(frozen=True)
class Sandbox:
    """How students' code is isolated from this machine.

    Args:
        bwrap: the path of bubblewrap, or None if it does not work.
        other_user: whether students' code can run as another user, which needs root.
        problem: why bubblewrap does not work, if so.
    """

    bwrap: str | None
    other_user: bool
    problem: str = ""

    @classmethod
    def detect(cls) -> "Sandbox":
        """Find out what works on this machine. Call this once per run: it must work until the end of the run."""
        root = os.geteuid() == 0
        found = shutil.which("bwrap")
        bwrap = found and os.path.abspath(found)
        problem = _try_out(cls(bwrap, root)) if bwrap else "bubblewrap (bwrap) is not installed"
        if not problem:
            return cls(bwrap, root)
        return cls(None, root and readable_by_all(sys.prefix, sys.base_prefix), problem)

    def require(self) -> None:
        """Raise NoSandbox if students' code could harm this machine."""
        if not self.bwrap:
            raise NoSandbox(
                f"nothing was run: {self.problem}, and without it {self.risk()}. Install bubblewrap 0.8 or newer "
                "(`apt install bubblewrap`; more in docs/marking.md), or, on a disposable machine, "
                "add --no-sandbox"
            )

    def risk(self) -> str:
        """What students' code can do without bubblewrap."""
        if self.other_user:
            return "students' code can read what any user can, use the network, and change other submissions' runs"
        user = "root" if os.geteuid() == 0 else "you"
        return (
            f"students' code runs as {user}: it can read, change and delete your files, end all your processes, "
            "including this one, and use the network"
        )

    def report(self) -> dict[str, str]:
        """How students' code is isolated, by aspect."""
        same_user = "the same user" + (", in its own namespace" if self.bwrap else "")
        return {
            "files": "bubblewrap: a read-only system, no course, submissions or results"
            if self.bwrap
            else f"none: {self.problem}",
            "network": "bubblewrap: no access" if self.bwrap else "none",
            "processes": "bubblewrap: only its own are visible"
            if self.bwrap
            else "none; processes left running are ended",
            "user": "a user other than root" if self.other_user else same_user,
            "limits": "time, memory, file size" + (", processes" if self.bwrap or self.other_user else ""),
        }

    def folder(self) -> str:
        """The sandbox's folder that a student's code may write to: `/tmp`, unless Python is installed there."""
        return "/submission" if any(path.is_relative_to("/tmp") for path in self._visible()) else "/tmp"

    def _visible(self):
        return [Path(name) for name in (*SYSTEM, sys.base_prefix, sys.prefix) if os.path.exists(name)]

    def command(self, library: Path, folder: str, hidden: Sequence[Path], calls: int) -> list[str]:
        """The command that starts Python in the sandbox.

        Args:
            library: the folder with the code that students' code may import.
            folder: the folder that it may write to.
            hidden: folders that it must not see.
            calls: the descriptor of the filter of system calls.
        """
        if not self.bwrap:
            return [sys.executable]
        visible = self._visible()
        command = [self.bwrap, "--die-with-parent", "--new-session", "--hostname", "marking", "--as-pid-1"]
        command += ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
        command += ["--seccomp", str(calls)]
        if self.other_user:
            command += ["--cap-drop", "ALL", *[word for cap in NEEDED_BY_ROOT for word in ("--cap-add", cap)]]
        else:
            command += ["--unshare-user", "--disable-userns"]
        for path in dict.fromkeys(visible):
            for parent in reversed(path.parents[:-1]):  # otherwise bubblewrap makes them readable only by root
                command += ["--perms", "0755", "--dir", str(parent)]
            command += ["--ro-bind", str(path), str(path)]
        shown = [path.resolve() for path in visible]
        for path in {path.resolve() for path in hidden if path.is_dir()}:  # if it is inside a visible folder
            if any(map(path.is_relative_to, shown)) and not any(other.is_relative_to(path) for other in shown):
                command += ["--perms", "0700", "--tmpfs", str(path), "--remount-ro", str(path)]
        command += ["--ro-bind", str(library), "/library", "--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev"]
        command += [
            "--perms",
            "0777",
            "--size",
            str(Limits.file_bytes),
            "--tmpfs",
            SHARED_MEMORY,
            "--remount-ro",
            "/dev",
        ]
        for writable, around in ((SHARED_MEMORY, "/dev"), (folder, "/")):
            command += ["--perms", "0777", "--size", str(Limits.file_bytes), "--tmpfs", writable]
            command += ["--remount-ro", around]
        return [*command, "--chdir", "/", "--", sys.executable]


@dataclass(frozen=True)
class Outcome:
    """How a child ended.

    Args:
        failure: why it did not finish its last step, or None.
        seconds: how long it ran.
        bytes: its peak memory, including what it shares with the worker.
    """

    failure: Failure | None
    seconds: float
    bytes: int


class Worker:
    """A process in the sandbox that has imported everything and runs submissions one at a time, each in a child.

    Args:
        number: distinguishes the workers of this process.
        sandbox: the sandbox it runs in.
        hidden: folders that a student's code must not see.
    """

    def __init__(self, number: int, sandbox: Sandbox, hidden: Sequence[Path] = ()):
        self.number, self.sandbox, self.hidden = number, sandbox, tuple(hidden)
        self.process, self.control, self.home = None, None, None
        self.retired = False

    def start(self) -> None:
        """Start the process and wait until it has imported everything."""
        self.close()
        if self.retired:
            raise WorkerError("marking was stopped")
        self.home = tempfile.TemporaryDirectory(prefix="vae-lessons-", ignore_cleanup_errors=True)
        home = Path(self.home.name)
        home.chmod(0o755)
        library, folder = home / "library", self.sandbox.folder() if self.sandbox.bwrap else str(home / "files")
        copy_visible(library)
        self.at_rest = 0
        if not self.sandbox.bwrap:
            os.mkdir(folder)
            os.chmod(folder, 0o777)
        self.log = open(home / "log", "w+b")  # noqa: SIM115
        self._launch(library, folder)
        started = time.monotonic()
        if not isinstance(self._read(START_SECONDS), Ready):
            if time.monotonic() - started > START_SECONDS:
                self.close()
                raise WorkerError(
                    f"the marking process did not start within {START_SECONDS:.0f} s: is the machine busy?"
                )
            self.log.seek(0)
            lines = self.log.read().decode("utf-8", "replace").strip().splitlines()
            self.close()
            raise WorkerError(f"the marking process did not start: {lines[-1] if lines else 'it gave no reason'}")
        for source in library.rglob("*.py"):  # it is in memory now, so that students' code cannot read it; data stay
            source.unlink()
        self.at_rest = self._memory()

    def _launch(self, library, folder):
        self.control, theirs = socket.socketpair()
        settings = {
            "control": theirs.fileno(),
            "folders": [folder, SHARED_MEMORY] if self.sandbox.bwrap else [folder],
            "namespace": bool(self.sandbox.bwrap),
            "uid": FIRST_UID + self.number if self.sandbox.other_user else None,
        }
        try:
            with system_call_filter() if self.sandbox.bwrap else contextlib.nullcontext(self.log) as calls:
                command = self.sandbox.command(library, folder, self.hidden, calls.fileno())
                command += ["-m", "vae_course.visible.worker", json.dumps(settings)]
                self.process = subprocess.Popen(
                    [sys.executable, "-I", "-S", "-c", EXPENDABLE, *command],
                    pass_fds=[theirs.fileno(), calls.fileno()],
                    env=environment("/library" if self.sandbox.bwrap else str(library), folder),
                    cwd="/",
                    stdin=subprocess.DEVNULL,
                    stdout=self.log,
                    stderr=self.log,
                    start_new_session=True,
                )
        except (OSError, FilterError) as error:
            self.close()
            raise WorkerError(f"the marking process did not start: {error}") from error
        finally:
            theirs.close()

    def run(self, request: Request, limits: Limits, on_message: Callable[[Message], None]) -> Outcome:
        """Run the steps of one submission in a child.

        Args:
            request: what to run; its limits are set from `limits`.
            limits: limits for the submission.
            on_message: called with each message from the child, which must not be trusted.
        """
        if self.process is None or self.process.poll() is not None:
            self.start()
        ours, theirs = os.pipe()
        try:
            with tempfile.TemporaryFile() as file, os.fdopen(theirs, "wb") as out:
                pickle.dump(replace(request, limits=asdict(limits)), file)
                file.seek(0)
                self._send([file.fileno(), out.fileno()])
            failure, finished = self._listen(ours, limits, on_message, 3 * len(request.steps) + 8)
        except OSError:  # the worker is gone
            failure, finished = None, False
        finally:
            os.close(ours)
        if failure is not None:
            with contextlib.suppress(OSError):
                self.control.sendall(STOP)
        ended = self._read(GRACE)
        if not isinstance(ended, ChildEnded):
            self.close()
            ended = None
        if failure is None and not finished:
            failure = failure_from(ended and ended.exit_code)
        if finished:
            failure = None
        return Outcome(failure, ended.seconds, ended.bytes) if ended else Outcome(failure, limits.seconds, 0)

    def _send(self, descriptors):
        """Send descriptors to the worker. The kernel may refuse until it has cleared away those of an earlier child."""
        end = time.monotonic() + GRACE
        while True:
            try:
                socket.send_fds(self.control, [b"r"], descriptors)
                return
            except OSError as error:
                if error.errno != errno.ETOOMANYREFS or time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def _listen(self, pipe, limits, on_message, max_messages):
        """Pass on messages until the child closes its pipe. Returns why to kill it, if so, and whether it finished."""
        start = time.monotonic()
        end = start + limits.total_seconds
        deadline, next_check = min(end, start + limits.seconds), start + 0.25
        messages, finished, buffer = 0, False, bytearray()
        while not self.retired:
            late = time.monotonic() > deadline  # looked up before the pipe, so that no message is missed
            if select.select([pipe], [], [], 0 if late else 0.1)[0]:
                chunk = os.read(pipe, 1 << 20)
                if not chunk:
                    return None, finished
                buffer += chunk
                try:
                    for message in decode(buffer, limits.answer_bytes):
                        messages += 1
                        finished = finished or isinstance(message, Finished)
                        deadline = min(end, time.monotonic() + (1 if finished else limits.seconds))
                        on_message(message)
                        late = False
                except ProtocolError:
                    return _crashed("invalid data was sent"), finished
                if messages > max_messages:
                    return _crashed("too much data was sent"), finished
            now = time.monotonic()
            if late:
                return TIME_USED_UP if now > end else TIMEOUT, finished
            if now > next_check:
                next_check = now + 0.25
                if self._memory() > limits.bytes:
                    return OUT_OF_MEMORY, finished
        return _crashed("marking was stopped"), finished

    def _read(self, seconds):
        """One message from the worker, or None."""
        deadline, buffer = time.monotonic() + seconds, bytearray()
        while time.monotonic() < deadline:
            if not select.select([self.control], [], [], 0.05)[0]:
                if self.process.poll() is not None:
                    break
                continue
            whole = LENGTHS.size + (sum(LENGTHS.unpack(buffer[: LENGTHS.size])) if len(buffer) >= LENGTHS.size else 0)
            chunk = self.control.recv(min(whole - len(buffer), 1 << 16))
            if not chunk:
                break
            buffer += chunk
            try:
                for message in decode(buffer, 1 << 16):
                    return message
            except ProtocolError:
                break
        return None

    def _memory(self):
        """Memory of the worker and all its descendants in bytes, without files, beyond that of the worker at rest."""
        total, sockets = 0, set()
        for process in (self.process.pid, *[process.pid for process in self._descendants()]):
            with contextlib.suppress(psutil.Error, OSError):
                total += memory_of(process)
                sockets |= sockets_of(process)
        return total + bytes_of_a_socket() * len(sockets) - self.at_rest

    def retire(self) -> None:
        """Kill the process, even if another thread is waiting for it, and start no other."""
        self.retired = True
        for process in (*self._descendants(), self.process):
            with contextlib.suppress(psutil.Error, OSError, AttributeError):
                process.kill()

    def close(self) -> None:
        """Kill the process and everything in it."""
        if self.process is not None:
            for process in (*self._descendants(), self.process):
                with contextlib.suppress(psutil.Error, OSError):
                    process.kill()
            self.process.wait()
        if self.home is not None:
            self.log.close()
            self.home.cleanup()
        if self.control is not None:
            self.control.close()
        self.process, self.control, self.home = None, None, None

    def _descendants(self):
        try:
            return psutil.Process(self.process.pid).children(recursive=True) if self.process else []
        except psutil.Error:
            return []


def _try_out(sandbox):
    """Start Python in the sandbox as for a worker. Returns why that fails, or an empty string."""
    program = "import os, sys; sys.exit(0 if os.getpid() == 1 else 'it gives no process namespace of its own')"
    try:
        with system_call_filter() as calls:
            command = sandbox.command(PACKAGES[0], sandbox.folder(), (), calls.fileno())
            command += ["-I", "-S", "-c", program]
            done = subprocess.run(command, capture_output=True, timeout=20, pass_fds=[calls.fileno()])
    except FilterError as error:
        return str(error)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not work here ({error})"
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
    reason = lines[-1] if lines else "it gives no reason"
    return f"bubblewrap does not work here ({reason})" if done.returncode else ""


def _crashed(reason):
    return Failure(Kind.CRASHED, f"The answer crashed: {reason}.")


def failure_from(exit_code: int | None) -> Failure:
    """Why a child ended before finishing its last step."""
    if exit_code is None:
        return _crashed("it killed the marking process")
    if exit_code == -signal.SIGXCPU:
        return TIMEOUT
    if exit_code < 0:
        known = -exit_code in set(signal.Signals)
        return _crashed(signal.Signals(-exit_code).name if known else f"signal {-exit_code}")
    return _crashed(f"it exited with code {exit_code}")


def memory_of(process: int) -> int:
    """Memory of a process that is not backed by files, in bytes. What processes share is divided among them."""
    folder = Path(f"/proc/{process}")
    for part in (folder, *folder.glob("task/*")):  # its first thread may have ended before the others
        try:
            lines = (part / "smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]
        except ProcessLookupError:
            continue
        except (FileNotFoundError, PermissionError):  # not Linux, or an old one
            return psutil.Process(process).memory_info().rss
        kilobytes = {name: int(value.split()[0]) for name, _, value in (line.partition(":") for line in lines)}
        return 1024 * (kilobytes["Pss_Anon"] + kilobytes["Pss_Shmem"] + kilobytes["SwapPss"])
    return 0


@cache
def bytes_of_a_socket() -> int:
    """Kernel memory that one socket can hold, in bytes, as its buffers cannot be enlarged."""
    try:
        return 2 * int(Path("/proc/sys/net/core/wmem_default").read_text(encoding="utf-8"))
    except OSError:
        return 2 * 212_992


def sockets_of(process: int) -> set[str]:
    """The sockets that a process holds; empty where that is unknown."""
    try:
        names = [os.readlink(entry.path) for entry in os.scandir(f"/proc/{process}/fd")]
    except OSError:
        return set()
    return {name for name in names if name.startswith("socket:")}


def readable_by_all(*folders: str) -> bool:
    """Whether every user may read these folders."""
    paths = [parent for folder in folders for parent in (Path(folder), *Path(folder).parents)]
    return all(path.stat().st_mode & 0o005 == 0o005 for path in paths)


def copy_visible(to: Path) -> None:
    """Copy what a student's code may import into a folder: only `vae_lessons` and `vae_course.visible`."""
    lessons, course = PACKAGES
    for source, copy in ((lessons, to / lessons.name), (course / VISIBLE, to / course.name / VISIBLE)):
        for path in source.rglob("*"):
            if path.is_file() and path.parent.name != "__pycache__":
                (copy / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy / path.relative_to(source))  # without its mode: the course may be read-only
    shutil.copyfile(course / VISIBLE / "stub.py", to / course.name / "__init__.py")


def environment(library: str, home: str) -> dict[str, str]:
    """The sandbox's environment variables. Of the instructor's, only those that affect numerical results are kept."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(("OPENBLAS_", "MKL_", "ATEN_", "ONEDNN_", "DNNL_")) or name in ("LD_LIBRARY_PATH", "LANG")
    }
    return kept | {
        "HOME": home,
        "MPLBACKEND": "Agg",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PIP_NO_INDEX": "1",  # without a network, pip would try for seconds
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "TORCHDYNAMO_DISABLE": "1",  # `torch.compile` returns the function as it is
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "PYTHONPATH": library,
        "TMPDIR": home,
        "USER": "student",
    }
