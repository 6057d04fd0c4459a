#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
#
# tools/install-deps.sh GROUP...: sees to the packages of these groups of tools/packages.txt. Installs what is missing if
# run by root; else prints the line that does and fails. Says and does nothing when all is there.
set -eu
list=$(dirname "$0")/packages.txt
missing=
for group in "$@"; do
    packages=$(sed -n "s/^$group  *\([^ #]*\).*/\1/p" "$list")
    [ -n "$packages" ] || { echo "install-deps.sh: $group: no such group in tools/packages.txt" >&2; exit 2; }
    for package in $packages; do
        state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$state" = installed ] || missing="$missing $package"
    done
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "Packages are missing. Install them with:" >&2
    echo "    sudo apt-get update && sudo apt-get install --no-install-recommends$missing" >&2
    exit 1
fi
echo "installing$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086 # a list of words
apt-get install -y --no-install-recommends $missing >/dev/null 2>&1 || {
    apt-get update
    apt-get install -y --no-install-recommends $missing
}
