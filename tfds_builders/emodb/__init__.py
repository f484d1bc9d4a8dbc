"""Emo-DB, the Berlin database of emotional speech, as a dataset of clips of speech and text."""
