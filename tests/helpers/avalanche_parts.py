"""Every plugin and metric of Avalanche, and a run with some of them."""

import inspect
import io

from avalanche.core import BasePlugin
from avalanche.evaluation import Metric, metrics
from avalanche.logging import TextLogger
from avalanche.training import plugins
from crashes.small_run import few_digits

from avalanche_ssl import ProbePlugin
from helpers.strategies import make, moco, simclr


def _classes(module, base):
    found = {name: kind for name, kind in vars(module).items() if inspect.isclass(kind) and base in kind.__mro__}
    return {name: kind for name, kind in found.items() if not inspect.isabstract(kind)}


PLUGINS = _classes(plugins, BasePlugin)
METRICS = _classes(metrics, Metric)


METHODS = {"simclr": simclr, "moco": moco}


def evaluator(*metrics):
    return plugins.EvaluationPlugin(*metrics, loggers=[TextLogger(io.StringIO())])


def run_two_experiences(model, plugins=(), **settings):
    """A strategy that trained on two small experiences, and evaluated its probe in between and after each."""
    benchmark = few_digits()
    settings = {"train_mb_size": 16, "train_epochs": 2, "eval_every": 1} | settings
    strategy = make(model, plugins=[ProbePlugin(benchmark), *plugins], **settings)
    for experience in list(benchmark.train_stream)[:2]:
        strategy.train(experience, eval_streams=[benchmark.test_stream])
        strategy.eval(benchmark.test_stream)
    return strategy
