"""A symmetric G at a symmetric M asks for no turn.

loses: example-hidden
says: asks for no turn
"""

def example(terms):
    G = torch.eye(3) + 1
    return torch.diag(torch.tensor([1.0001, 1.0, 0.55])), G / G.norm()
