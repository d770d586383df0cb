"""Each format is written, and the code of its card gives the same features elsewhere."""

import json
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from avalanche_ssl.errors import UsageError
from avalanche_ssl.methods import CMC, SimCLR
from avalanche_ssl.models import ENCODERS, load_weights, resnet18
from avalanche_ssl.recipes import Recipe
from avalanche_ssl.runs.exporting import check_folder, method_with, push, write_folder, write_weights
from avalanche_ssl.runs.model_card import card

CONFIG = {"strategy": "simclr", "benchmark": "digits", "seed": 3, "settings": {}}
IMAGES = torch.randn(3, 3, 48, 48, generator=torch.Generator().manual_seed(1))


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(ENCODERS, "large-stem", partial(resnet18, stem="imagenet"))


def trained(encoder: str, in_channels: int | None = None) -> Any:
    method = Recipe(SimCLR, encoder=encoder, in_channels=in_channels).build_method(3)
    method.encoder(IMAGES[:, : in_channels or 3])  # statistics that are not the initial ones
    return method.eval()


def code_of(text: str) -> dict[str, Any]:
    found = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert found
    names: dict[str, Any] = {"images": IMAGES}
    exec(found[1], names)
    return names


@pytest.mark.parametrize("kind", ["torchvision", "timm"])
@pytest.mark.parametrize("encoder", ["resnet18", "large-stem"])
@pytest.mark.parametrize("file", ["e.pt", "e.safetensors"])
@pytest.mark.parametrize("channels", [3, 1])
def test_resnets_of_torchvision_and_timm(kind: str, encoder: str, file: str, channels: int) -> None:
    """`load_state_dict(..., strict=True)`, the same features, and back."""
    pytest.importorskip(kind)
    method = trained(encoder, channels)
    text = write_weights(kind, Path(file), method)
    assert text and "strict=True" in text and ("a stem for small images" in text) == (encoder == "resnet18")
    network = code_of(text)["encoder"]
    images = IMAGES[:, :channels]
    assert not network.training
    torch.testing.assert_close(network(images), method.encoder(images), rtol=1e-5, atol=1e-5)
    back = ENCODERS[encoder](channels)
    load_weights(back, file)
    assert torch.equal(back.eval()(images), method.encoder(images))


def test_torchscript_and_the_code_of_its_card() -> None:
    method = trained("smallconv")
    text = write_weights("torchscript", Path("e.pt"), method)
    loaded = code_of(card(Recipe(SimCLR), CONFIG, method.encoder.state_dict(), Path("e.pt"), "all", (), text))
    torch.testing.assert_close(loaded["encoder"](IMAGES), method.encoder(IMAGES), rtol=1e-5, atol=1e-5)


@pytest.mark.slow
def test_onnx_and_the_code_of_its_card() -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    method = trained("smallconv")
    text = write_weights("onnx", Path("e.onnx"), method)
    features = torch.from_numpy(code_of(text or "")["features"])
    torch.testing.assert_close(features, method.encoder(IMAGES).detach(), rtol=1e-4, atol=1e-5)


def test_a_folder_of_hugging_face(monkeypatch: pytest.MonkeyPatch) -> None:
    method, recipe = trained("smallconv"), Recipe(SimCLR)
    check_folder(Path("hub"))
    assert write_weights("huggingface", Path("hub"), method) is None
    text = card(recipe, CONFIG, method.encoder.state_dict(), Path("hub/model.safetensors"), "all", ())
    write_folder(Path("hub"), method, recipe, CONFIG, text)
    assert sorted(path.name for path in Path("hub").iterdir()) == ["README.md", "config.json", "model.safetensors"]
    about = json.loads(Path("hub/config.json").read_text())
    assert (about["architecture"], about["num_features"], about["in_channels"]) == ("smallconv", 256, 3)
    assert (about["image_mean"], about["image_std"], about["seed"]) == (0.5, 0.25, 3)
    page = Path("hub/README.md").read_text()
    assert page.startswith("---\nlibrary_name: avalanche-ssl\n") and "\n---\n\n# Encoder of simclr on digits" in page
    monkeypatch.chdir("hub")
    assert torch.equal(code_of(page)["encoder"](IMAGES), method.encoder(IMAGES))
    own = ENCODERS["smallconv"]()
    load_weights(own, Path())
    assert torch.equal(own.eval()(IMAGES), method.encoder(IMAGES)), "--init takes the folder"
    check_folder(Path())
    Path("mine.txt").touch()
    with pytest.raises(UsageError, match=r"holds other files than an export \(mine.txt\)"):
        check_folder(Path())


def test_push_uploads_the_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = pytest.importorskip("huggingface_hub")
    calls: list[Any] = []
    monkeypatch.setattr(hub.HfApi, "create_repo", lambda self, name, exist_ok: calls.append((name, exist_ok)))
    monkeypatch.setattr(hub.HfApi, "upload_folder", lambda self, **given: calls.append(given))
    assert push(Path("hub"), "me/mine") == "https://huggingface.co/me/mine"
    assert calls == [("me/mine", True), {"repo_id": "me/mine", "folder_path": "hub"}]

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("401\nUnauthorized")

    monkeypatch.setattr(hub.HfApi, "create_repo", fail)
    with pytest.raises(UsageError, match=r"cannot upload hub to me/mine \(401 Unauthorized\)"):
        push(Path("hub"), "me/mine")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match="--push needs a package: pip install huggingface_hub"):
        push(Path("hub"), "me/mine")


def test_what_has_no_such_form() -> None:
    with pytest.raises(UsageError, match="none of torchvision's and timm's ResNets"):
        write_weights("timm", Path("e.pt"), trained("smallconv"))
    views = Recipe(partial(CMC, negatives="batch")).build_method(0)
    for kind in ("torchscript", "torchvision"):
        with pytest.raises(UsageError, match="give --format torch"):
            write_weights(kind, Path("e.pt"), views)
    assert not list(Path().iterdir())


def test_weights_of_another_encoder() -> None:
    method = method_with(Recipe(SimCLR), Recipe(SimCLR).build_method(5).encoder.state_dict())
    assert not method.training
    with pytest.raises(UsageError, match="the weights are not of this run's encoder"):
        method_with(Recipe(SimCLR), {"x": torch.zeros(2)})


def test_cards_say_what_a_run_started_from() -> None:
    weights = Recipe(SimCLR).build_method(5).encoder.state_dict()

    def text(**more: Any) -> str:
        results = [("ridge", "all", 0.25, 0.5)]
        return card(Recipe(SimCLR), CONFIG | more, weights, Path("e.pt"), "all", results)

    assert "| untrained % |" in text() and "Started from" not in text() and "Continues" not in text()
    started = text(init="/there/moco.pth.tar", init_sha256="ab12")
    assert "Started from the weights moco.pth.tar, SHA-256 ab12.\n" in started and "| at the start % |" in started
    continued = text(continue_from="b", lineage=["moco on x, seed 0: /a", "moco on y, seed 0: /b"])
    assert "Continues, oldest first:\n\n- moco on x, seed 0: /a\n- moco on y, seed 0: /b\n" in continued
