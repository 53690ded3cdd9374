// Random cases: meshes, pictures, textures and light.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "kernel/kernel.h"

namespace fuzz {

using namespace sim3dr;

// splitmix64
class Random {
public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t bits() {
        uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        return z ^ (z >> 31);
    }
    int below(int count) { return static_cast<int>(bits() % static_cast<uint64_t>(count)); }
    bool chance(double share) { return uniform(0, 1) < share; }
    double uniform(double low, double high) { return low + (high - low) * 0x1p-53 * static_cast<double>(bits() >> 11); }
    double sign() { return bits() & 1 ? 1.0 : -1.0; }
    float any_float() {
        const auto pattern = static_cast<uint32_t>(bits());
        float value;
        std::memcpy(&value, &pattern, 4);
        return value;
    }

private:
    uint64_t state_;
};

// An array on the heap of exactly `count` numbers.
template <typename Number>
struct Array {
    std::unique_ptr<Number[]> memory{new Number[0]};
    size_t count = 0;

    Array() = default;
    explicit Array(size_t size, uint8_t garbage = 0) : memory(new Number[size]), count(size) {
        std::memset(static_cast<void*>(memory.get()), garbage, size * sizeof(Number));
    }
    explicit Array(const Array& other) : Array(other.count) {
        std::memcpy(memory.get(), other.memory.get(), count * sizeof(Number));
    }
    Array(Array&&) = default;
    Array& operator=(Array&&) = default;
    Number* begin() const { return memory.get(); }
    Number* end() const { return memory.get() + count; }
};

struct Case {
    int height, width, batch, vertex_count, triangle_count;
    Array<float> vertices, w;  // with a leading axis of length batch; w may be empty
    Array<int32_t> triangles;
    // Pictures; none if channels is 0.
    int channels = 0;
    bool picture_floats = false, upwards = false;
    int64_t row_bytes = 0;
    double opacity = 1.0;
    Array<float> vertex_opacity, colors, uv, factors;
    Array<uint8_t> background, texels;
    Array<int32_t> uv_triangles;
    int texture_height = 0, texture_width = 0;
    bool texture_floats = false;
    Light light = {};
    // A lit picture of three channels.
    Array<float> behind, lights, shines, lit_uv;
    Array<uint8_t> surface, lit_texels[2];
    int lit_height = 0, lit_width = 0, samples = 1;

    std::vector<LitTexture> lit_textures() const {
        return {{lit_texels[0].begin(), lit_height, lit_width}, {lit_texels[1].begin(), 1, 1}};
    }
    Shape shape() const {
        return {vertices.begin(), w.count ? w.begin() : nullptr, triangles.begin(), vertex_count, triangle_count};
    }
    Texture texture() const {
        return {texels.begin(), uv.begin(), uv_triangles.begin(), texture_height, texture_width, texture_floats};
    }
};

inline double logarithmic(Random& random, double low, double high) {
    return random.sign() * std::pow(10.0, random.uniform(low, high));
}

constexpr int COORDINATE_KINDS = 12;

inline float coordinate(Random& random, int kind, int size) {
    const double near = random.uniform(-0.4 * size - 2, 1.4 * size + 2);
    switch (kind) {
        case 0: return static_cast<float>(near);
        case 1: return static_cast<float>(std::round(near));
        case 2: return static_cast<float>(std::round(2 * near) / 2);
        case 3: return static_cast<float>(std::round(256 * near) / 256);
        case 4: return static_cast<float>(random.uniform(-1e6, 1e6));
        case 5: return static_cast<float>(logarithmic(random, -45, 38.5));
        case 6: return random.any_float();
        case 7: {
            // So close to a pixel's centre that doubles do not resolve it; float32 has such numbers next to 0 alone.
            const double offset = random.sign() * (1 + random.below(255)) * std::ldexp(1.0, -8 - random.below(23));
            return static_cast<float>((random.chance(0.5) ? 0.0 : std::round(near)) + offset);
        }
        case 8: return static_cast<float>(logarithmic(random, -45, -30));
        case 9: return static_cast<float>(random.sign() * (32768 - random.below(3) / 256.0));
        case 10: {
            const float end = static_cast<float>(size);
            const float borders[] = {-1.0f, -0.5f, -0.0f, 0.0f, 0.5f, end - 1.0f, end - 0.5f, end, end + 1.0f};
            const float border = borders[random.below(9)];
            return random.chance(0.3) ? std::nextafter(border, static_cast<float>(random.sign() * 1e9)) : border;
        }
        default: return static_cast<float>(logarithmic(random, -3, 7));
    }
}

inline float depth(Random& random, int kind) {
    const float few[] = {-0.0f, 0.0f, 1.0f, -1.0f, 1.0000001f};
    switch (kind) {
        case 0: return static_cast<float>(random.uniform(-1, 1));
        case 1: return few[random.below(5)];
        case 2: return static_cast<float>(logarithmic(random, -45, 38.4));
        case 3: return random.chance(0.1) ? random.any_float() : 0.5f;
        default: return 0.0f;
    }
}

inline float distance(Random& random, int kind) {
    switch (kind) {
        case 0: return static_cast<float>(random.uniform(0.5, 2));
        case 1: return static_cast<float>(std::fabs(logarithmic(random, -6, 6)));
        case 2: return static_cast<float>(random.uniform(-1, 3));
        case 3: return static_cast<float>(logarithmic(random, -3, 3));
        case 4: return random.chance(0.2) ? random.any_float() : 1.0f;
        case 5: return static_cast<float>(logarithmic(random, -44, 38));
        default: return random.chance(0.1) ? static_cast<float>(random.sign() * 0.0) : 2.0f;
    }
}

inline void choose_sizes(Random& random, Case& made) {
    made.height = 1 + random.below(30), made.width = 1 + random.below(40);
    made.vertex_count = random.below(40), made.triangle_count = random.below(60);
    made.batch = random.chance(0.1) ? 1 + random.below(4) : 1;
    const double kind = random.uniform(0, 1);
    if (kind < 0.004) made.height = 200, made.width = 300, made.vertex_count = 300, made.triangle_count = 500;
    if (kind > 0.985) made.height = 1 + random.below(random.chance(0.3) ? 60 : 3), made.width = 3000;
    if (kind > 0.992) std::swap(made.height, made.width);
    if (kind > 0.5 && kind < 0.6) made.triangle_count = 63 + random.below(3) + (random.chance(0.5) ? 64 : 0);
    if (kind > 0.6 && kind < 0.63) made.height = made.width = 1;
    if (made.vertex_count == 0) made.triangle_count = 0;
}

inline void make_vertices(Random& random, Case& made) {
    made.vertices = Array<float>(static_cast<size_t>(3) * made.batch * made.vertex_count);
    const int usual = random.below(COORDINATE_KINDS);
    const int other = random.below(COORDINATE_KINDS), depths = random.below(5);
    const double others = random.chance(0.5) ? 0.0 : random.uniform(0, 0.5);
    const double slivers = random.chance(0.7) ? 0.0 : random.uniform(0, 1);
    const double offset = random.chance(0.3) ? 0.0 : logarithmic(random, -9, -1);
    for (int64_t i = 0; i < static_cast<int64_t>(made.batch) * made.vertex_count; ++i) {
        float* vertex = made.vertices.begin() + 3 * i;
        for (int axis = 0; axis < 2; ++axis) {
            const int kind = random.chance(others) ? other : usual;
            vertex[axis] = coordinate(random, kind, axis == 0 ? made.width : made.height);
        }
        vertex[2] = depth(random, depths);
        if (i >= 2 && random.chance(slivers)) {
            // On the line of the two before, nearly.
            const double share = random.below(5) / 4.0;
            for (int axis = 0; axis < 2; ++axis) {
                const double mixed = share * vertex[axis - 3] + (1 - share) * vertex[axis - 6] + axis * offset;
                if (std::fabs(mixed) < 3e38) vertex[axis] = static_cast<float>(mixed);
            }
        }
    }
    if (random.chance(0.4)) return;
    made.w = Array<float>(static_cast<size_t>(made.batch) * made.vertex_count);
    const int distances = random.below(7);
    for (float& w : made.w) w = distance(random, distances);
}

inline void make_triangles(Random& random, const Case& made, Array<int32_t>& triangles) {
    triangles = Array<int32_t>(static_cast<size_t>(3) * made.triangle_count);
    const bool strip = random.chance(0.5);
    for (int i = 0; i < made.triangle_count; ++i) {
        for (int k = 0; k < 3; ++k) {
            triangles.begin()[3 * i + k] = strip ? (i + k) % made.vertex_count : random.below(made.vertex_count);
        }
    }
}

inline float color(Random& random, int kind) {
    if (kind == 0) return static_cast<float>(random.uniform(0, 1));
    if (kind == 1) return static_cast<float>(random.uniform(-1, 2));
    return random.chance(0.3) ? random.any_float() : 0.5f;
}

inline void fill_colors(Random& random, Array<float>& colors, size_t count) {
    colors = Array<float>(count);
    const int kind = random.below(3);
    for (float& value : colors) value = color(random, kind);
}

inline void make_picture(Random& random, Case& made) {
    made.channels = random.chance(0.4) ? 3 : 1 + random.below(5);
    made.picture_floats = random.chance(0.3);
    made.upwards = random.chance(0.3);
    const int bytes = made.picture_floats ? 4 : 1;
    // The bytes between two rows, if any, are nobody's.
    made.row_bytes = bytes * (static_cast<int64_t>(made.width) * made.channels + (random.chance(0.2) ? 3 : 0));
    made.background = Array<uint8_t>(made.row_bytes * made.height);
    for (uint8_t& value : made.background) value = static_cast<uint8_t>(random.bits());
    fill_colors(random, made.colors, static_cast<size_t>(made.vertex_count) * made.channels);
    made.opacity = random.chance(0.5) ? 1.0 : random.uniform(0, 1);
    if (random.chance(0.2)) {
        made.vertex_opacity = Array<float>(made.vertex_count);
        for (float& value : made.vertex_opacity) value = static_cast<float>(random.uniform(0, 1));
    }
}

inline void make_texture(Random& random, Case& made) {
    made.texture_height = 1 + random.below(6), made.texture_width = 1 + random.below(6);
    made.texture_floats = random.chance(0.5);
    const size_t count = static_cast<size_t>(made.texture_height) * made.texture_width * made.channels;
    made.texels = Array<uint8_t>(count * (made.texture_floats ? 4 : 1));
    const int kind = random.below(3);
    for (size_t i = 0; i < count; ++i) {
        const float value = color(random, kind);
        if (made.texture_floats) {
            std::memcpy(made.texels.begin() + 4 * i, &value, 4);
        } else {
            made.texels.begin()[i] = static_cast<uint8_t>(random.bits());
        }
    }
    made.uv = Array<float>(static_cast<size_t>(2) * made.vertex_count);
    const int coordinates = random.below(3);
    for (float& value : made.uv) value = color(random, coordinates);
    make_triangles(random, made, made.uv_triangles);
}

inline void make_light(Random& random, Case& made) {
    for (double* triple : {made.light.ambient, made.light.directional, made.light.specular}) {
        for (int axis = 0; axis < 3; ++axis) triple[axis] = random.uniform(0, 1);
    }
    for (double* triple : {made.light.light_position, made.light.view_position}) {
        for (int axis = 0; axis < 3; ++axis) triple[axis] = random.uniform(-5, 5);
    }
    made.light.specular_exponent = 1 + random.below(random.chance(0.1) ? 1000000000 : 9);
    if (random.chance(0.5)) fill_colors(random, made.factors, static_cast<size_t>(3) * made.vertex_count);
}

inline void make_lit(Random& random, Case& made) {
    made.samples = 1 + random.below(random.chance(0.2) ? 8 : 3);
    const size_t vertices = made.vertex_count;
    fill_colors(random, made.behind, static_cast<size_t>(3) * made.height * made.width);
    fill_colors(random, made.lights, 3 * vertices);
    fill_colors(random, made.shines, 3 * vertices);
    fill_colors(random, made.lit_uv, 2 * vertices);
    made.surface = Array<uint8_t>(made.triangle_count);
    for (uint8_t& value : made.surface) value = static_cast<uint8_t>(random.below(2));
    made.lit_height = 1 + random.below(6), made.lit_width = 1 + random.below(6);
    const bool holes = random.chance(0.5);
    for (Array<uint8_t>& texels : made.lit_texels) {
        const bool single = &texels == &made.lit_texels[1];
        texels = Array<uint8_t>(single ? 4 : size_t{4} * made.lit_height * made.lit_width);
        for (size_t i = 0; i < texels.count; ++i) {
            texels.begin()[i] = static_cast<uint8_t>(i % 4 == 3 && !holes ? 255 : random.bits());
        }
    }
}

inline Case make_case(Random& random) {
    Case made;
    choose_sizes(random, made);
    make_vertices(random, made);
    make_triangles(random, made, made.triangles);
    if (made.batch == 1) {
        make_picture(random, made);
        make_texture(random, made);
        make_lit(random, made);
    }
    make_light(random, made);
    return made;
}

}  // namespace fuzz
