"""Caduceus for the effects of variants."""

from genolm.models.caduceus.configuration_caduceus import CaduceusConfig
from genolm.models.caduceus.modeling_caduceus import Caduceus, CaduceusModel
from genolm.models.variant_effect import VariantEffectModel


class CaduceusForVariantEffect(CaduceusModel, VariantEffectModel):
    """Caduceus with a head that compares the alleles of a variant.

    Args:
        config: Options.
    """

    def __init__(self, config: CaduceusConfig) -> None:
        super().__init__(config)
        self.caduceus = Caduceus(config)
        self.finish()
