"""Config files: each has `get_config() -> ml_collections.ConfigDict`."""
