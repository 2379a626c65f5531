"""The stored notebooks: current with their sources, clean, described; and their definitions equal the library's."""

import ast
import math
import re
import statistics
from pathlib import Path

import nbformat
import pytest
import torch
from PIL import Image

from vae_course.build import execute, is_current, read_source
from vae_course.files import write_notebook
from vae_lessons import data, distributions, evaluation, latents, models
from vae_lessons.widgets import frames

ROOT = Path(__file__).parents[1]
SOURCES = sorted((ROOT / "sources" / "lessons").glob("*.py"))
LESSONS = [source.stem for source in SOURCES]


def notebook(name):
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", as_version=4)


def code_cells(name):
    return [cell for cell in notebook(name).cells if cell.cell_type == "code"]


def outputs(name):
    return [output for cell in code_cells(name) for output in cell.outputs]


def test_every_notebook_has_a_source_and_every_source_a_notebook():
    assert LESSONS
    assert [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb"))] == LESSONS


@pytest.mark.parametrize("name", LESSONS)
def test_a_notebook_is_current_with_its_source(name):
    built = ROOT / "notebooks" / f"{name}.ipynb"
    assert is_current(read_source(ROOT / "sources" / "lessons" / f"{name}.py"), built), f"run: vae-lessons build {name}"


@pytest.mark.parametrize("name", LESSONS)
def test_a_notebook_was_run_from_top_to_bottom_without_errors(name):
    nbformat.validate(notebook(name))
    cells = [cell for cell in code_cells(name) if cell.source.strip()]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for output in outputs(name) if output.output_type == "error"]
    assert not [output for output in outputs(name) if output.get("name") == "stderr"]


@pytest.mark.parametrize("name", LESSONS)
def test_every_figure_is_described_in_words(name):
    figures = [output for output in outputs(name) if "image/png" in output.get("data", {})]
    assert figures
    for figure in figures:
        assert len(figure.metadata["image/png"]["alt"].split()) >= 8


@pytest.mark.parametrize("name", LESSONS[2:])
def test_interactive_figures_can_be_stepped_through_without_a_kernel(name):
    series = [taken for output in outputs(name) if (taken := frames(output))]
    assert len(series) == sum(len(re.findall(r"^explore\(", cell.source, re.M)) for cell in code_cells(name))
    assert series
    for taken in series:
        assert 5 < len(taken) < 12
        assert len({frame["data"]["image/png"] for frame in taken}) >= len(taken) - 1
        for frame in taken:
            assert len(frame["metadata"]["image/png"]["alt"].split()) >= 8
            assert len(frame["data"]["image/png"]) < 40_000


@pytest.mark.parametrize("name", LESSONS)
def test_code_cells_are_short(name):
    lengths = [len(cell.source.splitlines()) for cell in code_cells(name)]
    assert max(lengths) <= 30
    assert statistics.median(lengths) <= 8


@pytest.mark.parametrize("name", LESSONS)
def test_the_reader_commits_to_at_least_two_predictions(name):
    code = "\n".join(cell.source for cell in code_cells(name))
    asked, revealed = (set(re.findall(rf"^(\w+)\.{verb}\(", code, re.M)) for verb in ("ask", "reveal"))
    assert asked == revealed
    assert len(asked) >= 2


@pytest.mark.parametrize("name", LESSONS)
def test_a_cell_that_is_not_compared_asserts_nothing(name):
    for cell in code_cells(name):
        if "nbval-ignore-output" in cell.metadata.get("tags", []):
            assert not re.search(r"^\s*assert |\.reveal\(", cell.source, re.M), cell.source


def definitions(name, *wanted, given=None):
    """The functions and classes that a lesson defines, run with nothing but the lesson's imports and what is given."""
    tree = ast.parse("\n".join(cell.source for cell in code_cells(name)))
    kept = [
        node
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom) or getattr(node, "name", None) in wanted
    ]
    namespace = dict(given or {})
    exec(compile(ast.Module(kept, []), f"{name}.ipynb", "exec"), namespace)
    return [namespace[item] for item in wanted]


def seeded():
    return torch.Generator().manual_seed(7)


def test_lesson_01_defines_the_librarys_autoencoder():
    autoencoder, mlp = definitions("01_autoencoder", "Autoencoder", "mlp")
    x = torch.rand(5, 12, dtype=torch.float64, generator=seeded())
    answers = []
    for cls in (autoencoder, models.Autoencoder):
        torch.manual_seed(0)
        model = cls(12, 3, hidden=(7, 4)).double()
        answers.append([model.encode(x), model.decode(x[:, :3]), model(x)])
    for taught, kept in zip(*answers, strict=True):
        assert torch.equal(taught, kept)
    assert str(mlp(4, 3, 2)) == str(models.mlp(4, 3, 2))


def test_lesson_01_defines_the_librarys_moves_in_latent_space():
    nudge, sample_like, interpolate = definitions("01_autoencoder", "nudge", "sample_like", "interpolate")
    z = torch.randn(40, 3, generator=seeded())
    assert torch.equal(nudge(z, 0.3, seeded()), latents.nudge(z, 0.3, seeded()))
    torch.testing.assert_close(sample_like(z, 9, seeded()), latents.sample_like(z, 9, seeded()))
    torch.testing.assert_close(interpolate(z[:5], z[5:10], 4), latents.interpolate(z[:5], z[5:10], 4))


def test_lesson_01_defines_the_librarys_measures():
    names = ("hole_ratio", "blind_cost", "nudge_each", "log_average")
    holes, blind, nudged, _ = definitions("01_autoencoder", *names, given={"SEED": 5})
    g = seeded()
    codes, logits = torch.randn(30, 3, generator=g), torch.randn(30, 8, generator=g)
    x, y = torch.bernoulli(torch.full((30, 8), 0.5), generator=g), torch.arange(30) % 4
    assert holes(codes, codes + 1, logits[:, :3]) == evaluation.hole_ratio(codes, codes + 1, logits[:, :3])
    assert blind(x.double(), logits.double()) == pytest.approx(
        evaluation.blind_cost(x.double(), logits.double()), abs=1e-12
    )

    def decode(z):
        return torch.cat([z, z.square(), z[..., :2]], -1)

    def judge(pictures):
        return pictures[..., :4]

    unit = torch.linalg.cholesky(torch.cov(codes.T))
    expected = evaluation.nudge_each(codes, unit, decode, x, y, judge, seed=5)
    assert torch.equal(nudged(codes, unit, decode, x, y, judge), expected)


def gaussian_inputs():
    """For each of the Gaussians' functions: random float64 arguments by name."""
    g = seeded()
    mu, log_var, x, mu_p, log_var_p = torch.randn(5, 6, 3, generator=g, dtype=torch.float64)
    root = torch.randn(2, 6, 3, 3, generator=g, dtype=torch.float64)
    scale_tril, scale_tril_p = torch.linalg.cholesky(root @ root.mT + torch.eye(3))
    return {
        "log_normal": (x, mu, log_var),
        "sample_normal": (mu, log_var),
        "entropy_normal": (log_var,),
        "sample_normal_full": (mu, scale_tril),
        "log_normal_full": (x, mu, scale_tril),
        "entropy_normal_full": (scale_tril,),
        "kl_normal": (mu, log_var, mu_p, log_var_p),
        "kl_to_standard_normal": (mu, log_var),
        "kl_normal_full": (mu, scale_tril, mu_p, scale_tril_p),
        "log_aggregated_posterior": (x[:4], mu, log_var),
        "log_bernoulli": (x.sigmoid(), mu),
        "log_continuous_bernoulli": (x.sigmoid(), torch.cat([mu, 0.005 * mu[:, :1]], 1)[:, 1:]),
    }


@pytest.mark.parametrize(
    ("lesson", "names"),
    [
        (
            "02_gaussian_sampling",
            [
                "log_normal",
                "sample_normal",
                "entropy_normal",
                "sample_normal_full",
                "log_normal_full",
                "entropy_normal_full",
            ],
        ),
        ("04_kl_divergence", ["kl_normal", "kl_to_standard_normal", "kl_normal_full", "log_aggregated_posterior"]),
        ("06_reconstruction_losses", ["log_bernoulli", "log_continuous_bernoulli"]),
    ],
)
def test_lessons_define_the_librarys_densities_entropies_and_divergences(lesson, names):
    for name, taught in zip(names, definitions(lesson, *names), strict=True):
        inputs, options = gaussian_inputs()[name], [{}, {}]
        if name.startswith("sample"):
            options = [{"generator": seeded()}, {"generator": seeded()}]
        torch.testing.assert_close(taught(*inputs, **options[0]), getattr(distributions, name)(*inputs, **options[1]))


def test_lesson_03_draws_as_the_library_does_gradients_included():
    (taught,) = definitions("03_reparametrization", "rsample")
    results = []
    for draw in (taught, distributions.sample_normal):
        mu, log_var = torch.randn(2, 5, 3, dtype=torch.float64, generator=seeded()).requires_grad_()
        torch.manual_seed(0)
        z = draw(mu, log_var)
        results.append([z, *torch.autograd.grad((z**3).sum(), (mu, log_var))])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


def test_lesson_05_defines_the_librarys_bound_of_k_samples():
    (taught,) = definitions("05_jensen_elbo", "k_sample_bound")
    torch.manual_seed(0)
    model, x = models.LinearVAE(6, 2).double(), torch.randn(9, 6, dtype=torch.float64, generator=seeded())
    with torch.no_grad():
        q, log_w, draws = model.q_z_given_x(x), [], torch.Generator().manual_seed(3)
        for _ in range(7):
            z = distributions.sample_normal(*q, draws)
            log_p_z = -0.5 * (z**2 + math.log(2 * math.pi)).sum(-1)
            log_w.append(model.log_p_x_given_z(x, z) + log_p_z - distributions.log_normal(z, *q))
    torch.testing.assert_close(
        torch.from_numpy(taught(torch.stack(log_w, -1).numpy())), evaluation.log_p_x(model, x, 7, 3)
    )


def trained_alike(taught, kept, x):
    """Whether two classes of VAE, built and stepped with the same seed, end with the same parameters and ELBO."""
    results = []
    for cls in (taught, kept):
        torch.manual_seed(0)
        model = cls(x.shape[1], 3, hidden=(7,)).double()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(3):
            optimizer.zero_grad()
            (-model.elbo(x).elbo.mean()).backward()
            optimizer.step()
        model.eval()
        z = x[:, :3]
        elbo = model.elbo(x)
        results.append([*elbo, *model.q_z_given_x(x), model.p_x_given_z(z).mean, model.log_p_x_given_z(x, z)])
        results[-1] += [model.p_x_given_z(z).log_prob(x), *model.state_dict().values()]
        assert elbo._fields == ("elbo", "log_p_x_given_z", "kl")
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


def test_lesson_06_defines_the_librarys_gaussian_vae():
    _, taught = definitions("06_reconstruction_losses", "gaussian_pixels", "GaussianVAE")
    trained_alike(taught, models.GaussianVAE, torch.rand(20, 9, dtype=torch.float64, generator=seeded()))


def test_lesson_07_defines_the_librarys_vae():
    _, taught = definitions("07_training_a_vae", "Elbo", "VAE")
    trained_alike(taught, models.VAE, torch.rand(20, 9, generator=seeded()).round().double())


def test_lesson_07_defines_the_librarys_measures():
    active_units, rate_distortion = definitions("07_training_a_vae", "active_units", "rate_distortion")
    mu = torch.randn(50, 4, generator=seeded()) * torch.tensor([1.0, 0.05, 0.2, 0.0])
    assert torch.equal(active_units(mu), evaluation.active_units(mu))
    torch.manual_seed(0)
    model, x = models.VAE(9, 2, hidden=(5,)), torch.rand(30, 9, generator=seeded()).round()
    assert rate_distortion(model, x, 3) == evaluation.rate_distortion(model, x, 3)


def test_lesson_08_defines_the_librarys_linear_vae():
    ppca, taught = definitions("08_inside_the_latent_space", "ppca", "LinearVAE")
    x = torch.randn(40, 6, dtype=torch.float64, generator=seeded())
    for one, other in zip(ppca(x, 2), models.ppca(x, 2), strict=True):
        torch.testing.assert_close(one, other)
    results = []
    for cls in (taught, models.LinearVAE):
        torch.manual_seed(0)
        model = cls(6, 2).double()
        results.append([*model.state_dict().values(), model.log_p_x(x), *model.elbo(x)])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other)


def test_lesson_08_defines_the_librarys_traversals_and_metrics():
    taught = definitions("08_inside_the_latent_space", "traverse", "mig", "sap", "mutual_information")
    traverse, mig, sap, _ = taught
    g = seeded()
    z = torch.randn(300, 4, generator=g, dtype=torch.float64)
    assert torch.equal(traverse(z, 1, [-2.0, 3.0]), latents.traverse(z, 1, [-2.0, 3.0]))
    factors = {"a": z[:, 0] + 0.1 * z[:, 1], "b": (z[:, 2] > 0).double()}
    assert mig(z, factors, bins=12) == pytest.approx(evaluation.mig(z, factors, bins=12))
    assert sap(z, factors) == pytest.approx(evaluation.sap(z, factors))


def test_lesson_09_defines_the_librarys_vectors_and_arcs():
    vector, matched, slerp = definitions(
        "09_latent_arithmetic", "attribute_vector", "matched_attribute_vector", "slerp"
    )
    g = seeded()
    z, match = torch.randn(60, 4, generator=g), torch.randint(3, (60,), generator=g)
    has = torch.rand(60, generator=g) < 0.4
    torch.testing.assert_close(vector(z, has), latents.attribute_vector(z, has))
    torch.testing.assert_close(matched(z, has, match), latents.matched_attribute_vector(z, has, match))
    for end in (z[1], 2 * z[0]):
        torch.testing.assert_close(slerp(z[0], end, 7), latents.slerp(z[0], end, 7))


def celeba_like(root, n=40):
    """A folder laid out as CelebA's, with drawn faces of its size and three attributes; returns their names."""
    x, factors = data.faces(n, seed=3)
    (root / "img_align_celeba").mkdir(parents=True)
    has = {"Eyeglasses": factors["glasses"] > 0.5, "Smiling": factors["smile"] > 0, "Pale_Skin": factors["skin"] > 0}
    lines = [str(n), " ".join(has)]
    for i in range(n):
        face = Image.fromarray((255 * x[i].reshape(48, 48)).byte().numpy()).resize((178, 178)).convert("RGB")
        photograph = Image.new("RGB", (178, 218))
        photograph.paste(face, (0, 20))
        photograph.save(root / "img_align_celeba" / f"{i + 1:06}.jpg")
        lines.append(f"{i + 1:06}.jpg " + " ".join("1" if values[i] else "-1" for values in has.values()))
    (root / "list_attr_celeba.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return list(has)


def test_lesson_09_runs_on_celeba_by_changing_one_line(tmp_path, capsys):
    names = celeba_like(tmp_path)
    sources = [cell.source for cell in code_cells("09_latent_arithmetic")]
    first = next(i for i, source in enumerate(sources) if source.startswith("CELEBA = None"))
    earlier = ["attribute_vector", "matched_attribute_vector", "train_vae", "coder", "attribute_effect"]
    namespace = {"SEED": 0}
    for item, function in zip(earlier, definitions("09_latent_arithmetic", *earlier, given=namespace), strict=True):
        namespace = function.__globals__ | {item: function}
    own = "\n".join(sources[first:]).replace("CELEBA = None", f"CELEBA = {str(tmp_path)!r}", 1)
    exec(compile(own, "09_latent_arithmetic.ipynb", "exec"), namespace)
    assert namespace["own_probe"].names == names
    assert len(namespace["train"][0]) == 32
    assert len(namespace["held"][0]) == 8
    for report in namespace["reports"].values():
        assert list(report) in (["plain", "matched by Smiling"], ["plain", "matched by Eyeglasses"])
        for before, after, moved in report.values():
            assert 0 <= before <= 1
            assert 0 <= after <= 1
            assert len(moved) == 2
    assert "Eyeglasses, plain: seen on" in capsys.readouterr().out


def test_lesson_10_defines_the_librarys_importance_sampling():
    (taught,) = definitions("10_how_tight_is_the_bound", "log_p_x")
    torch.manual_seed(0)
    model, x = models.LinearVAE(6, 2).double(), torch.randn(9, 6, dtype=torch.float64, generator=seeded())
    torch.testing.assert_close(taught(model, x, 7, 3), evaluation.log_p_x(model, x, 7, 3))


def test_lesson_10_defines_the_librarys_linear_vae_of_a_probabilistic_pca():
    (taught,) = definitions("10_how_tight_is_the_bound", "linear_vae")
    weight, mean = torch.randn(6, 2, dtype=torch.float64, generator=seeded()), torch.arange(6).double()
    variance = torch.tensor(0.3).double()
    (model, _), kept = taught(weight, mean, variance), models.LinearVAE.from_ppca(weight, mean, variance)
    for one, other in zip(model.state_dict().items(), kept.state_dict().items(), strict=True):
        assert one[0] == other[0]
        torch.testing.assert_close(one[1], other[1])


def test_lesson_11_defines_the_librarys_convolutional_vae():
    (taught,) = definitions("11_convolutions", "ConvVAE")
    arguments = {"size": 16, "n_latents": 3, "colours": 1, "channels": (4, 6)}
    torch.manual_seed(0)
    ours, theirs = models.ConvVAE(**arguments), taught(**arguments)
    theirs.load_state_dict(ours.state_dict())
    x, z = torch.rand(5, 256), torch.randn(5, 3)
    for first, second in zip(ours.q_z_given_x(x), theirs.q_z_given_x(x), strict=True):
        assert torch.equal(first, second)
    assert torch.equal(ours.p_x_given_z(z).mean, theirs.p_x_given_z(z).mean)
    taught().load_state_dict(models.ConvVAE().state_dict())  # the same sizes if nothing is given


def test_an_edited_source_is_noticed(tmp_path):
    source = tmp_path / "lesson.py"
    source.write_text("# %% [markdown]\n# Text\n\n# %%\n1 + 1\n", encoding="utf-8")
    built = tmp_path / "lesson.ipynb"
    assert not is_current(read_source(source), built)
    fresh = read_source(source)
    execute(fresh, tmp_path, "lesson")
    write_notebook(fresh, built)
    assert is_current(read_source(source), built)
    assert nbformat.read(built, as_version=4).cells[1].outputs[0].data["text/plain"] == "2"
    for edited in ("# %% [markdown]\n# Text\n\n# %%\n1 + 2\n", "# %% [markdown]\n# Text\n"):
        source.write_text(edited, encoding="utf-8")
        assert not is_current(read_source(source), built)
    source.write_text('# %% [markdown]\n# Text\n\n# %% tags=["nbval-ignore-output"]\n1 + 1\n', encoding="utf-8")
    assert not is_current(read_source(source), built)


@pytest.mark.parametrize("name", LESSONS)
def test_a_lesson_starts_with_its_number_and_title(name):
    assert notebook(name).cells[0].source.startswith(f"# {name[:2]} · ")
