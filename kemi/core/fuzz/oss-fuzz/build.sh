#!/bin/bash -eu
# What OSS-Fuzz calls: puts each program, its seeds and its dictionary into $OUT. SRC holds the checkout as sipsieve.
cd "$SRC/sipsieve/kemi/core/fuzz"
programs=$(SANITIZER=${SANITIZER:-address} ./build)
for source in fuzz_targets/*.rs; do
	name=$(basename "$source" .rs)
	seeds=messages
	[ ! -d "corpus/$name" ] || seeds=$name
	cp "$programs/$name" "$OUT/$name"
	cp sip.dict "$OUT/$name.dict"
	python3 -m zipfile -c "$OUT/${name}_seed_corpus.zip" "corpus/$seeds"/*
done
