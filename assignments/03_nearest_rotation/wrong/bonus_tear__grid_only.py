"""The best place of a grid.

loses: bonus_tear-visible, bonus_tear-hidden
says: halve the interval
"""

def find_tear(f):
    grid = torch.linspace(0, 2 * math.pi, 1000).tolist()
    values = torch.stack([f(t) for t in grid])
    return grid[int((values[1:] - values[:-1]).norm(dim=-1).argmax())]
