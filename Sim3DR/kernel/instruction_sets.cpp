// Compiles what is worth it once for each instruction set and chooses the best one of this machine. All sets do the
// same IEEE operations on each pixel (no fused multiply-add, no reassociation), so they compute the same bytes.

#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "exact.h"
#include "mesh.h"

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 gives both for its own AVX-512 header
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif

#define SIM3DR_INLINE inline __attribute__((always_inline))

#if defined(__x86_64__)
#define SIM3DR_X86
#include <immintrin.h>
#endif

namespace sim3dr {

namespace portable {
#define SIM3DR_LANES 2
#include "bodies.h"
#undef SIM3DR_LANES
constexpr Functions table = {"portable", SIM3DR_FUNCTIONS};
}  // namespace portable

#ifdef SIM3DR_X86

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif
namespace avx2 {
#define SIM3DR_LANES 4
#include "bodies.h"
#undef SIM3DR_LANES
constexpr Functions table = {"avx2", SIM3DR_FUNCTIONS};
}  // namespace avx2
#if defined(__clang__)
#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512vl,avx512dq,avx512bw"))), apply_to = function)
#else
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx512f,avx512vl,avx512dq,avx512bw")
#endif
namespace avx512 {
#define SIM3DR_LANES 8
#include "bodies.h"
#undef SIM3DR_LANES
constexpr Functions table = {"avx512", SIM3DR_FUNCTIONS};
}  // namespace avx512
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif

#endif  // SIM3DR_X86

namespace {

struct Choice {
    const Functions* tables[3] = {};
    const char* names[4] = {};
    std::atomic<const Functions*> used{nullptr};

    Choice() {
        int count = 0;
#ifdef SIM3DR_X86
        __builtin_cpu_init();
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
            __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw")) {
            tables[count++] = &avx512::table;
        }
        if (__builtin_cpu_supports("avx2")) tables[count++] = &avx2::table;
#endif
        tables[count++] = &portable::table;
        for (int i = 0; i < count; ++i) names[i] = tables[i]->name;
        used = tables[0];
    }
};

Choice& choice() {
    static Choice made;
    return made;
}

}  // namespace

const Functions& functions() { return *choice().used.load(std::memory_order_relaxed); }

const char* const* instruction_sets() noexcept { return choice().names; }

bool use_instruction_set(const char* name) noexcept {
    for (const Functions* table : choice().tables) {
        if (table && std::strcmp(table->name, name) == 0) {
            choice().used = table;
            return true;
        }
    }
    return false;
}

}  // namespace sim3dr
