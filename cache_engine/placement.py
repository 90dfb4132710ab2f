"""Decides, before a model is loaded, where its parts go. The rule compares the free memory with the parts'
sizes.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from .strict import EngineError

GIB = 2**30
# for CUDA's own context, the workspaces of cuDNN and cuBLAS, and memory that the allocator cannot reuse
SPARE = 2 * GIB

PlacementMode = Literal["resident", "offload"]
Quantisation = Literal["none", "int8"]


class MemoryNeeds(NamedTuple):
    """Bytes of a model's parts in bfloat16, and of the activations of its largest picture (decoding
    included).
    """

    transformer: int
    text: int
    rest: int
    activations: int

    @property
    def whole(self) -> int:
        return self.transformer + self.text + self.rest

    def at(self, mode: PlacementMode, quantisation: Quantisation) -> int:
        """Return the most bytes that are needed at one time.

        Offloaded parts are on the device one at a time, so the largest part counts. int8 halves the weights.
        """
        half = 2 if quantisation == "int8" else 1
        parts = (self.transformer // half, self.text // half, self.rest)
        return (sum(parts) if mode == "resident" else max(parts)) + self.activations + SPARE


class Placement(NamedTuple):
    """The way a model is loaded. ``dtype``: torch's name of the type. ``why``: the reason, in one line."""

    device: str
    dtype: str
    mode: PlacementMode = "resident"
    quantisation: Quantisation = "none"
    tiled: bool = False  # True: the picture is decoded in tiles
    why: str = ""


class Device(NamedTuple):
    """A device that can hold a model. ``free`` and ``total`` are bytes, or None where they are unknown (a
    CPU, Apple's GPUs).
    """

    kind: str
    name: str
    free: int | None = None
    total: int | None = None
    bfloat16: bool = True


CHOICES: tuple[tuple[PlacementMode, Quantisation], ...] = (
    ("resident", "none"),
    ("offload", "none"),
    ("resident", "int8"),
    ("offload", "int8"),
)


def place(title: str, memory: MemoryNeeds | None, device: Device, *, quantiser: bool = True) -> Placement:
    """Return the first way that fits the free memory: on the device, offloaded, 8-bit weights, or both.

    Offloading comes before 8-bit weights, because offloading does not change the picture. ``quantiser``: True
    if torchao is installed. Raises EngineError if no way fits; the sentence names a remedy.
    """
    if device.kind != "cuda":
        return Placement(device.kind, "float32", why="float32: bfloat16 is slow or inexact on this device")
    if not device.bfloat16:
        raise EngineError(
            f"device: {device.name} has no bfloat16, and float16 makes {title} draw black pictures; choose a "
            "card of 2020 or later, or the embedded model (tiny) on the CPU."
        )
    if memory is None or device.free is None:
        return Placement(
            "cuda", "bfloat16", why="the model's size is not known, so the whole model is put on the device"
        )
    for mode, quantisation in CHOICES:
        if quantisation == "int8" and not quantiser:
            continue
        needed = memory.at(mode, quantisation)
        if needed <= device.free:
            return Placement(
                "cuda",
                "bfloat16",
                mode,
                quantisation,
                tiled=(mode, quantisation) != ("resident", "none"),
                why=f"needs {gibibytes(needed)} of {gibibytes(device.free)} free",
            )
    least = memory.at("offload", "int8" if quantiser else "none")
    remedy = "close other programs that use the card" if quantiser else "install torchao for 8-bit weights"
    raise EngineError(
        f"device: {title} needs at least {gibibytes(least)} on {device.name}, which has "
        f"{gibibytes(device.free)} free; {remedy}, or choose the embedded model (tiny)."
    )


def gibibytes(size: int) -> str:
    """Return bytes as text, such as ``21.3 GiB``."""
    return f"{size / GIB:.1f} GiB"
