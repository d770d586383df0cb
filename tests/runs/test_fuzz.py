"""A damaged or malicious configuration, setting or image is one line, and never used in silence."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from helpers.damage import damage
from helpers.encoders import tiny
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from avalanche_ssl import streams
from avalanche_ssl.cli import run
from avalanche_ssl.errors import UsageError
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.runs import RunConfig, runner
from avalanche_ssl.streams import BENCHMARKS

MANY = settings(max_examples=80)
GOOD: dict[str, Any] = {
    "strategy": "simclr",
    "benchmark": "split-digits",
    "data": None,
    "benchmark_options": {"experiences": 2, "seed": 0, "composites": 2},
    "online_batch_size": 0,
    "plugins": {},
    "seed": 0,
    "stream_seed": 0,
    "device": "cpu",
    "precision": "fp32",
    "probes": "ridge",
    "num_workers": 0,
    "on_nan": "raise",
    "settings": {
        "lr": 0.01,
        "output_dim": 8,
        "schedule": {"kind": "cosine", "warmup": 0.1},
        "augment": {"scale": [0.2, 1.0]},
    },
}
KEYS = [*GOOD, *(f"{head}.{key}" for head in ("benchmark_options", "settings") for key in GOOD[head])]
ANYTHING: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """An empty folder, and the configurations of runs that would have started there."""
    started: list[Any] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)
    monkeypatch.setitem(BENCHMARKS, "split-digits", lambda experiences=5, seed=0, composites=1: None)
    monkeypatch.setattr(runner, "train", lambda recipe, benchmark, config, out, **_: started.append(config))
    return started


def one_line(arguments: list[str], ran: list[Any], capsys: pytest.CaptureFixture[str]) -> str:
    """The message about a mistake; "" where a run would have started, with settings of the right types."""
    ran.clear()
    status = run.main(arguments)
    said = capsys.readouterr().err
    if status:
        assert (status, len(ran)) == (2, 0)
        assert said.startswith("avalanche-ssl run: ") and said.count("\n") == 1 and len(said) < 2000, said[:500]
        return said
    (config,) = ran
    plain = config.as_dict()
    for name, default in RunConfig(strategy="simclr").as_dict().items():
        kind = type(default) if default is not None else (int if name == "stream_seed" else str) | None
        assert isinstance(plain[name], kind), f"{name} is {plain[name]!r}"
    again = yaml.safe_load(yaml.safe_dump(plain))
    assert again == plain or plain != plain, "config.yaml can be written and read"
    return ""


@MANY
@given(change=damage())
def test_damaged_configurations(ran: Any, capsys: Any, change: Callable[[bytes], bytes]) -> None:
    Path("c.yaml").write_bytes(change(yaml.safe_dump(GOOD).encode()))
    one_line(["--config", "c.yaml"], ran, capsys)


@MANY
@given(key=st.sampled_from(KEYS), value=ANYTHING)
def test_wrong_types(ran: Any, capsys: Any, key: str, value: Any) -> None:
    head, _, rest = key.partition(".")
    Path("c.yaml").write_text(yaml.safe_dump(GOOD | {head: GOOD[head] | {rest: value} if rest else value}))
    one_line(["--config", "c.yaml"], ran, capsys)


BOMB = "\n".join(["&0 [x, x, x, x, x, x, x, x]", *(f"&{i} [{', '.join([f'*{i - 1}'] * 9)}]" for i in range(1, 7))])
NESTED = {
    "lists": "seed: " + "[" * 20_000,
    "closed lists": "seed: " + "[" * 300 + "]" * 300,
    "maps": "settings: " + "{a: " * 5000,
    "settings": "settings: " + "{augment: " * 200 + "1" + "}" * 200,
    "itself": "strategy: simclr\nsettings: &a {augment: *a}",
    "list of itself": "strategy: simclr\nseed: &a [*a]",
    "billion laughs": "strategy: simclr\nsettings:\n  lr:\n    - " + BOMB.replace("\n", "\n    - "),
    "huge number": "strategy: simclr\nseed: " + "9" * 10_000,
    "many keys": "strategy: simclr\nsettings: {" + ", ".join(f"k{i}: {i}" for i in range(5000)) + "}",
    "nul": "strategy: simclr\0",
}


@pytest.mark.parametrize("name", NESTED)
def test_deep_nesting_and_expansion(name: str, ran: Any, capsys: Any) -> None:
    Path("c.yaml").write_text(NESTED[name])
    assert one_line(["--config", "c.yaml"], ran, capsys)


@MANY
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30), value=ANYTHING)
@example("lr=" + "[" * 5000, 0)
@example("lr=&a [*a]", 0)
@example("augment.scale=[1", 0)
@example("=", 0)
@example("lr=2024-99-99", 0)
def test_any_set(ran: Any, capsys: Any, text: str, value: Any) -> None:
    base = ["--strategy", "simclr", "--device", "cpu", "--precision", "fp32"]
    if "=" not in text:
        text = f"lr={text}"
    one_line([*base, f"--set={text}"], ran, capsys)
    one_line([*base, f"--benchmark-option={text}"], ran, capsys)
    one_line([*base, f"--set=augment={yaml.safe_dump(value, default_flow_style=True)}"], ran, capsys)


EVIL = "!!python/object/apply:os.system ['touch victim']"


@pytest.mark.parametrize(
    "text", [EVIL, f"strategy: {EVIL}", f"strategy: simclr\nsettings: {{lr: {EVIL}}}", f"{EVIL}: 1"]
)
def test_a_malicious_configuration_runs_nothing(text: str, ran: Any, capsys: Any) -> None:
    Path("c.yaml").write_text(text)
    assert "cannot read c.yaml" in one_line(["--config", "c.yaml"], ran, capsys)
    assert not Path("victim").exists()
    yaml.unsafe_load(text)
    assert Path("victim").exists(), "it is malicious indeed"


@pytest.mark.parametrize("option", ["--set", "--benchmark-option"])
def test_a_malicious_setting_runs_nothing(option: str, ran: Any, capsys: Any) -> None:
    assert "is not YAML" in one_line(["--strategy", "simclr", option, f"lr={EVIL}"], ran, capsys)
    assert not Path("victim").exists()


# -- image folders -----------------------------------------------------------------------------------------------------


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of three images, one a JPEG."""
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for label in "ab":
            folder = tmp_path / "photos" / part / label
            folder.mkdir(parents=True)
            for name in ("0.png", "1.jpg", "2.png"):
                Image.fromarray(rng.integers(0, 256, (20, 20, 3), np.uint8)).save(folder / name)
    return tmp_path / "photos"


def pixels(data: Path) -> Any:
    stream = streams.folder(data, experiences=1, size=16).train_stream
    return np.stack([x.numpy() for x, *_ in stream[0].dataset])


@MANY
@given(change=damage(), name=st.sampled_from(["0.png", "1.jpg"]))
def test_damaged_images(photos: Path, change: Callable[[bytes], bytes], name: str) -> None:
    path = photos / "train" / "a" / name
    whole, good = pixels(photos), path.read_bytes()
    assume(change(good) != good)
    path.write_bytes(change(good))
    try:
        found = pixels(photos)
    except UsageError as error:
        assert f"cannot read image '{path}'" in str(error) and "\n" not in str(error)
    else:  # a JPEG has no checksum: what can be decoded is taken
        assert name == "1.jpg" or np.array_equal(found, whole)
    finally:
        path.write_bytes(good)


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"\x89PNG\r\n\x1a\n", b"<html></html>", b"\xff\xd8\xff\xe0", bytes(1000)]
)
@pytest.mark.parametrize("name", ["0.png", "1.jpg"])
def test_what_is_no_image(content: bytes, name: str, photos: Path, ran: Any, capsys: Any) -> None:
    (photos / "test" / "b" / name).write_bytes(content)
    arguments = ["--strategy", "simclr", "--benchmark", "folder", "--data", str(photos), "--experiences", "2"]
    assert run.main(arguments) == 2
    said = capsys.readouterr().err.split("\r")[-1]
    assert f"avalanche-ssl run: cannot read image '{photos / 'test' / 'b' / name}'" in said and said.count("\n") == 1
    assert not ran
