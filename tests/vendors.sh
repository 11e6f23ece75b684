#!/bin/sh
# tests/vendors.sh: test_vendors with the compilers of NVIDIA (NVK), AMD, Adreno and Apple,
# without their hardware: Mesa's drivers on Debian's mesa-drm-shim, which only unstable has.
# Where that is not installed, a Debian unstable system is made in $ROOT (1.1 GB, once; needs
# root). Usage: tests/vendors.sh BUILD [NAMES]    NAMES: parts of device names, by commas; all
set -u
BUILD=$1 NAMES=${2:-all}
ROOT=${ROOT:-/srv/faultline-vendors}
LIB=/usr/lib/x86_64-linux-gnu
PACKAGES="mesa-drm-shim mesa-vulkan-drivers libvulkan1 libpcre2-8-0 libjansson4"

say() { echo "vendors: $*" >&2; }

# A Snapdragon X (X1-85) of the shim's 740: one byte of the chip's id, which the driver knows.
make_x1()
{
    from=$1$LIB/libfreedreno_noop_drm_shim.so to=$1/tmp/libfreedreno_x1.so
    [ -e "$to" ] && return
    perl -0777 -pe 's/\x01\x0a\x05\x43/\x01\x0c\x05\x43/' "$from" >"$to"
    cmp -s "$from" "$to" && { rm -f "$to"; say "this shim has no 740 to make an X1 of"; }
}

make_root()
{
    if [ ! -x "$ROOT/bin/sh" ]; then
        command -v debootstrap >/dev/null || { say "debootstrap is missing: apt-get install debootstrap"; return 1; }
        say "making a Debian unstable system in $ROOT, some minutes"
        debootstrap --variant=minbase sid "$ROOT" >"$ROOT.log" 2>&1 || { tail -5 "$ROOT.log" >&2; return 1; }
    fi
    mountpoint -q "$ROOT/proc" || mount -t proc proc "$ROOT/proc" || return 1
    [ -e "$ROOT$LIB/libnouveau_noop_drm_shim.so" ] && return
    cp /etc/resolv.conf "$ROOT/etc/resolv.conf" 2>/dev/null
    cp -n /etc/apt/apt.conf.d/* "$ROOT/etc/apt/apt.conf.d/" 2>/dev/null
    chroot "$ROOT" apt-get update -q >"$ROOT.log" 2>&1 &&
        # shellcheck disable=SC2086
        chroot "$ROOT" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
            --no-install-recommends $PACKAGES >>"$ROOT.log" 2>&1 || { tail -5 "$ROOT.log" >&2; return 1; }
}

# The program and the libraries that it was linked with, but for those of the C library and
# what the drivers bring: those must be the system's own.
put_program()
{
    mkdir -p "$ROOT/opt/faultline/lib" && cp "$BUILD/test_vendors" "$ROOT/opt/faultline/" || return
    ldd "$BUILD/test_vendors" | awk '/=> \// { print $3 }' |
        grep -vE '/(libc|libm|libpthread|libz|libzstd|libexpat|libstdc\+\+|libgcc_s)\.so' |
        xargs -r cp -n -t "$ROOT/opt/faultline/lib"
}

[ -x "$BUILD/test_vendors" ] || { say "no $BUILD/test_vendors"; exit 1; }
if [ -e $LIB/libnouveau_noop_drm_shim.so ]; then
    make_x1 ""
    FAULTLINE_TEST_VENDORS=$NAMES exec "$BUILD/test_vendors"
fi
[ "$(id -u)" = 0 ] || { say "no mesa-drm-shim here, and only root can enter a system in a folder"; exit 77; }
make_root && put_program || exit 1
make_x1 "$ROOT"
exec chroot "$ROOT" env LD_LIBRARY_PATH=/opt/faultline/lib "FAULTLINE_TEST_VENDORS=$NAMES" \
    /opt/faultline/test_vendors
