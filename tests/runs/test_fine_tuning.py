"""Fine-tuning of a run as a function: the grid, logs that a second start reads, and what each protocol starts from."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from crashes import small_run
from helpers.encoders import tiny

from avalanche_ssl.checkpointing import read_encoder, write_encoder
from avalanche_ssl.errors import UsageError
from avalanche_ssl.evaluation.fine_tuning import FineTuning
from avalanche_ssl.files import file_sha256
from avalanche_ssl.logging import FineTuningEpochEvent
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.runs import fine_tuning
from avalanche_ssl.runs.build import resolve
from avalanche_ssl.runs.config import RunConfig
from avalanche_ssl.runs.fine_tuning import GridCell, default_out, fine_tune_run, grid
from avalanche_ssl.runs.folder import write_config
from avalanche_ssl.runs.labeled_data import StreamChoice
from avalanche_ssl.streams import BENCHMARKS

SHORT = FineTuning(batch_size=32, device="auto")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What fine-tuning reads of a run: its configuration and its encoder, whose weights no seed gives."""
    monkeypatch.setitem(ENCODERS, "tiny", tiny)
    monkeypatch.setitem(BENCHMARKS, "few-digits", small_run.few_digits)
    out = tmp_path / "run"
    out.mkdir()
    given = {"benchmark": "few-digits", "device": "cpu", "settings": {"encoder": "tiny", "output_dim": 8}}
    config, recipe = resolve(RunConfig(strategy="simclr", **given))
    write_config(out, config)
    write_encoder(out / "encoder.pt", {k: v * 1.5 for k, v in recipe.build_method().encoder.state_dict().items()})
    return out


def log(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def short(*protocols: str, **others: Any) -> list[GridCell]:
    return grid(protocols, **{"epochs": [2]} | others)


def test_the_grid_is_every_combination_one_seed_after_the_other() -> None:
    cells = grid(["frozen", "scratch"], ["linear", "mlp"], [0.1, 1], [3, 4], [20, 5])
    assert len(cells) == len(set(cells)) == 16
    assert [cell.seed for cell in cells] == [3] * 8 + [4] * 8
    assert cells[0] == GridCell("frozen", "linear", 0.1, 3, 20)
    assert cells[-1] == GridCell("scratch", "mlp", 1.0, 4, 5)
    assert {(cell.labels, cell.epochs) for cell in cells} == {(0.1, 20), (1.0, 5)}
    assert str(cells[0]) == "frozen, linear head, 10 % of the labels, seed 3"
    assert cells[-1].settings(SHORT) == FineTuning("full", "mlp", 5, 32, seed=4, device="auto")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"protocols": ["frozn"]}, "no protocol 'frozn': did you mean 'frozen'?"),
        ({"protocols": ["first-0"]}, "no protocol 'first-0'"),
        ({"protocols": ["full", "Scratch"]}, "no protocol 'Scratch': did you mean 'scratch'?"),
        ({"protocols": ["full", "full"]}, "--protocol full full: give each once"),
        ({"heads": ["mpl"]}, "no head 'mpl'"),
        ({"labels": [0.0]}, "--labels 0: give a share above 0 and at most 1$"),
        ({"labels": [10]}, "--labels 10: give a share above 0 and at most 1$"),
        ({"seeds": [0, 1, 0]}, "--seeds 0 1 0: give each once"),
        ({"seeds": [-1]}, "seed -1: give 0 or more"),
        ({"epochs": [0]}, "'epochs' is 0"),
        ({"epochs": [1, 2], "labels": [0.1, 0.2, 1]}, "--epochs 1 2: give one number, or 3, one per --labels"),
    ],
)
def test_a_wrong_grid_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        grid(**{"protocols": ["frozen"]} | wrong)


def test_results_by_cell_are_returned_and_logged(folder: Path) -> None:
    heard: list[tuple[GridCell, FineTuningEpochEvent]] = []
    before, files = torch.get_rng_state(), {path.name: path.read_bytes() for path in folder.iterdir()}
    cells = short("frozen", "scratch")
    found = fine_tune_run(folder, cells, SHORT, on_epoch=lambda *given: heard.append(given))
    assert torch.equal(torch.get_rng_state(), before)
    assert {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()} == files
    assert list(found) == cells
    assert heard == [(cell, event) for cell, tuned in found.items() for event in tuned.curve]
    assert found[cells[0]].curve != found[cells[1]].curve
    for cell, tuned in found.items():
        first, *epochs, end = log(folder / "finetune" / f"finetune-{cell.protocol}-linear-1.0-s0.jsonl")
        assert (first["event"], first["protocol"], first["run"]) == ("fine_tuning", cell.protocol, str(folder))
        settings = {"head": "linear", "labels": 1.0, "seed": 0, "epochs": 2, "batch_size": 32, "lr": 0.001}
        assert settings.items() <= first["settings"].items()
        assert first["settings"]["device"] == ("cuda" if torch.cuda.is_available() else "cpu"), "not 'auto'"
        assert first["settings"]["benchmark"] == "few-digits"
        assert first["settings"]["encoder_sha256"] == file_sha256(folder / "encoder.pt")
        assert epochs == [{"event": "fine_tuning_epoch", **event.fields()} for event in tuned.curve]
        assert end == {"event": "fine_tuning_end", **tuned.end.fields()}
        assert tuned.end.accuracy == tuned.curve[-1].accuracy and not tuned.before
        assert (tuned.end.images, tuned.end.images_tested) == (2 * small_run.IMAGES, 80)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The arguments of each fine-tuning, which is not done."""
    found: list[Any] = []

    def spy(*given: Any, on_epoch: Any) -> Any:
        found.append(given)
        event = FineTuningEpochEvent(epoch=1, loss=1.0, accuracy=len(found) / 100)
        on_epoch(event)
        return None, [event]

    monkeypatch.setattr(fine_tuning, "fine_tune", spy)
    return found


def test_a_second_start_trains_what_is_missing(folder: Path, calls: list[Any], capsys: Any) -> None:
    cells = short("full", "scratch", seeds=[0, 1])
    first = fine_tune_run(folder, cells, SHORT)
    assert len(calls) == 4 and "complete already" not in capsys.readouterr().out
    out = folder / "finetune"
    cut = out / cells[1].log_name
    cut.write_text(cut.read_text().rpartition('{"event": "fine_tuning_end"')[0])
    half = out / cells[2].log_name
    half.write_text(half.read_text()[:-20])
    (out / cells[3].log_name).write_bytes(b"\xff not ours")
    ended: list[GridCell] = []
    again = fine_tune_run(folder, cells, SHORT, on_end=lambda cell, tuned: ended.append(cell))
    assert f"1 of 4 trainings are complete already in {out}" in capsys.readouterr().out
    assert len(calls) == 7 and ended == cells[1:]
    assert again[cells[0]] == dataclasses.replace(first[cells[0]], before=True)
    assert [again[cell].end.accuracy for cell in cells] == [0.01, 0.05, 0.06, 0.07]
    assert len(log(cut)) == 3, "what was left of it is replaced"


def test_a_complete_grid_reads_no_data(folder: Path, calls: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    first = fine_tune_run(folder, short("full"), SHORT)
    monkeypatch.setattr(fine_tuning, "build_benchmark", lambda config: pytest.fail("the data are read"))
    (tuned,) = fine_tune_run(folder, short("full"), dataclasses.replace(SHORT, test_every=5)).values()
    assert tuned.end == first[short("full")[0]].end and len(calls) == 1


def test_a_log_of_other_settings_is_refused_before_anything_is_trained(folder: Path, calls: list[Any]) -> None:
    fine_tune_run(folder, short("full"), SHORT)
    other = dataclasses.replace(SHORT, lr=0.5)
    with pytest.raises(UsageError, match=r"lr was 0\.001, is 0\.5\): give another --out, or --overwrite"):
        fine_tune_run(folder, short("scratch", "full"), other)
    with pytest.raises(UsageError, match=r"epochs was 2, is 3"):
        fine_tune_run(folder, short("full", epochs=[3]), SHORT)
    assert len(calls) == 1
    fine_tune_run(folder, short("full"), other, overwrite=True)
    assert len(calls) == 2
    write_encoder(folder / "encoder.pt", {k: v * 2 for k, v in read_encoder(folder / "encoder.pt").items()})
    with pytest.raises(UsageError, match="encoder_sha256 was"):
        fine_tune_run(folder, short("full"), other)


def test_logs_go_where_they_are_sent(folder: Path, tmp_path: Path, calls: list[Any]) -> None:
    out = tmp_path / "a" / "b"
    fine_tune_run(folder, short("full"), SHORT, out=out)
    assert {path.name for path in out.iterdir()} == {"finetune-full-linear-1.0-s0.jsonl", "lock"}
    assert not (folder / "finetune").exists()
    assert default_out(folder, StreamChoice(options={"experiences": 1})) == folder / "finetune"
    assert default_out(folder, StreamChoice(data="x")) == folder / "finetune-folder"
    assert default_out(folder, StreamChoice("rotated-digits")) == folder / "finetune-rotated-digits"


def test_scratch_starts_from_an_untrained_encoder_of_its_seed(folder: Path, calls: list[Any]) -> None:
    _, recipe = fine_tuning.run_of_folder(folder)
    fine_tune_run(folder, grid(["frozen", "first-2", "scratch"], seeds=[3, 4]), FineTuning(device="cpu"))
    assert [(given[4].protocol, given[4].seed) for given in calls] == [
        (protocol, seed) for seed in (3, 4) for protocol in ("frozen", "first-2", "full")
    ]
    trained = read_encoder(folder / "encoder.pt")
    for seed, part in ((3, calls[:3]), (4, calls[3:])):
        torch.manual_seed(seed)
        untrained = recipe.build_method().encoder.state_dict()
        for (method, *_), expected in zip(part, (trained, trained, untrained), strict=True):
            assert all(torch.equal(value, expected[name]) for name, value in method.encoder.state_dict().items())
        assert any(not torch.equal(value, untrained[name]) for name, value in trained.items())


def test_a_share_of_the_labels_is_balanced_and_the_test_images_are_all(folder: Path, calls: list[Any]) -> None:
    fine_tune_run(folder, grid(["full"], labels=[1, 0.25], seeds=[0, 1]), SHORT)
    benchmark = small_run.few_digits()
    (_, every, test, classes, _), (_, quarter, also, _, _), _, (_, other, *_) = calls
    assert sum(map(len, every)) == 2 * small_run.IMAGES and classes == len(benchmark.class_names)
    assert [len(d) for d in test] == [len(d) for d in also] == [40, 40]
    counts = [torch.bincount(torch.cat([torch.as_tensor(list(d.targets)) for d in data])) for data in (every, quarter)]
    assert ((counts[1] - counts[0] / 4).abs() <= 1).all()
    assert any(not torch.equal(a[0], b[0]) for a, b in zip(quarter[0], other[0], strict=False)), "each seed has its own"


def test_it_trains_on_another_stream(folder: Path, calls: list[Any]) -> None:
    stream = StreamChoice("split-digits", options={"composites": 2, "experiences": 2})
    fine_tune_run(folder, short("full"), SHORT, stream=stream)
    ((_, train, *_),) = calls
    assert sum(map(len, train)) == 2 * 1198, "each training digit twice"
    first, *_ = log(folder / "finetune-split-digits" / "finetune-full-linear-1.0-s0.jsonl")
    assert first["settings"]["benchmark"] == "split-digits"
    assert first["settings"]["benchmark_options"]["composites"] == 2


def test_what_cannot_be_used_is_one_line(folder: Path, tmp_path: Path, calls: list[Any]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write to .*file/b \(Not a directory\): give another --out"):
        fine_tune_run(folder, short("full"), SHORT, out=tmp_path / "file" / "b")
    with pytest.raises(UsageError, match=r"no run '.*nowhere', it has no config\.yaml: give the folder of a run"):
        fine_tune_run(tmp_path / "nowhere", short("full"), SHORT)
    with pytest.raises(UsageError, match="first-9: the encoder has 4 stages"):
        fine_tune_run(folder, short("full", "first-9"), SHORT)
    assert not (folder / "finetune").exists(), "before anything is written"
    weights = read_encoder(folder / "encoder.pt")
    n, (first, second, *_) = len(weights), weights
    del weights[first]
    write_encoder(folder / "encoder.pt", weights | {"more": weights[second], second: torch.zeros(7, 7)})
    wrong = rf"cannot use .*encoder\.pt: 3 of {n} tensors do not fit .* \({first}, more, {second}\): give a run"
    with pytest.raises(UsageError, match=wrong) as caught:
        fine_tune_run(folder, short("full"), SHORT)
    assert "\n" not in str(caught.value) and not calls
    (folder / "encoder.pt").unlink()
    with pytest.raises(UsageError, match=r"no .*encoder\.pt: the run is not over; finish it with run --resume --out"):
        fine_tune_run(folder, short("full"), SHORT)
