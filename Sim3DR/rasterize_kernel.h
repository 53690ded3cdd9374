// The rasterizer's arithmetic. What it computes is specified in Sim3DR/__init__.py.
// Nothing here checks its arguments: Sim3DR/checks.py has done so. No function keeps state, throws or allocates.
#pragma once

#include <cstdint>

namespace sim3dr {

// The picture that rasterize_buffers fills; every array is C-ordered, row 0 is the top row.
struct Buffers {
    int32_t* triangle;   // (height, width), -1 where empty
    float* barycentric;  // (height, width, 3), 0 where empty
    float* depth;        // (height, width), -infinity where empty
    int height;
    int width;
};

// The same, as the drawing functions read it.
struct Coverage {
    const int32_t* triangle;
    const float* barycentric;
    const int32_t* triangles;  // (F, 3) rows of the per-vertex array that is drawn
    int height;
    int width;
};

// A picture of 8-bit channels; row_stride (bytes) is negative for a picture that is drawn upside down.
struct Picture {
    uint8_t* pixels;
    int64_t row_stride;
    int channels;
};

// vertices (N, 3); w (N,) or null; triangles (F, 3).
void rasterize_buffers(const float* vertices, const float* w, const int32_t* triangles, int64_t triangle_count,
                       const Buffers& buffers) noexcept;

// attributes (N, channels) -> out (height, width, channels), 0 where empty.
void interpolate(const Coverage& coverage, const float* attributes, int channels, float* out) noexcept;

// colors (N, picture.channels), 0..1, drawn onto the covered pixels of the picture.
void paint_colors(const Coverage& coverage, const float* colors, const Picture& picture) noexcept;

// texture (texture_height, texture_width, picture.channels), scale * value in 0..255; uv (M, 2).
template <typename Texel>
struct Texture {
    const Texel* texels;
    int height;
    int width;
    double scale;
};
void paint_texture(const Coverage& coverage, const float* uv, const Texture<float>& texture,
                   const Picture& picture) noexcept;
void paint_texture(const Coverage& coverage, const float* uv, const Texture<uint8_t>& texture,
                   const Picture& picture) noexcept;

// vertices (N, 3), triangles (F, 3) -> normals (N, 3); sums (N, 3) is scratch space that comes zeroed.
void vertex_normals(const float* vertices, int64_t vertex_count, const int32_t* triangles, int64_t triangle_count,
                    double* sums, float* normals) noexcept;

}  // namespace sim3dr
