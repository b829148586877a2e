"""``genolm report``: a run's curves, figures and recipe as one HTML file."""

from typing import Annotated

import typer


def report(
    run: Annotated[
        str, typer.Argument(help="Folder of a run: the output of pretrain or finetune.")
    ],
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", help="The page to write.", show_default="report.html in the run"
        ),
    ] = None,
) -> None:
    """Draw a run, finished or not, into one HTML file that needs nothing else.

    Loss and bits per base beside what counting reaches, learning rate, gradients and speed; the
    figures beside their baselines; for classifiers the confusion matrix and ROC curves; the recipe.

    Example: `genolm report runs/yeast`
    """
    from genolm.report import write_report

    print(write_report(run, output))
