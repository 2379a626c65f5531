"""The stored networks of lesson 11 do what the lesson says of them, and its recipe runs on other people's pictures."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from portrait_networks import JUDGED, TARGET, Judge, blurred, in_parts

from vae_lessons import data
from vae_lessons.models import ConvVAE

ATTRIBUTES = Path(__file__).parents[1] / "benchmarks" / "attributes.py"


@pytest.fixture(scope="module")
def portraits():
    return data.portraits("test")


def judge(name="judge"):
    network = Judge((3, 64, 64), len(JUDGED))
    network.load_state_dict(data.portrait_weights(name)[0])
    return network.eval()


def right(network, x, attributes):
    truth = torch.stack([attributes[name] for name in JUDGED[:2]], 1) > 0.5
    return ((in_parts(network, x)[:, :2] > 0) == truth).float().mean(0)


def test_the_judge_is_right_and_blur_does_not_fool_it(portraits):
    x, attributes = portraits
    assert right(judge(), x, attributes).min() >= 0.98
    assert right(judge(), blurred(x, (3, 64, 64), 1.0), attributes).min() >= 0.98
    assert right(judge("clean_judge"), x, attributes).min() >= 0.98


def test_the_vae_redraws_other_portraits_with_their_mouths_and_glasses(portraits):
    x, attributes = portraits
    vae = ConvVAE()
    vae.load_state_dict(data.portrait_weights("vae")[0])
    vae.eval()
    drawn = in_parts(lambda part: vae.p_x_given_z(vae.q_z_given_x(part)[0]).mean, x)
    assert (drawn - x).square().mean() < 0.0015
    assert vae.log_sigma.exp().square() == pytest.approx((drawn - x).square().mean().item(), rel=0.5)
    assert right(judge(), drawn, attributes).min() >= 0.95


def test_the_networks_are_small_and_say_how_they_were_made():
    assert TARGET.stat().st_size < 4e6
    for name in ("judge", "clean_judge", "vae"):
        weights, about = data.portrait_weights(name)
        assert about["command"] == "python benchmarks/portrait_networks.py"
        assert about["seconds"][name] > 0
        assert all(value.dtype in (torch.float32, torch.int64) for value in weights.values())


def test_an_unknown_network_is_named():
    with pytest.raises(ValueError, match="network: expected one of clean_judge, judge, vae, got 'gan'"):
        data.portrait_weights("gan")


@pytest.fixture
def celeba_root(tmp_path, portraits):
    """Forty portraits in CelebA's layout."""
    x, attributes = portraits
    (tmp_path / "img_align_celeba").mkdir()
    names, lines, parts = ("Smiling", "Eyeglasses", "Bald"), [], []
    for i, picture in enumerate(x[:40]):
        pixels = (255 * picture.view(3, 64, 64).permute(1, 2, 0)).numpy().astype(np.uint8)
        photograph = Image.new("RGB", (178, 218))
        photograph.paste(Image.fromarray(pixels).resize((148, 148)), (15, 35))
        file = f"{i + 1:06}.jpg"
        photograph.save(tmp_path / "img_align_celeba" / file)
        lines.append(" ".join([file, *("1" if attributes[name][i] else "-1" for name in names)]))
        parts.append(f"{file} {0 if i < 30 else 2}")
    (tmp_path / "list_attr_celeba.txt").write_text("\n".join(["40", " ".join(names), *lines, ""]), encoding="utf-8")
    (tmp_path / "list_eval_partition.txt").write_text("\n".join([*parts, ""]), encoding="utf-8")
    return tmp_path


def run(*arguments):
    command = [sys.executable, ATTRIBUTES, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env={"COLUMNS": "400", "OMP_NUM_THREADS": "1"})


def test_the_recipe_runs_on_a_folder_in_celebas_layout_and_prints_one_line(celeba_root):
    done = run("--celeba", celeba_root, "--steps", 2)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert (found["data"], found["training"], found["held out"], found["epochs"]) == (celeba_root.name, 30, 10, 2)
    for name in ("Eyeglasses", "Smiling"):
        shares = [found[name][key] for key in ("before", "after", "accuracy", "accuracy redrawn", "commoner answer")]
        assert all(0 <= share <= 1 for share in shares)
        assert found[name]["most moved"][0] in {"Smiling", "Eyeglasses", "Bald"} - {name}
    assert 0 < found["bits per dimension"] < 20
    assert "step/s" in done.stderr


def test_the_recipe_names_an_attribute_that_is_missing(celeba_root):
    attributes = celeba_root / "list_attr_celeba.txt"
    attributes.write_text(attributes.read_text(encoding="utf-8").replace("Smiling", "Laughs"), encoding="utf-8")
    done = run("--celeba", celeba_root, "--steps", 2)
    assert done.returncode == 2
    assert "Smiling: expected an attribute of this name, got Laughs, Eyeglasses, Bald" in " ".join(done.stderr.split())


def test_the_recipe_names_a_wrong_size_before_it_trains(celeba_root):
    done = run("--celeba", celeba_root, "--size", 40)
    assert done.returncode == 2
    assert "size: expected a multiple of 16" in " ".join(done.stderr.split())
    assert "step/s" not in done.stderr


def test_the_recipe_names_a_folder_that_is_missing(tmp_path):
    done = run("--celeba", tmp_path / "nothing")
    assert done.returncode == 2
    assert "nothing" in done.stderr
    assert "Traceback" not in done.stderr
