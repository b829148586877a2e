"""HyenaDNA for the effects of variants."""

from genolm.models.hyenadna.configuration_hyenadna import HyenaDNAConfig
from genolm.models.hyenadna.modeling_hyenadna import HyenaDNAModel, HyenaDNAPreTrained
from genolm.models.variant_effect import VariantEffectModel


class HyenaDNAForVariantEffect(HyenaDNAPreTrained, VariantEffectModel):
    """HyenaDNA with a head that compares the alleles of a variant.

    Args:
        config: Options.
    """

    def __init__(self, config: HyenaDNAConfig) -> None:
        super().__init__(config)
        self.hyena = HyenaDNAModel(config)
        self.finish()
