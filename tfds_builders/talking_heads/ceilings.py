"""Best possible accuracy on the talking heads, for every modality subset, in closed form.

A clip has a true emotion y, uniform over K classes. Modality m shows y with probability p_m and
otherwise one of the other K - 1 emotions, each with q_m = (1 - p_m) / (K - 1), independently of the
other modalities given y. No classifier can do better than to answer the emotion with the largest
posterior given what the modalities show:

    accuracy = 1/K * sum over shown combinations s of max_y prod_m P(s_m | y)

The product depends only on which modalities agree with each other, so the K^n combinations of n
modalities fall into the set partitions of the subset. A partition of b blocks stands for
K (K - 1) ... (K - b + 1) combinations. The answer is the emotion of one of the blocks B, with
likelihood prod_{m in B} p_m prod_{m not in B} q_m, or, where fewer than K emotions are shown, one
that nobody shows, with likelihood prod_m q_m. For p = (.7, .8, .8) and K = 4 this gives .8 for
every pair (the better one decides) and .896 for all three.

By symmetry every class has the same recall, so the same number is the best possible unweighted
average recall (UAR).
"""

import math
from collections.abc import Iterator, Mapping, Sequence


def best_accuracy(classes: int, reliabilities: Sequence[float]) -> float:
    """Accuracy of the Bayes classifier that sees modalities of these `reliabilities` (p_m).

    Raises:
      ValueError: for fewer than two classes, or a reliability outside 0 to 1.
    """
    if classes < 2:
        raise ValueError(f"classes = {classes}; expected at least 2")
    for p in reliabilities:
        if not 0 <= p <= 1:
            raise ValueError(f"reliability {p}; expected a probability from 0 to 1")
    total = 0.0
    for blocks in _partitions(tuple(range(len(reliabilities)))):
        if len(blocks) <= classes:
            total += math.perm(classes, len(blocks)) * _best_likelihood(
                classes, reliabilities, blocks
            )
    return total / classes


def best_accuracies(classes: int, p_text: float, p_face: float, p_speech: float) -> dict:
    """`best_accuracy` of the subsets T, F, S, TF, TS, FS and TFS: {subset: accuracy}."""
    p: Mapping[str, float] = {"T": p_text, "F": p_face, "S": p_speech}
    return {
        subset: best_accuracy(classes, [p[letter] for letter in subset])
        for subset in ("T", "F", "S", "TF", "TS", "FS", "TFS")
    }


def _best_likelihood(classes: int, p: Sequence[float], blocks: list[tuple[int, ...]]) -> float:
    """The largest likelihood of any answer when the modalities agree as in `blocks`."""
    answers = [set(block) for block in blocks] + [set()] * (len(blocks) < classes)
    return max(
        math.prod(p[m] if m in block else (1 - p[m]) / (classes - 1) for m in range(len(p)))
        for block in answers
    )


def _partitions(items: tuple[int, ...]) -> Iterator[list[tuple[int, ...]]]:
    """Every way to split `items` into non-empty blocks."""
    if not items:
        yield []
        return
    first, rest = items[0], items[1:]
    for blocks in _partitions(rest):
        yield [(first,), *blocks]
        for i, block in enumerate(blocks):
            yield [*blocks[:i], (first, *block), *blocks[i + 1 :]]
