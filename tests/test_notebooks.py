"""The stored notebooks: current with their sources, clean, described; and their definitions equal the library's."""

import ast
import json
import re
import statistics
from pathlib import Path

import nbformat
import pytest
import torch

from vae_lessons import evaluation, latents, models
from vae_lessons.build import execute, is_current, read_source, write

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "sources" / "lessons").glob("*.py"))
LESSONS = [source.stem for source in SOURCES]


def notebook(name):
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)


def code_cells(name):
    return [cell for cell in notebook(name).cells if cell.cell_type == "code"]


def outputs(name):
    return [output for cell in code_cells(name) for output in cell.outputs]


def test_every_notebook_has_a_source_and_every_source_a_notebook():
    assert LESSONS
    assert [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb"))] == LESSONS


@pytest.mark.parametrize("name", LESSONS)
def test_a_notebook_is_current_with_its_source(name):
    built = ROOT / "notebooks" / f"{name}.ipynb"
    assert is_current(ROOT / "sources" / "lessons" / f"{name}.py", built), f"run: vae-lessons build {name}"


@pytest.mark.parametrize("name", LESSONS)
def test_a_notebook_was_run_from_top_to_bottom_without_errors(name):
    nbformat.validate(notebook(name))
    cells = [cell for cell in code_cells(name) if cell.source.strip()]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for output in outputs(name) if output.output_type == "error"]
    assert not [output for output in outputs(name) if output.get("name") == "stderr"]


@pytest.mark.parametrize("name", LESSONS)
def test_a_notebook_shows_no_path_of_the_machine_that_built_it(name):
    shown = json.dumps(outputs(name))
    assert not re.search(r"/(home|root|tmp|Users|work|usr)/|[A-Z]:\\\\\\\\", shown)


@pytest.mark.parametrize("name", LESSONS)
def test_every_figure_is_described_in_words(name):
    figures = [output for output in outputs(name) if "image/png" in output.get("data", {})]
    assert figures
    for figure in figures:
        assert len(figure.metadata["image/png"]["alt"].split()) >= 8


@pytest.mark.parametrize("name", LESSONS)
def test_code_cells_are_short(name):
    lengths = [len(cell.source.splitlines()) for cell in code_cells(name)]
    assert max(lengths) <= 30
    assert statistics.median(lengths) <= 8


@pytest.mark.parametrize("name", LESSONS)
def test_the_reader_commits_to_at_least_two_predictions(name):
    code = "\n".join(cell.source for cell in code_cells(name))
    asked, revealed = (set(re.findall(rf"^(\w+)\.{verb}\(", code, re.M)) for verb in ("ask", "reveal"))
    assert asked == revealed
    assert len(asked) >= 2


@pytest.mark.parametrize("name", LESSONS)
def test_a_cell_that_is_not_compared_asserts_nothing(name):
    for cell in code_cells(name):
        if "nbval-ignore-output" in cell.metadata.get("tags", []):
            assert not re.search(r"^\s*assert |\.reveal\(", cell.source, re.M), cell.source


def definitions(name, *wanted, given=None):
    """The functions and classes that a lesson defines, run with nothing but the lesson's imports and what is given."""
    tree = ast.parse("\n".join(cell.source for cell in code_cells(name)))
    kept = [
        node
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom) or getattr(node, "name", None) in wanted
    ]
    namespace = dict(given or {})
    exec(compile(ast.Module(kept, []), f"{name}.ipynb", "exec"), namespace)
    return [namespace[item] for item in wanted]


def seeded():
    return torch.Generator().manual_seed(7)


def test_lesson_01_defines_the_librarys_autoencoder():
    autoencoder, mlp = definitions("01_autoencoder", "Autoencoder", "mlp")
    x = torch.rand(5, 12, dtype=torch.float64, generator=seeded())
    answers = []
    for cls in (autoencoder, models.Autoencoder):
        torch.manual_seed(0)
        model = cls(12, 3, hidden=(7, 4)).double()
        answers.append([model.encode(x), model.decode(x[:, :3]), model(x)])
    for taught, kept in zip(*answers, strict=True):
        assert torch.equal(taught, kept)
    assert str(mlp(4, 3, 2)) == str(models.mlp(4, 3, 2))


def test_lesson_01_defines_the_librarys_moves_in_latent_space():
    nudge, sample_like, interpolate = definitions("01_autoencoder", "nudge", "sample_like", "interpolate")
    z = torch.randn(40, 3, generator=seeded())
    assert torch.equal(nudge(z, 0.3, seeded()), latents.nudge(z, 0.3, seeded()))
    torch.testing.assert_close(sample_like(z, 9, seeded()), latents.sample_like(z, 9, seeded()))
    torch.testing.assert_close(interpolate(z[:5], z[5:10], 4), latents.interpolate(z[:5], z[5:10], 4))


def test_lesson_01_defines_the_librarys_measures():
    taught = definitions(
        "01_autoencoder", "hole_ratio", "blind_cost", "nudge", "nudge_test", given={"sizes": (0.0, 0.3), "SEED": 5}
    )
    g = seeded()
    codes, logits = torch.randn(30, 3, generator=g), torch.randn(30, 8, generator=g)
    x, y = torch.bernoulli(torch.full((30, 8), 0.5), generator=g), torch.arange(30) % 4
    assert taught[0](codes, codes + 1, logits[:, :3]) == evaluation.hole_ratio(codes, codes + 1, logits[:, :3])
    assert taught[1](x.double(), logits.double()) == pytest.approx(
        evaluation.blind_cost(x.double(), logits.double()), abs=1e-12
    )

    def decode(z):
        return torch.cat([z, z.square(), z[..., :2]], -1)

    def judge(pictures):
        return pictures[..., :4]

    expected = evaluation.nudge_test(codes, decode, x, y, judge, sizes=(0.0, 0.3), seed=5)
    assert (taught[3](codes, decode, x, y, judge) == expected).all()


def test_an_edited_source_is_noticed(tmp_path):
    source = tmp_path / "lesson.py"
    source.write_text("# %% [markdown]\n# Text\n\n# %%\n1 + 1\n")
    built = tmp_path / "lesson.ipynb"
    assert not is_current(source, built)
    fresh = read_source(source)
    execute(fresh, tmp_path, "lesson")
    write(fresh, built)
    assert is_current(source, built)
    assert nbformat.read(built, as_version=4).cells[1].outputs[0].data["text/plain"] == "2"
    for edited in ("# %% [markdown]\n# Text\n\n# %%\n1 + 2\n", "# %% [markdown]\n# Text\n"):
        source.write_text(edited)
        assert not is_current(source, built)
    source.write_text('# %% [markdown]\n# Text\n\n# %% tags=["nbval-ignore-output"]\n1 + 1\n')
    assert not is_current(source, built)


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_starts_with_its_number_and_title(name):
    assert notebook(name).cells[0].source.startswith(f"# {name[:2]} · ")
