"""Frozen front ends: clips (audio samples, face crops) to feature frames."""
