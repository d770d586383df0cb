"""The confusion matrix of the probe after each experience of split MNIST, for TensorBoard."""

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from avalanche.benchmarks.classic import SplitMNIST
from avalanche.evaluation.metrics import accuracy_metrics, confusion_matrix_metrics
from avalanche.logging import InteractiveLogger, TensorboardLogger
from avalanche.training.plugins import EvaluationPlugin
from torch import Tensor
from torch.optim import SGD

from avalanche_ssl import ProbePlugin, SelfSupervised
from avalanche_ssl.methods import SimCLR
from avalanche_ssl.models import smallconv


def main(arguments: Sequence[str] | None = None) -> Any:
    """Train, and return the last confusion matrix: rows are the true classes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with MNIST")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("confusion_matrix"))
    args = parser.parse_args(arguments)

    benchmark = SplitMNIST(n_experiences=5, seed=1, dataset_root=args.data)
    model = SimCLR(partial(smallconv, in_channels=1, width=8), output_dim=32)
    evaluator = EvaluationPlugin(
        accuracy_metrics(stream=True),
        confusion_matrix_metrics(num_classes=10, stream=True, save_image=True, class_names=list("0123456789")),
        loggers=[InteractiveLogger(), TensorboardLogger(args.out)],
    )
    strategy = SelfSupervised(
        model=model,
        optimizer=SGD(model.parameters(), lr=0.03, momentum=0.9),
        train_mb_size=64,
        train_epochs=args.epochs,
        plugins=[ProbePlugin(benchmark)],
        evaluator=evaluator,
    )
    for experience in benchmark.train_stream:
        strategy.train(experience, eval_streams=[])
        results = strategy.eval(benchmark.test_stream)
    return results["ConfusionMatrix_Stream/eval_phase/test_stream"].best_supported_value(Tensor)


if __name__ == "__main__":
    main()
