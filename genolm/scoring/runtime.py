"""How a model is run for scoring and predicting: weights, device, number format, threads."""

from dataclasses import dataclass
from typing import Final

import torch
from transformers import PreTrainedTokenizerBase

from genolm.errors import UsageError
from genolm.models.auto import load
from genolm.models.backbone import GenolmModel
from genolm.scoring.batches import BatchSize

DEVICES: Final = ("auto", "cpu", "cuda")
DTYPES: Final = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class Runtime:
    """Options that change speed and rounding, never what is computed.

    Attributes:
        device: "auto" (CUDA where there is one), "cpu" or "cuda".
        dtype: Number format of the linear layers; everything else stays float32.
        batch_size: Windows or sequences a batch, or "auto".
        threads: CPU threads; None leaves the choice to torch.
        seed: Seed of torch's generator; scoring itself draws nothing.
    """

    device: str = "auto"
    dtype: str = "float32"
    batch_size: BatchSize = "auto"
    threads: int | None = None
    seed: int = 1

    def check(self) -> None:
        """Refuse what cannot be run.

        Raises:
            UsageError: Naming the option and the choices.
        """
        if self.device not in DEVICES:
            raise UsageError(f"--device {self.device}: choose one of {', '.join(DEVICES)}")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise UsageError("--device cuda: torch finds no CUDA device here")
        if self.dtype not in DTYPES:
            raise UsageError(f"--dtype {self.dtype}: choose one of {', '.join(DTYPES)}")
        if self.batch_size != "auto" and self.batch_size < 1:
            raise UsageError(f"--batch-size {self.batch_size}: at least 1, or auto")
        if self.threads is not None and self.threads < 1:
            raise UsageError(f"--threads {self.threads}: at least 1")

    def load(self, model: str) -> tuple[GenolmModel, PreTrainedTokenizerBase]:
        """Load a model onto the device, in evaluation mode.

        Raises:
            UsageError: There is no such model, or an option is wrong.
        """
        self.check()
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        torch.manual_seed(self.seed)
        return load(model, device=self.device_type, dtype=self.dtype)

    @property
    def device_type(self) -> str:
        """Where the model is run: "cuda" or "cpu"."""
        return "cuda" if self.device != "cpu" and torch.cuda.is_available() else "cpu"

    def describe(self) -> str:
        """Return how the model is run, in a few words."""
        batch = "" if self.batch_size == "auto" else f", {self.batch_size} windows a batch"
        return f"{self.dtype}, {torch.get_num_threads()} threads{batch}"
