"""What a fine-tuning does one after another, up to the end of its training."""

from collections.abc import Callable

from genolm.training.finetune_loop import train_session
from genolm.training.finetuning import Finetuning, say_what_is_trained
from genolm.training.loop import Ended, Lines, never
from genolm.training.rc_choice import choose_strands
from genolm.training.self_pretraining import pretrain_on_own_sequences


def train_whole(
    session: Finetuning, gives_up: Callable[[Lines], bool] = never
) -> tuple[Finetuning, Ended]:
    """Do all that a recipe wants before the test part is looked at.

    Args:
        session: Ready to run, its folder begun.
        gives_up: Whether to stop, given the lines of metrics.jsonl; asked after every epoch.

    Returns:
        The session with the model that was trained, and where its training ended.
    """
    session = choose_strands(pretrain_on_own_sequences(session))
    say_what_is_trained(session)
    return session, train_session(session, gives_up)
