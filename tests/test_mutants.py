"""Answers broken in one place fail, but for those that are known to be equivalent to the solution."""

import pytest
from mutants import judged, known_equivalent, row
from right_answers import ROOT

from vae_course.tasks import POINTS


@pytest.mark.long
@pytest.mark.parametrize("name", POINTS)
def test_an_answer_broken_in_one_place_fails(name):
    passes = judged(name)
    assert len(passes) >= 10
    known = [mutant for mutants in known_equivalent(name).values() for mutant in mutants]
    assert {mutant for mutant, passed in passes.items() if passed} == set(known)
    table = (ROOT / "benchmarks" / "mutants.md").read_text("utf-8").splitlines()
    assert row(name, passes) in table, "run: python benchmarks/mutants.py"
