#!/bin/bash
# A SLURM job array of independent searches on one study in a shared folder. See what it would take, then submit the same
# command; it is what every task runs:
#
#   orch search slides resnet18 --data /shared/images --group-by parent --studies /shared/studies --plan
#   sbatch examples/slurm/array.sh search slides resnet18 --data /shared/images --group-by parent --studies /shared/studies
#
# Each task takes bundles that nobody holds, and ends when nothing is owed. Tasks may start, end and be preempted in any
# order; more can be added at any time, by the same line or with
#
#   sbatch examples/slurm/array.sh resume slides --studies /shared/studies
#
#SBATCH --job-name=orch
#SBATCH --array=1-8
#SBATCH --nodes=1
#SBATCH --exclusive
#SBATCH --gpus-per-node=1
#SBATCH --time=06:00:00
#SBATCH --requeue
#SBATCH --signal=B:TERM@120
#SBATCH --open-mode=append
#SBATCH --output=orch-%A_%a.log
set -u

: "${2:?give the command of orch: search NAME BACKBONE …, or resume NAME …}"
cache=${CACHE:-${SLURM_TMPDIR:-/tmp}/orch-cache-$USER}

# A folder of its own for each Ray, with a short name: paths of sockets end at 107 characters.
RAY_TMPDIR=$(mktemp -d /tmp/ray.XXXXXX)
export RAY_TMPDIR
trap 'rm -rf "$RAY_TMPDIR"' EXIT

stopped=no
search=
trap 'stopped=yes; [ -n "$search" ] && kill -TERM "$search" 2>/dev/null' TERM INT

orch "$@" --cache "$cache" &
search=$!
[ "$stopped" = no ] || kill -TERM "$search"

# A signal ends `wait` early: wait on until the search itself has ended.
while :; do
  wait "$search"
  status=$?
  kill -0 "$search" 2>/dev/null || break
done

# One that ran out of time is put back here, by its own word: it still counts as running. Tasks that are preempted are put
# back by SLURM itself (--requeue), and one that somebody has cancelled is to stay cancelled.
if [ "$stopped" = yes ] && [ "$status" -eq 143 ] && [ -n "${SLURM_JOB_ID:-}" ] &&
  [ "$(squeue --noheader --format=%T --job "$SLURM_JOB_ID")" = RUNNING ]; then
  scontrol requeue "${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}" || scontrol requeue "$SLURM_JOB_ID"
fi
exit "$status"
