"""What a student reads, for every kind of right and wrong answer."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
from scipy.stats import norm

from vae_course import check, tasks
from vae_course.judging.check import CheckFailed
from vae_course.judging.judge import Key, decide, judge
from vae_course.judging.task import Close, Mistake, SameMoments, Task
from vae_course.progress import recorded, report
from vae_course.tasks import EXERCISES, POINTS
from vae_course.visible.noise import FINE, fault_of_noise
from vae_course.visible.observe import Draws, Gradients, LibraryCalled, Seed, observe_cases, switched_off, values
from vae_lessons import distributions, latents


def draw(rng):
    size = int(rng.integers(1, 6))
    return {"a": torch.tensor(rng.normal(size=size), dtype=torch.float32), "b": 2.0}


TASK = Task(
    name="test/scaled",
    draw=draw,
    reference=lambda a, b: a * b,
    mistakes=(
        Mistake("added", "Not a sum.", lambda a, b: a + b),
        Mistake("only right for positive numbers", "Try a negative number.", lambda a, b: abs(a) * b),
        Mistake("summed", "One number for each.", lambda a, b: (a * b).sum()),
        Mistake("always fails", "Never read.", lambda a, b: a / []),
    ),
)


def say(function, task=TASK):
    return judge(task, function)


def not_written(a, b):
    raise NotImplementedError


def raises(a, b):
    c = a * b
    return c + torch.ones(77)


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: a * b,
        lambda x, y: (x * y).tolist(),
        lambda a, b: (a.double() * b).numpy(),
        lambda *, b, a: a * b,
        lambda *everything: everything[0] * everything[1],
        lambda a, b, verbose=False: [number * b for number in a],
        lambda a, b: (a * b).requires_grad_(),
        lambda a, b: (a * b).bfloat16().double() * 0 + a.double() * b,
        torch.mul,
    ],
)
def test_any_right_answer_passes(function):
    assert say(function).passed


@pytest.mark.parametrize(
    ("function", "kind", "words"),
    [
        (not_written, "not written", "NotImplementedError"),
        (raises, "raised", "return c + torch.ones(77)"),
        (lambda a, b: torch.distributions.Bernoulli(a.sigmoid()).rsample(), "raised", "NotImplementedError"),
        (lambda a: a, "signature", "(a, b)"),
        (lambda a, b: (), "type", "Expected one result; got 0 results."),
        (lambda a, b: None, "type", "is a `return` missing?"),
        (lambda a, b: {"a": a}, "type", "dict"),
        (lambda a, b: torch.distributions.Normal(a, 1.0), "type", "Normal"),
        ("kl", "type", "without brackets"),
        (None, "type", "the function itself"),
        (lambda a, b: (a * b, a), "type", "Expected one result; got 2 results."),
        (lambda a, b: (a * b)[None], "shape", "got (1, "),
        (lambda a, b: a * b / 0, "not finite", "inf"),
        (lambda a, b: (a * b).to(torch.complex64), "dtype", "complex64"),
        (lambda a, b: (a * b).int(), "dtype", "int32"),
        (lambda a, b: a - b, "different", "expected: ["),
        (lambda a, b: a + b, "mistake", "Not a sum."),
        (lambda a, b: abs(a * b), "mistake", "Try a negative number."),
        (lambda a, b: (a * b).sum(), "mistake", "One number for each."),
        (lambda a, b: (_ for _ in ()).throw(SystemError("odd")), "raised", "SystemError: odd"),
    ],
)
def test_each_kind_of_failure_is_reported(function, kind, words):
    verdict = say(function)
    assert verdict.kind == kind
    assert words in str(verdict)
    assert not verdict.passed


def vector(rng):
    size = int(rng.integers(2, 6))
    return {"a": torch.tensor(rng.uniform(0.2, 2, size=(size, 3)), dtype=torch.float32), "b": 3.0}


RELATED = Task("test/related", vector, lambda a, b: (a + b, a.sum(0)), TASK.mistakes)
NUMBER = Task("test/number", vector, lambda a, b: a[0] * b, TASK.mistakes)
SIDE = Task("test/side", draw, lambda a, b: "left" if a.sum() < 0 else "right", TASK.mistakes)


@pytest.mark.parametrize(
    ("task", "function", "title", "words"),
    [
        (NUMBER, lambda a, b: -a[0] * b, "the result has the wrong sign", "its sign changed"),
        (NUMBER, lambda a, b: 2 * a[0] * b, "the result is twice the right one", "not halved"),
        (NUMBER, lambda a, b: a[0], "the result is 0.3333 times the right one", "come from"),
        (NUMBER, lambda a, b: a[0] * b / len(a), "the result is divided by a length", "the length of axis 0 of `a`"),
        (NUMBER, lambda a, b: (a[0] * b).sqrt(), "the result is the square root of the right one", "In every case"),
        (NUMBER, lambda a, b: a[0] * b + 2, "the result is too large by 2", "the same for all inputs"),
        (NUMBER, lambda a, b: a[0].flip(0) * b, "the result has the right numbers in other places", "another order"),
        (NUMBER, lambda a, b: torch.ones(3), "the result is always 1", "depend on"),
        (
            NUMBER,
            lambda a, b: (a[0] * b).mean(),
            "the result is averaged once too often",
            "Expected shape (3,), got ()",
        ),
        (RELATED, lambda a, b: (a.sum(0), a + b), "the results are in another order", "Each number is right"),
        (RELATED, lambda a, b: ((a + b).T, a.sum(0)), "the first result has its axes exchanged", "Expected shape"),
        (RELATED, lambda a, b: (-a - b, -a.sum(0)), "the first result has the wrong sign", "sign changed."),
        (RELATED, lambda a, b: (-a - b, a.mean(0)), "the first result has the wrong sign", "may come right once"),
        (RELATED, lambda a, b: (a + b, a[0]), "the second result is not right yet", "yours"),
        (SIDE, lambda a, b: "right" if a.sum() < 0 else "left", "the result is always another one", "Which is which?"),
        (SIDE, lambda a, b: "left", "the result is always 'left'", "depend on"),
        (NUMBER, lambda a, b: a[0] * b + (len(a) > 3), "the result is not right yet", "It is right in "),
    ],
)
def test_what_a_wrong_answer_has_to_do_with_the_right_one_is_said(task, function, title, words):
    for seed in range(3):
        verdict = judge(task, function, seed)
        assert verdict.title == title
        assert words in str(verdict)
        assert verdict.mistake is None
        assert verdict.case


def test_an_error_shows_the_students_lines_and_no_others():
    message = say(raises).message
    assert "in raises: return c + torch.ones(77)" in message
    assert "observe.py" not in message
    assert "in _call" not in message


def test_the_smallest_failing_case_is_shown_with_both_numbers():
    verdict = say(lambda a, b: a * b if len(a) < 3 else a * b + 1)
    case = min((case for case in TASK.inputs(0) if len(case["a"]) >= 3), key=lambda case: len(case["a"]))
    assert np.array2string(case["a"].numpy(), precision=5, separator=", ") in verdict.case
    yours, expected = (line.split("[")[1] for line in verdict.case.splitlines()[-2:])
    difference = float(yours.split(",")[0]) - float(expected.split(",")[0])
    assert difference == pytest.approx(1, abs=1e-4)


def test_a_mistake_in_the_first_of_two_results_is_named_whatever_the_second():
    mistakes = (
        Mistake("added", "Not a sum.", lambda a, b: (a + b, (a + b).sum())),
        Mistake("only the total is wrong", "The first is right.", lambda a, b: (a * b, (a + b).sum())),
    )
    task = Task("test/two", draw, lambda a, b: (a * b, (a * b).sum()), mistakes)
    assert say(lambda a, b: (a + b, (a + b).sum()), task).message == "Not a sum."
    verdict = say(lambda a, b: (a + b, (a + b).mean() + 77), task)
    assert verdict.mistake == "added"
    assert verdict.message.endswith(
        "This explains the first result. What else differs may come right once this is mended."
    )
    assert say(lambda a, b: (a + b, (a * b).sum()), task).kind == "different"  # the mistake would show in the second
    assert say(lambda a, b: (a - b, (a + b).sum()), task).kind == "different"


def test_a_hint_that_calls_a_result_right_is_not_given_if_it_is_wrong():
    def said(hint):
        only_first = Mistake("added", hint, lambda a, b: (a + b, (a * b).sum()))
        task = Task("test/two", draw, lambda a, b: (a * b, (a * b).sum()), (only_first,))
        return say(lambda a, b: (a + b, (a * b).mean() + 77), task).mistake

    assert said("Not a sum.") == "added"
    assert said("Not a sum. The second number is right.") is None


def test_an_answer_in_words_that_follows_chance_is_told_so():
    def thrown(rng):
        return {"a": float(rng.normal()), "b": float(rng.choice([0.0, 9.0]))}

    task = Task(
        "test/thrown", thrown, lambda a, b: "far" if b else "near", TASK.mistakes, cases=30, alike=lambda a, b: b
    )
    verdict = say(lambda a, b: "far" if b or a > 0 else "near", task)
    assert verdict.mistake == verdict.title == "chance decides"
    assert "the right word is 'near'. You answer sometimes 'far', sometimes 'near'." in verdict.message
    assert say(lambda a, b: "far" if b else "NEAR", task).passed
    assert say(lambda a, b: "near" if b else "far", task).title == "the result is always another one"
    assert say(lambda a, b: 1 if a > 0 else 0, task).kind == "dtype"


def test_an_answer_that_changes_its_arguments_does_not_pass():
    for function in (lambda a, b: a.mul_(b), lambda a, b: a * b + a.zero_()):
        verdict = say(function)
        assert verdict.mistake == verdict.title == "arguments changed"
        assert "other ones: a." in verdict.message
    assert say(lambda a, b: a.add_(b)).mistake == "added"  # what is wrong with the result comes first
    assert say(lambda a, b: a.clone().mul_(b)).passed


def test_random_results_are_called_random():
    assert say(lambda a, b: a * b + torch.randn(1)).title == "another result at each call"
    calls = iter(range(100))
    assert say(lambda a, b: a * b * (1 + 1e-6 * next(calls))).passed  # rounding may differ


def test_the_numbers_that_decide_are_shown_with_a_wrong_word():
    task = Task(
        "test/decides",
        draw,
        lambda a, b: "left" if a.sum() < 0 else "right",
        TASK.mistakes,
        decides=lambda a, b: f"The sum is {a.sum():.3f}.",
    )
    verdict = say(lambda a, b: "left" if a[0] < 0 else "right", task)
    smallest = next(c for c in task.inputs(0) if (c["a"].sum() < 0) != (c["a"][0] < 0))
    assert f"The sum is {smallest['a'].sum():.3f}." in verdict.case


UNRECOGNISABLE = (
    123.25,
    torch.full((3,), 123.25),
    (torch.tensor(123.25), torch.tensor(321.0)),
    tuple(range(100, 105)),
    "hello",
    ("A", 123.25),
    (123.25, "A"),
    None,
    [],
    [[1, 2], [3]],
    1j,
    np.array(["2020-01-01"], dtype="datetime64[D]"),
    10**400,
    torch.eye(3).to_sparse(),
    torch.empty(3, device="meta"),
)


@pytest.mark.parametrize("name", POINTS)
def test_an_unrecognisable_result_is_not_taken_for_a_known_mistake(name):
    task = tasks.task(name)
    key = Key(task, task.inputs(5))
    for result in UNRECOGNISABLE:
        verdict = decide(key, observe_cases(task.observe, lambda *_, result=result, **__: result, key.cases))
        assert verdict.kind in ("type", "shape", "dtype", "raised", "different"), (result, verdict)


def test_many_empty_rows_are_not_counted_one_by_one():
    class Rows:
        ndim, shape, dtype = 2, (10**9, 0), np.dtype(float)

        def __len__(self):
            return self.shape[0]

        def __iter__(self):
            raise AssertionError("row by row")

    task = tasks.task("kl/split")
    key = Key(task, task.inputs(5))
    assert decide(key, [{"result": Rows()} for _ in key.cases]).kind == "type"


def far_away(mu, log_var, n, generator):
    draws = torch.zeros(n, *mu.shape)
    draws[0] = 1e6
    return draws


def cauchy(mu, log_var, n, generator):
    eps = torch.randn(n, *mu.shape, generator=generator) / torch.randn(n, 1, 1, generator=generator)
    return mu + (log_var / 2).exp() * eps


def one_far_away(mu, log_var, n, generator):
    draws = mu + (log_var / 2).exp() * torch.randn(n, *mu.shape, generator=generator)
    draws[0] = mu + 12 * (log_var / 2).exp()
    return draws


def far_away_at_first():
    """A function that returns zeros, except with the first generator that it gets."""
    seeds = []

    def sample(mu, log_var, generator):
        seeds.append(generator.initial_seed())
        return (mu + log_var) * 0 + (1e6 * (1 + mu + log_var) if seeds[-1] == seeds[0] else 0)

    return sample


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("gaussian/repair", lambda: far_away),
        ("gaussian/repair", lambda: one_far_away),
        ("gaussian/repair", lambda: cauchy),
        ("gradient/repaired", far_away_at_first),
    ],
    ids=["far away", "one far away", "cauchy", "at first"],
)
def test_a_draw_far_away_does_not_excuse_the_others(name, make):
    for seed in range(10):
        assert not judge(tasks.task(name), make(), seed).passed


def test_gradients_are_checked():
    task = Task("test/gradient", draw, lambda a, b: a * b, TASK.mistakes, observe=Gradients(("a",)))
    assert say(lambda a, b: a * b, task).passed
    for cut in (lambda a, b: (a * b).detach(), lambda a, b: a.detach() * b):
        assert "gradient of the result for a" in say(cut, task).title
    assert say(lambda a, b: (a * b).detach().numpy(), task).kind == "type"


def test_the_librarys_own_function_is_no_answer_and_works_again_afterwards():
    mu, log_var = torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2)

    def called(mu, log_var):
        return distributions.kl_to_standard_normal(mu, log_var)

    verdict = judge(tasks.task("kl/standard_normal"), called)
    assert verdict.kind == "library"
    assert "You call the library's own kl_to_standard_normal." in verdict.message
    assert called(mu, log_var).tolist() == [2.5]
    with pytest.raises(CheckFailed, match="kl_normal"):  # the answer to another task of the same exercise
        check("kl/standard_normal", lambda mu, log_var: distributions.kl_normal(mu, log_var, 0 * mu, 0 * mu))
    task = tasks.task("latent/traverse")
    assert judge(task, lambda z, index, mu, steps: latents.traverse(z, index, steps)).kind == "library"


@pytest.mark.parametrize("name", sorted({name for exercise in EXERCISES for name in tasks.library_of(exercise)}))
def test_functions_that_are_switched_off_exist_and_are_named(name):
    module, _, function = name.rpartition(".")
    with switched_off([name]), pytest.raises(LibraryCalled, match=function):
        getattr(importlib.import_module(module), function)()


def sampling(function, errors=6.0):
    task = Task(
        "test/draws",
        lambda rng: {"mu": torch.tensor([1.0, -2.0]), "n": 2_000, "generator": Seed(int(rng.integers(2**31)))},
        lambda mu, n, generator: mu + 3 * torch.randn(n, 2, generator=generator, dtype=torch.float64),
        TASK.mistakes,
        observe=Draws(),
        agree=SameMoments(errors),
        cases=1,
    )
    return judge(task, function)


def test_draws_are_judged_by_their_moments():
    assert sampling(lambda mu, n, generator: mu - 3 * torch.randn(n, 2, generator=generator)).passed
    for wrong in (
        lambda mu, n, generator: mu + 3.6 * torch.randn(n, 2, generator=generator),  # spread
        lambda mu, n, generator: mu + 0.7 + 3 * torch.randn(n, 2, generator=generator),  # mean
        lambda mu, n, generator: mu + 3 * torch.randn(n, 1, generator=generator),  # shared noise
        lambda mu, n, generator: mu + 3 * torch.randn(n, 2),  # not its generator
        lambda mu, n, generator: mu + 3 * torch.randn(n, 2, generator=generator.manual_seed(0)),
        lambda mu, n, generator: mu + 3 * torch.randn(n, 2, generator=generator.clone_state()),
        lambda mu, n, generator: (
            mu + 3 * torch.randn(n, 2, generator=torch.Generator().manual_seed(generator.initial_seed()))
        ),
        lambda mu, n, generator: mu + torch.full((n, 2), torch.nan),
    ):
        assert not sampling(wrong).passed


def test_the_faults_of_noise_are_told_apart():
    rng = np.random.default_rng(0)
    noise, later = rng.normal(size=(2, 2_000, 2, 3))
    half = noise[:1_000]
    faults = {
        FINE: noise,
        "the same for all draws": np.broadcast_to(noise[:1], noise.shape),
        "draws that depend on one another": (noise + np.roll(noise, 1, axis=0)) / 2**0.5,
        "correlated pictures": np.broadcast_to(noise[:, :1], noise.shape),
        "correlated latents": np.broadcast_to(noise[:, :, :1], noise.shape),
        "a hard edge": rng.uniform(size=noise.shape),
        "not Gaussian": noise.clip(-3, 3),
    }
    for fault, draws in faults.items():
        assert fault_of_noise(5 - 2 * draws) == fault
    for pairs in (np.concatenate([half, -half]), np.stack([half, -half], 1).reshape(noise.shape)):
        assert fault_of_noise(pairs) == "draws that depend on one another"
    centred = [draws - draws.mean(0) for draws in (noise, later)]
    assert fault_of_noise(*centred) == "draws that depend on one another"
    assert fault_of_noise(noise - noise.mean(1, keepdims=True)) == "correlated pictures"
    assert fault_of_noise(noise - noise.mean(2, keepdims=True)) == "correlated latents"
    assert fault_of_noise(rng.laplace(size=noise.shape)) == "not Gaussian"


def test_a_generator_seeded_by_a_drawn_number_is_right():
    def child(mu, n, generator):
        seed = torch.randint(2**31, (1,), generator=generator).item()
        return mu + 3 * torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))

    assert sampling(child).passed


def test_draws_may_come_as_a_list():
    assert sampling(lambda mu, n, generator: list(mu + 3 * torch.randn(n, 2, generator=generator))).passed


def test_a_word_and_a_number_may_come_in_a_list():
    task = Task("test/word", draw, lambda a, b: ("up" if a.sum() > 0 else "down", a.sum()), TASK.mistakes)
    assert say(lambda a, b: ["up" if a.sum() > 0 else "down", a.sum().item()], task).passed
    assert not say(lambda a, b: ["up" if a.sum() > 0 else "down", a.sum().item() + 1], task).passed


def test_draws_leave_the_students_random_state_alone():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    sampling(lambda mu, n, generator: mu + torch.randn(n, 2))
    assert torch.equal(before, torch.random.get_rng_state())


def test_the_false_alarm_rate_of_draws_is_what_is_stated():
    one_moment = 2 * norm.sf(SameMoments().errors)
    assert one_moment * 100 < 1e-6  # a hundred moments in one check
    rng = np.random.default_rng(0)
    agree = SameMoments(errors=3.0)  # two moments, and a rate high enough to count
    alarms = sum(not agree(rng.normal(size=(400, 1)), rng.normal(size=(400, 1))) for _ in range(4_000))
    expected = 4_000 * (1 - (1 - 2 * norm.sf(3)) ** 2)
    assert abs(alarms - expected) < 5 * expected**0.5


def test_words_are_compared_whatever_their_case():
    agree = Close()
    assert agree(np.array(["Score"]), np.array(["score"]))
    assert not agree(np.array(["score", "pathwise"]), np.array(["score", "score"]))


def test_the_reference_gets_float64_and_the_student_what_the_text_says():
    dtypes = []
    task = Task("test/dtype", draw, lambda a, b: dtypes.append(a.dtype) or a * b, TASK.mistakes)
    judge(task, lambda a, b: dtypes.append(a.dtype) or a * b)
    by_student, by_reference = dtypes[: -task.cases], dtypes[-task.cases :]
    assert set(by_student) == {torch.float32}
    assert set(by_reference) == {torch.float64}


def test_a_function_that_changes_its_inputs_changes_only_its_copies():
    case = {"a": torch.ones(2), "b": [1, 2]}
    observe_cases(values, lambda a, b: b.clear() or a.zero_(), [case])
    assert case["a"].tolist() == [1, 1]
    assert case["b"] == [1, 2]


@pytest.fixture
def shell():
    shell = InteractiveShell.instance()
    yield shell
    InteractiveShell.clear_instance()


def test_a_notebook_shows_the_verdict_and_one_line_of_error(shell):
    with capture_output() as captured:
        result = shell.run_cell(
            "from vae_course import check\n"
            "def f(mu, log_var): return (mu**2 + log_var.exp() - 1 - log_var).sum(-1)\n"
            "check('kl/standard_normal', f)"
        )
    assert isinstance(result.error_in_exec, AssertionError)  # so that nbgrader gives no points
    shown = captured.outputs[0].data
    assert "forgot the ½" in shown["text/plain"]
    assert "forgot the ½" in shown["text/html"]
    assert 'role="status"' in shown["text/html"]
    assert captured.stdout.strip() == "Check not passed: kl/standard_normal"


NOTEBOOK = """
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output
shell = InteractiveShell.instance()
shell.run_cell("from vae_course import check")
for cells in {cells!r}:
    for cell in cells:
        with capture_output() as captured:
            shell.run_cell(cell)
    print(next(output.data["text/plain"] for output in captured.outputs).replace(chr(10), "|"))
"""
RIGHT = "def f(q, p):\n    return (q * (q / p).log()).nansum()"
CHECK = "check('kl/discrete', f)"
CELLS = {  # the last line of each: what the check says
    "not known yet": (["def f(q, p):\n    return np.sum(q)", CHECK], "your function stopped with an error"),
    "right": ([RIGHT, CHECK], "passed"),
    "a bracket open": (["def f(q, p):\n    return (q", CHECK], "stopped with SyntaxError: "),
    "wrong indent": (["def f(q, p):\n  return q\n   return p", CHECK], "stopped with IndentationError: "),
    "an error before": (
        ["raise ValueError('odd')\n\n\ndef f(q, p):\n    return q", CHECK],
        "stopped with ValueError: odd",
    ),
    "mended": ([RIGHT, CHECK], "passed"),
    "an error after": ([RIGHT + "\n\n\nf(0, 0)", CHECK], "passed"),
    "another function": (["def g(q, p):\n    return (q", CHECK], "passed"),
}


def test_a_cell_that_failed_is_not_judged_by_the_answer_from_before(tmp_path):
    program = NOTEBOOK.format(cells=[cells for cells, _ in CELLS.values()])
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    said = [line for line in run.stdout.splitlines() if "kl/discrete: " in line]
    for (name, (_, words)), line in zip(CELLS.items(), said, strict=True):
        assert words in line.replace("_IncompleteInputError", "SyntaxError"), name


def test_a_name_that_is_not_defined_points_to_the_imports():
    verdict = judge(tasks.task("kl/discrete"), lambda q, p: not_imported.sum(q))  # noqa: F821
    assert "NameError: name 'not_imported' is not defined\nWas the cell run that" in verdict.message


def test_html_is_escaped():
    verdict = say(lambda a, b: (_ for _ in ()).throw(ValueError("<script>")))
    assert "<script>" not in verdict._repr_mimebundle_()["text/html"]


def test_a_script_gets_the_whole_text():
    with pytest.raises(CheckFailed, match="forgot the ½\nEvery number is too large"):
        check("kl/standard_normal", lambda mu, log_var: (mu**2 + log_var.exp() - 1 - log_var).sum(-1))


def test_an_unknown_task_names_the_nearest_one():
    with pytest.raises(ValueError, match="did you mean 'kl/standard_normal'"):
        check("kl/standard_normals", abs)


def test_progress_outlives_the_kernel(tmp_path):
    (tmp_path / ".course").mkdir()
    script = "from vae_course import check\ncheck('kl/discrete', lambda q, p: (q * (q / p).log()).nansum())"
    assert subprocess.run([sys.executable, "-c", script], cwd=tmp_path).returncode == 0
    assert recorded(tmp_path) == {"kl/discrete": True}
    broken = script.replace("nansum", "sum")
    assert subprocess.run([sys.executable, "-c", broken], cwd=tmp_path, stderr=subprocess.PIPE).returncode == 1
    assert recorded(tmp_path) == {"kl/discrete": False}
    assert list((tmp_path / ".course").iterdir()) == [tmp_path / ".course" / "progress.json"]


def test_a_damaged_record_is_no_error(tmp_path):
    (tmp_path / ".course").mkdir()
    for text in ("{", json.dumps([1])):
        (tmp_path / ".course" / "progress.json").write_text(text, encoding="utf-8")
        assert recorded(tmp_path) == {}


def test_outside_the_work_folder_nothing_is_written(tmp_path):
    script = "from vae_course import check\ncheck('kl/discrete', lambda q, p: (q * (q / p).log()).nansum())"
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    assert not list(Path(tmp_path).iterdir())


def test_the_report_says_what_is_next():
    text = report(["ex04_kl_divergence"], {"kl/discrete": True})
    assert "■□□□□□  1 of 6 passed" in text
    assert text.endswith("Next: kl/standard_normal")
    done = dict.fromkeys(EXERCISES["ex04_kl_divergence"], True)
    assert report(["ex04_kl_divergence"], done).endswith("Nothing is left to do here.")
    for exercises in (["ex04_kl_divergence"], list(EXERCISES)):  # on from where one is, then what was left out
        assert report(exercises, {"kl/normals": True}).endswith("Next: kl/estimate")
        assert report(exercises, {"kl/normals": True, "kl/discrete": False}).endswith("Next: kl/discrete")
    assert report(["ex04_kl_divergence"], {"kl/split": True}).endswith("Next: kl/discrete")
    assert report(list(EXERCISES), done).endswith("Next: elbo/jensen_gap")
    assert report(list(EXERCISES), {}).endswith("Next: autoencoder/bernoulli_cost")
    with pytest.raises(ValueError, match="expected one of"):
        report(["99"], {})


def test_a_mistake_needs_an_answer_that_makes_it():
    with pytest.raises(ValueError, match="at least one"):
        Mistake("forgot the ½", "Halve it.")
