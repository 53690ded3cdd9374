#include "kernel.h"

#include <algorithm>
#include <atomic>
#include <cfenv>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <new>
#include <thread>
#include <vector>

#include "mesh.h"

namespace sim3dr {
namespace {

// Room to draw in. A thread that calls keeps its own for its next call: memory that comes fresh from the system costs
// more, page by page, than drawing into it. What is larger than KEPT is given back.
class Scratch {
public:
    static constexpr int64_t KEPT = int64_t{64} << 20;

    ~Scratch() { std::free(memory_); }
    char* room(int64_t bytes) {
        if (bytes > size_) {
            give_back();
            memory_ = static_cast<char*>(std::malloc(static_cast<size_t>(bytes)));
            if (!memory_) throw std::bad_alloc();
            size_ = bytes;
        }
        return memory_;
    }
    void give_back() {
        std::free(memory_);
        memory_ = nullptr;
        size_ = 0;
    }
    void end_call() {
        if (size_ > KEPT) give_back();
    }

private:
    char* memory_ = nullptr;
    int64_t size_ = 0;
};
thread_local Scratch points_scratch, colors_scratch, canvas_scratch;

struct EndOfCall {
    ~EndOfCall() {
        for (Scratch* scratch : {&points_scratch, &colors_scratch, &canvas_scratch}) scratch->end_call();
    }
};

// Calls work(0) ... work(count - 1), spread over threads that live no longer than this call.
template <typename Work>
void in_parallel(int64_t count, int threads, const Work& work) {
    std::atomic<int64_t> next{0};
    std::atomic<bool> failed{false};
    const auto run = [&] {
        try {
            for (int64_t item = next++; item < count; item = next++) work(item);
        } catch (...) {  // nothing but std::bad_alloc is thrown here
            failed = true;
        }
    };
    std::vector<std::thread> helpers;
    try {
        for (int64_t i = 1; i < std::min<int64_t>(threads, count); ++i) helpers.emplace_back(run);
    } catch (const std::exception&) {
        // No more threads to be had, or no memory for them: those that run do the work.
    }
    run();
    for (std::thread& helper : helpers) helper.join();
    if (failed) throw std::bad_alloc();
}

// The pixels of the picture that the mesh may cover; empty if right < left or bottom < top.
Canvas canvas_for(const Box& box, int height, int width) {
    Canvas canvas = {};
    canvas.right = width - 1, canvas.bottom = height - 1;
    if (box.low[3] < 0.0f) return canvas;  // what reaches behind the camera may be anywhere
    // Compared as doubles before anything becomes an int, so that no coordinate is too large.
    canvas.left = static_cast<int>(std::min(std::max(std::ceil(0.0 + box.low[0]), 0.0), width + 0.0));
    canvas.top = static_cast<int>(std::min(std::max(std::ceil(0.0 + box.low[1]), 0.0), height + 0.0));
    canvas.right = static_cast<int>(std::max(std::min(std::floor(0.0 + box.high[0]), width - 1.0), -1.0));
    canvas.bottom = static_cast<int>(std::max(std::min(std::floor(0.0 + box.high[1]), height - 1.0), -1.0));
    return canvas;
}

// How many rows to draw at once: few enough for the canvas to stay in a core's own cache and for each thread to have
// some bands, but so many that batches of triangles are not set up again in band after band. row_bytes: of the canvas.
int rows_of_band(const std::vector<Span>& spans, int64_t row_bytes, int rows, int threads) {
    constexpr int CACHED_BYTES = 1 << 19, BANDS_OF_THREAD = 4;
    int height = std::max(8, static_cast<int>(CACHED_BYTES / row_bytes));
    const auto repeated = [&] {
        int64_t visits = 0;
        for (const Span& span : spans) visits += 1 + std::max(span.bottom - span.top, 0) / height;
        return visits > static_cast<int64_t>(spans.size() + spans.size() / 2);
    };
    while (height < rows && repeated()) height *= 2;
    if (threads > 1) height = std::min(height, std::max(8, rows / (BANDS_OF_THREAD * threads)));
    return std::min(height, rows);
}

// What a picture is drawn for: its pixels are blocks of samples x samples of the canvas, none of which lies in two
// bands; weights: whether finish wants them; holes: null where there are none.
struct Purpose {
    int samples;
    bool weights;
    const Holes* holes;
};
constexpr Purpose USUAL = {1, true, nullptr};

// Draws a mesh band by band and hands each band to finish(functions, band). Rows above and below the mesh belong to the
// nearest one. height and width: the picture's, in samples.
template <typename Finish>
void draw_bands(const Shape& shape, int height, int width, const Purpose& purpose, int threads, const Finish& finish) {
    const Functions& use = functions();
    auto* points = reinterpret_cast<float*>(points_scratch.room(16 * shape.vertex_count + 16));
    Box box;
    use.load_points(shape, purpose.samples, points, box);
    const Mesh mesh = {points, shape.triangles, shape.triangle_count, height, width, shape.w != nullptr, box.lattice,
                       purpose.holes};
    Canvas whole = canvas_for(box, height, width);
    if (whole.left > whole.right || whole.top > whole.bottom || shape.triangle_count == 0) {
        whole.left = whole.top = 0, whole.right = whole.bottom = -1;
        finish(use, Band{whole, 0, height - 1, points});
        return;
    }
    std::vector<Span> spans((shape.triangle_count + BATCH - 1) / BATCH);
    use.find_spans(mesh, spans.data());
    const int grain = purpose.samples;
    whole.left -= whole.left % grain, whole.right += grain - 1 - whole.right % grain;
    whole.top -= whole.top % grain, whole.bottom += grain - 1 - whole.bottom % grain;
    const int rows = whole.bottom - whole.top + 1, cell_bytes = purpose.weights ? 16 : 8;
    whole.stride = whole.right - whole.left + 1 + SPARE_COLUMNS;
    int band_rows = rows_of_band(spans, cell_bytes * whole.stride, rows, threads);
    band_rows += (grain - band_rows % grain) % grain;
    const int64_t cells = (band_rows + SPARE_ROWS) * whole.stride;
    in_parallel((rows + band_rows - 1) / band_rows, threads, [&](int64_t part) {
        Canvas canvas = whole;
        canvas.top = whole.top + static_cast<int>(part) * band_rows;
        canvas.bottom = std::min(canvas.top + band_rows - 1, whole.bottom);
        canvas.keys = reinterpret_cast<int64_t*>(canvas_scratch.room(cell_bytes * cells));
        if (purpose.weights) {
            canvas.second = reinterpret_cast<float*>(canvas.keys + cells), canvas.third = canvas.second + cells;
        }
        std::fill_n(canvas.keys, (canvas.bottom - canvas.top + 1) * canvas.stride, EMPTY);
        use.draw(mesh, spans.data(), canvas);
        finish(use, Band{canvas, canvas.top == whole.top ? 0 : canvas.top,
                         canvas.bottom == whole.bottom ? height - 1 : canvas.bottom, points});
    });
}

// The arithmetic that the promises are about, whatever the caller has chosen: subnormal numbers count, and results are
// rounded to the nearest. Threads inherit it from the one that starts them.
class UsualArithmetic {
public:
    UsualArithmetic() {
        std::fegetenv(&before_);
        std::fesetenv(FE_DFL_ENV);
    }
    ~UsualArithmetic() { std::fesetenv(&before_); }

private:
    std::fenv_t before_;
};

// Does the work of one call; false if there is no memory for it.
template <typename Work>
bool call(const Work& work) noexcept {
    const UsualArithmetic arithmetic;
    const EndOfCall end;
    try {
        work();
        return true;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

}  // namespace

bool rasterize_buffers(const Shape& shape, const Buffers& buffers, int threads) noexcept {
    return call([&] {
        draw_bands(shape, buffers.height, buffers.width, USUAL, threads,
                   [&](const Functions& use, const Band& band) {
                       use.write_buffers(band, buffers);
                   });
    });
}

bool rasterize_batch(const Shape& shape, const Buffers& buffers, int64_t count, int threads) noexcept {
    const int64_t pixels = static_cast<int64_t>(buffers.height) * buffers.width;
    return call([&] {
        in_parallel(count, threads, [&](int64_t item) {
            Shape one = shape;
            one.vertices += 3 * item * shape.vertex_count;
            if (shape.w) one.w += item * shape.vertex_count;
            Buffers picture = buffers;
            picture.triangle += item * pixels;
            picture.barycentric += 3 * item * pixels;
            picture.depth += item * pixels;
            draw_bands(one, buffers.height, buffers.width, USUAL, 1,
                       [&](const Functions& use, const Band& band) {
                           use.write_buffers(band, picture);
                       });
        });
    });
}

bool paint_colors(const Shape& shape, const float* values, const Opacity& opacity, const Picture& picture,
                  int threads) noexcept {
    return call([&] {
        Colors colors = {values, nullptr};
        if (!picture.floats && picture.channels == 3 && opacity.opacity == 1.0 && !opacity.vertex_opacity) {
            auto* padded = reinterpret_cast<float*>(colors_scratch.room(16 * shape.vertex_count + 16));
            functions().pad_rows(values, shape.vertex_count, padded);
            colors.padded = padded;
        }
        draw_bands(shape, picture.height, picture.width, USUAL, threads,
                   [&](const Functions& use, const Band& band) {
                       use.paint_colors(band, shape, colors, opacity, picture);
                   });
    });
}

bool paint_texture(const Shape& shape, const Texture& texture, const Opacity& opacity, const Picture& picture,
                   int threads) noexcept {
    return call([&] {
        draw_bands(shape, picture.height, picture.width, USUAL, threads,
                   [&](const Functions& use, const Band& band) {
                       use.paint_texture(band, shape, texture, opacity, picture);
                   });
    });
}

bool draw_lit(const Shape& shape, const Lit& lit, const Picture& picture, int threads) noexcept {
    return call([&] {
        auto* looks = reinterpret_cast<float*>(colors_scratch.room(32 * shape.vertex_count + 32));
        functions().pad_looks(lit, shape.vertex_count, looks);
        Holes holes = {&lit, false, {}};
        for (int i = 0; i < lit.texture_count; ++i) {
            holes.of[i] = functions().has_holes(lit.textures[i]);
            holes.any |= holes.of[i];
        }
        const Purpose purpose = {lit.samples, false, holes.any ? &holes : nullptr};
        draw_bands(shape, lit.samples * picture.height, lit.samples * picture.width, purpose, threads,
                   [&](const Functions& use, const Band& band) {
                       use.paint_lit(band, shape, lit, looks, picture);
                   });
    });
}

void interpolate(const Buffers& buffers, const int32_t* triangles, const float* attributes, int channels,
                 float* out) noexcept {
    const UsualArithmetic arithmetic;
    functions().interpolate(buffers, triangles, attributes, channels, out);
}

bool vertex_normals(const Shape& shape, float* normals) noexcept {
    return call([&] {
        auto* sums = reinterpret_cast<double*>(points_scratch.room(32 * shape.vertex_count + 32));
        std::fill_n(sums, 4 * shape.vertex_count, 0.0);
        functions().sum_normals(shape, sums, normals);
    });
}

void light_vertices(const Shape& shape, const float* normals, const float* texture, const Light& light,
                    float* colors) noexcept {
    const UsualArithmetic arithmetic;
    functions().light_vertices(shape, normals, texture, light, colors);
}

bool indices_fit(const int32_t* indices, int64_t count, int64_t vertex_count) noexcept {
    return functions().indices_fit(indices, count, vertex_count);
}

}  // namespace sim3dr
