"""IEMOCAP: dialogues of two actors, as a dataset of labelled clips."""
