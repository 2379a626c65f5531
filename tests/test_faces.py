"""The faces: the same pixels everywhere, and every factor strong enough to be read and kept by a small VAE."""

import doctest
import itertools
import math

import pytest
import torch
from sklearn.linear_model import Ridge

from vae_lessons import faces
from vae_lessons.faces import FACTORS, draw_factors, render
from vae_lessons.models import GaussianVAE
from vae_lessons.training import fit, one_cycle

CONTINUOUS = [name for name, factor in FACTORS.items() if factor.kind == "continuous"]
SHADES = ["skin", "hair", "background"]
EXTREMES = list(itertools.product([-1, 1], repeat=len(SHADES)))  # the darkest and lightest of each
SHAPES = [name for name in FACTORS if name not in SHADES]


def people(n, seed=0):
    return draw_factors(n, torch.Generator().manual_seed(seed))


def one_person(**changes):
    return {name: torch.tensor([float(changes.get(name, 0))]) for name in FACTORS}


def changed_pixels(name, by=0.2, **others):
    """How many pixels of a 48×48 face change by more than `by` from one end of the factor to the other."""
    low, high = (render(one_person(**others, **{name: end})) for end in FACTORS[name][:2])
    return int(((high - low).abs() > by).sum())


def as_matrix(factors):
    return torch.stack([factors[name] for name in FACTORS], 1)  # (n, number of factors)


def readings(read, true):
    """R² of every continuous factor, and the share of faces whose glasses are read correctly."""
    r2 = 1 - (read - true).square().mean(0) / true.var(0)
    scores = dict(zip(FACTORS, r2.tolist(), strict=True))
    glasses = list(FACTORS).index("glasses")
    scores["glasses"] = ((read[:, glasses] > 0.5) == (true[:, glasses] > 0.5)).float().mean().item()
    return scores


def linear_probe(x, y):
    ridge = Ridge(alpha=1.0).fit(x.numpy(), y.numpy())
    return lambda new: torch.from_numpy(ridge.predict(new.numpy()))


@pytest.mark.parametrize("size", [16, 17, 48, 96])
def test_pictures_have_the_stated_shape_and_range(size):
    x = render(people(300), size)
    assert x.shape == (300, size * size)
    assert x.dtype == torch.float32
    assert x.min() >= 0
    assert x.max() <= 1


def test_no_people_no_pictures():
    assert render(people(0)).shape == (0, 48 * 48)


@pytest.fixture
def threads():
    """`torch.set_num_threads`, undone after the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("size", [17, 48])
def test_the_number_of_threads_does_not_change_a_bit(size, threads):
    crowd = people(600)
    threads(1)
    alone = render(crowd, size)
    threads(2)
    assert torch.equal(render(crowd, size), alone)


@pytest.mark.parametrize("size", [17, 48])
def test_a_face_alone_equals_itself_in_a_batch(size, monkeypatch):
    crowd = people(150)
    x = render(crowd, size)
    for i in (0, 127, 128, 149):
        assert torch.equal(render({name: value[i : i + 1] for name, value in crowd.items()}, size)[0], x[i])
    monkeypatch.setattr(faces, "CHUNK", 7)
    assert torch.equal(render(crowd, size), x)


def test_a_seed_determines_the_people():
    assert torch.equal(as_matrix(people(50, seed=1)), as_matrix(people(50, seed=1)))
    assert not torch.equal(as_matrix(people(50, seed=1)), as_matrix(people(50, seed=2)))


def test_rendering_leaves_the_factors_as_they_were():
    crowd = people(10)
    before = as_matrix(crowd).clone()
    render(crowd)
    assert torch.equal(as_matrix(crowd), before)


def test_a_mirrored_face_is_the_face_shifted_the_other_way():
    to_the_left = render(one_person(shift_x=-0.7, smile=0.5, glasses=1)).view(48, 48)
    to_the_right = render(one_person(shift_x=0.7, smile=0.5, glasses=1)).view(48, 48)
    torch.testing.assert_close(to_the_left.flip(1), to_the_right, atol=1e-5, rtol=0)
    assert not torch.allclose(to_the_left, to_the_right, atol=0.1)


def test_a_large_picture_averaged_down_is_the_small_one():
    crowd = people(100)
    large = render(crowd, 96).view(-1, 1, 96, 96)
    gap = (torch.nn.functional.avg_pool2d(large, 2).flatten(1) - render(crowd, 48)).abs()
    assert gap.mean() < 0.02  # grey levels run from 0 to 1; pictures half a pixel apart would give 0.04
    assert gap.flatten().quantile(0.99) < 0.2  # the rest are glints and corners smaller than a pixel


@pytest.mark.parametrize("size", [48, 96, 192])
def test_edges_are_soft_and_equally_sharp_in_pixels_at_every_size(size):
    steps = render(one_person(), size).view(size, size).diff(dim=1).abs()
    assert 0.5 < steps.max() < 0.75  # from pupil to white, in grey levels per pixel


def test_factors_are_uniform_and_glasses_a_fair_coin():
    n = 20_000
    drawn = people(n)
    assert set(drawn["glasses"].tolist()) == {0.0, 1.0}
    assert abs(drawn["glasses"].mean() - 0.5) < 4.5 * 0.5 / math.sqrt(n)
    for name in CONTINUOUS:
        low, high, _ = FACTORS[name]
        u = ((drawn[name] - low) / (high - low)).sort().values
        steps = torch.arange(1, n + 1) / n
        assert (u - steps).abs().max() < 2.2 / math.sqrt(n)  # Kolmogorov-Smirnov: fails once in 8,000 draws
        assert u[0] >= 0
        assert u[-1] <= 1


def test_factors_are_uncorrelated():
    n = 20_000
    correlations = torch.corrcoef(as_matrix(people(n)).T) - torch.eye(len(FACTORS))
    assert correlations.abs().max() < 4.5 / math.sqrt(n)  # the standard error of a zero correlation is 1/√n


def test_every_combination_of_dark_and_light_is_drawn():
    drawn = people(4000)
    octant = sum((drawn[name] > 0).long() * 2**i for i, name in enumerate(SHADES))
    share = torch.bincount(octant, minlength=8) / 4000
    assert share.min() > 1 / 8 - 5 * math.sqrt(1 / 8 * 7 / 8 / 4000)


@pytest.mark.parametrize("name", FACTORS)
def test_every_factor_changes_many_pixels(name):
    assert changed_pixels(name) >= 70


@pytest.mark.parametrize("shades", EXTREMES, ids=str)
@pytest.mark.parametrize("name", SHAPES)
def test_every_factor_shows_on_the_darkest_and_the_lightest(name, shades):
    assert changed_pixels(name, **dict(zip(SHADES, shades, strict=True))) >= 55


@pytest.mark.parametrize("hair", [-1, -0.5, 0, 0.5, 1])
@pytest.mark.parametrize("background", [-1, -0.5, 0, 0.5, 1])
def test_an_outline_parts_the_hair_from_every_background(hair, background):
    column = render(one_person(hair=hair, background=background)).view(48, 48)[:8, 24]
    assert column.min() < column[0] - 0.15


def test_a_linear_probe_reads_every_factor():
    crowd = people(5000)
    x, y = render(crowd), as_matrix(crowd)
    scores = readings(linear_probe(x[:4000], y[:4000])(x[4000:]), y[4000:])
    assert scores.pop("glasses") >= 0.97
    assert min(scores.values()) >= 0.9, scores


@pytest.mark.long
def test_a_vae_keeps_every_factor():
    n = 6000
    crowd = people(n + 1000)
    x, y = render(crowd), as_matrix(crowd)
    torch.manual_seed(0)
    vae = GaussianVAE(n_pixels=2304, n_latents=10, hidden=(256,))
    fit(vae, lambda x: {"loss": -vae.elbo(x).elbo.mean()}, x[:n], epochs=20, lr=one_cycle(4e-3), progress=False)
    with torch.no_grad():
        reconstructed = vae.p_x_given_z(vae.q_z_given_x(x[n:])[0]).mean  # of the mean latent
    scores = readings(linear_probe(x[:n], y[:n])(reconstructed), y[n:])
    assert scores.pop("glasses") >= 0.95
    assert min(scores.values()) >= 0.7, scores


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"smile": None}, r"missing \['smile'\]"),
        ({"beard": torch.zeros(2)}, r"unknown \['beard'\]"),
        ({"smile": torch.tensor([0.0, 1.5])}, r"smile: expected values in \[-1, 1\], got 1.5"),
        ({"brows": torch.tensor([0.0, -1.1])}, "brows: .* got -1.1"),
        ({"skin": torch.tensor([0.0, math.nan])}, "skin: .* got nan"),
        ({"hair": torch.tensor([math.inf, 0.0])}, "hair: .* got inf"),
        ({"glasses": torch.tensor([0.5, 0.0])}, "glasses: expected 0 or 1, got 0.5"),
        ({"width": torch.zeros(3)}, r"same shape \(n,\), got .*'width': \(3,\)"),
        ({name: torch.zeros(2, 1) for name in FACTORS}, r"same shape \(n,\), got .*\(2, 1\)"),
    ],
)
def test_bad_factors_are_named(change, message):
    factors = {name: torch.zeros(2) for name in FACTORS} | change
    with pytest.raises(ValueError, match=message):
        render({name: value for name, value in factors.items() if value is not None})


@pytest.mark.parametrize("size", [15, 0, -48, 48.0])
def test_bad_sizes_are_refused(size):
    with pytest.raises(ValueError, match="size: expected"):
        render(people(1), size)


def test_the_examples_in_the_docstrings_hold():
    results = doctest.testmod(faces)
    assert results.attempted > 0
    assert results.failed == 0
