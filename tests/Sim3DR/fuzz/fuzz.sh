#!/bin/sh
# Compiles the kernel with sanitizers and draws random meshes with it.
# fuzz.sh [SECONDS [SEED [SANITIZERS]]]: 1200 s, seed 1, address,undefined; "thread" looks for data races.
set -eu
seconds=${1:-1200} seed=${2:-1} sanitizers=${3:-address,undefined}
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../../..
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# The project's own flags.
flags=$(sed -n '/^COMPILE_ARGUMENTS = /,/^\]/p' "$root/setup.py" | grep -o '"-[^"]*"' | tr -d '"')
test -n "$flags"
# shellcheck disable=SC2086
${CXX:-c++} $flags -g -Wall -Wextra -fsanitize="$sanitizers" -fno-sanitize-recover=all -I"$root/Sim3DR" -I"$here" \
    "$here/fuzz.cpp" "$root"/Sim3DR/kernel/*.cpp -pthread -o "$folder/fuzz"
"$folder/fuzz" "$seconds" "$seed"
