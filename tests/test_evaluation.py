import math

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score
from torch.distributions import Bernoulli, Independent, Normal, kl_divergence

from vae_lessons.evaluation import (
    LinearProbe,
    active_units,
    blind_cost,
    hole_ratio,
    log_p_x,
    mig,
    nudge_each,
    rate_distortion,
    sap,
)
from vae_lessons.models import LinearVAE


def perfect_decoder(codes):
    """Codes of one number: its sign decides whether the one pixel is ink, with great certainty."""
    return 100 * codes


def test_without_a_nudge_there_is_no_damage_and_with_one_the_known_damage():
    n = 20_000
    codes = torch.tensor([-1.0, 1.0]).repeat(n // 2)[:, None]
    x, y = (codes > 0).float(), (codes[:, 0] > 0).long()

    def judge(pictures):
        return torch.cat([1 - pictures, pictures], -1)

    each = nudge_each(codes, torch.eye(1), perfect_decoder, x, y, judge, sizes=(0.0, 1.0), repeats=5)
    untouched, nudged = each.mean(-1).tolist()
    assert untouched[1] == 1
    assert untouched[0] == pytest.approx(0, abs=1e-6)
    stays = 0.5 * (1 + math.erf(1 / math.sqrt(2)))  # P(1 + eps > 0)
    assert nudged[1] == pytest.approx(stays, abs=5 * math.sqrt(stays * (1 - stays) / (5 * n)))
    assert nudged[0] > 1


def drawn_codes_and_decoder():
    """Codes (20, 2), a decoder to three pixels, pictures and classes; all in float64."""
    g = torch.Generator().manual_seed(0)
    codes, weight = torch.randn(20, 2, generator=g).double(), torch.randn(2, 3, generator=g).double()
    return codes, lambda z: (z @ weight).sin(), (codes @ weight > 0).double(), torch.arange(20) % 3


def test_each_pictures_damage_is_that_of_its_nudged_codes():
    codes, decode, x, y = drawn_codes_and_decoder()
    unit = torch.tensor([[2.0, 0.0], [1.0, 0.5]]).double()
    each = nudge_each(codes, unit, decode, x, y, lambda p: p, sizes=(0.0, 0.3), seed=4, repeats=2)
    eps = torch.randn(2, 20, 2, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    moved = torch.stack([2 * eps[..., 0], eps[..., 0] + 0.5 * eps[..., 1]], -1)
    for r, (cost, agrees) in zip((0.0, 0.3), each, strict=True):
        logits = decode(codes + r * moved)
        torch.testing.assert_close(cost, -Independent(Bernoulli(logits=logits), 1).log_prob(x).mean(0))
        assert torch.equal(agrees, ((logits > 0).double().argmax(-1) == y).double().mean(0))


def test_each_pictures_damage_is_the_same_in_other_axes_with_the_same_draws_for_every_size():
    codes, decode, x, y = drawn_codes_and_decoder()
    unit, mixing = torch.linalg.cholesky(torch.cov(codes.T)), torch.tensor([[2.0, 1.0], [0.5, -3.0]]).double()
    one = nudge_each(codes, unit, decode, x, y, lambda p: p)
    other = nudge_each(
        codes @ mixing.T, mixing @ unit, lambda z: decode(z @ torch.linalg.inv(mixing).T), x, y, lambda p: p
    )
    torch.testing.assert_close(one, other)
    assert torch.equal(one[1], nudge_each(codes, unit, decode, x, y, lambda p: p, sizes=(0.1,))[0])


def test_a_unit_of_another_size_than_the_codes_is_named():
    codes, decode, x, y = drawn_codes_and_decoder()
    with pytest.raises(ValueError, match=r"unit: expected a matrix \(2, 2\) for these codes, got \(2,\)"):
        nudge_each(codes, codes.std(0), decode, x, y, lambda p: p)


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
    seen = probe.read(x[1000:])
    assert r2 == pytest.approx({name: r2_score(factors[name][1000:], seen[name]) for name in r2}, abs=1e-6)
    torch.testing.assert_close(seen["linear"], factors["linear"][1000:], atol=1e-2, rtol=0)


def test_a_probe_that_reads_the_mean_has_no_r2():
    x = torch.zeros(10, 3)
    y = torch.arange(10.0)
    assert LinearProbe(x, {"y": y}).r2(x, {"y": y}) == {"y": pytest.approx(0)}


@pytest.fixture
def linear_vae():
    torch.manual_seed(1)
    return LinearVAE(6, 2).double().eval()


@pytest.fixture
def pictures():
    return torch.randn(30, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def test_importance_sampling_reaches_the_exact_log_likelihood_from_below(linear_vae, pictures):
    exact = linear_vae.log_p_x(pictures).mean().item()
    bounds = [torch.tensor([log_p_x(linear_vae, pictures, k, seed).mean() for seed in range(50)]) for k in (1, 10, 300)]
    errors = [bound.std().item() / math.sqrt(50) for bound in bounds]
    means = [bound.mean().item() for bound in bounds]
    assert means[0] < means[1] < means[2] < exact + 5 * errors[2]
    assert exact - means[2] < 0.1 * (exact - means[0])


def test_importance_sampling_with_one_sample_is_the_elbo_on_average(linear_vae, pictures):
    one = torch.tensor([log_p_x(linear_vae, pictures, 1, seed).mean() for seed in range(400)])
    parts = torch.tensor([rate_distortion(linear_vae, pictures, seed) for seed in range(400)])
    elbo = -parts.sum(1)
    standard_error = math.sqrt(one.var().item() / 400 + elbo.var().item() / 400)
    assert abs(one.mean() - elbo.mean()) < 5 * standard_error


def test_measures_leave_the_global_generator_alone(linear_vae, pictures):
    state = torch.random.get_rng_state()
    assert rate_distortion(linear_vae, pictures, 3) == rate_distortion(linear_vae, pictures, 3)
    assert torch.equal(log_p_x(linear_vae, pictures, 3), log_p_x(linear_vae, pictures, 3))
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_rate_is_the_kl(linear_vae, pictures):
    mu, log_var = linear_vae.q_z_given_x(pictures)
    q, p = (Independent(Normal(m, s), 1) for m, s in ((mu, (log_var / 2).exp()), (0 * mu, torch.ones_like(mu))))
    assert rate_distortion(linear_vae, pictures)[0] == pytest.approx(kl_divergence(q, p).mean().item())


def test_active_units_are_those_whose_mean_moves():
    mu = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 0.05, 0.2]) + 5
    assert active_units(mu).tolist() == [True, False, True]
    assert active_units(mu, 0.001).all()
    with pytest.raises(ValueError, match="mu: expected posterior means"):
        active_units(mu[:1])


@pytest.mark.parametrize("metric", [mig, sap])
def test_a_code_on_the_factors_axes_scores_high_and_a_rotated_one_low(metric):
    factors = torch.rand(2, 20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
    named = {"a": factors[0], "b": factors[1]}
    turn = torch.tensor([[1.0, -1.0], [1.0, 1.0]], dtype=torch.float64) / math.sqrt(2)
    assert metric(factors.T, named) > 0.95
    assert metric((turn @ factors).T, named) < 0.05
    assert metric(torch.cat([factors.T, factors.T], 1), named) == pytest.approx(0, abs=1e-9)  # said twice


def test_the_mutual_information_gap_by_hand():
    # z_1 equals the fair bit v, z_2 differs from it in a quarter of the cases
    v = torch.tensor([0.0, 0, 0, 0, 1, 1, 1, 1])
    noisy = torch.tensor([0.0, 0, 0, 1, 1, 1, 1, 0])
    information = math.log(2) + 0.75 * math.log(0.75) + 0.25 * math.log(0.25)
    gap = (math.log(2) - information) / math.log(2)
    assert mig(torch.stack([v, noisy], 1), {"v": v}, bins=2) == pytest.approx(gap)
    assert sap(torch.stack([v, noisy], 1), {"v": v}) == pytest.approx(1 - 0.5**2)


def test_a_latent_that_never_moves_tells_nothing():
    v = torch.linspace(0, 1, 100)
    assert sap(torch.stack([v, torch.ones(100)], 1), {"v": v}) == pytest.approx(1, abs=1e-5)
