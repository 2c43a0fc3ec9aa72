#!/usr/bin/env bash
# Installs SLURM for the cluster tests from Debian's packages. The tests start daemons of their own.
set -euo pipefail
programs=(/usr/sbin/munged /usr/sbin/slurmctld /usr/sbin/slurmd /usr/bin/sbatch)
for program in "${programs[@]}"; do
    [[ -x $program ]] || missing=1
done
[[ -n ${missing:-} ]] || exit 0
if ! command -v apt-get >/dev/null; then
    echo "The cluster tests need SLURM, which is packaged for Debian; this is no Debian system." >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
apt-get install -q -y --no-install-recommends slurmctld slurmd slurm-client munge
