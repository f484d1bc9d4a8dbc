"""Speech from espeak-ng, in a process of its own.

espeak-ng comes with the package `espeakng-loader`. It is licensed under GPL-3, is needed to render
the talking heads and for nothing else, and is never loaded into a process of this project: this
file runs as a program, reads requests from standard input and writes samples to standard output.

A process of its own also makes speech a function of the requests: the library carries the phase of
its pitch flutter from one utterance to the next and has no call that resets it.

Input: JSON, a list of {"text", "voice", "rate", "pitch", "range", "volume"} (parameters of
espeak-ng: words a minute, 0-100, 0-100, 0-200). Output: one line of JSON, a list of
{"samples": n, "phonemes": [[seconds, IPA symbol], ...]}, then the samples of all utterances, int16,
little-endian, 22,050 a second.
"""

import ctypes
import json
import sys

RATE_HZ = 22_050

_SYNCHRONOUS = 2
_PHONEME_EVENTS, _IPA, _DONT_EXIT = 1, 2, 0x8000
_UTF8 = 1
_EVENT_END, _EVENT_PHONEME = 0, 7
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position_ms", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Id),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Synthesiser:
    """espeak-ng in synchronous mode: the callback runs inside `espeak_Synth`."""

    def __init__(self):
        import espeakng_loader

        self._lib = ctypes.CDLL(espeakng_loader.get_library_path())
        rate = self._lib.espeak_Initialize(
            _SYNCHRONOUS,
            0,
            espeakng_loader.get_data_path().encode(),
            _PHONEME_EVENTS | _IPA | _DONT_EXIT,
        )
        if rate != RATE_HZ:
            raise RuntimeError(f"espeak-ng started with {rate} Hz; expected {RATE_HZ}")
        self._lib.espeak_ng_SetRandSeed(ctypes.c_long(1))
        ctypes.CDLL(None).srand(1)
        self._voice = ""
        self._pcm = bytearray()
        self._phonemes: list[tuple[float, str]] = []
        self._callback = _Callback(self._collect)
        self._lib.espeak_SetSynthCallback(self._callback)

    def _collect(self, samples, count, events) -> int:
        if samples and count:
            self._pcm += ctypes.string_at(samples, 2 * count)
        i = 0
        while events[i].type != _EVENT_END:
            if events[i].type == _EVENT_PHONEME:
                # Eight bytes without a terminator when the symbol is that long.
                symbol = bytes(events[i].id.string).decode("utf-8", "ignore")
                self._phonemes.append((events[i].audio_position_ms / 1000, symbol))
            i += 1
        return 0

    def say(self, request: dict) -> tuple[bytes, list[tuple[float, str]]]:
        """Int16 samples, and the phonemes with their starts in seconds."""
        self._pcm.clear()
        self._phonemes.clear()
        if request["voice"] != self._voice:
            if self._lib.espeak_SetVoiceByName(request["voice"].encode()):
                raise ValueError(f"espeak-ng has no voice {request['voice']!r}")
            self._voice = request["voice"]
        for parameter, name in (
            (_RATE, "rate"),
            (_VOLUME, "volume"),
            (_PITCH, "pitch"),
            (_RANGE, "range"),
        ):
            self._lib.espeak_SetParameter(parameter, int(request[name]), 0)
        text = request["text"].encode() + b"\0"
        if self._lib.espeak_Synth(text, len(text), 0, 1, 0, _UTF8, None, None):
            raise RuntimeError(f"espeak-ng could not speak {request['text']!r}")
        return bytes(self._pcm), list(self._phonemes)


def main() -> None:
    synthesiser = Synthesiser()
    results = [synthesiser.say(request) for request in json.load(sys.stdin)]
    header = [{"samples": len(pcm) // 2, "phonemes": phonemes} for pcm, phonemes in results]
    sys.stdout.buffer.write(json.dumps(header).encode() + b"\n")
    for pcm, _ in results:
        sys.stdout.buffer.write(pcm)


if __name__ == "__main__":
    main()
