"""Try the course as other users, on machines where something is missing: `make test-machines`.

Each case runs in separate namespaces, so that changes to processes, mounts and users end with it. A bystander, another
process of the same user, must survive it. Needs Linux and root. The packages are copied from `.venv`, so few cases
install anything; --fresh adds Python 3.12 and 3.13, with all their downloads (gigabytes).
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

ROOT = Path(__file__).resolve().parents[1]
UID = 4242
NAMESPACES = ["unshare", "--fork", "--pid", "--mount", "--mount-proc", "--kill-child"]
CYRILLIC = "курс о VAE"
QUICK = (
    "test_work or test_cli or test_distributions or 02_gaussian or "
    "test_solutions_earn or test_files_for_people or without_a_sandbox or bad_arguments"
)
NOTHING_TO_DO = r"\A\Z"
REFUSED = "vae-lessons: nothing was run: bubblewrap"
KILLED = 99
LAB = """
import glob, json, os, subprocess, sys, time, urllib.request
from jupyter_client import BlockingKernelClient
lab = subprocess.Popen([*sys.argv[1:], "--", "--no-browser", "--port=18888", "--IdentityProvider.token=t"],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
request = urllib.request.Request("http://127.0.0.1:18888/api/kernels", b"{}", {"Authorization": "token t"})
for _ in range(600):
    time.sleep(0.1)
    if lab.poll() is not None:
        sys.exit(lab.stdout.read().decode("utf-8", "replace"))
    try:
        kernel = json.loads(urllib.request.urlopen(request).read())["id"]
        break
    except OSError:
        pass
name = f"kernel-{kernel}.json"
places = [os.path.expanduser("~/.local/share/jupyter/runtime"), ".venv/home/jupyter_runtime_dir"]
files = [os.path.join(place, name) for place in places]
client = BlockingKernelClient(connection_file=next(file for file in files if os.path.exists(file)))
client.load_connection_file()
client.start_channels()
client.wait_for_ready(60)
client.execute_interactive("import vae_lessons, torch, sys; print(sys.prefix, 'answers')")
"""
SCRIPT = rb"""#!/bin/sh
'''exec' "%s/.venv/bin/python" "$0" "$@"
' '''
""" % os.fsencode(ROOT)  # how pip begins a script if the path of its Python has spaces


@dataclass(frozen=True)
class Step:
    """A command and its expected result.

    Args:
        command: the command's words, run in the course's folder; PYTHON stands for the Python that a user would type.
        code: the expected exit code.
        says: a pattern that the output must match.
        at_once: run it twice at the same time; both must exit with `code`, and `says` applies to their joint output.
    """

    command: tuple[str, ...]
    code: int = 0
    says: str = ""
    at_once: bool = False


def quick(expression: str) -> Step:
    """The quick tests whose names match, run by the README's command."""
    return Step(("PYTHON", "course.py", "test", "--", "-q", "-k", expression), says=r" passed.*style: passed")


SETUP = Step(("PYTHON", "course.py", "setup"), says=NOTHING_TO_DO)
HOSTILE = Step(
    (*("PYTHON", "course.py", "test-long", "--", "-q", "-k", "test_grading_hostile"),),
    says=r"bubblewrap does not work here.*[1-9]\d* skipped",
)
REFUSES = Step((".venv/bin/vae-lessons", "grade", "in", "--out", "out"), code=3, says=rf"\A{REFUSED}[^\n]*\n\Z")
GRADES = Step((".venv/bin/vae-lessons", "grade", "in", "--out", "out"), says=r"2 submissions marked")
SANDBOX_HOLDS = Step(
    ("PYTHON", "course.py", "test-long", "--", "-q", "-k", "ordinary_user_has_a_sandbox or was_killed"),
    says=r"\n2 passed",
)
POINTS = Step(("grep", "-c", ",14$", "out/totals.csv"), says=r"\A2\n\Z")
GRADES_ANYWAY = Step(
    (".venv/bin/vae-lessons", "grade", "in", "--out", "out", "--no-sandbox"), says=r"2 submissions marked"
)
PAGES = Step(
    ("PYTHON", "-c", "import os; print(sorted(os.listdir(b'out/feedback')))"), says=r"ann\.html.*\\xd0.*\.html"
)
LAB_OPENS = Step(
    (".venv/bin/python", "-X", "utf8", "-c", LAB, ".venv/bin/python", "course.py", "lab"), says=r"\.venv answers"
)
WHEEL = (  # the course without a clone: a wheel, a new environment and a new folder
    Step((".venv/bin/python", "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", "dist", ".")),
    Step(("PYTHON", "-m", "venv", "installed")),
    Step(("bash", "-c", "installed/bin/python -m pip install -q dist/*.whl")),
    Step(
        ("installed/bin/python", "-X", "utf8", "-c", LAB, "installed/bin/vae-lessons", "lab", "mine"),
        says=r"installed answers",
    ),
    Step(("installed/bin/vae-lessons", "update", "--root", "mine"), says="up to date"),
    Step(("installed/bin/vae-lessons", "progress", "--root", "mine"), says="Next: autoencoder"),
    Step(
        ("installed/bin/python", "-m", "jupyter", "execute", "mine/notebooks/00_start_here.ipynb"),
        says="Executing",
    ),
)


@dataclass(frozen=True)
class Case:
    """A machine, a user, and the steps to run there.

    Args:
        name: what is special about the case.
        steps: the commands to run.
        root: run as root; otherwise as an ordinary user.
        hidden: programs to hide.
        network: whether there is a network.
        read_only: what cannot be written to: "home" or "course".
        git: whether the folder is a git checkout.
        folder: the folder's name.
        variables: environment variables.
    """

    name: str
    steps: tuple[Step, ...]
    root: bool = False
    hidden: tuple[str, ...] = ()
    network: bool = True
    read_only: str = ""
    git: bool = True
    folder: str = "course"
    variables: dict[str, str] = field(default_factory=dict)


POSIX = {"LC_ALL": "POSIX", "PYTHONUTF8": "0"}
CP1252 = {"PYTHONIOENCODING": "cp1252"}
NO_NETWORK = Step(
    ("PYTHON", "course.py", "setup", "--bench"), code=1, says="what the benchmarks need failed. Check the network"
)
CASES = (
    Case("ordinary user", (SETUP, quick(QUICK), GRADES, POINTS, SANDBOX_HOLDS)),
    Case("no bubblewrap", (quick(QUICK), HOSTILE, REFUSES, GRADES_ANYWAY, POINTS), hidden=("bwrap",)),
    Case("no bubblewrap, root", (HOSTILE, REFUSES, GRADES_ANYWAY, POINTS), hidden=("bwrap",), root=True),
    Case("no network", (SETUP, quick("02_gaussian"), LAB_OPENS, NO_NETWORK, SETUP), network=False),
    Case("spaces and Cyrillic letters", (SETUP, quick(QUICK), LAB_OPENS, GRADES, POINTS, PAGES), folder=CYRILLIC),
    Case("POSIX locale without UTF-8", (SETUP, quick(QUICK), GRADES, POINTS, PAGES), variables=POSIX),
    Case("the last two together", (SETUP, quick("02_gaussian"), LAB_OPENS), folder=CYRILLIC, variables=POSIX),
    Case(
        "a pipe with another encoding",
        (Step((".venv/bin/vae-lessons", "progress"), says=r"ex04_kl_divergence  +(\\u25a1){6}  0 of 6"),),
        variables=CP1252,
    ),
    Case("neither .git nor git", (SETUP, quick(f"{QUICK} or test_setup")), hidden=("git",), git=False),
    Case("read-only home", (SETUP, quick("02_gaussian or test_plotting"), LAB_OPENS), read_only="home"),
    Case("read-only course that is set up", (SETUP, LAB_OPENS), read_only="course"),
    Case(
        "a package is missing; two set-ups at once",
        (
            Step(("rm", "-r", ".venv/lib/LIBRARY/site-packages/mlxtend")),
            Step(
                ("PYTHON", "course.py", "setup"),
                says=r"Rebuilding .venv: it lacks mlxtend.*Another set-up is running|"
                "Another set-up is running.*Rebuilding .venv: it lacks mlxtend",
                at_once=True,
            ),
            SETUP,
            quick("02_gaussian"),
        ),
    ),
)


class Machine:
    """A copy of the course and its packages, where commands run in separate namespaces."""

    def __init__(self, home: Path):
        self.home = home
        self.folder = home / "course"
        home.chmod(0o755)
        (home / "student").mkdir()
        os.chown(home / "student", UID, UID)
        for name, line in (
            ("passwd", f"student:x:{UID}:{UID}::{home}/student:/bin/bash"),
            ("group", f"student:x:{UID}:"),
        ):
            (home / name).write_text(f"{Path('/etc', name).read_text(encoding='utf-8')}{line}\n", encoding="utf-8")
        (home / "tmp").mkdir()
        (home / "tmp").chmod(0o1777)
        copy_course(self.folder)
        shutil.copytree(ROOT / ".venv", self.folder / ".venv", symlinks=True)
        shutil.rmtree(self.folder / ".venv" / "home", ignore_errors=True)
        self.about = json.loads((ROOT / ".venv" / "course-setup.json").read_text(encoding="utf-8"))
        places = (*self.folder.glob(".venv/bin/*"), *self.folder.glob(".venv/lib/*/site-packages/__editable__*"))
        self.with_path = {  # files that contain the folder's path
            path.relative_to(self.folder): text
            for path in places
            if path.is_file() and not path.is_symlink() and os.fsencode(ROOT) in (text := path.read_bytes())
        }
        extras = [name for name in self.about["extras"].split(",") if name != "bench"]  # missing in NO_NETWORK
        self.about["extras"] = ",".join(extras)
        self.move("course")

    def move(self, name: str) -> None:
        """Rename the folder, and change the paths in its packages as if they had been installed there."""
        folder = self.home / name
        self.folder.rename(folder)
        self.folder = folder
        for path, text in ((path, text) for path, text in self.with_path.items() if (folder / path).exists()):
            text = re.sub(rb"\A#!.*python[\d.]*\n", SCRIPT, text)
            (folder / path).write_bytes(text.replace(os.fsencode(ROOT), os.fsencode(folder)))
        about = json.dumps({**self.about, "folder": str(folder)})
        (folder / ".venv" / "course-setup.json").write_text(about, encoding="utf-8")

    def give(self, user: int) -> None:
        """Make the user the owner of everything."""
        subprocess.run(["chown", "-Rh", f"{user}:{user}", self.folder], check=True)

    def run(self, case: Case, step: Step, python: str) -> str:
        """Run one step and return what went wrong, if anything."""
        word = {"PYTHON": python, "LIBRARY": f"python{sys.version_info[0]}.{sys.version_info[1]}"}
        command = shlex.join(re.sub("PYTHON|LIBRARY", lambda match: word[match[0]], part) for part in step.command)
        if step.at_once:
            command = f"{command} & sleep 0.5; {command}; first=$?; wait $!; exit $((first + $?))"
        program = "\n".join([*self.mounts(case, python), *self.bystander(case, command)])
        environment = {
            **os.environ,
            **self.variables(case),
            **case.variables,
        }
        for name in ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONUTF8", "CI"):
            if name not in case.variables:
                environment.pop(name, None)
        environment["PATH"] = os.pathsep.join(
            dict.fromkeys([str(Path(python).parent), *os.defpath.split(":"), "/usr/sbin"])
        )
        done = subprocess.run(
            ["timeout", "900", *NAMESPACES, *([] if case.network else ["--net"]), "bash", "-c", program],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
        output = done.stdout.decode("utf-8", "backslashreplace")
        if done.returncode == KILLED:
            return f"THE BYSTANDER WAS KILLED\n{output}"
        if done.returncode != step.code:
            return f"exit code {done.returncode}, expected {step.code}\n{output}"
        if "Traceback" in output or not re.search(step.says, output, re.S):
            return f"expected {step.says!r}\n{output}"
        return ""

    def variables(self, case: Case) -> dict[str, str]:
        """The environment variables of the case's user."""
        user = "root" if case.root else "student"
        return {"HOME": f"{self.home}/student", "USER": user, "LC_ALL": "C.UTF-8", "TMPDIR": f"{self.home}/tmp"}

    def mounts(self, case: Case, python: str):
        """Lines of bash that set up the machine."""
        yield "set -eu"
        for name in ("passwd", "group"):
            yield f"mount --bind {self.home}/{name} /etc/{name}"
        for program in case.hidden:
            if where := shutil.which(program):
                yield f"mount --bind /dev/null {where}"
        prefix = Path(python).resolve().parents[1]
        closed = [path for path in reversed(prefix.parents) if path.stat().st_mode & 0o005 != 0o005]
        if closed:  # Python is in somebody's home: make it alone readable by all there
            yield f"mkdir -p {self.home}/python; mount --bind {prefix} {self.home}/python"
            yield f"mount -t tmpfs -o mode=755 none {closed[0]}; mkdir -p {prefix}"
            yield f"mount --bind {self.home}/python {prefix}"
        if not case.network:
            yield "ip link set lo up 2>/dev/null || " + shlex.join([sys.executable, "-c", LOOPBACK])
        if case.read_only:
            where = shlex.quote(str({"home": self.home / "student", "course": self.folder}[case.read_only]))
            yield f"mount --bind {where} {where}; mount -o remount,bind,ro {where}"

    def bystander(self, case: Case, command: str):
        """Lines of bash that run the command beside a process that must outlive it."""
        user = "" if case.root else f"setpriv --reuid={UID} --regid={UID} --clear-groups"
        yield f"cd {shlex.quote(str(self.folder))}; {user} sleep 86400 & bystander=$!"
        yield f"code=0; {user} setsid --wait bash -c {shlex.quote(command)} || code=$?"
        yield f"kill -0 $bystander || exit {KILLED}; exit $code"


LOOPBACK = """
import fcntl, socket, struct
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))
"""


def copy_course(folder: Path) -> None:
    """Copy the course (in a git checkout, the tracked files) and add two submissions."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True)
    ignored = shutil.ignore_patterns(".git", ".venv", "work", "build", "__pycache__", ".*_cache")
    if listed.returncode:
        shutil.copytree(ROOT, folder, ignore=ignored)
    for name in listed.stdout.decode().split("\0") if not listed.returncode else ():
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    for student in ("ann", "Иван"):
        (folder / "in" / student).mkdir(parents=True)
        shutil.copy(ROOT / "solutions" / "ex04_kl_divergence.ipynb", folder / "in" / student)
    (folder / "work").mkdir()


def pythons() -> list[str]:
    """Paths of the newer Pythons on this machine."""
    candidates = [shutil.which(f"python3.{minor}") for minor in (12, 13)]
    candidates += sorted(map(str, Path.home().glob(".pyenv/versions/3.1[23].*/bin/python3")))
    by_version = {}
    for path in filter(None, candidates):
        version = subprocess.run(
            [path, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, encoding="utf-8"
        )
        if version.returncode == 0:
            by_version[version.stdout] = os.path.realpath(path) if "shims" not in path else path
    return [path for version, path in by_version.items() if version.strip() in ("(3, 12)", "(3, 13)")]


def main(
    names: Annotated[list[str] | None, typer.Argument(help="Words in the names of cases; default: all.")] = None,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Also install from scratch with Python 3.12 and 3.13, and from a wheel.")
    ] = False,
) -> None:
    """Run the cases and print a table."""
    if sys.platform != "linux" or os.geteuid():
        print("Left out: other machines are simulated by Linux namespaces, which need root.")
        return
    if subprocess.run([*NAMESPACES, "true"], capture_output=True).returncode:
        print("Left out: other machines are simulated by Linux namespaces, which do not work here.")
        return
    cases = [(case, os.path.realpath(sys.executable)) for case in CASES]
    if fresh:
        install = Step(("PYTHON", "course.py", "setup", "--grade", "--test"), says="Installed")
        steps = (install, SETUP, quick(f"{QUICK} or 04_kl or 05_jensen"), LAB_OPENS)
        cases += [(Case(f"fresh, {Path(path).name}", steps), path) for path in pythons()]
        cases.append((Case("wheel in an empty folder", WHEEL), os.path.realpath(sys.executable)))
    cases = [(case, python) for case, python in cases if not names or any(name in case.name for name in names)]
    if not cases:
        raise SystemExit(f"no case has {' or '.join(names)} in its name; there are {', '.join(c.name for c in CASES)}")
    rows, failed = [], 0
    with tempfile.TemporaryDirectory(prefix="vae-lessons-") as home:
        print(f"Copying the course and its packages to {home}.", flush=True)
        machine = Machine(Path(home))
        for case, python in cases:
            started = time.monotonic()
            print(f"{case.name}: ", end="", flush=True)
            machine.move(case.folder)
            machine.give(0)
            git = machine.folder / ".git"
            shutil.rmtree(git, ignore_errors=True)
            if case.git:
                subprocess.run(["git", "init", "-q", machine.folder], check=True)
                subprocess.run(["git", "-C", machine.folder, "add", "."], check=True)
            if case.name.startswith("fresh"):
                shutil.rmtree(machine.folder / ".venv")
            machine.give(0 if case.root else UID)
            for number, step in enumerate(case.steps):
                if "grade" in step.command:
                    shutil.rmtree(machine.folder / "out", ignore_errors=True)
                if wrong := machine.run(case, step, python):
                    failed += 1
                    print(f"step {number + 1}, {shlex.join(step.command)[:80]}: {wrong}", flush=True)
                    break
            verdict = "failed" if wrong else "good"
            rows.append(f"| {case.name} | {verdict} | {time.monotonic() - started:.0f} |")
            print(f"{verdict}, {time.monotonic() - started:.0f} s", flush=True)
    print("\n| case | verdict | seconds |\n|---|---|---|")
    print("\n".join(rows))
    if not fresh:
        print("Left out: Python 3.12 and 3.13, and a wheel, with their downloads (make test-machines ARGS=--fresh)")
    print(f"\n{len(rows) - failed} passed, {failed} failed")
    raise typer.Exit(min(failed, 1))


if __name__ == "__main__":
    typer.run(main)
