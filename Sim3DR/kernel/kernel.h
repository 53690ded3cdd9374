// The rasterizer's arithmetic. What it computes is specified in Sim3DR/__init__.py.
// Nothing here checks its arguments: Sim3DR/checks.py has done so. What allocates returns false if there is no memory.
#pragma once

#include <cstdint>

namespace sim3dr {

struct Shape {
    const float* vertices;     // (N, 3)
    const float* w;            // (N,) or null
    const int32_t* triangles;  // (F, 3)
    int64_t vertex_count;
    int64_t triangle_count;
};

// The arrays that rasterize_buffers fills; each is C-ordered, row 0 is the top row.
struct Buffers {
    int32_t* triangle;   // (height, width), -1 where empty
    float* barycentric;  // (height, width, 3), 0 where empty
    float* depth;        // (height, width), -infinity where empty
    int height;
    int width;
};

// A picture of bytes or, if floats is set, of float32; row_stride (bytes) is negative for one drawn upside down.
struct Picture {
    void* pixels;
    int64_t row_stride;
    int height;
    int width;
    int channels;
    bool floats;
};

// How much of the mesh shows over the picture: opacity times, where it is given, a value for each vertex.
struct Opacity {
    double opacity;
    const float* vertex_opacity;  // (N,) or null
};

// texels (height, width, channels): bytes, or, if floats is set, float32 in 0..1.
struct Texture {
    const void* texels;
    const float* uv;              // (M, 2)
    const int32_t* uv_triangles;  // (F, 3)
    int height;
    int width;
    bool floats;
};

// The light of RenderPipeline, channel by channel.
struct Light {
    double ambient[3];
    double directional[3];
    double specular[3];
    double light_position[3];
    double view_position[3];
    int specular_exponent;
};

// One of the textures of a lit picture: texels (height, width, 4), three of sRGB colour and one of opacity.
struct LitTexture {
    const uint8_t* texels;
    int height;
    int width;
};

// How the triangles of a lit picture look.
struct Lit {
    const float* light;          // (N, 3), times the texture's colour
    const float* shine;          // (N, 3), added to that
    const float* uv;             // (N, 2)
    const uint8_t* surface;      // (F,) which of the textures
    const LitTexture* textures;  // up to 256
    const float* linear;         // (256,) linear light of the bytes of a colour
    int texture_count;
    int samples;  // on each axis of a pixel, 1..MAXIMUM_SAMPLES
};
constexpr int MAXIMUM_SAMPLES = 8;

bool rasterize_buffers(const Shape& shape, const Buffers& buffers, int threads) noexcept;

// `count` meshes with the same triangles; vertices, w and the buffers' arrays have a leading axis of that length.
bool rasterize_batch(const Shape& shape, const Buffers& buffers, int64_t count, int threads) noexcept;

// colors (N, picture.channels), drawn onto the covered pixels of the picture.
bool paint_colors(const Shape& shape, const float* colors, const Opacity& opacity, const Picture& picture,
                  int threads) noexcept;

bool paint_texture(const Shape& shape, const Texture& texture, const Opacity& opacity, const Picture& picture,
                   int threads) noexcept;

// Draws a textured, lit mesh onto a picture of three floats.
bool draw_lit(const Shape& shape, const Lit& lit, const Picture& picture, int threads) noexcept;

// attributes (M, channels) -> out (height, width, channels), 0 where empty; triangles (F, 3) are rows of attributes.
void interpolate(const Buffers& buffers, const int32_t* triangles, const float* attributes, int channels,
                 float* out) noexcept;

// normals (N, 3).
bool vertex_normals(const Shape& shape, float* normals) noexcept;

// colors (N, 3) of lit vertices: light times texture (N, 3), or light alone if that is null.
void light_vertices(const Shape& shape, const float* normals, const float* texture, const Light& light,
                    float* colors) noexcept;

// Whether all indices are in 0..vertex_count - 1.
bool indices_fit(const int32_t* indices, int64_t count, int64_t vertex_count) noexcept;

// The instruction sets that this machine has, best first, null at the end. All of them compute the same bytes; the best
// one is in use until another one is chosen (for tests). Returns false for an unknown name.
const char* const* instruction_sets() noexcept;
bool use_instruction_set(const char* name) noexcept;

}  // namespace sim3dr
