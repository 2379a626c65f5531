"""The contenders train the same network on the same bound. Their speed is not tested."""

import re
import sys
from pathlib import Path

import nbformat
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

import contenders
import run

from vae_lessons.models import VAE

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def pictures():
    g = torch.Generator().manual_seed(0)
    prototypes = torch.rand(4, 784, generator=g)
    x = prototypes[torch.arange(1024) % 4] * torch.rand(1024, 1, generator=g)
    return x, x[:128]


@pytest.mark.parametrize("name", ["course", "copied", "pythae"])
def test_a_contender_learns_and_reports_every_epoch(name, pictures):
    if name == "pythae":
        pytest.importorskip("pythae", reason="pythae is not installed (python3.11 course.py setup --bench)")
    (first, before), (second, after) = getattr(contenders, name)(*pictures, epochs=2)
    assert 0 < first < second
    assert after > before + 5


def test_the_compared_elbo_is_the_models_own(pictures):
    torch.manual_seed(0)
    vae, x = VAE(), pictures[1].repeat(50, 1)
    with torch.no_grad():
        own = vae.elbo(x).elbo
    compared = contenders.held_out_elbo(vae.q_z_given_x, vae.decoder, x)
    assert compared == pytest.approx(own.mean().item(), abs=5 * (2 * own.var() / len(x)).sqrt().item())


def test_seconds_to_the_target_count_up_to_the_epoch_that_reaches_it():
    result = {"seconds": [2.0, 3.0, 4.0], "elbo": [-300.0, -250.0, -240.0]}
    assert run.to_target(result, -250.0) == 5.0
    assert run.to_target(result, -230.0) is None


def test_the_table_compares_with_the_floor_and_the_copied_loop():
    results = {
        "course": {
            "seconds": [2.0, 4.0, 2.0],
            "elbo": [-260.0, -250.0, -240.0],
            "peak_gib": 1.0,
            "floor": [1.0, 3.0, 1.0],
        },
        "copied": {"seconds": [8.0], "elbo": [-255.0], "peak_gib": 1.0},
    }
    text = run.table(results, {"torch": 1.0})
    assert "| `training.fit`, batch 128, learning rate 1e-3 | 2.00 | 50% | 1.00 | -240.00 (3) | 6.0 |" in text
    assert "| the loop most people copy | 8.00 | 12% | 1.00 | -255.00 (1) | 8.0 |" in text


def test_binary_pictures_keep_the_mean_of_the_grey_ones(pictures):
    x = pictures[0]
    binary = contenders.binarised(x, seed=0)
    assert set(binary.unique().tolist()) == {0.0, 1.0}
    error = (x * (1 - x)).sum().sqrt().item()  # of the sum
    assert abs((binary - x).sum().item()) < 5 * error
    assert torch.equal(binary, contenders.binarised(x, seed=0))


def rows():
    """The rows on notebooks in benchmarks/README.md: by name, the number of code cells and the share compared."""
    text = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    matches = re.findall(r"^\| (\w+) \| \d+ \| [\d.]+ \| (\d+) \| (\d+)% \|$", text, re.M)
    return {name: (int(cells), int(share)) for name, cells, share in matches}


@pytest.mark.parametrize(
    "path", [*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("solutions/*.ipynb")], ids=lambda path: path.stem
)
def test_the_table_of_notebooks_is_current(path):
    cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]
    compared = sum("nbval-ignore-output" not in cell.metadata.get("tags", []) for cell in cells)
    assert rows()[path.stem] == (len(cells), round(100 * compared / len(cells))), "run: benchmarks/lessons.py"
