"""Train the networks of the live figures once, and store their weights in vae_lessons/live/networks.npz.

    python benchmarks/live_networks.py      # two minutes

- "digit 0.1", "digit 1" and "digit 8": VAEs with eight latents on 4,000 digits, trained with this beta, whole: encoder
  and decoder; and a held-out digit of each class.
- "plain" and "vae": decoders of an autoencoder and of a VAE with two latents, trained on 1,000 digits as in lesson 01,
  "best": to the best epoch for 1,000 others, or "late": for 450 epochs; and codes of digits.
- "face": the decoder of a VAE with ten latents on 12,000 faces; the mean codes of some held-out people; the normal
  distribution of the training faces' mean codes; vectors for a smile and for glasses, as in lesson 09.
"""

import copy
from itertools import product
from pathlib import Path

import numpy as np
import torch

from vae_lessons import data
from vae_lessons.distributions import log_bernoulli
from vae_lessons.latents import attribute_vector
from vae_lessons.models import VAE, Autoencoder, GaussianVAE
from vae_lessons.training import fit, one_cycle

TARGET = Path(__file__).parents[1] / "vae_lessons" / "live" / "networks.npz"
TRAININGS = [("best", 150, "cost"), ("late", 450, None)]  # name, epochs, what chooses the epoch that is kept
PEOPLE = 24  # whose codes are stored


def layers(network):
    """Weights (in, out) and biases of the linear layers, in half precision."""
    linear = [layer for layer in network if isinstance(layer, torch.nn.Linear)]
    return [array.detach().numpy().astype(np.float16) for layer in linear for array in (layer.weight.T, layer.bias)]


def negative_elbo(model, beta=1.0):
    """The loss of a VAE, with the KL multiplied by beta."""

    def loss(x):
        elbo = model.elbo(x)
        return {"loss": (-elbo.elbo + (beta - 1) * elbo.kl).mean()}

    return loss


def digit_vaes():
    """A VAE for each beta, on all digits that are not held out, and some that are."""
    (x, _), (x_held, y_held) = data.digits()
    x, models = (x > 0.5).float(), {}
    for beta in (0.1, 1, 8):
        torch.manual_seed(0)
        models[beta] = VAE(784, 8, hidden=(64,))
        fit(models[beta], negative_elbo(models[beta], beta), x, epochs=60, lr=one_cycle(4e-3), seed=0)
    examples = torch.stack([x_held[y_held == digit][0] for digit in range(10)]) > 0.5
    return models, np.packbits(examples.numpy(), axis=1)


def planes():
    """An autoencoder and a VAE with two latents, on 1,000 digits; each at its best epoch, and after 450 epochs."""
    (x, y), (x_held, y_held) = data.digits()
    x, x_held = (x > 0.5).float(), (x_held > 0.5).float()
    examples = torch.stack([x_held[y_held == digit][0] for digit in range(10)])
    kinds = {  # by name: the class, the loss, and the code of a picture
        "plain": (Autoencoder, lambda m, x: -log_bernoulli(x, m.decoder(m.encoder(x))), lambda m, x: m.encoder(x)),
        "vae": (VAE, lambda m, x: -m.elbo(x).elbo, lambda m, x: m.q_z_given_x(x)[0]),
    }
    found, models = {"labels": y[:1000].numpy().astype(np.uint8)}, {}
    for (kind, (build, loss, code)), (when, epochs, keep_best) in product(kinds.items(), TRAININGS):
        torch.manual_seed(0)
        model = build(784, 2, hidden=(128, 64))

        def terms(x, model=model, loss=loss, code=code):
            if model.training:
                return {"loss": loss(model, x).mean()}
            return {"cost": -log_bernoulli(x, model.decoder(code(model, x))).mean()}

        fit(model, terms, x[:1000], epochs=epochs, held_out=[x[1000:2000]], keep_best=keep_best, seed=0)
        name = f"{kind} {when}"
        models[name] = model
        with torch.no_grad():
            for what, pictures in (("codes", x[:1000]), ("held-out codes", x_held), ("examples", examples)):
                found[f"{name} {what}"] = code(model, pictures).numpy().astype(np.float16)
    return models, found


def face_vae():
    """A VAE on faces, the codes of some held-out people, and two attribute vectors."""
    x, factors = data.faces(12_000, seed=0)
    held, _ = data.faces(PEOPLE, seed=1)
    torch.manual_seed(0)
    model = GaussianVAE(2304, 10, hidden=(128,))
    fit(model, negative_elbo(model), x, epochs=40, lr=one_cycle(4e-3), seed=0)
    with torch.no_grad():
        z, people = model.q_z_given_x(x)[0], model.q_z_given_x(held)[0]
        found = {"people": people, "mean": z.mean(0), "cholesky": torch.linalg.cholesky(z.T.cov())}
        found["smile"] = attribute_vector(z, factors["smile"] > 0)
        found["glasses"] = attribute_vector(z, factors["glasses"] > 0.5)
    return model, {name: array.numpy().astype(np.float16) for name, array in found.items()}


def main():
    """Train all, and write them."""
    arrays = {}

    def keep(name, network, inputs):
        for number, array in enumerate(layers(network)):
            arrays[f"{name}/{number}"] = array
        with torch.no_grad():
            full, rounded = network(inputs), copy.deepcopy(network).half().float()(inputs)
        print(f"{name}: rounding the weights changes an output by {(full - rounded).abs().max():.4f} at most")

    digits = (data.digits()[1][0][:100] > 0.5).float()
    models, arrays["digit examples"] = digit_vaes()
    for beta, model in models.items():
        with torch.no_grad():
            codes = model.q_z_given_x(digits)[0]
        keep(f"digit {beta} encoder", model.encoder, digits)
        keep(f"digit {beta} decoder", model.decoder, codes)
    models, more = planes()
    for name, model in models.items():
        keep(f"{name} decoder", model.decoder, torch.from_numpy(more[f"{name} codes"]).float())
    arrays |= more
    face, more = face_vae()
    keep("face decoder", face.decoder, torch.from_numpy(more["people"]).float())
    arrays |= {f"face {name}": array for name, array in more.items()}
    np.savez(TARGET, **arrays)
    print(f"{TARGET.name}: {TARGET.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
