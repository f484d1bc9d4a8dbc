"""GoEmotions: comments of Reddit with 28 labels, of which one may have several."""
