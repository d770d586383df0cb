"""Images that do not fit the method are reported before training, or where training on them fails."""

from functools import partial
from itertools import islice

import avalanche.training.plugins as av
import numpy as np
import pytest
import torch
from helpers.encoders import tiny
from helpers.strategies import assert_same, cmc, make, moco, state
from helpers.streams import array_stream, images

from avalanche_ssl import ProbePlugin
from avalanche_ssl.data import ArrayDataset
from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import MoCo, SimCLR
from avalanche_ssl.models import Encoder
from avalanche_ssl.streams import benchmark_from_parts, online_stream


class Started(av.SupervisedPlugin):
    """Whether any training has begun."""

    begun = False

    def before_training(self, strategy, **kwargs):
        self.begun = True


@pytest.mark.parametrize("whole", [True, False], ids=["stream", "experience"])
def test_wrong_channels_are_reported_before_anything_else(whole):
    stream, started = array_stream(13).train_stream, Started()
    strategy = make(plugins=[started])
    with pytest.raises(UsageError, match="the images have 13 channels, the encoder takes 3: build it with in_channels"):
        strategy.train(stream if whole else stream[0])
    assert not started.begun


def test_methods_that_need_color_say_so_before_anything_else():
    for channels in (1, 13):
        with pytest.raises(UsageError, match=f"CMC splits colors and needs RGB, and the images have {channels} chan"):
            make(cmc()).train(array_stream(channels).train_stream)


def test_a_stream_that_cannot_be_looked_into_fails_at_its_first_step_with_the_same_words():
    stream = islice(online_stream(array_stream(4).train_stream, 10), 3)
    with pytest.raises(UsageError, match="the images have 4 channels, the encoder takes 3"):
        make(train_mb_size=10).train(stream, eval_streams=[])


def test_images_of_another_shape_later_are_explained():
    def flat():
        return Encoder(torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.LazyLinear(8)), 8)

    class Raw(SimCLR):
        def views(self, x):
            return dict.fromkeys(("first", "second"), x.float() / 255)

    model = Raw(flat)
    model(torch.zeros(2, 3, 16, 16, dtype=torch.uint8))
    strategy = make(model, train_mb_size=16)
    strategy.train(array_stream(3, size=16).train_stream)
    with pytest.raises(UsageError, match="images of 20x20 with 3 channels"):
        strategy.train(array_stream(3, size=20).train_stream[0])


def test_the_trial_changes_no_result():
    """A second strategy that has tried many shapes before gives the same weights and memory, bit for bit."""
    stream = array_stream(3).train_stream
    strategies = [make(), make()]
    strategies[1].try_shapes([(3, 32, 32), (3, 7, 50), (1, 28, 28)])
    assert strategies[1].tried == {(3, 32, 32), (3, 7, 50), (1, 28, 28)}
    for strategy in strategies:
        strategy.train(stream)
    assert_same(*map(state, strategies))


@pytest.mark.parametrize("channels", [1, 4, 13])
def test_an_encoder_of_the_same_channels_trains(channels):
    torch.manual_seed(0)
    stream = array_stream(channels)
    probe = ProbePlugin(stream)
    strategy = make(MoCo(partial(tiny, channels), output_dim=8, queue_size=64), plugins=[probe])
    before = state(strategy)
    strategy.train(stream.train_stream)
    assert not torch.equal(before["encoder.stages.0.0.weight"], state(strategy)["encoder.stages.0.0.weight"])
    assert len(probe.rows) == 3


def test_gray_images_train_an_encoder_of_rgb_as_rgb_and_it_is_said():
    """The same weights as from the RGB images with three equal channels."""
    gray = array_stream(1)
    strategies = [make(), make()]
    with pytest.warns(UserWarning, match="gray images become RGB"):
        for experience in gray.train_stream:
            strategies[0].train(experience)
    for experience in gray.train_stream:
        pixels = images(experience.dataset).expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()
        data, everything = ArrayDataset(pixels, list(experience.dataset.targets)), [np.arange(len(pixels))]
        strategies[1].train(benchmark_from_parts(data, everything, data, everything, None).train_stream)
    assert_same(*map(state, strategies))


@pytest.mark.filterwarnings("ignore:gray images")
def test_plugins_that_load_images_themselves_get_them_as_the_encoder_takes_them():
    stream = array_stream(1).train_stream
    strategy = make(plugins=[av.EWCPlugin(1.0), av.AGEMPlugin(4, 4)])
    for experience in stream:
        strategy.train(experience, eval_streams=[])
    assert strategy.clock.train_iterations == 2


def test_nothing_is_tried_twice(monkeypatch):
    tried = []
    monkeypatch.setattr("avalanche_ssl.training.trial.try_images", lambda model, shape, device: tried.append(shape))
    strategy = make(moco())
    for experience in array_stream(3).train_stream:
        strategy.train(experience)
    assert tried == [(3, 32, 32)]
