"""Why a model could not be loaded or run, as one sentence with the remedy."""

from __future__ import annotations

from .model import ModelSpec
from .records import EngineError

ON_DISK = "No space left on device"


def explained(error: BaseException, spec: ModelSpec) -> EngineError:
    """The sentence for whatever torch, diffusers or the hub's client raised while loading or running ``spec``."""
    chain = [error]
    while (cause := chain[-1].__cause__ or chain[-1].__context__) is not None and cause not in chain:
        chain.append(cause)
    found = next((one for one in chain if isinstance(one, EngineError)), None)
    if found is not None:
        return found
    for one in chain:
        if sentence := _sentence(one, spec):
            return EngineError(f"model: {sentence}")
    first = (str(error).strip().splitlines() or [""])[0]
    return EngineError(f"model: {spec.title} cannot be loaded from {spec.revision()} ({type(error).__name__}: "
                       f"{first[:160]}); restore its files or download it again.")


def _sentence(error: BaseException, spec: ModelSpec) -> str | None:
    names = {kind.__name__ for kind in type(error).__mro__}
    text = str(error)
    if "OutOfMemoryError" in names or "CUDA out of memory" in text:
        return (f"{spec.title} does not fit this device's memory ({spec.needs}); close what else uses it, choose a smaller "
                "picture, or the embedded model (tiny).")
    if "GatedRepoError" in names:
        return (f"{spec.title} is gated and this token may not read it: accept its licence on "
                f"huggingface.co/{spec.revision().split(' ')[0]} with the account of HF_TOKEN, then try again.")
    if "RepositoryNotFoundError" in names:
        return (f"{spec.revision()} is not on the hub, or is private; check the name, set HF_TOKEN if it is private, or "
                "name a local folder.")
    if "LocalEntryNotFoundError" in names or "OfflineModeIsEnabled" in names:
        return (f"{spec.title} is not on this machine and the hub cannot be reached; connect, or name a local folder "
                "that holds it.")
    if getattr(error, "errno", None) == 28 or ON_DISK in text:
        return f"the disk is full while {spec.title} is downloaded; make room, or set HF_HOME to a larger disk."
    if names & {"ConnectionError", "ChunkedEncodingError", "ReadTimeout", "ConnectTimeout", "TransportError", "IncompleteRead"}:
        return (f"the download of {spec.title} was cut off ({type(error).__name__}); try again, it goes on where it "
                "stopped.")
    if "SafetensorError" in names:
        return (f"a weight file of {spec.title} is damaged or cut short in {spec.revision()}; delete it and download it "
                "again.")
    return None
