"""Rendered talking heads: an embedded corpus whose best possible scores are known."""
