"""Albedo and light from pictures that were made of known ones."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from models.albedo import Pictures, complete_albedos, find_albedos, separate
from util.mesh import Topology, find_mirror
from util.spherical_harmonics import AMBIENT, NUM_HARMONICS, shade

NUM_PICTURES = 12


@pytest.fixture(scope="module")
def face():
    """600 unit normals of the front of a ball in head space, mirrored in pairs, and a topology with their mirror."""
    random = np.random.default_rng(0)
    half = random.normal(size=(300, 3))
    half = np.abs(half / np.linalg.norm(half, axis=1, keepdims=True)) * [1, 1, 1]
    half[:, 1] *= random.choice([-1, 1], 300)
    points = np.float32(np.concatenate([half, half * [-1, 1, 1]]))
    triangles = np.array([[0, 1, 2]], np.int32)
    return points, Topology(points, triangles, np.arange(68), find_mirror(points))


def make_pictures(points, albedo, seed):
    """Pictures of an albedo (N, 3) under random poses and lights (n, 27), which make what is seen as bright as it is,
    in each colour, on average."""
    random = np.random.default_rng(seed)
    turns = Rotation.from_euler("yx", random.normal(0, 0.4, (NUM_PICTURES, 2))).as_matrix()
    normals = np.float32(points @ turns.transpose(0, 2, 1))
    light = random.normal(0, 0.15, (NUM_PICTURES, 3, NUM_HARMONICS)) * ([3] + [1] * 8)
    light[..., 0] = 1.1 + 0.3 * random.random((NUM_PICTURES, 1))
    seen = normals[..., 2] > 0.35
    normals, light, seen = torch.from_numpy(normals), torch.from_numpy(light).float(), torch.from_numpy(seen)
    even = torch.zeros(3, NUM_HARMONICS)
    even[:, 0] = AMBIENT
    white = shade(torch.ones_like(normals), normals, (light - even).flatten(1))
    gain = white[seen].mean(dim=0)
    colors = torch.from_numpy(albedo) * white / gain
    return Pictures(colors, normals, seen), (light / gain[:, None] - even).flatten(1)


def random_albedo(count, seed):
    """(N, 3) one tone, and changes from vertex to vertex that no light could make."""
    random = np.random.default_rng(seed)
    return np.float32(random.uniform(0.3, 0.7, 3) + random.normal(0, 0.05, (count, 3)))


def test_albedo_and_light_come_back(face):
    points, _ = face
    albedo = random_albedo(len(points), 1)
    pictures, light = make_pictures(points, albedo, 2)
    separated = separate(pictures, torch.ones(len(points), 3), 0.0)
    # Light explains what nine harmonics can of changes of 0.05 at 600 vertices: 0.05 * sqrt(9 / 600) is 0.006.
    often = pictures.seen.sum(dim=0).numpy() >= 6
    assert np.sqrt(np.mean((separated.albedo.numpy() - albedo)[often] ** 2)) < 0.01
    # Values of light can make up for each other where no vertex shows its back; what falls on vertices cannot.
    white = torch.ones_like(pictures.normals)
    wanted, got = (shade(white, pictures.normals, one)[pictures.seen] for one in (light, separated.light))
    # The same 0.006 of 0.5, where few vertices look more; light itself has a deviation of 0.2.
    assert wanted.std() > 0.15
    assert (got - wanted).abs().mean() < 0.015
    colors = shade(separated.albedo.expand(NUM_PICTURES, -1, -1), pictures.normals, separated.light)
    # Whatever is albedo and what light, together they are the pictures, but for the belief in even light.
    assert (colors - pictures.colors)[pictures.seen].abs().mean() < 0.005


def test_a_subjects_pictures_show_its_own_colours_on_average(face):
    points, _ = face
    pictures, _ = make_pictures(points, random_albedo(len(points), 3), 4)
    separated = separate(pictures, torch.ones(len(points), 3), 0.0)
    white = shade(torch.ones_like(pictures.normals), pictures.normals, separated.light)
    # float32
    torch.testing.assert_close(white[pictures.seen].mean(dim=0), torch.ones(3), rtol=0, atol=1e-4)


def test_hair_in_some_pictures_is_left_out(face):
    points, _ = face
    albedo = random_albedo(len(points), 5)
    pictures, _ = make_pictures(points, albedo, 6)
    hidden = torch.from_numpy((points[:, 1] > 0.6) & (np.abs(points[:, 0]) < 0.3))
    colors = pictures.colors.clone()
    colors[:3, hidden] = 0.05
    separated = separate(pictures._replace(colors=colors), torch.ones(len(points), 3), 0.0)
    # The plain mean over twelve pictures, three of which show 0.05 in place of about 0.5, would be 0.1 off.
    often = hidden & (pictures.seen.sum(dim=0) >= 9)
    assert np.abs(separated.albedo.numpy() - albedo)[often].mean() < 0.02


def test_the_pattern_counts_as_a_picture(face):
    points, _ = face
    albedo = random_albedo(len(points), 7)
    pictures, _ = make_pictures(points, albedo, 8)
    partly = pictures._replace(seen=pictures.seen & torch.from_numpy(points[:, 0] > -0.2))
    separated = separate(partly, torch.full((len(points), 3), 2.0), 1.0)
    unseen = ~partly.seen.any(dim=0)
    assert unseen.any()
    assert (separated.trust[unseen] == 0).all()
    # A vertex that no picture shows has the pattern in the tone of the face, which is 0.3 to 0.7; it is found by least
    # squares, in which brightly lit vertices count more than in the mean.
    tone = albedo[~unseen.numpy()].mean(axis=0)
    assert np.abs(separated.albedo[unseen].numpy() - tone).max() < 0.04


def test_all_subjects_at_once(face):
    points, topology = face
    common = random_albedo(len(points), 9) - 0.5
    albedos = np.stack([common + random_albedo(len(points), seed) for seed in (10, 11, 12, 13)])
    subjects = [make_pictures(points, albedo, 20 + i)[0] for i, albedo in enumerate(albedos)]
    found = find_albedos(subjects, topology)
    assert found.shape == albedos.shape
    assert found.dtype == np.float32
    seen = np.stack([pictures.seen.sum(dim=0).numpy() >= 10 for pictures in subjects])
    # As above, and the common pattern is two pictures among twelve: a sixth of the deviation of 0.05.
    assert np.sqrt(np.mean((found - albedos)[seen] ** 2)) < 0.015


def test_what_is_not_seen_comes_from_the_mirror_then_from_the_others(face):
    _, topology = face
    albedos = np.full((2, 600, 3), 0.4)
    albedos[1] = 0.8
    albedos[0, 5], albedos[1, 7] = 0.6, 1.3
    trust = np.ones((2, 600))
    trust[0, [305, 9, 309]] = 0  # 305 is the mirror vertex of 5
    albedos[0, [305, 9, 309]], albedos[1, 9] = 0.0, 0.4
    whole = complete_albedos(albedos, trust, topology)
    np.testing.assert_allclose(whole[0, 305], 0.6, atol=1e-6)
    # The other subject's vertex has half of its tone; 0.4 and 0.8 are the tones but for a few vertices in 600.
    np.testing.assert_allclose(whole[0, 9], 0.2, atol=0.002)
    np.testing.assert_allclose(whole[0, 309], 0.4, atol=0.002)
    assert whole[1, 7].tolist() == [1.0] * 3
