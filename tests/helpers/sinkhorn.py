"""A naive Sinkhorn algorithm: the oracle of `avalanche_ssl.losses.sinkhorn`."""


def naive_sinkhorn(scores, epsilon, iterations):
    """Algorithm 1 of the paper, one division at a time."""
    plan = (scores / epsilon).exp().T.clone()
    plan /= plan.sum()
    for _ in range(iterations):
        for k in range(len(plan)):
            plan[k] /= plan[k].sum() * len(plan)
        for b in range(plan.shape[1]):
            plan[:, b] /= plan[:, b].sum() * plan.shape[1]
    return plan.T * plan.shape[1]
