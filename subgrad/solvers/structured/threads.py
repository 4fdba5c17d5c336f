"""BLAS with one thread for as long as something runs.

numpy and scipy bring a BLAS each, whose threads wait for each other in turns on systems
of some hundred unknowns.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Any


@cache
def _controller() -> Any:
    import scipy.linalg  # noqa: F401  so that its BLAS is seen, too
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def one_thread() -> AbstractContextManager[Any]:
    """A context in which BLAS uses one thread."""
    found = _controller()
    libraries = (b for b in found.lib_controllers if b.user_api == "blas")
    if all(b.num_threads == 1 for b in libraries):
        return nullcontext()
    return found.limit(limits=1, user_api="blas")
