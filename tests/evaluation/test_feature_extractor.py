"""Features of datasets, each image encoded once."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from avalanche.benchmarks.utils import as_classification_dataset
from helpers.datasets import PictureDataset
from helpers.domains import frozen_images, turned
from helpers.probing import corner, moco
from torchvision import transforms as T

from avalanche_ssl import streams
from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation import FeatureExtractor


@pytest.mark.filterwarnings(r"ignore:.*of CORe50's 164,866 frames:UserWarning")
def test_images_that_experiences_share_are_encoded_once(core50_root: Path) -> None:
    """All eight experiences of NI are tested on the same images."""
    benchmark = streams.core50_stream("ni", core50_root, size=16)
    datasets = [e.dataset for e in benchmark.test_stream]
    strategy, encoded = corner(part=slice(0, 8)), []
    extract_features = strategy.model.extract_features
    strategy.model.extract_features = lambda x: encoded.append(len(x)) or extract_features(x)
    shared = FeatureExtractor([datasets], batch_size=512)(strategy, datasets)
    assert sum(encoded) == 300
    each = FeatureExtractor([], batch_size=512)(strategy, datasets)
    assert sum(encoded) == 300 + 8 * 300
    assert all(torch.equal(a, c) and torch.equal(b, d) for (a, b), (c, d) in zip(shared, each, strict=True))


def test_small_datasets_whose_images_differ_in_size_are_not_read_in_one_batch() -> None:
    """As those of domains at their own resolutions; small ones of one size share batches."""
    datasets = [as_classification_dataset(PictureDataset(4, size=size)) for size in (8, 12, 8)]
    strategy, encoded = corner(part=slice(0, 8)), []
    extract_features = strategy.model.extract_features
    strategy.model.extract_features = lambda x: encoded.append(tuple(x.shape[2:])) or extract_features(x)
    found = FeatureExtractor([datasets], batch_size=512)(strategy, datasets)
    assert encoded == [(8, 8), (12, 12), (8, 8)]
    for (x, y), dataset in zip(found, datasets, strict=True):
        (alone, labels), *_ = FeatureExtractor([], batch_size=512)(strategy, [dataset])
        assert torch.equal(x, alone) and torch.equal(y, labels)


def test_crops_are_those_of_the_generator(few: Any) -> None:
    datasets, strategy = [e.dataset for e in few.test_stream], moco()
    extractor = FeatureExtractor([datasets], batch_size=4)
    plain, first, again, other = (
        extractor(strategy, datasets, None if seed is None else torch.Generator().manual_seed(seed))
        for seed in (None, 0, 0, 1)
    )
    assert [len(y) for _, y in first] == [5, 9]
    assert all(torch.equal(y, z) for (_, y), (_, z) in zip(plain, first, strict=True))
    assert torch.equal(first[0][0], again[0][0])
    assert not torch.equal(first[0][0], other[0][0]) and not torch.equal(first[0][0], plain[0][0])


def test_a_model_without_features_needs_a_function(few: Any) -> None:
    model = torch.nn.Linear(1, 1)
    strategy = SimpleNamespace(model=model, device=torch.device("cpu"), use_dataset_transforms=False)
    with pytest.raises(UsageError, match=r"Linear has no method extract_features\(x\): give ProbePlugin\(\.\.\., ext"):
        FeatureExtractor([], 4).model(strategy)
    datasets = [e.dataset for e in few.test_stream]
    found = FeatureExtractor([], 4, lambda model, x: x.float().mean((2, 3)))(strategy, datasets)
    assert [x.shape for x, _ in found] == [(5, 3), (9, 3)]


def test_images_are_read_through_frozen_transforms() -> None:
    """The features of a corner are its color, which differs between the turned pictures of each experience."""
    benchmark, strategy = turned(), corner()
    for stream in (benchmark.train_stream, benchmark.test_stream):
        datasets = [e.dataset for e in stream]
        shared = FeatureExtractor([datasets], batch_size=512)(strategy, datasets)
        each = FeatureExtractor([], batch_size=7)(strategy, datasets)
        for (x, _), (x_alone, _), dataset in zip(shared, each, datasets, strict=True):
            expected = frozen_images(dataset.eval())[..., 5:6, 5:6].mean((2, 3))
            torch.testing.assert_close(x, expected)
            torch.testing.assert_close(x_alone, expected)
        assert (shared[0][0].mean(0) - shared[2][0].mean(0)).abs().min() > 0.2


def test_ordinary_transforms_that_differ_are_refused() -> None:
    datasets = [e.dataset for e in turned(frozen=False).test_stream]
    with pytest.raises(
        UsageError, match=r"experiences 1 and 2 have different transforms \(Turn\(angle=0\); Turn\(angle=90\)\)"
    ):
        FeatureExtractor([datasets], 512)(corner(), datasets)
    strategy = corner()
    strategy.use_dataset_transforms = True
    assert len(FeatureExtractor([datasets], 512)(strategy, datasets)) == 3


def test_networks_of_other_strategies_get_what_the_transforms_of_the_dataset_give() -> None:
    """Our methods refuse normalized images; a network of somebody's own expects them."""
    normalize = T.Compose([T.ToTensor(), T.Normalize([0.5] * 3, [0.25] * 3)])
    dataset = as_classification_dataset(PictureDataset(6, transform=normalize))
    model, device = torch.nn.Flatten(), torch.device("cpu")
    ((x, _),) = FeatureExtractor([], 4, lambda model, x: model(x))(
        SimpleNamespace(model=model, device=device), [dataset]
    )
    torch.testing.assert_close(x, torch.stack([dataset[i][0].flatten() for i in range(6)]))
    ours = SimpleNamespace(model=corner().model, device=device, use_dataset_transforms=True)
    with pytest.raises(UsageError, match=r"image 0 of PictureDataset holds float values from .*: remove Normalize"):
        FeatureExtractor([], 4)(ours, [dataset])


# -- precision and batches -------------------------------------------------------------------------------------------


def conv_features(strategy: Any, datasets: Any, **options: Any) -> torch.Tensor:
    ((x, _),) = FeatureExtractor([], **options)(strategy, datasets)
    return x


@pytest.mark.parametrize(
    ("trained", "precision", "bf16"),
    [("bf16", "auto", True), ("fp32", "auto", False), ("bf16", "fp32", False), ("fp32", "bf16", True)],
)
def test_features_are_of_the_precision_of_training_or_the_one_that_is_named(
    few: Any, trained: str, precision: Any, bf16: bool
) -> None:
    dataset, strategy = few.train_stream[0].dataset, moco(precision=trained)
    x = conv_features(strategy, [dataset], precision=precision)
    images = torch.stack([image for image, *_ in dataset])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        expected = strategy.model.eval().extract_features(images).float()
    assert x.dtype == torch.float32
    torch.testing.assert_close(x, expected, rtol=1e-6, atol=1e-6)
    exact = conv_features(strategy, [dataset], precision="fp32")
    assert torch.equal(x, exact) != bf16
    torch.testing.assert_close(x, exact, rtol=0.03, atol=0.03)


def test_a_function_of_the_model_is_computed_in_that_precision_too(few: Any) -> None:
    strategy, dtypes = moco(precision="bf16"), []

    def features(model: Any, x: torch.Tensor) -> torch.Tensor:
        dtypes.append((z := model.encoder.stages[0](x.float() / 255).mean((2, 3))).dtype)
        return z

    ((x, _),) = FeatureExtractor([], 8, features)(strategy, [few.test_stream[0].dataset])
    assert set(dtypes) == {torch.bfloat16} and x.dtype == torch.float32


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(UsageError, match="no precision of evaluation 'fp16': did you mean"):
        FeatureExtractor([], precision="fp16")  # type: ignore[arg-type]


@pytest.mark.parametrize("trained", ["fp32", "bf16"])
def test_features_of_an_image_do_not_depend_on_its_batch(few: Any, trained: str) -> None:
    """But for rounding: a batch of other size may be summed in another order."""
    dataset, strategy = few.train_stream[0].dataset, moco(precision=trained)
    whole, small, single = (conv_features(strategy, [dataset], batch_size=size) for size in (None, 7, 1))
    torch.testing.assert_close(small, whole, rtol=1e-2 if trained == "bf16" else 1e-5, atol=1e-5)
    torch.testing.assert_close(single, whole, rtol=1e-2 if trained == "bf16" else 1e-5, atol=1e-5)


def test_batches_fit_the_caches_of_a_processor(few: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    strategy, dataset = corner(), few.train_stream[0].dataset
    extract_features = strategy.model.extract_features
    strategy.model.extract_features = lambda x: sizes.append(len(x)) or extract_features(x)
    many = dataset.concat(dataset).concat(dataset).concat(dataset)
    many = many.concat(many)
    FeatureExtractor([])(strategy, [many])
    FeatureExtractor([], 100)(strategy, [many])
    assert sizes == [128, 32, 100, 60]
