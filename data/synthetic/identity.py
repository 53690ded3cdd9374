"""The directions in which heads differ: a table of pushes, for a coefficient of one standard deviation."""

from data.synthetic.fields import Push

_ALL = (float("inf"),) * 3

IDENTITY: dict[str, tuple[Push, ...]] = {
    # the whole head
    "overall_size": (Push((0, 0, -30), _ALL, stretch=(0.028, 0.028, 0.028)),),
    "face_width": (Push((0, 0, 0), (float("inf"), 160, float("inf")), stretch=(0.032, 0.0, 0.0)),),
    "face_height": (Push((0, 20, 0), (float("inf"), 160, float("inf")), stretch=(0.0, 0.030, 0.0)),),
    "face_depth": (Push((0, 0, -20), _ALL, stretch=(0.0, 0.0, 0.030)),),
    "lower_face_length": (Push((0, -80, 40), (70, 38, 70), (0, -2.8, 0)),),
    "midface_length": (Push((0, -45, 40), (70, 40, 60), (0, -1.8, 0)),),
    "face_flatness": (Push((0, -10, 70), (24, 60, 40), (0, 0, -1.8)), Push((48, 0, 20), (20, 40, 26), (0, 0, 1.4))),
    "skull_width": (Push((70, 60, -60), (40, 50, 60), (2.8, 0, 0)),),
    "occiput": (Push((0, 40, -130), (60, 50, 40), (0, 0, -4.0)),),
    "crown_height": (Push((0, 140, -40), (70, 40, 70), (0, 4.0, 0)),),
    # jaw and chin
    "lower_face_width": (Push((58, -55, 0), (36, 30, 50), (2.2, 0, 0)),),
    "jaw_angle_width": (Push((50, -60, -12), (20, 20, 24), (2.6, -0.4, 0)),),
    "jaw_angle_height": (Push((48, -62, -10), (22, 18, 24), (0, -3.2, 0)),),
    "chin_projection": (Push((0, -78, 45), (28, 20, 26), (0, 0, 2.4)),),
    "chin_width": (Push((14, -78, 40), (15, 14, 20), (2.0, 0, -0.4)),),
    "chin_height": (Push((0, -82, 42), (28, 14, 26), (0, -2.2, 0)),),
    "chin_cleft": (Push((0, -79, 54), (3.5, 7, 8), (0, 0, -0.9)),),
    "double_chin": (Push((0, -92, 12), (26, 12, 22), (0, -3.0, 1.0)),),
    # cheeks
    "cheekbone_width": (Push((56, 0, 8), (20, 18, 28), (2.0, 0, 0.3)),),
    "cheekbone_prominence": (Push((42, 0, 32), (15, 13, 14), (0.8, 0, 1.9)),),
    "cheek_fat": (Push((42, -32, 18), (20, 22, 24), (2.4, 0, 1.5)),),
    "jowls": (Push((40, -62, 14), (15, 14, 20), (1.8, -0.8, 0.6)),),
    "nasolabial_fold": (Push((22, -30, 52), (5, 12, 9), (0, 0, -0.8)), Push((31, -25, 46), (9, 12, 10), (0, 0, 0.8))),
    # forehead and brows
    "brow_ridge": (Push((22, 40, 52), (22, 8, 16), (0, 0, 1.5)),),
    "brow_height": (Push((30, 42, 45), (26, 10, 20), (0, 1.6, 0)),),
    "glabella": (Push((0, 36, 56), (10, 9, 12), (0, 0, 1.1)),),
    "forehead_height": (Push((0, 95, 30), (70, 35, 60), (0, 3.6, 0)),),
    "forehead_slope": (Push((0, 88, 45), (60, 30, 40), (0, 0, -3.0)),),
    "forehead_width": (Push((60, 65, 5), (30, 35, 40), (2.2, 0, 0)),),
    "temple": (Push((64, 36, 2), (15, 20, 20), (1.6, 0, 0)),),
    # eyes
    "eye_spacing": (Push((31.5, 21, 32), (20, 16, 22), (1.3, 0, 0)),),
    "eye_height": (Push((31.5, 21, 32), (22, 15, 22), (0, 1.1, 0)),),
    "eye_depth": (Push((31.5, 22, 34), (17, 13, 18), (0, 0, -1.4)),),
    "eye_width": (Push((31, 21, 36), (14, 10, 16), stretch=(0.050, 0, 0)),),
    "eye_opening": (Push((31, 21, 40), (14, 7, 14), stretch=(0, 0.11, 0)),),
    "eye_slant": (Push((44, 22, 26), (7, 7, 12), (0, 0.9, 0)), Push((17, 19, 34), (6, 6, 10), (0, -0.4, 0))),
    "lid_fold": (Push((32, 31, 44), (14, 4.5, 8), (0, -0.9, 1.3)),),
    "eye_bags": (Push((29, 9, 40), (12, 4, 8), (0, 0, 0.8)),),
    # nose
    "nose_length": (Push((0, -14, 62), (19, 13, 22), (0, -2.0, 0)),),
    "nose_width": (Push((12, -15, 55), (7, 9, 14), (1.4, 0, 0)),),
    "nose_projection": (Push((0, -10, 65), (14, 14, 20), (0, 0, 1.9)),),
    "nose_bridge_height": (Push((0, 17, 55), (9, 13, 16), (0, 0, 1.7)),),
    "nose_bridge_width": (Push((8, 12, 48), (7, 16, 14), (1.0, 0, 0)),),
    "nose_hump": (Push((0, 8, 62), (8, 6, 12), (0, 0, 1.1)),),
    "nose_tip_up": (Push((0, -13, 68), (11, 8, 12), (0, 1.5, 0.4)),),
    "nose_tip_round": (Push((0, -12, 66), (10, 9, 10), stretch=(0.11, 0.09, 0.05)),),
    "nose_wing_height": (Push((12, -16, 56), (6, 6, 9), (0.2, 1.0, 0)),),
    "nostril_base": (Push((0, -21, 60), (7, 5, 9), (0, -0.9, 0)),),
    # mouth
    "mouth_width": (Push((24, -45, 48), (12, 12, 14), (1.8, 0, 0)),),
    "mouth_height": (Push((0, -45, 58), (34, 13, 26), (0, 1.5, 0)),),
    "mouth_projection": (Push((0, -44, 58), (30, 16, 24), (0, 0, 1.8)),),
    "upper_lip_thickness": (Push((0, -36, 63), (17, 3.4, 10), (0, 1.0, 0.3), part="upper"),),
    "lower_lip_thickness": (Push((0, -54, 60), (17, 3.8, 10), (0, -1.1, 0.3), part="lower"),),
    "lip_fullness": (Push((0, -44.5, 62), (16, 6, 8), (0, 0, 1.1)),),
    "cupids_bow": (Push((6, -34.5, 63), (3.2, 2.4, 8), (0, 0.7, 0)),),
    "mouth_corners": (Push((25, -44.6, 48), (7, 6, 10), (0, 1.0, 0)),),
    "philtrum_depth": (Push((0, -29, 64), (3.0, 5, 6), (0, 0, -0.6)),),
    "chin_fold": (Push((0, -60, 56), (20, 6, 12), (0, 0, -1.2)),),
    # ears, neck and body
    "ear_size": (Push((76, 4, -38), (14, 30, 22), stretch=(0.05, 0.09, 0.09)),),
    "ear_protrusion": (Push((90, 6, -52), (11, 28, 14), (3.0, 0, 1.2)),),
    "ear_height": (Push((78, 4, -40), (16, 32, 24), (0, 2.2, 0)),),
    "neck_thickness": (Push((0, -160, -55), (90, 45, 90), stretch=(0.075, 0, 0.055)),),
    "larynx": (Push((0, -128, 5), (10, 12, 12), (0, 0, 1.6)),),
    "shoulder_width": (Push((0, -360, -55), (float("inf"), 110, float("inf")), stretch=(0.060, 0, 0.03)),),
    # left and right differ
    "asymmetry_jaw": (Push((0, -75, 35), (60, 35, 60), (0.6, 0, 0), side="odd"),),
    "asymmetry_nose": (Push((0, -10, 65), (15, 16, 20), (0.4, 0, 0), side="odd"),),
    "asymmetry_eyes": (Push((31, 22, 32), (18, 14, 20), (0, 0.5, 0), side="odd"),),
    "asymmetry_brows": (Push((34, 44, 42), (18, 8, 18), (0, 0.7, 0), side="odd"),),
    "asymmetry_mouth": (Push((24, -45, 48), (12, 10, 14), (0, 0.6, 0), side="odd"),),
    "asymmetry_depth": (Push((50, -10, 15), (36, 60, 40), (0, 0, 0.8), side="odd"),),
}
