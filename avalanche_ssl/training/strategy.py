"""The one Avalanche template that trains every method: `SelfSupervised`."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import torch
from avalanche.core import SupervisedPlugin
from avalanche.models.dynamic_modules import DynamicModule
from avalanche.training import plugins as avalanche_plugins
from avalanche.training.plugins import EvaluationPlugin
from avalanche.training.templates.base_sgd import BaseSGDTemplate
from avalanche.training.templates.observation_type import BatchObservation
from avalanche.training.templates.problem_type import SupervisedProblem
from avalanche.training.templates.update_type import SGDUpdate
from torch import Tensor, nn
from torch.nn import functional as F

from avalanche_ssl.data.loader import RawDataLoader, from_replay
from avalanche_ssl.data.readers import DataError
from avalanche_ssl.errors import UsageError
from avalanche_ssl.memory.bank import MemoryBank
from avalanche_ssl.methods.base import Method, Outputs
from avalanche_ssl.models.compilation import compile_encoders
from avalanche_ssl.optim.lr_schedule import LRSchedule
from avalanche_ssl.training.compatibility import (
    check_boundaries,
    check_labels,
    check_metrics,
    check_model,
    check_plugins,
)
from avalanche_ssl.training.failures import explain
from avalanche_ssl.training.malloc import keep_freed_memory
from avalanche_ssl.training.nonfinite import NonFiniteGuard, OnNan
from avalanche_ssl.training.resumable import _Rest


class SelfSupervised(
    BatchObservation,  # type: ignore[misc]
    SupervisedProblem,  # type: ignore[misc]
    SGDUpdate,  # type: ignore[misc]
    BaseSGDTemplate,  # type: ignore[misc]
):
    """A method packaged as an Avalanche training strategy: raw images in, embeddings in `mb_output`, no labels.

    Each step is Avalanche's: forward makes views and embeddings in one batched call on the device, criterion is the
    method's loss, and after the optimiser step `Method.update` writes to the memory. Plugins therefore find raw
    images in `mb_x`, a dict of embeddings in `mb_output`, and may add to `loss` in `before_backward`. The optimiser
    keeps its state and its parameter groups across experiences. `eval` gives the logits of the probe that
    `ProbePlugin` fitted, so Avalanche's own metrics and loggers work unmodified.

    Args:
        model: the method.
        optimizer: holds every trainable parameter of the method, in any groups.
        train_mb_size: images a step. The last partial batch of an epoch is dropped, except when the whole
            experience is smaller than one batch.
        train_epochs: passes over an experience.
        eval_mb_size: images a batch in evaluation.
        device: where the method lives.
        plugins: Avalanche's or ours; those that need class logits are refused.
        evaluator: Avalanche's evaluation plugin; None logs nothing.
        eval_every: as in Avalanche; -1 evaluates only on request.
        schedule: of the learning rate within an experience; the base rates are the optimiser's.
        clip: largest norm of the gradient; None leaves it alone.
        precision: "fp32", or "bf16" for embeddings under autocast with losses in fp32.
        compile: True lets `torch.compile` make code for the encoders' training passes, see `Encoder.compile`.
        transforms: True keeps the per-sample transforms of the stream. By default they are skipped and views are
            made from raw pixels, in batches on the device.
        seed: of the views, of sampling, and of the order of images.
        on_nan: "stop" at a loss that is not finite, or "skip" the steps whose loss or gradient is not: nothing is
            learnt from them.

    Raises:
        UsageError: the model is no `Method`, a parameter is missing from the optimiser, a plugin or metric needs
            class logits in training, compiling does not work, or `eval` is called without a probe; in training: the
            loss is not finite, the data are gone, or the memory does not suffice.
    """

    PLUGIN_CLASS = SupervisedPlugin
    _stop_training: bool

    def __init__(
        self,
        *,
        model: Method,
        optimizer: torch.optim.Optimizer,
        train_mb_size: int = 128,
        train_epochs: int = 1,
        eval_mb_size: int = 512,
        device: str | torch.device = "cpu",
        plugins: Sequence[Any] | None = None,
        evaluator: EvaluationPlugin | Callable[[], EvaluationPlugin] | None = None,
        eval_every: int = -1,
        schedule: LRSchedule = LRSchedule(),
        max_grad_norm: float | None = None,
        precision: Literal["fp32", "bf16"] = "fp32",
        compile: bool = False,
        use_dataset_transforms: bool = False,
        seed: int = 0,
        on_nan: OnNan = "stop",
        **kwargs: Any,
    ) -> None:
        check_model(model, optimizer)
        check_plugins(plugins or ())
        if precision not in ("fp32", "bf16"):
            raise UsageError(f"precision '{precision}' is not known: give 'fp32' or 'bf16'")
        # Named instead of super(): before Python 3.11 the protocols among the bases swallow the arguments.
        BaseSGDTemplate.__init__(
            self,
            model=model,
            optimizer=optimizer,
            train_mb_size=train_mb_size,
            train_epochs=train_epochs,
            eval_mb_size=eval_mb_size,
            device=device,
            plugins=plugins,
            evaluator=evaluator or _silent,
            eval_every=eval_every,
            **kwargs,
        )
        check_metrics(self.evaluator)
        self._criterion = self._loss
        self.schedule = schedule
        self.max_grad_norm = max_grad_norm
        self.precision = precision
        self.compile = compile
        self.use_dataset_transforms = use_dataset_transforms
        self.view_generator = torch.Generator(self.device).manual_seed(seed)
        self.order_generator = torch.Generator().manual_seed(seed)
        self._step = self._steps = 0
        self._bank_hits: int | None = None
        self._is_dynamic = True
        self._finished = 0  # experiences of this call of `train` that are learnt
        self._reenter: Callable[[], None] | None = None
        self.nonfinite_guard = NonFiniteGuard(on_nan, self.device)
        self.after_step: Callable[[], None] | None = None
        """Called when a step is complete, plugins and clock included; set by `Checkpointer`."""
        self.after_data_error: Callable[[], None] | None = None
        """Called between two steps when the next batch cannot be had; set by `Checkpointer`."""
        self.probe: Callable[[Tensor], Tensor] | None = None
        """Logits (B, classes) of features (B, D), for `eval`; set by `ProbePlugin`."""
        model.generator = self.view_generator
        model.to(self.device)
        if self.device.type == "cpu":
            keep_freed_memory()
        if compile:
            compile_encoders(model, self.device)
        for group in optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])

    # -- interrupted and resumed ---------------------------------------------------------------------------------

    def train(self, experiences: Any, eval_streams: Any = None, **kwargs: Any) -> Any:
        """As Avalanche's. After a resume inside a call of `train`, the next call goes on with that one.

        Give it what the interrupted call was given: experiences that are learnt already are left out.
        """
        self._finished = self._finished if self._reenter else 0
        if self._finished:
            experiences = _Rest(experiences, self._finished)
        try:
            return super().train(experiences, eval_streams, **kwargs)
        except (MemoryError, RuntimeError) as error:
            if isinstance(self.dataloader, RawDataLoader):
                self.dataloader.dismiss()
            message = explain(error, self.train_mb_size)
            if message is None:
                raise
            raise UsageError(message) from error

    def progress(self) -> dict[str, Any]:
        """Where training stands, see `avalanche_ssl.checkpointing.strategy_state`."""
        names = ("_step", "_steps", "_bank_hits", "_finished")
        return {name: getattr(self, name) for name in names} | {"skipped": self.nonfinite_guard.skipped}

    def load_progress(self, progress: dict[str, Any]) -> None:
        """Stand where `progress` was taken."""
        self.nonfinite_guard.skipped = progress["skipped"]
        for name in ("_step", "_steps", "_bank_hits", "_finished"):
            setattr(self, name, progress[name])

    def enter_with(self, reenter: Callable[[], None] | None) -> None:
        """What the next call of `train` does when it stands before the step that comes after the interruption."""
        self._reenter = reenter

    def _before_training(self, **kwargs: Any) -> None:
        self._is_dynamic = any(isinstance(module, DynamicModule) for module in self.model.modules())
        if self._reenter is None:
            super()._before_training(**kwargs)

    def _train_exp(self, experience: Any, eval_streams: Any = None, **kwargs: Any) -> None:
        """Avalanche's loop over epochs; a resumed run enters it in the midst of one."""
        reenter, self._reenter = self._reenter, None
        if reenter:
            reenter()
        for _ in range(self.clock.train_exp_epochs, self.train_epochs):
            if not reenter:
                self._before_training_epoch(**kwargs)
            reenter = None
            if self._stop_training:
                self._stop_training = False
                break
            self.training_epoch(**kwargs)
            self._after_training_epoch(**kwargs)

    def training_epoch(self, **kwargs: Any) -> None:
        """Avalanche's loop over batches."""
        try:
            super().training_epoch(**kwargs)
        except DataError:
            if self.after_data_error:
                self.after_data_error()
            raise

    def _after_training_exp(self, **kwargs: Any) -> None:
        super()._after_training_exp(**kwargs)
        self._finished += 1

    def _after_training_iteration(self, **kwargs: Any) -> None:
        super()._after_training_iteration(**kwargs)
        if self.after_step:
            self.after_step()

    # -- model and optimiser -------------------------------------------------------------------------------------

    def check_model_and_optimizer(self, reset_optimizer_state: bool = False, **kwargs: Any) -> None:
        """Leave the optimiser as the user made it; Avalanche would refill and reset it (its groups, its state).

        A model without Avalanche's dynamic modules has nothing to adapt, and `train` has moved it to the device.
        """
        if self._is_dynamic:
            self.model = self.model_adaptation()
            check_model(self.model, self.optimizer)  # what has grown would not be learnt, without a word
        if reset_optimizer_state:
            self.optimizer.state.clear()

    # -- data ----------------------------------------------------------------------------------------------------

    def make_train_dataloader(self, num_workers: int = 0, shuffle: bool = True, **kwargs: Any) -> None:
        """Raw batches of the experience; `train(..., num_workers=2)` decodes in worker processes where needed."""
        self.dataloader = RawDataLoader(
            [self.adapted_dataset],
            [self.train_mb_size],
            shuffle=shuffle,
            generator=self.order_generator,
            drop_last=True,
            num_workers=num_workers,
            use_dataset_transforms=self.use_dataset_transforms,
        )

    def make_eval_dataloader(self, num_workers: int = 0, **kwargs: Any) -> None:
        """Raw batches of a test experience, in order."""
        self.dataloader = RawDataLoader(
            [self.adapted_dataset],
            [self.eval_mb_size],
            shuffle=False,
            drop_last=False,
            num_workers=num_workers,
            use_dataset_transforms=self.use_dataset_transforms,
        )

    def _before_training_exp(self, **kwargs: Any) -> None:
        super()._before_training_exp(**kwargs)
        replay = from_replay(
            self.dataloader, generator=self.order_generator, use_dataset_transforms=self.use_dataset_transforms
        )
        if replay is not None:  # a replay plugin has put its own loader in place; same batches, raw and fast
            self.dataloader = replay
        check_labels(self.model, self.adapted_dataset)
        check_boundaries(self.model, self.experience)
        self._step, self._steps = 0, len(self.dataloader) * self.train_epochs
        self._unalias_synaptic_intelligence()

    # -- one step ------------------------------------------------------------------------------------------------

    def forward(self) -> Outputs | Tensor:
        """Embeddings of random views in training, logits of the probe in evaluation."""
        if not self.is_training:
            if self.probe is None:
                raise UsageError("eval() needs a fitted probe: add ProbePlugin(benchmark) to the strategy's plugins")
            return self.probe(self.model.extract_features(self.mb_x))
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            outputs: Outputs = self.model(self.mb_x)
        return {name: t.float() if t.is_floating_point() else t for name, t in outputs.items()}

    def criterion(self) -> Tensor:
        """The method's loss in training, cross-entropy of the probe's logits in evaluation."""
        if self.is_training:
            return self._loss(self.mb_output, self.mb_y)
        return F.cross_entropy(self.mb_output, self.mb_y)

    def _loss(self, outputs: Outputs, labels: Tensor) -> Tensor:
        """What plugins such as EWC and AGEM call as `strategy._criterion(outputs, labels)`.

        The labels go no further, except to a method that declares that it reads them.
        """
        loss: Tensor = self.model.loss(outputs | {"labels": labels} if self.model.num_classes_read else outputs)
        return loss

    def _before_training_epoch(self, **kwargs: Any) -> None:
        super()._before_training_epoch(**kwargs)
        self.model.prepare(self._images())
        self._bank_hits = _bank_hits(self.model) if self.train_epochs > 1 else None

    def _images(self) -> Iterator[Tensor]:
        """The experience's raw images in order, for methods that look at all of it before an epoch."""
        data, size = [self.adapted_dataset], [self.train_mb_size]
        for x, *_ in RawDataLoader(
            data, size, shuffle=False, drop_last=False, use_dataset_transforms=self.use_dataset_transforms
        ):
            yield x.to(self.device)

    def _after_training_epoch(self, **kwargs: Any) -> None:
        repeated = self.clock.train_exp_epochs > 0
        if repeated and self._bank_hits is not None and _bank_hits(self.model) == self._bank_hits:
            warnings.warn(
                "no image of a repeated epoch was recognised by the memory bank: the stream's images change "
                "from epoch to epoch (pass raw images and leave augmentation to the method), or its experience "
                "is larger than the bank (raise its capacity)",
                stacklevel=2,
            )
        super()._after_training_epoch(**kwargs)

    def _before_training_iteration(self, **kwargs: Any) -> None:
        factor = self.schedule.factor(self._step, self._steps)
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * factor
        super()._before_training_iteration(**kwargs)
        self._unalias_synaptic_intelligence()
        self.nonfinite_guard.begin(self)

    def _unalias_synaptic_intelligence(self) -> None:
        """Give Avalanche's SI its own copies of the weights it remembers.

        On the CPU, Avalanche 0.6.0 stores `param.detach().cpu().flatten()`, which is the weight itself and moves
        along with it: the path integral and the penalty are zero, without a word.
        """
        for plugin in self.plugins if self.device.type == "cpu" else ():
            if isinstance(plugin, avalanche_plugins.SynapticIntelligencePlugin):
                for kept in (*plugin.ewc_data[0].values(), *plugin.syn_data["old_theta"].values()):
                    kept.data = kept.data.clone()

    def backward(self) -> None:
        """The gradient of the loss, unless the step is left out."""
        if self.nonfinite_guard.passes(self):
            super().backward()

    def optimizer_step(self) -> None:
        """Avalanche's, unless the step is left out."""
        if not self.nonfinite_guard.skipping:
            super().optimizer_step()

    def _before_update(self, **kwargs: Any) -> None:
        super()._before_update(**kwargs)
        self.nonfinite_guard.judge_gradient(self)
        if self.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.max_grad_norm)

    def _after_update(self, **kwargs: Any) -> None:
        if not self.nonfinite_guard.skipping:
            self.model.n_new = self._n_new()
            self.model.update({name: t.detach() for name, t in self.mb_output.items()})
        self._step += 1
        super()._after_update(**kwargs)

    def _n_new(self) -> int | None:
        """How many images of the batch are new, and do not come once more in the next step, see `Method.n_new`."""
        loader: Any = self.dataloader
        if not isinstance(loader, RawDataLoader):
            return None
        if len(loader) == 1 and self.clock.train_exp_epochs + 1 < self.train_epochs:
            return 0
        return loader.batch_sizes[0] if len(loader.batch_sizes) > 1 else None


def _silent() -> EvaluationPlugin:
    """No metrics, no loggers, and no warning of Avalanche's that nothing will be logged: it was asked for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return EvaluationPlugin()


def _bank_hits(model: nn.Module) -> int | None:
    """How often the memory banks of a method have met an image again; None if it has no bank."""
    banks = [m for m in model.modules() if isinstance(m, MemoryBank)]
    return sum(int(bank.n_hits) for bank in banks) if banks else None
