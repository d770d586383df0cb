"""A sweep runs its whole grid, skips finished runs of the same settings, and goes on after an interruption."""

import sys
from pathlib import Path

import pytest
import yaml
from helpers.encoders import tiny
from helpers.jobs import in_this_process
from helpers.logs import changed, config, write_run
from helpers.photos import write_classes

from avalanche_ssl.cli import jobs, run, sweep
from avalanche_ssl.cli.options import read_options
from avalanche_ssl.models.encoders import ENCODERS
from avalanche_ssl.recipes import load_recipe
from avalanche_ssl.reports import comparison
from avalanche_ssl.reports.references import unequal_notes
from avalanche_ssl.runs import read_run
from avalanche_ssl.runs.build import resolve
from avalanche_ssl.runs.folder import claim, is_finished, start_folder


def test_the_grid(tmp_path):
    found = sweep.plan("cmc,moco", "none", "0,1", ["lr=0.1,0.2"], tmp_path)
    assert len(found) == 8
    assert found[tmp_path / "moco-lr=0.2-s1"] == ["--strategy", "moco", "--seed", "1", "--set", "lr=0.2"]


def test_a_grid_of_plugins(tmp_path):
    """A plugin's settings are for the runs that have it; without it there is one run, not one a value."""
    found = sweep.plan("cmc", "none,replay,replay+cla-e", "0", ["replay.size=50,100"], tmp_path)
    assert [path.name for path in found] == [
        "cmc-s0",
        "cmc+replay-replay.size=50-s0",
        "cmc+replay-replay.size=100-s0",
        "cmc+replay+cla-e-replay.size=50-s0",
        "cmc+replay+cla-e-replay.size=100-s0",
    ]
    assert found[tmp_path / "cmc-s0"] == ["--strategy", "cmc", "--seed", "0"]
    both = ["--plugin", "replay", "--plugin", "cla-e", "--set", "replay.size=100"]
    assert list(found.values())[-1] == ["--strategy", "cmc", "--seed", "0", *both]


def test_settings_of_all_runs_are_for_those_with_the_plugin(stand_in):
    given = ["--strategy", "cmc", "--plugin", "none,replay", "--out", "out"]
    assert sweep.main([*given, "--", "--epochs", "2", "--set", "replay.size=50", "--set", "lr=0.1"]) == 0
    start = "--epochs 2 --set replay.size=50 --set lr=0.1 --strategy cmc --seed 0 --plugin replay"
    assert Path("out/cmc+replay-s0.txt").read_text().startswith(start)
    assert Path("out/cmc-s0.txt").read_text().startswith("--epochs 2 --set lr=0.1 --strategy cmc --seed 0 --resume")


@pytest.mark.parametrize(
    "wrong",
    [
        ["--seeds", "x"],
        ["--grid", "lr"],
        ["--grid", "lr=1,"],
        ["--jobs", "0"],
        ["--plugin", "replay+clae"],
        ["--reference", "idd"],
    ],
)
def test_a_mistake_is_one_line(wrong, capsys):
    assert sweep.main(["--strategy", "cmc", *wrong]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--plugin", "none,cla-e"], "plugin 'cla-e' works on replayed images: give --plugin replay, too"),
        (["--plugin", "none,cassle", "--", "--online-batch-size", "10"], "plugin 'cassle' learns from the model of"),
        (["--plugin", "none,cassle", "--", "--set", "cassle.weight=-1"], "plugin 'cassle': setting 'weight' is -1"),
        (["--grid", "lr=0.1,fast"], "setting 'lr' is 'fast'"),
    ],
)
def test_what_is_wrong_in_a_later_run_is_refused_before_the_first(wrong, said, stand_in, capsys):
    assert sweep.main(["--strategy", "simclr", "--out", "out", *wrong]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"avalanche-ssl sweep: {said}") and error.count("\n") == 1
    assert not Path("out").exists()


STAND_IN = """
import pathlib, sys
a = sys.argv
out = pathlib.Path(a[a.index("--out") + 1])
out.mkdir(parents=True, exist_ok=True)
print(*a[1:])
if a[a.index("--seed") + 1] == "2": sys.exit("no")
with (out / "log.jsonl").open("a") as log: log.write('\\n{"event": "end"}\\n')
"""
"""Instead of the command of a run: it prints its options, and fails for one seed."""
END = '{"event": "end"}\n'
EPOCHS = load_recipe("simclr").epochs


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.py").write_text(STAND_IN)
    monkeypatch.setattr(jobs, "RUN", [sys.executable, str(tmp_path / "run.py")])
    monkeypatch.chdir(tmp_path)


def make(out: str, *words: str, tail: str) -> None:
    """The folder of a run as it is before its first step; what its log ends with."""
    config, _ = resolve(read_options(run.parser().parse_args(list(words))))
    claim(Path(out))
    start_folder(Path(out), config)
    Path(out, "log.jsonl").write_text('{"event": "run"}\n' + tail)


def test_finished_runs_are_skipped_and_others_are_resumed(stand_in, capsys):
    for seed, tail in (("0", END), ("1", '{"event": "pro')):
        make(f"out/cmc-s{seed}", "--strategy", "cmc", "--seed", seed, tail=tail)
    given = ["--strategy", "cmc", "--seeds", "0,1,2", "--out", "out", "--jobs", "2"]
    assert sweep.main(given) == 1
    out = capsys.readouterr().out
    assert "3 runs, 1 finished already" in out and "failed: out/cmc-s2" in out
    assert Path("out/cmc-s1.txt").read_text() == "--strategy cmc --seed 1 --resume --out out/cmc-s1\n"
    assert Path("out/cmc-s2.txt").read_text().endswith("--resume --out out/cmc-s2\nno\n")
    assert is_finished(Path("out/cmc-s1")) and not Path("out/cmc-s0.txt").exists()
    assert sweep.main([*given[:3], "0,1", *given[4:]]) == 0
    assert "2 finished already" in capsys.readouterr().out


@pytest.mark.parametrize("tail", [END, ""])
@pytest.mark.parametrize(
    ("now", "difference"),
    [
        (["--epochs", f"{EPOCHS + 1}"], f"settings.epochs was {EPOCHS}, is {EPOCHS + 1}"),
        (["--set", "lr=1", "--benchmark-option", "seed=4"], "benchmark_options.seed was 0, is 4; settings.lr was "),
        (["--probes", "knn-20"], "probes was ridge, is knn-20"),
        (["--device", "cuda"], "device was cpu, is cuda"),
    ],
)
def test_a_run_of_other_settings_is_refused_by_name(tail, now, difference, stand_in, capsys):
    make("out/simclr-s0", "--strategy", "simclr", "--device", "cpu", tail=tail)
    given = ["--strategy", "simclr", "--out", "out"]
    assert sweep.main([*given, "--", *now]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"avalanche-ssl sweep: out/simclr-s0 holds a run of other settings ({difference}")
    assert said.endswith("): give another --out, or --overwrite\n") and said.count("\n") == 1
    assert not Path("out/simclr-s0.txt").exists()
    assert sweep.main([*given, "--overwrite", "--", *now]) == 0
    assert "--overwrite --out" in Path("out/simclr-s0.txt").read_text()


def test_what_changes_no_result_is_no_difference(stand_in, capsys):
    """The device and precision that "auto" found, and loader processes."""
    make("out/moco-v1-s0", "--strategy", "moco-v1", tail=END)
    values = yaml.safe_load(Path("out/moco-v1-s0/config.yaml").read_text())
    values |= {"device": "cuda", "precision": "bf16"}
    Path("out/moco-v1-s0/config.yaml").write_text(yaml.safe_dump(values))
    assert sweep.main(["--strategy", "moco-v1", "--out", "out", "--", "--num-workers", "2"]) == 0
    assert "1 finished already" in capsys.readouterr().out


def test_a_changed_strategy_file_is_a_difference(stand_in, tmp_path, capsys):
    text = "from avalanche_ssl import Recipe\nfrom avalanche_ssl.methods import SimCLR\nrecipe = Recipe(SimCLR)\n"
    (tmp_path / "mine.py").write_text(text)
    make("out/mine-s0", "--strategy", "mine.py", tail=END)
    given = ["--strategy", "mine.py", "--out", "out"]
    assert sweep.main(given) == 0 and "1 finished already" in capsys.readouterr().out
    (tmp_path / "mine.py").write_text(text + "# changed\n")
    assert sweep.main(given) == 2
    assert "strategy_sha256 was " in capsys.readouterr().err


def test_a_foreign_folder_and_a_damaged_configuration_are_refused(stand_in, tmp_path, capsys):
    (tmp_path / "out" / "cmc-s0").mkdir(parents=True)
    (tmp_path / "out" / "cmc-s0" / "config.yaml").write_text("mine: 1")
    given = ["--strategy", "cmc", "--out", "out"]
    for message in ("holds files, but no .avalanche-ssl-run", "no option in out/cmc-s0/config.yaml 'mine'"):
        assert sweep.main(given) == 2
        assert message in capsys.readouterr().err
        (tmp_path / "out" / "cmc-s0" / ".avalanche-ssl-run").touch()


def test_the_commands_are_printed_and_nothing_is_run(stand_in, capsys):
    given = ["--strategy", "cmc,moco", "--plugin", "replay", "--out", "out dir", "--dry-run", "--", "--set", "cmc=a b"]
    assert sweep.main(given) == 0
    assert capsys.readouterr().out.splitlines() == [
        "avalanche-ssl run --set 'cmc=a b' --strategy cmc --seed 0 --plugin replay --out 'out dir/cmc+replay-s0'",
        "avalanche-ssl run --set 'cmc=a b' --strategy moco --seed 0 --plugin replay --out 'out dir/moco+replay-s0'",
    ]
    assert not Path("out dir").exists()


def test_what_only_the_runs_decide_is_named_after_the_commands(stand_in, capsys):
    given = ["--strategy", "cmc", "--grid", "lr=0.1,0.2", "--select", "val", "--seeds", "0,1", "--dry-run"]
    assert sweep.main([*given, "--reference", "iid,supervised"]) == 0
    assert capsys.readouterr().out.splitlines()[2:] == [
        "# then each strategy with its chosen settings, of seeds 0, 1",
        "# then references, with as many views as the runs: iid, supervised",
    ]


def test_a_reference_is_found_again_where_its_images_lie_elsewhere(stand_in, tmp_path, capsys):
    """Its name says all that decides, and that is not the path of the images."""
    for data in ("here", "moved"):
        options = config("simclr") | {"benchmark": "folder", "data": str(tmp_path / data), "settings": {"epochs": 2}}
        changed(write_run(tmp_path / data[0], "simclr"), "run", config=options, images=50, stream="abc")
    (before,) = sweep._references([tmp_path / "h"], ["iid"], tmp_path).items()
    assert before[1][:2] == ["--config", f"{before[0]}.yaml"]
    make(str(before[0]), *before[1], tail=END)
    again = sweep._references([tmp_path / "m"], ["iid"], tmp_path)
    assert again == {before[0]: ["--config", str(before[0] / "config.yaml"), "--trust-strategy"]}
    assert jobs.run_jobs(again) == [] and "1 runs, 1 finished already" in capsys.readouterr().out


@pytest.mark.slow
def test_references_see_as_many_views_and_are_trained_once(tmp_path, monkeypatch, capsys):
    """SimCLR sees two views of an image, the supervised reference one, in twice the epochs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(ENCODERS, "smallconv", tiny)
    in_this_process(monkeypatch)
    write_classes(tmp_path / "photos", {"train": 16, "test": 2}, classes=4)
    given = ["--strategy", "simclr", "--out", "out", "--reference", "iid,supervised", "--", "--data", "photos"]
    given += ["--experiences", "2", "--epochs", "2", "--benchmark-option", "size=16", "--precision", "fp32"]
    given += ["--set", "batch_size=8", "--set", "augment.size=16"]
    assert sweep.main(given) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if " finished already" in line]
    runs = [read_run(folder) for folder in sorted(Path("out").iterdir()) if folder.is_dir()]
    assert said == ["1 runs, 0 finished already", "2 runs, 0 finished already"]
    (stream,) = comparison.streams(runs)
    assert {group.reference for group in stream.groups} == {"", "iid", "supervised"}
    assert unequal_notes(stream) == [], {r.folder.name: r.cost.views for r in runs}
    for found in (r for r in runs if r.strategy == "supervised"):
        assert found.config["plugins"] == {} and found.settings["classes"] == 4
        assert found.settings["epochs"] == 4
    before = {file: file.read_text() for file in Path("out").glob("*/log.jsonl")}
    assert sweep.main(given) == 0
    assert "2 runs, 2 finished already" in capsys.readouterr().out
    assert {file: file.read_text() for file in Path("out").glob("*/log.jsonl")} == before


@pytest.mark.slow
def test_a_sweep_of_real_runs_that_is_started_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = ["--strategy", "simclr", "--seeds", "0,1", "--grid", "lr=0.01", "--out", "out"]
    given += ["--", "--experiences", "1", "--epochs", "1", "--benchmark-option", "composites=2"]
    assert sweep.main(given) == 0, Path("out/simclr-lr=0.01-s0.txt").read_text()
    log = Path("out/simclr-lr=0.01-s1/log.jsonl")
    finished = log.read_text()
    assert sweep.main(given) == 0 and "2 finished already" in capsys.readouterr().out
    assert log.read_text() == finished
