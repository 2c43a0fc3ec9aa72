#!/bin/bash
# The head process as a job, where login nodes end long ones: sbatch profiles/slurm/head.sh [targets].
# Submit it from the folder of the clone. Give it the partition and account of your site.
#SBATCH --job-name=mwatlas
#SBATCH --time=7-00:00:00
#SBATCH --cpus-per-task=2
#SBATCH --mem=8G
#SBATCH --output=mwatlas-%j.log
# Told to end (time over, scancel), the head cancels its jobs and unlocks the folder.
#SBATCH --signal=INT@120
[ -x .venv/bin/snakemake ] && export PATH="$PWD/.venv/bin:$PATH"
exec snakemake --profile slurm "$@"
