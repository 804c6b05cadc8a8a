"""How a network is trained: finite sets, early stopping, other sizes, losses and optimisers."""

from dataclasses import replace

import pytest
import torch
from conftest import assert_near, seeded

from rotlib import rot9d_to_matrix
from rotlib.experiments.heads import HEADS
from rotlib.experiments.protocol import STANDARD, Protocol
from rotlib.experiments.run import training_set
from rotlib.experiments.tasks import find_task, with_loss
from rotlib.experiments.training import WEIGHT_DECAY, held_out, train

NOTHING = 1e-30  # a learning rate that leaves every weight as it was
WAHBA = find_task("wahba")


def spied(task):
    """The task, and a list of the targets that its loss is asked about."""
    seen = []

    def loss(output, targets):
        seen.append(targets)
        return task.loss(output, targets)

    return replace(task, loss=loss), seen


def size(run):
    return sum(p[0].numel() for p in run.parameters.values())


def test_a_finite_set_is_drawn_once_and_visited_in_shuffled_passes():
    task, seen = spied(WAHBA)
    train(task, "9d-raw", [3], steps=10, items=70, learning_rate=NOTHING)
    whole, generator = training_set(WAHBA, 3, Protocol(items=70))
    assert len(whole.targets) == 70
    orders = [torch.randperm(70, generator=generator) for _ in range(5)]
    expected = [part for order in orders for part in (order[:32], order[32:64])]
    assert len(seen) == len(expected)  # six items of each pass do not fill a batch
    for targets, part in zip(seen, expected, strict=True):
        assert torch.equal(targets[0], whole.targets[part])
    assert len(set(orders[0].tolist())) == 70 and not torch.equal(orders[0], orders[1])


def test_each_seed_has_a_set_of_its_own_and_is_measured_on_it():
    run = train("wahba", "9d-raw", 2, steps=300, items=64, learning_rate=3e-3)
    for k in range(2):
        whole, _ = training_set(WAHBA, k, Protocol(items=64))
        R = run.head.infer(run.outputs(whole.inputs)[k])
        assert_near(run.errors("train")[k], WAHBA.error(R, whole.targets), 1e-3)
    assert (run.errors("train").mean(1) < 40).all() and (run.errors().mean(1) > 60).all()


def test_there_is_no_training_set_where_items_are_fresh():
    with pytest.raises(ValueError, match="got 'train'"):
        train("wahba", "9d-raw", 1, steps=1).errors("train")


@pytest.mark.parametrize("seeds", [[0], [0, 1, 2]])
def test_the_network_of_the_least_validation_loss_is_returned(seeds):
    """Against networks stopped by hand after each check; a rate that makes them get worse."""
    how = {"learning_rate": 3e-3, "items": 64, "schedule": "constant"}
    run = train("wahba", "9d-raw", seeds, steps=200, checks=4, **how)
    held = held_out(WAHBA, "validation")
    for k, seed in enumerate(seeds):
        stopped = {n: train("wahba", "9d-raw", [seed], steps=n, **how) for n in (50, 100, 150, 200)}
        losses = {
            n: WAHBA.loss(each.head.train(each.outputs(held.inputs)), held.targets).mean().item()
            for n, each in stopped.items()
        }
        best = min(losses, key=losses.__getitem__)
        assert run.chosen[k] == best
        for name, p in run.parameters.items():
            assert torch.equal(p[k], stopped[best].parameters[name][0])
    assert min(run.chosen) < 200


def test_training_stops_when_patience_is_at_its_end():
    """With a rate of nothing no check after the first brings anything."""
    task, seen = spied(WAHBA)
    how = {"learning_rate": NOTHING, "checks": 20}
    run = train(task, "9d-raw", 1, steps=100, patience=3, **how)
    batches = [targets for targets in seen if targets.shape[-3] == 32]
    assert len(batches) == 20 and run.chosen == [5]  # one check that counts, three in vain
    seen.clear()
    assert train(task, "9d-raw", 1, steps=100, **how).chosen == [5]
    assert sum(targets.shape[-3] == 32 for targets in seen) == 100


def test_without_checks_the_last_network_is_returned():
    assert train("wahba", "9d-raw", 2, steps=7).chosen == [7, 7]


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_the_rate_stays_or_falls(schedule):
    """A loss whose slope is 1 everywhere, and what momentum makes of it in the last bias."""
    task = replace(WAHBA, loss=lambda output, targets: output.sum((-2, -1)))
    start, end = (
        train(task, "9d-raw", 1, steps=n, optimizer="sgd", learning_rate=rate, schedule=schedule)
        for n, rate in ((1, NOTHING), (20, 1e-3))
    )
    share = torch.ones(20)
    if schedule == "cosine":
        share = (1 + torch.cos(torch.pi * torch.arange(20) / 20)) / 2
    speed = (1 - 0.9 ** torch.arange(1, 21)) / 0.1
    name = list(start.parameters)[-1]
    expected = torch.full((9,), -1e-3 * (share * speed).sum().item())
    assert_near(end.parameters[name][0] - start.parameters[name][0], expected, 1e-6)


def test_the_absolute_loss_sends_signs():
    task = with_loss(WAHBA, "l1")
    Y, T = torch.randn(5, 3, 3, generator=seeded(0)), torch.randn(5, 3, 3, generator=seeded(1))
    leaf = Y.requires_grad_()
    loss = task.loss(leaf, T)
    assert_near(loss, (Y - T).abs().sum((1, 2)), 1e-6)
    assert torch.equal(torch.autograd.grad(loss.sum(), leaf)[0], (Y - T).sign())
    assert with_loss(WAHBA, "l2") is WAHBA
    assert task.loss(Y[..., :2], T).shape == (5,)
    with pytest.raises(ValueError, match="that of kinematics is on positions"):
        train("kinematics", "9d-raw", 1, steps=1, loss="l1")


def test_what_holds_a_matrix_near_the_rotations_is_its_distance_from_them():
    """One plain step, read off the last layer's bias: the mean gradient, with and without."""
    free = HEADS["9d-svd-unit-gains"]
    held = replace(free, hold=0.7)
    start, a, b = (
        train("wahba", head, 1, steps=1, optimizer="sgd", learning_rate=rate, items=32)
        for head, rate in ((free, NOTHING), (free, 1e-2), (held, 1e-2))
    )
    batch, _ = training_set(WAHBA, 0, Protocol(items=32))
    x = start.outputs(batch.inputs)[0]
    expected = 0.7 * (x.unflatten(-1, (3, 3)) - rot9d_to_matrix(x)).mean(0).flatten()
    name = list(start.parameters)[-1]
    assert_near((a.parameters[name][0] - b.parameters[name][0]) / 1e-2, expected, 1e-4)
    rotation = torch.eye(3).flatten()
    with torch.enable_grad():
        leaf = rotation.clone().requires_grad_()
        gap = leaf.unflatten(-1, (3, 3)) - rot9d_to_matrix(leaf)
        assert_near(torch.autograd.grad(gap.square().sum() / 2, leaf)[0], torch.zeros(9), 1e-6)


def test_adamw_is_adam_and_a_decay_of_the_weights():
    """With a rate so small that Adam's own step is the same in both."""
    rate = 1e-4
    start, adam, adamw = (
        train("wahba", "9d-raw", 1, steps=1, learning_rate=lr, optimizer=optimizer)
        for lr, optimizer in ((NOTHING, "adam"), (rate, "adam"), (rate, "adamw"))
    )
    for name, p in start.parameters.items():
        gap = adam.parameters[name] - adamw.parameters[name]
        assert_near(gap, rate * WEIGHT_DECAY * p, 2e-8)


@pytest.mark.parametrize("task", ["wahba", "points", "images"])
def test_hidden_layers_can_be_narrower_and_wider(task):
    usual, narrow, wide = (
        size(train(task, "9d-raw", 1, steps=1, hidden=hidden)) for hidden in (1, 0.25, 3)
    )
    assert narrow < 0.3 * usual and wide > 5 * usual


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_size": 0}, "batch_size of at least 1, got 0"),
        ({"items": 31}, "items expects at least 32, a batch; got 31"),
        ({"hidden": 0.0}, "hidden expects a positive number"),
        ({"hidden": float("inf")}, "hidden expects a positive number"),
        ({"loss": "huber"}, "loss expects l2 or l1, got 'huber'"),
        ({"schedule": "step"}, "schedule expects cosine or constant"),
        ({"checks": 6}, "checks expects 0 to 5, the steps; got 6"),
        ({"checks": -1}, "checks expects 0 to 5"),
        ({"patience": 1}, "patience expects at least 1, and checks"),
        ({"patience": 0, "checks": 2}, "patience expects at least 1, and checks"),
    ],
)
def test_a_protocol_that_makes_no_sense_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        train("wahba", "9d-raw", 1, steps=5, **settings)


def test_what_is_unusual_is_named():
    assert STANDARD.unusual() == {}
    assert Protocol(batch_size=8, checks=3).unusual() == {"batch_size": 8, "checks": 3}
