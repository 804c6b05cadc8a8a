"""Training: each seed as a plain loop would train it; a seed that stops harms no other."""

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from conftest import assert_near, seeded
from torch import nn

from rotlib import geodesic_distance, svd_condition_number, svd_jacobian, svd_orthogonalize
from rotlib.experiments.heads import HEADS, Head, find_head
from rotlib.experiments.tasks import TASKS, find_task
from rotlib.experiments.training import BATCH_SIZE, held_out, train

RAW = HEADS["9d-raw"]
NOTHING = 1e-30  # a learning rate that leaves every weight as it was


def weights(run, seed):
    return {name: p[run.seeds.index(seed)] for name, p in run.parameters.items()}


def assert_same_bits(run, other, seeds):
    for seed in seeds:
        for name, p in weights(run, seed).items():
            assert torch.equal(p, weights(other, seed)[name]), f"seed {seed}, {name}"


def plain_loop(task, head, seed, steps, optimizer, learning_rate):
    """What every tutorial writes, for one seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = task.network(head.width * task.rotations)
    if optimizer == "adam":
        descent = torch.optim.Adam(network.parameters(), learning_rate, fused=False)
    else:
        descent = torch.optim.SGD(network.parameters(), learning_rate, momentum=0.9)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(descent, steps)
    stream = seeded(seed)
    for step in range(steps):
        if step % 16 == 0:  # sixteen batches are drawn at a time
            block = task.sample(16 * 32, stream, "train")
        items = slice(step % 16 * 32, step % 16 * 32 + 32)
        seen = head.schedule[0][1] if head.schedule and step < steps / 2 else head
        x = network(block.inputs[items])
        Y = seen.train(x if task.rotations == 1 else x.reshape(32, task.rotations, head.width))
        loss = task.loss(Y, block.targets[items])
        for k in range(3 if seen.penalty else 0):
            columns = torch.einsum("...i,...ij->...j", Y[..., k], Y) - torch.eye(3)[k]
            loss = loss + seen.penalty * columns.square().reshape(32, -1).sum(1)
        descent.zero_grad()
        loss.mean().backward()
        descent.step()
        schedule.step()
    return network


class Spoiled:
    """The raw 9D map, but for one of the seeds not finite from a step on, forward or backward."""

    def __init__(self, index, step, backward_only=False):
        self.index, self.step, self.backward_only, self.calls = index, step, backward_only, 0

    def __call__(self, x):
        M = x.unflatten(-1, (3, 3))
        mine = torch.arange(len(x)).view(-1, *[1] * (M.dim() - 1)) == self.index
        self.calls += 1
        if self.calls <= self.step:
            return M
        if self.backward_only:  # the slope of the root at 0 is infinite
            return M + (0 * M).where(mine, 1).sqrt().where(mine, 0)
        return M.where(~mine, torch.nan)


def degrees_between(A, B):
    A, B = A.flatten(-2).double(), B.flatten(-2).double()
    return ((A * B).sum(-1) / A.norm(dim=-1) / B.norm(dim=-1)).clamp(-1, 1).acos().rad2deg()


def recorded(task):
    """The task, and a list of what its ``sample`` was asked for and gave."""
    drawn = []

    def sample(n, generator, split):
        batch = task.sample(n, generator, split)
        drawn.append((split, *batch))
        return batch

    return replace(task, sample=sample), drawn


@pytest.mark.parametrize(
    ("task", "head", "optimizer", "steps"),
    [
        ("wahba", "9d-svd", "adam", 20),
        ("wahba", "quaternion", "sgd", 20),
        ("points", "9d-raw", "adam", 5),
        ("kinematics", "6d-gs", "adam", 5),
        ("images", "9d-raw", "adam", 1),
    ],
)
def test_a_seed_is_the_same_bit_for_bit_in_any_company(task, head, optimizer, steps):
    def run(seeds):
        return train(task, head, seeds, steps=steps, optimizer=optimizer)

    every = run(8)
    assert every.seeds == list(range(8)) and every.status == ["ok"] * 8
    for seeds in ([0], [5, 2], [2, 1, 0], [4, 7, 6, 5]):
        part = run(seeds)
        assert part.seeds == seeds
        assert_same_bits(part, every, seeds)
    assert not torch.equal(*(weights(every, seed)[next(iter(every.parameters))] for seed in (0, 1)))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize(
    ("task", "head"),
    [
        *(("wahba", head) for head in ("9d-raw", "9d-svd", "6d-gs", "6d-raw", "quaternion")),
        *(("wahba", head) for head in ("9d-fisher", "9d-raw-penalty", "9d-raw-then-svd")),
        *(("kinematics", head) for head in ("9d-raw-penalty", "9d-raw-then-svd", "rotvec")),
        ("points", "9d-svd"),
        ("images", "9d-raw"),
    ],
)
def test_the_weights_are_those_of_a_plain_loop(task, head, optimizer):
    """Apart by rounding only: less than a thousandth of the way that the weights have gone.

    A small rate, because a large one multiplies the rounding at every step, on some processors
    to more than it leaves of this thousandth.
    """
    task, head, rate = find_task(task), find_head(head), 1e-4
    steps = 4 if task.name in ("images", "points") else 18  # 18: a second block of batches
    run = train(task, head, [3, 1], steps=steps, optimizer=optimizer, learning_rate=rate)
    start, network = (plain_loop(task, head, 1, n, optimizer, rate) for n in (0, steps))
    assert run.parameters.keys() == dict(network.named_parameters()).keys()
    first, last = (nn.utils.parameters_to_vector(each.parameters()) for each in (start, network))
    trained = torch.cat([weights(run, 1)[name].flatten() for name, _ in network.named_parameters()])
    assert (trained - last).norm() <= 1e-3 * (last - first).norm()


def test_the_goal_of_rpmg_is_set_by_each_items_own_loss():
    """One step of plain descent, read off the last layer's bias: the mean of the gradients."""
    head, rate = HEADS["9d-rpmg"], 1e-2
    before, after = (
        train("wahba", head, 1, steps=1, optimizer="sgd", learning_rate=r) for r in (NOTHING, rate)
    )
    batch = find_task("wahba").sample(16 * BATCH_SIZE, seeded(0), "train")
    x = before.outputs(batch.inputs[:BATCH_SIZE])[0].requires_grad_()
    loss = (head.train(x) - batch.targets[:BATCH_SIZE]).square().sum((-2, -1)) / 2
    expected = -rate * torch.autograd.grad(loss.sum(), x)[0].mean(0)
    moved = (after.parameters["4.bias"] - before.parameters["4.bias"])[0]
    assert expected.abs().max() > 1e-4
    assert_near(moved, expected, 1e-7)


def test_the_same_call_gives_the_same_bits_whatever_was_drawn_before():
    runs = []
    for global_seed in (1, 2):
        torch.manual_seed(global_seed)
        before = torch.get_rng_state()
        runs.append(train("wahba", "9d-svd", 2, steps=20))
        assert torch.equal(torch.get_rng_state(), before)
    assert_same_bits(*runs, [0, 1])


def test_threads_that_train_at_once_start_from_the_same_weights_as_one():
    """Initial weights come from a generator that the threads share."""

    def start(seed):
        return train("wahba", RAW, [seed], steps=1, batch_size=1, learning_rate=NOTHING)

    alone = [start(seed) for seed in range(10)]
    with ThreadPoolExecutor(4) as pool:
        for k, run in enumerate(pool.map(start, [*range(10)] * 4)):
            assert_same_bits(run, alone[k % 10], [k % 10])


def test_every_head_sees_the_same_batches_and_starts_from_the_same_hidden_layers():
    draws = {}
    for head in ("9d-raw", "9d-svd", "quaternion"):
        task, draws[head] = recorded(find_task("wahba"))
        train(task, head, [4, 7], steps=20)
    for head in ("9d-svd", "quaternion"):
        assert len(draws[head]) == len(draws["9d-raw"]) == 4  # two blocks, two seeds
        for (split, *ours), (_, *theirs) in zip(draws[head], draws["9d-raw"], strict=True):
            assert split == "train"
            assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert len({inputs.sum().item() for _, inputs, _ in draws["9d-raw"]}) == 4
    raw, quaternion = (
        train("wahba", head, [4], steps=1, learning_rate=NOTHING)
        for head in ("9d-raw", "quaternion")
    )
    for name in ("0.weight", "2.bias"):
        assert torch.equal(raw.parameters[name], quaternion.parameters[name])


def test_training_lowers_the_error_of_every_seed():
    untrained = train("wahba", RAW, 3, steps=1, learning_rate=NOTHING).errors().mean(1)
    trained = train("wahba", RAW, 3, steps=300).errors().mean(1)
    assert untrained.min() > 110
    assert trained.max() < 95


@pytest.mark.parametrize(("task", "head"), [("wahba", "9d-raw-gs"), ("kinematics", "quaternion")])
def test_errors_are_those_of_the_plain_network_on_the_held_out_set(task, head):
    run = train(task, head, [2, 0], steps=10)
    task, head = run.task, run.head
    batch = held_out(task, "validation", 50)
    for k, seed in enumerate((2, 0)):
        network = task.network(head.width * task.rotations)
        network.load_state_dict(weights(run, seed))
        x = network(batch.inputs).detach()
        x = x if task.rotations == 1 else x.unflatten(-1, (task.rotations, head.width))
        assert_near(run.outputs(batch.inputs)[k], x, 1e-5)
        error = task.error(head.infer(x), batch.targets)
        assert_near(run.errors("validation", 50)[k], error, 1e-2)


@pytest.mark.parametrize("name", TASKS)
def test_the_held_out_sets_are_fixed_and_differ(name):
    task = find_task(name)
    first = {split: held_out(task, split, 20) for split in ("validation", "test")}
    run = train(task, RAW, 1, steps=1, batch_size=2)
    errors = run.errors(items=20)
    torch.randn(100)
    assert torch.equal(run.errors(items=20), errors)
    for split, batch in first.items():
        assert all(torch.equal(a, b) for a, b in zip(held_out(task, split, 20), batch, strict=True))
    assert (first["test"].targets - first["validation"].targets).abs().max() > 0.1


def test_errors_ask_for_the_split_that_they_name():
    task, drawn = recorded(find_task("wahba"))
    run = train(task, RAW, 1, steps=1)
    drawn.clear()
    for split in ("test", "validation"):
        assert run.errors(split, 30).shape == (1, 30)
        assert drawn.pop()[0] == split
    with pytest.raises(ValueError, match="validation, test, got 'train'"):
        run.errors("train")


@pytest.mark.parametrize("backward_only", [False, True])
def test_a_seed_that_diverges_is_stopped_alone(backward_only):
    spoiled = Spoiled(1, 3, backward_only)
    run = train("wahba", Head(9, spoiled, RAW.infer), [3, 1, 4], steps=12)
    assert run.status == ["ok", "loss not finite at step 3", "ok"]
    assert spoiled.calls == 12
    assert_same_bits(run, train("wahba", RAW, [3, 4], steps=12), [3, 4])
    for split in ("test", "validation"):
        assert run.errors(split, 40).isnan().all(1).tolist() == [False, True, False]
        assert run.errors(split, 40)[[0, 2]].isfinite().all()


def test_a_seed_that_diverges_is_stopped_alone_where_seeds_take_turns():
    """The first of two; the second begins with the map's fifth call."""
    spoiled = Spoiled(0, 2)
    spoiled_then_not = Head(
        9, lambda x: spoiled(x) if spoiled.calls < 4 else RAW.train(x), RAW.infer
    )
    run = train("images", spoiled_then_not, [6, 2], steps=4)
    assert run.status == ["loss not finite at step 2", "ok"]
    assert_same_bits(run, train("images", RAW, [2], steps=4), [2])
    assert run.errors(items=10).isnan().all(1).tolist() == [True, False]


def test_when_all_seeds_have_stopped_training_ends():
    counted = Spoiled(0, 10**6)
    head = Head(9, counted, RAW.infer)
    run = train("wahba", head, 2, steps=400, optimizer="sgd", learning_rate=1e6)
    assert run.status == ["loss not finite at step 2"] * 2
    assert counted.calls < 150
    assert run.errors(items=20).isnan().all()
    assert run.errors(items=20).shape == (2, 20)


def test_the_log_is_complete_though_seeds_have_stopped():
    """Also where seeds take turns, and their logs must be equally long to be put together."""
    run = train("wahba", RAW, 2, steps=130, optimizer="sgd", learning_rate=1e6, diagnostics=60)
    assert run.status == ["loss not finite at step 2"] * 2
    assert run.log["step"].tolist() == [0, 60, 120]
    assert run.log["gradient_norm"].isfinite().tolist() == [[True, False, False]] * 2
    spoiled = Spoiled(0, 2, backward_only=True)
    spoiled_then_not = Head(
        9, lambda x: spoiled(x) if spoiled.calls < 104 else RAW.train(x), RAW.infer
    )
    turns = train("images", spoiled_then_not, [6, 2], steps=104, batch_size=1, diagnostics=50)
    assert turns.status == ["loss not finite at step 2", "ok"]
    assert turns.log["step"].tolist() == [0, 50, 100]
    assert turns.log["gradient_norm"].isfinite().tolist() == [[True, False, False], [True] * 3]


@pytest.mark.parametrize(
    ("task", "learning_rate"),
    [
        ("kinematics", 3e38),  # weights overflow
        ("wahba", 1e38),  # finite weights, but no finite output
    ],
)
def test_a_seed_that_the_very_last_update_ruins_is_reported(task, learning_rate):
    run = train(task, RAW, 2, steps=1, optimizer="sgd", learning_rate=learning_rate)
    assert run.errors(items=20).isnan().all()
    assert run.status == ["loss not finite at step 1"] * 2


def test_a_warm_start_trains_the_first_half_as_another_head():
    calls = []

    def named(name):
        return Head(9, lambda x: calls.append(name) or RAW.train(x), RAW.infer)

    train("wahba", replace(named("then"), schedule=((0.5, named("first")),)), 2, steps=6)
    assert calls == ["first"] * 3 + ["then"] * 3


def test_the_penalty_is_the_distance_of_the_gram_matrix_from_the_identity():
    """The last layer's bias after one step of plain descent, with and without it."""
    weight, rate = 0.3, 1e-2

    def bias(head, rate):
        run = train("wahba", head, 1, steps=1, optimizer="sgd", learning_rate=rate)
        return run, run.parameters["4.bias"][0]

    start, _ = bias(RAW, NOTHING)
    inputs = find_task("wahba").sample(16 * BATCH_SIZE, seeded(0), "train").inputs[:BATCH_SIZE]
    M = start.outputs(inputs)[0].unflatten(-1, (3, 3))
    slope = 4 * weight * M @ (M.mT @ M - torch.eye(3))
    moved = bias(replace(RAW, penalty=weight), rate)[1] - bias(RAW, rate)[1]
    assert slope.mean(0).abs().max() > 1e-3
    assert_near(moved, -rate * slope.mean(0).flatten(), 1e-7)


def test_the_log_has_a_record_every_so_many_steps_and_changes_nothing():
    silent = train("wahba", "9d-svd", [2, 0, 5], steps=8)
    run = train("wahba", "9d-svd", [2, 0, 5], steps=8, diagnostics=3)
    assert silent.log == {}
    assert_same_bits(run, silent, [2, 0, 5])
    assert run.log.pop("step").tolist() == [0, 3, 6]
    assert set(run.log) == {
        *("gradient_norm", "angle_to_direct", "bend", "error", "negative_det"),
        *("kappa_05", "kappa_50", "kappa_95"),
    }
    assert all(values.shape == (3, 3) and values.isfinite().all() for values in run.log.values())
    assert (1 <= run.log["kappa_05"]).all()
    assert (run.log["kappa_05"] < run.log["kappa_50"]).all()
    assert (run.log["kappa_50"] < run.log["kappa_95"]).all()
    alone = train("wahba", "9d-svd", [5], steps=8, diagnostics=3)
    assert all(torch.equal(run.log[name][2], alone.log[name][0]) for name in run.log)
    by_turns = train("images", "9d-svd", [1, 0], steps=3, batch_size=4, diagnostics=2)
    assert by_turns.log["step"].tolist() == [0, 2]
    assert by_turns.log["bend"].shape == (2, 2)


def test_the_first_record_says_what_it_is_documented_to():
    head = HEADS["9d-svd"]
    log = train("wahba", head, [3], steps=1, diagnostics=1).log
    batch = find_task("wahba").sample(16 * BATCH_SIZE, seeded(3), "train")
    inputs, T = batch.inputs[:BATCH_SIZE], batch.targets[:BATCH_SIZE]
    x = train("wahba", head, [3], steps=1, learning_rate=NOTHING).outputs(inputs)[0]
    x.requires_grad_()
    R = head.infer(x)
    G = torch.autograd.grad((R - T).square().sum() / 2, x)[0].unflatten(-1, (3, 3))
    M, R = x.detach().unflatten(-1, (3, 3)), R.detach()

    expected = {
        "gradient_norm": G.norm(dim=(-2, -1)).median(),
        "angle_to_direct": degrees_between(G, M - T).median(),
        "error": geodesic_distance(R, T).rad2deg().mean(),
        "negative_det": (torch.linalg.det(M) < 0).float().mean(),
        "kappa_05": svd_condition_number(M).quantile(0.05),
        "kappa_95": svd_condition_number(M).quantile(0.95),
    }
    for name, value in expected.items():
        assert log[name].item() == pytest.approx(value.item(), rel=1e-3), name


@pytest.mark.parametrize("name", [name for name, head in HEADS.items() if head.width == 9])
def test_the_bend_is_what_svd_would_do_to_what_the_loss_asks_for(name):
    """By its Jacobian; whatever the head trains with."""
    head = find_head(name)
    log = train("wahba", head, [3], steps=1, diagnostics=1).log
    batch = find_task("wahba").sample(16 * BATCH_SIZE, seeded(3), "train")
    inputs, T = batch.inputs[:BATCH_SIZE], batch.targets[:BATCH_SIZE].double()
    start = train("wahba", head, [3], steps=1, learning_rate=NOTHING)
    M = start.outputs(inputs)[0].unflatten(-1, (3, 3)).double()
    R = svd_orthogonalize(M)
    sent = (svd_jacobian(M) @ (R - T).flatten(-2)[..., None]).reshape(-1, 3, 3)
    skew = (R.mT @ (R - T) - (R - T).mT @ R) / 2
    bend = degrees_between(sent, R @ skew).sort().values[(BATCH_SIZE - 1) // 2]
    assert bend > 5
    assert log["bend"].item() == pytest.approx(bend.item(), rel=1e-3)


def test_the_direct_gradient_of_direct_regression_is_its_gradient():
    log = train("wahba", RAW, 2, steps=5, diagnostics=1).log
    assert log["angle_to_direct"].max() < 0.1


@pytest.mark.parametrize(
    ("task", "head", "absent"),
    [
        ("wahba", "6d-gs", "angle_to_direct bend negative_det kappa_05 kappa_50 kappa_95"),
        ("wahba", "quaternion", "angle_to_direct bend negative_det kappa_05 kappa_50 kappa_95"),
        ("kinematics", "9d-svd", "angle_to_direct bend"),
    ],
)
def test_what_a_head_or_task_lacks_is_nan_in_the_log(task, head, absent):
    log = train(task, head, 2, steps=3, diagnostics=1).log
    assert " ".join(sorted(n for n, v in log.items() if v.isnan().all())) == " ".join(
        sorted(absent.split())
    )
    assert all(v.isfinite().all() for n, v in log.items() if n not in absent.split())


def test_outputs_have_a_dimension_for_the_rotations_of_a_skeleton():
    inputs = torch.zeros(5, 33)
    assert train("kinematics", "6d-gs", 2, steps=1).outputs(inputs).shape == (2, 5, 7, 6)
    assert train("wahba", "6d-gs", 2, steps=1).outputs(torch.zeros(5, 48)).shape == (2, 5, 6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "spheres"}, "unknown task 'spheres'; known are wahba, points"),
        ({"head": "8d"}, "unknown head '8d'; known are euler"),
        ({"seeds": 0}, "at least one seed"),
        ({"seeds": []}, "at least one seed"),
        ({"optimizer": "lion"}, "one of adam, adamw, sgd, got 'lion'"),
        ({"steps": 0}, "steps of at least 1, got 0"),
        ({"batch_size": 0}, "batch_size of at least 1, got 0"),
        ({"learning_rate": 0.0}, "positive, finite learning rate, got 0.0"),
        ({"learning_rate": -1e-3}, "positive, finite learning rate, got -0.001"),
        ({"learning_rate": math.nan}, "positive, finite learning rate, got nan"),
        ({"learning_rate": math.inf}, "positive, finite learning rate, got inf"),
    ],
)
def test_names_and_numbers_that_make_no_sense_are_refused(changes, message):
    arguments = {"task": "wahba", "head": "9d-raw", "steps": 1} | changes
    with pytest.raises(ValueError, match=message):
        train(**arguments)


def test_a_task_whose_loss_needs_three_columns_refuses_two():
    with pytest.raises(ValueError, match="3x3 matrices, not two columns"):
        train("kinematics", "6d-raw", 1, steps=1)
