"""The toy aeroplane: its proportions, its points, and its picture against a slow ray caster."""

import math

import pytest
import torch
from conftest import F64, assert_near, gaussian, rotations, seeded

from rotlib.experiments.solids import (
    POINTS,
    Solids,
    aeroplanes,
    log_uniform,
    normal,
    render,
    surface_points,
    uniform,
)

BODY, LEFT, RIGHT, TAIL, FIN, COCKPIT = range(6)
HALF_TURN = torch.diag(torch.tensor([1.0, -1, -1]))
UPRIGHT = torch.eye(3)[None]
SIZE = 24
EDGE = 1.15  # the picture shows x and y up to here


def drawn(n, seed=0, **options):
    return aeroplanes(n, seeded(seed), **options)


def poses(n, seed=0):
    return rotations(n, seed).float()


def headlight(n):
    return torch.tensor([0.0, 0, 1]).expand(n, 3)


def gray(n, size=SIZE):
    return torch.full((n, 3, size, size), 0.5)


def pixels_apart(one, other):
    """Where pictures differ by more than single precision explains, but for grazing rays."""
    return ((one - other).abs() > 2e-3).any(-3)


def cast_one_ray(R, solids, x, y):
    """Nearest hit of a ray along -z: part and unit normal, by a quadratic in each part's frame."""
    best = (-math.inf, None, None)
    for part, (centre, radii) in enumerate(zip(solids.centres, solids.radii, strict=True)):
        start = (R.T @ torch.tensor([x, y, 0.0], dtype=F64) - centre) / radii
        along = R.T[:, 2] / radii
        a, b, c = along @ along, start @ along, start @ start - 1
        if b * b > a * c:
            z = ((-b + (b * b - a * c).sqrt()) / a).item()
            if z > best[0]:
                outward = R @ ((start + z * along) / radii)
                best = (z, part, outward / outward.norm())
    return best[1:]


def slow_picture(R, solids, light, background):
    """In double precision; ``solids`` and the rest without a batch."""
    R, light, solids = R.double(), light.double(), Solids(*(part.double() for part in solids))
    picture, size = background.clone(), background.shape[-1]
    for row in range(size):
        for column in range(size):
            x = EDGE * (2 * column + 1 - size) / size
            y = EDGE * (size - 1 - 2 * row) / size
            part, outward = cast_one_ray(R, solids, x, y)
            if part is not None:
                shade = 0.35 + 0.65 * max(0.0, (outward @ light).item())
                picture[:, row, column] = (shade * solids.colours[part]).clamp(0, 1)
    return picture


def test_pictures_are_those_of_a_slow_ray_caster():
    """Four poses, lights and proportions; one is symmetric, so that parts hide in the body."""
    n, size = 4, 16
    solids, symmetric = drawn(n, symmetric=0.5, seed=4)
    assert symmetric.any() and not symmetric.all()
    R = poses(n, seed=2)
    light = 1.1 * torch.nn.functional.normalize(gaussian(n, 3, seed=3).float(), dim=-1)
    background = uniform(seeded(), n, 3, size, size)
    pictures = render(R, solids, light, background, size)
    for k in range(n):
        one = Solids(*(tensor[k] for tensor in solids))
        slow = slow_picture(R[k], one, light[k], background[k])
        hit = (slow != background[k]).any(0)
        assert 20 < hit.sum() < size * size / 2
        assert ((pictures[k] != background[k]).any(0) != hit).sum() <= 1
        assert pixels_apart(pictures[k], slow).sum() <= 1


def test_upright_the_nose_points_right_the_left_wing_up_and_the_cockpit_at_us():
    solids, _ = drawn(1, vary=0)
    picture = render(UPRIGHT, solids, headlight(1), gray(1, 64), 64)[0]

    def share_of(part, rows=slice(None), columns=slice(None)):
        colour = torch.nn.functional.normalize(picture[:, rows, columns].flatten(1), dim=0)
        wanted = torch.nn.functional.normalize(solids.colours[0, part], dim=0)
        return ((colour * wanted[:, None]).sum(0) > 0.999).float().mean().item()

    up, down, left, right = slice(0, 32), slice(32, 64), slice(0, 32), slice(32, 64)
    assert share_of(LEFT, rows=up) > 0.05 and share_of(LEFT, rows=down) == 0
    assert share_of(RIGHT, rows=down) > 0.05 and share_of(RIGHT, rows=up) == 0
    assert share_of(TAIL, columns=left) > 0.02 and share_of(TAIL, columns=right) == 0
    assert share_of(COCKPIT, columns=right) > 0.01 and share_of(COCKPIT, columns=left) == 0
    picture = render(HALF_TURN[None], solids, headlight(1), gray(1, 64), 64)[0]
    assert share_of(COCKPIT) == 0


def test_a_quarter_turn_about_the_line_of_sight_turns_the_picture():
    R, (solids, _) = poses(5), drawn(5)
    quarter = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    light = torch.nn.functional.normalize(gaussian(5, 3).float(), dim=-1)
    picture = render(R, solids, light, gray(5), SIZE)
    turned = render(quarter @ R, solids, light @ quarter.mT, gray(5), SIZE)
    assert pixels_apart(turned, picture.rot90(1, (-2, -1))).sum() <= 3
    assert pixels_apart(turned, picture).sum((1, 2)).min() > 20


def test_half_a_turn_about_the_body_shows_on_all_but_symmetric_aeroplanes():
    n = 40
    R, (solids, symmetric) = poses(n), drawn(n, symmetric=0.5)
    one, other = (render(pose, solids, headlight(n), gray(n), SIZE) for pose in (R, R @ HALF_TURN))
    apart = pixels_apart(one, other).sum((1, 2))
    assert 10 < symmetric.sum() < 30
    assert apart[symmetric].sum() <= 3
    assert apart[~symmetric].min() > 5


def test_light_shades_from_a_third_to_its_brightness():
    solids, _ = drawn(1)
    solids = solids._replace(colours=torch.full_like(solids.colours, 0.8))
    dark = render(UPRIGHT, solids, 0 * headlight(1), gray(1), SIZE)
    bright = render(UPRIGHT, solids, headlight(1), gray(1), SIZE)
    behind = render(UPRIGHT, solids, -headlight(1), gray(1), SIZE)
    assert_near(dark.unique(), torch.tensor([0.8 * 0.35, 0.5]), 1e-6)
    assert torch.equal(behind, dark)
    assert bright.max() == pytest.approx(0.8, abs=0.01)
    glare = render(UPRIGHT, solids, 9 * headlight(1), gray(1), SIZE)
    assert glare.max() == 1


def test_no_aeroplanes_give_no_pictures():
    solids, symmetric = drawn(0)
    empty = render(poses(0), solids, headlight(0), gray(0), SIZE)
    assert empty.shape == (0, 3, SIZE, SIZE) and symmetric.shape == (0,)
    assert surface_points(solids, seeded(), scattered=False).shape == (0, POINTS, 3)


def test_aeroplanes_vary_by_the_share_that_is_asked_for():
    usual, _ = drawn(1, vary=0)
    same, _ = drawn(5, vary=0, seed=1)
    for one, five in zip(usual, same, strict=True):
        assert torch.equal(five, one.expand(5, -1, -1))
    n = 500
    varied, symmetric = drawn(n)
    assert not symmetric.any()
    ratio = varied.radii / usual.radii
    plain_parts = ratio[:, [BODY, TAIL, COCKPIT]]
    assert_near(plain_parts, plain_parts[:, :1].expand(n, 3, 3), 1e-6)
    assert 0.8 <= ratio[:, BODY].min() < 0.81 and 1.19 < ratio[:, BODY].max() <= 1.2
    span, height = ratio[:, LEFT, 1] / ratio[:, BODY, 1], ratio[:, FIN, 2] / ratio[:, BODY, 2]
    for extra in (span, height):
        assert 0.799 < extra.min() < 0.81 and 1.19 < extra.max() < 1.201
    assert torch.equal(varied.colours, usual.colours.expand(n, -1, -1))
    placed = usual.centres != 0
    ratio_of_centres = (varied.centres / usual.centres)[:, placed[0]]
    assert_near(ratio_of_centres, ratio[:, placed[0]], 1e-6)


def test_wings_mirror_each_other():
    solids, _ = drawn(20)
    mirror = torch.tensor([1.0, -1, 1])
    assert torch.equal(solids.centres[:, LEFT], solids.centres[:, RIGHT] * mirror)
    assert torch.equal(solids.radii[:, LEFT], solids.radii[:, RIGHT])


@pytest.mark.parametrize("scattered", [False, True])
def test_points_lie_on_their_parts(scattered):
    solids, _ = drawn(30, symmetric=0.5)
    cloud = surface_points(solids, seeded(), scattered=scattered)
    assert cloud.shape == (30, POINTS, 3)
    owner = [BODY] * 8 + [LEFT] * 6 + [RIGHT] * 6 + [TAIL] * 4 + [FIN] * 4 + [COCKPIT] * 4
    owner = torch.tensor(owner)
    directions = (cloud - solids.centres[:, owner]) / solids.radii[:, owner]
    assert_near(directions.norm(dim=-1), torch.ones(30, POINTS), 1e-5)
    spread = directions.std(0).max()
    assert spread > 0.3 if scattered else spread < 1e-5
    for part in range(6):
        assert directions[:, owner == part].mean((0, 1)).norm() < 0.2


def test_the_generator_decides_everything():
    for draw in (
        lambda g: torch.cat(aeroplanes(3, g, symmetric=0.5)[0]),
        lambda g: surface_points(aeroplanes(3, seeded())[0], g, scattered=True),
        lambda g: uniform(g, 5),
        lambda g: log_uniform(g, 5, 0.1, 1),
        lambda g: normal(g, 5),
    ):
        assert draw(seeded(1)).dtype == torch.float32
        assert torch.equal(draw(seeded(1)), draw(seeded(1)))
        assert not torch.equal(draw(seeded(1)), draw(seeded(2)))
    fixed = surface_points(aeroplanes(3, seeded())[0], seeded(1), scattered=False)
    again = surface_points(aeroplanes(3, seeded())[0], seeded(2), scattered=False)
    assert torch.equal(fixed, again)


def test_numbers_are_spread_evenly_on_their_scale():
    n = 20_000
    even, levels = uniform(seeded(), n, low=-1, high=3), log_uniform(seeded(), n, 0.01, 1)
    assert -1 <= even.min() and even.max() <= 3
    assert even.mean().item() == pytest.approx(1, abs=0.05)
    assert even.std().item() == pytest.approx(4 / math.sqrt(12), abs=0.02)
    assert 0.00999 <= levels.min() and levels.max() <= 1.001
    assert levels.log10().mean().item() == pytest.approx(-1, abs=0.02)
    assert levels.log10().std().item() == pytest.approx(2 / math.sqrt(12), abs=0.02)
