"""The faces: the same pixels everywhere, every factor legible, and strong enough for a small VAE to keep."""

import doctest
import itertools
import math

import pytest
import torch
from sklearn.linear_model import Ridge
from torch import nn

from vae_lessons import faces
from vae_lessons.faces import FACTORS, draw_factors, render

CONTINUOUS = [name for name, factor in FACTORS.items() if factor.kind == "continuous"]
SHADES = ["skin", "hair", "background"]
EXTREMES = list(itertools.product([-1, 1], repeat=len(SHADES)))  # the darkest and lightest of each
SHAPES = [name for name in FACTORS if name not in SHADES]


def people(n, seed=0):
    return draw_factors(n, torch.Generator().manual_seed(seed))


def one_person(**changes):
    return {name: torch.tensor([float(changes.get(name, 0))]) for name in FACTORS}


def changed_pixels(name, by=0.1, **others):
    """How many pixels of a 48×48 face change by more than `by` from one end of the factor to the other."""
    low, high = (render(one_person(**others, **{name: end})) for end in FACTORS[name][:2])
    return int(((high - low).abs() > by).sum())


def as_matrix(factors):
    return torch.stack([factors[name] for name in FACTORS], 1)  # (n, number of factors)


def readings(read, true):
    """R² of every continuous factor, and the share of faces whose glasses are read rightly."""
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


@pytest.mark.parametrize("size", [17, 48])
def test_the_number_of_threads_does_not_change_a_bit(size):
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = render(people(600), size)
        torch.set_num_threads(2)
        together = render(people(600), size)
    finally:
        torch.set_num_threads(before)
    assert torch.equal(alone, together)


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
    gap = (nn.functional.avg_pool2d(large, 2).flatten(1) - render(crowd, 48)).abs()
    assert gap.mean() < 0.02  # grey levels run from 0 to 1; pictures half a pixel apart would give 0.04
    assert gap.flatten().quantile(0.99) < 0.2  # the rest are glints and corners smaller than a pixel


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
    assert changed_pixels(name) >= 85


@pytest.mark.parametrize("shades", EXTREMES, ids=str)
@pytest.mark.parametrize("name", SHAPES)
def test_every_factor_shows_on_the_darkest_and_the_lightest(name, shades):
    assert changed_pixels(name, **dict(zip(SHADES, shades, strict=True))) >= 80


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


def test_a_vae_keeps_every_factor():
    n, latents = 10_000, 16
    crowd = people(n + 1000)
    x, y = render(crowd), as_matrix(crowd)
    train, held_out = x[:n], x[n:]

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = nn.Sequential(
            *(nn.Linear(48 * 48, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU()), nn.Linear(512, 2 * latents)
        )
        decoder = nn.Sequential(
            *(nn.Linear(latents, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU()),
            *(nn.Linear(512, 48 * 48), nn.Sigmoid()),
        )
        optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3, fused=True)
        for _ in range(24):
            for batch in torch.randperm(n).split(128):
                mu, log_var = encoder(train[batch]).chunk(2, 1)
                z = mu + torch.exp(log_var / 2) * torch.randn_like(mu)
                sigma2 = (decoder(z) - train[batch]).square().mean()  # the σ² with the highest likelihood
                reconstruction = -48 * 48 / 2 * (torch.log(2 * math.pi * sigma2) + 1)
                kl = 0.5 * (mu.square() + log_var.exp() - log_var - 1).sum(1).mean()
                optimizer.zero_grad()
                (kl - reconstruction).backward()
                optimizer.step()

    with torch.no_grad():
        reconstructed = decoder(encoder(held_out)[:, :latents])
    scores = readings(linear_probe(train, y[:n])(reconstructed), y[n:])
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
        ({"width": torch.zeros(3)}, r"one shape \(n,\), got .*'width': \(3,\)"),
        ({name: torch.zeros(2, 1) for name in FACTORS}, r"one shape \(n,\), got .*\(2, 1\)"),
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
