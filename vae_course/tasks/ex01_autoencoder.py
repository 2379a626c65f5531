"""The tasks of exercise 01, the plain autoencoder."""

import math
from functools import partial
from itertools import combinations

import numpy as np
import torch
import torch.nn.functional as F
from sklearn import decomposition
from torch.distributions import Bernoulli

from vae_course.judging.common_mistakes import wrong_reductions
from vae_course.judging.task import Close, Mistake, Task, rounded_normal
from vae_course.visible.callables import Few, Linear

__all__ = ["TASKS"]


def random_ink(rng, *shape):
    """Pictures of ink (1) and paper (0)."""
    return torch.tensor(rng.integers(0, 2, size=shape), dtype=torch.float32)


# autoencoder/bernoulli_cost(logits, x)


def draw_bernoulli_cost(rng):
    """Ordinary logits, and three so large that float32 overflows: two wrong, one right.

    They distinguish a stable formula from one that overflows and from one that limits the cost of a pixel.
    """
    pictures, pixels = int(rng.integers(2, 4)), int(rng.integers(4, 7))
    logits, x = rounded_normal(rng, pictures, pixels, scale=2.0), random_ink(rng, pictures, pixels)
    size = torch.tensor(np.round(rng.uniform(130, 200, size=2), 1), dtype=torch.float32)
    logits[-1, :2] = torch.where(x[-1, :2] == 1, -size, size)  # wrong
    logits[-1, 2] = 150 if x[-1, 2] == 1 else -150  # right
    return {"logits": logits, "x": x}


def bernoulli_cost(logits, x):
    """Sum over the pixels: ink costs log(1 + exp(-logit)), paper log(1 + exp(logit))."""
    wrong_way = np.where(x.numpy() == 1, -logits.numpy(), logits.numpy())
    return np.logaddexp(0, wrong_way).sum(1)


def pixel_costs(logits, x):
    """Cost of each pixel in nats: (B, D)."""
    return F.binary_cross_entropy_with_logits(logits, x, reduction="none")


def cost_from_probabilities(p, x, epsilon=0.0):
    """Cost of each picture from logarithms of the probabilities of ink, with `epsilon` added to each: (B,)."""
    return -(x * (p + epsilon).log() + (1 - x) * (1 - p + epsilon).log()).sum(-1)


def cost_with_epsilon(logits, x, epsilon):
    return cost_from_probabilities(torch.sigmoid(logits), x, epsilon)


def cost_of_clamped_probabilities(logits, x, epsilon):
    return cost_from_probabilities(torch.sigmoid(logits).clamp(epsilon, 1 - epsilon), x)


def cost_of_clamped_logits(logits, x, limit):
    return pixel_costs(logits.clamp(-limit, limit), x).sum(-1)


def ink_minus_paper(logits, x):
    """The two terms of each pixel's cost, subtracted instead of added: (B, D)."""
    return x * F.softplus(-logits) - (1 - x) * F.softplus(logits)


EPSILONS = (1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-12, 1e-15, 1e-16, 1e-20, 1e-30)

BERNOULLI_COST = Task(
    name="autoencoder/bernoulli_cost",
    draw=draw_bernoulli_cost,
    reference=bernoulli_cost,
    library=("vae_lessons.distributions.log_bernoulli",),
    mistakes=(
        *wrong_reductions(
            pixel_costs,
            "pixels",
            "The probability of a picture is the product of its pixels' probabilities; what does the logarithm "
            "make of a product?",
        ),
        Mistake(
            "PyTorch's own average or sum over everything",
            "There should be one number for each picture, shape (B,). The loss functions of PyTorch average or add up "
            "over everything unless told otherwise.",
            lambda logits, x: F.binary_cross_entropy(torch.sigmoid(logits), x),
            lambda logits, x: F.binary_cross_entropy(torch.sigmoid(logits), x, reduction="sum"),
        ),
        Mistake(
            "one number for each pixel",
            "There should be one number for each picture, shape (B,). What does a whole picture cost, if you "
            "know what each of its pixels costs?",
            pixel_costs,
        ),
        Mistake(
            "sign flipped",
            "Your numbers are negative: log-probabilities. A cost should be small where the decoder does well.",
            lambda logits, x: -pixel_costs(logits, x).sum(-1),
        ),
        Mistake(
            "sign flipped, and not a sum over the pixels",
            "Two things: your numbers are negative, though a cost should be small and positive where the decoder does "
            "well; and they are averages, or one number for all pictures. What does one whole picture cost?",
            lambda logits, x: -pixel_costs(logits, x).mean(-1),
            lambda logits, x: -pixel_costs(logits, x).mean(),
            lambda logits, x: -pixel_costs(logits, x).sum(),
            lambda logits, x: -pixel_costs(logits, x).sum(-1).mean(),
        ),
        Mistake(
            "ink and paper with different signs",
            "Ink and paper enter your sum with different signs. Both cost something: try a picture of one ink pixel "
            "and one of paper, with logits 0.",
            lambda logits, x: ink_minus_paper(logits, x).sum(-1),
            lambda logits, x: -ink_minus_paper(logits, x).sum(-1),
        ),
        Mistake(
            "infinite for large logits",
            "Your function is right for small logits and breaks for large ones. In float32 exp(200) is infinite, "
            "and the sigmoid of 200 is exactly 1, so that 1 − 1 has no logarithm. Find a form that never leaves "
            "the logits: what is −log sigmoid(l), nearly, for a large negative l?",
            lambda logits, x: cost_from_probabilities(torch.sigmoid(logits), x),
            lambda logits, x: (1 + torch.where(x == 1, -logits, logits).exp()).log().sum(-1),
            lambda logits, x: ((1 + logits.exp()).log() - x * logits).sum(-1),
            lambda logits, x: (logits.clamp(min=0) - x * logits + (-logits).exp().log1p()).sum(-1),
            lambda logits, x: ((1 - x) * logits + (-logits).exp().log1p()).sum(-1),
        ),
        Mistake(
            "a cost that stops at 100 nats a pixel",
            "No error and no nan, but a pixel with logit 200 that should have been paper costs 200 nats, and yours "
            "costs 100. `binary_cross_entropy`, if you use it, cuts logarithms off there: it needs probabilities. "
            "Which relative of it takes logits as they are?",
            lambda logits, x: F.binary_cross_entropy(torch.sigmoid(logits), x, reduction="none").sum(-1),
        ),
        Mistake(
            "a limit to what a pixel can cost",
            "No error and no nan, but no pixel can cost more than a few tens of nats, and nothing warns you: what "
            "should a pixel with logit 200 cost if it is paper? Find a form that takes the logits as they are and "
            "needs no limit.",
            *(partial(cost_with_epsilon, epsilon=epsilon) for epsilon in EPSILONS),
            *(partial(cost_of_clamped_probabilities, epsilon=epsilon) for epsilon in (1e-2, *EPSILONS[:5])),
            lambda logits, x: -Bernoulli(torch.sigmoid(logits)).log_prob(x).sum(-1),
            *(partial(cost_of_clamped_logits, limit=limit) for limit in (10, 15, 20, 30, 40, 50, 80, 88)),
        ),
        Mistake(
            "logits taken for probabilities",
            "You use the logits as if they were probabilities. They are log-odds and may be any number: which function "
            "turns log-odds into a probability?",
            lambda logits, x: cost_from_probabilities(logits, x),
            lambda logits, x: F.binary_cross_entropy(logits.clamp(0, 1), x, reduction="none").sum(-1),
        ),
        Mistake(
            "the sigmoid applied twice",
            "A function that takes logits applies the sigmoid itself. You gave it probabilities, so yours never calls "
            "ink less probable than ½.",
            lambda logits, x: pixel_costs(torch.sigmoid(logits), x).sum(-1),
        ),
        Mistake(
            "forgot the paper pixels",
            "Only ink pixels cost something in your function. A decoder that drew everything black with ink "
            "would be the best of all.",
            lambda logits, x: (x * F.softplus(-logits)).sum(-1),
            lambda logits, x: -(x * torch.sigmoid(logits).log()).sum(-1),
        ),
        Mistake(
            "forgot the ink pixels",
            "Only paper pixels cost something in your function. A decoder that left everything white would be the best "
            "of all.",
            lambda logits, x: ((1 - x) * F.softplus(logits)).sum(-1),
        ),
        Mistake(
            "the pictures without effect",
            "Your numbers stay the same, whatever the pictures are. The same logits should cost little for one picture "
            "and much for another.",
            lambda logits, x: F.softplus(logits).sum(-1),
            lambda logits, x: F.softplus(-logits).sum(-1),
            lambda logits, x: pixel_costs(logits, torch.sigmoid(logits)).sum(-1),
        ),
        Mistake(
            "ink and paper exchanged",
            "A large logit says ink, x = 1. In your function it costs most where it is right.",
            lambda logits, x: pixel_costs(logits, 1 - x).sum(-1),
        ),
        Mistake(
            "bits instead of nats",
            "Your numbers are right in bits. This course counts in nats.",
            lambda logits, x: pixel_costs(logits, x).sum(-1) / math.log(2),
        ),
        Mistake(
            "a distance instead of a probability",
            "You measure how far the decoder's numbers lie from the pixels. Asked is minus the logarithm of the "
            "probability that the decoder gave to the picture.",
            lambda logits, x: ((torch.sigmoid(logits) - x) ** 2).sum(-1),
            lambda logits, x: ((torch.sigmoid(logits) - x) ** 2).sum(-1) / 2,
            lambda logits, x: ((torch.sigmoid(logits) - x) ** 2).mean(-1),
            lambda logits, x: ((logits - x) ** 2).sum(-1),
            lambda logits, x: (torch.sigmoid(logits) - x).abs().sum(-1),
        ),
        Mistake(
            "probabilities that add up to 1 over the pixels",
            "Your probabilities add up to 1 over the pixels of a picture, as if just one of them could be ink. Here "
            "each pixel is ink or paper on its own.",
            lambda logits, x: -(x * logits.log_softmax(-1)).sum(-1),
        ),
        Mistake(
            "right for large logits only",
            "A pixel with logit 0 costs nothing in your function. Which probability does the decoder give to ink "
            "there?",
            lambda logits, x: torch.where(x == 1, -logits, logits).clamp(min=0).sum(-1),
        ),
        Mistake(
            "logits and pictures exchanged",
            "Your function takes the pictures for logits and the logits for pictures. In which order does the function "
            "that you call take its arguments?",
            lambda logits, x: pixel_costs(x, logits).sum(-1),
        ),
    ),
)


# autoencoder/pca(x, k)


def draw_pca(rng):
    """Pictures (N, D) with well-separated singular values, rotated directions, and a mean far from zero.

    So each direction matters, none is along a pixel, and missing centring shows.
    """
    pixels = int(rng.integers(4, 6))
    pictures = int(rng.integers(pixels + 2, pixels + 5))
    scores = rng.normal(size=(pictures, pixels))
    left, _ = np.linalg.qr(scores - scores.mean(0))
    rotation, _ = np.linalg.qr(rng.normal(size=(pixels, pixels)))
    mean = rng.uniform(2, 4, size=pixels) * rng.choice([-1, 1], pixels)
    x = left * (12.0 * 0.55 ** np.arange(pixels)) @ rotation + mean
    return {"x": torch.tensor(np.round(x, 2), dtype=torch.float32), "k": int(rng.integers(2, pixels - 1))}


def pca(x, k):
    """Reconstruction by scikit-learn's PCA."""
    model = decomposition.PCA(k, svd_solver="full").fit(x.numpy())
    return model.inverse_transform(model.transform(x.numpy()))


def right_singular_vectors(x):
    """Directions as rows, by descending singular value."""
    return torch.linalg.svd(x)[2]


def eigenvectors(matrix):
    """Eigenvectors of a symmetric matrix as columns, by ascending eigenvalue."""
    return torch.linalg.eigh(matrix)[1]


def project(x, centre, directions):
    """Pictures (N, D) projected onto the plane through `centre` along the rows of `directions`, (k, D)."""
    return (x - centre) @ directions.T @ directions + centre


def rebuilt_around(x, k, centre):
    """Pictures rebuilt from k components, after `centre` has been subtracted."""
    return project(x, centre, right_singular_vectors(x - centre)[:k])


def columns_of_singular_vectors(x, k):
    mean = x.mean(0)
    return project(x, mean, right_singular_vectors(x - mean)[:, :k].T)


def rows_of_eigenvectors(x, k):
    return project(x, x.mean(0), eigenvectors(torch.cov(x.T))[-k:])


def rebuilt_from_wrong_lengths(x, k, power):
    """Pictures rebuilt from codes U S^power, where S itself would be right."""
    left, values, directions = torch.linalg.svd(x - x.mean(0), full_matrices=False)
    return left[:, :k] * values[:k] ** power @ directions[:k] + x.mean(0)


def rebuilt_from_some(x, kept):
    """Pictures rebuilt from components that need not be the first: `kept` is a slice."""
    mean = x.mean(0)
    return project(x, mean, right_singular_vectors(x - mean)[kept])


def found_centred_only(x, k):
    """Pictures that are not centred, projected on the components of the centred ones."""
    return project(x, torch.zeros_like(x[0]), right_singular_vectors(x - x.mean(0))[:k])


def error_left(x, k):
    return x - rebuilt_around(x, k, x.mean(0))


def some_pixels_kept(x, kept):
    """The average picture, but for some pixels."""
    rebuilt = x.mean(0).repeat(len(x), 1)
    rebuilt[:, kept] = x[:, kept]
    return rebuilt


def rebuilt_from_scaled_pixels(x, k):
    mean, std = x.mean(0), x.std(0)
    return rebuilt_around((x - mean) / std, k, torch.zeros_like(mean)) * std + mean


def own_largest_components(x, k):
    """Keep the k largest coefficients of each picture."""
    centred = x - x.mean(0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    codes = centred @ directions.T
    kept = codes.abs().topk(min(k, codes.shape[1]), dim=1).indices
    return x.mean(0) + torch.zeros_like(codes).scatter(1, kept, codes.gather(1, kept)) @ directions


PCA = Task(
    name="autoencoder/pca",
    draw=draw_pca,
    reference=pca,
    agree=Close(rtol=1e-3, atol=1e-3),
    mistakes=(
        Mistake(
            "other components for each picture",
            "Each picture keeps the components that it needs most, which is more than k numbers: one has to know which "
            "they are. The same k directions serve all pictures. Which ones?",
            own_largest_components,
        ),
        Mistake(
            "not centred",
            "Your plane goes through the origin. What if all pictures were bright: would you spend the first "
            "direction on saying so?",
            lambda x, k: rebuilt_around(x, k, torch.zeros_like(x[0])),
        ),
        Mistake(
            "mean not added back",
            "You subtract something before you project and do not give it back. The average of all rebuilt "
            "pictures should be the average of all pictures.",
            lambda x, k: rebuilt_around(x, k, x.mean(0)) - x.mean(0),
            lambda x, k: rebuilt_around(x, k, x.mean(0)) - 2 * x.mean(0),
            lambda x, k: rebuilt_from_wrong_lengths(x, k, 0) - x.mean(0),
            lambda x, k: project(x, x.mean(0), eigenvectors(torch.cov(x.T))[:, :k].T) - x.mean(0),
        ),
        Mistake(
            "found uncentred, applied centred",
            "You centre the pictures when you project, but not when you look for the directions: your first "
            "one points at the mean.",
            lambda x, k: project(x, x.mean(0), right_singular_vectors(x)[:k]),
        ),
        Mistake(
            "found centred, applied uncentred",
            "You centre the pictures when you look for the directions, but not when you project. A code counts from "
            "the average picture: which code should the average picture itself have?",
            found_centred_only,
            lambda x, k: found_centred_only(x, k) + x.mean(0),
        ),
        Mistake(
            "the least components kept",
            "You keep the directions in which the pictures differ least. In which order does the function "
            "that you used return them?",
            lambda x, k: project(x, x.mean(0), eigenvectors(torch.cov(x.T))[:, :k].T),
            lambda x, k: project(x, torch.zeros_like(x[0]), eigenvectors(x.T @ x)[:, :k].T),
            lambda x, k: rebuilt_from_some(x, slice(k, None)),
        ),
        Mistake(
            "rows taken for columns",
            "The directions that you project on are not the components, though each has length 1. "
            "`torch.linalg.svd` returns the third matrix transposed, `eigh` returns eigenvectors as columns: "
            "where do the directions stand in yours?",
            columns_of_singular_vectors,
            rows_of_eigenvectors,
        ),
        Mistake(
            "centred along the wrong axis",
            "You subtract a brightness averaged over the pixels. The covariance is about the average picture, one "
            "number for each pixel: which axis counts the pictures?",
            lambda x, k: rebuilt_around(x, k, x.mean(1, keepdim=True)),
            lambda x, k: rebuilt_around(x, k, x.mean()),
        ),
        Mistake(
            "not the first k components",
            "Count the directions that you keep, and look which they are: they are not the first k. The mean is not "
            "one of the k, and needs no place among them.",
            lambda x, k: rebuilt_from_some(x, slice(0, k + 1)),
            lambda x, k: rebuilt_from_some(x, slice(0, k - 1)),
            lambda x, k: rebuilt_from_some(x, slice(k - 1, k)),
            lambda x, k: rebuilt_from_some(x, slice(k, k + 1)),
            lambda x, k: rebuilt_from_some(x, slice(1, k + 1)),
            lambda x, k: rebuilt_from_some(x, slice(1, k)),
        ),
        Mistake(
            "codes of wrong lengths",
            "The directions are right, but the codes along them have wrong lengths. The point of the plane that is "
            "nearest to a picture needs no factor: in x = U S V, which columns have length 1, and where does S belong?",
            *(partial(rebuilt_from_wrong_lengths, power=power) for power in (0, 0.5, 2)),
        ),
        Mistake(
            "the error instead of the rebuilt pictures",
            "You return the difference between a picture and its copy. Asked is the copy.",
            error_left,
            lambda x, k: -error_left(x, k),
        ),
        Mistake(
            "cut off at 0 or 1",
            "You cut off what lies below 0, or above 1. Pictures of any brightness occur: try some that are all "
            "brighter than 2, and then their negatives.",
            lambda x, k: rebuilt_around(x, k, x.mean(0)).clamp(0, 1),
            lambda x, k: rebuilt_around(x, k, x.mean(0)).clamp(min=0),
        ),
        Mistake(
            "k pixels instead of k components",
            "You keep k of the pixels. A component is a mixture of all pixels: in the lesson's first example, which "
            "mixture was it?",
            lambda x, k: some_pixels_kept(x, slice(0, k)),
            lambda x, k: some_pixels_kept(x, x.var(0).topk(k).indices),
        ),
        Mistake(
            "codes instead of pictures",
            "You return the codes, shape (N, k). Decode them: the same directions lead back, to shape (N, D).",
            lambda x, k: (x - x.mean(0)) @ right_singular_vectors(x - x.mean(0))[:k].T,
        ),
        Mistake(
            "every pixel scaled to variance 1 first",
            "You divide each pixel by its spread before you look for the directions. That minimises another "
            "error: one in which a pixel that hardly changes counts as much as any other.",
            rebuilt_from_scaled_pixels,
            lambda x, k: (rebuilt_from_scaled_pixels(x, k) - x.mean(0)) / x.std(0),
            lambda x, k: (rebuilt_from_scaled_pixels(x, k) - x.mean(0)) / x.std(0) + x.mean(0),
        ),
    ),
)


# autoencoder/nudge(z, r, eps)


def draw_nudge(rng):
    """Few codes, latents with very different spreads and a mean away from zero, no direction of length near zero.

    So spreads, variances, and division by N or N − 1 give clearly different results.
    """
    latents = int(rng.integers(2, 6))
    codes = int(rng.integers(latents + 1, latents + 4))
    scale = np.array([0.5, 8.0, 2.0, 0.9, 5.0])[:latents]
    z = rng.normal(size=(codes, latents)) * scale + rng.uniform(1, 3, size=latents) * scale
    eps = rng.normal(size=(codes, latents))
    eps += np.sign(eps) * 0.2
    return {
        "z": torch.tensor(np.round(z, 2), dtype=torch.float32),
        "r": round(float(rng.uniform(0.2, 0.6)), 2),
        "eps": torch.tensor(np.round(eps, 2), dtype=torch.float32),
    }


def nudge(z, r, eps):
    """Move each code along its own direction of length 1, by r times the spread of each latent."""
    z, eps = z.numpy(), eps.numpy()
    spread = np.sqrt(np.diag(np.cov(z.T)))
    return np.stack([code + r * spread * e / np.sqrt((e**2).sum()) for code, e in zip(z, eps, strict=True)])


def unit_rows(eps):
    """Each row divided by its length."""
    return eps / eps.norm(dim=1, keepdim=True)


NUDGE = Task(
    name="autoencoder/nudge",
    draw=draw_nudge,
    reference=nudge,
    library=("vae_lessons.latents.nudge",),
    mistakes=(
        Mistake(
            "nudges of different lengths",
            "As in the lesson, the length of your step depends on how long `eps` happens to be. Here every code should "
            "move by exactly r, measured in spreads.",
            lambda z, r, eps: z + r * z.std(0) * eps,
            lambda z, r, eps: z + r * z.std(0, correction=0) * eps,
            lambda z, r, eps: r * z.std(0) * eps,
        ),
        Mistake(
            "one length for all directions",
            "You divide all of `eps` by one number. Some of its rows are longer than others, and so are your steps.",
            lambda z, r, eps: z + r * z.std(0) * eps / math.sqrt(z.shape[1]),
            lambda z, r, eps: z + r * z.std(0) * eps / eps.norm(),
            lambda z, r, eps: z + r * z.std(0) * eps / eps.norm(dim=1).mean(),
            lambda z, r, eps: z + r * z.std(0) * eps / eps.std(),
            lambda z, r, eps: z + r * z.std(0) * eps / z.shape[1],
        ),
        Mistake(
            "not the length of a row",
            "You divide each row of `eps` by a number of its own, but not by its length. Take the row (3, 4): how long "
            "is it by Pythagoras, and by what do you divide?",
            lambda z, r, eps: z + r * z.std(0) * eps / eps.abs().sum(1, keepdim=True),
            lambda z, r, eps: z + r * z.std(0) * eps / eps.abs().amax(1, keepdim=True),
            lambda z, r, eps: z + r * z.std(0) * eps / eps.std(1, keepdim=True),
            lambda z, r, eps: z + r * z.std(0) * eps / eps.abs().mean(1, keepdim=True),
        ),
        Mistake(
            "lengths measured without the spread",
            "The codes' spread does not occur in your function. What is a step of 0.3 to a latent that spreads "
            "over 8, and to one that spreads over 0.5?",
            lambda z, r, eps: z + r * unit_rows(eps),
            lambda z, r, eps: z + r * eps,
        ),
        Mistake(
            "scaled first, then brought to length r",
            "Your step has length r in the codes' own numbers. Asked is length r after each coordinate has "
            "been divided by its spread: in which order do scaling and normalising have to come?",
            lambda z, r, eps: z + r * unit_rows(eps * z.std(0)),
        ),
        Mistake(
            "the right length in another direction",
            "After each coordinate has been divided by its spread, your step has length r, but it does not point along "
            "`eps`. In which of the two is `eps` the direction: in the step as it is, or in the step in spreads?",
            lambda z, r, eps: z + r * z.std(0) * unit_rows(eps / z.std(0)),
            lambda z, r, eps: z + r * z.std(0) * unit_rows(eps * z.std(0)),
            lambda z, r, eps: z + r * z.std(0) * eps.sign() / math.sqrt(z.shape[1]),
        ),
        Mistake(
            "divided by the spread",
            "You divide by the spread where you should not: your steps are long along latents that spread little. A "
            "step of one spread should be a long one where the codes spread widely.",
            lambda z, r, eps: z + r * unit_rows(eps) / z.std(0),
            lambda z, r, eps: z + r * eps / z.std(0),
            lambda z, r, eps: z + r * unit_rows(eps / z.std(0)),
        ),
        Mistake(
            "codes left in units of their spread",
            "You divide the codes themselves by their spread, and return them like that. The decoder knows the codes "
            "in their own numbers: with r = 0, what should come back?",
            lambda z, r, eps: z / z.std(0) + r * unit_rows(eps),
            lambda z, r, eps: (z - z.mean(0)) / z.std(0) + r * unit_rows(eps),
            lambda z, r, eps: (z - z.mean(0)) / z.std(0) + r * eps,
        ),
        Mistake(
            "moved the other way",
            "Your codes move against `eps`.",
            lambda z, r, eps: z - r * z.std(0) * unit_rows(eps),
        ),
        Mistake(
            "r without effect",
            "Your codes move equally far for every r. Try r = 0: what should come back?",
            lambda z, r, eps: z + z.std(0) * unit_rows(eps),
            lambda z, r, eps: z + unit_rows(eps),
            lambda z, r, eps: z + z.std(0) * eps,
        ),
        Mistake(
            "another measure of spread",
            "Your unit is a number for each latent, but not its sample standard deviation over the codes. What does "
            "`torch.std` give for a latent with the values 1, 2, 3, and what does yours?",
            lambda z, r, eps: z + r * (z - z.mean(0)).abs().mean(0) * unit_rows(eps),
            lambda z, r, eps: z + r * z.square().mean(0).sqrt() * unit_rows(eps),
            lambda z, r, eps: z + r * (z - z.mean(0)).norm(dim=0) * unit_rows(eps),
            lambda z, r, eps: z + r * (z.amax(0) - z.amin(0)) * unit_rows(eps),
            lambda z, r, eps: z + r * eps.std(0) * unit_rows(eps),
            lambda z, r, eps: z + r * z.norm(dim=0) * unit_rows(eps),
            lambda z, r, eps: z + r * z.mean(0) * unit_rows(eps),
        ),
        Mistake(
            "one spread for all latents",
            "You use one number as the spread of all latents. What is a step of that size to a latent that spreads "
            "over 8, and to one that spreads over 0.5?",
            lambda z, r, eps: z + r * z.std() * unit_rows(eps),
            lambda z, r, eps: z + r * z.std(0).mean() * unit_rows(eps),
            lambda z, r, eps: z + r * z.std(0).norm() * unit_rows(eps),
            lambda z, r, eps: z + r * z.std(correction=0) * unit_rows(eps),
            lambda z, r, eps: z + r * z.std() * eps,
        ),
        Mistake(
            "variance taken for spread",
            "Your steps do not have the codes' unit: measure the codes in metres, and yours come out in square metres.",
            lambda z, r, eps: z + r * z.var(0) * eps,
            lambda z, r, eps: z + r * z.var(0) * unit_rows(eps),
        ),
        Mistake(
            "spread across the latents",
            "You take the spread of each code's own numbers. Asked is how much one latent varies from code to "
            "code: which axis counts the codes?",
            lambda z, r, eps: z + r * z.std(1, keepdim=True) * unit_rows(eps),
            lambda z, r, eps: z + r * z.std(1, keepdim=True) * eps,
        ),
        Mistake(
            "divided by lengths along the wrong axis",
            "You divide each column of `eps` by a number taken over several codes. The direction of one code is one "
            "row, and has a length of its own.",
            lambda z, r, eps: z + r * z.std(0) * eps / eps.norm(dim=0),
            lambda z, r, eps: z + r * z.std(0) * eps / eps.std(0),
            lambda z, r, eps: z + r * z.std(0) * (eps - eps.mean(0)) / eps.std(0),
        ),
        Mistake(
            "divided by the squared length",
            "The longer `eps` is, the shorter your step. The length of a vector has a root.",
            lambda z, r, eps: z + r * z.std(0) * eps / (eps**2).sum(1, keepdim=True),
        ),
        Mistake(
            "divided by the root mean square",
            "Your steps are all equally long, but too long, by a factor that grows with the number of latents.",
            lambda z, r, eps: z + r * z.std(0) * eps / (eps**2).mean(1, keepdim=True).sqrt(),
        ),
        Mistake(
            "standard deviation with N in place of N − 1",
            "Nearly: asked is the sample standard deviation, divided by N − 1, as `torch.std` does. NumPy "
            "divides by N unless told otherwise.",
            lambda z, r, eps: z + r * z.std(0, correction=0) * unit_rows(eps),
        ),
        Mistake(
            "the step without the code",
            "You return how far to move. Asked is where the codes arrive.",
            lambda z, r, eps: r * z.std(0) * unit_rows(eps),
        ),
        Mistake(
            "moved from the mean code",
            "All your codes end up around one point. Each one starts from where it is.",
            lambda z, r, eps: z.mean(0) + r * z.std(0) * unit_rows(eps),
        ),
    ),
)


# autoencoder/rise(encode, decode, x, eps, r, batch_size)


def draw_rise(rng):
    """One to three full batches and a smaller one, of pictures whose latents have very different spreads.

    So it shows if all batches count equally, if the unit comes from a batch, and if both latents have the same unit.
    The decoder refuses more pictures at once than a batch has.
    """
    batch_size, latents, pixels = int(rng.integers(3, 5)), 2, int(rng.integers(4, 7))
    pictures = int(rng.integers(1, 4)) * batch_size + int(rng.integers(2, batch_size))
    scale = torch.tensor([[0.4], [2.0]])
    x = random_ink(rng, pictures, pixels)
    x[:, 0] = torch.arange(pictures) % 2  # no batch without any spread
    return {
        "encode": Linear(
            (rounded_normal(rng, pixels, latents, scale=0.5) + torch.eye(pixels, latents)) * scale.T,
            rounded_normal(rng, latents),
        ),
        "decode": Few(Linear(rounded_normal(rng, latents, pixels) / scale, rounded_normal(rng, pixels)), batch_size),
        "x": x,
        "eps": rounded_normal(rng, pictures, latents),
        "r": round(float(rng.uniform(0.5, 1.2)), 2),
        "batch_size": batch_size,
    }


def rise(encode, decode, x, eps, r, batch_size):
    """Cost after the nudge minus cost before it, averaged over all pictures, decoded one by one."""
    z = encode(x)
    moved = z + r * torch.tensor(np.std(z.numpy(), axis=0, ddof=1)) * eps
    logits = (
        np.stack([decode(code).numpy() for code in codes]) for codes in (z, moved)
    )  # a probability near 1 would lose its last digits
    cost = [np.logaddexp(0, np.where(x.numpy() == 1, -each, each)).sum(1) for each in logits]
    return (cost[1] - cost[0]).mean()


def spread_of_all(all_codes, codes_of_batch):
    return all_codes.std(0)


def spread_of_batch(all_codes, codes_of_batch):
    return codes_of_batch.std(0)


def original_pictures(pictures, logits):
    return pictures


def own_drawing(pictures, logits):
    return torch.sigmoid(logits)


def mean_over_pictures(rises):
    """Average of the rises of all pictures, given as one tensor for each batch."""
    return torch.cat(rises).mean()


def mean_over_batches(rises):
    """Average of the batches' averages, as if all batches had the same size."""
    return torch.stack([batch.mean() for batch in rises]).mean()


def rise_by_batches(
    encode,
    decode,
    x,
    eps,
    r,
    batch_size,
    *,
    spread=spread_of_all,
    target=original_pictures,
    average=mean_over_pictures,
):
    """The colleague's loop over batches, with its three faults repaired by default.

    Args:
        spread: computes the unit of the nudge from the codes of all pictures and those of a batch.
        target: computes the pictures to compare with from the pictures of a batch and their logits.
        average: computes the result from the rises of each batch.
    """
    all_codes, rises = encode(x), []
    for pictures, noise in in_batches(batch_size, x, eps):
        codes = encode(pictures)
        before, after = decode(codes), decode(codes + r * spread(all_codes, codes) * noise)
        wanted = target(pictures, before)
        rises.append(pixel_costs(after, wanted).sum(1) - pixel_costs(before, wanted).sum(1))
    return average(rises)


def in_batches(batch_size, *tensors):
    return zip(*(tensor.split(batch_size) for tensor in tensors), strict=True)


def costs_before_and_after(encode, decode, x, eps, r, batch_size, cost=pixel_costs):
    """What each picture costs before and after its nudge: two tensors (N,)."""
    z = encode(x)
    return [
        torch.cat([cost(decode(some), pictures).sum(1) for some, pictures in in_batches(batch_size, codes, x)])
        for codes in (z, z + r * z.std(0) * eps)
    ]


def cost_after(*inputs):
    return costs_before_and_after(*inputs)[1].mean()


def relative_rise(*inputs):
    before, after = costs_before_and_after(*inputs)
    return after.mean() / before.mean() - 1


def rise_in_squares(*inputs):
    squares = partial(costs_before_and_after, cost=lambda logits, x: (torch.sigmoid(logits) - x) ** 2)
    before, after = squares(*inputs)
    return (after - before).mean()


def rise_against_two_targets(encode, decode, x, eps, r, batch_size, drawing_first):
    """The cost of the picture on one side of the nudge, and of the model's own drawing on the other."""
    z, rises = encode(x), []
    for codes, noise, pictures in in_batches(batch_size, z, eps, x):
        before, after = decode(codes), decode(codes + r * z.std(0) * noise)
        wanted = (torch.sigmoid(before), pictures) if drawing_first else (pictures, torch.sigmoid(before))
        rises.append((pixel_costs(after, wanted[1]) - pixel_costs(before, wanted[0])).sum(1))
    return torch.cat(rises).mean()


def rise_of_entropy(*inputs):
    """Each drawing compared with itself."""
    own = partial(costs_before_and_after, cost=lambda logits, x: pixel_costs(logits, torch.sigmoid(logits)))
    before, after = own(*inputs)
    return (after - before).mean()


def rise_of_full_batches(encode, decode, x, eps, r, batch_size, spread_of_kept):
    """The last, smaller batch left out."""
    kept = len(x) // batch_size * batch_size
    unit = encode(x[:kept] if spread_of_kept else x).std(0)
    return rise_by_batches(encode, decode, x[:kept], eps[:kept], r, batch_size, spread=lambda *_: unit)


def rise_in_unit_of_batches(encode, decode, x, eps, r, batch_size, unit_of):
    """The unit is computed from the spreads of the batches, (batches, d)."""
    unit = unit_of(torch.stack([encode(pictures).std(0) for pictures in x.split(batch_size)]))
    return rise_by_batches(encode, decode, x, eps, r, batch_size, spread=lambda *_: unit)


def last_batch_taken_for_full(encode, decode, x, eps, r, batch_size, weighted):
    """The batches' averages weighted by the batch size, or the sum divided by as many pictures as full batches have."""

    def average(rises):
        if weighted:
            return sum_of_averages(rises) * batch_size / len(x)
        return torch.cat(rises).sum() / (len(rises) * batch_size)

    return rise_by_batches(encode, decode, x, eps, r, batch_size, average=average)


def sum_of_averages(rises):
    return sum(batch.mean() for batch in rises)


def rise_with_noise_repeated(encode, decode, x, eps, r, batch_size):
    """Use the noise of the first batch for every batch."""
    return rise_by_batches(encode, decode, x, eps[torch.arange(len(x)) % batch_size], r, batch_size)


RISE = Task(
    name="autoencoder/rise",
    draw=draw_rise,
    reference=rise,
    mistakes=(
        Mistake(
            "batches averaged as if equally large",
            "Every batch counts alike in your average, also the last one, which is smaller. Hand in five pictures "
            "with batches of 4: how much does the fifth picture count?",
            partial(rise_by_batches, average=mean_over_batches),
        ),
        Mistake(
            "compared with the model's own drawing",
            "You compare with what the decoder draws itself, so you measure how far the drawing moves, and not how "
            "much worse it fits the picture. Whose cost did the text ask for?",
            partial(rise_by_batches, target=own_drawing),
            partial(rise_by_batches, target=lambda pictures, logits: (logits > 0).float()),
            rise_of_entropy,
        ),
        Mistake(
            "a unit that depends on the batches",
            "The length of your nudge depends on which pictures happen to share a batch. Try batches of two "
            "pictures that look alike: how far are their codes moved?",
            partial(rise_by_batches, spread=spread_of_batch),
            partial(rise_by_batches, spread=lambda all_codes, codes_of_batch: codes_of_batch.std(0, correction=0)),
            partial(rise_in_unit_of_batches, unit_of=lambda spreads: spreads.mean(0)),
            partial(rise_in_unit_of_batches, unit_of=lambda spreads: spreads.square().mean(0).sqrt()),
            partial(rise_in_unit_of_batches, unit_of=lambda spreads: spreads[0]),
        ),
        Mistake(
            "more than one fault left",
            "It is not right yet in more than one place. Ask three things of the function: what is the drawing "
            "compared with, what is the unit of the nudge, and does each picture count as much as any other?",
            partial(rise_by_batches, spread=spread_of_batch, target=own_drawing, average=mean_over_batches),
            partial(rise_by_batches, target=own_drawing, average=mean_over_batches),
            partial(rise_by_batches, spread=spread_of_batch, average=mean_over_batches),
            partial(rise_by_batches, spread=spread_of_batch, target=own_drawing),
        ),
        Mistake(
            "the cost instead of its rise",
            "You return what the pictures cost after the nudge. What did they cost before?",
            cost_after,
        ),
        Mistake(
            "sign flipped",
            "You return by how much the cost falls.",
            lambda *inputs: -rise_by_batches(*inputs),
        ),
        Mistake(
            "a sum instead of an average",
            "If every picture were there twice, your number would be about twice as large. Asked are nats per picture.",
            partial(rise_by_batches, average=lambda rises: torch.cat(rises).sum()),
            partial(rise_by_batches, average=sum_of_averages),
        ),
        Mistake(
            "the last batch taken for a full one",
            "The last batch has fewer pictures than the others, and your average counts as if it were full. By how "
            "many pictures do you divide, or multiply?",
            partial(last_batch_taken_for_full, weighted=True),
            partial(last_batch_taken_for_full, weighted=False),
        ),
        Mistake(
            "the last batch left out",
            "You leave out the pictures of the last batch, which is smaller than the others. All pictures should "
            "count.",
            partial(rise_of_full_batches, spread_of_kept=True),
            partial(rise_of_full_batches, spread_of_kept=False),
        ),
        Mistake(
            "falls not subtracted",
            "Now and then a nudge makes a picture cheaper. In your average such a fall is not subtracted from the "
            "rises of the others.",
            partial(rise_by_batches, average=lambda rises: torch.cat(rises).abs().mean()),
            partial(rise_by_batches, average=lambda rises: torch.cat(rises).clamp(min=0).mean()),
        ),
        Mistake(
            "the median of the rises",
            "You take the middle one of the pictures' rises. Asked is their average, in which a large rise counts for "
            "more.",
            partial(rise_by_batches, average=lambda rises: torch.cat(rises).median()),
        ),
        Mistake(
            "two different targets",
            "You compare with one target before the nudge and with another after it. Part of your rise is the "
            "difference between the two.",
            partial(rise_against_two_targets, drawing_first=True),
            partial(rise_against_two_targets, drawing_first=False),
        ),
        Mistake(
            "a share of the cost",
            "Your number has no unit: it says by which share the cost rises. Asked are nats.",
            relative_rise,
        ),
        Mistake(
            "squared error",
            "You measure a squared distance between drawing and picture. Asked is the rise of the cost of task 1, in "
            "nats.",
            rise_in_squares,
        ),
        Mistake(
            "nudges of length 1",
            "You bring the rows of `eps` to length 1, as in task 3. Here the nudge is that of the lesson.",
            lambda encode, decode, x, eps, *others: rise_by_batches(encode, decode, x, unit_rows(eps), *others),
            lambda encode, decode, x, eps, *others: rise_by_batches(
                encode, decode, x, unit_rows(eps), *others, spread=spread_of_batch
            ),
        ),
        Mistake(
            "moved the other way",
            "Your codes move against `eps`.",
            lambda encode, decode, x, eps, *others: rise_by_batches(encode, decode, x, -eps, *others),
        ),
        Mistake(
            "r without effect",
            "Your number is the same for every r. With r = 0 nothing should rise.",
            lambda encode, decode, x, eps, r, batch_size: rise_by_batches(encode, decode, x, eps, 1.0, batch_size),
            lambda encode, decode, x, eps, r, batch_size: rise_by_batches(encode, decode, x, eps, 0.5, batch_size),
        ),
        Mistake(
            "standard deviation with N in place of N − 1",
            "Nearly: asked is the sample standard deviation, divided by N − 1, as `torch.std` does. NumPy divides by N "
            "unless told otherwise.",
            partial(rise_by_batches, spread=lambda all_codes, codes_of_batch: all_codes.std(0, correction=0)),
        ),
        Mistake(
            "variance taken for spread",
            "Your steps do not have the codes' unit: measure the codes in metres, and yours come out in square metres.",
            partial(rise_by_batches, spread=lambda all_codes, codes_of_batch: all_codes.var(0)),
        ),
        Mistake(
            "mean over the pixels",
            "You average over the pixels. A picture costs what all its pixels cost together.",
            lambda encode, decode, x, *others: rise_by_batches(encode, decode, x, *others) / x.shape[1],
            lambda encode, decode, x, *others: (
                rise_by_batches(encode, decode, x, *others, average=mean_over_batches) / x.shape[1]
            ),
        ),
        Mistake(
            "one spread for all latents",
            "You use one number as the unit of all latents. Each has a spread of its own.",
            partial(rise_by_batches, spread=lambda all_codes, codes_of_batch: all_codes.std()),
        ),
        Mistake(
            "the same noise in every batch",
            "Every batch gets the noise of the first one. Row n of `eps` belongs to picture n.",
            rise_with_noise_repeated,
        ),
        Mistake(
            "a nudge without a unit",
            "The spread of the codes does not occur in your function, so that r means something else for every model.",
            partial(rise_by_batches, spread=lambda all_codes, codes_of_batch: 1.0),
        ),
    ),
)


# autoencoder/advise(train, held)

ADVICE = ("stop earlier", "train longer", "more pictures", "larger model")
STOP_EARLIER, TRAIN_LONGER, MORE_PICTURES, LARGER_MODEL = ADVICE


def draw_first_runs(rng):
    """Eight runs of 60 epochs: the plain kinds, some with an epoch that is far off."""
    climb = ramp(60, rng.integers(22, 28), 60, rng.uniform(14, 25))
    return recorded(
        rng,
        record_run(rng, 60, small_gap(rng), held=climb, train=fall(60, 0.3)),  # stop earlier
        record_run(rng, 60, small_gap(rng), both=fall(60, steepness(rng))),  # train longer
        record_run(rng, 60, large_gap(rng), both=fall(60, steepness(rng)), held_odd={59: HIGH}),
        record_run(rng, 60, large_gap(rng)),  # more pictures
        record_run(rng, 60, large_gap(rng), held_odd={59: HIGH}),
        record_run(rng, 60, small_gap(rng)),  # larger model
        record_run(rng, 60, small_gap(rng), held_odd={59: HIGH}),
        record_run(rng, 60, small_gap(rng), held_odd={35: LOW}),
    )


def draw_odd_runs(rng):
    """Eight runs: a slow fall, a fall that is over, a training cost that falls alone; epochs that are far off."""
    n = int(rng.integers(63, 75))
    climb = ramp(n, rng.integers(28, 34), n, rng.uniform(14, 25))
    return recorded(
        rng,
        record_run(rng, n, large_gap(rng), held=climb, train=fall(n, 0.3), held_odd={40: HIGH}),  # stop earlier
        record_run(rng, n, small_gap(rng), both=fall(n, rng.uniform(0.32, 0.34)), jitter=0.2),  # train longer
        record_run(rng, n, large_gap(rng), train=fall(n, steepness(rng))),  # more pictures
        record_run(rng, n, large_gap(rng), both=ramp(n, n - 26, n - 24, -6)),
        record_run(rng, n, large_gap(rng), train_odd={n - 1: HIGH}),
        record_run(rng, n, small_gap(rng), held_odd={n - 4: HIGH}),  # larger model
        record_run(rng, n, small_gap(rng), held_odd={n - 3: LOW}),
        record_run(rng, n, small_gap(rng), train_odd={n - 3: LOW}),
    )


def draw_long_runs(rng):
    """Seven runs: an early climb, climbs of 3 and of 8 nats, such gaps, and a gap that opens late."""
    n = int(rng.integers(90, 110))
    step = ramp(n, n - 13, n - 10, 3.2)
    return recorded(
        rng,
        record_run(
            rng, n, small_gap(rng), held=ramp(n, 24, 34, rng.uniform(8, 9)), train=fall(n, 0.3), start=220
        ),  # stop
        record_run(rng, n, 8, held=fall(n, rng.uniform(0.38, 0.45))),  # train longer
        record_run(rng, n, 0.7, train=ramp(n, n - 38, n - 32, -9)),  # more pictures
        record_run(rng, n, rng.uniform(7.5, 8.5), start=220),
        record_run(rng, n, 4.2, held=step),
        record_run(rng, n, small_gap(rng), both=step),  # larger model
        record_run(rng, n, rng.uniform(2.8, 3.2), both=fall(n, 0.06)),
    )


def draw_longest_runs(rng):
    """Nine runs: a climb that half goes back, two of both costs, a hump, and gaps that are large only at the end, or "
    "only at first."""
    n = int(rng.integers(110, 140))
    half_back = ramp(n, 20, n - 34, 22) + ramp(n, n - 30, n, -11)
    hump = ramp(n, 18, 24, 14) + ramp(n, 24, n, -0.45 * (n - 24))
    return recorded(
        rng,
        record_run(rng, n, small_gap(rng), held=half_back),  # stop earlier
        record_run(rng, n, small_gap(rng), held=ramp(n, n - 24, n, 20), train=fall(n, 0.3)),
        record_run(rng, n, small_gap(rng), both=ramp(n, 40, 70, 15)),
        record_run(rng, n, 0.3, both=ramp(n, 40, 70, 4.5), held=ramp(n, 40, 70, 3.5)),
        record_run(rng, n, small_gap(rng), both=hump),  # train longer
        record_run(rng, n, small_gap(rng), both=fall(n, steepness(rng)), held_odd={n - 30: LOW}),
        record_run(
            rng, n, small_gap(rng), held=ramp(n, 24, n - 18, 3.2), train=ramp(n, 24, n - 14, -9)
        ),  # more pictures
        record_run(rng, n, large_gap(rng)),
        record_run(rng, n, small_gap(rng), held=60 * np.exp(-np.arange(n) / 15)),  # larger model
    )


def recorded(rng, *runs):
    """The runs in random order, as the arguments of the task."""
    order = rng.permutation(len(runs))
    train, held = (np.round(np.stack([runs[i][side] for i in order]), 1) for side in (0, 1))
    return {"train": torch.tensor(train, dtype=torch.float32), "held": torch.tensor(held, dtype=torch.float32)}


def small_gap(rng):
    """Extra cost of held-out pictures in nats: below the 5 that count as a gap."""
    return rng.uniform(0.5, 2.0)


def large_gap(rng):
    return rng.uniform(12, 30)


def steepness(rng):
    """Fall of a cost in nats per epoch: more than 2 in ten epochs."""
    return rng.uniform(0.5, 0.8)


def ramp(n, begin, end, height):
    """0 until epoch `begin`, then straight to `height` at epoch `end`, and level from there: (n,)."""
    return height * np.clip((np.arange(n) - begin) / (end - begin), 0, 1)


def fall(n, slope):
    """A steady fall by `slope` nats per epoch, which ends near 0: (n,)."""
    return slope * (n - np.arange(n))


HIGH, LOW = (130, 200), (-60, -40)  # by how many nats an odd epoch is off


def record_run(rng, n, gap, both=0.0, train=0.0, held=0.0, train_odd=None, held_odd=None, start=None, jitter=0.4):
    """Cost of training and of held-out pictures after each of n epochs.

    Args:
        gap: extra cost of held-out pictures, in nats.
        both: added to both costs.
        train: added to the training cost.
        held: added to the held-out cost.
        train_odd: by epoch, the range in which it is off.
        held_odd: the same for the held-out cost.
        start: the level of the training cost, apart from all this.
        jitter: the standard deviation from epoch to epoch.
    """
    start = rng.uniform(90, 150) if start is None else start
    learned = start + rng.uniform(40, 90) * np.exp(-np.arange(n) / rng.uniform(3, 4.5)) + both
    costs = learned + train, learned + gap + held
    for cost, odd in zip(costs, (train_odd, held_odd), strict=True):
        cost += rng.normal(scale=jitter, size=n)
        for epoch, limits in (odd or {}).items():
            cost[epoch] += rng.uniform(*limits)
    return costs


def advise(train, held):
    """The exercise's rules in their order, on medians of ten epochs, which a single bad epoch hardly changes."""
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(held.numpy(), 10, axis=1), axis=2)  # (R, E - 9)
    gap = smooth[:, -1] - np.median(train.numpy()[:, -10:], axis=1)
    rules = [smooth[:, -1] - smooth.min(1) > 5, smooth[:, -11] - smooth[:, -1] > 2, gap > 5]
    return np.select(rules, ADVICE[:3], LARGER_MODEL)


def measured_runs(train, held):
    """One sentence about the numbers that decide."""
    numbers = zip(climb_of(held), fall_of(held), gap_of(train, held), strict=True)
    runs = "; ".join(f"run {n}: {a:.1f}, {b:.1f}, {c:.1f}" for n, (a, b, c) in enumerate(numbers))
    return (
        "By how many nats the held-out cost ends above its lowest level, by how many it falls in the last ten epochs, "
        f"and how large the gap is at the end, all by medians of ten epochs: {runs}."
    )


def medians_of_ten(costs):
    """Medians of ten consecutive epochs: (R, E) -> (R, E - 9)."""
    windows = np.lib.stride_tricks.sliding_window_view(costs.numpy(), 10, axis=1)
    return np.sort(windows, axis=2)[:, :, 4:6].mean(2)  # faster than np.median


def means_of_ten(costs):
    """Means of ten consecutive epochs: (R, E) -> (R, E - 9)."""
    return costs.unfold(1, 10, 1).mean(2).numpy()


def means_of_five(costs):
    return costs.unfold(1, 5, 1).mean(2).numpy()


def least_of_ten(costs):
    return costs.unfold(1, 10, 1).min(2).values.numpy()


def single_epochs(costs):
    """The epochs as they are: (R, E)."""
    return costs.numpy()


def climb_of(held, level=medians_of_ten, since=0, lowest=None):
    """The last level minus the lowest since an epoch, in nats: (R,). `lowest` may be another kind of level."""
    return level(held)[:, -1] - (lowest or level)(held)[:, since:].min(1)


def fall_of(costs, level=medians_of_ten, epochs=10):
    """The fall of the level in the last epochs, in nats: (R,)."""
    levels = level(costs)
    return levels[:, -1 - min(epochs, levels.shape[1] - 1)] - levels[:, -1]


def gap_of(train, held, level=medians_of_ten):
    """Extra cost of held-out pictures at the end, in nats: (R,)."""
    return level(held)[:, -1] - level(train)[:, -1]


def climbed(train, held):
    return climb_of(held) > 5


def falling(train, held):
    return fall_of(held) > 2


def apart(train, held):
    return gap_of(train, held) > 5


def level_gaps(train, held):
    """The gap at each moment of a run: (R, E - 9)."""
    return medians_of_ten(held) - medians_of_ten(train)


def by_rules(train, held, *, stop=climbed, go_on=falling, more=apart, order=(0, 1, 2), words=ADVICE):
    """Words by the exercise's rules; the default of each part is right. `order` has the rules' numbers, 3 is the "
    "last."""
    rules = [rule(train, held) for rule in (stop, go_on, more)]
    return np.select([rules[i] for i in order], [words[i] for i in order], words[3])


def by_levels(train, held, *, stop=medians_of_ten, lowest=None, go_on=medians_of_ten, more=medians_of_ten, epochs=10):
    """Words by the exercise's rules, each from levels of its own."""
    return by_rules(
        train,
        held,
        stop=lambda train, held: climb_of(held, stop, lowest=lowest) > 5,
        go_on=lambda train, held: fall_of(held, go_on, epochs) > 2,
        more=lambda train, held: gap_of(train, held, more) > 5,
    )


def by_limits(train, held, limits):
    climb, fall, gap = limits
    return by_rules(
        train,
        held,
        stop=lambda train, held: climb_of(held) > climb,
        go_on=lambda train, held: fall_of(held) > fall,
        more=lambda train, held: gap_of(train, held) > gap,
    )


def lowest_long_ago(train, held, patience, level=single_epochs):
    """The lowest level is at least `patience` epochs before the last."""
    return level(held).argmin(1) < level(held).shape[1] - patience


def small_gap_first(train, held):
    """A larger model if the gap is small."""
    return np.where(apart(train, held), by_rules(train, held), LARGER_MODEL)


def final_gap_is_overfitting(train, held):
    words = by_rules(train, held)
    return np.where(words == MORE_PICTURES, STOP_EARLIER, words)


def gap_has_grown(train, held):
    gaps = level_gaps(train, held)
    return gaps[:, -1] - gaps.min(1) > 5


def gap_larger_than_at_first(train, held):
    gaps = level_gaps(train, held)
    return gaps[:, -1] - gaps[:, 0] > 5


def gap_at_best(train, held):
    best = medians_of_ten(held).argmin(1)
    return level_gaps(train, held)[np.arange(len(best)), best] > 5


def first_sixty(train, held):
    return by_rules(train[:, :60], held[:, :60])


def ever_climbed(train, held):
    levels = medians_of_ten(held)
    return (levels - np.minimum.accumulate(levels, axis=1)).max(1) > 5


EXCHANGED = [tuple({a: b, b: a}.get(word, word) for word in ADVICE) for a, b in combinations(ADVICE, 2)]
LEVELS = (single_epochs, means_of_ten, medians_of_ten)

ADVISE = Task(
    name="autoencoder/advise",
    draw=(draw_first_runs, draw_odd_runs, draw_long_runs, draw_longest_runs),
    reference=advise,
    cases=4,
    decides=measured_runs,
    mistakes=(
        Mistake(
            "jitter taken for a change",
            "Some runs that only jitter around one level are said to climb, to fall or to be apart. The lowest of 60 "
            "jittering numbers hardly ever stands last: by how much do the costs differ, compared with the jitter?",
            *(
                partial(by_rules, stop=partial(lowest_long_ago, patience=patience, level=level))
                for patience in (1, 5, 10, 20)
                for level in (single_epochs, medians_of_ten)
            ),
            *(partial(by_limits, limits=limits) for limits in ((0, 2, 5), (0.1, 2, 5), (5, 0, 5), (0, 0, 0))),
            partial(by_limits, limits=(5, 2, 0)),
            partial(by_rules, stop=lambda train, held: fall_of(held) < 0),
        ),
        Mistake(
            "one odd epoch decides",
            "A single epoch that is far off, upwards or downwards, decides your advice on some run. Your rules take "
            "several numbers from a run, such as the lowest level: which of them can one such epoch move? A mean of "
            "ten moves by 15 nats, if one of them is off by 150.",
            *(
                partial(by_levels, stop=single_epochs, go_on=single_epochs, more=single_epochs, epochs=epochs)
                for epochs in (9, 11)
            ),
            partial(by_levels, stop=means_of_five, go_on=means_of_five, more=means_of_five),
            partial(by_levels, stop=means_of_five, lowest=single_epochs, go_on=means_of_five, more=means_of_five),
            *(
                partial(by_levels, stop=stop, lowest=lowest, go_on=go_on, more=more)
                for stop in LEVELS
                for go_on in LEVELS
                for more in LEVELS
                for lowest in (None, single_epochs)
                if (stop, lowest, go_on, more) != (medians_of_ten, None, medians_of_ten, medians_of_ten)
                and stop != lowest
            ),
            partial(by_levels, stop=least_of_ten, go_on=least_of_ten, more=least_of_ten),
        ),
        Mistake(
            "judged by the training cost",
            "The training cost has a say in your first or your second rule. In some runs the two costs go different "
            "ways: which of them tells what pictures cost that the model has not seen?",
            partial(by_rules, go_on=lambda train, held: fall_of(train) > 2),
            partial(by_rules, go_on=lambda train, held: (fall_of(train) > 2) & (fall_of(held) > 2)),
            partial(by_rules, go_on=lambda train, held: (fall_of(train) > 2) | (fall_of(held) > 2)),
            partial(
                by_rules, stop=lambda train, held: climb_of(train) > 5, go_on=lambda train, held: fall_of(train) > 2
            ),
            partial(by_rules, stop=lambda train, held: climb_of(train) > 5),
            partial(by_rules, stop=lambda train, held: (climb_of(held) > 5) & (fall_of(train) > 2)),
        ),
        Mistake(
            "a gap called overfitting",
            'You say "stop earlier" for runs whose held-out cost has not climbed, because the training cost lies '
            "lower. What would stopping earlier have gained there?",
            final_gap_is_overfitting,
            *(partial(by_rules, stop=rule) for rule in (apart, gap_has_grown, gap_larger_than_at_first)),
            partial(by_rules, stop=lambda train, held: climbed(train, held) | apart(train, held)),
            partial(by_rules, stop=apart, order=(1, 0, 2)),
            partial(by_rules, stop=apart, more=climbed, order=(1, 0, 2)),
            partial(by_rules, stop=lambda train, held: climbed(train, held) | gap_has_grown(train, held)),
        ),
        Mistake(
            "not the first advice that fits",
            "Some runs fit more than one line of the list, and you do not give the first one that fits. In which order "
            "do you ask?",
            *(partial(by_rules, order=order) for order in ((0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0))),
            small_gap_first,
        ),
        Mistake(
            "words exchanged",
            "You tell the kinds of run apart rightly, but you have exchanged some of the words. Which one does a "
            "rising held-out cost call for? And a model that does as badly on pictures it knows: is it short of "
            "pictures, or of room?",
            *(partial(by_rules, words=words) for words in EXCHANGED),
        ),
        Mistake(
            "compared with the beginning",
            "You compare the end with the first epochs. Every run has fallen since then; the question is what "
            "it did since its lowest level, or lately.",
            partial(by_rules, go_on=lambda train, held: fall_of(held, epochs=1000) > 2),
            partial(by_rules, go_on=lambda train, held: fall_of(held, single_epochs, epochs=1000) > 2),
            partial(by_rules, stop=lambda train, held: medians_of_ten(held)[:, -1] - held[:, 0].numpy() > 5),
        ),
        Mistake(
            "the fall at the beginning counted",
            "You take the distance between the highest and the lowest level for a climb. Every run begins high: which "
            "of the two came first?",
            partial(by_rules, stop=lambda train, held: medians_of_ten(held).max(1) - medians_of_ten(held).min(1) > 5),
        ),
        Mistake(
            "a climb sought in a part of the run",
            "Some held-out costs climbed early, or climbed fast at first and have come down a little, and still end "
            "far above their lowest level. Which epochs do you look at for the climb?",
            *(
                partial(by_rules, stop=lambda train, held, limit=limit: fall_of(held) < -limit)
                for limit in (0.5, 1, 2, 5)
            ),
            *(
                partial(by_rules, stop=lambda train, held, since=since: climb_of(held, since=since) > 5)
                for since in (-10, -20, -30)
            ),
            partial(by_rules, stop=lambda train, held: climb_of(held, since=held.shape[1] // 2) > 5),
        ),
        Mistake(
            "a climb that was made good",
            'One held-out cost climbs for a while, and falls below all that it was before. You say "stop earlier". '
            "Where is its lowest level?",
            partial(by_rules, stop=ever_climbed),
        ),
        Mistake(
            "a rise taken for a fall",
            "A cost that has changed by 2 nats has not always fallen.",
            partial(by_rules, go_on=lambda train, held: abs(fall_of(held)) > 2),
        ),
        Mistake(
            "a fall over another stretch",
            "Some runs fall slowly, or have stopped falling, and you decide otherwise than the list does. Over how "
            "many epochs do you count the 2 nats?",
            *(
                partial(by_rules, go_on=lambda train, held, epochs=epochs: fall_of(held, epochs=epochs) > 2)
                for epochs in (1, 5, 20)
            ),
            partial(by_rules, go_on=lambda train, held: fall_of(held) / 10 > 2),
        ),
        Mistake(
            "other limits than in the list",
            "On some run you decide otherwise than the list's three limits do. Which are they, and are all in nats?",
            *(
                partial(by_limits, limits=limits)
                for limits in (
                    *((1, 2, 5), (2, 2, 5), (5, 5, 5), (5, 2, 2), (2, 5, 2), (2, 2, 2), (2, 5, 5), (5, 5, 2)),
                    *((10, 2, 5), (5, 2, 10), (10, 2, 10)),
                )
            ),
            partial(by_rules, stop=lambda train, held: climb_of(held) > 0.05 * medians_of_ten(held).min(1)),
            partial(by_rules, more=lambda train, held: gap_of(train, held) > 0.05 * medians_of_ten(train)[:, -1]),
        ),
        Mistake(
            "the gap taken at another time",
            "You do not take the gap at the end of the run. In some runs it is wide at first and closes, in others it "
            "opens late.",
            partial(by_rules, more=gap_at_best),
            partial(by_rules, more=lambda train, held: level_gaps(train, held).mean(1) > 5),
            partial(by_rules, more=lambda train, held: (held - train).mean(1).numpy() > 5),
            partial(by_rules, more=lambda train, held: (held - train).median(1).values.numpy() > 5),
            partial(by_rules, more=lambda train, held: level_gaps(train, held).max(1) > 5),
            partial(by_rules, more=lambda train, held: level_gaps(train, held)[:, 0] > 5),
            partial(by_rules, more=lambda train, held: medians_of_ten(held).min(1) - medians_of_ten(train).min(1) > 5),
        ),
        Mistake(
            "the gap with the wrong sign",
            "You subtract the held-out cost from the training cost. Which of the two is larger when pictures are "
            "missing?",
            partial(by_rules, more=lambda train, held: gap_of(train, held) < -5),
        ),
        Mistake(
            "sixty epochs taken for granted",
            "Runs may be longer than 60 epochs, and their last epochs count.",
            first_sixty,
        ),
    ),
)


# autoencoder/compare(train_a, train_b, held_a, held_b)


def draw_compare(rng, low, high, spread, sign):
    """Costs of the same pictures under two models, whose mean difference is `low` to `high` standard errors.

    `spread` is the range of the logarithm of the differences' standard deviation.

    The spread between pictures is large, so pairing matters. On training pictures the other model is better.
    """
    sizes = {"train": int(rng.integers(250, 400)), "held": int(rng.integers(60, 240))}
    errors = sign * rng.uniform(low, high)
    means = {"train": -np.sign(errors) * rng.uniform(6, 12), "held": errors}
    costs = {}
    for side, size in sizes.items():
        picture, own = rng.gamma(6.0, 15.0, size=size) + 60, rng.normal(size=size)
        own = (own - own.mean()) / own.std(ddof=1) * np.exp(rng.uniform(*spread))
        own += means[side] * (own.std(ddof=1) / math.sqrt(size) if side == "held" else 1.0)  # negative: a is better
        level = rng.uniform(0.3, 0.7)
        costs[f"{side}_a"], costs[f"{side}_b"] = picture + level * own, picture - (1 - level) * own
    names = ("train_a", "train_b", "held_a", "held_b")
    return {name: torch.tensor(np.round(costs[name], 2), dtype=torch.float32) for name in names}


def better_model(difference, error, threshold=5):
    """The cheaper model, if the difference a − b is more than `threshold` standard errors from 0."""
    if abs(difference) <= threshold * error:
        return "cannot tell"
    return "b" if difference > 0 else "a"


def compare(train_a, train_b, held_a, held_b):
    """Mean of the differences of the pairs, with its standard error."""
    each = held_a.numpy() - held_b.numpy()
    error = np.std(each, ddof=1) / np.sqrt(len(each))
    return better_model(each.mean(), error), each.mean(), error


def errors_from_zero(train_a, train_b, held_a, held_b):
    """One sentence about the numbers that decide."""
    difference, error = paired(held_a, held_b)
    return (
        f"A held-out picture costs {difference:.3f} nats more under a than under b, which is "
        f"{abs(difference) / error:.1f} times the standard error of {error:.3f}."
    )


def with_word(difference, error, threshold=5):
    """All three results, with the word that follows from these two numbers."""
    return better_model(difference, error, threshold), difference, error


def paired(a, b):
    """Mean difference and its standard error."""
    return (a - b).mean(), (a - b).std() / math.sqrt(len(a))


def unpaired(a, b):
    """Mean difference and its standard error, as if the models had been given different pictures."""
    return a.mean() - b.mean(), (a.var() / len(a) + b.var() / len(b)).sqrt()


def compare_with(threshold, estimate):
    """An answer whose numbers are `estimate(held_a, held_b)`, and whose word follows from them."""
    return lambda train_a, train_b, held_a, held_b: with_word(*estimate(held_a, held_b), threshold)


def winner_by_nats(train_a, train_b, held_a, held_b, nats):
    difference, error = paired(held_a, held_b)
    return better_model(difference, nats, threshold=1), difference, error


def winner_on_most_pictures(train_a, train_b, held_a, held_b):
    return "a" if (held_a < held_b).float().mean() > 0.5 else "b", *paired(held_a, held_b)


def word_of_others(*costs, others, threshold=5):
    """The two numbers are right, the word is that of other numbers."""
    return better_model(*others(*costs), threshold), *paired(*costs[2:])


def one_side_only(train_a, train_b, held_a, held_b, sign):
    """The difference is compared without taking its absolute value."""
    difference, error = paired(held_a, held_b)
    word = "cannot tell" if sign * difference <= 5 * error else better_model(difference, error, 0)
    return word, difference, error


def divided_by_root_of(count):
    """An answer whose standard error is divided by the root of a number of pictures, computed from M and N."""
    return lambda train_a, train_b, a, b: with_word(
        (a - b).mean(), (a - b).std() / math.sqrt(count(len(train_a), len(a)))
    )


def pooled(train_a, train_b, held_a, held_b):
    return torch.cat([train_a, held_a]), torch.cat([train_b, held_b])


def gaps(train_a, train_b, held_a, held_b):
    """By how much the gap between held-out and training pictures is larger under a than under b, and three errors."""
    train, held = paired(train_a, train_b), paired(held_a, held_b)
    unlike = sum((cost.var() / len(cost) for cost in (train_a, train_b, held_a, held_b)), start=0.0)
    return held[0] - train[0], held[1], (train[1] ** 2 + held[1] ** 2).sqrt(), unlike.sqrt()


def middle_difference(train_a, train_b, a, b):
    return (a - b).median(), (a - b).std() / math.sqrt(len(a))


def higher_cost_wins(train_a, train_b, held_a, held_b):
    difference, error = paired(held_a, held_b)
    return better_model(-difference, error), difference, error


def difference_turned_around(train_a, train_b, held_a, held_b):
    difference, error = paired(held_a, held_b)
    return better_model(difference, error), -difference, error


def difference_without_sign(train_a, train_b, held_a, held_b):
    difference, error = paired(held_a, held_b)
    return better_model(difference, error), abs(difference), error


def summed_over_pictures(train_a, train_b, held_a, held_b):
    difference, error = paired(held_a, held_b)
    return better_model(difference, error), difference * len(held_a), error * len(held_a)


def without_outliers(train_a, train_b, held_a, held_b, limit):
    """Leave out differences that are farther than some standard deviations from their mean."""
    each = held_a - held_b
    each = each[(each - each.mean()).abs() <= limit * each.std()]
    difference, error = each.mean(), each.std() / math.sqrt(len(each))
    return better_model(difference, error), difference, error


COMPARE = Task(
    name="autoencoder/compare",
    draw=tuple(
        partial(draw_compare, low=low, high=high, spread=spread, sign=sign)
        for sign in (1, -1)
        for low, high, spread in (
            *((12, 20, (-1, 0.5)), (7.2, 9, (2.4, 2.6)), (5.3, 5.7, (-1, 0.5))),  # a winner
            *((4.2, 4.8, (2.4, 2.6)), (3.2, 3.8, (2.4, 2.6)), (2.1, 2.4, (2.4, 2.6)), (1.75, 1.9, (2.4, 2.6))),
            (0, 1.2, (-1, 2.5)),
        )
    ),
    decides=errors_from_zero,
    reference=compare,
    agree=Close(rtol=5e-4, atol=1e-4),
    cases=16,
    mistakes=(
        Mistake(
            "pictures left out",
            "You leave out the pictures whose difference is far from the others. New pictures will be like them, too: "
            "what is the mean over all pictures in the world made of?",
            *(partial(without_outliers, limit=limit) for limit in (2, 2.5, 3)),
        ),
        Mistake(
            "pictures not paired",
            "Your standard error holds the spread between easy and hard pictures, which both models share. "
            "Row n of both is the same picture: what is known about it?",
            *(compare_with(threshold, unpaired) for threshold in (5, 0, 1.96, 2, 3)),
            *(
                compare_with(5, lambda a, b, error=error: (a.mean() - b.mean(), error(a, b)))
                for error in (
                    lambda a, b: a.std() / math.sqrt(len(a)),
                    lambda a, b: (a.std() + b.std()) / math.sqrt(len(a)),
                    lambda a, b: ((a.var(correction=0) + b.var(correction=0)) / len(a)).sqrt(),
                    lambda a, b: (a.var() + b.var()).sqrt(),
                    lambda a, b: torch.cat([a, b]).std() / math.sqrt(len(a)),
                    lambda a, b: torch.cat([a, b]).std() / math.sqrt(2 * len(a)),
                )
            ),
            lambda train_a, train_b, a, b: (with_word(*paired(a, b))[0], *unpaired(a, b)),
        ),
        Mistake(
            "a margin wider than the error",
            "Your two numbers are right, but you name a winner only far beyond five of the errors that you report. "
            "From what is your margin made: from the costs of each model, or from single pictures? How far may the "
            "mean of N differences be off?",
            *(
                partial(word_of_others, others=lambda _, __, a, b, error=error: (a.mean() - b.mean(), error(a, b)))
                for error in (
                    lambda a, b: unpaired(a, b)[1],
                    lambda a, b: a.std() / math.sqrt(len(a)),
                    lambda a, b: (a.std() + b.std()) / math.sqrt(len(a)),
                    lambda a, b: (a - b).std(),
                )
            ),
        ),
        Mistake(
            "training pictures compared",
            "You compare the models, or choose the winner, on the pictures they were trained on. An autoencoder that "
            "has learned them by heart would win.",
            lambda train_a, train_b, a, b: with_word(*paired(train_a, train_b)),
            lambda train_a, train_b, a, b: with_word(*unpaired(train_a, train_b)),
            partial(word_of_others, others=lambda train_a, train_b, a, b: paired(train_a, train_b)),
            partial(word_of_others, others=lambda train_a, train_b, a, b: paired(train_a, train_b), threshold=0),
        ),
        Mistake(
            "training pictures counted too",
            "You put training and held-out pictures together. That makes more of them, but what do the training "
            "pictures say about the cost of a *new* one?",
            lambda *costs: with_word(*paired(*pooled(*costs))),
            lambda *costs: with_word(*unpaired(*pooled(*costs))),
        ),
        Mistake(
            "how much the models overfit",
            "You compare the gaps between held-out and training pictures. A model with a small gap may still cost more "
            "on new pictures: which number did the text ask for?",
            *(lambda *costs, n=n: with_word(gaps(*costs)[0], gaps(*costs)[n]) for n in (1, 2, 3)),
        ),
        Mistake(
            "a winner by any margin",
            "Your two numbers are right, but the margin at which you name a winner does not depend on the second "
            "one. Would other held-out pictures name the same winner?",
            compare_with(0, paired),
            *(partial(winner_by_nats, nats=nats) for nats in (1, 2, 5)),
            winner_on_most_pictures,
        ),
        Mistake(
            "a winner too early",
            "Your two numbers are right, but you name a winner too few standard errors from 0. How many did the "
            "text ask for?",
            *(compare_with(threshold, paired) for threshold in (1, 1.645, 1.96, 2, 2.5, 3, 4)),
        ),
        Mistake(
            "a winner too late",
            'Your two numbers are right, but you say "cannot tell" where the difference is already more standard '
            "errors from 0 than the text asks for.",
            *(compare_with(threshold, paired) for threshold in (6, 10)),
        ),
        Mistake(
            "one of the models never wins",
            "One of the two models never wins in your function, however clearly it is better. Which sign has the "
            "difference when it is?",
            partial(one_side_only, sign=1),
            partial(one_side_only, sign=-1),
        ),
        Mistake(
            "standard deviation for standard error",
            "Your second number is how much the difference varies from picture to picture. How much does the "
            "mean of N of them vary?",
            lambda train_a, train_b, a, b: with_word((a - b).mean(), (a - b).std()),
            lambda train_a, train_b, a, b: with_word((a - b).mean(), (a - b).std(), threshold=0),
        ),
        Mistake(
            "standard error divided by N, not √N",
            "Four times as many pictures halve a standard error; yours falls to a quarter.",
            lambda train_a, train_b, a, b: with_word((a - b).mean(), (a - b).std() / len(a)),
        ),
        Mistake(
            "variance taken for standard deviation",
            "Your standard error is made from the variance, and its unit is not nats. What turns a variance into a "
            "standard deviation?",
            lambda train_a, train_b, a, b: with_word((a - b).mean(), (a - b).var() / len(a)),
            lambda train_a, train_b, a, b: with_word((a - b).mean(), (a - b).var() / math.sqrt(len(a))),
        ),
        Mistake(
            "another number of pictures in the standard error",
            "Your standard error is divided by the root of another number than that of the differences that you "
            "average. How many are they?",
            divided_by_root_of(lambda train, held: train),
            divided_by_root_of(lambda train, held: train + held),
            divided_by_root_of(lambda train, held: 2 * held),
            divided_by_root_of(lambda train, held: held - 1),
        ),
        Mistake(
            "standard deviation with N in place of N − 1",
            "Nearly: asked is the sample standard deviation, divided by N − 1, as `torch.std` does. NumPy divides by N "
            "unless told otherwise.",
            lambda train_a, train_b, a, b: with_word((a - b).mean(), (a - b).std(correction=0) / math.sqrt(len(a))),
        ),
        Mistake(
            "the size of the differences",
            "Your standard error comes from the differences without their signs. How much does a difference vary that "
            "is sometimes 1 and sometimes −1?",
            lambda train_a, train_b, a, b: with_word((a - b).mean(), (a - b).abs().std() / math.sqrt(len(a))),
        ),
        Mistake(
            "median instead of mean",
            "Your first number is the middle one of the differences. Asked is their mean: the standard error is the "
            "mean's.",
            lambda *costs: with_word(*middle_difference(*costs)),
            lambda *costs: (compare(*costs)[0], *middle_difference(*costs)),
        ),
        Mistake(
            "the higher cost called better",
            "Your numbers are right; the word is the other model's. A cost is minus a log-probability: which "
            "one is better, the lower or the higher?",
            higher_cost_wins,
        ),
        Mistake(
            "b minus a",
            "The first number should say how much more a costs than b, and yours says the reverse. The word should "
            "be the cheaper model's.",
            difference_turned_around,
            lambda train_a, train_b, a, b: with_word(*paired(b, a)),
        ),
        Mistake(
            "the difference without its sign",
            "Your first number is never negative. It should say how much more a costs than b, which may be "
            "less than nothing.",
            difference_without_sign,
        ),
        Mistake(
            "a sum over the pictures",
            "You add up over the pictures. The numbers should be nats per picture: yours grow with their number.",
            summed_over_pictures,
            lambda train_a, train_b, a, b: with_word((a - b).sum(), (a - b).std() / math.sqrt(len(a))),
            lambda train_a, train_b, a, b: with_word((a - b).sum(), (a - b).std() * math.sqrt(len(a))),
        ),
    ),
)

TASKS = (BERNOULLI_COST, PCA, NUDGE, RISE, ADVISE, COMPARE)
