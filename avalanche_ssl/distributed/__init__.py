"""Several processes that learn as one: shares of a batch, gathering, batch norm over all, and what they agree on.

A process embeds its share of the batch; everything else all processes do alike. See README.md.
"""

from typing import TYPE_CHECKING

from avalanche_ssl.lazy import lazy_names

if TYPE_CHECKING:
    from avalanche_ssl.distributed.batch_norm import shared_batch_norm as shared_batch_norm
    from avalanche_ssl.distributed.batch_norm import sharing as sharing
    from avalanche_ssl.distributed.gathering import average as average
    from avalanche_ssl.distributed.gathering import average_gradients as average_gradients
    from avalanche_ssl.distributed.gathering import divided as divided
    from avalanche_ssl.distributed.gathering import gathered as gathered
    from avalanche_ssl.distributed.gathering import gathered_calls as gathered_calls
    from avalanche_ssl.distributed.gathering import of_all as of_all
    from avalanche_ssl.distributed.launcher import launched as launched
    from avalanche_ssl.distributed.launcher import launched_rank as launched_rank
    from avalanche_ssl.distributed.processes import agreed as agreed
    from avalanche_ssl.distributed.processes import another_has_ended as another_has_ended
    from avalanche_ssl.distributed.processes import broadcast as broadcast
    from avalanche_ssl.distributed.processes import check_same as check_same
    from avalanche_ssl.distributed.processes import check_started as check_started
    from avalanche_ssl.distributed.processes import is_first_to_fail as is_first_to_fail
    from avalanche_ssl.distributed.processes import is_main as is_main
    from avalanche_ssl.distributed.processes import join as join
    from avalanche_ssl.distributed.processes import leave as leave
    from avalanche_ssl.distributed.processes import on_main as on_main
    from avalanche_ssl.distributed.processes import rank as rank
    from avalanche_ssl.distributed.processes import size as size
    from avalanche_ssl.distributed.processes import start as start
    from avalanche_ssl.distributed.share import Share as Share
    from avalanche_ssl.distributed.share import images_are as images_are
    from avalanche_ssl.distributed.share import present as present
    from avalanche_ssl.distributed.share import share_of as share_of
    from avalanche_ssl.distributed.share import whole_shape as whole_shape

__all__ = [
    "Share",
    "agreed",
    "another_has_ended",
    "average",
    "average_gradients",
    "broadcast",
    "check_same",
    "check_started",
    "divided",
    "gathered",
    "gathered_calls",
    "images_are",
    "is_first_to_fail",
    "is_main",
    "join",
    "launched",
    "launched_rank",
    "leave",
    "of_all",
    "on_main",
    "present",
    "rank",
    "share_of",
    "shared_batch_norm",
    "sharing",
    "size",
    "start",
    "whole_shape",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    {
        "Share": "share",
        "agreed": "processes",
        "another_has_ended": "processes",
        "average": "gathering",
        "average_gradients": "gathering",
        "check_same": "processes",
        "check_started": "processes",
        "divided": "gathering",
        "gathered": "gathering",
        "gathered_calls": "gathering",
        "images_are": "share",
        "is_first_to_fail": "processes",
        "is_main": "processes",
        "join": "processes",
        "launched": "launcher",
        "launched_rank": "launcher",
        "leave": "processes",
        "of_all": "gathering",
        "on_main": "processes",
        "present": "share",
        "rank": "processes",
        "share_of": "share",
        "shared_batch_norm": "batch_norm",
        "sharing": "batch_norm",
        "size": "processes",
        "start": "processes",
        "broadcast": "processes",
        "whole_shape": "share",
    },
)
