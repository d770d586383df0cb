"""The command probe_cost.py: one line per probe."""

import probe_cost


def test_every_probe_has_a_line(capsys):
    small = ["--images", "1000", "--dim", "64", "--classes", "10", "--repeats", "1"]
    assert probe_cost.main([*small, "--probes", "ncm", "knn-20"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:28].strip() for line in lines[3:]] == ["ridge", "ridge + ridge@10% + ridge@1%", "ncm", "knn-20"]
    assert all(float(line.split()[-1]) > 20 for line in lines[3:]), "better than chance, which is 10 %"


def test_features_are_split_by_class():
    data = probe_cost.synthetic_features(200, 4, 20, seed=1)
    assert len(data) == probe_cost.EXPERIENCES
    assert all(x.shape == (20, 4) and set(y.tolist()) == {2 * j, 2 * j + 1} for j, (x, y) in enumerate(data))


def test_mistakes_are_one_line(capsys):
    assert probe_cost.main(["--probes", "ridgge"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("probe_cost.py: ") and err.count("\n") == 1
