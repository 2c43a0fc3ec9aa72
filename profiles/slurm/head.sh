#!/bin/bash
# The head process as a job, where login nodes end long ones: sbatch profiles/slurm/head.sh [targets].
# Submit it from the folder of the clone. Give it the partition and account of your site.
#SBATCH --job-name=mwatlas
#SBATCH --time=7-00:00:00
#SBATCH --cpus-per-task=2
#SBATCH --mem=8G
#SBATCH --output=mwatlas-%j.log
# Time over: two minutes earlier the script is told.
#SBATCH --signal=B:INT@120
[ -x .venv/bin/snakemake ] && export PATH="$PWD/.venv/bin:$PATH"
# An interrupted head cancels its jobs and unlocks the folder. Job control, since without it
# what runs in the background is deaf to interrupts.
set -m
snakemake --profile slurm "$@" &
head=$!
trap 'kill -INT "$head"' INT TERM
while kill -0 "$head" 2>/dev/null; do
    wait "$head"
    status=$?
done
exit "$status"
