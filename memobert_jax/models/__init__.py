"""Flax NNX modules: embedders, trunk, heads, and the models made of them."""
