"""TFDS dataset builders, one folder per dataset."""
