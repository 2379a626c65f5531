"""Live figures: what they display, and what their networks are. tests/browser/test_live_figures.py moves them."""

import base64
import json

import numpy as np
import pytest
import torch

from vae_lessons import data, live, plotting
from vae_lessons.distributions import log_bernoulli


@pytest.mark.parametrize("name", live.NAMES)
def test_a_figure_is_a_widget_and_a_picture_with_words(name, monkeypatch):
    outputs = []
    monkeypatch.setattr(plotting, "display", lambda data, **about: outputs.append((data, about.get("metadata"))))
    live.live_figure(name)
    (shown, about), (words, _) = outputs
    assert shown["image/png"].startswith(b"\x89PNG")
    assert "application/vnd.jupyter.widget-view+json" in shown
    assert about["vae_lessons"] == {"live": name}
    assert about["image/png"]["alt"] in words["text/plain"]


def test_an_unknown_figure_is_refused():
    with pytest.raises(ValueError, match=r"expected one of \('machine', 'planes', 'face'\), got 'faces'"):
        live.live_figure("faces")


@pytest.mark.parametrize("name", live.NAMES)
def test_weights_are_those_of_the_networks_layer_by_layer(name):
    arrays = json.loads(live.weights(name))
    networks, others = live.PARTS[name]
    assert set(arrays) == {*networks, *others}
    for part in networks:
        numbers = np.frombuffer(base64.b64decode(arrays[part]["data"]), np.float16)
        linear = [layer for layer in live.network(part) if isinstance(layer, torch.nn.Linear)]
        assert arrays[part]["sizes"] == [linear[0].in_features, *(layer.out_features for layer in linear)]
        stored = [array.detach().numpy().ravel() for layer in linear for array in (layer.weight.T, layer.bias)]
        np.testing.assert_array_equal(numbers, np.concatenate(stored).astype(np.float16))


def test_the_networks_are_trained():
    x = (data.digits()[1][0][:200] > 0.5).float()
    average = -log_bernoulli(x, torch.logit(x.mean(0).clamp(0.01, 0.99))).mean()
    with torch.no_grad():
        for beta in ("0.1", "1", "8"):
            mu = live.network(f"digit {beta} encoder")(x)[:, :8]
            assert -log_bernoulli(x, live.network(f"digit {beta} decoder")(mu)).mean() < 0.75 * average
        for name in live.PLANES:  # the codes belong to the training digits
            codes, digits = live._tensor(f"{name} codes"), (data.digits()[0][0][:1000] > 0.5).float()
            assert -log_bernoulli(digits, live.network(f"{name} decoder")(codes)).mean() < 0.9 * average
        faces = data.faces(24, seed=1)[0]
        drawn = live.network("face decoder")(live._tensor("face people")).sigmoid()
        assert (drawn - faces).square().mean() < 0.1 * (faces - faces.mean(0)).square().mean()
