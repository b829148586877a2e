"""The option that names what is not exact."""

import typer

FAST_OPTION = typer.Option(
    "--fast",
    help="Likelihood ratios within a stated error of the exact ones, many times faster where sites"
    " are dense. The error is measured once for a model, window and genome, and kept beside the"
    " model. A number may then depend on its neighbours in the input, within that error.",
)
