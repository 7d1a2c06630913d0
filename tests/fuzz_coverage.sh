#!/bin/sh
# fuzz_coverage.sh [VARIATIONS] - what the fuzz targets reach together: the share of lines of each parser,
# by llvm-cov. `make fuzz-coverage` calls it. Each target replays its corpus, its seeds and VARIATIONS of
# them (default 20000, for at most 60 seconds of processor time). BUILD is a build by clang with
# coverage. The last line is the share of all files. The status is 1 where a file is below 90 %. What
# no bytes reach is what is said where memory is out, which `make torture` tries.
set -eu
cd "$(dirname "$0")/.."
: "${BUILD:?is a build with coverage}"
profiles=$BUILD/profiles
rm -rf "$profiles" && mkdir -p "$profiles"

# What bytes from elsewhere go through.
parsers='src/base/json.c src/weights/packed.c src/model/packed_loader.c src/weights/block_check.c
src/weights/safetensors.c src/weights/shards.c src/weights/gguf src/weights/llmc src/weights/torch
src/weights/tensorflow src/model/config.c src/model/generation_config.c src/model/adapter_config.c
src/model/tensor_index.c src/model/tensor_schema.c src/model/loader.c src/text/vocab_parse.c
src/text/vocab_entry.c src/text/tokenizer_json.c src/decode/record.c src/decode/stops.c
src/forward/saved_session.c src/forward/saved_session_file.c src/hub/manifest.c src/score/task.c
src/cli/score/score_filter.c src/weights/containers.c src/weights/unread.c src/weights/adapter.c
src/model/adapt.c src/model/directory.c src/model/tensor_names.c src/text/tables.c src/text/component.c
src/text/normalizer.c src/text/pretokenizer.c src/text/postprocessor.c src/text/added_tokens.c
src/text/vocab_files.c src/hub/cache.c src/hub/name.c src/hub/curl_output.c
src/cli/terminal/line_history.c src/cli/generate/bulk_record.c src/cli/serve/api_request.c
src/cli/command/options.c'

for file in $parsers; do
    [ -e "$file" ] || { echo "fuzz_coverage.sh: $file is not there" >&2; exit 2; }
done
python3 -c 'import numpy' 2>/dev/null || /usr/bin/python3 -c 'import numpy' 2>/dev/null ||
    echo "fuzz_coverage.sh: without numpy there are no seeds of PyTorch, TensorFlow and llm.c" >&2

objects= first=
for source in tests/fuzz/fuzz_*.c; do
    target=$(basename "$source" .c)
    LLVM_PROFILE_FILE=$profiles/$target.raw "$BUILD/tests/fuzz/$target" -n "${1:-20000}" -t 60 >"$profiles/$target.log" 2>&1 ||
        { cat "$profiles/$target.log" >&2; exit 1; }
    if [ -z "$first" ]; then first=$BUILD/tests/fuzz/$target; else objects="$objects -object $BUILD/tests/fuzz/$target"; fi
done
llvm-profdata merge -o "$profiles/all" "$profiles"/*.raw
# shellcheck disable=SC2086
llvm-cov report "$first" $objects -instr-profile "$profiles/all" $parsers >"$profiles/report" 2>/dev/null
# Columns: name, regions (count, missed, share), functions (the same), lines (the same) ...
awk '$1 ~ /\.c$/ { sub(/.*src\//, "src/", $1); n += $8; m += $9; low += ($8 - $9) * 10 < $8 * 9
        printf "%-44s %5d lines  %5.1f %%\n", $1, $8, $8 ? 100 * ($8 - $9) / $8 : 0 }
    END { printf "%d lines, %.1f %% of them reached; %d files below 90 %%\n", n, 100 * (n - m) / n, low }' "$profiles/report" |
    tee "$profiles/table"
grep -q '; 0 files below' "$profiles/table"
