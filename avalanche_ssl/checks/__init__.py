"""The contract of a method as checks that run over any `Method`."""

from avalanche_ssl.checks.contract import CHECKS, ContractError, check_method
from avalanche_ssl.checks.harness import textured

__all__ = [
    "CHECKS",
    "ContractError",
    "check_method",
    "textured",
]
