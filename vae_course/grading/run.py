"""Mark a class: `grade` takes a folder of submissions and writes grades, feedback and a report."""

import platform
import secrets
import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from difflib import get_close_matches
from enum import StrEnum
from functools import partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path

from tqdm import tqdm

from vae_course.grading.collect import Collected, Student, collect, read_roster, roster_date
from vae_course.grading.marking import Marked, better, close_workers, mark, mark_on_cluster, unmarked
from vae_course.grading.remarks import Remark, grouped, printable
from vae_course.grading.results import (
    Attempt,
    Grades,
    Store,
    sources_digest,
    write_feedback,
    write_grades,
    write_json,
    write_totals,
)
from vae_course.grading.sandbox import PACKAGES, Limits, NoSandbox, Sandbox, WorkerError
from vae_course.grading.statistics import class_statistics, write_class_page
from vae_course.grading.submissions import (
    Exercise,
    GradingError,
    Submission,
    Unreadable,
    exercises_in,
    fingerprint,
    identify,
    lesson_of,
    read,
    read_bytes,
    read_exercises,
)

__all__ = ["Keep", "Summary", "grade"]

DASK_TIMEOUT = 20  # seconds
MAX_ATTEMPTS = 10  # of one student at one exercise


EXPECTED = "expected SUBMISSIONS/STUDENT/EXERCISE.ipynb, or what a learning platform downloads"
NO_TROUBLE = ("nothing", "rescued")  # remarks that need no attention


class Keep(StrEnum):
    """Which of several hand-ins of one exercise counts."""

    BEST = "best"
    LAST = "last"


@dataclass(frozen=True)
class Summary:
    """The outcome of a run.

    Args:
        marked: how many submissions were run.
        unchanged: how many had been marked before.
        troubles: a line about each kind of problem that needs the instructor's attention.
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
        remarks: places and remarks.
    """

    fingerprints: dict[Submission, str]
    todo: list[Submission] = field(default_factory=list)
    suspects: list[Submission] = field(default_factory=list)
    remarks: list[tuple[str, Remark]] = field(default_factory=list)


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
    roster: Path | None = None,
    only: Collection[str] = (),
    keep: Keep = Keep.BEST,
    due: datetime | None = None,
) -> Summary:
    """Mark what a class handed in, and write the results into a folder.

    A submission already marked with the same file, seed, limits and version is not run again.

    Args:
        submissions: the folder or zip archive of submissions, as `collect` understands it.
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
        roster: a CSV file with everybody in the class.
        only: students to mark anew, forgetting what is known of them; nobody else is marked. Empty for everybody.
        keep: which of several hand-ins counts.
        due: the deadline for those without one of their own on the roster.

    Raises:
        GradingError: nothing could be marked.
        NoSandbox: there is no sandbox, so nothing was run.
    """
    started = time.monotonic()
    write_gradebook = None if gradebook is None else _gradebook_writer()
    exercises = read_exercises(root)
    _check_folders(exercises, submissions, out, root)
    sandbox = sandbox or Sandbox.detect()
    with tempfile.TemporaryDirectory(prefix="vae-lessons-") as unpacked, _errors_of(out):
        collected = collect(submissions, exercises, Path(unpacked), read_roster(roster) if roster else [])
        only = _known_students(only, collected.students)
        if dask is None and not no_sandbox:
            sandbox.require()
        out.mkdir(parents=True, exist_ok=True)
        hidden = [path.resolve() for path in (submissions, out, root, Path(unpacked), *PACKAGES)]
        hidden = [path for path in hidden if path != Path("/")]
        with closing(Store(out)) as store:
            seed = _seed(store, seed)
            digest = sources_digest([*PACKAGES, root / "exercises"])
            settings = fingerprint(b"", seed, asdict(limits), version("vae-lessons"), digest)
            found, remarks = _identified(collected, only, exercises, settings, root, keep)
            for student in only:
                store.forget(student)
            plan = _plan(store, found, bool(sandbox.bwrap) if dask is None else not no_sandbox)
            if dask is None:
                job = partial(mark, seed=seed, limits=limits, sandbox=sandbox, hidden=hidden)
            else:
                job = partial(mark_on_cluster, seed=seed, limits=limits, no_sandbox=no_sandbox, hidden=hidden)
            with _executor(dask, min(jobs, max(len(plan.todo), 1))) as (executor, capacity):
                faults = _run(plan, store, partial(_start, executor, job, exercises, root), capacity, settings)
            known, students = store.students(), dict(collected.students)
            if not roster:  # with one, those who are neither on it nor found have left
                students = {student: Student(student) for student in known} | students
            attempts = {
                key: tries for key, tries in store.attempts().items() if key[0] in students and key[1] in exercises
            }
            chosen, notes = _chosen(attempts, found, settings, keep, only)
            grades = {attempt.submission: store.load(attempt) for attempt in chosen}
        files = [*collected.remarks, *remarks, *notes]
        remarks = [*faults, *files, *plan.remarks]
        for submission, marked in grades.items():
            remarks += [(f"{submission.student}/{submission.exercise}", remark) for remark in marked.remarks]
        late = _late(grades, students, due)
        write_grades(out / "grades.csv", grades, late)
        write_totals(out / "totals.csv", grades, students.values())
        write_feedback(out / "feedback", grades, exercises, known, files)
        if write_gradebook is not None:
            remarks += write_gradebook(gradebook, root, grades, exercises)
        troubles = grouped((printable(place), remark) for place, remark in remarks if remark.kind not in NO_TROUBLE)
        run = len(plan.todo) + len(plan.suspects)
        seconds = time.monotonic() - started
        summary = Summary(run - len(faults), len(found) - run, troubles, sandbox.report(), seconds)
        statistics = class_statistics(grades, list(students), exercises, late)
        write_class_page(out / "class.html", statistics, troubles)
        report = _report(summary, grades, seed, limits, dask) | {"keep": str(keep)}
        write_json(
            out / "report.json", report | {"remarks": [[place, *r] for place, r in remarks], "class": statistics}
        )
    return summary


@contextmanager
def _errors_of(out: Path) -> Iterator[None]:
    """Say in one line what could not be read or written, such as a folder on a full disk."""
    try:
        yield
    except sqlite3.Error as error:
        raise GradingError(f"{out / 'results.sqlite'} cannot be read or written ({error})") from error
    except OSError as error:
        raise GradingError(f"{error.filename or out} cannot be read or written ({error.strerror or error})") from error


def _check_folders(exercises, submissions, out, root):
    if not exercises:
        raise GradingError(f"no exercises in {root / 'exercises'}: run this in the course's folder, or give --root")
    if not submissions.exists():
        raise GradingError(f"no folder or archive {submissions}: {EXPECTED}")
    if out.exists() and not out.is_dir():
        raise GradingError(f"{out} is a file: expected a folder for the results")
    if out.resolve().is_relative_to(submissions.resolve()) or submissions.resolve().is_relative_to(out.resolve()):
        raise GradingError(f"{out} and {submissions} overlap: give the results a folder of their own")


def _known_students(names: Collection[str], students: dict[str, Student]) -> set[str]:
    """The keys of students that are named by their key, name, login or id, in upper or lower case."""
    keys: dict[str, set[str]] = {}
    for key, student in students.items():
        for text in filter(None, (key, student.name, student.login, student.id)):
            keys.setdefault(text.lower(), set()).add(key)
    found = set()
    for name in names:
        fits = {name} if name in students else keys.get(name.lower(), set())
        if len(fits) > 1:
            raise GradingError(f"{name!r} fits several students: {sorted(fits)}")
        if not fits:
            close = get_close_matches(name.lower(), keys, n=3)
            near = sorted(set().union(*(keys[text] for text in close)))
            raise GradingError(f"no student {name!r}{f'; there are {near}' if near else ''}")
        found |= fits
    return found


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


def _identified(
    collected: Collected,
    only: Collection[str],
    exercises: dict[str, Exercise],
    settings: str,
    root: Path,
    keep: Keep,
) -> tuple[dict[Submission, str], list[tuple[str, Remark]]]:
    """Find out which exercise each file holds.

    Args:
        collected: what was handed in.
        only: the students to look at; empty for everybody.
        exercises: by name.
        settings: a digest of what else the verdicts depend on.
        root: the folder of the course.
        keep: of the same file twice, the first is the attempt, or the last one if the last one counts.

    Returns:
        The submissions, earlier ones first, with their fingerprints; and places with remarks.
    """
    found, remarks, seen = {}, [], {}
    for hand_in in collected.hand_ins:
        if only and hand_in.student not in only:
            continue
        try:
            data = read_bytes(hand_in.path)
        except Unreadable as error:
            data, exercise = str(error).encode(), hand_in.exercise
        else:
            exercise = identify(data, exercises) or hand_in.exercise
        place, name = f"{hand_in.student}/{exercise}", Path(hand_in.shown).name
        if exercise is None:
            lesson = lesson_of(data, root)
            several = " and ".join(exercises_in(data, exercises))
            what = f"{name}, which is the lesson {lesson}" if lesson else name
            what += f", which holds {several}: each needs a file of its own" if several else ""
            remarks.append((hand_in.student, Remark("unknown file", printable(what))))
            continue
        if hand_in.exercise not in (None, exercise):
            remarks.append((place, Remark("another exercise", printable(name))))
        current = fingerprint(data, settings)
        key = (hand_in.student, exercise, current)
        if key in seen:
            if keep is Keep.BEST:
                continue
            del found[seen[key]]
        date = hand_in.handed_in or roster_date(collected.students[hand_in.student], exercise, exercises)
        seen[key] = Submission(hand_in.student, exercise, hand_in.path, hand_in.shown, date, hand_in.late)
        found[seen[key]] = current
    for (student, exercise), count in Counter((s.student, s.exercise) for s in found).items():
        if count > MAX_ATTEMPTS:
            remarks.append(
                (
                    f"{student}/{exercise}",
                    Remark("several", f"{count} times, and only the last {MAX_ATTEMPTS} were marked"),
                )
            )
            for submission in [s for s in found if (s.student, s.exercise) == (student, exercise)][:-MAX_ATTEMPTS]:
                del found[submission]
    return found, remarks


def _plan(store: Store, found: dict[Submission, str], sandboxed: bool) -> _Plan:
    """Plan to run what is new or changed.

    Submissions that were running when marking was killed are run last and one by one, to find out which of them kills
    it. Without a sandbox, a submission that was running during two kills is not run a third time.
    """
    plan, kills = _Plan(found), store.killed()
    marked = {(*key, attempt.fingerprint) for key, attempts in store.attempts().items() for attempt in attempts}
    for submission, current in found.items():
        key = (submission.student, submission.exercise, current)
        if key in marked:
            continue
        count, place = kills.get(key, 0), f"{submission.student}/{submission.exercise}"
        if not count:
            plan.todo.append(submission)
        elif count == 1 or sandboxed:
            plan.suspects.append(submission)
            plan.remarks.append((place, Remark("suspect")))
        else:
            plan.remarks.append((place, Remark("killed", f"{count} times")))
    return plan


def _chosen(
    attempts: dict[tuple[str, str], list[Attempt]],
    found: dict[Submission, str],
    settings: str,
    keep: Keep,
    only: Collection[str],
) -> tuple[list[Attempt], list[tuple[str, Remark]]]:
    """The attempt that counts for each student and exercise.

    Args:
        attempts: all that are marked, by student and exercise.
        found: the submissions that are there now, earlier ones first, with their fingerprints.
        settings: a digest of the current settings; attempts marked with others are not compared with these.
        keep: whether the best or the last one counts.
        only: the students that this run was about; empty for everybody.
    """
    place = {(s.student, s.exercise, current): (n, s) for n, (s, current) in enumerate(found.items())}
    chosen, remarks = [], []
    for (student, exercise), tries in sorted(attempts.items()):
        comparable = [attempt for attempt in tries if attempt.settings == settings] or tries[-1:]
        here = {
            a.fingerprint: place[student, exercise, a.fingerprint]
            for a in tries
            if (student, exercise, a.fingerprint) in place
        }
        ordered = sorted(comparable, key=lambda a: here[a.fingerprint][0] if a.fingerprint in here else -1)
        readable = [attempt for attempt in ordered if attempt.readable] or ordered[-1:]
        best = max(readable, key=lambda attempt: attempt.points)
        latest = [attempt for attempt in readable if keep is Keep.LAST or attempt.points == best.points][-1]
        if latest.fingerprint in here:
            chosen.append(_seen_again(latest, here[latest.fingerprint][1], keep))
        else:
            chosen.append(latest)
            if not only or student in only:
                remarks.append((f"{student}/{exercise}", Remark("gone", printable(latest.submission.shown))))
        if len(ordered) > 1:
            broken = sum(not attempt.readable for attempt in ordered)
            how_often = f"{len(ordered)} times" + (f", {broken} of them unreadable" if broken else "")
            shown = printable(latest.submission.shown)
            remarks.append((f"{student}/{exercise}", Remark("several", f"{how_often}; {keep}: {shown}")))
    return chosen, remarks


def _seen_again(attempt: Attempt, now: Submission, keep: Keep) -> Attempt:
    """An attempt whose file is there now. If the best one counts, so does the first time when it was handed in."""
    first = attempt.submission
    if keep is Keep.BEST and first.handed_in:
        before, after = _comparable(first.handed_in, now.handed_in or first.handed_in)
        if before <= after:
            now = replace(now, handed_in=first.handed_in, late=first.late)
    return replace(attempt, submission=now)


def _comparable(one: datetime, two: datetime) -> tuple[datetime, datetime]:
    """The same dates, both with a time zone or both without one. A date without a time zone means this machine's."""
    return (one.astimezone(), two.astimezone()) if bool(one.tzinfo) != bool(two.tzinfo) else (one, two)


def _late(grades: Grades, students: dict[str, Student], due: datetime | None) -> dict[Submission, float | None]:
    """By how many days submissions were late; None if the platform says only that one was."""
    late = {}
    for submission in grades:
        deadline, handed_in = students[submission.student].due or due, submission.handed_in
        if deadline and handed_in:
            deadline, handed_in = _comparable(deadline, handed_in)
            if handed_in > deadline:
                late[submission] = (handed_in - deadline).total_seconds() / 86400
        elif submission.late:
            late[submission] = None
    return late


def _run(
    plan: _Plan, store: Store, start: Callable[..., Future[Marked]], capacity: int, settings: str
) -> list[tuple[str, Remark]]:
    """Mark everything in the plan, and save each result at once.

    What did not pass beside other submissions is run again alone before anything is saved. If it was lost (to time,
    memory or a crash), it gets a new worker.

    Returns:
        A remark about each submission that could not be marked because this program failed.
    """
    faults: list[tuple[str, Remark]] = []
    again: dict[Submission, Marked | None] = {}

    def begin(submissions: Collection[Submission], alone: bool) -> Iterator[tuple[Submission, Future[Marked]]]:
        for submission in submissions:
            store.begin(submission.student, submission.exercise, plan.fingerprints[submission])
            first = again.get(submission)
            yield submission, start(submission, fresh=alone and (first is None or first.lost))

    finished = chain(
        _as_completed(begin(plan.todo, False), capacity),
        _as_completed(begin(plan.suspects, True), 1),
        _as_completed(begin(again, True), 1),  # complete by then
    )
    total = len(plan.todo) + len(plan.suspects)
    try:
        for submission, future in (bar := tqdm(finished, total=total, unit="submission", disable=None, smoothing=0.1)):
            shared = capacity > 1 and submission not in plan.suspects and submission not in again
            try:
                marked = future.result()
            except WorkerError as error:
                if not shared:
                    raise GradingError(str(error)) from error
                marked = None
            except NoSandbox:
                raise
            except Exception as error:  # our fault, not the student's: the others go on
                store.end(submission.student, submission.exercise)
                place = f"{submission.student}/{submission.exercise}"
                faults.append((place, Remark("not marked", printable(repr(error)[:200]))))
                continue
            if again.get(submission):
                marked = better(again[submission], marked)
            elif shared and (marked is None or marked.doubtful):
                store.end(submission.student, submission.exercise)
                again[submission] = marked
                bar.total += 1
                continue
            try:
                store.save(submission, plan.fingerprints[submission], settings, marked)
            except ValueError as error:  # a text that cannot be stored
                store.end(submission.student, submission.exercise)
                faults.append(
                    (f"{submission.student}/{submission.exercise}", Remark("not marked", printable(str(error))))
                )
    finally:
        store.end()  # however the run ends, unless it is killed
    return faults


def _start(
    executor: Executor,
    job: Callable[..., Marked],
    exercises: dict[str, Exercise],
    root: Path,
    submission: Submission,
    fresh: bool,
) -> Future[Marked]:
    """Read a submission and have it marked. If it cannot be read, it gets its verdict at once."""
    exercise = exercises[submission.exercise]
    try:
        data = read_bytes(submission.path)
        if identify(data, exercises) is None and (lesson := lesson_of(data, root)):
            raise Unreadable(f"it is the lesson {lesson}, and not the exercise")
        contents = read(data, exercise)
    except Unreadable as error:
        done: Future[Marked] = Future()
        done.set_result(unmarked(exercise, printable(str(error))))
        return done
    except Exception as error:  # our fault, not the student's: the others go on
        done = Future()
        done.set_exception(error)
        return done
    return executor.submit(job, exercise, contents, fresh=fresh)


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
