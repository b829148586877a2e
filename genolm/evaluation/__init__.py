"""Suites of labelled sets, run task by task under a stated protocol, beside their baselines.

What a suite is stands in :mod:`genolm.evaluation.suites`, how its files are found and read in
:mod:`genolm.evaluation.layouts`, who chooses what on which rows in
:mod:`genolm.evaluation.protocols`, and the run itself in :mod:`genolm.evaluation.evaluate`.
"""
