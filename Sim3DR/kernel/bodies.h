// All that is compiled for each instruction set; included inside its namespace.

#include "lanes.h"
#include "light_body.h"
#include "paint_body.h"
#include "raster_body.h"

#include "lit_body.h"

#ifndef SIM3DR_FUNCTIONS
#define SIM3DR_FUNCTIONS \
    pad_rows, load_points, find_spans, draw, write_buffers, paint_colors, paint_texture, pad_looks, has_holes, paint_lit, interpolate, sum_normals, \
        light_vertices, indices_fit
#endif
