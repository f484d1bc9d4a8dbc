"""The formats of CMU-MOSI, CMU-MOSEI and IEMOCAP as features, and the alignment of their SDK."""
