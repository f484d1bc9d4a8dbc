"""Any folder of videos as a dataset of unlabelled clips."""
