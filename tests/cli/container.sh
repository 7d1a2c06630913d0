# The images of tools/container/Dockerfile: what it names is there, and with GPT2_TEST_CONTAINER=1 (root,
# mmdebstrap, Debian's archive, some minutes) its stages are made under chroot and run.
. tests/cli/cases.inc

dockerfile=tools/container/Dockerfile
if command -v hadolint >/dev/null; then
    hadolint "$dockerfile" >"$out" 2>"$err"
    status=$?
    cat "$out" >>"$err"
    expect "hadolint" exits 0
else
    skip "hadolint" "it is not installed"
fi
# what apt-get is asked for has the names that tools/setup has
for package in $(sed -n 's/^ *\(gcc .*\|.*libc6-dev.*\) && \\$/\1/p' "$dockerfile"); do
    expect "the build's $package is one of tools/setup" grep -q "\"[^\"]*\\b$package\\b" tools/setup
done
# both images run what they run as a user who is not root
expect "no image runs as root" test "$(grep -c '^USER 10001:10001$' "$dockerfile")" -eq "$(($(grep -c '^FROM ' "$dockerfile") - 1))"

if [ -z "${GPT2_TEST_CONTAINER:-}" ]; then
    skip "the images" "GPT2_TEST_CONTAINER is not set"
    exit 0
fi
if [ "$(id -u)" -ne 0 ] || ! command -v mmdebstrap >/dev/null || ! command -v python3 >/dev/null; then
    skip "the images" "needs root, mmdebstrap and python3"
    exit 0
fi
roots=$tmp/roots
python3 tests/dockerfile.py "$dockerfile" . "$roots" >"$tmp/log" 2>&1
status=$?
tail -n 5 "$tmp/log" >"$err"
expect "all stages are made" exits 0
[ "$status" -eq 0 ] || exit 0
# container IMAGE WORDS...: what `docker run IMAGE WORDS` runs
container() {
    root=$roots/$1
    shift
    chroot --userspec=10001:10001 "$root" "$entry" "$@" >"$out" 2>"$err" </dev/null
    status=$?
}
run generate -p 'Once upon a time' -n 12
cp "$out" "$tmp/here"
for image in image minimal; do
    entry=$(python3 -c 'import json, sys; says = json.load(open(sys.argv[1]))
assert says["user"] == "10001:10001" and says["folder"] == "/data"
print(says["entry"][0])' "$roots/$image.json")
    container $image generate -m tales -p 'Once upon a time' -n 12
    expect "$image: the text of this machine" same "$tmp/here" "$out"
    container $image generate -p 'Once upon a time' -n 12 -o /data/text
    expect "$image: writes to /data" same "$tmp/here" "$roots/$image/data/text"
    container $image generate -p 'Once' -n 1 -o /usr/text
    expect "$image: and nowhere else" says 'ermission denied'
    printf '{"prompt": "Once", "max_tokens": 2}\n' >"$roots/$image/data/in"
    container $image generate --input /data/in -o /data/out -q
    expect "$image: a bulk job" exits 0
done
expect "minimal: the program, its libraries and the model" \
    test -z "$(cd "$roots/minimal" && find . -type f | grep -vE '^\./(usr/bin/gpt2|(usr/)?lib(64)?/.*\.so[.0-9]*|usr/share/gpt2/models/.*|data/[a-z]*)$')"
container minimal serve
expect "... without serve" says 'libmicrohttpd'
entry=/usr/bin/curl
container image --version
expect "the other has curl, for pull" exits 0
entry=/usr/bin/gpt2
container image serve --api-key-file /data/none
expect "... and serve's library" refuses 5 '/data/none'
# a shard of the Kubernetes script, as its command says, in that root
cp "$roots/image/data/in" "$roots/image/data/prompts.jsonl"
tools/kubernetes-job 1 | awk '/^ *- \|$/ { inside = match($0, "-") + 2; next }
     inside && match($0, /[^ ]/) < inside { exit }
     inside { print substr($0, inside) }' | sed 's,/data/model.gpt2,tales,' >"$tmp/args"
JOB_COMPLETION_INDEX=0 chroot --userspec=10001:10001 "$roots/image" sh -c "$(cat "$tmp/args")" >"$out" 2>"$err"
status=$?
expect "... and runs a pod's command" exits 0
expect "... with the bytes of the whole" same "$roots/image/data/out" "$roots/image/data/out.0.jsonl"
