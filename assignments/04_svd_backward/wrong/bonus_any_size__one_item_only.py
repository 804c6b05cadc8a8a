"""A loop over the entries of one matrix.

loses: bonus_any_size-hidden
says: a batch of shape
"""

def differential_any(M, dM):
    U, s, V = signed_svd(M)
    P = U.T @ dM @ V
    K = torch.zeros_like(P)
    for i in range(len(s)):
        for j in range(len(s)):
            if i != j:
                K[i, j] = float(P[i, j] - P[j, i]) / float(s[i] + s[j])
    return U @ K @ V.T
