// tokenizers_oracle.js - writes tokenizer.json files for every component, and what Hugging Face's own
// library (npm: tokenizers) makes of some hundred strings with each, for test_tokenizer_oracle.c.
//
//     NODE_PATH=.../node_modules node tests/tokenizers_oracle.js FOLDER N_STRINGS
//
// FOLDER/N/tokenizer.json, and FOLDER/cases: "D = name" begins one, "D < name" one with a normalizer;
// then a line for each string: its bytes in hexadecimal, its ids, and the offsets of each id in
// characters, "-" for none.
const fs = require('fs');
const path = require('path');
const { Tokenizer } = require('tokenizers');
const [folder, count] = [process.argv[2], Number(process.argv[3])];

let seed = 12345;
const below = n => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return (seed >>> 8) % n;
};
const pick = list => list[below(list.length)];

// Characters whose properties no version of Unicode in use disputes.
const ranges = [
    [0x20, 0x7e], [0x61, 0x7a], [0x61, 0x7a], [0x30, 0x39], [0x9, 0xd], [0xa0, 0x17f], [0x1c4, 0x1f0],
    [0x300, 0x345], [0x391, 0x3a1], [0x3b1, 0x3c9], [0x400, 0x45f], [0x5d0, 0x5ea], [0x5b0, 0x5bd],
    [0x627, 0x64a], [0x64b, 0x652], [0x660, 0x669], [0x905, 0x939], [0x93c, 0x94d], [0x9be, 0x9be],
    [0x9c7, 0x9c8], [0xe01, 0xe2e], [0x1100, 0x1112], [0x1161, 0x1175], [0x11a8, 0x11c2],
    [0x1e00, 0x1eff], [0x1f00, 0x1f15], [0x2000, 0x200d], [0x2010, 0x2027], [0x2028, 0x202f],
    [0x2070, 0x2071], [0x2080, 0x208e], [0x2100, 0x2138], [0x2150, 0x2188], [0x2460, 0x24ff],
    [0x3000, 0x3003], [0x3041, 0x3096], [0x3099, 0x309f], [0x30a1, 0x30fa], [0x3131, 0x318e],
    [0x3200, 0x321e], [0x4e00, 0x4e30], [0xac00, 0xac40], [0xf900, 0xf920], [0xfb00, 0xfb06],
    [0xff01, 0xff5e], [0xff66, 0xff9f], [0xffa1, 0xffbe], [0xffc2, 0xffc7], [0x1d400, 0x1d420],
    [0x1f130, 0x1f149], [0x1f600, 0x1f620], [0x1d15e, 0x1d15e], [0x10400, 0x10410],
];
const words = ['hello', ' hello', ' world', 'the', ' the', 'THE', '123', '7', ' ', '  ', '   ', '\n',
    '\t', '\u200c', '\u200d', '\u00b2', '\u00bd', "'s", "'ll", "'", '...', '!', '-', '$', '+', '_', 'ab12cd', 'e\u0301', '\u00e9', 'A\u030a',
    '\u0130', '\u03a3', '\u00df', '\ufb01', '\uac01', '\u1100\u1161\u11a8', 'aaa', 'X', 'ab', '\u3000',
    '<s>', '</s>', '<l>', '<r>', '<b>', 'word', 'Nrm', 'nrm', '<|endoftext|>', 'covid19', 'rain\u00e9'];
const character = () => {
    const [low, high] = pick(ranges);
    return String.fromCodePoint(low + below(high - low + 1));
};
const strings = ['', ' ', '  a  ', '<s>', ' <l> <r> '];
while (strings.length < count) {
    let s = '';
    for (let n = 1 + below(9); n > 0; n--)
        s += below(2) ? pick(words) : character();
    strings.push(s);
}

// The 256 bytes, and words that merging makes.
const byte = b => String.fromCodePoint(b < 33 ? 256 + b : b < 127 ? b : b < 161 ? 162 + b
    : b === 173 ? 323 : b);
const vocab = {};
for (let b = 0; b < 256; b++)
    vocab[byte(b)] = b;
const merges = ['h e', 'l l', 'he ll', 'hell o', '\u0120 w', 'o r', '\u0120w or', 'l d', '\u0120wor ld',
    '\u0120 t', '\u0120t he', 'i n', 'a t', '1 2', '12 3', '\u0120 1', '\u0120 \u0120', 'e \u00cc',
    '\u00c3 \u00a9', '\u0120 he', 'a b', 'ab 12', '. .', '\u00e2 \u0122', 'e r', 't h', 'th e', '\u0120 .',
    'a a', '\u00e3 \u0123', '\u0120 a', 'X a', 'a X', '\u0120 \u0122'];
merges.forEach((m, i) => { vocab[m.replace(' ', '')] = 256 + i; });
const base = 256 + merges.length;
const added = ['<s>', '</s>', '<|endoftext|>'].map((content, i) => ({
    id: base + i, content, single_word: false, lstrip: false, rstrip: false, normalized: false,
    special: true,
}));
added.forEach(t => { vocab[t.content] = t.id; });
const extra = (content, more) => Object.assign({
    id: 0, content, single_word: false, lstrip: false, rstrip: false, normalized: true, special: false,
}, more);

const bytes = (add_prefix_space, use_regex) => ({
    type: 'ByteLevel', add_prefix_space, trim_offsets: false, use_regex,
});
const plain = bytes(false, true);
const before = (...list) => ({ type: 'Sequence', pretokenizers: [...list, plain] });
// With a space before each range, so that every cut is seen.
const whole = (...list) => ({ type: 'Sequence', pretokenizers: [...list, bytes(true, false)] });
const norm = (...normalizers) => ({ type: 'Sequence', normalizers });
const template = (single, ids) => ({
    type: 'TemplateProcessing',
    single: single.map(t => (t === '$A' ? { Sequence: { id: 'A', type_id: 0 } }
        : { SpecialToken: { id: t, type_id: 0 } })),
    pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
    special_tokens: Object.fromEntries(Object.entries(ids).map(([id, list]) =>
        [id, { id, ids: list, tokens: list.map(i => added[i - base].content) }])),
});
const gpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const split = (pattern, behavior, invert) => ({ type: 'Split', pattern, behavior, invert });
const behaviors = ['Removed', 'Isolated', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'];
const roberta = {
    type: 'RobertaProcessing', sep: ['</s>', base + 1], cls: ['<s>', base], trim_offsets: false,
    add_prefix_space: false,
};

const cases = { 'nothing': {} };
for (const form of ['NFC', 'NFD', 'NFKC', 'NFKD', 'Lowercase', 'StripAccents'])
    cases[`normalizer ${form}`] = { normalizer: { type: form } };
cases['normalizer Sequence'] = {
    normalizer: norm({ type: 'NFD' }, { type: 'Lowercase' }, { type: 'StripAccents' }),
};
for (const [left, right] of [[true, false], [false, true], [true, true]])
    cases[`normalizer Strip ${left} ${right}`] = {
        normalizer: { type: 'Strip', strip_left: left, strip_right: right },
    };
cases['normalizer Prepend'] = { normalizer: { type: 'Prepend', prepend: 'X ' } };
for (const [pattern, content] of [[{ String: ' ' }, 'X'], [{ String: 'he' }, ''], [{ String: 'aa' }, 'a'],
    [{ Regex: '\\s+' }, ' '], [{ Regex: ' +' }, ' '], [{ Regex: '\\d' }, '0'], [{ Regex: '\\p{N}+' }, '#'],
    [{ Regex: '\\s' }, '_'], [{ Regex: '[0-9]' }, '9'], [{ Regex: '\\p{L}+' }, 'w']])
    cases[`normalizer Replace ${JSON.stringify(pattern)}`] = {
        normalizer: { type: 'Replace', pattern, content },
    };
for (const [prefix, regex] of [[true, true], [true, false], [false, false]])
    cases[`pre_tokenizer ByteLevel ${prefix} ${regex}`] = { pre_tokenizer: bytes(prefix, regex) };
for (const individual of [true, false])
    for (const build of [before, whole])
        cases[`pre_tokenizer Digits ${individual} ${build.name}`] = {
            pre_tokenizer: build({ type: 'Digits', individual_digits: individual }),
        };
for (const type of ['Whitespace', 'WhitespaceSplit'])
    for (const build of [before, whole])
        cases[`pre_tokenizer ${type} ${build.name}`] = { pre_tokenizer: build({ type }) };
for (const behavior of behaviors) {
    cases[`pre_tokenizer Punctuation ${behavior}`] = {
        pre_tokenizer: whole({ type: 'Punctuation', behavior }),
    };
    for (const invert of [false, true])
        for (const pattern of [{ String: ' ' }, { String: 'aa' }, { Regex: gpt2 }, { Regex: '\\d' },
            { Regex: '\\s+' }, { Regex: '\\w+|[^\\w\\s]+' }, { Regex: '\\p{N}' }])
            cases[`pre_tokenizer Split ${behavior} ${invert} ${JSON.stringify(pattern)}`] = {
                pre_tokenizer: whole(split(pattern, behavior, invert)),
            };
}
cases['pre_tokenizer Sequence'] = {
    pre_tokenizer: {
        type: 'Sequence',
        pretokenizers: [{ type: 'Sequence', pretokenizers: [{ type: 'Punctuation', behavior: 'Contiguous' }] },
            { type: 'Digits', individual_digits: true }, bytes(true, true)],
    },
};
cases['post_processor RobertaProcessing'] = { post_processor: roberta };
cases['post_processor BertProcessing'] = {
    post_processor: { type: 'BertProcessing', sep: ['</s>', base + 1], cls: ['<s>', base] },
};
cases['post_processor template that adds nothing'] = { post_processor: template(['$A'], {}) };
cases['post_processor template with BOS'] = {
    post_processor: template(['<s>', '$A'], { '<s>': [base] }),
};
cases['post_processor template with several'] = {
    post_processor: template(['<s>', 'x', '$A', 'x', '</s>'],
        { '<s>': [base], 'x': [base + 2, base + 1], '</s>': [base + 1] }),
};
cases['post_processor Sequence'] = {
    post_processor: {
        type: 'Sequence',
        processors: [{ type: 'ByteLevel', add_prefix_space: true, trim_offsets: false, use_regex: true },
            template(['<s>', '$A'], { '<s>': [base] })],
    },
};
// Settings of a call, which the library would apply to every text: here and there without.
for (const direction of ['Left', 'Right'])
    cases[`truncation and padding, ${direction}`] = {
        truncation: { direction, max_length: 3, strategy: 'LongestFirst', stride: 1 },
        padding: {
            strategy: { Fixed: 12 }, direction, pad_to_multiple_of: 8, pad_id: base, pad_type_id: 0,
            pad_token: '<s>',
        },
        post_processor: template(['<s>', '$A'], { '<s>': [base] }),
    };
const switches = [extra('<l>', { lstrip: true, special: true, normalized: false }),
    extra('<r>', { rstrip: true, special: true, normalized: false }),
    extra('<b>', { lstrip: true, rstrip: true, normalized: false }),
    extra('word', { single_word: true }), extra('Nrm', {}), extra('covid19', {}),
    extra('X', { single_word: true, normalized: false }), extra('ab', { rstrip: true }),
    extra('rain\u00e9', { normalized: true })];
cases['added tokens'] = { more: switches };
cases['added tokens, Lowercase'] = { more: switches, normalizer: { type: 'Lowercase' } };
cases['added tokens, NFD'] = { more: switches, normalizer: { type: 'NFD' } };
cases['added tokens, prefix space and Digits'] = {
    more: switches,
    pre_tokenizer: { type: 'Sequence', pretokenizers: [{ type: 'Digits', individual_digits: false }, bytes(true, true)] },
};

// Components together, at random. (No class of letters beside added tokens: those that become the
// same text are any of them to the library.)
const some = (most, make) => Array.from({ length: below(most + 1) }, make);
const normalizers = [
    ...['NFC', 'NFD', 'NFKC', 'NFKD', 'Lowercase', 'StripAccents'].map(type => () => ({ type })),
    () => ({ type: 'Strip', strip_left: !!below(2), strip_right: !!below(2) }),
    () => ({ type: 'Prepend', prepend: pick(['X ', ' ', 'e\u0301', '<s>']) }),
    () => ({
        type: 'Replace', content: pick(['', 'X', '\u00e9', ' ', 'aa', 'hello']),
        pattern: pick([{ String: ' ' }, { String: 'he' }, { String: '\u0301' }, { Regex: '\\s+' },
            { Regex: '\\p{N}+' }]),
    }),
];
const pretokenizers = [
    () => ({ type: 'Digits', individual_digits: !!below(2) }),
    () => ({ type: 'Whitespace' }),
    () => ({ type: 'WhitespaceSplit' }),
    () => ({ type: 'Punctuation', behavior: pick(behaviors) }),
    () => split(pick([{ String: ' ' }, { String: 'aa' }, { Regex: gpt2 }, { Regex: '\\d' }, { Regex: '\\s+' },
        { Regex: '\\w+|[^\\w\\s]+' }]), pick(behaviors), !!below(2)),
];
for (let i = 0; i < 60; i++)
    cases[`together ${i}`] = {
        normalizer: below(3) ? norm(...some(3, () => pick(normalizers)())) : null,
        pre_tokenizer: {
            type: 'Sequence',
            pretokenizers: [...some(3, () => pick(pretokenizers)()), bytes(!!below(2), !!below(2))],
        },
        post_processor: below(2) ? pick([roberta, template(['$A', '</s>'], { '</s>': [base + 1] })]) : null,
        more: below(2) ? switches.filter(() => below(2)) : [],
    };

const main = async () => {
    const out = fs.createWriteStream(path.join(folder, 'cases'));
    let number = 0;
    for (const [name, parts] of Object.entries(cases)) {
        let next = base + added.length;
        const more = (parts.more || []).map(t =>
            Object.assign({}, t, { id: t.content in vocab ? vocab[t.content] : next++ }));
        const { more: ignored, ...rest } = parts;
        const file = Object.assign({
            version: '1.0', truncation: null, padding: null, added_tokens: [...added, ...more],
            normalizer: null, pre_tokenizer: plain, post_processor: null,
            decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
            model: {
                type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: '',
                end_of_word_suffix: '', fuse_unk: false, byte_fallback: false, ignore_merges: false,
                vocab, merges,
            },
        }, rest);
        const text = JSON.stringify(file);
        fs.mkdirSync(path.join(folder, String(number)));
        fs.writeFileSync(path.join(folder, String(number++), 'tokenizer.json'), text);
        const tokenizer = Tokenizer.fromString(JSON.stringify({ ...file, truncation: null, padding: null }));
        out.write(`D ${file.normalizer ? '<' : '='} ${name}\n`);
        for (const s of strings) {
            const e = await tokenizer.encode(s);
            const offsets = e.getOffsets().map(o => o.join(':'));
            out.write(`S ${Buffer.from(s).toString('hex') || '-'} ${e.getIds().join(',') || '-'} ` +
                `${offsets.join(',') || '-'}\n`);
        }
    }
    await new Promise(done => out.end(done));
};
main().catch(error => {
    console.error(error);
    process.exit(1);
});
