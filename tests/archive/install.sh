#!/usr/bin/env bash
# Installs the TAP server of the tests, DaCHS on PostgreSQL, from Debian's packages. The tests run
# their own private instances of both: nothing of the system's is configured, started or stopped.
set -euo pipefail
missing=()
[[ -x /usr/bin/dachs ]] || missing+=(python3-gavo)
[[ -x /usr/bin/openssl ]] || missing+=(openssl)
# Packages of extensions are named after the version of PostgreSQL.
for extension in q3c:q3c pg_sphere:pgsphere; do
    compgen -G "/usr/share/postgresql/*/extension/${extension%:*}.control" >/dev/null || missing+=("postgresql-${extension#*:}")
done
((${#missing[@]})) || exit 0
missing+=(postgresql)
if ! command -v apt-get >/dev/null; then
    echo "The archive tests need DaCHS, which is packaged for Debian; this is no Debian system." >&2
    exit 1
fi
if ((EUID)); then
    echo "The archive tests need packages that only root can install; run this, then try again:" >&2
    echo "    sudo apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -q -y --no-install-recommends "${missing[@]}"
