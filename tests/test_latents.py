import math

import pytest
import torch

from vae_lessons.latents import (
    attribute_vector,
    interpolate,
    matched_attribute_vector,
    nudge,
    sample_like,
    slerp,
    traverse,
)


@pytest.fixture
def codes():
    g = torch.Generator().manual_seed(0)
    mix = torch.tensor([[2.0, 0.0], [1.5, 0.5]])
    return torch.randn(5000, 2, generator=g) @ mix.T + torch.tensor([10.0, -3.0])


def test_a_nudge_has_the_requested_size_in_units_of_the_spread(codes):
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
    with pytest.raises(ValueError, match="vary in all 2 directions"):
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


def test_an_arc_turns_evenly_and_its_length_changes_evenly():
    g = torch.Generator().manual_seed(3)
    a, b = torch.randn(2, 6, 5, generator=g, dtype=torch.float64)
    path = slerp(a, b, 11)
    torch.testing.assert_close(path[0], a)
    torch.testing.assert_close(path[-1], b)
    lengths = path.norm(dim=-1)
    torch.testing.assert_close(lengths, interpolate(a.norm(dim=-1), b.norm(dim=-1), 11))
    turns = torch.acos((path[:-1] * path[1:]).sum(-1) / (lengths[:-1] * lengths[1:]))  # (10, 6)
    torch.testing.assert_close(turns, turns[:1].expand_as(turns))
    for step in path:  # in the plane of the two ends
        assert torch.linalg.matrix_rank(torch.stack([a[0], b[0], step[0]]), atol=1e-9) == 2


@pytest.mark.parametrize("factor", [2.0, -2.0])
def test_an_arc_between_parallel_codes_is_straight(factor):
    a = torch.tensor([[1.0, 2.0]])
    torch.testing.assert_close(slerp(a, factor * a, 5), interpolate(a, factor * a, 5))


def test_a_traversal_changes_one_coordinate_and_not_the_codes_themselves():
    z = torch.randn(4, 3, generator=torch.Generator().manual_seed(5))
    before = z.clone()
    moved = traverse(z, 1, [-1.0, 0.0, 2.0])
    assert moved.shape == (3, 4, 3)
    assert (moved[:, :, 1] == torch.tensor([-1.0, 0.0, 2.0])[:, None]).all()
    assert torch.equal(moved[:, :, [0, 2]], z[:, [0, 2]].expand(3, 4, 2))
    assert torch.equal(z, before)


def test_an_attribute_vector_is_the_coefficient_of_regression(codes):
    has = torch.rand(len(codes), generator=torch.Generator().manual_seed(6)) < 0.3
    design = torch.stack([torch.ones(len(codes)), has.float()], 1)
    coefficients = torch.linalg.lstsq(design.double(), codes.double()).solution
    torch.testing.assert_close(attribute_vector(codes, has).double(), coefficients[1], rtol=0, atol=1e-4)


def test_matching_undoes_a_correlation():
    # z = attribute * (1, 0) + other * (0, 1), and the two agree nine times out of ten
    has = torch.tensor([1, 0]).repeat_interleave(100).bool()
    other = torch.cat([torch.arange(100) < 90, torch.arange(100) < 10]).long()
    z = torch.stack([has.double(), other.double()], 1)
    torch.testing.assert_close(attribute_vector(z, has), torch.tensor([1.0, 0.8], dtype=torch.float64))
    torch.testing.assert_close(matched_attribute_vector(z, has, other), torch.tensor([1.0, 0.0], dtype=torch.float64))


def test_matching_weights_strata_by_their_pictures_and_skips_those_with_only_one_kind():
    z = torch.tensor([0.0, 2.0, 2.0, 5.0, 6.0, 100.0])[:, None]
    has = torch.tensor([False, True, True, False, True, True])
    match = torch.tensor([0, 0, 0, 1, 1, 2])
    assert matched_attribute_vector(z, has, match).item() == pytest.approx((3 * 2 + 2 * 1) / 5)
    with pytest.raises(ValueError, match="match: expected a stratum with pictures of both kinds"):
        matched_attribute_vector(z, has, torch.arange(6))


@pytest.mark.parametrize("has", [[True] * 3, [False] * 3, [True, False]])
def test_an_attribute_needs_both_kinds(has):
    with pytest.raises(ValueError, match="has: expected 3 truth values of both kinds"):
        attribute_vector(torch.zeros(3, 2), torch.tensor(has))


def test_noise_is_made_where_the_codes_are():
    codes = torch.ones(5, 2, device="meta")  # stands for a GPU: it takes no tensor of another device
    assert nudge(codes, 0.5, torch.Generator().manual_seed(0)).device == codes.device
