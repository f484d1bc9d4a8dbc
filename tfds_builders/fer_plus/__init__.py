"""FER+: single grey faces with the votes of ten people, as a dataset of clips of one crop."""
