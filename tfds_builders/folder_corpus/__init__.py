"""A labelled folder, described by one CSV file, as a dataset of clips."""
