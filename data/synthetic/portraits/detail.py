"""A head with fewer vertices, for small pictures: some of its own, joined by fewer triangles."""

from dataclasses import replace

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import dijkstra

from data.synthetic.portraits.head import Head, split_seams

# Metres of the cells of space of which each keeps one vertex, by regions. About nose, eyes and lips all stay.
CELL = 0.0060
CELLS = {"teeth": 0.0035, "sclera_l": 0.0028, "sclera_r": 0.0028}
FINE_REACH = 0.009


def coarse_head(head: Head) -> Head:
    """The head with some of its vertices, which lie where they did; the others' triangles join the nearest of these.

    Vertices on borders and on seams of the textures stay, and so do landmarks. Nearest means along the mesh, so that
    upper and lower lips and lids stay apart.
    """
    drawn = head.mean[head.source]
    kept = kept_vertices(head)
    edges = head.drawn_triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2)
    lengths = np.linalg.norm(drawn[edges[:, 0]] - drawn[edges[:, 1]], axis=1)
    graph = coo_matrix((lengths, (edges[:, 0], edges[:, 1])), (len(drawn), len(drawn))).tocsr().maximum(0)
    nearest = dijkstra(graph, directed=False, indices=kept, min_only=True, return_predecessors=True)[2]
    joined = nearest[head.drawn_triangles]
    first, second, third = head.source[joined].T  # on a seam two drawn vertices may be one of the head's
    whole = (first != second) & (second != third) & (third != first)
    corners = np.sort(head.source[joined[whole]], axis=1)
    whole[whole] = np.isin(np.arange(len(corners)), np.unique(corners, axis=0, return_index=True)[1])  # each once
    return with_triangles(head, joined[whole], head.surface[whole])


def kept_vertices(head: Head) -> np.ndarray:
    """(K,) sorted drawn vertices that a coarse head has."""
    region = np.zeros(len(head.mean), np.int64)
    size = np.full(len(head.mean), CELL)
    for number, (name, part) in enumerate(head.regions.items()):
        region[part], size[part] = number, CELLS.get(name, CELL)
    marks = head.mean[head.landmarks68[27:]]
    near = np.linalg.norm(head.mean[head.skin][:, None] - marks[None], axis=2).min(axis=1) < FINE_REACH
    cells = np.concatenate([np.floor(head.mean / size[:, None]), region[:, None], size[:, None]], axis=1)
    chosen = np.zeros(len(head.mean), bool)
    chosen[np.unique(cells, axis=0, return_index=True)[1]] = True
    chosen[head.skin][near] = True
    chosen[head.landmarks68] = True
    edges = np.sort(head.triangles[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    edges, uses = np.unique(edges, axis=0, return_counts=True)
    chosen[edges[uses == 1]] = True
    chosen[np.flatnonzero(np.bincount(head.source, minlength=len(head.mean)) > 1)] = True
    return np.flatnonzero(chosen[head.source])


def with_triangles(head: Head, drawn_triangles: np.ndarray, surface: np.ndarray) -> Head:
    """The head with other triangles (T, 3) between its drawn vertices, and without the vertices that none has."""
    source, places, drawn = split_seams(head.source[drawn_triangles], drawn_triangles)
    used = np.union1d(source, head.landmarks68)
    regions = {
        name: slice(*np.searchsorted(used, [part.start, part.stop]).tolist()) for name, part in head.regions.items()
    }
    renumbered = np.full(len(head.mean), -1, np.int32)
    renumbered[used] = np.arange(len(used), dtype=np.int32)
    return replace(
        head,
        mean=head.mean[used],
        identity=np.ascontiguousarray(head.identity[:, used]),
        expression=np.ascontiguousarray(head.expression[:, used]),
        triangles=renumbered[head.source[drawn_triangles]],
        surface=surface,
        normals=head.normals[used],
        landmarks68=renumbered[head.landmarks68].astype(np.int64),
        regions=regions,
        source=renumbered[source].astype(np.int64),
        drawn_triangles=drawn,
        uv=head.uv[places],
    )
