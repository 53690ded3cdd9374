// What the parts of the rasterizer hand to each other.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>

#include "kernel.h"

namespace sim3dr {

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
    float* second;  // weights of the corners 1 and 2
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
    void (*load_points)(const Shape& shape, float* points, Box& box);
    void (*find_spans)(const Mesh& mesh, Span* spans);
    void (*draw)(const Mesh& mesh, const Span* spans, const Canvas& canvas);
    void (*write_buffers)(const Band& band, const Buffers& buffers);
    void (*paint_colors)(const Band& band, const Shape& shape, const Colors& colors, const Opacity& opacity,
                         const Picture& picture);
    void (*paint_texture)(const Band& band, const Shape& shape, const Texture& texture, const Opacity& opacity,
                          const Picture& picture);
    void (*interpolate)(const Buffers& buffers, const int32_t* triangles, const float* attributes, int channels,
                        float* out);
    void (*sum_normals)(const Shape& shape, double* sums, float* normals);
    void (*light_vertices)(const Shape& shape, const float* normals, const float* texture, const Light& light,
                           float* colors);
    bool (*indices_fit)(const int32_t* indices, int64_t count, int64_t vertex_count);
};

const Functions& functions();

}  // namespace sim3dr
