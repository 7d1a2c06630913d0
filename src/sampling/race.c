/* race.c - one draw as an exponential race. */
#include "sampling/race.h"
#include "base/math.h"
#include "base/rng.h"

#include <gpt2/sampler.h>

void race_begin(struct race *race, uint64_t seed, const struct gpt2_draw *draw, double max,
                double temperature) {
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const uint32_t counter[4] = {draw->position, draw->sample, (uint32_t)draw->record,
                                 (uint32_t)(draw->record >> 32)};
    uint32_t words[4];
    rng_philox(words, counter, key);
    *race = (struct race){
        .key = {words[0], words[1]},
        .counter = {words[2], words[3]},
        .max = max,
        .temperature = temperature,
        .least = INFINITY,
        .winner = -1,
    };
}

/* An id's word of the block with this half: 0 for the upper bits of its variate, 1 for the lower.
 */
static uint32_t word_of(const struct race *race, int32_t id, uint32_t half) {
    const uint32_t i = (uint32_t)id;
    const uint32_t block = i / (4 * RNG_RUN) * RNG_RUN + i % RNG_RUN;
    const uint32_t counter[4] = {block, half, race->counter[0], race->counter[1]};
    uint32_t words[4];
    rng_philox(words, counter, race->key);
    return words[i / RNG_RUN % 4];
}

/* Enters an id whose upper bits are known. */
static void enter(struct race *race, int32_t id, float logit, uint32_t upper) {
    const double distance = (race->max - (double)logit) / race->temperature;
    if (upper * 0x1p-32 > race->least) // E >= upper / 2^32, and the weight is at most 1
        return;
    const uint64_t k = (uint64_t)upper << 20 | word_of(race, id, 1) >> 12;
    const double variate = -math_log_f64(1.0 - (double)(2 * k + 1) * 0x1p-53);
    const double time = variate * math_exp_f64(distance);
    if (time < race->least || (time == race->least && id < race->winner) || race->winner < 0) {
        race->least = time;
        race->winner = id;
    }
}

void race_enter(struct race *race, int32_t id, float logit) {
    enter(race, id, logit, word_of(race, id, 0));
}

/* Which of RNG_RUN ids may still win: E / weight >= v (1 + x + x^2 / 2), with v what is known of E
 * and x the distance from the largest logit, as -ln(1 - v) >= v and e^x >= its first terms. In f32
 * and with a margin that is far wider than its rounding; NaN (temperature near 0) may win.
 * Vectorizes: no branch, and the upper 31 bits of v convert as a signed integer. */
static int find_possible(unsigned char possible[RNG_RUN], const struct race *race,
                         const uint32_t upper[RNG_RUN], const float *logits) {
    const float max = (float)race->max, scale = (float)(1.0 / race->temperature);
    const float least = (float)race->least * (0x1p31f * 1.001f);
    int any = 0;
    for (int i = 0; i < RNG_RUN; i++) {
        const float x = (max - logits[i]) * scale;
        const float bound = (float)(int32_t)(upper[i] >> 1) * (1.0f + x + 0.5f * (x * x));
        const int may_win = !(bound > least);
        possible[i] = (unsigned char)may_win;
        any |= may_win;
    }
    return any;
}

void race_enter_all(struct race *race, const float *logits, const unsigned char *is_banned,
                    int n_vocab) {
    const uint32_t rest[3] = {0, race->counter[0], race->counter[1]};
    uint32_t words[4][RNG_RUN];
    unsigned char possible[RNG_RUN];
    for (int first = 0; first < n_vocab; first += RNG_RUN) {
        const int word = first / RNG_RUN % 4;
        if (word == 0)
            rng_philox_run(words, (uint32_t)first / 4, rest, race->key);
        const int n = n_vocab - first < RNG_RUN ? n_vocab - first : RNG_RUN;
        if (n == RNG_RUN && !find_possible(possible, race, words[word], logits + first))
            continue;
        for (int i = 0; i < n; i++)
            if ((n < RNG_RUN || possible[i]) && !is_banned[first + i])
                enter(race, first + i, logits[first + i], words[word][i]);
    }
}
