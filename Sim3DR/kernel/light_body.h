// Normals and light at the vertices. Included once for each instruction set, inside that set's namespace.

bool indices_fit(const int32_t* indices, int64_t count, int64_t vertex_count) {
    uint32_t highest = 0;  // a negative index is a very large one
    for (int64_t i = 0; i < count; ++i) {
        const auto index = static_cast<uint32_t>(indices[i]);
        highest = highest > index ? highest : index;
    }
    return count == 0 || static_cast<int64_t>(highest) < vertex_count;
}

SIM3DR_INLINE Double4 position_of(const float* vertices, int32_t index) {
    const float* vertex = vertices + 3 * static_cast<int64_t>(index);
    return Double4{vertex[0], vertex[1], vertex[2], 0.0};
}

// sums (N, 4) comes zeroed.
void sum_normals(const Shape& shape, double* sums, float* normals) {
    for (int64_t index = 0; index < shape.triangle_count; ++index) {
        const int32_t* corners = shape.triangles + 3 * index;
        const Double4 origin = position_of(shape.vertices, corners[0]);
        const Double4 a = position_of(shape.vertices, corners[1]) - origin;
        const Double4 b = position_of(shape.vertices, corners[2]) - origin;
        const Double4 normal = SIM3DR_CHOOSE(a, a, 1, 2, 0, 3) * SIM3DR_CHOOSE(b, b, 2, 0, 1, 3) -
                               SIM3DR_CHOOSE(a, a, 2, 0, 1, 3) * SIM3DR_CHOOSE(b, b, 1, 2, 0, 3);
        // Not finite exactly where a coordinate is not: float32 coordinates cannot make these products overflow.
        const double sum = normal[0] + normal[1] + normal[2];
        if (!(sum - sum == 0.0)) continue;
        for (int k = 0; k < 3; ++k) {
            double* total = sums + 4 * static_cast<int64_t>(corners[k]);
            store(total, load<Double4>(total) + normal);
        }
    }
    for (int64_t index = 0; index < shape.vertex_count; ++index) {
        const Double4 sum = load<Double4>(sums + 4 * index);
        const Double4 squares = sum * sum;
        const double length = std::sqrt(squares[0] + squares[1] + squares[2]);
        const Double4 normal = sum / (length > 0.0 ? length : 1.0);
        for (int axis = 0; axis < 3; ++axis) normals[3 * index + axis] = static_cast<float>(normal[axis]);
    }
}

// Where the light formula sees a vertex: moved and scaled alike on all axes so that each axis is centred and the
// longest spans -1..1. Vertices that are not finite do not count; a mesh without extent is only centred.
struct Placement {
    double centre[3];
    double scale;
};
Placement place(const Shape& shape) {
    float low[3], high[3];
    for (int axis = 0; axis < 3; ++axis) {
        low[axis] = std::numeric_limits<float>::infinity();
        high[axis] = -low[axis];
    }
    for (int64_t i = 0; i < shape.vertex_count; ++i) {
        const float* vertex = shape.vertices + 3 * i;
        const bool finite = (vertex[0] - vertex[0] == 0.0f) & (vertex[1] - vertex[1] == 0.0f) &
                            (vertex[2] - vertex[2] == 0.0f);
        for (int axis = 0; axis < 3; ++axis) {
            low[axis] = (finite & (vertex[axis] < low[axis])) ? vertex[axis] : low[axis];
            high[axis] = (finite & (vertex[axis] > high[axis])) ? vertex[axis] : high[axis];
        }
    }
    Placement placement = {};
    double extent = 0.0;
    for (int axis = 0; axis < 3 && low[axis] <= high[axis]; ++axis) {
        const double least = low[axis], most = high[axis];
        placement.centre[axis] = (least + most) / 2.0;
        extent = most - least > extent ? most - least : extent;
    }
    placement.scale = extent > 0.0 ? 2.0 / extent : 1.0;
    return placement;
}

constexpr int CHUNK = 64;
struct Chunk {
    alignas(64) double position[3][CHUNK];
    alignas(64) double normal[3][CHUNK];
    alignas(64) double cosine[CHUNK];
    alignas(64) double highlight[CHUNK];
    alignas(64) double base[CHUNK];
    alignas(64) double power[CHUNK];
};

// Unit vectors from the vertices to a position, zero where they coincide.
SIM3DR_INLINE void directions(const Chunk& chunk, const double (&position)[3], double (&to)[3][CHUNK]) {
    for (int i = 0; i < CHUNK; ++i) {
        const double x = position[0] - chunk.position[0][i], y = position[1] - chunk.position[1][i],
                     z = position[2] - chunk.position[2][i];
        const double length = std::sqrt(x * x + y * y + z * z);
        const double scale = length > 0.0 ? 1.0 / length : 0.0;
        to[0][i] = scale * x, to[1][i] = scale * y, to[2][i] = scale * z;
    }
}

// The cosine of the light and the highlight of each vertex, both in 0..1; see RenderPipeline in Sim3DR/lighting.py.
SIM3DR_INLINE void reflect(const Light& light, Chunk& chunk) {
    alignas(64) double to_light[3][CHUNK], to_viewer[3][CHUNK];
    directions(chunk, light.light_position, to_light);
    directions(chunk, light.view_position, to_viewer);
    for (int i = 0; i < CHUNK; ++i) {
        chunk.cosine[i] = chunk.normal[0][i] * to_light[0][i] + chunk.normal[1][i] * to_light[1][i] +
                          chunk.normal[2][i] * to_light[2][i];
        chunk.highlight[i] = 0.0;
    }
    for (int axis = 0; axis < 3; ++axis) {
        for (int i = 0; i < CHUNK; ++i) {
            const double reflection = 2.0 * chunk.cosine[i] * chunk.normal[axis][i] - to_light[axis][i];
            chunk.base[i] = to_viewer[axis][i] * reflection;
            chunk.power[i] = 1.0;
        }
        for (int exponent = light.specular_exponent; exponent > 0; exponent >>= 1) {
            if (exponent & 1) {
                for (int i = 0; i < CHUNK; ++i) chunk.power[i] *= chunk.base[i];
            }
            for (int i = 0; i < CHUNK; ++i) chunk.base[i] *= chunk.base[i];
        }
        for (int i = 0; i < CHUNK; ++i) chunk.highlight[i] += chunk.power[i];
    }
    for (int i = 0; i < CHUNK; ++i) {
        const double cosine = chunk.cosine[i], highlight = chunk.highlight[i];
        chunk.highlight[i] = cosine != 0.0 ? (highlight > 0.0 ? (highlight < 1.0 ? highlight : 1.0) : 0.0) : 0.0;
        chunk.cosine[i] = cosine > 0.0 ? (cosine < 1.0 ? cosine : 1.0) : 0.0;
    }
}

void light_vertices(const Shape& shape, const float* normals, const float* texture, const Light& light, float* colors) {
    const Placement placement = place(shape);
    Chunk chunk = {};
    for (int64_t start = 0; start < shape.vertex_count; start += CHUNK) {
        const int count = static_cast<int>(shape.vertex_count - start < CHUNK ? shape.vertex_count - start : CHUNK);
        const float* vertices = shape.vertices + 3 * start;
        for (int axis = 0; axis < 3; ++axis) {
            for (int i = 0; i < count; ++i) {
                chunk.position[axis][i] = placement.scale * (vertices[3 * i + axis] - placement.centre[axis]);
                chunk.normal[axis][i] = normals[3 * (start + i) + axis];
            }
        }
        reflect(light, chunk);
        for (int channel = 0; channel < 3; ++channel) {
            float* out = colors + 3 * start + channel;
            for (int i = 0; i < count; ++i) {
                const double sum = light.ambient[channel] + light.directional[channel] * chunk.cosine[i] +
                                   light.specular[channel] * chunk.highlight[i];
                const double lit = sum > 0.0 ? (sum < 1.0 ? sum : 1.0) : 0.0;
                out[3 * i] = static_cast<float>(texture ? lit * texture[3 * (start + i) + channel] : lit);
            }
        }
    }
}
