r"""Turn a finished run into a model that comes with genolm: float16 weights, config, tokenizer.

    genolm demo -o genolm-demo
    genolm pretrain ecoli_mamba
    python scripts/make_bundled_model.py runs/ecoli_mamba --name ecoli-mamba-d128
    python scripts/evaluate_bundled_model.py ecoli-mamba-d128 --annotated K12.fa.gz K12.gff.gz

The first two commands make the data and the run. The third writes the folder, and `training.json`
in it: the resolved recipe, the figures of the run, and the held-out bits per base of the float32
and of the float16 weights. The fourth measures the folder and writes its model card.
"""

import argparse
import hashlib
import json
import platform
import shutil
from datetime import UTC, datetime
from pathlib import Path

import torch
import transformers
import yaml
from safetensors.torch import load_file, save_file

from genolm import __version__, load
from genolm.data.genome_store import open_store
from genolm.data.splits import make_splits
from genolm.training.held_out import language_figures, read_part

BUNDLED = Path(__file__).resolve().parent.parent / "genolm" / "bundled"
COPIED = ("config.json", "tokenizer_config.json")
MOST_BYTES = 1_000_000


def write_weights(model: Path, folder: Path) -> None:
    """Write the weights of a model folder as float16.

    The config goes on to say float32, so that every way of loading it computes in float32.
    """
    wide = load_file(model / "model.safetensors")
    narrow = {name: tensor.to(torch.float16).contiguous() for name, tensor in wide.items()}
    wrong = [name for name, tensor in narrow.items() if not tensor.isfinite().all()]
    if wrong:
        raise SystemExit(f"{model}: float16 cannot hold {wrong[0]}")
    target = folder / "model.safetensors"
    save_file(narrow, target, metadata={"format": "pt"})
    target.chmod(0o644)
    if target.stat().st_size >= MOST_BYTES:
        raise SystemExit(f"{target}: {target.stat().st_size} bytes, at most {MOST_BYTES}")


def held_out_bits(model: Path, recipe: dict[str, dict[str, object]]) -> float:
    """Bits per base of a model on every window of the run's test part."""
    data = recipe["data"]
    loaded, _ = load(model)
    with open_store(Path(str(data["fasta"]))) as store:
        splits = make_splits(store, int(str(data["length"])), bed=str(data["bed"]))
        part = read_part(store, splits["test"], "causal_lm")
    figures = language_figures(loaded, part, batch_size=16, device=torch.device("cpu"))
    return float(figures["bits_per_base"] or 0)


def describe(run: Path, folder: Path, recipe: dict[str, dict[str, object]]) -> dict[str, object]:
    """What is worth knowing of the training, for people and for the evaluation."""
    metrics = json.loads((run / "metrics.json").read_text())
    first = (run / "recipe.yaml").read_text().splitlines()[0]
    return {
        "made": datetime.now(UTC).date().isoformat(),
        "versions_of_the_run": first.removeprefix("# "),
        "versions_here": f"genolm {__version__}, torch {torch.__version__}, transformers "
        f"{transformers.__version__}, python {platform.python_version()}",
        "parameters": metrics["parameters"],
        "steps": metrics["steps"],
        "tokens": metrics["tokens"],
        "seconds": metrics["seconds"],
        "valid": metrics["valid"],
        "test": metrics["test"],
        "test_bits_float32": held_out_bits(run / "model", recipe),
        "test_bits_float16": held_out_bits(folder, recipe),
        "weights_sha256": hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest(),
        "recipe": {
            "model": recipe["model"],
            "data": {key: recipe["data"][key] for key in ("length", "jitter", "rc_augment")},
            "train": recipe["train"],
        },
    }


def main() -> None:
    """Write the folder."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("run", type=Path, help="run folder of `genolm pretrain`")
    parser.add_argument("--name", default="ecoli-mamba-d128")
    parser.add_argument("--out", type=Path, default=BUNDLED)
    options = parser.parse_args()
    folder = options.out / options.name
    folder.mkdir(parents=True, exist_ok=True)
    for name in COPIED:
        shutil.copyfile(options.run / "model" / name, folder / name)
    write_weights(options.run / "model", folder)
    recipe = yaml.safe_load((options.run / "recipe.yaml").read_text())
    facts = describe(options.run, folder, recipe)
    (folder / "training.json").write_text(json.dumps(facts, indent=2) + "\n")
    print(
        f"{folder}: {facts['test_bits_float32']:.6f} bits with float32 weights, "
        f"{facts['test_bits_float16']:.6f} with float16"
    )


if __name__ == "__main__":
    main()
