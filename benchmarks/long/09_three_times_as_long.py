"""Lesson 09 with five seeds, also trained three times as long: which of its findings depend on the moment?

    python benchmarks/long/09_three_times_as_long.py

A row of the table is a trained VAE. "balanced" saw people whose factors are independent, "biased" people of whom few
disagree in smile and glasses, "reweighted" the same few repeated until all four sorts are equally frequent.
"""

import table
import torch

from vae_lessons import data
from vae_lessons.evaluation import LinearProbe
from vae_lessons.faces import FACTORS, draw_factors, render
from vae_lessons.latents import attribute_vector, matched_attribute_vector, slerp
from vae_lessons.models import GaussianVAE
from vae_lessons.training import fit, one_cycle

EPOCHS, AGREE = 20, 0.95
RANGE = {name: factor.high - factor.low for name, factor in FACTORS.items()}


def measure(seed, small):
    torch.set_num_threads(1)
    n = 400 if small else 5000
    (x, factors), (x_held, factors_held) = (
        data.faces(n, seed=seed),
        data.faces(200 if small else 1000, seed=seed + 1000),
    )
    once, thrice = (1, 2) if small else (EPOCHS, 3 * EPOCHS)
    biased = biased_people(n, seed)
    x_biased = render(biased)
    given = {
        "probe": LinearProbe(x, factors),
        "train": (x, factors),
        "held": (x_held, factors_held),
        "biased": (x_biased, biased),
        "seed": seed,
    }
    rows = []
    for epochs in (once, thrice):
        encode, decode = coder(trained(x, epochs, seed))
        row = vectors(encode, decode, **given) | sums(encode, decode, **given) | paths(encode, decode, **given)
        rows.append({"network": "balanced", "epochs": epochs} | row | bias(encode, decode, **given))
    for network, pictures in (("biased", x_biased), ("reweighted", x_biased[reweighted(biased, seed)])):
        encode, decode = coder(trained(pictures, thrice, seed))
        rows.append({"network": network, "epochs": thrice} | bias(encode, decode, **given))
    return [{name: round(value, 4) if isinstance(value, float) else value for name, value in r.items()} for r in rows]


def biased_people(n, seed):
    many = draw_factors(12_000, torch.Generator().manual_seed(seed + 2000))
    agrees = (many["glasses"] > 0.5) == (many["smile"] > 0)
    keep = torch.rand(12_000, generator=torch.Generator().manual_seed(seed)) < torch.where(agrees, AGREE, 1 - AGREE)
    return {name: values[keep][:n] for name, values in many.items()}


def reweighted(people, seed):
    """Rows of people, drawn so that the four sorts are equally frequent."""
    sort = 2 * (people["glasses"] > 0.5).long() + (people["smile"] > 0).long()
    weight = 1 / sort.bincount().double()[sort]
    return torch.multinomial(weight, len(sort), replacement=True, generator=torch.Generator().manual_seed(seed))


def trained(x, epochs, seed):
    torch.manual_seed(seed)
    vae = GaussianVAE(x.shape[1], 10, (256,))
    fit(
        vae,
        lambda x: {"loss": -vae.elbo(x).elbo.mean()},
        x,
        epochs=epochs,
        lr=one_cycle(4e-3),
        seed=seed,
        progress=False,
    )
    return vae


def coder(vae):
    vae.requires_grad_(False)
    return lambda x: vae.q_z_given_x(x)[0], lambda z: vae.p_x_given_z(z).mean


def error(pictures, truth):
    return 1000 * (pictures - truth).square().mean().item()


def share(values):
    return values.float().mean().item()


def step_up(x, factors, encode, name):
    """The vector from the lowest to the highest third of a factor, and the step of the factor itself."""
    high, low = factors[name] > 1 / 3, factors[name] < -1 / 3
    z = encode(x)
    return attribute_vector(z[high | low], high[high | low]), factors[name][high].mean() - factors[name][low].mean()


def raised(people, name, step):
    return people | {name: (people[name] + step).clamp(FACTORS[name].low, FACTORS[name].high)}


def vectors(encode, decode, probe, train, held, **_):
    (x, factors), (x_held, factors_held) = train, held
    glasses = attribute_vector(encode(x), factors["glasses"] > 0.5)
    smile, step = step_up(x, factors, encode, "smile")
    found, moved = {}, []
    bare, frowns = factors_held["glasses"] < 0.5, factors_held["smile"] < -1 / 3
    for name, who, vector, up in (("glasses", bare, glasses, 1), ("smile", frowns, smile, step)):
        people = {factor: values[who] for factor, values in factors_held.items()}
        truth, z = render(raised(people, name, up)), encode(x_held[who])
        before, after = probe.read(decode(z)), probe.read(decode(z + vector))
        bars = {"seen": 0.5} if name == "glasses" else {"seen": 0.0, "strict": 1 / 3}
        for bar, level in bars.items():
            found |= {f"{name} {bar} before": share(before[name] > level), f"{name} {bar}": share(after[name] > level)}
        left = error(decode(z + vector), truth)
        found[f"{name} left"] = left / error(x_held[who], truth)
        found[f"{name} floor"] = error(decode(encode(truth)), truth) / left
        found[f"{name} twice"] = error(decode(z + 2 * vector), truth) / left
        moved += [((after[o] - before[o]).abs().mean() / RANGE[o]).item() for o in probe.names if o != name]
    z = encode(x_held[~bare])
    found["glasses still seen"] = share(probe.read(decode(z - glasses))["glasses"] > 0.5)
    return found | {"most moved": max(moved)}


def interaction(corners):
    """Mean length of what two changes together do beyond their sum, over that of the change by both."""
    neither, first, second, both = corners
    return ((both - first - second + neither).norm(dim=1) / (both - neither).norm(dim=1)).mean().item()


def sums(encode, decode, train, held, **_):
    (x, factors), (x_held, factors_held) = train, held
    glasses = attribute_vector(encode(x), factors["glasses"] > 0.5)
    (smile, _), (width, w_step), (shift, s_step) = (
        step_up(x, factors, encode, name) for name in ("smile", "width", "shift_x")
    )
    frowning = (factors_held["smile"] < -1 / 3) & (factors_held["glasses"] < 0.5)
    narrow = (factors_held["width"] < -1 / 3) & (factors_held["shift_x"] < -1 / 3)
    found = {}
    for name, who, v, w in (
        ("glasses + smile", frowning, glasses, smile),
        ("glasses + glasses", frowning, glasses, glasses),
        ("width + shift", narrow, width, shift),
    ):
        z = encode(x_held[who])
        drawn = [decode(z + a * v + b * w) for a, b in ((0, 0), (1, 0), (0, 1), (1, 1))]
        found[f"interaction, {name}"] = interaction(drawn)
    people = {name: values[narrow] for name, values in factors_held.items()}
    wide, right = raised(people, "width", w_step), raised(people, "shift_x", s_step)
    corners = [render(f) for f in (people, wide, right, raised(wide, "shift_x", s_step))]
    found["true interaction, width + shift"] = interaction(corners)  # drawn: those of width + shift, the last pair
    by_codes, by_changes = (error(p, corners[3]) for p in (drawn[3], drawn[1] + drawn[2] - drawn[0]))
    return found | {"width + shift, codes / changes": by_codes / by_changes}


def paths(encode, decode, probe, train, held, seed, **_):
    (x, _), (x_held, factors_held) = train, held
    centre, found = encode(x).mean(0), {}

    def middles(first, second):
        z_first, z_second = encode(x_held[first]), encode(x_held[second])
        return {
            "line": decode((z_first + z_second) / 2),
            "arc": decode(slerp(z_first, z_second, 3)[1]),
            "arc about the mean": decode(centre + slerp(z_first - centre, z_second - centre, 3)[1]),
            "cross-fade": (x_held[first] + x_held[second]) / 2,
        }

    order = torch.randperm(len(x_held), generator=torch.Generator().manual_seed(seed))
    bare = order[factors_held["glasses"][order] < 0.5]
    first, second = bare[: 2 * (len(bare) // 2)].chunk(2)
    person = render({name: (values[first] + values[second]) / 2 for name, values in factors_held.items()})
    each = {name: 1000 * (p - person).square().mean(1) for name, p in middles(first, second).items()}
    found |= {f"error, {name}": values.mean().item() for name, values in each.items()}
    found |= difference("error", each["arc"] - each["line"])
    pictures = middles(*order.chunk(2))
    fits = {name: misfit(probe, p) for name, p in pictures.items()}
    found |= {f"misfit, {name}": values.mean().item() for name, values in fits.items()}
    found |= difference("misfit", fits["arc"] - fits["line"])
    for name in ("line", "arc", "arc about the mean"):
        seen = probe.read(pictures[name])
        found[f"faint, {name}"] = share((seen["glasses"] - 0.5).abs() < 0.25)
        found[f"beyond, {name}"] = share(beyond(seen))
    return found


def difference(measure, values):
    standard_error = values.std() / len(values) ** 0.5
    return {f"{measure}, arc - line": values.mean().item(), f"{measure}, its standard error": standard_error.item()}


def misfit(probe, pictures):
    """Root mean square distance in points of grey to the face that is drawn from the probe's readings (lesson 00)."""
    seen = probe.read(pictures)
    known = {name: values.clamp(-1, 1) for name, values in seen.items()}
    known["glasses"] = (seen["glasses"] > 0.5).float()
    return 100 * (pictures - render(known)).square().mean(1).sqrt()


def beyond(seen):
    """Which pictures have a reading, apart from glasses, over a tenth of the range beyond the factor's range."""
    return torch.stack([values.abs() > 1.2 for name, values in seen.items() if name != "glasses"]).any(0)


def bias(encode, decode, probe, train, held, biased, **_):
    (x, factors), (x_held, factors_held), (x_biased, people) = train, held, biased
    has, smiles = people["glasses"] > 0.5, people["smile"] > 0
    z = encode(x_biased)
    with_, without = (encode(render(people | {"glasses": torch.full_like(has.float(), on)})) for on in (1.0, 0.0))
    named = {
        "biased": attribute_vector(z, has),
        "matched": matched_attribute_vector(z, has, smiles.long()),
        "paired": (with_ - without).mean(0),
        "free": free_vector(encode, decode, x, factors),
    }
    bare = factors_held["glasses"] < 0.5
    truth = render({name: values[bare] for name, values in raised(factors_held, "glasses", 1).items()})
    z_bare, found = encode(x_held[bare]), {}
    for name, vector in named.items():
        drawn = decode(z_bare + vector)
        move = probe.read(drawn)["smile"] - probe.read(decode(z_bare))["smile"]
        found |= {f"smile moved, {name}": move.mean().item(), f"error, {name}": error(drawn, truth)}
    rare, redrawn = (factors_held["glasses"] > 0.5) != (factors_held["smile"] > 0), decode(encode(x_held))
    found["rare / common"] = error(redrawn[rare], x_held[rare]) / error(redrawn[~rare], x_held[~rare])
    odd = (factors_held["smile"] < -1 / 3) & ~bare
    seen = probe.read(redrawn[odd])
    found["smile of frowning glasses, too high"] = (seen["smile"] - factors_held["smile"][odd]).mean().item()
    return found | {"glasses of frowning glasses": seen["glasses"].mean().item()}


def free_vector(encode, decode, x, factors):
    """The vector with the least error to the true pictures with glasses, on 300 people of the balanced training set."""
    bare = torch.where(factors["glasses"] < 0.5)[0][:300]
    truth = render({name: values[bare] for name, values in raised(factors, "glasses", 1).items()})
    z, vector = encode(x[bare]), torch.zeros(10, requires_grad=True)
    optimizer = torch.optim.Adam([vector], lr=0.1)
    for _ in range(100):
        optimizer.zero_grad()
        (decode(z + vector) - truth).square().mean().backward()
        optimizer.step()
    return vector.detach()


if __name__ == "__main__":
    table.run(measure, __file__)
