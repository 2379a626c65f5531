"""Set up, open and test the course.

lab           install what is missing, then open JupyterLab on the first notebook
test          install what is missing, then run every test, notebook and style check
test-browser  install what is missing, then try the interactive figures and the site in Chromium
site          install what is missing, then build the edition for reading into build/site
setup         only install what is missing (--bench, --browser, --site: and what those need)
clean         remove .venv and caches, and nothing else

What follows -- is passed on: `python course.py lab -- --no-browser`, `python course.py test -- -k kl`.
"""
# It needs nothing but Python, and starts under old ones too, so that they can say what is missing.
# ruff: noqa: RUF005, UP010, UP031

from __future__ import print_function

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time

OLDEST_PYTHON = (3, 11)
GIGABYTES_NEEDED = 3
ROOT = os.path.dirname(os.path.abspath(__file__))
VENV = os.path.join(ROOT, ".venv")
PYTHON = os.path.join(VENV, "Scripts" if os.name == "nt" else "bin", "python")
RECORD = os.path.join(VENV, "course-setup.json")  # what was installed, and whether that finished
LOG = os.path.join(VENV, "course-setup.log")
FIRST_NOTEBOOK = "notebooks/00_start_here.ipynb"
EXTRAS = (
    ("bench", "the benchmarks need"),
    ("site", "the edition for reading needs"),
    ("browser", "tests in a browser need"),
)
CACHES = (".pytest_cache", ".ruff_cache", "__pycache__")
NBGRADER = [
    "nbgrader.server_extensions." + name
    for name in ("assignment_list", "course_list", "formgrader", "validate_assignment")
]
JUPYTER = {  # in .venv: no questions about news and new versions, and no menus of nbgrader, which is for instructors
    "share/jupyter/lab/settings/overrides.json": {
        "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False}
    },
    "etc/jupyter/labconfig/page_config.json": {"disabledExtensions": {"@jupyter/nbgrader": True}},
    "etc/jupyter/jupyter_server_config.d/zz-course.json": {
        "ServerApp": {"jpserver_extensions": dict.fromkeys(NBGRADER, False)}
    },
}
SMALL_TORCH = (
    'Note: without an NVIDIA GPU, a CPU-only torch saves gigabytes: pytorch.org\'s "Get started" page gives the '
    "index to set in PIP_EXTRA_INDEX_URL before this."
)
ADVICE = (  # what pip says, and what helps
    ("No space left on device", "Free some disk space (or set TMPDIR to a folder with more)"),
    ("Permission denied", "Check that you own .venv and that no program is using it"),
    ("No module named pip", "Remove this .venv, which has no pip (`python course.py clean`)"),
    ("connection broken", "Check the network connection and any proxy"),
    (
        "No matching distribution",
        "Use Python 3.11, which the versions are made for, and check pip's own settings",
    ),
    ("", "Look into the log"),
)


def stop(line):
    """End with one line that says what to do."""
    sys.exit("course.py: " + line)


def require_python(version, executable, arguments):
    """Stop where Python is too old."""
    if tuple(version[:2]) < OLDEST_PYTHON:
        line = "Python 3.11 or newer is needed; this is %d.%d (%s). Install it, then run `%s course.py %s`."
        newer = "py" if os.name == "nt" else "python3.11"
        stop(line % (version[0], version[1], executable, newer, arguments[0] if arguments else "lab"))


def environment(**more):
    """The user's environment, turned to .venv: nothing from elsewhere, and .venv's own kernel first."""
    elsewhere = ("PYTHONHOME", "PYTHONPATH", "JUPYTER_PATH", "PIP_USER", "PIP_TARGET", "PIP_PREFIX")
    env = {name: value for name, value in os.environ.items() if name not in elsewhere}
    env.setdefault("GOMP_SPINCOUNT", "1000")  # torch's threads soon wait asleep: see "takes minutes" in troubleshooting
    env.update(VIRTUAL_ENV=VENV, JUPYTER_PREFER_ENV_PATH="1", PYTHONNOUSERSITE="1", **more)
    env["PATH"] = os.path.dirname(PYTHON) + os.pathsep + env.get("PATH", "")
    return env


def wanted(extras):
    """The record of a finished, up-to-date installation."""
    digest = hashlib.sha256()
    for name in ("pyproject.toml", "constraints.txt"):
        with open(os.path.join(ROOT, name), "rb") as file:
            digest.update(file.read())
    return {"finished": True, "folder": ROOT, "extras": extras, "files": digest.hexdigest()}


def recorded():
    """The record that the last installation left; empty where there is none."""
    try:
        with open(RECORD) as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def record(state):
    """Write down how far the installation is."""
    with open(RECORD, "w") as file:
        json.dump(state, file)


def versions():
    """The version of .venv's Python (None where it does not run), and the one that .venv was made for."""
    program = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        runs = subprocess.check_output([PYTHON, "-c", program], stderr=subprocess.STDOUT).decode().strip()
    except (OSError, subprocess.CalledProcessError):
        return None, None
    with open(os.path.join(VENV, "pyvenv.cfg")) as file:
        settings = dict([word.strip() for word in line.split("=", 1)] for line in file if "=" in line)
    made_for = settings.get("version", settings.get("version_info", runs))
    return runs, ".".join(made_for.split(".")[:2])


def fault():
    """Why .venv has to be made anew, or None; stops where what is there is not ours to replace."""
    if not os.path.lexists(VENV) or (os.path.isdir(VENV) and not os.listdir(VENV)):
        return "missing"
    complete = os.path.exists(os.path.join(VENV, "pyvenv.cfg"))
    if not (complete or os.path.exists(RECORD)):
        stop("%s is no virtual environment, so it is left alone. Rename it, then run this again." % VENV)
    if not complete or not recorded().get("finished", True):
        return "its last installation did not finish"
    if recorded().get("folder", ROOT) != ROOT:
        return "it was made for another folder, %s" % recorded()["folder"]
    runs, made_for = versions()
    if runs is None:
        return "its Python does not run"
    if runs != made_for or tuple(int(number) for number in runs.split(".")) < OLDEST_PYTHON:
        return "its Python is %s, and it was made for %s" % (runs, made_for)
    return None


def setup(more=()):
    """Bring .venv to what pyproject.toml and constraints.txt ask for, where it is not there already.

    What was once asked for stays: `more` adds extras to those of the last time.
    """
    extras = recorded().get("extras", "test").split(",")
    extras = ",".join(extras + [name for name in more if name not in extras])
    reason = fault()
    if reason is None and recorded() == wanted(extras):
        return 0
    if not os.access(ROOT, os.W_OK):
        stop("%s cannot be written to. Copy the course into a folder of your own, then run this again." % ROOT)
    if reason not in (None, "missing"):
        print("Rebuilding .venv: %s." % reason, flush=True)
        shutil.rmtree(VENV)
    if reason is not None:
        create()
    install(extras)
    return 0


def create():
    """Make a new, empty .venv."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        package = "python%d.%d-venv" % sys.version_info[:2]
        stop("%s cannot make virtual environments. On Debian or Ubuntu: `apt install %s`." % (sys.executable, package))
    if shutil.disk_usage(ROOT).free < GIGABYTES_NEEDED * 1e9:
        stop("Less than %d GB are free in %s. Free some space, then run this again." % (GIGABYTES_NEEDED, ROOT))
    if not os.path.isdir(VENV):
        os.mkdir(VENV)
    record({"finished": False})
    print("Creating .venv with Python %d.%d.%d." % sys.version_info[:3], flush=True)
    python = getattr(sys, "_base_executable", sys.executable)  # the running one may be the .venv just removed
    run_logged([python, "-m", "venv", "--prompt", "vae-lessons", VENV], "Creating .venv")
    if sys.platform == "linux" and platform.machine() == "x86_64" and not os.environ.get("PIP_EXTRA_INDEX_URL"):
        print(SMALL_TORCH, flush=True)


def install(extras):
    """Install the course and its pinned packages into .venv."""
    print("Installing the packages pinned in constraints.txt (some minutes the first time).", flush=True)
    before = recorded()
    record({"finished": False})
    pip = [PYTHON, "-u", "-m", "pip", "install", "--no-input", "--progress-bar", "off"]
    try:
        run_logged(pip + ["-c", "constraints.txt", "-e", ".[%s]" % extras], "Installing")
    except SystemExit:
        record(before)  # pip gave up by itself: what worked before still works
        raise
    for name, settings in JUPYTER.items():
        path = os.path.join(VENV, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            json.dump(settings, file)
    record(wanted(extras))
    print("Installed.", flush=True)


def run_logged(command, what):
    """Run a step of the installation: its output goes to the log, its progress to the screen."""
    with open(LOG, "wb") as log:
        process = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=log, stderr=subprocess.STDOUT)
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
    if process.returncode:
        lines = log_lines()
        for line in ([line for line in lines if "ERROR" in line or "Error:" in line] or lines)[-3:]:
            print("  " + line[:300], file=sys.stderr)
        advice = next(advice for sign, advice in ADVICE if sign in "\n".join(lines))
        stop("%s failed. %s, then run this again. Log: %s" % (what, advice, LOG))


def show_progress(seconds):
    """On a terminal, show the time and pip's current step, each time in place of the one before."""
    if not sys.stdout.isatty() or os.environ.get("CI"):
        return
    width, text = shutil.get_terminal_size().columns - 1, ""
    if seconds is not None:
        steps = [line for line in log_lines() if line.startswith(("Collecting", "Downloading", "Installing"))]
        text = "  %d:%02d  %s" % (seconds // 60, seconds % 60, "".join(steps[-1:]).split(":")[0])
    print("\r" + text[:width].ljust(width) + ("" if text else "\r"), end="", flush=True)


def log_lines():
    """The lines of the log that are not empty."""
    with open(LOG, "rb") as log:
        return [line.strip() for line in log.read().decode("utf-8", "replace").splitlines() if line.strip()]


def run(command, env):
    """Run a command and wait for it, however it answers Ctrl-C; 130 if that was pressed."""
    process = subprocess.Popen(command, cwd=ROOT, env=env)
    interrupted = False
    while True:
        try:
            code = process.wait()
            return 130 if interrupted else code
        except KeyboardInterrupt:
            interrupted = True


def lab_command(folder=ROOT):
    """What starts JupyterLab in a folder."""
    command = [PYTHON, "-m", "jupyterlab", "--ServerApp.root_dir=" + folder]
    command += ["--LabApp.default_url=/lab/tree/" + FIRST_NOTEBOOK]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        print("You are root here, so JupyterLab is started with --allow-root.", flush=True)
        command += ["--allow-root"]
    return command


def lab(extra):
    """Open JupyterLab on the first notebook."""
    if not os.path.exists(os.path.join(ROOT, FIRST_NOTEBOOK)):
        stop("%s is missing. `git restore notebooks` brings it back." % FIRST_NOTEBOOK)
    setup()
    code = run([PYTHON, "-m", "vae_lessons.cli", "update", "--only-new"], environment())
    if code:
        return code
    print("Opening JupyterLab. Ctrl-C here ends it.", flush=True)
    code = run(lab_command() + extra, environment())
    return 0 if code == 130 else code


def test(extra):
    """Run the unit tests, compare every notebook's outputs, and check the style."""
    setup()
    folders = ["tests", "vae_lessons", "notebooks", "solutions"]
    folders = [name for name in folders if os.path.isdir(os.path.join(ROOT, name))]
    pytest = ["pytest", "-n", "2", "--dist", "loadfile"]
    nbval = ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=300"]
    checks = (
        ("tests and notebooks", pytest + nbval + folders + extra),
        ("style", ["ruff", "check", "."]),
        ("layout", ["ruff", "format", "--check", "."]),
    )
    codes, summary = [], []
    for name, command in checks:
        print("Running " + " ".join(command), flush=True)
        env = environment(OMP_NUM_THREADS="1", JUPYTER_PLATFORM_DIRS="1")
        codes.append(run([PYTHON, "-m"] + command, env))
        if codes[-1] == 130:
            return 130
        summary.append("%s: %s" % (name, "failed" if codes[-1] else "passed"))
    print("; ".join(summary))
    return max(codes, key=abs)


def site(extra):
    """Build the edition for reading from the stored notebooks, which are not run."""
    setup(["site"])
    shutil.rmtree(os.path.join(ROOT, "build", "site"), ignore_errors=True)  # no pages of lessons that are gone
    folders = ["-c", "docs", "-d", "build/doctrees", ".", "build/site"]
    code = run([PYTHON, "-m", "sphinx", "-q", "-b", "html"] + folders + extra, environment())
    if code == 0:
        print("Built. Open build/site/index.html in a browser.", flush=True)
    return code


def chromium():
    """The path of a Chromium: the one that CHROMIUM names, or one on the PATH; None where there is none."""
    names = (os.environ.get("CHROMIUM"), "chromium", "chromium-browser", "google-chrome")
    return next((path for path in map(shutil.which, filter(None, names)) if path), None)


def test_browser(extra):
    """Open the lessons in JupyterLab and move every slider, and read the site, with Chromium."""
    if chromium() is None:
        how = "on Debian as root with `apt-get update && apt-get install -y chromium`"
        stop("No Chromium was found. Install it (%s) or set CHROMIUM to its path, then run this again." % how)
    setup(["browser", "site"])
    return run([PYTHON, "-m", "pytest", "tests/browser"] + extra, environment(OMP_NUM_THREADS="1"))


def clean():
    """Remove .venv and caches, and nothing that anyone wrote."""
    if fault() != "missing":
        shutil.rmtree(VENV)
    for folder, names, _ in os.walk(ROOT):
        for name in [name for name in names if name in CACHES]:
            shutil.rmtree(os.path.join(folder, name))
        names[:] = [name for name in names if name not in CACHES and not name.startswith(".")]
    print("Removed .venv and caches.", flush=True)
    return 0


def main(arguments):
    """Run one command; whatever goes wrong is told in one line."""
    require_python(sys.version_info, sys.executable, arguments)
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="course.py", description=__doc__, formatter_class=formatter)
    parser.add_argument("command", choices=("lab", "test", "test-browser", "site", "setup", "clean"))
    for name, what in EXTRAS:
        parser.add_argument("--" + name, action="store_true", help="install what %s, too" % what)
    chosen = parser.parse_args(arguments[:cut])
    more = [name for name, _ in EXTRAS if getattr(chosen, name)]
    commands = {"lab": lab, "test": test, "test-browser": test_browser, "site": site}
    commands.update(setup=lambda _: setup(more), clean=lambda _: clean())
    try:
        return commands[chosen.command](arguments[cut + 1 :])
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        stop("%s. Check that this folder is yours to write in and the disk has space, then run this again." % error)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
