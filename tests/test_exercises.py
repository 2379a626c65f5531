"""Every task: right answers pass, however they are written; wrong ones are called by their names; stubs are stubs."""

import importlib
import inspect
import re

import nbformat
import pytest
import torch
from answers import NUMBER, ROOT, SOLUTIONS, SOURCES, STUBS, notebook

from vae_lessons.build import is_current, read_exercise, release
from vae_lessons.checks import EXERCISES, TASKS
from vae_lessons.checks.observe import observe_cases
from vae_lessons.checks.task import Key, decide, judge

NAMES = [
    pytest.param(name, id=f"{number}-{name}") for number, tasks in EXERCISES.items() for name in [t.name for t in tasks]
]


MORE = pytest.mark.long  # seeds


def right_answers(name):
    return importlib.import_module(f"answers.lesson_{NUMBER[name]}").RIGHT[name]


def test_every_exercise_has_its_tasks_and_every_task_its_place():
    assert list(SOURCES) == list(EXERCISES)
    for number, tasks in EXERCISES.items():
        assert list(SOLUTIONS[number]) == [task.name for task in tasks]
        assert 3 <= len(tasks) <= 6
        assert all(inspect.getdoc(function) for function in STUBS[number].values())


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


@pytest.mark.parametrize("seeds", [range(2), pytest.param(range(2, 20), marks=MORE)], ids=["", "more seeds"])
@pytest.mark.parametrize("name", NAMES)
def test_other_right_answers_pass(name, seeds):
    assert len(right_answers(name)) >= 2
    for function in right_answers(name):
        for seed in seeds:
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
    assert decide(Key(TASKS[name], cases), observe_cases(TASKS[name].observe, solution, cases)).passed


@pytest.mark.parametrize("seeds", [range(1), pytest.param(range(1, 4), marks=MORE)], ids=["", "more seeds"])
@pytest.mark.parametrize("name", NAMES)
def test_every_known_mistake_is_called_by_its_name(name, seeds):
    task = TASKS[name]
    by_name = {}
    for mistake in task.mistakes:  # the same mistake may be there in many variants
        by_name.setdefault(mistake.name, []).append(mistake)
    assert len(by_name) >= 4
    for variants in by_name.values():
        for seed in seeds:
            for mistake in variants if seed == 0 else variants[:1]:
                verdict = judge(task, mistake.answer, seed)
                named = next((other for other in task.mistakes if other.name == verdict.mistake), None)
                assert named, f"{mistake.name}, seed {seed}: {verdict}"
                same = named.name == mistake.name or named.hint == mistake.hint
                assert same, f"{mistake.name} taken for {named.name}"
