"""Kinds of layer: what each axis means, and which hyperparameter made it that size."""
