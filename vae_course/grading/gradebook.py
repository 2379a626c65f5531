"""Write grades into nbgrader's gradebook, and the notebooks that its form grader and feedback show."""

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
from vae_course.grading.remarks import Remark, printable
from vae_course.grading.results import Grades
from vae_course.grading.submissions import Exercise, GradingError, Unreadable, read_bytes, read_notebook
from vae_course.notebooks import answer_id, cell_id, check_id
from vae_course.visible.outcomes import Kind

__all__ = ["write_gradebook"]


def write_gradebook(path: Path, root: Path, grades: Grades, exercises: dict[str, Exercise]) -> list[tuple[str, Remark]]:
    """Write the points into nbgrader's gradebook. Each exercise is an assignment of one notebook of the same name.

    Points that a person gave are not changed. The notebooks go to `autograded/` beside the gradebook. The solved
    exercise goes to `source/`, where the form grader looks for assignments, unless it is there already.

    Args:
        path: the gradebook, created if necessary.
        root: the folder of the course.
        grades: the marked submissions.
        exercises: by name.

    Returns:
        A place and a remark for each notebook that could not be written.

    Raises:
        GradingError: the file is not a gradebook, or is in use.
    """
    url = f"sqlite:///{path.resolve()}"
    path.resolve().parent.mkdir(parents=True, exist_ok=True)
    tools = str(Path(sys.executable).parent)  # nbgrader calls alembic, which is installed there
    if tools not in os.environ.get("PATH", "").split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([tools, os.environ.get("PATH", "")])
    try:
        with warnings.catch_warnings(category=SAWarning, action="ignore"):
            return _write(path, url, root, grades, exercises)
    except SQLAlchemyError as error:
        reason = str(error).splitlines()[0]
        raise GradingError(f"{path} cannot be written as nbgrader's gradebook: {reason}") from error


def _write(path, url, root, grades, exercises):
    troubles = []
    for name in sorted({submission.exercise for submission in grades}):
        _make_assignment(url, name, root / "exercises" / f"{name}.ipynb")
        source = path.resolve().parent / "source" / name / f"{name}.ipynb"
        if not source.exists():
            source.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / "solutions" / f"{name}.ipynb", source)
    with closing(Gradebook(url)) as gradebook:
        for student in sorted({submission.student for submission in grades}):
            gradebook.update_or_create_student(student)
        for submission, marked in grades.items():
            exercise = exercises[submission.exercise]
            folder = path.resolve().parent / "autograded" / submission.student / exercise.name
            gradebook.update_or_create_submission(exercise.name, submission.student)
            previous = _previous_written_answer(folder / f"{exercise.name}.ipynb", exercise)
            written = None
            try:
                if submission.path is None:  # its file is gone: what was written earlier stays
                    written = previous
                    _save(gradebook, submission, marked, exercise, written, previous)
                    continue
                notebook = _restored(read_notebook(read_bytes(submission.path)), exercise)
                written = _written_answer(notebook, exercise)
                _write_notebook(folder, submission, url, notebook, marked, exercise)
            except Unreadable:
                (folder / f"{exercise.name}.ipynb").unlink(missing_ok=True)
            except Exception as error:  # nbgrader rejects some notebooks
                name = f"{submission.student}/{submission.exercise}"
                troubles.append((name, Remark("no notebook", printable(str(error)[:200]))))
            _save(gradebook, submission, marked, exercise, written, previous)
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
    """The notebook with its known cells as nbgrader expects them, even if their metadata and types were changed.

    If several cells have the same id, the last one counts, as in marking; for written answers, the last that is not
    empty. Students' HTML is made harmless, to protect the browser that shows it.
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
    """The Markdown with HTML and links to scripts disabled. Formulas still work."""
    text = re.sub(r"([<&])(?=[A-Za-z/!?#])", r"\1 ", text)
    text = text.replace(r"\href", r"\ href")  # a link in a formula, whose address a macro could write
    return re.sub(r"(?i)(java|vb)(?=script)", r"\1 ", text)


def _is_answer(text, exercise):
    """Whether this is a written answer, and not the text that was handed out."""
    return text.strip() not in ("", exercise.cells[exercise.written].source.strip())


def _written_answer(notebook, exercise):
    """The written answer, or None."""
    texts = [cell.source for cell in notebook.cells if cell_id(cell) == exercise.written]
    return next((text for text in texts if _is_answer(text, exercise)), None)


def _previous_written_answer(path, exercise):
    return _written_answer(nbformat.read(path, as_version=4), exercise) if path.exists() else None


def _write_notebook(folder, submission, url, notebook, marked, exercise):
    """Write the student's notebook with the verdicts below the answers."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{exercise.name}.ipynb").unlink(missing_ok=True)
    resources = _resources(url, exercise.name, submission.student)
    for step in (ClearOutput, DeduplicateIds, OverwriteKernelspec, OverwriteCells, CheckCellMetadata):
        notebook, resources = step().preprocess(notebook, resources)
    by_check = {check_id(result.task): result for result in marked.results}
    for cell in notebook.cells:
        result = by_check.get(cell_id(cell))
        if result is not None and cell.cell_type == "code":
            cell.outputs = [_output(result)]
    write_notebook(notebook, folder / f"{exercise.name}.ipynb")


def _output(result):
    if result.verdict is Kind.PASSED:
        return nbformat.v4.new_output("display_data", {"text/plain": f"✓ {result.task}: passed"})
    text = f"✗ {result.task}: {result.verdict}\n{result.hint}"
    return nbformat.v4.new_output("error", ename="CheckFailed", evalue=str(result.verdict), traceback=text.splitlines())


def _save(gradebook, submission, marked, exercise, written, previous):
    key = (exercise.name, exercise.name, submission.student)
    for result in marked.results:
        grade = gradebook.find_grade(check_id(result.task), *key)
        changed = grade.auto_score not in (None, result.points)
        grade.auto_score = result.points
        grade.needs_manual_grade = grade.manual_score is not None and (changed or grade.needs_manual_grade)
        comment = gradebook.find_comment(answer_id(result.task), *key)
        comment.auto_comment = _harmless(result.hint) or None
    grade = gradebook.find_grade(exercise.written, *key)
    answered, rewritten = written is not None, previous is not None and written != previous
    grade.auto_score = None if answered else 0.0  # a person has to read the answer
    grade.needs_manual_grade = answered and (grade.manual_score is None or rewritten or grade.needs_manual_grade)
