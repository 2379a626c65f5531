"""Solutions pass whatever the seed."""

import pytest
from answers import NUMBER, SOLUTIONS

from vae_lessons.checks import TASKS
from vae_lessons.checks.task import judge


@pytest.mark.long
@pytest.mark.parametrize("name", TASKS)
def test_a_thousand_seeds_give_no_false_alarm(name):
    solution = SOLUTIONS[NUMBER[name]][name]
    for seed in range(1_000):
        verdict = judge(TASKS[name], solution, seed)
        assert verdict.passed, f"seed {seed}: {verdict}"
