"""The program that runs in the sandbox: a worker imports everything once, and forks a child for each submission.

The child runs a student's cells, calls the functions of the tasks, and sends back arrays.
"""

import ast
import contextlib
import ctypes
import json
import os
import pickle
import pkgutil
import random
import resource
import select
import shutil
import signal
import socket
import stat
import sys
import time
from importlib import import_module
from pathlib import Path

import psutil

from vae_course.visible.protocol import (
    MAX_ERROR,
    STOP,
    CellRan,
    ChildEnded,
    Finished,
    Message,
    ObserveTask,
    Ready,
    Request,
    RunCell,
    StepBegun,
    TaskFailed,
    TaskObserved,
    encode,
)

PRELOADED = ("matplotlib.pyplot", "scipy.special", "scipy.stats", "sklearn.decomposition", "sklearn.linear_model")
MAX_FILES = 10_000  # the kernel memory for them is not counted as the child's
PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 4, 36


def main() -> None:
    """Import everything, report that, then serve requests until the other end closes."""
    settings = json.loads(sys.argv[1])
    if settings["namespace"] and os.getpid() != 1:  # `clean_up` kills every process that it sees
        sys.exit("no process namespace of its own")
    control = socket.socket(fileno=settings["control"])
    preload(settings["folders"][0])
    prctl(PR_SET_DUMPABLE, 0)  # children cannot read or change this process
    prctl(PR_SET_CHILD_SUBREAPER, 1)  # this process inherits a child's orphans, and ends them
    clean_up(settings)
    at_start = state(settings["folders"])
    control.sendall(encode(Ready()))
    while descriptors := receive(control):
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            control.close()
            try:
                child(*descriptors, settings)
            finally:
                os._exit(1)
        for descriptor in descriptors:
            os.close(descriptor)
        status, usage = wait(pid, control, settings)
        clean_up(settings)
        if state(settings["folders"]) != at_start:
            sys.exit("a submission changed the process that runs submissions")
        seconds, exit_code = time.monotonic() - started, os.waitstatus_to_exitcode(status)
        control.sendall(encode(ChildEnded(exit_code, seconds, usage.ru_maxrss * 1024)))
    clean_up(settings)


def prctl(option: int, value: int) -> None:
    """Linux's prctl, on this process."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value)


def preload(folder: str) -> None:
    """Import what answers may need and create the shell, so that every child inherits them."""
    os.environ["MPLCONFIGDIR"] = os.path.join(folder, "matplotlib")
    import torch

    torch.set_num_threads(1)
    for module in PRELOADED:
        import_module(module)
    for package in ("vae_lessons", "vae_course.visible"):
        for module in pkgutil.iter_modules(import_module(package).__path__, f"{package}."):
            if module.name != "vae_lessons.checks":  # it only reports where it moved
                import_module(module.name)
    shell()


def shell():
    """The only shell of this process."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    InteractiveShell.enable_gui = lambda self, gui=None: None  # so that `%matplotlib inline` does not fail
    InteractiveShell.showtraceback = InteractiveShell.showsyntaxerror = lambda *_, **__: None  # slow, and never read
    return InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))


def receive(control: socket.socket) -> list[int]:
    """Descriptors of the next submission: a file with the request and a pipe for messages; empty at the end.

    The worker itself never reads the file, so that no later child inherits its contents in memory.
    """
    while True:
        command, descriptors, _, _ = socket.recv_fds(control, 1, 2)
        if command != STOP:  # STOP is for a child that had already ended
            return descriptors


def wait(pid: int, control: socket.socket, settings: dict):
    """Wait for the child. Kill it if the other end asks for that or closes, or if there are too many files."""
    while True:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            return status, usage
        stop = select.select([control], [], [], 0.005)[0]
        if stop:
            control.recv(1)
        if stop or (settings["namespace"] and sum(map(count_files, settings["folders"])) > MAX_FILES):
            os.kill(pid, signal.SIGKILL)
            return os.wait4(pid, 0)[1:]


def count_files(folder: str) -> int:
    """The number of files in the folder's file system."""
    status = os.statvfs(folder)
    return status.f_files - status.f_ffree


def state(folders: list[str]) -> list:
    """What a submission could change of this process and its folders, so that later submissions would notice it."""
    limits = [resource.getrlimit(kind) for name, kind in vars(resource).items() if name.startswith("RLIMIT_")]
    found = [limits, os.getpriority(os.PRIO_PROCESS, 0)]
    if sys.platform == "linux":
        found += [os.sched_getaffinity(0), os.sched_getscheduler(0), os.sched_getparam(0).sched_priority]
        found += [psutil.Process().ionice(), Path("/proc/self/oom_score_adj").read_text(encoding="utf-8")]
        found += [sorted(os.listxattr(folder)) for folder in folders]
    return [*found, *[(os.stat(folder).st_mode, os.stat(folder).st_uid, os.listdir(folder)) for folder in folders]]


def clean_up(settings: dict) -> None:
    """Kill all processes that a child left running, and remove its files. If that fails, the worker exits."""
    deadline, clear = time.monotonic() + 5, 0
    while clear < 2:  # one check can miss a process that is just forking
        left = other_processes(settings["namespace"])
        clear = 0 if left else clear + 1
        if left and time.monotonic() > deadline:
            sys.exit("some processes could not be killed")
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
            sys.exit(f"System V IPC objects remain ({kind})")
    for folder in settings["folders"]:
        os.chmod(folder, 0o777)
        for entry in os.scandir(folder):
            remove(entry.path)


def other_processes(namespace: bool) -> list:
    """The processes left running: in a process namespace, all but the worker; otherwise its descendants."""
    if not namespace:
        return psutil.Process().children(recursive=True)
    processes = []
    for pid in set(psutil.pids()) - {os.getpid()}:
        with contextlib.suppress(psutil.NoSuchProcess):
            processes.append(psutil.Process(pid))
    return processes


def remove(path: str) -> None:
    """Remove a file or a folder, even if it is write-protected. Links are not followed."""

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


def child(request_file: int, out: int, settings: dict) -> None:
    """Run the steps of a submission in order, and report on each."""
    import numpy as np
    import torch

    with os.fdopen(request_file, "rb") as file:
        request: Request = pickle.load(file)
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGHUP):  # they may be ignored around the whole run, as by nohup
        signal.signal(number, signal.SIG_DFL)
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    folder = os.path.join(settings["folders"][0], "home")
    os.mkdir(folder)
    os.chmod(folder, 0o777)
    os.chdir(folder)
    os.environ["HOME"] = folder
    limit(request.limits, settings)

    from vae_course.visible.observe import switch_off

    def send(message: Message) -> None:
        data = encode(message)
        while data:
            data = data[os.write(out, data) :]

    switch_off(request.library)  # permanently: this process ends with the submission
    for step in request.steps:
        send(StepBegun(step.number))
        random.seed(0)  # an answer's own draws are the same in every run
        np.random.seed(0)  # noqa: NPY002
        torch.manual_seed(0)
        if isinstance(step, RunCell):
            send(run_cell(step))
        else:
            send(observe_task(step, request.limits["answer_bytes"]))
    send(Finished())
    os._exit(0)


def limit(limits: dict, settings: dict) -> None:
    """Set the limits that the kernel enforces, and switch to a user who owns nothing."""
    prctl(PR_SET_DUMPABLE, 1)  # otherwise it would not own its files in /proc
    size = limits["bytes"]
    if sys.platform == "linux":
        size += int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0]) * resource.getpagesize()
    new_limits = {
        "AS": size,
        "CORE": 0,
        "CPU": int(limits["total_seconds"]) + 1,
        "FSIZE": limits["file_bytes"],
        "MSGQUEUE": 0,
        "NOFILE": 256,
        "SIGPENDING": 256,  # signals and timers, which are counted for the user
    }
    if settings["uid"] is not None or settings["namespace"]:  # otherwise all processes of this user would count
        new_limits["NPROC"] = limits["processes"]
    for name, value in new_limits.items():
        kind = getattr(resource, f"RLIMIT_{name}", None)
        if kind is not None:
            hard = resource.getrlimit(kind)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(kind, (value, value))
    if settings["uid"] is not None:
        os.setgroups([])
        os.setresgid(*[settings["uid"]] * 3)
        os.setresuid(*[settings["uid"]] * 3)
        prctl(PR_SET_DUMPABLE, 1)  # a change of user resets it


def run_cell(step: RunCell) -> CellRan:
    """Run one cell. After an error it goes on with the next statement, since what fails here may not fail elsewhere."""
    from vae_course.visible.observe import own_lines

    first, source = None, step.source
    while source.strip():
        try:
            result = shell().run_cell(source, store_history=False)
            error = result.error_before_exec or result.error_in_exec
        except BaseException as caught:
            error = caught
        if error is None:
            break
        first = first or own_lines(error)[:MAX_ERROR]
        source = rest_after(error, source)
    return CellRan(first)


def rest_after(error: BaseException, source: str) -> str:
    """The statements after the one that failed; empty if that is unknown."""
    trace = error.__traceback__
    while trace and not trace.tb_frame.f_code.co_filename.startswith("<ipython-input"):
        trace = trace.tb_next
    if isinstance(error, SyntaxError) or trace is None:
        return ""
    code = shell().transform_cell(source)
    ends = [node.end_lineno for node in ast.parse(code).body if node.end_lineno >= trace.tb_lineno]
    lines = code.splitlines(keepends=True)
    return "".join(lines[ends[0] :]) if ends else ""


def observe_task(step: ObserveTask, max_bytes: int) -> TaskObserved | TaskFailed:
    """What the function of one task does on the inputs, or why that is unknown."""
    from vae_course.visible.observe import observe_cases, own_lines
    from vae_course.visible.outcomes import Failure, Kind

    observe, cases = pickle.loads(step.inputs)
    namespace = shell().user_ns
    if step.function not in namespace:
        return TaskFailed(Kind.MISSING, "")
    try:
        observed = observe_cases(observe, namespace[step.function], cases)
    except BaseException as error:  # including SystemExit and KeyboardInterrupt
        observed = Failure(Kind.RAISED, own_lines(error))
    if isinstance(observed, Failure):
        return TaskFailed(observed.kind, observed.message[:MAX_ERROR])
    size = sum(array.nbytes for case in observed for array in case.values())
    if size > max_bytes:
        return TaskFailed(Kind.TYPE, f"The results take {size:,} bytes, far more than required.")
    cases = [{label: [array.dtype.str, array.shape] for label, array in case.items()} for case in observed]
    return TaskObserved(cases, b"".join(array.tobytes() for case in observed for array in case.values()))


if __name__ == "__main__":
    main()
