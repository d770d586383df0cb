"""Take the encoder out of a run: its weights for plain torch, and a card that says what it is and how to load it.

avalanche-ssl export runs/simclr-split-digits-s0                              # writes the card of its encoder.pt
avalanche-ssl export runs/simclr-split-digits-s0 --out encoder.safetensors    # and the weights, elsewhere
avalanche-ssl export runs/simclr-split-digits-s0/checkpoint --out encoder.pt  # as they were in a checkpoint
avalanche-ssl export runs/simclr-split-digits-s0 --out encoder.onnx           # for onnxruntime
avalanche-ssl export runs/moco-tiny-imagenet-s0 --format torchvision --out resnet18.pt
avalanche-ssl export runs/moco-tiny-imagenet-s0 --format huggingface --out hub --push me/my-encoder
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from avalanche_ssl.cli.command import Parser, command
from avalanche_ssl.cli.trust import add_strategy_of_run
from avalanche_ssl.errors import UsageError

if TYPE_CHECKING:
    from avalanche_ssl.runs import Run

FORMATS: dict[str, tuple[str, ...]] = {
    "torch": (".pt", ".pth"),
    "safetensors": (".safetensors",),
    "onnx": (".onnx",),
    "torchvision": (".pt", ".pth", ".safetensors"),
    "timm": (".pt", ".pth", ".safetensors"),
    "torchscript": (".pt", ".pth"),
    "huggingface": (),
}
"""Formats with the suffixes of their files; the first that has a file's suffix is its format where none is given."""


@command("avalanche-ssl export")
def main(arguments: list[str] | None = None) -> int:
    """Run as a command."""
    parser = Parser(prog="avalanche-ssl export", description=__doc__)
    parser.add_argument("run", type=Path, metavar="RUN", help="folder of a run, or a checkpoint in it")
    parser.add_argument("--out", type=Path, metavar="FILE", help=".pt, .pth, .safetensors or .onnx; or a folder")
    parser.add_argument("--format", choices=FORMATS, help="of the weights; huggingface writes a folder (by the suffix)")
    parser.add_argument("--push", metavar="OWNER/NAME", help="with huggingface: upload the folder to the hub")
    add_strategy_of_run(parser)
    options = parser.parse_args(arguments)
    if options.push and options.format != "huggingface":
        raise UsageError("--push uploads a folder of Hugging Face: give --format huggingface and --out, too")
    trust = {"strategy": options.strategy, "trust_strategy": options.trust_strategy}
    for path in export(options.run, options.out, options.format, **trust):
        print(path)
    if options.push:
        from avalanche_ssl.runs.exporting import push

        print(push(options.out, options.push))
    return 0


def export(
    source: Path,
    out: Path | None = None,
    format: str | None = None,
    *,
    strategy: str | None = None,
    trust_strategy: bool = False,
) -> tuple[Path, Path]:
    """Write weights and card.

    Args:
        source: a run's folder, or a checkpoint in it.
        out: the weights; the card is next to them, under the same name with `.md` appended. None: the run's
            `encoder.pt`, which stays as it is.
        format: one of `FORMATS`; None: by the suffix.
        strategy, trust_strategy: as for `RunConfig.from_mapping`.

    Returns:
        Where they are.

    Raises:
        UsageError: there is no run, its weights cannot be used, `out` has another suffix, the encoder has no
            such form, or the disk refuses.
    """
    from avalanche_ssl.checkpointing import read_encoder
    from avalanche_ssl.files import replacing
    from avalanche_ssl.runs import encoder_file, read_run, run_of_folder
    from avalanche_ssl.runs.exporting import check_folder, method_with, write_folder, write_weights
    from avalanche_ssl.runs.model_card import card

    kind = _format(out, format)
    if not source.exists():
        raise UsageError(f"no run '{source}': give the folder of a run")
    folder = source if source.is_dir() else source.parent
    if source != folder and out is None:
        raise UsageError(f"{source} is one of several checkpoints: say with --out where its encoder goes")
    config, recipe = run_of_folder(folder, strategy=strategy, trust_strategy=trust_strategy)
    weights = read_encoder(encoder_file(folder) if source == folder else source)
    target = out or folder / "encoder.pt"
    try:
        probed = read_run(folder)
        trained = f"{probed.experiences_trained} of {probed.n_experiences} experiences"
        if source != folder:
            trained = f"an unknown part of the stream: its probes were measured after {trained}"
    except UsageError:
        probed, trained = None, "a stream that was not probed"
    folder_made = kind == "huggingface"
    file = target / "model.safetensors" if folder_made else target
    results = list(_results(probed)) if probed else []
    text = card(recipe, config.as_dict(), weights, file, trained, results)  # refuses weights that do not fit
    if out:
        if folder_made:
            check_folder(out)
        method = method_with(recipe, weights)
        if loading := write_weights(kind, out, method):
            text = card(recipe, config.as_dict(), weights, file, trained, results, loading)
        if folder_made:
            write_folder(out, method, recipe, config.as_dict(), text)
            return file, out / "README.md"
    page = target.with_name(f"{target.name}.md")
    with replacing(page) as sink:
        sink.write(text.encode())
    return target, page


def _format(out: Path | None, format: str | None) -> str:
    """The format of a file.

    Raises:
        UsageError: it has another suffix, or there is no file for a format that needs one.
    """
    if out is None:
        if format not in (None, "torch"):
            raise UsageError(f"--format {format} writes a file or folder of its own: say with --out where")
        return "torch"
    if format == "huggingface":
        return format
    known = FORMATS[format] if format else (*FORMATS["torch"], *FORMATS["safetensors"], *FORMATS["onnx"])
    if out.suffix not in known:
        ends = " or ".join([", ".join(known[:-1]), known[-1]] if known[1:] else known)
        raise UsageError(f"cannot export to '{out}': give a file that ends in {ends}")
    return format or next(name for name, suffixes in FORMATS.items() if out.suffix in suffixes)


def _results(probed: Run) -> Iterator[tuple[str, str, float, float]]:
    """Probe, scope, and the mean accuracies of the untrained encoder and of the last one."""
    import numpy as np

    for (probe, scope), _ in sorted(probed.accuracies.items()):
        now = float(np.mean(probed.matrix(probe, scope)[-1]))
        if not math.isnan(now):
            yield probe, scope, float(np.mean(probed.untrained(probe, scope))), now
