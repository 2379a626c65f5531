"""Answers broken in one place each: a small set of operators on the syntax tree."""

import ast
import copy
import signal
import tomllib
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from right_answers import ANSWERS

from vae_course import tasks
from vae_course.judging.judge import Key, decide
from vae_course.visible.observe import Gradients, observe_cases

__all__ = ["judged", "known_equivalent", "mutants", "row"]

KNOWN = tomllib.loads((Path(__file__).parent / "equivalent_mutants.toml").read_text("utf-8"))

OPERATORS = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult}
COMPARISONS = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
}
PAIRS = ("sum mean", "max min", "amax amin", "argmax argmin", "std var", "any all", "floor ceil", "maximum minimum")
PAIRS += ("mean sum", "min max", "amin amax", "argmin argmax", "var std", "all any", "ceil floor", "minimum maximum")
PAIRS += ("logsumexp sum", "median mean", "prod sum", "log_softmax softmax", "cumsum cumprod")
NAMES = dict(pair.split() for pair in PAIRS)


def mutants(tree: ast.Module, gradients: bool = False) -> Iterator[tuple[str, ast.Module]]:
    """Each way to break the code in one place: a description, and the tree with it.

    Args:
        tree: of the code.
        gradients: whether gradients count, so that a `detach` breaks the code.
    """
    arguments = {}
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)):
        names = [argument.arg for argument in function.args.args]
        arguments |= dict(zip(names, names[1:] + names[:1], strict=True)) if len(names) > 1 else {}
    for index, node in enumerate(ast.walk(tree)):
        for new in _changes(node, arguments, gradients):
            broken = copy.deepcopy(tree)
            target = next(other for number, other in enumerate(ast.walk(broken)) if number == index)
            broken = ast.fix_missing_locations(_Replace(target, copy.deepcopy(new)).visit(broken))
            line, old = getattr(node, "lineno", 0), ast.unparse(node)
            yield f"{line}: {old} → {ast.unparse(new) if new is not None else 'nothing'}", broken


class _Replace(ast.NodeTransformer):
    def __init__(self, target, new):
        self.target, self.new = target, new

    def visit(self, node):
        return self.new if node is self.target else self.generic_visit(node)


def _changes(node, arguments, gradients):
    """The nodes to put in the place of this one. Targets of assignments stay as they are."""
    change = globals().get(f"_{type(node).__name__.lower()}", lambda node: ())
    yield from change(node)
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        if node.id in arguments:
            yield ast.Name(arguments[node.id], ast.Load())
        if gradients:
            yield _method(node, "detach")
    if isinstance(node, ast.Return) and gradients and not isinstance(node.value, ast.Tuple):
        yield ast.Return(_method(node.value, "detach"))


def _method(value, name):
    return ast.Call(ast.Attribute(value, name, ast.Load()), [], [])


def _binop(node):
    if type(node.op) in OPERATORS:
        yield ast.BinOp(node.left, OPERATORS[type(node.op)](), node.right)
    yield node.left
    if not isinstance(node.op, ast.Pow):
        yield node.right


def _unaryop(node):
    yield node.operand


def _compare(node):
    for operator in COMPARISONS.get(type(node.ops[0]), ()):
        yield ast.Compare(node.left, [operator(), *node.ops[1:]], node.comparators)


def _boolop(node):
    yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    yield from node.values


def _constant(node):
    if isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node.value, int):
        yield ast.Constant(node.value + 1)
        yield ast.Constant(node.value - 1)
    elif isinstance(node.value, float):
        yield ast.Constant(2 * node.value)
        yield ast.Constant(-node.value)


def _call(node):
    method = isinstance(node.func, ast.Attribute)
    if method and node.func.attr in NAMES:
        yield ast.Call(ast.Attribute(node.func.value, NAMES[node.func.attr], ast.Load()), node.args, node.keywords)
    if method and not (isinstance(node.func.value, ast.Name) and node.func.value.id in ("torch", "math", "np", "F")):
        yield node.func.value  # x.exp() → x
    elif node.args and not isinstance(node.args[0], ast.Starred):
        yield node.args[0]  # torch.exp(x) → x
    for number in range(1 if not method else 0, len(node.args)):
        yield ast.Call(node.func, node.args[:number] + node.args[number + 1 :], node.keywords)
    for number in range(len(node.keywords)):
        yield ast.Call(node.func, node.args, node.keywords[:number] + node.keywords[number + 1 :])


def _attribute(node):
    if node.attr in ("T", "mT", "real") and isinstance(node.ctx, ast.Load):
        yield node.value


def _subscript(node):
    if isinstance(node.ctx, ast.Load):
        yield node.value


def _tuple(node):
    if isinstance(node.ctx, ast.Load):
        for first in range(len(node.elts) - 1):
            order = [*node.elts[:first], node.elts[first + 1], node.elts[first], *node.elts[first + 2 :]]
            yield ast.Tuple(order, ast.Load())


def _ifexp(node):
    yield node.body
    yield node.orelse


def _if(node):
    for known in (True, False):
        yield ast.If(ast.Constant(known), node.body, node.orelse)


def _augassign(node):
    if type(node.op) in OPERATORS:
        yield ast.AugAssign(node.target, OPERATORS[type(node.op)](), node.value)
    yield ast.Pass()


def _expr(node):
    if not isinstance(node.value, ast.Constant):  # a docstring
        yield ast.Pass()


def _comprehension(node):
    if node.ifs:
        yield ast.comprehension(node.target, node.iter, [], node.is_async)


def known_equivalent(name: str) -> dict[str, list[str]]:
    """The mutants of a task's solution that are right, too, by the reason why."""
    return KNOWN.get(name, {})


def judged(name: str, seeds: range = range(3)) -> dict[str, bool]:
    """Every mutant of a task's solution, by description: whether it passes with any of the seeds."""
    if name not in ANSWERS:
        raise ValueError(f"name: there is no task {name!r}")
    task, (source, function, namespace) = tasks.task(name), ANSWERS[name]
    keys = [Key(task, task.inputs(seed)) for seed in seeds]
    gradients = isinstance(task.observe, Gradients) or bool(getattr(task.observe, "gradients", ()))
    passes = {}
    for what, broken in mutants(ast.parse(source), gradients):
        while what in passes:
            what += " again"  # the same code, elsewhere in the line
        passes[what] = any(_passes(broken, function, namespace, key) for key in keys)
    return passes


def row(name: str, passes: dict[str, bool]) -> str:
    """A task's row: how many broken answers there are, how many fail, and why the others do not."""
    reasons = "; ".join(f"{len(mutants)}: {why}" for why, mutants in known_equivalent(name).items())
    return f"| {name} | {len(passes)} | {len(passes) - sum(passes.values())} | {reasons} |"


def _passes(tree, function, namespace, key):
    own = dict(namespace)

    def too_long(*_):
        raise TimeoutError

    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(20)  # a broken loop may have no end; it counts as found
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            exec(compile(tree, "mutant", "exec"), own)
            return decide(key, observe_cases(key.task.observe, own[function], key.cases)).passed
    except Exception:
        return False  # the code does not compile, or the time was up outside a case
    finally:
        signal.alarm(0)
