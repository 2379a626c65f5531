"""The tasks of exercise 01, the plain autoencoder."""

import math
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from sklearn import decomposition
from torch.distributions import Bernoulli

from vae_course.judging.common_mistakes import wrong_reductions
from vae_course.judging.task import Close, Mistake, Task, rounded_normal
from vae_course.visible.callables import Linear

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
            "infinite for large logits",
            "Your function is right for small logits and breaks for large ones. In float32 exp(200) is infinite, "
            "and the sigmoid of 200 is exactly 1, so that 1 − 1 has no logarithm. Find a form that never leaves "
            "the logits: what is −log sigmoid(l), nearly, for a large negative l?",
            lambda logits, x: cost_from_probabilities(torch.sigmoid(logits), x),
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
            "a limit to what a pixel can cost",
            "No error and no nan, but no pixel can cost more than a few tens of nats, and nothing warns you: what "
            "should a pixel with logit 200 cost if it is paper? Find a form that takes the logits as they are and "
            "needs no limit.",
            *(partial(cost_with_epsilon, epsilon=epsilon) for epsilon in (1e-6, 1e-7, 1e-8, 1e-10, 1e-12)),
            *(partial(cost_of_clamped_probabilities, epsilon=epsilon) for epsilon in (1e-5, 1e-6, 1e-7)),
            lambda logits, x: -Bernoulli(torch.sigmoid(logits)).log_prob(x).sum(-1),
            *(partial(cost_of_clamped_logits, limit=limit) for limit in (20, 30, 50)),
        ),
        Mistake(
            "logits taken for probabilities",
            "You take logarithms of the logits themselves. They are log-odds and may be any number: which function "
            "turns log-odds into a probability?",
            lambda logits, x: cost_from_probabilities(logits, x),
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
            "squared error",
            "That is a squared distance. Asked is minus the logarithm of the probability that the decoder "
            "gave to the picture.",
            lambda logits, x: ((torch.sigmoid(logits) - x) ** 2).sum(-1),
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


def rebuilt_without_singular_values(x, k):
    left, _, directions = torch.linalg.svd(x - x.mean(0))
    return left[:, :k] @ directions[:k] + x.mean(0)


def rebuilt_from_scaled_pixels(x, k):
    mean, std = x.mean(0), x.std(0)
    return rebuilt_around((x - mean) / std, k, torch.zeros_like(mean)) * std + mean


PCA = Task(
    name="autoencoder/pca",
    draw=draw_pca,
    reference=pca,
    agree=Close(rtol=1e-3, atol=1e-3),
    mistakes=(
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
        ),
        Mistake(
            "found uncentred, applied centred",
            "You centre the pictures when you project, but not when you look for the directions: your first "
            "one points at the mean.",
            lambda x, k: project(x, x.mean(0), right_singular_vectors(x)[:k]),
        ),
        Mistake(
            "the least components kept",
            "You keep the directions in which the pictures differ least. In which order does the function "
            "that you used return them?",
            lambda x, k: project(x, x.mean(0), eigenvectors(torch.cov(x.T))[:, :k].T),
            lambda x, k: project(x, torch.zeros_like(x[0]), eigenvectors(x.T @ x)[:, :k].T),
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
            "one component too many or too few",
            "Count the directions that you keep: they are not k. The mean is not one of the k, and needs no "
            "place among them.",
            lambda x, k: rebuilt_around(x, k + 1, x.mean(0)),
            lambda x, k: rebuilt_around(x, k - 1, x.mean(0)),
        ),
        Mistake(
            "codes without their lengths",
            "All your codes are of the same small length. In x = U S V the matrix U has columns of length 1: "
            "what says how far to walk along each direction?",
            rebuilt_without_singular_values,
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
        ),
    ),
)


# autoencoder/nudge(z, r, eps)


def draw_nudge(rng):
    """Few codes, latents with very different spreads and a mean away from zero, no direction of length near zero.

    So spreads, variances, and division by N or N − 1 give clearly different results.
    """
    latents = int(rng.integers(2, 4))
    codes = int(rng.integers(latents + 1, latents + 4))
    scale = np.array([0.5, 8.0, 2.0])[:latents]
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
            "That is the nudge of the lesson: its length depends on how long `eps` happens to be. Here every "
            "code should move by exactly r, measured in spreads.",
            lambda z, r, eps: z + r * z.std(0) * eps,
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
            "one spread for all latents",
            "You use one number for all latents. A latent with a small spread is then thrown far away, and "
            "one with a large spread hardly moved.",
            lambda z, r, eps: z + r * z.std() * unit_rows(eps),
            lambda z, r, eps: z + r * z.std(0).mean() * unit_rows(eps),
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
            "You divide by a length taken over several codes. The direction of one code is one row of `eps`, and "
            "has a length of its own.",
            lambda z, r, eps: z + r * z.std(0) * eps / eps.norm(),
            lambda z, r, eps: z + r * z.std(0) * eps / eps.norm(dim=0),
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
    """Two full batches and a smaller one, of pictures whose latents have very different spreads.

    So it shows if all batches count equally, if the unit comes from a batch, and if both latents have the same unit.
    """
    batch_size, latents, pixels = int(rng.integers(3, 5)), 2, int(rng.integers(4, 7))
    pictures = 2 * batch_size + int(rng.integers(2, batch_size))
    scale = torch.tensor([[0.4], [2.0]])
    x = random_ink(rng, pictures, pixels)
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
    """Cost after the nudge minus cost before it, averaged over all pictures, decoded at once."""
    z = encode(x)
    moved = z + r * torch.tensor(np.std(z.numpy(), axis=0, ddof=1)) * eps
    logits = (decode(codes).numpy() for codes in (z, moved))  # a probability near 1 would lose its last digits
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
    for pictures, noise in zip(x.split(batch_size), eps.split(batch_size), strict=True):
        codes = encode(pictures)
        before, after = decode(codes), decode(codes + r * spread(all_codes, codes) * noise)
        wanted = target(pictures, before)
        rises.append(pixel_costs(after, wanted).sum(1) - pixel_costs(before, wanted).sum(1))
    return average(rises)


def cost_after(encode, decode, x, eps, r, batch_size):
    z = encode(x)
    return pixel_costs(decode(z + r * z.std(0) * eps), x).sum(1).mean()


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
            "Nothing in your number depends on whether the decoder drew the right picture before the nudge or "
            "after it: a decoder that draws nonsense, and the same nonsense after the nudge, would do perfectly. "
            "Whose cost did the text ask for?",
            partial(rise_by_batches, target=own_drawing),
            partial(rise_by_batches, target=lambda pictures, logits: (logits > 0).float()),
        ),
        Mistake(
            "a unit for each batch",
            "The length of your nudge depends on which pictures happen to share a batch. Try batches of two "
            "pictures that look alike: how far are their codes moved?",
            partial(rise_by_batches, spread=spread_of_batch),
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
            "a sum over the pictures",
            "Your number is that of all pictures together. Asked are nats per picture.",
            partial(rise_by_batches, average=lambda rises: torch.cat(rises).sum()),
        ),
        Mistake(
            "mean over the pixels",
            "Your number is the right one divided by the number of pixels. A picture costs what all its "
            "pixels cost together.",
            lambda encode, decode, x, *others: rise_by_batches(encode, decode, x, *others) / x.shape[1],
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
EPOCHS = np.arange(60)


def draw_advise(rng):
    """Twelve runs of 60 epochs in random order, all kinds in every case; none is near a boundary.

    Single bad epochs occur near the end and elsewhere, in both costs. Some runs that climb or still fall have large
    gaps, so the order of the rules matters.
    """
    runs = [
        record_run(rng, small_gap(rng), ahead=0.3, turn=int(rng.integers(22, 28))),  # stop earlier
        record_run(rng, large_gap(rng), ahead=0.3, turn=int(rng.integers(30, 36)), held_spike=40),
        record_run(rng, small_gap(rng), steepness(rng)),  # train longer
        record_run(rng, large_gap(rng), steepness(rng), held_spike=59),
        record_run(rng, small_gap(rng), steepness(rng), held_spike=55),
        record_run(rng, large_gap(rng)),  # more pictures
        record_run(rng, large_gap(rng), ahead=steepness(rng)),
        record_run(rng, large_gap(rng), held_spike=59),
        record_run(rng, small_gap(rng)),  # larger model
        record_run(rng, small_gap(rng), held_spike=59),
        record_run(rng, small_gap(rng), held_spike=56),
        record_run(rng, small_gap(rng), train_spike=59),
    ]
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


def record_run(rng, gap, slope=0.0, ahead=0.0, turn=None, held_spike=None, train_spike=None):
    """Cost of training and of held-out pictures after each epoch.

    Args:
        gap: extra cost of held-out pictures, in nats.
        slope: fall of both costs after the first epochs, in nats per epoch.
        ahead: additional fall of the training cost, in nats per epoch.
        turn: the epoch from which the held-out cost climbs.
        held_spike: the epoch in which the held-out cost is far too high.
        train_spike: the same for the training cost.
    """
    start, fall = rng.uniform(90, 150), rng.uniform(40, 90) * np.exp(-EPOCHS / rng.uniform(3, 4.5))
    held = start + gap + fall + slope * (60 - EPOCHS)
    train = start + fall + slope * (60 - EPOCHS) - ahead * EPOCHS
    if turn is not None:
        held += rng.uniform(14, 25) * np.maximum(EPOCHS - turn, 0) / (60 - turn)
    for cost, spike in ((held, held_spike), (train, train_spike)):
        cost += rng.normal(scale=0.4, size=60)
        if spike is not None:
            cost[spike] += rng.uniform(130, 200)
    return train, held


def advise(train, held):
    """The exercise's rules in their order, on medians of ten epochs, which a single bad epoch hardly changes."""
    smooth = np.median(np.lib.stride_tricks.sliding_window_view(held.numpy(), 10, axis=1), axis=2)  # (R, 51)
    gap = smooth[:, -1] - np.median(train.numpy()[:, -10:], axis=1)
    rules = [smooth[:, -1] - smooth.min(1) > 5, smooth[:, -11] - smooth[:, -1] > 2, gap > 5]
    return np.select(rules, ADVICE[:3], LARGER_MODEL)


def medians_of_ten(costs):
    """Medians of ten consecutive epochs: (R, E) -> (R, E - 9)."""
    return np.median(np.lib.stride_tricks.sliding_window_view(costs.numpy(), 10, axis=1), axis=2)


def means_of_ten(costs):
    """Means of ten consecutive epochs: (R, E) -> (R, E - 9)."""
    return costs.unfold(1, 10, 1).mean(2).numpy()


def single_epochs(costs):
    """The last of each ten consecutive epochs: (R, E) -> (R, E - 9)."""
    return costs[:, 9:].numpy()


def final_climb(level):
    """The last level minus the lowest."""
    return level[:, -1] - level.min(1)


def final_fall(level, epochs=10):
    """The fall of the level in the last epochs."""
    return level[:, -1 - epochs] - level[:, -1]


def final_gap(train_level, held_level):
    return held_level[:, -1] - train_level[:, -1]


def by_rules(train, held, *, level=medians_of_ten, climb=5.0, epochs=10, words=ADVICE):
    """Words by the exercise's rules; the default of each part is right."""
    train, held = level(train), level(held)
    rules = [final_climb(held) > climb, final_fall(held, epochs) > 2, final_gap(train, held) > 5]
    return np.select(rules, words[:3], words[3])


def judged_by_best_epoch(train, held, patience):
    """Overfitting if the lowest epoch is at least `patience` epochs before the last."""
    long_ago = (held.argmin(1) < held.shape[1] - patience).numpy()
    words = by_rules(train, held)
    return np.where(long_ago, STOP_EARLIER, np.where(words == STOP_EARLIER, LARGER_MODEL, words))


def judged_by_training_cost(train, held):
    train, held = medians_of_ten(train), medians_of_ten(held)
    return np.select(
        [final_climb(held) > 5, final_fall(train) > 2, final_gap(train, held) > 5], ADVICE[:3], LARGER_MODEL
    )


def large_gap_first(train, held):
    """More pictures if the gap is large, unless the held-out cost climbs."""
    train, held = medians_of_ten(train), medians_of_ten(held)
    rules = [final_climb(held) > 5, final_gap(train, held) > 5, final_fall(held) > 2]
    return np.select(rules, [STOP_EARLIER, MORE_PICTURES, TRAIN_LONGER], LARGER_MODEL)


def small_gap_first(train, held):
    """A larger model if the gap is small."""
    gap = final_gap(medians_of_ten(train), medians_of_ten(held))
    return np.where(gap < 5, LARGER_MODEL, by_rules(train, held))


def final_gap_is_overfitting(train, held):
    words = by_rules(train, held)
    return np.where(words == MORE_PICTURES, STOP_EARLIER, words)


def any_gap_is_overfitting(train, held):
    train, held = medians_of_ten(train), medians_of_ten(held)
    return np.select([final_gap(train, held) > 5, final_fall(held) > 2], ADVICE[:2], LARGER_MODEL)


ADVISE = Task(
    name="autoencoder/advise",
    draw=draw_advise,
    reference=advise,
    cases=3,
    mistakes=(
        Mistake(
            "jitter taken for overfitting",
            'Some runs that only jitter around one level get "stop earlier" from you. The lowest of 60 jittering '
            "numbers hardly ever stands last: by how much has the cost risen, compared with the jitter?",
            partial(judged_by_best_epoch, patience=1),
            partial(judged_by_best_epoch, patience=10),
            partial(by_rules, climb=0.1),
        ),
        Mistake(
            "the last epoch trusted",
            "One bad epoch at the very end turns your advice around. What would you say of the same run, had "
            "it ended an epoch before?",
            partial(by_rules, level=single_epochs),
        ),
        Mistake(
            "an average dragged by one epoch",
            "You average over epochs, which quiets the jitter. But one epoch that is off by 150 nats moves a "
            "mean of ten by 15. Which kind of middle does not care how far off one number is?",
            partial(by_rules, level=means_of_ten),
        ),
        Mistake(
            "judged by the training cost",
            "In one kind of run only the training cost still falls at the end. Does training longer help "
            "pictures that the model has not seen?",
            judged_by_training_cost,
        ),
        Mistake(
            "every gap called overfitting",
            'You say "stop earlier" wherever held-out pictures cost more than training pictures. Where the '
            "held-out cost has never risen, what would stopping earlier have gained?",
            final_gap_is_overfitting,
            any_gap_is_overfitting,
        ),
        Mistake(
            "the gap looked at before the trend",
            "You judge some runs by their gap although their held-out cost still falls, or climbs again. The list has "
            "an order: what is the cheapest thing to try?",
            large_gap_first,
            small_gap_first,
        ),
        Mistake(
            "two words exchanged",
            "You have exchanged two of the four words. Which one does a rising held-out cost call for? And a model "
            "that does as badly on pictures it knows: is it short of pictures, or of room?",
            partial(by_rules, words=(STOP_EARLIER, TRAIN_LONGER, LARGER_MODEL, MORE_PICTURES)),
            partial(by_rules, words=(TRAIN_LONGER, STOP_EARLIER, MORE_PICTURES, LARGER_MODEL)),
        ),
        Mistake(
            "compared with the beginning",
            "You compare the end with the first epochs. Every run has fallen since then; the question is what "
            "it did lately.",
            partial(by_rules, epochs=50),
        ),
    ),
)


# autoencoder/compare(train_a, train_b, held_a, held_b)


def draw_compare(rng):
    """Costs of the same pictures under two models: on held-out pictures a tie, a doubtful or a clear winner.

    The mean difference is below 2 standard errors, 3 to 3.8, or 12 to 20. The spread between pictures is large, so
    pairing matters. On training pictures the other model is better.
    """
    sizes = {"train": int(rng.integers(250, 400)), "held": int(rng.integers(120, 240))}
    low, high = ((0, 2), (3, 3.8), (12, 20))[rng.integers(3)]
    errors = rng.uniform(low, high) * rng.choice([-1, 1])
    means = {"train": -np.sign(errors) * rng.uniform(6, 12), "held": errors}
    costs = {}
    for side, size in sizes.items():
        picture, own = rng.gamma(6.0, 15.0, size=size) + 60, rng.normal(size=size)
        own = (own - own.mean()) / own.std(ddof=1) * np.exp(rng.uniform(-1, 2.5))
        own += means[side] * (own.std(ddof=1) / math.sqrt(size) if side == "held" else 1.0)  # negative: a is better
        level = rng.uniform(0.3, 0.7)
        costs[f"{side}_a"], costs[f"{side}_b"] = picture + level * own, picture - (1 - level) * own
    names = ("train_a", "train_b", "held_a", "held_b")
    return {name: torch.tensor(np.round(costs[name], 2), dtype=torch.float32) for name in names}


def better_model(difference, error, threshold=5):
    """The cheaper model, if the difference a − b is at least `threshold` standard errors from 0."""
    if abs(difference) < threshold * error:
        return "cannot tell"
    return "b" if difference > 0 else "a"


def compare(train_a, train_b, held_a, held_b):
    """Mean of the differences of the pairs, with its standard error."""
    each = held_a.numpy() - held_b.numpy()
    error = np.std(each, ddof=1) / np.sqrt(len(each))
    return better_model(each.mean(), error), each.mean(), error


def with_word(difference, error, threshold=5):
    """All three results, with the word that follows from these two numbers."""
    return better_model(difference, error, threshold), difference, error


def paired(a, b):
    """Mean difference and its standard error."""
    return (a - b).mean(), (a - b).std() / math.sqrt(len(a))


def unpaired(a, b):
    """Mean difference and its standard error, as if the models had been given different pictures."""
    return a.mean() - b.mean(), (a.var() / len(a) + b.var() / len(b)).sqrt()


def winner_by_a_nat(train_a, train_b, held_a, held_b):
    difference, error = paired(held_a, held_b)
    return better_model(difference, 1.0, threshold=1), difference, error


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


COMPARE = Task(
    name="autoencoder/compare",
    draw=draw_compare,
    reference=compare,
    agree=Close(rtol=1e-3, atol=1e-3),
    cases=20,
    mistakes=(
        Mistake(
            "pictures not paired",
            "Your standard error holds the spread between easy and hard pictures, which both models share. "
            "Row n of both is the same picture: what is known about it?",
            lambda train_a, train_b, a, b: with_word(*unpaired(a, b)),
            lambda train_a, train_b, a, b: with_word(*unpaired(a, b), threshold=0),
            lambda train_a, train_b, a, b: with_word(a.mean() - b.mean(), a.std() / math.sqrt(len(a))),
            lambda train_a, train_b, a, b: with_word(a.mean() - b.mean(), (a.std() + b.std()) / math.sqrt(len(a))),
        ),
        Mistake(
            "training pictures compared",
            "You compare the models on the pictures they were trained on. An autoencoder that has learned "
            "them by heart would win.",
            lambda train_a, train_b, a, b: with_word(*paired(train_a, train_b)),
        ),
        Mistake(
            "a winner by any margin",
            "Your two numbers are right, but the margin at which you name a winner does not depend on the second "
            "one. Would other held-out pictures name the same winner?",
            lambda train_a, train_b, a, b: with_word(*paired(a, b), threshold=0),
            winner_by_a_nat,
        ),
        Mistake(
            "a winner too early",
            "Your two numbers are right, but you name a winner too few standard errors from 0. How many did the "
            "text ask for?",
            lambda train_a, train_b, a, b: with_word(*paired(a, b), threshold=2),
            lambda train_a, train_b, a, b: with_word(*paired(a, b), threshold=1),
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
            "Your word is right. The numbers should be nats per picture: yours grow with the number of pictures.",
            summed_over_pictures,
        ),
    ),
)

TASKS = (BERNOULLI_COST, PCA, NUDGE, RISE, ADVISE, COMPARE)
