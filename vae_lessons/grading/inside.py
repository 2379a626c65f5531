"""What runs inside the walls: a warm process that forks a child for every submission, and the child itself.

The child runs a student's cells, calls the functions asked for, and sends back arrays. Nothing here knows a right
answer: of `vae_lessons.checks` only `observe` and the given functions are there, with `stand_in` in place of the rest.
"""

import base64
import contextlib
import ctypes
import json
import os
import pickle
import platform
import random
import resource
import select
import shutil
import signal
import socket
import stat
import struct
import sys
import time
from importlib import import_module
from pathlib import Path

import psutil

LENGTH = struct.Struct("!Q")
WARM = ("matplotlib.pyplot", "scipy.special", "scipy.stats", "sklearn.decomposition", "sklearn.linear_model")
STOP = b"x"
MOST_FILES = 10_000  # the kernel's memory for each is in nobody's account
PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36
KEYCTL = {"x86_64": 250, "aarch64": 219}  # the system call's number
KEYCTL_JOIN_SESSION_KEYRING, KEYCTL_CLEAR, KEY_SPEC_USER_KEYRING = 1, 7, -4


def main() -> None:
    """Import everything, say so, then serve requests until the other end closes."""
    settings = json.loads(sys.argv[1])
    if settings["namespace"] and os.getpid() != 1:  # here all processes that are seen are ended after a submission
        sys.exit("no process numbers of its own")
    control = socket.socket(fileno=settings["control"])
    warm(settings["folder"])
    control_process(PR_SET_DUMPABLE, 0)  # no child may look into this process or change it
    control_process(PR_SET_CHILD_SUBREAPER, 1)  # what a child leaves running becomes ours, to be ended
    sweep(settings)
    send(control, {"ready": True})
    while pipes := receive(control):
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            control.close()
            try:
                child(*pipes, settings)
            finally:
                os._exit(1)
        for pipe in pipes:
            os.close(pipe)
        status, usage = wait(pid, control, settings)
        sweep(settings)
        used = {"seconds": time.monotonic() - started, "bytes": usage.ru_maxrss * 1024}
        send(control, {"ended": os.waitstatus_to_exitcode(status), **used})
    sweep(settings)


def control_process(option: int, value: int) -> None:
    """Linux's prctl, on this process."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


def warm(folder: str) -> None:
    """Import what answers may need, and make the shell, so that every child finds it ready."""
    os.environ["MPLCONFIGDIR"] = os.path.join(folder, "matplotlib")
    import torch

    torch.set_num_threads(1)
    for module in WARM:
        import_module(module)
    package = Path(import_module("vae_lessons").__file__).parent
    for path in (*package.glob("[a-z]*.py"), *(package / "checks").glob("[a-z]*.py")):
        import_module(".".join(path.relative_to(package.parent).with_suffix("").parts))
    shell()


def shell():
    """The one shell of this process."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    InteractiveShell.enable_gui = lambda self, gui=None: None  # so that `%matplotlib inline` is no error
    InteractiveShell.showtraceback = InteractiveShell.showsyntaxerror = lambda *_, **__: (
        None
    )  # nobody reads it, and it is slow
    return InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))


def send(control: socket.socket, message: dict) -> None:
    """One message: its length, then JSON."""
    text = json.dumps(message).encode()
    control.sendall(LENGTH.pack(len(text)) + text)


def receive(control: socket.socket) -> list[int]:
    """The next submission: a file to read it from and a pipe for its answers; nothing at the end.

    This process never reads it, so that a later child finds nothing of it in the memory that it begins with.
    """
    while True:
        word, pipes, _, _ = socket.recv_fds(control, 1, 2)
        if word != STOP:  # that came too late for the last one
            return pipes


def wait(pid: int, control: socket.socket, settings: dict):
    """Wait for the child, or end it as soon as the other end says a word or closes, or there are too many files."""
    while True:
        found, status, usage = os.wait4(pid, os.WNOHANG)
        if found:
            return status, usage
        told = select.select([control], [], [], 0.005)[0]
        if told:
            control.recv(1)
        if told or (settings["namespace"] and files(settings["folder"]) > MOST_FILES):
            os.kill(pid, signal.SIGKILL)
            return os.wait4(pid, 0)[1:]


def files(folder: str) -> int:
    """How many files the file system of a folder holds."""
    about = os.statvfs(folder)
    return about.f_files - about.f_ffree


def sweep(settings: dict) -> None:
    """End everything that a child left running, and remove its files. Where that fails, this process ends, too."""
    until, quiet = time.monotonic() + 5, 0
    while quiet < 2:  # one look may miss what is forking at that moment
        left = others(settings["namespace"])
        quiet = 0 if left else quiet + 1
        if left and time.monotonic() > until:
            sys.exit("processes are left")
        if left and settings["namespace"]:
            os.kill(-1, signal.SIGKILL)
        for process in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.002)
    for kind in ("shm", "msg", "sem") if settings["namespace"] else ():
        if len(Path("/proc/sysvipc", kind).read_text(encoding="utf-8").splitlines()) > 1:
            sys.exit(f"{kind} is left")
    for entry in os.scandir(settings["folder"]):
        remove(entry.path)


def others(namespace: bool) -> list:
    """The processes that should not be there: in a namespace of our own all but this one."""
    if not namespace:
        return psutil.Process().children(recursive=True)
    found = []
    for pid in set(psutil.pids()) - {os.getpid()}:
        with contextlib.suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    return found


def remove(path: str) -> None:
    """Remove a file or a folder, also one that nobody may write to; links are not followed."""

    def unlock(function, locked, _):
        os.chmod(os.path.dirname(locked), stat.S_IRWXU)
        if not os.path.islink(locked):
            os.chmod(locked, stat.S_IRWXU)
        function(locked)

    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path, onerror=unlock)
        if os.path.isdir(path):
            shutil.rmtree(path)
    else:
        os.unlink(path)


def child(given: int, out: int, settings: dict) -> None:
    """Run the steps of a submission one after another, and tell of each."""
    import numpy as np
    import torch

    with os.fdopen(given, "rb") as file:
        request = pickle.load(file)
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    folder = os.path.join(settings["folder"], "home")
    os.mkdir(folder)
    os.chmod(folder, 0o777)
    os.chdir(folder)
    os.environ["HOME"] = folder
    limit(request["limits"], settings)

    from vae_lessons.checks.observe import switched_off

    off = switched_off(request["library"])
    off.__enter__()  # for good: this process ends with the submission
    answering = shell()

    def say(message):
        text = json.dumps(message).encode()
        text = LENGTH.pack(len(text)) + text
        while text:
            text = text[os.write(out, text) :]

    for step in request["steps"]:
        say({"begin": step["number"]})
        random.seed(0)  # what an answer draws by itself is the same in every run
        np.random.seed(0)  # noqa: NPY002
        torch.manual_seed(0)
        if "source" in step:
            say(run(answering, step["source"]))
        else:
            say(look(answering.user_ns, step, request["limits"]["answer_bytes"]))
    say({"end": True})
    os._exit(0)


def limit(limits: dict, settings: dict) -> None:
    """Limits that the system keeps for us, and no rights but those of a user whom nothing belongs to."""
    control_process(PR_SET_DUMPABLE, 1)  # or its own files in /proc would not be its own
    size = limits["bytes"]
    if sys.platform == "linux":
        size += int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")
    wanted = {
        "AS": size,
        "CORE": 0,
        "CPU": int(limits["total_seconds"]) + 1,
        "FSIZE": limits["file_bytes"],
        "MSGQUEUE": 0,
        "NOFILE": 256,
    }
    if settings["uid"] is not None or settings["namespace"]:  # else all processes of this user would count
        wanted["NPROC"] = limits["processes"]
    for name, value in wanted.items():
        kind = getattr(resource, f"RLIMIT_{name}", None)
        if kind is not None:
            hard = resource.getrlimit(kind)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (value, value))
    if settings["uid"] is not None:
        os.setgroups([])
        os.setresgid(*[settings["uid"]] * 3)
        os.setresuid(*[settings["uid"]] * 3)
        control_process(PR_SET_DUMPABLE, 1)  # another user begins without it
    if number := KEYCTL.get(platform.machine()) if sys.platform == "linux" else None:  # keys that another left behind
        system_call = ctypes.CDLL(None).syscall
        system_call(number, KEYCTL_JOIN_SESSION_KEYRING, None)
        system_call(number, KEYCTL_CLEAR, KEY_SPEC_USER_KEYRING)


def run(answering, source: str) -> dict:
    """Run one cell; an error in it ends the cell, as in a notebook."""
    from vae_lessons.checks.observe import own_lines

    try:
        result = answering.run_cell(source, store_history=False)
        error = result.error_before_exec or result.error_in_exec
    except BaseException as caught:
        error = caught
    return {"ran": None if error is None else own_lines(error)}


def look(namespace: dict, step: dict, most: int) -> dict:
    """What the function of one task does on the inputs, as arrays in base64, or why it can't be told."""
    from vae_lessons.checks.observe import Failure, observe_cases, own_lines

    observe, cases = pickle.loads(step["inputs"])
    if step["function"] not in namespace:
        return {"failure": ["missing", ""]}
    try:
        seen = observe_cases(observe, namespace[step["function"]], cases)
    except BaseException as error:  # SystemExit, KeyboardInterrupt and what else stops a program
        seen = Failure("raised", own_lines(error))
    if isinstance(seen, Failure):
        return {"failure": [seen.kind, seen.message]}
    size = sum(array.nbytes for one in seen for array in one.values())
    if size > most:
        return {"failure": ["type", f"The results take {size:,} bytes, far more than what is asked for."]}
    return {"seen": [{label: encoded(array) for label, array in one.items()} for one in seen]}


def encoded(array) -> list:
    """dtype, shape and bytes of an array."""
    return [array.dtype.str, array.shape, base64.b64encode(array.tobytes()).decode()]


if __name__ == "__main__":
    main()
