"""memobert-jax: multimodal emotion recognition by masked pre-training and prompting, in JAX."""

__version__ = "0.1.0"
