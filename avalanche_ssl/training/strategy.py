"""`SelfSupervised`: the one Avalanche template that trains every method."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from avalanche.models.dynamic_modules import DynamicModule
from avalanche.training.plugins import EvaluationPlugin
from torch import Tensor, nn
from torch.nn import functional as F

from avalanche_ssl import distributed
from avalanche_ssl.data import RawDataLoader
from avalanche_ssl.errors import UsageError, unknown_name
from avalanche_ssl.methods import Method, Outputs, Views
from avalanche_ssl.models import compile_encoders
from avalanche_ssl.optim import LRSchedule
from avalanche_ssl.training.attached import KnownHooks, attached_plugins, objective, trained_modules
from avalanche_ssl.training.avalanche_fixes import unalias_synaptic_intelligence
from avalanche_ssl.training.compatibility import (
    check_experience,
    check_model,
    check_targets,
    count_bank_hits,
    warn_if_unrecognized,
)
from avalanche_ssl.training.failures import explain
from avalanche_ssl.training.guarded import GuardedTemplate
from avalanche_ssl.training.learning_rates import LearningRates
from avalanche_ssl.training.malloc import keep_freed_memory
from avalanche_ssl.training.nonfinite import OnNan
from avalanche_ssl.training.precision import PRECISIONS, Precision
from avalanche_ssl.training.raw_experience import trigger_plugins
from avalanche_ssl.training.several_processes import check_loader, check_processes
from avalanche_ssl.training.trial import TrialTemplate


class SelfSupervised(GuardedTemplate, TrialTemplate):
    """A method packaged as an Avalanche training strategy: raw images in, embeddings in `mb_output`, no labels.

    Each step is Avalanche's: `forward` makes views and embeddings in one batched call on the device, `criterion` is
    the loss of the method, and after the optimizer step `Method.update` writes to the memory. Plugins therefore find
    raw images in `mb_x`, their views in `mb_views` and a dict of embeddings in `mb_output`, may change the views in
    `after_views`, and add to `loss` in `before_backward`. The optimizer keeps its state and its parameter groups
    across experiences. `eval` computes the logits of the probe that `ProbePlugin` fitted, so the metrics and loggers
    of Avalanche work unmodified.

    Args:
        model: the method.
        optimizer: holds every trainable parameter of the method, in any groups.
        train_mb_size: images per step. The last partial batch of an epoch is dropped, except when the whole
            experience is smaller than one batch.
        train_epochs: passes over an experience.
        eval_mb_size: images per batch in evaluation.
        device: where the method lives.
        plugins: Avalanche's or ours; those that cannot work are refused.
        evaluator: Avalanche's evaluation plugin, or a function that makes it; None logs nothing. Loggers get the loss
            and the learning rate of each epoch, without a metric for them.
        eval_every: as in Avalanche; -1 evaluates on request only.
        schedule: learning-rate schedule within an experience; it scales the rates of the optimizer, each group's
            `initial_lr`. A scheduler of torch beside it is refused when it changes a rate.
        max_grad_norm: largest norm of the gradient; None does not clip it.
        precision: "fp32", or "bf16" for embeddings under autocast with losses in fp32.
        compile: let `torch.compile` generate code for the training passes of the encoders, see `Encoder.compile`.
        use_dataset_transforms: keep the per-sample transforms of the stream. By default they are skipped, but for
            frozen ones, and refused where they differ; views are made from raw pixels in batches on the device.
        seed: seed of views, sampling and the order of images.
        on_nan: "raise" at a loss that is not finite, or "skip" the steps whose loss or gradient is not finite.

    Raises:
        UsageError: the model is no `Method`, a parameter is missing from the optimizer, a plugin or metric needs
            class logits in training, compiling does not work, or `eval` is called without a probe; in training: the
            loss is not finite, data cannot be read, or the memory does not suffice.
    """

    PLUGIN_CLASS = KnownHooks

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
        precision: Precision = "fp32",
        compile: bool = False,
        use_dataset_transforms: bool = False,
        seed: int = 0,
        on_nan: OnNan = "raise",
        **kwargs: Any,
    ) -> None:
        check_model(model, optimizer)
        if precision not in PRECISIONS:
            raise unknown_name("precision", precision, PRECISIONS)
        super().__init__(
            model=model,
            optimizer=optimizer,
            train_mb_size=train_mb_size,
            train_epochs=train_epochs,
            eval_mb_size=eval_mb_size,
            device=device,
            plugins=plugins,
            evaluator=evaluator,
            eval_every=eval_every,
            on_nan=on_nan,
            **kwargs,
        )
        self._criterion = self._loss
        self.schedule = schedule
        self.max_grad_norm = max_grad_norm
        self.precision = precision
        self.compile = compile
        self.use_dataset_transforms = use_dataset_transforms
        self.view_generator = torch.Generator(self.device).manual_seed(seed)
        self.order_generator = torch.Generator().manual_seed(seed)
        self._step = self._steps = 0  # of the schedule, within the experience
        self._bank_hits: int | None = None
        self._is_dynamic = True
        self.mb_views: Views = {}
        """Views of the images of the step, also after it; plugins may change them in `after_views`."""
        self.method_loss = torch.zeros(())
        """The method's loss of the step, or a plugin's in its place; others add their terms to it in `loss`."""
        self.teacher_views = 0
        """Views that copies of the method have embedded for plugins so far, without gradient."""
        self.probe: Callable[..., Tensor] | None = None
        """Logits (B, classes) of features (B, D), for `eval`, by label; set by `ProbePlugin`. One with the attribute
        `reads_task_labels` gets the task labels (B,), too."""
        self.eval_precision: Precision = "fp32"
        """Precision of the features that `probe` reads; set by `ProbePlugin`."""
        model.generator = self.view_generator
        model.to(self.device)
        if self.device.type == "cpu":
            keep_freed_memory()
        check_processes(self)
        with attached_plugins(self):  # before the encoders are compiled: copies of them are not
            if compile:
                compile_encoders(model, self.device)
        self._rates = LearningRates(optimizer)

    def progress(self) -> dict[str, Any]:
        """Where training stands, as plain values."""
        own = {"step": self._step, "steps": self._steps, "bank_hits": self._bank_hits}
        return super().progress() | own | {"teacher_views": self.teacher_views}

    def load_progress(self, progress: dict[str, Any]) -> None:
        """Stand where `progress` was taken."""
        super().load_progress(progress)
        self._step, self._steps, self._bank_hits = progress["step"], progress["steps"], progress["bank_hits"]
        self.teacher_views = progress["teacher_views"]

    def train(self, experiences: Any, eval_streams: Any = None, **kwargs: Any) -> Any:
        """Train as Avalanche does; after a resume, continue the interrupted call, see `ResumableTemplate.train`."""
        try:
            return super().train(experiences, eval_streams, **kwargs)
        except (MemoryError, RuntimeError, np.linalg.LinAlgError) as error:
            if isinstance(self.dataloader, RawDataLoader):
                self.dataloader.shut_down_workers()
            message = explain(error, self.train_mb_size)
            if message is None:
                raise
            raise UsageError(message) from error

    # -- model and optimizer -------------------------------------------------------------------------------------

    def _before_training(self, **kwargs: Any) -> None:
        check_model(self.model, self.optimizer)  # a part may have been exchanged, or let learn, since
        self._is_dynamic = any(isinstance(module, DynamicModule) for module in self.model.modules())
        super()._before_training(**kwargs)

    def check_model_and_optimizer(self, reset_optimizer_state: bool = False, **kwargs: Any) -> None:
        """Leave the optimizer as the user made it; Avalanche would refill its groups and reset its state.

        A model without Avalanche's dynamic modules has nothing to adapt, and `train` has moved it to the device.
        """
        if self._is_dynamic:
            self.model = self.model_adaptation()
            check_model(self.model, self.optimizer)  # parameters that have grown would silently not be trained
        if reset_optimizer_state:
            self.optimizer.state.clear()

    # -- one experience ------------------------------------------------------------------------------------------

    def _before_training_exp(self, **kwargs: Any) -> None:
        super()._before_training_exp(**kwargs)
        check_experience(self)
        check_loader(self)
        self._step, self._steps = 0, len(self.dataloader) * self.train_epochs
        self._fix_plugins()

    # -- one step ------------------------------------------------------------------------------------------------

    def forward(self) -> Outputs | Tensor:
        """Embeddings of random views in training, logits of the probe in evaluation."""
        if not self.is_training:
            if self.probe is None:
                raise UsageError("eval() needs a fitted probe: add ProbePlugin(benchmark) to the strategy's plugins")
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.eval_precision == "bf16"):
                features = self.model.extract_features(self.mb_x).float()
            if getattr(self.probe, "reads_task_labels", False):
                return self.probe(features, self.mb_task_id)
            return self.probe(features)
        with distributed.images_are(self.share):
            self.mb_views = self.model.random_views(self.mb_x)
        trigger_plugins(self, "after_views")
        return self.embed(partial(self.model, self.mb_x))

    def embed(self, network: Callable[[Views], Outputs], rows: slice = slice(None)) -> Outputs:
        """What a network makes of the present views in the precision of training, in float32, for all processes.

        Args:
            network: embeds views.
            rows: of the batch: all, the new ones, or the others.
        """
        share, own = self.part(rows)
        views = self.mb_views if rows == slice(None) else {name: view[own] for name, view in self.mb_views.items()}
        with (
            distributed.sharing(share),
            torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"),
        ):
            outputs = network(views)
        full = {name: t.float() if t.dtype == torch.bfloat16 else t for name, t in outputs.items()}
        return {name: distributed.gathered(t, share) for name, t in full.items()}

    def criterion(self) -> Tensor:
        """Loss of the method in training, cross-entropy of the logits of the probe in evaluation."""
        if self.is_training:
            self.method_loss = objective(self)
            return self.method_loss
        check_targets(self.mb_y, self.mb_output.shape[1])
        return F.cross_entropy(self.mb_output, self.mb_y)

    def _loss(self, outputs: Outputs, labels: Tensor) -> Tensor:
        """Loss of the method; plugins such as EWC and AGEM call it as `strategy._criterion(outputs, labels)`.

        The labels are dropped, except for a method that declares that it reads them.
        """
        loss: Tensor = self.model.loss(outputs | {"labels": labels} if self.model.num_classes_read else outputs)
        return loss

    def backward(self) -> None:
        """Compute the gradient of the loss, which is the mean over processes."""
        super().backward()
        distributed.average_gradients(p for module in trained_modules(self) for p in module.parameters())

    def _before_training_epoch(self, **kwargs: Any) -> None:
        super()._before_training_epoch(**kwargs)
        self.model.prepare(self.images())
        self._bank_hits = count_bank_hits(self.model) if self.train_epochs > 1 else None

    def _after_training_epoch(self, **kwargs: Any) -> None:
        if self.clock.train_exp_epochs > 0:
            warn_if_unrecognized(self.model, self._bank_hits)
        super()._after_training_epoch(**kwargs)

    def _before_training_iteration(self, **kwargs: Any) -> None:
        self._rates.set(self.optimizer, self.schedule.factor(self._step, self._steps))
        super()._before_training_iteration(**kwargs)
        self._rates.note(self.optimizer)
        self._fix_plugins()

    def _fix_plugins(self) -> None:
        if self.device.type == "cpu":
            unalias_synaptic_intelligence(self.plugins)

    def _train_cleanup(self) -> None:
        super()._train_cleanup()
        self.method_loss = self.method_loss.detach()  # a graph could be neither copied nor pickled

    def _before_update(self, **kwargs: Any) -> None:
        super()._before_update(**kwargs)
        if self.max_grad_norm is not None:
            for module in trained_modules(self):
                nn.utils.clip_grad_norm_(module.parameters(), self.max_grad_norm)

    def _after_update(self, **kwargs: Any) -> None:
        if not self.nonfinite_guard.skipping:
            self.model.n_new = self._n_new()
            self.model.update({name: t.detach() for name, t in self.mb_output.items()})
        self._step += 1
        super()._after_update(**kwargs)

    def _n_new(self) -> int | None:
        """Images of the batch that are new and do not come again in the next step, see `Method.n_new`."""
        loader: Any = self.dataloader
        if not isinstance(loader, RawDataLoader):
            return None
        if len(loader) == 1 and self.clock.train_exp_epochs + 1 < self.train_epochs:
            return 0
        return self.n_new if self.n_new < self.n_images else None
