// What the parts of the rasterizer hand to each other.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "kernel.h"

namespace sim3dr {

// Where the triangles of a lit picture have holes.
struct Holes {
    const Lit* lit;
    bool any;          // in any texture
    bool of[256];      // in each of them
};

// The texture of one triangle with holes; none if texels is null.
struct Cutout {
    LitTexture texture;
    double uv[3][2];  // at its corners
};

// Where a texture coordinate falls in a texture that repeats: two neighbours and the share of the second.
template <typename Number>
struct Place {
    int first, second;
    Number share;
};
template <typename Number>
inline Place<Number> place_in(Number coordinate, int size) {
    const Number inside = coordinate - std::floor(coordinate);  // 0..1; NaN where it is not finite
    const Number position = inside * static_cast<Number>(size) + Number{0.5};
    if (!(position >= Number{0.5})) return {0, 0, 0};
    const int second = static_cast<int>(position);  // the centre of the texel before is not beyond the place
    return {second > 0 ? second - 1 : size - 1, second < size ? second : 0, position - static_cast<Number>(second)};
}

// Whether a triangle has a hole where its corners 1 and 2 have these weights: where the opacity, bilinear, is below
// one half.
inline bool is_open(const Cutout& cutout, double second, double third) {
    double at[2];
    for (int axis = 0; axis < 2; ++axis) {
        const double first = cutout.uv[0][axis];
        at[axis] = (first + second * (cutout.uv[1][axis] - first)) + third * (cutout.uv[2][axis] - first);
    }
    const LitTexture& texture = cutout.texture;
    const Place<double> across = place_in(at[0], texture.width), down = place_in(at[1], texture.height);
    const auto row = [&](int y) {
        const uint8_t* opacity = texture.texels + 4 * (static_cast<int64_t>(y) * texture.width) + 3;
        const double left = opacity[4 * across.first], right = opacity[4 * across.second];
        return left + across.share * (right - left);
    };
    const double upper = row(down.first), lower = row(down.second);
    return upper + down.share * (lower - upper) < 128.0;
}

// The mesh to draw. points (N, 4) holds x, y, z, w; without perspective w is 1, and a vertex that cannot be drawn is
// all zero.
struct Mesh {
    const float* points;
    const int32_t* triangles;  // (F, 3)
    int64_t triangle_count;
    int height;  // the picture's
    int width;
    bool perspective;
    bool lattice;  // all x and y are whole numbers of 1/256 within +-2**15
    const Holes* holes;  // null where there are none

    Cutout cutout_of(int32_t index) const {
        Cutout cutout = {};
        if (!holes || !holes->of[holes->lit->surface[index]]) return cutout;
        cutout.texture = holes->lit->textures[holes->lit->surface[index]];
        for (int k = 0; k < 3; ++k) {
            const float* uv = holes->lit->uv + 2 * static_cast<int64_t>(triangles[3 * static_cast<int64_t>(index) + k]);
            cutout.uv[k][0] = uv[0], cutout.uv[k][1] = uv[1];
        }
        return cutout;
    }
};

// The box of the points that can be drawn.
struct Box {
    float low[4];
    float high[4];
    bool lattice;
};

// Triangles are set up so many at a time; the rows, inclusive, in which such a batch may show.
constexpr int BATCH = 64;
struct Span {
    int32_t top, bottom;
};

// What some pixels of the picture show so far. The rasterizer writes blocks of up to 4 x 2 pixels: each row has three
// spare columns, and below the last one lies a spare row.
struct Canvas {
    int64_t* keys;
    float* second;  // weights of the corners 1 and 2; both null where nobody wants them
    float* third;
    int64_t stride;
    int left, top, right, bottom;  // inclusive

    int64_t offset(int x, int y) const { return (y - top) * stride + (x - left); }
};

constexpr int SPARE_COLUMNS = 3, SPARE_ROWS = 1;

// Nearness in the upper half, the index of the triangle, counted down, in the lower: the larger key is in front, and
// which one stays does not depend on the order of drawing.
constexpr int64_t EMPTY = std::numeric_limits<int64_t>::min();

inline int64_t key_of(float depth, int32_t index) {
    depth += 0.0f;  // -0 becomes 0
    int32_t bits;
    std::memcpy(&bits, &depth, sizeof bits);
    bits ^= (bits >> 31) & 0x7fffffff;  // floats rise as these integers do
    return static_cast<int64_t>(static_cast<uint64_t>(static_cast<int64_t>(bits)) << 32) | (0xffffffffLL - index);
}

inline int32_t index_of(int64_t key) { return static_cast<int32_t>(0xffffffffU - static_cast<uint32_t>(key)); }

inline float depth_of(int64_t key) {
    auto bits = static_cast<int32_t>(key >> 32);
    bits ^= (bits >> 31) & 0x7fffffff;
    float depth;
    std::memcpy(&depth, &bits, sizeof depth);
    return depth;
}

// A triangle as the fast path sees it: edge k, opposite corner k, is first[k] + down[k] * (y - top) +
// across[k] * (x - left), positive inside; what is nearer to 0 than `bound` is in doubt.
struct Edges {
    double first[3], across[3], down[3];
    double bound;
    int left, top, right, bottom;
};

// Draws a triangle by exact tests alone: for slivers, extreme distances and triangles that reach behind the camera.
void draw_exactly(const Mesh& mesh, const Canvas& canvas, int32_t index);

// Inclusive; none if last < first.
struct Rows {
    int first, last;
};

// Draws those pixels of a triangle that the fast path was in doubt of, which are in these rows.
void draw_doubtful(const Mesh& mesh, const Canvas& canvas, int32_t index, const Edges& edges, Rows rows);

// Rows of the picture that are made at once, and what the mesh shows in them; the canvas may be empty.
struct Band {
    Canvas canvas;
    int first_row, last_row;
    const float* points;  // of the mesh
};

// Colours at the vertices: values (N, channels) and, where they go onto three bytes without being blended, padded
// (N, 4).
struct Colors {
    const float* values;
    const float* padded;
};

// What is compiled once for each instruction set.
struct Functions {
    const char* name;
    void (*pad_rows)(const float* rows, int64_t count, float* padded);
    void (*load_points)(const Shape& shape, int samples, float* points, Box& box);
    void (*find_spans)(const Mesh& mesh, Span* spans);
    void (*draw)(const Mesh& mesh, const Span* spans, const Canvas& canvas);
    void (*write_buffers)(const Band& band, const Buffers& buffers);
    void (*paint_colors)(const Band& band, const Shape& shape, const Colors& colors, const Opacity& opacity,
                         const Picture& picture);
    void (*paint_texture)(const Band& band, const Shape& shape, const Texture& texture, const Opacity& opacity,
                          const Picture& picture);
    void (*pad_looks)(const Lit& lit, int64_t count, float* looks);
    bool (*has_holes)(const LitTexture& texture);
    void (*paint_lit)(const Band& band, const Shape& shape, const Lit& lit, const float* looks, const Picture& picture);
    void (*interpolate)(const Buffers& buffers, const int32_t* triangles, const float* attributes, int channels,
                        float* out);
    void (*sum_normals)(const Shape& shape, double* sums, float* normals);
    void (*light_vertices)(const Shape& shape, const float* normals, const float* texture, const Light& light,
                           float* colors);
    bool (*indices_fit)(const int32_t* indices, int64_t count, int64_t vertex_count);
};

const Functions& functions();

}  // namespace sim3dr
