#!/usr/bin/env bash
# Installs the TAP server of the tests, DaCHS on PostgreSQL, from Debian's packages. The tests run
# their own private instances of both: nothing of the system's is configured, started or stopped.
set -euo pipefail
packages=(postgresql postgresql-q3c postgresql-pgsphere python3-gavo openssl)
missing=()
for package in "${packages[@]}"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
done
((${#missing[@]})) || exit 0
if ! command -v apt-get >/dev/null; then
    echo "The archive tests need DaCHS, which is packaged for Debian; this is no Debian system." >&2
    exit 1
fi
if ((EUID)); then
    echo "The archive tests need packages that only root can install; run, then try again:" >&2
    echo "    sudo apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -q -y --no-install-recommends "${missing[@]}"
