"""Results of a stream: probes of an encoder, accuracy matrix and its metrics, representation, cost, fine-tuning."""

from avalanche_ssl.evaluation.cost import PluginCost, training_cost, views_per_image
from avalanche_ssl.evaluation.evaluator import Evaluator
from avalanche_ssl.evaluation.events import (
    baseline_events,
    curve_events,
    frozen_probe_events,
    full_test_events,
    probe_events,
    task_events,
)
from avalanche_ssl.evaluation.feature_extractor import (
    EvalPrecision,
    FeatureExtractor,
    FeatureFunction,
    evaluates_in_bf16,
)
from avalanche_ssl.evaluation.feature_pass import FeaturePass
from avalanche_ssl.evaluation.fine_tuning import (
    HEADS,
    FineTunedClassifier,
    FineTuning,
    fine_tune,
    frozen_parts,
    stages_to_freeze,
)
from avalanche_ssl.evaluation.frozen_probes import FrozenAccuracy, FrozenProbes
from avalanche_ssl.evaluation.history import History, accuracy_curve
from avalanche_ssl.evaluation.metrics import (
    Matrix,
    anytime_accuracy,
    average_accuracy,
    average_anytime_accuracy,
    backward_transfer,
    forgetting,
    forgetting_by_experience,
    forgetting_chaudhry,
    forward_transfer,
    frozen_forgetting,
    knowledge_gain,
)
from avalanche_ssl.evaluation.raw_pixels import RawPixels, reads_pixels
from avalanche_ssl.evaluation.representation import (
    alignment,
    cluster_usage,
    feature_std,
    infonce_bound,
    linear_cka,
    rankme,
    uniformity,
)
from avalanche_ssl.evaluation.results import Accuracies, Evaluation, FullTestResult
from avalanche_ssl.evaluation.schedule import ProbeSchedule
from avalanche_ssl.evaluation.tasks import TaskResult, evaluate_task

__all__ = [
    "HEADS",
    "Accuracies",
    "EvalPrecision",
    "Evaluation",
    "Evaluator",
    "FeatureExtractor",
    "FeatureFunction",
    "FeaturePass",
    "FineTunedClassifier",
    "FineTuning",
    "FrozenAccuracy",
    "FrozenProbes",
    "FullTestResult",
    "History",
    "Matrix",
    "PluginCost",
    "ProbeSchedule",
    "RawPixels",
    "TaskResult",
    "accuracy_curve",
    "alignment",
    "anytime_accuracy",
    "average_accuracy",
    "average_anytime_accuracy",
    "backward_transfer",
    "baseline_events",
    "cluster_usage",
    "curve_events",
    "evaluate_task",
    "evaluates_in_bf16",
    "feature_std",
    "fine_tune",
    "forgetting",
    "forgetting_by_experience",
    "forgetting_chaudhry",
    "forward_transfer",
    "frozen_forgetting",
    "frozen_parts",
    "frozen_probe_events",
    "full_test_events",
    "infonce_bound",
    "knowledge_gain",
    "linear_cka",
    "probe_events",
    "rankme",
    "reads_pixels",
    "stages_to_freeze",
    "task_events",
    "training_cost",
    "uniformity",
    "views_per_image",
]
