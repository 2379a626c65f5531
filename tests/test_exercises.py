"""Every task: all right answers pass, known mistakes are named, and stubs count as not written."""

import importlib
import inspect
import re

import nbformat
import pytest
import torch
from right_answers import ROOT, SOLUTIONS, STUBS, notebook

from vae_course.build import is_current, read_exercise, release
from vae_course.files import write_notebook
from vae_course.judging.judge import Key, decide, judge, wrong_labels
from vae_course.tasks import EXERCISES, POINTS, exercise_of, task, tasks_of
from vae_course.visible.observe import observe_cases
from vae_course.visible.outcomes import Kind

SOURCES = {source.stem: source for source in sorted((ROOT / "sources" / "exercises").glob("*.py"))}
MORE_SEEDS = pytest.mark.long


def right_answers(name):
    return importlib.import_module(f"right_answers.{exercise_of(name)}").RIGHT[name]


def test_every_exercise_lists_its_tasks_in_order():
    assert list(SOURCES) == list(EXERCISES)
    for exercise, names in EXERCISES.items():
        assert len(names) >= 3
        assert {task.name for task in tasks_of(exercise)} == set(names)
        assert all(task.name == name for task, name in zip(tasks_of(exercise), names, strict=True))
    assert list(SOLUTIONS) == list(STUBS) == list(POINTS)
    assert all(inspect.getdoc(function) for function in STUBS.values())


@pytest.mark.parametrize("exercise", EXERCISES)
def test_the_text_tells_how_many_functions_there_are_and_their_points(exercise):
    text = "\n".join(cell.source for cell in notebook("exercises", exercise).cells if cell.cell_type == "markdown")
    numbers = {"Three": 3, "Four": 4, "Five": 5, "Six": 6, "Seven": 7, "Eight": 8}
    assert numbers[re.search(r"^(\w+) functions", text, re.M)[1]] == len(EXERCISES[exercise])
    *points, _ = map(int, re.findall(r"^\*(\d+) points, ", text, re.M))  # the last is for the question in words
    assert points == list(EXERCISES[exercise].values())


@pytest.mark.parametrize("exercise", EXERCISES)
def test_solutions_and_exercises_are_current_with_their_source(exercise, tmp_path):
    solved = read_exercise(SOURCES[exercise])
    assert is_current(solved, ROOT / "solutions" / f"{exercise}.ipynb"), "run: vae-lessons build exercises"
    write_notebook(release(solved), tmp_path / "exercise.ipynb")
    built = ROOT / "exercises" / f"{exercise}.ipynb"
    assert (tmp_path / "exercise.ipynb").read_bytes() == built.read_bytes(), "run: vae-lessons build exercises"


@pytest.mark.parametrize("exercise", EXERCISES)
def test_no_answer_leaks_into_an_exercise(exercise):
    text = nbformat.writes(notebook("exercises", exercise))
    assert "SOLUTION" not in text
    assert "Marking guide" not in text
    assert not [cell for cell in notebook("exercises", exercise).cells if cell.get("outputs")]
    lines = {line.strip() for cell in notebook("exercises", exercise).cells for line in cell.source.splitlines()}
    for cell in notebook("solutions", exercise).cells:
        for solution in re.findall(r"BEGIN SOLUTION.*?\n(.*?)\n[^\n]*END SOLUTION", cell.source, re.S):
            hidden = {line.strip() for line in solution.splitlines()}
            assert not {line for line in hidden & lines if len(line) > 12}


@pytest.mark.parametrize("exercise", EXERCISES)
def test_every_exercise_ends_with_a_question_for_a_person_to_mark(exercise):
    written = [cell for cell in notebook("solutions", exercise).cells if "written" in cell.metadata.get("tags", [])]
    assert len(written) == 1
    assert "Marking guide" in written[0].source


@pytest.mark.parametrize("name", POINTS)
def test_a_stub_is_not_written_yet(name):
    assert judge(task(name), STUBS[name]).kind is Kind.NOT_WRITTEN


@pytest.mark.parametrize("seeds", [range(2), pytest.param(range(2, 20), marks=MORE_SEEDS)], ids=["", "more seeds"])
@pytest.mark.parametrize("name", POINTS)
def test_other_right_answers_pass(name, seeds):
    assert len(right_answers(name)) >= 2
    for function in right_answers(name):
        for seed in seeds:
            verdict = judge(task(name), function, seed)
            assert verdict.passed, f"{function.__name__}, seed {seed}: {verdict}"


@pytest.mark.parametrize("name", POINTS)
def test_a_right_answer_may_get_float64(name):
    solution = SOLUTIONS[name]
    cases = [
        {
            key: value.double() if torch.is_tensor(value) and value.is_floating_point() else value
            for key, value in case.items()
        }
        for case in task(name).inputs(0)
    ]
    assert decide(Key(task(name), cases), observe_cases(task(name).observe, solution, cases)).passed


@pytest.mark.parametrize("seeds", [range(1), pytest.param(range(1, 4), marks=MORE_SEEDS)], ids=["", "more seeds"])
@pytest.mark.parametrize("name", POINTS)
def test_every_known_mistake_is_named(name, seeds):
    mistakes = task(name).mistakes
    assert len(mistakes) >= 4
    assert len({mistake.name for mistake in mistakes}) == len(mistakes)
    for seed in seeds:
        key = Key(task(name), task(name).inputs(seed))
        for mistake in mistakes:
            for answer in mistake.answers if seed == 0 else mistake.answers[:1]:
                verdict = decide(key, observe_cases(key.task.observe, answer, key.cases))
                assert verdict.mistake == mistake.name, f"{mistake.name}, seed {seed}: {verdict}"


@pytest.mark.parametrize("seeds", [range(1), pytest.param(range(1, 4), marks=MORE_SEEDS)], ids=["", "more seeds"])
@pytest.mark.parametrize("name", POINTS)
def test_the_inputs_tell_every_mistake_from_the_right_answer_and_from_the_others(name, seeds):
    for seed in seeds:
        key = Key(task(name), task(name).inputs(seed))
        observed = [(mistake.name, found) for mistake, found in key.mistaken()]
        assert {mistake for mistake, _ in observed} == {mistake.name for mistake in task(name).mistakes}
        for mistake, found in observed:
            assert wrong_labels(key.task, found, key.right), f"seed {seed}: {mistake!r} is right on all inputs"
            same = {other for other, result in observed if not wrong_labels(key.task, found, result)}
            assert same == {mistake}, f"seed {seed}: the inputs do not tell apart {same}"
