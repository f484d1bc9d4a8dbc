"""One HTML file of what runs left behind: evaluations, pre-training runs and built datasets."""
