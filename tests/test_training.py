import math

import pytest
import torch
from torch import nn

from vae_lessons.training import fit, mean_terms, one_cycle


@pytest.fixture
def line():
    x = torch.linspace(-1, 1, 50)[:, None]
    return x, 3 * x + 1


def model_and_terms(seed=0):
    torch.manual_seed(seed)
    model = nn.Linear(1, 1)

    def terms(x, y):
        return {"loss": (model(x) - y).pow(2).mean(), "size": model.weight.abs().sum()}

    return model, terms


def train(line, seed=0, **options):
    model, terms = model_and_terms()
    history = fit(model, terms, *line, epochs=3, batch_size=8, seed=seed, progress=False, **options)
    return model, history


def test_it_finds_the_line(line):
    model, terms = model_and_terms()
    fit(model, terms, *line, epochs=200, batch_size=10, lr=0.05, progress=False)
    assert model.weight.item() == pytest.approx(3, abs=1e-3)
    assert model.bias.item() == pytest.approx(1, abs=1e-3)


def test_the_same_seed_gives_the_same_weights_and_another_does_not(line):
    weights = [train(line, seed)[0].weight.item() for seed in (0, 0, 1)]
    assert weights[0] == weights[1] != weights[2]


def test_the_global_generator_is_left_as_it_was(line):
    torch.manual_seed(5)
    expected = torch.rand(3)
    model = nn.Linear(1, 1, bias=False)
    torch.manual_seed(5)
    fit(model, lambda x, y: {"loss": (model(x) - y).pow(2).mean()}, *line, epochs=1, progress=False)
    assert torch.equal(torch.rand(3), expected)


def test_first_epoch_matches_plain_pytorch_step_by_step(line):
    model, terms = model_and_terms()
    fit(model, terms, *line, epochs=1, batch_size=50, lr=0.1, progress=False)
    other, _ = model_and_terms()
    optimizer = torch.optim.Adam(other.parameters(), lr=0.1)
    (other(line[0]) - line[1]).pow(2).mean().backward()
    optimizer.step()
    torch.testing.assert_close(model.weight, other.weight)


def test_history_holds_the_mean_of_each_term_for_each_epoch(line):
    _, history = train(line, held_out=line)
    assert {name: len(values) for name, values in history.train.items()} == {"loss": 3, "size": 3}
    assert len(history.seconds) == 3
    assert history.held_out["loss"][0] > history.held_out["loss"][1] > history.held_out["loss"][2]


def test_the_mean_counts_pictures_and_not_batches():
    x = torch.tensor([0.0, 0.0, 0.0, 8.0])
    terms = {"loss": None}

    def batch_mean(batch):
        terms["loss"] = batch.mean()
        return terms

    assert mean_terms(batch_mean, x, batch_size=3)["loss"] == 2.0


def test_held_out_is_measured_with_the_same_noise_every_epoch():
    model = nn.Linear(1, 1)
    x = torch.zeros(20, 1)

    def terms(x):
        return {"loss": 0 * model(x).sum(), "noise": torch.randn(())}

    history = fit(model, terms, x, epochs=3, held_out=[x], progress=False)
    assert len(set(history.held_out["noise"])) == 1
    assert len(set(history.train["noise"])) == 3


def test_every_row_is_seen_once_an_epoch():
    model, seen = nn.Linear(1, 1), []

    def terms(x):
        seen.extend(x.flatten().tolist())
        return {"loss": model(x).mean()}

    fit(model, terms, torch.arange(10.0)[:, None], epochs=1, batch_size=3, progress=False)
    assert sorted(seen) == list(range(10))
    assert seen != list(range(10))


def test_a_term_that_is_not_finite_is_named_before_the_weights_change(line):
    model, _ = model_and_terms()
    before = model.weight.item()

    def terms(x, y):
        return {"loss": model(x).mean(), "kl": torch.tensor(float("inf"))}

    with pytest.raises(FloatingPointError, match=r"epoch 1, step 1: the term 'kl' is not finite .*kl = inf"):
        fit(model, terms, *line, epochs=1, progress=False)
    assert model.weight.item() == before


def measured_as(costs):
    """A model whose weight is moved by one in every epoch, and terms that report these costs after each epoch."""
    model, remaining = nn.Linear(1, 1, bias=False), iter(costs)
    nn.init.zeros_(model.weight)

    def terms(x):
        loss = -model(x).mean()
        return {"loss": loss} if model.training else {"cost": torch.tensor(next(remaining))}

    return model, terms


@pytest.mark.parametrize(
    ("costs", "best"),
    [([3.0, 1.0, 2.0, 1.5], 1), ([4.0, 3.0, 2.0], 2), ([1.0, 1.0], 0), ([math.nan, 2.0, math.nan], 1)],
)
def test_the_best_weights_are_those_of_the_epoch_with_the_least_held_out_term(costs, best):
    weights = []
    for epochs, keep_best in ((best + 1, None), (len(costs), "cost")):
        model, terms = measured_as(costs)
        history = fit(
            model,
            terms,
            torch.ones(4, 1),
            epochs=epochs,
            held_out=[torch.ones(1, 1)],
            keep_best=keep_best,
            progress=False,
        )
        weights.append(model.weight.item())
    assert history.best == best
    assert len(history.held_out["cost"]) == len(costs)  # training went on to the end
    assert weights[0] == weights[1]


def test_without_keep_best_the_last_weights_stay(line):
    kept, history = train(line, held_out=line)
    assert history.best is None
    assert kept.weight.item() == train(line)[0].weight.item()


@pytest.mark.parametrize(
    ("costs", "options", "message"),
    [
        ([1.0], {}, "keep_best: expected held_out data on which to measure 'cost', got none"),
        ([1.0], {"held_out": [torch.ones(1, 1)], "keep_best": "coast"}, r"one of \['cost'\], got 'coast'"),
        ([math.nan], {"held_out": [torch.ones(1, 1)]}, "'cost' was not a number after any epoch"),
    ],
)
def test_what_cannot_be_the_best_is_named(costs, options, message):
    model, terms = measured_as(costs)
    with pytest.raises(ValueError, match=message):
        fit(model, terms, torch.ones(4, 1), **{"epochs": 1, "keep_best": "cost", "progress": False} | options)


def test_the_learning_rate_can_follow_the_training(line):
    shares = []

    def lr(done):
        shares.append(done)
        return 0.0

    model, terms = model_and_terms()
    before = model.weight.item()
    fit(model, terms, *line, epochs=2, batch_size=25, lr=lr, progress=False)
    assert shares[-4:] == [0, 0.25, 0.5, 0.75]
    assert model.weight.item() == before


def test_one_cycle_rises_to_its_peak_and_falls_to_zero():
    lr = one_cycle(0.4, warm_up=0.25)
    assert [lr(0), lr(0.125), lr(0.25)] == pytest.approx([0, 0.2, 0.4])
    assert lr(0.625) == pytest.approx(0.2)
    assert lr(1) == pytest.approx(0)


def test_the_model_is_in_training_mode_while_trained_and_not_while_measured(line):
    model, modes = nn.Linear(1, 1), []

    def terms(x, y):
        modes.append(model.training)
        return {"loss": model(x).mean()}

    fit(model, terms, *line, epochs=1, batch_size=50, held_out=line, progress=False)
    assert modes == [True, False]
    assert not model.training


def test_the_progress_bar_shows_the_terms(line, capsys):
    model, terms = model_and_terms()
    fit(model, terms, *line, epochs=2, progress=True)
    shown = capsys.readouterr()
    assert "loss=" in shown.out
    assert "size=" in shown.out
    assert "100%" in shown.out
    assert shown.err == ""


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        ((), {}, "data: expected tensors of the same length"),
        ((torch.zeros(3, 1), torch.zeros(2, 1)), {}, r"got lengths \[3, 2\]"),
        ((torch.zeros(0, 1),), {}, "N > 0"),
        ((torch.zeros(3, 1),), {"epochs": 0}, "epochs: expected a whole number of at least 1, got 0"),
        ((torch.zeros(3, 1),), {"batch_size": 2.5}, "batch_size: expected a whole number of at least 1, got 2.5"),
        ((torch.zeros(3, 1),), {}, 'expected a dictionary with the scalar "loss"'),
    ],
)
def test_bad_arguments_are_named(data, options, message):
    with pytest.raises(ValueError, match=message):
        fit(
            nn.Linear(1, 1),
            lambda *batch: {"lass": torch.zeros(())},
            *data,
            **{"epochs": 1, "progress": False} | options,
        )
