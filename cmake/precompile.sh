#!/usr/bin/env bash
# The compiler launcher of precompiled headers:  precompile.sh <project folder> <compiler> <arguments>
# Compiles, then writes beside x.pch what it was made of, x.pch.sum: the compiler, its arguments and the contents of all
# files read, none of which names the folder of the project. The header itself does, so only the sum lets ccache
# (CCACHE_PCH_EXTSUM) find in another checkout what was compiled with it.
set -euo pipefail

project=$1
shift
"$@"

output='' dependencies='' previous=''
for argument in "$@"; do
  case $previous in
    -o) output=$argument ;;
    -MF) dependencies=$argument ;;
  esac
  previous=$argument
done
[[ $output == *.pch ]] || exit 0

# Make's syntax: "x.pch: a.h b.h", lines that go on end in a backslash.
read -r -d '' -a files < <(sed -e '1s/^[^:]*://' -e 's/\\$//' "$dependencies") || true
{
  "$1" --version
  printf '%s\n' "${@//"$project"/.}"
  sha256sum -- "${files[@]}" | sed "s| $project/| |"
} | sha256sum >"$output.sum"
