"""The same contig under two names: chr1 and 1, chrM and MT."""

from collections.abc import Iterable, Mapping

_MITOCHONDRIA = frozenset({"M", "MT", "MITO"})


def plain_name(name: str) -> str:
    """Return what all aliases of a name share: no ``chr`` in front, one mitochondrion."""
    bare = name[3:] if name[:3].lower() == "chr" and len(name) > 3 else name
    return "MT" if bare.upper() in _MITOCHONDRIA else bare


class ContigResolver:
    """Finds a genome's own name for the contigs of another file, each looked up once.

    An exact name wins. Otherwise names that differ by a leading ``chr`` are the same, and so are M,
    MT and Mito, unless the other file declares another length, or two contigs would fit.

    Args:
        contigs: Names and lengths of the genome's contigs.
        lengths: Lengths that the other file declares, by its own names.

    Attributes:
        aliases_used: For each name that was resolved under another one, that other one.
        refused: For each name whose alias has another length, a sentence that says so.
    """

    def __init__(
        self, contigs: Mapping[str, int], lengths: Mapping[str, int] | None = None
    ) -> None:
        self.aliases_used: dict[str, str] = {}
        self.refused: dict[str, str] = {}
        self._contigs = contigs
        self._lengths = lengths or {}
        self._known: dict[str, str | None] = {}
        self._by_plain_name: dict[str, list[str]] = {}
        for name in contigs:
            self._by_plain_name.setdefault(plain_name(name), []).append(name)

    def resolve(self, name: str) -> str | None:
        """Return the genome's name for ``name``, None where it has no such contig."""
        if name not in self._known:
            self._known[name] = name if name in self._contigs else self._alias(name)
        return self._known[name]

    def _alias(self, name: str) -> str | None:
        candidates = self._by_plain_name.get(plain_name(name), [])
        if len(candidates) != 1:
            return None
        alias = candidates[0]
        declared = self._lengths.get(name)
        if declared is not None and declared != self._contigs[alias]:
            self.refused[name] = (
                f"{name} is declared with {declared:,} bases, {alias} has {self._contigs[alias]:,}"
            )
            return None
        self.aliases_used[name] = alias
        return alias


def resolve_contigs(
    wanted: Iterable[str],
    contigs: Mapping[str, int],
    lengths: Mapping[str, int] | None = None,
) -> dict[str, str | None]:
    """Return the genome's name for each wanted contig, None where it has none.

    Args:
        wanted: Contig names of another file.
        contigs: Names and lengths of the genome's contigs.
        lengths: Lengths that the other file declares, by its own names.
    """
    resolver = ContigResolver(contigs, lengths)
    return {name: resolver.resolve(name) for name in wanted}
