"""GPT-2 from Python: this one file over the shared library, libgpt2, by ctypes.

    import gpt2
    model = gpt2.Model("models/tales")              # a path; `gpt2 models --json` has those of names
    for text in model.generate("Once upon a time", max_tokens=40, seed=7):
        print(text, end="", flush=True)
    model.score("The old man the boat.").logprob   # natural logarithms, one for each token
    model.logits(model.tokenize("Once"))           # [tokens, n_vocab] float32

Every number is the one that the program computes, bit for bit (tests/cli/python.sh): `gpt2 generate`,
`gpt2 score` and this give the same for the same options. Arrays are numpy's and the caller's own.
Errors of the library are gpt2.Error, with its message, hint and status. A Model is for one thread at
a time; several may be open.

The library is looked for in $GPT2_LIBRARY, beside this file's installation, and where the system
looks. Needs numpy (Debian: python3-numpy). Shapes stand in brackets.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import operator
import os
import secrets
import sys
from ctypes import (CFUNCTYPE, POINTER, Structure, byref, c_bool, c_char, c_char_p, c_double, c_float,
                    c_int, c_int32, c_int64, c_size_t, c_uint, c_uint32, c_uint64, c_ubyte, c_void_p)
from typing import Iterator, NamedTuple, Optional, Sequence, Tuple, Union

import numpy as np

__all__ = ["Model", "Scores", "Error", "SITES"]

_ABI = 0  # GPT2_ABI of the headers that the structures below are from
_RESERVED = 4

#: Where the forward pass can be watched (gpt2/session.h), and how wide a row is there.
SITES = {"embedding": (0, "n_embd"), "ln_1": (1, "n_embd"), "qkv": (2, "3 n_embd"),
         "heads": (3, "n_embd"), "attn": (4, "n_embd"), "resid_mid": (5, "n_embd"),
         "ln_2": (6, "n_embd"), "mlp_hidden": (7, "n_inner"), "mlp": (8, "n_embd"),
         "resid": (9, "n_embd"), "ln_f": (10, "n_embd")}


# ---- the C structures (include/gpt2) ----

class _Error(Structure):
    _fields_ = [("status", c_int), ("message", c_char * 512), ("hint", c_char * 256)]


class _Config(Structure):  # the beginning of struct gpt2_config
    _fields_ = [("n_vocab", c_int), ("n_ctx", c_int), ("n_embd", c_int), ("n_layer", c_int),
                ("n_head", c_int), ("n_inner", c_int), ("activation", c_char_p),
                ("layer_norm_epsilon", c_float), ("scale_attn_weights", c_bool),
                ("scale_attn_by_inverse_layer_idx", c_bool), ("n_eos", c_int),
                ("eos_ids", c_int32 * 8), ("bos_id", c_int32)]


class _RuntimeOptions(Structure):
    _fields_ = [("n_threads", c_int), ("cpu", c_char_p), ("reserved", c_uint64 * _RESERVED)]


class _SessionOptions(Structure):
    _fields_ = [("n_ctx", c_int), ("kv", c_int), ("reserved", c_uint64 * _RESERVED)]


class _BatchOptions(Structure):
    _fields_ = [("max_rows", c_int), ("max_logits", c_int), ("reserved", c_uint64 * _RESERVED)]


class _Ids(Structure):
    _fields_ = [("data", POINTER(c_int32)), ("len", c_size_t), ("cap", c_size_t)]


class _Span(Structure):
    _fields_ = [("session", c_void_p), ("ids", POINTER(c_int32)), ("n_ids", c_int),
                ("n_logits", c_int)]


class _ScorerOptions(Structure):
    _fields_ = [("n_vocab", c_int), ("n_top", c_int), ("marked", POINTER(c_ubyte)), ("kv", c_int),
                ("max_windows", c_int), ("prefix_bytes", c_size_t),
                ("reserved", c_uint64 * (_RESERVED - 1))]


class _Window(Structure):
    _fields_ = [("ids", POINTER(c_int32)), ("n_ids", c_int), ("first", c_int)]


class _Score(Structure):
    _fields_ = [("id", c_int32), ("rank", c_int32), ("logprob", c_double), ("entropy", c_double),
                ("marked", c_double), ("unmarked", c_double)]


class _Plan(Structure):
    _fields_ = [("protocol", c_int), ("n_ctx", c_int), ("stride", c_int), ("bos", c_bool),
                ("scored", c_int64), ("n_windows", c_int64), ("keep", c_int64), ("done", c_bool)]


class _PlanWindow(Structure):
    _fields_ = [("begin", c_int64), ("end", c_int64), ("first", c_int64), ("bos", c_bool)]


class _Bias(Structure):
    _fields_ = [("id", c_int32), ("bias", c_float)]


class _SamplerOptions(Structure):
    _fields_ = [("temperature", c_float), ("top_k", c_int), ("top_p", c_float), ("min_p", c_float),
                ("seed", c_uint64), ("banned", POINTER(c_int32)), ("n_banned", c_int),
                ("compat", c_int), ("greedy", c_bool), ("typical_p", c_float),
                ("repeat_penalty", c_float), ("presence_penalty", c_float),
                ("frequency_penalty", c_float), ("last_n", c_int), ("generated_only", c_bool),
                ("no_repeat_ngram", c_int), ("biases", POINTER(_Bias)), ("n_biases", c_int),
                ("min_tokens", c_int), ("ignore_eos", c_bool), ("eos_ids", POINTER(c_int32)),
                ("n_eos", c_int), ("reserved", c_uint64 * _RESERVED)]


class _Stop(Structure):
    _fields_ = [("bytes", c_char_p), ("n_bytes", c_size_t)]


class _StopsOptions(Structure):
    _fields_ = [("strings", POINTER(_Stop)), ("n_strings", c_int), ("until", c_int),
                ("include", c_bool), ("until_tokens", c_uint64),
                ("reserved", c_uint64 * (_RESERVED - 1))]


class _Prompt(Structure):
    _fields_ = [("text", c_char_p), ("flags", c_uint), ("ids", POINTER(c_int32)), ("n_ids", c_int)]


class _Piece(Structure):
    _fields_ = [("sample", c_int), ("index", c_int), ("id", c_int32), ("bytes", POINTER(c_char)),
                ("n_bytes", c_size_t), ("logprob", c_double)]


_Show = CFUNCTYPE(c_bool, c_void_p, POINTER(_Piece), POINTER(_Error))
_Reader = CFUNCTYPE(None, c_void_p, c_int, c_int, POINTER(c_float))
_Tap = CFUNCTYPE(None, c_void_p, c_int, c_int, c_void_p, c_int, c_int, POINTER(c_float), c_int,
                 c_size_t)


class _CompletionOptions(Structure):
    _fields_ = [("max_tokens", c_int), ("n_samples", c_int), ("sampler", c_void_p),
                ("record", c_uint64), ("first_sample", c_uint32), ("choices", c_void_p),
                ("healer", c_void_p), ("stops", c_void_p), ("ignore_eos", c_bool),
                ("truncate", c_int), ("overflow", c_int), ("keep", c_int), ("max_time", c_float),
                ("n_beams", c_int), ("length_penalty", c_float), ("early_stopping", c_int),
                ("logprobs", c_bool), ("n_top", c_int), ("session", c_void_p), ("kv", c_int),
                ("show", _Show), ("go_on", c_void_p), ("user", c_void_p),
                ("reserved", c_uint64 * _RESERVED)]


class _GeneratorOptions(Structure):
    _fields_ = [("max_samples", c_int), ("max_search", c_int), ("max_rows", c_int),
                ("cache_bytes", c_size_t), ("kv", c_int), ("max_draft", c_int64),
                ("prefix_bytes", c_size_t), ("reserved", c_uint64 * (_RESERVED - 2))]


# ---- the library ----

def _open_library() -> ctypes.CDLL:
    before, after = ("libgpt2.", ".dylib") if sys.platform == "darwin" else ("libgpt2.so.", "")
    name = "%s%d%s" % (before, _ABI, after)
    here = os.path.dirname(os.path.abspath(__file__))
    places = [os.environ.get("GPT2_LIBRARY")]
    up = here
    for _ in range(4):  # PREFIX/lib/python3.N/site-packages/gpt2.py; build/ of a checkout
        up = os.path.dirname(up)
        places += [os.path.join(up, name), os.path.join(up, "lib", name)]
    build = os.path.join(os.path.dirname(os.path.dirname(here)), "build")
    if os.path.isdir(build):
        places += [os.path.join(build, f) for f in sorted(os.listdir(build))
                   if f.startswith(before) and f.endswith(after)]
    if os.environ.get("GPT2_LIBRARY"):
        return ctypes.CDLL(places[0])
    for place in places:
        if place and os.path.exists(place):
            return ctypes.CDLL(place)
    found = ctypes.util.find_library("gpt2")
    if not found:
        raise ImportError("%s: no such library; `make install`, or set GPT2_LIBRARY" % name)
    return ctypes.CDLL(found)


def _declare(lib: ctypes.CDLL) -> None:
    error, ids = POINTER(_Error), POINTER(_Ids)
    pointer, integer, size = c_void_p, c_int, c_size_t
    for name, result, *arguments in (
            ("model_open", pointer, c_char_p, error), ("model_close", None, pointer),
            ("model_config", POINTER(_Config), pointer),
            ("model_warning", c_char_p, pointer, size),
            ("model_adapt", c_bool, pointer, c_char_p, c_double, pointer, error),
            ("runtime_create", pointer, POINTER(_RuntimeOptions), error),
            ("runtime_free", None, pointer),
            ("tokenizer_open", pointer, c_char_p, error), ("tokenizer_close", None, pointer),
            ("tokenizer_size", c_int32, pointer),
            ("tokenizer_encode", c_bool, pointer, c_char_p, size, c_uint, ids, error),
            ("tokenizer_token", POINTER(c_char), pointer, c_int32, POINTER(size)),
            ("ids_free", None, ids),
            ("session_create", pointer, pointer, POINTER(_SessionOptions), error),
            ("session_free", None, pointer),
            ("batch_create", pointer, pointer, pointer, POINTER(_BatchOptions), error),
            ("batch_free", None, pointer),
            ("batch_run", c_bool, pointer, POINTER(_Span), integer, error),
            ("batch_set_reader", None, pointer, _Reader, pointer),
            ("batch_set_tap", None, pointer, _Tap, pointer),
            ("scorer_create", pointer, pointer, pointer, POINTER(_ScorerOptions), error),
            ("scorer_free", None, pointer),
            ("scorer_run", c_bool, pointer, POINTER(_Window), integer, POINTER(_Score), pointer,
             error),
            ("plan_next", c_bool, POINTER(_Plan), c_int64, c_bool, POINTER(_PlanWindow)),
            ("completion_defaults", None, POINTER(_SamplerOptions), POINTER(_Config)),
            ("sampler_create", pointer, POINTER(_SamplerOptions), integer, error),
            ("sampler_free", None, pointer),
            ("stops_create", pointer, POINTER(_StopsOptions), error), ("stops_free", None, pointer),
            ("generator_create", pointer, pointer, pointer, pointer, error),
            ("generator_free", None, pointer), ("generator_step", c_bool, pointer, error),
            ("completion_create", pointer, pointer, pointer, POINTER(_Prompt),
             POINTER(_CompletionOptions), error),
            ("completion_start", c_bool, pointer, pointer, error),
            ("completion_done", c_bool, pointer),
            ("completion_error", error, pointer),
            ("completion_free", None, pointer)):
        function = getattr(lib, "gpt2_" + name)
        function.restype, function.argtypes = result, arguments


_lib = _open_library()
_declare(_lib)


class Error(Exception):
    """What the library says: `status` is the program's exit code, `hint` a remedy or ""."""

    def __init__(self, error: _Error):
        self.status = error.status
        self.message = error.message.decode(errors="replace")
        self.hint = error.hint.decode(errors="replace")
        super().__init__(self.message + ("\nhint: " + self.hint if self.hint else ""))

    def with_hint(self, hint: str) -> "Error":
        """The same error with another remedy."""
        return Error(_Error(self.status, self.message.encode()[:511], hint.encode()[:255]))


def _call(function, *arguments):
    error = _Error()
    result = function(*arguments, byref(error))
    if not result:
        raise Error(error)
    return result


class Scores(NamedTuple):
    """One entry for each token of a text, in its order."""

    ids: np.ndarray      #: [n] int32
    logprob: np.ndarray  #: [n] float64, natural logarithms; NaN where a token is only context
    rank: np.ndarray     #: [n] int32, how many tokens were likelier; -1 where not scored
    entropy: np.ndarray  #: [n] float64, of the whole distribution, in nats

    @property
    def bits(self) -> np.ndarray:
        """[n] float64: surprisals, -logprob / ln 2."""
        return -self.logprob / np.log(2)

    @property
    def total(self) -> float:
        """The natural logarithm of the probability of all tokens that are scored."""
        return float(np.nansum(self.logprob))


Tokens = Union[str, Sequence[int], np.ndarray]
_UNTIL = {"never": 0, "sentence": 1, "line": 2, "paragraph": 3}
#: Other names of generate's options, which the program and its records have too.
_SPELLINGS = {
    "temp": "temperature", "k": "top_k", "typical": "typical_p", "no_sample": "greedy",
    "random_seed": "seed", "repetition_penalty": "repeat_penalty", "repeat_last_n": "last_n",
    "no_repeat_ngram_size": "no_repeat_ngram", "min_new_tokens": "min_tokens",
    "max_new_tokens": "max_tokens", "n_predict": "max_tokens", "predict": "max_tokens",
    "length": "max_tokens", "num_predict": "max_tokens", "sample_len": "max_tokens",
    "reverse_prompt": "stop", "stop_token": "stop", "stop_strings": "stop"}
_KV = {"auto": 0, "f32": 1, "f16": 2, "q8": 3}


class Model:
    """A model, its tokenizer and a pool of threads.

    path     a directory or a file of any format that `gpt2 -m` reads; not a name, which only the
             program looks up: `gpt2 models --json` has the path of each
    threads  0: all processors this process may use; results are the same for any number
    cpu      a kernel variant, None for the fastest
    lora     folders of LoRA adapters, or pairs (folder, scale), merged in this order
    kv       how keys and values are kept: "auto", "f32", "f16", "q8"
    """

    def __init__(self, path: Union[str, os.PathLike], *, threads: int = 0,
                 cpu: Optional[str] = None, lora: Sequence = (), kv: str = "auto"):
        self._model = self._tokenizer = self._runtime = None
        self._kv = _KV[kv]
        name = os.fsencode(path)
        options = _RuntimeOptions(n_threads=threads, cpu=cpu.encode() if cpu else None)
        try:
            self._runtime = _call(_lib.gpt2_runtime_create, byref(options))
            self._model = self._open(name)
            for item in lora:
                folder, scale = item if isinstance(item, tuple) else (item, 1.0)
                _call(_lib.gpt2_model_adapt, self._model, os.fsencode(folder), scale,
                      self._runtime)
            self._tokenizer = _call(_lib.gpt2_tokenizer_open, name)
        except BaseException:
            self.close()
            raise
        self._config = _lib.gpt2_model_config(self._model)
        config = self._config.contents
        self.n_vocab, self.n_ctx = config.n_vocab, config.n_ctx
        self.n_embd, self.n_layer = config.n_embd, config.n_layer
        self.n_head, self.n_inner = config.n_head, config.n_inner
        self.bos_id, self.eos_ids = config.bos_id, list(config.eos_ids[:config.n_eos])
        self._banned = None

    @staticmethod
    def _open(path: bytes) -> int:
        try:
            return _call(_lib.gpt2_model_open, path)
        except Error as error:
            if error.hint or os.path.lexists(path):
                raise
            raise error.with_hint("expected a path: names are looked up by the program, and "
                                  "`gpt2 models --json` has their paths") from None

    def close(self) -> None:
        """Frees the model. Called by `with` and at the end of its life, too."""
        for name, free in (("_model", _lib.gpt2_model_close),
                           ("_tokenizer", _lib.gpt2_tokenizer_close),
                           ("_runtime", _lib.gpt2_runtime_free)):
            if getattr(self, name, None):
                free(getattr(self, name))
                setattr(self, name, None)

    def __enter__(self) -> "Model":
        return self

    def __exit__(self, *ignored) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    @property
    def notes(self) -> list:
        """What was noticed when the model was opened: sentences."""
        out, i = [], 0
        while (text := _lib.gpt2_model_warning(self._model, i)) is not None:
            out.append(text.decode(errors="replace"))
            i += 1
        return out

    # ---- text and tokens ----

    def tokenize(self, text: Union[str, bytes], *, special: bool = False) -> np.ndarray:
        """[n] int32: the ids of a text. special: <|endoftext|> in it is the one token."""
        data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape")
        ids = _Ids()
        try:
            _call(_lib.gpt2_tokenizer_encode, self._tokenizer, data, len(data), int(special),
                  byref(ids))
            return np.array(ids.data[:ids.len], dtype=np.int32)
        finally:
            _lib.gpt2_ids_free(byref(ids))

    def token_bytes(self, token: int) -> bytes:
        """The bytes of one token, which may be a part of a character; b"" where there is none."""
        n = c_size_t()
        data = _lib.gpt2_tokenizer_token(self._tokenizer, int(token), byref(n))
        return ctypes.string_at(data, n.value) if data else b""

    def detokenize(self, ids: Sequence[int]) -> str:
        """The text of some tokens; bytes that are no character become U+FFFD."""
        return b"".join(self.token_bytes(i) for i in ids).decode(errors="replace")

    def _ids(self, tokens: Tokens) -> np.ndarray:
        ids = self.tokenize(tokens) if isinstance(tokens, str) else tokens
        return np.ascontiguousarray(ids, dtype=np.int32)

    # ---- generation ----

    def _sampler(self, options: dict) -> int:
        sampler = _SamplerOptions()
        _lib.gpt2_completion_defaults(byref(sampler), self._config)
        known = {name for name, _ in _SamplerOptions._fields_} - {
            "banned", "n_banned", "biases", "n_biases", "eos_ids", "n_eos", "reserved", "compat"}
        for name, value in options.items():
            if name not in known:
                raise TypeError("generate() has no option %r; there are %s" % (
                    name, ", ".join(sorted(known))))
            setattr(sampler, name, self._seed(value) if name == "seed" else value)
        if self._banned is None:  # ids without a token are never chosen
            none = [i for i in range(self.n_vocab) if not self.token_bytes(i)]
            self._banned = (c_int32 * max(len(none), 1))(*none), len(none)
        sampler.banned, sampler.n_banned = self._banned
        return _call(_lib.gpt2_sampler_create, byref(sampler), self.n_vocab)

    @staticmethod
    def _seed(seed: Union[int, str]) -> int:
        """A seed as the program takes it; ctypes would take any number modulo 2^64."""
        if seed == "random":
            return secrets.randbelow(1 << 53)  # JSON's readers keep it
        number = operator.index(seed)
        if not 0 <= number < 1 << 64:
            raise ValueError('seed: expected 0 to 2^64 - 1 or "random", got %r' % (seed,))
        return number

    @staticmethod
    def _stops(stop, until: str) -> Optional[int]:
        strings = [stop] if isinstance(stop, (str, bytes)) else list(stop)
        data = [s if isinstance(s, bytes) else s.encode() for s in strings]
        if not data and until == "never":
            return None
        array = (_Stop * max(len(data), 1))(*[_Stop(d, len(d)) for d in data])
        return _call(_lib.gpt2_stops_create, byref(_StopsOptions(
            strings=array, n_strings=len(data), until=_UNTIL[until])))

    def generate(self, prompt: Tokens = "", *, max_tokens: Optional[int] = None,
                 stop: Union[str, Sequence[str]] = (), until: str = "never", record: int = 0,
                 sample: int = 0, **options) -> Iterator[str]:
        """Continues a text; gives the new text in pieces of whole characters, as it is made.

        max_tokens  of the text (default 256; -1: until the context is full)
        stop        texts at which it ends, which are not part of it
        until       "sentence", "line" or "paragraph": it ends there
        record, sample   what draws are keyed by, beside the seed: another text for each
        options     temperature, top_k, top_p, min_p, typical_p, seed, greedy, repeat_penalty,
                    presence_penalty, frequency_penalty, last_n, no_repeat_ngram, min_tokens,
                    ignore_eos ...: the program's, with its defaults (gpt2/sampler.h). Its other
                    names of these are taken, too (temp, max_new_tokens ...), and seed="random"
        """
        for name in [n for n in options if n in _SPELLINGS]:
            plain, value = _SPELLINGS[name], options.pop(name)
            if plain in options or (plain == "max_tokens" and max_tokens is not None) or (
                    plain == "stop" and stop != ()):
                raise TypeError("generate() has %s and %s, which are one option" % (plain, name))
            if plain == "max_tokens":
                max_tokens = value
            elif plain == "stop":
                stop = value
            else:
                options[plain] = value
        max_tokens = 256 if max_tokens is None else max_tokens
        pieces, ids = [], None

        def show(_, piece, __):
            pieces.append(ctypes.string_at(piece.contents.bytes, piece.contents.n_bytes)
                          if piece.contents.n_bytes else b"")
            return True

        c_show = _Show(show)
        made = _Prompt()
        if isinstance(prompt, str) and "\0" not in prompt:
            made.text = prompt.encode("utf-8", "surrogateescape")
        else:
            ids = self._ids(prompt)
            made = _Prompt(ids=ids.ctypes.data_as(POINTER(c_int32)), n_ids=len(ids))
        sampler = stops = generator = completion = None
        try:
            sampler = self._sampler(options)
            stops = self._stops(stop, until)
            settings = _CompletionOptions(
                max_tokens=max_tokens, n_samples=1, sampler=sampler, record=record,
                first_sample=sample, stops=stops, kv=self._kv, show=c_show,
                ignore_eos=bool(options.get("ignore_eos", False)))
            generator = _call(_lib.gpt2_generator_create, self._model, self._runtime,
                              byref(_GeneratorOptions(max_samples=1, kv=self._kv)))
            completion = _call(_lib.gpt2_completion_create, self._model, self._tokenizer,
                               byref(made), byref(settings))
            _call(_lib.gpt2_completion_start, completion, generator)
            while not _lib.gpt2_completion_done(completion):
                _call(_lib.gpt2_generator_step, generator)
                for piece in pieces:
                    if piece:
                        yield piece.decode(errors="replace")
                pieces.clear()
            for piece in pieces:
                if piece:
                    yield piece.decode(errors="replace")
            failed = _lib.gpt2_completion_error(completion)
            if failed:
                raise Error(failed.contents)
        finally:
            if generator:
                _lib.gpt2_generator_free(generator)
            if completion:
                _lib.gpt2_completion_free(completion)
            if stops:
                _lib.gpt2_stops_free(stops)
            if sampler:
                _lib.gpt2_sampler_free(sampler)

    # ---- probabilities ----

    def score(self, text: Tokens, *, bos: bool = True, context: int = 0,
              stride: int = 0) -> Scores:
        """How likely each token of a text is after those before it.

        bos      the first token is predicted from <|endoftext|>; else it is only context
        context  tokens of a window (0: the model's), stride: how far the next one is moved on (0:
                 half a window): the protocol of `gpt2 score` for texts of any length
        """
        ids = self._ids(text)
        n = len(ids)
        scores = Scores(ids.copy(), np.full(n, np.nan), np.full(n, -1, np.int32), np.full(n, np.nan))
        w = context or self.n_ctx
        plan = _Plan(protocol=0, n_ctx=w, stride=stride or max(w // 2, 1), bos=bos)
        window, tokens = _PlanWindow(), min(_lib.gpt2_tokenizer_size(self._tokenizer), self.n_vocab)
        scorer = _call(_lib.gpt2_scorer_create, self._model, self._runtime,
                       byref(_ScorerOptions(n_vocab=tokens, kv=self._kv)))
        try:
            while n and _lib.gpt2_plan_next(byref(plan), n, True, byref(window)):
                part = ids[window.begin:window.end]
                if window.bos:
                    part = np.concatenate([[np.int32(self.bos_id)], part]).astype(np.int32)
                first = window.first - window.begin + int(window.bos)
                part = np.ascontiguousarray(part)
                if first >= len(part):
                    continue
                out = (_Score * (len(part) - first))()
                read = _Window(part.ctypes.data_as(POINTER(c_int32)), len(part), first)
                _call(_lib.gpt2_scorer_run, scorer, byref(read), 1, out, None)
                at = slice(window.first, window.end)
                scores.logprob[at] = [s.logprob for s in out]
                scores.rank[at] = [s.rank for s in out]
                scores.entropy[at] = [s.entropy for s in out]
        finally:
            _lib.gpt2_scorer_free(scorer)
        return scores

    # ---- inside ----

    def _run(self, ids: np.ndarray, n_logits: int, reader=None, tap=None) -> None:
        c_reader, c_tap = _Reader(reader) if reader else None, _Tap(tap) if tap else None
        session = batch = None
        try:
            session = _call(_lib.gpt2_session_create, self._model,
                            byref(_SessionOptions(n_ctx=0, kv=self._kv)))
            batch = _call(_lib.gpt2_batch_create, self._model, self._runtime,
                          byref(_BatchOptions(max_logits=32)))
            if c_reader:
                _lib.gpt2_batch_set_reader(batch, c_reader, None)
            if c_tap:
                _lib.gpt2_batch_set_tap(batch, c_tap, None)
            span = _Span(session, ids.ctypes.data_as(POINTER(c_int32)), len(ids), n_logits)
            _call(_lib.gpt2_batch_run, batch, byref(span), 1)
        finally:
            if batch:
                _lib.gpt2_batch_free(batch)
            if session:
                _lib.gpt2_session_free(session)

    def logits(self, ids: Tokens, *, last: bool = False) -> np.ndarray:
        """[n, n_vocab] float32: row i predicts what follows token i. last: [n_vocab], the last row
        alone, which is cheaper."""
        ids = self._ids(ids)
        out = np.empty((1 if last else len(ids), self.n_vocab), np.float32)

        def read(_, first, n, data):
            rows = out[first:first + n]
            ctypes.memmove(rows.ctypes.data, data, rows.nbytes)

        self._run(ids, len(out), reader=read)
        return out[0] if last else out

    def hidden(self, ids: Tokens, site: str = "resid", layer: Optional[int] = None) -> np.ndarray:
        """What the forward pass has at a site, float32.

        site   one of gpt2.SITES: "embedding" (wte + wpe), "ln_1", "qkv", "heads", "attn",
               "resid_mid", "ln_2", "mlp_hidden", "mlp", "resid" (the stream after a block), "ln_f"
        layer  of that block alone, -1 the last one: [n, width]. None: [n_layer, n, width]
               "embedding" and "ln_f" are of no layer: [n, n_embd]
        """
        ids = self._ids(ids)
        number, width = SITES[site]
        columns = {"n_embd": self.n_embd, "3 n_embd": 3 * self.n_embd, "n_inner": self.n_inner}[width]
        alone = site in ("embedding", "ln_f")
        if alone and layer is not None:
            raise ValueError("%s is of no layer" % site)
        if layer is not None and not -self.n_layer <= layer < self.n_layer:
            raise ValueError("layer %d: the model has %d" % (layer, self.n_layer))
        wanted = range(1 if alone else self.n_layer) if layer is None else [layer % self.n_layer]
        out = np.empty((len(wanted), len(ids), columns), np.float32)

        def tap(_, at, block, session, position, n, data, n_columns, stride):
            if at != number or (not alone and block not in wanted):
                return
            to = out[0 if alone else block - wanted[0]]
            rows = np.ctypeslib.as_array(data, ((n - 1) * stride + n_columns,))
            for i in range(n):
                to[position + i] = rows[i * stride:i * stride + n_columns]

        self._run(ids, len(ids) if site == "ln_f" else 0,
                  reader=(lambda *ignored: None) if site == "ln_f" else None, tap=tap)
        return out[0] if alone or layer is not None else out

    def embed(self, text: Tokens, *, layer: int = -1, pool: str = "mean") -> np.ndarray:
        """[n_embd] float32: the stream after a block, the mean over the tokens after the first
        (whose vector is hardly about the text) or that of the last token."""
        rows = self.hidden(text, "resid", layer)
        if pool == "last" or len(rows) == 1:
            return rows[-1].copy()
        if pool != "mean":
            raise ValueError('pool: expected "mean" or "last", got %r' % pool)
        return rows[1:].astype(np.float64).mean(0).astype(np.float32)
