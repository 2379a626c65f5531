"""Grey faces drawn from known factors: pictures whose causes are all known.

A face is painted from back to front, like a paper collage: hair, neck, shoulders, ears, head, fringe, nose, eyes,
brows, glasses, mouth. For each part we compute how far inside its edge a pixel lies, and turn that into a mask
whose edge is a pixel and a half wide. Moving a part by less than its own thickness then changes the grey levels
nearly in proportion, so a linear probe, and a small VAE, can recover every factor.
"""

from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["FACTORS", "Factor", "draw_factors", "render"]


class Factor(NamedTuple):
    """Range of a factor: any number in [low, high] if continuous, one of the two ends if binary."""

    low: float
    high: float
    kind: str  # "continuous" or "binary"


FACTORS = {
    "smile": Factor(-1.0, 1.0, "continuous"),  # from a frown to a smile
    "glasses": Factor(0.0, 1.0, "binary"),  # without, with
    "width": Factor(-1.0, 1.0, "continuous"),  # from a narrow to a wide face
    "skin": Factor(-1.0, 1.0, "continuous"),  # from dark to light, as are the next two
    "hair": Factor(-1.0, 1.0, "continuous"),
    "background": Factor(-1.0, 1.0, "continuous"),
    "eye_distance": Factor(-1.0, 1.0, "continuous"),  # from close together to far apart
    "brows": Factor(-1.0, 1.0, "continuous"),  # from lowered and knitted to raised
    "shift_x": Factor(-1.0, 1.0, "continuous"),  # head from left to right of the middle
}

CHUNK = 128  # faces painted at once: few enough to stay in the cache at 48×48
OUTLINE = 0.04  # grey level: darker than any skin, hair or background, so that every part has a visible edge


def draw_factors(n: int, generator: torch.Generator) -> dict[str, Tensor]:
    """Draw the factors of `n` people, each factor independent of the others.

    Continuous factors are uniform over their range; glasses are worn with probability ½.

    Args:
        n: number of people.
        generator: source of randomness, on the CPU.

    Returns:
        For each name in `FACTORS`, a float32 tensor of shape (n,).

    Example:
        >>> people = draw_factors(3, torch.Generator().manual_seed(0))
        >>> list(people)[:2], people["smile"].shape
        (['smile', 'glasses'], torch.Size([3]))
    """
    factors = {}
    for name, (low, high, kind) in FACTORS.items():
        u = torch.rand(n, generator=generator, dtype=torch.float32)
        factors[name] = low + (high - low) * (u.round() if kind == "binary" else u)
    return factors


@torch.no_grad()
def render(factors: dict[str, Tensor], size: int = 48) -> Tensor:
    """Draw one grey face for each entry of the factors.

    The same factors give the same pixels, bit for bit, in a batch or alone and with any number of threads.

    Args:
        factors: for each name in `FACTORS`, a tensor of shape (n,) with values in the factor's range.
        size: height and width in pixels, at least 16. Edges stay about one and a half pixels wide.

    Returns:
        Tensor of shape (n, size * size), float32, from 0 (black) to 1 (white), row by row from the top.

    Raises:
        ValueError: if a factor is missing, unknown, not of shape (n,), not finite or outside its range;
            or size is below 16.

    Example:
        >>> render(draw_factors(3, torch.Generator().manual_seed(0))).shape
        torch.Size([3, 2304])
    """
    if not isinstance(size, int) or size < 16:
        raise ValueError(f"size: expected a whole number of pixels, at least 16, got {size!r}")
    values = _checked(factors)
    faces = torch.empty(len(values["smile"]), size, size, dtype=torch.float32)
    for start in range(0, len(faces), CHUNK):
        chunk = slice(start, start + CHUNK)
        _paint_faces(faces[chunk], {name: value[chunk, None, None] for name, value in values.items()})
    return faces.flatten(1)


def _paint_faces(image: Tensor, f: dict[str, Tensor]) -> None:
    """Paint faces onto image (n, size, size); the factors f have shape (n, 1, 1)."""
    size = image.shape[-1]
    pixel = 2 / size  # the picture spans [-1, 1], x to the right and y downwards
    grid = (torch.arange(size, dtype=torch.float32) + 0.5) * pixel - 1

    def paint(inside: Tensor, grey: Tensor | float) -> None:
        mask = (inside / (1.5 * pixel)).add_(0.5).clamp_(0, 1)
        image.add_((grey - image).mul_(mask))

    def paint_outlined(inside: Tensor, grey: Tensor | float) -> None:
        paint(inside + 0.045, OUTLINE)
        paint(inside, grey)

    x = grid - 0.035 * f["shift_x"]  # (n, 1, size), from the middle of the head
    y = grid[:, None] - 0.02  # (size, 1)
    side = x.abs()  # a face is symmetric: draw both halves at once
    eye_x = side - (0.27 + 0.08 * f["eye_distance"])
    width = 0.58 + 0.08 * f["width"]
    skin = 0.65 + 0.25 * f["skin"]
    hair = 0.6 + 0.34 * f["hair"]
    # Brows, mouth and glasses are drawn darker on dark skin, lighter on light skin, so that they stand out from
    # both. With the same grey for all, a factor's effect on the pixels would depend more on the skin.
    ink = 0.02 + 0.25 * (skin - 0.4)

    image.copy_((0.66 + 0.3 * f["background"]).expand_as(image))
    head_of_hair = _ellipse(x, y + 0.22, width + 0.09, 0.62)
    paint_outlined(head_of_hair, hair)
    paint_outlined(_ellipse(x, y - 0.7, 0.24, 0.4), skin - 0.1)  # neck
    paint_outlined(_ellipse(grid, y - 1.2, 0.8, 0.42), 0.3)  # shoulders, which depend on no factor
    paint_outlined(_ellipse(side - width, y - 0.08, 0.11, 0.14), skin)  # ears
    head = _ellipse(x, y - 0.04, width, 0.66)
    paint_outlined(head, skin)
    fringe = -0.45 - 0.5 * x.square() - y
    paint(torch.minimum(head, fringe + 0.045), OUTLINE)
    paint(torch.minimum(head_of_hair, fringe), hair)
    paint(_arc(x, y - 0.17 + 3 * x.square(), 0.08, 0.03), skin - 0.25)  # nose

    eye = _ellipse(eye_x, y - 0.03, 0.13, 0.115)
    paint(eye + 0.025, ink)
    paint(eye, 0.98)
    paint(_ellipse(eye_x, y - 0.03, 0.085, 0.095), 0.03)  # pupil
    paint(_ellipse(eye_x + 0.02, y + 0.01, 0.03, 0.03), 0.98)  # glint
    brow_y = -0.28 - 0.06 * f["brows"] + 0.25 * (f["brows"] + 0.2) * eye_x + 2 * eye_x.square()
    paint(_arc(eye_x, y - brow_y, 0.165, 0.06), ink)

    # The glasses do not move with the eyes, so putting them on changes the same pixels in every face.
    lens = _rounded_box(side - 0.28, y - 0.06, 0.22, 0.165)
    frame = torch.minimum(lens + 0.02, 0.025 - lens)
    bridge = _ellipse(x, y - 0.02, 0.08, 0.03)
    paint(torch.maximum(frame, bridge) + (f["glasses"] - 1), ink)  # without glasses, every pixel lies outside
    mouth_y = 0.45 + f["smile"] * (0.08 - 2.1 * x.square())
    paint(_arc(x, y - mouth_y, 0.34, 0.075), ink)


# How far inside a shape with half-axes a and b the point (x, y) lies: negative outside, about the distance to the
# edge when near it. Powers are repeated squares: a general power rounds differently in vector and in scalar code, so
# a face's pixels would depend on how the work is split.


def _ellipse(x: Tensor, y: Tensor, a: Tensor | float, b: float) -> Tensor:
    scale = (a + b) / 4
    return scale * (1 - (x / a).square()) - scale * (y / b).square()


def _rounded_box(x: Tensor, y: Tensor, a: float, b: float) -> Tensor:
    scale = (a + b) / 8
    return scale * (1 - (x / a).square().square()) - scale * (y / b).square().square()


def _arc(x: Tensor, y: Tensor, a: float, b: float) -> Tensor:
    """Bar along y = 0 with tapered ends; pass y minus a curve to bend it."""
    return b * (1 - (x / a).square().square().square()) - y.abs()


def _checked(factors: dict[str, Tensor]) -> dict[str, Tensor]:
    missing, unknown = FACTORS.keys() - factors.keys(), factors.keys() - FACTORS.keys()
    if missing or unknown:
        raise ValueError(f"factors: missing {sorted(missing)}, unknown {sorted(unknown)}, of {[*FACTORS]}")
    values = {name: torch.as_tensor(factors[name], dtype=torch.float32, device="cpu") for name in FACTORS}
    shapes = {name: tuple(value.shape) for name, value in values.items()}
    if len(set(shapes.values())) > 1 or values["smile"].ndim != 1:
        raise ValueError(f"factors: expected tensors of the same shape (n,), got {shapes}")
    for name, (low, high, kind) in FACTORS.items():
        value = values[name]
        inside = (value == low) | (value == high) if kind == "binary" else (value >= low) & (value <= high)
        if not inside.all():
            expected = f"{low:g} or {high:g}" if kind == "binary" else f"values in [{low:g}, {high:g}]"
            raise ValueError(f"{name}: expected {expected}, got {value[~inside][0].item():g}")
    return values
