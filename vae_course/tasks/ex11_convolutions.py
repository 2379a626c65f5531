"""The tasks of exercise 11, convolutions and portraits."""

import math
from functools import partial

import numpy as np
import torch
from scipy import stats
from torch.nn import functional as F

from vae_course.judging.task import Close, Mistake, Task, rounded_normal, rounded_uniform
from vae_course.visible.callables import Linear
from vae_course.visible.observe import Gradients

__all__ = ["TASKS"]

LOG_2 = math.log(2)


# convolutions/output_size(side, layers)


def draw_output_size(rng):
    """Draw 3 to 5 layers in which every part of both formulas shows: remainders, paddings, strides above 1."""
    while True:
        number, side = int(rng.integers(3, 6)), int(rng.integers(9, 33))
        draws = rng.integers((0, 2, 1, 0), (2, 6, 4, 3), size=(number, 4)).tolist()
        layers = [("transposed" if up else "conv", k, s, min(p, k - 1)) for up, k, s, p in draws]
        before = [side, *chained(side, layers)]
        if min(before) < 1 or max(before) > 150:
            continue
        entered = zip(before, layers, strict=False)
        fits = all(n + 2 * p >= k for n, (kind, k, s, p) in entered if kind == "conv")
        rounded = chained(side, layers, lambda n, k, s, p: round((n + 2 * p - k) / s + 1))
        one_too_early = chained(side, layers, lambda n, k, s, p: (n + 2 * p - k + 1) // s)
        shows = before[1:] not in (rounded, one_too_early, rounded_for_the_list_only(side, layers))
        padded = {kind for kind, k, s, p in layers if p and s > 1 and k != s}
        if fits and shows and padded == {"conv", "transposed"}:
            return {"side": side, "layers": tuple(layers)}


def output_size(side, layers):
    """The shapes that PyTorch's layers return, without computing any number."""
    maps, sides = torch.empty(1, 1, side, side, device="meta"), []
    for kind, kernel, stride, padding in layers:
        convolve = F.conv2d if kind == "conv" else F.conv_transpose2d
        weight = torch.empty(1, 1, kernel, kernel, device="meta")
        maps = convolve(maps, weight, stride=stride, padding=padding)
        sides.append(maps.shape[-1])
    return sides


def after_conv(n, k, s, p):
    return (n + 2 * p - k) // s + 1


def after_transposed(n, k, s, p):
    return (n - 1) * s - 2 * p + k


def chained(side, layers, conv=after_conv, transposed=after_transposed):
    """The side after each layer, by these formulas from n, k, s, p; the defaults are right."""
    sides = []
    for kind, k, s, p in layers:
        side = (conv if kind == "conv" else transposed)(side, k, s, p)
        sides.append(side)
    return sides


def by_formulas(conv=after_conv, transposed=after_transposed):
    """Return an answer that uses these formulas."""
    return lambda side, layers: chained(side, layers, conv, transposed)


def rounded_for_the_list_only(side, layers):
    exact = chained(side, layers, lambda n, k, s, p: (n + 2 * p - k) / s + 1)
    return [math.floor(n) for n in exact]


def from_the_first_side(side, layers):
    return [chained(side, [layer])[0] for layer in layers]


def kernel_and_stride_exchanged(side, layers):
    return chained(side, [(kind, s, k, p) for kind, k, s, p in layers])


OUTPUT_SIZE = Task(
    name="convolutions/output_size",
    draw=draw_output_size,
    reference=output_size,
    cases=8,
    mistakes=(
        Mistake(
            "the first place forgotten",
            "Your convolutions return one number too few. A kernel as large as the padded map fits on one place: what "
            "does your formula say?",
            by_formulas(lambda n, k, s, p: (n + 2 * p - k) // s),
        ),
        Mistake(
            "+ 1 before the division",
            "Only the steps are divided by the stride; the first place is there whatever the stride is.",
            by_formulas(lambda n, k, s, p: (n + 2 * p - k + 1) // s),
        ),
        Mistake(
            "not rounded down",
            "You count places that are not there. If the last step would carry the kernel over the edge, what happens "
            "to it? And what side does the next layer get?",
            by_formulas(lambda n, k, s, p: (n + 2 * p - k) / s + 1),
            by_formulas(lambda n, k, s, p: math.ceil((n + 2 * p - k) / s) + 1),
            by_formulas(lambda n, k, s, p: math.ceil((n + 2 * p - k) / s + 1)),
            by_formulas(lambda n, k, s, p: round((n + 2 * p - k) / s + 1)),
            rounded_for_the_list_only,
        ),
        Mistake(
            "padding counted once",
            "A map has two ends. How many columns does a padding of 1 add, or cut off, in all?",
            by_formulas(
                lambda n, k, s, p: (n + p - k) // s + 1,
                lambda n, k, s, p: (n - 1) * s - p + k,
            ),
            by_formulas(lambda n, k, s, p: (n + p - k) // s + 1),
            by_formulas(transposed=lambda n, k, s, p: (n - 1) * s - p + k),
        ),
        Mistake(
            "padding ignored",
            "One of your formulas has no padding in it, or both. Where does it enter, and which way?",
            by_formulas(lambda n, k, s, p: (n - k) // s + 1, lambda n, k, s, p: (n - 1) * s + k),
            by_formulas(lambda n, k, s, p: (n - k) // s + 1),
            by_formulas(transposed=lambda n, k, s, p: (n - 1) * s + k),
        ),
        Mistake(
            "padding added by a transposed layer",
            "In your transposed layers more padding makes the result larger. They go the other way: what do they do "
            "with the rows that a convolution would have added?",
            by_formulas(transposed=lambda n, k, s, p: (n - 1) * s + 2 * p + k),
            by_formulas(transposed=lambda n, k, s, p: (n - 1) * s + 2 * p - k + 2),
        ),
        Mistake(
            "padding at the wrong moment",
            "A convolution surrounds the map before its kernel is laid, and a transposed layer cuts after all of its "
            "kernels are laid. In one of your formulas it is the other way round.",
            by_formulas(lambda n, k, s, p: (n - k) // s + 1 + 2 * p),
            by_formulas(transposed=lambda n, k, s, p: (n - 2 * p - 1) * s + k),
            by_formulas(lambda n, k, s, p: (n - k) // s + 1 + 2 * p, lambda n, k, s, p: (n - 2 * p - 1) * s + k),
        ),
        Mistake(
            "a stride of 2 throughout",
            "You use a stride of 2 where a layer has another one. The third of the four entries is the layer's own.",
            by_formulas(lambda n, k, s, p: after_conv(n, k, 2, p), lambda n, k, s, p: after_transposed(n, k, 2, p)),
            by_formulas(transposed=lambda n, k, s, p: after_transposed(n, k, 2, p)),
            by_formulas(lambda n, k, s, p: after_conv(n, k, 2, p)),
        ),
        Mistake(
            "only the stride counted",
            "One of your formulas, or both, multiply or divide the side by the stride and do nothing else. That is "
            "right for some kernels and paddings. Take a map of one number, a kernel of 5 and no padding, transposed: "
            "how large is the result?",
            by_formulas(transposed=lambda n, k, s, p: n * s),
            by_formulas(lambda n, k, s, p: n // s, lambda n, k, s, p: n * s),
            by_formulas(lambda n, k, s, p: -(-n // s), lambda n, k, s, p: n * s),
            by_formulas(lambda n, k, s, p: n // s),
            by_formulas(lambda n, k, s, p: -(-n // s)),
        ),
        Mistake(
            "steps of a transposed layer miscounted",
            "Your transposed layers take as many steps as there are numbers, or forget the width of the last kernel. "
            "How many steps lie between n kernels, and what lies beyond the last step?",
            by_formulas(transposed=lambda n, k, s, p: n * s - 2 * p + k),
            by_formulas(transposed=lambda n, k, s, p: (n - 1) * s - 2 * p),
            by_formulas(transposed=lambda n, k, s, p: (n - 1) * s - 2 * p + 1),
            by_formulas(transposed=lambda n, k, s, p: (n - 1) * s - 2 * p + k - 1),
        ),
        Mistake(
            "output padding",
            "Your transposed layers add s − 1, or 1, at the end. PyTorch calls it output padding; here there is none.",
            by_formulas(transposed=lambda n, k, s, p: (n - 1) * s - 2 * p + k + s - 1),
            by_formulas(transposed=lambda n, k, s, p: (n - 1) * s - 2 * p + k + 1),
        ),
        Mistake(
            "one formula for both kinds",
            "You treat both kinds of layer alike. Which of them makes a map larger?",
            by_formulas(transposed=after_conv),
            by_formulas(conv=after_transposed),
            by_formulas(after_transposed, after_conv),
        ),
        Mistake(
            "every layer given the first side",
            "The first number is right. Which map enters the second layer?",
            from_the_first_side,
        ),
        Mistake(
            "kernel and stride exchanged",
            "You take the stride for the kernel. A layer is `(kind, k, s, p)`.",
            kernel_and_stride_exchanged,
        ),
        Mistake(
            "first side listed",
            "Your list begins with the side that enters. There should be one number for each layer: the side after it.",
            lambda side, layers: [side, *chained(side, layers)],
            lambda side, layers: [side, *chained(side, layers)][:-1],
        ),
        Mistake(
            "only the last side",
            "You return one number. The task asks for the side after each layer, in a list.",
            lambda side, layers: chained(side, layers)[-1],
        ),
    ),
)


# convolutions/upsampling(x)


def draw_upsampling(rng, square, channels):
    """Draw small maps. No number occurs twice, so that each place shows which number it holds."""
    height = int(rng.integers(2, 4))
    width = height if square else height + int(rng.choice([-1, 1, 2]))
    batch = int(rng.integers(1, 3))
    numbers = rng.permutation(batch * channels * height * width) + rng.uniform(0.1, 0.9)
    x = np.round((numbers - numbers.mean()) / 10, 2).reshape(batch, channels, height, width)
    return {"x": torch.tensor(x, dtype=torch.float32)}


def upsampling(x):
    """Look up for each place the number in row i // 2 and column j // 2."""
    rows, columns = (torch.arange(2 * n) // 2 for n in x.shape[2:])
    return x[:, :, rows[:, None], columns]


def reshaped(long, x):
    """Numbers in reading order, cut into maps of twice the sides of x."""
    b, c, h, w = x.shape
    return long.reshape(b, c, 2 * h, 2 * w)


def zeros_between(x):
    return (
        F.pad(x[..., None], (0, 1))
        .flatten(3)[..., None, :]
        .mul(torch.tensor([[1.0], [0.0]], dtype=x.dtype))
        .flatten(2, 3)
    )


def first_of_two_exchanged(x):
    b, c, h, w = x.shape
    return upsampling(x).reshape(b, c, 2 * w, 2 * h)


def mirrored(x):
    wide = torch.cat([x, x.flip(3)], 3)
    return torch.cat([wide, wide.flip(2)], 2)


UPSAMPLING = Task(
    name="convolutions/upsampling",
    draw=(
        partial(draw_upsampling, square=True, channels=2),
        partial(draw_upsampling, square=False, channels=1),
        partial(draw_upsampling, square=False, channels=3),
    ),
    reference=upsampling,
    observe=Gradients(("x",)),
    mistakes=(
        Mistake(
            "copies one below the other",
            "Within a row every number stands twice, as it should. But the rows of a map come all of them, and then "
            "all of them again. Which row should follow the first?",
            lambda x: reshaped(x.reshape(*x.shape[:2], -1, 1).repeat(1, 1, 2, 2), x),
        ),
        Mistake(
            "copies side by side",
            "Every row stands twice, as it should. But within a row all numbers come, and then all of them again. "
            "Which number should follow the first?",
            lambda x: x.repeat_interleave(2, dim=2).repeat(1, 1, 1, 2),
        ),
        Mistake(
            "map tiled",
            "Your result holds whole maps, four times over. Look at the four numbers in the top left corner: "
            "from how many numbers of x do they come?",
            lambda x: x.repeat(1, 1, 2, 2),
            mirrored,
            lambda x: reshaped(x.repeat(1, 1, 4, 1), x),
        ),
        Mistake(
            "channels mixed",
            "Your squares hold numbers of different channels, or one channel's numbers end up in another. Let the "
            "first channel be all 1 and the others all 0: what does your first channel hold?",
            lambda x: F.pixel_shuffle(x.repeat(1, 4, 1, 1), 2),
            lambda x: reshaped(x.repeat(1, 4, 1, 1), x),
            lambda x: upsampling(x[:, :1].expand_as(x)),
            lambda x: upsampling(x.sum(1, keepdim=True).expand_as(x)),
            lambda x: upsampling(x.mean(1, keepdim=True).expand_as(x)),
            lambda x: upsampling(x.flip(1)),
        ),
        Mistake(
            "four in a row",
            "Each number stands four times in one row. Two of the four belong below the other two.",
            lambda x: reshaped(x.repeat_interleave(4), x),
        ),
        Mistake(
            "interpolated",
            "Your result holds numbers that are not in x: it mixes neighbours. Nearest-neighbour upsampling only "
            "repeats.",
            lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
            lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True),
            lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"),
            lambda x: F.interpolate(x, scale_factor=2, mode="bicubic", align_corners=True),
        ),
        Mistake(
            "zeros between the numbers",
            "Each number stands once, among zeros. That is how a transposed convolution begins; here all four places "
            "of a square hold the number.",
            zeros_between,
        ),
        Mistake(
            "shared among the four",
            "Your numbers are a fixed part of the right ones: you keep the sum of a map. Nearest-neighbour upsampling "
            "keeps each number, and the mean.",
            lambda x: upsampling(x) / 4,
        ),
        Mistake(
            "rows and columns exchanged",
            "Your result has as many rows as it should have columns. Which of H and W comes first?",
            first_of_two_exchanged,
            lambda x: upsampling(x).mT,
        ),
        Mistake(
            "one side only",
            "Only one of the two sides has doubled.",
            lambda x: x.repeat_interleave(2, dim=2),
            lambda x: x.repeat_interleave(2, dim=3),
        ),
        Mistake(
            "gradient cut",
            "The numbers are right, but no gradient reaches x, so that nothing before this layer would learn.",
            lambda x: upsampling(x.detach()),
        ),
    ),
)


# convolutions/nats_by_region(x, x_hat, sigma, rows, columns)


def draw_nats_by_region(rng, batch):
    """Draw a box that is not square and ends before the edge, and pictures that are drawn well or badly."""
    side = int(rng.integers(5, 7))
    height, width = (int(number) for number in rng.permutation([1, 2, 3])[:2])
    top, left = (int(number) for number in rng.permutation(side - 3)[:2])
    x = rounded_uniform(rng, batch, 3 * side**2)
    badly = torch.tensor(rng.permutation([0.05, 0.15, 0.4])[:batch, None], dtype=torch.float32)
    return {
        "x": x,
        "x_hat": x + badly * rounded_normal(rng, batch, 3 * side**2),
        "sigma": float(np.round(rng.uniform(0.05, 0.4), 2)),
        "rows": (top, top + height),
        "columns": (left, left + width),
    }


def nats_by_region(x, x_hat, sigma, rows, columns):
    """Count each number of which the row and the column lie in the box, in NumPy."""
    half_squares = ((x - x_hat).numpy() / sigma) ** 2 / 2
    side = math.isqrt(x.shape[1] // 3)
    _, row, column = np.unravel_index(np.arange(x.shape[1]), (3, side, side))
    inside = np.isin(row, np.arange(*rows)) & np.isin(column, np.arange(*columns))
    nats = np.average(half_squares[:, inside].sum(1))
    return nats, nats / np.average(half_squares.sum(1))


def maps(flat):
    """Flat colour pictures as maps: (B, 3 S²) -> (B, 3, S, S)."""
    side = math.isqrt(flat.shape[1] // 3)
    return flat.view(-1, 3, side, side)


def half_squares(x, x_hat, sigma):
    """½ (x − x̂)² / σ² of each number, as maps."""
    return maps((x - x_hat) ** 2 / (2 * sigma**2))


def per_picture(cost):
    """The sum over each picture, or part of one: (B, ...) -> (B,)."""
    return cost.flatten(1).sum(1)


def nats_and_share(box, whole):
    return per_picture(box).mean(), per_picture(box).sum() / per_picture(whole).sum()


def in_box(cost=half_squares, region=lambda rows, columns: (rows, columns), report=nats_and_share):
    """Return an answer made of these parts; the defaults are right.

    Args:
        cost: computes the cost of each number from x, x_hat, sigma, as maps (B, 3, S, S).
        region: computes the rows and columns of the box from the given ones.
        report: computes the results from the costs in the box and in whole pictures.
    """

    def answer(x, x_hat, sigma, rows, columns):
        whole = cost(x, x_hat, sigma)
        (top, bottom), (left, right) = region(rows, columns)
        return report(whole[:, :, top:bottom, left:right], whole)

    return answer


def colours_last(x, x_hat, sigma):
    side = math.isqrt(x.shape[1] // 3)
    return ((x - x_hat) ** 2 / (2 * sigma**2)).view(-1, side, side, 3).permute(0, 3, 1, 2)


def with_constants(x, x_hat, sigma):
    return maps(-torch.distributions.Normal(x_hat, sigma).log_prob(x))


def of_the_mean_picture(x, x_hat, sigma):
    return half_squares(x.mean(0, keepdim=True), x_hat.mean(0, keepdim=True), sigma)


def one_colour(colour):
    return lambda x, x_hat, sigma: half_squares(x, x_hat, sigma)[:, colour : colour + 1]


def of_the_mean_colour(x, x_hat, sigma):
    return maps(x - x_hat).mean(1, keepdim=True) ** 2 / (2 * sigma**2)


def shares_with(share):
    """Return an answer with the right nats and this share, computed from the nats (B,) in the box and of pictures."""
    return in_box(report=lambda box, whole: (per_picture(box).mean(), share(per_picture(box), per_picture(whole))))


def nats_with(nats):
    """Return an answer with the right share and these nats, computed from the costs in the box."""
    return in_box(report=lambda box, whole: (nats(box), nats_and_share(box, whole)[1]))


def one_row_more(ends):
    return ends[0], ends[1] + 1


NATS_BY_REGION = Task(
    name="convolutions/nats_by_region",
    draw=(partial(draw_nats_by_region, batch=2), partial(draw_nats_by_region, batch=3)),
    reference=nats_by_region,
    mistakes=(
        Mistake(
            "½ forgotten",
            "Your share is right, and your nats are twice as many. What does an error of one σ cost?",
            in_box(lambda x, x_hat, sigma: 2 * half_squares(x, x_hat, sigma)),
        ),
        Mistake(
            "σ² not used",
            "Your share is right, and your nats are not. An error of one σ should cost half a nat, whatever σ is. "
            "Which power of σ stands below the squared error?",
            in_box(lambda x, x_hat, sigma: sigma * half_squares(x, x_hat, sigma)),
            in_box(lambda x, x_hat, sigma: sigma**2 * half_squares(x, x_hat, sigma)),
            in_box(lambda x, x_hat, sigma: 2 * sigma**2 * half_squares(x, x_hat, sigma)),
            in_box(lambda x, x_hat, sigma: 2 * sigma * half_squares(x, x_hat, sigma)),
        ),
        Mistake(
            "colours last",
            "Your numbers come from other places: you read a flat picture as if the three colours of a pixel stood "
            "together. All of its red comes first.",
            in_box(colours_last),
        ),
        Mistake(
            "rows and columns exchanged",
            "Your box lies elsewhere: you took rows for columns. Which of them comes first in `view(-1, 3, S, S)`?",
            in_box(region=lambda rows, columns: (columns, rows)),
        ),
        Mistake(
            "box of another size",
            "Your box has other rows or columns than it should. Count them: `rows = (2, 4)` are the rows 2 and 3.",
            in_box(region=lambda rows, columns: (one_row_more(rows), one_row_more(columns))),
            in_box(region=lambda rows, columns: (one_row_more(rows), columns)),
            in_box(region=lambda rows, columns: (rows, one_row_more(columns))),
            in_box(region=lambda rows, columns: ((rows[0] + 1, rows[1] + 1), (columns[0] + 1, columns[1] + 1))),
            in_box(region=lambda rows, columns: ((rows[0], sum(rows)), (columns[0], sum(columns)))),
        ),
        Mistake(
            "rows of the box only",
            "You count whole rows, or whole columns. The box has an end on all four sides.",
            in_box(region=lambda rows, columns: (rows, (0, None))),
            in_box(region=lambda rows, columns: ((0, None), columns)),
        ),
        Mistake(
            "not all colours counted",
            "You count one colour only, or the mean over the colours. A pixel has three numbers, and pays for each.",
            in_box(one_colour(0)),
            in_box(one_colour(1)),
            in_box(one_colour(2)),
            in_box(of_the_mean_colour),
            in_box(lambda x, x_hat, sigma: half_squares(x, x_hat, sigma).mean(1, keepdim=True)),
            nats_with(lambda box: per_picture(box).mean() / 3),
        ),
        Mistake(
            "sum over the pictures",
            "Your share is right. Your nats grow with the number of pictures; the task asks for nats per picture.",
            nats_with(torch.sum),
        ),
        Mistake(
            "mean over the box",
            "You take the mean over the pixels of the box, or over its numbers. Does a box of twice the size then have "
            "twice the nats?",
            nats_with(torch.mean),
            nats_with(lambda box: box.sum(1).mean()),
            in_box(report=lambda box, whole: (box.mean(), box.mean() / whole.mean())),
            in_box(report=lambda box, whole: (per_picture(box).mean(), box.mean() / whole.mean())),
        ),
        Mistake(
            "mean of the pictures' shares",
            "Your nats are right. For the share you divide picture by picture and average: a picture that is drawn "
            "nearly without error counts as much as a bad one. The task compares two means.",
            shares_with(lambda box, whole: (box / whole).mean()),
        ),
        Mistake(
            "share of other nats",
            "Your nats are right. What is the share of a box that holds the whole picture, and what is it if all the "
            "errors lie outside the box?",
            shares_with(lambda box, whole: box.sum() / (whole - box).sum()),
            shares_with(lambda box, whole: 1 - box.sum() / whole.sum()),
            shares_with(lambda box, whole: whole.sum() / box.sum()),
            shares_with(lambda box, whole: box.mean() / whole.sum()),
            shares_with(lambda box, whole: box.sum() / whole.mean()),
            in_box(report=lambda box, whole: (per_picture(box).mean(), box.numel() / whole.numel())),
        ),
        Mistake(
            "per cent",
            "Your share is 100 times too large: 1 is the whole picture.",
            shares_with(lambda box, whole: 100 * box.sum() / whole.sum()),
        ),
        Mistake(
            "constants included",
            "Your nats are those of the whole density. The task asks for the term of the squared error alone: what "
            "should a perfect drawing get?",
            in_box(with_constants),
        ),
        Mistake(
            "error of the mean picture",
            "You average pictures and predictions before you compare them, so that errors of opposite signs cancel.",
            in_box(of_the_mean_picture),
        ),
        Mistake(
            "errors not squared",
            "You add up absolute errors. A Gaussian counts squares.",
            in_box(lambda x, x_hat, sigma: maps((x - x_hat).abs() / (2 * sigma**2))),
            in_box(lambda x, x_hat, sigma: maps((x - x_hat).abs() / sigma)),
        ),
        Mistake(
            "one number for each picture",
            "You have nats and a share for each picture. The task asks for two numbers.",
            in_box(report=lambda box, whole: (per_picture(box), per_picture(box) / per_picture(whole))),
        ),
    ),
)


# convolutions/sigma_per_pixel(x, x_hat, x_held, x_hat_held, floor)


def draw_sigma_per_pixel(rng):
    """Draw numbers that are easy, hard, never wrong in training, and nearly so. N, M and D are all different.

    The errors of a number share an offset, so that their standard deviation is not their root mean square. The best σ
    for all numbers is above the floor.
    """
    while True:
        inputs = drawn_with_errors(rng)
        if root_mean_square(inputs["x"] - inputs["x_hat"]) > 1.2 * inputs["floor"]:
            return inputs


def drawn_with_errors(rng):
    """Draw inputs of `sigma_per_pixel`, whatever the best σ for all numbers."""
    seen, held, size = (int(number) for number in rng.permutation([3, 4, 5]) + rng.integers(0, 2) * np.array([3, 3, 3]))
    floor = float(np.round(rng.uniform(0.03, 0.06), 3))
    scales = np.concatenate([[0.0, floor / 4], rng.uniform(1.5, 2.5, size=size - 2) * floor])
    scales[-1] = rng.uniform(0.25, 0.4)
    scales = rng.permutation(scales)
    x, x_held = rounded_uniform(rng, seen, size), rounded_uniform(rng, held, size)
    errors = scales * (0.6 + rng.normal(size=(seen, size)))
    held_errors = np.maximum(scales, floor / 2) * (0.6 + 1.4 * rng.normal(size=(held, size)))
    errors, held_errors = (torch.tensor(np.round(e, 3), dtype=torch.float32) for e in (errors, held_errors))
    return {
        "x": x,
        "x_hat": x + errors,
        "x_held": x_held,
        "x_hat_held": x_held + held_errors,
        "floor": floor,
    }


def sigma_per_pixel(x, x_hat, x_held, x_hat_held, floor):
    """Root mean squares of the training errors, and SciPy's densities of the held-out pictures."""
    x, x_hat, x_held, x_hat_held = (value.numpy() for value in (x, x_hat, x_held, x_hat_held))
    each = np.maximum(np.linalg.norm(x - x_hat, axis=0) / math.sqrt(len(x)), floor)
    one = np.linalg.norm(x - x_hat) / math.sqrt(x.size)
    gain = stats.norm.logpdf(x_held, x_hat_held, each) - stats.norm.logpdf(x_held, x_hat_held, one)
    return each, gain.sum(1).mean()


def root_mean_square(error):
    return (error**2).mean().sqrt()


def each_sigma(error, floor):
    """The right σ of each number, from training errors."""
    return (error**2).mean(0).sqrt().clamp_min(floor)


def one_sigma(error, held, each):
    """The right one σ, from training errors."""
    return root_mean_square(error)


def log_density(error, sigma):
    """log N(error; 0, σ²) of each number, infinite or nan if σ is 0."""
    return -(error**2) / (2 * sigma**2) - torch.log(sigma) - math.log(2 * math.pi) / 2


def gain_for_each(held, each, one):
    """Nats gained for each held-out picture and number: (M, D)."""
    return log_density(held, each) - log_density(held, one)


def mean_gain(error, held, each, one):
    """The right gain."""
    return gain_for_each(held, each, one).sum(1).mean()


def with_sigmas(choose=lambda error, held, floor: each_sigma(error, floor), choose_one=one_sigma, gain=mean_gain):
    """Return an answer made of these parts; the defaults are right.

    Args:
        choose: computes σ of each number from training errors, held-out errors and the floor.
        choose_one: computes the one σ from training errors, held-out errors and σ of each number.
        gain: computes the second result from both errors and both kinds of σ.
    """

    def answer(x, x_hat, x_held, x_hat_held, floor):
        error, held = x - x_hat, x_held - x_hat_held
        each = choose(error, held, floor)
        return each, gain(error, held, each, choose_one(error, held, each))

    return answer


def first_result(change):
    """Return an answer with the right gain, and with `change` applied to the right σ of each number."""

    def answer(x, x_hat, x_held, x_hat_held, floor):
        each, gain = with_sigmas()(x, x_hat, x_held, x_hat_held, floor)
        return change(each, x - x_hat), gain

    return answer


def spread_of_the_pictures(x, x_hat, x_held, x_hat_held, floor):
    each = x.std(0).clamp_min(floor)
    error, held = x - x_hat, x_held - x_hat_held
    return each, mean_gain(error, held, each, root_mean_square(error))


def squares_term(held, sigma):
    return -(held**2) / (2 * sigma**2)


SIGMA_PER_PIXEL = Task(
    name="convolutions/sigma_per_pixel",
    draw=draw_sigma_per_pixel,
    reference=sigma_per_pixel,
    agree=Close(atol=2e-4),
    mistakes=(
        Mistake(
            "no floor",
            "Some number was never wrong in training, or nearly never. What density does a σ of 0 give to an error, "
            "however small, of a held-out picture?",
            with_sigmas(lambda error, held, floor: (error**2).mean(0).sqrt()),
            with_sigmas(lambda error, held, floor: (error**2).mean(0).sqrt() + 1e-6),
            with_sigmas(lambda error, held, floor: (error**2).mean(0).sqrt().clamp_min(1e-6)),
            with_sigmas(lambda error, held, floor: ((error**2).mean(0) + 1e-6).sqrt()),
            with_sigmas(lambda error, held, floor: ((error**2).mean(0) + 1e-8).sqrt()),
        ),
        Mistake(
            "floor not applied to σ itself",
            "Your floor acts on something else than σ, or in another way: on the variance, or by being added. A σ "
            "above the floor is left as it is; any other becomes the floor.",
            with_sigmas(lambda error, held, floor: (error**2).mean(0).clamp_min(floor).sqrt()),
            with_sigmas(lambda error, held, floor: (error**2).mean(0).sqrt() + floor),
            with_sigmas(lambda error, held, floor: ((error**2).mean(0) + floor**2).sqrt()),
            with_sigmas(lambda error, held, floor: ((error**2).mean(0) + floor).sqrt()),
            with_sigmas(lambda error, held, floor: (error**2).clamp_min(floor**2).mean(0).sqrt()),
            with_sigmas(lambda error, held, floor: (error.abs().clamp_min(floor) ** 2).mean(0).sqrt()),
        ),
        Mistake(
            "the larger, not the smaller",
            "None of your σ is above the floor. The floor is the *least* σ that is allowed.",
            with_sigmas(lambda error, held, floor: (error**2).mean(0).sqrt().clamp_max(floor)),
        ),
        Mistake(
            "average error subtracted",
            "You measure the spread of the errors about their average. The Gaussian's mean is x_hat, right or wrong: "
            "an error that all pictures share is an error as well.",
            with_sigmas(
                lambda error, held, floor: error.std(0).clamp_min(floor), lambda error, held, each: error.std()
            ),
            with_sigmas(lambda error, held, floor: error.std(0).clamp_min(floor)),
            with_sigmas(
                lambda error, held, floor: error.std(0, correction=0).clamp_min(floor),
                lambda error, held, each: error.std(correction=0),
            ),
            with_sigmas(lambda error, held, floor: error.std(0, correction=0).clamp_min(floor)),
        ),
        Mistake(
            "divided by N − 1",
            "You divide by one less than the number of pictures. Nothing was estimated and subtracted: what does the "
            "likelihood of N errors ask for?",
            with_sigmas(
                lambda error, held, floor: ((error**2).sum(0) / (len(error) - 1)).sqrt().clamp_min(floor),
                lambda error, held, each: ((error**2).sum() / (error.numel() - 1)).sqrt(),
            ),
            with_sigmas(lambda error, held, floor: ((error**2).sum(0) / (len(error) - 1)).sqrt().clamp_min(floor)),
        ),
        Mistake(
            "spread of the pictures",
            "Your σ is the spread of the pictures, whatever the predictions are. σ is the size of what the prediction "
            "misses.",
            spread_of_the_pictures,
        ),
        Mistake(
            "mean absolute error for σ",
            "Your σ is the mean absolute error, which another distribution would ask for. The Gaussian counts squares.",
            with_sigmas(
                lambda error, held, floor: error.abs().mean(0).clamp_min(floor),
                lambda error, held, each: error.abs().mean(),
            ),
            with_sigmas(lambda error, held, floor: error.abs().mean(0).clamp_min(floor)),
        ),
        Mistake(
            "fitted to the held-out pictures",
            "Your σ knows the held-out pictures. A number that was fitted to them is no test on them.",
            with_sigmas(
                lambda error, held, floor: each_sigma(held, floor), lambda error, held, each: root_mean_square(held)
            ),
            with_sigmas(lambda error, held, floor: each_sigma(held, floor)),
            with_sigmas(
                lambda error, held, floor: each_sigma(torch.cat([error, held]), floor),
                lambda error, held, each: root_mean_square(torch.cat([error, held])),
            ),
        ),
        Mistake(
            "variance for standard deviation",
            "Your first result has the unit of a square. The task asks for σ; make sure that the densities use σ as "
            "well.",
            first_result(lambda each, error: each**2),
            with_sigmas(lambda error, held, floor: (error**2).mean(0).clamp_min(floor)),
            with_sigmas(lambda error, held, floor: (error**2).mean(0).clamp_min(floor**2)),
        ),
        Mistake(
            "one σ for each picture",
            "You average over the numbers of a picture, and have one σ for each picture. Which axis counts the "
            "pictures? A new picture needs a σ as well.",
            first_result(lambda each, error: (error**2).mean(1).sqrt()),
        ),
        Mistake(
            "gain the wrong way round",
            "Your σ is right. Your gain has the wrong sign: it should be positive if a σ for each number is better.",
            with_sigmas(gain=lambda *inputs: -mean_gain(*inputs)),
        ),
        Mistake(
            "gain on the training pictures",
            "Your σ is right. Your gain is what training pictures gain, to which σ was fitted, or what they would gain "
            "if no floor were needed.",
            with_sigmas(gain=lambda error, held, each, one: gain_for_each(error, each, one).sum(1).mean()),
            with_sigmas(gain=lambda error, held, each, one: (one.log() - each.log()).sum()),
        ),
        Mistake(
            "normalisers left out",
            "Your σ is right. Your gain compares squared errors over σ², and nothing else. With these alone a σ "
            "without end would be best: what else does a density depend on?",
            with_sigmas(
                gain=lambda error, held, each, one: (squares_term(held, each) - squares_term(held, one)).sum(1).mean()
            ),
        ),
        Mistake(
            "wrong factor in the density",
            "Your σ is right. Your density has its squares or its logarithm with a wrong factor: an error of one σ "
            "costs half a nat more than none, and twice the σ costs log 2 at the peak.",
            with_sigmas(
                gain=lambda error, held, each, one: (
                    mean_gain(error, held, each, one)
                    + (squares_term(held, each) - squares_term(held, one)).sum(1).mean()
                )
            ),
            with_sigmas(
                gain=lambda error, held, each, one: mean_gain(error, held, each, one) + (one.log() - each.log()).sum()
            ),
            with_sigmas(
                gain=lambda error, held, each, one: mean_gain(error, held, each, one) - (one / each).log().sum() / 2
            ),
            with_sigmas(gain=lambda error, held, each, one: 2 * mean_gain(error, held, each, one)),
            with_sigmas(gain=lambda error, held, each, one: mean_gain(error, held, each**2, one**2)),
            with_sigmas(gain=lambda error, held, each, one: mean_gain(error, held, each.sqrt(), one.sqrt())),
        ),
        Mistake(
            "another σ for the comparison",
            "Your σ for each number is right. The one σ that you compare with is not the best: which single number do "
            "all the *training* errors together prefer? The floor has no part in it.",
            with_sigmas(choose_one=lambda error, held, each: each.mean()),
            with_sigmas(choose_one=lambda error, held, each: (error**2).mean(0).sqrt().mean()),
            with_sigmas(choose_one=lambda error, held, each: (each**2).mean().sqrt()),
            with_sigmas(choose_one=lambda error, held, each: root_mean_square(held)),
            with_sigmas(choose_one=lambda error, held, each: (error**2).mean(1).sqrt().mean()),
            with_sigmas(choose_one=lambda error, held, each: error.abs().mean()),
            with_sigmas(choose_one=lambda error, held, each: error.std()),
            with_sigmas(choose_one=lambda error, held, each: each.median()),
            with_sigmas(choose_one=lambda error, held, each: each.min()),
            with_sigmas(choose_one=lambda error, held, each: each.max()),
            with_sigmas(choose_one=lambda error, held, each: torch.ones(())),
        ),
        Mistake(
            "log-density instead of the gain",
            "Your σ is right. Your second result is the log-density with a σ for each number. The gain is the "
            "difference from the log-density with one σ.",
            with_sigmas(gain=lambda error, held, each, one: log_density(held, each).sum(1).mean()),
            with_sigmas(gain=lambda error, held, each, one: -log_density(held, each).sum(1).mean()),
            with_sigmas(gain=lambda error, held, each, one: log_density(held, one).sum(1).mean()),
        ),
        Mistake(
            "gain per number, or of all pictures",
            "Your σ is right. The gain is that of a picture: summed over its numbers, averaged over the pictures.",
            with_sigmas(gain=lambda error, held, each, one: gain_for_each(held, each, one).mean()),
            with_sigmas(gain=lambda error, held, each, one: gain_for_each(held, each, one).sum()),
            with_sigmas(gain=lambda error, held, each, one: gain_for_each(held, each, one).mean(0)),
            with_sigmas(gain=lambda error, held, each, one: gain_for_each(held, each, one).sum(1)),
        ),
    ),
)


# convolutions/bits_per_dimension(elbo, n_numbers, low, high)

RANGES = ((0.0, 1.0), (-1.0, 1.0), (-0.5, 0.5), (0.0, 256.0), (-2.0, 2.0), (-3.0, 1.0))


def draw_bits_per_dimension(rng, ends):
    """Draw ELBOs that fit 2 to 6 bits. Pictures differ by some nats per number, estimates of one picture by less."""
    pictures, estimates = int(rng.integers(5, 9)), int(rng.integers(2, 5))
    n_numbers = 3 * int(rng.choice([2, 3, 4, 5])) ** 2
    low, high = ends
    centre = n_numbers * (8 * LOG_2 - math.log(high - low) - rng.uniform(2, 6) * LOG_2)
    spread = n_numbers * rng.uniform(0.1, 0.3)
    elbo = centre + spread * rng.normal(size=(pictures, 1)) + 0.3 * spread * rng.normal(size=(pictures, estimates))
    return {
        "elbo": torch.tensor(np.round(elbo, 2), dtype=torch.float32),
        "n_numbers": n_numbers,
        "low": low,
        "high": high,
    }


def bits_per_dimension(elbo, n_numbers, low, high):
    """Minus log₂ of the density times the volume of a cube, for a number of each picture; SciPy's standard error."""
    log_2_of_cell = math.log2(high - low) - 8
    bits = -(np.average(elbo.numpy(), axis=1) / n_numbers * math.log2(math.e) + log_2_of_cell)
    return bits.mean(), stats.sem(bits)


def width_in_bits(low, high):
    return math.log2(high - low)


def to_bits(elbo, n_numbers, low, high):
    """The right bits per dimension of each ELBO, whatever the shape."""
    return 8 - width_in_bits(low, high) - elbo / (n_numbers * LOG_2)


def standard_error(bits):
    return bits.std() / len(bits) ** 0.5


def mean_and_error(bits):
    return bits.mean(), standard_error(bits)


def bits_by(rule):
    """Return an answer with this rule for the bits of a picture, from its ELBO, D, low and high."""
    return lambda elbo, *rest: mean_and_error(rule(elbo.mean(1), *rest))


def estimates_by(combine):
    """Return an answer that combines the K estimates of each picture in this way, (N, K) -> (N,)."""
    return lambda elbo, *rest: mean_and_error(to_bits(combine(elbo), *rest))


def error_by(rule):
    """Return an answer with the right bits and this rule for the error, from the bits of estimates (N, K)."""

    def answer(elbo, *rest):
        bits = to_bits(elbo, *rest)
        return bits.mean(), rule(bits)

    return answer


def error_converted(rule):
    """Return an answer with the right bits and this rule for the error, from that in nats per picture, D, low, high."""

    def answer(elbo, *rest):
        return to_bits(elbo, *rest).mean(), rule(standard_error(elbo.mean(1)), *rest)

    return answer


def log_mean_exp(elbo):
    return elbo.logsumexp(1) - math.log(elbo.shape[1])


BITS_PER_DIMENSION = Task(
    name="convolutions/bits_per_dimension",
    draw=tuple(partial(draw_bits_per_dimension, ends=ends) for ends in RANGES),
    reference=bits_per_dimension,
    mistakes=(
        Mistake(
            "range ignored",
            "Your numbers are right for some ranges only: `low` and `high` have no part in them. The same model on "
            "numbers from −1 to 1 has half the density in every dimension; the bits must stay the same.",
            bits_by(lambda elbo, D, low, high: 8 - elbo / (D * LOG_2)),
        ),
        Mistake(
            "width of the range not used rightly",
            "How wide is the range, and how wide is a cell of one whole number? Twice the width halves the density: "
            "does your answer then stay as it was?",
            bits_by(lambda elbo, D, low, high: 8 + width_in_bits(low, high) - elbo / (D * LOG_2)),
            bits_by(lambda elbo, D, low, high: 8 - math.log(high - low) - elbo / (D * LOG_2)),
            bits_by(lambda elbo, D, low, high: 8 - math.log2(high) - elbo / (D * LOG_2)),
            bits_by(lambda elbo, D, low, high: 8 / (high - low) - elbo / (D * LOG_2)),
            bits_by(lambda elbo, D, low, high: 8 - (high - low) - elbo / (D * LOG_2)),
            bits_by(lambda elbo, D, low, high: 8 - elbo / (high - low) / (D * LOG_2)),
            bits_by(lambda elbo, D, low, high: 8 - elbo * (high - low) / (D * LOG_2)),
        ),
        Mistake(
            "divided by the volume",
            "You divide the density by the volume of the cube. A density of 1 from 0 to 1 gives each of the 256 "
            "numbers the same probability: how many bits is that, and what do you get?",
            bits_by(lambda elbo, D, low, high: -8 + width_in_bits(low, high) - elbo / (D * LOG_2)),
        ),
        Mistake(
            "cell counted once for the whole picture",
            "You count the width of a cell once for a picture. The cube of a picture has D sides.",
            bits_by(lambda elbo, D, low, high: (8 * LOG_2 - math.log(high - low) - elbo) / (D * LOG_2)),
            bits_by(lambda elbo, D, low, high: 8 - (elbo + math.log(high - low)) / (D * LOG_2)),
        ),
        Mistake(
            "255 for 256",
            "You are off by a few thousandths of a bit. How many whole numbers are there from 0 to 255, and how wide "
            "is each one's cell?",
            bits_by(lambda elbo, *rest: to_bits(elbo, *rest) - 8 + math.log2(255)),
        ),
        Mistake(
            "nats for bits",
            "A part of your number, or all of it, is in nats. How many nats are a bit? Whatever you add up has to have "
            "one unit.",
            bits_by(lambda elbo, *rest: to_bits(elbo, *rest) * LOG_2),
            bits_by(lambda elbo, D, low, high: 8 - width_in_bits(low, high) - elbo / D),
            bits_by(lambda elbo, D, low, high: 8 * LOG_2 - math.log(high - low) - elbo / (D * LOG_2)),
            bits_by(lambda elbo, D, low, high: 8 - math.log(high - low) - elbo / D),
            bits_by(lambda elbo, D, low, high: 8 - width_in_bits(low, high) - elbo * LOG_2 / D),
        ),
        Mistake(
            "sign of the ELBO",
            "With your formula a better model, of a higher ELBO, needs more bits.",
            bits_by(lambda elbo, *rest: to_bits(-elbo, *rest)),
            bits_by(lambda elbo, *rest: -to_bits(elbo, *rest)),
        ),
        Mistake(
            "no 8 bits",
            "You are off by 8. A density of 1 on the range from 0 to 1 knows nothing of a picture. How many bits does "
            "a number from 0 to 255 then need?",
            bits_by(lambda elbo, *rest: to_bits(elbo, *rest) - 8),
            bits_by(lambda elbo, *rest: to_bits(elbo, *rest) - 16),
            bits_by(lambda elbo, D, low, high: -elbo / (D * LOG_2)),
        ),
        Mistake(
            "not per dimension",
            "Your bits are those of a picture, or in part. The task asks for the bits of one of its D numbers.",
            bits_by(lambda elbo, D, *rest: D * to_bits(elbo, D, *rest)),
            bits_by(lambda elbo, D, low, high: 8 - width_in_bits(low, high) - elbo / LOG_2),
            bits_by(lambda elbo, D, *rest: to_bits(elbo, D // 3, *rest)),
            bits_by(lambda elbo, D, *rest: 3 * to_bits(elbo, D, *rest)),
        ),
        Mistake(
            "not all estimates used, or not their mean",
            "You do not take the plain mean of a picture's K estimates. Use all of them, with the same weight: a "
            "logarithm of the mean density is another bound, and a maximum is none.",
            estimates_by(lambda elbo: elbo[:, 0]),
            estimates_by(lambda elbo: elbo[:, -1]),
            estimates_by(log_mean_exp),
            estimates_by(lambda elbo: elbo.amax(1)),
            estimates_by(lambda elbo: elbo.sum(1)),
            estimates_by(lambda elbo: elbo.median(1).values),
            estimates_by(lambda elbo: elbo.logsumexp(1)),
        ),
        Mistake(
            "estimates counted as pictures",
            "Your bits are right. For the error you count N · K numbers as if they were independent. If you made 1,000 "
            "estimates of each of five pictures, would you know the mean over all pictures in the world?",
            error_by(lambda bits: bits.std() / bits.numel() ** 0.5),
            error_by(lambda bits: standard_error(bits.mean(1)) / bits.shape[1] ** 0.5),
            error_by(lambda bits: bits.std(correction=0) / bits.numel() ** 0.5),
        ),
        Mistake(
            "spread within the pictures",
            "Your bits are right. Your error comes from how the estimates of one picture differ. The question is how "
            "pictures differ.",
            error_by(lambda bits: bits.std(1).mean() / bits.shape[1] ** 0.5),
            error_by(lambda bits: bits.std(1).mean()),
            error_by(lambda bits: (bits.std(1) / bits.shape[1] ** 0.5).mean()),
            error_by(lambda bits: standard_error(bits.mean(0))),
            error_by(lambda bits: (bits.var(1).mean() / bits.numel()) ** 0.5),
            error_by(lambda bits: (bits.var(1).mean() / len(bits)) ** 0.5),
        ),
        Mistake(
            "estimates not averaged before the spread",
            "Your bits are right. For the error you take the spread of single estimates. What you average over "
            "pictures is one number for each of them: which one?",
            error_by(lambda bits: bits.std() / len(bits) ** 0.5),
            error_by(lambda bits: standard_error(bits[:, 0])),
            error_by(lambda bits: (bits.std(0) / len(bits) ** 0.5).mean()),
        ),
        Mistake(
            "standard deviation for standard error",
            "Your bits are right. Your second result does not shrink as it should with more pictures: which power of N "
            "divides it?",
            error_by(lambda bits: bits.mean(1).std()),
            error_by(lambda bits: bits.std()),
            error_by(lambda bits: bits.mean(1).std() / len(bits)),
            error_by(lambda bits: bits.mean(1).var() / len(bits)),
            error_by(lambda bits: bits.mean(1).std(correction=0)),
            error_by(lambda bits: bits.mean(1).std() / bits.shape[1] ** 0.5),
        ),
        Mistake(
            "N for N − 1",
            "Your bits are right, and your error is a little too small: your standard deviation divides by N.",
            error_by(lambda bits: bits.mean(1).std(correction=0) / len(bits) ** 0.5),
            error_by(lambda bits: standard_error(bits.mean(1)) * (len(bits) / (len(bits) - 1)) ** 0.5),
        ),
        Mistake(
            "error in another unit",
            "Your bits are right. Your error is not in bits per dimension. If all ELBOs were one nat lower, how many "
            "bits per dimension would that be? And what does a constant do to an error?",
            error_converted(lambda error, D, low, high: error),
            error_converted(lambda error, D, low, high: error / D),
            error_converted(lambda error, D, low, high: error / LOG_2),
            error_converted(lambda error, D, low, high: to_bits(error, D, low, high)),
            error_converted(lambda error, D, low, high: 8 - error / (D * LOG_2)),
            error_converted(lambda error, D, low, high: -error / (D * LOG_2)),
        ),
        Mistake(
            "two standard errors",
            "Your bits are right, and your error is twice the standard error.",
            error_by(lambda bits: 2 * standard_error(bits.mean(1))),
            error_by(lambda bits: 1.96 * standard_error(bits.mean(1))),
        ),
    ),
)


# convolutions/fooled(judge, labels, k, versions, bar)

NAMES = ("blurred", "grey", "redrawn", "darker", "noisy", "moved")
# by kind: people with the attribute and without it, the bar, the column, and how often the judge is right on pictures
# with and without, of each version. Every wrong rule differs in at least one. Rates that equal the bar are exact in
# floating point, however they are computed: all sizes are powers of 2.
KINDS = {
    "rare": (4, 12, 0.7, 1, ((3, 11), (1, 12), (2, 12), (4, 7), (4, 12))),
    "frequent": (12, 4, 0.7, 2, ((11, 3), (12, 1), (12, 2), (7, 4), (4, 1))),
    "half": (8, 8, 0.75, 0, ((6, 7), (6, 8), (8, 6), (5, 8), (3, 8), (8, 2), (5, 5))),
}


def draw_fooled(rng, kind):
    """Draw a linear judge, and pictures on which it is right as often as the kind of case says; "true" comes first."""
    n_with, n_without, bar, k, counts = KINDS[kind]
    total, pixels, attributes = n_with + n_without, int(rng.integers(4, 6)), 3
    has = rng.permutation(np.repeat([1, 0], [n_with, n_without]))
    labels = np.stack([rng.permutation(np.arange(total) < total // 2 + shift) for shift in (1, -2, 3)], 1).astype(int)
    labels[:, k] = has
    judge = Linear(rounded_normal(rng, pixels, attributes), rounded_normal(rng, attributes, scale=0.3))
    first, *others = counts
    counts = [first, *(others[number] for number in rng.permutation(len(others)))]
    names = ["true", *rng.permutation(NAMES)[: len(others)]]
    versions = {}
    for name, (with_, without) in zip(names, counts, strict=True):
        right = rng.random((total, attributes)) < 0.7
        right[has == 1, k] = rng.permutation(n_with) < with_
        right[has == 0, k] = rng.permutation(n_without) < without
        versions[str(name)] = pictures_for(rng, judge, np.where(right, labels, 1 - labels))
    return {
        "judge": judge,
        "labels": torch.tensor(labels, dtype=torch.float32),
        "k": k,
        "versions": versions,
        "bar": bar,
    }


def pictures_for(rng, judge, said):
    """Draw pictures (N, D) of which the judge says this, (N, K) of 0 and 1. Half of its log-odds are below 0.5."""
    size = np.where(rng.random(said.shape) < 0.5, rng.uniform(0.1, 0.4, said.shape), rng.uniform(0.7, 2.5, said.shape))
    log_odds = np.where(said == 1, size, -size)
    weight, bias = judge.weight.double().numpy(), judge.bias.double().numpy()
    base = rng.uniform(size=(len(said), len(weight)))
    x = base + (log_odds - bias - base @ weight) @ np.linalg.pinv(weight)
    return torch.tensor(np.round(x, 3), dtype=torch.float32)


def fooled(judge, labels, k, versions, bar):
    """Count what the judge says of whom, in a table of two by two, with NumPy."""
    truth = labels.numpy()[:, k].astype(int)
    rates = []
    for pictures in versions.values():
        said = np.signbit(-judge(pictures.double()).numpy()[:, k]).astype(int)
        table = np.bincount(2 * truth + said, minlength=4).reshape(2, 2)
        rates.append((table[1, 1] / table[1].sum(), table[0, 0] / table[0].sum()))
    rates = np.array(rates)
    return rates, rates.min(1) < bar


def says(judge, pictures, k, above=0.0):
    """Whether the judge says "with", (N,)."""
    return judge(pictures)[:, k] > above


def two_rates(said, has):
    """How often the judge is right on pictures with and without: (N,), (N,) -> (2,)."""
    right = (said == has).double()
    return torch.stack([right[has].mean(), right[~has].mean()])


def either_below(rates, has, bar):
    return (rates < bar).any(1)


def judged_by(rates_of=two_rates, fools=either_below, above=0.0, column=lambda k: k):
    """Return an answer made of these parts; the defaults are right.

    Args:
        rates_of: computes the two rates of a version from what the judge says (N,) and who has the attribute (N,).
        fools: computes the second result from the rates (V, 2), who has the attribute (N,) and the bar.
        above: the log-odds above which the judge says "with".
        column: the column that is used, from the right one.
    """

    def answer(judge, labels, k, versions, bar):
        has = labels[:, column(k)] > 0.5
        said = [says(judge, pictures, column(k), above) for pictures in versions.values()]
        rates = torch.stack([rates_of(each, has) for each in said])
        return rates, fools(rates, has, bar)

    return answer


def accuracy(rates, has):
    share = has.double().mean()
    return share * rates[:, 0] + (1 - share) * rates[:, 1]


def plain_accuracy_twice(said, has):
    return (said == has).double().mean().expand(2)


def how_often_with(said, has):
    return torch.stack([said[has].double().mean(), said[~has].double().mean()])


def how_often_with_is_right(said, has):
    """Precision: among the pictures of which the judge says "with", and "without". 0 if there are none."""
    right = (said == has).double()
    return torch.stack([right[said].mean(), right[~said].mean()]).nan_to_num()


def recall_and_precision(said, has):
    right = (said == has).double()
    return torch.stack([right[has].mean(), right[said].mean()]).nan_to_num()


def of_all_pictures(said, has):
    return torch.stack([(said & has).double().mean(), (~said & ~has).double().mean()])


def counts_of_right(said, has):
    return torch.stack([(said & has).double().sum(), (~said & ~has).double().sum()])


def all_columns(judge, labels, k, versions, bar):
    has = labels > 0.5
    rates = torch.stack([two_rates(judge(pictures) > 0, has) for pictures in versions.values()])
    return rates, either_below(rates, has, bar)


def judge_taken_at_its_word(judge, labels, k, versions, bar):
    """What the judge says of the first version is taken for the truth."""
    has = says(judge, next(iter(versions.values())), k)
    rates = torch.stack([two_rates(says(judge, pictures, k), has) for pictures in versions.values()])
    return rates, either_below(rates, has, bar)


def probabilities_above_0(judge, labels, k, versions, bar):
    return judged_by(above=-math.inf)(judge, labels, k, versions, bar)


FOOLED = Task(
    name="convolutions/fooled",
    draw=tuple(partial(draw_fooled, kind=kind) for kind in KINDS),
    reference=fooled,
    mistakes=(
        Mistake(
            "plain accuracy",
            "You use how often the judge is right on all pictures. A judge who always denies what few people have is "
            "right most of the time: the two rates have to pass the bar each for itself.",
            judged_by(fools=lambda rates, has, bar: accuracy(rates, has) < bar),
            judged_by(plain_accuracy_twice),
        ),
        Mistake(
            "mean of the two rates",
            "Your rates are right. You compare their mean with the bar, so that one rate makes up for the other.",
            judged_by(fools=lambda rates, has, bar: rates.mean(1) < bar),
        ),
        Mistake(
            "both rates below",
            "Your rates are right. You ask for both to be below the bar. A judge who says no to every picture is right "
            "on all pictures without the attribute: should it pass?",
            judged_by(fools=lambda rates, has, bar: (rates < bar).all(1)),
            judged_by(fools=lambda rates, has, bar: rates.amax(1) < bar),
        ),
        Mistake(
            "both rates below not counted",
            "Your rates are right. A version of which both rates are below the bar is not called fooling. Is it better "
            "than one with a single low rate?",
            judged_by(fools=lambda rates, has, bar: (rates < bar).sum(1) == 1),
        ),
        Mistake(
            "one rate ignored",
            "Your rates are right. For the second result you look at one of them only. A judge can also see glasses "
            "everywhere.",
            judged_by(fools=lambda rates, has, bar: rates[:, 0] < bar),
            judged_by(fools=lambda rates, has, bar: rates[:, 1] < bar),
        ),
        Mistake(
            "a rate at the bar counted as below",
            "Your rates are right. One of them equals the bar exactly. Is it below?",
            judged_by(fools=lambda rates, has, bar: (rates <= bar).any(1)),
        ),
        Mistake(
            "true where the judge passes",
            "Your rates are right. Your second result is true where the version does *not* fool the judge.",
            judged_by(fools=lambda rates, has, bar: (rates >= bar).all(1)),
            judged_by(fools=lambda rates, has, bar: (rates > bar).all(1)),
            judged_by(fools=lambda rates, has, bar: (rates >= bar).any(1)),
        ),
        Mistake(
            "bar for another number",
            "Your rates are right. For the second result you compare something else with the bar, such as a drop "
            "from the first version, an error, a product, or a gap. The bar is for each of the rates itself.",
            judged_by(fools=lambda rates, has, bar: (rates < bar * rates[0]).any(1)),
            judged_by(fools=lambda rates, has, bar: (rates < rates[0]).any(1)),
            judged_by(fools=lambda rates, has, bar: (rates < rates[0] - (1 - bar)).any(1)),
            judged_by(fools=lambda rates, has, bar: (1 - rates < bar).any(1)),
            judged_by(fools=lambda rates, has, bar: (1 - rates > bar).any(1)),
            judged_by(fools=lambda rates, has, bar: rates.prod(1) < bar),
            judged_by(fools=lambda rates, has, bar: (rates[:, 0] - rates[:, 1]).abs() > bar),
            judged_by(fools=lambda rates, has, bar: rates[:, 0] < rates[:, 1]),
            judged_by(fools=lambda rates, has, bar: (rates < 0.5).any(1)),
        ),
        Mistake(
            "with and without exchanged",
            "Your two columns are exchanged. The rate on pictures with the attribute comes first.",
            judged_by(lambda said, has: two_rates(said, has).flip(0)),
        ),
        Mistake(
            "how often it says with",
            'Your second column is how often the judge says "with" on pictures without. There it is wrong. The task '
            "asks how often it is right.",
            judged_by(how_often_with),
            judged_by(how_often_with, lambda rates, has, bar: (rates[:, 0] < bar) | (1 - rates[:, 1] < bar)),
            judged_by(how_often_with, lambda rates, has, bar: (rates[:, 0] < bar) | (rates[:, 1] > bar)),
        ),
        Mistake(
            "errors for rates",
            "Your rates are those of the judge's errors. The task asks how often it is right.",
            judged_by(lambda said, has: 1 - two_rates(said, has)),
            judged_by(lambda said, has: 1 - two_rates(said, has), lambda rates, has, bar: (1 - rates < bar).any(1)),
            judged_by(lambda said, has: 1 - two_rates(said, has), lambda rates, has, bar: (rates > 1 - bar).any(1)),
        ),
        Mistake(
            "condition the wrong way round",
            'You split the pictures by what the judge says. Of those that it calls "with", some are; the task asks of '
            "those that are with, how many it calls so.",
            judged_by(how_often_with_is_right),
            judged_by(recall_and_precision),
        ),
        Mistake(
            "divided by all pictures",
            "You divide by the number of all pictures, or do not divide. Among how many pictures can the judge be "
            "right on one with the attribute?",
            judged_by(of_all_pictures),
            judged_by(counts_of_right),
        ),
        Mistake(
            "log-odds taken for a probability",
            "You take the judge's output for a probability, or compare a probability with 0. At which log-odds is "
            '"with" as likely as "without"?',
            judged_by(above=0.5),
            probabilities_above_0,
            judged_by(above=math.log(0.5)),
        ),
        Mistake(
            "another column",
            "You count another attribute, or all of them. `k` says which column of labels and log-odds is asked for.",
            judged_by(column=lambda k: 0),
            judged_by(column=lambda k: -1),
            judged_by(column=lambda k: 1),
            all_columns,
        ),
        Mistake(
            "the judge taken at its word",
            "You compare with what the judge says of the first version, as if it were never wrong there. Who really "
            "has the attribute is in the labels.",
            judge_taken_at_its_word,
        ),
    ),
)

TASKS = (OUTPUT_SIZE, UPSAMPLING, NATS_BY_REGION, SIGMA_PER_PIXEL, BITS_PER_DIMENSION, FOOLED)
