"""Hints: three steps for each task, which help to begin and do not give the answer away."""

import ast
import re

import pytest
from right_answers import ANSWERS

from vae_course.judging.hints import hints_of, next_hint
from vae_course.judging.judge import judge
from vae_course.tasks import EXERCISES, POINTS, exercise_of, task

CODE = re.compile(r"^```python\n(.*?)^```", re.M | re.S)
SMALL = 3  # so many operations a part of the solution may have that occurs in a hint


def steps(name):
    return hints_of(exercise_of(name))[name]


def operations(node):
    kinds = (
        ast.BinOp | ast.Call | ast.Compare | ast.BoolOp | ast.UnaryOp | ast.Subscript | ast.IfExp | ast.comprehension
    )
    return sum(isinstance(part, kinds) for part in ast.walk(node))


def compact(text):
    return re.sub(r"[\s`]", "", text)


@pytest.mark.parametrize("exercise", EXERCISES)
def test_every_task_has_hints(exercise):
    assert list(hints_of(exercise)) == list(EXERCISES[exercise])
    for name in EXERCISES[exercise]:
        idea, plan, shape = steps(name)
        assert re.search(r"[Ll]esson \d\d, section \d|\]\(\.\./notebooks/", idea), (
            f"{name}: step 1 names no lesson's section"
        )
        assert "```" not in idea + plan, f"{name}: code before the last step"
        assert len(CODE.findall(shape)) == 1
        assert all(40 < len(step) < 1_200 for step in (idea, plan, shape)), name


@pytest.mark.parametrize("name", POINTS)
def test_the_shape_of_the_code_is_not_the_answer(name):
    [code] = CODE.findall(steps(name)[2])
    _, function, namespace = ANSWERS[name]
    own = dict(namespace)
    exec(compile(ast.parse(code), name, "exec"), own)  # it can be pasted
    assert "..." in code
    assert own[function] is not namespace[function], f"{name}: the code does not define {function}"
    assert not judge(task(name), own[function]).passed


@pytest.mark.parametrize("name", POINTS)
def test_no_hint_holds_a_formula_of_the_solution(name):
    source, _, _ = ANSWERS[name]
    hints = compact("".join(steps(name)))
    telling = {
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.expr) and operations(node) >= SMALL
    }
    assert telling or operations(ast.parse(source)) < SMALL
    assert not [text for text in telling if compact(text) in hints]


def test_hints_come_one_at_a_time(capsys, monkeypatch):
    shown = []
    monkeypatch.setattr("vae_course.judging.hints.display", lambda data, raw: shown.append(data))
    monkeypatch.setattr("vae_course.judging.hints._given", {})
    for _ in range(4):
        next_hint("kl/standard_normal")
    for count, data in zip((1, 2, 3, 3), shown, strict=True):
        assert data["text/plain"] == data["text/markdown"]
        assert [step in data["text/plain"] for step in steps("kl/standard_normal")] == [n < count for n in range(3)]
    assert "last step" in shown[-1]["text/plain"]
    with pytest.raises(ValueError, match="did you mean 'kl/discrete'"):
        next_hint("kl/discret")
