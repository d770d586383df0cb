"""The Avalanche template that trains every method; imported when first used."""

from typing import TYPE_CHECKING

from avalanche_ssl.lazy import lazy_names

if TYPE_CHECKING:
    from avalanche_ssl.training.avalanche_fixes import AvalancheReplay as AvalancheReplay
    from avalanche_ssl.training.avalanche_fixes import allow_save_checkpoint as allow_save_checkpoint
    from avalanche_ssl.training.default_metrics import print_pending_metrics as print_pending_metrics
    from avalanche_ssl.training.failures import out_of_memory as out_of_memory
    from avalanche_ssl.training.malloc import give_back_freed_memory as give_back_freed_memory
    from avalanche_ssl.training.malloc import keep_freed_memory as keep_freed_memory
    from avalanche_ssl.training.nonfinite import DivergedError as DivergedError
    from avalanche_ssl.training.precision import fastest_precision as fastest_precision
    from avalanche_ssl.training.strategy import SelfSupervised as SelfSupervised

__all__ = [
    "AvalancheReplay",
    "DivergedError",
    "SelfSupervised",
    "allow_save_checkpoint",
    "fastest_precision",
    "give_back_freed_memory",
    "keep_freed_memory",
    "out_of_memory",
    "print_pending_metrics",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "AvalancheReplay": "avalanche_fixes",
        "DivergedError": "nonfinite",
        "SelfSupervised": "strategy",
        "allow_save_checkpoint": "avalanche_fixes",
        "fastest_precision": "precision",
        "give_back_freed_memory": "malloc",
        "keep_freed_memory": "malloc",
        "out_of_memory": "failures",
        "print_pending_metrics": "default_metrics",
    },
)
