"""Mark one submission. A worker observes the answers; this process judges them and runs no student's code."""

import atexit
import math
import pickle
import queue
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np

from vae_course import tasks
from vae_course.grading.remarks import Remark, printable
from vae_course.grading.sandbox import TIME_USED_UP, Limits, Sandbox, Worker
from vae_course.grading.submissions import Contents, Exercise, clean
from vae_course.judging.judge import Key, decide
from vae_course.visible.observe import CHANGED, RANDOM, Observation
from vae_course.visible.outcomes import Failure, Kind
from vae_course.visible.protocol import (
    CellRan,
    Message,
    ObserveTask,
    Request,
    RunCell,
    Step,
    StepBegun,
    TaskFailed,
    TaskObserved,
)

__all__ = ["Marked", "Result", "better", "close_workers", "mark", "mark_on_cluster", "unmarked"]

DTYPE = re.compile(r"[<>|=]?([biufc]\d{1,2}|U\d{1,3})")  # an answer in words is short
REPORTED_BY_CHILDREN = (Kind.NOT_WRITTEN, Kind.RAISED, Kind.SIGNATURE, Kind.TYPE, Kind.LIBRARY, Kind.MISSING)
LOST = (Kind.TIMEOUT, Kind.MEMORY, Kind.CRASHED)
NOT_JUDGED = (Kind.MISSING, *LOST)
CERTAIN = (Kind.PASSED, Kind.NOT_WRITTEN, Kind.UNREADABLE)  # whatever else was running
MAX_TEXT = 4000  # characters in a message
MAX_SIDE, MAX_AXES = 1 << 23, 8  # numbers along one axis, even of an empty array
NOTES = (CHANGED, RANDOM)  # what a child says about an answer, beside its results
MAX_SHOWN = 60  # characters of a cell in a remark
NO_CELL = Failure(Kind.MISSING, "The cell with this answer is not in the notebook.")
NO_FUNCTION = Failure(Kind.MISSING, "The answer's cell does not define the required function.")
NOT_ARRAYS = Failure(Kind.TYPE, "The result could not be read as numbers.")
NOT_COMPARABLE = Failure(Kind.TYPE, "The result has a form that cannot be compared.")


@dataclass(frozen=True)
class Result:
    """The verdict on one task.

    Args:
        task: the task's name.
        points: the points earned.
        max_points: the points available.
        verdict: the kind of verdict.
        hint: the text for the student.
    """

    task: str
    points: float
    max_points: float
    verdict: Kind
    hint: str = ""


@dataclass
class Marked:
    """The outcome of marking a submission.

    Args:
        results: one for each task.
        answers: the source of each answer, by task.
        remarks: notes for the instructor.
        seconds: how long the student's code ran.
        bytes: its peak memory.
        lost: whether something was lost to a lack of time or memory or to a crash.
    """

    results: list[Result]
    answers: dict[str, str] = field(default_factory=dict)
    remarks: list[Remark] = field(default_factory=list)
    seconds: float = 0.0
    bytes: int = 0
    lost: bool = False

    @property
    def points(self) -> float:
        """The points of all tasks together."""
        return sum(result.points for result in self.results)

    @property
    def doubtful(self) -> bool:
        """Whether it may have done worse beside other submissions than it would have done alone."""
        return any(result.verdict not in CERTAIN for result in self.results)

    @property
    def readable(self) -> bool:
        """Whether there was anything to mark."""
        return any(result.verdict is not Kind.UNREADABLE for result in self.results)


def unmarked(exercise: Exercise, reason: str) -> Marked:
    """The same verdict on every task of a submission that cannot be read."""
    text = f"The file could not be marked: {reason}."
    results = [Result(task, 0.0, float(points), Kind.UNREADABLE, text) for task, points in exercise.points.items()]
    return Marked(results, remarks=[Remark("unreadable", reason)])


def better(first: Marked, alone: Marked) -> Marked:
    """The second outcome of a submission, run alone, with what it had passed beside others."""
    results = [
        one if one.verdict is Kind.PASSED else two for one, two in zip(first.results, alone.results, strict=True)
    ]
    rescued = [
        Remark("rescued", two.task)
        for one, two in zip(first.results, alone.results, strict=True)
        if one.verdict is not Kind.PASSED and two.verdict is Kind.PASSED
    ]
    return replace(alone, results=results, remarks=[*rescued, *alone.remarks])


def mark(
    exercise: Exercise,
    contents: Contents,
    seed: int,
    limits: Limits,
    sandbox: Sandbox,
    hidden: Sequence[Path] = (),
    fresh: bool = False,
) -> Marked:
    """Mark one submission with a worker of this process.

    Args:
        exercise: the exercise that it answers.
        contents: what was handed in.
        seed: seed of the inputs, unknown to students.
        limits: limits for the submission.
        sandbox: the sandbox for the worker.
        hidden: folders that students' code must not see.
        fresh: the worker must be a new one.
    """
    runner = _Runner(exercise, contents, seed)
    with _borrowed_worker(sandbox, tuple(hidden)) as worker:
        if fresh:
            worker.close()
        runner.run(worker, limits)
    outcomes = runner.conclude()
    with _JUDGING:
        results = [_result(_key(task, seed), outcomes.get(task, NO_CELL)) for task in exercise.points]
    remarks = [*contents.remarks, *runner.remarks(results)]
    lost = bool(runner.failed) or any(result.verdict in LOST for result in results)
    return Marked(results, contents.answers, remarks, runner.seconds, runner.bytes, lost)


def mark_on_cluster(exercise, contents, seed, limits, no_sandbox: bool, hidden=(), fresh=False) -> Marked:
    """Mark one submission on a worker of a Dask cluster, in the sandbox of its machine.

    Raises:
        NoSandbox: that machine has none, and `no_sandbox` is False.
    """
    sandbox = _sandbox_of_this_process()
    if not no_sandbox:
        sandbox.require()
    return mark(exercise, contents, seed, limits, sandbox, hidden, fresh)


_sandbox_of_this_process = cache(Sandbox.detect)


class _Runner:
    """Runs and observes one submission. If a step fails, the rest is run again without it.

    Args:
        exercise: the exercise that it answers.
        contents: what was handed in.
        seed: seed of the inputs.
    """

    def __init__(self, exercise: Exercise, contents: Contents, seed: int):
        self.exercise, self.contents, self.seed = exercise, contents, seed
        self.outcomes: dict[str, list[Observation] | Failure] = {}  # by task
        self.errors: dict[int, str] = {}  # of cells, by step number
        self.failed: dict[int, Failure] = {}  # by step number
        self.seconds, self.bytes = 0.0, 0
        self.current: Step

    def run(self, worker: Worker, limits: Limits) -> None:
        """Run the submission, each time without the steps that failed, until none fails or the time is used up."""
        seconds_left = limits.total_seconds
        while seconds_left > 0 and (steps := self._steps_left()):
            self.current = steps[0]
            request = Request(steps, self.exercise.library)
            outcome = worker.run(request, replace(limits, total_seconds=seconds_left), self._receiver(steps))
            self.seconds += outcome.seconds
            self.bytes = max(self.bytes, outcome.bytes)
            seconds_left -= max(outcome.seconds, 0.01)
            if outcome.failure is None:
                break
            self.failed[self.current.number] = outcome.failure

    def _steps_left(self) -> list[Step]:
        """The steps that have neither failed nor been observed; none if only cells are left."""
        steps = [
            replace(step, inputs=_inputs(step.task, self.seed)) if isinstance(step, ObserveTask) else step
            for step in self.contents.steps
            if step.number not in self.failed and not (isinstance(step, ObserveTask) and step.task in self.outcomes)
        ]
        return steps if any(isinstance(step, ObserveTask) for step in steps) else []

    def _receiver(self, steps: list[Step]) -> Callable[[Message], None]:
        """The callback for each message from the child, which is not trusted."""
        by_number = {step.number: step for step in steps}

        def receive(message: Message) -> None:
            match self.current, message:
                case _, StepBegun(number):
                    self.current = by_number.get(number, self.current)
                case RunCell(number), CellRan(str(error)):
                    self.errors[number] = clean(error)[:MAX_TEXT]
                case ObserveTask(task=task), TaskObserved() | TaskFailed():
                    self.outcomes.setdefault(task, _arrays_or_failure(message))

        return receive

    def conclude(self) -> dict[str, list[Observation] | Failure]:
        """What each task's function did, or why that is unknown."""
        outcomes = dict(self.outcomes)
        for step in self.contents.steps:
            for task in (step.task,) if isinstance(step, ObserveTask) else step.answers:
                missing = outcomes.get(task) == NO_FUNCTION
                if step.number in self.failed and (task not in outcomes or missing):
                    outcomes[task] = self.failed[step.number]
                elif missing and step.number in self.errors:
                    outcomes[task] = Failure(Kind.RAISED, self.errors[step.number])
                elif step.number in self.errors and _raised(outcomes.get(task)):
                    text = (
                        f"{outcomes[task].message}\nBefore that, a line of the cell failed: {self.errors[step.number]}"
                    )
                    outcomes[task] = Failure(Kind.RAISED, text[:MAX_TEXT])
                elif isinstance(step, ObserveTask) and task not in outcomes:
                    outcomes[task] = TIME_USED_UP
        return outcomes

    def remarks(self, results: list[Result]) -> list[Remark]:
        """Remarks about the answers that were lost, the cells that were left out, and the lines that failed."""
        remarks = [Remark("lost", f"{result.task}: {result.verdict}") for result in results if result.verdict in LOST]
        raised = {result.task for result in results if result.verdict is Kind.RAISED}
        for step in self.contents.steps:
            if isinstance(step, RunCell) and step.number in self.failed and not step.answers:
                first_line = printable(step.source.strip().splitlines()[0][:MAX_SHOWN])
                remarks.append(Remark("left out", f"{self.failed[step.number].kind}: {first_line}"))
            elif isinstance(step, RunCell) and step.number in self.errors and not raised & {*step.answers}:
                last_line = self.errors[step.number].strip().rpartition("\n")[2]
                if not last_line.startswith("NotImplementedError"):  # an answer is called that is not written yet
                    remarks.append(Remark("line failed", printable(last_line[:MAX_SHOWN])))
        return remarks


def _raised(outcome):
    return isinstance(outcome, Failure) and outcome.kind is Kind.RAISED


def _arrays_or_failure(message: TaskObserved | TaskFailed) -> list[Observation] | Failure:
    """Decode a child's report on a task. Only plain arrays are accepted as results."""
    if isinstance(message, TaskFailed):
        kind = Kind(message.kind) if message.kind in REPORTED_BY_CHILDREN else Kind.RAISED
        return NO_FUNCTION if kind is Kind.MISSING else Failure(kind, clean(message.message)[:MAX_TEXT])
    try:
        place, cases = 0, []
        for case in message.cases:
            cases.append({})
            for label, (name, shape) in case.items():
                if not DTYPE.fullmatch(name) or not _is_shape(shape, 0 if label in NOTES else MAX_AXES):
                    raise ValueError("not a plain array")
                dtype = np.dtype(name)
                array = np.frombuffer(message.data, dtype, math.prod(shape), place) if math.prod(shape) else []
                cases[-1][str(label)] = np.asarray(array, dtype).reshape(shape)
                place += dtype.itemsize * math.prod(shape)
        return cases
    except MemoryError:  # it may be another submission's fault
        raise
    except Exception:  # whatever was sent is not an answer
        return NOT_ARRAYS


def _is_shape(shape, most_axes):
    return len(shape) <= most_axes and all(type(n) is int and 0 <= n <= MAX_SIDE for n in shape)


def _result(key: Key, observed: list[Observation] | Failure) -> Result:
    """The verdict as shown to the student, without the secret inputs."""
    points = float(key.task.points)
    if isinstance(observed, Failure) and observed.kind in NOT_JUDGED:
        return Result(key.task.name, 0.0, points, observed.kind, observed.message)
    try:
        if not isinstance(observed, Failure) and len(observed) != len(key.cases):
            raise ValueError("not every case was answered")
        with np.errstate(all="ignore"):  # of huge numbers, for example
            verdict = decide(key, observed)
    except MemoryError:
        raise
    except Exception:  # no honest answer gives such arrays
        return Result(key.task.name, 0.0, points, NOT_COMPARABLE.kind, NOT_COMPARABLE.message)
    if verdict.passed:
        return Result(key.task.name, points, points, verdict.kind)
    lines = [verdict.title, *([verdict.message] if verdict.message else [])]
    if verdict.kind is Kind.DIFFERENT:
        lines.append("The check in your notebook shows a failing case with its numbers, if it finds one.")
    return Result(key.task.name, 0.0, points, verdict.kind, clean("\n".join(lines))[: 2 * MAX_TEXT])


@cache
def _key(name, seed):
    task = tasks.task(name)
    return Key(task, task.inputs(seed))


@cache
def _inputs(name, seed):
    with _JUDGING:
        key = _key(name, seed)
    return pickle.dumps((key.task.observe, key.cases))


_JUDGING = threading.Lock()  # references and mistakes use torch's global random state
_workers: list[Worker] = []
_idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()


@contextmanager
def _borrowed_worker(sandbox: Sandbox, hidden: tuple[Path, ...]) -> Iterator[Worker]:
    """An idle worker of this process, or a new one."""
    try:
        worker = _idle.get_nowait()
    except queue.Empty:
        worker = Worker(len(_workers), sandbox, hidden)
        _workers.append(worker)
    if (worker.sandbox, worker.hidden) != (sandbox, hidden):  # it belonged to an earlier run
        worker.close()
        worker.sandbox, worker.hidden = sandbox, hidden
    try:
        yield worker
    except BaseException:
        worker.close()  # a child may still be sending
        raise
    finally:
        _idle.put(worker)


@atexit.register
def close_workers() -> None:
    """Stop all workers of this process, busy or not."""
    for worker in _workers:
        worker.retire()
    while not _idle.empty():
        worker = _idle.get_nowait()
        worker.close()
        _workers.remove(worker)
