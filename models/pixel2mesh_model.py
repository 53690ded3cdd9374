"""Pixel2Mesh for faces: graph convolutions deform a template, block by block, from coarse to fine.

Before each block every vertex reads the picture's features where it is seen (perceptual pooling), for which the model
carries a pose: the one under which the mesh, as it is by then, is seen where 68 points of the picture are (PnP).
Wang et al., Pixel2Mesh, ECCV 2018; the semi-sphere and the learned unpooling are those of its variant for faces.
"""

import argparse
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from models.backbones import PointLayers, add_backbone_name, add_initialisation, pyramid, pyramid_channels, resnet
from models.base_model import DECIMETRES, BaseModel, Batch, Outputs, check_weights
from models.deformation import Stage, make_hierarchy
from models.graph_layers import GraphBlock, SparseMatrix, chebyshev_matrix, sparse_product
from models.mesh_losses import (
    chamfer_loss,
    edge_loss,
    laplacian_loss,
    move_loss,
    nearest,
    normal_loss,
    sample_surface,
)
from util.camera import project, transform
from util.errors import InputError
from util.mesh import Topology
from util.pnp import solve_pnp
from util.statistics import LabelStatistics

# noahcao/Pixel2Mesh's resnet.yml, but for the whole ellipsoid that it starts from, the last of its 43 convolutions and
# what vertices here read of the pose and the 68 points, which nobody tells there. Weights are of decimetres.
PUBLISHED = {
    "img_size": 224,
    "batch_size": 64,
    "epochs": 110,
    "lr": 1e-4,
    "beta1": 0.9,
    "beta2": 0.999,
    "weight_decay": 1e-6,
    "lr_policy": "step",
    "lr_milestones": [30, 70, 90],
    "lr_factor": 0.3,
    "backbone": "resnet50",
    "initialisation": "he",
    "template": "semisphere",
    "supervision": "points",
    "num_blocks": 3,
    "hidden_channels": 192,
    "pooled_channels": 0,
    "global_channels": 0,
    "residual_layers": 6,
    "offsets": False,
    "learned_unpooling": False,
    "read_landmarks": False,
    "truth_points": 9000,
    "sampled_chamfer": False,
    "loss_chamfer_weight": 1.0,
    "loss_normal_weight": 1.6e-4,
    "loss_edge_weight": 0.1,
    "loss_laplacian_weight": 0.5,
    "loss_move_weight": 0.033,
    "loss_points_weight": 5.0,
}
# The variant for faces: four blocks, learned unpooling.
FACE = {
    **PUBLISHED,
    "batch_size": 4,
    "epochs": 100,
    "lr_milestones": [30, 45, 60, 75],
    "num_blocks": 4,
    "learned_unpooling": True,
    "truth_points": 18000,
    "loss_chamfer_weight": 100.0,
}
# Ours: learns from far fewer images.
STANDARD = {
    **PUBLISHED,
    "img_size": 256,
    "batch_size": 32,
    "epochs": 20,
    "lr": 2e-3,
    "weight_decay": 1e-2,
    "lr_policy": "cosine",
    "warmup_steps": 50,
    "averaging": 0.99,
    "precision": "auto",
    "mirror": 0.5,
    "light": 0.5,
    "box_jitter": 0.1,
    "landmark_noise": 0.002,
    "backbone": "resnet18",
    "template": "mean",
    "supervision": "vertices",
    "hidden_channels": 64,
    "pooled_channels": 16,
    "global_channels": 64,
    "residual_layers": 3,
    "offsets": True,
    "read_landmarks": True,
    "truth_points": 3000,
    "sampled_chamfer": True,
    "loss_vertices_weight": 5.0,
    "loss_chamfer_weight": 100.0,
    "loss_normal_weight": 0.016,
    "loss_laplacian_weight": 50.0,
    "loss_move_weight": 3.3,
}
WINDOW = "local"
LOSSES = ("vertices", "chamfer", "normal", "edge", "laplacian", "move", "points")
# What the mean truth-to-prediction distance is worth in the Chamfer loss, beside that the other way (published).
REVERSE = 0.55
# Laplacian and move of the first block, which has the farthest to go, count so much (published).
FIRST_BLOCK = 0.2
# Blocks tell how far vertices go in this many decimetres: Adam moves all weights at one speed.
OFFSET_UNIT = 0.1
# In training so many images show the network the points that it finds, as photos do, in place of the known ones.
FOUND_SHARE = 0.25
# A mesh is turned into a pose if its 68 points are spread so many times as wide as the template's.
SANE_SPREAD = (0.5, 2.0)


class Pixel2MeshModel(BaseModel):
    """One encoder on the face, whose maps all blocks read.

    Outputs: "verts" (B, N, 3) decimetres, "R_t" (B, 4, 4), "found_points" (B, 68, 2), from -1 to 1 across the window,
    and of each block k, from 0, "before_k" and "after_k" (B, n, 3), the decimetres of the level's vertices.
    """

    windows = (WINDOW,)
    presets: ClassVar = {"standard": STANDARD, "published": PUBLISHED, "face": FACE}
    exportable = False

    def __init__(
        self,
        statistics: LabelStatistics,
        topology: Topology,
        projection: np.ndarray,
        image_size: tuple[int, int],
        backbone: str = "resnet18",
        initialisation: str = "he",
        template: str = "mean",
        supervision: str = "vertices",
        num_blocks: int = 3,
        hidden_channels: int = 64,
        pooled_channels: int = 16,
        global_channels: int = 64,
        residual_layers: int = 3,
        offsets: bool = True,
        learned_unpooling: bool = False,
        read_landmarks: bool = True,
        truth_points: int = 3000,
        sampled_chamfer: bool = True,
        weights: Mapping[str, float] | None = None,
    ):
        """weights: of the losses, by their names in LOSSES."""
        super().__init__(statistics)
        self.weights = dict(weights or {name: STANDARD[f"loss_{name}_weight"] for name in LOSSES})
        check_weights(self.weights)
        counts = {"hidden_channels": hidden_channels, "residual_layers": residual_layers, "truth_points": truth_points}
        unneeded = {"pooled_channels": pooled_channels, "global_channels": global_channels}
        for name, count in {**counts, **unneeded}.items():
            least = 0 if name in unneeded else 1
            if count < least:
                raise InputError(f"--{name}: wanted {least} or more, got {count}")
        if learned_unpooling and template != "semisphere":
            raise InputError(f"--learned_unpooling: wanted --template semisphere, got {template}")
        self.supervision, self.offsets, self.read_landmarks = supervision, offsets, read_landmarks
        self.image_size, self.truth_points, self.sampled_chamfer = image_size, truth_points, sampled_chamfer
        # They come from the run, not from its weights.
        constants = {"projection": projection.astype(np.float32), "triangles": topology.triangles.astype(np.int64)}
        for name, array in constants.items():
            self.register_buffer(name, torch.from_numpy(array), persistent=False)
        self.encoder, features = resnet(backbone, initialisation, "grid" if global_channels else "average")
        channels = pyramid_channels(self.encoder)
        self.point_layers = PointLayers(channels[2], len(topology.keypoints))
        self.squeezes = nn.ModuleList(nn.Conv2d(count, pooled_channels, 1) for count in channels if pooled_channels)
        hierarchy = make_hierarchy(template, topology, statistics.verts_mean.astype(np.float64), num_blocks)
        # coordinates, what the key points tell, the pose
        numbers = (pooled_channels * len(channels) if pooled_channels else sum(channels)) + 3 + 3 + 6
        self.lift = None
        if global_channels:
            points = 3 * len(topology.keypoints) + 6
            self.normalisation = nn.BatchNorm1d(points)
            self.lift = nn.Linear(features + points, len(hierarchy.levels[0].vertices) * global_channels)
        read = numbers + global_channels
        self.stages = nn.ModuleList()
        for place, level in enumerate(hierarchy.levels):
            matrix = chebyshev_matrix(level.edges, len(level.vertices))
            block = GraphBlock(SparseMatrix(matrix), read, hidden_channels, residual_layers)
            read = numbers + hidden_channels  # and what the block before has made of them
            if offsets:  # the template as it is, until they learn
                for layer in (block.exit.neighbours, block.exit.own):
                    nn.init.zeros_(layer.weight)
            # what the published losses take for edges: both ways, and each vertex with itself
            links = np.stack(matrix.nonzero(), axis=1).astype(np.int64)
            # an ellipsoid has no nose: what all faces share is learned; blocks have the same weights for all vertices
            moves = offsets and template == "semisphere"
            self.stages.append(Stage(hierarchy, place, topology, block, links, learned_unpooling, moves))
        self.last = SparseMatrix(hierarchy.levels[-1].to_topology)

    @classmethod
    def build(
        cls,
        options: Mapping[str, Any],
        topology: Topology,
        statistics: LabelStatistics,
        projection: np.ndarray,
        image_size: tuple[int, int],
    ) -> "Pixel2MeshModel":
        names = ("backbone", "initialisation", "template", "supervision", "num_blocks", "hidden_channels")
        names += ("pooled_channels", "global_channels", "residual_layers", "offsets", "learned_unpooling")
        told = {name: options[name] for name in (*names, "read_landmarks", "truth_points", "sampled_chamfer")}
        weights = {name: options[f"loss_{name}_weight"] for name in LOSSES}
        return cls(statistics, topology, projection, image_size, **told, weights=weights)

    def read_weights(self, options: Mapping[str, Any]) -> list[str]:
        return [f"deforms meshes of {', '.join(str(len(stage.start)) for stage in self.stages)} vertices"]

    @staticmethod
    def add_options(group: argparse._ArgumentGroup) -> None:
        add_backbone_name(group)
        add_initialisation(group)
        group.add_argument(
            "--template",
            choices=["mean", "semisphere"],
            default="mean",
            help="what is deformed: the mean face, at first with few of its vertices, or half an ellipsoid, whose "
            "triangles become four before each block, as published",
        )
        group.add_argument(
            "--supervision",
            choices=["vertices", "points"],
            default="vertices",
            help="the true vertices, one by one, or points of the true surface, which nobody knows to be which",
        )
        for name, default, told in (
            ("num_blocks", 3, "deform so many meshes, each finer; those of the mean face have 24 vertices at least"),
            ("hidden_channels", 64, "numbers of each vertex in a block"),
            ("pooled_channels", 16, "squeeze each of the encoder's four maps to so many; 0: read all, as published"),
            ("global_channels", 64, "each vertex of the first block reads so many of its own of the whole picture"),
            ("residual_layers", 3, "residual layers of a block, each of two graph convolutions"),
            ("truth_points", 3000, "points drawn on the true surface, for --supervision points"),
        ):
            group.add_argument(f"--{name}", type=int, default=default, metavar="N", help=told)
        for name, default, told in (
            ("offsets", True, "blocks tell how far vertices go; published: where to"),
            ("learned_unpooling", False, "learn where on its edge a semi-sphere's new vertex lies, not in the middle"),
            (
                "sampled_chamfer",
                True,
                "points drawn on the mesh are compared with the true ones; published: its vertices",
            ),
            ("read_landmarks", True, "find poses by the known 68 points, and tell blocks how far off these meshes are"),
        ):
            group.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, default=default, help=told)
        for name, told in {
            "vertices": "vertices' L1 loss, --supervision vertices",
            "chamfer": "Chamfer loss, in square decimetres; it and the next four are those of --supervision points",
            "normal": "loss of edges that do not lie in the true surface",
            "edge": "edges' squared lengths",
            "laplacian": "squared change of vertices beside their neighbours by a block",
            "move": "squared change of vertices by a block",
            "points": "L1 loss of the 68 points that are found, in half sides of the window",
        }.items():
            default = STANDARD[f"loss_{name}_weight"]
            group.add_argument(f"--loss_{name}_weight", type=float, default=default, help=f"weight of the {told}")

    def forward(self, batch: Batch) -> Outputs:
        maps = pyramid(self.encoder, self.pixels(batch, WINDOW))
        outputs = {"found_points": self.point_layers(maps[2])}
        whole = None
        if self.lift is not None:
            whole = self.encoder.fc(torch.flatten(self.encoder.avgpool(maps[3]), 1)).float()
        if self.squeezes:
            maps = [squeeze(level) for squeeze, level in zip(self.squeezes, maps, strict=True)]
        # without the half precision that networks compute in
        with torch.autocast(batch["index"].device.type, enabled=False):
            return self.deform([level.float() for level in maps], whole, outputs, batch)

    def deform(self, maps: list[torch.Tensor], whole: torch.Tensor | None, outputs: Outputs, batch: Batch) -> Outputs:
        """The outputs, from the encoder's maps, its features of the whole picture (B, features) and those that there
        are."""
        points = self.seen_points(outputs["found_points"], batch)
        # what is unpooled: where the coarser level's vertices are, or how far they have gone
        places, hidden = None, None
        for number, stage in enumerate(self.stages):
            start = stage.start[:, None].expand(-1, len(points), -1)
            before = stage.unpool(places) if number else start
            if number and self.offsets:
                before = start + before
            R_t = self.solve_pose(before, stage, points)
            moves, pose = self.moves(before, R_t, points, stage), self.whiten_pose({"R_t": R_t})
            near = torch.einsum("nk,bkc->nbc", stage.reach, moves)
            read = [*self.pooled(maps, before, R_t, batch), before, near, pose.expand(len(start), -1, -1)]
            if number:
                read.append(stage.unpool(hidden))
            elif whole is not None:
                told = self.normalisation(torch.cat([moves.flatten(1), pose], dim=1))
                lifted = self.lift(torch.cat([whole, told], dim=1))
                read.append(lifted.unflatten(1, (len(start), -1)).transpose(0, 1))
            values, hidden = stage.block(torch.cat(read, dim=2))
            after = before + OFFSET_UNIT * values if self.offsets else values
            if stage.moves is not None:
                after = after + stage.moves
            places = after - start if self.offsets else after
            outputs |= {f"before_{number}": before.transpose(0, 1), f"after_{number}": after.transpose(0, 1)}
        verts = sparse_product(self.last, after).transpose(0, 1)
        return outputs | {"verts": verts, "R_t": self.solve_pose(after, stage, points)}

    def seen_points(self, found: torch.Tensor, batch: Batch) -> torch.Tensor:
        """(B, 68, 2) image pixels: where the key points are taken to be seen."""
        found = self.image_points(found.detach(), batch, WINDOW).float()
        known = torch.full((len(found),), self.read_landmarks, device=found.device)
        if "landmarks_known" in batch:
            known = known & batch["landmarks_known"]
        if self.training:
            known = known & (torch.rand(len(found), device=found.device) >= FOUND_SHARE)
        # a network that gives no numbers any more is told by its loss
        known = known | ~torch.isfinite(found).flatten(1).all(dim=1)
        return torch.where(known[:, None, None], batch["landmarks68"], found)

    @torch.no_grad()
    def solve_pose(self, mesh: torch.Tensor, stage: Stage, points: torch.Tensor) -> torch.Tensor:
        """(B, 4, 4) the poses under which meshes (n, B, 3) of a stage are seen at points (B, 68, 2); those of the
        template where a mesh is none that a face could be, as at random weights. Constants, to what learns."""
        own, usual = (
            sparse_product(stage.keypoints, each).transpose(0, 1) / DECIMETRES
            for each in (mesh, stage.start[:, None].expand_as(mesh))
        )
        spread = [torch.linalg.svdvals(each - each.mean(dim=1, keepdim=True)) for each in (own.nan_to_num(), usual)]
        ratio, (least, most) = spread[0] / spread[1], SANE_SPREAD
        sane = torch.isfinite(own).flatten(1).all(dim=1) & ((ratio > least) & (ratio < most)).all(dim=1)
        verts = torch.where(sane[:, None, None], own, usual)
        return solve_pnp(verts, points, self.projection, *self.image_size)

    def pooled(
        self, maps: list[torch.Tensor], mesh: torch.Tensor, R_t: torch.Tensor, batch: Batch
    ) -> list[torch.Tensor]:
        """(n, B, channels) of each map, bilinear, where the vertices (n, B, 3) are seen; beyond the window its edge."""
        verts = mesh.transpose(0, 1) / DECIMETRES
        seen, _ = project(transform(verts, R_t), self.projection, *self.image_size)
        places = self.across_window(seen, batch, WINDOW)[:, None]
        return [
            functional.grid_sample(level, places, padding_mode="border", align_corners=False)[:, :, 0].permute(2, 0, 1)
            for level in maps
        ]

    def moves(self, mesh: torch.Tensor, R_t: torch.Tensor, points: torch.Tensor, stage: Stage) -> torch.Tensor:
        """(B, 68, 3) how far the key points of a mesh (n, B, 3) would have to move across the view to be seen at points
        (B, 68, 2), in units of OFFSET_UNIT."""
        keypoints = sparse_product(stage.keypoints, mesh.detach()).transpose(0, 1) / DECIMETRES
        seen, distance = project(transform(keypoints, R_t), self.projection, *self.image_size)
        focal = self.projection.diagonal()[:2] / 2 * self.projection.new_tensor(self.image_size)
        across = (points - seen) / focal * distance[..., None] * self.projection.new_tensor([1, -1])
        return functional.pad(across, (0, 1)) @ R_t[:, :3, :3].mT * (DECIMETRES / OFFSET_UNIT)

    def losses(self, outputs: Outputs, batch: Batch) -> dict[str, torch.Tensor]:
        truth = batch["verts"] * DECIMETRES
        if self.supervision == "vertices":
            losses = {"vertices": self.vertices_loss(outputs, truth)}
        else:
            losses = self.surface_losses(outputs, truth)
        losses["points"] = functional.l1_loss(outputs["found_points"], self.window_landmarks(batch, WINDOW))
        return {name: self.weights[name] * loss for name, loss in losses.items()}

    def vertices_loss(self, outputs: Outputs, truth: torch.Tensor) -> torch.Tensor:
        """The mean of the blocks' L1 losses, and the result's, beside true vertices (B, N, 3) decimetres."""
        losses = [functional.l1_loss(outputs["verts"], truth)]
        for number, stage in enumerate(self.stages):
            target = sparse_product(stage.truth, truth.transpose(0, 1)).transpose(0, 1)
            losses.append(functional.l1_loss(outputs[f"after_{number}"], target))
        return torch.stack(losses).mean()

    def surface_losses(self, outputs: Outputs, truth: torch.Tensor) -> dict[str, torch.Tensor]:
        """Pixel2Mesh's losses, each summed over the blocks, beside points drawn on the meshes (B, N, 3) decimetres.

        Of a coarse mesh the vertices are far from most of the true surface, however well it fits, and they would slide
        to where they are nearer to more of it: --sampled_chamfer takes points of its own surface (Mesh R-CNN).
        """
        # in validation the same of all models and epochs
        random = None if self.training else torch.Generator(truth.device).manual_seed(0)
        points, normals = sample_surface(truth, self.triangles, self.truth_points, random)
        losses = dict.fromkeys(("chamfer", "normal", "edge", "laplacian", "move"), truth.new_zeros(()))
        for number, stage in enumerate(self.stages):
            before, after = outputs[f"before_{number}"], outputs[f"after_{number}"]
            factor = 1.0 if number else FIRST_BLOCK
            own = after
            if self.sampled_chamfer:
                own, _ = sample_surface(after, stage.triangles, self.truth_points, random)
            chamfer, indices = chamfer_loss(own, points, REVERSE)
            if self.sampled_chamfer:
                indices = nearest(after, points)
            losses["chamfer"] = losses["chamfer"] + chamfer
            losses["normal"] = losses["normal"] + normal_loss(after, stage.links, normals, indices)
            losses["edge"] = losses["edge"] + edge_loss(after, stage.links)
            losses["laplacian"] = losses["laplacian"] + factor * laplacian_loss(before, after, stage.laplacian)
            if number:  # the first block has far to go
                losses["move"] = losses["move"] + move_loss(before, after)
        return losses

    def reconstruct(self, outputs: Outputs, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        return outputs["verts"] / DECIMETRES, outputs["R_t"]

    def deformation(self, outputs: Outputs, batch: Batch) -> list[tuple[torch.Tensor, np.ndarray]]:
        names = ["before_0", *(f"after_{number}" for number in range(len(self.stages)))]
        stages = [self.stages[0], *self.stages]
        meshes = zip(names, stages, strict=True)
        return [(outputs[name] / DECIMETRES, stage.triangles.cpu().numpy()) for name, stage in meshes]
