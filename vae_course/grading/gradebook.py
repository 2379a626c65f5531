"""Writing grades into nbgrader's gradebook, and the notebooks that its form grader and feedback show."""

import copy
import os
import re
import shutil
import sys
import warnings
from contextlib import closing
from pathlib import Path

import nbformat
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

from vae_course.files import write_notebook
from vae_course.grading.marking import Marked
from vae_course.grading.submissions import Exercise, GradingError, Submission, Unreadable, read_bytes, read_notebook
from vae_course.notebooks import answer_id, cell_id, check_id
from vae_course.visible.outcomes import Kind

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
        A line about each thing that could not be written.

    Raises:
        GradingError: the file is not a gradebook, or is in use.
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
            before = _earlier_words(folder / f"{exercise.name}.ipynb", exercise)
            words = None
            try:
                notebook = _restored(read_notebook(read_bytes(submission.path)), exercise)
                words = _words(notebook, exercise)
                _write_notebook(folder, submission, url, notebook, one, exercise)
            except Unreadable:
                (folder / f"{exercise.name}.ipynb").unlink(missing_ok=True)
            except Exception as error:  # nbgrader stops at notebooks that it does not like
                about = f"{submission.student}/{submission.exercise}"
                troubles.append(f"{about}: its grades are in the gradebook, its notebook is not ({str(error)[:200]})")
            _save(gradebook, submission, one, exercise, words, before)
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


def _restored(notebook, exercise):
    """The notebook with its known cells as nbgrader expects them, whatever became of their metadata and types.

    Of several cells with one id the last counts, as in marking; of answers in words, the last that is not empty. HTML
    that a student wrote is made harmless for the browser of whoever reads it.
    """
    chosen, sources = {}, [cell.source for cell in notebook.cells]
    for number, cell in enumerate(notebook.cells):
        key = cell_id(cell)
        if key in exercise.cells and (
            key != exercise.written or key not in chosen or _is_answer(cell.source, exercise)
        ):
            chosen[key] = number
        cell.metadata, cell.id = {}, f"cell-of-student-{number}"
        if cell.cell_type != "code":
            cell.source = _harmless(cell.source)
    for key, number in chosen.items():
        cell, released = notebook.cells[number], copy.deepcopy(exercise.cells[key])
        if "attachments" in cell and released.cell_type == "markdown":
            released.attachments = cell.attachments
        released.source = sources[number] if released.cell_type == "code" else _harmless(sources[number])
        notebook.cells[number] = released
    return notebook


def _harmless(text):
    """The Markdown without HTML and links to scripts; formulas are left as they are."""
    text = re.sub(r"([<&])(?=[A-Za-z/!?#])", r"\1 ", text)
    return re.sub(r"(?i)(java|vb)(?=script)", r"\1 ", text)


def _is_answer(text, exercise):
    """Whether this is an answer in words, and not what was handed out."""
    return text.strip() not in ("", exercise.cells[exercise.written].source.strip())


def _words(notebook, exercise):
    """The answer in words, or None."""
    texts = [cell.source for cell in notebook.cells if cell_id(cell) == exercise.written]
    return next((text for text in texts if _is_answer(text, exercise)), None)


def _earlier_words(path, exercise):
    return _words(nbformat.read(path, as_version=4), exercise) if path.exists() else None


def _write_notebook(folder, submission, url, notebook, marked, exercise):
    """Write the student's notebook with the verdicts below the answers."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{exercise.name}.ipynb").unlink(missing_ok=True)
    resources = _resources(url, exercise.name, submission.student)
    for step in (ClearOutput, DeduplicateIds, OverwriteKernelspec, OverwriteCells, CheckCellMetadata):
        notebook, resources = step().preprocess(notebook, resources)
    by_check = {check_id(result.task): result for result in marked.results}
    for cell in notebook.cells:
        result = by_check.get(cell.metadata.get("nbgrader", {}).get("grade_id"))
        if result is not None and cell.cell_type == "code":
            cell.outputs = [_output(result)]
    write_notebook(notebook, folder / f"{exercise.name}.ipynb")


def _output(result):
    if result.verdict is Kind.PASSED:
        return nbformat.v4.new_output("display_data", {"text/plain": f"✓ {result.task}: passed"})
    text = f"✗ {result.task}: {result.verdict}\n{result.hint}"
    return nbformat.v4.new_output("error", ename="CheckFailed", evalue=str(result.verdict), traceback=text.splitlines())


def _save(gradebook, submission, marked, exercise, words, before):
    where = (exercise.name, exercise.name, submission.student)
    for result in marked.results:
        grade = gradebook.find_grade(check_id(result.task), *where)
        changed = grade.auto_score not in (None, result.points)
        grade.auto_score = result.points
        grade.needs_manual_grade = grade.manual_score is not None and (changed or grade.needs_manual_grade)
        comment = gradebook.find_comment(answer_id(result.task), *where)
        comment.auto_comment = _harmless(result.hint) or None
    grade = gradebook.find_grade(exercise.written, *where)
    answered, written_again = words is not None, before is not None and words != before
    grade.auto_score = None if answered else 0.0  # a person has to read what was answered
    grade.needs_manual_grade = answered and (grade.manual_score is None or written_again or grade.needs_manual_grade)
