"""Gradients of state-space duality in plain torch, tile by tile, from the states before each.

With g_i the gradient of y_i before skip and gate, x̃ = dt x, M the matrix of a chunk, h and h' the
states before and after it, e_i and w_j the decays from its start to i and from j to its end:

    dx̃ = Mᵀ g + w (B dh')                 dh = (decay across) dh' + Cᵀ (e g)
    dS = decay ∘ (g x̃ᵀ)     dC = dS B + (e g) hᵀ     dB = dSᵀ C + (w x̃) dh'ᵀ           S = C Bᵀ

A decay a_t meets everything that passes from before t to t or later, so da_t is the sum of what
passes: within the chunk, from the state before it, to the state after it, and across. Letters are
those of `chunks`.
"""

import torch
from torch import Tensor

from genolm_kernels.ssd.chunked import Tile, Work, add_skip, cumulate, multiply
from genolm_kernels.ssd.chunks import Call, Layout, scatter


class Gradients:
    """What a backward pass fills.

    Args:
        call: The arguments.
    """

    def __init__(self, call: Call) -> None:
        self.of = {
            name: torch.empty(value.shape, dtype=value.dtype)
            for name, value in call._asdict().items()
            if isinstance(value, Tensor)
        }
        # Sums over the whole batch, in float64 until all are in.
        self.sums = {
            name: torch.zeros(call.A.shape, dtype=torch.float64)
            for name in ("A", "D", "dt_bias")
            if name in self.of
        }

    def finish(self) -> list[Tensor]:
        """The gradients, in the order of the arguments that were given."""
        for name, total in self.sums.items():
            self.of[name].copy_(total)
        return list(self.of.values())


def backward(call: Call, starts: Tensor, dy: Tensor, last_gradient: Tensor | None) -> list[Tensor]:
    """Differentiate.

    Args:
        call: The arguments.
        starts: States before the tiles, as the forward pass kept them.
        dy: Gradient of y (batch, length, heads, headdim).
        last_gradient: Gradient of the last state (batch, heads, headdim, d_state), or None.

    Returns:
        Gradients of the tensors that were given, in their order, shapes and types.
    """
    layout = Layout.of(call)
    found = Gradients(call)
    carried = torch.zeros(layout.batch, *layout.state_shape, dtype=call.dtype)
    if last_gradient is not None:
        layout.by_head(carried).copy_(layout.from_state(last_gradient))
    for rows in layout.blocks():
        work = Work(call.rows(rows), layout)
        for number, span in layout.positions(backwards=True):
            tile = work.read(span)
            entries, _ = work.states(tile, starts[number, rows])
            TileGradient(work, tile, entries, carried[rows]).run(dy[rows], found, rows)
    if "initial_state" in found.of:
        found.of["initial_state"].copy_(layout.to_state(carried))
    return found.finish()


class TileGradient:
    """The backward pass of one tile.

    Args:
        work: Products of this block of sequences.
        tile: Inputs.
        entries: State before each chunk (K, R, G, N, J P).
        carried: Gradient of the state after the tile (R, G, N, J P), which becomes that of the
            state before it.
    """

    def __init__(self, work: Work, tile: Tile, entries: Tensor, carried: Tensor) -> None:
        self.work = work
        self.layout = work.layout
        self.tile = tile
        self.entries = entries
        self.carried = carried

    def run(self, dy: Tensor, found: Gradients, rows: slice) -> None:
        """Write the gradients of this tile's positions, given those of y (R, length, ...)."""
        work, tile, layout = self.work, self.tile, self.layout
        similarities = work.similarities(tile)
        decays = [work.decays(f"decays {head}", tile, head) for head in range(layout.heads)]
        y = work.carried(tile, self.entries)
        gradient = work.read_wide("dy", dy, tile.span)
        if work.call.z is None:
            arriving = self._per_head(y, gradient)
        else:
            gated, gradient = gradient, self._ungate(work.call.z, gradient)
            arriving = self._per_head(y, gradient)
            self._complete(y, similarities, decays)
            work.write_wide(y.mul_(gated), tile.span, found.of["z"][rows])

        since = work.scale("since", gradient, tile.steps.since)
        exits = self._carry(since)
        dC, dB = (work.scratch.take(f"d{name}", *tile.C.shape) for name in "CB")
        multiply(since, self.entries.transpose(-1, -2), dC)
        multiply(tile.weighted, exits.transpose(-1, -2), dB)

        dstepped = work.scratch.take("dstepped", *tile.x.shape)
        multiply(tile.B, exits, dstepped)
        layout.by_head(dstepped).mul_(tile.steps.until.unsqueeze(-1))
        leaving = self._per_head(dstepped, tile.stepped)
        across = self._across(exits)
        arriving += self._within(gradient, similarities, decays, dstepped, dC, dB)

        self._finish_steps(self._passing(arriving, leaving, across), dstepped, found, rows)
        for name, matrix in (("B", dB), ("C", dC)):
            scatter(matrix.transpose(2, 3), tile.span, found.of[name][rows])
        self._finish_inputs(gradient, dstepped, found, rows)

    def _per_head(self, first: Tensor, second: Tensor) -> Tensor:
        """Sums over P of products of (K, R, G, Q, J P): (K, R, G, J, Q) in float64."""
        products = torch.mul(first, second, out=self.work.scratch.take("products", *first.shape))
        return self.layout.by_head(products).sum(-1).transpose(-1, -2).double()

    def _ungate(self, gate: Tensor, gradient: Tensor) -> Tensor:
        """The gradient of the bare output; multiplies that of the gated one with silu'(z)."""
        z = self.work.read_wide("z", gate, self.tile.span)
        sigmoid = torch.sigmoid(z)
        z *= sigmoid
        bare = torch.mul(gradient, z, out=self.work.scratch.take("bare", *z.shape))
        # silu' = sigmoid + silu (1 - sigmoid)
        gradient *= z.addcmul_(z, sigmoid, value=-1).add_(sigmoid)
        return bare

    def _complete(self, y: Tensor, similarities: Tensor, decays: list[Tensor]) -> None:
        """Add what positions give each other, and the skip, to what the states gave."""
        work = self.work
        for head, decay in enumerate(decays):
            pairs = torch.mul(decay, similarities, out=work.scratch.take("pairs", *decay.shape))
            work.add_within("within", self.tile, y, pairs, head)
        if work.call.D is not None:
            add_skip(work, y, self.tile.x)

    def _carry(self, since: Tensor) -> Tensor:
        """Carry the state's gradient through the tile, against the scan.

        Args:
            since: Gradient of the outputs times the decay from the chunk's start.

        Returns:
            Gradient of the state after each chunk (K, R, G, N, J P).
        """
        work, reverse = self.work, self.layout.reverse
        slots, entries, exits = work.slots("state gradients", self.tile)
        slots[0 if reverse else -1].copy_(self.carried)
        multiply(self.tile.C.transpose(-1, -2), since, entries)
        by_head, numbers = self.layout.by_head, range(len(exits))
        for k in numbers if reverse else reversed(numbers):
            by_head(entries[k]).addcmul_(by_head(exits[k]), self.tile.steps.across[k])
        self.carried.copy_(slots[-1 if reverse else 0])
        return exits

    def _across(self, exits: Tensor) -> Tensor:
        """What passes whole chunks, through the state: (K, R, G, J, 1)."""
        products = self.work.scratch.take("state products", *exits.shape)
        torch.mul(exits, self.entries, out=products)
        sums = self.layout.by_head(products).sum((3, 5)).unsqueeze(-1)
        return (sums * self.tile.steps.across[..., 0, :, :]).double()

    def _within(
        self,
        gradient: Tensor,
        similarities: Tensor,
        decays: list[Tensor],
        dstepped: Tensor,
        dC: Tensor,
        dB: Tensor,
    ) -> Tensor:
        """Add what passes within chunks to the gradients of dt x, B and C.

        Returns:
            What reaches each position less what leaves it (K, R, G, J, Q), in float64, in which
            what does not pass a decay cancels from its sums.
        """
        work, tile, width = self.work, self.tile, self.layout.headdim
        take = work.scratch.take
        shape = similarities.shape
        total = take("dsimilarities", *shape).zero_()
        net = []
        for head, decay in enumerate(decays):
            part = slice(head * width, (head + 1) * width)
            g, x = gradient[..., part], tile.stepped[..., part]
            both = take("dpairs", *shape)
            multiply(g, x.transpose(-1, -2), both)
            both *= decay
            total += both
            both *= similarities
            net.append(both.sum(-1, dtype=torch.float64) - both.sum(-2, dtype=torch.float64))
            into = take("within", *gradient.shape[:-1], width)
            multiply(decay.mul_(similarities).transpose(-1, -2), g, into)
            dstepped[..., part] += into
        product = take("product", *dC.shape)
        multiply(total, tile.B, product)
        dC += product
        multiply(total.transpose(-1, -2), tile.C, product)
        dB += product
        return torch.stack(net, dim=3)

    def _passing(self, arriving: Tensor, leaving: Tensor, across: Tensor) -> Tensor:
        """Gradient of each step's log decay: all that passes it (K, R, G, Q, J)."""
        reverse = self.layout.reverse
        before = cumulate(leaving, reverse=reverse) - leaving
        after = cumulate(arriving, reverse=not reverse)
        return (before + after + across).transpose(-1, -2)

    def _finish_steps(
        self, ddecay: Tensor, dstepped: Tensor, found: Gradients, rows: slice
    ) -> None:
        steps, call = self.tile.steps, self.work.call
        found.sums["A"] += (ddecay * steps.sizes).sum((0, 1, 3)).flatten()
        dsizes = self._per_head(dstepped, self.tile.x).transpose(-1, -2)
        draw = dsizes + ddecay * steps.rates
        if call.dt_softplus:
            draw *= torch.sigmoid(steps.raw)
        if rest := len(self.tile.span) % self.layout.chunk:
            draw[-1, ..., rest:, :] = 0
        if "dt_bias" in found.sums:
            found.sums["dt_bias"] += draw.sum((0, 1, 3)).flatten()
        heads = (self.layout.groups, self.layout.heads)
        into = torch.unflatten(found.of["dt"][rows], -1, heads)
        scatter(draw.transpose(2, 3), self.tile.span, into)

    def _finish_inputs(
        self, gradient: Tensor, dstepped: Tensor, found: Gradients, rows: slice
    ) -> None:
        work, tile = self.work, self.tile
        dx = work.scale("dx", dstepped, tile.steps.sizes.to(dstepped.dtype))
        if "D" in found.sums:
            found.sums["D"] += self._per_head(gradient, tile.x).sum((0, 1, 4)).flatten()
            add_skip(work, dx, gradient)
        work.write_wide(dx, tile.span, found.of["x"][rows])
