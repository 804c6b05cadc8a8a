"""A test that cannot fail tests nothing: break rotlib in one place, and see a named test go red."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

import rotlib

TESTS = Path(__file__).resolve().parent
TESTS_FAILED = 1  # pytest's exit code; 2 to 5 are interruptions, errors and empty selections


class Mutation(NamedTuple):
    """Replace ``old`` by ``new`` in ``function``; then ``tests`` (a file, and a -k) must go red.

    ``old`` and ``new`` are expressions or statements, compared as syntax: how the library breaks
    its lines, and where a function stands, does not matter. An empty ``new`` leaves ``old`` out.
    """

    module: str
    function: str  # "name" or "Class.method"; "" for the module itself
    old: str
    new: str
    tests: str
    select: str


MUTATIONS = {
    "transposed nearest rotation": Mutation(
        "_nearest/function",
        "_nearest",
        "R.reshape(M.shape)",
        "R.reshape(M.shape).mT",
        "orthogonalize",
        "nearer",
    ),
    "gradient of the wrong sign": Mutation(
        "_nearest/formula",
        "differential",
        "Z @ axis(R.transpose(-1, -2) @ change)",
        "-Z @ axis(R.transpose(-1, -2) @ change)",
        "nearest",
        "within_ten_times and rotations",
    ),
    "determinant without its sign": Mutation(
        "_nearest/formula",
        "trace",
        "2 * d / s1",
        "2 * d.abs() / s1",
        "nearest",
        "within_ten_times and det",
    ),
    "no second pass in double precision": Mutation(
        "_nearest/formula",
        "nearest",
        "inner(R, M)",
        "t",
        "nearest",
        "within_ten_times",
    ),
    "the formula is always trusted": Mutation(
        "_nearest/formula",
        "nearest",
        "return (R, (t * M + C) / D, accepted)",
        "return (R, (t * M + C) / D, accepted | True)",
        "nearest",
        "trusted",
    ),
    "Z not scaled back": Mutation(
        "_nearest/function",
        "_by_formula",
        "Z / size",
        "Z",
        "nearest",
        "within_ten_times and 1e",
    ),
    "refused matrices stay as they were": Mutation(
        "_nearest/loop",
        "nearest",
        "apart(M[start + n], R[start + n], Z[start + n], eps)",
        "None",
        "nearest",
        "leaves_the_others",
    ),
    "loop: no Newton step for refused matrices": Mutation(
        "_nearest/loop",
        "apart",
        "range(2)",
        "range(0)",
        "nearest",
        "would_be_right",
    ),
    "loop: the inverse of refused matrices without its rank": Mutation(
        "_nearest/loop",
        "inverse",
        "abc > least * ab",
        "abc != 0",
        "nearest",
        "loop_is_the_formula",
    ),
    "results in transposed memory": Mutation(
        "_nearest/function",
        "_by_loop",
        "torch.empty(M.shape, dtype=M.dtype, device=M.device)",
        "torch.empty_like(M)",
        "nearest",
        "any_layout",
    ),
    "a default device is followed": Mutation(
        "_nearest/function",
        "_by_loop",
        "torch.empty(M.shape, dtype=M.dtype, device=M.device)",
        "torch.empty(M.shape, dtype=M.dtype)",
        "nearest",
        "default_device",
    ),
    "half of a long array is left out": Mutation(
        "_nearest/function",
        "_in_parts",
        "itertools.pairwise(cuts)",
        "itertools.pairwise(cuts[:2])",
        "nearest",
        "two_threads",
    ),
    "a dual number passes for plain": Mutation(
        "_input",
        "is_plain",
        "unpack_dual(x).tangent is None",
        "True",
        "nearest",
        "dual_numbers",
    ),
    "one Newton step too few": Mutation(
        "_nearest/newton",
        "with_derivatives",
        "better = _turned(better, solve(_skew(better, M)))",
        "",
        "nearest",
        "one_before and reverse",
    ),
    "rounding that is symmetric grows": Mutation(
        "_nearest/newton",
        "_antisymmetric",
        "(X - X.transpose(-1, -2)) / 2",
        "X",
        "nearest",
        "within_ten_times and 1e",
    ),
    "half of the solver": Mutation(
        "_nearest/newton",
        "solver_in_space",
        "sum_of_gains * B - P @ B - B @ P",
        "sum_of_gains * B - P @ B",
        "nearest",
        "one_before and forward",
    ),
    "loop: gradient of the wrong sign": Mutation(
        "_nearest/loop",
        "derivative",
        "cross(g[0], r[0])",
        "cross(r[0], g[0])",
        "orthogonalize",
        "tangent_part",
    ),
    "loop: determinant without its sign": Mutation(
        "_nearest/loop",
        "trace",
        "2.0 * d / s1",
        "2.0 * abs(d) / s1",
        "nearest",
        "loop_is_the_formula",
    ),
    "loop: no second pass in double precision": Mutation(
        "_nearest/loop",
        "nearest",
        "second_pass(table)",
        "None",
        "nearest",
        "within_ten_times and 1e",
    ),
    "determinant dropped": Mutation(
        "svd",
        "signed_svd",
        "torch.cat([torch.ones_like(s[..., :-1]), handedness[..., None]], -1)",
        "torch.ones_like(s)",
        "orthogonalize",
        "special_orthogonal",
    ),
    "1 / (s_i - s_j)": Mutation(
        "svd",
        "pair_gains",
        "s[..., :, None] + s[..., None, :]",
        "s[..., :, None] - s[..., None, :]",
        "orthogonalize",
        "any_dimension_is_that",
    ),
    "unsigned s3": Mutation(
        "svd",
        "signed_svd",
        "s * flip",
        "s",
        "orthogonalize",
        "any_dimension_is_that",
    ),
    "one NaN for the whole batch": Mutation(
        "svd",
        "signed_svd",
        "torch.where(bad, identity, working)",
        "working + 0 * working.sum()",
        "input",
        "not_finite and svd",
    ),
    "rows for columns in 6D": Mutation(
        "codes",
        "rot6d_to_matrix",
        "gram_schmidt(x.unflatten(-1, (2, 3)).transpose(-1, -2))",
        "gram_schmidt(x.unflatten(-1, (2, 3)).transpose(-1, -2)).mT",
        "conventions",
        "active or pytorch3d",
    ),
    "columns for rows in 9D": Mutation(
        "codes",
        "matrix_to_rot9d",
        "R.flatten(-2)",
        "R.mT.flatten(-2)",
        "conventions",
        "row_major",
    ),
    "Gram-Schmidt projects once": Mutation(
        "orthogonalize",
        "_gram_schmidt",
        "r2 = normalize(r2 - dot(r1, r2) * r1)",
        "",
        "orthogonalize",
        "nearly_parallel",
    ),
    "rounding passes for a second column": Mutation(
        "orthogonalize",
        "gram_schmidt",
        "4 * torch.finfo(A.dtype).eps * a2.abs().amax(-1)",
        "0 * a2.abs().amax(-1)",
        "orthogonalize",
        "parallel_columns",
    ),
    "an item without an answer poisons the rest": Mutation(
        "_numerics",
        "where_defined",
        "torch.where(defined[(..., *[None] * event)], x, elsewhere.to(x))",
        "x",
        "orthogonalize",
        "masked_loss",
    ),
    "largest eigenvector": Mutation(
        "_nearest/eigenvector",
        "smallest_eigenvector",
        "-0.75 * constant",
        "0.75 * constant",
        "orthogonalize",
        "smallest_eigenvector",
    ),
    "gains of two": Mutation(
        "stabilized",
        "svd_orthogonalize_unit_gains",
        "R @ (turned - turned.transpose(-1, -2)) / 2",
        "R @ (turned - turned.transpose(-1, -2))",
        "stabilized",
        "along_turns",
    ),
    "clipping also lengthens": Mutation(
        "stabilized",
        "_ClippedItems.backward",
        "(ctx.length / norm(grad)).clamp(max=1)",
        "ctx.length / norm(grad)",
        "stabilized",
        "to_the_length",
    ),
    "angle for half of it": Mutation(
        "rotvec",
        "versine_over_square",
        "sine_over_angle(t / 4)",
        "sine_over_angle(t)",
        "rotvec",
        "mpmath",
    ),
    "half of the logarithm": Mutation(
        "rotvec",
        "_unit_quaternion_to_rotvec",
        "2 * half * q_v",
        "half * q_v",
        "rotvec",
        "logarithm",
    ),
    "quaternions read as xyzw": Mutation(
        "matrix",
        "unit_quaternion_to_matrix",
        "w, x, y, z = q_wxyz.unbind(-1)",
        "x, y, z, w = q_wxyz.unbind(-1)",
        "quaternion",
        "scipy",
    ),
    "wxyz and xyzw swapped": Mutation(
        "quaternion",
        "wxyz_to_xyzw",
        "q_wxyz.roll(-1, -1)",
        "q_wxyz.roll(1, -1)",
        "conventions",
        "roma",
    ),
    "conjugate does nothing": Mutation(
        "quaternion",
        "quaternion_conjugate",
        "-q_wxyz[..., 1:]",
        "q_wxyz[..., 1:]",
        "quaternion",
        "conjugate",
    ),
    "quaternion from the trace alone": Mutation(
        "_numerics",
        "row_of_largest_diagonal",
        "diagonal(A).argmax(-1)",
        "diagonal(A).argmax(-1) * 0",
        "quaternion",
        "half_turns",
    ),
    "left for right Jacobian": Mutation(
        "rotvec",
        "rotvec_right_jacobian",
        "identity - versine_over_square(t) * W",
        "identity + versine_over_square(t) * W",
        "jacobians",
        "mpmath",
    ),
    "1 / alpha missing": Mutation(
        "orthogonalize",
        "gram_schmidt_jacobian",
        "r2 / alpha",
        "r2",
        "jacobians",
        "autograd and gram_schmidt",
    ),
    "spectrum without its 2": Mutation(
        "orthogonalize",
        "svd_jacobian_spectrum",
        "2 * gains",
        "gains",
        "jacobians",
        "signed_singular_values",
    ),
    "wrong sign in hat": Mutation(
        "matrix",
        "hat",
        "[zero, -z, y, z, zero, -x, -y, x, zero]",
        "[zero, z, y, -z, zero, -x, -y, x, zero]",
        "matrix",
        "hat",
    ),
    "generator ignored": Mutation(
        "matrix",
        "random_rotations",
        "torch.randn(*shape, 4, generator=generator, dtype=dtype, device=draw_on)",
        "torch.randn(*shape, 4, dtype=dtype, device=draw_on)",
        "matrix",
        "generator",
    ),
    "reflections pass as rotations": Mutation(
        "matrix",
        "is_rotation",
        "orthonormal & (torch.linalg.det(safe) > 0)",
        "orthonormal | (torch.linalg.det(safe) > 0)",
        "matrix",
        "no_rotation",
    ),
    "one term too many": Mutation(
        "stabilized",
        "svd_orthogonalize_taylor",
        "range(terms)",
        "range(terms + 1)",
        "stabilized",
        "taylor_multiplies",
    ),
    "clamped from above": Mutation(
        "stabilized",
        "svd_orthogonalize_clamped",
        "(a - b) * (a + b) > eps",
        "(a - b) * (a + b) < eps",
        "stabilized",
        "clamping_multiplies",
    ),
    "intrinsic for extrinsic": Mutation(
        "euler",
        "euler_to_matrix",
        "first @ second @ third if intrinsic else third @ second @ first",
        "third @ second @ first if intrinsic else first @ second @ third",
        "euler",
        "matrix_is_scipys",
    ),
    "gimbal lock not noticed": Mutation(
        "euler",
        "_angle",
        "y.abs() < limit",
        "y.abs() < 0",
        "euler",
        "at_gimbal_lock",
    ),
    "half of the distance": Mutation(
        "distance",
        "geodesic_distance",
        "2 * torch.atan2(torch.linalg.vector_norm(q_v, dim=-1), q_w.squeeze(-1))",
        "torch.atan2(torch.linalg.vector_norm(q_v, dim=-1), q_w.squeeze(-1))",
        "distance",
        "as_far_as",
    ),
    "comparison that never fails": Mutation(
        "check",
        "compare",
        "not gap <= tolerance",
        "False",
        "check",
        "disagreement",
    ),
    "NaN agrees with NaN": Mutation(
        "check",
        "compare",
        "(a - b).abs().nan_to_num(nan=torch.inf, posinf=torch.inf)",
        "(a - b).abs().nan_to_num(nan=0, posinf=torch.inf)",
        "check",
        "no_number",
    ),
    "half a step aims at half of the turn": Mutation(
        "experiments/surrogates",
        "_Rpmg.backward",
        "-2 * ctx.step",
        "-ctx.step",
        "surrogates",
        "third_order",
    ),
    "length of the gradient's other part": Mutation(
        "experiments/surrogates",
        "_Recombined.backward",
        "sent, wanted = gradients[ctx.direction], gradients[ctx.length_of]",
        "wanted, sent = gradients[ctx.direction], gradients[ctx.length_of]",
        "surrogates",
        "direction_of_one",
    ),
    "SVD at the end of both raw heads": Mutation(
        "experiments/heads",
        "",
        "_two_columns_of_nine",
        "rot9d_to_matrix",
        "heads",
        "differ_in_what",
    ),
    "picture upside down": Mutation(
        "experiments/solids",
        "render",
        "torch.meshgrid(-edge, edge, indexing='ij')",
        "torch.meshgrid(edge, edge, indexing='ij')",
        "solids",
        "quarter_turn",
    ),
    "vectors turned backwards": Mutation(
        "experiments/tasks",
        "_sample_wahba",
        "before @ R.mT",
        "before @ R",
        "tasks",
        "clean_vectors",
    ),
    "test set is the validation set": Mutation(
        "experiments/run",
        "",
        "2_000_003",
        "1_000_003",
        "training",
        "fixed_and_differ",
    ),
    "every seed starts from the same weights": Mutation(
        "experiments/training",
        "_initial_parameters",
        "torch.manual_seed(seed)",
        "torch.manual_seed(0)",
        "training",
        "plain_loop and wahba",
    ),
    "gradient of the mean for each item's own": Mutation(
        "experiments/training",
        "_gradient_at_output",
        "losses.sum()",
        "losses.mean()",
        "training",
        "rpmg",
    ),
    "table is written over in place": Mutation(
        "experiments/table",
        "write_atomically",
        "os.replace(fresh, path)",
        "path.write_text(text, encoding='utf-8')",
        "table",
        "crash",
    ),
    "difference the other way round": Mutation(
        "experiments/table",
        "_matched",
        "a - b",
        "b - a",
        "table",
        "pairs_of_known_numbers",
    ),
    "rates are tuned on the test set": Mutation(
        "experiments/sweep",
        "run_unit",
        "run.errors('validation').double()",
        "run.errors('test').double()",
        "sweep",
        "what_training_gives",
    ),
    "tested on clouds of the training": Mutation(
        "experiments/clouds",
        "Clouds.sample",
        "self.splits[split].to(device)",
        "self.splits['train'].to(device)",
        "clouds",
        "of_their_split",
    ),
    "least confident first": Mutation(
        "experiments/confidence",
        "risk_coverage",
        "confidences.argsort(-1, descending=True)",
        "confidences.argsort(-1)",
        "confidence",
        "slow_loop",
    ),
}


class Replaced(ast.NodeTransformer):
    """Every node equal to ``old`` is ``new``, and counted."""

    def __init__(self, old, new):
        self.old, self.new, self.count = ast.dump(fragment(old)), fragment(new), 0

    def visit(self, node):
        if ast.dump(node) == self.old:
            self.count += 1
            return self.new
        return self.generic_visit(node)


def fragment(code):
    """The expression or the statement that ``code`` is."""
    statement = ast.parse(code or "pass").body[0]
    return statement.value if isinstance(statement, ast.Expr) else statement


def part_of(tree, function):
    for name in function.split("."):
        (tree,) = [node for node in ast.walk(tree) if getattr(node, "name", None) == name]
    return tree


def mutated(source, mutation):
    """The module's source with the mutation, which must fit in exactly one place."""
    tree = ast.parse(source)
    replaced = Replaced(mutation.old, mutation.new)
    replaced.visit(part_of(tree, mutation.function) if mutation.function else tree)
    place = f"{mutation.module}.py, {mutation.function or 'module'}"
    assert replaced.count == 1, f"{mutation.old!r} stands {replaced.count} times in {place}"
    return ast.unparse(ast.fix_missing_locations(tree))


def test_every_mutation_fits_in_one_place():
    """So that one that no longer does is noticed at once, not when all are tried."""
    for name, mutation in MUTATIONS.items():
        path = Path(rotlib.__file__).parent / f"{mutation.module}.py"
        source = path.read_text(encoding="utf-8")
        assert ast.dump(ast.parse(mutated(source, mutation))) != ast.dump(ast.parse(source)), name


def copy_of_rotlib(folder):
    source = Path(rotlib.__file__).parent
    # What Numba has compiled comes along, with the times of the files that it belongs to.
    skip = shutil.ignore_patterns("*.pyc")
    return shutil.copytree(source, folder / "rotlib", ignore=skip)


def run_tests(folder, *selection):
    """Run tests against the copy in ``folder``; conftest refuses to run against any other."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")}
    environment = inherited | {
        "PYTHONPATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # no xdist, and two seconds saved
        "ROTLIB_UNDER_TEST": str(folder),
    }
    options = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not exhaustive"]
    command = [sys.executable, "-P", "-m", "pytest", *options, *selection]
    return subprocess.run(
        command, cwd=TESTS.parent, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.mark.exhaustive
@pytest.mark.parametrize("name", MUTATIONS)
def test_the_mutation_turns_a_test_red(name, tmp_path):
    mutation = MUTATIONS[name]
    path = copy_of_rotlib(tmp_path) / f"{mutation.module}.py"
    path.write_text(mutated(path.read_text(encoding="utf-8"), mutation), encoding="utf-8")
    done = run_tests(tmp_path, str(TESTS / f"test_{mutation.tests}.py"), "-k", mutation.select)
    assert done.returncode == TESTS_FAILED, done.stdout + done.stderr
    assert "1 failed" in done.stdout and "error" not in done.stdout.splitlines()[-1]


@pytest.mark.exhaustive
def test_without_a_mutation_the_same_tests_are_green(tmp_path):
    copy_of_rotlib(tmp_path)
    files = sorted({str(TESTS / f"test_{mutation.tests}.py") for mutation in MUTATIONS.values()})
    selected = {f"(test_{m.tests}.py and ({m.select}))" for m in MUTATIONS.values()}
    done = run_tests(tmp_path, *files, "-k", " or ".join(sorted(selected)))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.exhaustive
def test_only_the_copy_is_tested(tmp_path):
    """With the copy missing, conftest stops the run instead of testing the installed rotlib."""
    done = run_tests(tmp_path, str(TESTS / "test_check.py"))
    assert done.returncode not in (0, TESTS_FAILED)
    assert "not the copy under test" in done.stderr or "No module named 'rotlib'" in done.stderr
