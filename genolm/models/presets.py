"""The published sizes, by name."""

from typing import Any

# Two more positions than bases, for the special tokens at the ends.
SPECIAL_POSITIONS = 2

_HYENADNA_SIZES = (
    # short name, published name, layers, channels, bases
    ("tiny-1k", "tiny-1k-seqlen", 2, 128, 1_024),
    ("tiny-1k-d256", "tiny-1k-seqlen-d256", 2, 256, 1_024),
    ("tiny-16k-d128", "tiny-16k-seqlen-d128", 2, 128, 16_384),
    ("small-32k", "small-32k-seqlen", 4, 256, 32_768),
    ("medium-160k", "medium-160k-seqlen", 8, 256, 160_000),
    ("medium-450k", "medium-450k-seqlen", 8, 256, 450_000),
    ("large-1m", "large-1m-seqlen", 8, 256, 1_000_000),
)
_CADUCEUS_SIZES = (("1k", 118, 4), ("1k", 256, 4), ("32k", 256, 8), ("131k", 256, 16))
_CADUCEUS_KINDS = ("ph", "ps")


def _hyenadna(n_layer: int, d_model: int, bases: int) -> dict[str, Any]:
    sizes = {"n_layer": n_layer, "d_model": d_model, "max_seq_len": bases + SPECIAL_POSITIONS}
    return {"family": "hyenadna", **sizes, "tie_word_embeddings": True}


def _caduceus(kind: str, n_layer: int, d_model: int) -> dict[str, Any]:
    return {"family": "caduceus", "n_layer": n_layer, "d_model": d_model, "rcps": kind == "ps"}


PRESETS: dict[str, dict[str, Any]] = {
    **{
        f"hyenadna-{name}": _hyenadna(n_layer, d_model, bases)
        for _, name, n_layer, d_model, bases in _HYENADNA_SIZES
    },
    **{
        f"caduceus-{kind}_seqlen-{length}_d_model-{d_model}_n_layer-{n_layer}": _caduceus(
            kind, n_layer, d_model
        )
        for kind in _CADUCEUS_KINDS
        for length, d_model, n_layer in _CADUCEUS_SIZES
    },
}

# Short name to published name.
ALIASES: dict[str, str] = {
    **{f"hyenadna-{short}": f"hyenadna-{name}" for short, name, *_ in _HYENADNA_SIZES},
    **{
        f"caduceus-{kind}-{length}-d{d_model}": (
            f"caduceus-{kind}_seqlen-{length}_d_model-{d_model}_n_layer-{n_layer}"
        )
        for kind in _CADUCEUS_KINDS
        for length, d_model, n_layer in _CADUCEUS_SIZES
    },
}
# Where a length has one size only, its channels need not be said.
ALIASES |= {
    "hyenadna-tiny-16k": ALIASES["hyenadna-tiny-16k-d128"],
    **{
        f"caduceus-{kind}-{length}": ALIASES[f"caduceus-{kind}-{length}-d256"]
        for kind in _CADUCEUS_KINDS
        for length in ("32k", "131k")
    },
}


def preset_options(name: str) -> dict[str, Any]:
    """Options of a published size.

    Args:
        name: Name of the preset: that of the published folder, or short, such as
            hyenadna-tiny-1k or caduceus-ps-1k-d118.

    Returns:
        The options, with the family under "family".

    Raises:
        ValueError: If there is none of this name; the message lists them.
    """
    published = ALIASES.get(name, name)
    if published not in PRESETS:
        raise ValueError(
            f"no preset {name!r}; there are {', '.join(sorted(ALIASES))}, and the names of the "
            f"published folders, such as {min(PRESETS)}"
        )
    return dict(PRESETS[published])
