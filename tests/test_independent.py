"""Answers by people who had not seen the checks: right ones pass, wrong ones do not."""

from importlib import import_module

import pytest
from independent import ANSWERS

from vae_course.judging.judge import judge
from vae_course.tasks import EXERCISES, POINTS, exercise_of, library_of, task


@pytest.fixture(scope="module")
def answers():
    for exercise in EXERCISES:
        import_module(f"independent.{exercise}")
    return ANSWERS


@pytest.mark.long
@pytest.mark.parametrize("name", POINTS)
def test_answers_that_nobody_foresaw_are_judged_rightly(answers, name):
    mine = [answer for answer in answers if answer.task == name]
    assert sum(answer.right for answer in mine) >= 3
    assert sum(not answer.right for answer in mine) >= 12
    library = library_of(exercise_of(name))
    assert not [
        answer.label for answer in mine if judge(task(name), answer.function, library=library).passed != answer.right
    ]
