"""CMU-MOSEI: videos to cut, computational sequences to align, or processed features."""
