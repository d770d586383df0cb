"""TensorBoard's files of a run are found, measured and cut back."""

from pathlib import Path

from avalanche_ssl.logging import HPARAMS, cut_event_files, event_file_sizes, event_files

NAME = "events.out.tfevents."


def test_files_go_back_to_what_they_were(tmp_path: Path) -> None:
    (tmp_path / f"{NAME}1").write_bytes(b"12345")
    (tmp_path / f"{NAME}2").write_bytes(b"12")
    before = event_file_sizes(tmp_path)
    assert before == {f"{NAME}1": 5, f"{NAME}2": 2}
    (tmp_path / f"{NAME}1").write_bytes(b"12345678")
    (tmp_path / f"{NAME}2").unlink()
    (tmp_path / f"{NAME}3").write_bytes(b"later")
    (tmp_path / "other").write_bytes(b"kept")
    cut_event_files(tmp_path, before)
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {f"{NAME}1": b"12345", "other": b"kept"}
    (tmp_path / f"{NAME}1").write_bytes(b"1")
    cut_event_files(tmp_path, before)
    assert (tmp_path / f"{NAME}1").read_bytes() == b"1", "a file that was cut by others is not filled up"


def test_those_of_hyperparameters_are_among_them(tmp_path: Path) -> None:
    assert event_files(tmp_path / "none") == [] and event_file_sizes(tmp_path / "none") == {}
    (tmp_path / HPARAMS).mkdir()
    paths = [tmp_path / f"{NAME}1", tmp_path / HPARAMS / f"{NAME}2"]
    for path in [*paths, tmp_path / HPARAMS / "other"]:
        path.touch()
    assert event_files(tmp_path) == paths
    assert event_file_sizes(tmp_path) == {f"{NAME}1": 0}
