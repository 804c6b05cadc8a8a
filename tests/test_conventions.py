"""The crosswalk, executed: our conventions, and those of SciPy, RoMa and PyTorch3D."""

import doctest
import math
import re
from pathlib import Path

import pytest
import roma
import torch
from conftest import EYE, F64, assert_near, gaussian, rotations
from scipy.spatial.transform import Rotation

import rotlib

BOOK = Path(__file__).resolve().parents[1] / "book"
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
QUARTER = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]], dtype=F64)  # 90 degrees about z
x, y, z = EYE


def scipys(rotation):
    return torch.as_tensor(rotation.as_matrix())


def pytorch3d_6d_to_matrix(d6):
    """PyTorch3D's documented formula: b1, b2, b3 are the ROWS of the matrix."""
    b1 = torch.nn.functional.normalize(d6[..., :3], dim=-1)
    a2 = d6[..., 3:]
    b2 = torch.nn.functional.normalize(a2 - (b1 * a2).sum(-1, keepdim=True) * b1, dim=-1)
    return torch.stack((b1, b2, torch.linalg.cross(b1, b2)), dim=-2)


# --- ours ------------------------------------------------------------------------------------


def test_rotations_are_active_and_vectors_are_columns():
    """A quarter turn about z carries x to y; every representation says so."""
    quarter = [
        rotlib.rotvec_to_matrix(math.pi / 2 * z),
        rotlib.quaternion_to_matrix(torch.tensor([1.0, 0, 0, 1], dtype=F64)),
        rotlib.euler_to_matrix(torch.tensor([math.pi / 2, 0, 0], dtype=F64), "ZYX"),
        rotlib.rot6d_to_matrix(torch.cat([y, -x])),
        rotlib.rot9d_to_matrix(torch.tensor([0, -1, 0, 1, 0, 0, 0, 0, 1], dtype=F64)),
        rotlib.svd_orthogonalize(3 * QUARTER),
        rotlib.rot5d_to_matrix(rotlib.matrix_to_rot5d(QUARTER)),
    ]
    for R in quarter:
        assert_near(R, QUARTER, 1e-15)
        assert_near(R @ x, y, 1e-15)


def test_products_apply_the_right_factor_first():
    quarter_x = rotlib.rotvec_to_matrix(math.pi / 2 * x)
    assert_near(quarter_x @ QUARTER @ x, z, 1e-15)
    q = rotlib.quaternion_multiply(*map(rotlib.matrix_to_quaternion, (quarter_x, QUARTER)))
    assert_near(rotlib.quaternion_to_matrix(q) @ x, z, 1e-15)


def test_upper_case_is_intrinsic_and_lower_case_extrinsic():
    a = torch.tensor([0.1, 0.2, 0.3], dtype=F64)
    Rx, Ry, Rz = (rotlib.rotvec_to_matrix(angle * axis) for angle, axis in zip(a, EYE, strict=True))
    assert_near(rotlib.euler_to_matrix(a, "XYZ"), Rx @ Ry @ Rz, 1e-15)
    assert_near(rotlib.euler_to_matrix(a, "xyz"), Rz @ Ry @ Rx, 1e-15)


def test_quaternions_are_wxyz_with_w_not_negative():
    half = math.sqrt(0.5)
    expected = torch.tensor([half, 0, 0, half], dtype=F64)
    assert_near(rotlib.matrix_to_quaternion(QUARTER), expected, 1e-15)


def test_six_numbers_are_the_first_two_columns_one_after_the_other():
    R = rotations(1)[0]
    assert torch.equal(rotlib.matrix_to_rot6d(R), torch.cat([R[:, 0], R[:, 1]]))


def test_nine_numbers_and_every_vec_are_row_major():
    R, M = rotations(1)[0], gaussian(3, 3)
    assert torch.equal(rotlib.matrix_to_rot9d(R), R.reshape(9))
    assert torch.equal(rotlib.rot9d_to_matrix(M.reshape(9)), rotlib.svd_orthogonalize(M))
    dM = gaussian(3, 3, seed=1)
    _, change = torch.func.jvp(rotlib.svd_orthogonalize, (M,), (dM,))
    assert_near(rotlib.svd_jacobian(M) @ dM.reshape(9), change.reshape(9), 1e-13)


def test_tangent_vectors_perturb_on_the_right():
    w, dw = gaussian(3), 1e-6 * gaussian(3, seed=1)
    there, exp = rotlib.rotvec_to_matrix(w + dw), rotlib.rotvec_to_matrix
    turned_right = exp(w) @ exp(rotlib.rotvec_right_jacobian(w) @ dw)
    turned_left = exp(rotlib.rotvec_left_jacobian(w) @ dw) @ exp(w)
    assert_near(turned_right, there, 1e-11)
    assert_near(turned_left, there, 1e-11)
    assert (exp(w) @ exp(rotlib.rotvec_left_jacobian(w) @ dw) - there).abs().max() > 1e-8


@pytest.mark.parametrize("third", [0.5, -0.5])
def test_the_last_singular_value_carries_the_sign_of_the_determinant(third):
    M = torch.diag(torch.tensor([3, 2, third], dtype=F64))
    spectrum = [2 / (2 + third), 2 / (3 + third), 2 / 5]
    assert_near(rotlib.svd_jacobian_spectrum(M), torch.tensor(spectrum, dtype=F64), 1e-15)
    assert_near(rotlib.svd_condition_number(M), torch.tensor(5 / (2 + third), dtype=F64), 1e-15)


def test_angles_are_radians():
    assert rotlib.geodesic_distance(EYE, QUARTER).item() == pytest.approx(math.pi / 2)
    assert_near(rotlib.matrix_to_rotvec(QUARTER), math.pi / 2 * z, 1e-15)


# --- theirs ----------------------------------------------------------------------------------


def test_scipy_is_active_too_and_shares_rotation_vectors_and_matrices():
    w = gaussian(20, 3)
    R = rotlib.rotvec_to_matrix(w)
    assert_near(R, scipys(Rotation.from_rotvec(w.numpy())), 1e-14)
    v = gaussian(20, 3, seed=1)
    turned = torch.as_tensor(Rotation.from_matrix(R.numpy()).apply(v.numpy()))
    assert_near((R @ v[..., None]).squeeze(-1), turned, 1e-13)


def test_scipy_quaternions_are_xyzw_unless_asked():
    R = rotations(20)
    q_wxyz, theirs = rotlib.matrix_to_quaternion(R), Rotation.from_matrix(R.numpy())
    xyzw = torch.as_tensor(theirs.as_quat(canonical=True))
    assert_near(rotlib.wxyz_to_xyzw(q_wxyz), xyzw, 1e-14)
    wxyz = torch.as_tensor(theirs.as_quat(canonical=True, scalar_first=True))
    assert_near(q_wxyz, wxyz, 1e-14)


@pytest.mark.parametrize("order", ["XYZ", "xyz", "ZYX", "zxz"])
def test_scipy_uses_the_same_cases_for_euler_orders(order):
    a = gaussian(20, 3)
    assert_near(
        rotlib.euler_to_matrix(a, order), scipys(Rotation.from_euler(order, a.numpy())), 1e-14
    )


def test_roma_quaternions_are_xyzw():
    R = rotations(20)
    xyzw = rotlib.wxyz_to_xyzw(rotlib.matrix_to_quaternion(R))
    assert_near(roma.unitquat_to_rotmat(xyzw), R, 1e-14)
    sign = (roma.rotmat_to_unitquat(R) * xyzw).sum(-1, keepdim=True).sign()
    assert_near(sign * roma.rotmat_to_unitquat(R), xyzw, 1e-14)


def test_roma_products_compose_as_ours():
    p, q = gaussian(2, 20, 4)
    swap = rotlib.wxyz_to_xyzw
    ours = rotlib.quaternion_multiply(p, q)
    assert_near(roma.quat_product(swap(p), swap(q)), swap(ours), 1e-13)


def test_roma_projections_distances_and_rotation_vectors_are_ours():
    M, R1, R2 = gaussian(20, 3, 3), rotations(20, seed=1), rotations(20, seed=2)
    assert_near(roma.special_procrustes(M), rotlib.svd_orthogonalize(M), 1e-12)
    assert_near(roma.special_gramschmidt(M[..., :2]), rotlib.gram_schmidt(M[..., :2]), 1e-12)
    distance = rotlib.geodesic_distance(R1, R2)
    assert_near(roma.rotmat_geodesic_distance(R1, R2), distance, 1e-7)
    assert_near(roma.rotmat_to_rotvec(R1), rotlib.matrix_to_rotvec(R1), 1e-12)


def test_pytorch3d_holds_rows_where_we_hold_columns():
    """The same six numbers give transposed matrices: opposite rotations."""
    d6 = gaussian(20, 6)
    assert_near(pytorch3d_6d_to_matrix(d6), rotlib.rot6d_to_matrix(d6).mT, 1e-14)
    R = rotations(20)
    assert_near(pytorch3d_6d_to_matrix(rotlib.matrix_to_rot6d(R.mT)), R, 1e-14)
    assert_near(rotlib.rot6d_to_matrix(R[:, :2].flatten(1)), R.mT, 1e-14)


# --- the pages -------------------------------------------------------------------------------


def examples(text):
    """The examples of a page; fence lines become empty, so that they end an expected output."""
    lines = ["" if line.lstrip().startswith(("```", ":::")) else line for line in text.splitlines()]
    return doctest.DocTestParser().get_examples("\n".join(lines) + "\n")


def failures(text, name="page"):
    """Report of the examples that do not print what the page shows; empty if all do."""
    found, report = examples(text), []
    test = doctest.DocTest(found, {}, name, name, 0, text)
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.NORMALIZE_WHITESPACE)
    runner.run(test, out=report.append)
    return "".join(report)


@pytest.mark.parametrize(
    "page", ["preface.md", "conventions.md", "cheatsheet.md", "how_to_use.md", "recipes.md"]
)
def test_examples_on_the_page_print_what_it_shows(page):
    path = BOOK / page
    if not path.exists():
        pytest.skip(f"book/{page} is not written yet")
    text = path.read_text(encoding="utf-8")
    assert examples(text), f"book/{page} shows no example"
    assert not failures(text, page)


@pytest.mark.exhaustive
@pytest.mark.filterwarnings("ignore::FutureWarning")  # the exporter's own
def test_the_recipe_for_shipping_a_network_runs(tmp_path, monkeypatch):
    """The blocks without a prompt, which compile and export, and take their time."""
    text = (BOOK / "recipes.md").read_text(encoding="utf-8")
    blocks = [block for block in PYTHON.findall(text) if ">>>" not in block]
    assert len(blocks) == 4
    monkeypatch.chdir(tmp_path)
    exec(compile("\n".join(blocks), "recipes.md", "exec"), {})
    assert (tmp_path / "rotation.onnx").exists()


def test_a_wrong_example_is_noticed():
    page = "Text\n```python\n>>> a = 1\n>>> a + 1\n{}\n```\nmore text\n"
    assert not failures(page.format(2))
    assert failures(page.format(3))
