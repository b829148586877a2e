"""Ways in which a training is interrupted."""

from contextlib import contextmanager

import pytest


class PowerCut(BaseException):
    """Nothing between the step and the shell catches it."""


def cut_power(*_):
    raise PowerCut


@contextmanager
def patched(owner, name, value):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, value)
        yield


@contextmanager
def at_step(step, action, run_name=None):
    """Do something just before the end of a step is dealt with, in runs of that folder name."""
    from genolm.training.callbacks import RunCallback

    original = RunCallback.on_step_end

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == step and run_name in (None, self.run.path.name):
            action()
        return original(self, args, state, control, **kwargs)

    with patched(RunCallback, "on_step_end", on_step_end):
        yield
