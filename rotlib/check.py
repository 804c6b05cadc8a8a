"""The one line that readers meet on every page: does the formula agree with the machine?"""

import numpy as np
import torch
from torch import Tensor


class _Gap(float):
    """A number that a notebook does not show when it ends a cell."""

    def _ipython_display_(self) -> None:
        pass


def compare(name: str, by_hand: object, reference: object, *, tolerance: float) -> float:
    """Check that two results agree, and say so in one line that is the same on every machine.

    The line names the tolerance, not the measured gap, whose last digits depend on the processor.

    Args:
        name: what is compared, for the printed line.
        by_hand: a number, array or tensor: the formula under test.
        reference: the same shape: autograd, finite differences, another library.
        tolerance: largest allowed absolute difference of any entry.

    Returns:
        The largest absolute difference; a notebook does not show it.

    Raises:
        AssertionError: if it exceeds ``tolerance`` or is not a number; says how large it is and
            where. Both being infinite with the same sign, or both NaN, is no agreement.
        TypeError: if one side is not real.
        ValueError: if the shapes differ, there is nothing to compare, or the tolerance is not a
            finite number of at least 0.

    Source: used in every chapter.
    """
    if not 0 <= tolerance < float("inf"):
        raise ValueError(f"{name}: tolerance must be finite and not negative, got {tolerance}")
    a, b = (_as_double(x) for x in (by_hand, reference))
    if a.shape != b.shape:
        raise ValueError(
            f"{name}: shapes differ, {tuple(a.shape)} by hand, {tuple(b.shape)} reference"
        )
    if a.numel() == 0:
        raise ValueError(f"{name}: nothing to compare, shape {tuple(a.shape)}")
    gaps = (a - b).abs().nan_to_num(nan=torch.inf, posinf=torch.inf)
    worst = int(gaps.argmax())
    gap = float(gaps.flatten()[worst])
    if not gap <= tolerance:
        where = tuple(int(n) for n in torch.unravel_index(torch.tensor(worst), gaps.shape))
        raise AssertionError(
            f"{name}: gap {gap:.3g} exceeds {tolerance:g}, worst at index {where}: "
            f"{float(a.flatten()[worst]):.9g} by hand, {float(b.flatten()[worst]):.9g} reference"
        )
    print(f"{name}: agree to {tolerance:g}")
    return _Gap(gap)


def _as_double(x: object) -> Tensor:
    """Anything real as a float64 tensor on the CPU."""
    if isinstance(x, Tensor):
        x = x.detach().cpu()
        if x.is_complex():
            raise TypeError(f"compare expects real numbers, got {x.dtype}")
        return x.double()
    if isinstance(x, list | tuple):
        return torch.stack([_as_double(item) for item in x])
    return torch.from_numpy(np.array(x, dtype=np.float64))
