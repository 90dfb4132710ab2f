"""The module site: every block runs with remembered or predicted outputs of its attention and feed-forward.

The block's forward computes the gates, shifts and scales around a predicted output, so they belong to the
current step. In single blocks, attention and feed-forward end in one common projection: the projection's
output is predicted, and the modules that feed it return empty tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import Any

from torch import Tensor, nn

from ..plans import Modules
from .blocks import Block
from .current_call import CurrentCall


class ModuleSite:
    """Replaces the modules that ``Section.outputs`` and ``Section.muted`` name. ``at``: the running call."""

    def __init__(self, at: CurrentCall, *, before_projection: bool) -> None:
        self.at, self.before_projection = at, before_projection

    def forwards(self) -> Iterator[tuple[nn.Module, Callable[..., Any]]]:
        """Yield each module together with the forward that replaces its own."""
        for block in self.at.blocks:
            for name in block.section.muted:
                module = block.module.get_submodule(name)
                yield module, wraps(module.forward)(partial(self.muted, module.forward))
            for name in block.section.outputs:
                module = block.module.get_submodule(name)
                projections = block.section.projections.get(name, ()) if self.before_projection else ()
                if projections:
                    yield from self.projected(
                        block, name, module, [module.get_submodule(part) for part in projections]
                    )
                else:
                    yield (
                        module,
                        wraps(module.forward)(partial(self.output, (block.number, name), module.forward)),
                    )

    def output(self, place: tuple[int, str], original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Predict the module's output, or run the module and remember its output."""
        here = self.at.here(Modules, place)
        if here is None:
            return original(*args, **kwargs)
        if here.serving:
            values = list(here.predict())
            return tuple(values) if len(values) > 1 else values[0]
        result = original(*args, **kwargs)
        here.remember(result if isinstance(result, tuple) else (result,))
        return result

    def projected(
        self, block: Block, name: str, module: nn.Module, projections: list[nn.Module]
    ) -> Iterator[tuple[nn.Module, Callable[..., Any]]]:
        """Do the same as ``output``, but remember the input of the module's last projections, which run in
        every step.

        Further results of the module, such as an IP-Adapter's, are remembered unchanged.
        """
        originals = [projection.forward for projection in projections]
        entered: dict[int, Tensor] = {}

        def projection(place: int, value: Tensor) -> Tensor:
            here = self.at.here(Modules, (block.number, name))
            if here is not None and not here.serving:
                entered[place] = value
            return originals[place](value)

        def attention(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            here = self.at.here(Modules, (block.number, name))
            if here is None:
                return original(*args, **kwargs)
            if here.serving:
                values = here.predict()
                return (
                    *(part(value) for part, value in zip(projections, values)),
                    *values[len(projections) :],
                )
            result = original(*args, **kwargs)
            values = (*(entered.pop(place) for place in range(len(originals))), *result[len(originals) :])
            here.remember(values)
            return result

        for place, part in enumerate(projections):
            yield part, wraps(part.forward)(partial(projection, place))
        yield module, wraps(module.forward)(partial(attention, module.forward))

    def muted(self, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Return a tensor without channels while outputs are predicted, because no module reads it then."""
        if self.at.call is None or not self.at.serving:
            return original(*args, **kwargs)
        entering = args[0] if args else kwargs["hidden_states"]
        return entering[..., :0]
