"""Every task: right answers pass, however they are written; wrong ones are called by their names; stubs are stubs."""

import ast
import importlib
import inspect
import re
from pathlib import Path

import nbformat
import pytest
import torch

from vae_lessons.build import is_current, read_exercise, release
from vae_lessons.checks import EXERCISES, TASKS
from vae_lessons.checks.observe import Failure, observe_cases
from vae_lessons.checks.task import decide, judge

ROOT = Path(__file__).parents[1]
SOURCES = {source.stem[:2]: source for source in sorted((ROOT / "sources" / "exercises").glob("*.py"))}
NAMES = [
    pytest.param(name, id=f"{number}-{name}") for number, tasks in EXERCISES.items() for name in [t.name for t in tasks]
]
NUMBER = {task.name: number for number, tasks in EXERCISES.items() for task in tasks}
SEEDS = range(1_000)


def notebook(folder, number):
    return nbformat.read(ROOT / folder / f"{SOURCES[number].stem}.ipynb", as_version=4)


def answers(folder, number):
    """The functions that a notebook's answers define, by task: imports, answers and nothing else are run."""
    cells = [cell for cell in notebook(folder, number).cells if cell.cell_type == "code"]
    checks = [re.match(r'check\("([^"]+)", (\w+)\)$', cell.source) for cell in cells]
    wanted = {found[1]: found[2] for found in checks if found}
    tree = ast.parse("\n".join(cell.source for cell in cells if not cell.source.startswith(("check(", "progress("))))
    kinds = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.ClassDef
    namespace = {}
    exec(compile(ast.Module([node for node in tree.body if isinstance(node, kinds)], []), number, "exec"), namespace)
    return {task: namespace[function] for task, function in wanted.items()}


SOLUTIONS, STUBS = ({number: answers(folder, number) for number in EXERCISES} for folder in ("solutions", "exercises"))


def right_answers(name):
    return importlib.import_module(f"answers.lesson_{NUMBER[name]}").RIGHT[name]


def test_every_exercise_has_its_tasks_and_every_task_its_place():
    assert list(SOURCES) == list(EXERCISES)
    for number, tasks in EXERCISES.items():
        assert list(SOLUTIONS[number]) == [task.name for task in tasks]
        assert 3 <= len(tasks) <= 6


@pytest.mark.parametrize("number", EXERCISES)
def test_solutions_and_exercises_are_current_with_their_source(number):
    solved = read_exercise(SOURCES[number])
    assert is_current(solved, ROOT / "solutions" / f"{SOURCES[number].stem}.ipynb"), "run: vae-lessons build exercises"
    assert release(solved) == notebook("exercises", number), "run: vae-lessons build exercises"


@pytest.mark.parametrize("number", EXERCISES)
def test_no_answer_leaks_into_an_exercise(number):
    text = nbformat.writes(notebook("exercises", number))
    assert "SOLUTION" not in text
    assert "Marking guide" not in text
    assert not [cell for cell in notebook("exercises", number).cells if cell.get("outputs")]
    for function in SOLUTIONS[number].values():
        body = inspect.getdoc(function)  # the docstring stays, and is all that the two have in common
        assert body
    lines = {line.strip() for cell in notebook("exercises", number).cells for line in cell.source.splitlines()}
    for cell in notebook("solutions", number).cells:
        for solution in re.findall(r"BEGIN SOLUTION.*?\n(.*?)\n[^\n]*END SOLUTION", cell.source, re.S):
            hidden = {line.strip() for line in solution.splitlines()}
            assert not {line for line in hidden & lines if len(line) > 12}


@pytest.mark.parametrize("number", EXERCISES)
def test_every_exercise_ends_with_a_question_for_a_person_to_mark(number):
    written = [cell for cell in notebook("solutions", number).cells if "written" in cell.metadata.get("tags", [])]
    assert len(written) == 1
    assert "Marking guide" in written[0].source


@pytest.mark.parametrize("name", NAMES)
def test_a_stub_is_not_written_yet(name):
    assert judge(TASKS[name], STUBS[NUMBER[name]][name]).kind == "not written"


@pytest.mark.parametrize("name", NAMES)
def test_other_right_answers_pass(name):
    assert len(right_answers(name)) >= 2
    for function in right_answers(name):
        for seed in range(20):
            verdict = judge(TASKS[name], function, seed)
            assert verdict.passed, f"{function.__name__}, seed {seed}: {verdict}"


@pytest.mark.parametrize("name", NAMES)
def test_a_right_answer_may_get_float64(name):
    solution = SOLUTIONS[NUMBER[name]][name]
    cases = [
        {
            key: value.double() if torch.is_tensor(value) and value.is_floating_point() else value
            for key, value in case.items()
        }
        for case in TASKS[name].inputs(0)
    ]
    assert decide(TASKS[name], cases, observe_cases(TASKS[name].observe, solution, cases)).passed


@pytest.mark.parametrize("name", NAMES)
def test_every_known_mistake_is_called_by_its_name(name):
    task = TASKS[name]
    assert len({mistake.name for mistake in task.mistakes}) >= 4
    for mistake in task.mistakes:
        for seed in range(10):
            verdict = judge(task, mistake.answer, seed)
            named = next((other for other in task.mistakes if other.name == verdict.mistake), None)
            assert named, f"{mistake.name}, seed {seed}: {verdict}"
            assert named.name == mistake.name or named.hint == mistake.hint, f"{mistake.name} taken for {named.name}"


@pytest.mark.parametrize("name", NAMES)
def test_a_thousand_seeds_give_no_false_alarm(name):
    task, solution = TASKS[name], SOLUTIONS[NUMBER[name]][name]
    for seed in SEEDS:
        cases = task.inputs(seed)
        seen = observe_cases(task.observe, solution, cases)
        assert not isinstance(seen, Failure), f"seed {seed}: {seen}"
        verdict = decide(task, cases, seen)
        assert verdict.passed, f"seed {seed}: {verdict}"
