"""The tasks of exercise 01, the plain autoencoder."""

import math
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.decomposition import PCA
from torch.distributions import Bernoulli

from vae_course.judging.task import Close, Mistake, Task, rounded_normal
from vae_course.visible.callables import Linear

__all__ = ["TASKS"]


def ink(rng, *shape):
    """Pictures of ink (1) and paper (0)."""
    return torch.tensor(rng.integers(0, 2, size=shape), dtype=torch.float32)


# autoencoder/bernoulli_cost(logits, x)


def draw_bernoulli(rng):
    pictures, pixels = int(rng.integers(2, 4)), int(rng.integers(4, 7))
    logits, x = rounded_normal(rng, pictures, pixels, scale=2.0), ink(rng, pictures, pixels)
    sure = torch.tensor(np.round(rng.uniform(130, 200, size=2), 1), dtype=torch.float32)
    logits[-1, :2] = torch.where(x[-1, :2] == 1, -sure, sure)  # wrongly sure
    logits[-1, 2] = 150 if x[-1, 2] == 1 else -150  # rightly sure
    return {"logits": logits, "x": x}


def bernoulli(logits, x):
    """Ink costs log(1 + exp(-logit)), paper log(1 + exp(logit))."""
    wrong_way = np.where(x.numpy() == 1, -logits.numpy(), logits.numpy())
    return np.logaddexp(0, wrong_way).sum(1)


def nats(logits, x):
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none")


def from_probabilities(p, x, eps=0.0):
    return -(x * (p + eps).log() + (1 - x) * (1 - p + eps).log())


SATURATED = (
    "Your function is right for small logits and breaks for large ones. In float32 exp(200) is infinite, and the sigmoid of 200 is "
    "exactly 1, so that 1 − 1 has no logarithm. Find a form that never leaves the logits: what is −log sigmoid(l), nearly, for a large "
    "negative l?"
)
CAPPED = (
    "No error and no nan, but no pixel can cost more than a few tens of nats any more, without a warning: what should a pixel with logit "
    "200 cost if it is paper? Find a form that never leaves the logits."
)

BERNOULLI = Task(
    name="autoencoder/bernoulli_cost",
    draw=draw_bernoulli,
    reference=bernoulli,
    library=("vae_lessons.distributions.log_bernoulli",),
    mistakes=(
        Mistake(
            "mean over the pixels",
            "You average over the pixels. The probability of a picture is the product of its pixels' "
            "probabilities; what does the logarithm make of a product?",
            lambda logits, x: nats(logits, x).mean(-1),
            lambda logits, x: F.binary_cross_entropy(torch.sigmoid(logits), x, reduction="none").mean(-1),
        ),
        Mistake(
            "one number for the whole batch",
            "There should be one number for each picture, shape (B,). You also summed over the pictures.",
            lambda logits, x: nats(logits, x).sum(),
        ),
        Mistake(
            "one number for the whole batch",
            "There should be one number for each picture, shape (B,). You also averaged over the pictures.",
            lambda logits, x: nats(logits, x).sum(-1).mean(),
        ),
        Mistake(
            "one number for the whole batch",
            "There should be one number for each picture, shape (B,); yours is averaged over pictures and pixels.",
            lambda logits, x: nats(logits, x).mean(),
        ),
        Mistake(
            "one number for the whole batch",
            "There should be one number for each picture, shape (B,). The loss functions of PyTorch average "
            "or add up over everything unless told otherwise.",
            *(
                answer
                for answer in (
                    lambda logits, x: F.binary_cross_entropy(torch.sigmoid(logits), x),
                    lambda logits, x: F.binary_cross_entropy(torch.sigmoid(logits), x, reduction="sum"),
                    lambda logits, x: F.binary_cross_entropy_with_logits(torch.sigmoid(logits), x),
                    lambda logits, x: F.binary_cross_entropy_with_logits(torch.sigmoid(logits), x, reduction="sum"),
                )
            ),
        ),
        Mistake(
            "one number for each pixel",
            "There should be one number for each picture, shape (B,). What does a whole picture cost, if you "
            "know what each of its pixels costs?",
            nats,
        ),
        Mistake(
            "summed over the wrong axis",
            "You summed over the batch and kept the pixels. Which axis counts the pixels in shape (B, D)?",
            lambda logits, x: nats(logits, x).sum(0),
        ),
        Mistake(
            "sign flipped",
            "Your numbers are negative: log-probabilities. A cost is to be small where the decoder does well.",
            lambda logits, x: -nats(logits, x).sum(-1),
        ),
        Mistake(
            "infinite for large logits",
            SATURATED,
            lambda logits, x: from_probabilities(torch.sigmoid(logits), x).sum(-1),
            lambda logits, x: torch.where(x == 1, -torch.sigmoid(logits).log(), -(1 - torch.sigmoid(logits)).log()).sum(
                -1
            ),
            lambda logits, x: from_probabilities(1 / (1 + (-logits).exp()), x).sum(-1),
            lambda logits, x: (x * (1 + (-logits).exp()).log() + (1 - x) * (1 + logits.exp()).log()).sum(-1),
            lambda logits, x: (1 + torch.where(x == 1, -logits, logits).exp()).log().sum(-1),
            lambda logits, x: ((1 + logits.exp()).log() - x * logits).sum(-1),
        ),
        Mistake(
            "a cost that stops at 100 nats a pixel",
            "No error and no nan, but a pixel with logit 200 that should have been paper costs 200 nats, and "
            "yours costs 100: `binary_cross_entropy` cuts logarithms off there. It needs probabilities; which "
            "relative of it takes logits?",
            lambda logits, x: F.binary_cross_entropy(torch.sigmoid(logits), x, reduction="none").sum(-1),
        ),
        Mistake(
            "a small number added inside the logarithm",
            CAPPED,
            *(
                partial(lambda logits, x, eps: from_probabilities(torch.sigmoid(logits), x, eps).sum(-1), eps=eps)
                for eps in (1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12)
            ),
        ),
        Mistake(
            "probabilities kept away from 0 and 1",
            CAPPED,
            *(
                partial(
                    lambda logits, x, eps: from_probabilities(torch.sigmoid(logits).clamp(eps, 1 - eps), x).sum(-1),
                    eps=eps,
                )
                for eps in (1e-4, 1e-5, 1e-6, 1e-7)
            ),
            lambda logits, x: -Bernoulli(torch.sigmoid(logits)).log_prob(x).sum(-1),
        ),
        Mistake(
            "logits kept small",
            "You cut large logits off, and with them the cost: a decoder that swears to ink with logit 200 "
            "owes 200 nats for a paper pixel. Find a form that needs no cutting.",
            *(
                partial(lambda logits, x, at: nats(logits.clamp(-at, at), x).sum(-1), at=at)
                for at in (10, 20, 30, 50, 80, 88)
            ),
        ),
        Mistake(
            "logits taken for probabilities",
            "You take logarithms of the logits themselves. They are log-odds and may be any number: which "
            "function turns log-odds into a probability?",
            lambda logits, x: from_probabilities(logits, x).sum(-1),
        ),
        Mistake(
            "the sigmoid applied twice",
            "A function that takes logits applies the sigmoid itself. You gave it probabilities: yours never "
            "calls ink less probable than ½.",
            lambda logits, x: nats(torch.sigmoid(logits), x).sum(-1),
        ),
        Mistake(
            "forgot the paper pixels",
            "Only ink pixels cost something in your function. A decoder that drew everything black with ink "
            "would be the best of all.",
            lambda logits, x: (x * F.softplus(-logits)).sum(-1),
            lambda logits, x: -(x * torch.sigmoid(logits).log()).sum(-1),
        ),
        Mistake(
            "ink and paper exchanged",
            "A large logit says ink, x = 1. In your function it costs most where it is right.",
            lambda logits, x: nats(logits, 1 - x).sum(-1),
        ),
        Mistake(
            "the two arguments exchanged",
            "The picture and the logits have changed places on the way into the formula. PyTorch's loss "
            "functions take what the network says first, and the target second.",
            lambda logits, x: nats(x, logits).sum(-1),
        ),
        Mistake(
            "bits instead of nats",
            "Your numbers are right in bits. This course counts in nats.",
            lambda logits, x: nats(logits, x).sum(-1) / math.log(2),
        ),
        Mistake(
            "squared error",
            "That is a squared distance. Asked is minus the logarithm of the probability that the decoder "
            "gave to the picture.",
            lambda logits, x: ((torch.sigmoid(logits) - x) ** 2).sum(-1),
        ),
    ),
)


# autoencoder/pca(x, k)


def draw_pca(rng):
    """Pictures (N, D) with singular values well apart, in turned directions, away from zero."""
    pixels = int(rng.integers(4, 6))
    pictures = int(rng.integers(pixels + 2, pixels + 5))
    scores = rng.normal(size=(pictures, pixels))
    left, _ = np.linalg.qr(scores - scores.mean(0))
    turn, _ = np.linalg.qr(rng.normal(size=(pixels, pixels)))
    x = left * (12.0 * 0.55 ** np.arange(pixels)) @ turn + rng.uniform(2, 4, size=pixels) * rng.choice([-1, 1], pixels)
    return {"x": torch.tensor(np.round(x, 2), dtype=torch.float32), "k": int(rng.integers(2, pixels - 1))}


def pca(x, k):
    model = PCA(k, svd_solver="full").fit(x.numpy())
    return model.inverse_transform(model.transform(x.numpy()))


def rebuilt(x, k, mean, first=0):
    _, _, rows = torch.linalg.svd(x - mean)
    directions = rows[first : first + k]
    return (x - mean) @ directions.T @ directions + mean


def by_eigenvectors(x, k, choose):
    mean = x.mean(0)
    _, vectors = torch.linalg.eigh((x - mean).T @ (x - mean))  # ascending
    u = choose(vectors)
    return (x - mean) @ u @ u.T + mean


def scaled(x, k):
    mean, std = x.mean(0), x.std(0)
    return rebuilt((x - mean) / std, k, torch.zeros_like(mean)) * std + mean


PCA_TASK = Task(
    name="autoencoder/pca",
    draw=draw_pca,
    reference=pca,
    agree=Close(rtol=1e-3, atol=1e-3),
    mistakes=(
        Mistake(
            "not centred",
            "Your plane goes through the origin. What if all pictures were bright: would you spend the first "
            "direction on saying so?",
            lambda x, k: rebuilt(x, k, torch.zeros_like(x[0])),
        ),
        Mistake(
            "mean not added back",
            "You subtract something before you project and do not give it back. The average of all rebuilt "
            "pictures should be the average of all pictures.",
            lambda x, k: rebuilt(x, k, x.mean(0)) - x.mean(0),
        ),
        Mistake(
            "found centred, applied uncentred",
            "Your directions are right. A picture at the mean of all pictures should be rebuilt without error: is it?",
            lambda x, k: (lambda v: x @ v.T @ v)(torch.linalg.svd(x - x.mean(0))[2][:k]),
        ),
        Mistake(
            "found uncentred, applied centred",
            "You centre the pictures when you project, but not when you look for the directions: your first "
            "one points at the mean.",
            lambda x, k: (lambda v: (x - x.mean(0)) @ v.T @ v + x.mean(0))(torch.linalg.svd(x)[2][:k]),
        ),
        Mistake(
            "the least components kept",
            "You keep the directions in which the pictures differ least. In which order does the function "
            "that you used return them?",
            lambda x, k: by_eigenvectors(x, k, lambda v: v[:, :k]),
            lambda x, k: (lambda v: x @ v @ v.T)(torch.linalg.eigh(x.T @ x)[1][:, :k]),
            lambda x, k: (lambda v: x @ v @ v.T)(torch.linalg.eigh(torch.cov(x.T))[1][:, :k]),
        ),
        Mistake(
            "rows taken for columns",
            "The directions that you project on are not the components, though each has length 1. "
            "`torch.linalg.svd` returns the third matrix transposed: where do its directions stand?",
            lambda x, k: (lambda m, v: (x - m) @ v[:, :k] @ v[:, :k].T + m)(
                x.mean(0), torch.linalg.svd(x - x.mean(0))[2]
            ),
        ),
        Mistake(
            "rows taken for columns",
            "The directions that you project on are not the components, though each has length 1. `eigh` "
            "returns eigenvectors as columns.",
            lambda x, k: by_eigenvectors(x, k, lambda v: v[-k:].T),
        ),
        Mistake(
            "centred along the wrong axis",
            "You subtract from every picture its own average brightness. The covariance is about the average "
            "picture: which axis counts the pictures?",
            lambda x, k: rebuilt(x, k, x.mean(1, keepdim=True)),
        ),
        Mistake(
            "centred along the wrong axis",
            "You subtract one number from everything. The covariance is about the average picture, one number "
            "for each pixel.",
            lambda x, k: rebuilt(x, k, x.mean()),
        ),
        Mistake(
            "one component too many or too few",
            "You keep k + 1 directions. The mean is not one of the k, and needs no place among them.",
            lambda x, k: rebuilt(x, k + 1, x.mean(0)),
        ),
        Mistake(
            "one component too many or too few",
            "You keep k − 1 directions: count them.",
            lambda x, k: rebuilt(x, k - 1, x.mean(0)),
        ),
        Mistake(
            "only the k-th component kept",
            "You keep one direction alone. Asked are the k with the most variance, together.",
            lambda x, k: rebuilt(x, 1, x.mean(0), first=k - 1),
        ),
        Mistake(
            "the first component left out",
            "You keep k directions, but leave out the one with the most variance.",
            lambda x, k: rebuilt(x, k, x.mean(0), first=1),
        ),
        Mistake(
            "codes without their lengths",
            "All your codes are of the same small length. In x = U S V the matrix U has columns of length 1: "
            "what says how far to walk along each direction?",
            lambda x, k: (lambda u, _, v: u[:, :k] @ v[:k] + x.mean(0))(*torch.linalg.svd(x - x.mean(0))),
        ),
        Mistake(
            "codes instead of pictures",
            "You return the codes, shape (N, k). Decode them: the same directions lead back, to shape (N, D).",
            lambda x, k: (x - x.mean(0)) @ torch.linalg.svd(x - x.mean(0))[2][:k].T,
        ),
        Mistake(
            "every pixel scaled to variance 1 first",
            "You divide each pixel by its spread before you look for the directions. That minimises another "
            "error: one in which a pixel that hardly changes counts as much as any other.",
            scaled,
        ),
    ),
)


# autoencoder/nudge(z, r, eps)


def draw_nudge(rng):
    latents = int(rng.integers(2, 4))
    codes = int(rng.integers(latents + 1, latents + 4))
    scale = np.array([0.5, 8.0, 2.0])[:latents]
    z = rng.normal(size=(codes, latents)) * scale + rng.uniform(1, 3, size=latents) * scale
    eps = rng.normal(size=(codes, latents))
    eps += np.sign(eps) * 0.2  # no direction of length near zero
    return {
        "z": torch.tensor(np.round(z, 2), dtype=torch.float32),
        "r": round(float(rng.uniform(0.2, 0.6)), 2),
        "eps": torch.tensor(np.round(eps, 2), dtype=torch.float32),
    }


def nudged(z, r, eps):
    z, eps = z.numpy(), eps.numpy()
    spread = np.sqrt(np.diag(np.cov(z.T)))
    return np.stack([code + r * spread * e / np.sqrt((e**2).sum()) for code, e in zip(z, eps, strict=True)])


def unit(eps):
    return eps / eps.norm(dim=1, keepdim=True)


NUDGE = Task(
    name="autoencoder/nudge",
    draw=draw_nudge,
    reference=nudged,
    library=("vae_lessons.latents.nudge",),
    mistakes=(
        Mistake(
            "nudges of different lengths",
            "That is the nudge of the lesson: its length depends on how long `eps` happens to be. Here every "
            "code is to move by exactly r, measured in spreads.",
            lambda z, r, eps: z + r * z.std(0) * eps,
        ),
        Mistake(
            "lengths measured without the spread",
            "Every code moves by r in the codes' own numbers. What is a step of 0.3 to a latent that spreads "
            "over 8, and to one that spreads over 0.5?",
            lambda z, r, eps: z + r * unit(eps),
        ),
        Mistake(
            "lengths measured without the spread",
            "The codes' spread does not occur in your function, and the length of `eps` still does.",
            lambda z, r, eps: z + r * eps,
        ),
        Mistake(
            "scaled first, then brought to length r",
            "Your step has length r in the codes' own numbers. Asked is length r after each coordinate has "
            "been divided by its spread: in which order do scaling and normalising have to come?",
            lambda z, r, eps: z + r * unit(eps * z.std(0)),
        ),
        Mistake(
            "one spread for all latents",
            "You use one number for all latents. A latent with a small spread is then thrown far away, and "
            "one with a large spread hardly moved.",
            lambda z, r, eps: z + r * z.std() * unit(eps),
            lambda z, r, eps: z + r * z.std(0).mean() * unit(eps),
            lambda z, r, eps: z + r * z.std() * eps,
        ),
        Mistake(
            "variance taken for spread",
            "Your steps do not have the codes' unit: measure the codes in metres, and yours come out in square metres.",
            lambda z, r, eps: z + r * z.var(0) * eps,
            lambda z, r, eps: z + r * z.var(0) * unit(eps),
        ),
        Mistake(
            "spread across the latents",
            "You take the spread of each code's own numbers. Asked is how much one latent varies from code to "
            "code: which axis counts the codes?",
            lambda z, r, eps: z + r * z.std(1, keepdim=True) * unit(eps),
            lambda z, r, eps: z + r * z.std(1, keepdim=True) * eps,
        ),
        Mistake(
            "the whole batch brought to length 1",
            "You divide by one length for all codes. Each code has a direction of its own, and a length of its own.",
            lambda z, r, eps: z + r * z.std(0) * eps / eps.norm(),
        ),
        Mistake(
            "normalised along the wrong axis",
            "You divide by lengths taken over the codes. The direction of one code is one row of `eps`.",
            lambda z, r, eps: z + r * z.std(0) * eps / eps.norm(dim=0),
        ),
        Mistake(
            "divided by the squared length",
            "The longer `eps` is, the shorter your step. The length of a vector has a root.",
            lambda z, r, eps: z + r * z.std(0) * eps / (eps**2).sum(1, keepdim=True),
        ),
        Mistake(
            "divided by the mean square",
            "Your steps are all equally long, but too long, by a factor that grows with the number of latents.",
            lambda z, r, eps: z + r * z.std(0) * eps / (eps**2).mean(1, keepdim=True).sqrt(),
        ),
        Mistake(
            "standard deviation with N in place of N − 1",
            "Nearly: asked is the sample standard deviation, divided by N − 1, as `torch.std` does. NumPy "
            "divides by N unless told otherwise.",
            lambda z, r, eps: z + r * z.std(0, correction=0) * unit(eps),
        ),
        Mistake(
            "the step without the code",
            "You return how far to move. Asked is where the codes arrive.",
            lambda z, r, eps: r * z.std(0) * unit(eps),
        ),
        Mistake(
            "moved from the mean code",
            "All your codes end up around one point. Each one starts from where it is.",
            lambda z, r, eps: z.mean(0) + r * z.std(0) * unit(eps),
        ),
    ),
)


# autoencoder/rise(encode, decode, x, eps, r, batch_size)


def draw_rise(rng):
    batch_size, latents, pixels = int(rng.integers(3, 5)), 2, int(rng.integers(4, 7))
    pictures = 2 * batch_size + int(rng.integers(2, batch_size))
    scale = torch.tensor([[0.4], [2.0]])
    x = ink(rng, pictures, pixels)
    x[:, 0] = torch.arange(pictures) % 2  # no batch without any spread
    return {
        "encode": Linear(
            (rounded_normal(rng, pixels, latents, scale=0.5) + torch.eye(pixels, latents)) * scale.T,
            rounded_normal(rng, latents),
        ),
        "decode": Linear(rounded_normal(rng, latents, pixels) / scale, rounded_normal(rng, pixels)),
        "x": x,
        "eps": rounded_normal(rng, pictures, latents),
        "r": round(float(rng.uniform(0.5, 1.2)), 2),
        "batch_size": batch_size,
    }


def rise(encode, decode, x, eps, r, batch_size):
    z = encode(x)
    moved = z + r * torch.tensor(np.std(z.numpy(), axis=0, ddof=1)) * eps
    sure = (decode(codes).numpy() for codes in (z, moved))  # a probability near 1 would have lost its last digits
    cost = [np.logaddexp(0, np.where(x.numpy() == 1, -logits, logits)).sum(1) for logits in sure]
    return (cost[1] - cost[0]).mean()


def measured(
    encode, decode, x, eps, r, batch_size, *, unit="all", target="picture", weight="picture", noise="own", result="rise"
):
    """The colleague's way, with each of its parts right unless named otherwise."""
    everywhere, rises = encode(x), []
    for batch, e in zip(x.split(batch_size), eps.split(batch_size), strict=True):
        z = encode(batch)
        spread = {"all": everywhere.std(0), "batch": z.std(0), "one": everywhere.std(), "none": 1.0}[unit]
        step = r * spread * (e if noise == "own" else eps[: len(z)])
        before, after = decode(z), decode(z + step)
        wanted = {"picture": batch, "drawing": torch.sigmoid(before), "binary": (before > 0).float()}[target]
        cost = nats(after, wanted).sum(1) - (nats(before, wanted).sum(1) if result == "rise" else 0)
        rises.append(cost)
    if weight == "batch":
        return torch.stack([one.mean() for one in rises]).mean()
    return torch.cat(rises).sum() if weight == "sum" else torch.cat(rises).mean()


WEIGHT = (
    "Every batch counts alike in your average, also the last one, which is smaller. Hand in five pictures with batches of 4: "
    "how much does the fifth picture count?"
)
TARGET = (
    "Nothing in your number depends on whether the decoder drew the right picture before the nudge or after it: a decoder that "
    "draws nonsense, and the same nonsense after the nudge, would do perfectly. Whose cost did the text ask for?"
)
UNIT = (
    "The length of your nudge depends on which pictures happen to share a batch. Try batches of two pictures that look alike: "
    "how far are their codes moved?"
)
SEVERAL = (
    "It is not right yet in more than one place. Ask three things of the function: what is the drawing compared with, what is the "
    "unit of the nudge, and does each picture count as much as any other?"
)

RISE = Task(
    name="autoencoder/rise",
    draw=draw_rise,
    reference=rise,
    mistakes=(
        Mistake(
            "batches averaged as if equally large",
            WEIGHT,
            partial(measured, weight="batch"),
        ),
        Mistake(
            "compared with the model's own drawing",
            TARGET,
            partial(measured, target="drawing"),
            partial(measured, target="binary"),
        ),
        Mistake(
            "a unit for each batch",
            UNIT,
            partial(measured, unit="batch"),
        ),
        Mistake(
            "nothing repaired yet",
            "That is the colleague's function as it was. Change the batch size in the example, and see "
            "whether one picture more or less should matter so much.",
            partial(measured, weight="batch", target="drawing", unit="batch"),
        ),
        Mistake(
            "more than one fault left",
            SEVERAL,
            partial(measured, weight="batch", target="drawing"),
            partial(measured, weight="batch", unit="batch"),
            partial(measured, target="drawing", unit="batch"),
        ),
        Mistake(
            "the cost instead of its rise",
            "You return what the pictures cost after the nudge. What did they cost before?",
            partial(measured, result="cost"),
        ),
        Mistake(
            "sign flipped",
            "You return by how much the cost falls.",
            lambda *a: -measured(*a),
        ),
        Mistake(
            "a sum over the pictures",
            "Your number is that of all pictures together. Asked are nats per picture.",
            partial(measured, weight="sum"),
        ),
        Mistake(
            "mean over the pixels",
            "Your number is the right one divided by the number of pixels. A picture costs what all its "
            "pixels cost together.",
            lambda encode, decode, x, *a: measured(encode, decode, x, *a) / x.shape[1],
        ),
        Mistake(
            "one spread for all latents",
            "You use one number as the unit of all latents. Each has a spread of its own.",
            partial(measured, unit="one"),
        ),
        Mistake(
            "the same noise in every batch",
            "Every batch gets the noise of the first one. Row n of `eps` belongs to picture n.",
            partial(measured, noise="first"),
        ),
        Mistake(
            "a nudge without a unit",
            "The spread of the codes does not occur in your function, so that r means something else for every model.",
            partial(measured, unit="none"),
        ),
    ),
)


# autoencoder/advise(train, held)

WORDS = ("stop earlier", "train longer", "more pictures", "larger model")


def draw_runs(rng):
    """Twelve runs of 60 epochs, all kinds in each case, in any order; no run is near a boundary."""
    epoch = np.arange(60)

    def run(gap, slope=0.0, ahead=0.0, turn=None, held_spike=None, train_spike=None):
        start, fall = rng.uniform(90, 150), rng.uniform(40, 90) * np.exp(-epoch / rng.uniform(3, 4.5))
        held = start + gap + fall + slope * (60 - epoch)
        train = start + fall + slope * (60 - epoch) - ahead * epoch
        if turn is not None:
            held += rng.uniform(14, 25) * np.maximum(epoch - turn, 0) / (60 - turn)
        for cost, spike in ((held, held_spike), (train, train_spike)):
            cost += rng.normal(scale=0.4, size=60)
            if spike is not None:
                cost[spike] += rng.uniform(130, 200)
        return train, held

    def few():
        return rng.uniform(0.5, 2.0)

    def many():
        return rng.uniform(12, 30)

    def falling():
        return rng.uniform(0.5, 0.8)

    runs = [
        run(few(), ahead=0.3, turn=int(rng.integers(22, 28))),  # stop earlier
        run(many(), ahead=0.3, turn=int(rng.integers(30, 36)), held_spike=40),
        run(few(), falling()),  # train longer
        run(many(), falling(), held_spike=59),
        run(few(), falling(), held_spike=55),
        run(many()),  # more pictures
        run(many(), ahead=falling()),
        run(many(), held_spike=59),
        run(few()),  # larger model
        run(few(), held_spike=59),
        run(few(), held_spike=56),
        run(few(), train_spike=59),
    ]
    order = rng.permutation(len(runs))
    train, held = (np.round(np.stack([runs[i][side] for i in order]), 1) for side in (0, 1))
    return {"train": torch.tensor(train, dtype=torch.float32), "held": torch.tensor(held, dtype=torch.float32)}


def advise(train, held):
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(held.numpy(), 10, axis=1), axis=2)  # (R, 51)
    gap = smooth[:, -1] - np.median(train.numpy()[:, -10:], axis=1)
    rules = [smooth[:, -1] - smooth.min(1) > 5, smooth[:, -11] - smooth[:, -1] > 2, gap > 5]
    return np.select(rules, WORDS[:3], WORDS[3])


def medians(costs):  # (R, E) -> (R, E - 9)
    return np.median(np.lib.stride_tricks.sliding_window_view(costs.numpy(), 10, axis=1), axis=2)


def means(costs):
    return costs.unfold(1, 10, 1).mean(2).numpy()


def single(costs):
    return costs[:, 9:].numpy()


def by_rule(train, held, *, level=medians, fall_of="held", ahead=10, rise=5.0, gap_first=False, words=WORDS):
    """Words by the rule that is asked for, with each of its parts right unless named otherwise."""
    train, held = level(train), level(held)
    falling = {"held": held, "train": train}[fall_of]
    rose, fell = held[:, -1] - held.min(1), falling[:, -1 - ahead] - falling[:, -1]
    gap = held[:, -1] - train[:, -1]
    if gap_first:
        fell = np.where(gap > 5, 0, fell)
    return np.select([rose > rise, fell > 2, gap > 5], words[:3], words[3])


JITTER = (
    'Some runs that only jitter around one level get "stop earlier" from you. The lowest of 60 jittering numbers hardly ever stands '
    "last: by how much has the cost risen, compared with the jitter?"
)


def best_epoch(train, held, patience):
    """Overfitting wherever the lowest epoch lies some epochs back."""
    back = (held.argmin(1) < held.shape[1] - patience).numpy()
    words = by_rule(train, held)
    return np.where(back, WORDS[0], np.where(words == WORDS[0], WORDS[3], words))


def small_gap_first(train, held):
    gap = medians(held)[:, -1] - medians(train)[:, -1]
    return np.where(gap < 5, WORDS[3], by_rule(train, held))


def gap_is_overfitting(train, held):
    words = by_rule(train, held)
    return np.where(words == WORDS[2], WORDS[0], words)


def any_gap_is_overfitting(train, held):
    held, train = medians(held), medians(train)
    return np.select([held[:, -1] - train[:, -1] > 5, held[:, -11] - held[:, -1] > 2], WORDS[:2], WORDS[3])


GAP = (
    'You say "stop earlier" wherever held-out pictures cost more than training pictures. Where the held-out cost has never '
    "risen, what would stopping earlier have gained?"
)

ADVISE = Task(
    name="autoencoder/advise",
    draw=draw_runs,
    reference=advise,
    cases=3,
    mistakes=(
        Mistake(
            "jitter taken for overfitting",
            JITTER,
            partial(best_epoch, patience=1),
            partial(best_epoch, patience=5),
            partial(best_epoch, patience=10),
            partial(by_rule, rise=0.1),
            partial(by_rule, level=single, rise=0.5),
        ),
        Mistake(
            "the last epoch trusted",
            "One bad epoch at the very end turns your advice around. What would you say of the same run, had "
            "it ended an epoch before?",
            partial(by_rule, level=single),
        ),
        Mistake(
            "an average dragged by one epoch",
            "You average over epochs, which quiets the jitter. But one epoch that is off by 150 nats moves a "
            "mean of ten by 15. Which kind of middle does not care how far off one number is?",
            partial(by_rule, level=means),
        ),
        Mistake(
            "judged by the training cost",
            "In one kind of run only the training cost still falls at the end. Does training longer help "
            "pictures that the model has not seen?",
            partial(by_rule, fall_of="train"),
        ),
        Mistake(
            "every gap called overfitting",
            GAP,
            gap_is_overfitting,
            any_gap_is_overfitting,
        ),
        Mistake(
            "the gap looked at before the trend",
            'A run whose held-out cost still falls gets "more pictures" from you because of its gap. The list '
            "has an order: what is the cheapest thing to try?",
            partial(by_rule, gap_first=True),
        ),
        Mistake(
            "the gap looked at before the trend",
            'A run that still falls, or climbs again, gets "larger model" from you because its gap is small. '
            "The list has an order: what is the cheapest thing to try?",
            small_gap_first,
        ),
        Mistake(
            "two words exchanged",
            'You have exchanged "more pictures" and "larger model". A model that does as badly on pictures it '
            "knows: is it short of pictures, or of room?",
            partial(by_rule, words=(WORDS[0], WORDS[1], WORDS[3], WORDS[2])),
        ),
        Mistake(
            "two words exchanged",
            'You have exchanged "stop earlier" and "train longer". Which one does a rising held-out cost call for?',
            partial(by_rule, words=(WORDS[1], WORDS[0], WORDS[2], WORDS[3])),
        ),
        Mistake(
            "compared with the beginning",
            "You compare the end with the first epochs. Every run has fallen since then; the question is what "
            "it did lately.",
            partial(by_rule, ahead=50),
        ),
    ),
)


# autoencoder/compare(train_a, train_b, held_a, held_b)


def draw_costs(rng):
    """Costs of the same pictures under two models; the difference is below 2 standard errors, 3 to 3.8, or 12 to 20."""
    sizes = {"train": int(rng.integers(250, 400)), "held": int(rng.integers(120, 240))}
    low, high = ((0, 2), (3, 3.8), (12, 20))[rng.integers(3)]
    errors = rng.uniform(low, high) * rng.choice([-1, 1])
    means = {"train": -np.sign(errors) * rng.uniform(6, 12), "held": errors}
    costs = {}
    for side, size in sizes.items():
        picture, own = rng.gamma(6.0, 15.0, size=size) + 60, rng.normal(size=size)
        own = (own - own.mean()) / own.std(ddof=1) * np.exp(rng.uniform(-1, 2.5))
        own += means[side] * (own.std(ddof=1) / math.sqrt(size) if side == "held" else 1.0)  # minus is: a is better
        level = rng.uniform(0.3, 0.7)
        costs[f"{side}_a"], costs[f"{side}_b"] = picture + level * own, picture - (1 - level) * own
    names = ("train_a", "train_b", "held_a", "held_b")
    return {name: torch.tensor(np.round(costs[name], 2), dtype=torch.float32) for name in names}


def word(difference, error):
    if abs(difference) < 5 * error:
        return "cannot tell"
    return "b" if difference > 0 else "a"


def compare(train_a, train_b, held_a, held_b):
    each = held_a.numpy() - held_b.numpy()
    error = np.std(each, ddof=1) / np.sqrt(len(each))
    return word(each.mean(), error), each.mean(), error


def paired(a, b):
    return (a - b).mean(), (a - b).std() / math.sqrt(len(a))


def unpaired(a, b):
    return a.mean() - b.mean(), (a.var() / len(a) + b.var() / len(b)).sqrt()


COMPARE = Task(
    name="autoencoder/compare",
    draw=draw_costs,
    reference=compare,
    agree=Close(rtol=1e-3, atol=1e-3),
    cases=20,
    mistakes=(
        Mistake(
            "pictures not paired",
            "Your standard error holds the spread between easy and hard pictures, which both models share. "
            "Row n of both is the same picture: what is known about it?",
            lambda ta, tb, ha, hb: (word(*unpaired(ha, hb)), *unpaired(ha, hb)),
            lambda ta, tb, ha, hb: ("b" if ha.mean() > hb.mean() else "a", *unpaired(ha, hb)),
        ),
        Mistake(
            "pictures not paired",
            "Your standard error is that of one model's mean. It holds the spread between easy and hard "
            "pictures, which both models share. Row n of both is the same picture: what is known about it?",
            lambda ta, tb, ha, hb: (lambda d, e: (word(d, e), d, e))(
                ha.mean() - hb.mean(), ha.std() / math.sqrt(len(ha))
            ),
        ),
        Mistake(
            "pictures not paired",
            "You add up two standard errors. Both hold the spread between easy and hard pictures, which the "
            "two models share. Row n of both is the same picture: what is known about it?",
            lambda ta, tb, ha, hb: (lambda d, e: (word(d, e), d, e))(
                ha.mean() - hb.mean(), (ha.std() + hb.std()) / math.sqrt(len(ha))
            ),
        ),
        Mistake(
            "training pictures compared",
            "You compare the models on the pictures they were trained on. An autoencoder that has learned "
            "them by heart would win.",
            lambda ta, tb, ha, hb: (word(*paired(ta, tb)), *paired(ta, tb)),
        ),
        Mistake(
            "held-out cost compared with training cost",
            "You compare the gaps between held-out and training pictures. A model that does badly on both has "
            "no gap at all.",
            lambda ta, tb, ha, hb: (lambda d, e: (word(d, e), d, e))(
                (ha.mean() - ta.mean()) - (hb.mean() - tb.mean()), paired(ha, hb)[1]
            ),
        ),
        Mistake(
            "a winner by any margin",
            "Your two numbers are right, but you name a winner whatever the second one says. Would other "
            "held-out pictures name the same one?",
            lambda ta, tb, ha, hb: ("b" if (ha - hb).mean() > 0 else "a", *paired(ha, hb)),
        ),
        Mistake(
            "a winner by any margin",
            "Your two numbers are right, but your margin for a winner does not depend on the second.",
            lambda ta, tb, ha, hb: (word((ha - hb).mean(), 0.2), *paired(ha, hb)),
        ),
        Mistake(
            "a winner too early",
            "Your two numbers are right, but you name a winner at two standard errors. How many did the text ask for?",
            lambda ta, tb, ha, hb: (word(paired(ha, hb)[0], 0.4 * paired(ha, hb)[1]), *paired(ha, hb)),
        ),
        Mistake(
            "a winner too early",
            "Your two numbers are right, but you name a winner at one standard error. How many did the text ask for?",
            lambda ta, tb, ha, hb: (word(paired(ha, hb)[0], 0.2 * paired(ha, hb)[1]), *paired(ha, hb)),
        ),
        Mistake(
            "median for mean",
            "Your first number is a median. Nats add up over pictures, so that the mean is what a new picture "
            "is expected to cost.",
            lambda ta, tb, ha, hb: (lambda d, e: (word(d, e), d, e))((ha - hb).median(), paired(ha, hb)[1]),
        ),
        Mistake(
            "standard deviation for standard error",
            "Your second number is how much the difference varies from picture to picture. How much does the "
            "mean of N of them vary?",
            lambda ta, tb, ha, hb: (word((ha - hb).mean(), (ha - hb).std()), (ha - hb).mean(), (ha - hb).std()),
            lambda ta, tb, ha, hb: ("b" if ha.mean() > hb.mean() else "a", (ha - hb).mean(), (ha - hb).std()),
        ),
        Mistake(
            "standard error divided by N, not √N",
            "Four times as many pictures halve a standard error; yours falls to a quarter.",
            lambda ta, tb, ha, hb: (lambda d, e: (word(d, e), d, e))((ha - hb).mean(), (ha - hb).std() / len(ha)),
        ),
        Mistake(
            "the higher cost called better",
            "Your numbers are right; the word is the other model's. A cost is minus a log-probability: which "
            "one is better, the lower or the higher?",
            lambda ta, tb, ha, hb: (word(-paired(ha, hb)[0], paired(ha, hb)[1]), *paired(ha, hb)),
        ),
        Mistake(
            "b minus a",
            "Your word is right. The first number should say how much more a costs than b.",
            lambda ta, tb, ha, hb: (word(*paired(ha, hb)), -paired(ha, hb)[0], paired(ha, hb)[1]),
        ),
        Mistake(
            "b minus a",
            "The first number should say how much more a costs than b, and the cheaper one is the better.",
            lambda ta, tb, ha, hb: (word(*paired(hb, ha)), *paired(hb, ha)),
        ),
        Mistake(
            "the difference without its sign",
            "Your first number is never negative. It should say how much more a costs than b, which may be "
            "less than nothing.",
            lambda ta, tb, ha, hb: (word(*paired(ha, hb)), abs(paired(ha, hb)[0]), paired(ha, hb)[1]),
        ),
        Mistake(
            "a sum over the pictures",
            "Your word is right. The numbers should be nats per picture: yours grow with the number of pictures.",
            lambda ta, tb, ha, hb: (word(*paired(ha, hb)), (ha - hb).sum(), (ha - hb).std() * math.sqrt(len(ha))),
        ),
    ),
)

TASKS = (BERNOULLI, PCA_TASK, NUDGE, RISE, ADVISE, COMPARE)
