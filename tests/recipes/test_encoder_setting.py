"""Name and arguments of an encoder as one setting."""

from pathlib import Path

import pytest

from avalanche_ssl.errors import UsageError
from avalanche_ssl.recipes.encoder_setting import EncoderSetting, file_of

parse = EncoderSetting.parse


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [
        ("smallconv", "smallconv", {}),
        ("resnet18(width=32, stem='imagenet')", "resnet18", {"width": 32, "stem": "imagenet"}),
        ("timm:vit_tiny_patch16_224(img_size=32)", "timm:vit_tiny_patch16_224", {"img_size": 32}),
        ("a (1)/mine.py:build", "a (1)/mine.py:build", {}),
        ("/a/mine.py:build(sizes=[1, 2.5], deep=True, name=None)", "/a/mine.py:build",
         {"sizes": [1, 2.5], "deep": True, "name": None}),
    ],
)  # fmt: skip
def test_a_setting_is_written_as_it_is_read(text: str, name: str, arguments: dict[str, object]) -> None:
    setting = parse(text)
    assert (setting.name, dict(setting.arguments)) == (name, arguments)
    assert str(setting) == text and parse(str(setting)) == setting
    assert setting.is_file is (".py" in text)


def test_spaces_and_empty_parentheses_do_not_matter() -> None:
    assert str(parse("resnet18( width = 32 )")) == "resnet18(width=32)"
    assert str(parse("resnet18()")) == "resnet18"


@pytest.mark.parametrize(
    "text",
    ["", "timm:", "resnet18(32)", "resnet18(width)", "resnet18(width=32", "resnet18(width=f())", "resnet18)(", "f()()",
     "resnet18(**{'a': 1})", "resnet18(a=1).b(c=2)", "resnet18(a=" + "(" * 500, "x" * 3000,
     "resnet18(width=__import__('os').system('true'))"],
)  # fmt: skip
def test_other_forms_are_refused(text: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(text)
    assert str(error.value).startswith("setting 'encoder") and "\n" not in str(error.value)


def test_what_is_missing_or_belongs_elsewhere_is_said() -> None:
    with pytest.raises(
        UsageError, match=r"'mine.py' names no function of the file: give 'mine.py:NAME', e.g. mine.py:b"
    ):
        parse("mine.py")
    with pytest.raises(UsageError, match=r"'encoder.in_channels' is a setting of the recipe: give in_channels=N"):
        parse("resnet18(in_channels=1)")
    with pytest.raises(UsageError, match=r"'encoder.a.b' is no argument of an encoder: give encoder.NAME=VALUE"):
        parse("resnet18").with_argument("a.b", 1)
    for value in ({"a": 1}, float("nan"), [float("inf")], b"x"):
        with pytest.raises(UsageError, match="give a number, a word, true, false, null or a list"):
            parse("resnet18").with_argument("a", value)


def test_an_argument_is_added_or_replaced() -> None:
    setting = parse("resnet18(width=32)")
    assert str(setting.with_argument("width", 64)) == "resnet18(width=64)"
    assert str(setting.with_argument("stem", "imagenet")) == "resnet18(width=32, stem='imagenet')"
    assert str(setting) == "resnet18(width=32)"


def test_the_path_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    setting = parse("../x/mine.py:build(a=1)")
    assert (setting.path, setting.function) == (Path("../x/mine.py"), "build")
    assert str(setting.with_absolute_path()) == f"{tmp_path.parent}/x/mine.py:build(a=1)"
    assert str(setting.without_folder()) == "mine.py:build(a=1)"
    named = parse("timm:resnet18")
    assert named.with_absolute_path() is named.without_folder() is named
    assert file_of("x/mine.py:build") == Path("x/mine.py")
    assert file_of("resnet18") is file_of(None) is file_of(5) is None
