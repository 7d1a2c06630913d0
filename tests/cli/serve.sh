# gpt2 serve: OpenAI's completions endpoint, with curl, the official client, lm-eval's requests, and
# many clients, slow ones and ones that go away among them.
. tests/cli/cases.inc

run serve --api-key-file "$tmp/none"
if says libmicrohttpd; then
    expect "without the library serve says what is missing" refuses 1 'libmicrohttpd'
    skip "serve" "GNU libmicrohttpd is not there"
    exit 0
fi
expect "a file of keys that is not there" refuses 5 "cannot open $tmp/none"
printf '# none yet\n\n' >"$tmp/empty"
run serve --api-key-file "$tmp/empty"
expect "a file without a key" refuses 5 'has no key'
printf 'secret\0more\n' >"$tmp/empty"
run serve --api-key-file "$tmp/empty"
expect "a key with a NUL byte" refuses 5 'expected lines of text, found a NUL byte'
run serve --host 0.0.0.0
expect "a public address without a key" refuses 2 '--host 0.0.0.0: others than this machine reach that address'
run serve --host ::
expect "... of IPv6 too" refuses 2 '--host ::: others than this machine reach that address'
run serve --host nowhere.invalid
expect "a host that there is not" refuses 2 '--host: expected an address of this machine, got "nowhere.invalid"'
if command -v ldd >/dev/null && [ -z "${SANITIZE:-}" ]; then
    ldd "$GPT2" >"$out" 2>"$err"
    expect "no other command loads the library" not grep -q microhttpd "$out"
fi

if [ ! -f models/tales/model.safetensors ]; then
    skip "serve with a model" "models/tales is not there"
    exit 0
fi
pid=
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$tmp"' EXIT
# serve OPTIONS... : leaves $pid, $url and $base, the same without /v1
serve() {
    begin serve --port 0 "$@"
    await grep -q '/v1$' "$err" || return 1
    url=$(sed -n 's,.* at \(http://.*/v1\)$,\1,p' "$err")
    base=${url%/v1}
}
stop() {
    kill "$pid"
    finish
    pid=
}
taken() { run serve --port "${base##*:}"; refuses 1 'Address already in use'; }

serve
expect "it says where it listens" test -n "$url"
cp "$err" "$tmp/said"
expect "a port that is taken" taken
cp "$tmp/said" "$err"

if command -v curl >/dev/null; then
    # ask PATH CURL'S OPTIONS... : leaves the answer in $out, its status in $code
    ask() {
        path=$1
        shift
        code=$(curl -s --max-time 60 -o "$out" -w '%{http_code}' "$@" "$base$path")
    }
    body() { ask /v1/completions -d "$1"; }
    answers() { [ "$code" = "$1" ] && grep -qF -- "$2" "$out"; }
    fails_as() { answers "$1" "\"error\":{\"message\":\"" && grep -qF -- "$2" "$out"; }
    ask /health
    expect "/health" answers 200 '{"status":"ok"}'
    ask /v1/models
    expect "/v1/models" answers 200 '"data":[{"id":"tales","object":"model"'
    ask /v1/models/tales
    expect "/v1/models/tales" answers 200 '{"id":"tales","object":"model"'
    ask /v1/models/other
    expect "... of another model" fails_as 404 '"code":"model_not_found"'
    "$GPT2" generate --temp 1 --top-k 0 --top-p 1 --repeat-penalty 1 -n 16 -s 5 --json 'Once' >"$tmp/cli" 2>"$err"
    body '{"prompt": "Once", "seed": 5}'
    choices() { sed 's/.*"choices":\(\[.*\]\),"usage".*/\1/' "$1"; }
    expect "a seed gives what the program gives: 16 tokens at temperature 1" test "$(choices "$out")" = "$(choices "$tmp/cli")"
    body '{"prompt": "Once", "seed": 9007199254740993}'
    expect "a seed that JSON may have rounded" fails_as 400 'or a larger one as a string, got 9007199254740993'
    "$GPT2" generate --temp 1 --top-k 0 --top-p 1 --repeat-penalty 1 -n 16 -s 18446744073709551615 --json 'Once' >"$tmp/cli" 2>"$err"
    body '{"prompt": "Once", "seed": "18446744073709551615"}'
    expect "a large seed as a string is the program's" test "$(choices "$out")" = "$(choices "$tmp/cli")"
    expect "... and is answered as one" answers 200 '"seed":"18446744073709551615"'
    body '{"prompt": ["Once", "The king"], "seed": 5, "n": 2, "logprobs": 1, "max_tokens": 4}'
    choices "$out" >"$tmp/choices"
    printf '{"id": 0, "prompt": ["Once", "The king"], "seed": 5, "n": 2, "logprobs": 1, "max_tokens": 4}\n' >"$tmp/in"
    run generate --input "$tmp/in" -o - -q --temp 1 --top-k 0 --top-p 1 --repeat-penalty 1
    expect "... and what a record gives" test "$(choices "$out")" = "$(cat "$tmp/choices")"
    body '{"prompt": "Once", "max_tokens": 0, "echo": true, "logprobs": 0}'
    expect "no tokens, the prompt's log-probabilities" answers 200 '"token_logprobs":[null],"top_logprobs":[null]'
    body '{"prompt": "Once", "logit_bias": {"8191": 100}, "logprobs": 1, "echo": true}'
    expect "the end token stands among the log-probabilities" answers 200 '"tokens":["Once","<|endoftext|>"]'
    "$GPT2" tokenize --count 'Once<|endoftext|>' >"$tmp/count" 2>"$err"
    body '{"prompt": "Once<|endoftext|>", "max_tokens": 1}'
    expect "a special token in a prompt is text" answers 200 "\"prompt_tokens\":$(cat "$tmp/count"),"
    body '{"prompt": "Once<|endoftext|>", "max_tokens": 1, "special": true}'
    expect "... unless it is asked for" answers 200 '"prompt_tokens":2,'
    body '{"prompt": "Once", "frobnicate": 1, "user": "me", "max_tokens": 1}'
    expect "an unknown field is ignored, and said" answers 200 '"ignored":["frobnicate"]'
    expect "... on standard error too" says '"frobnicate", which means nothing here'
    body '{"prompt": "Once", "temperature": "hot"}'
    expect "a wrong value" fails_as 400 '"message":"temperature: expected a number'
    expect "... and whose it is" fails_as 400 '"param":"temperature"'
    # In the words of the client: no option of a command line, and no record.
    for wrong in '"temperature": "hot"' '"max_tokens": -7' '"n": 0' '"n": 2, "best_of": 1' '"logit_bias": {"999999": 1}' \
        '"ban": ["two words of it"]' '"beams": 2, "n": 3' '"beams": 2, "best_of": 2' '"beams": 2, "max_tokens": 0' \
        '"beams": 2, "on_overflow": "slide"' '"choices": [""]' '"until": "wednesday"' '"compat": "none"' '"stop": [1]' \
        '"truncate": 1'; do
        body "{\"prompt\": \"Once\", $wrong}"
        expect "$wrong is refused in the client's words" test "$code" = 400 -a -z "$(grep -E -e '--[a-z]|record' "$out")"
    done
    for wrong in '{"prompt": "Once"' '{"temperature": 1}' '[1]' '{"prompt": 5}' '{"prompt": "a", "ids": [1]}'; do
        body "$wrong"
        expect "$wrong: a request, no record" test "$code" = 400 -a -z "$(grep -E 'record' "$out")"
    done
    body '{"prompt": "Once", "until": "--temp record"}'
    expect "what the client wrote is not changed" fails_as 400 'got \"--temp record\"'
    body '{"prompt": "Once", "stop": [1]}'
    expect "a wrong item" fails_as 400 'stop: expected strings, got a number'
    body '{"prompt": "Once"'
    expect "no JSON" fails_as 400 'not valid JSON'
    body '{"temperature": 1}'
    expect "no prompt" fails_as 400 'has no \"prompt\"'
    body '[1]'
    expect "no object" fails_as 400 'expected an object'
    body '{"prompt": "Once", "model": "davinci"}'
    expect "another model" fails_as 404 '"code":"model_not_found"'
    ask /v1/chat/completions -d '{}'
    expect "a chat" fails_as 404 'there is no chat here'
    ask /v1/embeddings -d '{}'
    expect "another path" fails_as 404 'there is no such path'
    ask /v1/completions
    expect "GET of completions" fails_as 405 'expected POST'
    ask /v1/completions -X PUT -d '{}' -D "$tmp/headers"
    expect "... and PUT, with what is allowed" grep -qi '^allow: POST' "$tmp/headers"
    ask /health -X POST -d '{}' -D "$tmp/headers"
    expect "POST of /health" grep -qi '^allow: GET, HEAD' "$tmp/headers"
    ask /v1/completions -d '{"prompt": "Once", "echo": 1}'
    expect "a wrong boolean, and whose it is" fails_as 400 '"param":"echo"'
    for wrong in '"stop": 5' '"max_tokens": "8"' '"echo": "true"' '"temperature": true' '"until": 7' '"top_p": "0.5"'; do
        body "{\"prompt\": \"Once\", $wrong}"
        expect "$wrong is another kind of value" fails_as 400 ': expected '
    done
    body '{"prompt": "Once", "n": 129}'
    expect "too many samples" fails_as 400 'n: expected at most 128, got 129'
    body '{"prompt": "Once", "best_of": 129}'
    expect "... or candidates" fails_as 400 'best_of: expected at most 128, got 129'
    body '{"prompt": "Once", "model": 5}'
    expect "a model that is no name" fails_as 400 'model: expected a string, got a number'
    ask /v1/completions -d '{"prompt": "Once"}' -H 'Content-Encoding: gzip'
    expect "a packed body" fails_as 415 'Content-Encoding: expected none, got \"gzip\"'
    ask /v1/completions -d '{"prompt": "Once"}' -H 'Transfer-Encoding: chunked' -H 'Content-Length: 18' -D "$tmp/headers"
    expect "a body of two lengths" fails_as 400 'exclude each other'
    expect "... ends the connection" grep -qi '^connection: close' "$tmp/headers"
    code=$(curl -s --max-time 60 -o "$out" -w '%{http_code}' -x "$base" http://elsewhere.example/health)
    expect "a target in absolute form" answers 200 '"status":"ok"'
    ask /health -H 'Host:'
    expect "HTTP/1.1 without a host" test "$code" = 400
    # what ends at the end token, drawn from few, and with penalties: what help says gives it
    for more in '"top_p":0.5 -n 16 --top-p 0.5' '"max_tokens":60 -n 60 --top-p 1' \
        '"frequency_penalty":2 -n 16 --top-p 1 --frequency-penalty 2'; do
        for seed in 1 9 11; do
            # shellcheck disable=SC2086 # words
            "$GPT2" generate 'The end.' --temp 1 --top-k 0 --repeat-penalty 1 -s $seed --json \
                ${more#* } >"$tmp/cli" 2>"$err"
            body "{\"prompt\": \"The end.\", \"seed\": $seed, ${more%% *}}"
            expect "seed $seed with $more is the program's" test "$(choices "$out")" = "$(choices "$tmp/cli")"
        done
    done
    ask /v1/completions -d '{"prompt": "Once"}' -H 'Origin: http://evil.example'
    expect "a page of a web site" fails_as 403 'another origin'
    # what a browser asks for, so that a page of this machine can read the answer
    with_header() { grep -qix "$(printf '%s\r' "$1")" "$tmp/headers"; }
    page() { asked=$1 && shift && ask "$asked" -H 'Origin: http://localhost:3000' -D "$tmp/headers" "$@"; }
    page /v1/completions -d '{"prompt": "Once", "max_tokens": 1}'
    expect "a page of this machine" answers 200 '"choices"'
    expect "... may read the answer" with_header 'access-control-allow-origin: \*'
    page /v1/completions -d '{"prompt": 1.5}'
    expect "... and what is wrong" with_header 'access-control-allow-origin: \*'
    page /v1/completions -d '{"prompt": "Once", "max_tokens": 1, "stream": true}'
    expect "... and a stream" with_header 'access-control-allow-origin: \*'
    page /v1/completions -X OPTIONS -H 'Access-Control-Request-Method: POST'
    expect "... and may send JSON and a key" test "$code" = 204
    expect "... by POST" with_header 'access-control-allow-methods: POST, OPTIONS'
    expect "... with any header" with_header 'access-control-allow-headers: Authorization, \*'
    ask /v1/completions -X OPTIONS -H 'Origin: http://evil.example' -D "$tmp/headers"
    expect "not so a page of a web site" fails_as 403 'another origin'
    expect "... which may read nothing" not with_header 'access-control-allow-origin: .*'
    ask /v1/models -X OPTIONS -D "$tmp/headers"
    expect "OPTIONS" test "$code" = 204
    expect "... names methods" with_header 'allow: GET, HEAD, OPTIONS'
    ask /v1/models -D "$tmp/headers"
    expect "who is no page gets no such header" not with_header 'access-control.*'
    ask /health%00x
    expect "a path with a byte 0 is not the path before it" fails_as 404 'no such path'
    ask /v1/%6dodels
    expect "an escaped path" answers 200 '"data"'
    curl -sN --max-time 60 -d '{"prompt": "Once", "seed": 5, "stream": true}' "$url/completions" >"$out"
    expect "a stream ends with [DONE]" test "$(tail -n 2 "$out" | head -n 1)" = 'data: [DONE]'
    curl -sI --max-time 60 "$base/health" >"$out"
    expect "HEAD" grep -q '^HTTP/1.1 200' "$out"
else
    skip "curl" "curl is not installed"
fi

# ---- the official client ----

if [ -n "${VALGRIND:-}" ] || ! command -v npm >/dev/null || ! command -v node >/dev/null; then
    skip "the openai package" "needs node and npm, and time"
elif [ -z "${GPT2_TEST_NODE_PATH:-}" ] &&
    ! (cd "$tmp" && npm install --no-audit --no-fund --silent openai@6 >"$tmp/npm" 2>&1); then
    skip "the openai package" "npm cannot install it"
else
    modules=${GPT2_TEST_NODE_PATH:-$tmp/node_modules}
    [ "$modules" = "$tmp/node_modules" ] || ln -s "$modules" "$tmp/node_modules"
    if [ -d "$tmp/node_modules/openai" ]; then
        cp tests/serve_openai.mjs "$tmp/"
        case $GPT2 in /*) program=$GPT2 ;; *) program=$PWD/$GPT2 ;; esac
        node "$tmp/serve_openai.mjs" "$url" "$program" tales >"$tmp/node" 2>&1
        status=$?
        grep -m 1 -A 8 Error "$tmp/node" >>"$err"
        expect "the openai package: lists, n, streams, echo with logprobs, errors" test $status = 0
    else
        skip "the openai package" "\$GPT2_TEST_NODE_PATH has none"
    fi
fi
stop
expect "SIGTERM without work: 0" exits 0
run serve --alias ''
expect "a name that is empty" refuses 2 '--alias: expected a name, got ""'
if command -v curl >/dev/null; then
    serve "$PWD/models/tales/"
    curl -s --max-time 60 "$url/models" >"$out"
    expect "the name is no path, with a slash at the end too" grep -q '"id":"tales"' "$out"
    stop
fi

# ---- other clients ----

if ! command -v python3 >/dev/null; then
    skip "clients of all kinds" "python3 is not installed"
    exit 0
fi
python=python3
if ! python3 -c 'import numpy' 2>/dev/null && /usr/bin/python3 -c 'import numpy' 2>/dev/null; then python=/usr/bin/python3; fi
library=$(shared_library)
export GPT2_LIBRARY="$library" PYTHONDONTWRITEBYTECODE=1
# clients TEST ARGUMENTS... : of tests/serve_clients.py
clients() {
    test=$1
    shift
    "$python" tests/serve_clients.py "$test" "$base" "$@" >"$out" 2>"$tmp/trace"
    status=$?
    tail -n 3 "$tmp/trace" >>"$err"
    return $status
}

serve --parallel 1
expect "a client that goes away frees its place" clients gone
stop
expect "... to the last" exits 0
serve --parallel 1 --queue 1
expect "a full queue: 429" clients queue
stop
serve --connections 4
expect "too many connections: 503" clients connections
stop
serve --timeout 1
expect "requests that do not arrive are given up" clients late
stop

serve
expect "SIGTERM: a running request is finished" clients ends "$pid" ''
finish
expect "... exit code 0" exits 0
serve --timeout 1
expect "SIGTERM: what takes too long is told so" clients ends "$pid" 1
finish
expect "... exit code 143" exits 143
expect "... and said" says '1 request was not finished, and told so'
pid=

lambada=${GPT2_TEST_DATA:-../shared/data}/text/lambada_test.jsonl
n=20
[ -z "${QUICK:-}${VALGRIND:-}" ] || n=5
serve
if [ -f "$lambada" ]; then
    expect "lm-eval's requests: the sums of gpt2 eval" clients lm_eval "$GPT2" models/tales "$lambada" $n
    if [ -s "$out" ]; then skip "... to the last bit" "$(head -n 1 "$out")"; fi
else
    skip "lm-eval's requests" "$lambada is not there"
fi
seconds=${GPT2_TEST_SECONDS:-5}
if [ -r "/proc/$pid/status" ] && [ -z "${VALGRIND:-}${SANITIZE:-}" ]; then
    expect "long texts leave no memory behind" clients memory "$pid"
    expect "64 clients beside slow, silent and leaving ones: the program's texts, flat memory" \
        clients load "$GPT2" models/tales "$pid" "$seconds" 64
    [ -z "${GPT2_TEST_SECONDS:-}" ] || cat "$out" >&2
fi
stop
expect "SIGTERM after all that" exits 0

# ---- keys and limits ----

printf '\357\273\277# of the lab\r\n  secret-1  \r\nsecret-2\n' >"$tmp/keys"
serve --api-key-file "$tmp/keys" --host 0.0.0.0 --max-body 1K --alias 'my "gpt2"'
expect "with a key the address may be public" test -n "$url"
if command -v curl >/dev/null; then
    base=http://127.0.0.1:${base##*:}
    ask /v1/models
    expect "no key: 401" fails_as 401 '"code":"invalid_api_key"'
    for key in secret secret-11 SECRET-1 '# of the lab' ''; do
        ask /v1/models -H "Authorization: Bearer $key"
        expect "the key '$key': 401" test "$code" = 401
    done
    ask /v1/models -H 'Authorization: Bearer secret-1'
    expect "a key: 200, and the model's alias" answers 200 '"id":"my \"gpt2\""'
    ask /v1/completions -H 'Authorization: Bearer secret-2' -d '{"prompt": "Once", "max_tokens": 1}'
    expect "another key" answers 200 '"finish_reason":"length"'
    ask /v1/models -H 'Authorization: bearer   secret-2'
    expect "... after spaces" answers 200 '"data"'
    ask /v1/models -H 'Authorization: Bearer secret-2' -H 'Origin: https://app.example' -D "$tmp/headers"
    expect "... from a page of any site" grep -qi '^access-control-allow-origin: \*' "$tmp/headers"
    ask /v1/models -X OPTIONS -H 'Origin: https://app.example' -H 'Access-Control-Request-Headers: authorization'
    expect "... which asks first without the key" test "$code" = 204
    ask /health
    expect "/health needs none" answers 200 ok
    printf '{"prompt": "%02000d"}' 0 >"$tmp/large"
    ask /v1/completions -H 'Authorization: Bearer secret-2' --data-binary "@$tmp/large"
    expect "a large body: 413" fails_as 413 'more than 1024 bytes'
    ask /v1/completions -H 'Authorization: Bearer secret-2' -H 'Transfer-Encoding: chunked' --data-binary "@$tmp/large"
    expect "... without its length" fails_as 413 'more than 1024 bytes'
fi
stop
expect "and it ends" exits 0
