"""EmoBank: written sentences with valence, arousal and dominance."""
