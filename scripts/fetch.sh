#!/bin/sh
# Fetches the source archives that Mooncast builds on into a folder and checks them by sha256:
#
#   scripts/fetch.sh lua|lua-cjson FILE
#
# On Debian the archive comes from the package sources the machine itself is set up with: a
# temporary list with `deb-src`, and a private apt state, so that the system's own stay as they
# are. Elsewhere, or when that fails, curl gets it from upstream.
set -eu

name=$1
file=$2
# The Debian release whose source packages hold the versions below.
suite=trixie
case $name in
lua)
  package=lua5.4
  url=https://www.lua.org/ftp/lua-5.4.7.tar.gz
  sums=9fbf5e28ef86c69858f6d3d34eccc32e911c1a28b4120ff3e84aaa70cfbf1e30
  ;;
lua-cjson)
  # Debian's archive is upstream's without two files that nothing here uses, hence two sums.
  package=lua-cjson
  url=https://www.kyne.com.au/~mark/software/download/lua-cjson-2.1.0.tar.gz
  sums="94f1fce36742cf00e99c5071b309b9f71e6e7daf60a7151f7bf4ac0a97259ac4
    51bc69cd55931e0cba2ceae39e9efa2483f4292da3a88a1ed470eda829f6c778"
  ;;
*)
  echo "usage: $0 lua|lua-cjson FILE" >&2
  exit 2
  ;;
esac

genuine() { # genuine FILE: its checksum is one of ours
  sum=$(sha256sum "$1" | cut -d' ' -f1)
  for wanted in $sums; do
    [ "$sum" != "$wanted" ] || return 0
  done
  return 1
}

# The address of the Debian archive that this machine installs from, of either list format.
debian_archive() {
  release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
  [ -n "$release" ] || return 0
  {
    cat /etc/apt/sources.list.d/*.sources 2>/dev/null | awk -v release="$release" '
      /^#/ { next }
      /^[ \t]*$/ { uri = ""; next }
      /^URIs:/ { uri = $2 }
      /^Suites:/ { for (i = 2; i <= NF; i++) if ($i == release && uri != "") print uri }'
    cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | awk -v release="$release" '
      $1 == "deb" {
        i = 2
        if ($i ~ /^\[/) { while ($i !~ /\]$/) i++; i++ }
        if ($(i + 1) == release) print $i
      }'
  } | grep -E '^(https?|file|mirror[a-z+]*):' | head -n 1
}

from_debian() {
  command -v apt-get >/dev/null || return 1
  archive=$(debian_archive)
  [ -n "$archive" ] || return 1
  keyring=/usr/share/keyrings/debian-archive-keyring.gpg
  apt=$PWD/build/apt
  mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$apt/source"
  : >"$apt/status"
  {
    printf 'Types: deb-src\nURIs: %s\nSuites: %s\nComponents: main\n' "$archive" "$suite"
    [ ! -f "$keyring" ] || printf 'Signed-By: %s\n' "$keyring"
  } >"$apt/mooncast.sources"
  set -- -qq -o "Dir::Etc::sourcelist=$apt/mooncast.sources" -o Dir::Etc::sourceparts=/dev/null \
    -o "Dir::State=$apt" -o "Dir::State::status=$apt/status" -o "Dir::State::lists=$apt/lists" \
    -o "Dir::Cache=$apt/cache" -o APT::Sandbox::User="$(id -un)"
  [ -f "$apt/updated" ] || apt-get "$@" update || return 1
  : >"$apt/updated"
  (cd "$apt/source" && apt-get "$@" source --download-only "$package" >/dev/null) || return 1
  for got in "$apt/source/${package}_"*.orig.tar.*; do
    if genuine "$got"; then
      cp "$got" "$file"
      return 0
    fi
  done
  return 1
}

mkdir -p build "$(dirname "$file")"
if from_debian >build/fetch.log 2>&1; then
  exit 0
fi
curl -fsSL --retry 3 --connect-timeout 20 -o "$file.part" "$url" 2>>build/fetch.log || {
  tail -n 5 build/fetch.log >&2
  echo "mooncast: could not fetch $name; put $url at $file and run make again" >&2
  exit 1
}
if ! genuine "$file.part"; then
  rm -f "$file.part"
  echo "mooncast: what $url holds is not the $name it should be (sha256)" >&2
  exit 1
fi
mv "$file.part" "$file"
