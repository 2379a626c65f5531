"""Marking one submission: a lane looks, and here, where no student's code ever runs, it is decided."""

import atexit
import base64
import pickle
import queue
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np

from vae_lessons.checks import TASKS
from vae_lessons.checks.observe import Failure
from vae_lessons.checks.task import Key, decide
from vae_lessons.grading.submissions import Contents, Exercise, clean
from vae_lessons.grading.walls import Lane, Limits, Walls

__all__ = ["Marked", "Result", "mark", "mark_elsewhere", "unmarked"]

DTYPE = re.compile(r"[<>|=]?([biufc]\d{1,2}|U\d{1,6})")
KINDS = ("not written", "raised", "signature", "type", "library", "missing")
MOST_LEFT_OUT = 5  # cells that are named
LOST = {
    "timeout": "It took longer than one task may take.",
    "all time used": "The time for the whole submission was used up before or in this task.",
    "memory": "It took more memory than a submission may take.",
}


@dataclass(frozen=True)
class Result:
    """The verdict on one task.

    Args:
        task: its name.
        points: what was earned.
        max_points: what could be earned.
        verdict: a word or two that a script can use.
        hint: what the student reads.
    """

    task: str
    points: float
    max_points: float
    verdict: str
    hint: str = ""


@dataclass
class Marked:
    """Everything that marking a submission gave.

    Args:
        results: one for each task.
        answers: the source of each answer, by task.
        remarks: what an instructor should know.
        seconds: how long students' code ran.
        bytes: the most memory that it used.
    """

    results: list[Result]
    answers: dict[str, str] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    seconds: float = 0.0
    bytes: int = 0


def unmarked(exercise: Exercise, verdict: str, why: str) -> Marked:
    """The same verdict on every task, for what cannot be marked."""
    results = [Result(task.name, 0.0, float(task.points), verdict, why) for task in exercise.tasks]
    return Marked(results, remarks=[why])


def mark(
    exercise: Exercise,
    contents: Contents,
    seed: int,
    limits: Limits,
    walls: Walls,
    hidden: Sequence[Path] = (),
) -> Marked:
    """Mark one submission on a lane of this process.

    Args:
        exercise: which one it answers.
        contents: what was handed in.
        seed: of the inputs, unknown to students.
        limits: what it may take.
        walls: which stand around it.
        hidden: folders that students' code must not see.
    """
    marked = Marked([], contents.answers, list(contents.remarks))
    with _Borrowed(walls, tuple(hidden)) as lane:
        seen = _examine(lane, exercise, contents, seed, limits, marked)
    with _DECIDING:
        marked.results = [_result(_key(task.name, seed), seen.get(task.name)) for task in exercise.tasks]
    return marked


def mark_elsewhere(exercise, contents, seed, limits, without_walls: bool, hidden=()) -> Marked:
    """The same in a worker of a cluster, behind the walls of that machine.

    Raises:
        NoWalls: none stand there, and `without_walls` is False.
    """
    walls = _walls_of_this_process()
    if not without_walls:
        walls.require()
    return mark(exercise, contents, seed, limits, walls, hidden)


_walls_of_this_process = cache(Walls.here)


def _examine(lane, exercise, contents, seed, limits, marked):
    """What was seen of each task. After a step that was lost, the others are run again without it."""
    seen, lost, ran, left_out, left = {}, {}, {}, [], limits.total_seconds
    while left > 0:
        steps = [
            step if "source" in step else {**step, "inputs": _inputs(step["task"], seed)}
            for step in contents.steps
            if step["number"] not in lost and step.get("task") not in seen
        ]
        if not any("task" in step for step in steps):
            break
        by_number, current = {step["number"]: step for step in steps}, [steps[0]]

        def hear(message, by_number=by_number, current=current):
            number, step = message.get("begin"), current[-1]
            if isinstance(number, int) and number in by_number:
                current.append(by_number[number])
            elif "source" in step and isinstance(message.get("ran"), str):
                ran[step["number"]] = clean(message["ran"])[:4000]
            elif "task" in step and ("seen" in message or "failure" in message):
                seen.setdefault(step["task"], _arrays(message))

        request = {"steps": steps, "library": list(exercise.library)}
        outcome = lane.run(request, replace(limits, total_seconds=left), hear)
        marked.seconds += outcome.seconds
        marked.bytes = max(marked.bytes, outcome.bytes)
        left -= max(outcome.seconds, 0.01)
        if outcome.lost is None:
            break
        step = current[-1]
        lost[step["number"]] = outcome.lost
        if "source" in step and not step["answers"]:
            first = step["source"].strip().splitlines()[0][:60]
            left_out.append(f"a cell was left out ({outcome.lost}): {first}")
    marked.remarks += left_out[:MOST_LEFT_OUT]
    if len(left_out) > MOST_LEFT_OUT:
        marked.remarks.append(f"{len(left_out) - MOST_LEFT_OUT} more cells were left out")
    for step in contents.steps:
        for task in [step["task"]] if "task" in step else step["answers"]:
            failed = step["number"] in lost and Failure("lost", lost[step["number"]])
            missing = isinstance(seen.get(task), Failure) and seen[task].kind == "missing"
            if failed and (task not in seen or missing):
                seen[task] = failed
            elif missing and step["number"] in ran:
                seen[task] = Failure("raised", ran[step["number"]])
            elif "task" in step and task not in seen:
                seen[task] = Failure("lost", "all time used")
    return seen


def _arrays(message):
    """What a child says of a task, as arrays; nothing in it is believed but numbers."""
    try:
        if "failure" in message:
            kind, text = message["failure"]
            return Failure(kind if kind in KINDS else "raised", clean(str(text))[:4000])
        return [{str(label): _array(*one) for label, one in case.items()} for case in message["seen"]]
    except Exception:  # whatever was sent: it is no answer
        return Failure("type", "What came back could not be read as numbers.")


def _array(dtype, shape, data):
    if not DTYPE.fullmatch(dtype):
        raise ValueError("not a plain dtype")
    return np.frombuffer(base64.b64decode(data, validate=True), dtype=np.dtype(dtype)).reshape(shape)


def _result(key, seen):
    task, most = key.task, float(key.task.points)
    if seen is None:
        return Result(task.name, 0.0, most, "missing", "The cell with this answer is not in the notebook.")
    if isinstance(seen, Failure):
        if seen.kind == "lost":
            verdict = {"all time used": "timeout"}.get(seen.message, seen.message.split(":")[0])
            return Result(task.name, 0.0, most, verdict, LOST.get(seen.message, f"The answer {seen.message}."))
        if seen.kind == "missing":
            text = "The answer's cell does not define the function that was asked for."
            return Result(task.name, 0.0, most, "missing", text)
    try:
        if not isinstance(seen, Failure) and len(seen) != len(key.cases):
            raise ValueError("not every case was answered")
        verdict = decide(key, seen)
    except Exception:  # arrays that no honest answer gives
        return Result(task.name, 0.0, most, "type", "What came back has a form that cannot be compared.")
    if verdict.passed:
        return Result(task.name, most, most, "passed")
    if verdict.kind == "mistake":
        return Result(task.name, 0.0, most, "mistake", f"{verdict.title}\n{verdict.message}")
    hint = verdict.title if not verdict.message else f"{verdict.title}\n{verdict.message}"
    if verdict.kind == "different":
        hint += "\nThe check in your notebook shows a case with its numbers, where it finds one."
    return Result(task.name, 0.0, most, verdict.kind, hint)


@cache
def _key(task, seed):
    return Key(TASKS[task], TASKS[task].inputs(seed))


@cache
def _inputs(task, seed):
    with _DECIDING:
        key = _key(task, seed)
    return pickle.dumps((key.task.observe, key.cases))


_DECIDING = threading.Lock()  # references and mistakes use torch's one random state
_lanes: list[Lane] = []
_idle: queue.SimpleQueue[Lane] = queue.SimpleQueue()


class _Borrowed:
    """A lane of this process that nobody uses; a new one where there is none."""

    def __init__(self, walls, hidden):
        self.walls, self.hidden = walls, hidden

    def __enter__(self):
        try:
            self.lane = _idle.get_nowait()
        except queue.Empty:
            self.lane = Lane(len(_lanes), self.walls, self.hidden)
            _lanes.append(self.lane)
        if (self.lane.walls, self.lane.hidden) != (self.walls, self.hidden):  # an earlier run's
            self.lane.close()
            self.lane.walls, self.lane.hidden = self.walls, self.hidden
        return self.lane

    def __exit__(self, kind, *_):
        if kind is not None:  # a child may still be talking
            self.lane.close()
        _idle.put(self.lane)


@atexit.register
def close_lanes() -> None:
    """End all lanes of this process, also those at work."""
    for lane in _lanes:
        lane.retire()
    while not _idle.empty():
        lane = _idle.get_nowait()
        lane.close()
        _lanes.remove(lane)
