"""Training: recipes, pretraining on a genome, fine-tuning on labelled sequences.

Read in this order: recipe.py (what can be said), pretrain.py and finetune.py (what is done),
trainer.py and callbacks.py (the loop), run_folder.py (what is left on disk). Nothing here imports
torch before a training begins, so that a recipe can be read and shown at once.
"""
