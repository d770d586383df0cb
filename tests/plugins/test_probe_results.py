"""The plugin shows what its history keeps."""

import numpy as np
from helpers.probing import few_images

from avalanche_ssl import ProbePlugin
from avalanche_ssl.evaluation import TaskResult


def test_results_are_those_of_the_history() -> None:
    plugin = ProbePlugin(few_images())
    history = plugin.history
    assert (plugin.trained, plugin.measured, plugin.rows) == (0, False, [])
    for order, values in (([], (0.1, 0.2)), ([1], (0.3, 0.4))):
        history.add_row({"ridge": {"all": np.array(values), "seen": np.array(values) / 2}}, order)
    assert (plugin.trained, plugin.measured, len(plugin.rows)) == (1, True, 2)
    np.testing.assert_array_equal(plugin.matrix("all")[0], [0.4, 0.3])
    np.testing.assert_array_equal(plugin.matrix("seen", "ridge")[0], [0.2, 0.15])
    np.testing.assert_array_equal(plugin.untrained("all"), [0.2, 0.1])
    history.consolidation = 0.5
    history.task_results.append((1, [TaskResult("object", 0.5, 0.25, {})]))
    history.full_test_accuracies, history.full_test_results = {"ridge": 0.75}, [TaskResult("object", 0.4, 0.25, {})]
    assert plugin.consolidation == 0.5 and plugin.task_results is history.task_results
    assert plugin.full_test_accuracies == {"ridge": 0.75} and plugin.full_test_results[0].accuracy == 0.4
    assert plugin.curve is history.curve
