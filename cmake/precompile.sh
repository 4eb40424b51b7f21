#!/usr/bin/env bash
# The compiler launcher of precompiled headers:  precompile.sh <project folder> <compiler> <arguments>
# Compiles, then writes beside x.pch what it was made of, x.pch.sum: the compiler, its arguments and the contents of all
# files read, without the folders of project and build. The header itself names them, so only the sum lets ccache
# (CCACHE_PCH_EXTSUM) find in another checkout, or another build folder of this one, what was compiled with it.
set -euo pipefail

project=$1
shift
output='' dependencies='' previous=''
for argument in "$@"; do
  case $previous in
    -o) output=$argument ;;
    -MF) dependencies=$argument ;;
  esac
  previous=$argument
done
[[ $output == *.pch ]] || exec "$@"

sum=$output.sum
rm -f "$sum"
touch "$sum.begun"
"$@"

# Make's syntax: "x.pch: a.h b.h", lines that go on end in a backslash.
read -r -d '' -a files < <(sed -e '1s/^[^:]*://' -e 's/\\$//' "$dependencies") || true
# What was edited meanwhile may not be what was read. Without a sum, ccache takes the bytes of the header itself.
changed=$(find -L "${files[@]}" -newer "$sum.begun")
[[ -z $changed ]] || exit 0
made_of=$("$1" --version && printf '%s\n' "$@" && sha256sum -- "${files[@]}")
made_of=${made_of//"$PWD"/build}  # compilers run in the build folder
sha256sum <<<"${made_of//"$project"/project}" >"$sum"
