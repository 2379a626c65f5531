"""Versions agree everywhere, and `course.py` copes with unsuitable machines and broken folders."""

import ast
import errno
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path

import nbformat
import nbval.kernel
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
PINS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line[:1] not in ("#", "")
)
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))


def load(path: Path):
    """Load a module from its file."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def course(tmp_path):
    """`course.py` in a new folder."""
    folder = tmp_path / "the course, курс"
    (folder / "notebooks").mkdir(parents=True)
    for name in ("course.py", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    return load(folder / "course.py")


@pytest.fixture
def venv(course):
    """The same with a working virtual environment."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", course.VENV], check=True)
    course.record(course.wanted("test"))
    return Path(course.VENV)


@pytest.fixture
def steps(course, monkeypatch):
    """Replaces pip by a stub, and records the steps of the installation."""
    names = []

    def run_logged(command, what):
        names.append(what)
        if "venv" in command:
            subprocess.run([sys.executable, "-m", "venv", "--without-pip", course.VENV], check=True)

    monkeypatch.setattr(course, "run_logged", run_logged)
    monkeypatch.setattr(course, "install_small_torch", lambda: None)
    return names


# Versions


@pytest.mark.parametrize("line", [*PROJECT["dependencies"], *chain(*EXTRAS.values())])
def test_every_dependency_is_pinned_within_its_range(line):
    requirement = Requirement(line)
    pins = {canonicalize_name(name): version for name, version in PINS.items()}
    assert pins[canonicalize_name(requirement.name)] in requirement.specifier


def test_pins_are_names_and_versions_only():
    bad = {
        name: version for name, version in PINS.items() if not re.fullmatch(r"[\w.-]+==[\w.]+", f"{name}=={version}")
    }
    assert not bad


def test_one_version_of_torch():
    versions = {
        version
        for path in tracked_files()
        if path.suffix in (".txt", ".toml", ".yml", ".md", ".py")
        for version in re.findall(r"\btorch==([\d.]*\d)", text_of(path))
    }
    assert versions <= {PINS["torch"]}


def test_conda_environment_agrees():
    pip = next(entry["pip"] for entry in CONDA["dependencies"] if isinstance(entry, dict))
    assert CONDA["name"] == PROJECT["name"]
    assert pip == ["-c constraints.txt", "-e ."]


def test_binder_gets_the_same_python_and_versions():
    conda = next(entry for entry in CONDA["dependencies"] if str(entry).startswith("python=")).removeprefix("python=")
    assert (ROOT / ".binder/runtime.txt").read_text(encoding="utf-8") == f"python-{conda}\n"
    script = ROOT / ".binder/postBuild"
    assert "pip install --no-cache-dir -c constraints.txt -e .\n" in script.read_text(encoding="utf-8")
    assert os.access(script, os.X_OK)


def code_in(path):
    """The lines of code in a Markdown page, in blocks and in backquotes."""
    text = path.read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```\w+\n(.*?)^ *```", text, re.M | re.S)
    spans = re.findall(r"`([^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S))
    return [line.strip() for line in "\n".join([*blocks, *spans]).splitlines()]


PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_commands_that_exist(page):
    from vae_course.cli import app

    tools = {command.name or command.callback.__name__ for command in app.registered_commands}
    names_by_pattern = {
        r"(?m)^make ([a-z][\w-]*)": set(
            re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
        ),
        r"course\.py (\w[\w-]*)": set(load(ROOT / "course.py").COMMANDS),
        r"(?m)^(?:\S+/)?vae-lessons ([a-z]\w*)": tools,
    }
    code = code_in(page)
    for pattern, names in names_by_pattern.items():
        assert set(re.findall(pattern, "\n".join(code))) <= names
    installs = [line for line in code if re.search(r"pip install(?! (?:-q )?-c constraints\.txt )", line)]
    assert not installs


def test_same_python_everywhere():
    conda = next(entry for entry in CONDA["dependencies"] if str(entry).startswith("python=")).removeprefix("python=")
    job = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]["test"]
    uses = [step["with"]["python-version"] for step in job["steps"] if "setup-python" in step.get("uses", "")]
    oldest = ".".join(map(str, load(ROOT / "course.py").OLDEST_PYTHON))
    assert uses == [conda]
    assert f"{conda}.0" in SpecifierSet(PROJECT["requires-python"])
    assert PROJECT["requires-python"] == f">={oldest}"


def test_ci_runs_what_the_readme_says():
    job = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text(encoding="utf-8"))["jobs"]["test"]
    assert "bash .ci/run" in [step.get("run") for step in job["steps"]]
    assert (ROOT / ".ci/run").read_text(encoding="utf-8").splitlines()[-2:] == [
        "make test",
        "make test-long test-browser test-machines",
    ]


def tracked_files() -> list[Path]:
    """The files under version control."""
    try:
        listing = subprocess.check_output(
            ["git", "ls-files", "-z"], cwd=ROOT, stderr=subprocess.DEVNULL, encoding="utf-8"
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listing.split("\0") if (ROOT / name).is_file()]


def text_of(path: Path) -> str:
    """The file's text; empty if it is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


# An unsuitable Python


def test_old_pythons_can_read_course_py():
    tree = ast.parse((ROOT / "course.py").read_text(encoding="utf-8"), feature_version=(3, 6))
    newer = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.Starred, ast.AsyncFunctionDef)
    assert not [node.lineno for node in ast.walk(tree) if isinstance(node, newer)]


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 8, 10), (3, 10, 13)])
def test_old_python_gets_one_line(course, monkeypatch, version):
    monkeypatch.setattr(course.sys, "version_info", version)
    with pytest.raises(SystemExit) as stopped:
        course.main(["test"])
    message = str(stopped.value)
    assert message.startswith(f"course.py: Python 3.11 or newer is needed; this is {version[0]}.{version[1]} (")
    assert "course.py test`" in message
    assert "\n" not in message


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 13, 1), (4, 0, 0)])
def test_newer_pythons_are_welcome(course, version):
    course.require_python(version, "python", [])


def spins(**variables):
    """How long torch's threads spin, as OpenMP reports it if torch is imported after the library."""
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    program = "import vae_lessons, torch"
    command = [sys.executable, "-c", program]
    environment |= {"OMP_DISPLAY_ENV": "VERBOSE", **variables}
    report = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", cwd=ROOT).stderr
    if "GOMP_SPINCOUNT" not in report:
        pytest.skip("torch's OpenMP is not libgomp here")
    return set(re.findall(r"GOMP_SPINCOUNT = '(\d+)'", report))


def test_waiting_threads_fall_asleep_soon_unless_the_user_says_otherwise():
    assert spins() == {"1000"}
    assert spins(GOMP_SPINCOUNT="7") == {"7"}


@pytest.mark.parametrize(
    "source", sorted(ROOT.glob("sources/*/*.py")), ids=lambda path: f"{path.parent.name}-{path.stem}"
)
def test_notebooks_import_the_library_before_torch(source):
    """torch reads the setting for waiting threads when it is imported."""
    imports = [
        node
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    names = [
        getattr(node, "module", None) or node.names[0].name for node in sorted(imports, key=lambda node: node.lineno)
    ]
    first = next(
        package
        for package in (name.split(".")[0] for name in names)
        if package in ("vae_course", "vae_lessons", "torch", "sklearn", "scipy")
    )
    assert first in ("vae_course", "vae_lessons")


def test_make_without_python_says_so(tmp_path):
    make = shutil.which("make")
    if not make:
        pytest.skip("make is not installed")
    done = subprocess.run([make, "lab"], cwd=ROOT, env={"PATH": str(tmp_path)}, capture_output=True, encoding="utf-8")
    assert done.returncode
    assert "Python was not found. Install Python 3.11" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_no_venv_module_gives_one_line(course, monkeypatch):
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    with pytest.raises(SystemExit, match=r"cannot make virtual environments.*apt install python3"):
        course.main(["setup"])
    assert not os.path.exists(course.VENV)


# A broken .venv


def test_a_working_venv_has_no_fault(course, venv):
    assert course.fault() is None


def break_python(course):
    os.remove(course.PYTHON)


def break_link_to_python(course):
    os.remove(course.PYTHON)
    os.symlink(os.path.join(course.ROOT, "no such python"), course.PYTHON)


def make_for_another_python(course):
    Path(course.VENV, "pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.8.18\n", encoding="utf-8")


def leave_unfinished(course):
    course.record({**course.wanted("test"), "finished": False})


def lose_a_package(course):
    course.record({**course.wanted("test"), "modules": ["json", "torch"]})  # there is no torch in this .venv


def lose_packages(course):
    course.record({**course.wanted("test"), "modules": ["numpy", "scipy", "torch", "matplotlib", "json"]})


def move(course):
    course.record({**course.wanted("test"), "folder": "elsewhere"})


@pytest.mark.skipif(os.name == "nt", reason="symbolic links")
@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (break_python, "does not run"),
        (break_link_to_python, "does not run"),
        (make_for_another_python, "made for 3.8"),
        (leave_unfinished, "did not finish"),
        (move, "another folder, elsewhere"),
        (lose_a_package, r"it lacks torch\."),
        (lose_packages, r"it lacks numpy, scipy, torch and more\."),
    ],
)
def test_broken_venv_is_rebuilt(course, venv, steps, capsys, damage, reason):
    (venv / "stale").touch()
    damage(course)
    assert course.main(["setup"]) == 0
    assert re.search(f"Rebuilding .venv: .*{reason}", capsys.readouterr().out)
    assert steps == ["Creating .venv", "Installing what the tests need"]
    assert course.fault() is None
    assert not (venv / "stale").exists()


@pytest.mark.parametrize("command", ["setup", "clean"])
@pytest.mark.parametrize("kind", ["file", "folder"])
def test_something_that_is_not_a_venv_is_left_alone(course, command, kind):
    mine = Path(course.VENV)
    if kind == "folder":
        mine.mkdir()
        mine = mine / "notes.txt"
    mine.write_text("mine", encoding="utf-8")
    with pytest.raises(SystemExit, match="not a virtual environment, so it is left alone"):
        course.main([command])
    assert mine.read_text(encoding="utf-8") == "mine"


def test_a_removal_that_was_interrupted_is_completed(course, venv, steps, monkeypatch):
    (venv / "lib" / "large").mkdir(parents=True)
    course.record({**course.wanted("test"), "folder": "elsewhere"})
    real = shutil.rmtree

    def interrupted(path, **named):
        if path == course.REMOVED and os.path.exists(path):
            raise KeyboardInterrupt
        real(path, **named)

    monkeypatch.setattr(course.shutil, "rmtree", interrupted)
    assert course.main(["setup"]) == 130
    monkeypatch.setattr(course.shutil, "rmtree", real)
    assert course.main(["setup"]) == 0
    assert course.fault() is None
    assert course.main(["clean"]) == 0
    assert not os.path.exists(course.VENV)
    assert not os.path.exists(course.REMOVED)


@pytest.mark.parametrize("command", ["setup", "clean"])
def test_a_venv_that_somebody_else_made_is_left_alone(course, venv, steps, command):
    os.remove(course.RECORD)
    make_for_another_python(course)
    (venv / "mine").touch()
    with pytest.raises(SystemExit, match=r"was not made by this program.*left alone"):
        course.main([command])
    assert (venv / "mine").exists()


# Installing


def test_a_second_setup_does_nothing(course, steps):
    course.main(["setup"])
    assert steps == ["Creating .venv", "Installing"]
    course.main(["setup"])
    assert len(steps) == 2


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_changed_versions_are_installed(course, venv, steps, name):
    with open(Path(course.ROOT) / name, "a", encoding="utf-8") as file:
        file.write("# changed\n")
    course.main(["setup"])
    assert steps == ["Installing what the tests need"]


def test_extras_stay(course, venv, steps):
    course.main(["setup", "--bench"])
    course.main(["setup"])
    assert steps == ["Installing what the benchmarks need"]
    assert course.recorded()["extras"] == "test,bench"
    course.main(["setup", "--site", "--bench"])
    assert steps[1:] == ["Installing what the edition for reading needs"]
    assert course.recorded()["extras"] == "test,bench,site"


def test_every_extra_has_an_option(course):
    assert set(dict(course.EXTRAS)) == set(EXTRAS)


def test_students_get_what_lessons_need_and_nothing_else(course, steps, monkeypatch):
    monkeypatch.setattr(course, "run", lambda command, env: 0)
    Path(course.ROOT, course.FIRST_NOTEBOOK).touch()
    assert course.main(["lab"]) == 0
    assert course.recorded()["extras"] == ""
    for name in ("distributed", "nbgrader", "nbval", "pytest", "jupytext"):
        assert not [line for line in PROJECT["dependencies"] if Requirement(line).name == name]
    assert course.main(["test"]) == 0
    assert course.recorded()["extras"] == "grade,test"


def test_installed_modules_are_recorded(course):
    modules = subprocess.check_output([sys.executable, "-c", course.INSTALLED], encoding="utf-8").split()
    assert {"torch", "jupyterlab", "vae_lessons", "mlxtend"} <= set(modules)
    program = course.LOOK_FOR.replace("NAMES", repr([*modules, "no_such_module"]))
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert subprocess.check_output([sys.executable, "-c", program], encoding="utf-8").split() == [
        version,
        "no_such_module",
    ]


def test_a_second_set_up_waits_for_the_first(course, steps, monkeypatch, capsys):
    """The first holds the lock until the second reports that it waits, and does all the work before that."""
    program = "import sys, course\nwith course.alone():\n    print('locked', flush=True)\n    sys.stdin.read()"
    first = subprocess.Popen(
        [sys.executable, "-c", program], cwd=course.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert first.stdout.readline() == b"locked\n"

    def waited(seconds):
        course.create()
        course.install("")
        first.communicate()

    monkeypatch.setattr(course.time, "sleep", waited)
    assert course.main(["setup"]) == 0
    assert "Another set-up is running in this folder. Waiting until it is done." in capsys.readouterr().out
    assert steps == ["Creating .venv", "Installing"]  # done by the first only


def test_setup_works_without_locks(course, monkeypatch):
    fcntl = pytest.importorskip("fcntl")

    def unknown(file, kind):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", unknown)
    with course.alone():
        pass


@pytest.fixture
def commands(course, monkeypatch):
    """Simulates a Linux machine without a GPU, and records the commands that an installation would run."""
    commands = []
    monkeypatch.setattr(course, "logged", lambda command, **_: commands.append(command) or 0)
    monkeypatch.setattr(course, "log_lines", lambda: ["error: no answer"])
    monkeypatch.setattr(course, "ask", lambda program: [])
    monkeypatch.setattr(course, "brings_cuda", lambda: True)
    monkeypatch.setattr(course, "has_nvidia", lambda: False)
    os.mkdir(course.VENV)
    return commands


def test_without_a_gpu_torch_comes_without_cuda(course, commands):
    course.install("")
    get_uv, uv, pip = commands
    assert get_uv[-3:-1] == ["--target", os.path.join(course.VENV, "uv")]
    assert uv[0] == os.path.join(course.VENV, "uv", "bin", "uv")
    assert uv[-2:] == ["--torch-backend=cpu", f"torch=={PINS['torch']}"]
    assert pip[-4:] == ["-c", "constraints.txt", "-e", "."]


def fail_at(number, course, commands, monkeypatch):
    monkeypatch.setattr(course, "logged", lambda command, **_: commands.append(command) or int(len(commands) == number))


@pytest.mark.parametrize("number", [1, 2], ids=["no uv", "no torch for it"])
def test_if_that_fails_pip_installs_its_usual_build_if_there_is_space(course, commands, monkeypatch, capsys, number):
    fail_at(number, course, commands, monkeypatch)
    course.install("")
    assert "could not be installed (error: no answer), so pip installs the default build" in capsys.readouterr().out
    assert commands[-1][-2:] == ["-e", "."]
    assert course.recorded()["finished"]
    course.record({"finished": False})
    fail_at(len(commands) + number, course, commands, monkeypatch)
    monkeypatch.setattr(course, "GIGABYTES_WITH_CUDA", 1e9)
    with pytest.raises(SystemExit, match="Free some space"):
        course.install("")
    assert course.recorded() == {"finished": False}  # as before


def test_a_broken_torch_is_uninstalled(course, commands, monkeypatch):
    answers = {course.TORCH: ["torch of another version"], "import torch": None}
    monkeypatch.setattr(course, "ask", lambda program: answers.get(program, []))
    fail_at(2, course, commands, monkeypatch)
    course.install("")
    assert [command[-1] for command in commands[-2:]] == ["torch", "."]
    assert "uninstall" in commands[-2]


@pytest.mark.parametrize("why", ["GPU", "other system", "installed before"])
def test_otherwise_torch_is_left_to_pip(course, commands, monkeypatch, why):
    if why == "GPU":
        monkeypatch.setattr(course, "has_nvidia", lambda: True)
    if why == "other system":
        monkeypatch.setattr(course, "brings_cuda", lambda: False)
    if why == "installed before":
        monkeypatch.setattr(course, "ask", lambda program: [f"torch=={PINS['torch']}"])
    course.install("test")
    assert [command[-1] for command in commands] == [".[test]"]


def test_another_index_is_the_users_choice(course, monkeypatch):
    monkeypatch.setattr(course.sys, "platform", "linux")
    monkeypatch.setattr(course.platform, "machine", lambda: "x86_64")
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    assert course.brings_cuda()
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "https://torch.example/cpu")
    assert not course.brings_cuda()


@pytest.mark.parametrize("command", ["test-browser", "test-all"])
def test_no_chromium_gets_one_line(course, venv, steps, monkeypatch, command):
    monkeypatch.setenv("PATH", str(venv))
    monkeypatch.setenv("CHROMIUM", "no-such-program")
    with pytest.raises(SystemExit) as stopped:
        course.main([command])
    assert re.fullmatch(r"course\.py: No Chromium was found\. Install it .*apt-get.* again\.", str(stopped.value))
    assert not steps


def test_browser_tests_get_what_they_need(course, venv, steps, monkeypatch):
    monkeypatch.setenv("CHROMIUM", sys.executable)  # any program
    commands = []
    monkeypatch.setattr(course, "run", lambda command, env: commands.append(command) or 0)
    assert course.main(["test-browser", "--", "-k", "04"]) == 0
    assert steps == ["Installing what tests in a browser need"]
    assert course.recorded()["extras"] == "test,grade,site,browser"
    assert commands == [[course.PYTHON, "-m", *course.PYTEST, "tests/browser", "-k", "04"]]


def test_an_interruption_prints_no_traceback_and_is_detected(course, venv, monkeypatch):
    def interrupted(command, what):
        raise KeyboardInterrupt

    course.record({"finished": True})  # out of date
    monkeypatch.setattr(course, "run_logged", interrupted)
    assert course.main(["setup"]) == 130
    assert course.fault() == "its last installation did not finish"


@pytest.mark.parametrize(
    ("pip_says", "advice"),
    [
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
            "Free some disk",
        ),
        ("ERROR: [Errno 13] Permission denied: 'x'", "own .venv"),
        ("WARNING: Retrying after connection broken by 'NewConnectionError'", "network connection"),
        ("connection broken by 'X'\nERROR: these package versions have conflicting dependencies", "network connection"),
        ("ERROR: No matching distribution found for torch==2.13.0", "Use Python 3.11"),
        (
            "HINT: This error might have occurred since this system does not have Windows Long Path support",
            "long paths",
        ),
        ("Something nobody has seen", "See the log"),
    ],
)
def test_failing_pip_gives_advice(course, venv, capsys, pip_says, advice):
    program = f"import sys; print({pip_says!r}); sys.exit(1)"
    with pytest.raises(SystemExit, match=f"Installing failed. .*{advice}.*course-setup.log") as stopped:
        course.run_logged([sys.executable, "-c", program], "Installing")
    assert "\n" not in str(stopped.value)
    assert capsys.readouterr().err == f"  {pip_says.splitlines()[0]}\n"  # the cause, not its consequences


def test_failing_update_keeps_what_worked(course, venv, monkeypatch):
    def failing(command, what):
        course.stop("failed")

    course.record({"finished": True})  # out of date
    monkeypatch.setattr(course, "run_logged", failing)
    with pytest.raises(SystemExit):
        course.main(["setup"])
    assert course.fault() is None


def test_real_setup_without_any_index(course):
    environment = {
        **os.environ,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": "",
        "PIP_CONFIG_FILE": os.devnull,
        "CI": "1",
    }
    command = [sys.executable, "course.py", "setup"]
    done = subprocess.run(command, cwd=course.ROOT, env=environment, capture_output=True, encoding="utf-8")
    assert done.returncode == 1
    assert "Creating .venv" in done.stdout
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1].startswith("course.py: Installing failed. Use Python 3.11")
    assert os.path.exists(course.LOG)


def test_a_home_that_cannot_be_written_to_is_left_alone(course, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", "mine")
    monkeypatch.delenv("JUPYTER_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(course.os, "access", lambda path, mode: path != os.path.expanduser("~"))
    environment = course.environment()
    assert environment["JUPYTER_RUNTIME_DIR"] == os.path.join(course.VENV, "home", "jupyter_runtime_dir")
    assert environment["IPYTHONDIR"] == "mine"
    monkeypatch.undo()
    assert "JUPYTER_RUNTIME_DIR" not in course.environment() or "JUPYTER_RUNTIME_DIR" in os.environ


def test_any_folder_name_works_in_any_locale(course, venv):
    """The folder's name has letters that the terminal and the file system cannot encode here."""
    course.record({**course.wanted("test"), "folder": "elsewhere, где-то"})
    environment = {**os.environ, "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PATH": "", "PIP_NO_INDEX": "1"}
    command = [sys.executable, "course.py", "setup"]
    done = subprocess.run(command, cwd=course.ROOT, env=environment, capture_output=True)
    assert b"Rebuilding .venv: it was made for another folder, elsewhere" in done.stdout
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["lab", "test"])
def test_an_option_of_another_program_gets_advice(course, capsys, command):
    with pytest.raises(SystemExit):
        course.main([command, "--no-browser", "--port=7"])
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(
        "course.py: error: unknown argument --no-browser. Arguments for JupyterLab, pytest or Sphinx go after --"
    )
    assert line.endswith(f"as in `course.py {command} -- --no-browser --port=7`")


def test_unwritable_folder_gives_one_line(course, monkeypatch):
    monkeypatch.setattr(course.os, "access", lambda path, mode: False)
    with pytest.raises(SystemExit, match="cannot be written to"):
        course.main(["setup"])


def test_full_disk_gives_one_line(course, monkeypatch):
    monkeypatch.setattr(course, "GIGABYTES_NEEDED", 1e9)
    with pytest.raises(SystemExit, match=r"Free some space"):
        course.main(["setup"])
    assert not os.path.exists(course.VENV)


# The commands


@pytest.fixture
def ran(course, venv, monkeypatch):
    """Records the commands that would have been run, each with its environment."""
    calls = []
    monkeypatch.setattr(course, "run", lambda command, env: calls.append((command, env)) or 0)
    return calls


def test_lab_starts_jupyterlab_in_the_courses_folder(course, ran, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    Path(course.ROOT, course.FIRST_NOTEBOOK).touch()
    assert course.main(["lab", "--", "--no-browser", "--port", "8899"]) == 0
    [(command, environment)] = ran
    lab = [course.PYTHON, "-m", "vae_course.cli", "lab", course.ROOT]
    assert command == [*lab, "--", "--no-browser", "--port", "8899"]
    assert environment["JUPYTER_PREFER_ENV_PATH"] == "1"
    assert environment["PATH"].startswith(os.path.dirname(course.PYTHON) + os.pathsep)
    assert "PYTHONPATH" not in environment


def test_lab_without_its_notebook_says_so(course, ran):
    with pytest.raises(SystemExit, match=r"00_start_here.ipynb is missing. `git restore"):
        course.main(["lab"])
    assert not ran


@pytest.mark.parametrize(("code", "message"), [(0, "Open build/site/index.html"), (1, "")])
def test_site_is_built_from_the_stored_notebooks(course, venv, steps, monkeypatch, capsys, code, message):
    calls = []
    monkeypatch.setattr(course, "run", lambda command, env: calls.append(command) or code)
    old = Path(course.ROOT, "build", "site", "old.html")
    old.parent.mkdir(parents=True)
    old.touch()
    assert course.main(["site", "--", "-W"]) == code
    assert not old.exists()
    assert course.recorded()["extras"] == "test,site"
    [command] = calls
    assert command[1:3] == ["-m", "sphinx"]
    assert command[-3:] == [".", "build/site", "-W"]
    assert message in capsys.readouterr().out


def test_test_runs_everything_and_fails_if_anything_does(course, venv, steps, monkeypatch, capsys):
    codes, calls = iter([1, 0, 0]), []
    monkeypatch.setattr(course, "run", lambda command, env: calls.append(command[2:]) or next(codes))
    (Path(course.ROOT) / "tests").mkdir()
    assert course.main(["test", "--", "-k", "kl"]) == 1
    assert [call[0] for call in calls] == ["ruff", "ruff", "pytest"]
    assert {"--nbval", "tests", "notebooks"} < set(calls[-1])
    assert calls[-1][-2:] == ["-k", "kl"]
    assert capsys.readouterr().out.endswith("style: failed; layout: passed; tests and notebooks: passed\n")


def test_all_tests_are_run_until_one_kind_fails(course, venv, steps, monkeypatch):
    monkeypatch.setattr(course, "chromium", lambda: "there")
    calls, codes = [], iter([0, 0, 0, 5])
    monkeypatch.setattr(course, "run", lambda command, env: calls.append(command) or next(codes))
    assert course.main(["test-all"]) == 5
    assert "long" in calls[-1]


def test_clean_removes_caches_and_nothing_else(course, venv):
    root = Path(course.ROOT)
    kept = ["notebooks/mine.ipynb", "notebooks/.ipynb_checkpoints/mine.ipynb", "work/answer.ipynb"]
    lost = [".pytest_cache/x", "tests/__pycache__/x.pyc", ".ruff_cache/x"]
    for name in kept + lost:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    assert course.main(["clean"]) == 0
    assert all((root / name).exists() for name in kept)
    assert not any((root / name).parent.exists() for name in lost)
    assert not venv.exists()


def test_nbval_compares_outputs_in_this_environment(tmp_path):
    v4 = nbformat.v4
    same, other, ignored, mine = (
        v4.new_code_cell(source, execution_count=1, outputs=[v4.new_output("stream", text=text)])
        for source, text in [
            ("print(1)", "1\n"),
            ("print(2)", "3\n"),
            ("import os; print(os.getpid())", "0\n"),
            ("import sys; print(sys.prefix)", sys.prefix + "\n"),
        ]
    )
    ignored.metadata["tags"] = ["nbval-ignore-output"]
    nbformat.write(v4.new_notebook(cells=[same, other, ignored, mine]), tmp_path / "a.ipynb")
    kernel = tmp_path / "data" / "kernels" / "python3"  # a kernel with the same name, of another Python
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(
        json.dumps({"argv": ["other"], "display_name": "", "language": "python"}), encoding="utf-8"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "--nbval-current-env",
        "-p",
        "no:cacheprovider",
        "a.ipynb",
    ]
    environment = {**os.environ, "JUPYTER_DATA_DIR": str(tmp_path / "data"), "JUPYTER_PLATFORM_DIRS": "1"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8")
    assert "1 failed, 3 passed" in done.stdout


def test_a_kernel_that_does_not_start_is_started_again_a_few_times(monkeypatch):
    tries = []

    def start(patience, **named):
        tries.append(patience)
        if len(tries) < succeeds_at:
            raise RuntimeError("Kernel died before replying to kernel_info")
        return named["kernel_name"]

    monkeypatch.setattr("nbval.kernel.start_new_kernel", start)
    load(ROOT / "conftest.py").pytest_configure()
    succeeds_at = 3
    assert nbval.kernel.start_new_kernel(kernel_name="python3") == "python3"
    assert tries == [30, 60, 120]
    succeeds_at = 99
    with pytest.raises(RuntimeError, match="Kernel died"):
        nbval.kernel.start_new_kernel(kernel_name="python3")


def test_processor_settings_are_counted(monkeypatch, capsys):
    cpus = load(ROOT / "tests" / "cpus.py")
    monkeypatch.setattr(cpus.torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    monkeypatch.setattr(cpus, "compare", lambda variables, arguments: (7, int("ATEN_CPU_CAPABILITY" in variables)))
    assert cpus.main([]) == 1
    table = capsys.readouterr().out
    assert re.search(r"one thread +7 +0\n", table)
    assert re.search(r"AVX2 +7 +1\n", table)
    assert re.search(r"AVX-512 +this processor \(AVX2\) does not support", table)
    monkeypatch.setattr(cpus, "compare", lambda variables, arguments: (7, 0))
    assert cpus.main([]) == 0
