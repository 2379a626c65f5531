"""Passing grades on to nbgrader: into its gradebook, and as the notebooks that its form grader and feedback show."""

import os
import shutil
import sys
import warnings
from contextlib import closing
from pathlib import Path

import nbformat
from nbgrader import utils
from nbgrader.api import Gradebook, MissingEntry
from nbgrader.preprocessors import (
    CheckCellMetadata,
    ClearOutput,
    DeduplicateIds,
    OverwriteCells,
    OverwriteKernelspec,
    SaveCells,
)
from sqlalchemy.exc import SAWarning, SQLAlchemyError

from vae_lessons.build import write
from vae_lessons.grading.marking import Marked
from vae_lessons.grading.submissions import Exercise, GradingError, Submission, Unreadable, raw, read_notebook

__all__ = ["write_gradebook"]


def write_gradebook(
    path: Path, root: Path, marked: dict[Submission, Marked], exercises: dict[str, Exercise]
) -> list[str]:
    """Write the points into nbgrader's gradebook, each exercise an assignment of one notebook of the same name.

    Points that a person gave stay as they are. The notebooks go to `autograded/` beside the gradebook, and the exercise
    with its answers to `source/`, where the form grader looks for assignments, if it is not there.

    Args:
        path: of the gradebook; made where there is none.
        root: the folder of the course.
        marked: what was marked.
        exercises: by name.

    Returns:
        What could not be written, in words.

    Raises:
        GradingError: the file is no gradebook, or is in use.
    """
    url = f"sqlite:///{path.resolve()}"
    path.resolve().parent.mkdir(parents=True, exist_ok=True)
    tools = str(Path(sys.executable).parent)  # nbgrader calls alembic, which lies there
    if tools not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([tools, os.environ.get("PATH", "")])
    try:
        with warnings.catch_warnings(category=SAWarning, action="ignore"):
            return _write(path, url, root, marked, exercises)
    except SQLAlchemyError as error:
        reason = str(error).splitlines()[0]
        raise GradingError(f"{path} cannot be written as nbgrader's gradebook: {reason}") from error


def _write(path, url, root, marked, exercises):
    troubles = []
    for name in sorted({submission.exercise for submission in marked}):
        _make_assignment(url, name, root / "exercises" / f"{name}.ipynb")
        source = path.resolve().parent / "source" / name / f"{name}.ipynb"
        if not source.exists():
            source.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / "solutions" / f"{name}.ipynb", source)
    with closing(Gradebook(url)) as gradebook:
        for student in sorted({submission.student for submission in marked}):
            gradebook.update_or_create_student(student)
        for submission, one in marked.items():
            exercise = exercises[submission.exercise]
            folder = path.resolve().parent / "autograded" / submission.student / exercise.name
            gradebook.update_or_create_submission(exercise.name, submission.student)
            before = _written(folder / f"{exercise.name}.ipynb", exercise)
            try:
                _write_notebook(folder, submission, url, one, exercise)
            except Unreadable:
                pass
            except Exception as error:  # nbgrader stops at notebooks that it does not like
                about = f"{submission.student}/{submission.exercise}"
                troubles.append(f"{about}: its grades are in the gradebook, its notebook is not ({error!r})")
            after = _written(folder / f"{exercise.name}.ipynb", exercise)
            _save(gradebook, submission, one, exercise, after, before is not None and before != after)
        gradebook.db.commit()
    return troubles


def _make_assignment(url, name, released):
    with closing(Gradebook(url)) as gradebook:
        try:
            gradebook.find_notebook(name, name)
            return
        except MissingEntry:
            gradebook.update_or_create_assignment(name)
    SaveCells().preprocess(nbformat.read(released, as_version=4), _resources(url, name))


def _resources(url, name, student=None):
    return {"nbgrader": {"notebook": name, "assignment": name, "student": student, "db_url": url}}


def _write_notebook(folder, submission, url, marked, exercise):
    """Write the student's notebook with the verdicts below the answers."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{exercise.name}.ipynb").unlink(missing_ok=True)
    notebook = read_notebook(raw(submission.path))
    resources = _resources(url, exercise.name, submission.student)
    for step in (ClearOutput, DeduplicateIds, OverwriteKernelspec, OverwriteCells, CheckCellMetadata):
        notebook, resources = step().preprocess(notebook, resources)
    by_check = {f"{exercise.answer_id(result.task)}-check": result for result in marked.results}
    for cell in notebook.cells:
        result = by_check.get(cell.metadata.get("nbgrader", {}).get("grade_id"))
        if result is not None and cell.cell_type == "code":
            cell.outputs = [_output(result)]
    write(notebook, folder / f"{exercise.name}.ipynb")


def _output(result):
    if result.verdict == "passed":
        return nbformat.v4.new_output("display_data", {"text/plain": f"✓ {result.task}: passed"})
    text = f"✗ {result.task}: {result.verdict}\n{result.hint}"
    return nbformat.v4.new_output("error", ename="CheckFailed", evalue=result.verdict, traceback=text.splitlines())


def _save(gradebook, submission, marked, exercise, written, written_again):
    where = (exercise.name, exercise.name, submission.student)
    for result in marked.results:
        grade = gradebook.find_grade(f"{exercise.answer_id(result.task)}-check", *where)
        changed = grade.auto_score not in (None, result.points)
        grade.auto_score = result.points
        grade.needs_manual_grade = grade.manual_score is not None and (changed or grade.needs_manual_grade)
        comment = gradebook.find_comment(exercise.answer_id(result.task), *where)
        comment.auto_comment = result.hint or None
    grade = gradebook.find_grade(exercise.written, *where)
    answered = written is not None and utils.determine_grade(written)[0] is None
    grade.auto_score = None if answered else 0.0  # a person has to read what was answered
    grade.needs_manual_grade = answered and (grade.manual_score is None or written_again or grade.needs_manual_grade)


def _written(path, exercise):
    """The cell with the answer in words of a notebook that was written before; None where there is none."""
    if not path.exists():
        return None
    cells = nbformat.read(path, as_version=4).cells
    return next((c for c in cells if c.metadata.get("nbgrader", {}).get("grade_id") == exercise.written), None)
