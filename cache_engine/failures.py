"""Turns an error of torch, diffusers or the hub into one sentence with a remedy."""

from __future__ import annotations

import gc
import traceback
from types import TracebackType

from .model import ModelSpec
from .strict import EngineError, first_line

UNEXPECTED = "engine: this could not be done"
DEBUG = "CACHELENS_DEBUG"  # the environment variable that makes the command line print tracebacks
ON_DISK = "No space left on device"
OUT_OF_MEMORY = (
    "CUDA out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "can't allocate memory",
)  # messages of CUDA, of cuBLAS, and of a CPU's memory allocator


def as_engine_error(error: BaseException, spec: ModelSpec) -> EngineError:
    """Return an EngineError for an error that was raised while ``spec`` was loaded or run.

    If the error was caused by an EngineError, that EngineError is returned unchanged.
    """
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    for cause in chain:
        if isinstance(cause, EngineError):
            return cause
    for cause in chain:
        if sentence := _sentence(cause, spec):
            return EngineError(f"model: {sentence}")
    return EngineError(
        f"model: {spec.title} cannot be loaded from {spec.revision()} ({first_line(error)}); restore its "
        "files or download it again."
    )


def unexpected(error: BaseException, where: str) -> EngineError:
    """Return an EngineError for an error that no rule names: of a library, of a file, or a mistake of ours.

    where: a text that tells the user where the traceback is. An EngineError is returned unchanged.
    """
    if isinstance(error, EngineError):
        return error
    return EngineError(f"{UNEXPECTED} ({first_line(error)}); choose another model, file or setting. {where}.")


class OutOfMemoryGuard:
    """Turns an out-of-memory error inside the ``with`` block into one sentence, and frees the failed run's
    memory.
    """

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or not _out_of_memory(error):
            return
        import torch

        sentence = as_engine_error(error, self._spec)
        while error is not None:  # the error's stack frames would keep every tensor of the run in memory
            traceback.clear_frames(error.__traceback__)
            error.__traceback__ = None
            error = error.__context__
        del trace
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        raise sentence from None


def _out_of_memory(error: BaseException) -> bool:
    message = str(error)
    return type(error).__name__ == "OutOfMemoryError" or any(part in message for part in OUT_OF_MEMORY)


def _sentence(error: BaseException, spec: ModelSpec) -> str | None:
    names = {kind.__name__ for kind in type(error).__mro__}
    text = str(error)
    if _out_of_memory(error):
        return (
            f"{spec.title} does not fit this device's memory ({spec.needs}); close other programs that "
            "use the device, or choose a smaller picture or the embedded model (tiny)."
        )
    if "GatedRepoError" in names:
        return (
            f"{spec.title} is gated and this token may not read it: accept its licence on "
            f"huggingface.co/{spec.revision().split(' ')[0]} with the account of HF_TOKEN, then try again."
        )
    if "RepositoryNotFoundError" in names:
        return (
            f"{spec.revision()} is not on the hub, or is private; check the name, set HF_TOKEN if it is "
            "private, or name a local folder."
        )
    if "LocalEntryNotFoundError" in names or "OfflineModeIsEnabled" in names:
        return (
            f"{spec.title} is not on this machine and the hub cannot be reached; connect to the "
            "internet, or name a local folder that holds the model."
        )
    if getattr(error, "errno", None) == 28 or ON_DISK in text:
        return (
            f"the disk is full while {spec.title} is downloaded; make room, or set HF_HOME to a larger disk."
        )
    if names & {
        "ConnectionError",
        "ChunkedEncodingError",
        "ReadTimeout",
        "ConnectTimeout",
        "TransportError",
        "IncompleteRead",
    }:
        return (
            f"the download of {spec.title} was interrupted ({type(error).__name__}); try again, and it "
            "continues."
        )
    if "ImportError" in names:
        return f"{spec.title} needs a package that is not installed ({first_line(error)}); install it."
    if "SafetensorError" in names:
        return (
            f"a weight file of {spec.title} in {spec.revision()} is damaged or incomplete; delete it "
            "and download it again."
        )
    return None
