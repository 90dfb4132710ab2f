"""The result of a skipped block: it has a shape, but no values, because nothing may read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor

from ..strict import EngineError

BETWEEN_BLOCKS = (
    "this model reads or changes the results of its blocks between the blocks, so its blocks cannot be "
    "skipped; run it without a cache."
)


class NotComputed(Tensor):
    """A tensor with the shape, dtype and device of another one. Every operation on such a tensor raises
    EngineError.

    A range of skipped blocks has only one predicted value: that of its last block. The results of the earlier
    blocks in the range are unknown, so a model may only pass them on to the next block. A model that reads or
    changes them gets an error in its first call with skipped blocks, before that call returns a result.
    """

    __torch_function__ = torch._C._disabled_torch_function_impl  # pyright: ignore[reportAssignmentType]

    @classmethod
    def like(cls, tensor: Tensor) -> Self:
        """Make the placeholder for a block's result of this shape. It takes no memory."""
        return Tensor._make_wrapper_subclass(
            cls, tensor.shape, strides=tensor.stride(), dtype=tensor.dtype, device=tensor.device
        )

    @classmethod
    def __torch_dispatch__(
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        raise EngineError(BETWEEN_BLOCKS)
