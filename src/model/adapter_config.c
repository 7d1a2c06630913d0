/* adapter_config.c - the keys of adapter_config.json.
 *
 * PEFT's file has some forty keys and gets more. Each is of one of four kinds: read here; about
 * training, with no effect on what the adapter computes; another method, refused unless it is off;
 * not known. Of the last, those that switch something on ("use_...") are refused, as a guess here
 * would be another model. */
#include "model/adapter_config.h"
#include "base/error_internal.h"

#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_FILE    4000000 /* bytes; target_modules may list every layer */
#define MAX_PATTERN 1000

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char merge_hint[] =
    "PEFT itself can merge it: model.merge_and_unload().save_pretrained(DIR)";

/* Read here or in adapter.c, or without effect on what the adapter computes. */
static const char *const known[] = {
    "alpha_pattern",
    "auto_mapping",
    "base_model_name_or_path",
    "bias",
    "corda_config",
    "eva_config",
    "exclude_modules",
    "fan_in_fan_out",
    "inference_mode",
    "init_lora_weights",
    "layers_pattern",
    "layers_to_transform",
    "lora_alpha",
    "lora_bias",
    "lora_dropout",
    "megatron_core",
    "modules_to_save",
    "peft_type",
    "peft_version",
    "qalora_group_size",
    "r",
    "rank_pattern",
    "revision",
    "runtime_config",
    "target_modules",
    "task_type",
    "use_rslora",
};

/* Other methods: the key and what it is called. */
static const struct {
    const char *key, *what;
} methods[] = {
    {"use_dora", "DoRA"},
    {"use_qalora", "QALoRA"},
    {"layer_replication", "a model with layers that are there twice"},
    {"alora_invocation_tokens", "an adapter that acts after some tokens only (aLoRA)"},
    {"arrow_config", "a mixture of adapters (Arrow)"},
    {"trainable_token_indices", "embeddings of single tokens"},
    {"target_parameters", "an adapter of parameters, not of layers"},
    {"ensure_weight_tying", "an adapter that wte and lm_head share"},
    {"loftq_config", "an adapter of weights that LoftQ has changed"},
    {"lora_ga_config", "an adapter of weights that LoRA-GA has changed"},
    {"megatron_config", "an adapter of Megatron's layers"},
};

/* init_lora_weights: those that leave the base as it was. The others (pissa, olora, corda, loftq,
 * lora_ga) take a part out of it before training. */
static const char *const plain_starts[] = {"gaussian", "eva", "orthogonal"};

static bool is_off(const struct json *node) {
    bool truth = true;
    double number;
    const char *text;
    if (!node || json_kind(node) == JSON_NULL || (json_bool(node, &truth) && !truth))
        return true;
    if (json_kind(node) == JSON_OBJECT || json_kind(node) == JSON_ARRAY)
        return !json_first(node);
    return (json_string(node, &text) && !*text) || (json_number(node, &number) && number == 0);
}

static bool is_known(const char *key) {
    for (size_t i = 0; i < COUNT(known); i++)
        if (strcmp(known[i], key) == 0)
            return true;
    return false;
}

static bool refuse(const struct adapter_config *config, const char *key, const char *expected,
                   struct gpt2_error *err) {
    const struct json *node = json_get(config->root, key);
    const char *text = NULL;
    double number;
    char found[80];
    if (node && json_string(node, &text))
        snprintf(found, sizeof found, "\"%.60s\"", text);
    else if (node && json_number(node, &number))
        snprintf(found, sizeof found, "%.15g", number);
    else
        snprintf(found, sizeof found, "%s", node ? json_kind_name(node) : "none");
    return error_set(err, GPT2_ERR_MODEL, "%s: \"%s\": expected %s, found %s", config->path, key,
                     expected, found);
}

static bool check_type(const struct adapter_config *config, struct gpt2_error *err) {
    const char *type = "";
    if (json_string(json_get(config->root, "peft_type"), &type) && strcmp(type, "LORA") == 0)
        return true;
    refuse(config, "peft_type", "\"LORA\"", err);
    return error_hint(err, "%s", merge_hint);
}

static bool check_methods(const struct adapter_config *config, struct gpt2_error *err) {
    for (size_t i = 0; i < COUNT(methods); i++) {
        if (is_off(json_get(config->root, methods[i].key)))
            continue;
        error_set(err, GPT2_ERR_MODEL, "%s: expected plain LoRA, found \"%s\": %s", config->path,
                  methods[i].key, methods[i].what);
        return error_hint(err, "%s", merge_hint);
    }
    return true;
}

static bool check_start(const struct adapter_config *config, struct gpt2_error *err) {
    const struct json *node = json_get(config->root, "init_lora_weights");
    const char *text;
    if (!node || !json_string(node, &text))
        return true;
    for (size_t i = 0; i < COUNT(plain_starts); i++)
        if (strcmp(text, plain_starts[i]) == 0)
            return true;
    refuse(config, "init_lora_weights", "a start that leaves the base model as it was", err);
    return error_hint(err, "%s", merge_hint);
}

static bool check_keys(const struct adapter_config *config, struct warnings *notes,
                       struct gpt2_error *err) {
    for (const struct json *node = json_first(config->root); node; node = json_next(node)) {
        const char *key = json_name(node);
        if (is_known(key) || is_off(node))
            continue;
        if (strncmp(key, "use_", 4) == 0) {
            error_set(err, GPT2_ERR_MODEL,
                      "%s: expected plain LoRA, found \"%.60s\", which is not known here",
                      config->path, key);
            return error_hint(err, "%s", merge_hint);
        }
        if (!warnings_add(notes, err, "%s: \"%.60s\" is not known here and not looked at",
                          config->path, key))
            return false;
    }
    return true;
}

static bool is_rank(const struct json *node) {
    int64_t value;
    return json_integer(node, 1, ADAPTER_MAX_RANK, &value);
}

static bool is_number(const struct json *node) {
    double value;
    return json_number(node, &value);
}

static bool check_numbers(const struct adapter_config *config, struct gpt2_error *err) {
    static const struct {
        const char *key, *pattern, *expected;
        bool (*is_valid)(const struct json *node);
    } rows[] = {
        {"r", "rank_pattern", "an integer from 1 to 65536", is_rank},
        {"lora_alpha", "alpha_pattern", "a number", is_number},
    };
    bool truth;
    const struct json *rslora = json_get(config->root, "use_rslora");
    if (rslora && json_kind(rslora) != JSON_NULL && !json_bool(rslora, &truth))
        return refuse(config, "use_rslora", "true or false", err);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const struct json *node = json_get(config->root, rows[i].key);
        const struct json *pattern = json_get(config->root, rows[i].pattern);
        if (node && !rows[i].is_valid(node))
            return refuse(config, rows[i].key, rows[i].expected, err);
        if (is_off(pattern))
            continue;
        bool ok = json_kind(pattern) == JSON_OBJECT;
        for (const struct json *n = json_first(pattern); ok && n; n = json_next(n))
            ok = rows[i].is_valid(n);
        if (!ok)
            return error_set(err, GPT2_ERR_MODEL,
                             "%s: \"%s\": expected an object that gives each pattern %s",
                             config->path, rows[i].pattern, rows[i].expected);
    }
    return true;
}

bool adapter_config_parse(struct adapter_config *config, struct warnings *notes, const char *text,
                          size_t len, const char *path, struct gpt2_error *err) {
    *config = (struct adapter_config){.path = path, .base = ""};
    if (len == 0 || len > MAX_FILE)
        return error_set(err, GPT2_ERR_MODEL, "%s: expected 1 to %d bytes, found %zu", path,
                         MAX_FILE, len);
    config->root = json_parse_settings(text, len, path, GPT2_ERR_MODEL, err);
    if (!config->root)
        return false;
    if (json_kind(config->root) != JSON_OBJECT) {
        error_set(err, GPT2_ERR_MODEL, "%s: expected a JSON object, found %s", path,
                  json_kind_name(config->root));
    } else {
        json_string(json_get(config->root, "base_model_name_or_path"), &config->base);
        if (check_type(config, err) && check_methods(config, err) && check_start(config, err) &&
            check_numbers(config, err) && check_keys(config, notes, err))
            return true;
    }
    adapter_config_free(config);
    return false;
}

void adapter_config_free(struct adapter_config *config) {
    json_free(config->root);
    *config = (struct adapter_config){0};
}

/* ---- patterns ---- */

/* PEFT matches the keys of its patterns as Python's regular expression "(.*\.)?(KEY)$" from a
 * module's first character on. Here it is a POSIX one: what the two languages write otherwise is
 * translated or refused. False: the key asks for something that POSIX has not. */
static bool translate(char out[MAX_PATTERN], const char *key) {
    size_t n = (size_t)snprintf(out, MAX_PATTERN, "^(.*\\.)?(");
    for (const char *p = key; *p; p++) {
        const char *piece = NULL;
        if (n + 20 > MAX_PATTERN || (*p == '(' && p[1] == '?' && p[2] != ':') ||
            (strchr("*+?}", *p) && p[1] && strchr("?+*{", p[1])))
            return false; // look-around and the like; lazy and possessive repeats, repeats of one
        if (*p == '(' && p[1] == '?') {
            piece = "(";
            p += 2;
        } else if (*p == '\\') {
            p++;
            piece = *p == 'd' ? "[0-9]" : *p == 'w' ? "[[:alnum:]_]" : NULL;
            if (!piece && (!*p || !strchr("\\.^$*+?()[]{}|-_", *p)))
                return false;
            if (!piece && !strchr("-_", *p)) // no special characters of POSIX
                out[n++] = '\\';
        }
        if (piece) {
            n += (size_t)snprintf(out + n, MAX_PATTERN - n, "%s", piece);
        } else {
            out[n++] = *p;
        }
    }
    snprintf(out + n, MAX_PATTERN - n, ")$");
    return true;
}

/* A C library makes states of a pattern, and repeats within repeats multiply: 30 bytes of them took
 * glibc gigabytes, and 140 stars of each other 8 seconds. So a pattern has as many characters at
 * most when its repeats are written out, those without a number twice. */
#define MAX_WRITTEN_OUT 4000

/* Past the set of characters that begins at p, "[^]a-z]". */
static const char *past_set(const char *p) {
    p += p[1] == '^' ? 2 : 1;
    p += *p == ']';
    while (*p && *p != ']')
        p++;
    return *p ? p + 1 : p;
}

/* How often what comes before p is repeated, and past that; 1: p is no repeat. */
static double read_repeat(const char **p) {
    double times = 1;
    while (**p && strchr("*+?{", **p)) {
        if (**p != '{') {
            times *= 2;
            ++*p;
            continue;
        }
        char *end = (char *)(uintptr_t)*p; // "{2}", "{2,}", "{2,5}"
        double most = 0;
        do {
            const double bound = (double)strtoul(end + 1, &end, 10);
            most = bound > most ? bound : most;
        } while (*end == ',');
        times *= most + 1;
        *p = *end ? end + 1 : end;
    }
    return times;
}

/* Characters of a translated pattern with its repeats written out, to the end or to the ')' that
 * closes the group. */
static double written_out(const char **p) {
    double n = 0;
    while (**p && **p != ')') {
        double one = 1;
        if (**p == '(') {
            ++*p;
            one = 1 + written_out(p);
            *p += **p == ')';
        } else if (**p == '[') {
            *p = past_set(*p);
        } else {
            *p += **p == '\\' && (*p)[1] ? 2 : 1;
        }
        n += one * read_repeat(p);
    }
    return n;
}

/* Makes a key a pattern. False: GPT2_ERR_MODEL, GPT2_ERR_MEMORY. */
static bool compile(regex_t *regex, const struct adapter_config *config, const char *pattern,
                    const char *key, struct gpt2_error *err) {
    char text[MAX_PATTERN];
    const char *at = text;
    const bool simple = translate(text, key) && written_out(&at) <= MAX_WRITTEN_OUT;
    const int code = simple ? regcomp(regex, text, REG_EXTENDED | REG_NOSUB) : REG_BADPAT;
    if (code == REG_ESPACE)
        return error_memory(err, "a pattern", strlen(text));
    return code == 0 || error_set(err, GPT2_ERR_MODEL,
                                  "%s: \"%s\": expected names of modules or simple patterns, found "
                                  "\"%.100s\"",
                                  config->path, pattern, key);
}

/* *value = what the first key that fits the module has; left alone where none does. */
static bool look_up(double *value, const struct adapter_config *config, const char *pattern,
                    const char *module, struct gpt2_error *err) {
    for (const struct json *node = json_first(json_get(config->root, pattern)); node;
         node = json_next(node)) {
        regex_t regex;
        if (!compile(&regex, config, pattern, json_name(node), err))
            return false;
        const bool fits = regexec(&regex, module, 0, NULL, 0) == 0;
        regfree(&regex);
        if (fits)
            return json_number(node, value);
    }
    return true;
}

bool adapter_config_scale(double *scale, const struct adapter_config *config, const char *module,
                          int rank, struct gpt2_error *err) {
    double r = 8, alpha = 8; // LoraConfig's defaults
    bool rslora = false;
    json_number(json_get(config->root, "r"), &r);
    json_number(json_get(config->root, "lora_alpha"), &alpha);
    json_bool(json_get(config->root, "use_rslora"), &rslora);
    if (!look_up(&r, config, "rank_pattern", module, err) ||
        !look_up(&alpha, config, "alpha_pattern", module, err))
        return false;
    if (r != rank)
        return error_set(err, GPT2_ERR_MODEL,
                         "%s: module \"%s\": expected a pair of rank %.0f, found %d", config->path,
                         module, r, rank);
    *scale = alpha / (rslora ? sqrt(r) : r);
    return true;
}

bool adapter_config_expects(const struct adapter_config *config, const char *module) {
    const struct json *targets = json_get(config->root, "target_modules");
    if (!is_off(json_get(config->root, "exclude_modules")) ||
        !is_off(json_get(config->root, "layers_to_transform")) || !targets ||
        json_kind(targets) != JSON_ARRAY)
        return false; // a regular expression, or not every layer
    for (const struct json *node = json_first(targets); node; node = json_next(node)) {
        const char *target = NULL;
        if (!json_string(node, &target))
            continue;
        if (strncmp(target, "transformer.", 12) == 0)
            target += 12;
        const size_t n = strlen(module), n_end = strlen(target);
        if (n >= n_end && strcmp(module + n - n_end, target) == 0 &&
            (n == n_end || module[n - n_end - 1] == '.'))
            return true;
    }
    return false;
}
