"""Methods trained by the strategy."""

from avalanche_ssl import SelfSupervised
from helpers.methods import sgd


def train(model, digits, experiences=2, **settings):
    """The strategy after some experiences of digits-on-photographs."""
    strategy = SelfSupervised(model=model, optimizer=sgd(model), **{"train_mb_size": 32} | settings)
    for experience in list(digits.train_stream)[:experiences]:
        strategy.train(experience, eval_streams=[])
    return strategy
