"""MELD, dialogues of a television series with seven emotions, as a dataset of clips."""
