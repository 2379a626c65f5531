"""VAEs in the many ways people write them, each with a known fault or none, against `examine_vae`.

What a report should say follows from how a model was made. For linear models with Gaussian pixels every number has a
closed form: p(x) = N(b, W W^T + sigma^2 I), and q(z|x) = N(V x + c, diag(s^2)).
"""

import math
import random
import re
import types

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.distributions import Bernoulli, Laplace, MultivariateNormal, Normal, kl_divergence

from vae_lessons import models, plotting, widgets
from vae_lessons.examine import examine_vae

SIDE, LATENTS, N = 6, 4, 300
PIXELS = SIDE * SIDE
RIGHT = "standard deviation exp(log_var / 2)"
LOG_SIGMA = "standard deviation exp(log_var), as if that were log sigma"
AS_SIGMA = "standard deviation log_var, as if that were sigma"
ONE = "standard deviation 1, whatever log_var is"
MEAN = "none: z is the mean"
EVERY_CALL = "the same noise in every call"
ALL_PICTURES = "the same noise for all pictures"
ALL_LATENTS = "the same noise for all latents"
OTHER = "another spread than log_var says"
UNSEEN = "could not be seen"
BOTH = "reach mean and log-variance"
ONLY_MEAN = "reach the mean, not the log-variance"
ONLY_SPREAD = "reach the log-variance, not the mean"
NEITHER = "do not reach the encoder"


def binary(shape=(PIXELS,), n=N, seed=0):
    """Two sets of pictures of 0 and 1, whose pixels go together."""
    g = torch.Generator().manual_seed(seed)
    causes, effects = torch.randn(2 * n, 3, generator=g), 2 * torch.randn(3, math.prod(shape), generator=g)
    pictures = torch.rand(2 * n, math.prod(shape), generator=g) < (causes @ effects).sigmoid()
    return pictures.float().reshape(2 * n, *shape).split(n)


def std(log_var):
    return (log_var / 2).exp()


def noise(mean, shape=None):
    return torch.randn(shape or mean.shape)


def one_for_all_pictures(mean, log_var):
    return mean + std(log_var) * noise(mean, (1, *mean.shape[1:]))


def one_for_all_latents(mean, log_var):
    return mean + std(log_var) * noise(mean, (len(mean), *[1] * (mean.dim() - 1)))


def same_in_every_call(mean, log_var):
    return mean + std(log_var) * torch.randn(mean.shape, generator=torch.Generator().manual_seed(3))


DRAWS = {
    "right": (lambda mean, log_var: mean + std(log_var) * noise(mean), RIGHT),
    "minus": (lambda mean, log_var: mean - std(log_var) * noise(mean), RIGHT),
    "log sigma": (lambda mean, log_var: mean + log_var.exp() * noise(mean), LOG_SIGMA),
    "sigma": (lambda mean, log_var: mean + log_var * noise(mean), AS_SIGMA),
    "one": (lambda mean, log_var: mean + noise(mean), ONE),
    "hundredth": (lambda mean, log_var: mean + 0.01 * std(log_var) * noise(mean), (0.01, RIGHT)),
    "double": (lambda mean, log_var: mean + 2 * std(log_var) * noise(mean), (2, RIGHT)),
    "centred uniform": (lambda mean, log_var: mean + std(log_var) * (2 * torch.rand(mean.shape) - 1), (0.577, RIGHT)),
    "tenth of log sigma": (lambda mean, log_var: mean + 0.1 * log_var.exp() * noise(mean), (0.1, LOG_SIGMA)),
    "tenth of one": (lambda mean, log_var: mean + 0.1 * noise(mean), (0.1, ONE)),
    "mean": (lambda mean, log_var: mean, MEAN),
    "uniform": (
        lambda mean, log_var: mean + std(log_var) * torch.rand(mean.shape),
        re.compile(r"noise with mean 0\.(4[5-9]|5[0-5]?)\d*, not 0"),
    ),
    "softplus": (lambda mean, log_var: mean + F.softplus(3 * log_var) * noise(mean), OTHER),
    "every call": (same_in_every_call, EVERY_CALL),
    "all pictures": (one_for_all_pictures, ALL_PICTURES),
    "all latents": (one_for_all_latents, ALL_LATENTS),
}


def right(mean, log_var):
    return mean + std(log_var) * noise(mean)


class Heads(nn.Module):
    """Layers that all the ways below share; log-variances between about -4 and 2."""

    shape = (PIXELS,)

    def __init__(self, draw=right):
        super().__init__()
        self.draw = draw
        self.body = nn.Sequential(nn.Linear(PIXELS, 32), nn.Tanh())
        self.fc_mu, self.fc_logvar = nn.Linear(32, LATENTS), nn.Linear(32, LATENTS)
        self.out = nn.Sequential(nn.Linear(LATENTS, 32), nn.Tanh(), nn.Linear(32, PIXELS), nn.Sigmoid())
        self.spread()

    def spread(self):
        with torch.no_grad():
            self.fc_logvar.weight.mul_(4)
            self.fc_logvar.bias.sub_(1)


class Plain(Heads):
    def encode(self, x):
        h = self.body(x)
        return self.fc_mu(h), self.fc_logvar(h)

    def reparameterize(self, mu, logvar):
        return self.draw(mu, logvar)

    def decode(self, z):
        return self.out(z)

    def forward(self, x):
        mu, logvar = self.encode(x)
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar


class Reparametrized(Heads):
    def encode(self, x):
        h = self.body(x)
        return self.fc_mu(h), self.fc_logvar(h)

    def reparametrize(self, mu, logvar):
        return self.draw(mu, logvar)

    def decode(self, z):
        return self.out(z)

    def forward(self, x):
        mu, logvar = self.encode(x)
        z = self.reparametrize(mu, logvar)
        return self.decode(z), mu, logvar


class Hidden(Heads):
    """`encode` stops before mean and log-variance."""

    def encode(self, x):
        return self.body(x)

    def reparameterize(self, mu, logvar):
        return self.draw(mu, logvar)

    def decode(self, z):
        return self.out(z)

    def forward(self, x):
        h = self.encode(x)
        mu, logvar = self.fc_mu(h), self.fc_logvar(h)
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar


class HiddenInline(Hidden):
    reparameterize = None

    def forward(self, x):
        h = self.encode(x)
        mu, logvar = self.fc_mu(h), self.fc_logvar(h)
        return self.decode(self.draw(mu, logvar)), mu, logvar


class Listed(Plain):
    def encode(self, input):
        return list(super().encode(input))

    def forward(self, input, **kwargs):
        mu, log_var = self.encode(input)
        z = self.reparameterize(mu, log_var)
        return [self.decode(z), input, mu, log_var]


class Sampling(Plain):
    reparameterize = None

    def sampling(self, mu, log_var):
        return self.draw(mu, log_var)

    def forward(self, x):
        mu, log_var = self.encode(x)
        z = self.sampling(mu, log_var)
        return self.decode(z), z, mu, log_var


class ZFirst(Plain):
    reparameterize = None

    def forward(self, x):
        mu, log_var = self.encode(x)
        z = self.draw(mu, log_var)
        return z, self.decode(z), mu, log_var


class Inline(Plain):
    reparameterize = None

    def forward(self, x):
        mu, log_var = self.encode(x)
        return self.decode(self.draw(mu, log_var)), mu, log_var


class InlineSequential(Inline):
    """`decode` is a module, not a method."""

    def __init__(self, draw=right):
        super().__init__(draw)
        self.decode = self.out


class Bottleneck(Plain):
    """`encode` draws, too."""

    def encode(self, x):
        mu, logvar = super().encode(x)
        return self.reparameterize(mu, logvar), mu, logvar

    def forward(self, x):
        z, mu, logvar = self.encode(x)
        return self.decode(z), mu, logvar


class FlattensItself(Plain):
    """`forward` takes pictures with height and width, `encode` flat ones."""

    shape = (1, SIDE, SIDE)

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, PIXELS))
        z = self.reparameterize(mu, logvar)
        return self.decode(z), mu, logvar


class ConvFlatOutput(Plain):
    shape = (1, SIDE, SIDE)

    def __init__(self, draw=right):
        super().__init__(draw)
        self.body = nn.Sequential(nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(72, 32))


class Conv(Plain):
    shape = (3, 8, 8)

    def __init__(self, draw=right):
        super().__init__(draw)
        self.body = nn.Sequential(nn.Conv2d(3, 8, 4, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
        self.fc_mu, self.fc_logvar = nn.Linear(128, LATENTS), nn.Linear(128, LATENTS)
        self.out = nn.Sequential(
            nn.Linear(LATENTS, 128),
            nn.Unflatten(1, (8, 4, 4)),
            nn.BatchNorm2d(8),
            nn.ConvTranspose2d(8, 3, 4, stride=2, padding=1),
            nn.Sigmoid(),
        )
        self.spread()


class Maps(Plain):
    """Latents with height and width."""

    shape = (1, 14, 14)

    def __init__(self, draw=right):
        super().__init__(draw)
        self.body = nn.Sequential(nn.Conv2d(1, 8, 4, stride=2, padding=1), nn.Tanh())
        self.fc_mu, self.fc_logvar = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 1)
        self.out = nn.Sequential(nn.ConvTranspose2d(4, 1, 4, stride=2, padding=1), nn.Sigmoid())
        self.spread()


class MapsInline(Maps):
    reparameterize = None

    def __init__(self, draw=right):
        super().__init__(draw)
        self.fc_mu, self.fc_logvar = nn.Conv2d(8, 2, 1), nn.Conv2d(8, 2, 1)
        self.out = nn.Sequential(nn.ConvTranspose2d(2, 1, 4, stride=2, padding=1), nn.Sigmoid())
        self.spread()

    def forward(self, x):
        mu, logvar = self.encode(x)
        return self.decode(self.draw(mu, logvar)), mu, logvar


class Dropped(Plain):
    def __init__(self, draw=right):
        super().__init__(draw)
        self.body = nn.Sequential(nn.Linear(PIXELS, 32), nn.Tanh(), nn.Dropout(0.5))


class DroppedInline(HiddenInline):
    def __init__(self, draw=right):
        super().__init__(draw)
        self.body = nn.Sequential(nn.Linear(PIXELS, 32), nn.Tanh(), nn.Dropout(0.5))


class Chunked(nn.Module):
    """Two modules and nothing else: what `encoder` returns is cut in two."""

    shape = (PIXELS,)

    def __init__(self, draw=right):
        super().__init__()
        self.draw = draw
        self.encoder = nn.Sequential(nn.Linear(PIXELS, 32), nn.Tanh(), nn.Linear(32, 2 * LATENTS))
        self.decoder = nn.Sequential(nn.Linear(LATENTS, 32), nn.Tanh(), nn.Linear(32, PIXELS), nn.Sigmoid())
        with torch.no_grad():
            self.encoder[-1].weight[LATENTS:].mul_(4)
            self.encoder[-1].bias[LATENTS:].sub_(1)

    def forward(self, x):
        mu, log_var = self.encoder(x).chunk(2, dim=1)
        return self.decoder(self.draw(mu, log_var)), mu, log_var


WAYS = [
    Plain,
    Reparametrized,
    Hidden,
    HiddenInline,
    Listed,
    Sampling,
    ZFirst,
    Inline,
    InlineSequential,
    Bottleneck,
    FlattensItself,
    ConvFlatOutput,
    Conv,
    Maps,
    MapsInline,
    Dropped,
    DroppedInline,
    Chunked,
]


def made(way, draw=right, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return way(draw)


def examined(model, pictures=None, **options):
    x, x_held = pictures or binary(model.shape)
    return examine_vae(model, x, x_held, **{"samples": 4, "likelihood": "bernoulli"} | options)


def agrees(words, expected):
    if isinstance(expected, tuple):
        factor, rest = expected
        number, times, name = words.partition(" times ")
        return bool(times) and name == rest and math.isclose(float(number), factor, rel_tol=0.15)
    if isinstance(expected, re.Pattern):
        return bool(expected.fullmatch(words))
    return words == expected


CORE = ["right", "log sigma", "one", "hundredth", "mean", "softplus", "every call", "all pictures", "all latents"]
ALL = [Plain, HiddenInline, Maps]  # with every draw


@pytest.mark.parametrize(("way", "draw"), [(way, draw) for way in WAYS for draw in (DRAWS if way in ALL else CORE)])
def test_draws_are_told_apart_in_whatever_way_they_are_made(way, draw):
    function, expected = DRAWS[draw]
    report = examined(made(way, function))
    assert agrees(report.training, expected), report.training
    assert agrees(report.evaluation, expected), report.evaluation


@pytest.mark.parametrize("way", WAYS)
def test_means_and_log_variances_are_found(way):
    """Not only draws: KL, means and redrawn pictures have to come from the same places."""
    model = made(way)
    x, x_held = binary(model.shape)
    report = examined(model, (x, x_held))
    model.eval()
    with torch.no_grad():
        if way is Chunked:
            mean, log_var = model.encoder(x_held).chunk(2, dim=1)
            redrawn = model.decoder(mean[:10])
        else:
            h = model.body(x_held.flatten(1) if way is FlattensItself else x_held)
            mean, log_var = model.fc_mu(h), model.fc_logvar(h)
            redrawn = model.out(mean[:10])
        each = kl_divergence(Normal(mean, std(log_var)), Normal(0, 1)).mean(0).flatten()
    assert torch.allclose(report.kl_of_each, each, rtol=1e-3, atol=1e-4)
    assert torch.allclose(report.q_mean, mean.mean(0).flatten(), atol=0.2)
    assert torch.allclose(report.pictures[0], x_held[:10].flatten(1))
    assert torch.allclose(report.pictures[1], redrawn.flatten(1), atol=1e-5)
    assert report.pictures[2].shape == report.pictures[1].shape


@pytest.mark.parametrize("way", [Plain, Conv, Maps])
def test_numbers_of_a_report_hold_no_graph(way):
    report = examined(made(way))
    tensors = [report.kl_of_each, report.q_mean, report.q_spread, *report.pictures]
    assert not any(tensor.requires_grad for tensor in tensors)


def test_numbers_of_a_linear_model_hold_no_graph():
    model = random_linear()
    report = examine_vae(model, model.pictures(50, 1), model.pictures(50, 2), likelihood="gaussian", samples=2)
    tensors = [report.kl_of_each, report.q_mean, report.q_spread, *report.pictures]
    assert not any(tensor.requires_grad for tensor in tensors)


@pytest.mark.parametrize("draw", [name for name in DRAWS if name != "every call"])
@pytest.mark.parametrize("pictures", [(PIXELS,), (1, SIDE, SIDE)], ids=["flat", "square"])
def test_functions_do_instead_of_a_model(draw, pictures):
    function, expected = DRAWS[draw]
    model = made(Plain)
    x, x_held = binary(pictures)
    report = examine_vae(
        None,
        x,
        x_held,
        encode=lambda x: model.encode(x.reshape(len(x), -1)),
        decode=model.decode,
        reparameterize=function,
        samples=4,
    )
    assert agrees(report.training, expected), report.training
    assert agrees(report.evaluation, expected), report.evaluation
    assert report.gradients == (ONLY_MEAN if draw in ("one", "tenth of one", "mean") else BOTH)


def test_given_functions_take_the_place_of_methods():
    model, other = made(Plain, DRAWS["one"][0]), made(Plain, seed=1)
    report = examined(
        model, binary(), encode=other.encode, decode=other.decode, reparameterize=DRAWS["mean"][0], samples=20
    )
    _, x_held = binary()
    with torch.no_grad():
        mean, log_var = other.encode(x_held)
    kl = kl_divergence(Normal(mean, std(log_var)), Normal(0, 1)).sum(1).mean().item()
    assert report.kl.mean == pytest.approx(kl, rel=1e-4)
    assert report.training == report.evaluation == MEAN


def test_without_any_draws_they_cannot_be_seen():
    model = made(Plain)
    report = examine_vae(None, *binary(), encode=model.encode, decode=model.decode, samples=4)
    assert report.training == report.evaluation == UNSEEN
    assert "nan" not in str(report)


@pytest.mark.parametrize("way", [Plain, HiddenInline, Inline, Sampling, Conv, Chunked, Dropped, DroppedInline])
@pytest.mark.parametrize(
    ("training", "evaluation"), [("right", "mean"), ("mean", "right"), ("one", "mean"), ("hundredth", "right")]
)
def test_the_modes_are_looked_at_one_by_one(way, training, evaluation):
    model = made(way)
    model.draw = lambda mean, log_var: DRAWS[training if model.training else evaluation][0](mean, log_var)
    report = examined(model)
    assert agrees(report.training, DRAWS[training][1]), report.training
    assert agrees(report.evaluation, DRAWS[evaluation][1]), report.evaluation


FRESH = ["right", "log sigma", "one", "hundredth", "mean", "all pictures", "all latents", "every call"]


@pytest.mark.parametrize("draw", FRESH)
@pytest.mark.parametrize("way", [Plain, Hidden, Listed, Conv, Maps])
def test_a_network_that_never_trained_will_do(way, draw, monkeypatch):
    monkeypatch.setattr(Heads, "spread", lambda self: None)
    function, expected = DRAWS[draw]
    report = examined(made(way, function))
    assert agrees(report.training, expected), report.training


@pytest.mark.parametrize("n", [60, 100, 200, 1000])
@pytest.mark.parametrize("way", [Plain, Inline, HiddenInline])
def test_right_draws_are_right_by_every_seed(way, n):
    pictures = binary(n=n)
    said = [examined(made(way, seed=seed), pictures, samples=2, seed=seed) for seed in range(8 if n < 1000 else 3)]
    assert {report.training for report in said} == {RIGHT}
    assert {report.evaluation for report in said} == {RIGHT}


def test_as_many_latents_as_pixels():
    class Flat(Inline):
        def __init__(self):
            super().__init__()
            self.fc_mu, self.fc_logvar = nn.Linear(32, PIXELS), nn.Linear(32, PIXELS)
            self.out = nn.Sequential(nn.Linear(PIXELS, PIXELS), nn.Sigmoid())
            self.spread()

    class InMaps(MapsInline):
        def __init__(self):
            super().__init__()
            self.fc_mu, self.fc_logvar = nn.Conv2d(8, 4, 1), nn.Conv2d(8, 4, 1)
            self.out = nn.Sequential(nn.ConvTranspose2d(4, 1, 4, stride=2, padding=1), nn.Sigmoid())
            self.spread()

    for way in (Flat, InMaps):
        report = examined(made(lambda draw, way=way: way()))
        assert report.training == report.evaluation == RIGHT
        assert report.gradients == BOTH


def normal_sample(mean, log_var):
    return Normal(mean, std(log_var)).sample()


def normal_rsample(mean, log_var):
    return Normal(mean, std(log_var)).rsample()


def without_grad(mean, log_var):
    with torch.no_grad():
        return right(mean, log_var)


GRADIENTS = {
    "right": (right, BOTH),
    "rsample": (normal_rsample, BOTH),
    "minus": (DRAWS["minus"][0], BOTH),
    "sample": (normal_sample, NEITHER),
    "no_grad": (without_grad, NEITHER),
    "data": (lambda mean, log_var: (mean + std(log_var) * noise(mean)).data, NEITHER),
    "spread detached": (lambda mean, log_var: mean + std(log_var).detach() * noise(mean), ONLY_MEAN),
    "normal": (lambda mean, log_var: mean + torch.normal(torch.zeros(mean.shape), std(log_var.detach())), ONLY_MEAN),
    "one": (DRAWS["one"][0], ONLY_MEAN),
    "mean": (DRAWS["mean"][0], ONLY_MEAN),
    "mean detached": (lambda mean, log_var: mean.detach() + std(log_var) * noise(mean), ONLY_SPREAD),
}


SOME = ["right", "sample", "spread detached", "mean detached", "mean"]


@pytest.mark.parametrize(("way", "draw"), [(way, draw) for way in WAYS for draw in (GRADIENTS if way in ALL else SOME)])
def test_gradients_are_followed_to_the_encoder(way, draw):
    function, expected = GRADIENTS[draw]
    report = examined(made(way, function))
    assert report.gradients == expected
    if draw in ("right", "rsample", "sample", "no_grad", "data", "mean detached"):
        assert report.training == report.evaluation == RIGHT


def test_an_encoder_or_decoder_without_gradients_is_noticed():
    class Frozen(Plain):
        def encode(self, x):
            with torch.no_grad():
                return super().encode(x)

    class Cut(Plain):
        def decode(self, z):
            return super().decode(z.detach())

    assert examined(made(Frozen)).gradients == NEITHER
    assert examined(made(Cut)).gradients == NEITHER


def test_the_caller_may_have_switched_gradients_off():
    expected = str(examined(made(Plain)))
    with torch.no_grad():
        assert str(examined(made(Plain))) == expected
        assert not torch.is_grad_enabled()


def test_parameters_that_need_no_gradient_stay_so():
    model = made(Plain).requires_grad_(False)
    report = examined(model)
    assert report.training == RIGHT
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize("draw", [normal_sample, normal_rsample])
def test_distributions_draw_right(draw):
    assert examined(made(Inline, draw)).training == RIGHT


def numpy_noise(mean, log_var):
    return mean + std(log_var) * torch.from_numpy(np.random.standard_normal(tuple(mean.shape))).to(mean)  # noqa: NPY002


@pytest.mark.parametrize("way", [Plain, HiddenInline])
def test_noise_may_come_from_elsewhere(way):
    assert examined(made(way, numpy_noise)).training == RIGHT


@pytest.mark.parametrize("way", [Plain, HiddenInline, Sampling])
def test_a_seed_in_the_model_makes_the_same_noise(way):
    def seeded(mean, log_var):
        torch.manual_seed(0)
        return right(mean, log_var)

    torch.manual_seed(5)
    before = torch.get_rng_state()
    report = examined(made(way, seeded))
    assert report.training == report.evaluation == EVERY_CALL
    assert torch.equal(before, torch.get_rng_state())


# ------------------------------------------------------------------------------------------ numbers with closed forms


class Linear(nn.Module):
    """p(x|z) = N(W z + b, sigma^2 I), q(z|x) = N(V x + c, diag(s^2))."""

    def __init__(self, weight, bias, sigma, v, c, s2, draw=right):
        super().__init__()
        for name, value in {"w": weight, "b": bias, "v": v, "c": c, "log_s2": s2.log()}.items():
            self.register_parameter(name, nn.Parameter(value))
        self.sigma, self.draw = sigma, draw

    def encode(self, x):
        mean = x @ self.v.T + self.c
        return mean, self.log_s2.expand_as(mean)

    def reparameterize(self, mean, log_var):
        return self.draw(mean, log_var)

    def decode(self, z):
        return z @ self.w.T + self.b

    def forward(self, x):
        mean, log_var = self.encode(x)
        return self.decode(self.reparameterize(mean, log_var)), mean, log_var

    def pictures(self, n, seed):
        g = torch.Generator().manual_seed(seed)
        z = torch.randn(n, self.w.shape[1], generator=g)
        return (self.decode(z) + self.sigma * torch.randn(n, len(self.b), generator=g)).detach()

    def log_p_x(self, x):
        covariance = self.w @ self.w.T + self.sigma**2 * torch.eye(len(self.b))
        return MultivariateNormal(self.b.double(), covariance.double()).log_prob(x.double()).detach()

    @torch.no_grad()
    def exact(self, x, sigma=None):
        """ELBO, log-likelihood and KL of each picture, and the variance of the log-likelihood over draws of z."""
        var, s2 = (sigma or self.sigma) ** 2, self.log_s2.exp().double()
        x, w, mean = x.double(), self.w.double(), self.encode(x)[0].double()
        rest = x - self.decode(mean.float()).double()
        spread = w * s2.sqrt()
        squares = rest.square().sum(1) + spread.square().sum()
        log_p = -0.5 * x.shape[1] * math.log(2 * math.pi * var) - squares / (2 * var)
        kl = 0.5 * (mean.square() + s2 - 1 - s2.log()).sum(1)
        of_draws = (4 * (rest @ spread).square().sum(1) + 2 * (spread.T @ spread).square().sum()) / (4 * var**2)
        return types.SimpleNamespace(elbo=log_p - kl, log_p=log_p, kl=kl, of_draws=of_draws)


def random_linear(pixels=9, latents=3, sigma=0.6, seed=0, draw=right):
    g = torch.Generator().manual_seed(seed)
    weight, bias = torch.randn(pixels, latents, generator=g), torch.randn(pixels, generator=g)
    v, c = 0.2 * torch.randn(latents, pixels, generator=g), 0.3 * torch.randn(latents, generator=g)
    s2 = 0.05 + 0.3 * torch.rand(latents, generator=g)
    return Linear(weight, bias, sigma, v, c, s2, draw)


def best_linear(pixels=9, latents=3, sigma=0.6, seed=0, shift=0.0, wider=1.0):
    """With columns of W at right angles the posterior is diagonal; q is the posterior, unless shifted or widened."""
    g = torch.Generator().manual_seed(seed)
    directions = torch.linalg.qr(torch.randn(pixels, latents, generator=g)).Q
    weight, bias = directions * torch.arange(1.0, latents + 1), torch.randn(pixels, generator=g)
    m = weight.square().sum(0) + sigma**2
    v = (weight / m).T
    s2 = sigma**2 / m
    return Linear(weight, bias, sigma, v, shift * s2.sqrt() - v @ bias, wider * s2)


def standard_error(values):
    return values.double().std().item() / math.sqrt(len(values))


def near(mean, exact, samples, parts=None):
    """Whether an estimate is within 4 standard errors of its draws."""
    error = math.sqrt(exact.of_draws.mean().item() / (samples * len(exact.elbo)))
    return abs(mean - (exact.elbo if parts is None else parts).mean().item()) < 4 * error + 1e-4 * abs(mean)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("samples", [2, 10])
def test_linear_bounds_are_exact(seed, samples):
    model = random_linear(seed=seed)
    x, x_held = model.pictures(400, 1), model.pictures(300, 2)
    report = examine_vae(model, x, x_held, likelihood="gaussian", sigma=model.sigma, samples=samples)
    held, train = model.exact(x_held), model.exact(x)
    assert near(report.elbo.mean, held, samples)
    assert near(report.reconstruction.mean, held, samples, held.log_p)
    assert near(report.elbo_train.mean, train, samples)
    assert report.kl.mean == pytest.approx(held.kl.mean().item(), rel=1e-4)
    assert report.kl.error == pytest.approx(standard_error(held.kl), rel=0.01)
    assert report.elbo.mean == pytest.approx(report.reconstruction.mean - report.kl.mean, abs=1e-3)
    spread = math.sqrt((held.elbo.var() + held.of_draws.mean() / samples).item() / len(x_held))
    assert report.elbo.error == pytest.approx(spread, rel=0.1)
    spread = math.sqrt((train.elbo.var() + train.of_draws.mean() / samples).item() / len(x))
    assert report.elbo_train.error == pytest.approx(spread, rel=0.1)
    assert (report.likelihood, report.sigma) == ("gaussian", pytest.approx(model.sigma))


@pytest.mark.parametrize("draw", ["mean", "hundredth", "one", "all pictures"])
def test_the_bound_is_that_of_the_q_that_log_var_says(draw):
    """The ELBO belongs to N(mean, exp(log_var)), whatever the model's own draws are like."""
    model = random_linear(draw=DRAWS[draw][0])
    x, x_held = model.pictures(300, 1), model.pictures(300, 2)
    report = examine_vae(model, x, x_held, likelihood="gaussian", sigma=model.sigma, samples=20)
    assert near(report.elbo.mean, model.exact(x_held), 20)


def test_kl_of_each_latent_and_all_z_together():
    model = random_linear(latents=3)
    x, x_held = model.pictures(200, 1), model.pictures(500, 2)
    report = examine_vae(model, x, x_held, likelihood="gaussian", sigma=model.sigma, samples=2)
    with torch.no_grad():
        mean, log_var = model.encode(x_held)
    each = kl_divergence(Normal(mean, std(log_var)), Normal(0, 1)).mean(0)
    assert torch.allclose(report.kl_of_each, each, rtol=1e-3)
    assert report.kl_of_each.sum().item() == pytest.approx(report.kl.mean, rel=1e-3)
    assert torch.allclose(report.q_mean, mean.mean(0), atol=0.15 if report.q_mean.isnan().any() else 0.02)
    assert torch.allclose(report.q_spread, (mean.var(0) + log_var.exp().mean(0)).sqrt(), rtol=0.02)


def test_all_z_of_the_posterior_are_like_the_prior():
    model = best_linear()
    report = examine_vae(model, model.pictures(500, 1), model.pictures(1000, 2), sigma=model.sigma, samples=5)
    assert torch.allclose(report.q_mean, torch.zeros(3), atol=0.15)
    assert torch.allclose(report.q_spread, torch.ones(3), atol=0.1)
    assert not re.search("not like the prior", " ".join(report.findings))


@pytest.mark.parametrize("samples", [2, 7, 30])
def test_the_exact_posterior_loses_nothing(samples):
    model = best_linear()
    x, x_held = model.pictures(300, 1), model.pictures(300, 2)
    report = examine_vae(model, x, x_held, likelihood="gaussian", sigma=model.sigma, samples=samples)
    log_p_x = model.log_p_x(x_held)
    assert report.log_p_x.mean == pytest.approx(log_p_x.mean().item(), abs=1e-3)
    assert report.log_p_x.error == pytest.approx(standard_error(log_p_x), rel=1e-3)
    assert report.sample_size == pytest.approx(samples, rel=1e-3)
    assert near(report.elbo.mean, model.exact(x_held), samples)
    assert model.exact(x_held).elbo.mean().item() == pytest.approx(log_p_x.mean().item(), abs=1e-3)


@pytest.mark.parametrize(("shift", "wider"), [(0.5, 1.0), (0.0, 2.0), (0.3, 1.5), (0.0, 0.6)])
def test_importance_sampling_and_its_sample_size(shift, wider):
    """All posteriors have the same shape here: their weights depend on the noise only, and can be drawn again."""
    model, samples = best_linear(shift=shift, wider=wider), 20
    x, x_held = model.pictures(300, 1), model.pictures(1000, 2)
    report = examine_vae(model, x, x_held, likelihood="gaussian", sigma=model.sigma, samples=samples)
    noise = torch.randn(20_000, samples, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    log_w = (
        Normal(-shift, 1).log_prob(noise * math.sqrt(wider))
        - Normal(0, math.sqrt(wider)).log_prob(noise * math.sqrt(wider))
    ).sum(2)
    size = (log_w.logsumexp(1) * 2 - (2 * log_w).logsumexp(1)).exp()
    assert report.sample_size == pytest.approx(size.mean().item(), rel=0.05)
    lost = log_w.logsumexp(1) - math.log(samples)
    log_p_x = model.log_p_x(x_held).mean().item()
    tolerance = 4 * lost.std().item() / math.sqrt(len(x_held)) + 2e-3
    assert report.log_p_x.mean == pytest.approx(log_p_x + lost.mean().item(), abs=tolerance)
    assert report.elbo.mean < report.log_p_x.mean


def test_probabilistic_pca_by_maximum_likelihood():
    """Sigma is not given: at the maximum, the best one for x is that of the model."""
    pictures = random_linear(pixels=12, latents=4, seed=3)
    x, x_held = pictures.pictures(500, 1), pictures.pictures(300, 2)
    weight, mean, variance = models.ppca(x, 2)
    m = weight.T @ weight + variance * torch.eye(2)
    log_var = (variance / m.diagonal()).log()
    report = examine_vae(
        None,
        x,
        x_held,
        encode=lambda x: ((x - mean) @ weight @ m.inverse(), log_var.expand(len(x), 2)),
        decode=lambda z: z @ weight.T + mean,
        reparameterize=right,
        likelihood="gaussian",
        samples=30,
    )
    log_p_x = MultivariateNormal(mean, weight @ weight.T + variance * torch.eye(12)).log_prob(x_held)
    assert report.sigma == pytest.approx(variance.sqrt().item(), rel=0.01)
    assert report.log_p_x.mean == pytest.approx(log_p_x.mean().item(), abs=0.02)
    assert report.sample_size == pytest.approx(30, rel=0.01)
    assert (report.in_use, report.directions) == (2, 2)


def test_the_best_sigma_is_that_of_training_pictures():
    model = random_linear()
    x, x_held = model.pictures(500, 1), 3 * model.pictures(300, 2)
    report = examine_vae(model, x, x_held, likelihood="gaussian", samples=20)
    squares = -2 * (model.exact(x, sigma=1).log_p + 0.5 * 9 * math.log(2 * math.pi))
    sigma = math.sqrt(squares.mean().item() / 9)
    assert report.sigma == pytest.approx(sigma, rel=0.02)
    held = model.exact(x_held, sigma=report.sigma)
    assert near(report.elbo.mean, held, 20)


def test_sigma_may_be_given():
    model = random_linear()
    x, x_held = model.pictures(300, 1), model.pictures(300, 2)
    report = examine_vae(model, x, x_held, likelihood="gaussian", sigma=1.7, samples=20)
    assert report.sigma == pytest.approx(1.7)
    assert near(report.elbo.mean, model.exact(x_held, sigma=1.7), 20)


def collapsed(picture, latents=2):
    """Functions of a model whose q is the prior, and which decodes the same picture from every z."""
    return {
        "encode": lambda x: (torch.zeros(len(x), latents), torch.zeros(len(x), latents)),
        "decode": lambda z: picture.expand(len(z), *picture.shape),
        "reparameterize": right,
    }


@pytest.mark.parametrize("sigma", [None, 0.4])
@pytest.mark.parametrize(("likelihood", "kind"), [("gaussian", Normal), ("laplace", Laplace)])
def test_one_picture_for_all_has_a_closed_form(likelihood, kind, sigma):
    model = random_linear(pixels=16)
    x, x_held = model.pictures(300, 1), model.pictures(200, 2)
    picture = torch.linspace(-1, 1, 16)
    off = (x - picture).abs()
    best = off.mean().item() if likelihood == "laplace" else off.square().mean().sqrt().item()
    report = examine_vae(None, x, x_held, **collapsed(picture), likelihood=likelihood, sigma=sigma, samples=3)
    assert report.sigma == pytest.approx(sigma or best, rel=1e-4)
    log_p = kind(picture, sigma or best).log_prob(x_held).sum(1)
    for bound in (report.elbo, report.reconstruction, report.log_p_x):
        assert bound.mean == pytest.approx(log_p.mean().item(), rel=1e-4)
        assert bound.error == pytest.approx(standard_error(log_p), rel=1e-3)
    assert report.kl.mean == pytest.approx(0, abs=1e-6)
    assert report.kl_of_each == pytest.approx([0, 0], abs=1e-6)
    assert (report.in_use, report.directions) == (0, 0)
    assert report.q_mean == pytest.approx([0, 0], abs=0.2)
    assert report.q_spread == pytest.approx([1, 1], abs=0.15)
    assert report.sample_size == pytest.approx(3, rel=1e-3)


@pytest.mark.parametrize("sigma", [None, 0.4])
@pytest.mark.parametrize(("likelihood", "kind"), [("gaussian", Normal), ("laplace", Laplace)])
def test_the_gain_over_one_picture(likelihood, kind, sigma):
    """The blind picture comes from training pictures: means, or medians for Laplace pixels, and the best scale."""
    model = random_linear(pixels=16)
    x, x_held = model.pictures(301, 1).exp(), model.pictures(200, 2).exp()  # skewed: means are no medians
    fit = x.mean(0) if likelihood == "gaussian" else x.median(0).values
    off = (x - fit).abs()
    best = off.mean().item() if likelihood == "laplace" else off.square().mean().sqrt().item()
    blind = kind(fit, sigma or best).log_prob(x_held).sum(1)
    report = examine_vae(None, x, x_held, **collapsed(torch.zeros(16)), likelihood=likelihood, sigma=sigma, samples=2)
    assert report.gain.mean == pytest.approx(report.elbo.mean - blind.mean().item(), rel=1e-3)
    scale = report.sigma
    of_each = kind(torch.zeros(16), scale).log_prob(x_held).sum(1) - blind
    assert report.gain.error == pytest.approx(standard_error(of_each), rel=0.01)
    assert any("one picture" in finding for finding in report.findings)
    report = examine_vae(None, x, x_held, **collapsed(fit), likelihood=likelihood, sigma=sigma, samples=2)
    assert report.gain.mean == pytest.approx(0, abs=1e-2)


@pytest.mark.parametrize("likelihood", ["bernoulli", "bernoulli logits"])
@pytest.mark.parametrize("shape", [(PIXELS,), (1, SIDE, SIDE)])
def test_bernoulli_pixels(likelihood, shape):
    x, x_held = binary(shape)
    probs = torch.linspace(0.1, 0.9, PIXELS).reshape(shape)
    output = probs if likelihood == "bernoulli" else probs.logit()
    report = examine_vae(None, x, x_held, **collapsed(output), likelihood=likelihood, samples=2)
    log_p = Bernoulli(probs).log_prob(x_held).flatten(1).sum(1)
    assert report.reconstruction.mean == pytest.approx(log_p.mean().item(), rel=1e-4)
    assert report.elbo.error == pytest.approx(standard_error(log_p), rel=1e-3)
    blind = Bernoulli(x.mean(0)).log_prob(x_held).flatten(1).sum(1)
    assert report.gain.mean == pytest.approx((log_p - blind).mean().item(), abs=0.02)
    assert math.isnan(report.sigma)
    held, redrawn, drawn = report.pictures
    assert torch.allclose(held, x_held[:10].flatten(1))
    assert torch.allclose(redrawn, probs.flatten().expand(10, -1), atol=1e-5)
    assert torch.allclose(drawn, probs.flatten().expand(10, -1), atol=1e-5)


def test_pixels_that_never_change_leave_the_bounds_finite():
    x, x_held = (pictures.clone() for pictures in binary())
    x[:, :5], x_held[:, :4], x_held[0, 4] = 0, 0, 1
    probs = x.mean(0)
    report = examine_vae(None, x, x_held, **collapsed(probs), likelihood="bernoulli", samples=2)
    for number in (report.elbo, report.gain, report.log_p_x):
        assert math.isfinite(number.mean)
        assert math.isfinite(number.error)


def test_grey_pixels_have_a_cross_entropy():
    g = torch.Generator().manual_seed(0)
    x, x_held = torch.rand(400, PIXELS, generator=g).split(200)
    probs = torch.linspace(0.1, 0.9, PIXELS)
    report = examine_vae(None, x, x_held, **collapsed(probs), likelihood="bernoulli", samples=2)
    entropy = F.binary_cross_entropy(probs.expand_as(x_held), x_held, reduction="none").sum(1).mean().item()
    assert report.elbo.mean == pytest.approx(-entropy, rel=1e-4)


# ----------------------------------------------------------------------------------------------------- which latents


def copies(sources, scales, spread=0.3):
    """Latents whose means are pixels of the picture, times a scale."""
    sources, scales = list(sources), torch.tensor(scales)
    return {
        "encode": lambda x: (x[:, sources] * scales, torch.full((len(x), len(sources)), 2 * math.log(spread))),
        "decode": lambda z: z.mean(1, keepdim=True).expand(len(z), 9),
        "reparameterize": right,
        "likelihood": "gaussian",
        "samples": 2,
    }


@pytest.mark.parametrize(
    ("sources", "scales", "in_use", "directions"),
    [
        ([0, 1, 2, 3], [1.0, 1, 1, 1], 4, 4),
        ([0, 0, 0, 0], [1.0, 1, 1, 1], 4, 1),
        ([0, 0, 0, 1, 1], [1.0, -1, 2, 1, -0.5], 5, 2),
        ([0, 1, 2], [1.0, 0, 0], 1, 1),
        ([0, 1, 1], [1.0, 0.05, 0], 1, 1),
        ([0, 1, 2], [0.2, 0.2, 0.05], 2, 2),
        ([0, 1, 2], [0.0, 0, 0], 0, 0),
    ],
)
def test_latents_in_use_and_their_directions(sources, scales, in_use, directions):
    g = torch.Generator().manual_seed(0)
    x, x_held = torch.randn(1000, 9, generator=g).split(500)
    report = examine_vae(None, x, x_held, **copies(sources, scales))
    assert (report.in_use, report.directions) == (in_use, directions)
    repeats = any("vary along" in finding for finding in report.findings)
    assert repeats == (directions < in_use)


def test_latents_in_use_by_a_shift_only_are_not_in_use():
    """A mean far from 0 that is the same for all pictures says nothing about them."""
    g = torch.Generator().manual_seed(0)
    x, x_held = torch.randn(600, 9, generator=g).split(300)
    functions = copies([0, 1], [0.0, 0.0])
    encode = functions.pop("encode")
    report = examine_vae(None, x, x_held, encode=lambda x: (encode(x)[0] + 2, encode(x)[1]), **functions)
    assert (report.in_use, report.directions) == (0, 0)
    assert torch.allclose(report.q_mean, torch.full((2,), 2.0), atol=0.15)
    assert torch.allclose(report.q_spread, torch.full((2,), 0.3), rtol=0.1)


def test_a_collapsed_model_is_called_so():
    x, x_held = binary()
    report = examine_vae(None, x, x_held, **collapsed(x.mean(0).clamp(0.01, 0.99)), samples=2)
    assert re.search("collapse|no latent|none of|0 of|2 of 2 latents", " ".join(report.findings), re.IGNORECASE)
    assert "0 of 2 in use" in str(report)


# ----------------------------------------------------------------------------------------------------- what is guessed


def grey(low=0.0, high=1.0, n=200):
    g = torch.Generator().manual_seed(0)
    return (low + (high - low) * torch.rand(2 * n, PIXELS, generator=g)).split(n)


def standardised(n=200):
    x, x_held = binary(n=n)
    return (x - 0.1307) / 0.3081, (x_held - 0.1307) / 0.3081


@pytest.mark.parametrize(
    ("pictures", "low", "high", "likelihood"),
    [
        (binary, 0.01, 0.99, "bernoulli"),
        (binary, -6, 5, "bernoulli logits"),
        (grey, 0.1, 0.9, "bernoulli"),
        (grey, -8, 6, "bernoulli logits"),
        (standardised, -0.4, 2.8, "gaussian"),
        (lambda: grey(-1, 1), -0.98, 0.97, "gaussian"),
        (lambda: grey(-3, 3), -2, 2, "gaussian"),
        (lambda: grey(0, 255), 3, 240, "gaussian"),
    ],
)
def test_the_likelihood_is_guessed_from_ranges(pictures, low, high, likelihood):
    x, x_held = pictures()
    report = examine_vae(None, x, x_held, **collapsed(torch.linspace(low, high, PIXELS)), samples=2)
    assert report.likelihood == likelihood
    assert any("likelihood=" in finding for finding in report.findings)
    assert likelihood in str(report)


def test_a_given_likelihood_is_no_guess():
    x, x_held = binary()
    functions = collapsed(torch.linspace(0.1, 0.9, PIXELS))
    report = examine_vae(None, x, x_held, **functions, likelihood="gaussian", samples=2)
    assert report.likelihood == "gaussian"
    assert not any("likelihood=" in finding for finding in report.findings)


# ------------------------------------------------------------------------------------------- models of this library

LIBRARY = {
    "VAE": lambda: models.VAE(PIXELS, 3, (20,)),
    "GaussianVAE": lambda: models.GaussianVAE(PIXELS, 3, (20,)),
    "LinearVAE": lambda: models.LinearVAE(PIXELS, 3),
    "ConvVAE": lambda: models.ConvVAE(8, 3, 1, (4, 8)),
}


@pytest.mark.parametrize("name", LIBRARY)
def test_models_of_this_library_draw_right(name):
    model = made(lambda draw: LIBRARY[name]())
    x, x_held = binary((64,) if name == "ConvVAE" else (PIXELS,))
    report = examine_vae(model, x, x_held, samples=10)
    assert report.training == report.evaluation == RIGHT
    assert report.gradients == BOTH
    assert report.likelihood == ("bernoulli logits" if name == "VAE" else "gaussian")
    model.eval()
    torch.manual_seed(0)
    with torch.no_grad():
        terms = [model.elbo(x_held) for _ in range(20)]
        mean, _ = model.q_z_given_x(x_held)
        redrawn = model.p_x_given_z(mean[:10]).mean
    assert report.kl.mean == pytest.approx(terms[0].kl.mean().item(), rel=1e-3)
    elbos = torch.stack([term.elbo for term in terms])
    tolerance = 5 * elbos.std(0).square().mean().sqrt().item() / math.sqrt(10 * len(x_held)) + 1e-3
    assert report.elbo.mean == pytest.approx(elbos.mean().item(), abs=tolerance)
    assert torch.allclose(report.pictures[1], redrawn, atol=1e-4)


@pytest.mark.parametrize("name", LIBRARY)
def test_models_of_this_library_say_what_their_likelihood_is(name):
    model = made(lambda draw: LIBRARY[name]())
    report = examine_vae(model, *binary((64,) if name == "ConvVAE" else (PIXELS,)), samples=2)
    assert not any("likelihood=" in finding for finding in report.findings)


def test_a_trained_linear_vae_is_all_right():
    pictures = random_linear(pixels=12, latents=3, seed=5)
    x, x_held = pictures.pictures(800, 1), pictures.pictures(800, 2)
    weight, mean, variance = models.ppca(x, 3)
    m = weight.square().sum(0) + variance
    with torch.random.fork_rng():
        model = models.LinearVAE(12, 3)
    with torch.no_grad():
        model.decoder.weight.copy_(weight)
        model.decoder.bias.copy_(mean)
        model.log_sigma.copy_(variance.log() / 2)
        model.encoder.weight.copy_((weight / m).T)
        model.encoder.bias.copy_(-(weight / m).T @ mean)
        model.log_var.copy_((variance / m).log())
        log_p_x = model.log_p_x(x_held)
    report = examine_vae(model, x, x_held, samples=20)
    assert report.sigma == pytest.approx(variance.sqrt().item(), rel=1e-4)
    assert report.log_p_x.mean == pytest.approx(log_p_x.mean().item(), abs=1e-2)
    assert report.sample_size == pytest.approx(20, rel=1e-2)
    assert report.gain.mean > 1
    assert (report.in_use, report.directions) == (3, 3)
    told = [finding for finding in report.findings if "likelihood=" not in finding]
    assert told == [] or re.search("nothing|no fault", told[0], re.IGNORECASE)


# ------------------------------------------------------------------------------------------ what is left as it was


def state(model):
    return {
        "mode": [module.training for module in model.modules()],
        "state": {name: value.clone() for name, value in model.state_dict().items()},
        "grads": [None if p.grad is None else p.grad.clone() for p in model.parameters()],
        "needs": [p.requires_grad for p in model.parameters()],
        "names": [sorted(vars(module)) for module in model.modules()],
        "hooks": [
            [len(hooks) for name, hooks in sorted(vars(module).items()) if name.endswith("_hooks")]
            for module in model.modules()
        ],
        "torch": torch.get_rng_state().clone(),
        "numpy": np.random.get_state()[1].tolist(),  # noqa: NPY002
        "random": random.getstate(),
    }


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


@pytest.mark.parametrize("mode", ["train", "eval", "mixed"])
@pytest.mark.parametrize("way", [Plain, Conv, DroppedInline, HiddenInline, InlineSequential, Bottleneck, Chunked])
def test_the_model_is_left_as_it_was(way, mode):
    model = made(way)
    model.train(mode != "eval")
    if mode == "mixed":
        for module in list(model.modules())[1::2]:
            module.training = False
    for parameter in list(model.parameters())[::2]:
        parameter.grad = torch.ones_like(parameter)
    x, x_held = binary(model.shape)
    copied = x.clone(), x_held.clone()
    before = state(model)
    examined(model, (x, x_held))
    after = state(model)
    for name in before:
        assert same(before[name], after[name]), name
    assert torch.equal(x, copied[0])
    assert torch.equal(x_held, copied[1])
    assert not x.requires_grad


def test_a_model_that_fails_is_left_as_it_was():
    model = made(Conv)
    decode = model.decode

    def fail(z):
        if len(z) > 3:
            raise ZeroDivisionError("no pictures today")
        return decode(z)

    before = state(model)
    with pytest.raises((ValueError, ZeroDivisionError)):
        examined(model, decode=fail)
    assert same(before, state(model))


def test_the_seed_decides_and_nothing_else():
    model = made(Conv)
    torch.manual_seed(1)
    first = examined(model)
    torch.manual_seed(2)
    again = examined(model)
    other = examined(model, seed=1)
    assert str(first) == str(again)
    assert first.elbo == again.elbo
    assert first.log_p_x == again.log_p_x
    assert torch.equal(first.q_spread, again.q_spread)
    assert all(map(torch.equal, first.pictures, again.pictures))
    assert first.elbo != other.elbo
    assert first.elbo.mean == pytest.approx(other.elbo.mean, abs=1)
    assert not torch.equal(first.pictures[2], other.pictures[2])


def test_only_a_thousand_pictures_are_used():
    model = random_linear()
    x, x_held = model.pictures(3000, 1), model.pictures(3000, 2)
    report = examine_vae(model, x, x_held, likelihood="gaussian", sigma=model.sigma, samples=2)
    kl = model.exact(x_held).kl
    assert report.kl.error == pytest.approx(kl.std().item() / math.sqrt(1000), rel=0.1)
    assert report.kl.mean == pytest.approx(kl.mean().item(), abs=5 * report.kl.error)


def test_double_precision():
    x, x_held = binary()
    report = examined(made(Plain).double(), (x.double(), x_held.double()))
    assert (report.training, report.gradients) == (RIGHT, BOTH)


def test_bounds_are_measured_in_evaluation_mode():
    """Dropout and batch statistics belong to training."""
    model = made(Conv)
    report = examined(model)
    _, x_held = binary(model.shape)
    model.eval()
    with torch.no_grad():
        mean, log_var = model.encode(x_held)
        kl = kl_divergence(Normal(mean, std(log_var)), Normal(0, 1)).sum(1).mean().item()
        redrawn = model.decode(mean[:10]).flatten(1)
    assert report.kl.mean == pytest.approx(kl, rel=1e-4)
    assert torch.allclose(report.pictures[1], redrawn, atol=1e-5)


# ------------------------------------------------------------------------------------------------- words and figures


@pytest.mark.parametrize("way", [Plain, Conv, Maps])
def test_a_report_can_be_read(way):
    report = examined(made(way))
    text = str(report)
    assert not re.search(r"tensor\(|Mean\(|<.* at 0x|\b(None|nan|inf)\b", text)
    assert len(text.splitlines()) > 5
    assert RIGHT in text
    assert f"{report.in_use} of" in text
    assert str(report.elbo) in text
    for finding in report.findings:
        assert finding in text
        assert finding == finding.strip()
        assert re.match(r"[A-Z0-9`]", finding)
        assert re.search(r"[.?)]$", finding)


@pytest.mark.parametrize(
    ("draw", "said"),
    [
        ("log sigma", r"log_var"),
        ("sigma", r"log_var"),
        ("one", r"log_var"),
        ("hundredth", r"0\.01"),
        ("mean", r"mean"),
        ("uniform", r"0\.[45]\d?"),
        ("softplus", r"log_var"),
        ("every call", r"same noise"),
        ("all pictures", r"same noise|all pictures|every picture"),
        ("all latents", r"same noise|all latents|every latent"),
    ],
)
def test_findings_begin_with_wrong_draws(draw, said):
    report = examined(made(Plain, DRAWS[draw][0]))
    clean = examined(made(Plain)).findings
    new = [finding for finding in report.findings[:2] if finding not in clean]  # one may be about gradients
    assert any(re.search(said, finding) for finding in new), report.findings
    assert report.findings[0] in new


@pytest.mark.parametrize("draw", ["sample", "spread detached", "mean detached"])
def test_findings_name_missing_gradients(draw):
    report = examined(made(Plain, GRADIENTS[draw][0]))
    assert any("gradient" in finding for finding in report.findings[:1]), report.findings
    assert not any("gradient" in finding for finding in examined(made(Plain)).findings)


def test_means_in_evaluation_mode_are_no_fault_of_training():
    model = made(Plain)
    model.draw = lambda mean, log_var: right(mean, log_var) if model.training else mean
    report = examined(model)
    assert (report.training, report.evaluation) == (RIGHT, MEAN)
    begun = {finding[:20] for finding in examined(made(Plain)).findings}
    assert all("evaluati" in finding for finding in report.findings if finding[:20] not in begun), report.findings


def test_one_of_something_is_singular():
    g = torch.Generator().manual_seed(0)
    x, x_held = torch.randn(600, 9, generator=g).split(300)
    report = examine_vae(None, x, x_held, **copies([0], [1.0]))
    assert not re.search(r"\b1 (directions|latents|samples)\b", str(report))


@pytest.fixture
def shown(monkeypatch):
    outputs = []
    for module in (plotting, widgets):
        monkeypatch.setattr(module, "display", lambda data, **options: outputs.append((data, options)))
    return outputs


@pytest.mark.parametrize("way", [Plain, ConvFlatOutput, Conv, Maps])
def test_a_report_shows_one_figure_with_a_text_alternative(way, shown):
    report = examined(made(way))
    before = plt.get_fignums()
    report.show()
    figures = [(data, options) for data, options in shown if "image/png" in data]
    assert len(figures) == 1
    [(picture, options)] = figures
    assert picture["image/png"].startswith(b"\x89PNG")
    alt = options["metadata"]["image/png"]["alt"]
    assert len(alt.split()) > 8
    assert "tensor(" not in alt
    assert plt.get_fignums() == before


@pytest.mark.parametrize("pixels", [10, 27])
def test_pictures_need_not_be_square(pixels, shown):
    model = random_linear(pixels=pixels)
    x, x_held = model.pictures(100, 1), model.pictures(7, 2)
    report = examine_vae(model, x, x_held, likelihood="gaussian", samples=2)
    assert [tuple(pictures.shape) for pictures in report.pictures] == [
        (7, pixels),
        (7, pixels),
        report.pictures[2].shape,
    ]
    report.show()
    assert sum("image/png" in data for data, _ in shown) == 1


def test_pictures_of_a_report():
    model = best_linear(pixels=16)
    x, x_held = model.pictures(300, 1), model.pictures(300, 2)
    held, redrawn, drawn = examine_vae(model, x, x_held, likelihood="gaussian", sigma=model.sigma, samples=2).pictures
    assert held.shape == redrawn.shape == (10, 16)
    assert drawn.shape[1] == 16
    assert 1 <= len(drawn) <= 10
    place = [(x_held == picture).all(1).nonzero().item() for picture in held]
    with torch.no_grad():
        assert torch.allclose(redrawn, model.decode(model.encode(x_held[place])[0]), atol=1e-4)
        onto = drawn - model.b  # in the span of W
        assert torch.allclose(onto @ model.w @ torch.linalg.pinv(model.w), onto, atol=1e-4) or torch.allclose(
            onto @ torch.linalg.pinv(model.w).T @ model.w.T, onto, atol=1e-4
        )
    assert not any(pictures.requires_grad for pictures in (held, redrawn, drawn))


# --------------------------------------------------------------------------------------------------------- what fails


def test_no_way_to_encode_or_decode():
    x, x_held = binary()
    model = made(Plain)
    with pytest.raises(ValueError, match="encode"):
        examine_vae(None, x, x_held, decode=model.decode)
    with pytest.raises(ValueError, match="decode"):
        examine_vae(None, x, x_held, encode=model.encode)
    with pytest.raises(ValueError, match="encode"):
        examine_vae(None, x, x_held)
    with pytest.raises(ValueError, match=r"encode|decode"):
        examine_vae(nn.Linear(PIXELS, PIXELS), x, x_held)
    with pytest.raises(ValueError, match=r"encode|mean"):
        examine_vae(models.Autoencoder(PIXELS, 2, (8,)), x, x_held)


SHAPES = {
    "pictures differ": ({}, lambda x, x_held: (x, x_held[:, :-1])),
    "one dimension": ({}, lambda x, x_held: (x[:, 0], x_held[:, 0])),
    "means and log-variances differ": (
        {"encode": lambda x: (x[:, :4], x[:, :3])},
        lambda x, x_held: (x, x_held),
    ),
    "three means": ({"encode": lambda x: (x[:3, :4], x[:3, :4])}, lambda x, x_held: (x, x_held)),
    "no log-variances": ({"encode": lambda x: x[:, :4]}, lambda x, x_held: (x, x_held)),
    "too many pixels": (
        {"decode": lambda z: z.repeat(1, 10)},
        lambda x, x_held: (x, x_held),
    ),
    "one picture decoded": ({"decode": lambda z: torch.full((1, PIXELS), 0.5)}, lambda x, x_held: (x, x_held)),
    "another latent drawn": (
        {"reparameterize": lambda mean, log_var: torch.randn(len(mean), 3)},
        lambda x, x_held: (x, x_held),
    ),
}


@pytest.mark.parametrize("case", SHAPES)
def test_shapes_that_do_not_fit(case):
    options, cut = SHAPES[case]
    model = made(Plain)
    given = {"encode": model.encode, "decode": model.decode, "reparameterize": right} | options
    with pytest.raises(ValueError, match=r"\d|shape|expected"):
        examine_vae(None, *cut(*binary()), **given, likelihood="bernoulli", samples=2)


@pytest.mark.parametrize("likelihood", ["poisson", "Normal", ""])
def test_an_unknown_likelihood(likelihood):
    with pytest.raises(ValueError, match=r"likelihood.*bernoulli"):
        examined(made(Plain), likelihood=likelihood)


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.nan])
def test_a_sigma_that_is_none(sigma):
    with pytest.raises(ValueError, match="sigma"):
        examined(made(Plain), likelihood="gaussian", sigma=sigma)


@pytest.mark.parametrize("samples", [0, -3])
def test_no_samples(samples):
    with pytest.raises(ValueError, match="samples"):
        examined(made(Plain), samples=samples)


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("which", [0, 1])
def test_means_and_log_variances_that_are_no_numbers(value, which):
    model = made(Plain)

    def encode(x):
        outputs = list(model.encode(x))
        outputs[which] = torch.full_like(outputs[which], value)
        return outputs

    with pytest.raises(ValueError, match=r"nan|finite|NaN|number"):
        examined(model, encode=encode)


def test_weights_that_are_no_numbers():
    model = made(Plain)
    with torch.no_grad():
        model.fc_mu.weight.fill_(math.nan)
    before = [module.training for module in model.modules()]
    with pytest.raises(ValueError, match=r"nan|finite|NaN|number"):
        examined(model)
    assert [module.training for module in model.modules()] == before


@pytest.mark.parametrize(("n", "n_held"), [(0, 100), (100, 0), (1, 100), (100, 1)])
def test_too_few_pictures(n, n_held):
    x, x_held = binary()
    with pytest.raises(ValueError, match=r"pictures|expected"):
        examined(made(Plain), (x[:n], x_held[:n_held]))


def test_probabilities_outside_their_range():
    model = made(Plain)
    with pytest.raises(ValueError, match=r"bernoulli|probabilit|likelihood"):
        examined(model, decode=lambda z: 4 * model.decode(z) - 2)
