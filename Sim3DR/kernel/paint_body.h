// From what each pixel shows to arrays and pictures. Included once for each instruction set, inside that set's
// namespace.

// Calls draw(x, y, index of the triangle, weights of its corners 1 and 2) for every pixel that shows the mesh.
template <typename Draw>
SIM3DR_INLINE void for_each_covered(const Canvas canvas, const Draw& draw) {  // a copy that no store can change
    for (int y = canvas.top; y <= canvas.bottom; ++y) {
        const int64_t row = canvas.offset(0, y);
        for (int x = canvas.left; x <= canvas.right; ++x) {
            const int64_t key = canvas.keys[row + x];
            if (key != EMPTY) draw(x, y, index_of(key), canvas.second[row + x], canvas.third[row + x]);
        }
    }
}

void write_empty(const Buffers& buffers, int64_t first, int64_t last) {
    for (int64_t pixel = first; pixel < last; ++pixel) buffers.triangle[pixel] = -1;
    for (int64_t value = 3 * first; value < 3 * last; ++value) buffers.barycentric[value] = 0.0f;
    for (int64_t pixel = first; pixel < last; ++pixel) {
        buffers.depth[pixel] = -std::numeric_limits<float>::infinity();
    }
}

void write_buffers(const Band& band, const Buffers& buffers) {
    const Canvas& canvas = band.canvas;
    int64_t written = static_cast<int64_t>(band.first_row) * buffers.width;
    for (int y = canvas.top; y <= canvas.bottom; ++y) {
        const int64_t pixels = static_cast<int64_t>(y) * buffers.width + canvas.left;
        const int64_t offset = canvas.offset(canvas.left, y);
        write_empty(buffers, written, pixels);
        const int count = canvas.right - canvas.left + 1;
        const int64_t* keys = canvas.keys + offset;
        for (int x = 0; x < count; ++x) {
            const bool covered = keys[x] != EMPTY;
            buffers.triangle[pixels + x] = covered ? index_of(keys[x]) : -1;
            buffers.depth[pixels + x] = covered ? depth_of(keys[x]) : -std::numeric_limits<float>::infinity();
        }
        float* weights = buffers.barycentric + 3 * pixels;
        for (int x = 0; x < count; ++x) {
            const bool covered = keys[x] != EMPTY;
            const float second = canvas.second[offset + x], third = canvas.third[offset + x];
            const float first = static_cast<float>((1.0 - static_cast<double>(second)) - static_cast<double>(third));
            weights[3 * x] = covered ? (first > 0.0f ? first : 0.0f) : 0.0f;
            weights[3 * x + 1] = covered ? second : 0.0f;
            weights[3 * x + 2] = covered ? third : 0.0f;
        }
        written = pixels + count;
    }
    write_empty(buffers, written, static_cast<int64_t>(band.last_row + 1) * buffers.width);
}

// Per-vertex values under the weights. Taken from the first corner's value on, so that equal values come back exactly
// although the stored weights sum to 1 only up to rounding.
template <typename Value>
SIM3DR_INLINE Value blend(Value first, Value second, Value third, double second_weight, double third_weight) {
    return (first + second_weight * (second - first)) + third_weight * (third - first);
}
SIM3DR_INLINE double blend(const float* values, int channels, int channel, const int32_t* corners, double second_weight,
                           double third_weight) {
    const auto value = [&](int k) __attribute__((always_inline)) {
        return static_cast<double>(values[static_cast<int64_t>(corners[k]) * channels + channel]);
    };
    return blend(value(0), value(1), value(2), second_weight, third_weight);
}

// To 0..255, rounded to the nearest; what is not a number fails the first comparison and becomes 0.
SIM3DR_INLINE uint8_t to_byte(double value) {
    if (!(value > 0.0)) return 0;
    return value >= 255.0 ? 255 : static_cast<uint8_t>(value + 0.5);
}

// Over what is there; on bytes the colour is clipped before it is blended, and in steps of 1/255.
SIM3DR_INLINE void mix(uint8_t* to, double value, double opacity) {
    const double level = 255.0 * (value > 0.0 ? (value < 1.0 ? value : 1.0) : 0.0);
    *to = to_byte(opacity == 1.0 ? level : (1.0 - opacity) * *to + opacity * level);
}
SIM3DR_INLINE void mix(float* to, double value, double opacity) {
    if (opacity == 0.0) return;  // whatever the colour is
    *to = static_cast<float>(opacity == 1.0 ? value : (1.0 - opacity) * static_cast<double>(*to) + opacity * value);
}

SIM3DR_INLINE double opacity_at(const Opacity& opacity, const int32_t* corners, double second, double third) {
    if (!opacity.vertex_opacity) return opacity.opacity;
    const double value = blend(opacity.vertex_opacity, 1, 0, corners, second, third);
    return opacity.opacity * (value > 0.0 ? (value < 1.0 ? value : 1.0) : 0.0);
}

template <typename Pixel>
SIM3DR_INLINE Pixel* pixel_at(const Picture& picture, int x, int y) {
    auto* row = static_cast<uint8_t*>(picture.pixels) + y * picture.row_stride;
    return reinterpret_cast<Pixel*>(row) + static_cast<int64_t>(x) * picture.channels;
}

template <typename Pixel>
void paint_any_colors(const Band& band, const int32_t* triangles, const float* colors, const Opacity& opacity,
                      const Picture& picture) {
    for_each_covered(band.canvas, [&](int x, int y, int64_t index, double second, double third)
                                      __attribute__((always_inline)) {
        const int32_t* corners = triangles + 3 * index;
        const double share = opacity_at(opacity, corners, second, third);
        Pixel* pixel = pixel_at<Pixel>(picture, x, y);
        for (int channel = 0; channel < picture.channels; ++channel) {
            mix(pixel + channel, blend(colors, picture.channels, channel, corners, second, third), share);
        }
    });
}

// The common case in vectors: opaque colours on a picture of three bytes. padded (N, 4) holds the colours.
void paint_opaque_bytes(const Band& band, const int32_t* triangles, const float* padded, const Picture& target) {
    const Picture picture = target;
    const Double4 zero = {0.0, 0.0, 0.0, 0.0};
    const auto color_of = [=](int32_t corner) __attribute__((always_inline)) {
        return widen(load<Float4>(padded + 4 * static_cast<int64_t>(corner)));
    };
    for_each_covered(band.canvas, [=](int x, int y, int64_t index, double second, double third)
                                      __attribute__((always_inline)) {
        const int32_t* corners = triangles + 3 * index;
        const Double4 color = blend(color_of(corners[0]),
                                    color_of(corners[1]),
                                    color_of(corners[2]), second, third);
        const Double4 level = smaller(larger(255.0 * color, zero), zero + 255.0);
        const Int4 whole = __builtin_convertvector(level + 0.5, Int4);
        uint8_t* pixel = pixel_at<uint8_t>(picture, x, y);
        for (int channel = 0; channel < 3; ++channel) pixel[channel] = static_cast<uint8_t>(whole[channel]);
    });
}

void paint_colors(const Band& band, const Shape& shape, const Colors& colors, const Opacity& opacity,
                  const Picture& picture) {
    if (colors.padded) {
        paint_opaque_bytes(band, shape.triangles, colors.padded, picture);
    } else if (picture.floats) {
        paint_any_colors<float>(band, shape.triangles, colors.values, opacity, picture);
    } else {
        paint_any_colors<uint8_t>(band, shape.triangles, colors.values, opacity, picture);
    }
}

// Where a texture coordinate in texels falls: two neighbours and the share of the second. Beyond the outermost texel
// centres, and for NaN, the border texel.
struct Tap {
    int first, second;
    double share;
};
SIM3DR_INLINE Tap locate(double position, int size) {
    const double last = size - 1.0;
    const double clamped = position > 0.0 ? (position < last ? position : last) : 0.0;
    const int first = static_cast<int>(clamped);
    return {first, first + 1 < size ? first + 1 : size - 1, clamped - first};
}

template <typename Pixel, typename Texel>
void paint_texels(const Band& band, const Texture& texture, const Opacity& opacity, const int32_t* triangles,
                  const Picture& picture) {
    const double scale = sizeof(Texel) == 1 ? 1.0 / 255.0 : 1.0;
    const int channels = picture.channels;
    const auto* texels = static_cast<const Texel*>(texture.texels);
    const auto texel = [&](int row, int column, int channel) __attribute__((always_inline)) {
        return static_cast<double>(texels[(static_cast<int64_t>(row) * texture.width + column) * channels + channel]);
    };
    for_each_covered(band.canvas, [&](int x, int y, int64_t index, double second, double third)
                                      __attribute__((always_inline)) {
        const int32_t* corners = texture.uv_triangles + 3 * index;
        const double u = blend(texture.uv, 2, 0, corners, second, third);
        const double v = blend(texture.uv, 2, 1, corners, second, third);
        const Tap across = locate(u * texture.width - 0.5, texture.width);
        const Tap down = locate((1.0 - v) * texture.height - 0.5, texture.height);
        const double share = opacity_at(opacity, triangles + 3 * index, second, third);
        Pixel* pixel = pixel_at<Pixel>(picture, x, y);
        for (int channel = 0; channel < channels; ++channel) {
            const double upper = (1.0 - across.share) * texel(down.first, across.first, channel) +
                                 across.share * texel(down.first, across.second, channel);
            const double lower = (1.0 - across.share) * texel(down.second, across.first, channel) +
                                 across.share * texel(down.second, across.second, channel);
            mix(pixel + channel, scale * ((1.0 - down.share) * upper + down.share * lower), share);
        }
    });
}

void paint_texture(const Band& band, const Shape& shape, const Texture& texture, const Opacity& opacity,
                   const Picture& picture) {
    if (picture.floats) {
        texture.floats ? paint_texels<float, float>(band, texture, opacity, shape.triangles, picture)
                       : paint_texels<float, uint8_t>(band, texture, opacity, shape.triangles, picture);
    } else {
        texture.floats ? paint_texels<uint8_t, float>(band, texture, opacity, shape.triangles, picture)
                       : paint_texels<uint8_t, uint8_t>(band, texture, opacity, shape.triangles, picture);
    }
}

void interpolate(const Buffers& buffers, const int32_t* triangles, const float* attributes, int channels, float* out) {
    const int64_t pixels = static_cast<int64_t>(buffers.height) * buffers.width;
    for (int64_t pixel = 0; pixel < pixels; ++pixel) {
        float* values = out + pixel * channels;
        const int64_t index = buffers.triangle[pixel];
        if (index < 0) {
            for (int channel = 0; channel < channels; ++channel) values[channel] = 0.0f;
            continue;
        }
        const double second = buffers.barycentric[3 * pixel + 1], third = buffers.barycentric[3 * pixel + 2];
        const float* corner[3];
        for (int k = 0; k < 3; ++k) corner[k] = attributes + static_cast<int64_t>(triangles[3 * index + k]) * channels;
        for (int channel = 0; channel < channels; ++channel) {
            values[channel] = static_cast<float>(blend<double>(corner[0][channel], corner[1][channel],
                                                               corner[2][channel], second, third));
        }
    }
}
