// serve_openai.mjs - the official client of OpenAI's API against `gpt2 serve`, for cli/serve.sh.
//
//     node serve_openai.mjs URL PROGRAM MODEL
//
// Prints nothing where all is well; the first thing that is not ends it.
import OpenAI, { APIError } from "openai";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";

const [url, program, model] = process.argv.slice(2);
const client = new OpenAI({ baseURL: url, apiKey: "none", maxRetries: 0 });
const create = (options) => client.completions.create({ model, ...options });

const models = await client.models.list();
assert.deepEqual(models.data.map((m) => m.id), [model]);
assert.equal((await client.models.retrieve(model)).object, "model");

// what the program says to the same prompt and seed
const said = (prompt, seed, n) =>
    execFileSync(program, ["generate", "-m", "models/tales", "--temp", "1", "--top-k", "0", "--top-p", "1",
        "--repeat-penalty", "1", "-n", String(n), "-s", String(seed), prompt], { encoding: "utf8" }).slice(0, -1);
const plain = await create({ prompt: "Once upon a time", seed: 7 });
assert.equal(plain.choices[0].text, said("Once upon a time", 7, 16));
assert.equal(plain.usage.completion_tokens, 16);
assert.equal(plain.seed, 7);

// a seed that was not given stands in the answer, and gives it again
const drawn = await create({ prompt: "Once" });
assert.ok(Number.isSafeInteger(drawn.seed));
assert.equal((await create({ prompt: "Once", seed: drawn.seed })).choices[0].text, drawn.choices[0].text);
assert.notEqual((await create({ prompt: "Once" })).seed, drawn.seed);

// lists of prompts, texts or ids, and several texts for each
const list = await create({ prompt: ["Once", "The king"], n: 2, seed: 3, max_tokens: 8 });
assert.deepEqual(list.choices.map((c) => c.index), [0, 1, 2, 3]);
assert.equal(list.choices[0].text, said("Once", 3, 8));
const ids = execFileSync(program, ["tokenize", "The king"], { encoding: "utf8" }).trim().split(/[ ,\n]+/).map(Number);
const byIds = await create({ prompt: ids, seed: 3, max_tokens: 8 });
assert.equal(byIds.choices[0].text, said("The king", 3, 8));
assert.deepEqual((await create({ prompt: [ids, ids], seed: 3, max_tokens: 1 })).choices.length, 2);

// a stream says what an answer says
for (const options of [{ n: 1 }, { n: 3 }, { n: 2, stop: [".", " the"] }, { echo: true }, { n: 2, echo: true, logprobs: 2 },
    { prompt: ["Once", "He said: “Où est-il, 王さま?”"], n: 2, logit_bias: { 250: 5 } }, { temperature: 0 }]) {
    const request = { prompt: "There was", seed: 11, max_tokens: 24, ...options };
    const whole = await create(request);
    const texts = whole.choices.map(() => ""), reasons = [], tokens = whole.choices.map(() => []);
    const logprobs = whole.choices.map(() => []);
    let usage = null;
    const stream = await create({ ...request, stream: true, stream_options: { include_usage: true } });
    for await (const part of stream) {
        assert.ok(!JSON.stringify(part).includes("\uFFFD"));
        usage ??= part.usage;
        for (const c of part.choices) {
            texts[c.index] += c.text;
            tokens[c.index].push(...c.token_ids);
            if (c.logprobs) logprobs[c.index].push(...c.logprobs.token_logprobs);
            if (c.finish_reason) reasons[c.index] = c.finish_reason;
        }
    }
    assert.deepEqual(texts, whole.choices.map((c) => c.text));
    assert.deepEqual(tokens, whole.choices.map((c) => c.token_ids));
    assert.deepEqual(reasons, whole.choices.map((c) => c.finish_reason));
    assert.deepEqual(usage, whole.usage);
    if (options.logprobs) assert.deepEqual(logprobs, whole.choices.map((c) => c.logprobs.token_logprobs));
    if (options.echo) assert.ok(texts.every((t) => t.startsWith("There was")));
}
const best = await create({ prompt: "Once", best_of: 4, n: 1, seed: 5 });
assert.equal(best.choices.length, 1);

// a special token in a prompt is text
assert.ok((await create({ prompt: "<|endoftext|>", max_tokens: 1 })).usage.prompt_tokens > 1);

// errors are those that the client knows
const fails = async (status, options, words) => {
    const error = await create({ prompt: "Once", ...options }).then(() => null, (e) => e);
    assert.ok(error instanceof APIError, JSON.stringify(options));
    assert.equal(error.status, status);
    assert.match(error.message, words);
    return error;
};
assert.equal((await fails(400, { temperature: -1 }, /expected a number from 0/)).param, "temperature");
assert.equal((await fails(400, { logit_bias: { 99999999: 1 } }, /logit_bias/)).param, "logit_bias");
await fails(400, { max_tokens: "many" }, /max_tokens/);
await fails(400, { n: 1000 }, /at most 128/);
await fails(400, { stream: "yes" }, /stream: expected true or false/);
await fails(400, { stream: true, best_of: 3 }, /best_of/);
await fails(400, { suffix: "end" }, /suffix/);
await fails(400, { prompt: Array(2000).fill(5) }, /context holds/);
assert.equal((await fails(404, { model: "davinci" }, /expected/)).code, "model_not_found");
assert.deepEqual((await create({ prompt: "Once", max_tokens: 1, best_friend: 1 })).ignored, ["best_friend"]);
const chat = await client.chat.completions.create({ model, messages: [{ role: "user", content: "hi" }] }).catch((e) => e);
assert.equal(chat.status, 404);
assert.match(chat.message, /no chat/);
