// Random meshes of all nasty kinds, through the public functions of the kernel, until the time is up.
//
// fuzz SECONDS SEED [CASE]: with CASE, that one alone. Each case depends on SEED and its number only.
// Checked: every instruction set and number of threads gives the same bytes; buffers against exact integers where the
// coordinates allow it; painted bytes against the buffers. Arrays have exactly the size that the kernel may touch, so
// that AddressSanitizer sees every step beyond them.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "mesh_maker.h"
#include "truth.h"

namespace {

using namespace fuzz;

std::string current;  // seed and case, for messages

[[noreturn]] void fail(const std::string& what) {
    std::printf("FAILED: %s\n  %s\n", what.c_str(), current.c_str());
    std::fflush(stdout);
    std::abort();
}

// All that one run of the kernel on a case writes.
struct Outputs {
    Array<int32_t> triangle;
    Array<float> barycentric, depth, interpolated, normals, lit;
    Array<float> lit_picture;
    Array<uint8_t> colored, textured;  // the memory of pictures of bytes or of floats
};

// Every NaN becomes the same one: which of two NaNs an addition hands on is the compiler's choice.
template <typename Number>
void same_nan(Array<Number>&) {}
void same_nan(Array<float>& array) {
    for (float& value : array) {
        if (value != value) value = std::numeric_limits<float>::quiet_NaN();
    }
}

template <typename Number>
void compare(Array<Number>& got, Array<Number>& wanted, const std::string& name, const std::string& how) {
    same_nan(got);
    same_nan(wanted);
    if (got.count != wanted.count || std::memcmp(got.begin(), wanted.begin(), got.count * sizeof(Number)) != 0) {
        size_t at = 0;
        while (at < got.count && std::memcmp(got.begin() + at, wanted.begin() + at, sizeof(Number)) == 0) ++at;
        fail(name + " differs with " + how + " at " + std::to_string(at) + ": " + std::to_string(got.begin()[at]) +
             " in place of " + std::to_string(wanted.begin()[at]));
    }
}

Picture picture_of(const Case& mesh, Array<uint8_t>& memory, bool floats, bool upwards) {
    Picture picture = {memory.begin(), mesh.row_bytes, mesh.height, mesh.width, mesh.channels, floats};
    if (upwards) {
        picture.pixels = memory.begin() + mesh.row_bytes * (mesh.height - 1);
        picture.row_stride = -mesh.row_bytes;
    }
    return picture;
}

void draw_buffers(const Case& mesh, int threads, uint8_t garbage, Outputs& out) {
    const size_t pixels = static_cast<size_t>(mesh.height) * mesh.width * mesh.batch;
    out.triangle = Array<int32_t>(pixels, garbage);
    out.barycentric = Array<float>(3 * pixels, garbage);
    out.depth = Array<float>(pixels, garbage);
    const Buffers buffers = {out.triangle.begin(), out.barycentric.begin(), out.depth.begin(), mesh.height, mesh.width};
    const bool done = mesh.batch > 1 ? rasterize_batch(mesh.shape(), buffers, mesh.batch, threads)
                                     : rasterize_buffers(mesh.shape(), buffers, threads);
    if (!done) fail("no memory");
}

void draw_lit_picture(const Case& mesh, int threads, Outputs& out) {
    const std::vector<LitTexture> textures = mesh.lit_textures();
    float linear[256];
    for (int i = 0; i < 256; ++i) linear[i] = static_cast<float>(i) / 255.0f;
    const Lit lit = {mesh.lights.begin(), mesh.shines.begin(), mesh.lit_uv.begin(), mesh.surface.begin(),
                     textures.data(), linear, static_cast<int>(textures.size()), mesh.samples};
    out.lit_picture = Array<float>(mesh.behind);
    const Picture picture = {out.lit_picture.begin(), int64_t{12} * mesh.width, mesh.height, mesh.width, 3, true};
    if (!draw_lit(mesh.shape(), lit, picture, threads)) fail("no memory");
}

Outputs run(const Case& mesh, int threads, uint8_t garbage) {
    Outputs out;
    draw_buffers(mesh, threads, garbage, out);
    const Opacity opacity = {mesh.opacity, mesh.vertex_opacity.count ? mesh.vertex_opacity.begin() : nullptr};
    const Shape shape = mesh.shape();
    if (mesh.channels > 0) {
        draw_lit_picture(mesh, threads, out);
        const size_t pixels = static_cast<size_t>(mesh.height) * mesh.width;
        const Buffers buffers = {out.triangle.begin(), out.barycentric.begin(), nullptr, mesh.height, mesh.width};
        out.colored = Array<uint8_t>(mesh.background);
        out.textured = Array<uint8_t>(mesh.background);
        out.interpolated = Array<float>(pixels * mesh.channels, garbage);
        bool done = paint_colors(shape, mesh.colors.begin(), opacity,
                                 picture_of(mesh, out.colored, mesh.picture_floats, mesh.upwards), threads);
        done &= paint_texture(shape, mesh.texture(), opacity,
                              picture_of(mesh, out.textured, mesh.picture_floats, mesh.upwards), threads);
        if (!done) fail("no memory");
        interpolate(buffers, mesh.triangles.begin(), mesh.colors.begin(), mesh.channels, out.interpolated.begin());
    }
    out.normals = Array<float>(3 * shape.vertex_count, garbage);
    out.lit = Array<float>(3 * shape.vertex_count, garbage);
    if (!vertex_normals(shape, out.normals.begin())) fail("no memory");
    light_vertices(shape, out.normals.begin(), mesh.factors.count ? mesh.factors.begin() : nullptr, mesh.light,
                   out.lit.begin());
    if (!indices_fit(mesh.triangles.begin(), 3 * shape.triangle_count, shape.vertex_count)) fail("indices_fit");
    return out;
}

// The pictures hold NaN as well, among the bytes of floats.
void same_nan_in_floats(const Case& mesh, Array<uint8_t>& memory) {
    if (!mesh.picture_floats) return;
    for (size_t at = 0; at + 4 <= memory.count; at += 4) {
        float value;
        std::memcpy(&value, memory.begin() + at, 4);
        if (value == value) continue;
        value = std::numeric_limits<float>::quiet_NaN();
        std::memcpy(memory.begin() + at, &value, 4);
    }
}

void compare_all(const Case& mesh, Outputs& got, Outputs& wanted, const std::string& how) {
    compare(got.triangle, wanted.triangle, "triangle", how);
    compare(got.barycentric, wanted.barycentric, "barycentric", how);
    compare(got.depth, wanted.depth, "depth", how);
    for (Outputs* outputs : {&got, &wanted}) {
        same_nan_in_floats(mesh, outputs->colored);
        same_nan_in_floats(mesh, outputs->textured);
    }
    compare(got.colored, wanted.colored, "colored", how);
    compare(got.textured, wanted.textured, "textured", how);
    compare(got.lit_picture, wanted.lit_picture, "lit picture", how);
    compare(got.interpolated, wanted.interpolated, "interpolated", how);
    compare(got.normals, wanted.normals, "normals", how);
    compare(got.lit, wanted.lit, "lit", how);
}

uint8_t expected_byte(double was, double color, double opacity) {
    const double level = color > 0.0 ? 255.0 * std::min(color, 1.0) : 0.0;  // not a number: 0
    return static_cast<uint8_t>((opacity == 1.0 ? level : (1.0 - opacity) * was + opacity * level) + 0.5);
}

// Pictures of bytes with one opacity, once more from the buffers; what is beside the picture stays as it was.
void check_painted(const Case& mesh, const Outputs& out) {
    if (mesh.channels == 0 || mesh.picture_floats || mesh.vertex_opacity.count || mesh.batch > 1) return;
    Array<uint8_t> wanted(mesh.background);
    for (int y = 0; y < mesh.height; ++y) {
        for (int x = 0; x < mesh.width; ++x) {
            const int64_t pixel = static_cast<int64_t>(y) * mesh.width + x;
            const int32_t index = out.triangle.begin()[pixel];
            if (index < 0) continue;
            const int row = mesh.upwards ? mesh.height - 1 - y : y;
            for (int channel = 0; channel < mesh.channels; ++channel) {
                double value[3];
                for (int k = 0; k < 3; ++k) {
                    value[k] = mesh.colors.begin()[mesh.triangles.begin()[3 * index + k] * mesh.channels + channel];
                }
                const double second = out.barycentric.begin()[3 * pixel + 1];
                const double third = out.barycentric.begin()[3 * pixel + 2];
                const double color = (value[0] + second * (value[1] - value[0])) + third * (value[2] - value[0]);
                uint8_t& byte = wanted.begin()[row * mesh.row_bytes + x * mesh.channels + channel];
                byte = expected_byte(byte, color, mesh.opacity);
            }
        }
    }
    if (std::memcmp(wanted.begin(), out.colored.begin(), wanted.count) != 0) fail("colours differ from the buffers");
}

// How many pixels of a batch's pictures were compared with exact ones.
int64_t check_truth(const Case& mesh, const Outputs& out) {
    const int64_t pixels = static_cast<int64_t>(mesh.height) * mesh.width;
    if (pixels * mesh.triangle_count > 200000) return 0;
    int64_t compared = 0;
    for (int item = 0; item < mesh.batch; ++item) {
        const Seen seen = {out.triangle.begin() + item * pixels, out.barycentric.begin() + 3 * item * pixels,
                           out.depth.begin() + item * pixels};
        std::string wrong;
        compared += check_against_integers(mesh, item, seen, wrong);
        if (!wrong.empty()) fail(wrong);
    }
    return compared;
}

struct Counts {
    int64_t cases = 0, covered = 0, exact = 0;
};

void run_case(uint64_t seed, uint64_t number, Counts& counts) {
    current = "fuzz 0 " + std::to_string(seed) + " " + std::to_string(number);
    Random random(seed * 0x9e3779b97f4a7c15ULL + number);
    const Case mesh = make_case(random);
    const char* const* sets = instruction_sets();
    use_instruction_set(sets[0]);
    Outputs reference = run(mesh, 1, 0xab);
    for (int set = 0; sets[set]; ++set) {
        use_instruction_set(sets[set]);
        const int threads = random.below(4) + 1;
        Outputs other = run(mesh, threads, 0xcd);
        compare_all(mesh, other, reference, std::string(sets[set]) + ", threads " + std::to_string(threads));
    }
    check_sane(mesh, {reference.triangle.begin(), reference.barycentric.begin(), reference.depth.begin()}, fail);
    check_painted(mesh, reference);
    ++counts.cases;
    counts.exact += check_truth(mesh, reference);
    for (int32_t index : reference.triangle) counts.covered += index >= 0;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

int main(int count, char** arguments) {
    if (count < 3) {
        std::printf("usage: fuzz SECONDS SEED [CASE]\n");
        return 2;
    }
    const double seconds = std::atof(arguments[1]);
    const uint64_t seed = std::strtoull(arguments[2], nullptr, 10);
    Counts counts;
    const auto start = std::chrono::steady_clock::now();
    const auto report = [&] {
        std::printf("%lld cases, %lld covered pixels, %lld pixels compared with integers, %.0f s\n",
                    static_cast<long long>(counts.cases), static_cast<long long>(counts.covered),
                    static_cast<long long>(counts.exact), seconds_since(start));
        std::fflush(stdout);
    };
    if (count > 3) {
        run_case(seed, std::strtoull(arguments[3], nullptr, 10), counts);
        report();
        return 0;
    }
    double reported = 0.0;
    for (uint64_t number = 0; seconds_since(start) < seconds; ++number) {
        run_case(seed, number, counts);
        if (seconds_since(start) - reported > 60.0) {
            reported = seconds_since(start);
            report();
        }
    }
    report();
    return 0;
}
