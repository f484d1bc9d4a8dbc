"""CREMA-D, 91 actors who say twelve sentences in six emotions, as a dataset of clips."""
