"""The command `vae-lessons`."""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Tools for those who take, write or teach this course.",
    context_settings={"help_option_names": ["-h", "--help"]},
)
Root = Annotated[Path, typer.Option(help="The folder of the course.")]


def run() -> None:
    """The command. Names of files and what is printed may have any letters, whatever the locale."""
    if os.name == "posix" and sys.getfilesystemencoding() != "utf-8":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, "-m", "vae_course.cli", *sys.argv[1:]])
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")
    app()


def _tell_version(asked: bool) -> None:
    if asked:
        typer.echo(f"vae-lessons {version('vae-lessons')}")
        raise typer.Exit


@app.callback()
def main(
    _: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Tools for those who take, write or teach this course."""


FIRST_LESSON = Path("notebooks", "00_start_here.ipynb")


@app.command()
def lab(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="Where the course is, or is to be laid out; by default the current folder, if the course is in it, "
            "else `vae-course` below it."
        ),
    ] = None,
    options: Annotated[
        list[str] | None, typer.Argument(metavar="[-- JUPYTERLAB_OPTIONS]", help="Passed on to JupyterLab.")
    ] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Only print the address to open.")] = False,
) -> None:
    """Lay out lessons and exercises, and open JupyterLab on the first lesson. Nothing that is there is overwritten."""
    folder = folder or (Path() if FIRST_LESSON.exists() else Path("vae-course"))
    bring(folder, only_new=True)
    if not (folder / FIRST_LESSON).exists():
        raise typer.Exit(_fail(f"{folder / FIRST_LESSON} is missing, and could not be laid out"))
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder.resolve()}"]
    command += [f"--LabApp.default_url=/lab/tree/{FIRST_LESSON.as_posix()}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        typer.echo("You are root here, so JupyterLab is started with --allow-root.")
        command.append("--allow-root")
    if no_browser:
        command.append("--no-browser")
    typer.echo(f"Opening JupyterLab in {folder.resolve()}. Ctrl-C here ends it.")
    raise typer.Exit(_become([*command, *(options or [])]))


def _become(command: list[str]) -> int:
    """Run a program in place of this one, with the kernel of this environment before others of its name."""
    sys.stdout.flush()
    environment = {**os.environ, "JUPYTER_PREFER_ENV_PATH": "1"}
    if os.name == "posix":
        os.execve(command[0], command, environment)
    return subprocess.call(command, env=environment)  # Windows cannot replace a process


@app.command()
def update(
    root: Root = Path(),
    only_new: Annotated[bool, typer.Option("--only-new", help="Leave alone what is there already.")] = False,
) -> None:
    """Bring new and changed exercises into work/, and keep your answers."""
    if not bring(root, only_new) and not only_new:
        typer.echo("All exercises in work/ are up to date.")


def bring(root: Path, only_new: bool) -> bool:
    """Bring what is new, and say what was done: whether there was anything to do."""
    from vae_course import work

    try:
        done = work.update(root, only_new)
    except work.NoCourse as error:
        raise typer.Exit(_fail(str(error))) from error
    except OSError as error:
        code = _fail(f"work/ cannot be written ({error}). For the exercises, copy the course into a folder of your own")
        if only_new:
            return False
        raise typer.Exit(code) from error
    changed = {name: what for name, what in done.items() if what != "unchanged"}
    new = [name for name, what in changed.items() if what == "new"]
    if len(new) > 3:
        typer.echo(f"{len(new)} notebooks laid out in {root.resolve()}")
    for name, what in changed.items():
        if what != "new" or len(new) <= 3:
            typer.echo(f"{name}: {what}")
    if any(what.startswith("left alone") for what in changed.values()):
        typer.echo("vae-lessons: rename what was left alone, then run this again to get the new version", err=True)
        raise typer.Exit(1)
    return bool(changed)


@app.command()
def progress(root: Root = Path()) -> None:
    """Show which tasks you have passed, and what is next."""
    from vae_course.progress import recorded, report
    from vae_course.tasks import EXERCISES

    if not (root / "work").is_dir():
        raise typer.Exit(
            _fail(f"no folder {root / 'work'}: run this in the course's folder, or `vae-lessons lab` first")
        )
    typer.echo(report(list(EXERCISES), recorded(root / "work")))


@app.command()
def build(
    names: Annotated[list[str] | None, typer.Argument(help="Parts of paths, such as lessons/01; all if none.")] = None,
    root: Root = Path(),
    outdated: Annotated[bool, typer.Option("--outdated", help="Only those whose source has changed.")] = False,
) -> None:
    """Run the scripts of sources/ and write them, with their outputs: lessons into notebooks/, exercises with answers
    into solutions/ and without into exercises/."""
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


@app.command("grade")
def grade_class(
    submissions: Annotated[Path, typer.Argument(help="The folder that came back: SUBMISSIONS/STUDENT/EXERCISE.ipynb.")],
    out: Annotated[Path, typer.Option(help="The folder for grades, feedback and the report; run again, it goes on.")],
    root: Root = Path(),
    seed: Annotated[int | None, typer.Option(min=0, help="Of the inputs; if none, a secret one, kept in OUT.")] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Submissions run at one time.")] = os.cpu_count() or 1,
    seconds: Annotated[float, typer.Option(min=0.1, help="Time for one cell or one task.")] = 10,
    total_seconds: Annotated[float, typer.Option(min=0.1, help="Time for one submission.")] = 120,
    memory: Annotated[int, typer.Option(min=64, help="Memory for one submission, in MiB.")] = 1024,
    dask: Annotated[str | None, typer.Option(help="Address of a Dask scheduler that spreads the work.")] = None,
    gradebook: Annotated[Path | None, typer.Option(help="nbgrader's gradebook.db, to be written into as well.")] = None,
    no_sandbox: Annotated[
        bool,
        typer.Option(
            "--no-sandbox",
            help="Go on where bubblewrap does not work: students' code may then do whatever you may on this machine.",
        ),
    ] = False,
) -> None:
    """Mark a class. Writes grades.csv, totals.csv, feedback/, report.json and results.sqlite into OUT.

    Exit code 0: all was marked; 4: the run is complete, but something needs your eye, and may not be marked (it is
    listed); 3: there is no sandbox for students' code, so nothing was run on that machine; 1: an error stopped the
    run; 2: a wrong option; 130: interrupted. What was marked is kept, and the same command goes on.
    """
    if not hasattr(os, "fork"):
        raise typer.Exit(_fail("marking forks processes, which Windows cannot: run it under Linux or WSL"))
    from vae_course.grading.run import grade
    from vae_course.grading.sandbox import Limits, NoSandbox, Sandbox
    from vae_course.grading.submissions import GradingError

    sandbox = Sandbox.detect()
    if no_sandbox and dask is not None:
        typer.echo("vae-lessons: workers on which bubblewrap does not work run students' code all the same", err=True)
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
        )
    except NoSandbox as error:
        _fail(str(error))
        raise typer.Exit(3) from error
    except GradingError as error:
        raise typer.Exit(_fail(str(error))) from error
    except KeyboardInterrupt:
        typer.echo("vae-lessons: interrupted; what was marked is kept, and the same command goes on", err=True)
        raise typer.Exit(130) from None
    for trouble in summary.troubles:
        typer.echo(f"vae-lessons: {trouble}", err=True)
    unchanged = f", {summary.unchanged} marked before" if summary.unchanged else ""
    noun = "submission" if summary.marked == 1 else "submissions"
    typer.echo(f"{summary.marked} {noun} marked in {summary.seconds:.0f} s{unchanged}. Results: {out}")
    if summary.troubles:
        raise typer.Exit(4)


def _sources(root, names):
    sources = [path for folder in ("lessons", "exercises") for path in sorted((root / "sources" / folder).glob("*.py"))]
    if not sources:
        raise typer.Exit(_fail(f"no sources in {root / 'sources'}: run this in the course's folder, or give --root"))
    told = {source: f"{source.parent.name}/{source.stem}" for source in sources}
    for name in names:
        if not any(name in path for path in told.values()):
            raise typer.Exit(_fail(f"no source has {name!r} in its name; there are {', '.join(told.values())}"))
    return [source for source, path in told.items() if not names or any(name in path for name in names)]


def _fail(message):
    typer.echo(f"vae-lessons: {message}", err=True)
    return 1


if __name__ == "__main__":
    run()
