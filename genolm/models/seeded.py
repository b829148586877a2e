"""The seeded window: a masked base read again within a short segment, seeded from one long read.

A bidirectional Mamba reads a tile once as it is, and keeps what each of its scans remembers at
some places: the state, and the inputs that its short convolution still sees. To hide a base, only
a segment around it is run again, each scan of each layer from what it remembered at the segment's
end. What lies outside has then been read with the base in sight; the error of that falls with the
distance to the segment's ends, and is none where the segment is the tile.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from genolm.mixers.bidirectional import Bidirectional
from genolm.mixers.mamba import Mamba, MambaConfig, MambaState
from genolm.models.backbone import GenolmModel
from genolm.models.caduceus.modeling_caduceus import CaduceusBackbone, CaduceusForMaskedLM
from genolm.modules.block import MixerBlock, add_and_normalise
from genolm.modules.reverse_complement import RCPSWrapper, join_strands


class Seeds(NamedTuple):
    """What the two scans of a layer remember at places of what was read.

    Attributes:
        left: Of everything to the left, by the mixer that runs from left to right.
        right: Of everything to the right, by the other one.
    """

    left: MambaState
    right: MambaState


@dataclass(frozen=True, slots=True)
class Reading:
    """Tiles that were read once.

    Attributes:
        tiles: How many.
        length: Positions of each.
        lefts: Places, by their number, at which the scans from the left are known.
        rights: The same of the scans from the right.
        layers: For every layer what is remembered (rows, places, ...); rows are tiles, or both
            strands of all tiles.
    """

    tiles: int
    length: int
    lefts: dict[int, int]
    rights: dict[int, int]
    layers: list[Seeds]


class Segments(NamedTuple):
    """Pieces of tiles, of one length, and the positions in them that are asked for.

    Attributes:
        ids: Token ids (segments, length), the hidden bases masked.
        tiles: The tile of each (segments,).
        starts: Where in its tile each begins (segments,).
        rows: The segment of each position that is asked for (positions,).
        columns: Where in the segment it is (positions,).
    """

    ids: Tensor
    tiles: Tensor
    starts: Tensor
    rows: Tensor
    columns: Tensor


def why_not_seeded(model: GenolmModel) -> str | None:
    """Return why there is no seeded window for a model, None where there is one."""
    if not isinstance(model, CaduceusForMaskedLM):
        return "the model is no masked Caduceus"
    if not model.config.bidirectional:
        return "the model reads in one direction"
    mixer = model.config.mixer_config()
    if not isinstance(mixer, MambaConfig):
        return f"the state of mixer {mixer.name!r} cannot be kept at a place of the sequence"
    return None


class SeededModel:
    """Runs a bidirectional masked Mamba model by segments.

    Args:
        model: In evaluation mode; `why_not_seeded` must not object.
    """

    def __init__(self, model: GenolmModel) -> None:
        assert isinstance(model, CaduceusForMaskedLM)
        self._backbone: CaduceusBackbone = model.caduceus.backbone
        self._head: nn.Module = model.lm_head
        self._strands = 2 if self._backbone.rcps else 1

    def bytes_a_place(self) -> int:
        """Memory that one place of one tile takes."""
        pairs = [_pair(block) for block in self._blocks()]
        states = [cast(Mamba, pair.mamba_fwd).initial_state(1) for pair in pairs]
        sizes = [x.numel() * x.element_size() for one in states for x in (one.window, one.ssm)]
        return 2 * self._strands * sum(sizes)

    def read(self, ids: Tensor, starts: Iterable[int], ends: Iterable[int]) -> Reading:
        """Read tiles as they are.

        Args:
            ids: Token ids (tiles, length).
            starts: Where segments will begin.
            ends: Where they will end.
        """
        length = ids.shape[1]
        lefts, rights = set(starts), set(ends)
        if self._strands == 2:  # the other strand is stored backwards
            lefts |= {length - place for place in rights}
            rights = {length - place for place in lefts}
        reading = Reading(len(ids), length, _number(lefts), _number(rights), [])
        hidden: Tensor = self._backbone.embeddings(ids)
        residual, mirrored = None, False
        for block in self._blocks():
            mirrored ^= self._backbone.exchanges
            normed, residual = add_and_normalise(block.norm, hidden, residual, mirrored=mirrored)
            hidden, seeds = _mix_and_keep(_pair(block), normed, reading, mirrored)
            reading.layers.append(seeds)
        return reading

    def logits(self, segments: Segments, reading: Reading) -> Tensor:
        """Score every token at the positions asked for: (positions, vocabulary).

        Args:
            segments: Pieces of the tiles; they begin and end at places that the reading knows.
            reading: What is remembered of the tiles.
        """
        where = self._places(segments, reading)
        hidden: Tensor = self._backbone.embeddings(segments.ids)
        residual, mirrored = None, False
        *blocks, last = self._blocks()
        for block, seeds in zip(blocks, reading.layers[:-1], strict=True):
            mirrored ^= self._backbone.exchanges
            normed, residual = add_and_normalise(block.norm, hidden, residual, mirrored=mirrored)
            hidden = _mix(_pair(block), normed, where.of(seeds), mirrored)
        mirrored ^= self._backbone.exchanges
        normed, residual = add_and_normalise(last.norm, hidden, residual, mirrored=mirrored)
        hidden = _mix_at(_pair(last), normed, where, reading.layers[-1], mirrored)
        residual = residual[where.rows, where.columns][:, None]
        norm = self._backbone.norm_f
        normed, _ = add_and_normalise(norm, hidden, residual, mirrored=mirrored)
        if self._strands == 2:
            normed = join_strands(normed, mirrored=mirrored)
        logits: Tensor = self._head(normed)[:, 0]
        return logits

    def _blocks(self) -> list[MixerBlock]:
        return [cast(MixerBlock, block) for block in self._backbone.layers]

    def _places(self, segments: Segments, reading: Reading) -> "_Places":
        count, length = segments.ids.shape
        tiles, starts, rows, columns = segments[1:]
        if self._strands == 2:  # the other strand is stored backwards
            starts = torch.cat((starts, reading.length - length - starts))
            tiles = torch.cat((tiles, reading.tiles + tiles))
            rows = torch.cat((rows, count + rows))
            columns = torch.cat((columns, length - 1 - columns))
        firsts = [reading.lefts[start] for start in starts.tolist()]
        lasts = [reading.rights[start + length] for start in starts.tolist()]
        ends = torch.tensor([firsts, lasts], device=tiles.device)
        return _Places(tiles, ends[0], ends[1], rows, columns)


class _Places(NamedTuple):
    """Rows of a batch of segments: where their ends are in the tiles, and what is asked for."""

    tiles: Tensor
    firsts: Tensor
    lasts: Tensor
    rows: Tensor
    columns: Tensor

    def of(self, seeds: Seeds) -> Seeds:
        """What a layer remembers at both ends of each segment."""
        left, right = (self.tiles, self.firsts), (self.tiles, self.lasts)
        return Seeds(
            MambaState(seeds.left.window[left], seeds.left.ssm[left]),
            MambaState(seeds.right.window[right], seeds.right.ssm[right]),
        )


def _pair(block: MixerBlock) -> Bidirectional:
    mixer = block.mixer.submodule if isinstance(block.mixer, RCPSWrapper) else block.mixer
    assert isinstance(mixer, Bidirectional)
    return mixer


def _ways(pair: Bidirectional, mirrored: bool) -> tuple[Mamba, Mamba]:
    """The mixers by the direction they run in: from the left, and from the right."""
    ways = cast(Mamba, pair.mamba_fwd), cast(Mamba, pair.mamba_rev)
    return ways[::-1] if mirrored else ways


def _turn(pair: tuple[Tensor, Tensor], mirrored: bool) -> tuple[Tensor, Tensor]:
    """From (forward, backward) to (from the left, from the right), and back."""
    return pair[::-1] if mirrored else pair


def _mix(pair: Bidirectional, x: Tensor, seeds: Seeds, mirrored: bool) -> Tensor:
    lefts, rights = _turn(pair.project_in(x, mirrored=mirrored), mirrored)
    from_left, from_right = _ways(pair, mirrored)
    left, _ = from_left.core_from(lefts, seeds.left)
    right, _ = from_right.core_from(rights, seeds.right, reverse=True)
    forward, backward = _turn((left, right), mirrored)
    return pair.project_out(forward, backward, mirrored=mirrored)


def _mix_at(pair: Bidirectional, x: Tensor, where: _Places, layer: Seeds, mirrored: bool) -> Tensor:
    """Do what `_mix` does for the positions asked for alone: (positions, 1, d_model)."""
    low, high = int(where.columns.min()), int(where.columns.max()) + 1
    seeds = where.of(layer)
    lefts, rights = _turn(pair.project_in(x, mirrored=mirrored), mirrored)
    from_left, from_right = _ways(pair, mirrored)
    left, _ = from_left.core_from(lefts[:, :high], seeds.left)
    right, _ = from_right.core_from(rights[:, low:], seeds.right, reverse=True)
    asked = left[where.rows, where.columns], right[where.rows, where.columns - low]
    forward, backward = _turn(asked, mirrored)
    return pair.project_out(forward[:, None], backward[:, None], mirrored=mirrored)


def _mix_and_keep(
    pair: Bidirectional, x: Tensor, reading: Reading, mirrored: bool
) -> tuple[Tensor, Seeds]:
    lefts, rights = _turn(pair.project_in(x, mirrored=mirrored), mirrored)
    from_left, from_right = _ways(pair, mirrored)
    left, at_left = _run_and_keep(from_left, lefts, list(reading.lefts), reverse=False)
    right, at_right = _run_and_keep(from_right, rights, list(reading.rights), reverse=True)
    forward, backward = _turn((left, right), mirrored)
    return pair.project_out(forward, backward, mirrored=mirrored), Seeds(at_left, at_right)


def _run_and_keep(
    mixer: Mamba, projected: Tensor, places: Sequence[int], *, reverse: bool
) -> tuple[Tensor, MambaState]:
    """Run a core piece by piece; its output, and what it remembered at each place."""
    cuts = (0, *places, projected.shape[1])
    pieces = torch.split(projected, [end - start for start, end in pairwise(cuts)], dim=1)
    state = mixer.initial_state(len(projected))
    states, outputs = [], []
    for piece in reversed(pieces) if reverse else pieces:
        output, state = mixer.core_from(piece, state, reverse=reverse)
        outputs.append(output)
        states.append(state)
    states.pop()  # the end of the tile is a place of its own where it is asked for
    if reverse:
        states.reverse()
        outputs.reverse()
    kept = MambaState(
        torch.stack([one.window for one in states], dim=1),
        torch.stack([one.ssm for one in states], dim=1),
    )
    return torch.cat(outputs, dim=1), kept


def _number(places: Iterable[int]) -> dict[int, int]:
    return {place: number for number, place in enumerate(sorted(places))}
