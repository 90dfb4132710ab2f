"""Counts the TFLOPs of a plan's calls: a copy of the transformer without weights runs under the plan.

calflops counts the layers. calflops' release does not know scaled_dot_product_attention, so attention is
added here: 2 FLOPs for each multiply-add in QK and AV, 5 for each element of the softmax. Counting needs
neither weights nor a device. calflops patches torch for the whole process and leaves torch patched after an
error. For this reason a lock lets only one thread count at a time, and torch is restored from a snapshot.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from .calls_seen import Adapters, SeenCall, adapters_of
from .model import Given, IntegerTensor, ModelSpec
from .models.catalog import spec_of
from .models.generic import TRANSFORMERS
from .plans import Costs, FixedPlan, Mode, Plan, Site, Stack, Tokens, active_sites
from .predictors import Reuse
from .records import RunRequest
from .schedules import Always, Fixed
from .sites.attach import attached
from .strict import EngineError

SOFTMAX = 5  # FLOPs for each element
_LOCK = threading.RLock()
_PATCHED = (
    "matmul",
    "addmm",
    "mul",
    "add",
    "einsum",
    "baddbmm",
)  # functions that calflops replaces, besides those of torch.nn.functional


def _rowwise(input: Tensor, *_: Any, **__: Any) -> Tensor:
    return torch.empty_like(input)


def _projected(input: Tensor, weight: Tensor, *_: Any, **__: Any) -> Tensor:
    return input.new_empty((*input.shape[:-1], weight.shape[0]))


def _attended(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> Tensor:
    return query.new_empty((*query.shape[:-1], value.shape[-1]))


def _elementwise(input: Tensor, other: Any, **__: Any) -> Tensor:
    if not isinstance(other, Tensor):
        return torch.empty_like(input) if input.is_floating_point() else NotImplemented
    if input.dtype != other.dtype:
        return NotImplemented
    return input.new_empty(torch.broadcast_shapes(input.shape, other.shape))


# These functions return results without values. On the meta device, torch computes these functions' results
# in Python, so a forward of FLUX.1-dev takes four times as long.
_RESULTS: dict[Any, Callable[..., Tensor]] = {
    F.linear: _projected,
    F.scaled_dot_product_attention: _attended,
    **dict.fromkeys((F.layer_norm, F.rms_norm, F.gelu, F.silu), _rowwise),
    **dict.fromkeys((torch.Tensor.mul, torch.Tensor.add), _elementwise),
}


class Attention(TorchFunctionMode):
    """Counts the FLOPs of this thread's scaled_dot_product_attention, and of its softmax alone.

    originals: maps each function that calflops put in place to torch's own function. Under a mode, torch
    looks a function up by its name. It would find the replacement, which has counted the call already, and
    count twice.
    """

    flops = softmax = 0

    def __init__(self, originals: Mapping[Any, Any] = MappingProxyType({})) -> None:
        super().__init__()
        self.originals = originals

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs, func = kwargs or {}, self.originals.get(func, func)
        if func is F.scaled_dot_product_attention:
            named = dict(zip(("query", "key", "value"), args)) | dict(kwargs)
            query, key, value = (named[name].shape for name in ("query", "key", "value"))
            pairs = torch.Size(query[:-1]).numel() * key[-2]
            self.softmax += pairs * SOFTMAX
            self.flops += pairs * (2 * query[-1] + 2 * value[-1] + SOFTMAX)
        first = next(iter((*args, *kwargs.values())), None)
        result = NotImplemented
        if func in _RESULTS and isinstance(first, Tensor) and first.is_meta:
            result = _RESULTS[func](*args, **kwargs)
        return func(*args, **kwargs) if result is NotImplemented else result


class _Snapshot:
    """Torch's functions before calflops replaces them."""

    def __init__(self) -> None:
        names = [(F, name) for name in vars(F)]
        names += [
            (owner, name) for owner in (torch, torch.Tensor) for name in _PATCHED if hasattr(owner, name)
        ]
        self.functions = [(owner, name, getattr(owner, name), name in vars(owner)) for owner, name in names]

    def originals(self) -> dict[Any, Any]:
        """Return torch's functions, each under the function that is in its place now."""
        now = [(getattr(owner, name), original) for owner, name, original, _ in self.functions]
        return {function: original for function, original in now if function is not original}

    def restore(self) -> None:
        for owner, name, original, is_own in self.functions:
            if not is_own and name in vars(owner):
                delattr(owner, name)
            elif getattr(owner, name) is not original:
                setattr(owner, name, original)


@contextmanager
def _torch_restored() -> Iterator[_Snapshot]:
    snapshot = _Snapshot()
    try:
        yield snapshot
    finally:
        snapshot.restore()


class _Bound(nn.Module):
    """A model with its other arguments already set, because calflops passes tensors only."""

    def __init__(self, model: nn.Module, given: Mapping[str, Any], snapshot: _Snapshot) -> None:
        super().__init__()
        self.model, self.given, self.snapshot = model, given, snapshot
        self.attention_flops = 0.0

    def forward(self, **tensors: torch.Tensor) -> Any:
        with Attention(self.snapshot.originals()) as attention:
            result = self.model(**tensors, **self.given)
        self.attention_flops = attention.flops
        return result


def count(model: nn.Module, inputs: Mapping[str, Any]) -> float:
    """Return the TFLOPs of one forward of ``model`` (on any device, meta too) with keyword ``inputs``."""
    from calflops import calculate_flops

    tensors = {name: value for name, value in inputs.items() if isinstance(value, torch.Tensor)}
    given = {name: value for name, value in inputs.items() if name not in tensors}
    with _LOCK, torch.no_grad(), _torch_restored() as snapshot:
        bound = _Bound(model, given, snapshot)
        layers, _, _ = calculate_flops(bound, kwargs=tensors, print_results=False, output_as_string=False)
    return (float(layers) + bound.attention_flops) / 1e12


def priced(site: Site) -> Site:
    """Return the site without the fields that do not change a call's cost, so that equal costs are counted
    once.
    """
    return site._replace(steps=None, aging=0.0) if isinstance(site, Tokens) else site._replace(steps=None)


PLAIN = Plan(Always(), Reuse(), ())


def runs_plainly(plan: Plan, sites: Sequence[Site]) -> bool:
    """Return whether a computed call costs the same as the plain model's.

    Sites beside stacks only add and compare on a computed call, and that is not counted.
    """
    return all(isinstance(site, Stack) for site in sites) and (
        plan.signal is None or plan.signal.kind == "front_residual"
    )


Counted = Callable[[Plan, Mode], float]


@lru_cache(maxsize=2)
def _meta_copy(name: str, adapters: Adapters | None = None) -> nn.Module:
    import diffusers

    spec = spec_of(name)
    with torch.device("meta"):
        made = getattr(diffusers, spec.transformer)(**spec.config).eval()
        if adapters:
            for adapter, config in adapters.configs.items():
                made.add_adapter(config, adapter)
            made.set_adapters(list(adapters.configs))
    return made


def tensors(description: Any, device: str = "meta", make: Callable[..., Tensor] = torch.empty) -> Any:
    """Make the arguments that ``ModelSpec.inputs`` describes.

    ``make(shape, device=)`` makes the floating-point tensors.
    """
    if isinstance(description, dict):
        return {name: tensors(item, device, make) for name, item in description.items()}
    if isinstance(description, list):
        return [tensors(item, device, make) for item in description]
    if isinstance(description, Given):
        return description.value
    if isinstance(description, IntegerTensor):
        return torch.full(description.shape, description.value, dtype=torch.long, device=device)
    return make(description, device=device)


def _inputs(spec: ModelSpec, request: RunRequest) -> dict[str, Any]:
    return tensors(spec.inputs(request))


@lru_cache(maxsize=512)
def _cost(
    request: RunRequest,
    plan: Plan,
    mode: Mode,
    adapters: Adapters | None = None,
    call: SeenCall | None = None,
) -> float:
    inputs = _inputs(spec_of(request.model), request) if call is None else call.arguments
    return _counted(_meta_copy(request.model, adapters), inputs, plan, mode)


def _counted(model: nn.Module, inputs: Mapping[str, Any], plan: Plan, mode: Mode) -> float:
    """Return the TFLOPs of one call in ``mode``. Before a call that is not computed,
    computed calls are run.
    """
    values = min(plan.predictor.keep, 3)  # adding up more values costs less than a millionth of a call
    before: tuple[Mode, ...] = () if mode == "C" else ("C",) * values
    letters = (*before, mode, mode)
    with (
        _LOCK,
        attached(model, FixedPlan(plan._replace(schedule=Fixed(letters))), steps=len(letters)) as session,
        torch.no_grad(),
    ):
        session.begin()
        for _ in before:
            with Attention():
                model(**inputs)
        return count(model, inputs)


def _on_loaded(transformer: nn.Module | None, request: RunRequest, call: SeenCall | None) -> Counted:
    """Count on the loaded model, for classes whose forward reads values."""
    spec = spec_of(request.model)
    if transformer is None:
        raise EngineError(
            f"model: the forward of {spec.transformer} reads values, so its compute cannot be counted "
            "without its weights; run a comparison instead."
        )
    parameter = next(transformer.parameters())
    made = (
        call.arguments
        if call
        else tensors(spec.inputs(request), str(parameter.device), partial(torch.zeros, dtype=parameter.dtype))
    )
    return lambda plan, mode: _counted(transformer, made, plan, mode)


def _on_meta(transformer: nn.Module | None, request: RunRequest, call: SeenCall | None) -> Counted:
    """Count on the copy without weights. Each combination of size, LoRAs and plan is counted once."""
    adapters = adapters_of(transformer) if request.loras else None
    shape = RunRequest(
        model=request.model,
        prompt="-",
        width=request.width,
        height=request.height,
        max_sequence_length=request.max_sequence_length,
    )
    # hashable, because a frozen record has a hash
    return lambda plan, mode: _cost(shape, plan, mode, adapters, call)  # pyright: ignore[reportArgumentType]


def costs(
    request: RunRequest, plan: Plan, transformer: nn.Module | None = None, calls: Sequence[SeenCall] = ()
) -> Costs:
    """Return a function (mode, step) -> TFLOPs of one call. ``request`` is resolved.

    All modes are counted here, not during the run, because the run's clock is on then.

    transformer: the loaded model, with the request's LoRAs on it. Without the loaded model, LoRAs are not
    counted, and classes whose forward reads values cannot be counted.
    calls: the calls that the pipeline made; the cost is their mean for one sample.
    Raises EngineError if the plan does not fit the model.
    """
    description = TRANSFORMERS.get(spec_of(request.model).transformer)
    counter = _on_loaded if description and description.reads else _on_meta
    numbers = Counter(calls) or Counter([None])
    weighted = [
        (counter(transformer, request, call), number / numbers.total() / (call.batch if call else 1))
        for call, number in numbers.items()
    ]

    def counted(plan: Plan, mode: Mode) -> float:
        return sum(count_call(plan, mode) * weight for count_call, weight in weighted)

    tflops: dict[tuple[tuple[Site, ...], Mode], float] = {}
    for sites in dict.fromkeys(active_sites(plan, step) for step in range(request.steps or 1)):
        alone = plan._replace(schedule=Always(), sites=tuple(map(priced, sites)))
        modes: list[Mode] = ["C", *(site.serves for site in sites)]
        for mode in dict.fromkeys(modes):
            tflops[sites, mode] = counted(PLAIN if mode == "C" and runs_plainly(plan, sites) else alone, mode)

    def cost(mode: Mode, step: int) -> float:
        sites = active_sites(plan, step)
        return tflops[sites, mode if any(site.serves == mode for site in sites) else "C"]

    return cost
