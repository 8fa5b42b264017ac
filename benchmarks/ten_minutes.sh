#!/usr/bin/env bash
# Ten minutes of training with unchanged defaults on three real data sets, and the scores of the images held out.
# bash benchmarks/ten_minutes.sh DATA OUT; DATA holds isbi2012/, dsb2018/ and camvid_voc/.
set -euo pipefail
data=$1 out=$2
for name in isbi2012 dsb2018; do
  uvala train "$data/$name" --split "$data/$name/split.json" --budget 10m --out "$out/$name"
  uvala evaluate "$out/$name" "$data/$name" --split "$data/$name/split.json" --subset test
done
uvala train "$data/camvid_voc" --budget 10m --out "$out/camvid_voc"
uvala evaluate "$out/camvid_voc" "$data/camvid_voc" --subset val
