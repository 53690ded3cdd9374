#include "exact.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "mesh.h"

namespace sim3dr {
namespace {

// A weight that spans less than this share of the reach of its edge is evaluated exactly: above it, plain doubles are
// good to a relative 8 * ROUNDING / SMALL_SHARE = 1e-9, far below the float32 that is stored.
constexpr double SMALL_SHARE = 1e-6;

// Pixels on a left edge (inside is to its right) or on a top edge (inside is below it) belong to the triangle.
bool owns_line(double across, double down) { return across > 0.0 || (across == 0.0 && down > 0.0); }

// The half-plane to one side of a triangle's edge, a * x + b * y + c > 0 inside.
class Edge {
public:
    // reach: the size of the box that holds the triangle and all pixels that are asked about, width times height;
    // width and height: the picture's.
    Edge(Point from, Point to, double reach, int width, int height)
        : from_(from), to_(to), small_(SMALL_SHARE * reach) {
        a_ = from.y - to.y;
        b_ = to.x - from.x;
        const double first = from.x * to.y;
        const double second = from.y * to.x;
        c_ = first - second;
        // Seven roundings at most lie between the coordinates and the value, each of a term no larger than this sum.
        bound_ = 8.0 * ROUNDING *
                 (std::fabs(a_) * width + std::fabs(b_) * height + std::fabs(first) + std::fabs(second));
        inverse_a_ = 1.0 / a_;
        owns_line_ = owns_line(a_, b_);
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
        return value < small_ ? exact_area(from_, to_, {x + 0.0, y + 0.0}) : value;
    }

private:
    bool inside(int x, int y, double row) const {
        double value = a_ * x + row;
        if (std::fabs(value) <= bound_) {
            value = exact_area(from_, to_, {x + 0.0, y + 0.0});
            if (value == 0.0) return owns_line_;
        }
        return value > 0.0;
    }

    Point from_, to_;
    double a_, b_, c_, bound_, inverse_a_, small_;
    bool owns_line_;
};

// The corners of a triangle: x, y, z, w.
using Corners = std::array<const float*, 3>;
Corners corners_of(const Mesh& mesh, int32_t index) {
    const int32_t* corners = mesh.triangles + 3 * static_cast<int64_t>(index);
    const auto point = [&](int k) { return mesh.points + 4 * static_cast<int64_t>(corners[k]); };
    return {point(0), point(1), point(2)};
}

Point point_of(const float* p) { return {p[0], p[1]}; }

// Shows a pixel of the triangle, unless something nearer is there. weights: not yet divided by their sum.
void put(const Canvas& canvas, int64_t offset, int32_t index, double (&weights)[3], const Corners& p,
         const Cutout& cutout) {
    const double sum = weights[0] + weights[1] + weights[2];
    for (double& weight : weights) weight /= sum;
    const double depth = weights[0] * p[0][2] + weights[1] * p[1][2] + weights[2] * p[2][2];
    const int64_t key = key_of(static_cast<float>(depth), index);
    if (key > canvas.keys[offset]) {
        if (cutout.texture.texels && is_open(cutout, weights[1], weights[2])) return;
        canvas.keys[offset] = key;
        if (!canvas.second) return;
        canvas.second[offset] = static_cast<float>(weights[1]);
        canvas.third[offset] = static_cast<float>(weights[2]);
    }
}

// The pixels that a triangle can cover. One that reaches behind the camera has no box of its own.
struct Region {
    double left, top, right, bottom;
    bool empty() const { return left > right || top > bottom; }
};
Region region_of(const Corners& p, const Canvas& canvas, bool whole) {
    Region region = {canvas.left + 0.0, canvas.top + 0.0, canvas.right + 0.0, canvas.bottom + 0.0};
    if (!whole) {
        // Compared as doubles before anything becomes an int, so that no coordinate is too large.
        region.left = std::max(region.left, std::ceil(0.0 + std::min({p[0][0], p[1][0], p[2][0]})));
        region.top = std::max(region.top, std::ceil(0.0 + std::min({p[0][1], p[1][1], p[2][1]})));
        region.right = std::min(region.right, std::floor(0.0 + std::max({p[0][0], p[1][0], p[2][0]})));
        region.bottom = std::min(region.bottom, std::floor(0.0 + std::max({p[0][1], p[1][1], p[2][1]})));
    }
    return region;
}

// Width times height of the box round the triangle and, if `whole`, the picture.
double reach_of(const Corners& p, const Mesh& mesh, bool whole) {
    double reach = 1.0;
    for (int axis = 0; axis < 2; ++axis) {
        double low = std::min({p[0][axis], p[1][axis], p[2][axis]});
        double high = std::max({p[0][axis], p[1][axis], p[2][axis]});
        if (whole) {
            low = std::min(low, 0.0);
            high = std::max(high, axis == 0 ? mesh.width + 0.0 : mesh.height + 0.0);
        }
        reach *= high - low;
    }
    return reach;
}

}  // namespace

// What lies in front of the camera of a triangle with corners behind it: with E_k the edge function opposite corner k
// in the picture, a point of its plane has the weights (E_k / w_k) / S, S = sum_j (E_j / w_j), and lies at the distance
// (sum_j E_j) / S. That all weights and the distance are positive means that every E_k has the sign of the area times
// that of w_k: the edges opposite to corners behind the camera change sides, and nothing needs to be cut.
void draw_exactly(const Mesh& mesh, const Canvas& canvas, int32_t index) {
    const Corners p = corners_of(mesh, index);
    if (p[0][3] == 0.0f || p[1][3] == 0.0f || p[2][3] == 0.0f) return;
    const int behind = (p[0][3] < 0.0f) + (p[1][3] < 0.0f) + (p[2][3] < 0.0f);
    if (behind == 3) return;
    const Region region = region_of(p, canvas, behind > 0);
    if (region.empty()) return;
    const double area = exact_area(point_of(p[0]), point_of(p[1]), point_of(p[2]));
    if (area == 0.0) return;

    const Cutout cutout = mesh.cutout_of(index);
    const double reach = reach_of(p, mesh, behind > 0);
    const auto edge = [&](int corner) {
        int from = (corner + 1) % 3, to = (corner + 2) % 3;
        if ((area < 0.0) != (p[corner][3] < 0.0f)) std::swap(from, to);
        return Edge(point_of(p[from]), point_of(p[to]), reach, mesh.width, mesh.height);
    };
    const Edge edges[3] = {edge(0), edge(1), edge(2)};
    for (int y = static_cast<int>(region.top); y <= static_cast<int>(region.bottom); ++y) {
        int first = static_cast<int>(region.left), last = static_cast<int>(region.right);
        for (const Edge& side : edges) side.clip_row(y, first, last);
        for (int x = first; x <= last; ++x) {
            double weights[3];
            for (int k = 0; k < 3; ++k) weights[k] = edges[k].weight(x, y) / std::fabs(static_cast<double>(p[k][3]));
            put(canvas, canvas.offset(x, y), index, weights, p, cutout);
        }
    }
}

void draw_doubtful(const Mesh& mesh, const Canvas& canvas, int32_t index, const Edges& edges, Rows rows) {
    const Corners p = corners_of(mesh, index);
    const Cutout cutout = mesh.cutout_of(index);
    const bool turned = exact_area(point_of(p[0]), point_of(p[1]), point_of(p[2])) < 0.0;
    const auto covers = [&](const double (&values)[3], int x, int y) {
        for (int k = 0; k < 3; ++k) {
            if (values[k] > edges.bound) continue;
            if (values[k] < -edges.bound) return false;
            const int from = (k + (turned ? 2 : 1)) % 3, to = (k + (turned ? 1 : 2)) % 3;
            const double value = exact_area(point_of(p[from]), point_of(p[to]), {x + 0.0, y + 0.0});
            if (value < 0.0 || (value == 0.0 && !owns_line(edges.across[k], edges.down[k]))) return false;
        }
        return true;
    };
    for (int y = rows.first; y <= std::min(rows.last, std::min(edges.bottom, canvas.bottom)); ++y) {
        for (int x = edges.left; x <= edges.right; ++x) {
            double values[3];
            for (int k = 0; k < 3; ++k) {
                values[k] = edges.first[k] + edges.down[k] * (y - edges.top) + edges.across[k] * (x - edges.left);
            }
            const double least = std::min({values[0], values[1], values[2]});
            if (least > edges.bound || least < -edges.bound || !covers(values, x, y)) continue;
            double weights[3];
            for (int k = 0; k < 3; ++k) weights[k] = std::max(values[k], 0.0) / static_cast<double>(p[k][3]);
            put(canvas, canvas.offset(x, y), index, weights, p, cutout);
        }
    }
}

}  // namespace sim3dr
