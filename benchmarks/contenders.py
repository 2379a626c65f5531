"""Four ways to train one network, 784-400-20 with a Bernoulli likelihood on binary Fashion-MNIST, batches of 128.

Each contender is a function of the data that yields, after every epoch, the seconds of training so far and the mean
held-out ELBO. The time for measuring is excluded, and one function measures the ELBO of all contenders.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from os import devnull
from tempfile import TemporaryDirectory

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from vae_lessons.distributions import kl_to_standard_normal, log_bernoulli, sample_normal
from vae_lessons.models import VAE
from vae_lessons.training import fit, one_cycle

PIXELS, HIDDEN, LATENTS, BATCH = 784, 400, 20, 128
FAST_EPOCHS, FAST_LR = 3, 1e-2

Epochs = Iterator[tuple[float, float]]  # seconds of training so far, held-out ELBO


def binarised(x: Tensor, seed: int) -> Tensor:
    """Draw each grey pixel once as 0 or 1, with its grey level as the probability of 1: data for a Bernoulli."""
    return torch.bernoulli(x, generator=torch.Generator().manual_seed(seed))


@torch.no_grad()
def held_out_elbo(encode: Callable, decode: Callable, x: Tensor) -> float:
    """Mean one-sample ELBO in nats per picture: encode(x) gives mu and log_var, decode(z) gives log-odds."""
    mu, log_var = encode(x)
    z = sample_normal(mu, log_var, torch.Generator().manual_seed(0))
    return (log_bernoulli(x, decode(z)) - kl_to_standard_normal(mu, log_var)).mean().item()


def floor(x: Tensor, epochs: int) -> list[float]:
    """Seconds per epoch for the network's matrix products, forward and backward, and Adam's steps alone."""
    shapes = ((HIDDEN, PIXELS), (2 * LATENTS, HIDDEN), (HIDDEN, LATENTS), (PIXELS, HIDDEN))
    weights = [nn.Parameter(torch.rand(shape)) for shape in shapes]
    for weight in weights:
        weight.grad = torch.full_like(weight, 1e-3)
    adam = torch.optim.Adam(weights, lr=1e-6, fused=True)  # as in fit; moves seven times the weights' bytes
    w1, w2, w3, w4 = (weight.detach() for weight in weights)
    batches = [x[start : start + BATCH] for start in range(0, len(x), BATCH)]
    seconds = []
    for _ in range(epochs + 1):
        start = time.perf_counter()
        for batch in batches:
            h = batch @ w1.T
            q = h @ w2.T
            g = q[:, :LATENTS] @ w3.T
            out = g @ w4.T
            out.T @ g  # gradients of the weights and of their inputs
            g = out @ w4
            g.T @ q[:, :LATENTS]
            g @ w3
            q.T @ h
            h = q @ w2
            h.T @ batch
            adam.step()
        seconds.append(time.perf_counter() - start)
    return seconds[1:]  # the first warms up


def course(x: Tensor, x_held: Tensor, epochs: int = 7, after_epoch: Callable | None = None) -> Epochs:
    """`training.fit` as the lessons use it, with the batch size and the constant learning rate of the others.

    `after_epoch()` is not timed. It can measure something else in between, with the machine in the same state.
    """
    return _fit(_vae(), x, x_held, after_epoch, epochs=epochs, lr=1e-3)


def course_fast(x: Tensor, x_held: Tensor) -> Epochs:
    """`training.fit` with a large learning rate that rises and falls, starting from the mean picture."""
    vae = _vae()
    with torch.no_grad():
        vae.decoder[-1].bias.copy_(torch.logit(x.mean(0).clamp(0.01, 0.99)))
    return _fit(vae, x, x_held, epochs=FAST_EPOCHS, lr=one_cycle(FAST_LR))


def _vae():
    torch.manual_seed(0)
    return VAE(PIXELS, LATENTS, (HIDDEN,))


def _fit(vae, x, x_held, after_epoch=None, **options):
    elbos = []

    def terms(batch):
        if not vae.training:  # fit measures held-out data after each epoch, off the clock
            elbos.append(held_out_elbo(vae.q_z_given_x, vae.decoder, x_held))
            if after_epoch:
                after_epoch()
            return {"loss": torch.zeros(())}
        elbo, log_p_x_given_z, kl = vae.elbo(batch)
        return {"loss": -elbo.mean(), "reconstruction": -log_p_x_given_z.mean(), "kl": kl.mean()}

    history = fit(vae, terms, x, batch_size=BATCH, held_out=[x_held[:1]], progress=False, **options)
    yield from zip(history.seconds, elbos, strict=True)


class Pictures(Dataset):
    """A data set like torchvision's: it makes a PIL image and then a tensor of a picture each time it is accessed."""

    def __init__(self, x: Tensor):
        self.pixels = (x * 255).round().byte().view(-1, 28, 28).numpy()

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> Tensor:
        image = Image.fromarray(self.pixels[index])
        pixels = torch.from_numpy(np.array(image, copy=True)).view(28, 28, 1)
        return pixels.permute(2, 0, 1).contiguous().float().div(255)


def copied(x: Tensor, x_held: Tensor, epochs: int = 10) -> Epochs:
    """The loop that most people copy: DataLoader, a conversion for each picture, default Adam, .item() each step."""
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Linear(PIXELS, HIDDEN), nn.ReLU())
    to_mu, to_log_var = nn.Linear(HIDDEN, LATENTS), nn.Linear(HIDDEN, LATENTS)
    decoder = nn.Sequential(nn.Linear(LATENTS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PIXELS))
    modules = nn.ModuleList([encoder, to_mu, to_log_var, decoder])
    optimizer = torch.optim.Adam(modules.parameters(), lr=1e-3)
    loader = DataLoader(Pictures(x), batch_size=BATCH, shuffle=True)

    def encode(batch):
        h = encoder(batch)
        return to_mu(h), to_log_var(h)

    seconds, train_loss = 0.0, 0.0
    for _ in range(epochs):
        start = time.perf_counter()
        for batch in loader:
            batch = batch.view(-1, PIXELS)
            mu, log_var = encode(batch)
            z = mu + torch.exp(0.5 * log_var) * torch.randn_like(log_var)
            reconstruction = torch.sigmoid(decoder(z))
            bce = F.binary_cross_entropy(reconstruction, batch, reduction="sum")
            kl = -0.5 * torch.sum(1 + log_var - mu.pow(2) - log_var.exp())
            loss = (bce + kl) / len(batch)
            optimizer.zero_grad()
            loss.backward()
            train_loss += loss.item()
            optimizer.step()
        seconds += time.perf_counter() - start
        yield seconds, held_out_elbo(encode, decoder, x_held)


def pythae(x: Tensor, x_held: Tensor, epochs: int = 13) -> Epochs:
    """The library pythae: its VAE, data set and trainer, with this network."""
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE as PythaeVAE
    from pythae.models import VAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.models.nn import BaseDecoder, BaseEncoder
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import TrainingCallback

    class Encoder(BaseEncoder):
        def __init__(self):
            super().__init__()
            self.hidden = nn.Sequential(nn.Linear(PIXELS, HIDDEN), nn.ReLU())
            self.mu, self.log_var = nn.Linear(HIDDEN, LATENTS), nn.Linear(HIDDEN, LATENTS)

        def forward(self, x):
            h = self.hidden(x.reshape(len(x), -1))
            return ModelOutput(embedding=self.mu(h), log_covariance=self.log_var(h))

    class Decoder(BaseDecoder):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(LATENTS, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, PIXELS))

        def forward(self, z):
            return ModelOutput(reconstruction=torch.sigmoid(self.layers(z)).reshape(-1, 1, 28, 28))

    class Clock(TrainingCallback):
        def __init__(self):
            self.seconds, self.record = 0.0, []

        def on_epoch_begin(self, training_config, **rest):
            self.start = time.perf_counter()

        def on_epoch_end(self, training_config, **rest):
            self.seconds += time.perf_counter() - self.start
            output = model.encoder(x_held)
            elbo = held_out_elbo(lambda _: (output.embedding, output.log_covariance), model.decoder.layers, x_held)
            self.record.append((self.seconds, elbo))

    torch.manual_seed(0)
    config = VAEConfig(input_dim=(1, 28, 28), latent_dim=LATENTS, reconstruction_loss="bce")
    model, clock = PythaeVAE(config, encoder=Encoder(), decoder=Decoder()), Clock()
    data = BaseDataset(x.view(-1, 1, 28, 28), torch.zeros(len(x)))
    logging.disable(logging.INFO)
    with (
        TemporaryDirectory() as folder,
        open(devnull, "w", encoding="utf-8") as silent,
        redirect_stdout(silent),
        redirect_stderr(silent),
    ):
        options = BaseTrainerConfig(
            output_dir=folder, num_epochs=epochs, per_device_train_batch_size=BATCH, learning_rate=1e-3, no_cuda=True
        )
        BaseTrainer(model, data, training_config=options, callbacks=[clock]).train()
    yield from clock.record
