# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False, cdivision=True
"""Hands arrays to the C++ kernel with the GIL released. Private: checks nothing; the Python modules beside it do."""

from libc.stdint cimport int32_t, int64_t, uint8_t

ctypedef fused Pixel:
    uint8_t
    float

ctypedef fused Texel:
    uint8_t
    float


cdef extern from "kernel/kernel.h" namespace "sim3dr" nogil:
    cdef struct Shape:
        const float* vertices
        const float* w
        const int32_t* triangles
        int64_t vertex_count
        int64_t triangle_count

    cdef struct Buffers:
        int32_t* triangle
        float* barycentric
        float* depth
        int height
        int width

    cdef struct Picture:
        void* pixels
        int64_t row_stride
        int height
        int width
        int channels
        bint floats

    cdef struct Opacity:
        double opacity
        const float* vertex_opacity

    cdef struct Texture:
        const void* texels
        const float* uv
        const int32_t* uv_triangles
        int height
        int width
        bint floats

    cdef struct Light:
        double ambient[3]
        double directional[3]
        double specular[3]
        double light_position[3]
        double view_position[3]
        int specular_exponent

    cdef struct LitTexture:
        const uint8_t* texels
        int height
        int width

    cdef struct Lit:
        const float* light
        const float* shine
        const float* uv
        const uint8_t* surface
        const LitTexture* textures
        const float* linear
        int texture_count
        int samples

    bint kernel_rasterize "sim3dr::rasterize_buffers"(const Shape&, const Buffers&, int) noexcept
    bint kernel_batch "sim3dr::rasterize_batch"(const Shape&, const Buffers&, int64_t, int) noexcept
    bint kernel_colors "sim3dr::paint_colors"(
        const Shape&, const float*, const Opacity&, const Picture&, int) noexcept
    bint kernel_texture "sim3dr::paint_texture"(
        const Shape&, const Texture&, const Opacity&, const Picture&, int) noexcept
    bint kernel_lit "sim3dr::draw_lit"(const Shape&, const Lit&, const Picture&, int) noexcept
    void kernel_interpolate "sim3dr::interpolate"(
        const Buffers&, const int32_t*, const float*, int, float*) noexcept
    bint kernel_normals "sim3dr::vertex_normals"(const Shape&, float*) noexcept
    void kernel_light "sim3dr::light_vertices"(
        const Shape&, const float*, const float*, const Light&, float*) noexcept
    bint kernel_indices_fit "sim3dr::indices_fit"(const int32_t*, int64_t, int64_t) noexcept
    const char* const* kernel_instruction_sets "sim3dr::instruction_sets"() noexcept
    bint kernel_use_instruction_set "sim3dr::use_instruction_set"(const char*) noexcept


cdef inline Shape make_shape(
    const float[:, ::1] vertices, const float[::1] w, const int32_t[:, ::1] triangles
) noexcept:
    cdef Shape shape
    shape.vertices = &vertices[0, 0]
    shape.w = NULL
    if w is not None:
        shape.w = &w[0]
    shape.triangles = &triangles[0, 0]
    shape.vertex_count = vertices.shape[0]
    shape.triangle_count = triangles.shape[0]
    return shape


cdef inline Opacity make_opacity(double opacity, const float[::1] vertex_opacity) noexcept:
    cdef Opacity made
    made.opacity = opacity
    made.vertex_opacity = NULL
    if vertex_opacity is not None:
        made.vertex_opacity = &vertex_opacity[0]
    return made


cdef inline Picture make_picture(Pixel[:, :, :] pixels) noexcept:
    cdef Picture picture
    picture.pixels = &pixels[0, 0, 0]
    picture.row_stride = pixels.strides[0]
    picture.height = <int> pixels.shape[0]
    picture.width = <int> pixels.shape[1]
    picture.channels = <int> pixels.shape[2]
    picture.floats = Pixel is float
    return picture


cdef int raise_without_memory(bint enough) except -1:
    if not enough:
        raise MemoryError("no memory to rasterize with")
    return 0


def rasterize_buffers(
    const float[:, ::1] vertices,
    const float[::1] w,
    const int32_t[:, ::1] triangles,
    int32_t[:, ::1] triangle,
    float[:, :, ::1] barycentric,
    float[:, ::1] depth,
    int threads,
):
    """Fills triangle (H,W), barycentric (H,W,3) and depth (H,W); w may be None."""
    cdef Shape shape = make_shape(vertices, w, triangles)
    cdef Buffers buffers
    cdef bint enough
    buffers.triangle = &triangle[0, 0]
    buffers.barycentric = &barycentric[0, 0, 0]
    buffers.depth = &depth[0, 0]
    buffers.height = <int> triangle.shape[0]
    buffers.width = <int> triangle.shape[1]
    with nogil:
        enough = kernel_rasterize(shape, buffers, threads)
    raise_without_memory(enough)


def rasterize_batch(
    const float[:, :, ::1] vertices,
    const float[:, ::1] w,
    const int32_t[:, ::1] triangles,
    int32_t[:, :, ::1] triangle,
    float[:, :, :, ::1] barycentric,
    float[:, :, ::1] depth,
    int threads,
):
    """As rasterize_buffers, with a leading axis on all but triangles."""
    cdef Shape shape
    cdef Buffers buffers
    cdef int64_t count = vertices.shape[0]
    cdef bint enough
    shape.vertices = &vertices[0, 0, 0]
    shape.w = NULL
    if w is not None:
        shape.w = &w[0, 0]
    shape.triangles = &triangles[0, 0]
    shape.vertex_count = vertices.shape[1]
    shape.triangle_count = triangles.shape[0]
    buffers.triangle = &triangle[0, 0, 0]
    buffers.barycentric = &barycentric[0, 0, 0, 0]
    buffers.depth = &depth[0, 0, 0]
    buffers.height = <int> triangle.shape[1]
    buffers.width = <int> triangle.shape[2]
    with nogil:
        enough = kernel_batch(shape, buffers, count, threads)
    raise_without_memory(enough)


def interpolate(
    const int32_t[:, ::1] triangle,
    const float[:, :, ::1] barycentric,
    const int32_t[:, ::1] triangles,
    const float[:, ::1] attributes,
    float[:, :, ::1] out,
):
    """Fills out (H,W,C) from attributes (N,C)."""
    cdef Buffers buffers
    # The kernel reads these two only.
    buffers.triangle = <int32_t*> &triangle[0, 0]
    buffers.barycentric = <float*> &barycentric[0, 0, 0]
    buffers.depth = NULL
    buffers.height = <int> triangle.shape[0]
    buffers.width = <int> triangle.shape[1]
    with nogil:
        kernel_interpolate(buffers, &triangles[0, 0], &attributes[0, 0], <int> out.shape[2], &out[0, 0, 0])


def paint_colors(
    const float[:, ::1] vertices,
    const float[::1] w,
    const int32_t[:, ::1] triangles,
    const float[:, ::1] colors,
    double opacity,
    const float[::1] vertex_opacity,
    Pixel[:, :, :] picture,
    int threads,
):
    """Draws colors (N,C) onto picture (H,W,C), whose rows may run upwards but are contiguous."""
    cdef Shape shape = make_shape(vertices, w, triangles)
    cdef Opacity made = make_opacity(opacity, vertex_opacity)
    cdef Picture target = make_picture(picture)
    cdef bint enough
    with nogil:
        enough = kernel_colors(shape, &colors[0, 0], made, target, threads)
    raise_without_memory(enough)


def paint_texture(
    const float[:, ::1] vertices,
    const float[::1] w,
    const int32_t[:, ::1] triangles,
    const Texel[:, :, ::1] texture,
    const float[:, ::1] uv,
    const int32_t[:, ::1] uv_triangles,
    double opacity,
    const float[::1] vertex_opacity,
    Pixel[:, :, :] picture,
    int threads,
):
    """Draws texture (h,w,C) at uv (M,2) onto picture (H,W,C)."""
    cdef Shape shape = make_shape(vertices, w, triangles)
    cdef Opacity made = make_opacity(opacity, vertex_opacity)
    cdef Picture target = make_picture(picture)
    cdef Texture source
    cdef bint enough
    source.texels = &texture[0, 0, 0]
    source.uv = &uv[0, 0]
    source.uv_triangles = &uv_triangles[0, 0]
    source.height = <int> texture.shape[0]
    source.width = <int> texture.shape[1]
    source.floats = Texel is float
    with nogil:
        enough = kernel_texture(shape, source, made, target, threads)
    raise_without_memory(enough)


def draw_lit(
    const float[:, ::1] vertices,
    const float[::1] w,
    const int32_t[:, ::1] triangles,
    const float[:, ::1] light,
    const float[:, ::1] shine,
    const float[:, ::1] uv,
    const uint8_t[::1] surface,
    list textures,
    const float[::1] linear,
    int samples,
    float[:, :, ::1] picture,
    int threads,
):
    """Draws the mesh onto picture (H,W,3); textures: up to 256 arrays (h,w,4) uint8; linear (256,)."""
    cdef Shape shape = make_shape(vertices, w, triangles)
    cdef Picture target = make_picture[float](picture)
    cdef LitTexture sources[256]
    cdef const uint8_t[:, :, ::1] texels
    cdef Lit lit
    cdef int number
    cdef bint enough
    for number, texels in enumerate(textures):
        sources[number].texels = &texels[0, 0, 0]
        sources[number].height = <int> texels.shape[0]
        sources[number].width = <int> texels.shape[1]
    lit.light = &light[0, 0]
    lit.shine = &shine[0, 0]
    lit.uv = &uv[0, 0]
    lit.surface = &surface[0]
    lit.textures = sources
    lit.linear = &linear[0]
    lit.texture_count = <int> len(textures)
    lit.samples = samples
    with nogil:
        enough = kernel_lit(shape, lit, target, threads)
    raise_without_memory(enough)


def vertex_normals(const float[:, ::1] vertices, const int32_t[:, ::1] triangles, float[:, ::1] normals):
    """Fills normals (N,3)."""
    cdef Shape shape = make_shape(vertices, None, triangles)
    cdef bint enough
    with nogil:
        enough = kernel_normals(shape, &normals[0, 0])
    raise_without_memory(enough)


def light_vertices(
    const float[:, ::1] vertices,
    const float[:, ::1] normals,
    const float[:, ::1] texture,
    const double[:, ::1] light,
    int specular_exponent,
    float[:, ::1] colors,
):
    """Fills colors (N,3); light (5,3): ambient, directional, specular, positions of the light and the viewer."""
    cdef Shape shape
    cdef Light made
    cdef const float* factors = NULL
    cdef int axis
    shape.vertices = &vertices[0, 0]
    shape.w = NULL
    shape.triangles = NULL
    shape.vertex_count = vertices.shape[0]
    shape.triangle_count = 0
    if texture is not None:
        factors = &texture[0, 0]
    for axis in range(3):
        made.ambient[axis] = light[0, axis]
        made.directional[axis] = light[1, axis]
        made.specular[axis] = light[2, axis]
        made.light_position[axis] = light[3, axis]
        made.view_position[axis] = light[4, axis]
    made.specular_exponent = specular_exponent
    with nogil:
        kernel_light(shape, &normals[0, 0], factors, made, &colors[0, 0])


def indices_fit(const int32_t[:, ::1] indices, int64_t vertex_count):
    """Whether all indices are in 0..vertex_count - 1."""
    cdef bint fit
    with nogil:
        fit = kernel_indices_fit(&indices[0, 0], indices.shape[0] * indices.shape[1], vertex_count)
    return fit


def instruction_sets():
    """Names of the instruction sets that this machine has, best first, which is the one in use at the start."""
    cdef const char* const* names = kernel_instruction_sets()
    cdef int count = 0
    found = []
    while names[count] != NULL:
        found.append(names[count].decode("ascii"))
        count += 1
    return found


def use_instruction_set(str name):
    """Computes with another instruction set from now on, for tests: the results are the same bytes."""
    encoded = name.encode("ascii")
    if not kernel_use_instruction_set(encoded):
        raise ValueError(f"name: wanted one of {', '.join(instruction_sets())}, got {name}")
