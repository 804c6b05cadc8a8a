"""At the identity every plane is silenced: no direction is left.

loses: example-hidden
says: vanishes altogether
"""

def example(terms):
    G = torch.tensor([[0.0, -1, 2], [1, 0, -1], [-2, 1, 0]])
    return torch.eye(3), G / G.norm()
