#!/bin/sh
# fuzz_coverage.sh [VARIATIONS] - what the fuzz targets reach: the share of lines of each parser, by
# llvm-cov. `make fuzz-coverage` calls it. Each target replays its corpus, its seeds and VARIATIONS of
# them (default 20000, for at most 3 seconds each). BUILD is a build by clang with coverage. The last
# line is the share of all of them.
set -eu
cd "$(dirname "$0")/.."
: "${BUILD:?is a build with coverage}"
profiles=$BUILD/profiles
rm -rf "$profiles" && mkdir -p "$profiles"

# TARGET FILE...: which parsers a target is for.
parsers='
packed src/weights/packed.c src/model/packed_loader.c src/weights/block_check.c
safetensors src/weights/safetensors.c
shards src/weights/shards.c
gguf src/weights/gguf/gguf.c src/weights/gguf/gguf_model.c src/weights/gguf/gguf_tokenizer.c src/weights/gguf/gguf_values.c
llmc src/weights/llmc/llmc.c src/weights/llmc/llmc_tokenizer.c
torch src/weights/torch/pickle.c src/weights/torch/pickle_stack.c src/weights/torch/pickle_value.c src/weights/torch/torch.c src/weights/torch/zip.c
tensorflow src/weights/tensorflow/leveldb.c src/weights/tensorflow/tensorflow_message.c
config src/model/config.c src/model/generation_config.c
model src/model/tensor_index.c src/model/tensor_schema.c src/model/loader.c
vocab src/text/vocab_parse.c src/text/vocab_entry.c
tokenizer src/text/tokenizer_json.c
record src/decode/record.c
stops src/decode/stops.c
saved_session src/forward/saved_session.c src/forward/saved_session_file.c
manifest src/hub/manifest.c
arguments src/cli/score/score_filter.c
task src/score/task.c
adapter_config src/model/adapter_config.c
'
echo "$parsers" | while read -r target files; do
    [ -n "$target" ] || continue
    program=$BUILD/tests/fuzz/fuzz_$target
    LLVM_PROFILE_FILE=$profiles/$target.raw "$program" -n "${1:-20000}" >"$profiles/$target.log" 2>&1 ||
        { cat "$profiles/$target.log" >&2; exit 1; }
    llvm-profdata merge -o "$profiles/$target.profile" "$profiles/$target.raw"
    for file in $files; do
        llvm-cov export -summary-only -instr-profile "$profiles/$target.profile" "$program" "$file" 2>/dev/null |
            sed -n 's/.*"totals":{.*"lines":{"count":\([0-9]*\),"covered":\([0-9]*\).*/\1 \2/p' |
            awk -v target="$target" -v file="$file" \
                '{ printf "%-14s %-44s %5d lines  %5.1f %%\n", target, file, $1, $1 ? 100 * $2 / $1 : 0 }'
    done
done | tee "$profiles/table"
awk '{ n += $3; r += $3 * $5 / 100; low += $5 < 90 }
    END { printf "%d files, %d below 90 %%, %d lines, %.1f %% of them reached\n", NR, low, n, 100 * r / n }' "$profiles/table"
