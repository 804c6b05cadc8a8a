"""Real clouds: every kind of file, what is made of it, and how a bad one is named."""

import numpy as np
import pytest
import torch
import trimesh
from conftest import assert_near, seeded

from rotlib import is_rotation
from rotlib.experiments.clouds import ITEM_POINTS, KEPT, SUFFIXES, read_clouds
from rotlib.experiments.tasks import find_task

EXTENTS = np.array([4.0, 2, 1])


def scattered(n=200, seed=0):
    """A cloud longest along x and shortest along z, far from the origin."""
    return np.random.default_rng(seed).normal(size=(n, 3)) * EXTENTS + [10, -20, 30]


def centred_and_scaled(rows):
    centred = torch.from_numpy(rows - rows.mean(0))
    return centred / centred.norm(dim=1).max()


def as_text(rows, separator=" "):
    return "".join(separator.join(repr(float(x)) for x in row) + "\n" for row in rows)


def ply_of_vertices(rows):
    names = "".join(f"property double {axis}\n" for axis in "xyz")
    return f"ply\nformat ascii 1.0\nelement vertex {len(rows)}\n{names}end_header\n" + as_text(rows)


WRITERS = {
    "spaces.xyz": lambda path, rows: path.write_text(as_text(rows)),
    "commas.pts": lambda path, rows: path.write_text(as_text(rows, ",")),
    "tabs and blank lines.xyz": lambda path, rows: path.write_text(
        "\n" + as_text(rows, "\t").replace("\n", "\n\n")
    ),
    "windows.xyz": lambda path, rows: path.write_bytes(
        as_text(rows).replace("\n", "\r\n").encode()
    ),
    "count first.pts": lambda path, rows: path.write_text(f"{len(rows)}\n" + as_text(rows)),
    "normals after.xyz": lambda path, rows: path.write_text(
        as_text(np.hstack([rows, np.ones_like(rows)]))
    ),
    "array.npy": lambda path, rows: np.save(path, rows),
    "vertices.off": lambda path, rows: path.write_text(f"OFF\n{len(rows)} 0 0\n" + as_text(rows)),
    "vertices.ply": lambda path, rows: path.write_text(ply_of_vertices(rows)),
    "cloud.ply": lambda path, rows: trimesh.PointCloud(rows).export(path),
    "vertices.obj": lambda path, rows: path.write_text(
        "".join(f"v {line}" for line in as_text(rows).splitlines(keepends=True))
    ),
    "byte order mark.xyz": lambda path, rows: path.write_text(as_text(rows), encoding="utf-8-sig"),
    "huge.npy": lambda path, rows: np.save(path, 1e200 * rows),
    "tiny.npy": lambda path, rows: np.save(path, 1e-200 * rows),
    "UPPER CASE.XYZ": lambda path, rows: path.write_text(as_text(rows)),
}
BAD = {
    "empty.xyz": (lambda path: path.write_text(""), r"three coordinates, got an array \(0,\)"),
    "only a count.pts": (lambda path: path.write_text("5\n"), r"got an array \(0,\)"),
    "empty.npy": (lambda path: path.write_bytes(b""), "No data"),
    "empty.ply": (lambda path: path.write_text(""), "ply"),
    "empty.off": (lambda path: path.write_text(""), "."),
    "empty.obj": (lambda path: path.write_text(""), "0 distinct points; a cloud needs four"),
    "words.pts": (lambda path: path.write_text("once upon a time\n"), "'once'"),
    "bytes.xyz": (lambda path: path.write_bytes(b"\xff\xfe\x00\x81"), "decode"),
    "bytes.ply": (lambda path: path.write_bytes(bytes(range(256))), "ply"),
    "two numbers.xyz": (lambda path: path.write_text("1 2\n" * 9), r"got an array \(9, 2\)"),
    "ragged.xyz": (lambda path: path.write_text("1 2 3\n1 2\n" * 9), "inhomogeneous"),
    "nan.xyz": (
        lambda path: path.write_text("1 2 nan\n" + as_text(scattered())),
        "a coordinate is not a finite real number",
    ),
    "infinity.npy": (
        lambda path: np.save(path, np.vstack([scattered(), [np.inf, 0, 0]])),
        "a coordinate is not a finite real number",
    ),
    "three points.xyz": (
        lambda path: path.write_text(as_text(np.eye(3)) * 9),
        "3 distinct points; a cloud needs four",
    ),
    "flat.npy": (lambda path: np.save(path, np.ones(30)), r"got an array \(30,\)"),
    "stack.npy": (lambda path: np.save(path, np.ones((2, 9, 3))), r"got an array \(2, 9, 3\)"),
    "pickled.npy": (
        lambda path: np.save(path, np.array([[1, None, 2]] * 9), allow_pickle=True),
        "allow_pickle",
    ),
    "truth.npy": (
        lambda path: np.save(path, scattered() > 0),
        "a coordinate is not a finite real number",
    ),
    "complex.npy": (
        lambda path: np.save(path, scattered() + 0j),
        "a coordinate is not a finite real number",
    ),
}


def write_clouds(folder, n):
    """Files 00.xyz, 01.xyz, ...: each cloud another one."""
    for k in range(n):
        (folder / f"{k:02d}.xyz").write_text(as_text(scattered(seed=k)))


def origins(points, clouds):
    """For each point the number of the cloud that it is one of."""
    same = (points[:, None, None] == clouds.clouds[None]).all(-1).any(-1)
    assert (same.sum(1) == 1).all()
    return same.long().argmax(1)


@pytest.mark.parametrize("name", WRITERS)
def test_points_of_every_kind_of_file_are_centred_and_scaled(name, tmp_path):
    rows = scattered()
    WRITERS[name](tmp_path / name, rows)
    clouds = read_clouds(tmp_path)
    assert clouds.clouds.shape == (1, KEPT, 3) and clouds.clouds.dtype == torch.float32
    assert_near(clouds.clouds[0].unique(dim=0), centred_and_scaled(rows).unique(dim=0), 1e-6)


@pytest.mark.parametrize("dtype", ["float16", "float32", "int16", ">f8"])
def test_arrays_of_every_kind_of_number_are_scaled_in_double_precision(dtype, tmp_path):
    """Near the largest number that float16 holds, 65504, and far from the origin."""
    rows = (1000 * scattered() + [20_000, 0, 0]).clip(-32_000, 32_000).astype(dtype)
    np.save(tmp_path / "a.npy", rows)
    cloud, expected = read_clouds(tmp_path).clouds[0], centred_and_scaled(rows.astype(float))
    assert_near(cloud.unique(dim=0), expected.unique(dim=0), 1e-6)


@pytest.mark.parametrize("suffix", [".off", ".obj", ".ply"])
def test_of_a_mesh_points_are_drawn_from_its_surface(suffix, tmp_path):
    """A box: every point on a face, as many as its area asks for; upright as in the file."""
    box = trimesh.creation.box(EXTENTS).apply_translation([10, -20, 30])
    box.export(tmp_path / f"box{suffix}")
    cloud = read_clouds(tmp_path).clouds[0]
    low, high = cloud.amin(0), cloud.amax(0)
    size = high - low
    assert_near(size / size[0], torch.tensor(EXTENTS / EXTENTS[0]), 0.02)
    on_face = torch.minimum((cloud - low).abs(), (cloud - high).abs()) < 1e-5
    assert on_face.any(1).all()
    assert len(cloud.unique(dim=0)) == KEPT
    shares = on_face.float().mean(0)
    assert_near(shares, torch.tensor([4.0, 8, 16]) / 28, 0.05)
    assert cloud.norm(dim=1).max().item() == pytest.approx(1, abs=1e-6)
    assert cloud.mean(0).abs().max() < 1e-6


def test_an_object_of_several_parts_is_one_cloud(tmp_path):
    quads = "f 1 2 4 3\n", "f 5 6 8 7\n"
    corners = [[(x, y, z) for x in (0, 1) for y in (0, 1)] for z in (0, 5)]
    text = ""
    for name, square, quad in zip("ab", corners, quads, strict=True):
        text += f"o {name}\n" + "".join(f"v {x} {y} {z}\n" for x, y, z in square) + quad
    (tmp_path / "two squares.obj").write_text(text)
    height = read_clouds(tmp_path).clouds[0, :, 2]
    assert 0.4 < (height > 0).float().mean() < 0.6
    assert height.unique().numel() == 2


def test_large_clouds_are_thinned_evenly_and_small_ones_keep_every_point(tmp_path):
    large = scattered(5 * KEPT)
    large[:, 2] = np.arange(len(large))  # in the order of the file, by height
    np.save(tmp_path / "a.npy", large)
    np.save(tmp_path / "b.npy", scattered(5))
    many, few = read_clouds(tmp_path).clouds
    assert len(many.unique(dim=0)) == KEPT
    assert 0.4 < (many[:, 2] > 0).float().mean() < 0.6
    _, counts = few.unique(dim=0, return_counts=True)
    assert len(counts) == 5 and counts.max() - counts.min() <= 1


def test_files_of_subfolders_are_read_and_others_left_alone(tmp_path):
    (tmp_path / "chairs" / "old").mkdir(parents=True)
    write_clouds(tmp_path / "chairs" / "old", 2)
    write_clouds(tmp_path, 1)
    (tmp_path / "readme.txt").write_text("about")
    (tmp_path / "folder.xyz").mkdir()
    assert len(read_clouds(tmp_path).clouds) == 3
    assert len(read_clouds(str(tmp_path)).clouds) == 3


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_used_is_named_with_its_reason(name, tmp_path):
    write_clouds(tmp_path, 2)
    (tmp_path / "inner").mkdir()
    write, reason = BAD[name]
    write(tmp_path / "inner" / name)
    with pytest.raises(ValueError, match=rf"1 of 3 files cannot .*\n  inner.{name}: .*{reason}"):
        read_clouds(tmp_path)
    assert len(read_clouds(tmp_path, skip_unreadable=True).clouds) == 2


def test_every_bad_file_is_named_and_skipping_all_of_them_is_refused(tmp_path):
    for name, (write, _) in BAD.items():
        write(tmp_path / name)
    for skip in (False, True):
        with pytest.raises(ValueError, match=f"{len(BAD)} of {len(BAD)} files") as caught:
            read_clouds(tmp_path, skip_unreadable=skip)
        assert all(f"\n  {name}: " in str(caught.value) for name in BAD)


def test_a_pickle_in_an_array_file_is_not_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (tmp_path / "sprung").write_text, ("",)

    np.save(tmp_path / "trap.npy", np.array([Trap()]), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle"):
        read_clouds(tmp_path)
    assert not (tmp_path / "sprung").exists()


def test_a_folder_without_clouds_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("1 2 3\n" * 9)
    with pytest.raises(ValueError, match=rf"holds no file ending in {', '.join(SUFFIXES)}"):
        read_clouds(tmp_path)
    for wrong in (tmp_path / "missing", tmp_path / "notes.txt"):
        with pytest.raises(ValueError, match=f"{wrong.name} is not a folder"):
            read_clouds(wrong)


@pytest.mark.parametrize("n", [10, 11, 12, 23])
def test_ten_files_or_more_are_split_by_file(n, tmp_path):
    """Every tenth is for the test, the one after it for validation."""
    write_clouds(tmp_path, n)
    splits = {name: files.tolist() for name, files in read_clouds(tmp_path).splits.items()}
    assert splits["test"] == list(range(0, n, 10))
    assert splits["validation"] == list(range(1, n, 10))
    assert sorted(k for files in splits.values() for k in files) == list(range(n))
    assert list(splits) == ["train", "validation", "test"]


@pytest.mark.parametrize("n", [1, 9])
def test_fewer_files_are_shared_by_all_splits(n, tmp_path):
    write_clouds(tmp_path, n)
    for files in read_clouds(tmp_path).splits.values():
        assert files.tolist() == list(range(n))


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_items_are_points_of_one_cloud_of_their_split(split, tmp_path):
    write_clouds(tmp_path, 12)
    clouds = read_clouds(tmp_path)
    items = clouds.sample(60, seeded(), split)
    assert items.shape == (60, ITEM_POINTS, 3)
    files = torch.stack([origins(item, clouds) for item in items])
    assert torch.equal(files, files[:, :1].expand_as(files))
    assert set(files[:, 0].tolist()) == set(clouds.splits[split].tolist())
    assert len(items[0].unique(dim=0)) > 50


def test_the_generator_decides_the_items(tmp_path):
    write_clouds(tmp_path, 3)
    clouds = read_clouds(tmp_path)
    one, same, other = (clouds.sample(8, seeded(seed), "train") for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not (one == other).flatten(1).all(1).any()
    assert clouds.sample(0, seeded(), "train").shape == (0, ITEM_POINTS, 3)


def test_clouds_are_in_the_order_of_their_paths(tmp_path):
    """Whatever the order in which the file system lists them."""
    write_clouds(tmp_path, 12)
    for k, cloud in enumerate(read_clouds(tmp_path).clouds):
        expected = centred_and_scaled(scattered(seed=k))
        assert_near(cloud.unique(dim=0), expected.unique(dim=0), 1e-6)


def test_the_points_task_turns_the_clouds_of_a_folder(tmp_path):
    write_clouds(tmp_path, 3)
    task, clouds = find_task("points", clouds=tmp_path), read_clouds(tmp_path)
    batch = task.sample(20, seeded(), "test")
    assert batch.inputs.shape == (20, ITEM_POINTS, 3) and is_rotation(batch.targets).all()
    upright = torch.einsum("nji,npj->npi", batch.targets, batch.inputs)
    distances = torch.cdist(upright.double(), clouds.clouds.flatten(0, 1).double())
    assert distances.amin(-1).max() < 1e-6
    noisy = find_task("points", "noisy", clouds=tmp_path).sample(400, seeded(), "test")
    clean = task.sample(400, seeded(), "test")
    assert torch.equal(noisy.targets, clean.targets)
    levels = (noisy.inputs - clean.inputs).flatten(1).std(1).log10()
    assert -2.1 < levels.min() < -1.9 and 0.2 < levels.max() < 0.4  # of 0.01 and 2


def test_the_points_task_skips_unreadable_files_when_told(tmp_path):
    write_clouds(tmp_path, 1)
    (tmp_path / "bad.xyz").write_text("")
    with pytest.raises(ValueError, match="1 of 2 files cannot be used"):
        find_task("points", clouds=tmp_path)
    task = find_task("points", clouds=tmp_path, skip_unreadable=True)
    assert task.sample(2, seeded(), "train").inputs.shape == (2, ITEM_POINTS, 3)
