"""The walls around what students wrote, seen from outside: a lane is a warm process behind them.

bubblewrap (`bwrap`) gives a lane a file system of its own (read-only, without the course, the submissions and the
results), no network, and its own process numbers. Where it does not work, nothing is run, unless the instructor asks
for it: then only limits on time, memory and files hold, and students' code may do what the instructor may.
"""

import contextlib
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
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from vae_lessons.grading.inside import LENGTH, STOP

__all__ = ["Lane", "LaneError", "Limits", "NoWalls", "Outcome", "Walls"]

LIBRARY = Path(__file__).parents[1]
INSIDE = (
    "__init__",
    "data",
    "distributions",
    "evaluation",
    "faces",
    "latents",
    "models",
    "plotting",
    "training",
    "widgets",
)
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
GRACE = 5.0  # seconds until a lane that does not answer is ended


class LaneError(Exception):
    """No lane could be started; the message says why."""


class NoWalls(Exception):
    """No walls stand on this machine, and nobody asked to go on without; the message says what to do."""


@dataclass(frozen=True)
class Limits:
    """What one submission may take.

    Args:
        seconds: for one cell or one task.
        total_seconds: for all of them together.
        bytes: of memory.
        processes: processes and threads at one time.
        file_bytes: of one file, and of all files together where bubblewrap stands.
        answer_bytes: of the results of one task.
    """

    seconds: float = 10.0
    total_seconds: float = 120.0  # all tasks of an exercise may hang, and cost nothing else
    bytes: int = 1 << 30
    processes: int = 64
    file_bytes: int = 32 << 20
    answer_bytes: int = 8 << 20


@dataclass(frozen=True)
class Walls:
    """Which walls stand on this machine.

    Args:
        bwrap: where bubblewrap is, or None.
        other_user: whether students' code can run as another user, which only root can arrange.
        why_not: why there is no bubblewrap.
    """

    bwrap: str | None
    other_user: bool
    why_not: str = ""

    @classmethod
    def here(cls) -> "Walls":
        """Try what works on this machine. Once for a run: what stood at its beginning has to stand to its end."""
        root = os.geteuid() == 0
        bwrap = shutil.which("bwrap")
        why_not = "bubblewrap (bwrap) is not installed" if bwrap is None else _try(cls(bwrap, root))
        if not why_not:
            return cls(bwrap, root)
        return cls(None, root and open_to_all(sys.prefix, sys.base_prefix), why_not)

    def require(self) -> None:
        """Raise NoWalls where students' code could harm this machine."""
        if not self.bwrap:
            raise NoWalls(
                f"nothing was run: {self.why_not}, and without it {self.danger()}. Install bubblewrap 0.8 or newer "
                "(`apt install bubblewrap`; more in docs/instructors.md), or, on a machine that you can throw away, "
                "add --without-walls"
            )

    def danger(self) -> str:
        """What students' code may do where bubblewrap does not stand."""
        if self.other_user:
            return "students' code can read what every user may, use the network, and change other submissions' runs"
        user = "root" if os.geteuid() == 0 else "you"
        return (
            f"students' code runs as {user}: it can read, change and delete your files, end all your processes, this "
            "one too, and use the network"
        )

    def report(self) -> dict[str, str]:
        """Each wall, and what it is made of."""
        own_name = "the same user" + (", in a namespace of its own" if self.bwrap else "")
        return {
            "files": "bubblewrap: a read-only system, no course, submissions or results"
            if self.bwrap
            else f"none: {self.why_not}",
            "network": "bubblewrap: none to be had" if self.bwrap else "none",
            "processes": "bubblewrap: only its own to be seen" if self.bwrap else "none; what is left running is ended",
            "user": "another user than root" if self.other_user else own_name,
            "limits": "time, memory, size of files" + (", processes" if self.bwrap or self.other_user else ""),
        }

    def folder(self) -> str:
        """Where behind the walls a student's code may write: `/tmp`, if Python does not lie there."""
        return "/submission" if any(path.is_relative_to("/tmp") for path in self._shown()) else "/tmp"

    def _shown(self):
        return [Path(name) for name in (*SYSTEM, sys.base_prefix, sys.prefix) if os.path.exists(name)]

    def command(self, library: Path, folder: str, hidden: Sequence[Path]) -> list[str]:
        """How to start Python behind the walls."""
        if not self.bwrap:
            return [sys.executable]
        shown = self._shown()
        command = [self.bwrap, "--die-with-parent", "--new-session", "--hostname", "marking", "--as-pid-1"]
        command += ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]
        if self.other_user:
            command += ["--cap-drop", "ALL", *[word for cap in NEEDED_BY_ROOT for word in ("--cap-add", cap)]]
        else:
            command += ["--unshare-user", "--disable-userns"]
        for path in dict.fromkeys(shown):
            for parent in reversed(path.parents[:-1]):  # bubblewrap would make them for root alone
                command += ["--perms", "0755", "--dir", str(parent)]
            command += ["--ro-bind", str(path), str(path)]
        real = [path.resolve() for path in shown]
        for path in {path.resolve() for path in hidden if path.is_dir()}:  # where it lies within what is shown
            if any(path.is_relative_to(one) for one in real) and not any(one.is_relative_to(path) for one in real):
                command += ["--perms", "0700", "--tmpfs", str(path), "--remount-ro", str(path)]
        command += ["--ro-bind", str(library), "/library", "--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev"]
        command += ["--perms", "0777", "--size", str(Limits.file_bytes), "--tmpfs", folder, "--remount-ro", "/"]
        return [*command, "--chdir", "/", "--", sys.executable]


@dataclass(frozen=True)
class Outcome:
    """How a child ended.

    Args:
        lost: why it did not get to its last step, or None.
        seconds: how long it ran.
        bytes: its most memory, that of the warm process included.
    """

    lost: str | None
    seconds: float
    bytes: int


class Lane:
    """A warm process, behind walls, that looks at one submission at a time.

    Args:
        number: tells lanes of this process apart.
        walls: which stand.
        hidden: folders that a student's code must not see.
    """

    def __init__(self, number: int, walls: Walls, hidden: Sequence[Path] = ()):
        self.number, self.walls, self.hidden = number, walls, tuple(hidden)
        self.process, self.control, self.home = None, None, None
        self.retired = False

    def start(self) -> None:
        """Start the warm process and wait until it has imported everything."""
        self.close()
        if self.retired:
            raise LaneError("marking was stopped")
        self.home = tempfile.TemporaryDirectory(prefix="vae-lessons-", ignore_cleanup_errors=True)
        home = Path(self.home.name)
        home.chmod(0o755)
        library, folder = home / "library", self.walls.folder() if self.walls.bwrap else str(home / "files")
        copy_library(library)
        if not self.walls.bwrap:
            os.mkdir(folder)
            os.chmod(folder, 0o777)
        self.control, theirs = socket.socketpair()
        settings = {
            "control": theirs.fileno(),
            "folder": folder,
            "namespace": bool(self.walls.bwrap),
            "uid": FIRST_UID + self.number if self.walls.other_user else None,
        }
        self.log = open(home / "log", "w+b")  # noqa: SIM115
        command = self.walls.command(library, folder, self.hidden)
        try:
            self.process = subprocess.Popen(
                [*command, "-m", "vae_lessons.grading.inside", json.dumps(settings)],
                pass_fds=[theirs.fileno()],
                env=environment("/library" if self.walls.bwrap else str(library), folder),
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=self.log,
                stderr=self.log,
                start_new_session=True,
            )
        except OSError as error:
            self.close()
            raise LaneError(f"the marking process did not start: {error}") from error
        finally:
            theirs.close()
        if not (self._read(120.0) or {}).get("ready"):
            self.log.seek(0)
            said = self.log.read().decode("utf-8", "replace").strip().splitlines()
            self.close()
            raise LaneError(f"the marking process did not start: {said[-1] if said else 'it said nothing'}")
        shutil.rmtree(library)  # all is in memory; a student's code finds no file to read it from again

    def run(self, request: dict, limits: Limits, hear: Callable[[dict], None]) -> Outcome:
        """Let a child run the steps of one submission.

        Args:
            request: `steps` and `library`, as `inside.child` takes them.
            limits: what it may take.
            hear: called with each message of the child; what is in one is not to be trusted.
        """
        if self.process is None or self.process.poll() is not None:
            self.start()
        ours, theirs = os.pipe()
        try:
            with tempfile.TemporaryFile() as file, os.fdopen(theirs, "wb") as out:
                pickle.dump(request | {"limits": asdict(limits)}, file)
                file.seek(0)
                socket.send_fds(self.control, [b"r"], [file.fileno(), out.fileno()])
            lost, finished = self._listen(ours, limits, hear)
        except OSError:  # the lane went away
            lost, finished = None, False
        finally:
            os.close(ours)
        if lost is not None:
            with contextlib.suppress(OSError):
                self.control.sendall(STOP)
        ended = self._read(GRACE)
        if ended is None:
            self.close()
            ended = {}
        if lost is None and not finished:
            lost = crash(ended.get("ended"))
        return Outcome(None if finished else lost, ended.get("seconds", limits.seconds), ended.get("bytes", 0))

    def _listen(self, pipe, limits, hear):
        """Pass on what the child says until it closes its pipe; why it has to be ended, and whether it is through."""
        began = time.monotonic()
        last = began + limits.total_seconds
        until, next_look = min(last, began + limits.seconds), began + 0.25
        total, finished, buffer = 0, False, bytearray()
        while not self.retired:
            if select.select([pipe], [], [], 0.1)[0]:
                part = os.read(pipe, 1 << 20)
                if not part:
                    return None, finished
                buffer += part
                total += len(part)
                for message in messages(buffer, 2 * limits.answer_bytes):
                    if message is None or total > 32 * limits.answer_bytes:
                        return "crashed: nonsense was sent", finished
                    finished = finished or message.get("end") is True
                    until = min(last, time.monotonic() + (1 if finished else limits.seconds))
                    hear(message)
            now = time.monotonic()
            if now > until:
                return "all time used" if now > last else "timeout", finished
            if now > next_look:
                next_look = now + 0.25
                if self._memory() > limits.bytes:
                    return "memory", finished
        return "crashed: marking was stopped", finished

    def _read(self, seconds):
        """One message of the warm process, or None."""
        until, buffer = time.monotonic() + seconds, bytearray()
        while time.monotonic() < until:
            if not select.select([self.control], [], [], 0.05)[0]:
                if self.process.poll() is not None:
                    break
                continue
            part = self.control.recv(1 if len(buffer) < LENGTH.size else LENGTH.unpack(buffer[: LENGTH.size])[0])
            if not part:
                break
            buffer += part
            for message in messages(buffer, 1 << 16):
                return message
        return None

    def _memory(self):
        """Bytes that the child and all its children have for themselves."""
        total = 0
        for process in self._family():
            with contextlib.suppress(psutil.NoSuchProcess):
                try:
                    total += process.memory_full_info().uss  # what it shares with the warm process does not count
                except psutil.AccessDenied:
                    total += process.memory_info().rss
        return total

    def retire(self) -> None:
        """End the warm process, and start no other, also if a thread is waiting for it."""
        self.retired = True
        for process in (*self._family(), self.process):
            with contextlib.suppress(psutil.Error, OSError, AttributeError):
                process.kill()

    def close(self) -> None:
        """End the warm process and everything in it."""
        if self.process is not None:
            for process in (*self._family(), self.process):
                with contextlib.suppress(psutil.Error, OSError):
                    process.kill()
            self.process.wait()
        if self.home is not None:
            self.control.close()
            self.log.close()
            self.home.cleanup()
        self.process, self.home = None, None

    def _family(self):
        try:
            return psutil.Process(self.process.pid).children(recursive=True) if self.process else []
        except psutil.Error:
            return []


def _try(walls):
    """Start Python behind the walls as a lane does; what was said where that does not work."""
    program = "import os, sys; sys.exit(0 if os.getpid() == 1 else 'it gives no process numbers of its own')"
    command = [*walls.command(LIBRARY, walls.folder(), ()), "-I", "-S", "-c", program]
    try:
        tried = subprocess.run(command, capture_output=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not work here ({error})"
    said = tried.stderr.decode("utf-8", "replace").strip().splitlines()
    return f"bubblewrap does not work here ({said[-1] if said else 'it does not say why'})" if tried.returncode else ""


def messages(buffer: bytearray, most: int) -> Iterator[dict | None]:
    """The whole messages at the buffer's beginning, taken out of it; None for one that is none."""
    while len(buffer) >= LENGTH.size:
        length = LENGTH.unpack(buffer[: LENGTH.size])[0]
        if length > most:
            yield None
            return
        if len(buffer) < LENGTH.size + length:
            return
        text = bytes(buffer[LENGTH.size : LENGTH.size + length])
        del buffer[: LENGTH.size + length]
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            message = None
        yield message if isinstance(message, dict) else None


def crash(status: int | None) -> str:
    """Why a child ended before its last step."""
    if status is None:
        return "crashed: it ended the marking process"
    if status < 0:
        name = signal.Signals(-status).name if -status in set(signal.Signals) else f"signal {-status}"
        return "timeout" if name == "SIGXCPU" else f"crashed: {name}"
    return f"crashed: it ended itself (exit code {status})"


def open_to_all(*folders: str) -> bool:
    """Whether every user may read what lies in these folders."""
    paths = [parent for folder in folders for parent in (Path(folder), *Path(folder).parents)]
    return all(path.stat().st_mode & 0o005 == 0o005 for path in paths)


def copy_library(to: Path) -> None:
    """Copy what a student's code may import into a folder: nothing that knows a right answer."""
    package = to / "vae_lessons"
    (package / "checks").mkdir(parents=True)
    (package / "grading").mkdir()
    for path in (*LIBRARY.glob("*.mplstyle"), *LIBRARY.glob("*.js"), *(LIBRARY / f"{name}.py" for name in INSIDE)):
        shutil.copyfile(path, package / path.name)
    shutil.copyfile(LIBRARY / "grading" / "stand_in.py", package / "checks" / "__init__.py")
    for path in (LIBRARY / "checks" / "observe.py", *(LIBRARY / "checks").glob("given*.py")):
        shutil.copyfile(path, package / "checks" / path.name)
    (package / "grading" / "__init__.py").touch()
    shutil.copyfile(LIBRARY / "grading" / "inside.py", package / "grading" / "inside.py")


def environment(library: str, home: str) -> dict[str, str]:
    """The variables behind the walls: none of the instructor's, but for how numbers are computed here."""
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
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "PYTHONPATH": library,
        "TMPDIR": home,
        "USER": "student",
    }
