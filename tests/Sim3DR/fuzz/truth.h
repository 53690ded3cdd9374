// What buffers have to show, by whole numbers.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "mesh_maker.h"

namespace fuzz {

struct Seen {
    const int32_t* triangle;
    const float* barycentric;
    const float* depth;
};

// Holds for any numbers: empty pixels are marked as such, others show weights and a depth that a triangle can have.
template <typename Fail>
void check_sane(const Case& mesh, const Seen& seen, const Fail& fail) {
    const int64_t pixels = static_cast<int64_t>(mesh.height) * mesh.width;
    for (int64_t pixel = 0; pixel < pixels * mesh.batch; ++pixel) {
        const int32_t index = seen.triangle[pixel];
        const float* weights = seen.barycentric + 3 * pixel;
        if (index == -1) {
            if (weights[0] != 0 || weights[1] != 0 || weights[2] != 0 ||
                seen.depth[pixel] != -std::numeric_limits<float>::infinity()) {
                fail("an empty pixel is not empty");
            }
            continue;
        }
        if (index < 0 || index >= mesh.triangle_count) fail("no such triangle");
        const float* vertices = mesh.vertices.begin() + 3 * (pixel / pixels) * mesh.vertex_count;
        double sum = 0.0, nearness = 0.0, largest = 0.0;
        for (int k = 0; k < 3; ++k) {
            const double z = vertices[3 * mesh.triangles.begin()[3 * index + k] + 2];
            if (!(weights[k] >= 0.0f && weights[k] <= 1.0f)) fail("a weight is not in 0..1");
            sum += weights[k], nearness += weights[k] * z;
            largest = std::max(largest, std::fabs(z));
        }
        // Three float32 roundings of numbers up to 1, and the depth's own.
        if (!(std::fabs(sum - 1.0) < 2e-7)) fail("weights do not sum to 1");
        const float depth = seen.depth[pixel];
        if (!(std::fabs(nearness - depth) <= 3e-7 * largest + 2e-45)) fail("depth is not that of the weights");
        if (depth == 0.0f && std::signbit(depth)) fail("a depth of -0");
    }
}

// 2**30 times the coordinate; false where that is no whole number or too large for products of two in 128 bits.
inline bool to_whole(float value, __int128& whole) {
    const double scaled = static_cast<double>(value) * 0x1p30;
    if (!(std::fabs(scaled) <= 0x1p59) || scaled != std::floor(scaled)) return false;
    whole = static_cast<__int128>(scaled);
    return true;
}

struct Corner {
    __int128 x, y;
    double z, w;
    bool dropped;
};

inline bool read_corners(const Case& mesh, int item, std::vector<Corner>& corners) {
    for (int i = 0; i < mesh.vertex_count; ++i) {
        const int64_t row = static_cast<int64_t>(item) * mesh.vertex_count + i;
        const float* vertex = mesh.vertices.begin() + 3 * row;
        Corner corner = {0, 0, vertex[2], mesh.w.count ? mesh.w.begin()[row] : 1.0, false};
        corner.dropped = !std::isfinite(vertex[0]) || !std::isfinite(vertex[1]) || !std::isfinite(corner.z) ||
                         !std::isfinite(corner.w) || corner.w == 0.0;
        if (!corner.dropped && !(to_whole(vertex[0], corner.x) && to_whole(vertex[1], corner.y))) return false;
        corners.push_back(corner);
    }
    return true;
}

inline int sign_of(__int128 value) { return (value > 0) - (value < 0); }

// Whether the triangle covers the pixel; if so, its weights.
inline bool covers(const Corner* const (&p)[3], int64_t column, int64_t row, long double (&weights)[3]) {
    const __int128 x = static_cast<__int128>(column) << 30, y = static_cast<__int128>(row) << 30;
    const auto area = [](const Corner& a, const Corner& b, __int128 px, __int128 py) {
        return (b.x - a.x) * (py - a.y) - (b.y - a.y) * (px - a.x);
    };
    const int side = sign_of(area(*p[0], *p[1], p[2]->x, p[2]->y));
    if (side == 0) return false;
    long double sum = 0;
    for (int k = 0; k < 3; ++k) {
        const Corner &a = *p[(k + 1) % 3], &b = *p[(k + 2) % 3];
        // The part in front of the camera lies beyond the edge that is opposite to a corner behind it.
        const int turn = p[k]->w < 0 ? -side : side;
        const __int128 value = area(a, b, x, y) * turn;
        const __int128 across = (a.y - b.y) * turn, down = (b.x - a.x) * turn;
        const bool owns = across > 0 || (across == 0 && down > 0);
        if (value < 0 || (value == 0 && !owns)) return false;
        weights[k] = static_cast<long double>(value) / std::fabs(static_cast<long double>(p[k]->w));
        sum += weights[k];
    }
    for (long double& weight : weights) weight /= sum;
    return true;
}

struct Best {
    long double depth = -std::numeric_limits<long double>::infinity();
    double largest = 0.0;  // of the z of all triangles that cover the pixel
    bool shown = false;
};

inline bool is_level(const Corner* const (&p)[3]) { return p[0]->z == p[1]->z && p[1]->z == p[2]->z; }

// The first of the nearest ones among the triangles that cover a pixel and have the same z at all corners, whose depth
// no rounding can change.
struct Level {
    double z = -std::numeric_limits<double>::infinity();
    int number = -1;
};

inline std::string check_pixel(const std::vector<const Corner*>& drawn, const std::vector<int>& numbers, int x, int y,
                               int32_t index, const float* weights, float depth) {
    Best best;
    Level level;
    bool shown_is_level = false;
    long double of_shown = 0;
    for (size_t i = 0; i < numbers.size(); ++i) {
        const Corner* const p[3] = {drawn[3 * i], drawn[3 * i + 1], drawn[3 * i + 2]};
        long double share[3];
        if (!covers(p, x, y, share)) continue;
        const long double nearness = share[0] * p[0]->z + share[1] * p[1]->z + share[2] * p[2]->z;
        for (const Corner* corner : p) best.largest = std::max(best.largest, std::fabs(corner->z));
        best.depth = std::max(best.depth, nearness);
        if (is_level(p) && p[0]->z > level.z) level = {p[0]->z, numbers[i]};
        if (numbers[i] != index) continue;
        best.shown = true, shown_is_level = is_level(p);
        of_shown = nearness;
        for (int k = 0; k < 3; ++k) {
            if (!(std::fabs(static_cast<double>(share[k] - weights[k])) <= 1e-7)) return "weights are wrong";
        }
    }
    if (index < 0) return std::isinf(best.depth) ? "" : "a hole";
    if (!best.shown) return "the triangle does not cover the pixel";
    if (shown_is_level && index != level.number) return "another triangle is nearer, or as near and earlier";
    // Rounded to float32 from weights that are good to 1e-9; within that two depths are equal.
    const double close = 4e-9 * best.largest + 1.2e-7 * std::fabs(static_cast<double>(best.depth)) + 3e-45;
    if (!(std::fabs(static_cast<double>(of_shown - depth)) <= close)) return "the depth is wrong";
    if (!(best.depth - of_shown <= close)) return "not the nearest triangle";
    return "";
}

// Returns how many pixels were compared: none if the coordinates do not fit.
inline int64_t check_against_integers(const Case& mesh, int item, const Seen& seen, std::string& wrong) {
    std::vector<Corner> corners;
    if (!read_corners(mesh, item, corners)) return 0;
    std::vector<const Corner*> drawn;
    std::vector<int> numbers;
    for (int i = 0; i < mesh.triangle_count; ++i) {
        const int32_t* index = mesh.triangles.begin() + 3 * i;
        const Corner *a = &corners[index[0]], *b = &corners[index[1]], *c = &corners[index[2]];
        if (a->dropped || b->dropped || c->dropped || (a->w < 0 && b->w < 0 && c->w < 0)) continue;
        drawn.insert(drawn.end(), {a, b, c});
        numbers.push_back(i);
    }
    for (int y = 0; y < mesh.height; ++y) {
        for (int x = 0; x < mesh.width; ++x) {
            const int64_t pixel = static_cast<int64_t>(y) * mesh.width + x;
            wrong = check_pixel(drawn, numbers, x, y, seen.triangle[pixel], seen.barycentric + 3 * pixel,
                                seen.depth[pixel]);
            if (wrong.empty()) continue;
            wrong += " at x " + std::to_string(x) + ", y " + std::to_string(y) + ", picture " + std::to_string(item);
            return 0;
        }
    }
    return static_cast<int64_t>(mesh.height) * mesh.width;
}

}  // namespace fuzz
