"""Observes or replaces the attention of one module, at the point where its queries, keys and values meet.

Each attention module projects, normalises and rotates in its own way. torch's scaled_dot_product_attention is
the one call in which queries, keys and values meet. We intercept this call in the current thread while the
module runs. No class is changed.
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
# number of queries whose attention is computed at once, so that a whole attention map is never in memory
ROWS = 256


class Meeting(NamedTuple):
    """The arguments of an attention: queries, keys and values (batch, heads, tokens, channels), a mask
    (batch, 1, 1, keys) or None, and the scale.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    scale: float

    def weights(self, rows: slice) -> Tensor:
        """Return the attention weights of these queries, (batch, heads, rows, keys), in float32."""
        met = torch.matmul(self.query[:, :, rows], self.key.transpose(-1, -2)).float() * self.scale
        if self.mask is not None:
            met = (
                met.masked_fill(~self.mask, -torch.inf) if self.mask.dtype == torch.bool else met + self.mask
            )
        return F.softmax(met, dim=-1)

    def received(self) -> Tensor:
        """Return the share that each token receives of the attention of all queries and heads: (batch,
        tokens).
        """
        queries, heads = self.query.shape[2], self.query.shape[1]
        parts = [
            self.weights(slice(start, start + ROWS)).sum(dim=(1, 2)) for start in range(0, queries, ROWS)
        ]
        return torch.stack(parts).sum(dim=0) / (queries * heads)


class Met(TorchFunctionMode):
    """While this mode is active, ``attend(meeting, original)`` replaces scaled_dot_product_attention.

    met: True once the attention was called. Raises EngineError if the attention is called again, as with an
    IP-Adapter, which adds an attention of its own to every block.
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
                "a block computes two attentions, perhaps because of an IP-Adapter, so its attention "
                "cannot be read; run without the IP-Adapter."
            )
        if given.get("is_causal") or given.get("enable_gqa") or (mask is not None and mask.shape[-2] != 1):
            raise EngineError(
                "the mask of this model's attention differs from query to query, so the attention "
                "cannot be read; choose a method that skips whole blocks, such as dbcache."
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

    Raises EngineError if the module does not call scaled_dot_product_attention.
    """
    with Met(attend) as watch:
        result = module(*args, **kwargs)
    if not watch.met:
        raise EngineError(
            "the attention runs on a backend other than torch's own, so it cannot be read; use "
            "set_attention_backend('native')."
        )
    return result
