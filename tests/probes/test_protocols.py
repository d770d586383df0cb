"""Names of protocols, and the presets of the literature."""

import numpy as np
import pytest
import torch
from helpers.features import FAST, TEST, TRAIN, overlapping

from avalanche_ssl.errors import UsageError
from avalanche_ssl.probes.knn import KNN
from avalanche_ssl.probes.label_subsets import keep_labels
from avalanche_ssl.probes.protocols import PROTOCOLS, get_protocol
from avalanche_ssl.probes.scopes import fit_probes, probe_accuracies


def test_names_are_parsed():
    assert get_protocol("ridge") is PROTOCOLS["ridge"] and get_protocol(PROTOCOLS["cla"]) is PROTOCOLS["cla"]
    assert (get_protocol("ridge@10%").name, get_protocol("ridge@10%").labels) == ("ridge@10%", 0.1)
    assert get_protocol("knn-20@5").labels == 5
    for wrong in ("ridge@", "ridge@0%", "ridge@200%", "ridge@x", "ridge@0", "ridge@1.5", "ridge@-3"):
        with pytest.raises(UsageError, match="NAME@10%"):
            get_protocol(wrong)
    with pytest.raises(UsageError, match="no probe 'rigde': did you mean 'ridge'"):
        get_protocol("rigde")


def test_names_of_readouts_are_parsed():
    assert (get_protocol("ridge").readout, get_protocol("knn-20:stages").readout) == ("", "stages")
    few = get_protocol("ridge:2x2@10%")
    assert (few.name, few.readout, few.labels, few.draws) == ("ridge:2x2@10%", "2x2", 0.1, 3)
    with pytest.raises(UsageError, match="no readout of probe 'ridge:2x3' '2x3': did you mean '2x2'"):
        get_protocol("ridge:2x3")
    with pytest.raises(UsageError, match="'cassle-online:2x2' is trained along with the encoder"):
        get_protocol("cassle-online:2x2")


def test_a_protocol_with_few_labels_is_its_classifier_on_them():
    kept = keep_labels([TRAIN[1]], 0.1)
    expected = fit_probes([(TRAIN[0], kept[0])], 5, [0])
    found = get_protocol("ridge@10%").fit([TRAIN], 5, [0])
    assert torch.equal(found["all"][0](TEST[0]), expected["all"][0](TEST[0]))
    assert not torch.equal(found["all"][0](TEST[0]), get_protocol("ridge").fit([TRAIN], 5, [0])["all"][0](TEST[0]))


@pytest.mark.parametrize(("name", "kept"), [("knn-20@1", 4), ("knn-20@2", 8), ("knn-20@100%", 20), ("knn-20", 20)])
def test_a_whole_number_is_of_each_class_also_one(name, kept):
    (labels,) = get_protocol(name).select_labels([torch.arange(20) % 4])
    assert int((labels >= 0).sum()) == kept


def test_lumps_slip_is_kept():
    assert [PROTOCOLS["lump"].classifier_for(trained).k for trained in (0, 1, 7, 500)] == [1, 1, 7, 200]
    assert "slip" in PROTOCOLS["lump"].caveat


def test_core50_takes_each_twentieth_sample_of_training_and_test():
    protocol = PROTOCOLS["core50"]
    found = protocol.fit([TRAIN], 5, [0])
    expected = fit_probes([(TRAIN[0][::20], TRAIN[1][::20])], 5, [0], ["all"])
    torch.testing.assert_close(found["all"][0](TEST[0]), expected["all"][0](TEST[0]))
    assert len(protocol.select_test([TEST])[0][1]) == 15


def test_presets_have_the_settings_of_their_papers():
    assert PROTOCOLS["osiris"].classifier_for(3) == KNN(200, 0.1) and tuple(PROTOCOLS["osiris"].scopes) == (
        "all",
        "task",
    )
    cla = PROTOCOLS["cla"].classifier_for(3)
    assert (cla.features, cla.optimizer, cla.lr, cla.batch_size, cla.schedule) == ("unit", "adam", 0.05, 256, "plateau")
    cassle = PROTOCOLS["cassle-offline"].classifier_for(3)
    assert (cassle.lr, cassle.epochs, cassle.schedule, cassle.features) == (3.0, 100, "steps", "raw")
    assert PROTOCOLS["cassle-offline"].augment
    literature = {"cassle-offline", "cla", "osiris", "lump", "core50"}
    assert all(PROTOCOLS[name].caveat for name in literature)


@pytest.mark.parametrize("name", FAST)
def test_every_probe_fills_its_scopes(name):
    train = [(x + 0, y) for x, y in (overlapping(120, s) for s in range(3))]
    found = probe_accuracies(PROTOCOLS[name].fit(train, 5, seen=[0, 1]), train)
    assert tuple(found) == tuple(PROTOCOLS[name].scopes)
    for scope, row in found.items():
        assert np.isnan(row).tolist() == ([False, False, True] if scope == "seen" else [False] * 3)
