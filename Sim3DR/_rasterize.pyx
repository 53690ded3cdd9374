# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Hands arrays to the C++ kernel with the GIL released. Private: checks nothing; Sim3DR/rasterizer.py does."""

from libc.stdint cimport int32_t, int64_t, uint8_t


cdef extern from "rasterize_kernel.h" namespace "sim3dr" nogil:
    cdef struct Buffers:
        int32_t* triangle
        float* barycentric
        float* depth
        int height
        int width

    cdef struct Coverage:
        const int32_t* triangle
        const float* barycentric
        const int32_t* triangles
        int height
        int width

    cdef struct Picture:
        uint8_t* pixels
        int64_t row_stride
        int channels

    cdef cppclass FloatTexture "sim3dr::Texture<float>":
        const float* texels
        int height
        int width
        double scale

    cdef cppclass ByteTexture "sim3dr::Texture<uint8_t>":
        const uint8_t* texels
        int height
        int width
        double scale

    void kernel_rasterize "sim3dr::rasterize_buffers"(
        const float*, const float*, const int32_t*, int64_t, const Buffers&) noexcept
    void kernel_interpolate "sim3dr::interpolate"(const Coverage&, const float*, int, float*) noexcept
    void kernel_paint_colors "sim3dr::paint_colors"(const Coverage&, const float*, const Picture&) noexcept
    void kernel_paint_floats "sim3dr::paint_texture"(
        const Coverage&, const float*, const FloatTexture&, const Picture&) noexcept
    void kernel_paint_bytes "sim3dr::paint_texture"(
        const Coverage&, const float*, const ByteTexture&, const Picture&) noexcept
    void kernel_normals "sim3dr::vertex_normals"(
        const float*, int64_t, const int32_t*, int64_t, double*, float*) noexcept


cdef inline Coverage make_coverage(
    const int32_t[:, ::1] triangle, const float[:, :, ::1] barycentric, const int32_t[:, ::1] triangles
) noexcept nogil:
    cdef Coverage coverage
    coverage.triangle = &triangle[0, 0]
    coverage.barycentric = &barycentric[0, 0, 0]
    coverage.triangles = &triangles[0, 0]
    coverage.height = <int> triangle.shape[0]
    coverage.width = <int> triangle.shape[1]
    return coverage


cdef inline Picture make_picture(uint8_t[:, :, :] pixels) noexcept nogil:
    cdef Picture picture
    picture.pixels = &pixels[0, 0, 0]
    picture.row_stride = pixels.strides[0]
    picture.channels = <int> pixels.shape[2]
    return picture


def rasterize_buffers(
    const float[:, ::1] vertices,
    const float[::1] w,
    const int32_t[:, ::1] triangles,
    int32_t[:, ::1] triangle,
    float[:, :, ::1] barycentric,
    float[:, ::1] depth,
):
    """Fills triangle (H,W), barycentric (H,W,3) and depth (H,W); w may be None."""
    cdef const float* distances = NULL
    if w is not None:
        distances = &w[0]
    cdef Buffers buffers
    buffers.triangle = &triangle[0, 0]
    buffers.barycentric = &barycentric[0, 0, 0]
    buffers.depth = &depth[0, 0]
    buffers.height = <int> triangle.shape[0]
    buffers.width = <int> triangle.shape[1]
    with nogil:
        kernel_rasterize(&vertices[0, 0], distances, &triangles[0, 0], triangles.shape[0], buffers)


def interpolate(
    const int32_t[:, ::1] triangle,
    const float[:, :, ::1] barycentric,
    const int32_t[:, ::1] triangles,
    const float[:, ::1] attributes,
    float[:, :, ::1] out,
):
    """Fills out (H,W,C) from attributes (N,C)."""
    with nogil:
        kernel_interpolate(
            make_coverage(triangle, barycentric, triangles), &attributes[0, 0], <int> out.shape[2], &out[0, 0, 0])


def paint_colors(
    const int32_t[:, ::1] triangle,
    const float[:, :, ::1] barycentric,
    const int32_t[:, ::1] triangles,
    const float[:, ::1] colors,
    uint8_t[:, :, :] picture,
):
    """Draws colors (N,C) onto picture (H,W,C), whose rows may run upwards but are contiguous."""
    with nogil:
        kernel_paint_colors(make_coverage(triangle, barycentric, triangles), &colors[0, 0], make_picture(picture))


def paint_float_texture(
    const int32_t[:, ::1] triangle,
    const float[:, :, ::1] barycentric,
    const int32_t[:, ::1] uv_triangles,
    const float[:, ::1] uv,
    const float[:, :, ::1] texture,
    uint8_t[:, :, :] picture,
):
    """Draws texture (h,w,C), 0..1, at uv (M,2) onto picture (H,W,C)."""
    cdef FloatTexture source
    source.texels = &texture[0, 0, 0]
    source.height = <int> texture.shape[0]
    source.width = <int> texture.shape[1]
    source.scale = 255.0
    with nogil:
        kernel_paint_floats(
            make_coverage(triangle, barycentric, uv_triangles), &uv[0, 0], source, make_picture(picture))


def paint_byte_texture(
    const int32_t[:, ::1] triangle,
    const float[:, :, ::1] barycentric,
    const int32_t[:, ::1] uv_triangles,
    const float[:, ::1] uv,
    const uint8_t[:, :, ::1] texture,
    uint8_t[:, :, :] picture,
):
    """Draws texture (h,w,C), 0..255, at uv (M,2) onto picture (H,W,C)."""
    cdef ByteTexture source
    source.texels = &texture[0, 0, 0]
    source.height = <int> texture.shape[0]
    source.width = <int> texture.shape[1]
    source.scale = 1.0
    with nogil:
        kernel_paint_bytes(
            make_coverage(triangle, barycentric, uv_triangles), &uv[0, 0], source, make_picture(picture))


def vertex_normals(
    const float[:, ::1] vertices, const int32_t[:, ::1] triangles, double[:, ::1] sums, float[:, ::1] normals
):
    """Fills normals (N,3); sums (N,3) comes zeroed."""
    with nogil:
        kernel_normals(
            &vertices[0, 0], vertices.shape[0], &triangles[0, 0], triangles.shape[0], &sums[0, 0], &normals[0, 0])
