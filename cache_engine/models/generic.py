"""The known diffusers transformers, one line for each class: its block lists, and the arguments of one call.

For a class that is not in the table, diffusers' own registry may describe the blocks.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..model import Section
from . import calls, flux, flux2, qwen_image
from .calls import Call, latent, mask, packed, pixels, width

IMAGE, TEXT = "hidden_states", "encoder_hidden_states"


class TransformerDescription(NamedTuple):
    """The engine's description of a transformer class.

    call: (config, resolved request) -> the arguments of one call.
    reads: True if the forward reads values of its arguments. A copy without weights cannot run such a
    forward, so compute is counted on the loaded model.
    """

    sections: tuple[Section, ...]
    call: Call
    video: bool = False
    reads: bool = False


def single_tensor(
    path: str = "transformer_blocks", length: str = "num_layers", takes: str = IMAGE
) -> Section:
    """Describe blocks that carry one tensor: the image alone, or image and text together."""
    return Section(path, (takes,), (takes,), length=length)


def image_and_text(path: str = "transformer_blocks", length: str = "num_layers") -> Section:
    """Describe blocks that take image and text and return them in this order."""
    return Section(path, (IMAGE, TEXT), (IMAGE, TEXT), length=length)


def text_and_image(path: str = "transformer_blocks", length: str = "num_layers") -> Section:
    """Describe blocks that take image and text and return the text first."""
    return Section(path, (IMAGE, TEXT), (TEXT, IMAGE), length=length)


def joined(
    path: str = "single_transformer_blocks", length: str = "num_single_layers", text_first: bool = True
) -> Section:
    """Describe blocks that carry text and image joined in one tensor.

    The block list before them carried text and image separately.
    """
    return Section(path, (IMAGE,), (IMAGE,), length=length, text_first=text_first)


def refilled(*sections: Section) -> tuple[Section, ...]:
    """Describe lists between whose blocks the model exchanges a part of the text."""
    return tuple(section._replace(refilled=True) for section in sections)


LIKE_FLUX = (text_and_image(), text_and_image("single_transformer_blocks", "num_single_layers"))

TRANSFORMERS: dict[str, TransformerDescription] = {
    "AuraFlowTransformer2DModel": TransformerDescription(
        (
            text_and_image("joint_transformer_blocks", "num_mmdit_layers"),
            joined(length="num_single_dit_layers"),
        ),
        latent("joint_attention_dim"),
    ),
    "BriaTransformer2DModel": TransformerDescription(LIKE_FLUX, packed("joint_attention_dim")),
    "BriaFiboTransformer2DModel": TransformerDescription(refilled(text_and_image(), joined()), calls.fibo),
    "ChromaTransformer2DModel": TransformerDescription(
        (text_and_image(), joined()), packed("joint_attention_dim")
    ),
    "CogView3PlusTransformer2DModel": TransformerDescription(
        (image_and_text(),),
        latent("text_embed_dim", original_size=pixels, target_size=pixels, crop_coords=pixels),
    ),
    "CogView4Transformer2DModel": TransformerDescription(
        (image_and_text(),),
        latent("text_embed_dim", original_size=pixels, target_size=pixels, crop_coords=pixels),
    ),
    "ErnieImageTransformer2DModel": TransformerDescription(
        (single_tensor("layers", takes="x"),), calls.ernie, reads=True
    ),
    "Flux2Transformer2DModel": TransformerDescription(flux2.SECTIONS, flux2.shapes),
    "FluxTransformer2DModel": TransformerDescription(flux.SECTIONS, flux.shapes),
    "HiDreamImageTransformer2DModel": TransformerDescription(
        refilled(image_and_text("double_stream_blocks"), joined("single_stream_blocks", text_first=False)),
        calls.hidream,
        reads=True,
    ),
    "HunyuanImageTransformer2DModel": TransformerDescription(
        (image_and_text(), image_and_text("single_transformer_blocks", "num_single_layers")),
        latent("text_embed_dim", pixels=32, encoder_attention_mask=mask),
    ),
    "Krea2Transformer2DModel": TransformerDescription((single_tensor(),), calls.krea2),
    "LongCatImageTransformer2DModel": TransformerDescription(LIKE_FLUX, packed("joint_attention_dim")),
    "Lumina2Transformer2DModel": TransformerDescription(
        (single_tensor("layers"),), calls.lumina2, reads=True
    ),
    "OmniGenTransformer2DModel": TransformerDescription(
        (single_tensor("layers"),), calls.omnigen, reads=True
    ),
    "OvisImageTransformer2DModel": TransformerDescription(LIKE_FLUX, packed("joint_attention_dim")),
    "PRXTransformer2DModel": TransformerDescription(
        (single_tensor("blocks", "depth"),), latent("context_in_dim")
    ),
    "PixArtTransformer2DModel": TransformerDescription((single_tensor(),), calls.pixart),
    "QwenImageTransformer2DModel": TransformerDescription(qwen_image.SECTIONS, qwen_image.shapes),
    "SD3Transformer2DModel": TransformerDescription(
        (text_and_image(),), latent("joint_attention_dim", pooled_projections=width("pooled_projection_dim"))
    ),
    "SanaTransformer2DModel": TransformerDescription(
        (single_tensor(),), latent("caption_channels", pixels=32)
    ),
    "ZImageTransformer2DModel": TransformerDescription(
        (single_tensor("layers", "n_layers", takes="x"),), calls.z_image
    ),
    "LTXVideoTransformer3DModel": TransformerDescription((single_tensor(),), calls.ltx, video=True),
    "WanTransformer3DModel": TransformerDescription((single_tensor("blocks"),), calls.wan, video=True),
}


def known_sections(transformer: Any) -> tuple[Section, ...] | None:
    """Return the block lists of a transformer (a module), from the table or from diffusers' registry.

    Returns None if neither describes the transformer.
    """
    description = TRANSFORMERS.get(type(transformer).__name__)
    return description.sections if description else registered(transformer)


def registered(transformer: Any) -> tuple[Section, ...] | None:
    """Return the block lists in which all blocks have one class from diffusers' (private) registry."""
    try:
        from diffusers.hooks._helpers import TransformerBlockRegistry
    except ImportError:
        return None
    sections = []
    for path, part in transformer.named_children():
        kinds = {type(block) for block in part.children()} if hasattr(type(part), "__getitem__") else set()
        if len(kinds) != 1 or (kind := kinds.pop()) is None:
            continue
        try:
            facts = TransformerBlockRegistry.get(kind)
        except ValueError:
            continue
        image, text = facts.hidden_states_argument_name, facts.encoder_hidden_states_argument_name
        if facts.return_encoder_hidden_states_index is None:
            sections.append(Section(path, (image,), (image,)))
        else:
            order = (image, text) if facts.return_hidden_states_index == 0 else (text, image)
            sections.append(Section(path, (image, text), order))
    return tuple(sections) or None
