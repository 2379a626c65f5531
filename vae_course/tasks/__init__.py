"""The exercises and their tasks. Each exercise has a module of its name here, which says how its tasks are judged.

Names and points are here, so that they can be read without PyTorch, which the modules need.
"""

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vae_course.judging.task import Task

__all__ = ["EXERCISES", "POINTS", "exercise_of", "library_of", "task", "tasks_of"]

# By exercise: its tasks in their order, and what each is worth
EXERCISES: dict[str, dict[str, int]] = {
    "ex01_autoencoder": {
        "autoencoder/bernoulli_cost": 2,
        "autoencoder/pca": 2,
        "autoencoder/nudge": 2,
        "autoencoder/rise": 3,
        "autoencoder/advise": 3,
        "autoencoder/compare": 3,
    },
    "ex02_gaussian_sampling": {
        "gaussian/sample": 2,
        "gaussian/sample_full": 2,
        "gaussian/repair": 3,
        "gaussian/squared_length": 2,
        "gaussian/best_log_var": 3,
        "gaussian/samplers": 3,
    },
    "ex03_reparametrization": {
        "gradient/sample": 2,
        "gradient/pathwise": 2,
        "gradient/score_function": 2,
        "gradient/baseline": 3,
        "gradient/repaired": 3,
        "gradient/choose": 3,
    },
    "ex04_kl_divergence": {
        "kl/discrete": 2,
        "kl/standard_normal": 2,
        "kl/normals": 2,
        "kl/estimate": 2,
        "kl/closest_normal": 3,
        "kl/split": 3,
    },
    "ex05_jensen_elbo": {
        "elbo/jensen_gap": 2,
        "elbo/exact": 2,
        "elbo/k_sample_bound": 2,
        "elbo/common_xi": 3,
        "elbo/directions": 3,
        "elbo/repaired_loss": 3,
    },
    "ex06_reconstruction_losses": {
        "reconstruction/gaussian": 2,
        "reconstruction/excess": 2,
        "reconstruction/held_out": 2,
        "reconstruction/better": 3,
        "reconstruction/hidden_beta": 3,
        "reconstruction/repaired_loss": 3,
    },
    "ex07_training_a_vae": {
        "training/elbo": 2,
        "training/free_bits": 2,
        "training/units": 2,
        "training/repair": 3,
        "training/shortfall": 3,
        "training/diagnose": 3,
    },
    "ex08_inside_the_latent_space": {
        "latent/traverse": 2,
        "latent/recentring": 2,
        "latent/linear_vae": 3,
        "latent/total_correlation": 3,
        "latent/statements": 3,
        "latent/turned": 3,
    },
    "ex09_latent_arithmetic": {
        "attribute/vector": 2,
        "attribute/entangled": 2,
        "attribute/matched": 2,
        "attribute/effect": 3,
        "attribute/better": 3,
        "attribute/adjusted": 3,
    },
    "ex10_how_tight_is_the_bound": {
        "bound/log_p_x": 2,
        "bound/climb": 2,
        "bound/report": 2,
        "bound/elbo": 3,
        "bound/proposal": 3,
        "bound/split": 3,
    },
    "ex11_convolutions": {
        "convolutions/output_size": 2,
        "convolutions/upsampling": 2,
        "convolutions/nats_by_region": 2,
        "convolutions/sigma_per_pixel": 3,
        "convolutions/bits_per_dimension": 3,
        "convolutions/fooled": 3,
    },
    "ex12_examine_a_vae": {
        "examine/reductions": 2,
        "examine/likelihood": 2,
        "examine/draws": 2,
        "examine/readings": 3,
        "examine/validation": 3,
        "examine/nats": 3,
    },
}
POINTS: dict[str, int] = {name: points for tasks in EXERCISES.values() for name, points in tasks.items()}


def exercise_of(name: str) -> str:
    """The exercise that a task belongs to."""
    return next(exercise for exercise, tasks in EXERCISES.items() if name in tasks)


@cache
def tasks_of(exercise: str) -> "tuple[Task, ...]":
    """The tasks of an exercise, in their order."""
    by_name = {task.name: task for task in import_module(f"{__name__}.{exercise}").TASKS}
    return tuple(by_name[name] for name in EXERCISES[exercise])


def task(name: str) -> "Task":
    """The task of this name."""
    return next(task for task in tasks_of(exercise_of(name)) if task.name == name)


@cache
def library_of(exercise: str) -> tuple[str, ...]:
    """Functions of `vae_lessons` that are switched off in an exercise, because it asks for them: their full names."""
    return tuple(sorted({name for task in tasks_of(exercise) for name in task.library}))
