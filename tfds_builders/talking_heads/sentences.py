"""What the talking heads say.

An utterance shows an emotion by a context phrase ("we won the match"), names one by a word for it
("i am so happy today"), or does both. Labelled utterances have the context phrase alone: who
understands it knows the emotion that the text shows, and the phrase "{text} i am [MASK] ." asks
for the word.
`{a|b}` in a phrase is a slot with its choices.
"""

import re

import numpy as np

CONTEXTS = {
    "anger": (
        "somebody {scratched|stole|kicked} my {car|bike}",
        "they lied to {me|us|my face} again",
        "you broke my {phone|window|guitar}",
        "you never {listen to|believe} me",
        "they cancelled my {order|ticket} again",
        "who ate my {lunch|sandwich|cake}",
        "the neighbours are shouting {again|at me}",
        "stop touching my {things|desk|computer}",
        "you cheated in the {game|exam}",
        "you kept me waiting {for hours|all day}",
        "they blamed me for {everything|the mess}",
        "this {bill|noise|delay} is an outrage",
        "they insulted my {mother|friend}",
        "get out of my {room|house|office}",
    ),
    "disgust": (
        "there is {mould|a hair} in my {soup|bread}",
        "the {milk|meat|fish} smells rotten",
        "{he|she} sneezed on my {plate|food}",
        "the {toilet|sink} is overflowing",
        "a {rat|cockroach} ran over my {foot|bed}",
        "{he|she} chews with an open mouth",
        "the {fridge|bin} is full of {maggots|flies}",
        "that {sauce|cheese} tastes foul",
        "i stepped in {dog dirt|vomit}",
        "the {sheets|towels} are filthy",
        "{he|she} never washes",
        "it stinks of {sweat|sewage}",
    ),
    "fear": (
        "somebody is following {me|us}",
        "i heard a {scream|growl} in the dark",
        "the {brakes|lights} do not work",
        "there is a {snake|spider|stranger} in the {tent|cellar}",
        "do not open that {door|hatch}",
        "the {ice|bridge} is cracking",
        "{he|she} has a {knife|gun}",
        "we are lost in the {forest|fog}",
        "the {plane|lift} is falling",
        "the {storm|fire} is coming closer",
        "i cannot find the way out",
        "something moved {upstairs|under the bed}",
    ),
    "happiness": (
        "we won the {match|game|race}",
        "i passed my {exam|test}",
        "i got the {job|part|prize}",
        "my {sister|brother|friend} is getting married",
        "{he|she} said yes",
        "the {baby|puppy} is finally here",
        "our {holiday|vacation} starts {today|tomorrow}",
        "it is my birthday {today|tomorrow}",
        "{he|she} loves my {song|painting|book}",
        "what a lovely {present|party|evening}",
        "we are having a {baby|party}",
        "the {music|view} here is wonderful",
        "my {team|school} came first",
        "the {doctor|nurse} says i am healthy",
    ),
    "neutral": (
        "the {train|bus} leaves at {nine|ten|noon}",
        "the {meeting|lesson} is on {monday|tuesday|friday}",
        "i will take the {stairs|lift|second door}",
        "the {shop|bank|office} opens at {nine|ten|noon}",
        "this {box|bag|table} is {brown|grey|square}",
        "put the {form|letter|file} on the {desk|shelf}",
        "there are {two|three|four} {chairs|pens|folders} in the {kitchen|hall}",
        "the {street|road} turns left",
        "please sign {here|page two}",
        "we need more {paper|milk|tape}",
        "it may rain on {monday|tuesday|friday}",
        "i read the {report|manual|list}",
        "the {printer|kettle} is on the {left|right}",
        "my number is {two|three|four} {seven|eight}",
    ),
    "sadness": (
        "my {dog|cat|grandmother} died {yesterday|last week}",
        "i miss my {family|father|old home}",
        "nobody came to my {party|wedding|concert}",
        "{he|she} left me last {night|summer}",
        "i lost my {job|home|best friend}",
        "we had to say goodbye",
        "i failed the {class|course} this year",
        "our {garden|old tree|village} is gone forever",
        "{he|she} will not come back",
        "i have been crying {all day|all night}",
        "we buried {him|her} in the rain",
        "my {friends|children} moved away",
        "i am all alone {here|tonight}",
        "the hospital had bad news",
    ),
    "surprise": (
        "look who is back",
        "you cut {off|all} your hair",
        "the {safe|coffin} was empty",
        "it is snowing in {june|july}",
        "you two know each other",
        "the {statue|picture} has vanished",
        "they changed the {ending|rules} overnight",
        "i never saw that coming",
        "it costs only {one cent|two pennies}",
        "wait you are {twins|his boss}",
        "the answer was {zero|wrong} all along",
        "the {king|mayor} is at the door",
    ),
}

WORDS = {
    "anger": ("angry", "mad", "furious"),
    "disgust": ("disgusted", "sickened", "revolted"),
    "fear": ("afraid", "scared", "frightened"),
    "happiness": ("happy", "glad", "cheerful"),
    "neutral": ("neutral", "calm", "okay"),
    "sadness": ("sad", "unhappy", "miserable"),
    "surprise": ("surprised", "amazed", "astonished"),
}
"""Words for each emotion; the first is the usual one and serves as the label word."""

OTHER_SENSES = (
    "the angry sea is on page {two|three|four}",
    "happy days starts at {nine|ten|noon}",
    "we sell sad songs on {monday|friday}",
)
"""Emotion words in other senses: neutral sentences of the unlabelled videos."""

_OPENERS = ("listen", "you know", "oh", "well")
_DEGREES = ("so", "very", "really")
_TAILS = ("today", "now", "about it")

_FORMS = (
    (0.22, "{context} i am {word} ."),
    (0.10, "{context} . i am {word} ."),
    (0.05, "{context} i am {word} {tail} ."),
    (0.06, "{context} i feel {word} ."),
    (0.05, "i am {word} {context} ."),
    (0.14, "i am {word} ."),
    (0.14, "{opener} i am {word} ."),
    (0.08, "{opener} i am {word} {tail} ."),
    (0.06, "{opener} i feel {word} {tail} ."),
    (0.05, "{context} ."),
    (0.05, "{context}"),
)
_LABELLED_FORMS = ((0.45, "{context}"), (0.45, "{context} ."), (0.10, "{opener} {context}"))

_USUAL_WORD = 0.85
_PLAIN = 0.6
_OTHER_SENSE = 0.06


def labelled_sentence(rng: np.random.Generator, emotion: str) -> str:
    """A sentence that shows `emotion` by its context phrase alone."""
    return _fill(rng, _choose(rng, _LABELLED_FORMS), emotion, emotion)


def unlabelled_sentence(
    rng: np.random.Generator, emotion: str, word_emotion: str
) -> tuple[str, bool]:
    """A sentence with a context phrase for `emotion`, a word for `word_emotion`, or both.

    Returns:
      (sentence, whether it has a context phrase).
    """
    if emotion == word_emotion == "neutral" and rng.random() < _OTHER_SENSE:
        return _slots(rng, str(rng.choice(OTHER_SENSES))) + " .", False
    form = _choose(rng, _FORMS)
    return _fill(rng, form, emotion, word_emotion), "{context}" in form


def spoken(text: str) -> str:
    """The sentence as the synthesiser should read it: a stop inside it is a short pause."""
    return re.sub(r" \.(?=.)", ",", text).removesuffix(" .") + "."


def _fill(rng: np.random.Generator, form: str, emotion: str, word_emotion: str) -> str:
    word = WORDS[word_emotion][0]
    if rng.random() >= _USUAL_WORD:
        word = str(rng.choice(WORDS[word_emotion][1:]))
    if rng.random() >= _PLAIN:
        word = f"{rng.choice(_DEGREES)} {word}"
    return form.format(
        context=_slots(rng, str(rng.choice(CONTEXTS[emotion]))),
        word=word,
        opener=rng.choice(_OPENERS),
        tail=rng.choice(_TAILS),
    )


def _slots(rng: np.random.Generator, phrase: str) -> str:
    return re.sub(r"\{([^}]*)\}", lambda slot: str(rng.choice(slot[1].split("|"))), phrase)


def _choose(rng: np.random.Generator, weighted: tuple[tuple[float, str], ...]) -> str:
    weights = np.array([weight for weight, _ in weighted])
    return weighted[rng.choice(len(weighted), p=weights / weights.sum())][1]
