"""Measures how small errors in a run grow or fade until the end of the run. This happens after the recorded
baseline run, with additional calls of the transformer.

First, the code finds the *directions*. Errors at early steps change the final picture, and for one prompt and
seed nearly all errors change it in the same few ways: these differences of the picture are the directions. To
find them, the code adds a few errors to the recorded run, such as the error of reusing an output, and follows
each error to the final picture.

Second, the code calculates gradients: how far an error at any step and behind any block moves the final
picture along each direction. The gradients are carried from the last step back to the first (the adjoint of
the loop).

Both computations go through the run in strides: where the noise level changes little, one call stands for
several steps. They need automatic differentiation, and memory for the gradients of one call.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..models.catalog import sections_of
from ..sites.activation_recorder import RecordedCalls
from ..sites.blocks import Block, image_first, numbered
from ..strict import Cancelled

# Largest change of the noise level in a stride of several steps, as a share of the first noise level.
STRIDE = 0.08
EARLY = 0.75  # errors are added while the noise level is at least this share of the first noise level
EACH = 3  # number of mixtures for each token
POSITIONS = ("img_ids", "txt_ids")  # arguments with the tokens' positions: all samples of a batch share them
FIRST = 3  # first step at which an error is added: methods usually compute the steps before it


# A function from latents, (batch, tokens, outputs), to the picture in 8-bit levels, (batch, tokens, values).
Shown = Callable[[Tensor], Tensor]


class ErrorPropagation(NamedTuple):
    """The effect of small errors on the final picture, as float32 arrays of numpy.

    Axes: d directions, e mixtures of a token, k blocks, t steps, s streams, c calls with gradients (from the
    last step to the first).

    A mixture is a sum of a token's values in the picture, with random signs. It is scaled so that its mean
    square is about that of the values. A direction is a difference of two pictures, scaled to a mean square
    of one level. Levels are those of 8 bits: 255 from black to white.

    ``mixtures`` (tokens, e + d, outputs): the effect of one unit in each value of a token's latents. The
    second axis holds the effect on the token's e mixtures, then the length along each of the d directions.
    ``patterns`` (d, tokens * e): the mixtures of each direction.
    ``levels`` (c,): for each call, the noise level after its step.
    ``products`` (c, s, k, d, t, k): how far an error moves the final picture along a direction. The first k
    is the block behind which the error is added. The error is a recorded residual: that of all blocks up to
    the second k, at step t. The transformer's output is a velocity, so a product is the effect for a step of
    one unit of noise level.
    """

    mixtures: Any
    patterns: Any
    levels: Any
    products: Any


@torch.inference_mode(False)
def propagate_errors(
    transformer: nn.Module,
    calls: RecordedCalls,
    sigmas: Sequence[float],
    mix: Sequence[float],
    shown: Shown,
    stop: threading.Event | None = None,
) -> ErrorPropagation | None:
    """Measure how errors propagate along a recorded run.

    transformer: the model that made the recorded calls.
    sigmas: the noise levels before each step, and after the last step.
    mix: the weight of each stream (cond, uncond) in the guided output.
    shown: a function from latents to the picture.
    stop: an event; once it is set, the function raises Cancelled.

    Returns None if the run has too few steps for an error to be added, or if an added error does not change
    the final picture.
    """
    loop = _Loop(transformer, calls, sigmas, mix, stop)
    pushes = loop.pushes()
    if not pushes:
        return None
    end, off = loop.end(), loop.followed(pushes)
    moved: Any = torch.autograd.functional.jvp(shown, end.expand_as(off).contiguous(), off)[1]
    tokens, values = moved.shape[1:]
    sizes = moved.flatten(1).norm(dim=1)
    if not bool(torch.isfinite(sizes).all() and (sizes > 0).all()):
        return None
    directions = (
        torch.linalg.qr((moved.flatten(1) / sizes[:, None]).mT).Q.mT.reshape(moved.shape)
        * (tokens * values) ** 0.5
    )
    signs = (
        torch.randint(2, (EACH, tokens, values), generator=torch.Generator().manual_seed(0)).to(moved) * 2 - 1
    )
    pulled = torch.cat([signs / values**0.5, directions / (tokens * values)])
    latents = end.expand(len(pulled), -1, -1).clone().requires_grad_()
    with torch.enable_grad():
        mixtures = torch.autograd.grad(shown(latents), latents, pulled)[0]
    patterns = torch.einsum("dkv,ekv->dke", directions, signs / values**0.5)
    levels, products = zip(*loop.carried_back(mixtures[EACH:]))
    tensors = mixtures.transpose(0, 1), patterns.flatten(1), torch.tensor(levels), torch.stack(products)
    return ErrorPropagation(*(tensor.contiguous().cpu().numpy() for tensor in tensors))


def as_they_are(latents: Tensor) -> Tensor:
    """Use the latents as the picture, in 8-bit levels. Two units of latents are the range from black to
    white.
    """
    return 127.5 * latents


class _Loop:
    """The denoising loop of the recorded run, for small errors: the effect of an error is linear."""

    def __init__(
        self,
        transformer: nn.Module,
        calls: RecordedCalls,
        sigmas: Sequence[float],
        mix: Sequence[float],
        stop: threading.Event | None,
    ) -> None:
        self.transformer, self.sigmas, self.mix, self.stop = transformer, sigmas, mix, stop
        self.blocks = numbered(transformer, sections_of(transformer))
        streams = len(mix)
        self.arguments = [{name: _plain(value) for name, value in call.items()} for call in calls.arguments]
        rows = range(0, len(calls.arguments), streams)
        self.latents = [
            [call["hidden_states"] for call in self.arguments[row : row + streams]] for row in rows
        ]
        self.answers = [list(map(_plain, calls.answers[row : row + streams])) for row in rows]
        block_tensors = torch.stack([_plain(tensors) for tensors in calls.block_tensors]).float()
        added = block_tensors[:, 1:] - block_tensors[:, :1]
        self.added = added.unflatten(0, (-1, streams)).movedim(1, 0)  # axes (s, t, k, values)

    def pushes(self) -> dict[int, Tensor]:
        """Return the errors that are added to the guided output, by step: (errors, tokens, outputs).

        Each stream makes two errors: that of reusing its output of the step before, and that of extrapolating
        its outputs of the two steps before along a straight line. ``followed`` adds the errors of all these
        steps with the same place in the tensor to one run.
        """
        steps = [
            step for step in range(FIRST, len(self.latents)) if self.sigmas[step] >= EARLY * self.sigmas[0]
        ][::2]
        pushes: dict[int, Tensor] = {}
        for step in steps:
            rows = []
            for stream, weight in enumerate(self.mix):
                now, then, before = (self.answers[step - back][stream] for back in range(3))
                rows += [weight * (then - now), weight * (2 * then - before - now)]
            pushes[step] = torch.cat(rows).float()
        return pushes

    def end(self) -> Tensor:
        """Return the latents after the last step."""
        last = self.latents[-1][0].float()
        velocity = sum(weight * answer.float() for weight, answer in zip(self.mix, self.answers[-1]))
        return last + (self.sigmas[-1] - self.sigmas[-2]) * velocity

    def strides(self) -> list[tuple[int, int, int]]:
        """Return the strides as (first step, first step of the next stride, the step whose call stands for
        the whole stride).
        """
        strides, begin, sigmas = [], 0, self.sigmas
        while begin < len(self.latents):
            end = begin + 1
            while end < len(self.latents) and sigmas[begin] - sigmas[end + 1] <= STRIDE * sigmas[0]:
                end += 1
            middle = (sigmas[begin] + sigmas[end]) / 2
            strides.append((begin, end, min(range(begin, end), key=lambda step: abs(sigmas[step] - middle))))
            begin = end
        return strides

    @torch.no_grad()
    def followed(self, pushes: Mapping[int, Tensor]) -> Tensor:
        """Follow the added errors to the end of the run. Return by how much each changes the final latents:
        (errors, tokens, outputs).

        pushes: the result of ``pushes()``.
        """
        off = torch.zeros_like(next(iter(pushes.values())))
        for begin, end, step in self.strides():
            across = self.sigmas[end] - self.sigmas[begin]
            before = off
            for at in set(pushes) & set(range(begin, end)):
                push = (self.sigmas[at + 1] - self.sigmas[at]) * pushes[at]
                off = off + push
                before = before + push * (self.sigmas[end] - self.sigmas[at + 1]) / across
            if bool(before.any()):
                for stream, weight in enumerate(self.mix):
                    latents = self.latents[step][stream]
                    moved = (
                        self.answer(step, stream, (latents + before).to(latents.dtype))
                        - self.answers[step][stream]
                    )
                    off = off + across * weight * moved
        return off

    def carried_back(self, gradient: Tensor) -> Iterator[tuple[float, Tensor]]:
        """Carry gradients back through the run, from the last stride to the first. For each stride, yield the
        noise level after its step, and its products: (streams, blocks, directions, steps, blocks).

        gradient: for each direction, the gradient with respect to the final latents, (directions, tokens,
        outputs).
        """
        slope = torch.zeros_like(gradient)
        for begin, end, step in reversed(self.strides()):
            level = self.sigmas[step + 1]
            here = gradient + (level - self.sigmas[end]) * slope
            slope, products = torch.zeros_like(gradient), []
            for stream, weight in enumerate(self.mix):
                into, behind = self.gradients(step, stream, here)
                slope = slope - weight * into
                products.append(torch.einsum("kdn,tjn->kdtj", behind, self.added[stream]))
            gradient = gradient - (self.sigmas[end] - self.sigmas[begin]) * slope
            yield level, torch.stack(products)

    def gradients(self, step: int, stream: int, answer: Tensor) -> tuple[Tensor, Tensor]:
        """Carry gradients back through one call of the transformer.

        answer: the gradients with respect to the call's output, (directions, tokens, outputs).

        Returns the gradients with respect to the call's latents, (directions, tokens, outputs), and to the
        tensors behind every block, (blocks, directions, values).
        """
        with torch.enable_grad(), self.collected_outputs() as behind:
            latents = self.latents[step][stream].expand(len(answer), -1, -1).clone().requires_grad_()
            said = self.answer(step, stream, latents)
            tensors = [tensor for block in behind for tensor in block]
            into, *rest = torch.autograd.grad(
                said, [latents, *tensors], answer.to(said.dtype), allow_unused=True
            )
        found = iter([torch.zeros_like(tensor) if one is None else one for one, tensor in zip(rest, tensors)])
        tokens = behind[0][0].shape[1]
        parts = [
            image_first(block, [next(found) for _ in one], tokens) for block, one in zip(self.blocks, behind)
        ]
        return into.float(), torch.stack(
            [torch.cat([part.flatten(1) for part in one], dim=1) for one in parts]
        ).float()

    @contextmanager
    def collected_outputs(self) -> Iterator[list[list[Tensor]]]:
        """Collect the output tensors of all blocks that run in this ``with`` block, in a list of one entry
        for each block.
        """
        outputs: list[list[Tensor]] = []

        def hear(block: Block) -> Any:
            return block.module.register_forward_hook(
                lambda module, args, result: outputs.append(block.carried(block.outputs(result)))
            )

        hooks = [hear(block) for block in self.blocks]
        try:
            yield outputs
        finally:
            for hook in hooks:
                hook.remove()

    def answer(self, step: int, stream: int, latents: Tensor) -> Tensor:
        """Run a recorded call again with a batch of other latents. Return its output. Raises Cancelled."""
        if self.stop is not None and self.stop.is_set():
            raise Cancelled
        arguments = self.arguments[step * len(self.mix) + stream]
        batch = {
            name: value if name in POSITIONS else _repeated(value, len(latents))
            for name, value in arguments.items()
        }
        return self.transformer(**batch | {"hidden_states": latents, "return_dict": False})[0]


def _plain(value: Any) -> Any:
    """Copy tensors out of inference mode, so that autograd accepts them. ``value`` may be a tensor or a list;
    any other value is returned as it is.
    """
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.detach().clone() if isinstance(value, Tensor) else value


def _repeated(value: Any, times: int) -> Any:
    """Repeat an argument ``times`` times along its batch axis, if it holds one sample. Return any other
    argument as it is.
    """
    if isinstance(value, list):
        return [_repeated(item, times) for item in value]
    return (
        value.expand(times, *value.shape[1:])
        if isinstance(value, Tensor) and value.shape[:1] == (1,)
        else value
    )
