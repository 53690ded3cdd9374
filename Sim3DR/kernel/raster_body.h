// The fast path of the rasterizer. Included once for each instruction set, inside that set's namespace.

// Rows of three numbers as rows of four, the last of which is anything but in the last row, where it is 0.
void pad_rows(const float* rows, int64_t count, float* padded) {
    for (int64_t i = 0; i < count - 1; ++i) store(padded + 4 * i, load<Float4>(rows + 3 * i));
    if (count > 0) {
        const float* last = rows + 3 * (count - 1);
        store(padded + 4 * (count - 1), Float4{last[0], last[1], last[2], 0.0f});
    }
}

// x, y, z and w of the vertices in one place, and the box of those that can be drawn. With several samples on each axis
// of a pixel the pixel i becomes the pixels samples * i ... samples * i + samples - 1, round the centre that it has.
void load_points(const Shape& shape, int samples, float* points, Box& box) {
    const float scale = static_cast<float>(samples), shift = (scale - 1.0f) / 2.0f;
    const Float4 zero = {0.0f, 0.0f, 0.0f, 0.0f};
    Float4 low = zero + std::numeric_limits<float>::infinity(), high = -low;
    for (int64_t i = 0; i < shape.vertex_count; ++i) {
        const float* vertex = shape.vertices + 3 * i;
        Float4 point = {scale * vertex[0] + shift, scale * vertex[1] + shift, vertex[2], shape.w ? shape.w[i] : 1.0f};
        const Int4 finite = (point - point) == zero;  // infinity less itself, like NaN, is not a number
        if (!(finite[0] & finite[1] & finite[2] & finite[3])) point = zero;
        store(points + 4 * i, point);
        if (point[3] == 0.0f) continue;
        low = smaller(low, point);
        high = larger(high, point);
    }
    for (int axis = 0; axis < 4; ++axis) {
        box.low[axis] = low[axis];
        box.high[axis] = high[axis];
    }
    box.lattice = true;
    for (int64_t i = 0; i < shape.vertex_count && box.lattice; ++i) {
        const float x = points[4 * i] * 256.0f, y = points[4 * i + 1] * 256.0f, limit = 0x1p23f;
        box.lattice = std::fabs(x) <= limit && std::fabs(y) <= limit &&
                      x == static_cast<float>(static_cast<int32_t>(x)) &&
                      y == static_cast<float>(static_cast<int32_t>(y));
    }
}

SIM3DR_INLINE Float4 point_of(const Mesh& mesh, int64_t triangle, int k) {
    return load<Float4>(mesh.points + 4 * static_cast<int64_t>(mesh.triangles[3 * triangle + k]));
}

// The rows in which each batch of triangles may show: all of them, if one reaches behind the camera.
void find_spans(const Mesh& mesh, Span* spans) {
    for (int64_t start = 0; start < mesh.triangle_count; start += BATCH) {
        const int64_t end = start + BATCH < mesh.triangle_count ? start + BATCH : mesh.triangle_count;
        // One pair of bounds for each corner, so that no comparison waits for the one before it.
        Float4 lows[3], highs[3];
        for (int k = 0; k < 3; ++k) lows[k] = highs[k] = point_of(mesh, start, k);
        for (int64_t i = start + 1; i < end; ++i) {
            for (int k = 0; k < 3; ++k) {
                const Float4 point = point_of(mesh, i, k);
                lows[k] = smaller(lows[k], point);
                highs[k] = larger(highs[k], point);
            }
        }
        const Float4 low = smaller(smaller(lows[0], lows[1]), lows[2]);
        const Float4 high = larger(larger(highs[0], highs[1]), highs[2]);
        const float last = mesh.height - 1.0f;
        const float top = low[1] > 0.0f ? low[1] : 0.0f, bottom = high[1] < last ? high[1] : last;
        Span& span = spans[start / BATCH];
        span.top = low[3] < 0.0f ? 0 : static_cast<int32_t>(top < last ? top : last);
        span.bottom = low[3] < 0.0f ? mesh.height - 1 : static_cast<int32_t>(bottom > -1.0f ? bottom : -1.0f);
    }
}

// Some triangles at once, each number of all of them in a row, so that they are set up in vectors.
struct Batch {
    alignas(64) float x[3][BATCH];
    alignas(64) float y[3][BATCH];
    alignas(64) float z[3][BATCH];
    alignas(64) float w[3][BATCH];
    // The pixels that can be covered, inclusive.
    alignas(64) int32_t left[BATCH];
    alignas(64) int32_t top[BATCH];
    alignas(64) int32_t right[BATCH];
    alignas(64) int32_t bottom[BATCH];
    alignas(64) int32_t fast[BATCH];
    // Edge functions, see Edges in mesh.h.
    alignas(64) double first[3][BATCH];
    alignas(64) double across[3][BATCH];
    alignas(64) double down[3][BATCH];
    alignas(64) double bound[BATCH];
    alignas(64) double scale[BATCH];
};

// index_of(slot): which triangle comes at 0 <= slot < count.
template <typename Index>
SIM3DR_INLINE void gather_corners(const Mesh& mesh, const Index& index_of, int count, Batch& batch) {
    for (int k = 0; k < 3; ++k) {
        for (int i = 0; i < count; i += 4) {
            Float4 p[4];
            for (int j = 0; j < 4; ++j) {
                // Beyond the last triangle of the batch, the last one again.
                const int slot = i + j < count ? i + j : count - 1;
                p[j] = point_of(mesh, index_of(slot), k);
            }
            const Float4 a = SIM3DR_CHOOSE(p[0], p[1], 0, 4, 1, 5);
            const Float4 b = SIM3DR_CHOOSE(p[2], p[3], 0, 4, 1, 5);
            const Float4 c = SIM3DR_CHOOSE(p[0], p[1], 2, 6, 3, 7);
            const Float4 d = SIM3DR_CHOOSE(p[2], p[3], 2, 6, 3, 7);
            store(batch.x[k] + i, SIM3DR_CHOOSE(a, b, 0, 1, 4, 5));
            store(batch.y[k] + i, SIM3DR_CHOOSE(a, b, 2, 3, 6, 7));
            store(batch.z[k] + i, SIM3DR_CHOOSE(c, d, 0, 1, 4, 5));
            store(batch.w[k] + i, SIM3DR_CHOOSE(c, d, 2, 3, 6, 7));
        }
    }
}

template <typename Number>
SIM3DR_INLINE Number least(Number a, Number b, Number c) {
    const Number d = a < b ? a : b;
    return d < c ? d : c;
}
template <typename Number>
SIM3DR_INLINE Number most(Number a, Number b, Number c) {
    const Number d = a > b ? a : b;
    return d > c ? d : c;
}

// From one corner coordinate each, the pixels between the least and the most of them, within 0..size - 1. May hold a
// pixel too many, where a corner is between -1 and 0; the edge functions leave it out.
SIM3DR_INLINE void pixel_range(const float (&values)[3][BATCH], float size, int32_t* from, int32_t* to) {
    for (int i = 0; i < BATCH; ++i) {
        float low = least(values[0][i], values[1][i], values[2][i]);
        float high = most(values[0][i], values[1][i], values[2][i]);
        low = low > 0.0f ? low : 0.0f;
        low = low < size ? low : size;
        high = high > -1.0f ? high : -1.0f;
        high = high < size - 1.0f ? high : size - 1.0f;
        const auto cut = static_cast<int32_t>(low);
        from[i] = cut + (static_cast<float>(cut) < low);
        to[i] = static_cast<int32_t>(high);
    }
}

// The weights' errors are a few times the doubt over the area, times how far the distances of the corners differ; where
// that is more than this, the triangle is drawn by exact tests.
constexpr double ACCURACY = 1e-9;

template <bool PERSPECTIVE, bool LATTICE>
SIM3DR_INLINE void set_up_edges(Batch& batch) {
    for (int i = 0; i < BATCH; ++i) {
        const double x0 = batch.x[0][i], x1 = batch.x[1][i], x2 = batch.x[2][i];
        const double y0 = batch.y[0][i], y1 = batch.y[1][i], y2 = batch.y[2][i];
        const double left = batch.left[i], top = batch.top[i];
        // Edge k runs from corner k + 1 to corner k + 2.
        const double across0 = y1 - y2, across1 = y2 - y0, across2 = y0 - y1;
        const double down0 = x2 - x1, down1 = x0 - x2, down2 = x1 - x0;
        const double first0 = down0 * (top - y1) + across0 * (left - x1);
        const double first1 = down1 * (top - y2) + across1 * (left - x2);
        const double first2 = down2 * (top - y0) + across2 * (left - x0);
        const double area = first0 + first1 + first2;
        const double side = area < 0.0 ? -1.0 : 1.0;
        batch.first[0][i] = side * first0, batch.across[0][i] = side * across0, batch.down[0][i] = side * down0;
        batch.first[1][i] = side * first1, batch.across[1][i] = side * across1, batch.down[1][i] = side * down1;
        batch.first[2][i] = side * first2, batch.across[2][i] = side * across2, batch.down[2][i] = side * down2;
        batch.scale[i] = side / area;
        // The value of an edge function is a sum of four products of coordinate differences, each with at most six
        // roundings on its way. |down| <= box width, |across| <= box height, and the pixels that are tested reach at
        // most four columns and two rows beyond the box: in sum less than (19 w h + 4 w + 9 h) * ROUNDING.
        const double width = most(x0, x1, x2) - least(x0, x1, x2), height = most(y0, y1, y2) - least(y0, y1, y2);
        const double bound = 8.0 * ROUNDING * (4.0 * width * height + 3.0 * (width + height));
        batch.bound[i] = LATTICE ? 0.0 : bound;
        const double nearest = least(batch.w[0][i], batch.w[1][i], batch.w[2][i]);
        const double spread = PERSPECTIVE ? most(batch.w[0][i], batch.w[1][i], batch.w[2][i]) / nearest : 1.0;
        batch.fast[i] = (nearest > 0.0) & (bound * spread < ACCURACY * side * area);
    }
}

// Those of some lanes where a triangle has no hole; second and third: the weights of its corners 1 and 2 there.
__attribute__((noinline)) Mask closed_lanes(const Cutout& cutout, const double* second, const double* third,
                                            const Mask& lanes) {
    if (!any(lanes)) return lanes;
    alignas(64) int64_t closed[SIM3DR_LANES];
    store(closed, pick(lanes, Longs{} + 1, Longs{}));
    for (int lane = 0; lane < SIM3DR_LANES; ++lane) {
        if (closed[lane] && is_open(cutout, second[lane], third[lane])) closed[lane] = 0;
    }
    return above(load<Longs>(closed), Longs{});
}

// Draws what of triangle i of the batch lies in the given rows; returns those of them with pixels in doubt.
template <bool WEIGHTS, bool PERSPECTIVE, bool LATTICE, bool WIDE>
SIM3DR_INLINE Rows draw_triangle(const Batch& batch, int i, int64_t index, const Cutout* cutout, const Canvas& canvas,
                                 Rows rows) {
    const double z0 = batch.z[0][i], z1 = batch.z[1][i] - z0, z2 = batch.z[2][i] - z0;
    const double bound = batch.bound[i];
    const int64_t index_down = 0xffffffffLL - index, stride = canvas.stride;
    const int left = batch.left[i], width = batch.right[i] - left, top = batch.top[i];
    double owned[3] = {};
    if (LATTICE) {
        // All values are exact multiples of 2**-16, so this moves those that are 0 to the side where they belong.
        for (int k = 0; k < 3; ++k) {
            const double across = batch.across[k][i];
            owned[k] = across > 0.0 || (across == 0.0 && batch.down[k][i] > 0.0) ? 0x1p-40 : -0x1p-40;
        }
    }
    // The rows with pixels in doubt: one by one of a wide triangle, all or none of a small one.
    Rows in_doubt = {rows.last + 1, rows.first - 1};
    Mask doubtful = {};
    int64_t row_offset = canvas.offset(left, rows.first);
    for (int row = rows.first; row <= rows.last; row += BLOCK_HEIGHT, row_offset += BLOCK_HEIGHT * stride) {
        if (WIDE) doubtful = Mask{};
        const Doubles steps_down = static_cast<double>(row - top) + BLOCK_ROWS;
        const Doubles row0 = batch.first[0][i] + batch.down[0][i] * steps_down;
        const Doubles row1 = batch.first[1][i] + batch.down[1][i] * steps_down;
        const Doubles row2 = batch.first[2][i] + batch.down[2][i] * steps_down;
        for (int step = 0; step <= width; step += BLOCK_WIDTH) {
            const Doubles steps_across = static_cast<double>(step) + BLOCK_COLUMNS;
            Doubles e0 = row0 + batch.across[0][i] * steps_across;
            Doubles e1 = row1 + batch.across[1][i] * steps_across;
            Doubles e2 = row2 + batch.across[2][i] * steps_across;
            const Doubles lowest = LATTICE ? smaller(smaller(e0 + owned[0], e1 + owned[1]), e2 + owned[2])
                                           : smaller(smaller(e0, e1), e2);
            const Mask inside = above(lowest, Doubles{} + bound);
            if (!LATTICE) doubtful |= above(lowest, Doubles{} - bound) ^ inside;
            // Small triangles have few blocks without a pixel, and a wrong guess of one costs more than the block.
            if (WIDE && !any(inside)) continue;
            double scale = batch.scale[i];
            Doubles b1 = e1 * scale, b2 = e2 * scale;
            if (PERSPECTIVE) {
                e0 /= static_cast<double>(batch.w[0][i]);
                e1 /= static_cast<double>(batch.w[1][i]);
                e2 /= static_cast<double>(batch.w[2][i]);
                const Doubles scales = 1.0 / (e0 + e1 + e2);
                b1 = e1 * scales, b2 = e2 * scales;
            }
            const Doubles depth = z0 + (b1 * z1 + b2 * z2);
            // As key_of in mesh.h.
            Ints bits = (Ints)(__builtin_convertvector(depth, Floats) + 0.0f);
            bits ^= (bits >> 31) & 0x7fffffff;
            const Longs key = (widen(bits) << 32) | index_down;
            int64_t* keys = canvas.keys + row_offset + step;
            const Longs old = load_block(keys, stride);
            Mask wins = above(key, old) & inside;
            if (!WEIGHTS && cutout) {
                alignas(64) double weights[2][SIM3DR_LANES];
                store(weights[0], b1);
                store(weights[1], b2);
                wins = closed_lanes(*cutout, weights[0], weights[1], wins);
            }
            store_block(keys, stride, pick(wins, key, old));
            if (!WEIGHTS) continue;
            float* second = canvas.second + row_offset + step;
            float* third = canvas.third + row_offset + step;
            store_block(second, stride, pick(wins, __builtin_convertvector(b1, Floats), load_block(second, stride)));
            store_block(third, stride, pick(wins, __builtin_convertvector(b2, Floats), load_block(third, stride)));
        }
        if (WIDE && any(doubtful)) {
            in_doubt.first = in_doubt.first < row ? in_doubt.first : row;
            in_doubt.last = row + BLOCK_HEIGHT - 1;
        }
    }
    return !WIDE && any(doubtful) ? rows : in_doubt;
}

Edges edges_of(const Batch& batch, int i) {
    Edges edges;
    for (int k = 0; k < 3; ++k) {
        edges.first[k] = batch.first[k][i], edges.across[k] = batch.across[k][i], edges.down[k] = batch.down[k][i];
    }
    edges.bound = batch.bound[i];
    edges.left = batch.left[i], edges.top = batch.top[i], edges.right = batch.right[i], edges.bottom = batch.bottom[i];
    return edges;
}

template <bool WEIGHTS, bool PERSPECTIVE, bool LATTICE>
void draw_triangles(const Mesh& mesh, const Span* spans, const Canvas& target) {
    const Canvas canvas = target;  // a copy that no store can change
    Batch batch = {};
    for (int64_t start = 0; start < mesh.triangle_count; start += BATCH) {
        const Span& span = spans[start / BATCH];
        if (span.top > canvas.bottom || span.bottom < canvas.top) continue;
        const int count = static_cast<int>(mesh.triangle_count - start < BATCH ? mesh.triangle_count - start : BATCH);
        gather_corners(mesh, [=](int slot) { return start + slot; }, count, batch);
        pixel_range(batch.x, static_cast<float>(mesh.width), batch.left, batch.right);
        pixel_range(batch.y, static_cast<float>(mesh.height), batch.top, batch.bottom);
        set_up_edges<PERSPECTIVE, LATTICE>(batch);
        for (int i = 0; i < count; ++i) {
            const auto index = static_cast<int32_t>(start + i);
            if (!batch.fast[i]) {
                draw_exactly(mesh, canvas, index);
                continue;
            }
            const Rows rows = {batch.top[i] > canvas.top ? batch.top[i] : canvas.top,
                               batch.bottom[i] < canvas.bottom ? batch.bottom[i] : canvas.bottom};
            if (batch.left[i] > batch.right[i] || rows.first > rows.last) continue;
            const bool wide = batch.right[i] - batch.left[i] >= 2 * BLOCK_WIDTH;
            Cutout cutout = {};
            if (!WEIGHTS && mesh.holes) cutout = mesh.cutout_of(index);
            const Cutout* holes = !WEIGHTS && cutout.texture.texels ? &cutout : nullptr;
            const Rows in_doubt =
                wide ? draw_triangle<WEIGHTS, PERSPECTIVE, LATTICE, true>(batch, i, index, holes, canvas, rows)
                     : draw_triangle<WEIGHTS, PERSPECTIVE, LATTICE, false>(batch, i, index, holes, canvas, rows);
            if (in_doubt.first <= in_doubt.last) draw_doubtful(mesh, canvas, index, edges_of(batch, i), in_doubt);
        }
    }
}

template <bool WEIGHTS>
void draw_mesh(const Mesh& mesh, const Span* spans, const Canvas& canvas) {
    if (mesh.perspective) {
        mesh.lattice ? draw_triangles<WEIGHTS, true, true>(mesh, spans, canvas)
                     : draw_triangles<WEIGHTS, true, false>(mesh, spans, canvas);
    } else {
        mesh.lattice ? draw_triangles<WEIGHTS, false, true>(mesh, spans, canvas)
                     : draw_triangles<WEIGHTS, false, false>(mesh, spans, canvas);
    }
}

void draw(const Mesh& mesh, const Span* spans, const Canvas& canvas) {
    canvas.second ? draw_mesh<true>(mesh, spans, canvas) : draw_mesh<false>(mesh, spans, canvas);
}
