"""Look into one module's attention, or replace it, where its queries, keys and values meet.

An attention module projects, normalises and rotates in its own way; torch's scaled_dot_product_attention is
the one call where the three meet. It is intercepted in this thread, while the module runs. No class is
touched.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from ..strict import EngineError

NAMES = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa")
ROWS = 256  # queries whose attention is looked at together, so that no whole map is ever held


class Meeting(NamedTuple):
    """Queries, keys and values, (batch, heads, tokens, channels); a mask, (batch, 1, 1, keys) or None; and
    the scale.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    scale: float

    def weights(self, rows: slice) -> Tensor:
        """Return the attention weights of these queries: (batch, heads, rows, keys) in float32."""
        met = torch.matmul(self.query[:, :, rows], self.key.transpose(-1, -2)).float() * self.scale
        if self.mask is not None:
            met = (
                met.masked_fill(~self.mask, -torch.inf) if self.mask.dtype == torch.bool else met + self.mask
            )
        return F.softmax(met, dim=-1)

    def received(self) -> Tensor:
        """Return the share of all queries' and heads' attention that each token gets: (batch, tokens)."""
        queries, heads = self.query.shape[2], self.query.shape[1]
        parts = [
            self.weights(slice(start, start + ROWS)).sum(dim=(1, 2)) for start in range(0, queries, ROWS)
        ]
        return torch.stack(parts).sum(dim=0) / (queries * heads)


class Met(TorchFunctionMode):
    """Inside this mode, ``attend(meeting, original)`` replaces scaled_dot_product_attention.

    met: whether it was called. Raises EngineError if it is called again: an IP-Adapter adds an attention of
    its own to every block.
    """

    def __init__(self, attend: Callable[[Meeting, Callable[[], Tensor]], Tensor]) -> None:
        super().__init__()
        self.attend, self.met = attend, False

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func is not F.scaled_dot_product_attention:
            return func(*args, **kwargs)
        given: dict[str, Any] = dict(zip(NAMES, args)) | dict(kwargs)
        query, key, value, mask = given["query"], given["key"], given["value"], given.get("attn_mask")
        if self.met:
            raise EngineError(
                "the attention of a block is done twice, by an IP-Adapter perhaps, so it cannot be looked "
                "into; run "
                "without it."
            )
        if given.get("is_causal") or given.get("enable_gqa") or (mask is not None and mask.shape[-2] != 1):
            raise EngineError(
                "this model's attention differs from query to query, so it cannot be looked into; choose a "
                "method "
                "that skips whole blocks, such as dbcache."
            )
        scale = given.get("scale") or query.shape[-1] ** -0.5
        self.met = True
        return self.attend(Meeting(query, key, value, mask, scale), lambda: func(*args, **kwargs))


def met(
    module: Callable[..., Any],
    attend: Callable[[Meeting, Callable[[], Tensor]], Tensor],
    *args: Any,
    **kwargs: Any,
) -> Any:
    """Run an attention module with ``attend`` in place of its scaled_dot_product_attention.

    Raises EngineError if the module does not call it.
    """
    with Met(attend) as watch:
        result = module(*args, **kwargs)
    if not watch.met:
        raise EngineError(
            "the attention runs on another backend than torch's own, so it cannot be looked into; use "
            "set_attention_backend('native')."
        )
    return result
