"""What a variant may do, from the most to the least severe: terms of the Sequence Ontology."""

from typing import Final

ORDER: Final = (
    "splice_acceptor_variant",
    "splice_donor_variant",
    "stop_gained",
    "frameshift_variant",
    "stop_lost",
    "start_lost",
    "inframe_insertion",
    "inframe_deletion",
    "missense_variant",
    "splice_region_variant",
    "stop_retained_variant",
    "synonymous_variant",
    "coding_sequence_variant",
    "5_prime_UTR_variant",
    "3_prime_UTR_variant",
    "non_coding_transcript_exon_variant",
    "intron_variant",
    "intergenic_variant",
)
(
    SPLICE_ACCEPTOR,
    SPLICE_DONOR,
    STOP_GAINED,
    FRAMESHIFT,
    STOP_LOST,
    START_LOST,
    INFRAME_INSERTION,
    INFRAME_DELETION,
    MISSENSE,
    SPLICE_REGION,
    STOP_RETAINED,
    SYNONYMOUS,
    CODING_SEQUENCE,
    UTR_5,
    UTR_3,
    NON_CODING_EXON,
    INTRON,
    INTERGENIC,
) = range(len(ORDER))
