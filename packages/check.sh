#!/usr/bin/env bash
# Installs a package of packages/deb.sh into an empty root, uses it, changes its configuration, upgrades it, and removes it:
# check.sh PACKAGE. Nothing of it may be left then.
set -euo pipefail
deb=$(realpath "$1")
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/var/lib/dpkg"/{info,updates,triggers}
touch "$root/var/lib/dpkg"/{status,available}
# The package has no scripts, so neither a chroot nor root is needed.
dpkg() {
    command dpkg --root="$root" --log=/dev/null --force-not-root --force-bad-path --force-depends --force-confold "$@" \
        >"$root/said" 2>&1 || { cat "$root/said" >&2; return 1; }
}
fail() { echo "$deb: $*" >&2; exit 1; }
files() { (cd "$root" && find . \( -type f -o -type l \) -not -path './var/lib/dpkg/*' -not -name said); }

dpkg --install "$deb"
katalog=$root/usr/bin/katalog
"$katalog" --version
"$katalog" config --check ship --config "$root/etc/katalog/katalog.toml" 2>/dev/null || fail "its configuration cannot be used"
for file in usr/share/bash-completion/completions/katalog \
    usr/share/zsh/vendor-completions/_katalog usr/share/fish/vendor_completions.d/katalog.fish; do
    [ -s "$root/$file" ] || fail "$file is not there"
done
# Each page has the name of its file, and each command has a page.
for page in "$root"/usr/share/man/man?/*.gz; do
    name=$(basename "$page" .gz)
    gzip -dc "$page" | grep -q "^\.TH ${name%.*} ${name##*.} " || fail "$name is no page of the manual"
done
for name in katalog.1 katalog.toml.5 $("$katalog" -h | sed -n 's/^  \([a-z]\{1,\}\)  .*/katalog-\1.1/p'); do
    [ -s "$root/usr/share/man/man${name##*.}/$name.gz" ] || fail "$name is not there"
done
bash -n "$root/usr/share/bash-completion/completions/katalog"
(cd "$root" && md5sum --check --quiet var/lib/dpkg/info/katalog.md5sums)
if [ -e "$(dirname "$0")/../systemd/katalog.service" ]; then
    [ -s "$root/lib/systemd/system/katalog.service" ] || fail "the unit is not there"
fi
# What somebody has changed stays.
echo '# mine' >>"$root/etc/katalog/katalog.toml"
dpkg --install "$deb"
grep -q '^# mine' "$root/etc/katalog/katalog.toml" || fail "an upgrade changes the configuration"
dpkg --remove katalog
[ "$(files)" = ./etc/katalog/katalog.toml ] || fail "removed, and still there: $(files)"
dpkg --purge katalog
[ -z "$(files)" ] || fail "purged, and still there: $(files)"
echo "$deb: installed, upgraded, removed"
