"""A test that cannot fail tests nothing: break rotlib in one place, and see a named test go red."""

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
    """Replace ``old`` by ``new`` in ``module``; then ``tests`` (a file, and a -k) must go red."""

    module: str
    old: str
    new: str
    tests: str
    select: str


MUTATIONS = {
    "transposed nearest rotation": Mutation(
        "closed_form",
        "R.copy_(room.out)",
        "R.copy_(room.out.transpose(0, 1))",
        "orthogonalize",
        "nearer",
    ),
    "third row the other way round": Mutation(
        "closed_form",
        "self.R.shifts(0, 1), self.R.shifts(1, 1)",
        "self.R.shifts(1, 1), self.R.shifts(0, 1)",
        "orthogonalize",
        "special_orthogonal",
    ),
    "determinant without its sign": Mutation(
        "closed_form",
        "torch.addcdiv(x, d, t, value=-2, out=b)",
        "torch.addcdiv(x, d.abs(), t, value=-2, out=b)",
        "closed_form",
        "within_ten_times",
    ),
    "gradient of the wrong sign": Mutation(
        "closed_form",
        "_cross(*room.R_and_G, room.out)",
        "_cross(*room.R_and_G[::-1], room.out)",
        "orthogonalize",
        "tangent_part",
    ),
    "gradient not scaled back": Mutation(
        "closed_form",
        "torch.div(room.scale, minus_D, out=room.a)",
        "torch.reciprocal(minus_D, out=room.a)",
        "orthogonalize",
        "inverse_to_its_size",
    ),
    "no second pass in double precision": Mutation(
        "closed_form",
        "        _inner(room.R.own, room.scaled, room, room.t)\n",
        "",
        "closed_form",
        "within_ten_times",
    ),
    "the formula is always trusted": Mutation(
        "closed_form",
        "-SMALLEST, out=accepted",
        "torch.inf, out=accepted",
        "closed_form",
        "trusted",
    ),
    "a room in use is lent again": Mutation(
        "closed_form",
        "self.kept.pop(key, None)",
        "self.kept.get(key)",
        "closed_form",
        "in_the_middle",
    ),
    "determinant dropped": Mutation(
        "orthogonalize",
        "flip = torch.cat([torch.ones_like(s[..., :-1]), handedness[..., None]], -1)",
        "flip = torch.ones_like(s)",
        "orthogonalize",
        "special_orthogonal",
    ),
    "1 / (s_i - s_j)": Mutation(
        "orthogonalize",
        "s[..., :, None] + s[..., None, :]",
        "s[..., :, None] - s[..., None, :]",
        "orthogonalize",
        "any_dimension_is_that",
    ),
    "unsigned s3": Mutation(
        "orthogonalize",
        "(s * flip).masked_fill",
        "s.masked_fill",
        "orthogonalize",
        "any_dimension_is_that",
    ),
    "zero gradient": Mutation(
        "orthogonalize",
        "return _NearestRotation._differential(ctx, grad)",
        "return 0 * grad",
        "orthogonalize",
        "tangent_part",
    ),
    "half of the second derivative": Mutation(
        "orthogonalize", "return Z @ X + X @ Z, Z", "return Z @ X, Z", "orthogonalize", "gradgrad"
    ),
    "one NaN for the whole batch": Mutation(
        "orthogonalize",
        "torch.where(bad, identity, working)",
        "working + 0 * working.sum()",
        "input",
        "not_finite and svd",
    ),
    "rows for columns in 6D": Mutation(
        "orthogonalize",
        "return gram_schmidt(x.unflatten(-1, (2, 3)).mT)",
        "return gram_schmidt(x.unflatten(-1, (2, 3)).mT).mT",
        "conventions",
        "active or pytorch3d",
    ),
    "columns for rows in 9D": Mutation(
        "orthogonalize",
        "return R.flatten(-2)",
        "return R.mT.flatten(-2)",
        "conventions",
        "row_major",
    ),
    "Gram-Schmidt projects once": Mutation(
        "orthogonalize",
        "r2 = normalize(r2 - dot(r1, r2) * r1)",
        "",
        "orthogonalize",
        "nearly_parallel",
    ),
    "largest eigenvector": Mutation(
        "orthogonalize",
        ".eigenvectors[..., :1]",
        ".eigenvectors[..., -1:]",
        "orthogonalize",
        "smallest_eigenvector",
    ),
    "angle for half of it": Mutation(
        "rotvec", "sine_over_angle(t / 4) ** 2", "sine_over_angle(t) ** 2", "rotvec", "mpmath"
    ),
    "half of the logarithm": Mutation(
        "rotvec", "return 2 * half * q_v", "return half * q_v", "rotvec", "logarithm"
    ),
    "quaternions read as xyzw": Mutation(
        "quaternion",
        "w, x, y, z = normalize(q_wxyz)",
        "x, y, z, w = normalize(q_wxyz)",
        "quaternion",
        "scipy",
    ),
    "wxyz and xyzw swapped": Mutation(
        "quaternion",
        "return q_wxyz.roll(-1, -1)",
        "return q_wxyz.roll(1, -1)",
        "conventions",
        "roma",
    ),
    "conjugate does nothing": Mutation(
        "quaternion", "-q_wxyz[..., 1:]], -1)", "q_wxyz[..., 1:]], -1)", "quaternion", "conjugate"
    ),
    "quaternion from the trace alone": Mutation(
        "quaternion", ".argmax(-1)", ".argmax(-1) * 0", "quaternion", "half_turns"
    ),
    "left for right Jacobian": Mutation(
        "jacobians", "identity - versine_over", "identity + versine_over", "jacobians", "mpmath"
    ),
    "1 / alpha missing": Mutation(
        "jacobians", "r2 / alpha, zero", "r2, zero", "jacobians", "autograd and gram_schmidt"
    ),
    "spectrum without its 2": Mutation(
        "jacobians",
        "2 * gains, torch.inf",
        "gains, torch.inf",
        "jacobians",
        "signed_singular_values",
    ),
    "wrong sign in hat": Mutation(
        "matrix", "[zero, -z, y, z,", "[zero, z, y, -z,", "matrix", "hat"
    ),
    "generator ignored": Mutation(
        "matrix", "generator=generator, dtype", "generator=None, dtype", "matrix", "generator"
    ),
    "reflections pass as rotations": Mutation(
        "matrix", "orthonormal & (", "orthonormal | (", "matrix", "no_rotation"
    ),
    "one term too many": Mutation(
        "stabilized", "range(terms)", "range(terms + 1)", "stabilized", "taylor_multiplies"
    ),
    "clamped from above": Mutation(
        "stabilized", "(a + b) > eps", "(a + b) < eps", "stabilized", "clamping_multiplies"
    ),
    "intrinsic for extrinsic": Mutation(
        "euler",
        "third if intrinsic else",
        "third if not intrinsic else",
        "euler",
        "matrix_is_scipys",
    ),
    "gimbal lock not noticed": Mutation(
        "euler", "(y.abs() < limit) &", "(y.abs() < 0) &", "euler", "at_gimbal_lock"
    ),
    "half of the distance": Mutation(
        "distance", "2 * torch.atan2(", "torch.atan2(", "distance", "as_far_as"
    ),
    "comparison that never fails": Mutation(
        "check",
        "if not gap <= tolerance:",
        "if False:",
        "check",
        "disagreement",
    ),
    "NaN agrees with NaN": Mutation("check", "nan=torch.inf", "nan=0", "check", "no_number"),
    "half a step aims at half of the turn": Mutation(
        "experiments/surrogates",
        "goal = R @ rotvec_to_matrix(-2 * ctx.step",
        "goal = R @ rotvec_to_matrix(-ctx.step",
        "surrogates",
        "third_order",
    ),
    "length of the gradient's other part": Mutation(
        "experiments/surrogates",
        "sent, wanted = gradients[ctx.direction], gradients[ctx.length_of]",
        "wanted, sent = gradients[ctx.direction], gradients[ctx.length_of]",
        "surrogates",
        "direction_of_one",
    ),
    "SVD at the end of both raw heads": Mutation(
        "experiments/heads",
        "9, _matrix, _two_columns_of_nine,",
        "9, _matrix, rot9d_to_matrix,",
        "heads",
        "differ_in_what",
    ),
    "picture upside down": Mutation(
        "experiments/solids",
        "torch.meshgrid(-edge, edge",
        "torch.meshgrid(edge, edge",
        "solids",
        "quarter_turn",
    ),
    "vectors turned backwards": Mutation(
        "experiments/tasks",
        "after = before @ R.mT",
        "after = before @ R",
        "tasks",
        "clean_vectors",
    ),
    "test set is the validation set": Mutation(
        "experiments/training",
        '"test": 2_000_003',
        '"test": 1_000_003',
        "training",
        "fixed_and_differ",
    ),
    "every seed starts from the same weights": Mutation(
        "experiments/training",
        "torch.manual_seed(seed)",
        "torch.manual_seed(0)",
        "training",
        "plain_loop and wahba",
    ),
    "gradient of the mean for each item's own": Mutation(
        "experiments/training",
        "losses.sum(), leaf)[0]",
        "losses.mean(), leaf)[0]",
        "training",
        "rpmg",
    ),
    "table is written over in place": Mutation(
        "experiments/table",
        "os.replace(fresh, path)",
        'path.write_text(text, encoding="utf-8")',
        "table",
        "crash",
    ),
    "difference the other way round": Mutation(
        "experiments/table",
        "(a - b).to_numpy()",
        "(b - a).to_numpy()",
        "table",
        "pairs_of_known_numbers",
    ),
    "rates are tuned on the test set": Mutation(
        "experiments/sweep",
        'run.errors("validation").double()',
        'run.errors("test").double()',
        "sweep",
        "what_training_gives",
    ),
    "tested on clouds of the training": Mutation(
        "experiments/clouds",
        "files = self.splits[split].to(device)",
        'files = self.splits["train"].to(device)',
        "clouds",
        "of_their_split",
    ),
    "least confident first": Mutation(
        "experiments/confidence",
        "descending=True",
        "descending=False",
        "confidence",
        "slow_loop",
    ),
}


def copy_of_rotlib(folder):
    source = Path(rotlib.__file__).parent
    skip = shutil.ignore_patterns("__pycache__")
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
    options = ["-x", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
    command = [sys.executable, "-P", "-m", "pytest", *options, *selection]
    return subprocess.run(
        command, cwd=TESTS.parent, env=environment, capture_output=True, text=True, timeout=300
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTATIONS)
def test_the_mutation_turns_a_test_red(name, tmp_path):
    mutation = MUTATIONS[name]
    path = copy_of_rotlib(tmp_path) / f"{mutation.module}.py"
    source = path.read_text(encoding="utf-8")
    assert source.count(mutation.old) == 1, f"{mutation.old!r} is not in {path.name} exactly once"
    path.write_text(source.replace(mutation.old, mutation.new), encoding="utf-8")
    done = run_tests(tmp_path, str(TESTS / f"test_{mutation.tests}.py"), "-k", mutation.select)
    assert done.returncode == TESTS_FAILED, done.stdout + done.stderr
    assert "1 failed" in done.stdout and "error" not in done.stdout.splitlines()[-1]


@pytest.mark.slow
def test_without_a_mutation_the_same_tests_are_green(tmp_path):
    copy_of_rotlib(tmp_path)
    files = sorted({str(TESTS / f"test_{mutation.tests}.py") for mutation in MUTATIONS.values()})
    selected = {f"(test_{m.tests}.py and ({m.select}))" for m in MUTATIONS.values()}
    done = run_tests(tmp_path, *files, "-k", " or ".join(sorted(selected)))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_only_the_copy_is_tested(tmp_path):
    """With the copy missing, conftest stops the run instead of testing the installed rotlib."""
    done = run_tests(tmp_path, str(TESTS / "test_check.py"))
    assert done.returncode not in (0, TESTS_FAILED)
    assert "not the copy under test" in done.stderr or "No module named 'rotlib'" in done.stderr
