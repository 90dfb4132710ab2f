"""Measures how small errors in a run grow or fade until its end. The measurement makes some more calls after
a recorded run.

Whatever error is made early, the runs of one picture end with a difference in a few directions that belong to
this picture. To find these directions, we add small errors to the run, like those of a prediction, and follow
the run to its end. A gradient then tells how far along each direction the run ends after an error at any step
and block. The gradient is carried from the end of the run back to its start (the adjoint of the loop). Both
computations (adding errors and carrying the gradient) move along the noise level in strides: where the noise
level hardly changes, one call stands for several steps.

The computation needs automatic differentiation, and memory for the gradients of one call.
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

# share of the noise level at the start: two calls are at most this far apart, unless the steps are farther
# apart
STRIDE = 0.08
EARLY = 0.75  # share of the noise level at the start: down to this level, errors are added
EACH = 3  # mixtures for each token
POSITIONS = ("img_ids", "txt_ids")  # positions of tokens: all samples of a call share them
FIRST = 3  # the first step with an added error; methods warm up before it


Shown = Callable[
    [Tensor], Tensor
]  # takes latents (batch, tokens, outputs) and returns (batch, tokens, values), in levels of 8 bits


class ErrorPropagation(NamedTuple):
    """The effect of errors on the end of a run, in float32 arrays of numpy.

    Axes: directions d, blocks k, steps t, streams s; calls c along the run, from the last step to the first.

    For each token, ``EACH`` mixtures e of its values (with random signs) stand for the picture; they are as
    large as the values' differences, in 8-bit levels. A direction has the length of a picture whose values
    all differ by one level.

    ``mixtures`` (tokens, e + d, outputs): the effect of one unit of a token's output on the token's mixtures,
    and its length along each direction.
    ``patterns`` (d, tokens * e): the mixtures of each direction.
    ``levels`` (c,): the noise levels after the calls' steps.
    ``products`` (c, s, k, d, t, k): how far an error moves the end along a direction. The first k is the
    block behind which the error is added. The second k and t choose the error: a stream's residual up to that
    block at that step. Outputs are velocities, so a product counts for one unit of noise level.
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

    sigmas: the noise levels before each step, and after the last step.
    mix: the weight of each denoising stream (cond, uncond) in the guided output.
    shown: a function from latents to the picture. Returns None if the run has too few steps, or if no added
    error changes its end. Raises Cancelled.
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
    """Use the latents as the picture: one unit is half the range from black to white."""
    return 127.5 * latents


class _Loop:
    """The denoising loop, linearised along the path of the recorded run."""

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
        """Return, by step, two errors of the velocity for each stream: (errors, tokens, outputs).

        The first error is that of reusing the step before; the second is that of a line through the two steps
        before.
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
        """Return the strides: the first step of each, its end, and the step that stands for it."""
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
        """Return how far each added error has moved the latents at the end: (errors, tokens, outputs)."""
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
        """Yield the noise level after each stride's step, and the products of all streams, from the last
        stride to the first.
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
        """Carry a gradient back through one call.

        answer: the gradient with respect to the call's answer, (d, tokens, outputs). Returns the gradients
        with respect to the call's latents, and to the tensors behind every block: (k, d, values).
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
        """Collect each block's output tensors while the block runs."""
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
        """Run a recorded call again with a batch of other latents."""
        if self.stop is not None and self.stop.is_set():
            raise Cancelled
        arguments = self.arguments[step * len(self.mix) + stream]
        batch = {
            name: value if name in POSITIONS else _repeated(value, len(latents))
            for name, value in arguments.items()
        }
        return self.transformer(**batch | {"hidden_states": latents, "return_dict": False})[0]


def _plain(value: Any) -> Any:
    """Return a tensor, or a list of tensors, that autograd accepts even if it was made in inference mode."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.detach().clone() if isinstance(value, Tensor) else value


def _repeated(value: Any, times: int) -> Any:
    """Repeat an argument of one sample, to make a batch."""
    if isinstance(value, list):
        return [_repeated(item, times) for item in value]
    return (
        value.expand(times, *value.shape[1:])
        if isinstance(value, Tensor) and value.shape[:1] == (1,)
        else value
    )
