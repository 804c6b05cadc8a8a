"""Learning 3D rotations: representations, their Jacobians, and nothing hidden.

The ground floor of the library, by name and in reading order. Conventions: active rotations,
column vectors, quaternions ``wxyz``, matrices read row by row, radians.
"""

from rotlib.alignment import chordal_mean, geodesic_mean, kabsch
from rotlib.check import compare
from rotlib.codes import (
    matrix_to_rot5d,
    matrix_to_rot6d,
    matrix_to_rot9d,
    rot5d_to_matrix,
    rot6d_to_matrix,
    rot9d_to_matrix,
    rot10d_to_matrix,
)
from rotlib.distance import chordal_distance, geodesic_distance, geodesic_distance_naive
from rotlib.euler import euler_jacobian, euler_to_matrix, matrix_to_euler
from rotlib.jacobians import DERIVATIVES, autograd_jacobian
from rotlib.matrix import hat, is_rotation, random_rotations, vee
from rotlib.orthogonalize import (
    gram_schmidt,
    gram_schmidt_jacobian,
    gram_schmidt_spectrum,
    svd_condition_number,
    svd_jacobian,
    svd_jacobian_spectrum,
    svd_orthogonalize,
)
from rotlib.quaternion import (
    matrix_to_quaternion,
    quaternion_conjugate,
    quaternion_jacobian,
    quaternion_multiply,
    quaternion_to_matrix,
    wxyz_to_xyzw,
    xyzw_to_wxyz,
)
from rotlib.rotvec import (
    matrix_to_rotvec,
    quaternion_to_rotvec,
    rotvec_left_jacobian,
    rotvec_left_jacobian_inverse,
    rotvec_right_jacobian,
    rotvec_right_jacobian_inverse,
    rotvec_to_matrix,
    rotvec_to_quaternion,
    slerp,
)
from rotlib.stabilized import (
    clip_item_gradients,
    svd_orthogonalize_autograd,
    svd_orthogonalize_clamped,
    svd_orthogonalize_taylor,
    svd_orthogonalize_unit_gains,
)

# Reading order, not alphabetical: what a rotation is, its representations, projections,
# distances, means, derivatives, checks.
__all__ = [  # noqa: RUF022
    "is_rotation",
    "random_rotations",
    "hat",
    "vee",
    "euler_to_matrix",
    "matrix_to_euler",
    "rotvec_to_matrix",
    "matrix_to_rotvec",
    "quaternion_to_matrix",
    "matrix_to_quaternion",
    "quaternion_to_rotvec",
    "rotvec_to_quaternion",
    "quaternion_multiply",
    "quaternion_conjugate",
    "wxyz_to_xyzw",
    "xyzw_to_wxyz",
    "slerp",
    "svd_orthogonalize",
    "gram_schmidt",
    "rot6d_to_matrix",
    "matrix_to_rot6d",
    "rot9d_to_matrix",
    "matrix_to_rot9d",
    "rot5d_to_matrix",
    "matrix_to_rot5d",
    "rot10d_to_matrix",
    "svd_orthogonalize_unit_gains",
    "clip_item_gradients",
    "svd_orthogonalize_autograd",
    "svd_orthogonalize_clamped",
    "svd_orthogonalize_taylor",
    "geodesic_distance",
    "chordal_distance",
    "geodesic_distance_naive",
    "chordal_mean",
    "geodesic_mean",
    "kabsch",
    "autograd_jacobian",
    "svd_jacobian",
    "svd_jacobian_spectrum",
    "svd_condition_number",
    "gram_schmidt_jacobian",
    "gram_schmidt_spectrum",
    "rotvec_right_jacobian",
    "rotvec_left_jacobian",
    "rotvec_right_jacobian_inverse",
    "rotvec_left_jacobian_inverse",
    "quaternion_jacobian",
    "euler_jacobian",
    "DERIVATIVES",
    "compare",
]
