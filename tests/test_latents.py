import math

import pytest
import torch

from vae_lessons.latents import interpolate, nudge, sample_like


@pytest.fixture
def codes():
    g = torch.Generator().manual_seed(0)
    mix = torch.tensor([[2.0, 0.0], [1.5, 0.5]])
    return torch.randn(5000, 2, generator=g) @ mix.T + torch.tensor([10.0, -3.0])


def test_a_nudge_has_the_size_asked_for_in_units_of_the_spread(codes):
    step = nudge(codes, 0.3, torch.Generator().manual_seed(1)) - codes
    in_units = step / codes.std(0)
    assert in_units.mean(0).abs().max() < 5 * 0.3 / math.sqrt(5000)
    torch.testing.assert_close(in_units.std(0), torch.full((2,), 0.3), rtol=5 / math.sqrt(2 * 5000), atol=0)


def test_no_nudge_is_no_change(codes):
    assert torch.equal(nudge(codes, 0.0), codes)


def test_samples_have_the_codes_mean_and_covariance(codes):
    drawn = sample_like(codes, 100_000, torch.Generator().manual_seed(2))
    standard_error = codes.std(0) / math.sqrt(len(drawn))
    assert ((drawn.mean(0) - codes.mean(0)).abs() < 5 * standard_error).all()
    torch.testing.assert_close(torch.cov(drawn.T), torch.cov(codes.T), rtol=0.03, atol=0)


def test_samples_of_one_coordinate(codes):
    assert sample_like(codes[:, :1], 3).shape == (3, 1)


def test_codes_without_spread_cannot_be_sampled_like():
    with pytest.raises(ValueError, match="vary in all their 2 directions"):
        sample_like(torch.ones(10, 2), 3)


def test_interpolation_keeps_its_ends_and_goes_straight(codes):
    path = interpolate(codes[:4], codes[4:8], steps=5)
    assert path.shape == (5, 4, 2)
    assert torch.equal(path[0], codes[:4])
    assert torch.equal(path[-1], codes[4:8])
    torch.testing.assert_close(path.diff(dim=0), path.diff(dim=0)[:1].expand(4, -1, -1))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: nudge(torch.zeros(3), 0.1), r"shape \(N, d\).*got \(3,\)"),
        (lambda: sample_like(torch.zeros(1, 2), 4), r"N >= 2, got \(1, 2\)"),
        (lambda: interpolate(torch.zeros(2), torch.zeros(3)), r"got \(2,\) and \(3,\)"),
        (lambda: interpolate(torch.zeros(2), torch.zeros(2), steps=1), "steps: expected at least 2"),
    ],
)
def test_bad_arguments_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
