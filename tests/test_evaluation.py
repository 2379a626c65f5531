import math

import numpy as np
import pytest
import torch

from vae_lessons.evaluation import LinearProbe, blind_cost, hole_ratio, nudge_test


def perfect_decoder(codes):
    """Codes of one number: its sign decides whether the one pixel is ink, with great certainty."""
    return 100 * codes


def test_the_nudge_test_sees_no_damage_without_a_nudge_and_the_known_damage_with_one():
    n = 20_000
    codes = torch.tensor([-1.0, 1.0]).repeat(n // 2)[:, None]
    x, y = (codes > 0).float(), (codes[:, 0] > 0).long()

    def judge(pictures):
        return torch.cat([1 - pictures, pictures], -1)

    untouched, nudged = nudge_test(codes, perfect_decoder, x, y, judge, sizes=(0.0, 1.0), repeats=5)
    assert untouched[1] == 1
    assert untouched[0] == pytest.approx(0, abs=1e-6)
    stays = 0.5 * (1 + math.erf(1 / math.sqrt(2)))  # P(1 + eps > 0)
    assert nudged[1] == pytest.approx(stays, abs=5 * math.sqrt(stays * (1 - stays) / (5 * n)))
    assert nudged[0] > 1


def test_the_nudge_test_repeats_itself_for_a_seed():
    codes = torch.randn(30, 2, generator=torch.Generator().manual_seed(0))
    x, y = torch.ones(30, 2), torch.zeros(30).long()
    first, again, other = (nudge_test(codes, perfect_decoder, x, y, lambda p: p, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_samples_of_the_codes_own_distribution_meet_no_holes_and_samples_between_clusters_do():
    g = torch.Generator().manual_seed(0)
    train, held, sampled = (torch.randn(2000, 2, generator=g) for _ in range(3))
    assert hole_ratio(sampled, train, held) == pytest.approx(1, abs=0.1)
    apart = torch.tensor([10.0, 0.0]) * torch.sign(train[:, :1])
    assert hole_ratio(sampled, train + apart, held + apart) > 10


def test_the_blind_cost_is_the_log_of_the_average_probability():
    x = torch.tensor([[1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
    p = torch.tensor([[0.5, 0.5], [0.9, 0.2], [0.1, 0.7]], dtype=torch.float64)
    averages = [(0.25 + 0.9 * 0.8 + 0.1 * 0.3) / 3, (0.25 + 0.9 * 0.2 + 0.1 * 0.7) / 3]
    assert blind_cost(x, torch.logit(p)) == pytest.approx(-np.mean(np.log(averages)))


def test_a_probe_reads_what_is_linear_and_not_what_is_not():
    x = torch.randn(2000, 5, generator=torch.Generator().manual_seed(0))
    factors = {"linear": 3 * x[:, 0] - x[:, 1] + 2, "square": x[:, 2] ** 2}
    probe = LinearProbe(x[:1000], {name: value[:1000] for name, value in factors.items()}, ridge=1e-3)
    r2 = probe.r2(x[1000:], {name: value[1000:] for name, value in factors.items()})
    assert r2["linear"] > 0.999
    assert r2["square"] < 0.05
    torch.testing.assert_close(probe.read(x[1000:])["linear"], factors["linear"][1000:], atol=1e-2, rtol=0)


def test_a_probe_that_reads_the_mean_has_no_r2():
    x = torch.zeros(10, 3)
    y = torch.arange(10.0)
    assert LinearProbe(x, {"y": y}).r2(x, {"y": y}) == {"y": 0.0}
