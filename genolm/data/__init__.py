"""Intervals and labelled sequences to batches: ``{input_ids, labels}``.

A genome is decoded once (``genome_store``), cut into windows (``windows``, ``splits``) and read as
samples for language modelling (``language``, ``masking``); labelled sequences are read from tables
and folders (``labelled``, ``labels``, ``holdout``) and shown by ``labelled_dataset``. Every random
choice is a function of (seed, epoch, sample) (``randomness``).
"""
