"""Mark a class: `grade` takes a folder of submissions and writes grades, feedback and a report."""

import platform
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path

from tqdm import tqdm

from vae_course.grading.marking import Marked, close_workers, mark, mark_on_cluster, unmarked
from vae_course.grading.results import (
    Grades,
    Store,
    sources_digest,
    write_feedback,
    write_grades,
    write_json,
    write_totals,
)
from vae_course.grading.sandbox import PACKAGES, Limits, NoSandbox, Sandbox, WorkerError
from vae_course.grading.submissions import (
    Exercise,
    GradingError,
    Submission,
    Unreadable,
    find,
    fingerprint,
    read,
    read_bytes,
    read_exercises,
)
from vae_course.visible.outcomes import Kind

__all__ = ["Summary", "grade"]

DASK_TIMEOUT = 20  # seconds


@dataclass(frozen=True)
class Summary:
    """The outcome of a run.

    Args:
        marked: how many submissions were run.
        unchanged: how many had been marked before.
        troubles: a line about each problem that needs the instructor's attention.
        sandbox: how students' code was isolated.
        seconds: how long the run took.
    """

    marked: int
    unchanged: int
    troubles: list[str]
    sandbox: dict[str, str]
    seconds: float


@dataclass(frozen=True)
class _Plan:
    """What a run has to do.

    Args:
        fingerprints: of all submissions found.
        todo: submissions to run.
        suspects: submissions to run after those, one by one, because marking was killed while they were running.
        notes: a line about each submission that was running when marking was killed.
    """

    fingerprints: dict[Submission, str]
    todo: list[Submission] = field(default_factory=list)
    suspects: list[Submission] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


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
    sandbox: Sandbox | None = None,
    no_sandbox: bool = False,
) -> Summary:
    """Mark `submissions/STUDENT/EXERCISE.ipynb` and write the results into a folder.

    A submission already marked with the same file, seed, limits and version is not run again.

    Args:
        submissions: the folder of submissions.
        out: the folder for the results.
        root: the folder of the course.
        seed: seed of the inputs; if None, the seed of the folder's last run, or a new secret one.
        jobs: how many submissions to run at once.
        limits: limits for one submission.
        dask: the address of a Dask scheduler to distribute the work; None for this machine only.
        gradebook: nbgrader's gradebook, to be updated as well.
        sandbox: the sandbox for students' code during the whole run; if None, it is detected. Workers of a cluster
            detect their own.
        no_sandbox: go on if there is no sandbox.

    Raises:
        GradingError: nothing could be marked.
        NoSandbox: there is no sandbox, so nothing was run.
    """
    started = time.monotonic()
    write_gradebook = None if gradebook is None else _gradebook_writer()
    exercises = read_exercises(root)
    _check_folders(exercises, submissions, out, root)
    sandbox = sandbox or Sandbox.detect()
    found, troubles = find(submissions, exercises)
    if not found:
        raise GradingError(f"no submissions in {submissions}: expected SUBMISSIONS/STUDENT/EXERCISE.ipynb")
    if dask is None and not no_sandbox:
        sandbox.require()
    out.mkdir(parents=True, exist_ok=True)
    hidden = [path.resolve() for path in (submissions, out, root, *PACKAGES) if path.resolve() != Path("/")]
    with closing(Store(out)) as store:
        seed = _seed(store, seed)
        digest = sources_digest([*PACKAGES, root / "exercises"])
        settings = (seed, asdict(limits), version("vae-lessons"), digest)
        plan = _plan(store, found, settings, bool(sandbox.bwrap) if dask is None else not no_sandbox)
        if dask is None:
            job = partial(mark, seed=seed, limits=limits, sandbox=sandbox, hidden=hidden)
        else:
            job = partial(mark_on_cluster, seed=seed, limits=limits, no_sandbox=no_sandbox, hidden=hidden)
        with _executor(dask, min(jobs, max(len(plan.todo), 1))) as (executor, capacity):
            faults = _run(plan, store, partial(_start, executor, job, exercises), capacity)
        grades = _load(store, plan.fingerprints)
    troubles += plan.notes + faults
    for submission, marked in grades.items():
        troubles += [f"{submission.student}/{submission.exercise}: {remark}" for remark in marked.remarks]
    write_grades(out / "grades.csv", grades)
    write_totals(out / "totals.csv", grades)
    write_feedback(out / "feedback", grades, exercises)
    if write_gradebook is not None:
        troubles += write_gradebook(gradebook, root, grades, exercises)
    run = len(plan.todo) + len(plan.suspects)
    seconds = time.monotonic() - started
    summary = Summary(run - len(faults), len(grades) - run + len(faults), troubles, sandbox.report(), seconds)
    write_json(out / "report.json", _report(summary, grades, seed, limits, dask))
    return summary


def _check_folders(exercises, submissions, out, root):
    if not exercises:
        raise GradingError(f"no exercises in {root / 'exercises'}: run this in the course's folder, or give --root")
    if not submissions.is_dir():
        raise GradingError(f"no folder {submissions}: expected SUBMISSIONS/STUDENT/EXERCISE.ipynb")
    if out.exists() and not out.is_dir():
        raise GradingError(f"{out} is a file: expected a folder for the results")
    if out.resolve().is_relative_to(submissions.resolve()) or submissions.resolve().is_relative_to(out.resolve()):
        raise GradingError(f"{out} and {submissions} overlap: give the results a folder of their own")


def _gradebook_writer():
    try:
        from vae_course.grading.gradebook import write_gradebook
    except ImportError as error:
        raise GradingError("--gradebook needs nbgrader: run `python course.py setup --grade`") from error
    return write_gradebook


def _seed(store, seed):
    stored = store.settings().get("seed")
    seed = seed if seed is not None else int(stored) if stored else secrets.randbits(62)
    store.setting("seed", str(seed))
    return seed


def _plan(store: Store, found: list[Submission], settings: tuple, sandboxed: bool) -> _Plan:
    """Plan to run what is new or changed.

    Submissions that were running when marking was killed are run last and one by one, to find out which of them kills
    it. Without a sandbox, a submission that was running during two kills is not run a third time.
    """
    plan, kills = _Plan({submission: _fingerprint(submission, settings) for submission in found}), store.killed()
    for submission, current in plan.fingerprints.items():
        name = (submission.student, submission.exercise)
        if store.fingerprint(*name) == current:
            continue
        count = kills.get((*name, current), 0)
        note = f"{submission.student}/{submission.exercise}: was running when marking was killed"
        if not count:
            plan.todo.append(submission)
        elif count == 1 or sandboxed:
            plan.suspects.append(submission)
            plan.notes.append(f"{note}, so it was run last and alone")
        else:
            plan.notes.append(f"{note} {count} times, so it was left out; mark it where bubblewrap works")
    return plan


def _fingerprint(submission, settings):
    try:
        return fingerprint(read_bytes(submission.path), *settings)
    except Unreadable as error:
        return fingerprint(str(error).encode(), *settings)


def _run(plan: _Plan, store: Store, start: Callable[[Submission], Future[Marked]], capacity: int) -> list[str]:
    """Mark everything in the plan, and save each result at once.

    Returns:
        A line about each submission that could not be marked because this program failed.
    """
    faults = []

    def begin(submissions: list[Submission]) -> Iterator[tuple[Submission, Future[Marked]]]:
        for submission in submissions:
            store.begin(submission.student, submission.exercise, plan.fingerprints[submission])
            yield submission, start(submission)

    finished = chain(_as_completed(begin(plan.todo), capacity), _as_completed(begin(plan.suspects), 1))
    total = len(plan.todo) + len(plan.suspects)
    try:
        for submission, future in tqdm(finished, total=total, unit="submission", disable=None, smoothing=0.1):
            try:
                store.save(submission.student, submission.exercise, plan.fingerprints[submission], future.result())
            except WorkerError as error:
                raise GradingError(str(error)) from error
            except NoSandbox:
                raise
            except Exception as error:  # our fault, not the student's: the others go on
                store.end(submission.student, submission.exercise)
                faults.append(f"{submission.student}/{submission.exercise}: not marked ({error!r})")
    finally:
        store.end()  # however the run ends, unless it is killed
    return faults


def _start(
    executor: Executor, job: Callable[..., Marked], exercises: dict[str, Exercise], submission: Submission
) -> Future[Marked]:
    """Read a submission and have it marked. If it cannot be read, it gets its verdict at once."""
    exercise = exercises[submission.exercise]
    try:
        contents = read(read_bytes(submission.path), exercise)
    except Unreadable as error:
        done: Future[Marked] = Future()
        done.set_result(unmarked(exercise, Kind.UNREADABLE, f"The file could not be marked: {error}."))
        return done
    except Exception as error:  # our fault, not the student's: the others go on
        done = Future()
        done.set_exception(error)
        return done
    return executor.submit(job, exercise, contents)


def _as_completed(tasks: Iterator[tuple[Submission, Future]], capacity: int) -> Iterator[tuple[Submission, Future]]:
    """Start tasks, at most `capacity` at once, and yield them in the order in which they finish."""
    running: dict[Future, Submission] = {}
    for submission, future in tasks:
        running[future] = submission
        if len(running) >= capacity:
            yield from _finished(running)
    while running:
        yield from _finished(running)


def _finished(running):
    done, _ = wait(running, return_when=FIRST_COMPLETED)
    for future in done:
        yield running.pop(future), future


def _load(store: Store, fingerprints: dict[Submission, str]) -> Grades:
    """The results of all submissions whose current version is marked."""
    return {
        submission: store.load(submission.student, submission.exercise)
        for submission, current in fingerprints.items()
        if store.fingerprint(submission.student, submission.exercise) == current
    }


@contextmanager
def _executor(dask: str | None, jobs: int) -> Iterator[tuple[Executor, int]]:
    """The executor that marks submissions, and how many to give it at once."""
    if dask is None:
        executor = ThreadPoolExecutor(jobs)
        try:
            yield executor, jobs
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
            close_workers()
            executor.shutdown()
            close_workers()
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


def _report(summary, grades, seed, limits, dask):
    results = [result for marked in grades.values() for result in marked.results]
    slowest = max(grades, key=lambda submission: grades[submission].seconds, default=None)
    return {
        "marked": summary.marked,
        "unchanged": summary.unchanged,
        "seconds": round(summary.seconds, 2),
        "seconds_in_students_code": round(sum(marked.seconds for marked in grades.values()), 2),
        "slowest": slowest
        and {"submission": f"{slowest.student}/{slowest.exercise}", "seconds": round(grades[slowest].seconds, 2)},
        "most_memory_bytes": max((marked.bytes for marked in grades.values()), default=0),
        "verdicts": dict(Counter(str(result.verdict) for result in results)),
        "sandbox": summary.sandbox,
        "limits": asdict(limits),
        "seed": seed,
        "dask": dask,
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in ("vae-lessons", "torch", "numpy", "scipy")},
        "troubles": summary.troubles,
    }
