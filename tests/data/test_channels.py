"""Gray images among RGB become RGB, with a word; other mixtures are refused by name."""

import pytest
import torch
from PIL import Image

from avalanche_ssl.data import RawDataLoader, make_reader
from avalanche_ssl.data.channels import as_rgb, stack_images
from avalanche_ssl.errors import UsageError


class Pictures(torch.utils.data.Dataset):
    """PIL images of the given modes; image i is of the color 10 * i."""

    def __init__(self, *modes):
        self.modes = modes
        self.targets = list(range(len(modes)))

    def __len__(self):
        return len(self.modes)

    def __getitem__(self, index):
        mode, value = self.modes[index], 10 * index
        return Image.new(mode, (6, 5), value if mode == "L" else (value, value + 1, value + 2)), index


def test_gray_images_become_rgb_with_equal_channels():
    with pytest.warns(UserWarning, match="gray images become RGB"):
        x, y, _ = make_reader(Pictures("RGB", "L", "RGB")).batch(torch.tensor([0, 1, 2]))
    assert x.dtype == torch.uint8
    assert x.shape == (3, 3, 5, 6)
    assert x[:, :, 0, 0].tolist() == [[0, 1, 2], [10, 10, 10], [20, 21, 22]]
    assert y.tolist() == [0, 1, 2]


def test_an_image_is_the_same_whatever_it_shares_a_batch_with():
    """An encoder of three channels gets RGB, also where a batch happens to be all gray, as the last one here."""
    dataset = Pictures("L", "RGB", "L")
    with pytest.warns(UserWarning, match="gray images become RGB"):
        together, alone = RawDataLoader([dataset], [2], shuffle=False, drop_last=False, in_channels=3)
    assert together[0].shape[1] == alone[0].shape[1] == 3
    assert alone[0][0, :, 0, 0].tolist() == [20, 20, 20]


def test_gray_images_alone_stay_gray():
    ((x, *_),) = RawDataLoader([Pictures("L", "L")], [2], shuffle=False, in_channels=1)
    assert x.shape == (2, 1, 5, 6)
    ((x, *_),) = RawDataLoader([Pictures("L", "L")], [2], shuffle=False)
    assert x.shape == (2, 1, 5, 6)


def test_a_gray_memory_joins_a_stream_of_rgb():
    with pytest.warns(UserWarning, match="gray images become RGB"):
        ((x, *_),) = RawDataLoader([Pictures("RGB", "RGB"), Pictures("L", "L")], [2, 2], shuffle=False)
    assert x[:, :, 0, 0].tolist() == [[0, 1, 2], [10, 11, 12], [0, 0, 0], [10, 10, 10]]


@pytest.mark.parametrize(
    ("shapes", "remedy"),
    [
        (((3, 8, 8), (4, 8, 8)), "give all as many channels"),
        (((13, 8, 8), (3, 8, 8), (1, 8, 8)), "give all as many channels"),
        (((3, 8, 8), (3, 9, 8)), "resize them"),
        (((1, 8, 8), (3, 9, 8)), "resize them"),
    ],
)
@pytest.mark.filterwarnings("ignore:gray images")
def test_other_mixtures_are_refused_by_name(shapes, remedy):
    with pytest.raises(UsageError) as error:
        stack_images([torch.zeros(shape) for shape in shapes], lambda place: f"picture {place}")
    message = str(error.value)
    assert "picture 0 has" in message
    assert f"picture 1 {shapes[1]}" in message
    assert remedy in message
    assert "\n" not in message


def test_only_gray_images_are_changed():
    for shape in ((3, 4, 4), (2, 4, 4, 4), (2, 13, 4, 4)):
        x = torch.rand(shape)
        assert as_rgb(x) is x
