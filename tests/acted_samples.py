"""Small copies of Emo-DB, SAVEE and CREMA-D: trees, names and encodings of their releases."""

import fractions
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import av
import media_samples
import numpy as np
import soundfile

from memobert_jax import record
from tfds_builders import build, labels
from tfds_builders.listing import Listing

SECONDS = 1.1


def listed(name: str, manual_dir: Path, config: str = "") -> Listing:
    """What a builder lists of a corpus; nothing is extracted."""
    request = build.Request(data_dir=str(manual_dir.parent / "unused"), config=config)
    return build.make_builder(name, request, {}).listing(manual_dir)


def omitted(listing: Listing) -> dict[str, str]:
    """Item -> reason of what is left out."""
    return {item: str(reason) for item, reason in listing.tally.omitted}


def counts(listing: Listing) -> dict[str, Counter]:
    """Label counts of each split of a listing, as if every clip were kept."""
    found: dict[str, Counter] = {}
    for source in listing.sources:
        for utterance in source.utterances:
            item = record.make("clips", **utterance.fields)
            found.setdefault(source.split, Counter()).update(labels.count(item))
    return found


def sound(seed: int, rate: int = 16_000, seconds: float = SECONDS) -> np.ndarray:
    """i16 [n]: a voice-like noise that no other seed gives."""
    times = np.arange(round(seconds * rate)) / rate
    noise = np.random.default_rng(seed).uniform(-0.3, 0.3, len(times))
    return (noise * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * times)) * 32767).astype(np.int16)


def write_wav(path: Path, samples: np.ndarray, rate: int = 16_000) -> Path:
    """A RIFF file of 16-bit PCM, one channel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(str(path), samples, rate, subtype="PCM_16", format="WAV")
    return path


def write_video(
    path: Path, seed: int, video_codec: str, audio_codec: str, fps: int, size: tuple[int, int]
) -> Path:
    """A talking face with a sound of 44.1 kHz, as in the video files of SAVEE and CREMA-D."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rate, (width, height) = 44_100, size
    place = ((width // 2 + seed % 5, height // 2 + 5), height // 2, True)
    with av.open(str(path), "w") as out:
        video = out.add_stream(video_codec, rate=fps, options={"threads": "1"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        video.bit_rate = 2_000_000
        audio = out.add_stream(audio_codec, rate=rate)
        audio.layout = "mono"
        pictures = media_samples.talking(SECONDS, fps, size, [place])
        for number, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, fractions.Fraction(1, fps)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        frame = av.AudioFrame.from_ndarray(sound(seed, rate)[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, fractions.Fraction(1, rate)
        resampler = av.AudioResampler(audio.codec_context.format, "mono", rate, audio.frame_size)
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            out.mux(audio.encode(part))
        out.mux(audio.encode(None))
    return path


EMODB = ("03a01Fa", "03a01Nc", "03a01Wa", "08b02La", "09a05Ea", "10a07Ad", "11b10Td")


def write_emodb(folder: Path, stems: Iterable[str] = EMODB) -> Path:
    """The unpacked download.zip: wav/, results of the listening test, label files."""
    for seed, stem in enumerate(stems):
        write_wav(folder / "wav" / f"{stem}.wav", sound(seed))
    for name in ("lablaut", "labsilb", "silb"):
        (folder / name).mkdir()
        (folder / name / "03a01Fa.lab").write_text("signal 03a01Fa\n", encoding="latin-1")
    listeners = "Satz\terkannt\tnat\xfcrlich\n03a01Fa.wav\t90,00\t75,00\n"
    (folder / "erkennung.txt").write_text(listeners, encoding="latin-1")
    (folder / "erklaerung.txt").write_text("Erkl\xe4rung\n", encoding="latin-1")
    return folder


SAVEE = ("a01", "d02", "f03", "h15", "n30", "sa01", "su01")


def write_savee(folder: Path, stems: Sequence[str] = SAVEE, speakers=("DC", "KL")) -> Path:
    """The unpacked AudioData.zip: a folder of WAV files of 44.1 kHz a speaker, and Info.txt."""
    for place, speaker in enumerate(speakers):
        for seed, stem in enumerate(stems):
            samples = sound(100 * place + seed, 44_100)
            write_wav(folder / "AudioData" / speaker / f"{stem}.wav", samples, 44_100)
    (folder / "AudioData" / "Info.txt").write_text("Speakers\n")
    return folder


def write_savee_video(folder: Path, speaker: str, stem: str, seed: int = 0) -> Path:
    """A file of AudioVisualClip/: 320x256, 60 pictures a second, uncompressed sound."""
    path = folder / "AudioVisualClip" / speaker / f"{stem}.avi"
    return write_video(path, seed, "mpeg4", "pcm_s16le", 60, (320, 256))


CREMA_D = {
    "1001_IEO_NEU_XX": ("N", "N", "N"),
    "1001_IEO_HAP_LO": ("N", "H", "H"),
    "1001_IOM_ANG_XX": ("N", "N", "F:N"),
    "1002_DFA_SAD_XX": ("N", "N:S", "S"),
    "1002_WSI_FEA_XX": ("N:S", "F", "A:D:F"),
    "1002_TSI_DIS_XX": ("D", "A:D", "D"),
}
"""Clip -> the votes of those who heard it, saw it, or both."""


def write_crema_d(folder: Path, votes: Mapping[str, Sequence[str]] = CREMA_D) -> Path:
    """A clone of the repository without video: AudioWAV/ and the tables."""
    (folder / "AudioWAV").mkdir(parents=True)
    for seed, stem in enumerate(votes):
        write_wav(folder / "AudioWAV" / f"{stem}.wav", sound(seed))
    lines = ['"ActorID","Age","Sex","Race","Ethnicity"']
    lines += ['1001,51,"Male","Caucasian","Not Hispanic"']
    lines += ['1002,21,"Female","Caucasian","Not Hispanic"']
    (folder / "VideoDemographics.csv").write_text("\n".join(lines) + "\n")
    header = '"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel"'
    lines = [header + ',"MultiModalVote","MultiModalLevel"']
    for number, (stem, found) in enumerate(votes.items(), 1):
        cells = [str(number), stem]
        for vote in found:
            cells += [vote, ":".join(["50.5"] * len(vote.split(":")))]
        lines.append(",".join(f'"{cell}"' for cell in cells))
    (folder / "processedResults").mkdir()
    (folder / "processedResults" / "summaryTable.csv").write_text("\n".join(lines) + "\n")
    return folder


def write_crema_d_video(folder: Path, stem: str, seed: int = 0) -> Path:
    """A file of VideoFlash/: Flash video, 480x360, 30 pictures a second, MP3."""
    path = folder / "VideoFlash" / f"{stem}.flv"
    return write_video(path, seed, "flv", "libmp3lame", 30, (480, 360))
