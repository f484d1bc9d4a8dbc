"""IEMOCAP as the processed features that the papers on CMU-MOSEI use beside it."""
