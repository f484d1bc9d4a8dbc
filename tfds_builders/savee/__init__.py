"""SAVEE, four men who act seven emotions, as a dataset of clips."""
