"""RAVDESS: 24 actors say two sentences in eight emotions."""
