#!/bin/sh
# The compiler calls this for each attention kernel, to learn whether its blocks fit into the local memory:
#   ppl_jit.sh SOURCE FUNCTION INCLUDES OUT CHIP ARGUMENTS IS_SIMULATED
# It stands for the vendor's script of that name and needs a C compiler, but neither cmake nor make.
# The exit status of ppl-compile means something to the caller: 17 and 26 are "try smaller blocks".
source=$1 function=$2 includes=$3 out=$4 chip=$5 arguments=$6
compiler=$(command -v "${CC:-cc}" || command -v gcc || command -v clang)
if [ -z "$compiler" ]; then
    echo "ppl_jit.sh: no C compiler"
    exit 1
fi
set -- "$source" --I "$includes" --x ir --chip "$chip" "-D__${chip}__" --O3 --desc --device
if [ -n "$arguments" ]; then
    set -- "$@" --const-arg "$arguments"
fi
ppl-compile "$@" --function "$function" -o "$out" || exit $?
deps=$PPL_PROJECT_ROOT/deps
common=$deps/common/dev
mkdir -p "$out/lib"
exec "$compiler" -shared -fPIC -O1 -w -D__bm1684x__ "-D__${chip}__" \
    -I"$out/include" -I"$common/kernel" -I"$deps/chip/$chip/TPU1686/kernel/include" \
    -I"$common/utils/include" -o "$out/lib/lib$function.so" \
    "$out"/device/*.c "$common/utils/src/ppl_helper.c" \
    -L"$TPUC_ROOT/lib" -l:libbackend_bm1684x.so -lm
