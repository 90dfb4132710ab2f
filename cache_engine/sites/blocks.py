"""The blocks of a transformer: their modules, and the places of their tensors among arguments and results."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

from ..model import Section
from ..strict import EngineError


class Block(NamedTuple):
    """One transformer block, with its forward from before any site replaced it."""

    number: int  # 0 to N-1, counted across all sections
    module: nn.Module
    forward: Callable[..., Any]
    section: Section
    parameters: tuple[str, ...]

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the forward's arguments by name."""
        return dict(zip(self.parameters, args)) | kwargs

    def inputs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Tensor]:
        """Return, by name, the tensors that the block changes: the image and, if carried, the text."""
        arguments = self.arguments(args, kwargs)
        return {name: arguments[name] for name in self.section.takes}

    def outputs(self, result: Any) -> dict[str, Tensor]:
        """Return the block's result by name. Raises EngineError if the result differs from the section's
        description.
        """
        if isinstance(result, tuple) != (len(self.section.returns) > 1):
            raise EngineError(
                f"{type(self.module).__name__} does not return {' and '.join(self.section.returns)}, "
                "contrary to its description; its model cannot be cached."
            )
        values = result if len(self.section.returns) > 1 else (result,)
        return dict(zip(self.section.returns, values, strict=True))

    def result(self, values: Mapping[str, Tensor]) -> Any:
        """Return the block's result with these values. This function is the inverse of ``outputs``."""
        ordered = [values[name] for name in self.section.returns]
        return tuple(ordered) if len(ordered) > 1 else ordered[0]

    def carried(self, values: Mapping[str, Tensor]) -> list[Tensor]:
        """Return inputs or outputs in the order of ``inputs``. A model's last block may return no text."""
        return [values[name] for name in self.section.takes if values[name] is not None]


def numbered(transformer: nn.Module, sections: tuple[Section, ...]) -> list[Block]:
    """Return the model's blocks, numbered 0 to N-1 across its sections."""
    blocks: list[Block] = []
    for section in sections:
        for module in transformer.get_submodule(section.path).children():
            parameters = tuple(inspect.signature(module.forward).parameters)
            blocks.append(Block(len(blocks), module, compiled(module) or module.forward, section, parameters))
    return blocks


def is_compiled(module: nn.Module) -> bool:
    """Return whether torch.compile runs the module, by module.compile() or by replacing its forward."""
    return getattr(module, "_compiled_call_impl", None) is not None or hasattr(
        vars(module).get("forward"), "_torchdynamo_orig_callable"
    )


def compiled(module: nn.Module) -> Callable[..., Any] | None:
    """Return the compiled call of a block, or None if the block is not compiled.

    While the compiled call runs, the module has its own ``forward`` back instead of the one that a site set,
    so torch.compile never traces a site.
    """
    run = getattr(module, "_compiled_call_impl", None)
    if run is None:
        return None

    def forward(*args: Any, **kwargs: Any) -> Any:
        ours = vars(module).pop("forward", None)
        try:
            return run(*args, **kwargs)
        finally:
            if ours is not None:
                module.forward = ours

    return forward


def image_part(tensor: Tensor, tokens: int, section: Section) -> Tensor:
    """Return the image's ``tokens`` of a tensor (batch, tokens, channels) that may also hold the text."""
    if tensor.shape[1] == tokens:
        return tensor
    return tensor[:, -tokens:] if section.text_first else tensor[:, :tokens]


def image_first(block: Block, tensors: list[Tensor], tokens: int) -> list[Tensor]:
    """Put the image's ``tokens`` before the text, so that all blocks of a model can be compared.

    tensors: as ``Block.carried`` returns them, (batch, tokens, channels) each: the image and the text, or
    both in one tensor.
    """
    joint = tensors[0]
    if len(tensors) > 1 or joint.shape[1] == tokens or not block.section.text_first:
        return tensors
    return [joint[:, -tokens:], joint[:, :-tokens]]
