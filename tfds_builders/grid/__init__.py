"""GRID: speakers who read commands of six words; unlabelled, with measured word times."""
