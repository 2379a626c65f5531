"""Imports: `vae_course` imports `vae_lessons`, never the reverse, and students' code cannot import the answers."""

import importlib
import json
import os
import pkgutil
import subprocess
import sys

import pytest

import vae_course
import vae_lessons
from vae_course.grading.sandbox import copy_visible

LIBRARY = {  # by module: the modules of the library that it may import, directly or not
    "data": {"faces"},
    "faces": set(),
    "distributions": set(),
    "models": {"distributions"},
    "training": set(),
    "evaluation": {"distributions", "latents", "models"},
    "examine": {"distributions", "evaluation", "latents", "models"},
    "latents": set(),
    "plotting": set(),
    "fast_figures": set(),
    "live": {"distributions", "models", "plotting"},
    "widgets": {"fast_figures", "plotting"},
}

WITHOUT_EDITABLE = "import sys; sys.meta_path = [finder for finder in sys.meta_path if 'editable' not in repr(finder)]"


def imported(module, **environment):
    """The modules of both packages that a new Python loads when it imports this one."""
    program = (
        f"import json, sys, {module}\n"
        "print(json.dumps([name for name in sys.modules if name.split('.')[0] in ('vae_course', 'vae_lessons')]))"
    )
    command = [sys.executable, "-P", "-c", program]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def modules(package):
    return [module.name for module in pkgutil.iter_modules(package.__path__)]


def test_the_library_has_no_other_modules():
    assert set(modules(vae_lessons)) - {"checks"} == set(LIBRARY)  # `checks` held `check` until version 1.0


@pytest.mark.parametrize("module", LIBRARY)
def test_the_library_imports_one_way_and_nothing_of_the_course(module):
    others = imported(f"vae_lessons.{module}") - {"vae_lessons", f"vae_lessons.{module}"}
    others = {other for other in others if not other.startswith(f"vae_lessons.{module}.")}  # its own parts
    assert others <= {f"vae_lessons.{other}" for other in LIBRARY[module]}


def test_an_import_from_the_old_place_says_where_to_look():
    with pytest.raises(ImportError, match="write `from vae_course import check, progress`"):
        import vae_lessons.checks  # noqa: F401


@pytest.fixture(scope="module")
def sandboxed(tmp_path_factory):
    """A folder with the modules that students' code may import, for the front of the path."""
    folder = tmp_path_factory.mktemp("library")
    copy_visible(folder)
    return folder


def test_the_visible_modules_work_without_the_rest(sandboxed):
    loaded = imported("vae_course.visible.worker, vae_course.visible.observe", PYTHONPATH=str(sandboxed))
    assert {name.split(".")[1] for name in loaded if name.startswith("vae_course.")} == {"visible"}


def test_students_see_the_library_and_one_folder_and_nothing_else(sandboxed):
    files = {str(path.relative_to(sandboxed)) for path in sandboxed.rglob("*") if path.is_file()}
    assert all(name.startswith(("vae_lessons/", "vae_course/visible/")) for name in files - {"vae_course/__init__.py"})
    assert {f"vae_course/visible/{name}.py" for name in modules(vae_course.visible)} <= files
    for name in ("tasks", "judging", "grading"):
        program = f"{WITHOUT_EDITABLE}\nimport vae_course.{name}"
        environment = {**os.environ, "PYTHONPATH": str(sandboxed)}
        done = subprocess.run(
            [sys.executable, "-P", "-c", program], env=environment, capture_output=True, encoding="utf-8"
        )
        assert f"No module named 'vae_course.{name}'" in done.stderr
        importlib.import_module(f"vae_course.{name}")  # exists in the real package


def test_names_of_tasks_need_no_torch():
    slow = "{'torch', 'nbformat'} & set(sys.modules)"
    program = f"import sys, vae_course.cli, vae_course.progress; sys.exit(bool({slow}))"
    subprocess.run([sys.executable, "-c", program], check=True)
