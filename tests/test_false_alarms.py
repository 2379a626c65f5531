"""Solutions pass with every seed."""

import pytest
from right_answers import SOLUTIONS

from vae_course.judging.judge import judge
from vae_course.tasks import POINTS, task


@pytest.mark.long
@pytest.mark.parametrize("name", POINTS)
def test_a_thousand_seeds_give_no_false_alarm(name):
    solution = SOLUTIONS[name]
    for seed in range(1_000):
        verdict = judge(task(name), solution, seed)
        assert verdict.passed, f"seed {seed}: {verdict}"
