"""Builds the compiled rasterizer in place: python setup.py build_ext --inplace

`pip wheel .` makes a wheel of Sim3DR alone, for use elsewhere; the steps run from the checkout.
"""

import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError

# Strict IEEE arithmetic: coverage must not depend on the compiler contracting a*b+c. That errno and floating-point
# exceptions are of no interest changes no result but lets square roots and conditions become vector code.
COMPILE_ARGUMENTS = [
    "-O3",
    "-std=c++17",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-wrapv",  # Python's own flags have -fwrapv, which costs a tenth of the speed
    "-Wno-psabi",
    "-g0",
    "-fvisibility=hidden",
]


class BuildRasterizer(build_ext):
    """build_ext that says what is missing where there is no compiler."""

    def build_extension(self, extension):
        try:
            super().build_extension(extension)
        except CompileError as error:
            raise CompileError(
                f"{error}\nSim3DR is compiled here and wants GCC 11 or Clang 14, or later, with Python's headers. On "
                "Debian and Ubuntu: apt install g++ python3-dev; on macOS: xcode-select --install"
            ) from error


rasterizer = Extension(
    "Sim3DR._rasterize",
    sources=["Sim3DR/_rasterize.pyx", *sorted(str(path) for path in Path("Sim3DR/kernel").glob("*.cpp"))],
    depends=sorted(str(path) for path in Path("Sim3DR/kernel").glob("*.h")),
    include_dirs=["Sim3DR"],
    extra_compile_args=COMPILE_ARGUMENTS,
    extra_link_args=["-pthread"] if sys.platform.startswith("linux") else [],
    language="c++",
)

setup(
    name="perspface",
    version="0.1.0",
    packages=["Sim3DR"],
    python_requires=">=3.10",
    install_requires=["numpy>=1.26"],
    ext_modules=cythonize([rasterizer], language_level=3),
    cmdclass={"build_ext": BuildRasterizer},
)
