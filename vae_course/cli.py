"""The command `vae-lessons`."""

import os
import subprocess
import sys
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Tools for taking, writing and teaching this course.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
Root = Annotated[Path, typer.Option(help="The folder of the course.")]


def run() -> None:
    """Run the command. File names and output may contain any characters, whatever the locale."""
    if os.name == "posix" and sys.getfilesystemencoding() != "utf-8":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, "-m", "vae_course.cli", *sys.argv[1:]])
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    app()


def _print_version(requested: bool) -> None:
    if requested:
        typer.echo(f"vae-lessons {version('vae-lessons')}")
        raise typer.Exit


@app.callback()
def main(
    _: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Tools for taking, writing and teaching this course."""


FIRST_LESSON = Path("notebooks", "00_start_here.ipynb")


@app.command()
def lab(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="The folder of the course, created if necessary. Default: the current folder if it contains the "
            "course, else `vae-course` inside it."
        ),
    ] = None,
    options: Annotated[
        list[str] | None, typer.Argument(metavar="[-- JUPYTERLAB_OPTIONS]", help="Passed on to JupyterLab.")
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address to open.")] = False,
) -> None:
    """Copy the lessons and exercises, and open JupyterLab on the first lesson. Existing files are not overwritten."""
    folder = folder or (Path() if FIRST_LESSON.exists() else Path("vae-course"))
    update_and_report(folder, only_new=True)
    if not (folder / FIRST_LESSON).exists():
        raise typer.Exit(_fail(f"{folder / FIRST_LESSON} is missing and could not be created"))
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder.resolve()}"]
    command += [f"--LabApp.default_url=/lab/tree/{FIRST_LESSON.as_posix()}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        typer.echo("You are root, so JupyterLab starts with --allow-root.")
        command.append("--allow-root")
    if no_browser:
        command.append("--no-browser")
    typer.echo(f"Opening JupyterLab in {folder.resolve()}. Press Ctrl-C here to stop it.")
    raise typer.Exit(_become([*command, *(options or [])]))


def _become(command: list[str]) -> int:
    """Run a program in place of this one. It prefers the kernel of this environment to others of that name."""
    sys.stdout.flush()
    environment = {**os.environ, "JUPYTER_PREFER_ENV_PATH": "1"}
    if os.name == "posix":
        os.execve(command[0], command, environment)
    return subprocess.call(command, env=environment)  # Windows cannot replace a process


@app.command()
def update(
    root: Root = Path(),
    only_new: Annotated[bool, typer.Option("--only-new", help="Leave existing files alone.")] = False,
) -> None:
    """Copy new and changed exercises into work/, keeping your answers."""
    from vae_course.work import is_course

    if not is_course(root):
        raise typer.Exit(
            _fail(f"no exercises in {root / 'exercises'}: run this in the course's folder, or give --root")
        )
    if not update_and_report(root, only_new) and not only_new:
        typer.echo("All exercises in work/ are up to date.")


def update_and_report(root: Path, only_new: bool) -> bool:
    """Update the student's files and print what was done. Returns whether anything was."""
    from vae_course import work

    try:
        done = work.update(root, only_new)
    except work.NoCourse as error:
        raise typer.Exit(_fail(str(error))) from error
    except OSError as error:
        code = _fail(f"work/ cannot be written ({error}). To do exercises, copy the course into a folder of your own")
        if only_new:
            return False
        raise typer.Exit(code) from error
    changed = {name: action for name, action in done.items() if action != "unchanged"}
    new = [name for name, action in changed.items() if action == "new"]
    if len(new) > 3:
        typer.echo(f"{len(new)} notebooks copied into {root.resolve()}")
    for name, action in changed.items():
        if action != "new" or len(new) <= 3:
            typer.echo(f"{name}: {action}")
    if any(action.startswith("left alone") for action in changed.values()):
        typer.echo("vae-lessons: rename the files left alone, then run this again to get the new version", err=True)
        raise typer.Exit(1)
    return bool(changed)


@app.command()
def progress(root: Root = Path()) -> None:
    """Show which tasks you have passed, and what is next."""
    from vae_course.progress import recorded, report
    from vae_course.tasks import EXERCISES

    if not (root / "work").is_dir():
        raise typer.Exit(
            _fail(f"no folder {root / 'work'}: run this in the course's folder, or run `vae-lessons lab` first")
        )
    typer.echo(report(list(EXERCISES), recorded(root / "work")))


@app.command()
def build(
    names: Annotated[
        list[str] | None, typer.Argument(help="Parts of source paths, such as lessons/01. Default: all.")
    ] = None,
    root: Root = Path(),
    outdated: Annotated[bool, typer.Option("--outdated", help="Only notebooks whose source has changed.")] = False,
) -> None:
    """Build notebooks from the scripts in sources/: lessons with outputs into notebooks/, exercises with answers and
    outputs into solutions/, and without either into exercises/."""
    from tqdm import tqdm

    from vae_course import build as building
    from vae_course.files import write_notebook

    chosen = _sources(root, names or [])
    for source in tqdm(chosen, unit="notebook"):
        try:
            wanted = building.wanted(source, root)
            if outdated and all(building.is_current(notebook, path) for path, notebook in wanted.items()):
                continue
            for path, notebook in wanted.items():
                if path.parent.name != "exercises":
                    path.parent.mkdir(exist_ok=True)
                    building.execute(notebook, path.parent, source.name)
                write_notebook(notebook, path)
        except building.BuildError as error:
            raise typer.Exit(_fail(str(error))) from error


@app.command()
def examine(
    where: Annotated[str, typer.Argument(metavar="FILE.py:LOSS", help="A Python file, and the name of a loss in it.")],
    pixels: Annotated[
        int | None, typer.Option(min=1, help="Numbers in one picture. Default: those of the shape, or 784.")
    ] = None,
    latents: Annotated[int, typer.Option(min=1, help="Latents.")] = 20,
    batch: Annotated[int, typer.Option(min=1, help="Pictures in a batch.")] = 128,
    shape: Annotated[str | None, typer.Option(help="Of one picture, such as 1,28,28. Default: tried out.")] = None,
    order: Annotated[str | None, typer.Option(help="Of the arguments, such as x,recon,mu,log_var.")] = None,
    value: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=NUMBER", help="Another argument of the loss. Repeatable.")
    ] = None,
) -> None:
    """Measure what a VAE loss is: its likelihood, its KL and the weight of it. This runs the file.

    LOSS is a function of reconstruction, pictures, mean and log-variance, or a method, such as Model.loss_function of a
    class that needs no arguments.
    """
    file, _, name = where.rpartition(":")
    if not file or not name:
        raise typer.Exit(_fail(f"expected FILE.py:LOSS, such as train.py:loss_function, got {where!r}"))
    try:
        extra = {key: float(number) for key, _, number in (text.partition("=") for text in value or [])}
        sides = [int(side) for side in shape.split(",")] if shape else None
    except ValueError:
        raise typer.Exit(_fail("--set takes NAME=NUMBER, and --shape whole numbers with commas between")) from None
    loss = _named(Path(file), name)
    from vae_lessons.examine import examine_loss

    roles = order.split(",") if order else None
    try:
        typer.echo(examine_loss(loss, pixels, latents, batch, order=roles, shape=sides, **extra))
    except ValueError as error:
        hint = " (here: --set NAME=NUMBER; for anything else, use Python)" if "it also needs" in str(error) else ""
        raise typer.Exit(_fail(f"{error}{hint}")) from error


def _named(path, name):
    """What has this name, such as `loss` or `Model.loss`, after a Python file has run."""
    import runpy

    if not path.is_file():
        raise typer.Exit(_fail(f"there is no file {path}"))
    sys.path.insert(0, str(path.resolve().parent))  # for what the file imports from beside it
    try:
        names = runpy.run_path(str(path), run_name="examined")
    except Exception as error:
        raise typer.Exit(_fail(f"{path} stops with {type(error).__name__}: {error}")) from error
    first, *rest = name.split(".")
    found = names.get(first)
    try:
        for part in rest:
            found = getattr(found() if isinstance(found, type) else found, part, None)
        found = found() if isinstance(found, type) else found
    except TypeError as error:
        raise typer.Exit(_fail(f"{name}: a class is called without arguments, and this one fails: {error}")) from error
    if not callable(found):
        functions = sorted(key for key, value in names.items() if callable(value) and not key.startswith("_"))
        raise typer.Exit(_fail(f"{path} has no function {name!r}; it has {', '.join(functions) or 'none'}"))
    return found


@app.command("grade")
def grade_class(
    submissions: Annotated[
        Path,
        typer.Argument(
            help="The folder of submissions (SUBMISSIONS/STUDENT/EXERCISE.ipynb), or the folder or zip archive that "
            "Canvas, Moodle, Blackboard or Brightspace downloads."
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="The folder for grades, feedback and the report. A stopped run continues there.")
    ],
    roster: Annotated[
        Path | None, typer.Option(help="A CSV file with everybody in the class: id, name, login or folder.")
    ] = None,
    student: Annotated[
        list[str] | None,
        typer.Option(help="Mark only this student (name, login or id), anew. Repeatable. The others' results stay."),
    ] = None,
    keep: Annotated[str, typer.Option(help="Which of several hand-ins counts: best or last.")] = "best",
    due: Annotated[
        datetime | None,
        typer.Option(help="The deadline, to list days late.", formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]),
    ] = None,
    root: Root = Path(),
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the inputs. Default: secret, kept in OUT.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="How many submissions to run at once.")] = os.cpu_count() or 1,
    seconds: Annotated[float, typer.Option(min=0.1, help="Time limit for one cell or task.")] = 10,
    total_seconds: Annotated[float, typer.Option(min=0.1, help="Time limit for one submission.")] = 120,
    memory: Annotated[int, typer.Option(min=64, help="Memory limit for one submission, in MiB.")] = 1024,
    dask: Annotated[str | None, typer.Option(help="Address of a Dask scheduler to distribute the work.")] = None,
    gradebook: Annotated[Path | None, typer.Option(help="nbgrader's gradebook.db, to be updated as well.")] = None,
    no_sandbox: Annotated[
        bool,
        typer.Option(
            "--no-sandbox",
            help="Go on if bubblewrap does not work: students' code can then do anything that you can on this machine.",
        ),
    ] = False,
) -> None:
    """Mark a class. Writes grades.csv, totals.csv, class.html, feedback/, report.json and results.sqlite into OUT.

    Exit code 0: everything was marked; 4: the run is complete, but some items need your attention and may be unmarked
    (they are listed); 3: there is no sandbox for students' code, so nothing was run on that machine; 1: an error
    stopped the run; 2: invalid option; 130: interrupted. Results so far are kept, and the same command continues.
    """
    if not hasattr(os, "fork"):
        raise typer.Exit(_fail("marking forks processes, which Windows cannot do: run it under Linux or WSL"))
    from vae_course.grading.remarks import printable
    from vae_course.grading.run import Keep, grade
    from vae_course.grading.sandbox import Limits, NoSandbox, Sandbox
    from vae_course.grading.submissions import GradingError

    if keep not in list(Keep):
        raise typer.BadParameter("expected best or last", param_hint="--keep")
    sandbox = Sandbox.detect()
    if no_sandbox and dask is not None:
        typer.echo("vae-lessons: workers without a working bubblewrap will still run students' code", err=True)
    elif no_sandbox and not sandbox.bwrap:
        typer.echo(f"vae-lessons: there is no sandbox ({sandbox.problem}), and {sandbox.risk()}", err=True)
    limits = Limits(seconds=seconds, total_seconds=max(seconds, total_seconds), bytes=memory << 20)
    try:
        summary = grade(
            submissions,
            out,
            root=root,
            seed=seed,
            jobs=jobs,
            limits=limits,
            dask=dask,
            gradebook=gradebook,
            sandbox=sandbox,
            no_sandbox=no_sandbox,
            roster=roster,
            only=student or (),
            keep=Keep(keep),
            due=due and (due if due.hour or due.minute else due.replace(hour=23, minute=59)) + timedelta(seconds=59),
        )
    except NoSandbox as error:
        _fail(printable(str(error)))
        raise typer.Exit(3) from error
    except GradingError as error:
        raise typer.Exit(_fail(printable(str(error)))) from error
    except KeyboardInterrupt:
        typer.echo("vae-lessons: interrupted; results so far are kept, and the same command continues", err=True)
        raise typer.Exit(130) from None
    for trouble in summary.troubles:
        typer.echo(f"vae-lessons: {printable(trouble)}", err=True)
    unchanged = f", {summary.unchanged} marked before" if summary.unchanged else ""
    noun = "submission" if summary.marked == 1 else "submissions"
    typer.echo(f"{summary.marked} {noun} marked in {summary.seconds:.0f} s{unchanged}. Results: {out}")
    if summary.troubles:
        raise typer.Exit(4)


def _sources(root, names):
    sources = [path for folder in ("lessons", "exercises") for path in sorted((root / "sources" / folder).glob("*.py"))]
    if not sources:
        raise typer.Exit(_fail(f"no sources in {root / 'sources'}: run this in the course's folder, or give --root"))
    paths = {source: f"{source.parent.name}/{source.stem}" for source in sources}
    for name in names:
        if not any(name in path for path in paths.values()):
            raise typer.Exit(_fail(f"no source has {name!r} in its name; there are {', '.join(paths.values())}"))
    return [source for source, path in paths.items() if not names or any(name in path for name in names)]


def _fail(message):
    typer.echo(f"vae-lessons: {message}", err=True)
    return 1


if __name__ == "__main__":
    run()
