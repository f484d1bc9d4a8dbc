"""The benchmark of the alignment measures what it says, on files of the form of the corpus."""

import cmu_files

from tfds_builders.cmu import bench
from tfds_builders.cmu.csd import CsdFile


def test_generated_sequences_are_aligned_without_a_loss(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "SECONDS", 6)
    monkeypatch.setattr(bench, "WORDS", 15)
    monkeypatch.setattr(bench, "KINDS", 2)
    bench.write(str(tmp_path), 4)
    for name, (file, root) in cmu_files.FILES.items():
        with CsdFile(tmp_path / file) as found:
            assert (found.root, len(found.videos)) == (root, 4), name
            assert len(found.read("video00003")) > 0
    said = bench.align(tmp_path)
    segments, _, rest = said.partition(" segments, ")
    assert int(segments) == 4 * bench.SEGMENTS // bench.VIDEOS
    assert int(rest.split()[0]) >= 4 * bench.WORDS  # words at a border are in two segments
    assert said.endswith("left out: 0")
