"""Intervals and labelled sequences to batches: ``{input_ids, labels}``.

A genome is decoded once (``genome_store``), cut into windows (``windows``, ``splits``) and read as
samples for language modelling (``language``, ``masking``); labelled sequences are read from tables
and folders (``labelled``, ``labels``, ``holdout``) and shown by ``labelled_dataset``. Variants come
from VCF files and tables (``variant_sources``), are held against the genome (``sites``,
``build_check``) and become the windows of their two alleles (``edit_windows``, ``allele_windows``).
Every random choice is a function of (seed, epoch, sample) (``randomness``).
"""
