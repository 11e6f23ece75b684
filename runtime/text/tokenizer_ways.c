/* runtime/text/tokenizer_ways.c
 * The ways of splitting that a GGUF file names (tokenizer.ggml.pre) and does not hold, as
 * llama.cpp of November 2026 has them (src/llama-vocab.cpp and src/unicode.cpp there). It
 * runs them by std::regex on a text in which every category is one character and white
 * space outside ASCII is a vertical tab; patterns here mean the same: \p{Lu} and its like
 * are \p{L}, and U+3000 belongs to no range. Not here are the names whose ways it has
 * code for (afmoe, kimi-k2, superbpe, tiny_aya) or that are no byte-level BPE (gemma4,
 * sarvam-moe, whitespace). */
#include "runtime/text/tokenizer_impl.h"

#include <string.h>

#define CONTRACTIONS "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
#define WORD "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define SPACES "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define SIGNS " ?[^\\s\\p{L}\\p{N}]+"
#define REST "|" SIGNS "[\\r\\n]*|" SPACES
#define QWEN2 CONTRACTIONS "|" WORD "|\\p{N}" REST
#define LLAMA3 CONTRACTIONS "|" WORD "|\\p{N}{1,3}" REST
/* Letters but for small, or capital, ones of ASCII. */
#define NOT_SMALL "[^\\P{L}a-z]"
#define NOT_CAPITAL "[^\\P{L}A-Z]"
#define CASED(end)                                                 \
    "[^\\r\\n\\p{L}\\p{N}]?" NOT_SMALL "*" NOT_CAPITAL "+" end "|" \
    "[^\\r\\n\\p{L}\\p{N}]?" NOT_SMALL "+" NOT_CAPITAL "*" end
#define ASCII_SIGNS "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]"
#define KANA_AND_HAN "[\\x{4e00}-\\x{9fa5}\\x{3040}-\\x{309f}\\x{30a0}-\\x{30ff}]+"
#define DEEPSEEK                                                          \
    ASCII_SIGNS "[A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| " \
                "?[\\p{P}\\p{S}]+"
/* U+0800 to U+4E00 but for white space, and Hangul. */
#define ASIAN                                                                       \
    ("[\\x{4e00}-\\x{9fa5}\\x{800}-\\x{167f}\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}" \
     "\\x{202a}-\\x{202e}\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{4e00}" \
     "\\x{ac00}-\\x{d7ff}]+")
/* Letters with case of the Latin, Greek, Cyrillic, Armenian and rarer scripts. */
#define CASED_SCRIPTS                                                                \
    "[A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}"  \
    "\\x{1c4}-\\x{293}\\x{295}-\\x{2af}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-"   \
    "\\x{37d}\\x{37f}\\x{386}\\x{388}-\\x{38a}\\x{38c}\\x{38e}-\\x{3a1}\\x{3a3}-"    \
    "\\x{3f5}\\x{3f7}-\\x{481}\\x{48a}-\\x{52f}\\x{531}-\\x{556}\\x{10a0}-\\x{10c5}" \
    "\\x{13a0}-\\x{13f5}\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}\\x{1cbd}-\\x{1cbf}"   \
    "\\x{1d00}-\\x{1d2b}\\x{1d6b}-\\x{1d77}\\x{1d79}-\\x{1d9a}\\x{1e00}-\\x{1f15}"   \
    "\\x{1f18}-\\x{1f1d}\\x{1f20}-\\x{1f45}\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}"   \
    "\\x{1f59}\\x{1f5b}\\x{1f5d}\\x{1f5f}-\\x{1f7d}\\x{1f80}-\\x{1fb4}\\x{1fb6}-"    \
    "\\x{1fbc}\\x{1fbe}\\x{1fc2}-\\x{1fc4}\\x{1fc6}-\\x{1fcc}\\x{1fd0}-\\x{1fd3}"    \
    "\\x{1fd6}-\\x{1fdb}\\x{1fe0}-\\x{1fec}\\x{1ff2}-\\x{1ff4}\\x{1ff6}-\\x{1ffc}"   \
    "\\x{2102}\\x{2107}\\x{210a}-\\x{2113}\\x{2115}\\x{2119}-\\x{211d}\\x{2124}"     \
    "\\x{2126}\\x{2128}\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}\\x{2139}\\x{213c}-"    \
    "\\x{213f}\\x{2145}-\\x{2149}\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}"     \
    "\\x{2c7e}-\\x{2ce4}\\x{2ceb}-\\x{2cee}\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}"    \
    "\\x{a680}-\\x{a69b}\\x{a722}-\\x{a76f}\\x{a771}-\\x{a787}\\x{a78b}-\\x{a78e}"   \
    "\\x{ab70}-\\x{abbf}\\x{fb00}-\\x{fb06}\\x{fb13}-\\x{fb17}\\x{ff21}-\\x{ff3a}"   \
    "\\x{ff41}-\\x{ff5a}\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}\\x{104d8}-"       \
    "\\x{104fb}\\x{10c80}-\\x{10cb2}\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}"      \
    "\\x{1e900}-\\x{1e943}]+"
#define FULL_WIDTH_SIGNS                                                         \
    "[!-/:-~\\x{ff01}-\\x{ff0f}\\x{ff1a}-\\x{ff5e}\\x{2018}-\\x{201f}\\x{3001}-" \
    "\\x{3002}]+"
#define NO_STOPS \
    " ?[^(\\s|.,!?\\x{2026}\\x{3002}\\x{ff0c}\\x{3001}\\x{964}\\x{6d4}\\x{60c})]+"
#define LONG_SPACES                                                                 \
    "\\s*[\\r\\n]+|\\s{512}(?!\\S)|\\s{256}(?!\\S)|\\s{128}(?!\\S)|\\s{64}(?!\\S)|" \
    "\\s{32}(?!\\S)|\\s{16}(?!\\S)|\\s{8}(?!\\S)|\\s{4}(?!\\S)|\\s{1,2}(?!\\S)|\\s"

static const struct text_way ways[] = {
    { "gpt-2", { TEXT_GPT2_PATTERN }, false, false },
    { "qwen2", { QWEN2 }, false, false },
    { "llama-bpe", { LLAMA3 }, true, true },
    { "smollm", { "\\p{N}", TEXT_GPT2_PATTERN }, false, false },
    { "tekken", { CASED("") "|\\p{N}|" SIGNS "[\\r\\n/]*|" SPACES }, true, true },
    { "default",
      { "[\\p{P}$+<=>^~|]+", TEXT_GPT2_PATTERN, "\\p{N}+", "[0-9][0-9][0-9]" },
      false,
      false },
    { "falcon",
      { "[\\p{P}$+<=>^~|`]+", TEXT_GPT2_PATTERN, "[0-9][0-9][0-9]" },
      false,
      false },
    { "smaug-bpe", { LLAMA3 }, false, false },
    { "deepseek-llm",
      { "[\\r\\n]", "\\s?" CASED_SCRIPTS, "\\s?" FULL_WIDTH_SIGNS, "\\s+\\z", ASIAN,
        "\\p{N}+" },
      false,
      false },
    { "deepseek-coder",
      { "[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", ASIAN, "\\p{N}" },
      false,
      false },
    { "deepseek-v3",
      { "\\p{N}{1,3}", KANA_AND_HAN, DEEPSEEK "[\\r\\n]*|" SPACES },
      false,
      false },
    { "spark2_5",
      { "\\p{N}{1,3}", KANA_AND_HAN, DEEPSEEK "|[\\r\\n]|\\s+(?!\\S)|\\s+", "\\p{N}" },
      false,
      false },
    { "qwen35",
      { CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}|"
                     " ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" SPACES },
      false,
      false },
    { "gpt-4o",
      { CASED(CONTRACTIONS "?") "|\\p{N}{1,3}|" SIGNS "[\\r\\n/]*|" SPACES },
      false,
      false },
    { "youtu",
      { "[\\x{ac00}-\\x{d7a3}\\x{3131}-\\x{318e}]+|[\\x{ff01}\\x{2026}\\x{201c}\\x{201d}"
        "\\x{2018}\\x{2019}\\x{2014}\\x{ff1a}\\x{ff1b}\\x{ff0c}\\x{3001}-\\x{303f}"
        "\\x{fe30}-\\x{fe4f}]+|[\\x{3105}-\\x{312f}]+|" KANA_AND_HAN,
        "[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+" CONTRACTIONS "?|\\p{N}|" SIGNS
        "[\\r\\n/]*|" SPACES },
      true,
      false },
    { "minicpm5", { "\\p{N}{1,3}", CONTRACTIONS "|" WORD "|\\p{N}+" REST }, true, false },
    { "poro-chat", { NO_STOPS }, false, false },
    { "viking", { NO_STOPS, "\\p{N}" }, false, false },
    { "chameleon",
      { "<sentinel:[0-9]+>", "IMGIMG[A-I]{1,4}Z", "[\\t\\n]|    |  ", "\\p{N}",
        "[\\p{P}!-/:-@\\[-`{-~]", TEXT_GPT2_PATTERN },
      false,
      true },
    { "bailingmoe",
      { "'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])|" WORD "|\\p{N}|" SIGNS
        "[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+" },
      false,
      false },
    { "seed-coder",
      { CONTRACTIONS "|" WORD "|\\p{N}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" SPACES },
      false,
      false },
    { "exaone-moe",
      { CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|"
                     "\\p{N}|" SIGNS "[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+" },
      false,
      false },
    { "jais-2",
      { CONTRACTIONS "|" WORD "|\\p{N}{1,3}|" SIGNS "[\\r\\n]*|" LONG_SPACES },
      false,
      false },
    { "laguna", { "[^\\n]+|\\n+", QWEN2 }, false, false },
    { "ufakzeka", { WORD "|\\p{N}" REST }, false, false },
};

/* Other names of the same ways. */
static const char *const aliases[][2] = {
    { "a.x-4.0", "gpt-2" },
    { "bailingmoe2", "bailingmoe" },
    { "bloom", "poro-chat" },
    { "chatglm-bpe", "smaug-bpe" },
    { "codeshell", "smollm" },
    { "command-r", "smollm" },
    { "dbrx", "smaug-bpe" },
    { "deepseek-r1-qwen", "qwen2" },
    { "exaone", "smollm" },
    { "exaone4", "gpt-2" },
    { "f2llmv2", "qwen2" },
    { "falcon-h1", "llama-bpe" },
    { "falcon3", "llama-bpe" },
    { "gigachat", "gpt-2" },
    { "glm4", "smaug-bpe" },
    { "gpt3-finnish", "poro-chat" },
    { "granite-docling", "gpt-2" },
    { "grok-2", "qwen2" },
    { "hunyuan", "qwen2" },
    { "hunyuan-dense", "deepseek-v3" },
    { "hy_v4", "deepseek-v3" },
    { "jais", "gpt-2" },
    { "jina-v5-nano", "llama-bpe" },
    { "joyai-llm", "deepseek-v3" },
    { "kanana2", "gpt-4o" },
    { "kormo", "qwen2" },
    { "lfm2", "llama-bpe" },
    { "llada-moe", "bailingmoe" },
    { "llama-v3", "llama-bpe" },
    { "llama3", "llama-bpe" },
    { "llama4", "gpt-4o" },
    { "megrez", "qwen2" },
    { "mellum", "gpt-2" },
    { "mellum2", "smollm" },
    { "midm-2.0", "llama-bpe" },
    { "minerva-7b", "smollm" },
    { "minimax-m2", "gpt-4o" },
    { "modern-bert", "gpt-2" },
    { "mpt", "gpt-2" },
    { "olmo", "gpt-2" },
    { "phi-2", "gpt-2" },
    { "pixtral", "llama-bpe" },
    { "refact", "smollm" },
    { "solar-open", "qwen2" },
    { "stablelm2", "qwen2" },
    { "starcoder", "smollm" },
    { "talkie", "gpt-4o" },
    { "trillion", "gpt-2" },
};

const struct text_way *text_way_find(const char *name)
{
    for (size_t i = 0; i < RT_COUNT(aliases); i++)
        if (strcmp(name, aliases[i][0]) == 0)
            name = aliases[i][1];
    for (size_t i = 0; i < RT_COUNT(ways); i++)
        if (strcmp(ways[i].name, name) == 0)
            return &ways[i];
    return NULL;
}

const char *text_way_name(size_t i)
{
    if (i < RT_COUNT(ways))
        return ways[i].name;
    i -= RT_COUNT(ways);
    return i < RT_COUNT(aliases) ? aliases[i][0] : NULL;
}
