#!/usr/bin/env bash
# Makes sure that the tests have a browser to open pages in: installs Debian's chromium where
# there is none, and says what to do where it cannot. $CHROMIUM names another one.
set -euo pipefail

for name in "${CHROMIUM:-}" chromium chromium-browser google-chrome google-chrome-stable; do
    if [[ -n $name ]] && command -v "$name" >/dev/null; then
        exit 0
    fi
done

do="Install Chromium or Chrome, or say where one is: CHROMIUM=... make test"
if ! command -v apt-get >/dev/null; then
    echo "The tests of pages need a browser, and there is none. $do" >&2
    exit 1
fi
as_root=()
if ((EUID != 0)); then
    if ! sudo -n true 2>/dev/null; then
        echo "The tests of pages need a browser: sudo apt-get install chromium. $do" >&2
        exit 1
    fi
    as_root=(sudo -n)
fi
echo "Installing Debian's chromium, in which the tests open pages." >&2
"${as_root[@]}" apt-get update -qq
DEBIAN_FRONTEND=noninteractive "${as_root[@]}" apt-get install -qq --no-install-recommends \
    chromium fonts-dejavu-core >/dev/null
