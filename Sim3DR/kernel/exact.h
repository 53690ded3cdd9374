// Signs that are always right.
#pragma once

namespace sim3dr {

// Half a unit in the last place of 1.0: the relative error of one double operation.
constexpr double ROUNDING = 1.1102230246251565e-16;

struct Point {
    double x, y;
};

// The sum of six doubles, good to its last place, and always of the right sign. Keeps the partial sums as
// non-overlapping doubles of rising size; the two-sum step is exact in round-to-nearest arithmetic.
inline double exact_sum(const double (&terms)[6]) {
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
inline double exact_area(Point a, Point b, Point p) {
    return exact_sum({a.x * b.y, -(a.y * b.x), p.x * a.y, -(p.x * b.y), p.y * b.x, -(p.y * a.x)});
}

}  // namespace sim3dr
