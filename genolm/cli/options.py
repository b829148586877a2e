"""Options that mean the same in every command that has them."""

from typing import Annotated

import typer

from genolm.bundled import bundled_names

Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help=f"Folder of a model, a hub id, or a model that comes with genolm: {bundled_names()}.",
    ),
]
Genome = Annotated[str, typer.Option("--reference", "-r", "-R", help="FASTA, plain or bgzipped.")]
Window = Annotated[
    int | None,
    typer.Option(
        help="Bases in all.",
        show_default="the length the model was trained on, else 1024 or the model's maximum",
    ),
]
Distance = Annotated[
    int | None,
    typer.Option("--distance", "-D", help="Bases on either side: a window of 2N + 1."),
]
Calibrate = Annotated[
    str | None,
    typer.Option(
        metavar="BACKGROUND",
        help="Add percentiles (GENOLM_LLR_PCT, ...) among background SNVs of the same"
        " trinucleotide change: random (9,600 drawn from the genome, equally many of every"
        " change), random:N, a VCF, BCF or table of variants, or a kept calibration. Kept"
        " beside the model, or in the user's cache, and used again.",
        show_default="no percentiles",
    ),
]
CalibrationSeed = Annotated[
    int, typer.Option(help="Of the SNVs that --calibrate random draws; scoring draws nothing.")
]
Fast = Annotated[
    bool,
    typer.Option(
        "--fast",
        help="Likelihood ratios within a stated error of the exact ones, many times faster where"
        " sites are dense. The error is measured once for a model, window and genome, and kept"
        " beside the model. A number may then depend on its neighbours in the input, within that"
        " error.",
    ),
]
RestartScoring = Annotated[
    bool,
    typer.Option(
        "--restart",
        help="Compute all anew, also what an interrupted run left beside the output.",
    ),
]
Device = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
Dtype = Annotated[str, typer.Option(help="Of the linear layers: float32, bfloat16 or float16.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads.", show_default="torch's choice")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say only what is wrong.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Say more.")]
