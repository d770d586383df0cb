"""Numbers of a stream: metrics of the accuracy matrix, measures of a representation, cost, fine-tuning."""

from avalanche_ssl.evaluation.cost import training_cost
from avalanche_ssl.evaluation.fine_tuning import fine_tune
from avalanche_ssl.evaluation.metrics import (
    anytime_accuracy,
    average_accuracy,
    average_anytime_accuracy,
    backward_transfer,
    forgetting,
    forgetting_by_experience,
    forgetting_chaudhry,
    forward_transfer,
    knowledge_gain,
)
from avalanche_ssl.evaluation.representation import alignment, feature_std, linear_cka, rankme, uniformity
from avalanche_ssl.evaluation.schedule import ProbeSchedule
from avalanche_ssl.evaluation.tasks import TaskResult, evaluate_task

__all__ = [
    "ProbeSchedule",
    "TaskResult",
    "alignment",
    "anytime_accuracy",
    "average_accuracy",
    "average_anytime_accuracy",
    "backward_transfer",
    "evaluate_task",
    "feature_std",
    "fine_tune",
    "forgetting",
    "forgetting_by_experience",
    "forgetting_chaudhry",
    "forward_transfer",
    "knowledge_gain",
    "linear_cka",
    "rankme",
    "training_cost",
    "uniformity",
]
