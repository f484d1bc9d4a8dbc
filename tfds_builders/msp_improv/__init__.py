"""MSP-IMPROV: improvised and read turns of twelve actors, as a dataset of labelled clips."""
