"""Builds the compiled rasterizer in place: python setup.py build_ext --inplace"""

import sys

import numpy
from Cython.Build import cythonize
from setuptools import Extension, setup

# Strict IEEE arithmetic: coverage must not depend on the compiler contracting a*b+c.
COMPILE_ARGUMENTS = ["/O2", "/std:c++17"] if sys.platform == "win32" else ["-O3", "-std=c++17", "-ffp-contract=off"]

rasterizer = Extension(
    "Sim3DR._rasterize",
    sources=["Sim3DR/_rasterize.pyx", "Sim3DR/rasterize_kernel.cpp"],
    depends=["Sim3DR/rasterize_kernel.h"],
    include_dirs=[numpy.get_include(), "Sim3DR"],
    extra_compile_args=COMPILE_ARGUMENTS,
    language="c++",
)

setup(
    name="perspface",
    version="0.1.0",
    packages=[],
    ext_modules=cythonize([rasterizer], language_level=3),
)
