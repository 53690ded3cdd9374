#include "rasterize_kernel.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace sim3dr {
namespace {

// Half a unit in the last place of 1.0: the relative error of one double operation.
constexpr double ROUNDING = 1.1102230246251565e-16;
// A weight that spans less than this share of the triangle's bounding box is evaluated exactly: above it, plain doubles
// are good to a relative 8 * ROUNDING / SMALL_SHARE = 1e-9, far below the float32 that is stored.
constexpr double SMALL_SHARE = 1e-6;

struct Point {
    double x, y;
};

// The sum of six doubles, exact but for one last rounding, so that its sign is always right. Keeps the partial sums as
// non-overlapping doubles of rising size; the two-sum step is exact in round-to-nearest arithmetic.
double exact_sum(const double (&terms)[6]) {
    double parts[6];
    int count = 0;
    for (double sum : terms) {
        int kept = 0;
        for (int i = 0; i < count; ++i) {
            const double total = sum + parts[i];
            const double share = total - sum;
            const double lost = (sum - (total - share)) + (parts[i] - share);
            if (lost != 0.0) parts[kept++] = lost;
            sum = total;
        }
        parts[kept++] = sum;
        count = kept;
    }
    double result = 0.0;
    for (int i = 0; i < count; ++i) result += parts[i];
    return result;
}

// Twice the signed area of (a, b, p). The coordinates are float32 numbers or pixel indices, so every product of two of
// them fits a double without rounding, however large or small they are.
double exact_area(Point a, Point b, Point p) {
    return exact_sum({a.x * b.y, -(a.y * b.x), p.x * a.y, -(p.x * b.y), p.y * b.x, -(p.y * a.x)});
}

// The half-plane to one side of a triangle's edge, a * x + b * y + c > 0 inside.
class Edge {
public:
    // box_area: that of the triangle's bounding box; width and height: the picture's.
    Edge(Point from, Point to, double box_area, int width, int height)
        : from_(from), to_(to), small_(SMALL_SHARE * box_area) {
        a_ = from.y - to.y;
        b_ = to.x - from.x;
        const double first = from.x * to.y;
        const double second = from.y * to.x;
        c_ = first - second;
        // Seven roundings at most lie between the coordinates and the value, each of a term no larger than this sum.
        bound_ = 8.0 * ROUNDING *
                 (std::fabs(a_) * width + std::fabs(b_) * height + std::fabs(first) + std::fabs(second));
        inverse_a_ = 1.0 / a_;
        // Pixels on a left edge (inside is to its right) or on a top edge (inside is below it) belong to the triangle.
        owns_line_ = a_ > 0.0 || (a_ == 0.0 && b_ > 0.0);
    }

    // Narrows the pixels first..last of row y to those inside. The half-plane meets a row in one run, which is found
    // from a guess in doubles and then settled by exact tests.
    void clip_row(int y, int& first, int& last) const {
        if (first > last) return;
        const double row = b_ * y + c_;
        if (a_ == 0.0) {
            if (!inside(first, y, row)) last = first - 1;
            return;
        }
        // Pixels before the border are on one side, those from it on are on the other one.
        const bool rising = a_ > 0.0;
        int low = first, high = last + 1;  // the border is one of low..high
        const double guess = std::min(std::max(std::ceil(-row * inverse_a_), low + 0.0), high + 0.0);
        const auto test = [&](int x) {
            if (x < low || x >= high) return;
            if (inside(x, y, row) == rising) {
                high = x;
            } else {
                low = x + 1;
            }
        };
        // These two tests leave nothing open if the guess is right, as it nearly always is.
        test(static_cast<int>(guess));
        test(static_cast<int>(guess) - 1);
        while (low < high) test(low + (high - low) / 2);
        if (rising) {
            first = low;
        } else {
            last = low - 1;
        }
    }

    // Twice the area that the edge and a covered pixel span: never negative, and with a small relative error. Reckoned
    // from the edge's own end, so that no digits are lost to where in the picture it lies.
    double weight(int x, int y) const {
        const double value = b_ * (y - from_.y) + a_ * (x - from_.x);
        return value < small_ ? exact_value(x, y) : value;
    }

private:
    double exact_value(double x, double y) const { return exact_area(from_, to_, {x, y}); }

    bool inside(int x, int y, double row) const {
        double value = a_ * x + row;
        if (std::fabs(value) <= bound_) {
            value = exact_value(x, y);
            if (value == 0.0) return owns_line_;
        }
        return value > 0.0;
    }

    Point from_, to_;
    double a_, b_, c_, bound_, inverse_a_, small_;
    bool owns_line_;
};

struct Corners {
    Point point[3];
    double z[3];
    double inverse_w[3];
};

// False where the triangle is to be dropped: a coordinate that is not finite, or a corner not in front of the camera.
bool load_corners(const float* vertices, const float* w, const int32_t* triangle, Corners& corners) {
    for (int k = 0; k < 3; ++k) {
        const float* vertex = vertices + 3 * static_cast<int64_t>(triangle[k]);
        if (!std::isfinite(vertex[0]) || !std::isfinite(vertex[1]) || !std::isfinite(vertex[2])) return false;
        corners.point[k] = {vertex[0], vertex[1]};
        corners.z[k] = vertex[2];
        if (w) {
            const float distance = w[triangle[k]];
            if (!std::isfinite(distance) || !(distance > 0.0f)) return false;
            corners.inverse_w[k] = 1.0 / distance;
        }
    }
    return true;
}

// Barycentric weights, which sum to one, in place of the edges' three areas.
void normalise_weights(double (&weights)[3], const Corners& corners, bool perspective) {
    double sum = 0.0;
    for (int k = 0; k < 3; ++k) {
        if (perspective) weights[k] *= corners.inverse_w[k];
        sum += weights[k];
    }
    const double scale = 1.0 / sum;
    for (double& weight : weights) weight *= scale;
}

void draw_triangle(int32_t index, const Corners& corners, bool perspective, const Buffers& buffers) {
    const Point* p = corners.point;
    const double min_x = std::min({p[0].x, p[1].x, p[2].x}), max_x = std::max({p[0].x, p[1].x, p[2].x});
    const double min_y = std::min({p[0].y, p[1].y, p[2].y}), max_y = std::max({p[0].y, p[1].y, p[2].y});
    // Compared as doubles before anything becomes an int, so that no coordinate is too large.
    const double left = std::max(std::ceil(min_x), 0.0), right = std::min(std::floor(max_x), buffers.width - 1.0);
    const double top = std::max(std::ceil(min_y), 0.0), bottom = std::min(std::floor(max_y), buffers.height - 1.0);
    if (left > right || top > bottom) return;

    const double area = exact_area(p[0], p[1], p[2]);
    if (area == 0.0) return;
    // Edge k lies opposite corner k and runs so that the triangle is on its positive side.
    const auto edge = [&](int from, int to) {
        if (area < 0.0) std::swap(from, to);
        return Edge(p[from], p[to], (max_x - min_x) * (max_y - min_y), buffers.width, buffers.height);
    };
    const Edge edges[3] = {edge(1, 2), edge(2, 0), edge(0, 1)};

    for (int y = static_cast<int>(top); y <= static_cast<int>(bottom); ++y) {
        int first = static_cast<int>(left), last = static_cast<int>(right);
        for (const Edge& side : edges) side.clip_row(y, first, last);
        for (int x = first; x <= last; ++x) {
            double weights[3] = {edges[0].weight(x, y), edges[1].weight(x, y), edges[2].weight(x, y)};
            normalise_weights(weights, corners, perspective);
            const auto depth = static_cast<float>(weights[0] * corners.z[0] + weights[1] * corners.z[1] +
                                                  weights[2] * corners.z[2]);
            const int64_t pixel = static_cast<int64_t>(y) * buffers.width + x;
            // Strictly nearer: among equals the first triangle stays.
            if (depth > buffers.depth[pixel]) {
                buffers.depth[pixel] = depth;
                buffers.triangle[pixel] = index;
                for (int k = 0; k < 3; ++k) buffers.barycentric[3 * pixel + k] = static_cast<float>(weights[k]);
            }
        }
    }
}

// Calls draw(row, column, corner indices, weights) for every covered pixel.
template <typename Draw>
void for_each_covered(const Coverage& coverage, Draw draw) {
    for (int y = 0; y < coverage.height; ++y) {
        const int64_t row = static_cast<int64_t>(y) * coverage.width;
        for (int x = 0; x < coverage.width; ++x) {
            const int32_t index = coverage.triangle[row + x];
            if (index >= 0) {
                draw(y, x, coverage.triangles + 3 * static_cast<int64_t>(index), coverage.barycentric + 3 * (row + x));
            }
        }
    }
}

// One channel of a per-vertex array (N, channels) under the three weights. Taken from the first corner's value on, so
// that equal values come back exactly although the stored weights sum to 1 only up to rounding.
double blend(const float* values, int channels, int channel, const int32_t* corners, const float* weights) {
    const double base = values[static_cast<int64_t>(corners[0]) * channels + channel];
    double sum = base;
    for (int k = 1; k < 3; ++k) {
        sum += weights[k] * (values[static_cast<int64_t>(corners[k]) * channels + channel] - base);
    }
    return sum;
}

// To 0..255, rounded to the nearest; what is not a number fails the first comparison and becomes 0.
uint8_t to_byte(double value) {
    if (!(value > 0.0)) return 0;
    return value >= 255.0 ? 255 : static_cast<uint8_t>(value + 0.5);
}

// Where a texture coordinate in texels falls: two neighbours and the share of the second. Beyond the outermost texel
// centres, and for NaN, the border texel.
struct Tap {
    int first, second;
    double share;
};
Tap locate(double position, int size) {
    const double clamped = position > 0.0 ? std::min(position, size - 1.0) : 0.0;
    const int first = static_cast<int>(clamped);
    return {first, std::min(first + 1, size - 1), clamped - first};
}

template <typename Texel>
void paint_texture_of(const Coverage& coverage, const float* uv, const Texture<Texel>& texture,
                      const Picture& picture) {
    const int channels = picture.channels;
    const auto texel = [&](int row, int column, int channel) {
        return static_cast<double>(
            texture.texels[(static_cast<int64_t>(row) * texture.width + column) * channels + channel]);
    };
    for_each_covered(coverage, [&](int y, int x, const int32_t* corners, const float* weights) {
        const Tap across = locate(blend(uv, 2, 0, corners, weights) * texture.width - 0.5, texture.width);
        const Tap down = locate((1.0 - blend(uv, 2, 1, corners, weights)) * texture.height - 0.5, texture.height);
        uint8_t* pixel = picture.pixels + y * picture.row_stride + static_cast<int64_t>(x) * channels;
        for (int channel = 0; channel < channels; ++channel) {
            const double upper = (1.0 - across.share) * texel(down.first, across.first, channel) +
                                 across.share * texel(down.first, across.second, channel);
            const double lower = (1.0 - across.share) * texel(down.second, across.first, channel) +
                                 across.share * texel(down.second, across.second, channel);
            pixel[channel] = to_byte(texture.scale * ((1.0 - down.share) * upper + down.share * lower));
        }
    });
}

}  // namespace

void rasterize_buffers(const float* vertices, const float* w, const int32_t* triangles, int64_t triangle_count,
                       const Buffers& buffers) noexcept {
    const int64_t pixels = static_cast<int64_t>(buffers.height) * buffers.width;
    std::fill_n(buffers.triangle, pixels, -1);
    std::fill_n(buffers.barycentric, 3 * pixels, 0.0f);
    std::fill_n(buffers.depth, pixels, -std::numeric_limits<float>::infinity());
    Corners corners = {};
    for (int64_t index = 0; index < triangle_count; ++index) {
        if (load_corners(vertices, w, triangles + 3 * index, corners)) {
            draw_triangle(static_cast<int32_t>(index), corners, w != nullptr, buffers);
        }
    }
}

void interpolate(const Coverage& coverage, const float* attributes, int channels, float* out) noexcept {
    std::fill_n(out, static_cast<int64_t>(coverage.height) * coverage.width * channels, 0.0f);
    for_each_covered(coverage, [&](int y, int x, const int32_t* corners, const float* weights) {
        float* pixel = out + (static_cast<int64_t>(y) * coverage.width + x) * channels;
        for (int channel = 0; channel < channels; ++channel) {
            pixel[channel] = static_cast<float>(blend(attributes, channels, channel, corners, weights));
        }
    });
}

void paint_colors(const Coverage& coverage, const float* colors, const Picture& picture) noexcept {
    const int channels = picture.channels;
    for_each_covered(coverage, [&](int y, int x, const int32_t* corners, const float* weights) {
        uint8_t* pixel = picture.pixels + y * picture.row_stride + static_cast<int64_t>(x) * channels;
        for (int channel = 0; channel < channels; ++channel) {
            pixel[channel] = to_byte(255.0 * blend(colors, channels, channel, corners, weights));
        }
    });
}

void paint_texture(const Coverage& coverage, const float* uv, const Texture<float>& texture,
                   const Picture& picture) noexcept {
    paint_texture_of(coverage, uv, texture, picture);
}

void paint_texture(const Coverage& coverage, const float* uv, const Texture<uint8_t>& texture,
                   const Picture& picture) noexcept {
    paint_texture_of(coverage, uv, texture, picture);
}

void vertex_normals(const float* vertices, int64_t vertex_count, const int32_t* triangles, int64_t triangle_count,
                    double* sums, float* normals) noexcept {
    for (int64_t index = 0; index < triangle_count; ++index) {
        const int32_t* triangle = triangles + 3 * index;
        double first[3], second[3];
        for (int axis = 0; axis < 3; ++axis) {
            const double origin = vertices[3 * static_cast<int64_t>(triangle[0]) + axis];
            first[axis] = vertices[3 * static_cast<int64_t>(triangle[1]) + axis] - origin;
            second[axis] = vertices[3 * static_cast<int64_t>(triangle[2]) + axis] - origin;
        }
        const double normal[3] = {first[1] * second[2] - first[2] * second[1],
                                  first[2] * second[0] - first[0] * second[2],
                                  first[0] * second[1] - first[1] * second[0]};
        // Not finite exactly where a coordinate is not: float32 coordinates cannot make these products overflow.
        if (!std::isfinite(normal[0] + normal[1] + normal[2])) continue;
        for (int k = 0; k < 3; ++k) {
            for (int axis = 0; axis < 3; ++axis) sums[3 * static_cast<int64_t>(triangle[k]) + axis] += normal[axis];
        }
    }
    for (int64_t index = 0; index < vertex_count; ++index) {
        const double* sum = sums + 3 * index;
        const double length = std::sqrt(sum[0] * sum[0] + sum[1] * sum[1] + sum[2] * sum[2]);
        for (int axis = 0; axis < 3; ++axis) {
            normals[3 * index + axis] = length > 0.0 ? static_cast<float>(sum[axis] / length) : 0.0f;
        }
    }
}

}  // namespace sim3dr
