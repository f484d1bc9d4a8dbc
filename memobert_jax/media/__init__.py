"""Raw media to clips: pure functions on files and arrays; no Beam, no JAX, no training."""
