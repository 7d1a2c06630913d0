# What packagers get: a tarball that is the same each time, recipes, Debian packages without a complaint.
# alone
. tests/cli/cases.inc

: >"$err"
version=$("$GPT2" --version | sed 's/^gpt2 //')
if [ -z "${BUILD:-}" ] || ! command -v make >/dev/null; then
    skip "packages" "needs make"
    exit 0
fi
if git rev-parse HEAD >/dev/null 2>&1; then
    tools/make_dist "$tmp/one" http://127.0.0.1/gpt2.tar.gz http://127.0.0.1/home >"$out" 2>"$err"
    status=$?
    expect "make dist" exits 0
    sleep 1 # another time
    tools/make_dist "$tmp/two" >"$out" 2>"$err"
    expect "... gives the same bytes again" same "$tmp/one/gpt2-$version.tar.gz" "$tmp/two/gpt2-$version.tar.gz"
    sha256=$(command -v sha256sum || echo shasum -a 256)
    expect "... with their checksum" sh -c "cd '$tmp/one' && $sha256 -c gpt2-$version.tar.gz.sha256 >/dev/null"
    mkdir "$tmp/bare" && cp tools/make_dist "$tmp/bare"
    (cd "$tmp/bare" && GIT_CEILING_DIRECTORIES=$tmp ./make_dist dist) >"$out" 2>"$err"
    status=$?
    expect "no tarball where git has nothing" test $status -ne 0 -a ! -e "$tmp/bare/dist"
    tar -xzf "$tmp/one/gpt2-$version.tar.gz" -C "$tmp" 2>"$err"
    for file in Makefile README.md LICENSE CHANGELOG.md models/tales/model.safetensors src/cli/main.c; do
        expect "... and has $file" test -s "$tmp/gpt2-$version/$file"
    done
    (cd "$tmp/gpt2-$version" && MAKEFLAGS='' make -n all) >"$out" 2>"$err"
    status=$?
    expect "... from which make knows what to do" exits 0
    sum=$(cut -d' ' -f1 "$tmp/one/gpt2-$version.tar.gz.sha256")
    for recipe in gpt2.rb PKGBUILD; do
        expect "$recipe has version, address and checksum" test \
            "$(grep -cE "$version|127.0.0.1|$sum" "$tmp/one/$recipe")" -ge 3 -a -z "$(grep -E '@[A-Z0-9]+@' "$tmp/one/$recipe")"
    done
    expect "gpt2.rb has the home page" grep -qx '  homepage "http://127.0.0.1/home"' "$tmp/one/gpt2.rb"
    expect "... and says where libmicrohttpd is" grep -q -- '-Wl,-rpath,.*libmicrohttpd' "$tmp/one/gpt2.rb"
    expect "PKGBUILD has the home page" grep -qx "url='http://127.0.0.1/home'" "$tmp/one/PKGBUILD"
    tools/make_dist "$tmp/three" http://127.0.0.1/gpt2.tar.gz >"$out" 2>"$err"
    status=$?
    expect "recipes without a home page are refused" test "$status" -eq 2 -a ! -e "$tmp/three"
    expect "... and the error says what is missing" says HOME_PAGE
    # What is committed is what is in it, whatever is edited meanwhile.
    git clone -q . "$tmp/edited" 2>"$err"
    sed -i.old 's/VERSION_MINOR .*/VERSION_MINOR 77/' "$tmp/edited/include/gpt2/version.h"
    echo 'url=@NEW@' >>"$tmp/edited/tools/packaging/PKGBUILD.in"
    MAKEFLAGS='' make -s -C "$tmp/edited" BUILD="$tmp/dist" URL=http://127.0.0.1/gpt2.tar.gz \
        HOME_PAGE=http://127.0.0.1/home dist >"$out" 2>"$err"
    expect "a version.h that is not committed changes nothing" same "$tmp/dist/dist/PKGBUILD" "$tmp/one/PKGBUILD"
    expect "... and there is one tarball" test "$(cd "$tmp/dist/dist" && echo *.gz)" = "gpt2-$version.tar.gz"
    expect "... with a note" says 'what is not committed is not in it'
    expect "PKGBUILD is a script" bash -n "$tmp/one/PKGBUILD"
    if command -v ruby >/dev/null; then
        ruby -c "$tmp/one/gpt2.rb" >"$out" 2>"$err"
        status=$?
        expect "gpt2.rb is Ruby" exits 0
    else
        skip "gpt2.rb is Ruby" "ruby is not installed"
    fi
else
    skip "make dist" "needs a git checkout"
fi

if ! command -v dpkg-architecture >/dev/null || ! ls "$BUILD"/libgpt2.so.*.*.* >/dev/null 2>&1 ||
    nm "$GPT2" 2>/dev/null | grep -qE '__(asan|tsan)'; then
    skip "Debian packages" "needs dpkg-dev, the shared library (make shared) and no sanitizer"
    exit 0
fi
triplet=$(dpkg-architecture -qDEB_HOST_MULTIARCH)
abi=$(sed -n 's/^#define GPT2_ABI *//p' include/gpt2/version.h)
MAKEFLAGS='' make -s BUILD="$BUILD" PREFIX=/usr LIBDIR="lib/$triplet" PYTHON_DIR=lib/python3/dist-packages \
    DESTDIR="$tmp/stage" install >"$out" 2>"$err" && (umask 077 && tools/make_deb "$tmp/stage" "$version" "$abi" "$tmp/deb" http://127.0.0.1/home) >"$out" 2>"$err"
status=$?
expect "Debian packages" exits 0
expect "... whose files are for all to read, whatever the umask" \
    test -z "$(for deb in "$tmp"/deb/*.deb; do dpkg-deb -c "$deb"; done | awk '$1 !~ /^(-r..r..r..|d...r.xr.x|l)/')"
# The next build is for the old prefix again.
MAKEFLAGS='' make -s BUILD="$BUILD" PREFIX="${PREFIX:-/usr/local}" all >"$out" 2>&1
for package in gpt2 "libgpt2-$abi" libgpt2-dev gpt2-model-tales python3-gpt2; do
    expect "$package" test -s "$(ls "$tmp/deb/${package}_$version"_*.deb)"
    dpkg-deb -x "$tmp/deb/${package}_$version"_*.deb "$tmp/root"
    expect "$package has the home page" test "$(dpkg-deb -f "$tmp/deb/${package}_$version"_*.deb Homepage)" = http://127.0.0.1/home
    expect "$package has a copyright" grep -q '^License: CC0-1.0' "$tmp/root/usr/share/doc/$package/copyright"
done
expect "the library is in a multiarch folder" test -e "$tmp/root/usr/lib/$triplet/libgpt2.so.$abi" -a -s "$tmp/root/usr/lib/$triplet/pkgconfig/gpt2.pc"
expect "what is unpacked tells a tale" test "$("$tmp/root/usr/bin/gpt2" generate -m "$tmp/root/usr/share/gpt2/models/tales" -n 4 Once)" = \
    "$("$GPT2" generate -n 4 Once)"
if command -v lintian >/dev/null; then
    # This build has not the flags of Debian's, as make deb has them.
    lintian --allow-root --suppress-tags hardening-no-fortify-functions,hardening-no-relro,hardening-no-pie \
        --fail-on error,warning "$tmp"/deb/*.deb >"$out" 2>"$err"
    status=$?
    cat "$out" >>"$err"
    expect "lintian finds nothing" exits 0
else
    skip "lintian" "it is not installed"
fi
