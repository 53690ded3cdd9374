// Lit and textured pictures from what their samples show. Included once for each instruction set, inside that set's
// namespace.

using Float8 = VectorOf<float, 8>::type;

// Light, u, shine and v of each vertex in one place.
void pad_looks(const Lit& lit, int64_t count, float* looks) {
    for (int64_t i = 0; i < count; ++i) {
        const float *light = lit.light + 3 * i, *shine = lit.shine + 3 * i, *uv = lit.uv + 2 * i;
        store(looks + 8 * i, Float8{light[0], light[1], light[2], uv[0], shine[0], shine[1], shine[2], uv[1]});
    }
}

bool has_holes(const LitTexture& texture) {
    constexpr int64_t PART = 4096;  // bytes; the first hole ends the search
    const int64_t size = int64_t{4} * texture.height * texture.width;
    for (int64_t start = 0; start < size; start += PART) {
        const int64_t end = start + PART < size ? start + PART : size;
        uint8_t lowest = 255;
        for (int64_t at = start + 3; at < end; at += 4) lowest = texture.texels[at] < lowest ? texture.texels[at] : lowest;
        if (lowest < 128) return true;
    }
    return false;
}

// Pieces of pixels, each of one triangle: of a pixel, the samples that show it.
struct Pieces {
    int count;
    int32_t triangle[BATCH];
    // The mean of the samples' places, in samples.
    alignas(64) double x[BATCH];
    alignas(64) double y[BATCH];
    alignas(64) double samples[BATCH];
    // Weights of the corners 1 and 2.
    alignas(64) float second[BATCH];
    alignas(64) float third[BATCH];
    alignas(64) float looks[BATCH][8];
};

// Pixels that show the mesh: the first of its pieces, which end where the next one's begin, and the samples beside it.
struct Pixels {
    int count;
    float* at[BATCH];
    int first[BATCH + 1];
    int empty[BATCH];
};

// Adds the pixel whose samples begin at sample (x, y) of the picture, which `keys` shows.
template <int SAMPLES>
SIM3DR_INLINE void add_pixel(const int64_t* keys, int64_t stride, int x, int y, float* at, Pieces& pieces,
                             Pixels& pixels) {
    constexpr int ALL = SAMPLES * SAMPLES;
    int32_t shown[ALL];
    int empty = 0;
    for (int sample = 0; sample < ALL; ++sample) {
        shown[sample] = index_of(keys[sample / SAMPLES * stride + sample % SAMPLES]);
        empty += shown[sample] < 0;
    }
    if (empty == ALL) return;
    int end = pieces.count;
    pixels.at[pixels.count] = at;
    pixels.first[pixels.count] = end;
    pixels.empty[pixels.count++] = empty;
    for (int sample = 0; sample < ALL; ++sample) {
        const int32_t index = shown[sample];
        if (index < 0) continue;
        int count = 0, across = 0, down = 0;
        for (int other = sample; other < ALL; ++other) {
            const bool same = shown[other] == index;
            count += same;
            across += same ? other % SAMPLES : 0;
            down += same ? other / SAMPLES : 0;
            shown[other] = same ? -1 : shown[other];
        }
        const double share = 1.0 / count;
        pieces.triangle[end] = index;
        pieces.x[end] = x + share * across, pieces.y[end] = y + share * down;
        pieces.samples[end++] = count;
    }
    pixels.first[pixels.count] = pieces.count = end;
}

// The weights at the pieces' places, perspective-correct; a place that rounding has put outside its triangle moves to
// the border.
template <bool PERSPECTIVE>
SIM3DR_INLINE void weigh(const Batch& batch, Pieces& pieces) {
    for (int i = 0; i < BATCH; ++i) {
        const double x = pieces.x[i], y = pieces.y[i];
        const double x0 = batch.x[0][i] - x, x1 = batch.x[1][i] - x, x2 = batch.x[2][i] - x;
        const double y0 = batch.y[0][i] - y, y1 = batch.y[1][i] - y, y2 = batch.y[2][i] - y;
        const double area0 = x1 * y2 - x2 * y1, area1 = x2 * y0 - x0 * y2, area2 = x0 * y1 - x1 * y0;
        // Behind the camera both the area and the distance change sign: see draw_exactly.
        const double side = area0 + area1 + area2 < 0.0 ? -1.0 : 1.0;
        double weight0 = side * area0, weight1 = side * area1, weight2 = side * area2;
        if (PERSPECTIVE) weight0 /= batch.w[0][i], weight1 /= batch.w[1][i], weight2 /= batch.w[2][i];
        weight0 = weight0 > 0.0 ? weight0 : 0.0;
        weight1 = weight1 > 0.0 ? weight1 : 0.0;
        weight2 = weight2 > 0.0 ? weight2 : 0.0;
        const double sum = weight0 + weight1 + weight2;
        const double scale = sum > 0.0 ? 1.0 / sum : 0.0;  // of a sliver nothing may be left but its corner 0
        pieces.second[i] = static_cast<float>(weight1 * scale);
        pieces.third[i] = static_cast<float>(weight2 * scale);
    }
}

// Light, u, shine and v of the pieces.
SIM3DR_INLINE void blend_looks(const Shape& shape, const float* looks, Pieces& pieces) {
    for (int i = 0; i < pieces.count; ++i) {
        const int32_t* corners = shape.triangles + 3 * static_cast<int64_t>(pieces.triangle[i]);
        Float8 corner[3];
        for (int k = 0; k < 3; ++k) corner[k] = load<Float8>(looks + 8 * static_cast<int64_t>(corners[k]));
        store(pieces.looks[i], (corner[0] + pieces.second[i] * (corner[1] - corner[0])) +
                                   pieces.third[i] * (corner[2] - corner[0]));
    }
}

// Linear colour of a texture, bilinear.
SIM3DR_INLINE Float4 texel_at(const LitTexture& texture, const float* linear, float u, float v) {
    const auto across = place_in(u, texture.width), down = place_in(v, texture.height);
    const auto row = [&](int y) __attribute__((always_inline)) {
        const uint8_t* texels = texture.texels + 4 * (static_cast<int64_t>(y) * texture.width);
        const auto color = [&](int x) __attribute__((always_inline)) {
            const uint8_t* texel = texels + 4 * static_cast<int64_t>(x);
            return Float4{linear[texel[0]], linear[texel[1]], linear[texel[2]], 0.0f};
        };
        const Float4 left = color(across.first);
        return left + across.share * (color(across.second) - left);
    };
    const Float4 upper = row(down.first);
    return upper + down.share * (row(down.second) - upper);
}

// Paints the pixels that have been added and takes them out.
void flush(const Mesh& mesh, const Shape& shape, const Lit& lit, const float* looks, Batch& batch, Pieces& pieces,
           Pixels& pixels) {
    if (pixels.count == 0) return;
    gather_corners(mesh, [&](int slot) { return pieces.triangle[slot]; }, pieces.count, batch);
    mesh.perspective ? weigh<true>(batch, pieces) : weigh<false>(batch, pieces);
    blend_looks(shape, looks, pieces);
    const double share = 1.0 / (lit.samples * lit.samples);
    for (int pixel = 0; pixel < pixels.count; ++pixel) {
        float* at = pixels.at[pixel];
        Double4 sum = {};
        // What is behind is not asked for where nothing of it shows: it may not be a number.
        if (pixels.empty[pixel] > 0) sum = static_cast<double>(pixels.empty[pixel]) * Double4{at[0], at[1], at[2], 0.0};
        for (int i = pixels.first[pixel]; i < pixels.first[pixel + 1]; ++i) {
            const float* mixed = pieces.looks[i];
            const LitTexture& texture = lit.textures[lit.surface[pieces.triangle[i]]];
            const Float4 texel = texel_at(texture, lit.linear, mixed[3], mixed[7]);
            sum += pieces.samples[i] * widen(load<Float4>(mixed) * texel + load<Float4>(mixed + 4));
        }
        for (int channel = 0; channel < 3; ++channel) at[channel] = static_cast<float>(sum[channel] * share);
    }
    pieces.count = pixels.count = 0;
}

template <int SAMPLES>
void paint_samples(const Band& band, const Shape& shape, const Lit& lit, const float* looks, const Picture& picture) {
    const Canvas canvas = band.canvas;
    const Mesh mesh = {band.points, shape.triangles, shape.triangle_count, 0, 0, shape.w != nullptr, false, nullptr};
    Batch batch = {};
    Pieces pieces = {};
    Pixels pixels = {};
    for (int y = canvas.top; y <= canvas.bottom; y += SAMPLES) {
        float* at = pixel_at<float>(picture, canvas.left / SAMPLES, y / SAMPLES);
        const int64_t* keys = canvas.keys + canvas.offset(canvas.left, y);
        for (int x = canvas.left; x <= canvas.right; x += SAMPLES, keys += SAMPLES, at += 3) {
            add_pixel<SAMPLES>(keys, canvas.stride, x, y, at, pieces, pixels);
            if (pieces.count > BATCH - SAMPLES * SAMPLES) flush(mesh, shape, lit, looks, batch, pieces, pixels);
        }
    }
    flush(mesh, shape, lit, looks, batch, pieces, pixels);
}

void paint_lit(const Band& band, const Shape& shape, const Lit& lit, const float* looks, const Picture& picture) {
    constexpr decltype(&paint_samples<1>) paint[MAXIMUM_SAMPLES] = {
        paint_samples<1>, paint_samples<2>, paint_samples<3>, paint_samples<4>,
        paint_samples<5>, paint_samples<6>, paint_samples<7>, paint_samples<8>,
    };
    paint[lit.samples - 1](band, shape, lit, looks, picture);
}
