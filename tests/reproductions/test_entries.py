"""The registry: every entry is a run that can be built, and says what it deviates in."""

import dataclasses
import re
from pathlib import Path

import pytest
from helpers.docs import ROOT

from avalanche_ssl.cli.options import read_options
from avalanche_ssl.cli.reproduce import _words
from avalanche_ssl.cli.run import parser
from avalanche_ssl.errors import UsageError
from avalanche_ssl.plugins import complete_plugins
from avalanche_ssl.recipes import flatten
from avalanche_ssl.reproductions import Entry, entries, find_entries, read_entries
from avalanche_ssl.runs import RunConfig
from avalanche_ssl.runs.build import build_recipe, check_plugins, check_probes, resolve_benchmark_options


@pytest.mark.parametrize("paper", sorted({entry.paper for entry in read_entries().values()}))
def test_every_entry_is_a_run_and_a_command(paper: str) -> None:
    for entry in (entry for entry in read_entries().values() if entry.paper == paper):
        config = entry.config(data="images")
        resolve_benchmark_options(config)
        build_recipe(config)
        complete_plugins(config.plugins)
        check_plugins(config)
        check_probes(config)
        words = _words(entry, 0, None if entry.data == "embedded" else "images", [])
        assert flatten(read_options(parser().parse_args(words)).decisive) == flatten(config.decisive), entry.name


def test_numbers_by_hand() -> None:
    found = read_entries()
    assert {name: found[name].published for name in PUBLISHED} == PUBLISHED
    assert (found["cla/cifar100/high/simclr/iid"].spread, found["cla/cifar100/low/simclr/iid"].spread) == (0.3, None)
    assert {e.evidence for e in found.values() if e.name.startswith("lump/")} == {"memory"}


PUBLISHED = {
    "cla/cifar100/low/simclr/finetune": 25.2,
    "cla/cifar100/low/simclr/replay": 24.5,
    "cla/cifar100/low/simclr/iid": 25.8,
    "cla/cifar100/high/simsiam/cla-e": 43.1,
    "climb/cifar100/50/simclr/climb": 43.15,
    "cassle/cifar100/5/byol/cassle": 62.2,
    "osiris/cifar100/20/simclr/osiris-r": None,
    "lump/cifar100/20/simsiam/lump": 82.3,
    "solo-learn/cifar10/moco": 92.9,
    "lightly/cifar10/512/800/byol": 91.0,
}


def test_the_rows_of_results_are_these_commands() -> None:
    """RESULTS has the command of CLA-E on FIFO; the other rows are it with the changes that stand there."""
    text = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
    part = text.partition("\n## Continual strategies: one pass over class-incremental CIFAR-100\n")[2]
    block = re.search(r"```bash\n(avalanche-ssl run (?:.|\n)*?)\n```", part)
    assert block is not None
    command = block[1].partition("  #")[0].replace("\\\n", " ").split()[2:]

    def decisive(*words: str) -> dict[str, object]:
        return complete(read_options(parser().parse_args([*plain, *words])))

    def complete(config: RunConfig) -> dict[str, object]:
        plugins, settings = complete_plugins(config.plugins), build_recipe(config).settings
        return flatten(dataclasses.replace(config, plugins=plugins, settings=settings).decisive)

    plain = command[: command.index("--plugin")]
    reservoir = ["--plugin", "replay", "--set", "replay.size=2000", "--set", "replay.batch=20"]
    constant = ["--set", "batch_size=10", "--set", "schedule.kind=constant"]
    rows = {
        "finetune": ["--epochs", "3"],
        "iid": ["--epochs", "3", "--benchmark-option", "regime=joint", "--online-batch-size", "0", *constant],
        "replay": [*reservoir, "--set", "replay.policy=reservoir"],
        "cla-e": [*command[command.index("--plugin") :], "--set", "cla-e.momentum=0.999"],
        "cassle": ["--epochs", "3", "--plugin", "cassle", "--access-task-boundaries"],
    }
    for name, words in rows.items():
        entry = read_entries()[f"cla/cifar100/low/simclr/{name}"]
        assert complete(entry.config(data="cifar100-450")) == decisive(*words), name


@pytest.mark.parametrize("method", ["simclr", "simsiam"])
def test_iid_passes_over_all_images_as_often_as_the_others_have_views(method: str) -> None:
    """Three passes over 45,000 images in batches of 10 are 270,000 views, at the constant rate of the other rows."""
    entry, finetune = (read_entries()[f"cla/cifar100/low/{method}/{name}"] for name in ("iid", "finetune"))
    iid, online = entry.config(data="images"), finetune.config(data="images")
    assert (iid.online_batch_size, iid.regime, online.online_batch_size, online.regime) == (
        0,
        "joint",
        10,
        "sequential",
    )
    assert build_recipe(iid).settings == build_recipe(online).settings, "batches of 10, 3 epochs, constant, no warm-up"
    assert (build_recipe(iid).batch_size, build_recipe(iid).epochs) == (10, 3)
    assert entry.deviations == finetune.deviations


def test_an_entry_or_all_that_begin_so() -> None:
    assert [e.name for e in find_entries("cla/cifar100/low/simclr/replay")] == ["cla/cifar100/low/simclr/replay"]
    assert len(find_entries("cla/cifar100/low/simclr/")) == len(find_entries("cla/cifar100/low/simclr")) == 12
    with pytest.raises(UsageError, match=r"no entry 'cla/cifar100/low/simclr/repaly': did you mean .*simclr/replay'"):
        find_entries("cla/cifar100/low/simclr/repaly")
    with pytest.raises(UsageError, match=r"no entry 'cla/cifar100/lo'"):
        find_entries("cla/cifar100/lo")


GOOD = {
    "name": "a/b",
    "table": "t",
    "metric": "average accuracy",
    "probe": "ridge",
    "evidence": "read",
    "seeds": "one",
    "time": "seconds",
    "data": "embedded",
    "options": {"strategy": "simclr", "settings": {"lr": 0.1, "augment": {"size": 16}}},
    "deviations": ["x"],
    "entries": {"c": {"published": 1.0, "options": {"settings": {"augment": {"hue": 0.2}}}, "deviations": ["y"]}},
}


def read(**changes: object) -> Entry:
    (entry,) = entries._entries({"paper": "p", "groups": [GOOD | changes]}, "a.yaml")
    return entry


def test_an_entry_has_what_its_group_has_and_its_own() -> None:
    entry = read()
    assert (entry.name, entry.published, entry.deviations, entry.scope) == ("a/b/c", 1.0, ("x", "y"), "all")
    assert entry.config(seed=4) == RunConfig(
        strategy="simclr", settings={"lr": 0.1, "augment": {"size": 16, "hue": 0.2}}, seed=4
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"metrc": "x"}, r"no field in a\.yaml, a/b 'metrc': did you mean 'metric'"),
        ({"metric": "accuracy"}, r"no metric of a/b/c 'accuracy': did you mean 'average accuracy'"),
        ({"evidence": "heard"}, "no evidence of a/b/c 'heard'"),
        ({"evidence": "none"}, "a/b/c: a published number has evidence"),
        ({"data": "cifar"}, "no data of a/b/c 'cifar': did you mean 'cifar10"),
        ({"probe": "knn-20"}, "a/b/c: its options have no probe 'knn-20'"),
        ({"options": {"strategy": "simclrr"}}, "no strategy in a/b/c 'simclrr': did you mean 'simclr'"),
        ({"entries": {"c": {"publsihed": 1.0}}}, r"no field in a\.yaml, a/b/c 'publsihed': did you mean 'published'"),
    ],
)
def test_a_wrong_file_is_one_line(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read(**wrong)


def test_deviations_are_sentences_of_the_registry() -> None:
    for entry in read_entries().values():
        assert all(text == text.strip() and not text.endswith(".") for text in entry.deviations), entry.name
        assert entry.evidence == "none" or entry.deviations, "no run here is the paper's to the last setting"
        assert not entry.gpu or "H200" in entry.time


def test_the_files_are_there() -> None:
    folder = Path(entries.__file__).parent
    names = {entry.name.partition("/")[0] for entry in read_entries().values()}
    assert names == {path.stem.replace("_", "-") for path in folder.glob("*.yaml")}
