"""Plain torch reads what a run exports, and the card says what it is."""

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from crashes.comparison import compare, log_of
from crashes.small_run import few_digits, run_options
from helpers.docs import block

from avalanche_ssl import models
from avalanche_ssl.checkpointing import read_encoder, write_encoder
from avalanche_ssl.cli import export, run
from avalanche_ssl.models import ENCODERS, smallconv
from avalanche_ssl.runs.build import run_of_folder
from avalanche_ssl.streams import BENCHMARKS

pytestmark = pytest.mark.slow

KINDS = ["simclr", "cmc", "deepcluster", "moco"]
tiny = partial(smallconv, width=4)


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """The small stream and the narrow encoder by name, also where a card imports it from."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(BENCHMARKS, "few-digits", few_digits)
        patch.setitem(ENCODERS, "tiny", tiny)
        patch.setattr(models, "tiny", tiny, raising=False)
        yield


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, small: None) -> Path:
    """A short run of each kind of encoder: plain, one per view, on derivatives of images, with split batch norm."""
    place = tmp_path_factory.mktemp("runs")
    for strategy in KINDS:
        more = ["--set", "split_norm=true"] if strategy == "moco" else []
        assert run.main([*run_options(strategy), "--epochs", "1", *more, "--out", str(place / strategy)]) == 0
    return place


@pytest.fixture(autouse=True)
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder to work in."""
    monkeypatch.chdir(tmp_path)


def of_card(card: str) -> Any:
    """The encoder that the code in a card makes."""
    code = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    assert code and code[1].count("\n") <= (6 if "safetensors" in card else 5)
    names: dict[str, Any] = {}
    exec(code[1], names)
    return names["encoder"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("file", ["e.pt", "e.safetensors"])
def test_the_code_in_a_card_gives_the_encoder_of_the_run(kind: str, file: str, runs: Path) -> None:
    assert export.main([str(runs / kind), "--out", file]) == 0
    encoder = of_card(Path(f"{file}.md").read_text())
    expected = run_of_folder(runs / kind)[1].build_method().encoder
    expected.load_state_dict(torch.load(runs / kind / "encoder.pt", weights_only=True))
    assert repr(encoder) == repr(expected) and not encoder.training
    assert not compare(encoder.state_dict(), expected.state_dict(), "")


def test_the_five_lines_of_the_readme(runs: Path) -> None:
    code = block("benchmarks/README.md", "weights_only=True")
    assert sum(bool(line) for line in code.splitlines()) == 5
    (tmp := Path("encoder.pt")).write_bytes((runs / "simclr" / "encoder.pt").read_bytes())
    names: dict[str, Any] = {"images": torch.rand(6, 3, 32, 32)}
    exec(code.replace("smallconv", "tiny"), names)
    method = run_of_folder(runs / "simclr")[1].build_method().eval()
    method.encoder.load_state_dict(torch.load(tmp, weights_only=True))
    assert torch.equal(names["features"], method.extract_features(names["images"]))


def test_the_card_says_what_it_is(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (runs / "simclr" / "encoder.pt").read_bytes()
    assert export.main([str(runs / "simclr")]) == 0
    assert capsys.readouterr().out.split() == [str(runs / "simclr" / n) for n in ("encoder.pt", "encoder.pt.md")]
    assert (runs / "simclr" / "encoder.pt").read_bytes() == before
    card = (runs / "simclr" / "encoder.pt.md").read_text()
    for words in ("# Encoder of simclr on few-digits, seed 0", "after 2 of 2 experiences", "minus 0.5, divided by 0.25",
                  "    strategy: simclr\n", "    benchmark: few-digits\n", "      encoder: tiny\n"):  # fmt: skip
        assert words in card, words
    log = log_of(runs / "simclr")
    for scope in ("all", "seen", "task"):
        last = [
            e["accuracy"]
            for e in log
            if e["event"] == "probe" and e["experiences_trained"] == 2 and e["scope"] == scope
        ]
        assert re.search(rf"\| ridge \| {scope} \| .* \| {100 * sum(last) / 2:.1f} \|", card)


def test_a_new_run_removes_the_card_of_the_old_one(runs: Path) -> None:
    arguments = [*run_options("simclr"), "--epochs", "1", "--out", "a"]
    assert run.main(arguments) == 0 and export.main(["a"]) == 0
    assert Path("a/encoder.pt.md").exists()
    assert run.main([*arguments, "--overwrite"]) == 0
    assert not Path("a/encoder.pt.md").exists()


def test_the_encoder_in_a_checkpoint(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export.main([str(runs / "moco" / "checkpoint")]) == 2
    assert "say with --out" in capsys.readouterr().err
    assert export.main([str(runs / "moco" / "checkpoint"), "--out", "a.pt"]) == 0
    assert not compare(read_encoder("a.pt"), read_encoder(runs / "moco" / "encoder.pt"), "")
    assert "an unknown part of the stream" in Path("a.pt.md").read_text()


def test_what_is_no_run_is_one_line(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a").mkdir()
    for name in ("config.yaml", "encoder.pt"):
        (tmp_path / "a" / name).write_bytes((runs / "simclr" / name).read_bytes())
    assert export.main(["a"]) == 0, "a run without a log was not probed"
    assert "was not probed" in Path("a/encoder.pt.md").read_text()
    for source, words in {"nowhere": "no run 'nowhere'", ".": "no run '.'", "a/encoder.pt": "say with --out"}.items():
        assert export.main([source]) == 2
        said = capsys.readouterr().err
        assert words in said and said.startswith("avalanche-ssl export: ") and said.count("\n") == 1
    (tmp_path / "a" / "encoder.pt").write_bytes((runs / "moco" / "encoder.pt").read_bytes())
    write_encoder("a/encoder.pt", {"x": torch.zeros(2)})
    assert export.main(["a"]) == 2
    assert "the weights are not of this run's encoder" in capsys.readouterr().err
    (tmp_path / "a" / "encoder.pt").unlink()
    assert export.main(["a"]) == 2
    assert capsys.readouterr().err.endswith("the run is not over; finish it with run --resume --out a\n")
    assert export.main([str(runs / "simclr"), "--out", "/dev/null/e.pt"]) == 2
    assert "cannot write /dev/null/e.pt" in capsys.readouterr().err


@pytest.mark.parametrize("file", ["enc.onx", "enc", "enc.PT", "enc.npz", "enc.pt.md"])
def test_a_suffix_that_is_none_of_weights_is_refused(
    file: str, runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export.main([str(runs / "simclr"), "--out", file]) == 2
    refused = (
        f"avalanche-ssl export: cannot export to '{file}': give a file that ends in .pt, .pth, .safetensors or .onnx\n"
    )
    assert capsys.readouterr().err == refused
    assert not list(tmp_path.iterdir())


def test_exports_of_one_stem_have_a_card_each(runs: Path, tmp_path: Path) -> None:
    (tmp_path / "e.md").write_text("mine")
    for file in ("e.pt", "e.pth", "e.safetensors"):
        assert export.main([str(runs / "simclr"), "--out", file]) == 0
    for file in ("e.pt", "e.pth", "e.safetensors"):
        assert f"('{file}'" in Path(f"{file}.md").read_text()
    assert (tmp_path / "e.md").read_text() == "mine"


@pytest.mark.parametrize(("kind", "file"), [("torchscript", "e.pt"), (None, "e.onnx"), ("huggingface", "hub")])
def test_formats_of_other_tools(kind: str | None, file: str, runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The code in the card, from the file that the command wrote."""
    if file == "e.onnx":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnxscript")
    assert export.main([str(runs / "simclr"), "--out", file, *(["--format", kind] if kind else [])]) == 0
    written, page = map(Path, capsys.readouterr().out.split())
    assert written.is_file() and "after 2 of 2 experiences" in page.read_text()
    expected = run_of_folder(runs / "simclr")[1].build_method().encoder.eval()
    expected.load_state_dict(read_encoder(runs / "simclr" / "encoder.pt"))
    images = torch.rand(2, 3, 32, 32)
    names: dict[str, Any] = {"images": images}
    code = re.search(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(written.parent)
        exec(code[1], names)  # type: ignore[index]
    found = names["features"] if "features" in names else names["encoder"](images).detach()
    torch.testing.assert_close(torch.as_tensor(found), expected(images).detach(), rtol=1e-4, atol=1e-5)


def test_formats_that_cannot_be(runs: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for words, said in {
        ("simclr", "--format", "onnx"): "--format onnx writes a file or folder of its own: say with --out where",
        ("simclr", "--format", "timm", "--out", "e.pt"): "none of torchvision's and timm's ResNets",
        ("cmc", "--out", "e.onnx"): "the encoder is a ModuleDict of several networks",
        ("simclr", "--format", "onnx", "--out", "e.pt"): "cannot export to 'e.pt': give a file that ends in .onnx",
        ("simclr", "--push", "me/mine"): "--push uploads a folder of Hugging Face",
    }.items():
        assert export.main([str(runs / words[0]), *words[1:]]) == 2
        error = capsys.readouterr().err
        assert said in error and error.count("\n") == 1
    assert not list(tmp_path.iterdir())
