#!/usr/bin/env bash
# Makes the Debian package of a katalog that is built: deb.sh PROGRAM DIRECTORY. It needs dpkg-deb, and nothing of debhelper.
#
# Take the static program: it runs on every release of Debian and Ubuntu, and the package depends on nothing.
set -euo pipefail
program=$(realpath "$1")
mkdir -p "$2"
out=$(realpath "$2")
cd "$(dirname "$0")/.."

version=$("$program" --version | sed -n '1s/^katalog \([^ ]*\).*/\1/p')
arch=$(dpkg --print-architecture)
if ldd "$program" >/dev/null 2>&1 && ldd "$program" | grep -q 'libc\.so'; then
    depends="Depends: libc6 (>= $(ldd --version | sed -n '1s/.* //p')), libgcc-s1"
else
    depends=
fi
root=$(mktemp -d)
chmod 755 "$root"
trap 'rm -rf "$root"' EXIT

put() { install -D --mode "$1" "$2" "$root/$3"; }
made() { install -D --mode 644 /dev/stdin "$root/$1"; }

put 755 "$program" usr/bin/katalog
strip --strip-unneeded "$root/usr/bin/katalog"
page() { "$program" man "$1" | gzip -9n | made "usr/share/man/man${2##*.}/$2.gz"; }
page katalog katalog.1
page katalog.toml katalog.toml.5
for command in print ship convert check explain schema config completions man; do
    page "$command" "katalog-$command.1"
done
"$program" completions bash | made usr/share/bash-completion/completions/katalog
"$program" completions zsh | made usr/share/zsh/vendor-completions/_katalog
"$program" completions fish | made usr/share/fish/vendor_completions.d/katalog.fish
gzip -9nc CHANGELOG.md | made usr/share/doc/katalog/changelog.gz
put 644 README.md usr/share/doc/katalog/README.md
put 644 docs/options.md usr/share/doc/katalog/docs/options.md
put 644 docs/explain.md usr/share/doc/katalog/docs/explain.md
made usr/share/doc/katalog/copyright <<COPYRIGHT
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/

Files: *
Copyright: the authors of katalog
License: Apache-2.0
 The text is in /usr/share/common-licenses/Apache-2.0.
COPYRIGHT
# The unit is neither enabled nor started: there is nobody yet to send to. Its configuration, or else every key with what holds
# without it; a file that was changed outlives an upgrade.
if [ -e systemd/katalog.service ]; then
    put 644 systemd/katalog.service lib/systemd/system/katalog.service
fi
if [ -e systemd/katalog.toml ]; then
    put 644 systemd/katalog.toml etc/katalog/katalog.toml
else
    "$program" config --default | made etc/katalog/katalog.toml
fi

# Of the installed files, in KiB, as policy has it.
size=$(du -k --summarize --apparent-size "$root" | cut -f 1)
made DEBIAN/control <<CONTROL
Package: katalog
Version: $version
Architecture: $arch
Maintainer: the authors of katalog <katalog@localhost>
Section: admin
Priority: optional
Installed-Size: $size${depends:+
$depends}
Description: streaming normalizer for the logs of Kata Containers
 katalog reads systemd journals, journalctl streams and log files, takes out what
 the components of Kata Containers wrote, unpacks what the guest said through
 them, and writes flat, typed records, or sends them to Fluentd and its kin.
CONTROL
echo /etc/katalog/katalog.toml | made DEBIAN/conffiles
(cd "$root" && find . -type f -not -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) | made DEBIAN/md5sums

deb=$out/katalog_${version}_$arch.deb
# The same files make the same package.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
export SOURCE_DATE_EPOCH
find "$root" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$root" "$deb" >/dev/null
echo "$deb"
