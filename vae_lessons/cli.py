"""The command `vae-lessons`."""

from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Tools for those who write or teach this course.")


@app.callback()
def main() -> None:
    """Tools for those who write or teach this course."""


@app.command()
def build(
    names: Annotated[list[str] | None, typer.Argument(help="Parts of names, such as 01; all lessons if none.")] = None,
    root: Annotated[Path, typer.Option(help="The folder of the course.")] = Path(),
    outdated: Annotated[bool, typer.Option("--outdated", help="Only those whose source has changed.")] = False,
) -> None:
    """Run the lessons of sources/lessons/ and write them, with their outputs, into notebooks/."""
    from vae_lessons import build as building

    folder = root / "notebooks"
    for source in tqdm(_sources(root, names or [], folder if outdated else None), unit="lesson"):
        notebook = building.read_source(source)
        folder.mkdir(exist_ok=True)
        try:
            building.execute(notebook, folder, source.name)
        except building.BuildError as error:
            raise typer.Exit(_fail(str(error))) from error
        building.write(notebook, folder / f"{source.stem}.ipynb")


def _sources(root, names, outdated_in):
    from vae_lessons.build import is_current

    sources = sorted((root / "sources" / "lessons").glob("*.py"))
    if not sources:
        raise typer.Exit(
            _fail(f"no lessons in {root / 'sources' / 'lessons'}: run this in the course's folder, or give --root")
        )
    for name in names:
        if not any(name in source.stem for source in sources):
            raise typer.Exit(
                _fail(f"no lesson has {name!r} in its name; there are {', '.join(s.stem for s in sources)}")
            )
    chosen = [source for source in sources if not names or any(name in source.stem for name in names)]
    if outdated_in:
        chosen = [source for source in chosen if not is_current(source, outdated_in / f"{source.stem}.ipynb")]
    return chosen


def _fail(message):
    typer.echo(f"vae-lessons: {message}", err=True)
    return 1
