#!/bin/bash
# What a spot or preemptible machine runs at boot: goes on with a study until nothing is owed.
#
#   examples/spot/until_done.sh search slides resnet18 --data /mnt/images --group-by parent --studies /mnt/studies
#   examples/spot/until_done.sh resume slides --studies /mnt/studies
#
# The notice of the provider arrives as SIGTERM where the machine is shut down in an orderly way. Where it is only
# published (a metadata address), have whatever watches it send SIGTERM to this script. A machine that is taken away
# without a notice loses what it did since its last checkpoints; the next one goes on from them.
set -u

: "${2:?give the command of orch: search NAME BACKBONE …, or resume NAME …}"
pause=${PAUSE_S:-30}

stopped=no
search=
trap 'stopped=yes; [ -n "$search" ] && kill -TERM "$search" 2>/dev/null' TERM INT

while :; do
  orch "$@" &
  search=$!
  [ "$stopped" = no ] || kill -TERM "$search"
  while :; do
    wait "$search"
    status=$?
    kill -0 "$search" 2>/dev/null || break
  done
  search=
  # 0: nothing is owed any more; 2: wrong input, which trying again does not change
  if [ "$stopped" = yes ] || [ "$status" -eq 0 ] || [ "$status" -eq 2 ]; then
    exit "$status"
  fi
  sleep "$pause" &
  wait $!
done
