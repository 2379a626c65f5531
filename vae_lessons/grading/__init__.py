"""Marking a class: `grade` takes a folder of submissions and writes grades, feedback and a report.

`submissions` reads what was handed in, `walls` and `inside` run it, `marking` decides, `results` keeps and writes, and
`gradebook` passes the grades on to nbgrader.
"""

import platform
import secrets
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import chain
from pathlib import Path

from tqdm import tqdm

import vae_lessons
from vae_lessons.grading.marking import Marked, close_lanes, mark, mark_elsewhere, unmarked
from vae_lessons.grading.results import (
    Store,
    sources_digest,
    write_feedback,
    write_grades,
    write_json,
    write_totals,
)
from vae_lessons.grading.submissions import (
    GradingError,
    Submission,
    Unreadable,
    find,
    fingerprint,
    raw,
    read,
    read_exercises,
)
from vae_lessons.grading.walls import LaneError, Limits, NoWalls, Walls

__all__ = ["GradingError", "Limits", "NoWalls", "Summary", "grade"]

LIBRARY = Path(vae_lessons.__file__).parent
DASK_TIMEOUT = 20  # seconds


@dataclass(frozen=True)
class Summary:
    """How a run went.

    Args:
        marked: submissions that were run.
        unchanged: submissions that had been marked before.
        troubles: words about what needs an instructor's eye.
        walls: which walls stood.
        seconds: how long it took.
    """

    marked: int
    unchanged: int
    troubles: list[str]
    walls: dict[str, str]
    seconds: float


def grade(
    submissions: Path,
    out: Path,
    *,
    root: Path = Path(),
    seed: int | None = None,
    jobs: int = 2,
    limits: Limits = Limits(),  # noqa: B008
    dask: str | None = None,
    gradebook: Path | None = None,
    walls: Walls | None = None,
    without_walls: bool = False,
) -> Summary:
    """Mark `submissions/STUDENT/EXERCISE.ipynb` and write the results into a folder.

    What was marked before with the same file, seed, limits and version is not run again.

    Args:
        submissions: the folder that came back.
        out: the folder for the results.
        root: the folder of the course.
        seed: of the inputs; the one of the folder's last run if None, or a new secret one.
        jobs: how many submissions are run at one time.
        limits: what one submission may take.
        dask: the address of a Dask scheduler that spreads the work; None for this machine alone.
        gradebook: nbgrader's gradebook, to be written into as well.
        walls: which stand on this machine, to the end of the run; tried if None. A cluster's workers try their own.
        without_walls: go on where none stand.

    Raises:
        GradingError: nothing could be marked.
        NoWalls: no walls stand, so nothing was run.
    """
    started = time.monotonic()
    write_gradebook = None if gradebook is None else _gradebook_writer()
    exercises = read_exercises(root)
    _require(exercises, submissions, out, root)
    walls = walls or Walls.here()
    hidden = [path.resolve() for path in (submissions, out, LIBRARY, root) if path.resolve() != Path("/")]
    found, troubles = find(submissions, exercises)
    if not found:
        raise GradingError(f"no submissions in {submissions}: expected SUBMISSIONS/STUDENT/EXERCISE.ipynb")
    if dask is None and not without_walls:
        walls.require()
    out.mkdir(parents=True, exist_ok=True)
    with closing(Store(out)) as store:
        seed = _seed(store, seed)
        stamp = (seed, asdict(limits), vae_lessons.__version__, _version(root))
        prints = {one: _print(one, stamp) for one in found}
        changed = [one for one in found if store.fingerprint(one.student, one.exercise) != prints[one]]
        killed = store.killed()
        runs = {one: killed.get((one.student, one.exercise, prints[one]), 0) for one in changed}
        todo, suspects, told = _after_a_kill(runs, bool(walls.bwrap) if dask is None else not without_walls)
        troubles += told
        if dask is None:
            how = (mark, (seed, limits, walls, hidden))
        else:
            how = (mark_elsewhere, (seed, limits, without_walls, hidden))
        count, saved = len(todo) + len(suspects), 0
        with (
            _noted(store),
            _workers(dask, min(jobs, max(len(todo), 1))) as (executor, most),
            tqdm(total=count, unit="submission", disable=None, smoothing=0.1) as progress,
        ):
            for submission, future in chain(
                _as_completed(_started(todo, prints, store, executor, exercises, *how), most),
                _as_completed(_started(suspects, prints, store, executor, exercises, *how), 1),
            ):
                try:
                    store.save(submission.student, submission.exercise, prints[submission], future.result())
                    saved += 1
                except LaneError as error:
                    raise GradingError(str(error)) from error
                except NoWalls:
                    raise
                except Exception as error:  # ours, not the student's: the others go on
                    store.end(submission.student, submission.exercise)
                    troubles.append(f"{submission.student}/{submission.exercise}: not marked ({error!r})")
                progress.update()
        marked = {
            one: store.load(one.student, one.exercise)
            for one in found
            if store.fingerprint(one.student, one.exercise) == prints[one]
        }
    for submission, one in marked.items():
        troubles += [f"{submission.student}/{submission.exercise}: {remark}" for remark in one.remarks]
    write_grades(out / "grades.csv", marked)
    write_totals(out / "totals.csv", marked)
    write_feedback(out / "feedback", marked, exercises)
    if write_gradebook is not None:
        troubles += write_gradebook(gradebook, root, marked, exercises)
    summary = Summary(saved, len(found) - len(changed), troubles, walls.report(), time.monotonic() - started)
    write_json(out / "report.json", _report(summary, marked, seed, limits, dask))
    return summary


def _require(exercises, submissions, out, root):
    if not exercises:
        raise GradingError(f"no exercises in {root / 'exercises'}: run this in the course's folder, or give --root")
    if not submissions.is_dir():
        raise GradingError(f"no folder {submissions}: expected SUBMISSIONS/STUDENT/EXERCISE.ipynb")
    if out.exists() and not out.is_dir():
        raise GradingError(f"{out} is a file: expected a folder for the results")
    if out.resolve().is_relative_to(submissions.resolve()) or submissions.resolve().is_relative_to(out.resolve()):
        raise GradingError(f"{out} and {submissions} lie in each other: give the results a folder of their own")


def _gradebook_writer():
    try:
        from vae_lessons.grading.gradebook import write_gradebook
    except ImportError as error:
        raise GradingError("--gradebook needs nbgrader: run `python course.py setup --grade`") from error
    return write_gradebook


def _seed(store, seed):
    kept = store.settings().get("seed")
    seed = seed if seed is not None else int(kept) if kept else secrets.randbits(62)
    store.setting("seed", str(seed))
    return seed


def _version(root):
    return sources_digest([LIBRARY, LIBRARY / "checks", LIBRARY / "grading", root / "exercises"])


def _print(submission, stamp):
    try:
        return fingerprint(raw(submission.path), *stamp)
    except Unreadable as error:
        return fingerprint(str(error).encode(), *stamp)


def _after_a_kill(killed: dict[Submission, int], walled: bool):
    """What to run, what to run after that, one by one, and words about who was being run when marking was killed.

    The second time nothing else is being run, so that without walls whoever is met again is left out.
    """
    todo, suspects, told = [], [], []
    for one, runs in killed.items():
        words = f"{one.student}/{one.exercise}: was being run when marking was killed"
        if not runs:
            todo.append(one)
        elif runs == 1 or walled:
            suspects.append(one)
            told.append(f"{words}, so it was run last and alone")
        else:
            told.append(f"{words} {runs} times, so it was left out; mark it where walls stand")
    return todo, suspects, told


@contextmanager
def _noted(store: Store) -> Iterator[None]:
    """While this runs, the store knows what is being run; afterwards nothing is, however it ended."""
    try:
        yield
    finally:
        store.end()


def _started(submissions, prints, store, executor, exercises, work, given) -> Iterator[tuple[Submission, Future]]:
    """Start one submission after another, each when it is asked for."""
    for submission in submissions:
        store.begin(submission.student, submission.exercise, prints[submission])
        yield submission, _start(executor, submission, exercises, work, given)


def _start(executor: Executor, submission: Submission, exercises, work, given) -> Future:
    """Read a submission and have it marked; what cannot be read is marked at once."""
    exercise = exercises[submission.exercise]
    try:
        contents = read(raw(submission.path), exercise)
    except Unreadable as error:
        done: Future[Marked] = Future()
        done.set_result(unmarked(exercise, "unreadable", f"The file could not be marked: {error}."))
        return done
    except Exception as error:  # ours, not the student's: the others go on
        done = Future()
        done.set_exception(error)
        return done
    return executor.submit(work, exercise, contents, *given)


def _as_completed(tasks: Iterator[tuple[Submission, Future]], most: int) -> Iterator[tuple[Submission, Future]]:
    """What is done, in the order in which it gets done; never more than `most` are under way."""
    under_way: dict[Future, Submission] = {}
    for submission, future in tasks:
        under_way[future] = submission
        if len(under_way) >= most:
            yield from _finished(under_way)
    while under_way:
        yield from _finished(under_way)


def _finished(under_way):
    done, _ = wait(under_way, return_when=FIRST_COMPLETED)
    for future in done:
        yield under_way.pop(future), future


@contextmanager
def _workers(dask: str | None, jobs: int) -> Iterator[tuple[Executor, int]]:
    """Where submissions are marked, and how many are to be under way there at one time."""
    if dask is None:
        executor = ThreadPoolExecutor(jobs)
        try:
            yield executor, jobs
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
            close_lanes()
            executor.shutdown()
            close_lanes()
        return
    try:
        from distributed import Client
    except ImportError as error:
        raise GradingError("--dask needs Dask: run `python course.py setup --grade`") from error
    try:
        client = Client(dask, timeout=DASK_TIMEOUT)
    except (OSError, ValueError) as error:
        raise GradingError(f"no Dask scheduler answers at {dask}: {error}") from error
    with client:
        yield client.get_executor(pure=False, retries=3), 2 * max(1, sum(client.nthreads().values()))


def _report(summary, marked, seed, limits, dask):
    results = [result for one in marked.values() for result in one.results]
    slowest = max(marked, key=lambda key: marked[key].seconds, default=None)
    return {
        "marked": summary.marked,
        "unchanged": summary.unchanged,
        "seconds": round(summary.seconds, 2),
        "seconds_in_students_code": round(sum(one.seconds for one in marked.values()), 2),
        "slowest": slowest
        and {"submission": f"{slowest.student}/{slowest.exercise}", "seconds": round(marked[slowest].seconds, 2)},
        "most_memory_bytes": max((one.bytes for one in marked.values()), default=0),
        "verdicts": dict(Counter(result.verdict for result in results)),
        "walls": summary.walls,
        "limits": asdict(limits),
        "seed": seed,
        "dask": dask,
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("vae-lessons", "torch", "numpy", "scipy")},
        "troubles": summary.troubles,
    }
