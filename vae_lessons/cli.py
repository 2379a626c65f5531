"""The command `vae-lessons`."""

from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Tools for those who take, write or teach this course."
)
Root = Annotated[Path, typer.Option(help="The folder of the course.")]


@app.callback()
def main() -> None:
    """Tools for those who take, write or teach this course."""


@app.command()
def update(
    root: Root = Path(),
    only_new: Annotated[bool, typer.Option("--only-new", help="Leave exercises alone that are there already.")] = False,
) -> None:
    """Bring new and changed exercises into work/, and keep your answers."""
    from vae_lessons import work

    if not (root / "exercises").is_dir():
        raise typer.Exit(
            _fail(f"no exercises in {root / 'exercises'}: run this in the course's folder, or give --root")
        )
    done = work.update(root, only_new)
    for name, what in done.items():
        if what != "unchanged":
            typer.echo(f"work/{name}.ipynb: {what}")
    if set(done.values()) == {"unchanged"} and not only_new:
        typer.echo("All exercises in work/ are up to date.")
    if any(what.startswith("left alone") for what in done.values()):
        raise typer.Exit(_fail("rename what was left alone, then run this again"))


@app.command()
def progress(root: Root = Path()) -> None:
    """Show which tasks you have passed, and what is next."""
    from vae_lessons.checks import EXERCISES
    from vae_lessons.progress import recorded, report

    if not (root / "work").is_dir():
        raise typer.Exit(_fail(f"no folder {root / 'work'}: run this in the course's folder, or `make lab` first"))
    typer.echo(report(list(EXERCISES), recorded(root / "work")))


@app.command()
def build(
    names: Annotated[list[str] | None, typer.Argument(help="Parts of paths, such as lessons/01; all if none.")] = None,
    root: Root = Path(),
    outdated: Annotated[bool, typer.Option("--outdated", help="Only those whose source has changed.")] = False,
) -> None:
    """Run the scripts of sources/ and write them, with their outputs: lessons into notebooks/, exercises with answers
    into solutions/ and without into exercises/."""
    from vae_lessons import build as building

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
                building.write(notebook, path)
        except building.BuildError as error:
            raise typer.Exit(_fail(str(error))) from error


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
    app()
