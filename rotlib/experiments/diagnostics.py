"""The early life of a gradient: what is recorded of a step while a network trains."""

import torch
from torch import Tensor

from rotlib.experiments.heads import Head
from rotlib.experiments.tasks import Batch, Task, chordal_loss
from rotlib.orthogonalize import svd_condition_number, svd_orthogonalize


@torch.no_grad()
def diagnose(
    task: Task, head: Head, x: Tensor, gradient: Tensor, batch: Batch
) -> dict[str, Tensor]:
    """The record of one step, each of its numbers ``(seeds,)``; see ``train``."""
    per_item = gradient.norm(dim=-1).flatten(1)
    missing = torch.full_like(per_item[:, 0], torch.nan)
    R = head.infer(x)
    record = {
        "gradient_norm": per_item.median(1).values,
        "error": task.error(R, batch.targets).mean(1),
    }
    names = ("kappa_05", "kappa_50", "kappa_95", "negative_det", "angle_to_direct", "bend")
    record |= dict.fromkeys(names, missing)
    if head.width != 9:
        return record
    M = x.unflatten(-1, (3, 3))
    kappa = svd_condition_number(M).flatten(1)
    for share in (5, 50, 95):
        record[f"kappa_{share:02d}"] = kappa.quantile(share / 100, dim=1)
    record["negative_det"] = (torch.linalg.det(M) < 0).float().flatten(1).mean(1)
    if task.rotations == 1:
        G = gradient.unflatten(-1, (3, 3))
        record["angle_to_direct"] = _angle(G, M - batch.targets).median(1).values
        with torch.enable_grad():
            leaf = M.detach().requires_grad_()
            chordal = chordal_loss(svd_orthogonalize(leaf), batch.targets).sum()
            sent = torch.autograd.grad(chordal, leaf)[0]
        R = svd_orthogonalize(M)
        skew = R.mT @ (R - batch.targets)
        record["bend"] = _angle(sent, R @ (skew - skew.mT)).median(1).values
    return record


def _angle(A: Tensor, B: Tensor) -> Tensor:
    cosine = torch.cosine_similarity(A.flatten(-2), B.flatten(-2), dim=-1)
    return cosine.clamp(-1, 1).acos().rad2deg()
