"""Set up, open and test the course.

lab            install what is missing, then open JupyterLab on the first notebook
test           install what is missing, then compare every notebook, run the quick tests and check the style
test-long      run the tests that `test` leaves out: many seeds, hostile submissions, nbgrader, a cluster
test-browser   test the interactive figures and the site in Chromium
test-machines  test the course as other users, and without bubblewrap, a network, a writable home, ...
test-all       run these four, one after another
site           install what is missing, then build the edition for reading into build/site
setup          only install what is missing (also for --grade, --test, --bench, --browser, --site)
clean          remove .venv and caches, and nothing else

Arguments after -- are passed on: `python course.py lab -- --no-browser`, `python course.py test -- -k kl`.
"""
# It needs only Python, and starts on old versions too, to report which version is needed.
# ruff: noqa: RUF005, UP010, UP031

from __future__ import print_function

import argparse
import contextlib
import errno
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time

OLDEST_PYTHON = (3, 11)
GIGABYTES_NEEDED = 3  # for the installed packages and pip's temporary copies
GIGABYTES_WITH_CUDA = 12  # with torch's default build for Linux, which includes NVIDIA's libraries
ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "Scripts" if os.name == "nt" else "bin", "python")
REMOVED = VENV + ".removed"  # .venv is renamed before deletion, so that no partial .venv remains
RECORD = os.path.join(VENV, "course-setup.json")  # what was installed, and whether installation finished
LOG = os.path.join(VENV, "course-setup.log")
FIRST_NOTEBOOK = "notebooks/00_start_here.ipynb"
LOCKED_BYTE = 1 << 30  # the byte of course.py that a set-up locks on Windows, far past its end
EXTRAS = (
    ("grade", "marking needs for nbgrader's gradebook and for Dask"),
    ("test", "the tests need"),
    ("bench", "the benchmarks need"),
    ("site", "the edition for reading needs"),
    ("browser", "tests in a browser need"),
)
COMMANDS = ("lab", "test", "test-long", "test-browser", "test-machines", "test-all", "site", "setup", "clean")
# Checked by ruff, which leaves out users' own files
CODE = ["course.py", "conftest.py", "benchmarks", "docs", "sources", "tests", "vae_course", "vae_lessons"]
CACHES = (".pytest_cache", ".ruff_cache", "__pycache__")
SETTINGS = "share/jupyter/lab/settings/overrides.json"  # in .venv: turns off prompts about news and updates
NO_NEWS = {"@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}}
AT_HOME = (  # folders that Jupyter, IPython and matplotlib write to, by default in the home folder
    "IPYTHONDIR",
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_RUNTIME_DIR",
    "JUPYTERLAB_SETTINGS_DIR",
    "JUPYTERLAB_WORKSPACES_DIR",
    "MPLCONFIGDIR",
)
LARGE_TORCH = (
    "torch without NVIDIA's libraries could not be installed (%s), so pip installs the default build: several GB more."
)
ADVICE = (  # by text in pip's output
    ("No space left on device", "Free some disk space (or set TMPDIR to a folder with more)"),
    ("Permission denied", "Check that you own .venv and that no program is using it"),
    ("No module named pip", "Remove this .venv, which has no pip (`python course.py clean`)"),
    (
        "Long Path",
        "Allow long paths (the Windows setting LongPathsEnabled), or move the course to a folder with a short path",
    ),
    ("connection broken", "Check the network connection and any proxy"),
    (
        "No matching distribution",
        "Use Python 3.11, for which the versions were chosen, and check pip's own settings",
    ),
    ("", "See the log"),
)


def stop(line):
    """Exit with a one-line message that says what to do."""
    sys.exit("course.py: " + line)


def require_python(version, executable, arguments):
    """Stop if Python is too old."""
    if tuple(version[:2]) < OLDEST_PYTHON:
        line = "Python 3.11 or newer is needed; this is %d.%d (%s). Install it, then run `%s course.py %s`."
        newer = "py" if os.name == "nt" else "python3.11"
        stop(line % (version[0], version[1], executable, newer, arguments[0] if arguments else "lab"))


def environment(**more):
    """The user's environment variables, adapted to use only .venv and to prefer its kernel."""
    elsewhere = ("PYTHONHOME", "PYTHONPATH", "JUPYTER_PATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX")
    env = {name: value for name, value in os.environ.items() if name not in elsewhere}
    env.update(VIRTUAL_ENV=VENV, JUPYTER_PREFER_ENV_PATH="1", PYTHONNOUSERSITE="1", PYTHONUTF8="1", **more)
    env["PATH"] = os.path.dirname(PYTHON) + os.pathsep + env.get("PATH", "")
    if not os.access(os.path.expanduser("~"), os.W_OK):
        for name in AT_HOME:
            env.setdefault(name, os.path.join(VENV, "home", name.lower()))
    return env


def wanted(extras):
    """The record of a finished, up-to-date installation."""
    digest = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt"):
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read())
    return {"finished": True, "folder": ROOT, "extras": extras, "files": digest.hexdigest()}


def recorded():
    """The record of the last installation; empty if there is none."""
    try:
        with open(RECORD, encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def record(state):
    """Save the state of the installation."""
    with open(RECORD, "w", encoding="utf-8") as file:
        json.dump(state, file)


def ask(program):
    """The lines that a program prints in .venv's Python, or None if it fails."""
    try:
        output = subprocess.check_output(
            [PYTHON, "-c", program], stderr=subprocess.DEVNULL, env=environment(), cwd=VENV
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return output.decode("utf-8").splitlines()


FIND = """
import sys
from importlib.metadata import packages_distributions
from importlib.util import find_spec
def installed(name):
    spec = name.isidentifier() and find_spec(name)
    return bool(spec and spec.origin)
"""
INSTALLED = FIND + "print(*filter(installed, {*packages_distributions(), 'vae_course', 'vae_lessons'}), sep='\\n')"
LOOK = "import sys; print('%d.%d' % sys.version_info[:2])\n"
TORCH = "from importlib.metadata import version; print('torch==' + version('torch').split('+')[0])"
LOOK_FOR = LOOK + FIND + "print(*[name for name in NAMES if not installed(name)], sep='\\n')"


def made_for(running):
    """The Python version that .venv was made for, or the running one if that is not recorded."""
    with open(os.path.join(VENV, "pyvenv.cfg"), encoding="utf-8") as file:
        settings = dict([word.strip() for word in line.split("=", 1)] for line in file if "=" in line)
    return ".".join(settings.get("version", settings.get("version_info", running)).split(".")[:2])


def fault():
    """Why .venv must be rebuilt, or None. Stops if it is not ours to replace."""
    why = problem()
    if why not in (None, "missing") and not os.path.exists(RECORD):
        stop("%s was not made by this program (%s), so it is left alone. Rename it, then run this again." % (VENV, why))
    return why


def problem():
    """What is wrong with .venv, or None."""
    if not os.path.lexists(VENV) or (os.path.isdir(VENV) and not os.listdir(VENV)):
        return "missing"
    complete = os.path.exists(os.path.join(VENV, "pyvenv.cfg"))
    if not (complete or os.path.exists(RECORD)):
        stop("%s is not a virtual environment, so it is left alone. Rename it, then run this again." % VENV)
    if not complete or not recorded().get("finished", True):
        return "its last installation did not finish"
    if recorded().get("folder", ROOT) != ROOT:
        return "it was made for another folder, %s" % recorded()["folder"]
    output = ask(LOOK_FOR.replace("NAMES", repr(recorded().get("modules", []))))
    running = (output or ask(LOOK) or [None])[0]
    if running is None:
        return "its Python does not run"
    if running != made_for(running) or tuple(int(number) for number in running.split(".")) < OLDEST_PYTHON:
        return "its Python is %s, and it was made for %s" % (running, made_for(running))
    missing = [name for name in (output or [])[1:] if name]
    if missing:
        return "it lacks " + ", ".join(missing[:3]) + " and more" * (len(missing) > 3)
    return None


def setup(more=()):
    """Make .venv match pyproject.toml and constraints.txt, unless it does already.

    Extras that were requested earlier are kept; `more` adds to them.
    """
    with alone():
        if is_done(more):
            return 0
        if not os.access(ROOT, os.W_OK):
            stop("%s cannot be written to. Copy the course into a folder of your own, then run this again." % ROOT)
        reason, extras = fault(), extras_with(more)
        if reason is not None:
            require_venv_module()
        if reason not in (None, "missing"):
            print("Rebuilding .venv: %s." % reason, flush=True)
            remove()
        if reason is not None:
            create()
        install(extras)
    return 0


def extras_with(more):
    """The extras requested before and those requested now."""
    extras = [name for name in recorded().get("extras", "").split(",") if name]
    return ",".join(extras + [name for name in more if name not in extras])


def is_done(more):
    """Whether .venv is intact and has everything requested."""
    target = wanted(extras_with(more))
    return fault() is None and {name: recorded().get(name) for name in target} == target


@contextlib.contextmanager
def alone():
    """Wait for any other set-up in this folder, then make others wait. The lock ends with the process."""
    path = os.path.join(ROOT, "course.py")
    with open(path, "r+b" if os.access(path, os.W_OK) else "rb") as file:  # NFS needs write access to lock
        announced = False
        while not lock(file):
            if not announced:
                print("Another set-up is running in this folder. Waiting until it is done.", flush=True)
            announced = True
            time.sleep(0.5)
        yield


def lock(file):
    """Try to lock the file. True on success, and if the file system has no locks."""
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(LOCKED_BYTE)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
    return True


def remove():
    """Delete .venv."""
    shutil.rmtree(REMOVED, ignore_errors=True)
    os.rename(VENV, REMOVED)
    shutil.rmtree(REMOVED)


def require_venv_module():
    """Stop if Python cannot make virtual environments."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        package = "python%d.%d-venv" % sys.version_info[:2]
        stop("%s cannot make virtual environments. On Debian or Ubuntu: `apt install %s`." % (sys.executable, package))


def create():
    """Make a new, empty .venv."""
    require_space(GIGABYTES_WITH_CUDA if brings_cuda() and has_nvidia() else GIGABYTES_NEEDED)
    if not os.path.isdir(VENV):
        os.mkdir(VENV)
    record({"finished": False})
    print("Creating .venv with Python %d.%d.%d." % sys.version_info[:3], flush=True)
    python = getattr(sys, "_base_executable", sys.executable)  # the running one may be in the .venv just removed
    run_logged([python, "-m", "venv", "--prompt", "vae-lessons", VENV], "Creating .venv")


def require_space(gigabytes):
    """Stop if the disk has less free space than this."""
    if shutil.disk_usage(ROOT).free < gigabytes * 1e9:
        stop("Less than %d GB is free in %s. Free some space, then run this again." % (gigabytes, ROOT))


def brings_cuda():
    """Whether pip's torch for this machine includes NVIDIA's libraries. Not if the user has set another index."""
    return sys.platform == "linux" and platform.machine() == "x86_64" and not os.environ.get("PIP_EXTRA_INDEX_URL")


def has_nvidia():
    """Whether an NVIDIA GPU can be used here."""
    return shutil.which("nvidia-smi") is not None or os.path.exists("/proc/driver/nvidia/version")


PIP = [PYTHON, "-u", "-m", "pip", "install", "--no-input", "--progress-bar", "off"]


def install(extras):
    """Install the course and its pinned packages into .venv."""
    print("Installing the packages pinned in constraints.txt (a few minutes the first time).", flush=True)
    before = recorded()
    record(dict(before, finished=False))
    names = [name for name in extras.split(",") if name]
    what = "Installing" + "".join(" what %s" % about for name, about in EXTRAS if name in names[-1:])
    try:
        if brings_cuda() and not has_nvidia():
            install_small_torch()
        run_logged(PIP + ["-c", "constraints.txt", "-e", ".[%s]" % extras if extras else "."], what)
    except SystemExit:
        record(before)  # pip itself failed: the previous installation still works
        raise
    path = os.path.join(VENV, SETTINGS)
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path))
    with open(path, "w", encoding="utf-8") as file:
        json.dump(NO_NEWS, file)
    record(dict(wanted(extras), modules=ask(INSTALLED) or []))
    print("Installed.", flush=True)


def install_small_torch():
    """Install torch without NVIDIA's libraries, unless the pinned version is installed already.

    uv knows where PyTorch keeps that build. If it fails, pip installs the default build.
    """
    folder = os.path.join(VENV, "uv")
    with open(os.path.join(ROOT, "constraints.txt"), encoding="utf-8") as file:
        torch = next(line.strip() for line in file if line.startswith("torch=="))
    if ask(TORCH) == [torch]:
        return
    get_uv = PIP + ["--quiet", "--retries", "1", "-c", "constraints.txt", "--target", folder, "uv"]
    uv = [os.path.join(folder, "bin", "uv"), "pip", "install", "--python", PYTHON, "--no-cache", "--no-deps"]
    failed = logged(get_uv) or logged(uv + ["--torch-backend=cpu", torch], UV_HTTP_RETRIES="1", UV_HTTP_TIMEOUT="20")
    shutil.rmtree(folder, ignore_errors=True)
    if failed:
        print(LARGE_TORCH % (log_lines() or ["it was stopped"])[-1][:80], flush=True)
        if ask(TORCH) and ask("import torch") is None:  # partly installed
            logged([PYTHON, "-m", "pip", "uninstall", "--yes", "torch"])
        require_space(GIGABYTES_WITH_CUDA)


def run_logged(command, what):
    """Run a step of the installation. If it fails, stop with advice."""
    if logged(command):
        lines = log_lines()
        text, advice = next((text, advice) for text, advice in ADVICE if text in "\n".join(lines))
        matching = [line for line in lines if text in line][-1:] if text else []
        for line in matching or ([line for line in lines if "ERROR" in line or "Error:" in line] or lines)[-3:]:
            print("  " + line[:300], file=sys.stderr)
        stop("%s failed. %s, then run this again. Log: %s" % (what, advice, LOG))


def logged(command, **more):
    """Run a command, write its output to the log and show its progress. Returns its exit code."""
    temporary = os.path.join(VENV, "tmp")  # for pip's copies: on the disk whose free space was checked
    with contextlib.suppress(OSError):
        os.mkdir(temporary)
    more.setdefault("TMPDIR", os.environ.get("TMPDIR", temporary))
    with open(LOG, "wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment(**more), stdout=log, stderr=subprocess.STDOUT)
    try:
        started = time.time()
        while process.poll() is None:
            show_progress(time.time() - started)
            time.sleep(0.2)
    finally:
        show_progress(None)
        if process.poll() is None:
            process.terminate()
            process.wait()
        shutil.rmtree(temporary, ignore_errors=True)
    return process.returncode


def show_progress(seconds):
    """On a terminal, show the time and pip's current step in place of the last; None clears the line."""
    if not sys.stdout.isatty() or os.environ.get("CI"):
        return
    width, text = shutil.get_terminal_size().columns - 1, ""
    if seconds is not None:
        steps = [line for line in log_lines() if line.startswith(("Collecting", "Downloading", "Installing"))]
        text = "  %d:%02d  %s" % (seconds // 60, seconds % 60, "".join(steps[-1:]).split(":")[0])
    print("\r" + text[:width].ljust(width) + ("" if text else "\r"), end="", flush=True)


def log_lines():
    """The non-empty lines of the log."""
    with open(LOG, "rb") as log:
        return [line.strip() for line in log.read().decode("utf-8", "replace").splitlines() if line.strip()]


def run(command, env):
    """Run a command and wait until it ends, even after Ctrl-C. Returns its exit code, or 130 after Ctrl-C."""
    process = subprocess.Popen(command, cwd=ROOT, env=env)
    interrupted = False
    while True:
        try:
            code = process.wait()
            return 130 if interrupted else code
        except KeyboardInterrupt:
            interrupted = True


def lab(extra):
    """Open JupyterLab on the first notebook."""
    if not os.path.exists(os.path.join(ROOT, FIRST_NOTEBOOK)):
        stop("%s is missing. `git restore notebooks` brings it back." % FIRST_NOTEBOOK)
    setup()
    code = run([PYTHON, "-m", "vae_course.cli", "lab", ROOT, "--"] + extra, environment())
    return 0 if code == 130 else code


PYTEST = ["pytest", "-n", "2", "--dist", "loadscope"]  # see conftest.py


def test(extra):
    """Check the style, run the quick unit tests, and compare every notebook's outputs."""
    setup(["grade", "test"])
    folders = ["tests", "vae_course", "vae_lessons", "notebooks", "solutions"]
    folders = [name for name in folders if os.path.isdir(os.path.join(ROOT, name))]
    nbval = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=300"]
    return run_all(
        ("style", ["ruff", "check"] + CODE),
        ("layout", ["ruff", "format", "--check"] + CODE),
        ("tests and notebooks", PYTEST + nbval + folders + extra),
    )


def run_all(*checks):
    """Run each check, print whether it passed, and return the worst exit code."""
    codes, summary = [], []
    for name, command in checks:
        print("Running " + " ".join(command), flush=True)
        codes.append(run([PYTHON, "-m"] + command, environment(OMP_NUM_THREADS="1", JUPYTER_PLATFORM_DIRS="1")))
        if codes[-1] == 130:
            return 130
        summary.append("%s: %s" % (name, "failed" if codes[-1] else "passed"))
    print("; ".join(summary), flush=True)
    return max(codes, key=abs)


def test_long(extra):
    """Run the tests that `test` leaves out and that need neither a browser nor another machine."""
    setup(["grade", "test"])
    return run_all(("long tests", PYTEST + ["-m", "long", "tests"] + extra))


def test_machines(extra):
    """Test the course as other users, and on machines that lack something."""
    setup(["grade", "test", "site"])
    return run([PYTHON, os.path.join("tests", "machines.py")] + extra, environment())


def test_all(extra):
    """Run all tests. Stop at the first kind that fails."""
    require_chromium()
    for tests in (test, test_long, test_browser, test_machines):
        code = tests(extra)
        if code:
            return code
    return 0


def site(extra):
    """Build the edition for reading from the stored notebooks, without running them."""
    setup(["site"])
    shutil.rmtree(os.path.join(ROOT, "build", "site"), ignore_errors=True)  # no pages of deleted lessons
    folders = ["-c", "docs", "-d", "build/doctrees", ".", "build/site"]
    code = run([PYTHON, "-m", "sphinx", "-q", "-b", "html"] + folders + extra, environment())
    if code == 0:
        print("Built. Open build/site/index.html in a browser.", flush=True)
    return code


def chromium():
    """The path of Chromium, from the variable CHROMIUM or on the PATH; None if there is none."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next((path for path in map(shutil.which, filter(None, names)) if path), None)


def require_chromium():
    """Stop if there is no Chromium."""
    if chromium() is None:
        how = "on Debian as root with `apt-get update && apt-get install -y chromium`"
        stop("No Chromium was found. Install it (%s) or set CHROMIUM to its path, then run this again." % how)


def test_browser(extra):
    """In Chromium, open the lessons in JupyterLab, move every slider, and read the site."""
    require_chromium()
    setup(["grade", "test", "site", "browser"])
    return run([PYTHON, "-m"] + PYTEST + ["tests/browser"] + extra, environment(OMP_NUM_THREADS="1"))


def clean():
    """Remove .venv and caches, and nothing else."""
    with alone():
        if fault() != "missing":
            if not os.path.exists(RECORD):
                stop("%s was not made by this program, so it is left alone." % VENV)
            remove()
        shutil.rmtree(REMOVED, ignore_errors=True)
    for folder, names, _ in os.walk(ROOT):
        for name in [name for name in names if name in CACHES]:
            shutil.rmtree(os.path.join(folder, name))
        names[:] = [name for name in names if name not in CACHES and not name.startswith(".")]
    print("Removed .venv and caches.", flush=True)
    return 0


def main(arguments):
    """Run one command. Errors are reported in one line."""
    require_python(sys.version_info, sys.executable, arguments)
    if os.name == "posix" and sys.getfilesystemencoding() != "utf-8":  # folder names may have any characters
        os.execve(sys.executable, [sys.executable, os.path.join(ROOT, "course.py")] + arguments, environment())
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # for characters that the terminal lacks
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="course.py", description=__doc__, formatter_class=formatter)
    parser.add_argument("command", choices=COMMANDS)
    for name, what in EXTRAS:
        parser.add_argument("--" + name, action="store_true", help="with setup: also install what %s" % what)
    chosen, unknown = parser.parse_known_args(arguments[:cut])
    if unknown:
        hint = "Arguments for JupyterLab, pytest or Sphinx go after --, as in `course.py %s -- %s`"
        parser.error("unknown argument %s. %s" % (unknown[0], hint % (chosen.command, " ".join(unknown))))
    more = [name for name, _ in EXTRAS if getattr(chosen, name)]
    kinds = (lab, test, test_long, test_browser, test_machines, test_all, site)
    commands = dict((kind.__name__.replace("_", "-"), kind) for kind in kinds)
    commands.update(setup=lambda _: setup(more), clean=lambda _: clean())
    try:
        return commands[chosen.command](arguments[cut + 1 :])
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        stop("%s. Check that you can write to this folder and the disk has space, then run this again." % error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
